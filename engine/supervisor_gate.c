/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate of a guest: its process, and what it says. It stands between the guest's engine and its back
 * ends for as long as the engine runs; what becomes of a back end that is over: supervisor_replace.c.
 *
 * States of a gate:
 *   none      no device of the guest needs one.
 *   made      its memory is there (bh_gate_parent). -> running (bh_supervised_start_gate)
 *   running   it was started; from some point on it is `ready`: the engine may start.
 *             its process ends, or it is ended because it does not answer -> over
 *   over      its back ends are killed, because they may still write for it. Once they are reaped, and
 *             the wait between two starts is over -> running: the new one takes the guest over.
 *             more than GATES_PER_MINUTE -> the guest fails
 *   Whatever the state: the engine is reaped, or none will be started -> it is killed, for good.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "gate.h"
#include "processors.h"
#include "supervisor.h"

#define PATIENCE_MS      2000u
#define GATES_PER_MINUTE 20u

static const char advice_gate[] =
    "its lines above may tell why; start the platform again, and report it if it happens again";

/* ------------------------------------------------------------------------------------------------
 * what it says */

static struct bh_backend *backend_of(struct bh_supervised *guest, uint32_t device)
{
    return &guest->backends[bh_gate_device_is(guest->guest, device)];
}

static void gate_wants(void *context, uint32_t device, uint32_t generation, uint32_t reason,
                       const char *text)
{
    struct bh_supervised *guest = context;
    bh_supervised_backend_over(guest, backend_of(guest, device), generation, reason, text);
}

static void gate_greeted(void *context, uint32_t device, uint32_t generation)
{
    struct bh_supervised *guest = context;
    bh_supervised_backend_greeted(guest, backend_of(guest, device), generation);
}

static void gate_up(void *context, uint32_t device)
{
    struct bh_supervised *guest = context;
    bh_supervised_driver_up(guest, backend_of(guest, device));
}

static void gate_guest(void *context, uint32_t device, const char *text)
{
    struct bh_supervised *guest = context;
    bh_supervised_violated(guest, backend_of(guest, device), text);
}

static void gate_event(void *context, const struct bh_gate_message *event)
{
    struct bh_supervised *guest = context;
    struct bh_backend *backend = backend_of(guest, event->device);
    bh_supervised_audit_gate(guest, backend, event->reason, event->text, event->number);
    if (event->reason == BH_GATE_REPLACED) {
        bh_output_say(&guest->supervisor->output, "%s: another back end of %s took over (%ju us)",
                      guest->guest->name.text, backend->device->name.text,
                      (uintmax_t)event->number);
    } else if (event->reason == BH_GATE_GAVE_UP) {
        bh_supervised_gave_up(guest, backend, event->text);
    } else if (event->reason == BH_GATE_FRONT_REFUSED) {
        bh_output_say(&guest->supervisor->output, "warning: %s: its engine's end of %s: %s: %s",
                      guest->guest->name.text, backend->device->name.text,
                      bh_gate_reason_text(event->reason), event->text);
    } else if (event->reason == BH_GATE_RINGS_SHARED) {
        bh_output_say(&guest->supervisor->output,
                      "warning: %s: the rings of %s lie where its back end could map them, so its "
                      "data is copied",
                      guest->guest->name.text, backend->device->name.text);
    }
}

/* The engine waits for it. */
static void gate_ready(void *context)
{
    struct bh_supervised *guest = context;
    guest->gate.ready = true;
    bh_supervised_audit_gate_state(guest, "ready", "");
    if (guest->engine_waits) {
        bh_supervised_start_engine(guest);
    }
}

static void gate_failed(void *context, const char *why)
{
    struct bh_supervised *guest = context;
    bh_output_say(&guest->supervisor->output, "warning: %s: its gate is ended: %s",
                  guest->guest->name.text, why);
    bh_child_signal(&guest->gate.child, SIGKILL);
}

static const struct bh_gate_parent_ops gate_ops = {
    .want = gate_wants,
    .greeted = gate_greeted,
    .up = gate_up,
    .guest = gate_guest,
    .event = gate_event,
    .ready = gate_ready,
    .failed = gate_failed,
};

