/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a gate guards (gate.h).
 */
#include "gate.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/bytes.h"
#include "bulkhead/error.h"
#include "bulkhead/platform_policy.h"
#include "bulkhead/virtio_blk.h"
#include "bulkhead/virtio_console.h"

#define QUEUE_SIZE_MAX 1024u
#define MIB            (UINT64_C(1) << 20)
#define ARENA_COPIES   (UINT64_C(16) * MIB) /* for copies, where all data is copied */
#define ARENA_RESERVE  (UINT64_C(4) * MIB)  /* where hardly any is */
#define ARENA_ENTRY    64u /* bytes of an entry of a ring, its share of tables included */
#define SECTOR_BYTES   512u
#define ENGINE_PLACES  (UINT64_C(1) << 40) /* no guest memory lies above */

static const uint32_t modes[] = {
    [BH_ISOLATION_DIRECT] = BH_GATE_DIRECT,
    [BH_ISOLATION_SHADOW] = BH_GATE_SHADOW,
    [BH_ISOLATION_BOUNCE] = BH_GATE_BOUNCE,
    [BH_ISOLATION_OPEN] = BH_GATE_OPEN,
};

/* ------------------------------------------------------------------------------------------------
 * devices of the gate and of the guest */

uint32_t bh_gate_device_of(const struct bh_guest *guest, uint32_t index)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < index; i++) {
        count += guest->devices[i].left_out ? 0u : 1u;
    }
    return guest->devices[index].left_out ? BH_GATE_NO_DEVICE : count;
}

uint32_t bh_gate_device_is(const struct bh_guest *guest, uint32_t index)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (bh_gate_device_of(guest, i) == index) {
            return i;
        }
    }
    return BH_GATE_NO_DEVICE;
}

static uint16_t queue_count(const struct bh_device_definition *device)
{
    switch (device->type.value) {
    case BH_DEVICE_BLK:
        return (uint16_t)device->queues.value;
    case BH_DEVICE_CONSOLE:
        /* More ports than one bring two queues each, and two for control. */
        return (uint16_t)(device->ports.count == 0u ? 2u : 2u * (device->ports.count + 2u));
    default:
        return (uint16_t)bh_device_kind(device->type.value).queues;
    }
}

static uint64_t arena_size(uint32_t mode, uint16_t queues)
{
    uint64_t rings = (uint64_t)queues * QUEUE_SIZE_MAX * ARENA_ENTRY;
    uint64_t whole = (rings + MIB - 1u) / MIB * MIB;
    if (mode == BH_GATE_BOUNCE) {
        return whole + ARENA_COPIES;
    }
    return mode == BH_GATE_SHADOW ? whole + ARENA_RESERVE : 0u;
}

/* What the definition knows of the configuration space: a back end that shows something else is not
 * the one that it should be. */
static void expect_bytes(struct bh_gate_device *to, size_t offset, const void *bytes, size_t size)
{
    memcpy(to->config + offset, bytes, size);
    memset(to->config_mask + offset, UINT8_MAX, size);
}

static void expect_config(struct bh_gate_device *to, const struct bh_device_definition *device,
                          uint64_t disk_bytes)
{
    const uint64_t capacity = BH_LE64(disk_bytes / SECTOR_BYTES);
    const uint16_t queues = BH_LE16((uint16_t)device->queues.value);
    if (device->type.value == BH_DEVICE_CONSOLE) {
        to->config_size = (uint32_t)sizeof(struct bh_console_config);
    }
    if (device->type.value != BH_DEVICE_BLK) {
        return;
    }
    to->config_size = (uint32_t)sizeof(struct bh_blk_config);
    expect_bytes(to, offsetof(struct bh_blk_config, capacity), &capacity, sizeof(capacity));
    if (device->queues.value > 1u) { /* one alone is not shown */
        expect_bytes(to, offsetof(struct bh_blk_config, num_queues), &queues, sizeof(queues));
    }
}

static void allowance_of(struct bh_allowance *allowance, const struct bh_platform *platform,
                         const struct bh_guest *guest, const struct bh_device_definition *device,
                         uint32_t mode)
{
    if (bh_allowance_make(allowance, platform, guest, device, mode) != BH_OK) {
        *allowance = (struct bh_allowance){.operations = 0}; /* refused before the run (rules.h) */
    }
}

/* It cannot change while the gate runs: the longest of all modes. 0: there is none. */
static uint32_t deadline(const struct bh_gate_parts *parts,
                         const struct bh_device_definition *device)
{
    struct bh_allowance allowance;
    uint64_t longest = 0;
    for (uint32_t mode = 0; mode < parts->platform->modes.count; mode++) {
        allowance_of(&allowance, parts->platform, parts->layout->guest, device, mode);
        if (allowance.deadline_ms == 0u) {
            return 0;
        }
        longest = allowance.deadline_ms > longest ? allowance.deadline_ms : longest;
    }
    return longest < UINT32_MAX ? (uint32_t)longest : UINT32_MAX;
}

