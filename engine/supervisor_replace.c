/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What becomes of a back end that is over: the next instance takes over, and the guest notices only
 * time. The gate asks for it; here the old process is ended, waited for, and followed.
 *
 * States of a back end, for its gate:
 *   wanted    the gate waits for an instance (at the start, or because the one before is over).
 *             the one before is reaped, the wait between two starts is over -> serving: the gate is
 *             given the instance that was started ahead, or one that is started now. It opens its
 *             resource anew, and waits for its predecessor's I/O by the lock on it.
 *   serving   the gate has an instance.
 *             the gate says that it is over -> wanted (the process is killed)
 *             its gate is over -> wanted
 *             more often a minute than the definition allows, or the gate cannot give a successor what
 *             was in flight -> given up
 *   given up  the gate was told that there will be no other. What follows is the definition's
 *             business (on-failure). With `reset-guest` -> wanted
 * Before the first instance was greeted, one that ends by itself with an error is the guest's failure:
 * the next one would fare no better.
 *
 * An instance is started ahead soon after the one that serves was greeted, where the device's type
 * allows that (bh_backend_stands_by).
 */
#include <stdarg.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "gate.h"
#include "supervisor.h"

#define USECS_PER_MSEC 1000u
#define SPARE_MS       100u   /* first the guest goes on */
#define SPARE_AGAIN_MS 10000u /* after one that ended by itself, or could not be started */

static const char advice_replace[] =
    "its lines above may tell why; `limits: { restarts: N }` lets it be replaced more often, and "
    "`on-failure` says what follows when it cannot be";
static const char advice_misfit[] =
    "the definition, the disk or the programs have changed under way: start the platform again";
static const char advice_violation[] =
    "its driver is broken, or somebody has taken it over; `on-violation` says what follows";

static bool is_over(const struct bh_supervised *guest)
{
    return guest->state == BH_SUPERVISED_STOPPED || guest->state == BH_SUPERVISED_FAILED;
}

bool bh_supervised_is_kept(const struct bh_supervised *guest)
{
    return guest->state != BH_SUPERVISED_WAITING && !is_over(guest) && !guest->machine_ended;
}

static uint32_t gate_device(const struct bh_supervised *guest, const struct bh_backend *backend)
{
    return bh_gate_device_of(guest->guest, (uint32_t)(backend - guest->backends));
}

/* ------------------------------------------------------------------------------------------------
 * consequences */

static void consequence(struct bh_supervised *guest, const struct bh_backend *backend,
                        uint32_t what, enum bh_run_exit failure, const char *advice,
                        const char *text)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    switch (what) {
    case BH_CONSEQUENCE_DETACH:
        bh_output_say(&supervisor->output, "error: %s: %s\n  the guest goes on without it",
                      guest->guest->name.text, text);
        break;
    case BH_CONSEQUENCE_RESET_GUEST:
        bh_output_say(&supervisor->output, "error: %s: %s\n  the guest is reset",
                      guest->guest->name.text, text);
        bh_supervised_audit_device(guest, backend->device, "guest-reset", text);
        if (guest->machine != NULL) {
            (void)bh_machine_reset(guest->machine); /* BH_STATE: it does not run yet */
        }
        break;
    case BH_CONSEQUENCE_STOP_GUEST:
    case BH_CONSEQUENCE_STOP:
    default:
        bh_supervised_fail(guest, failure, advice, "%s", text);
        if (what == BH_CONSEQUENCE_STOP) {
            bh_supervisor_stop(supervisor);
        }
        break;
    }
}

void bh_supervised_violated(struct bh_supervised *guest, const struct bh_backend *backend,
                            const char *text)
{
    char what[BH_DETAIL_BYTES];
    if (!bh_supervised_is_kept(guest)) {
        return;
    }
    (void)snprintf(what, sizeof(what), "it broke the protocol of its device %s: %s",
                   backend->device->name.text, text);
    consequence(guest, backend, backend->device->on_violation.value, BH_RUN_GUEST, advice_violation,
                what);
}

