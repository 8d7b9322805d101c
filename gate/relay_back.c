/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back end comes, calls and goes: rings are started for it, what its predecessor had in flight is
 * given to it again, and when there will be no other, everything is answered with an error. The states
 * of the back side stand in relay.h.
 *
 * Buffers that wait for the world outside (class->waits) come back to a guest whose queue stops:
 *   attached   the back end's ring is stopped first: then it has let go of them.
 *   detached   a back end that is over may still live, and write, until it is reaped. What it may have
 *              seen in place waits for the successor (which comes after that) or for `refuse`.
 */
#include "relay_internal.h"

#include <string.h>

#define RESTORE_STEPS 4096u

static void begin_turn(struct bh_relay *relay)
{
    relay->now_us = relay->setup.ops->now_us(relay->setup.context);
}

static void end_turn(struct bh_relay *relay)
{
    bh_device_flush(&relay->device);
}

/* ---- what the class remembers ---- */

/* A request of the gate's own. */
static int add_own(struct bh_relay *relay, struct bh_relay_side *side,
                   const struct bh_gate_restore *what)
{
    if (side->own == BH_RELAY_OWN_MAX || side->ring.free_count == 0u) {
        return BH_AGAIN;
    }
    struct bh_relay_slot *slot = bh_relay_slot_take(relay, side);
    if (slot == NULL) {
        return BH_AGAIN;
    }
    bh_relay_slot_hold(side, slot);
    slot->own = true;
    side->own++;
    uint64_t before = bh_arena_used(relay->arena);
    int result = bh_arena_take(relay->arena, UINT64_C(2) * BH_GATE_RESTORE_MAX, &slot->small);
    if (side->waits) {
        relay->waits_bytes += bh_arena_used(relay->arena) - before;
    }
    if (result == BH_OK) {
        const struct bh_buffer elements[2] = {
            {slot->small.address, what->length},
            {slot->small.address + BH_GATE_RESTORE_MAX, what->answer},
        };
        memcpy(slot->small.base, what->bytes, what->length);
        result =
            bh_driver_queue_add(&side->ring, elements, 1, (uint16_t)(what->answer != 0u), slot);
    }
    if (result != BH_OK) {
        bh_relay_let_go(relay, side, slot);
        bh_relay_slot_drop(side, slot);
        side->own--;
        return BH_AGAIN;
    }
    if (side->given == 0u) {
        side->progress_us = relay->now_us;
    }
    slot->given = true;
    side->given++;
    relay->unpublished |= bh_relay_bit(side);
    return BH_OK;
}

static bool next_step(const struct bh_relay *relay, uint32_t step, struct bh_gate_restore *what)
{
    const struct bh_gate_class *class = relay->setup.class;
    memset(what, 0, sizeof(*what));
    return step < RESTORE_STEPS && class->restore != NULL &&
           class->restore(relay->setup.class_state, step, what) &&
           what->length <= BH_GATE_RESTORE_MAX && what->answer <= BH_GATE_RESTORE_MAX;
}

bool bh_relay_restore(struct bh_relay *relay, struct bh_relay_side *side)
{
    struct bh_gate_restore what;
    while (next_step(relay, side->restore_step, &what)) {
        if (!what.config && what.queue == side->index && what.length != 0u &&
            add_own(relay, side, &what) != BH_OK) {
            return false;
        }
        side->restore_step++;
    }
    side->restoring = false;
    return true;
}

