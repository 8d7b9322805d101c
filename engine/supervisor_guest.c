/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of one guest: its engine, what happens to them and what follows from it
 * (the states stand in supervisor.h).
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "supervisor.h"

#define ASK_AGAIN_MS   2000u
#define DRAIN_USECS    3000000u /* that back ends have, to end in order */
#define USECS_PER_MSEC 1000u
#define MSECS_PER_SEC  1000u

static const char advice_reset[] =
    "its lines above tell why; with `on-reset: restart` it would start again by itself";
static const char advice_stop[] =
    "does its system react to the power key? `stop-within` gives it more time";
static const char advice_backend[] =
    "its lines above may tell why; start the platform again, and report it if it happens again";
static const char advice_engine[] =
    "the lines above may tell why; if it was killed, `dmesg` says whether the host ran out of "
    "memory";
static const char advice_asked[] = "a stop in order gives it the time to write its data";

static bool is_over(const struct bh_supervised *guest)
{
    return guest->state == BH_SUPERVISED_STOPPED || guest->state == BH_SUPERVISED_FAILED;
}

const char *bh_supervised_state_name(const struct bh_supervised *guest)
{
    static const char *const names[] = {
        [BH_SUPERVISED_WAITING] = "waiting", [BH_SUPERVISED_STARTING] = "starting",
        [BH_SUPERVISED_RUNNING] = "running", [BH_SUPERVISED_STOPPING] = "stopping",
        [BH_SUPERVISED_STOPPED] = "stopped", [BH_SUPERVISED_FAILED] = "failed",
    };
    return names[guest->state];
}

/* What `detail` says belongs to the state. */
static void enter(struct bh_supervised *guest, enum bh_supervised_state state)
{
    guest->state = state;
    bh_supervised_audit_state(guest);
}

/* ------------------------------------------------------------------------------------------------
 * failure and end */

/* What comes after the end, or the first failure, follows from it. */
__attribute__((format(printf, 4, 0))) static void fail_with(struct bh_supervised *guest,
                                                            enum bh_run_exit failure,
                                                            const char *advice, const char *format,
                                                            va_list arguments)
{
    if (is_over(guest)) {
        return;
    }
    guest->failure = failure;
    guest->advice = advice;
    (void)vsnprintf(guest->detail, sizeof(guest->detail), format, arguments);
    enter(guest, BH_SUPERVISED_FAILED);
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_FAILED);
    if (guest->supervisor->failure == BH_RUN_OK) {
        guest->supervisor->failure = failure;
    }
}

__attribute__((format(printf, 4, 5))) static void fail(struct bh_supervised *guest,
                                                       enum bh_run_exit failure, const char *advice,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(guest, failure, advice, format, arguments);
    va_end(arguments);
}

static void end_engine(struct bh_supervised *guest)
{
    if (guest->machine != NULL && !guest->machine_ended) {
        bh_machine_end(guest->machine);
    }
}

void bh_supervised_fail(struct bh_supervised *guest, enum bh_run_exit failure, const char *advice,
                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(guest, failure, advice, format, arguments);
    va_end(arguments);
    end_engine(guest);
    if (guest->machine == NULL) {
        bh_supervised_abandon(guest); /* its engine was not started yet */
    }
}

void bh_supervised_fail_backend(struct bh_supervised *guest, const struct bh_instance *instance)
{
    char how[64];
    const struct bh_backend *backend = instance->backend;
    bh_backend_status_text(instance->status, how, sizeof(how));
    /* What was killed had no time to say anything about it. */
    guest->failed_words = instance->status != -SIGKILL ? &instance->words : NULL;
    bh_supervised_fail(guest, BH_RUN_BACKEND, advice_backend,
                       "the back end of its device %s (%s) ended by itself: %s",
                       backend->device->name.text, backend->program, how);
}

/* Its gate is one of them. */
static bool any_backend_runs(const struct bh_supervised *guest)
{
    if (guest->gate.runs) {
        return true;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        if (bh_backend_runs(&guest->backends[i])) {
            return true;
        }
    }
    return false;
}

