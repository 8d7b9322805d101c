/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts each guest when its turn has come (order.h decides it), and knows when a guest is ready.
 *
 * Guests whose turn it is at the begin are started by supervisor.c, which can still refuse the run.
 * All others are started here, from the loop, whenever the state of a guest has changed or the
 * patience with one is over; what cannot be started then is that guest's failure.
 *
 * A guest is over, for those that wait for it, once it has settled: what it said last may have made
 * it ready.
 */
#include <stdio.h>

#include "bulkhead/error.h"
#include "supervisor.h"

#define USECS_PER_MSEC 1000u

static const char advice_never[] =
    "the messages above tell why the other guest did not become ready; without `after` this one "
    "starts all the same";

/* ------------------------------------------------------------------------------------------------
 * readiness */

static bool awaits(const struct bh_guest *guest)
{
    return guest->ready_when.waits_for != NULL || guest->ready_when.message.text != NULL;
}

static void now_ready(struct bh_supervised *guest)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    if (guest->ready || !guest->has_run || (awaits(guest->guest) && !guest->sign_seen)) {
        return;
    }
    guest->ready = true;
    bh_timeline_guest(supervisor->timeline, guest->guest, BH_GUEST_READY);
    bh_supervised_audit_ready(guest);
    if (awaits(guest->guest)) {
        bh_output_say(&supervisor->output, "%s: is ready", guest->guest->name.text);
    }
    bh_supervisor_progress(supervisor);
}

void bh_supervised_has_run(struct bh_supervised *guest)
{
    guest->has_run = true;
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_RUNS);
    now_ready(guest);
}

void bh_supervised_sign_seen(void *context)
{
    struct bh_supervised *guest = context;
    guest->sign_seen = true;
    now_ready(guest);
}

void bh_supervised_driver_up(struct bh_supervised *guest, const struct bh_backend *backend)
{
    bh_timeline_device(guest->supervisor->timeline, guest->guest, backend->device, BH_DEVICE_UP);
    if (guest->guest->ready_when.waits_for == backend->device) {
        bh_supervised_sign_seen(guest);
    }
    bh_supervisor_timeline(guest->supervisor);
}

/* ------------------------------------------------------------------------------------------------
 * in words */

static void say_waits(const struct bh_supervised *guest, char *text, size_t size)
{
    const struct bh_supervisor *supervisor = guest->supervisor;
    const struct bh_order_guest *order = &supervisor->order.guests[guest - supervisor->guests];
    const char *other = supervisor->platform->guests[order->other].name.text;
    if (order->verdict == BH_ORDER_AFTER) {
        (void)snprintf(text, size, "waits until %s is ready", other);
    } else if (order->verdict == BH_ORDER_BEHIND) {
        (void)snprintf(text, size, "waits for %s, which has the higher priority", other);
    } else {
        (void)snprintf(text, size, "starts next");
    }
}

const char *bh_supervised_detail(const struct bh_supervised *guest, char text[BH_DETAIL_BYTES])
{
    const struct bh_ready *ready_when = &guest->guest->ready_when;
    if (guest->state == BH_SUPERVISED_WAITING) {
        say_waits(guest, text, BH_DETAIL_BYTES);
    } else if (guest->state != BH_SUPERVISED_RUNNING || guest->ready || !awaits(guest->guest)) {
        return guest->detail;
    } else if (ready_when->waits_for != NULL) {
        (void)snprintf(text, BH_DETAIL_BYTES, "not ready yet: its driver of %s is not up",
                       ready_when->waits_for->name.text);
    } else {
        (void)snprintf(text, BH_DETAIL_BYTES,
                       "not ready yet: no line of its terminals holds \"%s\"",
                       ready_when->message.text);
    }
    return text;
}

/* ------------------------------------------------------------------------------------------------
 * turns */

static void decide(struct bh_supervisor *supervisor)
{
    uint64_t now = bh_supervisor_now();
    for (uint32_t i = 0; i < supervisor->order.count; i++) {
        struct bh_order_guest *order = &supervisor->order.guests[i];
        const struct bh_supervised *guest = &supervisor->guests[i];
        order->ready = guest->ready;
        order->since = guest->turn;
        order->state = guest->settled                          ? BH_ORDER_OVER
                       : guest->state == BH_SUPERVISED_WAITING ? BH_ORDER_WAITING
                                                               : BH_ORDER_STARTED;
    }
    uint64_t again = bh_order_decide(&supervisor->order, now);
    bh_timer_arm(&supervisor->turn, again != BH_ORDER_NEVER ? (again - now) * USECS_PER_MSEC : 0u,
                 0);
}

static void take_turn(struct bh_supervised *guest)
{
    guest->turn = bh_supervisor_now();
    guest->state = BH_SUPERVISED_STARTING;
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_TURN);
}

static void start(struct bh_supervised *guest)
{
    take_turn(guest);
    if (bh_supervised_start_backends(guest) == BH_OK) {
        bh_supervised_start_engine(guest);
    }
}

/* The first that has the verdict; whether there is one. */
static bool act(struct bh_supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->order.count; i++) {
        const struct bh_order_guest *order = &supervisor->order.guests[i];
        struct bh_supervised *guest = &supervisor->guests[i];
        if (order->verdict == BH_ORDER_START) {
            start(guest);
            return true;
        }
        if (order->verdict == BH_ORDER_IMPOSSIBLE) {
            const struct bh_supervised *other = &supervisor->guests[order->other];
            bh_supervised_fail_start(guest, BH_RUN_GUEST, advice_never,
                                     "it starts after %s, which %s without having been ready",
                                     other->guest->name.text,
                                     other->state == BH_SUPERVISED_FAILED ? "failed" : "stopped");
            return true;
        }
    }
    return false;
}

/* One guest in a turn of the loop: a start takes some milliseconds, in which those that were started
 * before it wait for the supervisor to let them go. */
static void turns(struct bh_task *task)
{
    struct bh_supervisor *supervisor = task->context;
    if (supervisor->stopping) {
        return;
    }
    decide(supervisor);
    if (act(supervisor)) {
        bh_supervisor_next_turn(supervisor);
    }
}

static void patience_over(void *context)
{
    bh_supervisor_next_turn(context);
}

void bh_supervisor_next_turn(struct bh_supervisor *supervisor)
{
    if (supervisor->under_way) {
        supervisor->loop.poller.ops->post(&supervisor->loop.poller, &supervisor->turns);
    }
}

void bh_supervisor_first_turn(struct bh_supervisor *supervisor)
{
    bh_order_init(&supervisor->order, supervisor->platform);
    decide(supervisor);
    for (uint32_t i = 0; i < supervisor->order.count; i++) {
        struct bh_supervised *guest = &supervisor->guests[i];
        if (supervisor->order.guests[i].verdict == BH_ORDER_START) {
            take_turn(guest);
        } else {
            bh_supervised_audit_state(guest);
        }
    }
}

int bh_supervisor_order_init(struct bh_supervisor *supervisor)
{
    supervisor->turns = (struct bh_task){.run = turns, .context = supervisor};
    return bh_timer_init(&supervisor->turn, &supervisor->loop.poller, patience_over, supervisor);
}

void bh_supervisor_order_finish(struct bh_supervisor *supervisor)
{
    struct bh_poller *poller = &supervisor->loop.poller;
    poller->ops->cancel(poller, &supervisor->turns);
    bh_timer_finish(&supervisor->turn);
}
