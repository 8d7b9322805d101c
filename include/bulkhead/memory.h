/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory as a device sees it: a span of it is acquired for one request (address, length,
 * access) and released when the request is done. A raw guest address is never a pointer; acquire
 * turns it into host spans or refuses.
 *
 * Two kinds of memory stand behind the one interface. Regions are mapped for as long as they stand
 * in the table (QEMU's windows, a partition's RAM): acquiring is arithmetic and releasing is
 * nothing. Whatever no region covers goes to `ops`, if there are any (Xen grants, an IOMMU): these
 * map and unmap for each request.
 *
 * Thread: all calls for one bh_memory from one thread. Ownership: the caller owns the structure,
 * the region table and `ops`; the table may be replaced only while nothing is acquired from it (the
 * port drains the device first).
 */
#ifndef BULKHEAD_MEMORY_H
#define BULKHEAD_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "bulkhead/error.h"

/* A piece of host memory. The layout is that of POSIX struct iovec, so that spans go to the kernel
 * as they are. */
struct bh_span {
    uint8_t *base;
    size_t length; /* bytes; may be 0 */
};

/* What the device will do with a span. */
#define BH_ACCESS_READ  1u /* the device reads it */
#define BH_ACCESS_WRITE 2u /* the device writes it */
#define BH_ACCESS_RING                                                                             \
    4u /* a ring: must come as ONE span, and is held for the life of the queue \
                            */

struct bh_region {
    uint64_t address; /* guest-physical; address + size does not wrap around (the port checks it) */
    uint64_t size;    /* bytes, not 0 */
    uint8_t *base;    /* where it is mapped; rings are used in place, so base and address are equal
                         modulo 16 at least (the port checks it) */
    uint32_t access;  /* BH_ACCESS_READ, BH_ACCESS_WRITE or both */
};

struct bh_memory;

struct bh_memory_ops {
    /* Acquires [address, address + length) for `access`; fills at most `room` spans in order.
     * Returns their number (1..room), or BH_AGAIN (try after the next release), BH_DENIED, BH_GONE,
     * or BH_LIMIT (more than `room` pieces). Never blocks. On error nothing is held. */
    int (*acquire)(struct bh_memory *memory, uint64_t address, uint32_t length, uint32_t access,
                   struct bh_span *spans, uint32_t room);
    /* Gives back spans of earlier acquires. Spans that lie in a region come by too, and are to be
     * ignored. A span may have been shortened, never moved past its
     * end: the base still lies inside, or at the start of, what was acquired. */
    void (*release)(struct bh_memory *memory, const struct bh_span *spans, uint32_t count);
};

struct bh_memory {
    const struct bh_region *regions;
    uint32_t region_count;
    uint32_t last;                   /* region of the last hit: requests cluster */
    const struct bh_memory_ops *ops; /* NULL: there is nothing but the regions */
};

/* Acquires; see bh_memory_ops.acquire. A length of 0 yields 0 spans and holds nothing. */
int bh_memory_acquire(struct bh_memory *memory, uint64_t address, uint32_t length, uint32_t access,
                      struct bh_span *spans, uint32_t room);

/* Releases spans that bh_memory_acquire gave. */
static inline void bh_memory_release(struct bh_memory *memory, const struct bh_span *spans,
                                     uint32_t count)
{
    if (memory->ops != NULL && count != 0u) {
        memory->ops->release(memory, spans, count);
    }
}

#endif
