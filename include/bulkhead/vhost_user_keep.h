/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a vhost-user session outlives the process that serves it, so that another one takes the
 * connection over without the front end noticing: plain numbers (struct bh_vu_saved) and descriptors,
 * each in a slot. The owner keeps both where the process's death does not reach them.
 */
#ifndef BULKHEAD_VHOST_USER_KEEP_H
#define BULKHEAD_VHOST_USER_KEEP_H

#include <stdint.h>

#include "bulkhead/vhost_user.h"

#define BH_VU_KEEP_QUEUES  64u
#define BH_VU_KEEP_REGIONS 160u
#define BH_VU_KEEP_NONE                                                                            \
    UINT32_MAX /* slots[i]: region i was told and skipped; nothing of it is kept */

/* Slots: a memory region's file; the three descriptors of a ring; the back end's line. */
#define BH_VU_KEEP_REGION(i) (i)
#define BH_VU_KEEP_KICK(q)   (BH_VU_KEEP_REGIONS + 3u * (q))
#define BH_VU_KEEP_CALL(q)   (BH_VU_KEEP_REGIONS + 3u * (q) + 1u)
#define BH_VU_KEEP_ERROR(q)  (BH_VU_KEEP_REGIONS + 3u * (q) + 2u)
#define BH_VU_KEEP_CHANNEL   (BH_VU_KEEP_REGIONS + 3u * BH_VU_KEEP_QUEUES)
#define BH_VU_KEEP_SLOTS     (BH_VU_KEEP_CHANNEL + 1u)

struct bh_vu_saved_ring {
    struct bh_vu_vring_address address;
    uint32_t base; /* where a halted ring stands; of a running one the journal tells more */
    uint16_t size;
    uint8_t addressed;
    uint8_t enabled;
    uint8_t placed; /* base is known */
    uint8_t has_kick;
    uint8_t has_call;
    uint8_t has_error;
    uint8_t running;
    uint8_t broken;
    uint8_t padding[2];
};

struct bh_vu_saved {
    uint64_t protocol; /* features that were agreed on */
    uint64_t features;
    uint8_t features_set;
    uint8_t status; /* of the device (STATUS) */
    uint8_t has_channel;
    uint8_t connected; /* 0: no front end */
    uint32_t region_count;
    struct bh_vu_region regions[BH_VU_KEEP_REGIONS];
    uint32_t slots[BH_VU_KEEP_REGIONS]; /* the slot in which the file of region i is kept */
    struct bh_vu_saved_ring rings[BH_VU_KEEP_QUEUES];
};

#endif
