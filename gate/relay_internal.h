/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the relay share: relay.c (life, the device's class), relay_back.c (the back end
 * comes and goes), relay_slot.c (requests, from taken to given back), relay_copy.c (where their bytes
 * lie for the back end).
 *
 * A request in its slot:
 *   waiting   popped from the guest's ring; the back end does not have it. -> given; -> free
 *   given     in the back end's ring; its copies lie in the arena. -> free, when it is done or
 *             refused; -> waiting, when the back end is over
 * `shown` remembers that some back end has had it: then the class says whether it may be done again.
 */
#ifndef GATE_RELAY_INTERNAL_H
#define GATE_RELAY_INTERNAL_H

#include "arena.h"
#include "bulkhead/driver_queue.h"
#include "limiter.h"
#include "relay.h"

#define BH_RELAY_SHARES_MAX BH_GATE_FILES_MAX
#define BH_RELAY_OWN_MAX    16u /* requests of the gate's own at a time, for each queue */

struct bh_relay_slot {
    struct bh_chain chain;
    struct bh_relay_slot *older; /* of the queue's requests by age */
    struct bh_relay_slot *newer; /* also: of the free slots */
    struct bh_arena_block small; /* copies of spans that are shorter than BH_RELAY_SMALL */
    struct bh_arena_block data;  /* copies of all others */
    uint64_t small_out;          /* where in these the writable part begins */
    uint64_t data_out;
    uint64_t taken_us;
    bool given;
    bool shown;
    bool squeezed; /* all of it is copied, as few elements: it has more than the ring takes */
    bool own;      /* the gate's: the guest knows nothing of it */
};

/* Where a span of the request that is being shown lies for the back end. */
enum bh_relay_place_kind {
    BH_RELAY_SHARED,   /* `at` is its guest address */
    BH_RELAY_IN_SMALL, /* `at` is in that block of the slot */
    BH_RELAY_IN_DATA,
};

struct bh_relay_place {
    uint64_t at;
    enum bh_relay_place_kind kind;
};

/* One queue: the guest's is relay->queues[index]. */
struct bh_relay_side {
    struct bh_driver_queue ring; /* the back end's */
    struct bh_driver_slot *ring_slots;
    uint8_t *ring_base; /* its memory in the arena */
    uint64_t ring_address;
    struct bh_relay_slot *slots;
    struct bh_relay_slot *free;
    struct bh_relay_slot *oldest;
    struct bh_relay_slot *newest;
    struct bh_relay_slot *waiting; /* nothing older waits; NULL: nothing waits */
    uint64_t progress_us;          /* when the back end last did something, or began to owe it */
    uint32_t slots_touched;        /* those from here on were never used */
    uint32_t given;
    uint32_t own;
    uint32_t restore_step;
    uint16_t index;
    bool running;   /* the back end's ring */
    bool restoring; /* the class has more to tell this back end */
    bool waits;     /* class->waits */
    bool starved;   /* has been counted */
    bool limited;
};

struct bh_relay {
    struct bh_relay_setup setup;
    struct bh_device device;
    struct bh_device_class class; /* the relay's functions under the device's name and type */
    struct bh_queue *queues;
    struct bh_order_slot *order;
    uint8_t *busy;
    struct bh_relay_side *sides;
    struct bh_span_pool pool;
    struct bh_arena *arena;
    struct bh_buffer *elements; /* of the request that is being shown */
    struct bh_relay_place *places;
    struct bh_limiter limiter;
    struct bh_transport *transport;
    uint64_t features; /* agreed with the back end */
    uint64_t ring_bytes;
    uint64_t now_us;      /* of this turn */
    uint64_t wake_at_us;  /* asked for; 0: not */
    uint64_t unpublished; /* bit n: ring n of the back end has something to show */
    uint64_t stuck;       /* bit n: the guest's ring n may have requests, and nobody will say so */
    uint64_t look_again;  /* bit n: the back end's ring n may have more */
    uint64_t waits_bytes; /* of the arena, taken by queues that wait */
    uint32_t held;        /* the guest's requests in slots */
    uint32_t chain_spans; /* the most that a chain has */
    uint32_t slot_count;  /* of each side */
    uint32_t ring_size_max;
    uint32_t turn;
    uint16_t indirect_max;
    bool attached;
    bool refusing;
    bool looking; /* the last words of a back end that is over */

