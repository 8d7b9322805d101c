/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the bytes of a request lie for the back end, and how they get there and back.
 *
 * A span that lies wholly in shared memory is passed by its guest address. Every other one has a copy
 * in the arena: short ones (headers, status) packed together in one block, each at a multiple of 16;
 * the others one behind the other in a second block that begins at a page, so that a back end whose
 * I/O must be aligned to sectors finds them so. A request's framing is kept: only neighbours among the
 * longer spans become one element (VIRTIO 1.4, 2.7.4 forbids nothing more; but back ends that expect a
 * header in a descriptor of its own are common).
 *
 * Where a copy lies is computed from the spans and their order, never remembered: the way out takes
 * the same steps as the way in.
 *
 * What is not written by the back end is never copied out, but for the class's status bytes: these
 * are copied in before, so that a back end that leaves them alone changes nothing.
 */
#include "relay_internal.h"

#include <string.h>

#define SMALL 512u /* a span shorter than this is no data */
#define ALIGN 16u

/* How far the copies have got in the two blocks of a slot. */
struct layout {
    uint64_t small;
    uint64_t data;
};

/* ---- what is shared ---- */

static bool within(const struct bh_relay_range *range, uint64_t address, uint64_t length)
{
    uint64_t offset = address - range->address;
    return offset < range->size && length <= range->size - offset;
}

/* Whether the back end may map [address, address + length). */
static bool is_shared(struct bh_relay *relay, uint64_t address, uint64_t length)
{
    if (within(&relay->shares[relay->share_last], address, length)) {
        return true;
    }
    for (uint32_t i = 0; i < relay->share_count; i++) {
        if (within(&relay->shares[i], address, length)) {
            relay->share_last = i;
            return true;
        }
    }
    return false;
}

/* The guest's address of a span; the region that was hit last comes first. */
static bool guest_address(struct bh_relay *relay, const struct bh_span *span, uint64_t *address)
{
    const struct bh_memory *memory = relay->setup.memory;
    for (uint32_t i = 0; i <= memory->region_count; i++) {
        uint32_t at = i == 0u ? relay->region_last : i - 1u;
        if (at >= memory->region_count) {
            continue;
        }
        const struct bh_region *region = &memory->regions[at];
        uint64_t offset = (uint64_t)((uintptr_t)span->base - (uintptr_t)region->base);
        if (offset < region->size && span->length <= region->size - offset) {
            relay->region_last = at;
            *address = region->address + offset;
            return true;
        }
    }
    return false;
}

static bool find_shared(struct bh_relay *relay, const struct bh_span *span, uint64_t *address)
{
    return relay->share_count != 0u && guest_address(relay, span, address) &&
           is_shared(relay, *address, span->length);
}

/* ---- where copies lie ---- */

static inline uint64_t round_up(uint64_t bytes, uint64_t power)
{
    return (bytes + power - 1u) & ~(power - 1u);
}

/* Takes the next place for a span. */
static inline struct bh_relay_place next_place(struct bh_relay *relay,
                                               const struct bh_relay_slot *slot,
                                               struct layout *layout, const struct bh_span *span)
{
    struct bh_relay_place place = {.kind = BH_RELAY_IN_DATA};
    if (relay->share_count != 0u && !slot->squeezed && find_shared(relay, span, &place.at)) {
        place.kind = BH_RELAY_SHARED;
    } else if (!slot->squeezed && span->length < SMALL) {
        place.kind = BH_RELAY_IN_SMALL;
        place.at = layout->small;
        layout->small = round_up(place.at + span->length, ALIGN);
    } else {
        place.at = layout->data;
        if (!slot->squeezed && place.at % SMALL != 0u) {
            place.at = round_up(place.at, BH_ARENA_PAGE);
        }
        layout->data = place.at + span->length;
    }
    return place;
}

/* Where the copy lies here; NULL: there is none. */
static inline uint8_t *copy_of(const struct bh_relay_slot *slot, const struct bh_relay_place *place)
{
    if (place->kind == BH_RELAY_SHARED) {
        return NULL;
    }
    return (place->kind == BH_RELAY_IN_SMALL ? slot->small.base : slot->data.base) + place->at;
}

