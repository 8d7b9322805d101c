/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Starts the back ends of a guest, all but those of devices that are left out. What becomes of them
 * is supervisor_guest.c's.
 */
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

static void backend_refused(void *context, struct bh_backend *backend, const char *text)
{
    bh_supervised_audit_refused(context, backend, text);
}

static int start_backend(struct bh_supervised *guest, struct bh_backend *backend)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    char label[BH_OUTPUT_LABEL_MAX];
    bh_supervised_label(guest, backend->device->name.text, NULL, label, sizeof(label));
    const struct bh_backend_setup setup = {
        .poller = &supervisor->loop.poller,
        .output = &supervisor->output,
        .daemons = supervisor->setup->daemons,
        .label = label,
        .colour = guest->colour,
        .on_end = bh_supervised_backend_ended,
        .on_refused = backend_refused,
        .on_up = bh_supervised_backend_came,
        .context = guest,
    };
    int result = bh_backend_start(backend, &setup);
    if (result == BH_OK) {
        bh_timeline_device(supervisor->timeline, guest->guest, backend->device, BH_DEVICE_STARTED);
        bh_supervised_audit_started(guest, backend);
    } else {
        say_not_started(guest, backend, label, result);
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
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        struct bh_backend *backend = &guest->backends[i];
        if (backend->device->left_out) {
            say_left_out(guest, backend->device);
            continue;
        }
        int result = start_backend(guest, backend);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}
