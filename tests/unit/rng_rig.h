/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entropy device on the bench: the model between a raw guest (ring_guest.h), a source that keeps
 * a book of the bytes it gave, and a port that counts. The source gives 1, 2, … 200, 1, … so a byte
 * that is not its own, or that the guest gets twice, shows.
 */
#ifndef RNG_RIG_H
#define RNG_RIG_H

#include "ring_guest.h"

#include "bulkhead/rng.h"

#define RIG_QUEUE  16u
#define RIG_VALUES 200u
#define RIG_DATA   (GUEST_DATA + 0x1000u)

struct rng_rig {
    struct guest guest;
    struct bh_rng rng;
    struct bh_device device;
    struct bh_queue queue;
    struct bh_order_slot order[RIG_QUEUE];
    uint8_t busy[RIG_QUEUE];
    uint32_t notified;
    uint32_t failures;
    uint32_t idles;
    struct bh_filter_page page; /* the driver may draw, unless the test says otherwise */
    struct bh_filter filter;

    uint32_t there;     /* bytes that the source has now */
    uint32_t most;      /* of them at a time */
    bool lies;          /* it claims to have copied one more than it was asked for */
    uint32_t asked;     /* how often it was asked */
    uint32_t drawn;     /* how often it heard that an allowance is in use */
    uint8_t next;       /* the byte that it gives next */
    uint32_t gave[256]; /* of each value: how many the source gave, and the guest got */
    uint32_t got[256];
};

/* A running device whose source has plenty. */
void rig_init(struct rng_rig *rig, bool packed, uint64_t allowance, uint64_t features);
void rig_finish(struct rng_rig *rig);
/* Starts the queue (again, after a reset). */
void rig_start(struct rng_rig *rig);

/* cmocka setups: no limit, no features. */
int rig_setup_split(void **state);
int rig_setup_packed(void **state);
int rig_teardown(void **state);

#define RIG_BOTH(test)                                                                             \
    {#test " (split)", test, rig_setup_split, rig_teardown, NULL},                                 \
    {                                                                                              \
#test " (packed)", test, rig_setup_packed, rig_teardown, NULL                              \
    }

/* Where buffer `head` lies: room for 1 KiB. */
#define RIG_AT(head) (RIG_DATA + 0x400u * (uint64_t)(head))

/* Offers a writable buffer, filled with 0xee. */
void rig_offer(struct rng_rig *rig, uint16_t head, uint32_t length);
/* A notification and the end of the turn. */
void rig_kick(struct rng_rig *rig);
/* The next used element is `head`, with bytes that the source gave and the guest never had. Returns
 * how many. */
uint32_t rig_take(struct rng_rig *rig, uint16_t head);
/* The same, with `length` bytes, and behind them nothing was written up to `room`. */
void rig_expect(struct rng_rig *rig, uint16_t head, uint32_t length, uint32_t room);
/* The device needs a reset for this reason, and nothing came back. */
void rig_expect_failure(struct rng_rig *rig, const char *reason);

#endif
