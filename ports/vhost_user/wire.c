/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages on the socket: they may arrive in pieces of any size, with descriptors, and nothing here
 * ever waits. Not here: what a message means, and whether it is allowed.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

void bh_vu_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

int bh_vu_wire_take(struct bh_vu_incoming *message, uint32_t index)
{
    int fd = -1;

    if (index < message->fd_count) {
        fd = message->fds[index];
        message->fds[index] = -1;
    }
    return fd;
}

void bh_vu_wire_clear(struct bh_vu_incoming *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++) {
        bh_vu_close(&message->fds[i]);
    }
    memset(message, 0, sizeof(*message));
}

/* Keeps what fits, closes what does not. Returns whether all did. */
static bool keep(struct bh_vu_incoming *message, const int *fds, size_t count)
{
    bool fits = true;

    for (size_t i = 0; i < count; i++) {
        if (message->fd_count < BH_VU_FDS_MAX) {
            message->fds[message->fd_count] = fds[i];
            message->fd_count++;
        } else {
            (void)close(fds[i]);
            fits = false;
        }
    }
    return fits;
}

/* What the kernel had no room for it has closed itself, and says so with MSG_CTRUNC. */
static bool keep_all(struct bh_vu_incoming *message, struct msghdr *header)
{
    bool fits = (header->msg_flags & MSG_CTRUNC) == 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            int fds[BH_VU_FDS_MAX];
            size_t bytes = c->cmsg_len - CMSG_LEN(0);

            /* The control buffer has room for BH_VU_FDS_MAX, so this never cuts. */
            bytes = bytes < sizeof(fds) ? bytes : sizeof(fds);
            memcpy(fds, CMSG_DATA(c), bytes);
            fits = keep(message, fds, bytes / sizeof(int)) && fits;
        }
    }
    return fits;
}

/* One read of at most `length` bytes. Returns their number, or a code. */
static int receive_with(int socket, struct bh_vu_incoming *message, void *to, size_t length,
                        int flags, const char **reason)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * BH_VU_FDS_MAX)];
    } control;
    struct iovec part = {.iov_base = to, .iov_len = length};
    struct msghdr header = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);

    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? BH_AGAIN : BH_GONE;
    }
    if (got == 0) {
        return BH_GONE;
    }
    message->have += (uint32_t)got;
    if (!keep_all(message, &header)) {
        *reason = "too many descriptors";
        return BH_PROTOCOL;
    }
    return (int)got;
}

static int receive_some(int socket, struct bh_vu_incoming *message, void *to, size_t length,
                        const char **reason)
{
    return receive_with(socket, message, to, length, 0, reason);
}

/* The header is there: whether a message can follow. */
static int check_header(const struct bh_vu_header *header, const char **reason)
{
    if ((header->flags & BH_VU_VERSION_MASK) != BH_VU_VERSION) {
        *reason = "version is not 1";
        return BH_PROTOCOL;
    }
    if ((header->flags & ~(BH_VU_VERSION_MASK | BH_VU_NEED_REPLY)) != 0u) {
        *reason = "a request with reply or unknown flags";
        return BH_PROTOCOL;
    }
    if (header->size > sizeof(union bh_vu_payload)) {
        *reason = "payload longer than any request's";
        return BH_PROTOCOL;
    }
    return BH_OK;
}

int bh_vu_wire_receive(int socket, struct bh_vu_incoming *message, const char **reason)
{
    const uint32_t head = sizeof(message->header);
    int got;

    while (message->have < head) {
        got = receive_some(socket, message, (uint8_t *)&message->header + message->have,
                           head - message->have, reason);
        if (got < 0) {
            return got;
        }
        if (message->have == head) {
            got = check_header(&message->header, reason);
            if (got != BH_OK) {
                return got;
            }
        }
    }
    /* Never more than this message: the next one's descriptors come with the next one's bytes. */
    while (message->have < head + message->header.size) {
        got = receive_some(socket, message, (uint8_t *)&message->payload + (message->have - head),
                           head + message->header.size - message->have, reason);
        if (got < 0) {
            return got;
        }
    }
    return BH_OK;
}

