/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a parent tells its gate. There is no queue of messages, only what is due: so a gate that does
 * not read costs no memory, and what became old meanwhile is never sent. The order is that of the
 * start: what was kept, connections, what will not come any more, GO; then limits and the ping.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parent.h"

/* Whether it went. Never waits. */
static bool send_one(struct bh_gate_parent *parent, const struct bh_gate_message *message, int fd)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = sizeof(*message)};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        packet.msg_control = &control;
        packet.msg_controllen = sizeof(control.bytes);
        struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    }
    ssize_t done;
    do {
        done = sendmsg(parent->in.fd, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (done < 0 && errno == EINTR);
    return done == (ssize_t)sizeof(*message);
}

static bool tell(struct bh_gate_parent *parent, enum bh_gate_kind kind, uint32_t device,
                 uint64_t number, int fd)
{
    struct bh_gate_message message;
    memset(&message, 0, sizeof(message));
    message.kind = kind;
    message.device = device;
    message.number = number;
    return send_one(parent, &message, fd);
}

static bool send_kept(struct bh_gate_parent *parent)
{
    uint32_t end = parent->setup.device_count * BH_GATE_SLOTS;
    for (; parent->next_kept < end; parent->next_kept++) {
        int fd = parent->kept[parent->next_kept];
        struct bh_gate_message message;
        if (fd < 0) {
            continue;
        }
        memset(&message, 0, sizeof(message));
        message.kind = BH_GATE_KEPT;
        message.device = parent->next_kept / BH_GATE_SLOTS;
        message.slot = parent->next_kept % BH_GATE_SLOTS;
        if (!send_one(parent, &message, fd)) {
            return false;
        }
    }
    return true;
}

static bool send_device(struct bh_gate_parent *parent, uint32_t index)
{
    struct bh_gate_parent_device *device = &parent->devices[index];
    if (device->front_due) {
        if (!tell(parent, BH_GATE_FRONT, index, device->front_number, device->front)) {
            return false;
        }
        device->front_due = false;
    }
    if (device->back >= 0) {
        if (!tell(parent, BH_GATE_BACK, index, device->generation, device->back)) {
            return false;
        }
        device->given = device->generation;
        bh_gate_parent_close(&device->back);
    }
    if (device->no_more_due) {
        if (!tell(parent, BH_GATE_NO_MORE, index, 0, -1)) {
            return false;
        }
        device->no_more_due = false;
    }
    return true;
}

static bool send_limits(struct bh_gate_parent *parent)
{
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        if (parent->devices[i].limits_due) {
            if (!tell(parent, BH_GATE_LIMITS, i, 0, -1)) {
                return false;
            }
            parent->devices[i].limits_due = false;
        }
    }
    return true;
}

static bool send_due(struct bh_gate_parent *parent)
{
    if (!send_kept(parent)) {
        return false;
    }
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        if (!send_device(parent, i)) {
            return false;
        }
    }
    if (parent->go_due) {
        if (!tell(parent, BH_GATE_GO, 0, 0, -1)) {
            return false;
        }
        parent->go_due = false;
    }
    if (!send_limits(parent)) {
        return false;
    }
    if (parent->ping_due) {
        if (!tell(parent, BH_GATE_PING, 0, parent->asked, -1)) {
            return false;
        }
        parent->ping_due = false;
    }
    return true;
}

static void room_ready(struct bh_watch *watch)
{
    bh_gate_parent_send(watch->context);
}

/* The watch for room is there only while something waits: a socket has room most of the time. */
static void wait_for_room(struct bh_gate_parent *parent)
{
    if (parent->room.added) {
        return;
    }
    int fd = fcntl(parent->in.fd, F_DUPFD_CLOEXEC, 0);
    parent->room =
        (struct bh_watch){.fd = fd, .ready = room_ready, .context = parent, .room = true};
    if (fd < 0 || parent->poller->ops->add(parent->poller, &parent->room) != BH_OK) {
        bh_gate_parent_close(&parent->room.fd);
        bh_gate_parent_fail(parent, "no descriptor is left to wait until the gate reads");
    }
}

void bh_gate_parent_send_stop(struct bh_gate_parent *parent)
{
    if (parent->room.added) {
        parent->poller->ops->remove(parent->poller, &parent->room);
    }
    bh_gate_parent_close(&parent->room.fd);
}

void bh_gate_parent_send(struct bh_gate_parent *parent)
{
    if (!parent->running || parent->broken) {
        return;
    }
    if (send_due(parent)) {
        bh_gate_parent_send_stop(parent);
    } else if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS || errno == ENOMEM) {
        wait_for_room(parent);
    } else {
        bh_gate_parent_send_stop(parent); /* it is gone: whoever reaps it says so */
    }
}