    uint64_t offered;
    uint8_t config[BH_GATE_CONFIG_MAX];
    uint32_t config_size;

    struct bh_relay_range shares[BH_RELAY_SHARES_MAX]; /* for this back end */
    uint32_t share_count;
    uint32_t share_last;
    struct bh_relay_range next_shares[BH_RELAY_SHARES_MAX];
    uint32_t next_share_count;
    uint32_t region_last;
};

/* The ledger is read by the parent while it is written here. */
static inline void bh_relay_count(uint64_t *counter, uint64_t more)
{
    __atomic_store_n(counter, *counter + more, __ATOMIC_RELAXED);
}

static inline uint64_t bh_relay_bit(const struct bh_relay_side *side)
{
    return UINT64_C(1) << side->index;
}

/* ---- relay_copy.c ---- */

/* Where the bytes of a request lie for the back end: fills relay->elements, copies in what the back
 * end cannot map. BH_OK; BH_AGAIN: the arena is full; BH_LIMIT: it will never fit. */
int bh_relay_prepare(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                     uint16_t *readable, uint16_t *writable);
/* Copies out what the back end wrote: `written` bytes, and the status. */
void bh_relay_copy_out(struct bh_relay *relay, const struct bh_relay_slot *slot, uint32_t written);
/* Gives the room of its copies back. */
void bh_relay_let_go(struct bh_relay *relay, struct bh_relay_side *side,
                     struct bh_relay_slot *slot);

/* ---- relay_slot.c ---- */

struct bh_relay_slot *bh_relay_slot_take(struct bh_relay *relay, struct bh_relay_side *side);
void bh_relay_slot_free(struct bh_relay_side *side, struct bh_relay_slot *slot);
/* Appends to the requests by age; removes. */
void bh_relay_slot_hold(struct bh_relay_side *side, struct bh_relay_slot *slot);
void bh_relay_slot_drop(struct bh_relay_side *side, struct bh_relay_slot *slot);

/* A request goes back to the guest, `written` bytes of it. */
void bh_relay_back(struct bh_relay *relay, struct bh_relay_side *side, struct bh_relay_slot *slot,
                   uint32_t written);
/* It goes back with the class's error. */
void bh_relay_turn_down(struct bh_relay *relay, struct bh_relay_side *side,
                        struct bh_relay_slot *slot);
/* Shows what waits, as far as there is room. */
void bh_relay_show_waiting(struct bh_relay *relay, struct bh_relay_side *side);
/* Takes what is done, at most a ring's worth; returns how many. */
uint32_t bh_relay_collect(struct bh_relay *relay, struct bh_relay_side *side);
/* Room came free: goes on with what waited for it. */
void bh_relay_relieve(struct bh_relay *relay);
/* bh_device_class.serve */
enum bh_served bh_relay_serve(struct bh_device *device, struct bh_queue *queue);
void bh_relay_ask(struct bh_relay *relay, uint64_t microseconds);

/* ---- relay_back.c ---- */

/* Starts the back end's ring for a queue of the guest's that runs. */
int bh_relay_ring_start(struct bh_relay *relay, struct bh_relay_side *side);
/* The guest's queue stops: what might wait for ever goes back. */
void bh_relay_ring_stopping(struct bh_relay *relay, struct bh_relay_side *side);
/* Tells the back end what the class remembers for this queue. False: the ring is full. */
bool bh_relay_restore(struct bh_relay *relay, struct bh_relay_side *side);

#endif
