/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of the policy against what the guests have: a device without a line, a line without a
 * device, a denial of what nobody allows, more ranges than a filter holds, a disk that may lose
 * blocks and not be written.
 */
#include "bulkhead/platform_policy.h"

#include "bulkhead/error.h"
#include "check.h"

/* ------------------------------------------------------------------------------- policy-ranges */

/* So many ranges, in any order and overlapping, are never more than a filter holds: each has two
 * ends, and there is at most one piece more than there are ends. */
#define FEW_RANGES ((BH_ALLOWANCE_RANGES_MAX - 1u) / 2u)

static uint32_t count_ranges(const struct bh_lines *lines)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < lines->count; i++) {
        for (uint32_t kind = 0; kind < BH_NUMBER_KINDS; kind++) {
            count += lines->lines[i]->numbers[kind].count;
        }
    }
    return count;
}

/* The first mode in which there are too many; modes.count: none. */
static uint32_t find_too_many(const struct bh_platform *platform, const struct bh_use *use)
{
    struct bh_lines lines = bh_index_lines(platform, use->guest, use->device->uses);
    struct bh_allowance allowance;
    uint32_t mode = 0;

    if (count_ranges(&lines) <= FEW_RANGES) {
        return platform->modes.count;
    }
    while (mode < platform->modes.count &&
           bh_allowance_make(&allowance, platform, use->guest, use->device, mode) != BH_LIMIT) {
        mode++;
    }
    return mode;
}

static void check_ranges(const struct bh_reader *reader, const struct bh_platform *platform,
                         const struct bh_use *use)
{
    uint32_t mode = find_too_many(platform, use);

    if (mode < platform->modes.count) {
        BH_SAY(reader, "policy-ranges", use->device->resource.at,
               "in mode %s the policy lines of guest %s for %s make more than %u ranges,"
               " which is what a filter holds\n"
               "write fewer, larger ranges",
               platform->modes.names[mode].text, use->guest->name.text,
               use->device->uses->name.text, BH_ALLOWANCE_RANGES_MAX);
    }
}

void bh_check_policy_ranges(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        struct bh_uses uses = bh_index_uses(platform, &platform->resources[i]);

        for (uint32_t j = 0; j < uses.count; j++) {
            check_ranges(reader, platform, &uses.uses[j]);
        }
    }
}

/* ------------------------------------------------------------------------------ policy-missing */

/* What a device of a type usually may: for the line that somebody could write. */
static const char *usual(const struct bh_resource *resource)
{
    static const char *const words[BH_RESOURCE_TYPES] = {
        [BH_RESOURCE_DISK] = "allow: [read, write, flush]",
        [BH_RESOURCE_ENTROPY] = "allow: [read]",
        [BH_RESOURCE_CAN] = "allow: [receive, send], ids: [0x100-0x1ff]",
        [BH_RESOURCE_NET] = "allow: [receive, send]",
        [BH_RESOURCE_GPIO] = "allow: [read], lines: [0-3]",
        [BH_RESOURCE_I2C] = "allow: [read, write], addresses: [0x48]",
        [BH_RESOURCE_SPI] = "allow: [transfer], selects: [0]",
        [BH_RESOURCE_SENSORS] = "allow: [read], sensors: [0-2]",
        [BH_RESOURCE_CLOCK] = "allow: [read]",
        [BH_RESOURCE_SOCKETS] = "allow: [connect], ports: [1024]",
        [BH_RESOURCE_FOLDER] = "allow: [read, write]",
        [BH_RESOURCE_KEYS] = "allow: [sign, verify], keys: [1]",
        [BH_RESOURCE_RPMB] = "allow: [read, write]",
        [BH_RESOURCE_SOUND] = "allow: [play], streams: [0]",
        [BH_RESOURCE_DISPLAY] = "allow: [show]",
        [BH_RESOURCE_INPUT] = "allow: [receive]",
        [BH_RESOURCE_CAMERA] = "allow: [capture]",
        [BH_RESOURCE_CODEC] = "allow: [decode]",
        [BH_RESOURCE_HARDWARE] = "allow: [use]",
    };

    return resource->read_only.value ? "allow: [read]" : words[resource->type.value];
}

/* Whether a line allows something in words or modes that were not understood: that was said. */
static bool is_unclear(const struct bh_lines *lines)
{
    for (uint32_t i = 0; i < lines->count; i++) {
        const struct bh_policy_line *line = lines->lines[i];

        if (line->mode_mask == 0 || (line->allow.count != 0 && line->allows == 0)) {
            return true;
        }
    }
    return false;
}

/* Whether an earlier device of the guest uses the same: then it was said there. */
static bool was_before(const struct bh_guest *guest, const struct bh_device_definition *device)
{
    const struct bh_device_definition *other = guest->devices;

    while (other->uses != device->uses) {
        other++;
    }
    return other != device;
}

