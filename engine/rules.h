/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one device may do with its resource in one mode, in the form in which a filter's page has it
 * (filter.h); and what two modes have in common. Made from the policy, and written to pages by
 * supervisor_mode.c.
 *
 * Thread: one. Ownership: the caller's memory.
 */
#ifndef ENGINE_RULES_H
#define ENGINE_RULES_H

#include "bulkhead/host_filter.h"
#include "bulkhead/platform_policy.h"

struct bh_rules {
    uint32_t operations; /* for some number at least */
    uint32_t count;      /* 0: the operations hold for every number, or there are no numbers */
    struct bh_filter_range ranges[BH_FILTER_RANGES_MAX]; /* sorted, without overlaps */
};

/* What the device may do in `mode`. Errors as bh_allowance_make has them: then it is nothing. */
int bh_rules_make(struct bh_rules *rules, const struct bh_platform *platform,
                  const struct bh_guest *guest, const struct bh_device_definition *device,
                  uint32_t mode);

/* What both allow; nothing where that has more ranges than a page has room for. */
void bh_rules_common(struct bh_rules *common, const struct bh_rules *a, const struct bh_rules *b);

#endif