/* ------------------------------------------------------------------------------------------------
 * before the start */

void bh_supervised_write_limits(struct bh_supervised *guest)
{
    const struct bh_supervisor *supervisor = guest->supervisor;
    for (uint32_t i = 0; guest->gate.parent != NULL && i < guest->guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->guest->devices[i];
        struct bh_gate_limits limits;
        if (!device->left_out) {
            bh_gate_limits_make(&limits, supervisor->platform, guest->guest, device,
                                supervisor->mode);
            bh_gate_parent_limits(guest->gate.parent, bh_gate_device_of(guest->guest, i), &limits);
        }
    }
}

/* Each device's socket: one end is the engine's, the other the gate's. */
static int make_fronts(struct bh_supervised *guest)
{
    int result = BH_OK;
    for (uint32_t i = 0; i < guest->guest->device_count && result == BH_OK; i++) {
        struct bh_backend *backend = &guest->backends[i];
        int ends[2];
        if (backend->device->left_out) {
            continue;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            return BH_LIMIT;
        }
        backend->front_fd = ends[0];
        result =
            bh_gate_parent_front(guest->gate.parent, bh_gate_device_of(guest->guest, i), ends[1]);
    }
    return result;
}

static int make_parent(struct bh_supervised *guest, const struct bh_gate_setup *setup)
{
    const struct bh_gate_parent_setup parent = {
        .poller = &guest->supervisor->loop.poller,
        .setup = setup,
        .ops = &gate_ops,
        .context = guest,
        .patience_ms = PATIENCE_MS,
    };
    int result = bh_gate_parent_create(&guest->gate.parent, &parent);
    if (result == BH_OK) {
        bh_supervised_write_limits(guest);
        result = make_fronts(guest);
    }
    return result;
}

static bool needs_gate(const struct bh_guest *guest)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (!guest->devices[i].left_out) {
            return true;
        }
    }
    return false;
}

int bh_supervised_make_gate(struct bh_supervised *guest)
{
    uint64_t disk_bytes[BH_DEVICES_MAX] = {0};
    if (!needs_gate(guest->guest)) {
        return BH_OK;
    }
    struct bh_gate_setup *setup = calloc(1, sizeof(*setup));
    if (setup == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        disk_bytes[i] = guest->backends[i].resource.bytes;
    }
    const struct bh_gate_parts parts = {
        .platform = guest->supervisor->platform,
        .layout = &guest->layout,
        .windows = guest->windows,
        .disk_bytes = disk_bytes,
    };
    int result = bh_gate_setup_make(setup, &parts);
    if (result == BH_OK) {
        result = make_parent(guest, setup);
    }
    free(setup);
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * its process */

static void kill_serving(struct bh_supervised *guest)
{
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        struct bh_backend *backend = &guest->backends[i];
        backend->wanted = !backend->device->left_out && !backend->given_up;
        backend->due = 0;
        backend->generation = 0;
        if (backend->serving != NULL) {
            bh_instance_kill(backend->serving);
        }
    }
}

static void gate_over(struct bh_supervised *guest, int status)
{
    struct bh_supervised_gate *gate = &guest->gate;
    char how[64];
    uint64_t wait = 0;
    bool was_ready = gate->ready;
    bh_backend_status_text(status, how, sizeof(how));
    bh_supervised_audit_gate_state(guest, "ended", how);
    gate->ready = false;
    if (!bh_supervised_is_kept(guest)) {
        return;
    }
    if ((!was_ready && status >= 0) ||
        !bh_restarts_allow(&gate->allowed, bh_supervisor_now(), GATES_PER_MINUTE, &wait)) {
        guest->failed_words = &gate->words;
        bh_supervised_fail(guest, BH_RUN_BACKEND, advice_gate, "its gate ended by itself%s: %s",
                           was_ready ? " too often" : "", how);
        return;
    }
    bh_output_say(&guest->supervisor->output,
                  "warning: %s: its gate ended by itself: %s; another one takes over",
                  guest->guest->name.text, how);
    gate->restarts++;
    gate->due = bh_supervisor_now() + wait;
    kill_serving(guest);
}

