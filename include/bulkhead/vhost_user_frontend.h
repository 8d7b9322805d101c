/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user front end as a driver's transport: a host program drives any vhost-user back end as
 * a guest would, without a virtual machine. The protocol's logic is here and freestanding; sockets,
 * memory files and event descriptors are the channel's (host/channel.c on Linux).
 *
 * The transport's own calls make up what a guest sees; the functions below are what a front end
 * does besides.
 *
 * Thread: one. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_VHOST_USER_FRONTEND_H
#define BULKHEAD_VHOST_USER_FRONTEND_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/transport.h"
#include "bulkhead/vhost_user.h"

/* A message with its descriptors. */
struct bh_vu_message {
    struct bh_vu_header header;
    union bh_vu_payload payload;
    int32_t fds[BH_VU_FDS_MAX];
    uint32_t fd_count;
};

/* A front end has two lines to its back end: its own requests, and (BACKEND_REQ) the back end's. */
enum bh_vu_line {
    BH_VU_LINE_MAIN,
    BH_VU_LINE_BACKEND,
};

/* What the operating system does for a front end. `context` is bh_vu_frontend.context. Descriptors
 * are small integers that only the channel understands; -1 is none. */
struct bh_vu_channel {
    /* Sends a message whole, waiting no longer than the channel's limit. Its descriptors stay the
     * caller's. BH_TIMEOUT, BH_GONE: the connection is of no use any more. */
    int (*send)(void *context, enum bh_vu_line line, const struct bh_vu_message *message);
    /* Receives a message whole; its descriptors are the caller's. BH_GONE: the other end closed;
     * BH_PROTOCOL: longer than any message, or descriptors got lost.
     * MAIN: waits. BH_TIMEOUT; BH_AGAIN: the back end waits on the other line: serve it, then call
     * again. BACKEND: never waits for the beginning of a message. BH_AGAIN: there is none. */
    int (*receive)(void *context, enum bh_vu_line line, struct bh_vu_message *message);
    /* Makes the second line anew; `fd` is the back end's end of it, the caller's to send and
     * close. */
    int (*backend_open)(void *context, int32_t *fd);
    int (*event_create)(void *context, int32_t *fd); /* an eventfd */
    int (*event_signal)(void *context, int32_t fd);
    int (*event_consume)(void *context, int32_t fd, bool *signalled); /* never waits */
    void (*close)(void *context, int32_t fd);
};

/* A memory region that is shared with the back end. */
struct bh_vu_share {
    uint64_t guest_address;
    uint64_t size;
    uint64_t offset; /* in the file */
    int32_t fd;
};

/* A queue's three events: descriptors that stay the same through stops and resumes, so that a
 * program can wait for `call` (and `error`) with whatever its system has for that. Where they are
 * lent (bh_vu_frontend_events) they are somebody else's, who waits for them and signals them. */
struct bh_vu_frontend_queue {
    struct bh_queue_areas areas;
    int32_t kick;
    int32_t call;
    int32_t error;
    bool started;
    bool lent;
};

#define BH_VU_FRONTEND_QUEUES_MAX 64u

/* The protocol features that a front end can make use of. */
#define BH_VU_FRONTEND_PROTOCOL                                                                    \
    (BH_VU_PROTOCOL_F_MQ | BH_VU_PROTOCOL_F_REPLY_ACK | BH_VU_PROTOCOL_F_BACKEND_REQ |             \
     BH_VU_PROTOCOL_F_CONFIG | BH_VU_PROTOCOL_F_INFLIGHT_SHMFD | BH_VU_PROTOCOL_F_RESET_DEVICE |   \
     BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | BH_VU_PROTOCOL_F_STATUS)

struct bh_vu_frontend {
    struct bh_transport transport; /* first */
    const struct bh_vu_channel *channel;
    void *context;
    const struct bh_vu_share *shares;
    uint32_t share_count;
    uint32_t device_id; /* vhost-user does not tell: the caller knows what it connected to */
    uint16_t queue_size_max;
    uint16_t queue_count;
    uint64_t offered;           /* by the back end, as it said it */
    uint64_t features;          /* what the driver accepted */
    uint64_t protocol_wanted;   /* what the caller asked for */
    uint64_t protocol_features; /* what is agreed */
    uint64_t slots_max;         /* memory slots of the back end */
    uint32_t generation;        /* counts the back end's words that the configuration changed */
    uint8_t status;             /* what the driver wrote */
    bool config_changed;        /* not yet reported by `interrupts` */
    bool failed;                /* an error event came: the driver sees NEEDS_RESET */
    bool broken;                /* the connection is of no use until it is resumed */
    bool shared;                /* the back end has the memory */
    bool backend_line;          /* the second line is open */
    bool strange;               /* the back end asked for something that is no CONFIG_CHANGE */
    uint32_t strange_request;   /* what, for the last time */
    struct bh_vu_inflight inflight;
    int32_t inflight_fd;
    bool inflight_lent; /* the caller's */
    bool inflight_told; /* on this connection */
    struct bh_vu_frontend_queue queues[BH_VU_FRONTEND_QUEUES_MAX];
};