static void give_up(struct bh_supervised *guest, struct bh_backend *backend, const char *why)
{
    char what[BH_DETAIL_BYTES];
    uint32_t follows = backend->device->on_failure.value;
    backend->wanted = false;
    backend->given_up = true;
    (void)snprintf(what, sizeof(what), "the back end of its device %s cannot be replaced: %s",
                   backend->device->name.text, why);
    if (follows == BH_CONSEQUENCE_RESET_GUEST) {
        /* The guest begins anew, and so does the count. */
        backend->given_up = false;
        backend->wanted = true;
        backend->restarts = (struct bh_restarts){.count = 0};
        backend->due = 0;
    } else if (guest->gate.runs) {
        (void)bh_gate_parent_no_more(guest->gate.parent, gate_device(guest, backend));
    }
    consequence(guest, backend, follows, BH_RUN_BACKEND, advice_replace, what);
}

void bh_supervised_gave_up(struct bh_supervised *guest, struct bh_backend *backend,
                           const char *text)
{
    if (bh_supervised_is_kept(guest) && !backend->given_up) {
        give_up(guest, backend, text);
        if (backend->wanted && backend->serving != NULL) {
            bh_instance_kill(backend->serving);
        }
    }
}

/* Whether there may be another one, and when. */
static bool count_restart(struct bh_supervised *guest, struct bh_backend *backend)
{
    const struct bh_supervisor *supervisor = guest->supervisor;
    uint64_t now = bh_supervisor_now();
    uint64_t wait = 0;
    uint64_t limit =
        bh_gate_restarts(supervisor->platform, guest->guest, backend->device, supervisor->mode);
    if (!bh_restarts_allow(&backend->restarts, now, limit, &wait)) {
        return false;
    }
    backend->due = now + wait;
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * the next one */

static void hand_over(struct bh_supervised *guest, struct bh_backend *backend)
{
    struct bh_instance *instance = backend->next;
    int fd = instance->line_fd;
    instance->line_fd = -1;
    backend->next = NULL;
    backend->serving = instance;
    backend->wanted = false;
    int generation = bh_gate_parent_back(guest->gate.parent, gate_device(guest, backend), fd);
    if (generation > 0) {
        backend->generation = (uint32_t)generation;
    } else {
        bh_instance_kill(instance);
    }
}

static void go_on(struct bh_supervised *guest, struct bh_backend *backend)
{
    if (!backend->wanted || backend->serving != NULL || !guest->gate.runs ||
        bh_supervisor_now() < backend->due) {
        return;
    }
    if (backend->next == NULL) {
        int result = bh_supervised_start_instance(guest, backend, false);
        if (result != BH_OK && !count_restart(guest, backend)) {
            give_up(guest, backend, bh_error_name(result));
        }
    }
    if (backend->next != NULL) {
        hand_over(guest, backend);
    }
}

static bool needs_spare(const struct bh_backend *backend)
{
    return backend->serving != NULL && backend->next == NULL && backend->greeted &&
           !backend->wanted && !backend->given_up &&
           bh_backend_stands_by(backend->device->type.value);
}

/* Without one a replacement takes longer, and nothing else. */
static void start_spare(struct bh_supervised *guest, struct bh_backend *backend)
{
    uint64_t now = bh_supervisor_now();
    if (needs_spare(backend) && now >= backend->spare_due &&
        bh_supervised_start_instance(guest, backend, true) != BH_OK) {
        backend->spare_due = now + SPARE_AGAIN_MS;
    }
}

static uint64_t due_of(const struct bh_backend *backend)
{
    if (backend->wanted) {
        return backend->due;
    }
    return needs_spare(backend) ? backend->spare_due : 0u;
}

/* For what has to wait. */
static void arm(struct bh_supervised *guest)
{
    uint64_t now = bh_supervisor_now();
    uint64_t soonest = UINT64_MAX;
    if (!guest->gate.runs && guest->gate.due > now) {
        soonest = guest->gate.due;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        uint64_t due = due_of(&guest->backends[i]);
        soonest = due > now && due < soonest ? due : soonest;
    }
    bh_timer_arm(&guest->again, soonest != UINT64_MAX ? (soonest - now) * USECS_PER_MSEC : 0u, 0);
}

void bh_supervised_go_on(struct bh_supervised *guest)
{
    if (!bh_supervised_is_kept(guest) || guest->gate.parent == NULL) {
        return;
    }
    bh_supervised_restart_gate(guest);
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        if (bh_supervised_is_kept(guest)) { /* each may be the last straw */
            go_on(guest, &guest->backends[i]);
            start_spare(guest, &guest->backends[i]);
        }
    }
    if (bh_supervised_is_kept(guest)) {
        arm(guest);
    }
}

