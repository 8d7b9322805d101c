/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a virtqueue, split or packed: chains of guest buffers are popped, served, and
 * pushed back; a batch becomes visible to the driver with one store (bh_queue_publish). Source:
 * VIRTIO 1.4, 2.6 to 2.9.
 *
 * What is promised about a hostile driver: a descriptor is copied into local memory, checked there,
 * and what was checked is what is used; a chain has at most as many spans as the pool's blocks hold, and costs work bounded by
 * that and the queue size; nothing outside the memory that bh_memory grants is touched; the first
 * violation stops the queue (`fault` tells which and where) until it is started again. A driver
 * that rewrites its rings meanwhile harms itself only.
 *
 * States of a queue:
 *   stopped   nothing is read or written.
 *             start -> running
 *   running   pop, push, publish.
 *             stop -> stopped or draining; a violation -> faulty
 *   draining  chains are in flight. Pop yields nothing; pushes are still published.
 *             the publish after the last push -> stopped (the device tells its port)
 *   faulty    pop and publish do nothing; pushes only release.
 *             stop -> stopped or draining
 *
 * Ownership: all memory is the caller's. Thread: one thread for a queue and its device.
 */
#ifndef BULKHEAD_QUEUE_H
#define BULKHEAD_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/memory.h"
#include "bulkhead/virtio.h"

/* ---- spans of a chain ---- */

#define BH_CHAIN_INLINE                                                                            \
    4u /* spans kept in the chain itself: header, two pieces of data, status   \
                            */

/* Blocks of spans for chains that need more than BH_CHAIN_INLINE. Shared by the queues of a device.
 * An empty pool is back-pressure (pop returns BH_AGAIN), not an error. */
struct bh_span_pool {
    struct bh_span *blocks; /* block_count * block_spans spans */
    uint16_t *free;         /* block_count entries, a stack of free blocks: the warmest on top */
    uint16_t free_count;
    uint16_t block_count;
    uint16_t block_spans; /* the most spans a chain may have; >= BH_CHAIN_INLINE */
};

/* Lays a pool over the caller's arrays (blocks: block_count * block_spans spans; free: block_count
 * entries). */
void bh_span_pool_init(struct bh_span_pool *pool, struct bh_span *blocks, uint16_t *free,
                       uint16_t block_count, uint16_t block_spans);

/* A chain: the buffers of one request, device-readable spans first (VIRTIO 1.4, 2.7.4.2). Lives in
 * the device's request; must not move between pop and push. */
struct bh_chain {
    struct bh_span *spans; /* readable_count + writable_count spans: inline_spans or a pool block */
    uint16_t readable_count;
    uint16_t writable_count;
    uint16_t block;          /* pool block, or BH_CHAIN_NO_BLOCK */
    uint16_t id;             /* split: head index; packed: buffer id */
    uint16_t slots;          /* ring entries that the chain occupies */
    uint16_t sequence;       /* its place in the order of popping */
    uint16_t journal_entry;  /* what the journal calls it */
    uint16_t head;           /* ring index of its first descriptor */
    uint32_t readable_bytes; /* sums; a chain over 2^32 - 1 bytes is a violation */
    uint32_t writable_bytes;
    uint32_t written_max; /* writable_bytes before anything was cut */
    bool resumed; /* from the journal: a predecessor had popped it, and may have served it */
    struct bh_span inline_spans[BH_CHAIN_INLINE];
};

#define BH_CHAIN_NO_BLOCK UINT16_MAX

/* Copies between a chain and local memory, from `offset` bytes into its readable (writable) part.
 * Return the number of bytes copied: less than `length` where the chain is shorter. */
uint32_t bh_chain_read(const struct bh_chain *chain, uint32_t offset, void *to, uint32_t length);
uint32_t bh_chain_write(struct bh_chain *chain, uint32_t offset, const void *from, uint32_t length);

/* Cuts `length` bytes off the front of the readable spans (a header that was read), or off the back
 * of the writable spans (a status byte that stays), in place, so that what is left is the payload.
 * A span that becomes empty keeps its base. Byte sums follow. Return BH_OK, or BH_INVALID when the
 * part is shorter: nothing is changed then. bh_chain_cut_status hands out where the status byte
 * lies. */
