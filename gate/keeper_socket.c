/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Unix sockets of the keeper. A path at which it listens is made for its owner only; one that is
 * left over from an earlier process is taken over, one that somebody listens on is not.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "keeper.h"

#define BACKLOG     4
#define UMASK_OWNER 0177

/* The length of the path was checked with the options. */
static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1u);
    return address;
}

static int try_connect(const struct sockaddr_un *address, int *fd)
{
    int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *fd = -1;
    if (made < 0) {
        return errno;
    }
    if (connect(made, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        int number = errno;
        (void)close(made);
        return number;
    }
    int flags = fcntl(made, F_GETFL);
    if (flags >= 0) {
        (void)fcntl(made, F_SETFL, flags & ~O_NONBLOCK);
    }
    *fd = made;
    return 0;
}

int bh_keeper_connect(const char *path, int *fd)
{
    const struct sockaddr_un address = address_of(path);
    int number = try_connect(&address, fd);
    switch (number) {
    case 0:
        return BH_OK;
    case EAGAIN: /* its backlog is full */
    case ENOENT:
    case ECONNREFUSED:
        return BH_AGAIN;
    default:
        return bh_error_from_errno(number);
    }
}

static int bind_narrow(int fd, const struct sockaddr_un *address)
{
    mode_t before = umask(UMASK_OWNER);
    int number = bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;
    (void)umask(before);
    return number;
}

/* Whether nobody listens on the socket that is at the path. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat status;
    int fd;
    if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return false;
    }
    int number = try_connect(address, &fd);
    if (fd >= 0) {
        (void)close(fd);
    }
    return number == ECONNREFUSED;
}

int bh_keeper_listen(const char *path, int *fd)
{
    const struct sockaddr_un address = address_of(path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        bh_log(BH_LOG_ERROR, "%s: cannot be made: %s", path, strerror(errno));
        return bh_error_from_errno(errno);
    }
    int number = bind_narrow(*fd, &address);
    if (number == EADDRINUSE && is_left_over(&address) && unlink(path) == 0) {
        number = bind_narrow(*fd, &address);
    }
    if (number == 0 && listen(*fd, BACKLOG) != 0) {
        number = errno;
    }
    if (number == 0) {
        return BH_OK;
    }
    if (number == EADDRINUSE) {
        bh_log(BH_LOG_ERROR,
               "%s: is in use: somebody listens there, or it is no socket; choose another path",
               path);
    } else {
        bh_log(BH_LOG_ERROR, "%s: cannot be listened on: %s", path, strerror(number));
    }
    (void)close(*fd);
    *fd = -1;
    return bh_error_from_errno(number);
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof(value);
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

int bh_keeper_adopt(int fd, bool *listens)
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
    *listens = option_of(fd, SO_ACCEPTCONN) == 1;
    return BH_OK;
}
