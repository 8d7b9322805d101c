/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status of a running platform as JSON. Sizes are bytes; `since_ms` is how long ago the run
 * began. What a back end has mapped is read from the kernel (window.h), of all windows of all
 * guests: a back end that had another guest's would be seen here. `mapped` is null where the kernel
 * does not tell.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "bulkhead/error.h"
#include "gate.h"
#include "supervisor.h"

#define WINDOWS_MAX (BH_GUESTS_MAX * BH_REGIONS_MAX)
/* What the control socket puts around it. */
#define TEXT_MAX (BH_CONTROL_BYTES_MAX - 64u)

/* How much is told: as much as a message has room for. */
enum detail {
    DETAIL_ALL,
    DETAIL_NO_NAMES,   /* without "mapped_windows" */
    DETAIL_NO_DEVICES, /* and without "devices" */
    DETAILS,
};

/* All windows of the platform, and whose they are. */
struct all_windows {
    struct bh_window windows[WINDOWS_MAX];
    uint64_t bytes[WINDOWS_MAX]; /* mapped by the process that is looked at */
    char names[WINDOWS_MAX][BH_OUTPUT_LABEL_MAX];
    size_t count;
    enum detail detail;
};

static void collect_windows(const struct bh_supervisor *supervisor, struct all_windows *all)
{
    all->count = 0;
    for (uint32_t g = 0; g < supervisor->platform->guest_count; g++) {
        const struct bh_supervised *guest = &supervisor->guests[g];
        for (uint32_t r = 0; r < guest->layout.region_count; r++) {
            const struct bh_layout_region *region = &guest->layout.regions[r];
            if (!bh_supervised_shares(region)) {
                continue;
            }
            all->windows[all->count] = guest->windows[r];
            bh_supervised_label(guest,
                                region->kind == BH_REGION_WINDOW
                                    ? guest->guest->devices[region->device].name.text
                                    : NULL,
                                NULL, all->names[all->count], sizeof(all->names[0]));
            all->count++;
        }
    }
}

/* Sets "mapped" and "mapped_windows". */
static int set_mapped(json_t *object, const struct bh_backend *backend, struct all_windows *all)
{
    json_t *names = all->detail == DETAIL_ALL ? json_array() : NULL;
    uint64_t sum = 0;
    const struct bh_instance *instance = backend->serving;
    bool known = instance != NULL && bh_window_mapped(instance->child.pid, all->windows, all->bytes,
                                                      all->count) == BH_OK;
    for (size_t i = 0; known && i < all->count; i++) {
        sum += all->bytes[i];
        if (all->bytes[i] != 0u && names != NULL) {
            (void)json_array_append_new(names, json_string(all->names[i]));
        }
    }
    int result =
        json_object_set_new(object, "mapped", known ? json_integer((json_int_t)sum) : json_null());
    return all->detail == DETAIL_ALL ? result | json_object_set_new(object, "mapped_windows", names)
                                     : result;
}

/* JSON knows no unsigned numbers. */
static json_int_t count(uint64_t number)
{
    return number <= INT64_MAX ? (json_int_t)number : INT64_MAX;
}

static const char *backend_state(const struct bh_backend *backend)
{
    if (backend->device->left_out) {
        return "left out";
    }
    if (backend->given_up) {
        return "failed";
    }
    if (backend->serving != NULL) {
        return backend->greeted ? "running" : "starting";
    }
    return backend->next != NULL || backend->wanted ? "starting" : "ended";
}

/* Its numbers, as its gate writes them: shown, and not believed. */
static int set_gate(json_t *object, const struct bh_supervised *guest, uint32_t index)
{
    const struct bh_backend *backend = &guest->backends[index];
    struct bh_gate_counters counters = {.state = BH_GATE_WAITING};
    if (guest->gate.parent != NULL && !backend->device->left_out) {
        bh_gate_parent_counters(guest->gate.parent, bh_gate_device_of(guest->guest, index),
                                &counters);
    }
    json_t *gate =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:I}", "state",
                  bh_gate_state_name(counters.state), "requests", count(counters.requests),
                  "bytes_read", count(counters.bytes_read), "bytes_written",
                  count(counters.bytes_written), "copied", count(counters.copied), "refused",
                  count(counters.refused), "limited", count(counters.limited), "in_flight",
                  (int)counters.in_flight, "restarts", (int)backend->replacements, "stall_us",
                  count(counters.stall_us), "stall_us_max", count(counters.stall_us_max));
    return json_object_set_new(object, "gate", gate);
}

