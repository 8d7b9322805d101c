/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory: from a guest address to host spans, or a refusal. Not here: who maps the memory
 * (the ports do).
 */
#include "bulkhead/memory.h"

#include "queue_internal.h"

/* The region that holds `address`, or NULL. The last hit is tried first. */
static const struct bh_region *find_region(struct bh_memory *memory, uint64_t address)
{
    for (uint32_t i = 0; i < memory->region_count; i++) {
        const struct bh_region *region = &memory->regions[i];

        /* An address below the region wraps around to a huge offset: one comparison refuses both
         * ends. */
        if (address - region->address < region->size) {
            memory->last = i;
            return region;
        }
    }
    return NULL;
}

/* Acquires from `address` on; stops at the end of a region. Returns how many spans it filled (1
 * or more) and how many bytes they cover. */
static int acquire_piece(struct bh_memory *memory, uint64_t address, uint32_t length,
                         uint32_t access, struct bh_span *spans, uint32_t room, uint32_t *covered)
{
    const struct bh_region *region = find_region(memory, address);

    if (region == NULL) {
        if (memory->ops == NULL) {
            return BH_DENIED;
        }
        *covered = length;
        return memory->ops->acquire(memory, address, length, access, spans, room);
    }

    uint32_t rights = access & (BH_ACCESS_READ | BH_ACCESS_WRITE);
    uint64_t offset = address - region->address;
    uint64_t left = region->size - offset;

    if ((region->access & rights) != rights) {
        return BH_DENIED;
    }
    *covered = left < length ? (uint32_t)left : length;
    spans[0].base = region->base + offset;
    spans[0].length = *covered;
    return 1;
}

int bh_memory_acquire(struct bh_memory *memory, uint64_t address, uint32_t length, uint32_t access,
                      struct bh_span *spans, uint32_t room)
{
    uint32_t count = 0;
    uint8_t *hit = bh_memory_hit(memory, address, length, access);

    if (length == 0u) {
        return 0;
    }
    if (room == 0u) {
        return BH_LIMIT;
    }
    if (hit != NULL) {
        spans[0].base = hit;
        spans[0].length = length;
        return 1;
    }
    if ((uint64_t)length - 1u > UINT64_MAX - address) {
        return BH_DENIED;
    }
    while (length != 0u) {
        uint32_t covered = 0;
        int got = count == room ? BH_LIMIT
                                : acquire_piece(memory, address, length, access, &spans[count],
                                                room - count, &covered);

        if (got > 0 && (access & BH_ACCESS_RING) != 0u && (covered != length || got != 1)) {
            count += (uint32_t)got;
            got = BH_DENIED;
        }
        if (got <= 0) {
            bh_memory_release(memory, spans, count);
            return got == 0 ? BH_DENIED : got;
        }
        count += (uint32_t)got;
        address += covered;
        length -= covered;
    }
    return (int)count;
}
