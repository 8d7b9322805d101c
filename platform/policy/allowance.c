/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the lines of a policy come to for one guest and one resource in one mode: the union of what
 * they allow, less what they deny, number by number. It does not judge the lines.
 *
 * The ranges that lines are written with overlap in any way. Their ends, sorted, cut the numbers
 * into pieces in which nothing changes; going along them, it is counted how many lines allow and
 * how many deny each operation. Pieces that allow the same are put together.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_policy.h"
#include "platform/definition/index.h"

#define OPERATION_BITS 32u
#define NUMBERS_END    (UINT64_C(1) << 32) /* behind the last number */

/* A place from which on a line's operations hold, or no longer hold. */
struct edge {
    uint64_t at;
    uint32_t allows;
    uint32_t denies;
    bool begins;
};

/* Where the sweep is. */
struct sweep {
    struct edge edges[2 * BH_POLICY_RANGES_MAX];
    uint32_t count;
    uint32_t allowing[OPERATION_BITS]; /* how many lines allow it here */
    uint32_t denying[OPERATION_BITS];
};

static bool holds(const struct bh_policy_line *line, uint32_t mode)
{
    return mode < BH_MODES_MAX && (line->mode_mask & (1u << mode)) != 0;
}

static const struct bh_ranges *numbers_of(const struct bh_policy_line *line)
{
    static const struct bh_ranges all = {0};
    enum bh_number_kind kind = bh_resource_numbers(line->to->type.value);

    return kind == BH_NUMBERS_NONE ? &all : &line->numbers[kind];
}

/* What the resource lets anybody do. */
static uint32_t possible(const struct bh_resource *resource)
{
    const struct bh_operation *operation;
    uint32_t mask = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource->type.value, i)) != NULL; i++) {
        bool writes = (operation->rights & BH_RIGHT_WRITE) != 0;

        mask |= writes && resource->read_only.value ? 0u : operation->bit;
    }
    return mask;
}

/* ------------------------------------------------------------------------------------- the sweep */

static bool sweep_add(struct sweep *sweep, const struct bh_policy_line *line, uint64_t first,
                      uint64_t behind)
{
    if (sweep->count + 2 > 2 * BH_POLICY_RANGES_MAX) {
        return false;
    }
    sweep->edges[sweep->count++] = (struct edge){first, line->allows, line->denies, true};
    sweep->edges[sweep->count++] = (struct edge){behind, line->allows, line->denies, false};
    return true;
}

static bool sweep_add_line(struct sweep *sweep, const struct bh_policy_line *line)
{
    const struct bh_ranges *numbers = numbers_of(line);

    if (numbers->count == 0) {
        return sweep_add(sweep, line, 0, NUMBERS_END);
    }
    for (uint32_t i = 0; i < numbers->count; i++) {
        const struct bh_range *range = &numbers->ranges[i];

        if (!sweep_add(sweep, line, range->first, (uint64_t)range->last + 1)) {
            return false;
        }
    }
    return true;
}

static int by_place(const void *a, const void *b)
{
    const struct edge *x = a;
    const struct edge *y = b;

    return x->at < y->at ? -1 : x->at > y->at ? 1 : 0;
}

static void count_bits(uint32_t *counts, uint32_t bits, bool begins)
{
    while (bits != 0) {
        uint32_t bit = (uint32_t)__builtin_ctz(bits);

        counts[bit] = begins ? counts[bit] + 1 : counts[bit] - 1;
        bits &= bits - 1;
    }
}

/* Of `mask`, what is allowed here. */
static uint32_t counted(const struct sweep *sweep, uint32_t mask)
{
    uint32_t operations = 0;

    while (mask != 0) {
        uint32_t bit = (uint32_t)__builtin_ctz(mask);

        if (sweep->allowing[bit] != 0 && sweep->denying[bit] == 0) {
            operations |= 1u << bit;
        }
        mask &= mask - 1;
    }
    return operations;
}

/* A piece in which `operations` hold, behind all others; false: there is no room. */
static bool piece_add(struct bh_allowance *allowance, uint64_t first, uint64_t behind,
                      uint32_t operations)
{
    struct bh_allowed_range *last = NULL;

    if (operations == 0) {
        return true;
    }
    allowance->operations |= operations;
    if (allowance->range_count != 0) {
        last = &allowance->ranges[allowance->range_count - 1];
    }
    if (last != NULL && (uint64_t)last->last + 1 == first && last->operations == operations) {
        last->last = (uint32_t)(behind - 1);
        return true;
    }
    if (allowance->range_count == BH_ALLOWANCE_RANGES_MAX) {
        return false;
    }
    last = &allowance->ranges[allowance->range_count++];
    *last = (struct bh_allowed_range){(uint32_t)first, (uint32_t)(behind - 1), operations};
    return true;
}

static bool sweep_run(struct sweep *sweep, struct bh_allowance *allowance, uint32_t mask)
{
    uint32_t next = 0;

    qsort(sweep->edges, sweep->count, sizeof(sweep->edges[0]), by_place);
    while (next < sweep->count) {
        uint64_t at = sweep->edges[next].at;

        for (; next < sweep->count && sweep->edges[next].at == at; next++) {
            const struct edge *edge = &sweep->edges[next];

            count_bits(sweep->allowing, edge->allows, edge->begins);
            count_bits(sweep->denying, edge->denies, edge->begins);
        }
        if (next < sweep->count &&
            !piece_add(allowance, at, sweep->edges[next].at, counted(sweep, mask))) {
            return false;
        }
    }
    /* One piece that is everything: the operations hold for every number. */
    if (allowance->range_count == 1 && allowance->ranges[0].first == 0 &&
        allowance->ranges[0].last == UINT32_MAX) {
        allowance->range_count = 0;
    }
    return true;
}