int bh_chain_cut_header(struct bh_chain *chain, uint32_t length);
int bh_chain_cut_status(struct bh_chain *chain, uint8_t **status);

/* ---- journal ---- */

/* What a journal keeps of a ring descriptor, either format. */
struct bh_journal_desc {
    uint64_t address;
    uint32_t length;
    uint16_t id;
    uint16_t flags;
};

/* A journal records which chains are in flight, in memory that outlives the back end, so that a
 * successor resumes them (vhost-user: "Inflight I/O tracking"). All calls come from the queue's
 * thread. */
struct bh_journal_ops {
    /* Packed only: descriptor `position` (0-based) of the chain that is being popped. May be called
     * for a chain that is then not taken. */
    void (*record)(void *journal, uint16_t position, const struct bh_journal_desc *desc);
    /* A chain was popped: split: `head`; packed: the `slots` descriptors just recorded. Returns its
     * entry. */
    uint16_t (*take)(void *journal, uint16_t head, uint16_t slots);
    /* The chain's used element is written, and not yet visible. */
    void (*give)(void *journal, uint16_t entry);
    /* `commit_begin` comes before the used index (packed: the first used descriptor's flags) is
     * stored, `commit_end` after. `used` and `wrap`: where the used index stands after the store.
     */
    void (*commit_begin)(void *journal, uint16_t used, bool wrap);
    void (*commit_end)(void *journal, uint16_t used, bool wrap);
    /* Resuming: the entries that were in flight, oldest first. Returns false when there is no more.
     * For the packed format `slots` is the number of recorded descriptors, which `recall` hands
     * out; for the split format `entry` is the head. */
    bool (*next)(void *journal, uint16_t *entry, uint16_t *slots);
    void (*recall)(void *journal, uint16_t entry, uint16_t position, struct bh_journal_desc *desc);
};

/* ---- queue ---- */

/* What stopped a queue. `error` is BH_OK while nothing did. */
struct bh_fault {
    int error;          /* BH_PROTOCOL, BH_LIMIT, BH_DENIED, BH_GONE */
    const char *reason; /* static text, e.g. "head index out of range" */
    uint16_t head;      /* chain, as far as known */
    uint16_t index;     /* descriptor within the ring or indirect table */
    uint64_t address;   /* the offending descriptor, as it was read */
    uint32_t length;
    uint16_t flags;
};

enum bh_queue_state {
    BH_QUEUE_STOPPED,
    BH_QUEUE_RUNNING,
    BH_QUEUE_DRAINING,
    BH_QUEUE_FAULTY,
};

/* One pushed chain that waits for its turn (IN_ORDER). */
struct bh_order_slot {
    uint32_t written;
    uint16_t id;
    uint16_t slots;
    uint16_t journal_entry;
    uint16_t done;
};

struct bh_queue;

/* The two formats implement this; chosen at start. */
struct bh_queue_format;

struct bh_queue {
    /* Read on every request, written at start only. */
    const struct bh_queue_format *format;
    struct bh_memory *memory;
    struct bh_span_pool *pool;
    uint8_t *descriptor; /* the three areas, acquired */
    uint8_t *driver;
    uint8_t *device;
    const struct bh_journal_ops *journal; /* NULL: none */
    void *journal_data;
    struct bh_order_slot *order; /* size_max slots */
    uint8_t *busy;               /* size_max bytes: split heads in flight */
    uint16_t size;
    uint16_t size_max;
    uint16_t index; /* which queue of the device */
    bool event_idx;
    bool indirect;
    bool in_order;
    enum bh_queue_state state;

