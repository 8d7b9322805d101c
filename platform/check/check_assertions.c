/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of the form of assertions: one statement each, about different things. Whether what
 * they state is true is decided on the graph (platform/flow).
 */
#include <string.h>

#include "check.h"

static bool is_same(const struct bh_text *a, const struct bh_text *b)
{
    return strcmp(a->text, b->text) == 0;
}

/* A name that is a guest's and a resource's: it would be taken for the guest's. */
static void check_ambiguous(const struct bh_reader *reader, const struct bh_platform *platform,
                            const struct bh_text *name)
{
    const struct bh_guest *guest = bh_platform_guest(platform, name->text);
    const struct bh_resource *resource = bh_platform_resource(platform, name->text);

    if (guest != NULL && resource != NULL) {
        BH_SAY(reader, "assertion", name->at,
               "%s is a guest and a resource, and this may mean either\nrename one of them",
               name->text);
        bh_diagnostics_note(reader->diagnostics, guest->name.at, "the guest");
        bh_diagnostics_note(reader->diagnostics, resource->name.at, "the resource");
    }
}

static void check_flow(const struct bh_reader *reader, const struct bh_platform *platform,
                       const struct bh_assert_flow *flow)
{
    if (is_same(&flow->from, &flow->to)) {
        BH_SAY(reader, "assertion", flow->to.at,
               "from and to are both %s, and everything reaches itself\n"
               "write two different guests or resources",
               flow->to.text);
        return;
    }
    check_ambiguous(reader, platform, &flow->from);
    check_ambiguous(reader, platform, &flow->to);
    if (flow->through.text != NULL &&
        (is_same(&flow->through, &flow->from) || is_same(&flow->through, &flow->to))) {
        BH_SAY(reader, "assertion", flow->through.at,
               "%s is an end of the way, so whatever takes it passes %s, and this asserts nothing\n"
               "write the guest that stands between %s and %s",
               flow->through.text, flow->through.text, flow->from.text, flow->to.text);
    }
}

/* The forms that are given; `kind` is the last of them. */
static uint32_t find_kind(struct bh_assertion *assertion)
{
    const bool given[BH_ASSERT_NOTHING] = {
        [BH_ASSERT_NO_FLOW] = assertion->no_flow.from.text != NULL,
        [BH_ASSERT_NOT_SHARED] = assertion->no_shared_resource.guests.count != 0,
        [BH_ASSERT_THROUGH] = assertion->only_through.from.text != NULL,
        [BH_ASSERT_ISOLATED] = assertion->isolated.guest.text != NULL,
    };
    uint32_t count = 0;

    assertion->kind = BH_ASSERT_NOTHING;
    for (uint32_t i = 0; i < BH_ASSERT_NOTHING; i++) {
        if (given[i]) {
            assertion->kind = (enum bh_assertion_kind)i;
            count++;
        }
    }
    return count;
}

void bh_check_assertion(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->assertion_count; i++) {
        struct bh_assertion *assertion = &platform->assertions[i];
        uint32_t count = find_kind(assertion);

        if (count == 0) {
            BH_SAY(reader, "assertion", assertion->at,
                   "an assertion states nothing\n"
                   "write one of no-flow, only-through, no-shared-resource and isolated");
        } else if (count > 1) {
            BH_SAY(reader, "assertion", assertion->at,
                   "an assertion states %u things\nmake it %u entries, each with one of them",
                   count, count);
        }
        if (assertion->no_flow.from.text != NULL) {
            check_flow(reader, platform, &assertion->no_flow);
        }
        if (assertion->only_through.from.text != NULL) {
            check_flow(reader, platform, &assertion->only_through);
        }
    }
}