static int restore_config(struct bh_relay *relay)
{
    struct bh_gate_restore what;
    struct bh_transport *transport = relay->transport;
    for (uint32_t step = 0; next_step(relay, step, &what); step++) {
        if (!what.config) {
            continue;
        }
        int result = transport->ops->config_write(transport, what.offset, what.bytes, what.length);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

/* ---- rings ---- */

/* The power of 2 that is not larger; `size` is 2..32768. */
static uint16_t power_below(uint32_t size)
{
    return (uint16_t)(UINT32_C(1) << (31 - __builtin_clz(size)));
}

int bh_relay_ring_start(struct bh_relay *relay, struct bh_relay_side *side)
{
    uint16_t most = 0;
    int result = relay->transport->ops->queue_size_max(relay->transport, side->index, &most);
    if (result != BH_OK) {
        return result;
    }
    uint32_t size = most < relay->ring_size_max ? most : relay->ring_size_max;
    struct bh_dma dma = {
        .base = side->ring_base, .address = side->ring_address, .size = (size_t)relay->ring_bytes};
    if (size < 2u) { /* a request has two parts */
        return BH_LIMIT;
    }
    const struct bh_driver_queue_setup setup = {
        .transport = relay->transport,
        .dma = &dma,
        .slots = side->ring_slots,
        .features = relay->features,
        .index = side->index,
        .size = power_below(size),
        .indirect_max = relay->indirect_max,
    };
    result = bh_driver_queue_init(&side->ring, &setup);
    if (result != BH_OK) {
        return result;
    }
    side->running = true;
    side->restoring = true;
    side->restore_step = 0;
    side->progress_us = relay->now_us;
    return BH_OK;
}

/* The back end's ring is over: what was in it waits again; requests of the gate's own are forgotten
 * (the next back end is told anew). */
static void ring_over(struct bh_relay *relay, struct bh_relay_side *side)
{
    struct bh_relay_slot *slot = side->oldest;
    side->running = false;
    side->restoring = false;
    relay->unpublished &= ~bh_relay_bit(side);
    relay->look_again &= ~bh_relay_bit(side);
    while (slot != NULL) {
        struct bh_relay_slot *newer = slot->newer;
        bh_relay_let_go(relay, side, slot);
        if (slot->own) {
            bh_relay_slot_drop(side, slot);
            side->own--;
        } else if (slot->given) {
            slot->given = false;
            side->given--;
        }
        slot = newer;
    }
    side->waiting = side->oldest;
}

/* Gives back, with nothing written, what the guest wants to have again. */
static void give_all_back(struct bh_relay *relay, struct bh_relay_side *side, bool seen)
{
    struct bh_relay_slot *slot = side->oldest;
    while (slot != NULL) {
        struct bh_relay_slot *newer = slot->newer;
        if (seen || !slot->shown) {
            bh_relay_back(relay, side, slot, 0);
        }
        slot = newer;
    }
}

void bh_relay_ring_stopping(struct bh_relay *relay, struct bh_relay_side *side)
{
    if (!side->waits) {
        return;
    }
    if (!relay->attached) {
        give_all_back(relay, side, relay->refusing || relay->share_count == 0u);
        return;
    }
    if (side->running) {
        begin_turn(relay);
        if (relay->setup.ops->queue_stop(relay->setup.context, side->index) != BH_OK) {
            return; /* it is detached soon, and the successor finds a queue that stops */
        }
        (void)bh_relay_collect(relay, side);
        ring_over(relay, side);
    }
    give_all_back(relay, side, true);
}

/* ---- attach and detach ---- */

static void take_shares(struct bh_relay *relay)
{
    memcpy(relay->shares, relay->next_shares, sizeof(relay->shares));
    relay->share_count = relay->next_share_count;
    relay->share_last = 0;
}

static int start_rings(struct bh_relay *relay)
{
    for (uint16_t i = 0; i < relay->device.queue_count; i++) {
        if (relay->queues[i].state == BH_QUEUE_STOPPED) {
            continue;
        }
        int result = bh_relay_ring_start(relay, &relay->sides[i]);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

int bh_relay_attach(struct bh_relay *relay, struct bh_transport *transport, uint64_t features)
{
    if (relay->refusing) {
        return BH_STATE;
    }
    bh_relay_detach(relay, false);
    begin_turn(relay);
    take_shares(relay);
    relay->transport = transport;
    relay->features = features;
    relay->attached = true;
    int result = restore_config(relay);
    if (result == BH_OK) {
        result = start_rings(relay);
    }
    if (result != BH_OK) {
        bh_relay_detach(relay, false);
        return result;
    }
    /* What the guest's rings may hold besides is looked at, too. */
    relay->stuck = ~UINT64_C(0);
    bh_relay_relieve(relay);
    end_turn(relay);
    return BH_OK;
}

void bh_relay_detach(struct bh_relay *relay, bool look)
{
    if (!relay->attached) {
        return;
    }
    begin_turn(relay);
    if (look) {
        relay->looking = true;
        for (uint16_t i = 0; i < relay->device.queue_count; i++) {
            (void)bh_relay_collect(relay, &relay->sides[i]);
        }
        relay->looking = false;
    }
    relay->attached = false;
    relay->transport = NULL;
    for (uint16_t i = 0; i < relay->setup.device->queue_count; i++) {
        ring_over(relay, &relay->sides[i]);
    }
    end_turn(relay);
}

void bh_relay_refuse(struct bh_relay *relay)
{
    bh_relay_detach(relay, false);
    begin_turn(relay);
    relay->refusing = true;
    for (uint16_t i = 0; i < relay->device.queue_count; i++) {
        struct bh_relay_side *side = &relay->sides[i];
        struct bh_relay_slot *slot = side->oldest;
        if (side->waits) {
            /* The guest would offer them again at once, for ever. */
            if (relay->queues[i].state != BH_QUEUE_RUNNING) {
                give_all_back(relay, side, true);
            }
            continue;
        }
        while (slot != NULL) {
            struct bh_relay_slot *newer = slot->newer;
            bh_relay_turn_down(relay, side, slot);
            slot = newer;
        }
    }
    relay->stuck = ~UINT64_C(0);
    bh_relay_relieve(relay);
    end_turn(relay);
}

/* ---- turns ---- */

uint32_t bh_relay_called(struct bh_relay *relay, uint16_t queue)
{
    if (!relay->attached || queue >= relay->device.queue_count) {
        return 0;
    }
    begin_turn(relay);
    uint32_t count = bh_relay_collect(relay, &relay->sides[queue]);
    if (relay->look_again != 0u) {
        bh_relay_ask(relay, 0);
    }
    bh_relay_relieve(relay);
    end_turn(relay);
    return count;
}

void bh_relay_go_on(struct bh_relay *relay)
{
    uint64_t look = relay->look_again;
    begin_turn(relay);
    relay->wake_at_us = 0;
    relay->look_again = 0;
    for (uint16_t i = 0; i < relay->device.queue_count; i++) {
        if ((look >> i & 1u) != 0u) {
            (void)bh_relay_collect(relay, &relay->sides[i]);
        }
    }
    if (relay->look_again != 0u) {
        bh_relay_ask(relay, 0);
    }
    bh_relay_relieve(relay);
    end_turn(relay);
}

uint64_t bh_relay_owes(const struct bh_relay *relay)
{
    uint64_t oldest = 0;
    for (uint16_t i = 0; i < relay->device.queue_count; i++) {
        const struct bh_relay_side *side = &relay->sides[i];
        if (side->running && !side->waits && side->given != 0u &&
            (oldest == 0u || side->progress_us < oldest)) {
            oldest = side->progress_us;
        }
    }
    return oldest;
}