static inline uint64_t address_of(const struct bh_relay_slot *slot,
                                  const struct bh_relay_place *place)
{
    switch (place->kind) {
    case BH_RELAY_IN_SMALL:
        return slot->small.address + place->at;
    case BH_RELAY_IN_DATA:
        return slot->data.address + place->at;
    default:
        return place->at;
    }
}

/* Squeezed, the two parts must not become one element. */
static void turn(const struct bh_relay_slot *slot, struct layout *layout)
{
    if (slot->squeezed) {
        layout->data = round_up(layout->data, BH_ARENA_PAGE);
    }
}

/* Finds a place for each span: relay->places. Returns how much room they take. */
static struct layout plan(struct bh_relay *relay, struct bh_relay_slot *slot)
{
    const struct bh_chain *chain = &slot->chain;
    const uint32_t count = (uint32_t)chain->readable_count + chain->writable_count;
    struct layout layout = {0, 0};
    for (uint32_t i = 0; i < chain->readable_count; i++) {
        relay->places[i] = next_place(relay, slot, &layout, &chain->spans[i]);
    }
    turn(slot, &layout);
    slot->small_out = layout.small;
    slot->data_out = layout.data;
    for (uint32_t i = chain->readable_count; i < count; i++) {
        relay->places[i] = next_place(relay, slot, &layout, &chain->spans[i]);
    }
    return layout;
}

/* ---- room ---- */

void bh_relay_let_go(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot)
{
    uint64_t before = bh_arena_used(relay->arena);
    bh_arena_give(relay->arena, &slot->small);
    bh_arena_give(relay->arena, &slot->data);
    if (side->waits) {
        relay->waits_bytes -= before - bh_arena_used(relay->arena);
    }
}

/* Buffers that wait for the world outside may fill half of the arena at most: what they hold comes
 * back when somebody out there pleases, and the other queues cannot wait for that. */
static bool may_take(const struct bh_relay *relay, const struct bh_relay_side *side)
{
    return !side->waits || relay->waits_bytes == 0u ||
           relay->waits_bytes < bh_arena_size(relay->arena) / 2u;
}

static int take_room(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                     const struct layout *layout)
{
    uint64_t before = bh_arena_used(relay->arena);
    int result = BH_OK;
    if (layout->small + layout->data != 0u && !may_take(relay, side)) {
        return BH_AGAIN;
    }
    if (layout->small != 0u) {
        result = bh_arena_take(relay->arena, layout->small, &slot->small);
    }
    if (result == BH_OK && layout->data != 0u) {
        result = bh_arena_take(relay->arena, layout->data, &slot->data);
    }
    if (side->waits) {
        relay->waits_bytes += bh_arena_used(relay->arena) - before;
    }
    if (result != BH_OK) {
        bh_relay_let_go(relay, side, slot);
    }
    return result;
}

/* ---- in ---- */

/* Copies in what of a writable span belongs to the status, which begins at `status` in the writable
 * part; the span ends at `end` there. */
static void keep_status(const struct bh_span *span, uint8_t *copy, uint64_t status, uint64_t end)
{
    uint64_t start = end - span->length;
    uint64_t from = status > start ? status - start : 0u;
    memcpy(copy + from, span->base + from, span->length - from);
}

/* Adds an element, or makes the last one longer: `first` is where its part begins. */
static inline uint16_t add_element(struct bh_relay *relay, uint16_t first, uint16_t count,
                                   uint64_t address, size_t length, bool squeezed)
{
    struct bh_buffer *elements = relay->elements;
    if (count > first) {
        struct bh_buffer *last = &elements[count - 1u];
        bool data = last->length >= SMALL && length >= SMALL;
        if ((data || squeezed) && last->address + last->length == address) {
            last->length += (uint32_t)length;
            return count;
        }
    }
    elements[count].address = address;
    elements[count].length = (uint32_t)length;
    return (uint16_t)(count + 1u);
}

