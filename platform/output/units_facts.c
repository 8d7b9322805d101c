/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a unit follows from the definition: files and devices with their rights, sums, CPUs. A
 * device that is left out has no back end, and needs nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_policy.h"
#include "bulkhead/platform_unit.h"
#include "output_path.h"
#include "platform/layout/layout_check.h"
#include "units.h"

#define MSECS_PER_SEC UINT64_C(1000)
#define MIB           (UINT64_C(1) << 20)

/* Descriptors of the supervisor: its own, of a guest (images, terminals, timers, its engine, its gate),
 * of a device (both parts of its window, the gate's memory for it, sockets, two processes with their
 * output), of a queue (what it keeps for the gate), of a console's port. */
#define OWN_FDS    256u
#define GUEST_FDS  48u
#define DEVICE_FDS 40u
#define QUEUE_FDS  3u
#define PORT_FDS   4u

#define RING_BYTES    (64u * MIB)
#define HOST_CPUS_MAX 1024u /* the schema has no higher number */

/* ------------------------------------------------------------------------------------------------
 * paths */

/* Where `path` leads to, without "." and "..": links are not followed. In place. */
static void normalise(char *path)
{
    size_t length = 0;

    for (const char *at = path; *at != '\0';) {
        const size_t name = strcspn(at, "/");

        if (name == 2 && at[0] == '.' && at[1] == '.') {
            while (length > 0 && path[--length] != '/') {
            }
        } else if (name > 1 || (name == 1 && at[0] != '.')) {
            path[length++] = '/';
            memmove(path + length, at, name);
            length += name;
        }
        at += name + (at[name] == '/' ? 1 : 0);
    }
    if (length == 0) {
        path[length++] = '/';
    }
    path[length] = '\0';
}

/* A path as it is on the host that runs the platform. Allocated; NULL: no memory, or too long. */
static char *host_path(const struct bh_platform *platform, const struct bh_text *text)
{
    char path[BH_OUTPUT_PATH_BYTES];
    char *whole = NULL;

    if (bh_output_path(platform, text, path) != BH_OK) {
        return NULL;
    }
    if (asprintf(&whole, "%s%s/%s", path[0] == '/' ? "" : BH_UNIT_FOLDER,
                 path[0] == '/' ? "" : platform->name.text, path) < 0) {
        return NULL;
    }
    normalise(whole);
    return whole;
}

static bool is_below(const char *path, const char *folder)
{
    const size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* What the sandbox would hide. */
static void note_place(struct bh_unit_facts *facts, const char *path)
{
    facts->uses_home = facts->uses_home || is_below(path, "/home") || is_below(path, "/root") ||
                       is_below(path, "/run/user");
    facts->uses_tmp = facts->uses_tmp || is_below(path, "/tmp") || is_below(path, "/var/tmp");
}

/* What of a resource is a path; NULL: nothing. */
static const struct bh_text *resource_path(const struct bh_resource *resource)
{
    const struct bh_text *const paths[] = {&resource->image, &resource->source, &resource->device,
                                           &resource->folder};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (paths[i]->text != NULL) {
            return paths[i];
        }
    }
    return NULL;
}

static bool add_path(struct bh_unit_facts *facts, const struct bh_platform *platform,
                     const struct bh_resource *resource, uint32_t rights)
{
    const struct bh_text *text = resource_path(resource);

    if (text == NULL) {
        return true;
    }
    struct bh_unit_path *path = &facts->paths[facts->path_count];

    *path = (struct bh_unit_path){.resource = resource->name.text,
                                  .path = host_path(platform, text),
                                  .is_disk = resource->type.value == BH_RESOURCE_DISK,
                                  .writable = (rights & BH_RIGHT_WRITE) != 0};
    if (path->path == NULL) {
        return false;
    }
    path->is_device = is_below(path->path, "/dev");
    note_place(facts, path->path);
    facts->path_count++;
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * resources */

static void note_kind(struct bh_unit_facts *facts, const struct bh_resource *resource)
{
    switch (resource->type.value) {
    case BH_RESOURCE_CAN:
        facts->uses_can = facts->uses_can || strcmp(resource->bus.text, "virtual") != 0;
        break;
    case BH_RESOURCE_NET:
        facts->uses_net = true;
        break;
    case BH_RESOURCE_CLOCK:
        facts->uses_clock = true;
        break;
    case BH_RESOURCE_HARDWARE:
        facts->locks_memory = true;
        break;
    default:
        break;
    }
    facts->uses_network = facts->uses_can || facts->uses_net;
}

#define UNUSED UINT32_MAX

/* The rights that each resource is opened with, in any mode; UNUSED: it is not opened. */
static void collect_rights(const struct bh_platform *platform, uint32_t *rights)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        rights[i] = UNUSED;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        for (uint32_t d = 0; d < guest->device_count; d++) {
            const struct bh_resource *uses = guest->devices[d].uses;

            if (uses == NULL || guest->devices[d].left_out) {
                continue;
            }
            uint32_t *sum = &rights[uses - platform->resources];

            *sum = (*sum == UNUSED ? 0 : *sum) |
                   bh_policy_rights(uses->type.value,
                                    bh_policy_operations(platform, guest, uses, BH_MODES_ALL));
        }
    }
}

