/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the supervisor writes into the audit log, an entry for each thing that happens (the form of
 * an entry: audit.h). Who asked for something is noted where it is done.
 */
#include <stdio.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_policy.h"
#include "supervisor.h"

#define OPERATIONS_TEXT 256u
#define STATUS_TEXT     64u

/* ------------------------------------------------------------------------------------------------
 * the run */

static void audit_changed(void *context, int error)
{
    struct bh_supervisor *supervisor = context;
    if (error != BH_OK) {
        bh_output_say(&supervisor->output,
                      "error: the audit log cannot be written: %s; the platform goes on, and what "
                      "is lost is counted\n  free some space for %s/" BH_AUDIT_FILE,
                      bh_error_name(error), supervisor->setup->state->path);
    } else {
        bh_output_say(&supervisor->output,
                      "the audit log is written again; %ju of its entries were lost",
                      (uintmax_t)supervisor->audit.lost);
    }
}

int bh_supervisor_audit_open(struct bh_supervisor *supervisor)
{
    struct bh_state_folder *state = supervisor->setup->state;
    const struct bh_platform *platform = supervisor->platform;
    struct bh_audit *audit = &supervisor->audit;
    int result = bh_audit_open(audit, state);
    if (result == BH_OK) {
        bh_audit_add(audit, "start", "{s:s, s:o, s:i, s:i, s:s, s:o}", "platform",
                     platform->name.text, "definition", bh_audit_text(platform->files[0].path),
                     "pid", (int)getpid(), "uid", (int)getuid(), "mode",
                     bh_supervisor_mode(supervisor), "modes", bh_supervisor_mode_names(supervisor));
    } else {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "audit-log",
                           platform->name.at, "%s", state->why);
    }
    if (result == BH_OK && audit->lost > 0u) {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "audit-log",
                           platform->name.at,
                           "%s/" BH_AUDIT_FILE ": the audit log cannot be written\n"
                           "free some space there, or name another folder with --state",
                           state->path);
        result = BH_NO_SPACE;
    }
    audit->changed = audit_changed; /* from now on it goes on without it */
    audit->context = supervisor;
    return result;
}

void bh_supervisor_audit_close(struct bh_supervisor *supervisor, enum bh_run_exit result)
{
    bh_audit_add(&supervisor->audit, "stop", "{s:i, s:I}", "exit", (int)result, "lost",
                 (json_int_t)supervisor->audit.lost);
    bh_audit_close(&supervisor->audit);
}

/* ------------------------------------------------------------------------------------------------
 * guests and their back ends */

void bh_supervised_audit_state(const struct bh_supervised *guest)
{
    char text[BH_DETAIL_BYTES];
    bh_audit_add(&guest->supervisor->audit, "guest", "{s:s, s:s, s:o}", "guest",
                 guest->guest->name.text, "state", bh_supervised_state_name(guest), "detail",
                 bh_audit_text(bh_supervised_detail(guest, text)));
}

void bh_supervised_audit_ready(const struct bh_supervised *guest)
{
    bh_audit_add(&guest->supervisor->audit, "guest", "{s:s, s:s, s:s}", "guest",
                 guest->guest->name.text, "state", "ready", "detail", "");
}

static const char *rights_text(uint32_t rights)
{
    if ((rights & BH_RIGHT_WRITE) != 0u) {
        return "read, write";
    }
    return (rights & BH_RIGHT_READ) != 0u ? "read" : "none";
}

void bh_supervised_audit_started(const struct bh_supervised *guest,
                                 const struct bh_instance *instance, bool standby)
{
    const struct bh_backend *backend = instance->backend;
    char operations[OPERATIONS_TEXT] = "";
    const struct bh_resource *uses = backend->device->uses;
    if (uses != NULL) {
        bh_operations_text(uses->type.value, backend->resource.operations, operations,
                           sizeof(operations));
    }
    bh_audit_add(
        &guest->supervisor->audit, "backend", "{s:s, s:s, s:s, s:s, s:i, s:b, s:s?, s:s, s:s, s:b}",
        "guest", guest->guest->name.text, "device", backend->device->name.text, "state", "started",
        "program", backend->program, "pid", (int)instance->child.pid, "isolated",
        instance->child.isolated, "resource", uses != NULL ? uses->name.text : NULL, "rights",
        rights_text(backend->resource.rights), "operations", operations, "standby", standby);
}

void bh_supervised_audit_left_out(const struct bh_supervised *guest,
                                  const struct bh_device_definition *device)
{
    bh_audit_add(&guest->supervisor->audit, "backend", "{s:s, s:s, s:s, s:s}", "guest",
                 guest->guest->name.text, "device", device->name.text, "state", "left out", "type",
                 bh_device_type_name(device->type.value));
}

void bh_supervised_audit_ended(const struct bh_supervised *guest,
                               const struct bh_instance *instance)
{
    char how[STATUS_TEXT];
    const struct bh_backend *backend = instance->backend;
    bh_backend_status_text(instance->status, how, sizeof(how));
    bh_audit_add(&guest->supervisor->audit, "backend", "{s:s, s:s, s:s, s:s, s:s}", "guest",
                 guest->guest->name.text, "device", backend->device->name.text, "state", "ended",
                 "program", backend->program, "how", how);
}

/* The text is the back end's own, made harmless and bounded as all that it prints. */
void bh_supervised_audit_refused(const struct bh_supervised *guest,
                                 const struct bh_backend *backend, const char *text)
{
    bh_audit_add(&guest->supervisor->audit, "refused", "{s:s, s:s, s:o, s:I}", "guest",
                 guest->guest->name.text, "device", backend->device->name.text, "text",
                 bh_audit_text(text), "left_out", (json_int_t)backend->refusals.left_out);
}

/* ------------------------------------------------------------------------------------------------
 * gates */

void bh_supervised_audit_gate_started(const struct bh_supervised *guest)
{
    bh_audit_add(&guest->supervisor->audit, "gate", "{s:s, s:s, s:i, s:b}", "guest",
                 guest->guest->name.text, "state", "started", "pid", (int)guest->gate.child.pid,
                 "isolated", guest->gate.child.isolated);
}

void bh_supervised_audit_gate_state(const struct bh_supervised *guest, const char *state,
                                    const char *how)
{
    bh_audit_add(&guest->supervisor->audit, "gate", "{s:s, s:s, s:s}", "guest",
                 guest->guest->name.text, "state", state, "how", how);
}

void bh_supervised_audit_gate(const struct bh_supervised *guest, const struct bh_backend *backend,
                              uint32_t reason, const char *text, uint64_t number)
{
    /* A number of its own may be anything; JSON knows no unsigned ones. */
    json_int_t shown = number <= INT64_MAX ? (json_int_t)number : INT64_MAX;
    bh_audit_add(&guest->supervisor->audit, "device", "{s:s, s:s, s:s, s:o, s:I}", "guest",
                 guest->guest->name.text, "device", backend->device->name.text, "reason",
                 bh_gate_reason_name(reason), "text", bh_audit_text(text), "value", shown);
}

void bh_supervised_audit_device(const struct bh_supervised *guest,
                                const struct bh_device_definition *device, const char *reason,
                                const char *text)
{
    bh_audit_add(&guest->supervisor->audit, "device", "{s:s, s:s, s:s, s:o, s:I}", "guest",
                 guest->guest->name.text, "device", device->name.text, "reason", reason, "text",
                 bh_audit_text(text), "value", (json_int_t)0);
}
