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

/* What the operating system does for a front end. `context` is bh_vu_frontend.context. Descriptors
 * are small integers that only the channel understands; -1 is none. */
struct bh_vu_channel {
    int (*send)(void *context,
                const struct bh_vu_message *message); /* descriptors stay the caller's */
    int (*receive)(void *context,
                   struct bh_vu_message *message); /* waits, bounded; BH_TIMEOUT, BH_GONE; received
                                                      descriptors are the caller's */
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

struct bh_vu_frontend_queue {
    int32_t kick;
    int32_t call;
    int32_t error;
    uint16_t size;
    bool started;
};

#define BH_VU_FRONTEND_QUEUES_MAX 64u

struct bh_vu_frontend {
    struct bh_transport transport; /* first */
    const struct bh_vu_channel *channel;
    void *context;
    const struct bh_vu_share *shares;
    uint32_t share_count;
    uint32_t device_id; /* vhost-user does not tell: the caller knows what it connected to */
    uint16_t queue_size_max;
    uint16_t queue_count;
    uint64_t offered;
    uint64_t features;
    uint64_t protocol_features;
    uint8_t status;
    bool config_changed;
    bool packed;
    struct bh_vu_inflight inflight;
    int32_t inflight_fd;
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
    uint64_t protocol_features; /* wanted; what the back end lacks is left out */
};

/* Connects: owner, features, protocol features, queue count. The memory table is sent with
 * features_set. */
int bh_vu_frontend_init(struct bh_vu_frontend *frontend, const struct bh_vu_frontend_setup *setup);

/* Asks the back end for an in-flight region (INFLIGHT_SHMFD), or hands it one that an earlier back
 * end used. After features_set, before a queue starts. */
int bh_vu_frontend_inflight_get(struct bh_vu_frontend *frontend, uint16_t queue_size);
int bh_vu_frontend_inflight_set(struct bh_vu_frontend *frontend);

/* Stops a queue and tells where it stands (GET_VRING_BASE). */
int bh_vu_frontend_queue_stop(struct bh_vu_frontend *frontend, uint16_t index, uint32_t *base);

/* After the back end died and a new channel is connected: says everything again (owner, features,
 * memory, in-flight region, queues with these bases), so that the driver above goes on without
 * noticing. bases: one for each queue. */
int bh_vu_frontend_resume(struct bh_vu_frontend *frontend, const uint32_t *bases);

/* Sends any request and waits for its acknowledgement (REPLY_ACK) if there is one; `message` is
 * replaced by the reply where the request has one. For tests of the protocol itself. */
int bh_vu_frontend_request(struct bh_vu_frontend *frontend, struct bh_vu_message *message,
                           bool has_reply);

#endif
