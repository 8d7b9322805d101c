/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which guests start: who may start now, who waits for whom, and whose turn never
 * comes. It decides and does nothing: no process, no clock, no output.
 *
 * The rules:
 *   after      A guest starts when every guest of its `after` has been ready. Ready once is ready
 *              for good, whatever becomes of it. One of them that ends without having been ready:
 *              the guest's turn never comes.
 *   priority   A guest waits for each guest of higher priority that could start, or has been
 *              started and is neither ready nor over: what the driver must see first has the
 *              processors and the disks of the host for itself. It waits BH_ORDER_PATIENCE_MS from
 *              that guest's start on at most: priority is no dependency, and a guest that hangs must
 *              not keep the rest of the vehicle dark. Guests of one priority start together.
 *   inherited  Whom a guest starts after has that guest's priority if its own is lower: what is
 *              needed first does not wait for what is not.
 * A guest that waits by `after` holds nobody up.
 *
 * Thread: any, one at a time. Ownership: the caller's memory.
 */
#ifndef ENGINE_ORDER_H
#define ENGINE_ORDER_H

#include <stdbool.h>

#include "bulkhead/platform_definition.h"

#define BH_ORDER_PATIENCE_MS 10000u
#define BH_ORDER_NEVER       UINT64_MAX /* no time */

enum bh_order_state {
    BH_ORDER_WAITING, /* it has not been started */
    BH_ORDER_STARTED, /* it was, at `since`, and is not over */
    BH_ORDER_OVER,    /* it stopped or failed, started or not */
};

enum bh_order_verdict {
    BH_ORDER_NOTHING,    /* it does not wait */
    BH_ORDER_START,      /* it may start now */
    BH_ORDER_AFTER,      /* it waits until `other` is ready */
    BH_ORDER_BEHIND,     /* it waits for `other`, of higher priority */
    BH_ORDER_IMPOSSIBLE, /* its turn never comes: `other` ended without having been ready */
};

struct bh_order_guest {
    /* Of the definition. */
    uint64_t after;    /* bit n: guest n */
    uint32_t priority; /* inherited too */
    /* What the caller says. */
    enum bh_order_state state;
    bool ready; /* it is, or has been */
    uint64_t since;
    /* What bh_order_decide says. */
    enum bh_order_verdict verdict;
    uint32_t other;
};

struct bh_order {
    struct bh_order_guest guests[BH_GUESTS_MAX];
    uint32_t count;
};

/* Reads the definition: all guests wait. */
void bh_order_init(struct bh_order *order, const struct bh_platform *platform);

/* Gives every guest its verdict at `now` (milliseconds of any clock, that of `since`). Returns when
 * to ask again though nothing has happened; BH_ORDER_NEVER: need not be. Whoever starts a guest
 * whose verdict is START, or ends one, says so and asks again. */
uint64_t bh_order_decide(struct bh_order *order, uint64_t now);

#endif