void bh_supervised_again(void *context)
{
    bh_supervised_go_on(context);
}

/* ------------------------------------------------------------------------------------------------
 * what happens to them */

static void say_over(const struct bh_supervised *guest, const struct bh_backend *backend,
                     uint32_t reason, const char *text)
{
    bh_output_say(&guest->supervisor->output, "warning: %s: the back end of %s is replaced: %s%s%s",
                  guest->guest->name.text, backend->device->name.text, bh_gate_reason_text(reason),
                  text[0] != '\0' ? ": " : "", text);
}

void bh_supervised_backend_over(struct bh_supervised *guest, struct bh_backend *backend,
                                uint32_t generation, uint32_t reason, const char *text)
{
    if (!bh_supervised_is_kept(guest) || backend->given_up || backend->wanted ||
        generation != backend->generation) {
        return;
    }
    bh_supervised_audit_gate(guest, backend, reason, text, generation);
    if (!backend->greeted && reason == BH_GATE_BACK_MISFIT) {
        bh_supervised_fail(guest, BH_RUN_BACKEND, advice_misfit,
                           "the back end of its device %s (%s) does not fit: %s",
                           backend->device->name.text, backend->program, text);
        return;
    }
    backend->wanted = true;
    if (backend->serving != NULL) {
        bh_instance_kill(backend->serving);
    }
    if (!count_restart(guest, backend)) {
        give_up(guest, backend, "it was replaced too often within a minute");
    } else {
        backend->replacements++;
        say_over(guest, backend, reason, text);
    }
    bh_supervised_go_on(guest);
}

void bh_supervised_backend_greeted(struct bh_supervised *guest, struct bh_backend *backend,
                                   uint32_t generation)
{
    if (generation != backend->generation) {
        return;
    }
    backend->greeted = true;
    backend->spare_due = bh_supervisor_now() + SPARE_MS;
    bh_supervised_go_on(guest);
}

/* It had nothing to do with the gate: its resource, its options, the host. */
static bool failed_at_start(const struct bh_backend *backend, const struct bh_instance *instance)
{
    return !backend->greeted && instance->status > 0;
}

void bh_supervised_backend_ended(void *context, struct bh_instance *instance)
{
    struct bh_supervised *guest = context;
    struct bh_backend *backend = instance->backend;
    struct bh_poller *poller = &guest->supervisor->loop.poller;
    bool kept = bh_supervised_is_kept(guest);
    bh_supervised_audit_ended(guest, instance);
    if (backend->serving == instance) {
        backend->serving = NULL;
    } else if (backend->next == instance) {
        backend->next = NULL;
        backend->spare_due = bh_supervisor_now() + SPARE_AGAIN_MS;
    }
    if (!kept) {
        bh_timeline_device(guest->supervisor->timeline, guest->guest, backend->device,
                           BH_DEVICE_ENDS);
    } else if (failed_at_start(backend, instance)) {
        bh_supervised_fail_backend(guest, instance);
    } else {
        bh_supervised_go_on(guest);
    }
    poller->ops->post(poller, &guest->settle);
}
