/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket of a daemon. It is made with the rights it is to have, never with more; a path that is
 * left over from an earlier process is taken over, one that somebody listens on is not. A closed
 * sandbox cannot remove the path at the end: the next start does.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"

#define BACKLOG     1
#define MODE_OWNER  0600
#define MODE_GROUP  0660
#define UMASK_OWNER 0177

static int report(const char *path, const char *what, int number)
{
    bh_log(BH_LOG_ERROR, "%s: %s: %s", path, what, strerror(number));
    return bh_error_from_errno(number);
}

/* Whether nobody listens on the socket that is at the path. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return false;
    }
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                   errno == ECONNREFUSED;
    (void)close(fd);
    return refused;
}

static int bind_narrow(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(UMASK_OWNER);
    int number = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
    (void)umask(before);
    return number;
}

static int give_to_group(const char *path, const char *name)
{
    const struct group *group = getgrnam(name);
    if (group == NULL) {
        bh_log(BH_LOG_ERROR, "%s: there is no such group", name);
        return BH_INVALID;
    }
    if (chown(path, (uid_t)-1, group->gr_gid) != 0 || chmod(path, MODE_GROUP) != 0) {
        return report(path, "cannot be given to the group", errno);
    }
    return BH_OK;
}

static int prepare_path(int fd, const struct sockaddr_un *address, const char *group)
{
    const char *path = address->sun_path;
    int number = bind_narrow(fd, address);
    if (number == EADDRINUSE && is_left_over(address) && unlink(path) == 0) {
        number = bind_narrow(fd, address);
    }
    if (number == EADDRINUSE) {
        bh_log(BH_LOG_ERROR, "%s: is in use", path);
        return BH_STATE;
    }
    if (number != 0) {
        return report(path, "cannot be made", number);
    }
    if (group != NULL) {
        int result = give_to_group(path, group);
        if (result != BH_OK) {
            return result;
        }
    }
    return listen(fd, BACKLOG) == 0 ? BH_OK : report(path, "cannot be listened on", errno);
}

static int listen_at(const struct bh_options *options, int *listen_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(options->socket_path);
    if (length >= sizeof(address.sun_path)) {
        return report(options->socket_path, "cannot be made", ENAMETOOLONG);
    }
    memcpy(address.sun_path, options->socket_path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return report(options->socket_path, "cannot be made", errno);
    }
    int result = prepare_path(fd, &address, options->socket_group);
    if (result != BH_OK) {
        (void)close(fd);
        return result;
    }
    *listen_fd = fd;
    return BH_OK;
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/* A socket that was handed over may listen or be connected: it tells. */
static int adopt(struct bh_socket *socket, int fd)
{
    if (option_of(fd, SO_DOMAIN) != AF_UNIX || option_of(fd, SO_TYPE) != SOCK_STREAM) {
        bh_log(BH_LOG_ERROR, "descriptor %d is no Unix stream socket", fd);
        return BH_INVALID;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return bh_error_from_errno(errno);
    }
    if (option_of(fd, SO_ACCEPTCONN) == 1) {
        socket->listen_fd = fd;
    } else {
        socket->connection_fd = fd;
    }
    return BH_OK;
}

int bh_socket_open(struct bh_socket *socket, const struct bh_options *options, int inherited_fd)
{
    *socket = (struct bh_socket){.listen_fd = -1, .connection_fd = -1};
    if (options->socket_path != NULL) {
        return listen_at(options, &socket->listen_fd);
    }
    int fd = options->fd >= 0 ? options->fd : inherited_fd;
    if (fd >= 0) {
        return adopt(socket, fd);
    }
    bh_log(BH_LOG_ERROR, "no socket: give --socket-path or --fd, or LISTEN_FDS");
    return BH_INVALID;
}
