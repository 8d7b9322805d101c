/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The raw guest: see ring_guest.h. Everything is stored byte by byte, little-endian, so that it
 * also shows that core/ reads the layout of VIRTIO 1.4 and not that of the host.
 */
#include "ring_guest.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *block_new(size_t size)
{
    uint8_t *block = calloc(1, size);

    assert_non_null(block);
    return block;
}

void guest_init(struct guest *guest, bool packed, uint16_t size, uint64_t features)
{
    memset(guest, 0, sizeof(*guest));
    guest->low = block_new(GUEST_LOW_SIZE);
    guest->high = block_new(GUEST_HIGH_SIZE);
    guest->rom = block_new(GUEST_ROM_SIZE);
    guest->regions[0] =
        (struct bh_region){GUEST_LOW, GUEST_LOW_SIZE, guest->low, BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest->regions[1] = (struct bh_region){GUEST_HIGH, GUEST_HIGH_SIZE, guest->high,
                                           BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest->regions[2] = (struct bh_region){GUEST_ROM, GUEST_ROM_SIZE, guest->rom, BH_ACCESS_READ};
    guest->memory.regions = guest->regions;
    guest->memory.region_count = 3;

    guest->packed = packed;
    guest->size = size;
    guest->avail_wrap = true;
    guest->used_wrap = true;

    bh_span_pool_init(&guest->pool, guest->blocks, guest->free, GUEST_BLOCKS, GUEST_BLOCK_SPANS);
    bh_queue_init(&guest->queue, 0, GUEST_QUEUE_MAX, guest->order, guest->busy, &guest->pool);
    guest->setup = (struct bh_queue_setup){
        .features = BH_F_VERSION_1 | features | (packed ? BH_F_RING_PACKED : 0u),
        .descriptor = GUEST_DESCRIPTOR,
        .driver = GUEST_DRIVER,
        .device = GUEST_DEVICE,
        .size = size,
        .avail_wrap = true,
        .used_wrap = true,
    };
}

void guest_finish(struct guest *guest)
{
    free(guest->low);
    free(guest->high);
    free(guest->rom);
}

void guest_start(struct guest *guest)
{
    assert_int_equal(bh_queue_start(&guest->queue, &guest->memory, &guest->setup), BH_OK);
}

static int setup(void **state, bool packed)
{
    struct guest *guest = malloc(sizeof(*guest));

    if (guest == NULL) {
        return -1;
    }
    guest_init(guest, packed, 8, 0);
    guest_start(guest);
    *state = guest;
    return 0;
}

int guest_setup_split(void **state)
{
    return setup(state, false);
}

int guest_setup_packed(void **state)
{
    return setup(state, true);
}

int guest_teardown(void **state)
{
    guest_finish(*state);
    free(*state);
    return 0;
}

void guest_restart(struct guest *guest, uint16_t size, uint64_t features)
{
    bool packed = guest->packed;

    guest_finish(guest);
    guest_init(guest, packed, size, features);
    guest_start(guest);
}

uint8_t *guest_at(struct guest *guest, uint64_t address)
{
    uint32_t i;

    for (i = 0; i < guest->memory.region_count; i++) {
        const struct bh_region *region = &guest->regions[i];

        if (address >= region->address && address - region->address < region->size) {
            return region->base + (address - region->address);
        }
    }
    fail_msg("the test touches guest address %#llx", (unsigned long long)address);
    return NULL;
}

static void put(struct guest *guest, uint64_t address, uint64_t value, unsigned bytes)
{
    uint8_t *at = guest_at(guest, address);
    unsigned i;

    for (i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8u * i));
    }
}

static uint64_t get(struct guest *guest, uint64_t address, unsigned bytes)
{
    const uint8_t *at = guest_at(guest, address);
    uint64_t value = 0;
    unsigned i;

    for (i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8u * i);
    }
    return value;
}

void guest_put16(struct guest *guest, uint64_t address, uint32_t value)
{
    put(guest, address, value, 2);
}

void guest_put32(struct guest *guest, uint64_t address, uint32_t value)
{
    put(guest, address, value, 4);
}

void guest_put64(struct guest *guest, uint64_t address, uint64_t value)
{
    put(guest, address, value, 8);
}

uint16_t guest_get16(struct guest *guest, uint64_t address)
{
    return (uint16_t)get(guest, address, 2);
}

uint32_t guest_get32(struct guest *guest, uint64_t address)
{
    return (uint32_t)get(guest, address, 4);
}