static uint64_t bring_readable(struct bh_relay *relay, const struct bh_relay_slot *slot,
                               uint16_t *elements)
{
    uint64_t copied = 0;
    uint16_t count = 0;
    for (uint32_t i = 0; i < slot->chain.readable_count; i++) {
        const struct bh_span *span = &slot->chain.spans[i];
        const struct bh_relay_place *place = &relay->places[i];
        uint8_t *copy = copy_of(slot, place);
        if (span->length == 0u) {
            continue;
        }
        if (copy != NULL) {
            memcpy(copy, span->base, span->length);
            copied += span->length;
        }
        count = add_element(relay, 0, count, address_of(slot, place), span->length, slot->squeezed);
    }
    *elements = count;
    return copied;
}

static uint16_t bring_writable(struct bh_relay *relay, const struct bh_relay_slot *slot,
                               uint16_t first)
{
    const struct bh_chain *chain = &slot->chain;
    const uint64_t total = chain->writable_bytes;
    const uint64_t length = relay->setup.class->status_bytes;
    const uint64_t status = length < total ? total - length : 0u;
    uint16_t count = first;
    uint64_t end = 0;
    for (uint32_t i = 0; i < chain->writable_count; i++) {
        const struct bh_span *span = &chain->spans[chain->readable_count + i];
        const struct bh_relay_place *place = &relay->places[chain->readable_count + i];
        if (span->length == 0u) {
            continue;
        }
        end += span->length;
        if (length != 0u && end > status && place->kind != BH_RELAY_SHARED) {
            keep_status(span, copy_of(slot, place), status, end);
        }
        count =
            add_element(relay, first, count, address_of(slot, place), span->length, slot->squeezed);
    }
    return (uint16_t)(count - first);
}

int bh_relay_prepare(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                     uint16_t *readable, uint16_t *writable)
{
    const struct layout room = plan(relay, slot);
    int result = take_room(relay, side, slot, &room);
    if (result != BH_OK) {
        return result;
    }
    uint64_t copied = bring_readable(relay, slot, readable);
    *writable = bring_writable(relay, slot, *readable);
    bh_relay_count(&relay->setup.counters->copied, copied);
    return BH_OK;
}

/* ---- out ---- */

/* Copies the part of a span that lies in [from, to) of the writable part; the span begins at `start`
 * there. */
static uint64_t copy_part(const struct bh_span *span, const uint8_t *copy, uint64_t start,
                          uint64_t from, uint64_t to)
{
    uint64_t end = start + span->length;
    from = from > start ? from : start;
    to = to < end ? to : end;
    if (from >= to) {
        return 0;
    }
    memcpy(span->base + (from - start), copy + (from - start), to - from);
    return to - from;
}

void bh_relay_copy_out(struct bh_relay *relay, const struct bh_relay_slot *slot, uint32_t written)
{
    const struct bh_chain *chain = &slot->chain;
    if (slot->small.base == NULL && slot->data.base == NULL) {
        return;
    }
    uint64_t total = chain->writable_bytes;
    uint64_t status = relay->setup.class->status_bytes;
    uint64_t tail = status < total ? total - status : 0u;
    struct layout layout = {slot->small_out, slot->data_out};
    uint64_t start = 0;
    uint64_t copied = 0;
    tail = tail > written ? tail : written; /* nothing is copied twice */
    for (uint32_t i = 0; i < chain->writable_count; i++) {
        const struct bh_span *span = &chain->spans[chain->readable_count + i];
        if (span->length == 0u) {
            continue;
        }
        const struct bh_relay_place place = next_place(relay, slot, &layout, span);
        const uint8_t *copy = copy_of(slot, &place);
        if (copy != NULL) {
            copied += copy_part(span, copy, start, 0, written);
            if (status != 0u && start + span->length > tail) {
                copied += copy_part(span, copy, start, tail, total);
            }
        }
        start += span->length;
    }
    bh_relay_count(&relay->setup.counters->copied, copied);
}
