/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says which assertions are violated: at the assertion, with a note at each line of the definition
 * that has a part in it, and the modes. Modes in which an assertion is violated in the same way are
 * said together. It decides nothing itself.
 */
#include "check_assertions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "assertions.h"
#include "bulkhead/error.h"
#include "flow_text.h"

/* A violation of an assertion. */
struct violation {
    struct bh_reader *reader;
    struct bh_flow *flow;
    const struct bh_assertion *assertion;
    struct bh_flow_path path;  /* in the first of the modes */
    struct bh_flow_path other; /* in the one that is looked at */
    char why[BH_WHY_BYTES];
    char other_why[BH_WHY_BYTES];
    uint32_t mode;  /* the first; BH_MODES_ALL: it is violated over changes of mode only */
    uint32_t modes; /* all that it looks like this in, bits */
};

/* ----------------------------------------------------------------------------------- alike modes */

/* Whether the same guests share the same resources. */
static bool is_same_sharing(struct violation *violation, uint32_t mode)
{
    const struct bh_resource *a = NULL;
    const struct bh_resource *b = NULL;
    uint64_t a_guests = 0;
    uint64_t b_guests = 0;
    uint32_t a_next = 0;
    uint32_t b_next = 0;
    int error;

    do {
        error = bh_flow_sharing(&a, &a_guests, &a_next, violation->flow, violation->assertion,
                                violation->mode);
        if (error == BH_OK) {
            error = bh_flow_sharing(&b, &b_guests, &b_next, violation->flow, violation->assertion,
                                    mode);
        }
    } while (error == BH_OK && a == b && a != NULL && a_guests == b_guests);
    return error == BH_OK && a == NULL && b == NULL;
}

/* Whether it is violated in `mode`, and as in the first. */
static bool is_alike(struct violation *violation, uint32_t mode)
{
    enum bh_verdict verdict;

    if (bh_assertion_decide(&verdict, &violation->other, violation->other_why, violation->flow,
                            violation->assertion, mode) != BH_OK ||
        verdict == BH_VERDICT_HOLDS) {
        return false;
    }
    return violation->assertion->kind == BH_ASSERT_NOT_SHARED
               ? is_same_sharing(violation, mode)
               : bh_flow_path_is_same(&violation->path, &violation->other);
}

/* ---------------------------------------------------------------------------------------- saying */

static void note_path(const struct violation *violation)
{
    const struct bh_flow_path *path = &violation->path;

    for (uint32_t i = 0; i < path->count; i++) {
        char text[BH_STEP_BYTES];
        char mode[BH_MODES_BYTES] = "";

        if (violation->mode == BH_MODES_ALL) {
            bh_flow_modes_text(violation->flow->platform, 1u << path->steps[i].mode, ", ", mode,
                               sizeof(mode));
        }
        bh_flow_step_text(&path->steps[i], text, sizeof(text));
        bh_diagnostics_note(violation->reader->diagnostics, path->steps[i].line->at,
                            "step %" PRIu32 " of %" PRIu32 ": %s%s", i + 1, path->count, text,
                            mode);
    }
}

static void say_flow(const struct violation *violation, const char *modes)
{
    const struct bh_assert_flow *ends = &violation->assertion->no_flow;
    const struct bh_flow_path *path = &violation->path;
    /* Who passes it on first: step 2 ends there, unless that is the end already. */
    const struct bh_guest *between = path->count < 3                   ? NULL
                                     : path->steps[0].to.guest != NULL ? path->steps[0].to.guest
                                                                       : path->steps[1].to.guest;

    if (between == NULL) {
        BH_SAY(violation->reader, "assert-no-flow", ends->at,
               "data of %s can reach %s%s\ntake one of the steps below away", ends->from.text,
               ends->to.text, modes);
    } else {
        BH_SAY(violation->reader, "assert-no-flow", ends->at,
               "data of %s can reach %s%s\n"
               "take one of the steps below away; or, if %s may decide what it passes on, assert\n"
               "only-through: { from: %s, to: %s, through: %s }",
               ends->from.text, ends->to.text, modes, between->name.text, ends->from.text,
               ends->to.text, between->name.text);
    }
    note_path(violation);
}

static void say_through(const struct violation *violation, const char *modes)
{
    const struct bh_assert_flow *ends = &violation->assertion->only_through;

    BH_SAY(violation->reader, "assert-only-through", ends->at,
           "data of %s can reach %s without passing %s%s\n"
           "take one of the steps below away, or lead it through %s",
           ends->from.text, ends->to.text, ends->through.text, modes, ends->through.text);
    note_path(violation);
}

/* A note for each guest that shares a resource, at its device. */
static void note_sharing(const struct violation *violation, const struct bh_resource *resource,
                         uint64_t guests)
{
    const struct bh_platform *platform = violation->flow->platform;
    const struct bh_flow_graph *graph;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_flow_use *use;
        char operations[128];

        if ((guests >> i & 1u) == 0 ||
            bh_flow_graph(&graph, violation->flow, violation->mode) != BH_OK) {
            continue;
        }
        use = bh_flow_use_find(graph, &platform->guests[i], resource);
        bh_operations_text(resource->type.value, use->operations, operations, sizeof(operations));
        bh_diagnostics_note(violation->reader->diagnostics, use->device->resource.at,
                            "%s uses %s here (%s)", use->guest->name.text, resource->name.text,
                            operations);
    }
}

static void say_shared(const struct violation *violation, const char *modes)
{
    const struct bh_resource *resource;
    uint64_t guests = 0;
    uint32_t next = 0;

    BH_SAY(violation->reader, "assert-not-shared", violation->assertion->no_shared_resource.at,
           "a resource is used by two of the guests%s; %s\n"
           "give each of them a resource of its own, or allow it to one of them alone",
           modes, violation->why);
    while (bh_flow_sharing(&resource, &guests, &next, violation->flow, violation->assertion,
                           violation->mode) == BH_OK &&
           resource != NULL) {
        note_sharing(violation, resource, guests);
    }
}

