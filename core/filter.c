/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader's side of a filter (filter.h). Its page changes while it is read: each word is loaded
 * once, and what was made of the words counts only if the sequence shows that they belong together.
 * Not here: who writes the page, and how a process comes by it (host/filter.c).
 */
#include "bulkhead/filter.h"

/* Readings of a page that changes. A writer that was interrupted within its change can outlast
 * them: then nothing is allowed, which is safe, and the next request is looked at anew. */
#define READINGS_MAX 64u

_Static_assert(sizeof(struct bh_filter_page) <= BH_FILTER_BYTES, "the form fits into its page");

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* The operations that one range gives to a number. */
static uint32_t range_allows(const struct bh_filter_range *range, uint32_t number)
{
    uint32_t first = load(&range->first);
    uint32_t last = load(&range->last);
    uint32_t operations = load(&range->operations);

    return load(&range->reserved) == 0u && number >= first && number <= last ? operations : 0u;
}

/* The operations that the page gives to a number, as far as one reading can tell. */
static uint32_t page_allows(const struct bh_filter_page *page, uint32_t number)
{
    uint32_t magic = load(&page->magic);
    uint32_t operations = load(&page->operations);
    uint32_t count = load(&page->range_count);
    uint32_t ranged = 0;

    if (magic != BH_FILTER_MAGIC || count > BH_FILTER_RANGES_MAX) {
        return 0;
    }
    if (count == 0u) {
        return operations;
    }
    for (uint32_t i = 0; i < count; i++) {
        ranged |= range_allows(&page->ranges[i], number);
    }
    return operations & ranged;
}

void bh_filter_bind(struct bh_filter *filter, const struct bh_filter_page *page)
{
    filter->page = page;
    filter->closed = false;
    if (page != NULL && load(&page->magic) != BH_FILTER_MAGIC) {
        filter->page = NULL;
        filter->closed = true;
    }
}

bool bh_filter_allows_number(const struct bh_filter *filter, uint32_t operations, uint32_t number)
{
    const struct bh_filter_page *page = filter->page;

    if (page == NULL) {
        return bh_filter_allows(filter, operations);
    }
    for (uint32_t i = 0; i < READINGS_MAX; i++) {
        uint32_t before = __atomic_load_n(&page->sequence, __ATOMIC_ACQUIRE);
        uint32_t allowed;

        if ((before & 1u) != 0u) {
            continue;
        }
        allowed = page_allows(page, number);
        /* No load above moves below the one that looks whether they are still true. */
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (load(&page->sequence) == before) {
            return (allowed & operations) == operations;
        }
    }
    return false;
}
