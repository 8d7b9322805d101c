/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filter's page (filter.h) on Linux: the supervisor makes, seals and writes it, the back end maps
 * what it was handed, and can do no more with it than read.
 *
 * Thread: one for a writer. A mapped page may be read by any thread.
 */
#ifndef BULKHEAD_HOST_FILTER_H
#define BULKHEAD_HOST_FILTER_H

#include <stdint.h>

#include "bulkhead/error.h"
#include "bulkhead/filter.h"

/* ---- who writes ---- */

struct bh_filter_writer {
    int fd; /* for back ends: duplicate it, or hand it to a child. -1: nothing is held */
    struct bh_filter_page *page; /* the only mapping that can write */
};

/* Makes a page that allows nothing. The descriptor is closed by exec. BH_LIMIT, BH_NO_MEMORY,
 * BH_UNSUPPORTED: the kernel has no such seal (Linux 5.1). After an error nothing is held. */
int bh_filter_create(struct bh_filter_writer *writer);

/* Sets what is allowed (filter.h): `operations`, and for which numbers. A request that is looked at
 * meanwhile finds what was allowed before, or what is allowed now, or nothing. BH_LIMIT: more than
 * BH_FILTER_RANGES_MAX ranges; BH_INVALID: a range that ends before it begins, or whose `reserved`
 * is not 0. Then the page is as it was. */
int bh_filter_set(struct bh_filter_writer *writer, uint32_t operations,
                  const struct bh_filter_range *ranges, uint32_t range_count);

/* Lets go of the page. Who mapped it goes on with what it last said. */
void bh_filter_close(struct bh_filter_writer *writer);

/* ---- who reads ---- */

/* Maps the page that `fd` is, read-only; `fd` stays the caller's and need not stay open. BH_INVALID:
 * it is no memory file of BH_FILTER_BYTES; BH_DENIED: it is not sealed, so whoever holds it could
 * write or truncate it; BH_UNSUPPORTED: its magic is another, so nothing that it says would be
 * understood; BH_NO_MEMORY. */
int bh_filter_map(int fd, const struct bh_filter_page **page);

/* NULL: nothing. */
void bh_filter_unmap(const struct bh_filter_page *page);

#endif
