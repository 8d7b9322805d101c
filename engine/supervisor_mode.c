/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vehicle mode, and what follows from it: each back end that has a resource holds its requests
 * against a page (filter.h) that is written here, and nowhere else.
 *
 * A change first takes away, from all devices, what the new mode does not allow, and then gives what
 * only the new one allows: at no time is there a device that may do more than one of both modes
 * says, and never two of which one has more by the old mode and the other by the new one. Requests
 * that a back end has begun before are finished.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"
#include "rules.h"
#include "supervisor.h"

#define MODE_SHOWN 64u /* bytes of what somebody asked for */

static const char *mode_name(const struct bh_supervisor *supervisor, uint32_t mode)
{
    return supervisor->platform->modes.names[mode].text;
}

const char *bh_supervisor_mode(const struct bh_supervisor *supervisor)
{
    return mode_name(supervisor, supervisor->mode);
}

json_t *bh_supervisor_mode_names(const struct bh_supervisor *supervisor)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < supervisor->platform->modes.count; i++) {
        (void)json_array_append_new(names, json_string(mode_name(supervisor, i)));
    }
    return names;
}

/* ------------------------------------------------------------------------------------------------
 * pages */

static bool has_page(const struct bh_backend *backend)
{
    return backend->filter.page != NULL;
}

static int make_rules(const struct bh_supervised *guest, const struct bh_backend *backend,
                      uint32_t mode, struct bh_rules *rules)
{
    return bh_rules_make(rules, guest->supervisor->platform, guest->guest, backend->device, mode);
}

static int write_page(struct bh_backend *backend, const struct bh_rules *rules)
{
    return bh_filter_set(&backend->filter, rules->operations, rules->ranges, rules->count);
}

/* The rules of every mode are made once here, so that a change cannot fail later. */
int bh_supervised_make_page(struct bh_supervised *guest, struct bh_backend *backend)
{
    struct bh_rules rules = {.operations = 0};
    int result = bh_filter_create(&backend->filter);
    for (uint32_t i = guest->supervisor->platform->modes.count; result == BH_OK && i > 0u; i--) {
        result = make_rules(guest, backend, i - 1u, &rules);
    }
    return result == BH_OK ? write_page(backend, &rules) : result; /* the first mode's came last */
}

/* What neither mode forbids. */
static int take_away(const struct bh_supervised *guest, struct bh_backend *backend, uint32_t mode)
{
    struct bh_rules now;
    struct bh_rules next;
    struct bh_rules common;
    int result = make_rules(guest, backend, guest->supervisor->mode, &now);
    if (result == BH_OK) {
        result = make_rules(guest, backend, mode, &next);
    }
    if (result == BH_OK) {
        bh_rules_common(&common, &now, &next);
        result = write_page(backend, &common);
    }
    return result;
}

static int give(const struct bh_supervised *guest, struct bh_backend *backend, uint32_t mode)
{
    struct bh_rules rules;
    int result = make_rules(guest, backend, mode, &rules);
    return result == BH_OK ? write_page(backend, &rules) : result;
}

/* BH_OK, or the first error: then the mode stays as it was. */
static int for_each_page(struct bh_supervisor *supervisor, uint32_t mode,
                         int (*step)(const struct bh_supervised *guest, struct bh_backend *backend,
                                     uint32_t mode))
{
    int result = BH_OK;
    for (uint32_t g = 0; g < supervisor->platform->guest_count; g++) {
        struct bh_supervised *guest = &supervisor->guests[g];
        for (uint32_t d = 0; d < guest->guest->device_count && result == BH_OK; d++) {
            struct bh_backend *backend = &guest->backends[d];
            result = has_page(backend) ? step(guest, backend, mode) : BH_OK;
        }
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * back ends */

/* One that does not serve yet may not listen to the signal, and would be ended by it; and there is
 * nothing that it holds back. */
static void tell_instance(struct bh_instance *instance)
{
    instance->mode_untold = instance->runs && !instance->serves;
    if (instance->runs && instance->serves) {
        bh_child_signal(&instance->child, SIGUSR1);
    }
}

void bh_supervised_tell_mode(struct bh_supervised *guest)
{
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        if (has_page(&guest->backends[i])) {
            tell_instance(&guest->backends[i].instances[0]);
            tell_instance(&guest->backends[i].instances[1]);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * the change */

static int change(struct bh_supervisor *supervisor, uint32_t mode)
{
    const char *from = bh_supervisor_mode(supervisor);
    int result = for_each_page(supervisor, mode, take_away);
    if (result == BH_OK) {
        result = for_each_page(supervisor, mode, give);
    }
    if (result != BH_OK) {
        return result;
    }
    supervisor->mode = mode;
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        bh_supervised_write_limits(&supervisor->guests[i]);
        bh_supervised_tell_mode(&supervisor->guests[i]);
    }
    bh_audit_add(&supervisor->audit, "mode-changed", "{s:s, s:s}", "from", from, "mode",
                 bh_supervisor_mode(supervisor));
    bh_output_say(&supervisor->output, "mode: %s (before: %s)", bh_supervisor_mode(supervisor),
                  from);
    return BH_OK;
}

/* For whoever asked for another one: what there is. There is room for all names. */
static const char *list_modes(struct bh_supervisor *supervisor)
{
    const struct bh_names *modes = &supervisor->platform->modes;
    char *at = supervisor->why;
    at = stpcpy(at, "there is no such mode; the modes of this platform are ");
    for (uint32_t i = 0; i < modes->count; i++) {
        at = stpcpy(at, i == 0u ? "" : ", ");
        at = stpcpy(at, modes->names[i].text);
    }
    return supervisor->why;
}

static int find_mode(const struct bh_supervisor *supervisor, const char *name, uint32_t *mode)
{
    const struct bh_names *modes = &supervisor->platform->modes;
    for (*mode = 0; *mode < modes->count; (*mode)++) {
        if (strcmp(modes->names[*mode].text, name) == 0) {
            return BH_OK;
        }
    }
    return BH_GONE;
}

static int change_asked(struct bh_supervisor *supervisor, const struct bh_control_who *who,
                        const char *wanted, const char **why)
{
    char shown[MODE_SHOWN];
    uint32_t mode;
    (void)snprintf(shown, sizeof(shown), "%s", wanted);
    bh_audit_add(&supervisor->audit, "mode-asked", "{s:o, s:s, s:i, s:i}", "mode",
                 bh_audit_text(shown), "from", bh_supervisor_mode(supervisor), "pid", (int)who->pid,
                 "uid", (int)who->uid);
    int result = find_mode(supervisor, wanted, &mode);
    if (result != BH_OK) {
        *why = list_modes(supervisor);
    } else {
        result = change(supervisor, mode);
    }
    if (result != BH_OK) {
        bh_audit_add(&supervisor->audit, "mode-refused", "{s:o, s:s}", "mode", bh_audit_text(shown),
                     "why", bh_error_name(result));
    }
    return result;
}

int bh_supervisor_mode_asked(void *context, const struct bh_control_who *who, const char *wanted,
                             struct bh_control_modes *modes, const char **why)
{
    struct bh_supervisor *supervisor = context;
    int result = wanted != NULL ? change_asked(supervisor, who, wanted, why) : BH_OK;
    modes->now = bh_supervisor_mode(supervisor);
    modes->count = supervisor->platform->modes.count;
    for (uint32_t i = 0; i < modes->count; i++) {
        modes->names[i] = mode_name(supervisor, i);
    }
    return result;
}
