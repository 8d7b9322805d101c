/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In which order guests, their devices and resources are drawn, so that few lines cross. Private to
 * platform/output/.
 */
#ifndef PLATFORM_REPORT_ORDER_H
#define PLATFORM_REPORT_ORDER_H

#include "report.h"

/* What is drawn whole; of a larger platform, guests and what they share (report_overview.c). */
#define BH_DRAWN_GUESTS_MAX 10u
#define BH_DRAWN_LINKS_MAX  60u

struct bh_order {
    uint32_t guests[BH_DRAWN_GUESTS_MAX];
    uint32_t guest_count;
    const struct bh_report_link *rows[BH_DRAWN_LINKS_MAX]; /* by guest, in the order of `guests` */
    uint32_t row_count;
    uint32_t resources[BH_DRAWN_LINKS_MAX]; /* indices in the platform */
    uint32_t resource_count;
};

/* The order for these guests (indices, at most BH_DRAWN_GUESTS_MAX, with at most BH_DRAWN_LINKS_MAX
 * devices) and what they use. Same platform, same order; where nothing is gained, the definition's. */
void bh_order_make(struct bh_order *order, const struct bh_report *report, const uint32_t *guests,
                   uint32_t guest_count);

/* The place of a resource in the order; BH_REPORT_NONE: it is not in it. */
uint32_t bh_order_place(const struct bh_order *order, uint32_t resource);

/* Puts boxes that would like to have their middles at `wanted` (in the order in which they lie) below each
 * other, `gap` apart and none above `top`, as near as they can be. `heights` of each; `tops` is the result. */
void bh_order_spread(const int *wanted, const int *heights, int *tops, uint32_t count, int gap,
                     int top);

#endif