void guest_descriptor(struct guest *guest, uint64_t table, uint32_t index,
                      const struct guest_buffer *buffer, uint16_t extra)
{
    uint64_t at = table + 16u * (uint64_t)index;

    guest_put64(guest, at, buffer->address);
    guest_put32(guest, at + 8, buffer->length);
    guest_put16(guest, at + 12, guest->packed ? extra : buffer->flags);
    guest_put16(guest, at + 14, guest->packed ? buffer->flags : extra);
}

void guest_split_index(struct guest *guest, uint16_t index)
{
    guest->avail = index;
    guest_put16(guest, guest->setup.driver + 2, index);
}

void guest_split_offer(struct guest *guest, uint16_t head)
{
    guest_put16(guest, guest->setup.driver + 4 + 2u * (uint64_t)(guest->avail % guest->size), head);
    guest_split_index(guest, (uint16_t)(guest->avail + 1u));
}

uint16_t guest_packed_available(const struct guest *guest)
{
    return guest->avail_wrap ? (uint16_t)BH_DESC_AVAIL : (uint16_t)BH_DESC_USED;
}

static void packed_advance(struct guest *guest)
{
    guest->avail++;
    if (guest->avail == guest->size) {
        guest->avail = 0;
        guest->avail_wrap = !guest->avail_wrap;
    }
}

void guest_packed_offer(struct guest *guest, const struct guest_buffer *buffer, uint16_t id)
{
    struct guest_buffer available = *buffer;

    available.flags = (uint16_t)(available.flags | guest_packed_available(guest));
    guest_descriptor(guest, guest->setup.descriptor, guest->avail, &available, id);
    packed_advance(guest);
}

static struct guest_buffer linked(const struct guest_buffer *buffers, uint16_t count, uint16_t i)
{
    struct guest_buffer buffer = buffers[i];

    if (i + 1 < count) {
        buffer.flags |= BH_DESC_NEXT;
    }
    return buffer;
}

void guest_offer(struct guest *guest, const struct guest_buffer *buffers, uint16_t count,
                 uint16_t head)
{
    uint16_t i;

    for (i = 0; i < count; i++) {
        struct guest_buffer buffer = linked(buffers, count, i);

        if (guest->packed) {
            guest_packed_offer(guest, &buffer, head);
        } else {
            guest_descriptor(guest, guest->setup.descriptor, ((uint32_t)head + i) % guest->size,
                             &buffer, (uint16_t)((head + i + 1) % guest->size));
        }
    }
    if (guest->packed) {
        guest->slots[head] = count;
    } else {
        guest_split_offer(guest, head);
    }
}

void guest_offer_one(struct guest *guest, uint64_t address, uint32_t length, uint16_t flags,
                     uint16_t head)
{
    struct guest_buffer buffer = {address, length, flags};

    guest_offer(guest, &buffer, 1, head);
}

void guest_offer_indirect(struct guest *guest, uint64_t table, uint32_t length, uint16_t head)
{
    guest_offer_one(guest, table, length, BH_DESC_INDIRECT, head);
}

void guest_table(struct guest *guest, uint64_t table, const struct guest_buffer *buffers,
                 uint16_t count)
{
    uint16_t i;

    for (i = 0; i < count; i++) {
        /* The packed format knows no NEXT here (VIRTIO 1.4, 2.8.7). */
        struct guest_buffer buffer = guest->packed ? buffers[i] : linked(buffers, count, i);

        guest_descriptor(guest, table, i, &buffer, (uint16_t)(i + 1u));
    }
}

static bool packed_used(struct guest *guest, uint32_t *id, uint32_t *length)
{
    uint64_t at = guest->setup.descriptor + 16u * (uint64_t)guest->used;
    uint16_t flags = guest_get16(guest, at + 14);
    bool avail = (flags & BH_DESC_AVAIL) != 0;
    bool used = (flags & BH_DESC_USED) != 0;

    if (avail != guest->used_wrap || used != guest->used_wrap) {
        return false;
    }
    *id = guest_get16(guest, at + 12);
    *length = guest_get32(guest, at + 8);
    assert_true(*id < GUEST_QUEUE_MAX);
    guest->used = (uint16_t)(guest->used + guest->slots[*id]);
    if (guest->used >= guest->size) {
        guest->used = (uint16_t)(guest->used - guest->size);
        guest->used_wrap = !guest->used_wrap;
    }
    return true;
}

bool guest_used(struct guest *guest, uint32_t *id, uint32_t *length)
{
    uint64_t at;

    if (guest->packed) {
        return packed_used(guest, id, length);
    }
    if (guest_get16(guest, guest->setup.device + 2) == guest->used) {
        return false;
    }
    at = guest->setup.device + 4 + 8u * (uint64_t)(guest->used % guest->size);
    *id = guest_get32(guest, at);
    *length = guest_get32(guest, at + 4);
    guest->used++;
    return true;
}

