/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket, the other end: finds the platforms that run, connects, asks and waits. For
 * programs without an event loop.
 *
 * Whether a platform runs is asked of its socket, not of its lock: trying the lock would get into
 * the way of a supervisor that starts.
 */
#include "bulkhead/engine_control.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "control_folder.h"

#define PATIENCE_SECONDS 5
#define MSEC_PER_SEC     1000
#define NSEC_PER_MSEC    1000000
#define SURPLUS_FDS      8u /* of an answer: seen only to be closed */

/* ------------------------------------------------------------------------------------------------
 * connecting */

/* Whether who listens is this user or root; root talks to everyone. */
static bool listener_may(int fd)
{
    struct ucred who;
    socklen_t length = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && length == sizeof(who) &&
           (who.uid == geteuid() || who.uid == 0 || geteuid() == 0);
}

static int connect_error(int number)
{
    switch (number) {
    case ENOENT:
    case ECONNREFUSED: /* the socket of one that was killed */
    case ENOTDIR:
    case EPROTOTYPE: /* no socket of ours */
    case ENOTSOCK:
        return BH_GONE;
    case EAGAIN: /* as many wait as may wait, for all that time */
        return BH_TIMEOUT;
    default:
        return bh_control_error(number);
    }
}

/* Connects; with `wait`, waits a while for a place in the queue. */
static int socket_connect(const struct sockaddr_un *address, bool wait, int *fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    *fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
    if (*fd < 0) {
        return bh_control_error(errno);
    }
    int result = BH_OK;
    if (setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) {
        result = bh_control_error(errno);
    } else if (connect(*fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        result = connect_error(errno);
    } else if (!listener_may(*fd)) {
        result = BH_DENIED;
    }
    if (result != BH_OK) {
        (void)close(*fd);
        *fd = -1;
    }
    return result;
}

int bh_control_connect(const char *name, int *fd)
{
    char runtime[PATH_MAX];
    struct sockaddr_un address;
    int runtime_fd;
    *fd = -1;
    if (!bh_control_name_valid(name)) {
        return BH_GONE;
    }
    int result = bh_control_runtime_open(false, runtime, sizeof(runtime), &runtime_fd);
    if (result != BH_OK) {
        return result;
    }
    result = bh_control_address(runtime, name, &address);
    if (result == BH_OK) {
        result = socket_connect(&address, true, fd);
    }
    (void)close(runtime_fd);
    return result;
}

/* A full queue is a platform that runs, too. */
static bool runs(const char *runtime, const char *name)
{
    struct sockaddr_un address;
    int fd;
    if (!bh_control_name_valid(name) || bh_control_address(runtime, name, &address) != BH_OK) {
        return false;
    }
    int result = socket_connect(&address, false, &fd);
    if (result == BH_OK) {
        (void)close(fd);
    }
    return result == BH_OK || result == BH_TIMEOUT;
}

int bh_control_list(void (*found)(void *context, const char *name), void *context)
{
    char runtime[PATH_MAX];
    struct dirent **entries;
    int runtime_fd;
    int result = bh_control_runtime_open(false, runtime, sizeof(runtime), &runtime_fd);
    if (result != BH_OK) {
        return result == BH_GONE ? BH_OK : result;
    }
    int count = scandirat(runtime_fd, ".", &entries, NULL, alphasort);
    result = count < 0 ? bh_control_error(errno) : BH_OK;
    (void)close(runtime_fd);
    if (result != BH_OK) {
        return result;
    }
    for (int i = 0; i < count; i++) {
        if (runs(runtime, entries[i]->d_name)) {
            found(context, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * asking */

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* fails for unknown clocks only */
    return (int64_t)now.tv_sec * MSEC_PER_SEC + now.tv_nsec / NSEC_PER_MSEC;
}

/* Waits until there is something to read. Signals do not end it. */
static int wait_readable(int fd, int timeout)
{
    struct pollfd watched = {.fd = fd, .events = POLLIN};
    const int64_t end = now_ms() + timeout;
    for (;;) {
        int64_t left = end - now_ms();
        int count = poll(&watched, 1, left > 0 ? (int)left : 0);
        if (count > 0) {
            return BH_OK;
        }
        if (count == 0) {
            return BH_TIMEOUT;
        }
        if (errno != EINTR) {
            return BH_IO;
        }
    }
}

/* Takes the first descriptor of a message, closes the others, counts all. */
static uint32_t take_descriptors(struct msghdr *message, int *first)
{
    uint32_t total = 0;
    *first = -1;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof(fd));
            if (total == 0) {
                *first = fd;
            } else {
                (void)close(fd);
            }
            total++;
        }
    }
    return total;
}

/* Receives one message into `buffer` of BH_CONTROL_BYTES_MAX + 1 bytes, as text. */
static int receive(int fd, char *buffer, int *passed_fd)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(SURPLUS_FDS * sizeof(int))];
    } space;
    struct iovec part = {.iov_base = buffer, .iov_len = BH_CONTROL_BYTES_MAX};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space.bytes,
                             .msg_controllen = sizeof(space.bytes)};
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0 &&
        errno == ECONNRESET) { /* it hung up on our request: what it said comes after */
        length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    }
    if (length < 0) {
        return errno == EAGAIN ? BH_TIMEOUT : BH_GONE;
    }
    uint32_t count = take_descriptors(&message, passed_fd);
    int result = length == 0 ? BH_GONE : BH_OK;
    if (count > 1 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        memchr(buffer, '\0', (size_t)length) != NULL) {
        result = BH_PROTOCOL;
    }
    if (result != BH_OK && *passed_fd >= 0) {
        (void)close(*passed_fd);
        *passed_fd = -1;
    }
    buffer[length] = '\0';
    return result;
}

static int send_request(int fd, const char *request)
{
    size_t length = strlen(request);
    if (length == 0 || length > BH_CONTROL_BYTES_MAX) {
        return BH_LIMIT;
    }
    if (send(fd, request, length, MSG_NOSIGNAL) < 0) {
        return errno == EAGAIN ? BH_TIMEOUT : BH_GONE;
    }
    return BH_OK;
}

int bh_control_call(int fd, const char *request, int timeout, char **answer, int *passed_fd)
{
    int passed = -1;
    *answer = NULL;
    if (passed_fd != NULL) {
        *passed_fd = -1;
    }
    char *buffer = malloc(BH_CONTROL_BYTES_MAX + 1u);
    if (buffer == NULL) {
        return BH_NO_MEMORY;
    }
    int result = send_request(fd, request);
    /* One that turned us away has said why before it hung up. */
    if (result == BH_OK || result == BH_GONE) {
        result = wait_readable(fd, timeout);
    }
    if (result == BH_OK) {
        result = receive(fd, buffer, &passed);
    }
    if (passed >= 0 && passed_fd == NULL) {
        (void)close(passed);
        passed = -1;
        result = BH_PROTOCOL;
    }
    if (result != BH_OK) {
        free(buffer);
        return result;
    }
    if (passed_fd != NULL) {
        *passed_fd = passed;
    }
    *answer = buffer;
    return BH_OK;
}
