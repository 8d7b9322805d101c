/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is called what, who uses what, which policy lines are whose: sorted once, so that 64 guests
 * with 32 devices each are checked in about the time that it takes to read them. It refers to the
 * platform, which nobody may change any more in these respects. Private to platform/.
 */
#ifndef PLATFORM_INDEX_H
#define PLATFORM_INDEX_H

#include "arena.h"
#include "bulkhead/platform_definition.h"

/* A device that uses a resource. */
struct bh_use {
    const struct bh_guest *guest;
    const struct bh_device_definition *device;
};

struct bh_uses {
    const struct bh_use *uses;
    uint32_t count;
};

struct bh_lines {
    const struct bh_policy_line *const *lines;
    uint32_t count;
};

struct bh_index {
    const struct bh_guest **guests; /* by name */
    const struct bh_resource **resources;
    struct bh_use *uses; /* by resource, then in the order of the definition */
    uint32_t *first_use; /* resource index -> index in uses; one more at the end */
    /* Those whose guest and resource are there: by guest, by resource, in the order of the
     * definition. */
    const struct bh_policy_line **lines;
    uint32_t line_count;
};

/* Sorts the names: bh_platform_guest and bh_platform_resource are quick from then on. BH_NO_MEMORY. */
int bh_index_names(struct bh_arena *arena, struct bh_platform *platform);

/* Sorts uses and policy lines, once `uses` of devices and `of`, `to` of lines are filled in.
 * BH_NO_MEMORY. */
int bh_index_relations(struct bh_arena *arena, struct bh_platform *platform);

/* The devices that use a resource of this platform. */
struct bh_uses bh_index_uses(const struct bh_platform *platform,
                             const struct bh_resource *resource);

/* The lines for a guest and a resource of this platform. */
struct bh_lines bh_index_lines(const struct bh_platform *platform, const struct bh_guest *guest,
                               const struct bh_resource *resource);

#endif
