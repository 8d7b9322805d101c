/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux side of a vhost-user front end: messages over Unix stream sockets, with descriptors as
 * ancillary data, and eventfds. The peer is not trusted: a message that is longer than any message
 * is refused before it is read, and descriptors that come with what is refused are closed. Memory to
 * share is in channel_memory.c.
 */
#include "bulkhead/host_channel.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define EVENTS_MAX 128u

/* Room for as many descriptors as a message may have. More do not fit, and the system says so
 * (MSG_CTRUNC). */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * BH_VU_FDS_MAX)];
};

static struct bh_host_channel *channel_of(void *context)
{
    return context;
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When waiting for this message ends. */
static int64_t end_of(const struct bh_host_channel *channel)
{
    int64_t end = now_ms() + channel->timeout_ms;
    return channel->deadline != 0 && channel->deadline < end ? channel->deadline : end;
}

/* Waits until `fd` is ready for `events`, or `other` is readable (BH_AGAIN; -1: nobody). What is ready
 * on `fd` comes first. */
static int wait_until(int fd, short events, int other, int64_t deadline)
{
    struct pollfd polled[2] = {{.fd = fd, .events = events}, {.fd = other, .events = POLLIN}};
    for (;;) {
        int64_t left = deadline - now_ms();
        int ready = poll(polled, 2, left > 0 ? (int)left : 0);
        if (ready < 0 && errno != EINTR) {
            return bh_error_from_errno(errno);
        }
        if (ready == 0) {
            return BH_TIMEOUT;
        }
        if (ready > 0) {
            return polled[0].revents != 0 ? BH_OK : BH_AGAIN;
        }
    }
}

/* ---- sending ---- */

static void attach(struct msghdr *header, union control *control, const int32_t *fds,
                   uint32_t count)
{
    memset(control, 0, sizeof(*control));
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(sizeof(int) * count);
    struct cmsghdr *message = CMSG_FIRSTHDR(header);
    message->cmsg_level = SOL_SOCKET;
    message->cmsg_type = SCM_RIGHTS;
    message->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(message), fds, sizeof(int) * count);
}

/* Sends all of `vector`; descriptors travel with the first byte. */
static int send_all(int fd, struct iovec *vector, size_t vectors,
                    const struct bh_vu_message *message, int64_t deadline)
{
    union control control;
    struct msghdr header = {.msg_iov = vector, .msg_iovlen = vectors};
    if (message->fd_count != 0u) {
        attach(&header, &control, message->fds, message->fd_count);
    }
    while (header.msg_iovlen != 0u) {
        ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            int result = wait_until(fd, POLLOUT, -1, deadline);
            if (result != BH_OK) {
                return result;
            }
            continue;
        }
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return bh_error_from_errno(errno);
        }
        header.msg_control = NULL;
        header.msg_controllen = 0;
        size_t done = (size_t)sent;
        while (header.msg_iovlen != 0u && done >= header.msg_iov->iov_len) {
            done -= header.msg_iov->iov_len;
            header.msg_iov++;
            header.msg_iovlen--;
        }
        if (header.msg_iovlen != 0u) {
            header.msg_iov->iov_base = (uint8_t *)header.msg_iov->iov_base + done;
            header.msg_iov->iov_len -= done;
        }
    }
    return BH_OK;
}

static int line_of(const struct bh_host_channel *channel, enum bh_vu_line line)
{
    return line == BH_VU_LINE_MAIN ? channel->fd : channel->backend_fd;
}

static int channel_send(void *context, enum bh_vu_line line, const struct bh_vu_message *message)
{
    const struct bh_host_channel *channel = channel_of(context);
    struct bh_vu_header header = message->header;
    union bh_vu_payload payload = message->payload;
    int fd = line_of(channel, line);
    if (fd < 0) {
        return BH_GONE;
    }
    if (header.size > sizeof(payload) || message->fd_count > BH_VU_FDS_MAX) {
        return BH_INVALID;
    }
    struct iovec vector[2] = {{.iov_base = &header, .iov_len = sizeof(header)},
                              {.iov_base = &payload, .iov_len = header.size}};
    return send_all(fd, vector, header.size != 0u ? 2 : 1, message, end_of(channel));
}

