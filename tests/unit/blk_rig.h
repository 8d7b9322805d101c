/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device on the bench: the model between a raw guest (ring_guest.h), a disk in memory
 * (fake_disk.h), and a port that counts. Requests are laid out by hand, so that they can be right
 * or wrong in any way.
 */
#ifndef BLK_RIG_H
#define BLK_RIG_H

#include "ring_guest.h"

#include "bulkhead/blk.h"
#include "fake_disk.h"

#define RIG_SECTORS  64u
#define RIG_REQUESTS 4u
#define RIG_QUEUE    16u /* ring size */
#define RIG_SEG_MAX  6u

/* Where a request's parts lie in the guest, unless the test wants otherwise. */
#define RIG_HEADER(n) (GUEST_DATA + 0x40u * (uint64_t)(n))
#define RIG_STATUS(n) (GUEST_DATA + 0x800u + (uint64_t)(n))
#define RIG_DATA      (GUEST_DATA + 0x1000u)

/* The class features that the rig's disk can do. */
#define RIG_FEATURES                                                                               \
    (BH_BLK_F_SEG_MAX | BH_BLK_F_BLK_SIZE | BH_BLK_F_FLUSH | BH_BLK_F_TOPOLOGY |                   \
     BH_BLK_F_CONFIG_WCE | BH_BLK_F_DISCARD | BH_BLK_F_WRITE_ZEROES | BH_BLK_F_LIFETIME |          \
     BH_BLK_F_SECURE_ERASE)

struct blk_rig {
    struct guest guest; /* queue 0's ring, and all memory */
    struct guest other; /* queue 1's ring, in the same memory */
    struct fake_disk disk;
    struct bh_blk_geometry geometry;
    struct bh_blk blk;
    struct bh_blk_request requests[RIG_REQUESTS];
    struct bh_device device;
    struct bh_queue queues[2];
    struct bh_order_slot order[2][RIG_QUEUE];
    uint8_t busy[2][RIG_QUEUE];
    uint32_t notified[2];
    uint32_t config_changes;
    uint32_t failures;
    uint32_t idles;
    struct bh_filter_page page; /* everything is allowed, unless the test says otherwise */
    struct bh_filter filter;
    uint32_t refused; /* how often the model said so */
    uint32_t refused_last;
};

/* The geometry that rig_init takes: RIG_SECTORS, everything on. */
struct bh_blk_geometry rig_geometry(void);

/* A running device with `queue_count` (1 or 2) queues; `features`: class features to negotiate. */
void rig_init(struct blk_rig *rig, bool packed, const struct bh_blk_geometry *geometry,
              uint16_t queue_count, uint64_t features);
void rig_finish(struct blk_rig *rig);

/* Makes the model anew. `withheld`: as in bh_blk_setup. */
void rig_init_model(struct blk_rig *rig, uint32_t withheld);

/* Starts queue 0 (and 1) again after a reset, with other features. */
void rig_negotiate(struct blk_rig *rig, uint64_t features);

/* cmocka setups: one queue, RIG_FEATURES. */
int rig_setup_split(void **state);
int rig_setup_packed(void **state);
int rig_teardown(void **state);

#define RIG_BOTH(test)                                                                             \
    {#test " (split)", test, rig_setup_split, rig_teardown, NULL},                                 \
    {                                                                                              \
#test " (packed)", test, rig_setup_packed, rig_teardown, NULL                              \
    }

/* Writes a header at RIG_HEADER(head), a status of 0xee at RIG_STATUS(head), and offers the usual
 * layout: header, data (`flags` R or W; length 0: none), status. */
void rig_offer(struct blk_rig *rig, uint16_t head, uint32_t type, uint64_t sector, uint64_t data,
               uint32_t length, uint16_t flags);
void rig_header(struct blk_rig *rig, uint16_t head, uint32_t type, uint64_t sector);

/* Writes a segment of a discard or its kin. */
void rig_segment(struct blk_rig *rig, uint64_t at, uint64_t sector, uint32_t count, uint32_t flags);

/* A notification and the end of the turn. */
void rig_kick(struct blk_rig *rig);

/* The next used element is `head` with `length`, and its status is this. */
void rig_expect(struct blk_rig *rig, uint16_t head, uint8_t status, uint32_t length);

/* One request from offer to answer. */
void rig_request(struct blk_rig *rig, uint32_t type, uint64_t sector, uint64_t data,
                 uint32_t length, uint16_t flags, uint8_t status, uint32_t written);

#endif
