/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests from taken to given back: slots, their order by age, limits, what the back end says to be
 * done. The states of a slot stand in relay_internal.h.
 *
 * Back-pressure: where the back end's ring or the arena is full, requests wait in slots; while one
 * waits, nothing more of its queue is popped. Whatever gives room (a completion on any queue) goes on
 * with those that wait, and with the guest's rings that were left alone meanwhile (`stuck`).
 */
#include "relay_internal.h"

/* ---- slots ---- */

struct bh_relay_slot *bh_relay_slot_take(struct bh_relay *relay, struct bh_relay_side *side)
{
    struct bh_relay_slot *slot = side->free;
    if (slot != NULL) {
        side->free = slot->newer;
        return slot;
    }
    if (side->slots_touched == relay->slot_count) {
        return NULL;
    }
    /* Memory of slots that are never used is never touched. */
    slot = &side->slots[side->slots_touched];
    side->slots_touched++;
    return slot;
}

void bh_relay_slot_free(struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    slot->newer = side->free;
    side->free = slot;
}

void bh_relay_slot_hold(struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    slot->newer = NULL;
    slot->older = side->newest;
    if (side->newest != NULL) {
        side->newest->newer = slot;
    } else {
        side->oldest = slot;
    }
    side->newest = slot;
    slot->given = false;
    slot->shown = false;
    slot->squeezed = false;
    slot->own = false;
    slot->small.base = NULL;
    slot->data.base = NULL;
}

void bh_relay_slot_drop(struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    if (slot->older != NULL) {
        slot->older->newer = slot->newer;
    } else {
        side->oldest = slot->newer;
    }
    if (slot->newer != NULL) {
        slot->newer->older = slot->older;
    } else {
        side->newest = slot->older;
    }
    if (side->waiting == slot) {
        side->waiting = slot->newer;
    }
    if (slot->given) {
        side->given--;
    }
    bh_relay_slot_free(side, slot);
}

void bh_relay_back(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                   uint32_t written)
{
    bh_relay_let_go(relay, side, slot);
    bh_device_push(&relay->device, &relay->queues[side->index], &slot->chain, written);
    bh_relay_slot_drop(side, slot);
    relay->held--;
}

void bh_relay_turn_down(struct bh_relay *relay, struct bh_relay_side *side,
                        struct bh_relay_slot *slot)
{
    const struct bh_gate_class *class = relay->setup.class;
    int64_t written = BH_UNSUPPORTED;
    if (class->refuse != NULL) {
        written = class->refuse(&slot->chain, side->index);
    }
    if (written < 0) {
        written = 0;
    }
    bh_relay_count(&relay->setup.counters->refused, 1);
    bh_relay_back(relay, side, slot, (uint32_t)written);
}

/* ---- to the back end ---- */

/* A request that no arena of this size will ever hold. */
static void never_fits(struct bh_relay *relay, struct bh_relay_side *side,
                       struct bh_relay_slot *slot)
{
    if (relay->setup.class->refuse == NULL) {
        bh_device_fail(&relay->device, &relay->queues[side->index], &slot->chain, BH_LIMIT,
                       "request is larger than the gate's arena");
    }
    bh_relay_turn_down(relay, side, slot);
}

/* Copies and adds. BH_OK, BH_AGAIN, BH_LIMIT: never; BH_INVALID: there is nothing in it. */
static int add(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    uint16_t readable = 0;
    uint16_t writable = 0;
    if (side->ring.free_count == 0u) {
        return BH_AGAIN;
    }
    int result = bh_relay_prepare(relay, side, slot, &readable, &writable);
    if (result == BH_AGAIN && !side->starved) {
        side->starved = true;
        bh_relay_count(&relay->setup.counters->starved, 1);
    }
    if (result != BH_OK) {
        return result;
    }
    result = bh_driver_queue_add(&side->ring, relay->elements, readable, writable, slot);
    if (result != BH_OK) {
        bh_relay_let_go(relay, side, slot);
    }
    return result;
}

static void given(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    if (side->given == 0u) {
        side->progress_us = relay->now_us; /* it owes something from now on */
    }
    side->given++;
    side->starved = false;
    slot->given = true;
    slot->shown = true;
    relay->unpublished |= bh_relay_bit(side);
}