void guest_expect_used(struct guest *guest, uint32_t id, uint32_t length)
{
    uint32_t seen_id = 0;
    uint32_t seen_length = 0;

    assert_true(guest_used(guest, &seen_id, &seen_length));
    assert_int_equal(seen_id, id);
    assert_int_equal(seen_length, length);
}

void guest_expect_nothing(struct guest *guest)
{
    uint32_t id = 0;
    uint32_t length = 0;

    assert_false(guest_used(guest, &id, &length));
}

void guest_want_none(struct guest *guest)
{
    if (guest->packed) {
        guest_put16(guest, guest->setup.driver + 2, BH_PACKED_EVENT_DISABLE);
    } else {
        guest_put16(guest, guest->setup.driver, BH_SPLIT_AVAIL_NO_INTERRUPT);
    }
}

void guest_want_all(struct guest *guest)
{
    guest_put16(guest, guest->setup.driver + (guest->packed ? 2u : 0u), 0);
}

bool guest_may_notify(struct guest *guest)
{
    return guest_get16(guest, guest->setup.device + (guest->packed ? 2u : 0u)) == 0u;
}

void guest_want_at(struct guest *guest, uint16_t index, bool wrap)
{
    if (guest->packed) {
        guest_put16(guest, guest->setup.driver, index | (wrap ? 0x8000u : 0u));
        guest_put16(guest, guest->setup.driver + 2, BH_PACKED_EVENT_DESC);
    } else {
        guest_put16(guest, guest->setup.driver + 4 + 2u * (uint64_t)guest->size, index);
    }
}

void guest_pop(struct guest *guest, struct bh_chain *chain)
{
    int got = bh_queue_pop(&guest->queue, chain);

    if (got != 1) {
        fail_msg("pop gave %d: %s", got,
                 guest->queue.fault.error != BH_OK ? guest->queue.fault.reason : "no fault");
    }
}

void guest_pop_fault(struct guest *guest, int error)
{
    struct bh_chain chain;
    uint16_t free_before = guest->pool.free_count;
    uint16_t in_flight_before = guest->queue.in_flight;

    assert_int_equal(bh_queue_pop(&guest->queue, &chain), error);
    assert_int_equal(guest->queue.state, BH_QUEUE_FAULTY);
    assert_int_equal(guest->queue.fault.error, error);
    assert_non_null(guest->queue.fault.reason);
    assert_int_equal(guest->pool.free_count, free_before);
    assert_int_equal(guest->queue.in_flight, in_flight_before);
    /* A faulty queue gives nothing any more. */
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
}

void guest_complete(struct guest *guest, struct bh_chain *chain, uint32_t written)
{
    uint16_t id = chain->id;

    bh_queue_push(&guest->queue, chain, written);
    (void)bh_queue_publish(&guest->queue);
    guest_expect_used(guest, id, written);
}

void guest_expect_span(struct guest *guest, const struct bh_span *span, uint64_t address,
                       size_t length)
{
    assert_int_equal(span->length, length);
    assert_ptr_equal(span->base, guest_at(guest, address));
}

static void check_span(const struct guest *guest, const struct bh_span *span, bool writable)
{
    uint32_t i;

    for (i = 0; i < guest->memory.region_count; i++) {
        const struct bh_region *region = &guest->regions[i];

        if (span->base >= region->base && span->base < region->base + region->size) {
            assert_true(span->length > 0);
            assert_true(span->length <= (size_t)(region->base + region->size - span->base));
            assert_true((region->access & (writable ? BH_ACCESS_WRITE : BH_ACCESS_READ)) != 0);
            return;
        }
    }
    fail_msg("a span outside the guest's memory");
}

void guest_check_chain(const struct guest *guest, const struct bh_chain *chain)
{
    uint32_t count = (uint32_t)chain->readable_count + chain->writable_count;
    uint64_t readable = 0;
    uint64_t writable = 0;
    uint32_t i;

    assert_true(count <= GUEST_BLOCK_SPANS);
    for (i = 0; i < count; i++) {
        bool is_writable = i >= chain->readable_count;

        check_span(guest, &chain->spans[i], is_writable);
        if (is_writable) {
            writable += chain->spans[i].length;
        } else {
            readable += chain->spans[i].length;
        }
    }
    assert_int_equal(readable, chain->readable_bytes);
    assert_int_equal(writable, chain->writable_bytes);
}