/* ---- messages that stay in the socket ---- */

/* The first `length` bytes in the socket, and what descriptors come with them. Returns how many there
 * are, or a code. */
static int look_ahead(int socket, struct bh_vu_incoming *message, void *to, size_t length,
                      const char **reason)
{
    int got = receive_with(socket, message, to, length, MSG_PEEK, reason);

    if (got >= 0 && (size_t)got < length) {
        /* In pieces: nobody in the field sends it so, and then it is received so. */
        bh_vu_wire_clear(message);
    }
    return got;
}

/* Whether a message as it was sent can have descriptors of its own. Where it has none, Linux goes on to
 * the next one in the socket when it peeks, and hands out that one's. */
static bool has_none(const struct bh_vu_incoming *message)
{
    switch (message->header.request) {
    case BH_VU_SET_MEM_TABLE:
    case BH_VU_ADD_MEM_REG:
    case BH_VU_SET_BACKEND_REQ_FD:
    case BH_VU_SET_INFLIGHT_FD:
        return false;
    case BH_VU_SET_VRING_KICK:
    case BH_VU_SET_VRING_CALL:
    case BH_VU_SET_VRING_ERR:
        return (message->payload.u64 & BH_VU_VRING_NO_FD) != 0u;
    default:
        return true;
    }
}

int bh_vu_wire_peek(int socket, struct bh_vu_incoming *message, const char **reason)
{
    uint8_t bytes[sizeof(message->header) + sizeof(message->payload)];
    const uint32_t head = sizeof(message->header);
    struct bh_vu_header header;

    if (message->have != 0u) {
        return bh_vu_wire_receive(socket, message, reason);
    }

    int got = look_ahead(socket, message, bytes, head, reason);

    if (got >= 0 && (uint32_t)got < head) {
        return bh_vu_wire_receive(socket, message, reason);
    }
    bh_vu_wire_clear(message); /* its descriptors come again with the whole */
    if (got < 0) {
        return got;
    }
    memcpy(&header, bytes, head);
    got = check_header(&header, reason);
    if (got != BH_OK) {
        return got;
    }
    got = look_ahead(socket, message, bytes, head + header.size, reason);
    if (got < 0) {
        return got;
    }
    if ((uint32_t)got < head + header.size) {
        return bh_vu_wire_receive(socket, message, reason);
    }
    message->header = header;
    memcpy(&message->payload, bytes + head, header.size);
    while (message->fd_count != 0u && has_none(message)) {
        message->fd_count--;
        bh_vu_close(&message->fds[message->fd_count]);
    }
    message->peeked = message->have;
    return BH_OK;
}

int bh_vu_wire_take_off(int socket, struct bh_vu_incoming *message, const char **reason)
{
    uint8_t bytes[sizeof(message->header) + sizeof(message->payload)] = {0};
    struct bh_vu_incoming again = {.fd_count = 0};
    int result = BH_OK;

    if (message->peeked == 0u) {
        return BH_OK;
    }
    while (result == BH_OK && message->peeked != 0u) {
        int got = receive_some(socket, &again, bytes, message->peeked, reason);

        if (got > 0) {
            message->peeked -= (uint32_t)got;
        } else {
            result = got == BH_AGAIN ? BH_GONE : got;
        }
    }
    if (result == BH_OK && again.fd_count != message->fd_count) {
        *reason = "too few or too many descriptors";
        result = BH_PROTOCOL;
    }
    message->peeked = 0;
    bh_vu_wire_clear(&again);
    return result;
}

/* ---- sending ---- */

int bh_vu_wire_send(int socket, const struct bh_vu_header *header, const void *payload, int fd)
{
    uint8_t bytes[sizeof(*header) + sizeof(union bh_vu_payload)];
    size_t length = sizeof(*header) + header->size;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(bytes, header, sizeof(*header));
    if (header->size != 0u) {
        memcpy(bytes + sizeof(*header), payload, header->size);
    }
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
    }

    ssize_t sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent == (ssize_t)length) {
        return BH_OK;
    }
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? BH_AGAIN : BH_GONE;
}