static void device_make(struct bh_gate_device *to, const struct bh_gate_parts *parts,
                        uint32_t index)
{
    const struct bh_guest *guest = parts->layout->guest;
    const struct bh_device_definition *device = &guest->devices[index];
    (void)snprintf(to->name, sizeof(to->name), "%s/%s", guest->name.text, device->name.text);
    to->type = bh_device_kind(device->type.value).virtio_id;
    to->mode = modes[device->isolation.value];
    to->queue_count = queue_count(device);
    to->queue_size_max = QUEUE_SIZE_MAX;
    to->deadline_ms = deadline(parts, device);
    to->feature_mask = UINT64_MAX;
    to->arena_size = arena_size(to->mode, to->queue_count);
    to->restores = 1;
    expect_config(to, device, parts->disk_bytes[index]);
}

/* ------------------------------------------------------------------------------------------------
 * memory */

/* A bit for each device of the gate that uses all RAM of its guest; `shared`: that maps it. */
static uint64_t ram_users(const struct bh_gate_setup *setup, bool shared)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < setup->device_count; i++) {
        uint32_t mode = setup->devices[i].mode;
        if (mode == BH_GATE_OPEN || (mode == BH_GATE_BOUNCE && !shared)) {
            bits |= UINT64_C(1) << i;
        }
    }
    return bits;
}

static void file_make(struct bh_gate_file *file, const struct bh_gate_setup *setup,
                      const struct bh_gate_parts *parts, uint32_t index)
{
    const struct bh_layout_region *region = &parts->layout->regions[index];
    const struct bh_window *window = &parts->windows[index];
    *file = (struct bh_gate_file){
        .address = region->address,
        .size = region->size,
        .device = (uint64_t)window->device,
        .inode = (uint64_t)window->inode,
        .sealed = 1,
    };
    if (parts->layout->tree.size == 0u) {
        /* The engine places it, in pieces around what its machine has at fixed addresses. */
        file->address = 0;
        file->size = ENGINE_PLACES;
    }
    if (region->kind == BH_REGION_SHARED) {
        file->users = ram_users(setup, false);
        file->shared = ram_users(setup, true);
    } else {
        uint32_t device = bh_gate_device_of(parts->layout->guest, region->device);
        file->users = device < BH_GATE_DEVICES_MAX ? UINT64_C(1) << device : 0u;
        file->shared = region->rings ? 0u : file->users;
    }
}

int bh_gate_setup_make(struct bh_gate_setup *setup, const struct bh_gate_parts *parts)
{
    const struct bh_layout *layout = parts->layout;
    const struct bh_guest *guest = layout->guest;
    memset(setup, 0, sizeof(*setup));
    (void)snprintf(setup->guest, sizeof(setup->guest), "%s", guest->name.text);
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (guest->devices[i].left_out) {
            continue;
        }
        if (setup->device_count == BH_GATE_DEVICES_MAX) {
            return BH_LIMIT;
        }
        device_make(&setup->devices[setup->device_count], parts, i);
        setup->device_count++;
    }
    for (uint32_t i = 0; i < layout->region_count; i++) {
        if (layout->regions[i].kind != BH_REGION_WINDOW &&
            layout->regions[i].kind != BH_REGION_SHARED) {
            continue;
        }
        if (setup->file_count == BH_GATE_FILES_MAX) {
            return BH_LIMIT;
        }
        file_make(&setup->files[setup->file_count], setup, parts, i);
        setup->file_count++;
    }
    return setup->device_count > 0u ? BH_OK : BH_INVALID;
}

/* ------------------------------------------------------------------------------------------------
 * what the mode says */

void bh_gate_limits_make(struct bh_gate_limits *limits, const struct bh_platform *platform,
                         const struct bh_guest *guest, const struct bh_device_definition *device,
                         uint32_t mode)
{
    struct bh_allowance allowance;
    allowance_of(&allowance, platform, guest, device, mode);
    *limits = (struct bh_gate_limits){
        .operations_per_second = allowance.operations_per_second,
        .bytes_per_second = allowance.bytes_per_second,
    };
}

uint64_t bh_gate_restarts(const struct bh_platform *platform, const struct bh_guest *guest,
                          const struct bh_device_definition *device, uint32_t mode)
{
    struct bh_allowance allowance;
    allowance_of(&allowance, platform, guest, device, mode);
    return allowance.restarts_per_minute;
}

/* ------------------------------------------------------------------------------------------------
 * its program */

int bh_gate_program(const char *daemons, char *path, size_t size)
{
    static const char *const places[] = {"", "/../gate"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int length = snprintf(path, size, "%s%s/" BH_GATE_PROGRAM, daemons, places[i]);
        if (length < 0 || (size_t)length >= size) {
            return BH_LIMIT;
        }
        if (access(path, X_OK) == 0) {
            return BH_OK;
        }
    }
    return BH_GONE;
}
