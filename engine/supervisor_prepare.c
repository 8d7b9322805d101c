/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Before the start: everything that can be refused is looked at here, for all guests, so that
 * either all of them can start or nothing is started. And the end of it: what is open is closed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "gate.h"
#include "processors.h"
#include "supervisor.h"

#define BYTES_PER_MIB ((uint64_t)1024 * 1024)

static const char host_limit[] = "host-limit";

static const char *limit_advice(int error)
{
    switch (error) {
    case BH_NO_MEMORY:
        return "the host has no memory left: end other programs";
    case BH_NO_SPACE:
        return "raise this user's limit of the size of a file (ulimit -f), which counts for memory "
               "that is shared, too";
    default:
        return "raise this user's limits of open files and pseudo-terminals (ulimit -n; "
               "/proc/sys/kernel/pty/max)";
    }
}

/* The host has not enough of something. */
static void refuse_limit(struct bh_supervised *guest, const char *what, int error)
{
    bh_diagnostics_add(guest->supervisor->diagnostics, BH_SEVERITY_ERROR, host_limit,
                       guest->guest->name.at, "%s: %s cannot be made: %s\n%s",
                       guest->guest->name.text, what, bh_error_name(error), limit_advice(error));
}

void bh_supervised_label(const struct bh_supervised *guest, const char *device, const char *port,
                         char *label, size_t size)
{
    (void)snprintf(label, size, "%s%s%s%s%s", guest->guest->name.text, device != NULL ? "/" : "",
                   device != NULL ? device : "", port != NULL ? "/" : "", port != NULL ? port : "");
}

/* ------------------------------------------------------------------------------------------------
 * memory */

static void prepare_windows(struct bh_supervised *guest)
{
    for (uint32_t i = 0; i < guest->layout.region_count; i++) {
        const struct bh_layout_region *region = &guest->layout.regions[i];
        char name[128];
        char label[BH_OUTPUT_LABEL_MAX];
        if (!bh_supervised_shares(region)) {
            continue;
        }
        bh_supervised_label(guest,
                            region->kind == BH_REGION_WINDOW
                                ? guest->guest->devices[region->device].name.text
                                : NULL,
                            NULL, label, sizeof(label));
        (void)snprintf(name, sizeof(name), "bulkhead:%s", label);
        int result = bh_window_create(&guest->windows[i], name, region->size);
        if (result != BH_OK) {
            guest->windows[i] = (struct bh_window){.fd = -1};
            refuse_limit(guest, name, result);
            return;
        }
    }
}

static void prepare_memory(struct bh_supervised *guest)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    if (bh_boot_images_open(&guest->images, supervisor->platform, guest->guest,
                            supervisor->diagnostics) != BH_OK) {
        return;
    }
    guest->images_open = true;
    if (bh_layout_make(&guest->layout, guest->guest, &guest->images, supervisor->diagnostics) !=
            BH_OK ||
        bh_machine_can_place(&guest->layout, supervisor->diagnostics) != BH_OK) {
        return;
    }
    if (guest->layout.tree.size != 0u) {
        int result = bh_device_tree_make(&guest->layout, &guest->tree, &guest->tree_bytes);
        if (result != BH_OK) {
            refuse_limit(guest, "its device tree", result);
            return;
        }
    }
    prepare_windows(guest);
}

/* ------------------------------------------------------------------------------------------------
 * devices */

static int make_terminal(struct bh_supervised *guest, struct bh_guest_terminal *terminal,
                         const char *device, const char *port, bool is_first, bool is_pty)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    char label[BH_OUTPUT_LABEL_MAX];
    bh_supervised_label(guest, is_first ? NULL : device, is_first ? NULL : port, label,
                        sizeof(label));
    const struct bh_guest_terminal_setup setup = {
        .poller = &supervisor->loop.poller,
        .output = &supervisor->output,
        .device = device,
        .port = port,
        .label = label,
        .colour = guest->colour,
        .words = &guest->words,
        .is_pty = is_pty,
        .awaited = guest->guest->ready_when.message.text,
        .came = bh_supervised_sign_seen,
        .context = guest,
    };
    return bh_guest_terminal_init(terminal, &setup);
}

