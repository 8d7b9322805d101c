/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may start now (order.h). With 64 guests at most, each verdict looks at all the others.
 */
#include "order.h"

#include <string.h>

/* A guest of `after` is one of the platform's: the checks have seen to it. */
static uint64_t bits_of(const struct bh_platform *platform, const struct bh_guest *guest)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < guest->after.count; i++) {
        const struct bh_guest *other = bh_platform_guest(platform, guest->after.names[i].text);
        if (other != NULL) {
            bits |= UINT64_C(1) << (other - platform->guests);
        }
    }
    return bits;
}

/* One step of inheritance: whether some priority has changed. A way has fewer steps than there are
 * guests. */
static bool inherit(struct bh_order *order)
{
    bool changed = false;
    for (uint32_t i = 0; i < order->count; i++) {
        const struct bh_order_guest *guest = &order->guests[i];
        for (uint64_t left = guest->after; left != 0u; left &= left - 1u) {
            struct bh_order_guest *before = &order->guests[__builtin_ctzll(left)];
            if (before->priority < guest->priority) {
                before->priority = guest->priority;
                changed = true;
            }
        }
    }
    return changed;
}

void bh_order_init(struct bh_order *order, const struct bh_platform *platform)
{
    memset(order, 0, sizeof(*order));
    order->count = platform->guest_count;
    for (uint32_t i = 0; i < order->count; i++) {
        order->guests[i].after = bits_of(platform, &platform->guests[i]);
        order->guests[i].priority = (uint32_t)platform->guests[i].priority.value;
    }
    for (uint32_t step = 0; step < order->count && inherit(order); step++) {
    }
}

/* What `after` says of a guest that waits; START: nothing stands against it. */
static enum bh_order_verdict after_verdict(const struct bh_order *order,
                                           struct bh_order_guest *guest)
{
    enum bh_order_verdict verdict = BH_ORDER_START;
    for (uint64_t left = guest->after; left != 0u; left &= left - 1u) {
        uint32_t index = (uint32_t)__builtin_ctzll(left);
        const struct bh_order_guest *before = &order->guests[index];
        if (before->ready) {
            continue;
        }
        if (before->state == BH_ORDER_OVER) {
            guest->other = index;
            return BH_ORDER_IMPOSSIBLE;
        }
        if (verdict == BH_ORDER_START) {
            guest->other = index;
            verdict = BH_ORDER_AFTER;
        }
    }
    return verdict;
}

/* Until when `other` holds up those of lower priority; 0: it does not. */
static uint64_t holds_until(const struct bh_order_guest *other, uint64_t now)
{
    if (other->state == BH_ORDER_WAITING) {
        /* One that is behind a third one need not: whoever comes after it is behind that, too. */
        return other->verdict == BH_ORDER_START ? BH_ORDER_NEVER : 0u;
    }
    if (other->state == BH_ORDER_OVER || other->ready ||
        now - other->since >= BH_ORDER_PATIENCE_MS) {
        return 0;
    }
    return other->since + BH_ORDER_PATIENCE_MS;
}

/* A guest that could start, among those of higher priority: when to look at it again. */
static uint64_t behind_verdict(const struct bh_order *order, struct bh_order_guest *guest,
                               uint64_t now)
{
    uint64_t again = BH_ORDER_NEVER;
    for (uint32_t i = 0; i < order->count; i++) {
        const struct bh_order_guest *other = &order->guests[i];
        uint64_t until = other->priority > guest->priority ? holds_until(other, now) : 0u;
        if (until == 0u) {
            continue;
        }
        again = until < again ? until : again;
        if (guest->verdict == BH_ORDER_START ||
            other->priority > order->guests[guest->other].priority) {
            guest->verdict = BH_ORDER_BEHIND;
            guest->other = i;
        }
    }
    return again;
}

uint64_t bh_order_decide(struct bh_order *order, uint64_t now)
{
    uint64_t again = BH_ORDER_NEVER;
    for (uint32_t i = 0; i < order->count; i++) {
        struct bh_order_guest *guest = &order->guests[i];
        guest->verdict =
            guest->state == BH_ORDER_WAITING ? after_verdict(order, guest) : BH_ORDER_NOTHING;
    }
    for (uint32_t i = 0; i < order->count; i++) {
        struct bh_order_guest *guest = &order->guests[i];
        if (guest->verdict == BH_ORDER_START) {
            uint64_t at = behind_verdict(order, guest, now);
            again = at < again ? at : again;
        }
    }
    return again;
}
