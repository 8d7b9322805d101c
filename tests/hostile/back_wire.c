/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user messages of the hostile back end, answered as they should be. */
#include "back.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- transport ---- */

static void take_fds(struct msghdr *header, struct message *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control != NULL;
         control = CMSG_NXTHDR(header, control)) {
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS) {
            size_t bytes = control->cmsg_len - CMSG_LEN(0);
            size_t room = (BH_VU_FDS_MAX - message->fd_count) * sizeof(int);
            bytes = bytes < room ? bytes : room;
            memcpy(&message->fds[message->fd_count], CMSG_DATA(control), bytes);
            message->fd_count += (uint32_t)(bytes / sizeof(int));
        }
    }
}

static bool receive(int fd, void *to, size_t length, struct message *message)
{
    size_t done = 0;
    while (done < length) {
        union {
            struct cmsghdr header;
            char bytes[CMSG_SPACE(sizeof(int) * BH_VU_FDS_MAX)];
        } control;
        struct iovec vector = {(uint8_t *)to + done, length - done};
        struct msghdr header = {.msg_iov = &vector,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof(control.bytes)};
        ssize_t received = recvmsg(fd, &header, 0);
        if (received < 0 && errno == EINTR) {
            continue;
        }
        if (received <= 0) {
            return false;
        }
        take_fds(&header, message);
        done += (size_t)received;
    }
    return true;
}

bool wire_receive(struct back *back, struct message *message)
{
    memset(message, 0, sizeof(*message));
    return receive(back->connection, &message->header, sizeof(message->header), message) &&
           message->header.size <= sizeof(message->payload) &&
           receive(back->connection, &message->payload, message->header.size, message);
}

void wire_send(int fd, const void *bytes, size_t length, const int *fds, uint32_t count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * 64)];
    } control;
    union {
        const void *given;
        void *taken;
    } what = {bytes};
    struct iovec vector = {what.taken, length};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count != 0u) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *attached = CMSG_FIRSTHDR(&header);
        attached->cmsg_level = SOL_SOCKET;
        attached->cmsg_type = SCM_RIGHTS;
        attached->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(attached), fds, sizeof(int) * count);
    }
    (void)sendmsg(fd, &header, MSG_NOSIGNAL);
}

void wire_reply(struct back *back, const struct message *message)
{
    wire_send(back->connection, &message->header, sizeof(message->header) + message->header.size,
              message->fds, message->fd_count);
}

void wire_drop_fds(struct message *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++) {
        (void)close(message->fds[i]);
    }
    message->fd_count = 0;
}

/* ---- answers ---- */

static bool reply_u64(struct message *reply, uint64_t value)
{
    reply->header.size = sizeof(value);
    reply->payload.u64 = value;
    return true;
}

/* The one descriptor of a message, or -1. */
static int take_fd(struct message *message)
{
    int fd = message->fd_count != 0u ? message->fds[0] : -1;
    if (fd >= 0) {
        message->fds[0] = message->fds[message->fd_count - 1u];
        message->fd_count--;
    }
    return fd;
}

static void set_table(struct back *back, struct message *message)
{
    memory_clear(back);
    for (uint32_t i = 0; i < message->payload.table.count && i < message->fd_count; i++) {
        memory_add(back, &message->payload.table.regions[i], message->fds[i]);
    }
    message->fd_count = 0;
    for (uint16_t i = 0; i < QUEUES_MAX; i++) {
        if (back->rings[i].running) {
            ring_start(back, &back->rings[i]);
        }
    }
}

static void exchange(int *to, int fd)
{
    if (*to >= 0) {
        (void)close(*to);
    }
    *to = fd;
}

static void set_event(struct back *back, struct message *message)
{
    struct ring *ring = &back->rings[message->payload.u64 % QUEUES_MAX];
    int fd = take_fd(message);
    if (message->header.request == BH_VU_SET_VRING_CALL) {
        exchange(&ring->call, fd);
    } else if (message->header.request == BH_VU_SET_VRING_ERR) {
        exchange(&ring->error, fd);
    } else {
        exchange(&ring->kick, fd);
        ring_start(back, ring);
        if (back->armed && back->attack->running != NULL) {
            back->attack->running(back);
        }
    }
}

