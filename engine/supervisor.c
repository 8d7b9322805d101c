/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run of a platform: its order, its signals, its end. What happens to one guest is
 * supervisor_guest.c.
 *
 * States of the run:
 *   preparing  everything is checked and opened; nothing is started. -> starting, or refused
 *   starting   of the guests whose turn it is: back ends, then (they take their time meanwhile) the
 *              engine is looked for, then the engines. -> running, or refused: what was started is
 *              ended
 *   running    the loop; the other guests start when their turn comes (supervisor_order.c). -> stopping (a signal, the control socket), over (every guest has settled)
 *   stopping   -> over
 *   over       everything is closed; the exit code is that of the first failure.
 */
#include "supervisor.h"
#include "control_folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "bulkhead/error.h"
#include "bulkhead/host_log.h"

#define TICK_USECS     400000u
#define MSECS_PER_SEC  1000u
#define NSECS_PER_MSEC 1000000u

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static const char *signal_name(int number)
{
    if (number == SIGINT) {
        return "SIGINT";
    }
    return number == SIGTERM ? "SIGTERM" : "SIGHUP";
}

uint64_t bh_supervisor_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* that clock cannot fail */
    return (uint64_t)now.tv_sec * MSECS_PER_SEC + (uint64_t)now.tv_nsec / NSECS_PER_MSEC;
}

static void notify(const struct bh_supervisor *supervisor, const char *message)
{
    if (bh_notify_send(&supervisor->notify, message) != BH_OK) {
        bh_log(BH_LOG_WARNING, "the service manager was not told: %s", message);
    }
}

/* ------------------------------------------------------------------------------------------------
 * terminals */

static void for_each_source(struct bh_supervisor *supervisor, void (*call)(struct bh_source *))
{
    for (uint32_t g = 0; g < supervisor->platform->guest_count; g++) {
        struct bh_supervised *guest = &supervisor->guests[g];
        if (guest->backends == NULL) {
            continue;
        }
        call(&guest->uart.source);
        call(&guest->engine_source);
        call(&guest->gate.source);
        for (uint32_t d = 0; d < guest->guest->device_count; d++) {
            struct bh_backend *backend = &guest->backends[d];
            call(&backend->instances[0].source);
            call(&backend->instances[1].source);
            for (uint32_t t = 0; t < backend->terminal_count; t++) {
                call(&backend->terminals[t].source);
            }
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * progress, stop */

/* A reader that is slow must not keep a guest from its orderly end. */
static void hurry_output(struct bh_supervisor *supervisor)
{
    bool hurried = false;
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        const struct bh_supervised *guest = &supervisor->guests[i];
        hurried = hurried || (guest->state == BH_SUPERVISED_STOPPING && !guest->settled);
    }
    if (hurried != supervisor->output.hurried) {
        supervisor->output.hurried = hurried;
        for_each_source(supervisor, bh_source_update);
    }
}

void bh_supervisor_progress(struct bh_supervisor *supervisor)
{
    bool all_settled = true;
    bool all_ready = true;
    hurry_output(supervisor);
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        const struct bh_supervised *guest = &supervisor->guests[i];
        all_settled = all_settled && guest->settled;
        all_ready = all_ready && guest->ready && guest->state != BH_SUPERVISED_FAILED;
    }
    if (all_ready && !supervisor->ready) {
        supervisor->ready = true;
        if (supervisor->setup->ready != NULL) {
            supervisor->setup->ready(supervisor->setup->ready_context);
        }
        notify(supervisor, "READY=1");
    }
    bh_supervisor_timeline(supervisor);
    bh_supervisor_next_turn(supervisor);
    if (all_settled) {
        bh_loop_stop(&supervisor->loop);
    }
}

void bh_supervisor_stop(struct bh_supervisor *supervisor)
{
    if (supervisor->stopping) {
        return;
    }
    supervisor->stopping = true;
    notify(supervisor, "STOPPING=1");
    bh_output_say(&supervisor->output,
                  "stopping: the guests are asked to shut down; Ctrl-C ends them at once");
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        bh_supervised_stop(&supervisor->guests[i]);
    }
}

static void signal_received(void *context, int number)
{
    struct bh_supervisor *supervisor = context;
    bh_audit_add(&supervisor->audit, "stop-asked", "{s:n, s:s}", "guest", "signal",
                 signal_name(number));
    /* A service manager may send SIGTERM twice; a Ctrl-C while the guests stop is somebody who does not
     * want to wait. */
    if (number != SIGINT || !supervisor->stopping) {
        bh_supervisor_stop(supervisor);
        return;
    }
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        bh_supervised_kill(&supervisor->guests[i]);
    }
}

static void output_drained(void *context)
{
    struct bh_supervisor *supervisor = context;
    if (supervisor->guests != NULL) {
        for_each_source(supervisor, bh_source_update);
    }
}