static void check_missing(const struct bh_reader *reader, const struct bh_platform *platform,
                          const struct bh_guest *guest, const struct bh_device_definition *device)
{
    const struct bh_use use = {guest, device};
    struct bh_lines lines;

    if (device->uses == NULL || was_before(guest, device) ||
        device->uses->type.value != bh_device_kind(device->type.value).resource) {
        return;
    }
    lines = bh_index_lines(platform, guest, device->uses);
    if (lines.count == 0) {
        BH_SAY(reader, "policy-missing", device->resource.at,
               "guest %s uses %s, and no policy line allows it anything\n"
               "add to policy: - { guest: %s, resource: %s, %s }",
               guest->name.text, device->uses->name.text, guest->name.text, device->uses->name.text,
               usual(device->uses));
        return;
    }
    if (!is_unclear(&lines) && bh_check_operations(platform, &use) == 0 &&
        find_too_many(platform, &use) == platform->modes.count) {
        BH_SAY(reader, "policy-missing", device->resource.at,
               "guest %s uses %s, and its policy lines leave it nothing in any mode\n"
               "allow it something, such as %s, or remove the device",
               guest->name.text, device->uses->name.text, usual(device->uses));
        for (uint32_t i = 0; i < lines.count; i++) {
            bh_diagnostics_note(reader->diagnostics, lines.lines[i]->at, "a line for both");
        }
    }
}

void bh_check_policy_missing(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            check_missing(reader, platform, &platform->guests[i], &platform->guests[i].devices[j]);
        }
    }
}

/* ------------------------------------------------------------------------------- policy-unused */

/* A device of the guest that uses the resource; NULL: none does. */
static const struct bh_device_definition *find_device(const struct bh_policy_line *line)
{
    for (uint32_t i = 0; i < line->of->device_count; i++) {
        if (line->of->devices[i].uses == line->to) {
            return &line->of->devices[i];
        }
    }
    return NULL;
}

void bh_check_policy_unused(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        if (line->of != NULL && line->to != NULL && find_device(line) == NULL) {
            BH_WARN(reader, "policy-unused", line->resource.at,
                    "guest %s has no device that uses %s, and this line changes nothing\n"
                    "remove the line, or give the guest a device with resource: %s",
                    line->of->name.text, line->to->name.text, line->to->name.text);
            bh_diagnostics_note(reader->diagnostics, line->of->name.at, "the guest");
        }
    }
}

/* --------------------------------------------------------------------------------- policy-deny */

static void check_deny(const struct bh_reader *reader, const struct bh_policy_line *line,
                       const uint32_t allowed[BH_MODES_MAX])
{
    uint32_t idle = line->denies;
    char words[160];

    for (uint32_t mode = 0; mode < BH_MODES_MAX; mode++) {
        if ((line->mode_mask >> mode & 1u) != 0) {
            idle &= ~allowed[mode];
        }
    }
    if (idle != 0) {
        bh_operations_text(line->to->type.value, idle, words, sizeof(words));
        BH_WARN(reader, "policy-deny", line->deny.at,
                "nothing allows guest %s %s on %s in the modes of this line, so it is denied"
                " anyway\n"
                "remove it: what no line allows is denied",
                line->of->name.text, words, line->to->name.text);
    }
}

/* The lines of one guest and one resource stand together in the index. */
static uint32_t check_pair(const struct bh_reader *reader, const struct bh_index *index,
                           uint32_t begin)
{
    uint32_t allowed[BH_MODES_MAX] = {0};
    uint32_t end = begin;

    while (end < index->line_count && index->lines[end]->of == index->lines[begin]->of &&
           index->lines[end]->to == index->lines[begin]->to) {
        for (uint32_t mode = 0; mode < BH_MODES_MAX; mode++) {
            if ((index->lines[end]->mode_mask >> mode & 1u) != 0) {
                allowed[mode] |= index->lines[end]->allows;
            }
        }
        end++;
    }
    for (uint32_t i = begin; i < end; i++) {
        check_deny(reader, index->lines[i], allowed);
    }
    return end;
}

void bh_check_policy_deny(struct bh_reader *reader, struct bh_platform *platform)
{
    uint32_t next = 0;

    while (next < platform->index->line_count) {
        next = check_pair(reader, platform->index, next);
    }
}

/* ------------------------------------------------------------------------------ policy-discard */

/* The first line that allows some of it. */
static const struct bh_policy_line *find_line(const struct bh_lines *lines, uint32_t operations)
{
    for (uint32_t i = 0; i < lines->count; i++) {
        if ((lines->lines[i]->allows & operations) != 0) {
            return lines->lines[i];
        }
    }
    return NULL;
}

static void check_discard(const struct bh_reader *reader, const struct bh_platform *platform,
                          const struct bh_use *use)
{
    const uint32_t losing = BH_DISK_DISCARD | BH_DISK_ERASE;
    uint32_t allowed = bh_check_operations(platform, use);
    struct bh_lines lines = bh_index_lines(platform, use->guest, use->device->uses);
    const struct bh_policy_line *line = find_line(&lines, losing);

    if ((allowed & losing) != 0 && (allowed & BH_DISK_WRITE) == 0 && line != NULL) {
        BH_SAY(reader, "policy-discard", line->allow.at,
               "guest %s may take blocks away from %s, and never write it\n"
               "add write, or remove discard and erase: a disk that is read only keeps what it has",
               use->guest->name.text, use->device->uses->name.text);
    }
}

void bh_check_policy_discard(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        struct bh_uses uses = bh_index_uses(platform, resource);

        for (uint32_t j = 0; resource->type.value == BH_RESOURCE_DISK && j < uses.count; j++) {
            check_discard(reader, platform, &uses.uses[j]);
        }
    }
}
