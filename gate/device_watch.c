/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pace of a back end: whether it owes a completion for too long (it hangs), calls without end for
 * nothing (it floods), and how long the guest waited for a successor. Costs an idle device no wake-up:
 * the deadline runs only while something is owed (in direct, where nobody says so, rings are looked at four
 * times within it).
 */
#include "device.h"

#include <stdio.h>

#include "bulkhead/error.h"

/* Calls for nothing in a second, more than four for each completion. (An honest one calls for nothing when
 * what it calls for was collected with what came before.) */
#define FLOOD_CALLS 20000u
#define FLOOD_SPARE 4u
#define SECOND      UINT64_C(1000000)

static uint64_t deadline_us(const struct bh_gated *gated)
{
    return (uint64_t)gated->setup->deadline_ms * 1000u;
}

static void watch_deadline(struct bh_gated *gated, uint64_t now, uint64_t since)
{
    const uint64_t due = since + deadline_us(gated);
    gated->deadline_armed = true;
    bh_timer_arm(&gated->deadline, due > now ? due - now : 1u, 0);
}

static void on_deadline(void *context)
{
    struct bh_gated *gated = context;
    const uint64_t now = bh_gate_now_us();
    const uint64_t since = bh_gated_serve_owes(gated, now);
    gated->deadline_armed = false;
    if (since == 0u) {
        return; /* armed again at the end of this turn, if need be */
    }
    if (now - since < deadline_us(gated)) {
        watch_deadline(gated, now, since);
        return;
    }
    char text[BH_GATE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "no completion for %u ms while requests wait",
                   gated->setup->deadline_ms);
    bh_link_end(&gated->link, BH_GATE_BACK_HUNG, text);
}

static void on_wake(void *context)
{
    struct bh_gated *gated = context;
    bh_relay_go_on(gated->relay);
}

int bh_gated_watch_init(struct bh_gated *gated)
{
    struct bh_poller *poller = &gated->thread->loop.poller;
    const int result = bh_timer_init(&gated->deadline, poller, on_deadline, gated);
    return result == BH_OK ? bh_timer_init(&gated->wake, poller, on_wake, gated) : result;
}

void bh_gated_wake(void *context, uint64_t microseconds)
{
    struct bh_gated *gated = context;
    /* 0 would mean never. */
    bh_timer_arm(&gated->wake, microseconds != 0u ? microseconds : 1u, 0);
}

void bh_gated_limits(struct bh_gated *gated)
{
    if (gated->relay != NULL) {
        bh_relay_go_on(gated->relay);
    }
}

void bh_gated_called(void *context, uint16_t queue)
{
    struct bh_gated *gated = context;
    if (!gated->attached || gated->relay == NULL) {
        return;
    }
    const uint64_t done = bh_relay_called(gated->relay, queue);
    if (done != 0u) {
        const uint64_t spare = done * FLOOD_SPARE;
        gated->flood = gated->flood > spare ? gated->flood - (uint32_t)spare : 0u;
        return;
    }
    const uint64_t now = bh_gate_now_us();
    if (now - gated->flood_at >= SECOND) {
        gated->flood_at = now;
        gated->flood = 0;
    }
    gated->flood++;
    if (gated->flood > FLOOD_CALLS) {
        bh_link_end(&gated->link, BH_GATE_BACK_LIED, "it calls without end for nothing");
    }
}

/* ---- how long the guest waits ---- */

static uint64_t requests(const struct bh_gated *gated)
{
    return gated->record->counters.requests;
}

void bh_gated_lost(struct bh_gated *gated)
{
    if (gated->lost_at == 0u) {
        gated->lost_at = bh_gate_now_us();
    }
    gated->lost_requests = requests(gated);
}

/* The next completion came, or nobody waits for one. */
static void watch_successor(struct bh_gated *gated, uint64_t now)
{
    struct bh_gate_counters *counters = &gated->record->counters;
    if (gated->lost_at == 0u || !gated->attached ||
        (gated->relay != NULL && requests(gated) == gated->lost_requests &&
         bh_gated_serve_owes(gated, now) != 0u)) {
        return;
    }
    const uint64_t stall = now - gated->lost_at;
    gated->lost_at = 0;
    __atomic_store_n(&counters->stall_us, stall, __ATOMIC_RELAXED);
    if (stall > counters->stall_us_max) {
        __atomic_store_n(&counters->stall_us_max, stall, __ATOMIC_RELAXED);
    }
    bh_gated_event(gated, BH_GATE_REPLACED, stall, "a successor serves");
}

static void watch_limit(struct bh_gated *gated, uint64_t now)
{
    const uint64_t limited = gated->record->counters.limited;
    if (limited != gated->limited && now - gated->limit_told_at >= SECOND) {
        gated->limited = limited;
        gated->limit_told_at = now;
        bh_gated_event(gated, BH_GATE_LIMIT_HIT, limited, "requests wait because of a limit");
    }
}

/* In direct nobody tells that something is owed: it has to be looked at now and then. */
static void watch_anew(struct bh_gated *gated, uint64_t now)
{
    const uint64_t since = bh_gated_serve_owes(gated, now);
    if (since != 0u) {
        watch_deadline(gated, now, since);
    } else if (gated->direct != NULL) {
        gated->deadline_armed = true;
        bh_timer_arm(&gated->deadline, deadline_us(gated) / 4u + 1u, 0);
    }
}

void bh_gated_watch(struct bh_gated *gated)
{
    const bool limits = gated->record->counters.limited != gated->limited;
    /* Of a type that is not known here, any queue may be one that waits for the world outside. */
    const bool deadline = gated->setup->deadline_ms != 0u && gated->class->type != 0u &&
                          gated->attached && !gated->deadline_armed;
    if (gated->lost_at == 0u && !limits && !deadline) {
        return;
    }
    const uint64_t now = bh_gate_now_us();
    if (deadline) {
        watch_anew(gated, now);
    }
    watch_successor(gated, now);
    watch_limit(gated, now);
}