    /* The device's own place in the ring. */
    uint16_t avail_next;  /* next entry to pop */
    uint16_t avail_seen;  /* split: the driver's index when last read */
    uint16_t used_next;   /* next entry to write */
    uint16_t unsignalled; /* ring entries used since the last notification decision */
    bool notify_first;    /* the next publish notifies, whatever the driver asked for */
    bool avail_wrap;      /* packed */
    bool used_wrap;
    uint16_t first_flags; /* packed: flags of the first used descriptor of the batch, stored last */
    uint16_t first_slot;
    uint16_t batch;     /* used entries written and not yet visible */
    uint16_t in_flight; /* chains popped and not pushed */
    uint16_t in_flight_slots;
    uint16_t popped; /* sequence numbers */
    uint16_t retired;
    bool resuming;    /* the journal may still have entries */
    bool resume_held; /* the next entry was taken from the journal and is not popped yet */
    uint16_t resume_entry;
    uint16_t resume_slots;
    bool dirty;          /* pushed since the last publish; kept by the device */
    bool fault_reported; /* kept by the device */

    struct bh_fault fault;
};

/* How a driver set up a queue. */
struct bh_queue_setup {
    uint64_t features;   /* negotiated */
    uint64_t descriptor; /* guest addresses of the areas */
    uint64_t driver;
    uint64_t device;
    uint16_t size;       /* split: a power of 2; 1..size_max */
    uint16_t avail_next; /* where to go on: 0 for a new queue */
    uint16_t used_next;  /* packed; split: used when used_from_ring is false */
    bool avail_wrap;     /* packed: true for a new queue */
    bool used_wrap;
    bool used_from_ring; /* split: take the used index from the ring (vhost-user); false: it is
                            used_next */
    const struct bh_journal_ops *journal; /* NULL: none */
    void *journal_data;
    bool resumed; /* for the device: the ring was in use before */
};

/* Makes a stopped queue. `order`: size_max slots, `busy`: size_max bytes; both live as long as the
 * queue. */
void bh_queue_init(struct bh_queue *queue, uint16_t index, uint16_t size_max,
                   struct bh_order_slot *order, uint8_t *busy, struct bh_span_pool *pool);

/* Starts a stopped queue. BH_INVALID: size, alignment (VIRTIO 1.4, 2.7 and 2.8 tables); BH_DENIED,
 * BH_GONE, BH_AGAIN: the rings' memory; BH_STATE: not stopped. On error the queue stays stopped and
 * holds nothing. */
int bh_queue_start(struct bh_queue *queue, struct bh_memory *memory,
                   const struct bh_queue_setup *setup);

/* Asks a queue to stop. BH_OK: it is stopped and its rings are released; BH_AGAIN: chains are in
 * flight, it drains, and the publish after the last push ends it. A stopped queue stays stopped:
 * BH_OK. */
int bh_queue_stop(struct bh_queue *queue);

/* Takes the next chain. 1: `chain` is filled, and must come back with bh_queue_push; 0: the ring is
 * empty (or the queue does not run); BH_AGAIN: the pool or memory is used up, the chain stays in
 * the ring; another code: a violation, the queue is faulty now. */
int bh_queue_pop(struct bh_queue *queue, struct bh_chain *chain);

/* Gives a chain back: `written` bytes from the start of its writable part are valid
 * (VIRTIO 1.4, 2.7.8.2; a larger value is cut to what the chain had, so a model's slip cannot lie
 * to the driver). Releases its memory. Not visible to the driver until bh_queue_publish. */
void bh_queue_push(struct bh_queue *queue, struct bh_chain *chain, uint32_t written);

/* Makes the pushed chains visible; true: the driver wants a notification. */
bool bh_queue_publish(struct bh_queue *queue);

/* Asks the driver to notify (true) or not (false). After true, the return value tells whether a
 * chain is available already: then no notification will come for it, and the caller must pop again.
 */
bool bh_queue_notify_enable(struct bh_queue *queue, bool enable);

/* Where the queue stands, for a successor (vhost-user GET_VRING_BASE). Meaningful while nothing is
 * in flight. */
struct bh_queue_position {
    uint16_t avail_next;
    uint16_t used_next;
    bool avail_wrap;
    bool used_wrap;
};
struct bh_queue_position bh_queue_position(const struct bh_queue *queue);

#endif