/* ---- receiving ---- */

static void drop_fds(struct bh_vu_message *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++) {
        (void)close(message->fds[i]);
    }
    message->fd_count = 0;
}

/* Takes over the descriptors of one recvmsg; those that the message has no room for are closed. */
static int take_fds(struct msghdr *header, struct bh_vu_message *message)
{
    int result = (header->msg_flags & MSG_CTRUNC) != 0 ? BH_PROTOCOL : BH_OK;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL;
         control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(fd));
            if (message->fd_count < BH_VU_FDS_MAX) {
                message->fds[message->fd_count] = fd;
                message->fd_count++;
            } else {
                (void)close(fd);
                result = BH_PROTOCOL;
            }
        }
    }
    return result;
}

/* Receives exactly `length` bytes, and whatever descriptors come with them. `other`: see wait_until;
 * it counts only before the first byte. */
static int receive_all(int fd, void *to, size_t length, struct bh_vu_message *message, int other,
                       int64_t deadline)
{
    size_t done = 0;
    while (done < length) {
        union control control;
        struct iovec vector = {.iov_base = (uint8_t *)to + done, .iov_len = length - done};
        struct msghdr header = {.msg_iov = &vector,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof(control.bytes)};
        int result = wait_until(fd, POLLIN, done == 0u ? other : -1, deadline);
        if (result != BH_OK) {
            return result;
        }
        ssize_t received = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (received < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (received < 0) {
            return bh_error_from_errno(errno);
        }
        result = take_fds(&header, message);
        if (result != BH_OK) {
            return result;
        }
        if (received == 0) {
            return BH_GONE;
        }
        done += (size_t)received;
    }
    return BH_OK;
}

static int receive_message(int fd, struct bh_vu_message *message, int other, int64_t deadline)
{
    int result =
        receive_all(fd, &message->header, sizeof(message->header), message, other, deadline);
    if (result != BH_OK) {
        return result;
    }
    if (message->header.size > sizeof(message->payload)) {
        return BH_PROTOCOL;
    }
    return receive_all(fd, &message->payload, message->header.size, message, -1, deadline);
}

static int channel_receive(void *context, enum bh_vu_line line, struct bh_vu_message *message)
{
    struct bh_host_channel *channel = channel_of(context);
    int fd = line_of(channel, line);
    int64_t deadline = end_of(channel);
    int result;
    memset(message, 0, sizeof(*message));
    if (fd < 0) {
        return BH_GONE;
    }
    if (line == BH_VU_LINE_BACKEND) {
        result = wait_until(fd, POLLIN, -1, 0);
        if (result == BH_TIMEOUT) {
            return BH_AGAIN;
        }
        if (result == BH_OK) {
            result = receive_message(fd, message, -1, deadline);
        }
    } else {
        result = receive_message(fd, message, channel->backend_fd, deadline);
    }
    if (result != BH_OK) {
        drop_fds(message);
    }
    if (result != BH_OK && result != BH_AGAIN && line == BH_VU_LINE_BACKEND) {
        /* It would be readable for ever, and nothing on it could be told apart. */
        (void)close(channel->backend_fd);
        channel->backend_fd = -1;
    }
    return result;
}

/* ---- the second line, events ---- */

static int channel_backend_open(void *context, int32_t *fd)
{
    struct bh_host_channel *channel = channel_of(context);
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return bh_error_from_errno(errno);
    }
    if (channel->backend_fd >= 0) {
        (void)close(channel->backend_fd);
    }
    channel->backend_fd = pair[0];
    *fd = pair[1];
    return BH_OK;
}

