/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decides an assertion in one mode, and says it in words. Saying that one is violated, and where in
 * the definition that comes from, is check_assertions.c's.
 */
#include "assertions.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"

#define LISTED_BYTES 120u /* of the names that a reason lists */

/* Adds to a text of `size` bytes what fits. */
static void add(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(char *to, size_t size, const char *format, ...)
{
    size_t used = strlen(to);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(to + used, size - used, format, arguments);
    va_end(arguments);
}

/* ------------------------------------------------------------------------------------------ flows */

/* What a flow that is not there rests on, beyond the policy. */
static void add_assumption(char *why, const struct bh_flow *flow)
{
    uint32_t guest = 0;
    uint32_t next = 0;

    if (flow->has_master) {
        const struct bh_device_definition *device = bh_flow_master(flow->platform, &guest, &next);

        add(why, BH_WHY_BYTES, "; assumed: %s of %s, which reaches all memory, carries nothing",
            device->uses->name.text, flow->platform->guests[guest].name.text);
    }
}

static void why_path(char *why, const struct bh_flow_path *path)
{
    add(why, BH_WHY_BYTES, "%s", bh_flow_node_name(&path->steps[0].from));
    for (uint32_t i = 0; i < path->count; i++) {
        add(why, BH_WHY_BYTES, " -> %s", bh_flow_node_name(&path->steps[i].to));
    }
}

static int decide_no_flow(enum bh_verdict *verdict, struct bh_flow_path *path, char *why,
                          struct bh_flow *flow, const struct bh_assert_flow *ends, uint32_t mode)
{
    struct bh_flow_node from;
    struct bh_flow_node to;
    int error;

    if (!bh_flow_node_find(&from, flow->platform, ends->from.text) ||
        !bh_flow_node_find(&to, flow->platform, ends->to.text)) {
        return BH_GONE;
    }
    error = bh_flow_find(path, flow, &from, &to, NULL, mode);
    if (error == BH_OK && path->count != 0) {
        *verdict = BH_VERDICT_VIOLATED;
        why_path(why, path);
    } else if (error == BH_OK) {
        add(why, BH_WHY_BYTES, "there is no way from %s to %s", ends->from.text, ends->to.text);
        add_assumption(why, flow);
    }
    return error;
}

static int decide_through(enum bh_verdict *verdict, struct bh_flow_path *path, char *why,
                          struct bh_flow *flow, const struct bh_assert_flow *ends, uint32_t mode)
{
    const struct bh_guest *through = bh_platform_guest(flow->platform, ends->through.text);
    struct bh_flow_node from;
    struct bh_flow_node to;
    int error;

    if (through == NULL || !bh_flow_node_find(&from, flow->platform, ends->from.text) ||
        !bh_flow_node_find(&to, flow->platform, ends->to.text)) {
        return BH_GONE;
    }
    error = bh_flow_find(path, flow, &from, &to, through, mode);
    if (error == BH_OK && path->count != 0) {
        *verdict = BH_VERDICT_VIOLATED;
        why_path(why, path);
    }
    if (error != BH_OK || path->count != 0) {
        return error;
    }
    error = bh_flow_find(path, flow, &from, &to, NULL, mode);
    if (error == BH_OK && path->count == 0) {
        add(why, BH_WHY_BYTES, "there is no way from %s to %s, with or without %s", ends->from.text,
            ends->to.text, ends->through.text);
    } else if (error == BH_OK) {
        add(why, BH_WHY_BYTES, "each way passes %s: ", ends->through.text);
        why_path(why, path);
        path->count = 0; /* it violates nothing */
    }
    add_assumption(why, flow);
    return error;
}

/* ------------------------------------------------------------------------------- shared resources */

int bh_flow_sharing(const struct bh_resource **resource, uint64_t *guests, uint32_t *next,
                    struct bh_flow *flow, const struct bh_assertion *assertion, uint32_t mode)
{
    const struct bh_names *names = &assertion->no_shared_resource.guests;
    const struct bh_flow_graph *graph;
    uint64_t asserted = 0;
    int error = bh_flow_graph(&graph, flow, mode);

    *resource = NULL;
    for (uint32_t i = 0; i < names->count; i++) {
        const struct bh_guest *guest = bh_platform_guest(flow->platform, names->names[i].text);

        if (guest == NULL) {
            return BH_GONE;
        }
        asserted |= UINT64_C(1) << (guest - flow->platform->guests);
    }
    while (error == BH_OK && *resource == NULL && *next < flow->platform->resource_count) {
        const struct bh_resource *candidate = &flow->platform->resources[(*next)++];

        *guests = bh_flow_guests_at(graph, candidate, BH_FLOW_ANY) & asserted;
        if ((*guests & (*guests - 1)) != 0) { /* two bits at least */
            *resource = candidate;
        }
    }
    return error;
}

static int decide_shared(enum bh_verdict *verdict, char *why, struct bh_flow *flow,
                         const struct bh_assertion *assertion, uint32_t mode)
{
    const struct bh_resource *resource;
    char names[LISTED_BYTES] = "";
    uint64_t guests = 0;
    uint32_t next = 0;
    uint32_t count = 0;
    int error = bh_flow_sharing(&resource, &guests, &next, flow, assertion, mode);

    while (error == BH_OK && resource != NULL) {
        add(names, sizeof(names), "%s%s", count == 0 ? "" : ", ", resource->name.text);
        count++;
        error = bh_flow_sharing(&resource, &guests, &next, flow, assertion, mode);
    }
    if (count != 0) {
        *verdict = BH_VERDICT_VIOLATED;
        add(why, BH_WHY_BYTES, "shared: %s", names);
    } else {
        add(why, BH_WHY_BYTES, "no resource is used by two of them");
    }
    return error;
}

/* -------------------------------------------------------------------------------------- isolation */

bool bh_flow_opens(const struct bh_device_definition *device)
{
    return device->type.value != BH_DEVICE_PASSTHROUGH &&
           (device->isolation.value == BH_ISOLATION_OPEN ||
            device->isolation.value == BH_ISOLATION_BOUNCE);
}

static int decide_isolated(enum bh_verdict *verdict, char *why, const struct bh_flow *flow,
                           const struct bh_assert_isolated *isolated)
{
    const struct bh_platform *platform = flow->platform;
    const struct bh_guest *guest = bh_platform_guest(platform, isolated->guest.text);
    const struct bh_device_definition *device;
    uint32_t owner = 0;
    uint32_t next = 0;

    if (guest == NULL) {
        return BH_GONE;
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (bh_flow_opens(&guest->devices[i])) {
            add(why, BH_WHY_BYTES, "%sits device %s is %s", why[0] == '\0' ? "" : "; ",
                guest->devices[i].name.text, bh_isolation_name(guest->devices[i].isolation.value));
        }
    }
    while (flow->has_master && (device = bh_flow_master(platform, &owner, &next)) != NULL) {
        add(why, BH_WHY_BYTES, "%s%s of %s reaches all memory", why[0] == '\0' ? "" : "; ",
            device->uses->name.text, platform->guests[owner].name.text);
    }
    if (guest->layout.value == BH_LAYOUT_ENGINE) {
        add(why, BH_WHY_BYTES, "%sits memory is laid out by the engine",
            why[0] == '\0' ? "" : "; ");
    }
    if (why[0] != '\0') {
        *verdict = BH_VERDICT_VIOLATED;
    } else {
        add(why, BH_WHY_BYTES,
            "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------ */

int bh_assertion_decide(enum bh_verdict *verdict, struct bh_flow_path *path, char *why,
                        struct bh_flow *flow, const struct bh_assertion *assertion, uint32_t mode)
{
    *verdict = BH_VERDICT_HOLDS;
    path->count = 0;
    why[0] = '\0';
    switch (assertion->kind) {
    case BH_ASSERT_NO_FLOW:
        return decide_no_flow(verdict, path, why, flow, &assertion->no_flow, mode);
    case BH_ASSERT_THROUGH:
        return decide_through(verdict, path, why, flow, &assertion->only_through, mode);
    case BH_ASSERT_NOT_SHARED:
        return decide_shared(verdict, why, flow, assertion, mode);
    case BH_ASSERT_ISOLATED:
        return decide_isolated(verdict, why, flow, &assertion->isolated);
    case BH_ASSERT_NOTHING:
    default:
        return BH_GONE;
    }
}

void bh_assertion_text(const struct bh_assertion *assertion, char *to, size_t size)
{
    const struct bh_names *guests = &assertion->no_shared_resource.guests;

    (void)snprintf(to, size, "%s", "");
    switch (assertion->kind) {
    case BH_ASSERT_NO_FLOW:
        add(to, size, "no flow from %s to %s", assertion->no_flow.from.text,
            assertion->no_flow.to.text);
        break;
    case BH_ASSERT_THROUGH:
        add(to, size, "from %s to %s only through %s", assertion->only_through.from.text,
            assertion->only_through.to.text, assertion->only_through.through.text);
        break;
    case BH_ASSERT_NOT_SHARED:
        add(to, size, "no resource shared by ");
        for (uint32_t i = 0; i < guests->count; i++) {
            const char *between = i == 0 ? "" : i + 1 == guests->count ? " and " : ", ";

            add(to, size, "%s%s", between, guests->names[i].text);
        }
        break;
    case BH_ASSERT_ISOLATED:
        add(to, size, "%s isolated", assertion->isolated.guest.text);
        break;
    case BH_ASSERT_NOTHING:
    default:
        break;
    }
}