/* The engine is gone, or was never there: the back ends follow. */
static void end_backends(struct bh_supervised *guest)
{
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        bh_backend_end(&guest->backends[i]);
    }
    bh_supervised_end_gate(guest);
    bh_timer_arm(&guest->again, 0, 0);
    bh_timer_arm(&guest->deadline, DRAIN_USECS, 0);
    guest->supervisor->loop.poller.ops->post(&guest->supervisor->loop.poller, &guest->settle);
}

/* Said when everything of the guest is read: what it printed last may explain its end. */
static void say_end(const struct bh_supervised *guest)
{
    struct bh_output *output = &guest->supervisor->output;
    const char *name = guest->guest->name.text;
    const struct bh_words *words = guest->failure == BH_RUN_ENGINE    ? &guest->engine_words
                                   : guest->failure == BH_RUN_BACKEND ? guest->failed_words
                                                                      : &guest->words;
    if (guest->state == BH_SUPERVISED_STOPPED) {
        bh_output_say(output, "%s: %s", name, guest->detail);
        return;
    }
    bh_output_say(output, "error: %s: %s", name, guest->detail);
    const char *said = words != NULL ? bh_words_said(words) : NULL;
    if (said != NULL) {
        bh_output_say(output, "  its last words: %s", said);
    }
    bh_output_say(output, "  %s", guest->advice);
}

static void settle(struct bh_task *task)
{
    struct bh_supervised *guest = task->context;
    if (guest->settled || any_backend_runs(guest) ||
        (guest->machine != NULL && !guest->machine_ended)) {
        return;
    }
    guest->settled = true;
    bh_timer_arm(&guest->deadline, 0, 0);
    bh_timer_arm(&guest->again, 0, 0);
    bh_source_finish(&guest->engine_source);
    bh_guest_terminal_finish(&guest->uart);
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        for (uint32_t t = 0; t < guest->backends[i].terminal_count; t++) {
            bh_guest_terminal_finish(&guest->backends[i].terminals[t]);
        }
    }
    bh_machine_destroy(guest->machine);
    guest->machine = NULL;
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_ENDS);
    if (is_over(guest)) { /* otherwise the run was refused, and the diagnostics say it */
        say_end(guest);
    }
    bh_supervisor_progress(guest->supervisor);
}

/* ------------------------------------------------------------------------------------------------
 * the engine */

bool bh_supervised_has_kvm(const struct bh_supervised *guest)
{
    return guest->engine != NULL && guest->engine->kvm &&
           guest->supervisor->platform->engine.accelerator.value != BH_ACCELERATOR_TCG;
}

static uint32_t device_count(const struct bh_guest *guest)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < guest->device_count; i++) {
        count += guest->devices[i].left_out ? 0u : 1u;
    }
    return count;
}

static void now_running(struct bh_supervised *guest)
{
    const char *name = guest->guest->name.text;
    uint32_t devices = device_count(guest->guest);
    if (guest->state == BH_SUPERVISED_STOPPING) {
        (void)bh_machine_shut_down(guest->machine);
        return;
    }
    if (guest->state != BH_SUPERVISED_STARTING) {
        return;
    }
    enter(guest, BH_SUPERVISED_RUNNING);
    bh_output_say(&guest->supervisor->output, "%s: runs (QEMU %u.%u, %s; %u device%s)", name,
                  guest->engine->major, guest->engine->minor,
                  bh_supervised_has_kvm(guest) ? "KVM" : "TCG", devices, devices == 1u ? "" : "s");
    bh_supervised_has_run(guest);
    bh_supervisor_progress(guest->supervisor);
}

static void powered_off(struct bh_supervised *guest)
{
    if (!is_over(guest)) {
        (void)snprintf(guest->detail, sizeof(guest->detail), "%s",
                       guest->state == BH_SUPERVISED_STOPPING ? "shut down" : "shut itself down");
        enter(guest, BH_SUPERVISED_STOPPED);
        bh_timer_arm(&guest->deadline, DRAIN_USECS, 0); /* its engine should end now */
    }
}

static void was_reset(struct bh_supervised *guest)
{
    if (guest->guest->on_reset.value == BH_ON_RESET_RESTART) {
        bh_output_say(&guest->supervisor->output, "%s: reset itself, and starts again",
                      guest->guest->name.text);
        return;
    }
    fail(guest, BH_RUN_GUEST, advice_reset, "it reset itself");
    end_engine(guest);
}

