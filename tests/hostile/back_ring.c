/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device's side of a virtqueue, split and packed, as plain as it can be: every used buffer is
 * followed by a call, nothing is suppressed. It believes what the driver writes: the gate is the one
 * under test, and a crash here would be a crash of the hostile back end.
 */
#include "back.h"

#include <string.h>
#include <unistd.h>

#define F_PACKED (UINT64_C(1) << 34)

#define NEXT     1u
#define WRITE    2u
#define INDIRECT 4u
#define AVAIL    0x80u
#define USED     0x8000u

struct split_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct packed_desc {
    uint64_t address;
    uint32_t length;
    uint16_t id;
    uint16_t flags;
};

bool ring_is_packed(const struct back *back)
{
    return (back->features & F_PACKED) != 0u;
}

uint32_t ring_base(const struct back *back, const struct ring *ring)
{
    if (!ring_is_packed(back)) {
        return ring->seen;
    }
    return (uint32_t)ring->seen | (ring->seen_wrap ? 0x8000u : 0u) |
           ((uint32_t)ring->used | (ring->used_wrap ? 0x8000u : 0u)) << 16;
}

void ring_set_base(const struct back *back, struct ring *ring, uint32_t base)
{
    if (!ring_is_packed(back)) {
        ring->seen = (uint16_t)base;
        ring->used = (uint16_t)base;
        return;
    }
    ring->seen = (uint16_t)(base & 0x7fffu);
    ring->seen_wrap = (base & 0x8000u) != 0u;
    ring->used = (uint16_t)(base >> 16 & 0x7fffu);
    ring->used_wrap = (base >> 31) != 0u;
}

void ring_start(struct back *back, struct ring *ring)
{
    const uint64_t size = ring->size;
    ring->descriptor = memory_user(back, ring->addresses.descriptor, size * 16u);
    ring->driver = memory_user(back, ring->addresses.available, 4);
    ring->device = memory_user(back, ring->addresses.used, 4);
    ring->running = ring->descriptor != NULL && ring->driver != NULL && ring->device != NULL;
    say(back, "ring %u size %u %s", ring->index, ring->size, ring->running ? "runs" : "lost");
}

/* ---- chains ---- */

static void put(struct back *back, struct chain *chain, uint64_t address, uint32_t length,
                bool write)
{
    void *base = memory_guest(back, address, length);
    uint32_t *count = write ? &chain->writables : &chain->readables;
    if (base == NULL || length == 0u || *count == SEGMENTS_MAX) {
        say(back, "lost %#llx %#x", (unsigned long long)address, length);
        return;
    }
    (write ? chain->writable : chain->readable)[*count] = (struct iovec){base, length};
    *count += 1u;
    chain->writable_bytes += write ? length : 0u;
}

static void take_split(struct back *back, struct ring *ring, struct chain *chain, uint16_t head)
{
    const struct split_desc *table = (const void *)ring->descriptor;
    uint32_t entries = ring->size;
    uint32_t at = head;
    chain->id = head;
    for (uint32_t i = 0; i < entries && at < entries; i++) {
        struct split_desc desc = table[at];
        if ((desc.flags & INDIRECT) != 0u && chain->table == NULL) {
            chain->count++;
            chain->table = memory_guest(back, desc.address, desc.length);
            chain->table_count = (uint16_t)(desc.length / sizeof(desc));
            if (chain->table == NULL) {
                return;
            }
            table = (const void *)chain->table;
            entries = chain->table_count;
            at = 0;
            i = (uint32_t)-1;
            continue;
        }
        if (chain->table == NULL) {
            chain->count++;
        }
        put(back, chain, desc.address, desc.length, (desc.flags & WRITE) != 0u);
        if ((desc.flags & NEXT) == 0u) {
            return;
        }
        at = desc.next;
    }
}

static bool pop_split(struct back *back, struct ring *ring, struct chain *chain)
{
    const uint16_t *available = (const void *)ring->driver;
    if (__atomic_load_n(&available[1], __ATOMIC_ACQUIRE) == ring->seen) {
        return false;
    }
    uint16_t head = available[2u + ring->seen % ring->size];
    chain->place = ring->seen % ring->size;
    ring->seen++;
    take_split(back, ring, chain, head);
    return true;
}

