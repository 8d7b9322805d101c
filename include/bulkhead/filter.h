/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device may do with its resource right now: a page of memory that the supervisor writes and
 * the back end can only read. Each request is held against it, so a change (another vehicle mode)
 * counts from the next request on, and nobody has to be waited for.
 *
 * The page is a sealed memory file (F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL):
 * only the supervisor, which mapped it before it was sealed, writes. What stands in it is what the
 * policy of the definition allows, compiled by the same table that opened the resource.
 *
 * `operations` is one word and changes at once. Ranges are more than a word: the writer makes
 * `sequence` odd, writes, and makes it even again. A reader that sees it odd, or changed behind its
 * reading, reads again, a bounded number of times, and then takes it that nothing is allowed.
 *
 * The page is in the byte order of the machine that it is shared on.
 *
 * Thread: any number of readers, one writer. Errors: none; what is not understood allows nothing.
 */
#ifndef BULKHEAD_FILTER_H
#define BULKHEAD_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_FILTER_MAGIC      UINT32_C(0x31664842) /* "BHf1" */
#define BH_FILTER_RANGES_MAX 250u
#define BH_FILTER_BYTES      4096u

/* Numbers (identifiers, lines, addresses) that operations hold for. A range that has its ends
 * exchanged, or whose `reserved` is not 0, allows nothing. */
struct bh_filter_range {
    uint32_t first;
    uint32_t last; /* included */
    uint32_t operations;
    uint32_t reserved; /* 0 */
};

struct bh_filter_page {
    uint32_t magic;
    uint32_t sequence;
    /* Bits of operations.h: what is allowed without regard to a number, or for some numbers. */
    uint32_t operations;
    uint32_t range_count; /* 0: the operations hold for every number */
    struct bh_filter_range ranges[BH_FILTER_RANGES_MAX];
};

/* A reader's view. Zeroed: there is no filter, and everything that the device offers is allowed. */
struct bh_filter {
    const struct bh_filter_page *page;
    bool closed; /* there is a page, and it is not understood */
};

/* Binds to a page of BH_FILTER_BYTES, which stays as long as the filter; NULL: there is no filter.
 * The magic is looked at here and for each number: a page that has another one when it is bound
 * allows nothing from then on. */
void bh_filter_bind(struct bh_filter *filter, const struct bh_filter_page *page);

/* The operations that are allowed now, each for some number at least. One relaxed load. */
static inline uint32_t bh_filter_operations(const struct bh_filter *filter)
{
    if (filter->page == NULL) {
        return filter->closed ? 0u : UINT32_MAX;
    }
    return __atomic_load_n(&filter->page->operations, __ATOMIC_RELAXED);
}

/* Whether all of `operations` are allowed now, for some number at least. One relaxed load. */
static inline bool bh_filter_allows(const struct bh_filter *filter, uint32_t operations)
{
    return (bh_filter_operations(filter) & operations) == operations;
}

/* Whether all of `operations` are allowed now for `number`: each by the page's `operations` and,
 * where there are ranges, by one of those that hold the number. */
bool bh_filter_allows_number(const struct bh_filter *filter, uint32_t operations, uint32_t number);

#endif