static int prepare_ports(struct bh_supervised *guest, struct bh_backend *backend, bool is_first)
{
    const struct bh_device_definition *device = backend->device;
    uint32_t count = 1u + device->ports.count;
    backend->terminals = calloc(count, sizeof(*backend->terminals));
    if (backend->terminals == NULL) {
        return BH_NO_MEMORY;
    }
    backend->terminal_count = count;
    for (uint32_t i = 0; i < count; i++) {
        int result = make_terminal(guest, &backend->terminals[i], device->name.text,
                                   i == 0u ? NULL : device->ports.names[i - 1u].text,
                                   is_first && i == 0u, true);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static void check_program(const struct bh_supervised *guest,
                          const struct bh_device_definition *device)
{
    struct bh_backend_command command = {.count = 0};
    struct bh_supervisor *supervisor = guest->supervisor;
    int result = bh_backend_program(&command, supervisor->setup->daemons, device->type.value);
    if (result != BH_OK || access(command.program, X_OK) != 0) {
        bh_diagnostics_add(supervisor->diagnostics, BH_SEVERITY_ERROR, "backend-missing",
                           device->type.at,
                           "the program %s cannot be started: there is none in %s\ninstall all of "
                           "Bulkhead's programs into one folder, or run the one of the build",
                           command.name, supervisor->setup->daemons);
    }
}

static void prepare_page(struct bh_supervised *guest, struct bh_backend *backend)
{
    int result = bh_supervised_make_page(guest, backend);
    if (result == BH_UNSUPPORTED) {
        bh_diagnostics_add(guest->supervisor->diagnostics, BH_SEVERITY_ERROR, host_limit,
                           backend->device->name.at,
                           "%s/%s: what it may do cannot be told to its back end: this kernel has "
                           "no memory that others can only read\n"
                           "run it on Linux 5.1 or newer",
                           guest->guest->name.text, backend->device->name.text);
    } else if (result != BH_OK) {
        refuse_limit(guest, "the page that says what a back end may do", result);
    }
}

static void prepare_device(struct bh_supervised *guest, struct bh_backend *backend)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    check_program(guest, backend->device);
    (void)bh_resource_open(&backend->resource, supervisor->platform, guest->guest, backend->device,
                           supervisor->diagnostics); /* what is wrong is in the diagnostics */
    if (backend->device->uses != NULL) {
        prepare_page(guest, backend);
    }
}

static void prepare_devices(struct bh_supervised *guest)
{
    bool have_terminal = false;
    int result = BH_OK;
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        struct bh_backend *backend = &guest->backends[i];
        if (backend->device->left_out) {
            continue;
        }
        prepare_device(guest, backend);
        if (backend->device->type.value == BH_DEVICE_CONSOLE && result == BH_OK) {
            result = prepare_ports(guest, backend, !have_terminal);
            have_terminal = true;
        }
    }
    if (result == BH_OK) {
        result = make_terminal(guest, &guest->uart, "uart", NULL, !have_terminal, false);
    }
    if (result != BH_OK) {
        refuse_limit(guest, "a terminal", result);
    }
}

/* With what is there by now; what is missing was said. */
static void prepare_gate(struct bh_supervised *guest)
{
    struct bh_supervisor *supervisor = guest->supervisor;
    char program[PATH_MAX];
    if (bh_diagnostics_errors(supervisor->diagnostics) > 0u) {
        return;
    }
    int result = bh_gate_program(supervisor->setup->daemons, program, sizeof(program));
    if (result != BH_OK) {
        bh_diagnostics_add(
            supervisor->diagnostics, BH_SEVERITY_ERROR, "backend-missing", guest->guest->name.at,
            "the program " BH_GATE_PROGRAM " cannot be started: there is none in %s\n"
            "install all of Bulkhead's programs into one folder, or run the one of "
            "the build",
            supervisor->setup->daemons);
        return;
    }
    result = bh_supervised_make_gate(guest);
    if (result != BH_OK) {
        refuse_limit(guest, "what its gate is started with", result);
    }
}

