/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two files of the relay's fuzzer share: fuzz_relay.c (guest, steps, what must hold) and
 * fuzz_relay_back.c (the back end, and the relay's owner).
 */
#ifndef FUZZ_RELAY_H
#define FUZZ_RELAY_H

#include "fuzz_input.h"

#include "bulkhead/bytes.h"
#include "bulkhead/driver_queue.h"
#include "bulkhead/virtio_blk.h"
#include "gate/relay.h"

#define GUEST      UINT64_C(0x100000)
#define GUEST_SIZE 0x20000u
#define RINGS      0x4000u /* for each queue, from the begin */
#define PRIVATE    0x10000u
#define DATA       0x11000u /* may be shared */
#define SLOT_BYTES 0x400u
#define REQUESTS   48u
#define QUEUES     4u
#define ARENA      (UINT64_C(1) << 40)
#define ARENA_SIZE (48u * 4096u)
#define SIZE       16u
#define STEPS_MAX  400u
#define HELD_MAX   64u
#define SPANS      80u

enum {
    FLAG_GUEST_PACKED = 1,
    FLAG_SHARED = 2,
    FLAG_HOSTILE_GUEST = 4,
    FLAG_EVENT = 8,
    FLAG_ORDER = 16,
};

struct request {
    bool out;
    uint16_t queue;
    uint32_t readable; /* bytes from its slot's begin */
    uint32_t writable;
};

struct back {
    struct bh_transport transport; /* first */
    struct bh_region regions[2];
    struct bh_memory memory;
    struct bh_queue queues[QUEUES];
    struct bh_order_slot order[QUEUES][256];
    uint8_t busy[QUEUES][256];
    struct bh_span blocks[8 * SPANS];
    uint16_t free[8];
    struct bh_span_pool pool;
    struct bh_queue_areas areas[QUEUES];
    struct {
        struct bh_chain chain;
        bool held;
        uint16_t queue;
    } held[HELD_MAX];
    uint64_t features;
    uint16_t size_max;
    bool running[QUEUES];
};

struct fuzz {
    struct fuzz_input input;
    uint8_t *guest;
    uint8_t *arena;
    uint8_t flags;
    bool lied;
    bool refused;
    uint64_t now;
    struct bh_region region;
    struct bh_memory memory;
    struct bh_gate_device setup;
    struct bh_gate_limits limits;
    struct bh_gate_counters counters;
    uint64_t class_state[64];
    struct bh_relay *relay;
    struct bh_device *device;
    struct bh_transport guest_transport;
    struct bh_driver_queue drivers[QUEUES];
    struct bh_driver_slot slots[QUEUES][SIZE];
    bool driving[QUEUES];
    struct request requests[REQUESTS];
    struct back back;
    uint64_t features;
};

/* The one that runs. */
extern struct fuzz *fuzz;

/* A new back end, whose rings and size `choice` says; nothing runs yet. */
void back_new(uint8_t choice);
/* It takes a request; gives one back; writes a used entry as the numbers have it. */
void back_pop(uint16_t queue);
void back_push(uint8_t which, uint32_t written);
void back_lie(uint16_t queue, uint32_t id, uint32_t length);

extern const struct bh_relay_ops fuzz_owner;

#endif