static json_t *device_status(const struct bh_supervised *guest, uint32_t index,
                             struct all_windows *all)
{
    const struct bh_backend *backend = &guest->backends[index];
    const struct bh_device_definition *device = backend->device;
    const struct bh_layout_region *window = bh_layout_window(&guest->layout, index);
    const struct bh_instance *instance = backend->serving;
    json_t *object =
        json_pack("{s:s, s:s, s:s?, s:s, s:I, s:s, s:i, s:b}", "name", device->name.text, "type",
                  bh_device_type_name(device->type.value), "resource", device->resource.text,
                  "isolation", bh_isolation_name(device->isolation.value), "window",
                  (json_int_t)(window != NULL ? window->size : 0u), "state", backend_state(backend),
                  "pid", instance != NULL ? (int)instance->child.pid : 0, "isolated",
                  instance != NULL && instance->child.isolated);
    if (object != NULL &&
        (set_gate(object, guest, index) | set_mapped(object, backend, all)) != 0) {
        json_decref(object);
        object = NULL;
    }
    return object;
}

static json_t *memory_status(const struct bh_supervised *guest)
{
    uint64_t private_bytes = 0;
    uint64_t shared_bytes = 0;
    for (uint32_t i = 0; i < guest->layout.region_count; i++) {
        const struct bh_layout_region *region = &guest->layout.regions[i];
        if (region->kind == BH_REGION_PRIVATE) {
            private_bytes += region->size;
        } else if (bh_supervised_shares(region)) {
            shared_bytes += region->size;
        }
    }
    return json_pack("{s:I, s:I}", "private", (json_int_t)private_bytes, "shared",
                     (json_int_t)shared_bytes);
}

static json_t *gate_status(const struct bh_supervised *guest)
{
    const struct bh_supervised_gate *gate = &guest->gate;
    return json_pack("{s:i, s:b, s:i}", "pid", gate->runs ? (int)gate->child.pid : 0, "ready",
                     gate->ready, "restarts", (int)gate->restarts);
}

/* NULL: they are left out. */
static json_t *devices_status(const struct bh_supervised *guest, struct all_windows *all)
{
    json_t *devices = all->detail != DETAIL_NO_DEVICES ? json_array() : NULL;
    for (uint32_t i = 0; devices != NULL && i < guest->guest->device_count; i++) {
        if (json_array_append_new(devices, device_status(guest, i, all)) != 0) {
            json_decref(devices);
            devices = NULL;
        }
    }
    return devices;
}

static json_t *guest_status(const struct bh_supervised *guest, struct all_windows *all)
{
    char engine[32] = "";
    char detail[BH_DETAIL_BYTES];
    if (guest->engine != NULL) {
        (void)snprintf(engine, sizeof(engine), "QEMU %u.%u", guest->engine->major,
                       guest->engine->minor);
    }
    pid_t pid =
        guest->machine != NULL && !guest->machine_ended ? bh_machine_pid(guest->machine) : 0;
    return json_pack(
        "{s:s, s:s, s:s, s:b, s:o, s:s, s:s, s:i, s:o, s:o, s:o*}", "name", guest->guest->name.text,
        "criticality", bh_criticality_name(guest->guest->criticality.value), "state",
        bh_supervised_state_name(guest), "ready", guest->ready, "detail",
        bh_audit_text(bh_supervised_detail(guest, detail)), "engine", engine, "accelerator",
        bh_supervised_has_kvm(guest) ? "KVM" : "TCG", "pid", (int)pid, "memory",
        memory_status(guest), "gate", gate_status(guest), "devices", devices_status(guest, all));
}