static void tick_expired(void *context)
{
    struct bh_supervisor *supervisor = context;
    supervisor->tick_armed = false;
    supervisor->output.restless = false;
    for (uint32_t g = 0; g < supervisor->platform->guest_count; g++) {
        struct bh_supervised *guest = &supervisor->guests[g];
        bh_guest_terminal_tick(&guest->uart);
        bh_source_tick(&guest->engine_source);
        bh_source_tick(&guest->gate.source);
        for (uint32_t d = 0; d < guest->guest->device_count; d++) {
            struct bh_backend *backend = &guest->backends[d];
            bh_source_tick(&backend->instances[0].source);
            bh_source_tick(&backend->instances[1].source);
            for (uint32_t t = 0; t < backend->terminal_count; t++) {
                bh_guest_terminal_tick(&backend->terminals[t]);
            }
        }
    }
}

/* After each turn of the loop. An idle platform is not woken. */
static void arm_tick(struct bh_supervisor *supervisor)
{
    if (supervisor->output.restless && !supervisor->tick_armed) {
        supervisor->tick_armed = true;
        bh_timer_arm(&supervisor->tick, TICK_USECS, 0);
    }
}

static void watchdog_expired(void *context)
{
    struct bh_supervisor *supervisor = context;
    notify(supervisor, "WATCHDOG=1");
}

/* ------------------------------------------------------------------------------------------------
 * the supervisor's own things */

/* Descriptors are what a large platform needs most. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* if it fails, what has no room says so */
    }
}

static int make_timers(struct bh_supervisor *supervisor)
{
    struct bh_poller *poller = &supervisor->loop.poller;
    int result = bh_timer_init(&supervisor->watchdog, poller, watchdog_expired, supervisor);
    if (result != BH_OK) {
        return result;
    }
    result = bh_timer_init(&supervisor->tick, poller, tick_expired, supervisor);
    if (result != BH_OK) {
        bh_timer_finish(&supervisor->watchdog);
        return result;
    }
    result = bh_supervisor_order_init(supervisor);
    if (result != BH_OK) {
        bh_timer_finish(&supervisor->tick);
        bh_timer_finish(&supervisor->watchdog);
        return result;
    }
    supervisor->timers_made = true;
    return BH_OK;
}

static int open_own(struct bh_supervisor *supervisor)
{
    struct bh_poller *poller = &supervisor->loop.poller;
    int result = bh_loop_init(&supervisor->loop);
    if (result != BH_OK) {
        return result;
    }
    supervisor->loop_made = true;
    result = bh_signals_init(&supervisor->signals, poller, signals, SIGNALS, signal_received,
                             supervisor);
    if (result != BH_OK) {
        return result;
    }
    supervisor->signals_made = true;
    result = make_timers(supervisor);
    if (result != BH_OK) {
        return result;
    }
    result = bh_output_init(&supervisor->output, poller, supervisor->setup->output,
                            supervisor->setup->colour);
    supervisor->output.drained = output_drained;
    supervisor->output.context = supervisor;
    return result;
}

/* A signal that came too late to be heard must not end the process now: its exit code counts. */
static void forget_signals(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < SIGNALS; i++) {
        struct sigaction before;
        (void)sigaction(signals[i], &ignore, &before); /* drops what is pending */
        (void)sigaction(signals[i], &before, NULL);
    }
}

/* In reverse order. */
static void close_own(struct bh_supervisor *supervisor)
{
    for (uint32_t i = 0; supervisor->guests != NULL && i < supervisor->platform->guest_count; i++) {
        bh_supervised_finish(&supervisor->guests[i]);
    }
    bh_metrics_close(supervisor->metrics);
    bh_control_close(supervisor->control);
    bh_notify_finish(&supervisor->notify);
    if (supervisor->signals_made) {
        forget_signals();
        bh_signals_finish(
            &supervisor->signals); /* from here on Ctrl-C ends a wait for the reader */
    }
    bh_output_flush(&supervisor->output);
    bh_output_finish(&supervisor->output);
    if (supervisor->timers_made) {
        bh_supervisor_order_finish(supervisor);
        bh_timer_finish(&supervisor->tick);
        bh_timer_finish(&supervisor->watchdog);
    }
    if (supervisor->loop_made) {
        bh_loop_finish(&supervisor->loop);
    }
    free(supervisor->guests);
}

static int open_metrics(struct bh_supervisor *supervisor, const char *folder)
{
    int fd = -1;
    int result = bh_control_folder_metrics(folder, &fd);
    if (result == BH_OK) {
        result = bh_metrics_open(&supervisor->metrics, &supervisor->loop.poller, fd,
                                 bh_supervisor_numbers, supervisor);
    }
    if (result != BH_OK) {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "runtime-folder",
                           supervisor->platform->name.at,
                           "the socket %s/metrics cannot be made: %s\n%s", folder,
                           bh_error_name(result), bh_control_advice(result));
    }
    return result;
}