/* Whether a request that waits should not reach this back end. */
static bool ends_here(struct bh_relay *relay, struct bh_relay_side *side,
                      struct bh_relay_slot *slot, bool again)
{
    const struct bh_gate_class *class = relay->setup.class;
    if (side->waits && relay->queues[side->index].state != BH_QUEUE_RUNNING) {
        bh_relay_back(relay, side, slot, 0);
        return true;
    }
    if (again && class->repeats != NULL && !class->repeats(&slot->chain, side->index)) {
        bh_relay_turn_down(relay, side, slot);
        return true;
    }
    return false;
}

/* Shows a request to the back end, or ends it. False: it waits. */
static bool show(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    const struct bh_gate_class *class = relay->setup.class;
    bool again = slot->shown || slot->chain.resumed;
    if (ends_here(relay, side, slot, again)) {
        return true;
    }
    if (!slot->shown && class->request != NULL) {
        class->request(relay->setup.class_state, &slot->chain, side->index);
    }
    int result = add(relay, side, slot);
    if (result == BH_LIMIT && !slot->squeezed) {
        slot->squeezed = true;
        result = add(relay, side, slot);
    }
    switch (result) {
    case BH_OK:
        given(relay, side, slot);
        if (again) {
            bh_relay_count(&relay->setup.counters->repeated, 1);
        }
        return true;
    case BH_INVALID: /* a chain without a byte */
        bh_relay_back(relay, side, slot, 0);
        return true;
    case BH_LIMIT:
        never_fits(relay, side, slot);
        return true;
    default: /* no room; or the back end lied, and the next one gets it */
        return false;
    }
}

void bh_relay_show_waiting(struct bh_relay *relay, struct bh_relay_side *side)
{
    if (!side->running || (side->restoring && !bh_relay_restore(relay, side))) {
        return;
    }
    struct bh_relay_slot *slot = side->waiting;
    while (slot != NULL) {
        struct bh_relay_slot *newer = slot->newer;
        if (!slot->given && !show(relay, side, slot)) {
            side->waiting = slot;
            return;
        }
        slot = newer;
    }
    side->waiting = NULL;
}

/* ---- from the guest ---- */

void bh_relay_ask(struct bh_relay *relay, uint64_t microseconds)
{
    uint64_t at = relay->now_us + microseconds;
    if (relay->wake_at_us == 0u || at < relay->wake_at_us) {
        relay->wake_at_us = at != 0u ? at : 1u;
        relay->setup.ops->wake(relay->setup.context, microseconds);
    }
}

/* Whether a limit lets one more request pass. */
static bool may_pass(struct bh_relay *relay, struct bh_relay_side *side)
{
    uint64_t wait = bh_limiter_wait(&relay->limiter);
    if (wait == 0u) {
        side->limited = false;
        return true;
    }
    if (!side->limited) {
        side->limited = true;
        bh_relay_count(&relay->setup.counters->limited, 1);
    }
    bh_relay_ask(relay, wait);
    return false;
}

/* A request was popped: into the list, and to the back end, or it waits. */
static void take(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    bh_relay_slot_hold(side, slot);
    slot->taken_us = relay->now_us;
    relay->held++;
    if (relay->refusing) {
        bh_relay_turn_down(relay, side, slot);
        return;
    }
    if (!side->waits) {
        bh_limiter_charge(&relay->limiter, 1,
                          (uint64_t)slot->chain.readable_bytes + slot->chain.writable_bytes);
    }
    if (side->waiting == NULL) {
        side->waiting = slot;
        bh_relay_show_waiting(relay, side);
    }
}

static enum bh_served leave(struct bh_relay *relay, const struct bh_relay_side *side)
{
    relay->stuck |= bh_relay_bit(side);
    return BH_SERVED_ENOUGH;
}

enum bh_served bh_relay_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_relay *relay = device->class_data;
    struct bh_relay_side *side = &relay->sides[queue->index];
    if (relay->refusing && side->waits) {
        return BH_SERVED_ENOUGH; /* nothing will ever come: the buffers stay the guest's */
    }
    relay->now_us = relay->setup.ops->now_us(relay->setup.context);
    bh_limiter_fill(&relay->limiter, relay->setup.limits, relay->now_us);
    for (uint32_t left = queue->size; left > 0u; left--) {
        if ((side->running && (side->waiting != NULL || side->restoring)) ||
            (!relay->refusing && !may_pass(relay, side))) {
            return leave(relay, side);
        }
        struct bh_relay_slot *slot = bh_relay_slot_take(relay, side);
        if (slot == NULL) {
            return leave(relay, side);
        }
        int got = bh_queue_pop(queue, &slot->chain);
        if (got != 1) {
            bh_relay_slot_free(side, slot);
            /* Out of spans: what is in flight holds them. */
            return got == BH_AGAIN ? leave(relay, side) : BH_SERVED;
        }
        take(relay, side, slot);
    }
    return BH_SERVED_MORE;
}