static void set_ring(struct back *back, const struct message *message)
{
    const struct bh_vu_vring_state *state = &message->payload.state;
    struct ring *ring = &back->rings[state->index % QUEUES_MAX];
    switch (message->header.request) {
    case BH_VU_SET_VRING_NUM:
        ring->size = (uint16_t)state->number;
        break;
    case BH_VU_SET_VRING_BASE:
        ring_set_base(back, ring, state->number);
        break;
    default: /* SET_VRING_ADDR */
        ring->addresses = message->payload.address;
        break;
    }
}

static bool get_base(struct back *back, const struct message *message, struct message *reply)
{
    struct ring *ring = &back->rings[message->payload.state.index % QUEUES_MAX];
    ring_work(back, ring);
    ring->running = false;
    reply->header.size = sizeof(reply->payload.state);
    reply->payload.state.index = message->payload.state.index;
    reply->payload.state.number = ring_base(back, ring);
    return true;
}

static bool get_config(struct back *back, const struct message *message, struct message *reply)
{
    reply->header.size = message->header.size;
    reply->payload.config = message->payload.config;
    memset(reply->payload.config.data, 0, sizeof(reply->payload.config.data));
    memcpy(reply->payload.config.data, back->config, back->config_size);
    return true;
}

/* What changes something. */
static void set(struct back *back, struct message *message)
{
    switch (message->header.request) {
    case BH_VU_SET_FEATURES:
        back->features = message->payload.u64;
        break;
    case BH_VU_SET_PROTOCOL_FEATURES:
        back->protocol_features = message->payload.u64;
        break;
    case BH_VU_SET_MEM_TABLE:
        set_table(back, message);
        break;
    case BH_VU_ADD_MEM_REG:
        memory_add(back, &message->payload.region.region, take_fd(message));
        break;
    case BH_VU_REM_MEM_REG:
        memory_remove(back, &message->payload.region.region);
        break;
    case BH_VU_SET_VRING_NUM:
    case BH_VU_SET_VRING_BASE:
    case BH_VU_SET_VRING_ADDR:
        set_ring(back, message);
        break;
    case BH_VU_SET_VRING_KICK:
    case BH_VU_SET_VRING_CALL:
    case BH_VU_SET_VRING_ERR:
        set_event(back, message);
        break;
    case BH_VU_SET_BACKEND_REQ_FD:
        exchange(&back->line, take_fd(message));
        break;
    case BH_VU_SET_STATUS:
        back->status = (uint8_t)message->payload.u64;
        break;
    default: /* SET_OWNER, SET_VRING_ENABLE, SET_CONFIG, ...: nothing to do */
        break;
    }
}

bool wire_answer(struct back *back, struct message *message, struct message *reply)
{
    const bool wanted = (message->header.flags & BH_VU_NEED_REPLY) != 0u;
    memset(reply, 0, sizeof(*reply));
    reply->header.request = message->header.request;
    reply->header.flags = BH_VU_VERSION | BH_VU_REPLY;
    switch (message->header.request) {
    case BH_VU_GET_FEATURES:
        return reply_u64(reply, back->offered);
    case BH_VU_GET_PROTOCOL_FEATURES:
        return reply_u64(reply, back->protocol_offered);
    case BH_VU_GET_QUEUE_NUM:
        return reply_u64(reply, back->queue_count);
    case BH_VU_GET_MAX_MEM_SLOTS:
        return reply_u64(reply, REGIONS_MAX);
    case BH_VU_GET_STATUS:
        return reply_u64(reply, back->status);
    case BH_VU_GET_VRING_BASE:
        return get_base(back, message, reply);
    case BH_VU_GET_CONFIG:
        return get_config(back, message, reply);
    default:
        set(back, message);
        return wanted && (back->protocol_features & BH_VU_PROTOCOL_F_REPLY_ACK) != 0u &&
               reply_u64(reply, 0);
    }
}