static const char *platform_state(const struct bh_supervisor *supervisor)
{
    if (supervisor->stopping) {
        return "stopping";
    }
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        if (supervisor->guests[i].state == BH_SUPERVISED_WAITING ||
            supervisor->guests[i].state == BH_SUPERVISED_STARTING) {
            return "starting";
        }
    }
    return "running";
}

static json_t *audit_status(const struct bh_supervisor *supervisor)
{
    char path[PATH_MAX + sizeof(BH_AUDIT_FILE) + 1u];
    (void)snprintf(path, sizeof(path), "%s/" BH_AUDIT_FILE, supervisor->setup->state->path);
    return json_pack("{s:o, s:I}", "path", bh_audit_text(path), "lost",
                     (json_int_t)supervisor->audit.lost);
}

char *bh_supervisor_numbers(void *context)
{
    const struct bh_supervisor *supervisor = context;
    struct bh_gate_metrics_source *sources;
    uint32_t all = 0;
    uint32_t found = 0;
    for (uint32_t g = 0; supervisor->guests != NULL && g < supervisor->platform->guest_count; g++) {
        all += supervisor->guests[g].gate.parent != NULL ? supervisor->guests[g].guest->device_count
                                                         : 0u;
    }
    sources = calloc(all > 0u ? all : 1u, sizeof(*sources));
    if (sources == NULL) {
        return NULL;
    }
    for (uint32_t g = 0; all > 0u && g < supervisor->platform->guest_count; g++) {
        const struct bh_supervised *guest = &supervisor->guests[g];
        for (uint32_t d = 0; guest->gate.parent != NULL && d < guest->guest->device_count; d++) {
            const struct bh_device_definition *device = &guest->guest->devices[d];
            if (!device->left_out) {
                sources[found].guest = guest->guest->name.text;
                sources[found].device = device->name.text;
                sources[found].mode = bh_isolation_name(device->isolation.value);
                bh_gate_parent_counters(guest->gate.parent, bh_gate_device_of(guest->guest, d),
                                        &sources[found].counters);
                found++;
            }
        }
    }
    char *text = bh_gate_metrics(sources, found);
    free(sources);
    return text;
}

/* `only` NULL: all guests. */
static json_t *guests_status(const struct bh_supervisor *supervisor,
                             const struct bh_supervised *only, struct all_windows *all)
{
    json_t *guests = json_array();
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        const struct bh_supervised *guest = &supervisor->guests[i];
        if (only == NULL || only == guest) {
            (void)json_array_append_new(guests, guest_status(guest, all));
        }
    }
    return guests;
}

static char *status_text(const struct bh_supervisor *supervisor, const struct bh_supervised *only,
                         struct all_windows *all)
{
    json_t *status = json_pack(
        "{s:s, s:i, s:o, s:s, s:I, s:s, s:o, s:o, s:o}", "platform",
        supervisor->platform->name.text, "pid", (int)getpid(), "definition",
        bh_audit_text(supervisor->platform->files[0].path), "state", platform_state(supervisor),
        "since_ms", (json_int_t)(bh_supervisor_now() - supervisor->started), "mode",
        bh_supervisor_mode(supervisor), "modes", bh_supervisor_mode_names(supervisor), "audit",
        audit_status(supervisor), "guests", guests_status(supervisor, only, all));
    char *text = status != NULL ? json_dumps(status, JSON_COMPACT) : NULL;
    json_decref(status);
    return text;
}

char *bh_supervisor_status(void *context, const char *guest, const char **why)
{
    struct bh_supervisor *supervisor = context;
    const struct bh_supervised *only = NULL;
    char *text = NULL;
    if (guest != NULL) {
        only = bh_supervisor_guest(supervisor, guest, why);
        if (only == NULL) {
            return NULL;
        }
    }
    struct all_windows *all = calloc(1, sizeof(*all));
    if (all == NULL) {
        return NULL;
    }
    collect_windows(supervisor, all);
    do {
        free(text);
        text = status_text(supervisor, only, all);
        all->detail++;
    } while (text != NULL && strlen(text) > TEXT_MAX && all->detail < DETAILS);
    free(all);
    return text;
}
