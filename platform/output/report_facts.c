/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What several parts of the report need: each device with what it may do, and short texts for
 * modes, numbers and places. It writes nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "report.h"

/* ------------------------------------------------------------------------------------------------
 * links */

static uint32_t flows_of(uint32_t resource_type, uint32_t operations)
{
    const struct bh_operation *operation;
    uint32_t flows = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        if ((operations & operation->bit) != 0) {
            flows |= operation->flows;
        }
    }
    return flows;
}

static bool is_same(const struct bh_allowance *a, const struct bh_allowance *b)
{
    return a->operations == b->operations && a->range_count == b->range_count &&
           a->operations_per_second == b->operations_per_second &&
           a->bytes_per_second == b->bytes_per_second && a->deadline_ms == b->deadline_ms &&
           a->restarts_per_minute == b->restarts_per_minute &&
           memcmp(a->ranges, b->ranges, a->range_count * sizeof(a->ranges[0])) == 0;
}

/* `scratch` has room for an allowance in each mode. */
static void link_fill(const struct bh_report *report, struct bh_report_link *link,
                      struct bh_allowance *scratch)
{
    const struct bh_resource *resource = link->device->uses;

    for (uint32_t mode = 0; mode < report->mode_count && resource != NULL; mode++) {
        uint32_t flows;
        uint32_t first = 0;

        (void)bh_allowance_make(&scratch[mode], report->platform, link->guest, link->device, mode);
        while (!is_same(&scratch[first], &scratch[mode])) {
            first++;
        }
        link->same[mode] = (uint8_t)first;
        link->operations |= scratch[mode].operations;
        flows = flows_of(resource->type.value, scratch[mode].operations);
        link->to_guest |= (flows & BH_FLOW_TO_GUEST) != 0 ? 1u << mode : 0u;
        link->to_resource |= (flows & BH_FLOW_TO_RESOURCE) != 0 ? 1u << mode : 0u;
    }
}

static void links_fill(struct bh_report *report, struct bh_allowance *scratch)
{
    const struct bh_platform *platform = report->platform;
    uint32_t count = 0;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        report->first[i] = count;
        for (uint32_t j = 0; j < guest->device_count; j++) {
            struct bh_report_link *link = &report->links[count++];

            link->guest = guest;
            link->device = &guest->devices[j];
            link->guest_index = i;
            link->device_index = j;
            link->resource = link->device->uses == NULL
                                 ? BH_REPORT_NONE
                                 : (uint32_t)(link->device->uses - platform->resources);
            link_fill(report, link, scratch);
        }
        report->open_guests += bh_guest_has_open(guest) ? 1u : 0u;
        report->gated_guests += bh_guest_is_open(guest) && !bh_guest_has_open(guest) ? 1u : 0u;
    }
    report->first[platform->guest_count] = count;
}

/* In how many assertions some mode goes wrong. */
static int violated_count(struct bh_report *report)
{
    struct bh_flow_path *path = malloc(sizeof(*path));
    int result = path == NULL ? BH_NO_MEMORY : BH_OK;

    for (uint32_t i = 0; i < report->platform->assertion_count && result == BH_OK; i++) {
        const struct bh_assertion *assertion = &report->platform->assertions[i];
        enum bh_verdict verdict = BH_VERDICT_HOLDS;
        char why[BH_WHY_BYTES];

        for (uint32_t mode = 0; mode < report->mode_count && result == BH_OK; mode++) {
            if ((assertion->mode_mask >> mode & 1u) != 0 && verdict == BH_VERDICT_HOLDS) {
                result = bh_assertion_decide(&verdict, path, why, report->flow, assertion, mode);
            }
        }
        report->violated += verdict == BH_VERDICT_VIOLATED ? 1u : 0u;
    }
    free(path);
    return result;
}

int bh_report_facts(struct bh_report *report)
{
    const struct bh_platform *platform = report->platform;
    const char *path = platform->file_count > 0 ? platform->files[0].path : "";
    const char *slash = strrchr(path, '/');
    struct bh_allowance *scratch;

    report->base = path;
    report->base_length = slash == NULL ? 0 : (size_t)(slash + 1 - path);
    report->mode_count = platform->modes.count;
    report->all_modes = (1u << report->mode_count) - 1u;
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        report->link_count += platform->guests[i].device_count;
    }
    report->links = calloc(report->link_count + 1u, sizeof(*report->links));
    scratch = calloc(report->mode_count, sizeof(*scratch));
    if (report->links == NULL || scratch == NULL) {
        free(scratch);
        return BH_NO_MEMORY;
    }
    links_fill(report, scratch);
    free(scratch);
    return violated_count(report);
}

/* ------------------------------------------------------------------------------------------------
 * texts */

/* Adds to what stands in `to` already. */
static void add(char *to, size_t size, const char *between, const char *text)
{
    const size_t used = strlen(to);

    (void)snprintf(to + used, size - used, "%s%s", used == 0 ? "" : between, text);
}

void bh_report_modes(const struct bh_report *report, uint32_t modes, char *to, size_t size)
{
    to[0] = '\0';
    for (uint32_t i = 0; i < report->mode_count; i++) {
        if ((modes >> i & 1u) != 0) {
            add(to, size, ", ", report->platform->modes.names[i].text);
        }
    }
}

