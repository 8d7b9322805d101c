/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a gate tells its parent: each message is checked as any peer's. What no gate of this build
 * sends (another size or kind, a device that there is not, a slot out of range, descriptors where none
 * belong) means that the gate is broken or taken over: nothing more of it is read, and the owner ends
 * it. What may be old (about a back end that was replaced meanwhile) is passed over. What can be sent
 * as often as a guest likes is passed on in shares.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_log.h"
#include "parent.h"

#define TURN_MESSAGES    64u /* then others have their turn */
#define FDS_MAX          4u  /* more than any message has; what is beyond is closed by the kernel */
#define EVENT_BURST      64u
#define EVENT_PERIOD     250u
#define VIOLATION_BURST  8u
#define VIOLATION_PERIOD 1000u
#define MS_IN_S          1000u
#define NS_IN_MS         1000000u

struct packet {
    struct bh_gate_message message;
    int fds[FDS_MAX];
    uint32_t fd_count;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MS_IN_S + (uint64_t)now.tv_nsec / NS_IN_MS;
}

/* Whether one more may pass. */
static bool passes(struct bh_gate_share *share, uint32_t burst, uint64_t period)
{
    uint64_t now = now_ms();
    uint64_t more = share->filled_ms == 0u ? burst : (now - share->filled_ms) / period;
    if (more != 0u) {
        share->left = more >= burst - share->left ? burst : share->left + (uint32_t)more;
        share->filled_ms = now;
    }
    if (share->left == 0u) {
        return false;
    }
    share->left--;
    return true;
}

void bh_gate_parent_fail(struct bh_gate_parent *parent, const char *why)
{
    if (parent->failed) {
        return;
    }
    parent->failed = true;
    parent->ops->failed(parent->context, why);
}

static void broke(struct bh_gate_parent *parent, const char *why)
{
    parent->broken = true;
    parent->poller->ops->remove(parent->poller, &parent->in);
    bh_gate_parent_fail(parent, why);
}

/* ------------------------------------------------------------------------------------------------
 * what each message does */

/* By number, because the next one may have been sent meanwhile. */
static void front_gone(struct bh_gate_parent *parent, const struct bh_gate_message *message)
{
    struct bh_gate_parent_device *device = &parent->devices[message->device];
    if (device->front < 0 || message->number != device->front_number) {
        return;
    }
    bh_gate_parent_forget_front(parent, message->device);
    if (parent->ops->front_gone != NULL) {
        parent->ops->front_gone(parent->context, message->device);
    }
}

static void keep(struct bh_gate_parent *parent, struct packet *packet)
{
    const struct bh_gate_message *message = &packet->message;
    if (message->slot == BH_GATE_SLOT_CONNECTION) {
        if (packet->fd_count != 0u) {
            broke(parent, "it wants a connection kept that it was not given");
            return;
        }
        front_gone(parent, message);
        return;
    }
    int *slot = bh_gate_parent_slot(parent, message->device, message->slot);
    bh_gate_parent_close(slot);
    if (packet->fd_count == 1u) {
        *slot = packet->fds[0];
        packet->fds[0] = -1;
    }
}

/* Said once for each back end; one that was replaced meanwhile is no news. */
static void want(struct bh_gate_parent *parent, const struct bh_gate_message *message)
{
    struct bh_gate_parent_device *device = &parent->devices[message->device];
    if (message->number > device->given) {
        broke(parent, "it speaks of a back end that it was not given");
    } else if (message->number == device->given && device->wanted != device->given + 1u) {
        device->wanted = device->given + 1u;
        parent->ops->want(parent->context, message->device, device->given, message->reason,
                          message->text);
    }
}

static void greeted(struct bh_gate_parent *parent, const struct bh_gate_message *message)
{
    struct bh_gate_parent_device *device = &parent->devices[message->device];
    if (message->number > device->given || message->number == 0u) {
        broke(parent, "it greets a back end that it was not given");
    } else if (message->number == device->given && device->greeted != device->given) {
        device->greeted = device->given;
        parent->ops->greeted(parent->context, message->device, device->given);
    }
}

static void event(struct bh_gate_parent *parent, const struct bh_gate_message *message)
{
    struct bh_gate_parent_device *device = &parent->devices[message->device];
    if (passes(&device->events, EVENT_BURST, EVENT_PERIOD)) {
        parent->ops->event(parent->context, message);
    } else {
        bh_log_event(BH_LOG_WARNING, "%s: more events than can be told",
                     parent->setup.devices[message->device].name);
    }
}

