/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A relay between a raw guest (ring_guest.h) and a back end in memory: the honest device side of
 * core/, on the rings that the relay shows it. The back end maps the arena, and of the guest's memory
 * what is shared; the test plays the device model, and may write anything where a hostile one could.
 * Not here: sockets, processes.
 */
#ifndef RELAY_RIG_H
#define RELAY_RIG_H

#include "gate/relay.h"
#include "ring_guest.h"

#define RIG_QUEUES     4u
#define RIG_SIZE       64u /* of the guest's rings */
#define RIG_ARENA      (UINT64_C(1) << 40)
#define RIG_ARENA_SIZE (UINT32_C(1) << 20)
#define RIG_SHARED     GUEST_DATA /* up to the end of LOW */
#define RIG_CONFIG     72u
#define RIG_SPANS      128u /* of a chain at the back end */

/* The back end: what it was told, and its rings. */
struct rig_back {
    struct bh_transport transport; /* first */
    struct bh_region regions[2];
    struct bh_memory memory;
    struct bh_queue queues[RIG_QUEUES];
    struct bh_order_slot order[RIG_QUEUES][BH_QUEUE_SIZE_MAX];
    uint8_t busy[RIG_QUEUES][BH_QUEUE_SIZE_MAX];
    struct bh_span blocks[64 * RIG_SPANS];
    uint16_t free[64];
    struct bh_span_pool pool;
    struct bh_queue_areas areas[RIG_QUEUES];
    bool started[RIG_QUEUES];
    uint32_t notified[RIG_QUEUES];
    uint64_t features;
    uint16_t size_max;
    int start_error;
    uint32_t config_writes;
    uint32_t config_offset;
    uint8_t config_byte;
};

struct relay_rig {
    struct guest guest;
    struct bh_gate_device device;
    struct bh_gate_limits limits;
    struct bh_gate_counters counters;
    uint64_t class_state[64];
    uint8_t *arena;
    struct bh_relay *relay;
    struct rig_back back;
    uint64_t guest_features;
    uint64_t back_features;
    uint64_t now;
    /* What the relay told its owner. */
    uint64_t agreed;
    uint32_t agreements;
    uint32_t lies;
    uint16_t lied_queue;
    const char *lie;
    uint64_t wake_us; /* UINT64_MAX: not asked */
    uint32_t config_writes;
    int config_result;
    uint32_t stops;
    int stop_result;
    /* What it told the port. */
    uint32_t notified[RIG_QUEUES];
    uint32_t failed;
    uint32_t idle;
    uint32_t config_changes;
    /* One ring of the guest's: its own places. */
    struct rig_place {
        uint16_t avail;
        uint16_t used;
        bool avail_wrap;
        bool used_wrap;
    } places[RIG_QUEUES];
    uint16_t current;
};

/* How a rig is made. */
struct rig_setup {
    const struct bh_gate_class *class; /* NULL: blk */
    uint64_t guest_features;           /* beside VERSION_1 */
    uint64_t back_features;
    uint32_t arena_size; /* 0: RIG_ARENA_SIZE */
    uint16_t size_max;   /* of the back end's rings; 0: 256 */
    uint16_t guest_size; /* 0: RIG_SIZE */
    bool shared;
    bool detached; /* no back end yet */
    bool stopped;  /* no queue runs yet */
};

struct relay_rig *rig_new(const struct rig_setup *setup);
void rig_free(struct relay_rig *rig);

/* Attaches a back end, whatever was before: all its rings are new. */
int rig_attach(struct relay_rig *rig);
/* The guest's ring `index` is meant from now on (rig->guest); 0 after rig_new. */
void rig_look_at(struct relay_rig *rig, uint16_t index);
void rig_start(struct relay_rig *rig, uint16_t index);
/* The guest's ring `index`, which is stopped, is empty again, at its begin. */
void rig_places_reset(struct relay_rig *rig, uint16_t index);
/* The guest's notification, and the end of the turn. */
void rig_kick(struct relay_rig *rig);

/* The back end takes the next request of queue `index`; false: there is none. */
bool rig_take(struct relay_rig *rig, uint16_t index, struct bh_chain *chain);
/* It gives one back, and calls. */
void rig_give(struct relay_rig *rig, uint16_t index, struct bh_chain *chain, uint32_t written);
/* The relay hears of it. */
uint32_t rig_called(struct relay_rig *rig, uint16_t index);

/* Bytes that the back end sees at an address; NULL: it maps nothing there. */
uint8_t *rig_back_at(struct relay_rig *rig, uint64_t address, size_t length);

/* A block request of the guest's: header at `at`, `length` bytes of data behind it (a page on), status
 * behind that (two pages on), with the chain's head or id `head`. */
void rig_offer_blk(struct relay_rig *rig, uint32_t type, uint64_t at, uint32_t length,
                   uint16_t head);
uint64_t rig_data_at(uint64_t at);
uint64_t rig_status_at(uint64_t at, uint32_t length);

#endif