static void gate_ended(struct bh_child *child, int status)
{
    struct bh_supervised *guest = child->context;
    struct bh_poller *poller = &guest->supervisor->loop.poller;
    guest->gate.runs = false;
    bh_gate_parent_ended(guest->gate.parent);
    bh_source_finish(&guest->gate.source);
    gate_over(guest, status);
    bh_supervised_go_on(guest);
    poller->ops->post(poller, &guest->settle);
}

static int open_output(struct bh_supervised *guest, int *output_fd)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    char label[BH_OUTPUT_LABEL_MAX];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return BH_LIMIT;
    }
    bh_supervised_label(guest, "gate", NULL, label, sizeof(label));
    const struct bh_source_setup setup = {
        .poller = &supervisor->loop.poller,
        .output = &supervisor->output,
        .fd = ends[0],
        .label = label,
        .colour = guest->colour,
        .words = &guest->gate.words,
    };
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        bh_source_init(&guest->gate.source, &setup) != BH_OK) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return BH_LIMIT;
    }
    *output_fd = ends[1];
    return BH_OK;
}

static int start_child(struct bh_supervised *guest, int output_fd)
{
    static const char *const arguments[] = {BH_GATE_PROGRAM, BH_GATE_ARGUMENT, NULL};
    struct bh_child_fd fds[BH_GATE_CHILD_FDS];
    struct bh_child_cpus cpus;
    char program[PATH_MAX];
    uint32_t count = 0;
    int result = bh_gate_program(guest->supervisor->setup->daemons, program, sizeof(program));
    if (result == BH_OK) {
        result = bh_gate_parent_fds(guest->gate.parent, fds, &count);
    }
    if (result != BH_OK) {
        return result;
    }
    const struct bh_child_setup child = {
        .poller = &guest->supervisor->loop.poller,
        .program = program,
        .arguments = arguments,
        .fds = fds,
        .fd_count = count,
        .output_fd = output_fd,
        .cpus = bh_processors_of(guest->guest, &cpus),
        .isolate = true,
        .no_network = true,
        .ended = gate_ended,
        .context = guest,
    };
    return bh_child_start(&guest->gate.child, &child);
}

int bh_supervised_start_gate(struct bh_supervised *guest)
{
    struct bh_supervised_gate *gate = &guest->gate;
    int output_fd = -1;
    if (gate->parent == NULL) {
        return BH_OK;
    }
    int result = open_output(guest, &output_fd);
    if (result == BH_OK) {
        result = start_child(guest, output_fd);
    }
    if (output_fd >= 0) {
        (void)close(output_fd);
    }
    if (result != BH_OK) {
        bh_source_finish(&gate->source);
        return result;
    }
    gate->runs = true;
    gate->ready = false;
    bh_supervised_audit_gate_started(guest);
    result = bh_gate_parent_started(gate->parent);
    if (result != BH_OK) {
        bh_child_signal(&gate->child, SIGKILL);
    }
    return result;
}

bool bh_supervised_gate_serves(const struct bh_supervised *guest)
{
    return guest->gate.parent == NULL || guest->gate.ready;
}

void bh_supervised_restart_gate(struct bh_supervised *guest)
{
    struct bh_supervised_gate *gate = &guest->gate;
    if (gate->parent == NULL || gate->runs || !bh_supervised_is_kept(guest) ||
        gate->restarts == 0u || bh_supervisor_now() < gate->due) {
        return;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        if (guest->backends[i].serving != NULL) {
            return; /* not reaped yet */
        }
    }
    int result = bh_supervised_start_gate(guest);
    if (result != BH_OK) {
        bh_supervised_fail(guest, BH_RUN_BACKEND, advice_gate, "no other gate can be started: %s",
                           bh_error_name(result));
    }
}

void bh_supervised_end_gate(struct bh_supervised *guest)
{
    if (guest->gate.runs) {
        bh_child_signal(&guest->gate.child, SIGKILL);
    }
}

void bh_supervised_finish_gate(struct bh_supervised *guest)
{
    bh_source_finish(&guest->gate.source);
    bh_gate_parent_destroy(guest->gate.parent);
    guest->gate.parent = NULL;
}
