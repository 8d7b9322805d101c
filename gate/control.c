/* SPDX-License-Identifier: BSD-2-Clause */
/* The gate's end of the control socket: whole messages, at most one descriptor with each. */
#include "control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/host_error.h"

/* Room for two: a second one is then seen and closed, instead of lost. */
union ancillary {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(2u * sizeof(int))];
};

void bh_control_init(struct bh_control *control, int fd)
{
    control->fd = fd;
    control->left_out = 0;
    (void)pthread_mutex_init(&control->lock, NULL); /* with default attributes it cannot fail */
}

/* Takes over the descriptors of a message. BH_PROTOCOL: more than one; all are closed then. */
static int take(struct msghdr *header, int *fd)
{
    int result = (header->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 ? BH_PROTOCOL : BH_OK;
    *fd = -1;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int got;
            memcpy(&got, CMSG_DATA(part) + i * sizeof(int), sizeof(got));
            if (*fd < 0 && result == BH_OK) {
                *fd = got;
            } else {
                (void)close(got);
                result = BH_PROTOCOL;
            }
        }
    }
    if (result != BH_OK && *fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
    return result;
}

int bh_control_receive(struct bh_control *control, struct bh_gate_message *message, int *fd)
{
    union ancillary ancillary;
    struct iovec vector = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = ancillary.bytes,
                            .msg_controllen = sizeof(ancillary.bytes)};
    ssize_t length;
    do {
        length = recvmsg(control->fd, &header, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    *fd = -1;
    if (length < 0) {
        return bh_error_from_errno(errno);
    }
    if (length == 0) {
        return BH_GONE;
    }
    const int result = take(&header, fd);
    if (result != BH_OK) {
        return result;
    }
    if ((size_t)length != sizeof(*message)) {
        if (*fd >= 0) {
            (void)close(*fd);
            *fd = -1;
        }
        return BH_PROTOCOL;
    }
    message->text[BH_GATE_TEXT_MAX - 1u] = '\0';
    return BH_OK;
}

static int send_one(struct bh_control *control, const struct bh_gate_message *message, int fd,
                    int flags)
{
    struct bh_gate_message copy = *message;
    union ancillary ancillary;
    struct iovec vector = {.iov_base = &copy, .iov_len = sizeof(copy)};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&ancillary, 0, sizeof(ancillary));
        header.msg_control = ancillary.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(part), &fd, sizeof(fd));
    }
    ssize_t sent;
    do {
        sent = sendmsg(control->fd, &header, MSG_NOSIGNAL | flags);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? bh_error_from_errno(errno) : BH_OK;
}

int bh_control_send(struct bh_control *control, const struct bh_gate_message *message, int fd)
{
    (void)pthread_mutex_lock(&control->lock);
    const int result = send_one(control, message, fd, 0);
    (void)pthread_mutex_unlock(&control->lock);
    return result;
}

/* Texts may quote what an untrusted side said. */
static void copy_text(char *to, const char *text)
{
    size_t length = 0;
    while (length < BH_GATE_TEXT_MAX - 1u && text[length] != '\0') {
        const char byte = text[length];
        to[length] = (char)(byte >= ' ' && byte < 127 ? byte : '?');
        length++;
    }
    to[length] = '\0';
}

void bh_control_say(struct bh_control *control, enum bh_gate_kind kind, uint32_t device,
                    enum bh_gate_reason reason, uint64_t number, const char *text)
{
    struct bh_gate_message message = {
        .kind = kind, .device = device, .reason = reason, .number = number};
    if (text != NULL) {
        copy_text(message.text, text);
    }
    (void)pthread_mutex_lock(&control->lock);
    const int result = send_one(control, &message, -1, kind == BH_GATE_EVENT ? MSG_DONTWAIT : 0);
    if (result != BH_OK) {
        control->left_out++;
    }
    (void)pthread_mutex_unlock(&control->lock);
}
