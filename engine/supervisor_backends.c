/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts the gate of a guest and its back ends, all but those of devices that are left out. What
 * becomes of them: supervisor_gate.c, supervisor_replace.c.
 */
#include <signal.h>

#include "bulkhead/error.h"
#include "supervisor.h"

static const char *start_advice(int error)
{
    if (error == BH_INVALID || error == BH_GONE || error == BH_DENIED) {
        return "it is no program that this host runs: install all of Bulkhead's programs again";
    }
    return "raise this user's limits of open files and processes (ulimit -n, ulimit -u)";
}

/* Before the first engine is started it is the run that is refused. */
static void say_not_started(struct bh_supervised *guest, const struct bh_backend *backend,
                            const char *label, int error)
{
    if (guest->supervisor->under_way) {
        bh_supervised_fail_start(guest, BH_RUN_BACKEND, start_advice(error),
                                 "the back end of its device %s (%s) cannot be started: %s",
                                 backend->device->name.text, backend->program,
                                 bh_error_name(error));
    } else {
        bh_diagnostics_add(guest->supervisor->diagnostics, BH_SEVERITY_ERROR, "backend-start",
                           backend->device->type.at, "%s: %s cannot be started: %s\n%s", label,
                           backend->program, bh_error_name(error), start_advice(error));
    }
}

static void say_gate_not_started(struct bh_supervised *guest, int error)
{
    if (guest->supervisor->under_way) {
        bh_supervised_fail_start(guest, BH_RUN_BACKEND, start_advice(error),
                                 "its gate cannot be started: %s", bh_error_name(error));
    } else {
        bh_diagnostics_add(guest->supervisor->diagnostics, BH_SEVERITY_ERROR, "backend-start",
                           guest->guest->name.at, "%s: its gate cannot be started: %s\n%s",
                           guest->guest->name.text, bh_error_name(error), start_advice(error));
    }
}

static void backend_refused(void *context, struct bh_backend *backend, const char *text)
{
    bh_supervised_audit_refused(context, backend, text);
}

/* It serves: from now on it listens to signals. */
static void backend_came(void *context, struct bh_instance *instance)
{
    struct bh_supervised *guest = context;
    bh_timeline_device(guest->supervisor->timeline, guest->guest, instance->backend->device,
                       BH_DEVICE_SERVES);
    if (instance->mode_untold) {
        instance->mode_untold = false;
        bh_child_signal(&instance->child, SIGUSR1);
    }
}

int bh_supervised_start_instance(struct bh_supervised *guest, struct bh_backend *backend,
                                 bool standby)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    backend->setup = (struct bh_backend_setup){
        .poller = &supervisor->loop.poller,
        .output = &supervisor->output,
        .daemons = supervisor->setup->daemons,
        .colour = guest->colour,
        .on_end = bh_supervised_backend_ended,
        .on_refused = backend_refused,
        .on_up = backend_came,
        .context = guest,
    };
    bh_supervised_label(guest, backend->device->name.text, NULL, backend->label,
                        sizeof(backend->label));
    int result = bh_instance_start(backend, standby);
    if (result == BH_OK) {
        bh_timeline_device(supervisor->timeline, guest->guest, backend->device, BH_DEVICE_STARTED);
        bh_supervised_audit_started(guest, backend->next, standby);
    }
    return result;
}

static void say_left_out(const struct bh_supervised *guest,
                         const struct bh_device_definition *device)
{
    bh_output_say(&guest->supervisor->output,
                  "%s: %s (%s) is left out: it is optional, and this version has no back end for "
                  "it",
                  guest->guest->name.text, device->name.text,
                  bh_device_type_name(device->type.value));
    bh_supervised_audit_left_out(guest, device);
}

int bh_supervised_start_backends(struct bh_supervised *guest)
{
    int result = bh_supervised_start_gate(guest);
    if (result != BH_OK) {
        say_gate_not_started(guest, result);
        return result;
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        struct bh_backend *backend = &guest->backends[i];
        if (backend->device->left_out) {
            say_left_out(guest, backend->device);
            continue;
        }
        result = bh_supervised_start_instance(guest, backend, false);
        if (result != BH_OK) {
            say_not_started(guest, backend, backend->label, result);
            return result;
        }
        backend->wanted = true;
    }
    bh_supervised_go_on(guest);
    return BH_OK;
}
