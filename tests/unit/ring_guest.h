/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A raw guest for tests of core/: it lays out split and packed rings byte by byte, right or wrong
 * as the test wants, and looks at what the device wrote. It checks nothing, so that any hostile
 * ring can be built. It is not a driver: driver/ is one.
 *
 * Its memory is three regions, each a heap block of its own, so that the address sanitizer watches
 * their ends: LOW and HIGH lie next to each other in guest addresses, ROM may only be read, and all
 * else is a hole.
 */
#ifndef RING_GUEST_H
#define RING_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/memory.h"
#include "bulkhead/queue.h"
#include "bulkhead/virtio.h"

#define GUEST_LOW       UINT64_C(0x40000000)
#define GUEST_LOW_SIZE  UINT64_C(0x20000)
#define GUEST_HIGH      (GUEST_LOW + GUEST_LOW_SIZE)
#define GUEST_HIGH_SIZE UINT64_C(0x8000)
#define GUEST_ROM       UINT64_C(0x50000000)
#define GUEST_ROM_SIZE  UINT64_C(0x1000)
#define GUEST_HOLE      UINT64_C(0x60000000)

/* What lies where in LOW. */
#define GUEST_DESCRIPTOR GUEST_LOW
#define GUEST_DRIVER     (GUEST_LOW + 0x4000u)
#define GUEST_DEVICE     (GUEST_LOW + 0x5000u)
#define GUEST_TABLE      (GUEST_LOW + 0x8000u)
#define GUEST_DATA       (GUEST_LOW + 0x10000u)

#define GUEST_QUEUE_MAX   1024u
#define GUEST_BLOCKS      2u  /* of the pool */
#define GUEST_BLOCK_SPANS 16u /* the longest chain */

/* Descriptor flags without the one that a chain helper adds (NEXT). */
#define R 0u
#define W BH_DESC_WRITE

/* One element of a chain. */
struct guest_buffer {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
};

struct guest {
    uint8_t *low;
    uint8_t *high;
    uint8_t *rom;
    struct bh_region regions[4];
    struct bh_memory memory;

    bool packed;
    uint16_t size;
    uint16_t avail; /* split: the driver's index; packed: the next slot */
    bool avail_wrap;
    uint16_t used; /* the next used element to look at */
    bool used_wrap;
    uint16_t slots[GUEST_QUEUE_MAX]; /* packed: of each buffer id */

    struct bh_queue queue;
    struct bh_queue_setup setup;
    struct bh_order_slot order[GUEST_QUEUE_MAX];
    uint8_t busy[GUEST_QUEUE_MAX];
    struct bh_span blocks[GUEST_BLOCKS * GUEST_BLOCK_SPANS];
    uint16_t free[GUEST_BLOCKS];
    struct bh_span_pool pool;
};

/* A guest with memory and a stopped queue of `size`; `features`: beside VERSION_1 and RING_PACKED.
 */
void guest_init(struct guest *guest, bool packed, uint16_t size, uint64_t features);
void guest_finish(struct guest *guest);

/* Starts the queue as `setup` says; it must work. */
void guest_start(struct guest *guest);

/* cmocka setups (size 8, no features, running) and the teardown. */
int guest_setup_split(void **state);
int guest_setup_packed(void **state);
int guest_teardown(void **state);

/* The same test for both formats, in a list of tests. */
#define TEST_BOTH(test)                                                                            \
    {#test ": split", test, guest_setup_split, guest_teardown, NULL},                              \
    {                                                                                              \
#test ": packed", test, guest_setup_packed, guest_teardown, NULL                           \
    }
#define TEST_SPLIT(test)                                                                           \
    {                                                                                              \
#test, test, guest_setup_split, guest_teardown, NULL                                       \
    }
#define TEST_PACKED(test)                                                                          \
    {                                                                                              \
#test, test, guest_setup_packed, guest_teardown, NULL                                      \
    }

/* Starts again with other features or another size, everything zero. */
void guest_restart(struct guest *guest, uint16_t size, uint64_t features);

/* Host memory behind a guest address (within one region). */
uint8_t *guest_at(struct guest *guest, uint64_t address);

/* Little-endian fields. */
void guest_put16(struct guest *guest, uint64_t address, uint32_t value);
void guest_put32(struct guest *guest, uint64_t address, uint32_t value);
void guest_put64(struct guest *guest, uint64_t address, uint64_t value);
uint16_t guest_get16(struct guest *guest, uint64_t address);
uint32_t guest_get32(struct guest *guest, uint64_t address);

/* Descriptor `index` of the table at `table`, as it lies: `extra` is `next` (split) or `id`
 * (packed). */
void guest_descriptor(struct guest *guest, uint64_t table, uint32_t index,
                      const struct guest_buffer *buffer, uint16_t extra);

/* Split: head into the next available entry, and the index moves on by one. */
void guest_split_offer(struct guest *guest, uint16_t head);
/* Split: the driver's index as such. */
void guest_split_index(struct guest *guest, uint16_t index);

/* Packed: one descriptor in the next slot, available or (`hidden`) not yet; the slot moves on. */
void guest_packed_offer(struct guest *guest, const struct guest_buffer *buffer, uint16_t id);
/* Packed: AVAIL and USED as they are for an available descriptor at the next slot. */
uint16_t guest_packed_available(const struct guest *guest);

/* A well-formed chain: linked in table entries `head`, head + 1, ... (split), or in the next slots
 * with the buffer id `head` (packed). */
void guest_offer(struct guest *guest, const struct guest_buffer *buffers, uint16_t count,
                 uint16_t head);
/* A one-buffer chain. */
void guest_offer_one(struct guest *guest, uint64_t address, uint32_t length, uint16_t flags,
                     uint16_t head);
/* A chain with one descriptor that refers to a table. */
void guest_offer_indirect(struct guest *guest, uint64_t table, uint32_t length, uint16_t head);
/* Fills the table at `table` with a well-formed chain. */
void guest_table(struct guest *guest, uint64_t table, const struct guest_buffer *buffers,
                 uint16_t count);

/* Takes the next used element, if it is visible. */
bool guest_used(struct guest *guest, uint32_t *id, uint32_t *length);
/* The next used element must be this one; or there must be none. */
void guest_expect_used(struct guest *guest, uint32_t id, uint32_t length);
void guest_expect_nothing(struct guest *guest);

/* Suppression (used buffer notifications): off, on, or at the index (split) or slot (packed). */
void guest_want_none(struct guest *guest);
void guest_want_all(struct guest *guest);
void guest_want_at(struct guest *guest, uint16_t index, bool wrap);
/* Whether the device asks for available buffer notifications (without EVENT_IDX). */
bool guest_may_notify(struct guest *guest);

/* Pops, which must give 1. */
void guest_pop(struct guest *guest, struct bh_chain *chain);
/* Pops, which must be the violation `error`; nothing may be held then, and the queue is faulty. */
void guest_pop_fault(struct guest *guest, int error);
/* Pushes, publishes, and takes the used element. */
void guest_complete(struct guest *guest, struct bh_chain *chain, uint32_t written);

/* A span must be this piece of the guest's memory. */
void guest_expect_span(struct guest *guest, const struct bh_span *span, uint64_t address,
                       size_t length);

/* Whatever a hostile ring held: no more spans than the limit, each within one region and its
 * rights, and the sums are theirs. */
void guest_check_chain(const struct guest *guest, const struct bh_chain *chain);

#endif