/* ---- from the back end ---- */

static void count_done(struct bh_relay *relay, const struct bh_relay_slot *slot, uint32_t written)
{
    struct bh_gate_counters *counters = relay->setup.counters;
    uint64_t taken = relay->now_us > slot->taken_us ? relay->now_us - slot->taken_us : UINT64_C(0);
    uint32_t bucket = taken == 0u ? 0u : (uint32_t)(64 - __builtin_clzll(taken));
    if (bucket >= BH_GATE_LATENCY_BUCKETS) {
        bucket = BH_GATE_LATENCY_BUCKETS - 1u;
    }
    bh_relay_count(&counters->requests, 1);
    bh_relay_count(&counters->bytes_read, written);
    bh_relay_count(&counters->bytes_written, slot->chain.readable_bytes);
    bh_relay_count(&counters->latency[bucket], 1);
    bh_relay_count(&counters->latency_us, taken);
}

static void offer_again(struct bh_relay *relay, struct bh_relay_side *side,
                        struct bh_relay_slot *slot)
{
    bh_relay_let_go(relay, side, slot);
    slot->given = false;
    slot->shown = false;
    slot->chain.resumed = false;
    side->given--;
    side->waiting = side->oldest;
}

static void done(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                 uint32_t written)
{
    const struct bh_gate_class *class = relay->setup.class;
    if (slot->own) {
        bh_relay_let_go(relay, side, slot);
        bh_relay_slot_drop(side, slot);
        side->own--;
        return;
    }
    bh_relay_copy_out(relay, slot, written);
    if (class->answer != NULL &&
        !class->answer(relay->setup.class_state, &slot->chain, side->index, written)) {
        offer_again(relay, side, slot);
        return;
    }
    if (side->waits) {
        bh_limiter_charge(&relay->limiter, 1, written);
    }
    count_done(relay, slot, written);
    bh_relay_back(relay, side, slot, written);
}

static void accuse(struct bh_relay *relay, const struct bh_relay_side *side)
{
    const char *fault = side->ring.fault;
    if (!relay->looking) {
        relay->setup.ops->lied(relay->setup.context, side->index,
                               fault != NULL ? fault : "its ring makes no sense");
    }
}

uint32_t bh_relay_collect(struct bh_relay *relay, struct bh_relay_side *side)
{
    uint32_t count = 0;
    if (!side->running || side->ring.faulty) {
        return 0;
    }
    for (uint32_t left = side->ring.size; left > 0u; left--) {
        void *token = NULL;
        uint32_t written = 0;
        int got = bh_driver_queue_collect(&side->ring, &token, &written);
        if (got == 0 && !bh_driver_queue_notify_enable(&side->ring, true)) {
            break;
        }
        if (got < 0) {
            accuse(relay, side);
            return count;
        }
        if (got == 1) {
            done(relay, side, token, written);
            count++;
        }
        if (left == 1u) {
            relay->look_again |= bh_relay_bit(side);
        }
    }
    if (count != 0u) {
        side->progress_us = relay->now_us;
    }
    return count;
}

void bh_relay_relieve(struct bh_relay *relay)
{
    const uint16_t count = relay->device.queue_count;
    for (uint16_t i = 0; i < count && relay->attached; i++) {
        if (relay->sides[i].waiting != NULL || relay->sides[i].restoring) {
            bh_relay_show_waiting(relay, &relay->sides[i]);
        }
    }
    if (relay->stuck == 0u) {
        return;
    }
    /* Another queue is the first one each time: a limit that lets few pass is shared. */
    relay->turn++;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t index = (uint16_t)((i + relay->turn) % count);
        uint64_t bit = UINT64_C(1) << index;
        if ((relay->stuck & bit) == 0u) {
            continue;
        }
        relay->stuck &= ~bit;
        if (bh_device_kick(&relay->device, index)) {
            relay->stuck |= bit;
            bh_relay_ask(relay, 0);
        }
    }
}