/* With `on-reset: restart` a guest that crashed may still reset itself. */
static void has_panicked(struct bh_supervised *guest)
{
    if (guest->guest->on_reset.value == BH_ON_RESET_RESTART) {
        bh_output_say(&guest->supervisor->output, "%s: crashed", guest->guest->name.text);
        return;
    }
    fail(guest, BH_RUN_GUEST, advice_reset, "it crashed");
    end_engine(guest);
}

static void engine_ended(struct bh_supervised *guest, int status)
{
    char how[64];
    bh_backend_status_text(status, how, sizeof(how));
    guest->machine_ended = true;
    fail(guest, BH_RUN_ENGINE, advice_engine, "its engine ended by itself: %s", how);
    end_backends(guest);
}

static void machine_event(void *context, const struct bh_machine_event *event)
{
    struct bh_supervised *guest = context;
    switch (event->type) {
    case BH_MACHINE_CONNECTED:
        bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_DEVICES);
        break;
    case BH_MACHINE_RUNNING:
        now_running(guest);
        break;
    case BH_MACHINE_POWERED_OFF:
        powered_off(guest);
        break;
    case BH_MACHINE_RESET:
        was_reset(guest);
        break;
    case BH_MACHINE_PANICKED:
        has_panicked(guest);
        break;
    case BH_MACHINE_FAILED:
        fail(guest, BH_RUN_ENGINE, advice_engine, "its engine failed: %s",
             event->text != NULL ? event->text : "it does not say why");
        end_engine(guest);
        break;
    case BH_MACHINE_ENDED:
        engine_ended(guest, event->status);
        break;
    default:
        break;
    }
}

/* A pipe for what the engine prints; -1: it prints nowhere. */
static int open_engine_output(struct bh_supervised *guest)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    char label[BH_OUTPUT_LABEL_MAX];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return -1;
    }
    bh_supervised_label(guest, "engine", NULL, label, sizeof(label));
    const struct bh_source_setup setup = {
        .poller = &supervisor->loop.poller,
        .output = &supervisor->output,
        .fd = ends[0],
        .label = label,
        .colour = guest->colour,
        .words = &guest->engine_words,
    };
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        bh_source_init(&guest->engine_source, &setup) != BH_OK) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return -1;
    }
    return ends[1];
}

static void start_engine(struct bh_supervised *guest)
{
    int region_fds[BH_REGIONS_MAX];
    int device_fds[BH_DEVICES_MAX];
    for (uint32_t i = 0; i < guest->layout.region_count; i++) {
        region_fds[i] = guest->windows[i].fd;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        device_fds[i] = guest->backends[i].front_fd;
    }
    int output_fd = open_engine_output(guest);
    const struct bh_machine_setup setup = {
        .poller = &guest->supervisor->loop.poller,
        .platform = guest->supervisor->platform,
        .layout = &guest->layout,
        .images = &guest->images,
        .tree = guest->tree,
        .tree_bytes = guest->tree_bytes,
        .engine = guest->engine,
        .region_fds = region_fds,
        .device_fds = device_fds,
        .uart_fd = guest->uart.guest_fd,
        .output_fd = output_fd,
        .event = machine_event,
        .context = guest,
    };
    if (guest->state == BH_SUPERVISED_STARTING) {
        bh_supervised_audit_state(guest);
    }
    int result = is_over(guest) ? BH_STATE : bh_machine_create(&guest->machine, &setup);
    if (output_fd >= 0) {
        (void)close(output_fd);
    }
    bh_supervised_let_go(guest);
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_ENGINE);
    if (result != BH_OK) {
        guest->machine = NULL;
        fail(guest, BH_RUN_ENGINE, advice_engine, "its engine (%s) could not be started: %s",
             guest->engine->program, bh_error_name(result));
        end_backends(guest);
    }
}

void bh_supervised_start_engine(struct bh_supervised *guest)
{
    guest->engine_waits = !bh_supervised_gate_serves(guest);
    if (!guest->engine_waits && bh_supervised_is_kept(guest) && guest->machine == NULL) {
        start_engine(guest);
    }
}

