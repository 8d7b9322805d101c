/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of a device (rules.h).
 */
#include "rules.h"

#include "bulkhead/error.h"

_Static_assert(BH_ALLOWANCE_RANGES_MAX <= BH_FILTER_RANGES_MAX,
               "a page has room for what the policy allows");

int bh_rules_make(struct bh_rules *rules, const struct bh_platform *platform,
                  const struct bh_guest *guest, const struct bh_device_definition *device,
                  uint32_t mode)
{
    struct bh_allowance allowance;
    rules->operations = 0;
    rules->count = 0;
    int result = bh_allowance_make(&allowance, platform, guest, device, mode);
    if (result != BH_OK) {
        return result;
    }
    rules->operations = allowance.operations;
    rules->count = allowance.range_count;
    for (uint32_t i = 0; i < allowance.range_count; i++) {
        const struct bh_allowed_range *range = &allowance.ranges[i];
        rules->ranges[i] = (struct bh_filter_range){
            .first = range->first, .last = range->last, .operations = range->operations};
    }
    return BH_OK;
}

/* A list of ranges. Rules without one hold for every number: that is one range, too. */
struct list {
    struct bh_filter_range every;
    const struct bh_filter_range *ranges;
    uint32_t count;
};

static void list_make(struct list *list, const struct bh_rules *rules)
{
    list->every = (struct bh_filter_range){.last = UINT32_MAX, .operations = rules->operations};
    list->ranges = rules->count > 0u ? rules->ranges : &list->every;
    list->count = rules->count > 0u ? rules->count : 1u;
}

/* Both lists are gone through once, from the lowest number on. */
static uint32_t common_ranges(struct bh_rules *common, const struct list *a, const struct list *b)
{
    uint32_t operations = 0;
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        const struct bh_filter_range *left = &a->ranges[i];
        const struct bh_filter_range *right = &b->ranges[j];
        const struct bh_filter_range both = {
            .first = left->first > right->first ? left->first : right->first,
            .last = left->last < right->last ? left->last : right->last,
            .operations = left->operations & right->operations};
        if (both.first <= both.last && both.operations != 0u) {
            if (common->count == BH_FILTER_RANGES_MAX) {
                common->count = 0;
                return 0;
            }
            common->ranges[common->count] = both;
            common->count++;
            operations |= both.operations;
        }
        if (left->last < right->last) {
            i++;
        } else {
            j++;
        }
    }
    return operations;
}

void bh_rules_common(struct bh_rules *common, const struct bh_rules *a, const struct bh_rules *b)
{
    struct list left;
    struct list right;
    common->operations = a->operations & b->operations;
    common->count = 0;
    if (a->count > 0u || b->count > 0u) {
        list_make(&left, a);
        list_make(&right, b);
        common->operations = common_ranges(common, &left, &right);
    }
}