static void take_table(struct back *back, struct chain *chain, const struct packed_desc *desc)
{
    chain->table = memory_guest(back, desc->address, desc->length);
    chain->table_count = (uint16_t)(desc->length / sizeof(*desc));
    const struct packed_desc *table = (const void *)chain->table;
    for (uint32_t i = 0; table != NULL && i < chain->table_count; i++) {
        put(back, chain, table[i].address, table[i].length, (table[i].flags & WRITE) != 0u);
    }
}

static bool pop_packed(struct back *back, struct ring *ring, struct chain *chain)
{
    struct packed_desc *table = (void *)ring->descriptor;
    uint16_t flags = __atomic_load_n(&table[ring->seen].flags, __ATOMIC_ACQUIRE);
    const uint16_t fresh = ring->seen_wrap ? AVAIL : USED;
    if ((flags & (AVAIL | USED)) != fresh) {
        return false;
    }
    chain->place = ring->seen;
    for (uint32_t i = 0; i < ring->size; i++) {
        struct packed_desc desc = table[ring->seen];
        chain->count++;
        chain->id = desc.id;
        ring->seen++;
        if (ring->seen == ring->size) {
            ring->seen = 0;
            ring->seen_wrap = !ring->seen_wrap;
        }
        if ((desc.flags & INDIRECT) != 0u) {
            take_table(back, chain, &desc);
        } else {
            put(back, chain, desc.address, desc.length, (desc.flags & WRITE) != 0u);
        }
        if ((desc.flags & NEXT) == 0u) {
            break;
        }
    }
    return true;
}

bool ring_pop(struct back *back, struct ring *ring, struct chain *chain)
{
    memset(chain, 0, sizeof(*chain));
    chain->ring = ring;
    return ring_is_packed(back) ? pop_packed(back, ring, chain) : pop_split(back, ring, chain);
}

/* ---- used ---- */

void ring_used(struct back *back, struct ring *ring, uint16_t id, uint16_t count, uint32_t length)
{
    if (!ring_is_packed(back)) {
        uint32_t *elements = (uint32_t *)(void *)(ring->device + 4);
        elements[2u * (ring->used % ring->size)] = id;
        elements[2u * (ring->used % ring->size) + 1u] = length;
        ring->used++;
        return;
    }
    struct packed_desc *desc = (struct packed_desc *)(void *)ring->descriptor + ring->used;
    desc->id = id;
    desc->length = length;
    uint16_t flags =
        (uint16_t)((ring->used_wrap ? AVAIL | USED : 0u) | (length != 0u ? WRITE : 0u));
    __atomic_store_n(&desc->flags, flags, __ATOMIC_RELEASE);
    ring->used = (uint16_t)(ring->used + count);
    if (ring->used >= ring->size) {
        ring->used = (uint16_t)(ring->used - ring->size);
        ring->used_wrap = !ring->used_wrap;
    }
}

void ring_show(struct back *back, struct ring *ring)
{
    if (!ring_is_packed(back)) {
        __atomic_store_n((uint16_t *)(void *)ring->device + 1, ring->used, __ATOMIC_RELEASE);
    }
    ring_call(ring);
}

void ring_call(const struct ring *ring)
{
    const uint64_t one = 1;
    if (ring->call >= 0 && write(ring->call, &one, sizeof(one)) < 0) {
        return; /* full: it will be seen */
    }
}

void ring_work(struct back *back, struct ring *ring)
{
    const struct attack *attack = back->attack;
    uint32_t count = 0;
    while (ring->running && count < POPPED_MAX && ring_pop(back, ring, &back->popped[count])) {
        count++;
    }
    if (count == 0u ||
        (back->armed && attack->popped != NULL && attack->popped(back, back->popped, count))) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct chain *chain = &back->popped[i];
        back->served++;
        if (back->armed && attack->serve != NULL && attack->serve(back, chain)) {
            continue;
        }
        blk_serve(back, chain);
        ring_used(back, ring, chain->id, chain->count, chain->written);
    }
    ring_show(back, ring);
}