static bool collect_paths(struct bh_unit_facts *facts, const struct bh_platform *platform)
{
    uint32_t *rights = calloc((size_t)platform->resource_count + 1u, sizeof(*rights));
    bool good = rights != NULL;

    facts->paths = calloc((size_t)platform->resource_count + 1u, sizeof(*facts->paths));
    good = good && facts->paths != NULL;
    if (good) {
        collect_rights(platform, rights);
    }
    for (uint32_t i = 0; good && i < platform->resource_count; i++) {
        if (rights[i] != UNUSED) {
            note_kind(facts, &platform->resources[i]);
            good = add_path(facts, platform, &platform->resources[i], rights[i]);
        }
    }
    free(rights);
    return good;
}

/* ------------------------------------------------------------------------------------------------
 * guests */

/* What the gate has for a device. */
static uint64_t device_memory(const struct bh_device_definition *device)
{
    if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        return 0;
    }
    switch (device->isolation.value) {
    case BH_ISOLATION_SHADOW:
        return BH_UNIT_RINGS_MIB * MIB;
    case BH_ISOLATION_BOUNCE:
        return BH_UNIT_COPIES_MIB * MIB;
    default:
        return 0;
    }
}

static void add_guest(struct bh_unit_facts *facts, const struct bh_guest *guest)
{
    const uint64_t seconds = (guest->stop_within.value + MSECS_PER_SEC - 1u) / MSECS_PER_SEC;

    facts->stop_seconds = seconds > facts->stop_seconds ? seconds : facts->stop_seconds;
    facts->restarts =
        facts->restarts || guest->on_reset.value == BH_ON_RESET_RESTART ||
        (guest->watchdog.given && guest->watchdog.action.value == BH_WATCHDOG_RESTART);
    facts->guest_memory += guest->memory.value;
    facts->descriptors += GUEST_FDS;
    for (uint32_t d = 0; d < guest->device_count; d++) {
        facts->guest_memory += guest->devices[d].window.value;
        facts->descriptors += DEVICE_FDS +
                              QUEUE_FDS * (uint32_t)bh_device_queues(&guest->devices[d]) +
                              PORT_FDS * guest->devices[d].ports.count;
        facts->gate_memory += device_memory(&guest->devices[d]);
        facts->device_count++;
    }
    facts->gate_memory += guest->device_count > 0 ? BH_UNIT_GATE_MIB * MIB : 0;
}

static void sum_up(struct bh_unit_facts *facts, const struct bh_platform *platform)
{
    uint64_t engine = (uint64_t)BH_UNIT_ENGINE_MIB * MIB;

    facts->emulates = platform->engine.accelerator.value != BH_ACCELERATOR_KVM;
    facts->uses_kvm = platform->engine.accelerator.value != BH_ACCELERATOR_TCG;
    facts->descriptors = OWN_FDS;
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        add_guest(facts, &platform->guests[i]);
    }
    engine += facts->emulates ? BH_UNIT_TRANSLATED_MIB * MIB : 0;
    facts->guest_memory = (facts->guest_memory + MIB - 1u) / MIB * MIB;
    facts->memory = facts->guest_memory + facts->gate_memory + platform->guest_count * engine +
                    (uint64_t)facts->device_count * BH_UNIT_BACKEND_MIB * MIB +
                    BH_UNIT_SUPERVISOR_MIB * MIB;
    facts->locked = RING_BYTES + (facts->locks_memory ? facts->guest_memory : 0);
}

/* ------------------------------------------------------------------------------------------------
 * CPUs */

static void add_cpus(uint8_t *used, const struct bh_ranges *ranges)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        for (uint32_t cpu = ranges->ranges[i].first;
             cpu <= ranges->ranges[i].last && cpu < HOST_CPUS_MAX; cpu++) {
            used[cpu] = 1;
        }
    }
}

/* The CPUs of all guests, if each has some of its own. */
static void collect_cpus(struct bh_unit_facts *facts, const struct bh_platform *platform)
{
    uint8_t used[HOST_CPUS_MAX + 1u] = {0};
    size_t length = 0;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        if (platform->guests[i].host_cpus.count == 0) {
            return;
        }
        add_cpus(used, &platform->guests[i].host_cpus);
    }
    for (uint32_t cpu = 0; cpu < HOST_CPUS_MAX; cpu++) {
        const uint32_t first = cpu;

        while (used[cpu] != 0) {
            cpu++;
        }
        if (cpu > first && length + 16u < sizeof(facts->cpus)) {
            length += (size_t)snprintf(facts->cpus + length, sizeof(facts->cpus) - length,
                                       cpu - 1u > first ? "%s%u-%u" : "%s%u", length > 0 ? " " : "",
                                       first, cpu - 1u);
        }
    }
}

bool bh_unit_facts_make(struct bh_unit_facts *facts, const struct bh_platform *platform, bool image)
{
    const char *path = platform->files[0].path;
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

    *facts = (struct bh_unit_facts){.file = NULL};
    if (asprintf(&facts->file, BH_UNIT_FOLDER "%s/%s%s", platform->name.text,
                 image ? platform->name.text : name, image ? ".image" : "") < 0) {
        facts->file = NULL;
        return false;
    }
    if (!collect_paths(facts, platform)) {
        return false;
    }
    sum_up(facts, platform);
    collect_cpus(facts, platform);
    return true;
}

void bh_unit_facts_finish(struct bh_unit_facts *facts)
{
    for (uint32_t i = 0; i < facts->path_count; i++) {
        free(facts->paths[i].path);
    }
    free(facts->paths);
    free(facts->file);
}
