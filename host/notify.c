/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service manager's protocol: NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS. It only reads the
 * environment and sends short datagrams.
 */
#include "bulkhead/host_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define LISTEN_FDS_START 3

/* An environment variable as a number; false when it is set and is none. Not set: `missing`. */
static bool read_number(const char *name, uint64_t missing, uint64_t *number)
{
    const char *text = getenv(name);
    char *end;
    if (text == NULL) {
        *number = missing;
        return true;
    }
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0';
}

static int notify_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    /* '@' stands for the NUL of an abstract name, whose length counts; a path ends with a NUL. */
    if ((path[0] != '/' && path[0] != '@') || length < 2u || length >= sizeof(address.sun_path)) {
        return -EINVAL;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, (const struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) != 0) {
        int number = errno;
        (void)close(fd);
        return -number;
    }
    return fd;
}

int bh_notify_init(struct bh_notify *notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    uint64_t process;
    notify->fd = -1;
    notify->watchdog_usecs = 0;
    if (path == NULL) {
        return BH_OK;
    }
    if (!read_number("WATCHDOG_PID", (uint64_t)getpid(), &process) ||
        !read_number("WATCHDOG_USEC", 0, &notify->watchdog_usecs)) {
        return BH_INVALID;
    }
    if (process != (uint64_t)getpid()) {
        notify->watchdog_usecs = 0; /* meant for another process */
    }
    notify->fd = notify_connect(path);
    if (notify->fd < 0) {
        int number = -notify->fd;
        notify->fd = -1;
        return bh_error_from_errno(number);
    }
    return BH_OK;
}

void bh_notify_finish(struct bh_notify *notify)
{
    if (notify->fd >= 0) {
        (void)close(notify->fd);
        notify->fd = -1;
    }
}

int bh_notify_send(const struct bh_notify *notify, const char *message)
{
    if (notify->fd < 0) {
        return BH_OK;
    }
    if (send(notify->fd, message, strlen(message), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        return bh_error_from_errno(errno);
    }
    return BH_OK;
}

int bh_notify_listen_fd(int *fd)
{
    uint64_t process;
    uint64_t count;
    *fd = -1;
    if (!read_number("LISTEN_PID", 0, &process) || !read_number("LISTEN_FDS", 0, &count)) {
        return BH_INVALID;
    }
    if (process != (uint64_t)getpid() || count == 0u) {
        return BH_OK; /* meant for another process, or for nobody */
    }
    if (count != 1u || fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC) != 0) {
        return BH_INVALID;
    }
    *fd = LISTEN_FDS_START;
    return BH_OK;
}