/* Everything that finish looks at. */
static int prepare_guest(struct bh_supervised *guest)
{
    uint32_t count = guest->guest->device_count;
    guest->backends = calloc(count > 0u ? count : 1u, sizeof(*guest->backends));
    if (guest->backends == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < BH_REGIONS_MAX; i++) {
        guest->windows[i].fd = -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        bh_backend_init(&guest->backends[i], guest->guest, &guest->guest->devices[i]);
    }
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_PREPARES);
    bh_processors_check(guest->guest, guest->supervisor->diagnostics);
    prepare_memory(guest);
    prepare_devices(guest);
    prepare_gate(guest);
    bh_timeline_guest(guest->supervisor->timeline, guest->guest, BH_GUEST_PREPARED);
    int result = bh_supervised_make_timers(guest);
    if (result != BH_OK) {
        refuse_limit(guest, "a timer", result);
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * the platform */

/* Two disks that are the same file: by another name, or by a link. */
static void check_clashes(struct bh_supervisor *supervisor)
{
    const struct bh_open_resource *seen[BH_GUESTS_MAX * BH_DEVICES_MAX];
    uint32_t count = 0;
    for (uint32_t g = 0; g < supervisor->platform->guest_count; g++) {
        const struct bh_supervised *guest = &supervisor->guests[g];
        for (uint32_t d = 0; d < guest->guest->device_count; d++) {
            const struct bh_open_resource *resource = &guest->backends[d].resource;
            for (uint32_t i = 0; i < count; i++) {
                if (bh_resource_clash(seen[i], resource)) {
                    bh_resource_clash_say(seen[i], resource, supervisor->diagnostics);
                }
            }
            seen[count] = resource;
            count++;
        }
    }
}

/* Said at once, and nothing more: memory that is used may be free by the time it is needed. */
static void check_memory(struct bh_supervisor *supervisor)
{
    uint64_t available;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        bytes += bh_layout_bytes(&supervisor->guests[i].layout);
    }
    if (bh_host_available(&available) && bytes > available) {
        bh_output_say(&supervisor->output,
                      "warning: memory and windows of all guests are %juM, and this host has %juM "
                      "to give: it may page, or end a guest [%s]\n"
                      "  end other programs, or give the guests less memory",
                      (uintmax_t)(bytes / BYTES_PER_MIB), (uintmax_t)(available / BYTES_PER_MIB),
                      "engine-memory");
    }
}

int bh_supervisor_prepare(struct bh_supervisor *supervisor)
{
    uint32_t count = supervisor->platform->guest_count;
    supervisor->guests = calloc(count > 0u ? count : 1u, sizeof(*supervisor->guests));
    if (supervisor->guests == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bh_supervised *guest = &supervisor->guests[i];
        guest->supervisor = supervisor;
        guest->guest = &supervisor->platform->guests[i];
        guest->colour = i + 1u;
        int result = prepare_guest(guest);
        if (result != BH_OK) {
            return result;
        }
    }
    check_clashes(supervisor);
    check_memory(supervisor);
    return bh_diagnostics_errors(supervisor->diagnostics) == 0u ? BH_OK : BH_INVALID;
}

/* What the others of its architecture ask of an engine is looked at with it. */
static const struct bh_guest *first_of(const struct bh_platform *platform, uint32_t arch)
{
    for (uint32_t g = 0; g < platform->guest_count; g++) {
        if (platform->guests[g].arch.value == arch) {
            return &platform->guests[g];
        }
    }
    return NULL;
}

int bh_supervisor_find_engines(struct bh_supervisor *supervisor)
{
    for (uint32_t arch = 0; arch < BH_ARCHES; arch++) {
        const struct bh_guest *guest = first_of(supervisor->platform, arch);
        if (guest == NULL) {
            continue;
        }
        int result = bh_engine_find(&supervisor->engines[arch], supervisor->platform, guest,
                                    supervisor->diagnostics);
        if (result != BH_OK) {
            return result;
        }
    }
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        struct bh_supervised *guest = &supervisor->guests[i];
        guest->engine = &supervisor->engines[guest->guest->arch.value];
    }
    return BH_OK;
}

void bh_supervised_let_go(struct bh_supervised *guest)
{
    for (uint32_t i = 0; i < BH_REGIONS_MAX; i++) {
        bh_window_close(&guest->windows[i]);
    }
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        struct bh_backend *backend = &guest->backends[i];
        if (backend->front_fd >= 0) {
            (void)close(backend->front_fd);
            backend->front_fd = -1;
        }
    }
    bh_guest_terminal_handed(&guest->uart);
    if (guest->images_open) {
        bh_boot_images_close(&guest->images);
        guest->images_open = false;
    }
    free(guest->tree);
    guest->tree = NULL;
}

void bh_supervised_finish(struct bh_supervised *guest)
{
    if (guest->backends == NULL) {
        return;
    }
    bh_machine_destroy(guest->machine);
    guest->machine = NULL;
    bh_supervised_let_go(guest);
    bh_supervised_finish_gate(guest);
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        bh_backend_finish(&guest->backends[i]);
    }
    bh_source_finish(&guest->engine_source);
    bh_guest_terminal_finish(&guest->uart);
    bh_supervised_finish_timers(guest);
    free(guest->backends);
    guest->backends = NULL;
}