struct bh_vu_frontend_setup {
    const struct bh_vu_channel *channel;
    void *context;
    const struct bh_vu_share *shares; /* stay as long as the front end */
    uint32_t share_count;
    uint32_t device_id;
    uint16_t queue_count; /* for a back end without MQ */
    uint16_t queue_size_max;
    uint64_t
        protocol_features; /* wanted, of BH_VU_FRONTEND_PROTOCOL; what the back end lacks is left
                                   out */
};

/* Speaks the beginning on a connected channel: features, protocol features, queue count, second
 * line, owner. Memory goes with features_set.
 * BH_INVALID: the setup; BH_PROTOCOL, BH_TIMEOUT, BH_GONE: the back end; BH_DENIED: it refused. After
 * an error nothing is held. */
int bh_vu_frontend_init(struct bh_vu_frontend *frontend, const struct bh_vu_frontend_setup *setup);

/* Closes the descriptors that the front end made or received. The channel is the caller's. */
void bh_vu_frontend_finish(struct bh_vu_frontend *frontend);

/* Asks the back end for an in-flight region, or hands it the one that this front end has. The front
 * end does both by itself before the first queue starts, where INFLIGHT_SHMFD is agreed on.
 * BH_UNSUPPORTED: it is not; BH_STATE: there is no region. */
int bh_vu_frontend_inflight_get(struct bh_vu_frontend *frontend, uint16_t queue_size);
int bh_vu_frontend_inflight_set(struct bh_vu_frontend *frontend);

/* Hands in a region of the caller's own making instead, for this and all later back ends; `fd` stays the
 * caller's, and open. Whoever resets the device clears it. `region->mmap_size`: as bh_vu_journal_bytes
 * (vhost_user_backend.h) has it for queue_count queues of queue_size, or more. fd -1: none any more.
 * Before the first queue starts. */
void bh_vu_frontend_inflight_lend(struct bh_vu_frontend *frontend,
                                  const struct bh_vu_inflight *region, int32_t fd);

/* Where a ring stands whose back end died, as SET_VRING_BASE has it. Split: `used` is its used ring.
 * What is in flight is then the in-flight region's to tell. */
uint32_t bh_vu_base_split(const void *used);
/* Packed: `part` is the queue's part of the in-flight region (64-byte aligned), which a back end wrote.
 * BH_PROTOCOL: it says nothing of the kind. */
int bh_vu_base_packed(const void *part, uint16_t ring_size, uint32_t *base);

/* Uses these events for a queue from now on, instead of the front end's own: they pass straight between
 * the back end and whoever made them. They stay the caller's, and open, until others are lent. A queue
 * that runs is told (kick, call, error: each that is not what it was). -1: none (not the kick).
 * BH_INVALID: no such queue, or no kick. */
int bh_vu_frontend_events(struct bh_vu_frontend *frontend, uint16_t index, int32_t kick,
                          int32_t call, int32_t error);

/* Stops a queue and tells where it stands (GET_VRING_BASE). Returns when the back end has finished
 * what was in flight. BH_INVALID: no such queue; BH_STATE: it does not run. */
int bh_vu_frontend_queue_stop(struct bh_vu_frontend *frontend, uint16_t index, uint32_t *base);

/* Starts a queue that was stopped, where it stood. */
int bh_vu_frontend_queue_go(struct bh_vu_frontend *frontend, uint16_t index, uint32_t base);

/* After the back end died and the channel is connected to its successor: says everything again
 * (features, memory, in-flight region, queues from these bases), kicks every queue, and wakes the
 * driver above, which goes on without noticing. bases: one for each queue, e.g. from
 * bh_driver_queue_base. BH_UNSUPPORTED: the successor lacks a feature that was agreed on, or
 * queues. */
int bh_vu_frontend_resume(struct bh_vu_frontend *frontend, const uint32_t *bases);

/* Sends any request, and waits: for its reply if it has one (`message` is replaced; its descriptors
 * are the caller's), else for the acknowledgement where REPLY_ACK is agreed. BH_DENIED: the back end
 * refused. After any other error the connection is broken: every later request is BH_GONE. */
int bh_vu_frontend_request(struct bh_vu_frontend *frontend, struct bh_vu_message *message,
                           bool has_reply);

#endif
