/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is mapped for each request: see fake_grants.h. */
#include "fake_grants.h"

#include <stdlib.h>
#include <string.h>

/* bh_memory_ops has no data pointer: whoever implements it embeds bh_memory. One at a time is
 * enough here. */
static struct fake_grants *current;

uint8_t *fake_grants_at(const struct fake_grants *grants, uint64_t address)
{
    uint64_t page = (address - GRANT) / GRANT_PAGE;

    assert_true(page < GRANT_PAGES);
    return grants->base + (GRANT_PAGES - 1u - page) * GRANT_PAGE + address % GRANT_PAGE;
}

static int acquire(struct bh_memory *memory, uint64_t address, uint32_t length, uint32_t access,
                   struct bh_span *spans, uint32_t room)
{
    struct fake_grants *grants = current;
    uint64_t end = GRANT + GRANT_PAGES * GRANT_PAGE;
    uint32_t count = 0;

    assert_ptr_equal(memory->ops->acquire, acquire);
    assert_true(length > 0);
    assert_true(room > 0);
    grants->access = access;
    grants->calls++;
    if (grants->calls == grants->fail_at) {
        return grants->fail_with;
    }
    if (address < GRANT || address >= end || length > end - address) {
        return BH_DENIED;
    }
    while (length > 0) {
        uint64_t left = GRANT_PAGE - address % GRANT_PAGE;
        uint32_t piece = length < left ? length : (uint32_t)left;

        if (count == room) {
            return BH_LIMIT;
        }
        spans[count] = (struct bh_span){fake_grants_at(grants, address), piece};
        count++;
        address += piece;
        length -= piece;
    }
    assert_true(grants->held_count + count <= 64);
    memcpy(&grants->held[grants->held_count], spans, count * sizeof(*spans));
    grants->held_count += count;
    return (int)count;
}

static bool is_granted(const struct fake_grants *grants, const struct bh_span *span)
{
    return span->base >= grants->base && span->base <= grants->base + GRANT_PAGES * GRANT_PAGE;
}

static void give_back(struct fake_grants *grants, const struct bh_span *span)
{
    uint32_t i;

    for (i = 0; i < grants->held_count; i++) {
        const struct bh_span *held = &grants->held[i];

        if (span->base >= held->base && span->length <= held->length &&
            span->base + span->length <= held->base + held->length) {
            grants->held_count--;
            grants->held[i] = grants->held[grants->held_count];
            return;
        }
    }
    fail_msg("released what is not held");
}

static void release(struct bh_memory *memory, const struct bh_span *spans, uint32_t count)
{
    uint32_t i;

    assert_ptr_equal(memory->ops->release, release);
    for (i = 0; i < count; i++) {
        assert_non_null(spans[i].base);
        /* Spans of regions come along: they are not ours, and free. */
        if (is_granted(current, &spans[i])) {
            give_back(current, &spans[i]);
        }
    }
}

void fake_grants_init(struct fake_grants *grants, struct guest *guest)
{
    static const struct bh_memory_ops ops = {acquire, release};

    memset(grants, 0, sizeof(*grants));
    grants->base = calloc(GRANT_PAGES, GRANT_PAGE);
    assert_non_null(grants->base);
    guest->memory.ops = &ops;
    current = grants;
}

void fake_grants_finish(struct fake_grants *grants)
{
    assert_int_equal(grants->held_count, 0);
    free(grants->base);
    current = NULL;
}

void fake_grants_fail(struct fake_grants *grants, uint32_t n, int error)
{
    grants->fail_at = grants->calls + n;
    grants->fail_with = error;
}