static void answered(struct bh_gate_parent *parent, const struct bh_gate_message *message)
{
    if (!parent->asking || message->number != parent->asked) {
        broke(parent, "it answers what it was not asked");
        return;
    }
    parent->asking = false;
    parent->missed = 0;
}

/* Of a gate that has ended only what lasts is of use; its back ends end with it. */
static void take(struct bh_gate_parent *parent, struct packet *packet, bool last)
{
    const struct bh_gate_message *message = &packet->message;
    struct bh_gate_parent_device *device = &parent->devices[message->device];
    switch (message->kind) {
    case BH_GATE_KEEP:
        keep(parent, packet);
        break;
    case BH_GATE_EVENT:
        event(parent, message);
        break;
    case BH_GATE_GUEST:
        if (passes(&device->violations, VIOLATION_BURST, VIOLATION_PERIOD)) {
            parent->ops->guest(parent->context, message->device, message->text);
        }
        break;
    case BH_GATE_UP:
        if (passes(&device->events, EVENT_BURST, EVENT_PERIOD)) {
            parent->ops->up(parent->context, message->device);
        }
        break;
    default:
        if (last) {
            break;
        }
        if (message->kind == BH_GATE_WANT) {
            want(parent, message);
        } else if (message->kind == BH_GATE_GREETED) {
            greeted(parent, message);
        } else if (message->kind == BH_GATE_PONG) {
            answered(parent, message);
        } else if (!parent->ready) {
            parent->ready = true;
            parent->ops->ready(parent->context);
        }
        break;
    }
}

/* ------------------------------------------------------------------------------------------------
 * what a message must be */

/* NULL: it may be taken. */
static const char *refusal(const struct bh_gate_parent *parent, const struct packet *packet)
{
    const struct bh_gate_message *message = &packet->message;
    if (message->kind < BH_GATE_KEEP || message->kind > BH_GATE_READY) {
        return "it sent a message of no known kind";
    }
    if (message->device >= parent->setup.device_count) {
        return "it sent a message about a device that it does not guard";
    }
    if (message->reason >= BH_GATE_REASONS) {
        return "it sent a message with no known reason";
    }
    if (message->kind == BH_GATE_KEEP && message->slot >= BH_GATE_SLOTS) {
        return "it wants a descriptor kept where there is no place";
    }
    if (packet->fd_count > (message->kind == BH_GATE_KEEP ? 1u : 0u)) {
        return "it sent descriptors that do not belong to the message";
    }
    return NULL;
}

/* Whatever goes to a log or a terminal: one line of printable characters. */
static void tidy(char *text)
{
    text[BH_GATE_TEXT_MAX - 1u] = '\0';
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~') {
            *text = '?';
        }
    }
}

static void take_fds(struct packet *packet, struct msghdr *header)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && packet->fd_count < FDS_MAX; i++) {
            memcpy(&packet->fds[packet->fd_count], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            packet->fd_count++;
        }
    }
}

/* The length of the next message; 0: the other end is closed; -1: there is none now. */
static ssize_t receive(struct bh_gate_parent *parent, struct packet *packet, bool *cut)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = &packet->message, .iov_len = sizeof(packet->message)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t length;
    memset(packet, 0, sizeof(*packet));
    do {
        /* ECONNRESET is said once, by a peer that ended without reading; what it sent is there. */
        length = recvmsg(parent->in.fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    if (length >= 0) {
        take_fds(packet, &header);
    }
    *cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return length;
}

/* Whether there may be another one. */
static bool read_one(struct bh_gate_parent *parent, bool last)
{
    struct packet packet;
    bool cut = false;
    const char *why = NULL;
    ssize_t length = receive(parent, &packet, &cut);
    if (length <= 0) {
        if (length == 0) {
            /* Its end is closed: it ends, or it will not answer. */
            parent->poller->ops->remove(parent->poller, &parent->in);
        }
        return false;
    }
    if (length != (ssize_t)sizeof(packet.message) || cut) {
        why = "it sent a message of another size";
    } else {
        why = refusal(parent, &packet);
    }
    if (why == NULL) {
        tidy(packet.message.text);
        take(parent, &packet, last);
    } else {
        broke(parent, why);
    }
    for (uint32_t i = 0; i < packet.fd_count; i++) {
        bh_gate_parent_close(&packet.fds[i]);
    }
    return !parent->broken && parent->running;
}

/* A gate that has ended says nothing new: its socket has an end, which is at most what a socket
 * holds. */
void bh_gate_parent_read(struct bh_gate_parent *parent, bool last)
{
    for (uint32_t i = 0; last || i < TURN_MESSAGES; i++) {
        if (!read_one(parent, last)) {
            return;
        }
    }
}
