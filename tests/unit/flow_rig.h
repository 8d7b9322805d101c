/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A platform written in C, as reading would have left it: for the tests of policy and flows, which
 * make thousands. Not a test itself.
 */
#ifndef FLOW_RIG_H
#define FLOW_RIG_H

#include "bulkhead/platform_flow.h"
#include "platform/definition/arena.h"

#define RIG_EVERY UINT32_MAX /* modes */

struct rig {
    struct bh_platform platform;
    struct bh_arena arena;
    uint32_t random;
};

struct rig *rig_create(uint32_t mode_count); /* modes m0, m1, ... */
void rig_destroy(struct rig *rig);

/* By place of insertion: 0, 1, ... Names are copied. */
struct bh_guest *rig_guest(struct rig *rig, const char *name);
struct bh_resource *rig_resource(struct rig *rig, const char *name, uint32_t type);
struct bh_device_definition *rig_device(struct rig *rig, struct bh_guest *guest, const char *name,
                                        struct bh_resource *resource);
struct bh_policy_line *rig_line(struct rig *rig, struct bh_guest *guest,
                                struct bh_resource *resource, uint32_t allows, uint32_t denies,
                                uint32_t modes);
void rig_numbers(struct rig *rig, struct bh_policy_line *line, uint32_t first, uint32_t last);

/* When all is in: sorts it. May be called again after more lines. */
void rig_done(struct rig *rig);

/* From 0 to below `bound`: the same row of numbers for the same rig->random. */
uint32_t rig_below(struct rig *rig, uint32_t bound);

#endif