/* One note for each reason. */
static void note_reach(const struct violation *violation, const struct bh_guest *guest)
{
    const struct bh_platform *platform = violation->flow->platform;
    struct bh_diagnostics *diagnostics = violation->reader->diagnostics;
    const struct bh_device_definition *device;
    uint32_t owner = 0;
    uint32_t next = 0;

    if (guest->layout.value == BH_LAYOUT_ENGINE) {
        bh_diagnostics_note(diagnostics, guest->boot.at,
                            "%s boots so that the engine lays out its memory, without windows",
                            guest->name.text);
    }
    for (uint32_t i = 0; i < guest->device_count; i++) {
        device = &guest->devices[i];
        if (bh_flow_opens(device)) {
            bh_diagnostics_note(
                diagnostics, device->isolation.at, "device %s is %s: all memory of %s is shared%s",
                device->name.text, bh_isolation_name(device->isolation.value), guest->name.text,
                device->isolation.value == BH_ISOLATION_BOUNCE ? " with its gate" : "");
        }
    }
    while ((device = bh_flow_master(platform, &owner, &next)) != NULL) {
        bh_diagnostics_note(diagnostics, device->uses->name.at,
                            "%s, which %s has, masters memory, and no IOMMU holds it",
                            device->uses->name.text, platform->guests[owner].name.text);
    }
}

static void say_isolated(const struct violation *violation)
{
    const struct bh_assert_isolated *isolated = &violation->assertion->isolated;
    const struct bh_guest *guest =
        bh_platform_guest(violation->flow->platform, isolated->guest.text);

    BH_SAY(violation->reader, "assert-isolated", isolated->at,
           "the private memory of %s can be reached from outside of it\n"
           "leave isolation out (shadow), have it boot a kernel or an ELF program on arm64,\n"
           "and put hardware that masters memory behind an IOMMU (iommu: true)",
           guest->name.text);
    note_reach(violation, guest);
}

static void say(const struct violation *violation)
{
    char modes[BH_MODES_BYTES];

    if (violation->mode == BH_MODES_ALL) {
        (void)snprintf(modes, sizeof(modes), ", over changes of mode");
    } else {
        bh_flow_modes_text(violation->flow->platform, violation->modes, ", ", modes, sizeof(modes));
    }
    switch (violation->assertion->kind) {
    case BH_ASSERT_NO_FLOW:
        say_flow(violation, modes);
        break;
    case BH_ASSERT_THROUGH:
        say_through(violation, modes);
        break;
    case BH_ASSERT_NOT_SHARED:
        say_shared(violation, modes);
        break;
    case BH_ASSERT_ISOLATED:
        say_isolated(violation); /* modes change nothing in it */
        break;
    case BH_ASSERT_NOTHING:
    default:
        break;
    }
}

/* -------------------------------------------------------------------------------------- deciding */

/* One assertion in a mode, and the later ones that it is violated in alike; says it. */
static int check_from(struct violation *violation, uint32_t mode)
{
    const uint32_t asked = violation->assertion->mode_mask;
    const uint32_t count = violation->flow->platform->modes.count;
    enum bh_verdict verdict;
    int error = bh_assertion_decide(&verdict, &violation->path, violation->why, violation->flow,
                                    violation->assertion, mode);

    if (error != BH_OK || verdict == BH_VERDICT_HOLDS) {
        return error;
    }
    violation->mode = mode;
    violation->modes = mode == BH_MODES_ALL ? asked : 1u << mode;
    for (uint32_t i = mode + 1; mode != BH_MODES_ALL && i < count; i++) {
        if ((asked >> i & 1u) != 0 && is_alike(violation, i)) {
            violation->modes |= 1u << i;
        }
    }
    say(violation);
    return BH_OK;
}

/* In each mode; where it is meant for all of them and holds in each, then over changes of mode. */
static int check_assertion(struct violation *violation, const struct bh_assertion *assertion)
{
    const uint32_t count = violation->flow->platform->modes.count;
    bool flows = assertion->kind == BH_ASSERT_NO_FLOW || assertion->kind == BH_ASSERT_THROUGH;
    uint32_t said = 0;
    int error = BH_OK;

    violation->assertion = assertion;
    for (uint32_t i = 0; i < count && error == BH_OK; i++) {
        if (((assertion->mode_mask & ~said) >> i & 1u) != 0) {
            violation->modes = 0;
            error = check_from(violation, i);
            said |= violation->modes;
        }
    }
    if (error == BH_OK && said == 0 && flows && assertion->mode_mask == (1u << count) - 1u) {
        error = check_from(violation, BH_MODES_ALL);
    }
    /* What it names is not there, which has been said. */
    return error == BH_GONE ? BH_OK : error;
}

void bh_check_assertions_hold(struct bh_reader *reader, struct bh_platform *platform)
{
    struct violation *violation;
    int error = BH_OK;

    if (platform->assertion_count == 0) {
        return;
    }
    violation = calloc(1, sizeof(*violation));
    if (violation == NULL || bh_flow_create(&violation->flow, platform) != BH_OK) {
        free(violation);
        reader->no_memory = true;
        return;
    }
    violation->reader = reader;
    for (uint32_t i = 0; i < platform->assertion_count && error == BH_OK; i++) {
        error = check_assertion(violation, &platform->assertions[i]);
    }
    if (error != BH_OK) {
        reader->no_memory = true;
    }
    bh_flow_destroy(violation->flow);
    free(violation);
}