/* The platform's name: one run at a time has it. */
static int open_control(struct bh_supervisor *supervisor)
{
    char folder[4096];
    int pid = 0;
    const struct bh_platform *platform = supervisor->platform;
    int result =
        bh_control_open(&supervisor->control, &supervisor->loop.poller, platform->name.text,
                        &bh_supervisor_handlers, supervisor, folder, sizeof(folder), &pid);
    if (result == BH_STATE) {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "platform-runs",
                           platform->name.at,
                           "%s runs already (process %d)\n`bulkhead stop %s` ends it, `bulkhead "
                           "status %s` shows it; or give this platform another name",
                           platform->name.text, pid, platform->name.text, platform->name.text);
    } else if (result != BH_OK) {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "runtime-folder",
                           platform->name.at, "the folder %s cannot be used: %s\n%s", folder,
                           bh_error_name(result), bh_control_advice(result));
    } else {
        result = open_metrics(supervisor, folder);
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * the run */

static int run_loop(struct bh_supervisor *supervisor)
{
    supervisor->loop.stopped = false;
    bh_supervisor_progress(supervisor);
    while (!supervisor->loop.stopped) {
        arm_tick(supervisor);
        int result = bh_loop_turn(&supervisor->loop, -1);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

/* Back ends are starting while the engine is looked for. BH_OK, or an error, said. */
static int start_backends(struct bh_supervisor *supervisor)
{
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        struct bh_supervised *guest = &supervisor->guests[i];
        int result =
            guest->state == BH_SUPERVISED_STARTING ? bh_supervised_start_backends(guest) : BH_OK;
        if (result != BH_OK) {
            return result;
        }
    }
    bh_timeline_run(supervisor->timeline, BH_RUN_ENGINES);
    int result = bh_supervisor_find_engines(supervisor);
    bh_timeline_run(supervisor->timeline, BH_RUN_FOUND);
    return result;
}

static enum bh_run_exit start_and_run(struct bh_supervisor *supervisor)
{
    uint32_t count = supervisor->platform->guest_count;
    bh_supervisor_first_turn(supervisor);
    bool refused = start_backends(supervisor) != BH_OK;
    supervisor->under_way = !refused;
    for (uint32_t i = 0; i < count; i++) {
        if (refused) {
            bh_supervised_abandon(&supervisor->guests[i]);
        } else if (supervisor->guests[i].state == BH_SUPERVISED_STARTING) {
            bh_supervised_start_engine(&supervisor->guests[i]);
        }
    }
    if (run_loop(supervisor) != BH_OK) {
        bh_log(BH_LOG_ERROR, "the event loop failed");
        return BH_RUN_INTERNAL;
    }
    return refused ? BH_RUN_REFUSED : supervisor->failure;
}

static enum bh_run_exit prepare_and_run(struct bh_supervisor *supervisor)
{
    int result = open_own(supervisor);
    if (result == BH_OK && supervisor->setup->timeline != NULL) {
        supervisor->timeline = bh_timeline_create(supervisor->platform);
        result = supervisor->timeline != NULL ? BH_OK : BH_NO_MEMORY;
    }
    bh_timeline_run(supervisor->timeline, BH_RUN_BEGINS);
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "the platform cannot be run: %s", bh_error_name(result));
        return BH_RUN_INTERNAL;
    }
    result = bh_notify_init(&supervisor->notify);
    if (result != BH_OK) {
        bh_log(BH_LOG_WARNING, "the service manager cannot be told: %s", bh_error_name(result));
    }
    if (supervisor->notify.watchdog_usecs != 0u) {
        bh_timer_arm(&supervisor->watchdog, supervisor->notify.watchdog_usecs / 2u,
                     supervisor->notify.watchdog_usecs / 2u);
    }
    if (open_control(supervisor) != BH_OK || bh_supervisor_audit_open(supervisor) != BH_OK) {
        return BH_RUN_REFUSED;
    }
    result = bh_supervisor_prepare(supervisor);
    bh_timeline_run(supervisor->timeline, BH_RUN_PREPARED);
    if (result == BH_NO_MEMORY) {
        return BH_RUN_INTERNAL;
    }
    return result == BH_OK ? start_and_run(supervisor) : BH_RUN_REFUSED;
}

enum bh_run_exit bh_supervisor_run(const struct bh_supervisor_setup *setup)
{
    struct bh_supervisor supervisor = {
        .setup = setup,
        .platform = setup->platform,
        .diagnostics = setup->diagnostics,
        .notify = {.fd = -1},
        .audit = {.fd = -1},
        .started = bh_supervisor_now(),
    };
    /* A reader that goes away, or a file that may not grow, is an error of write, not an end. */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction before;
    struct sigaction before_size;
    raise_limit();
    (void)sigaction(SIGPIPE, &ignore, &before);
    (void)sigaction(SIGXFSZ, &ignore, &before_size);
    enum bh_run_exit result = prepare_and_run(&supervisor);
    bh_supervisor_audit_close(&supervisor, result);
    bh_supervisor_timeline_end(&supervisor);
    close_own(&supervisor);
    (void)sigaction(SIGXFSZ, &before_size, NULL);
    (void)sigaction(SIGPIPE, &before, NULL);
    return result;
}