uint32_t bh_report_same(const struct bh_report *report, const struct bh_report_link *link,
                        uint32_t mode)
{
    uint32_t modes = 0;

    for (uint32_t i = 0; i < report->mode_count; i++) {
        modes |= link->same[i] == link->same[mode] ? 1u << i : 0u;
    }
    return modes;
}

struct bh_report_number bh_report_number(enum bh_number_kind kind, uint32_t value)
{
    struct bh_report_number number;

    if (kind == BH_NUMBERS_IDS) {
        (void)snprintf(number.text, sizeof(number.text), "0x%03" PRIx32, value);
    } else if (kind == BH_NUMBERS_ADDRESSES) {
        (void)snprintf(number.text, sizeof(number.text), "0x%02" PRIx32, value);
    } else {
        (void)snprintf(number.text, sizeof(number.text), "%" PRIu32, value);
    }
    return number;
}

/* The numbers that an operation is allowed for, behind its name. */
static void add_ranges(const struct bh_allowance *allowance, enum bh_number_kind kind, uint32_t bit,
                       uint32_t most, char *to, size_t size)
{
    char text[48];
    uint32_t count = 0;

    for (uint32_t i = 0; i < allowance->range_count; i++) {
        const struct bh_allowed_range *range = &allowance->ranges[i];

        if ((range->operations & bit) == 0) {
            continue;
        }
        if (count < most) {
            (void)snprintf(text, sizeof(text), "%s%s%s", bh_report_number(kind, range->first).text,
                           range->first == range->last ? "" : "-",
                           range->first == range->last ? ""
                                                       : bh_report_number(kind, range->last).text);
            add(to, size, count == 0 ? " " : ", ", text);
        }
        count++;
    }
    if (count > most) {
        (void)snprintf(text, sizeof(text), "%" PRIu32 " more", count - most);
        add(to, size, " and ", text);
    }
}

/* The operations that are allowed for the same numbers as `bit` is. */
static uint32_t alike(const struct bh_allowance *allowance, uint32_t bit)
{
    uint32_t operations = allowance->operations;

    for (uint32_t i = 0; i < allowance->range_count; i++) {
        const uint32_t range = allowance->ranges[i].operations;

        operations &= (range & bit) != 0 ? range : ~range;
    }
    return operations;
}

void bh_report_allowed(const struct bh_report *report, const struct bh_report_link *link,
                       uint32_t mode, uint32_t ranges, char *to, size_t size)
{
    const struct bh_resource *resource = link->device->uses;
    struct bh_allowance allowance;
    const struct bh_operation *operation;
    uint32_t done = 0;
    char words[160];

    to[0] = '\0';
    if (resource == NULL) {
        add(to, size, "", "its terminal, which the supervisor holds");
        return;
    }
    (void)bh_allowance_make(&allowance, report->platform, link->guest, link->device, mode);
    for (size_t i = 0; (operation = bh_operation_at(resource->type.value, i)) != NULL; i++) {
        const uint32_t bit = operation->bit;
        const uint32_t group = alike(&allowance, bit);

        if ((allowance.operations & bit) == 0 || (done & bit) != 0) {
            continue;
        }
        done |= group;
        bh_operations_text(resource->type.value, group, words, sizeof(words));
        add(to, size, "; ", words);
        add_ranges(&allowance, bh_resource_numbers(resource->type.value), bit, ranges, to, size);
    }
    if (done == 0) {
        add(to, size, "", "nothing");
    }
}

bool bh_report_is_loose(const struct bh_resource *resource)
{
    return resource->type.value == BH_RESOURCE_HARDWARE && resource->dma.value &&
           !resource->iommu.value && resource->users > 0;
}

const struct bh_resource *bh_report_loose(const struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        if (bh_report_is_loose(&platform->resources[i])) {
            return &platform->resources[i];
        }
    }
    return NULL;
}

bool bh_report_has_process(const struct bh_device_definition *device)
{
    return !device->left_out && device->type.value != BH_DEVICE_PASSTHROUGH;
}

const char *bh_report_file(const struct bh_report *report, const char *path)
{
    return strncmp(path, report->base, report->base_length) == 0 ? path + report->base_length
                                                                 : path;
}

struct bh_report_place bh_report_place(const struct bh_report *report, struct bh_origin at)
{
    struct bh_report_place place = {""};

    if (at.line != 0 && at.file < report->platform->file_count) {
        (void)snprintf(place.text, sizeof(place.text), "%s:%" PRIu32,
                       bh_report_file(report, report->platform->files[at.file].path), at.line);
    }
    return place;
}

void bh_report_cpus(const struct bh_guest *guest, char *to, size_t size)
{
    char text[32];

    (void)snprintf(to, size, "%" PRIu64 " CPU%s", guest->cpus.value,
                   guest->cpus.value == 1 ? "" : "s");
    for (uint32_t i = 0; i < guest->host_cpus.count; i++) {
        const struct bh_range *range = &guest->host_cpus.ranges[i];

        if (range->first == range->last) {
            (void)snprintf(text, sizeof(text), "%" PRIu32, range->first);
        } else {
            (void)snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, range->first, range->last);
        }
        add(to, size, i == 0 ? " on host CPU " : ", ", text);
    }
}