static int channel_event_create(void *context, int32_t *fd)
{
    (void)context;
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return *fd >= 0 ? BH_OK : bh_error_from_errno(errno);
}

static int channel_event_signal(void *context, int32_t fd)
{
    const uint64_t one = 1;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    (void)context;
    /* The other side shares the description: it could have filled the counter and made a write wait.
     * Where there is no room, it wakes up all the same. */
    if (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 &&
        write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN) {
        return bh_error_from_errno(errno);
    }
    return BH_OK;
}

static int channel_event_consume(void *context, int32_t fd, bool *signalled)
{
    uint64_t count = 0;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};
    (void)context;
    /* Not a plain read: the other side could make that wait, too. */
    ssize_t length = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
    if (length < 0 && errno != EAGAIN) {
        return bh_error_from_errno(errno);
    }
    *signalled = length > 0;
    return BH_OK;
}

static void channel_close_fd(void *context, int32_t fd)
{
    (void)context;
    (void)close(fd);
}

const struct bh_vu_channel bh_host_channel_ops = {
    .send = channel_send,
    .receive = channel_receive,
    .backend_open = channel_backend_open,
    .event_create = channel_event_create,
    .event_signal = channel_event_signal,
    .event_consume = channel_event_consume,
    .close = channel_close_fd,
};

/* ---- life ---- */

int bh_host_channel_adopt(struct bh_host_channel *channel, int fd, int timeout_ms)
{
    channel->fd = fd;
    channel->backend_fd = -1;
    channel->timeout_ms = timeout_ms;
    channel->deadline = 0;
    return fd >= 0 && timeout_ms >= 0 ? BH_OK : BH_INVALID;
}

int bh_host_channel_connect(struct bh_host_channel *channel, const char *path, int timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    channel->fd = -1;
    channel->backend_fd = -1;
    if (length == 0u || length >= sizeof(address.sun_path)) {
        return BH_INVALID;
    }
    memcpy(address.sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return bh_error_from_errno(errno);
    }
    /* A listener whose backlog is full keeps a connect waiting like a send. */
    struct timeval limit = {.tv_sec = timeout_ms / 1000,
                            .tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int number = errno;
        (void)close(fd);
        return bh_error_from_errno(number);
    }
    return bh_host_channel_adopt(channel, fd, timeout_ms);
}

void bh_host_channel_budget(struct bh_host_channel *channel, int budget_ms)
{
    channel->deadline = budget_ms != 0 ? now_ms() + budget_ms : 0;
}

void bh_host_channel_close(struct bh_host_channel *channel)
{
    if (channel->fd >= 0) {
        (void)close(channel->fd);
    }
    if (channel->backend_fd >= 0) {
        (void)close(channel->backend_fd);
    }
    channel->fd = -1;
    channel->backend_fd = -1;
}

int bh_host_channel_wait(const struct bh_host_channel *channel, const int32_t *events,
                         uint32_t count, int timeout_ms)
{
    struct pollfd polled[EVENTS_MAX + 2u];
    int64_t deadline = now_ms() + timeout_ms;
    if (count > EVENTS_MAX) {
        return BH_LIMIT;
    }
    for (uint32_t i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = events[i], .events = POLLIN};
    }
    polled[count] = (struct pollfd){.fd = channel->backend_fd, .events = POLLIN};
    polled[count + 1u] = (struct pollfd){.fd = channel->fd, .events = POLLRDHUP};
    for (;;) {
        int64_t left = deadline - now_ms();
        int ready = poll(polled, count + 2u, left > 0 ? (int)left : 0);
        if (ready < 0 && errno != EINTR) {
            return bh_error_from_errno(errno);
        }
        if (ready == 0) {
            return BH_TIMEOUT;
        }
        if (ready > 0) {
            return polled[count + 1u].revents != 0 ? BH_GONE : BH_OK;
        }
    }
}