void bh_supervised_abandon(struct bh_supervised *guest)
{
    guest->machine_ended = true;
    bh_supervised_let_go(guest);
    end_backends(guest);
}

void bh_supervised_fail_start(struct bh_supervised *guest, enum bh_run_exit failure,
                              const char *advice, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_with(guest, failure, advice, format, arguments);
    va_end(arguments);
    bh_supervised_abandon(guest);
}

/* ------------------------------------------------------------------------------------------------
 * stop */

static void arm_stop(struct bh_supervised *guest)
{
    uint64_t now = bh_supervisor_now();
    uint64_t left = guest->stop_until > now ? guest->stop_until - now : 1u;
    bh_timer_arm(&guest->deadline, (left < ASK_AGAIN_MS ? left : ASK_AGAIN_MS) * USECS_PER_MSEC, 0);
}

static void deadline_expired(void *context)
{
    struct bh_supervised *guest = context;
    if (guest->machine == NULL || guest->machine_ended) {
        for (uint32_t i = 0; i < guest->guest->device_count; i++) {
            bh_backend_kill(&guest->backends[i]);
        }
        bh_supervised_end_gate(guest);
    } else if (guest->state != BH_SUPERVISED_STOPPING) {
        end_engine(guest);
    } else if (bh_supervisor_now() >= guest->stop_until) {
        fail(guest, BH_RUN_GUEST, advice_stop, "it did not shut down within %ju s, and was ended",
             (uintmax_t)(guest->guest->stop_within.value / (uint64_t)MSECS_PER_SEC));
        end_engine(guest);
    } else {
        (void)bh_machine_shut_down(guest->machine); /* BH_STATE: it does not run yet */
        arm_stop(guest);
    }
}

/* There is nobody to ask. */
static void stop_waiting(struct bh_supervised *guest)
{
    (void)snprintf(guest->detail, sizeof(guest->detail), "was not started yet, and will not be");
    enter(guest, BH_SUPERVISED_STOPPED);
    bh_supervised_abandon(guest);
}

void bh_supervised_stop(struct bh_supervised *guest)
{
    if (guest->state == BH_SUPERVISED_WAITING ||
        (guest->state == BH_SUPERVISED_STARTING && guest->machine == NULL)) {
        stop_waiting(guest);
        return;
    }
    if (guest->state != BH_SUPERVISED_STARTING && guest->state != BH_SUPERVISED_RUNNING) {
        return;
    }
    enter(guest, BH_SUPERVISED_STOPPING);
    guest->stop_until = bh_supervisor_now() + guest->guest->stop_within.value;
    if (guest->machine != NULL && !guest->machine_ended) {
        (void)bh_machine_shut_down(guest->machine);
        arm_stop(guest);
    }
    bh_supervisor_progress(guest->supervisor);
}

void bh_supervised_kill(struct bh_supervised *guest)
{
    fail(guest, BH_RUN_GUEST, advice_asked, "it was ended at once, as asked");
    if (guest->machine != NULL && !guest->machine_ended) {
        end_engine(guest);
        end_engine(guest); /* asked twice it is killed */
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        bh_backend_kill(&guest->backends[i]);
    }
    bh_supervised_end_gate(guest);
}

/* ------------------------------------------------------------------------------------------------
 * timers */

int bh_supervised_make_timers(struct bh_supervised *guest)
{
    struct bh_poller *poller = &guest->supervisor->loop.poller;
    guest->settle = (struct bh_task){.run = settle, .context = guest};
    int result = bh_timer_init(&guest->deadline, poller, deadline_expired, guest);
    if (result != BH_OK) {
        return result;
    }
    result = bh_timer_init(&guest->again, poller, bh_supervised_again, guest);
    if (result != BH_OK) {
        bh_timer_finish(&guest->deadline);
        return result;
    }
    guest->timers_made = true;
    return BH_OK;
}

void bh_supervised_finish_timers(struct bh_supervised *guest)
{
    struct bh_poller *poller = &guest->supervisor->loop.poller;
    if (guest->timers_made) {
        poller->ops->cancel(poller, &guest->settle);
        bh_timer_finish(&guest->again);
        bh_timer_finish(&guest->deadline);
        guest->timers_made = false;
    }
}