/* ------------------------------------------------------------------------------------ allowances */

/* Operations and ranges of some lines; BH_LIMIT, and nothing is allowed. */
static int allow(struct bh_allowance *allowance, const struct bh_lines *lines,
                 const struct bh_resource *resource, uint32_t mode)
{
    struct sweep sweep;
    bool fits = true;

    sweep.count = 0;
    memset(sweep.allowing, 0, sizeof(sweep.allowing));
    memset(sweep.denying, 0, sizeof(sweep.denying));
    allowance->operations = 0;
    allowance->range_count = 0;
    for (uint32_t i = 0; i < lines->count && fits; i++) {
        fits = !holds(lines->lines[i], mode) || sweep_add_line(&sweep, lines->lines[i]);
    }
    if (!fits || !sweep_run(&sweep, allowance, possible(resource))) {
        allowance->operations = 0;
        allowance->range_count = 0;
        return BH_LIMIT;
    }
    return BH_OK;
}

static void limit(uint64_t *least, const struct bh_number *number)
{
    if (number->value != 0 && (*least == 0 || number->value < *least)) {
        *least = number->value;
    }
}

static void limit_all(struct bh_allowance *allowance, const struct bh_limits *limits)
{
    limit(&allowance->operations_per_second, &limits->operations);
    limit(&allowance->bytes_per_second, &limits->bytes);
    limit(&allowance->deadline_ms, &limits->deadline);
    limit(&allowance->restarts_per_minute, &limits->restarts);
}

/* Whether requests of such a device are answered without a key, a frame or another guest to come. */
static bool never_waits(uint32_t type)
{
    static const uint32_t types[] = {BH_DEVICE_BLK,  BH_DEVICE_RNG, BH_DEVICE_FS, BH_DEVICE_CRYPTO,
                                     BH_DEVICE_RPMB, BH_DEVICE_I2C, BH_DEVICE_SPI};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

/* What holds where nothing is written. */
static void limit_otherwise(struct bh_allowance *allowance,
                            const struct bh_device_definition *device)
{
    const bool seen = device->isolation.value == BH_ISOLATION_SHADOW ||
                      device->isolation.value == BH_ISOLATION_BOUNCE;

    if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        return;
    }
    if (allowance->deadline_ms == 0 && seen && never_waits(device->type.value)) {
        allowance->deadline_ms = BH_DEADLINE_MS;
    }
    if (allowance->restarts_per_minute == 0) {
        allowance->restarts_per_minute = BH_RESTARTS;
    }
}

int bh_allowance_make(struct bh_allowance *allowance, const struct bh_platform *platform,
                      const struct bh_guest *guest, const struct bh_device_definition *device,
                      uint32_t mode)
{
    struct bh_lines lines;

    allowance->operations = UINT32_MAX;
    allowance->range_count = 0;
    allowance->operations_per_second = 0;
    allowance->bytes_per_second = 0;
    allowance->deadline_ms = 0;
    allowance->restarts_per_minute = 0;
    limit_all(allowance, &device->limits);
    if (device->uses == NULL) {
        limit_otherwise(allowance, device);
        return BH_OK;
    }
    lines = bh_index_lines(platform, guest, device->uses);
    for (uint32_t i = 0; i < lines.count; i++) {
        if (holds(lines.lines[i], mode)) {
            limit_all(allowance, &lines.lines[i]->limits);
        }
    }
    limit_otherwise(allowance, device);
    return allow(allowance, &lines, device->uses, mode);
}

uint32_t bh_policy_operations(const struct bh_platform *platform, const struct bh_guest *guest,
                              const struct bh_resource *resource, uint32_t mode)
{
    const struct bh_lines lines = bh_index_lines(platform, guest, resource);
    struct bh_allowance allowance;
    uint32_t operations = 0;

    for (uint32_t i = 0; i < platform->modes.count; i++) {
        if (lines.count != 0 && (mode == i || mode == BH_MODES_ALL)) {
            (void)allow(&allowance, &lines, resource, i); /* on BH_LIMIT it is nothing */
            operations |= allowance.operations;
        }
    }
    return operations;
}

/* Whether a line is about `number`. */
static bool is_about(const struct bh_policy_line *line, uint32_t number)
{
    const struct bh_ranges *numbers = numbers_of(line);

    for (uint32_t i = 0; i < numbers->count; i++) {
        if (numbers->ranges[i].first <= number && number <= numbers->ranges[i].last) {
            return true;
        }
    }
    return numbers->count == 0;
}

uint32_t bh_policy_operations_for(const struct bh_platform *platform, const struct bh_guest *guest,
                                  const struct bh_resource *resource, uint32_t mode,
                                  uint32_t number)
{
    const struct bh_lines lines = bh_index_lines(platform, guest, resource);
    uint32_t allowed = 0;
    uint32_t denied = 0;

    for (uint32_t i = 0; i < lines.count; i++) {
        if (holds(lines.lines[i], mode) && is_about(lines.lines[i], number)) {
            allowed |= lines.lines[i]->allows;
            denied |= lines.lines[i]->denies;
        }
    }
    return allowed & ~denied & possible(resource);
}
