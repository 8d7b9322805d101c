/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device side of a virtqueue, as far as both formats share it: life, order, back-pressure,
 * faults. The states stand in queue.h; the rings themselves in split.c and packed.c.
 */
#include "queue_internal.h"

static const struct bh_fault no_fault = {.error = BH_OK, .reason = ""};

void bh_queue_init(struct bh_queue *queue, uint16_t index, uint16_t size_max,
                   struct bh_order_slot *order, uint8_t *busy, struct bh_span_pool *pool)
{
    bh_fill(queue, 0, sizeof(*queue));
    queue->index = index;
    queue->size_max = size_max;
    queue->order = order;
    queue->busy = busy;
    queue->pool = pool;
    queue->state = BH_QUEUE_STOPPED;
    queue->fault = no_fault;
}

int bh_queue_fault(struct bh_queue *queue, int error, const char *reason, struct bh_place place,
                   const struct bh_journal_desc *desc)
{
    queue->fault.error = error;
    queue->fault.reason = reason;
    queue->fault.head = place.head;
    queue->fault.index = place.index;
    queue->fault.address = desc != NULL ? desc->address : 0u;
    queue->fault.length = desc != NULL ? desc->length : 0u;
    queue->fault.flags = desc != NULL ? desc->flags : 0u;
    if (queue->state == BH_QUEUE_RUNNING) {
        queue->state = BH_QUEUE_FAULTY;
    }
    return error;
}

/* ---- start and stop ---- */

/* Maps one ring area. */
static int map_area(struct bh_memory *memory, uint64_t address, uint32_t size, uint32_t access,
                    uint8_t **area)
{
    struct bh_span span;
    int got = bh_memory_acquire(memory, address, size, access | BH_ACCESS_RING, &span, 1);

    if (got < 0) {
        return got == BH_LIMIT ? BH_DENIED : got;
    }
    *area = span.base;
    return BH_OK;
}

static void unmap_area(struct bh_memory *memory, uint8_t **area, uint32_t size)
{
    if (*area != NULL) {
        struct bh_span span = {.base = *area, .length = size};

        bh_memory_release(memory, &span, 1);
        *area = NULL;
    }
}

static void unmap_rings(struct bh_queue *queue)
{
    bool packed = queue->format == &bh_packed_format;

    unmap_area(queue->memory, &queue->device, bh_device_area_size(queue->size, packed));
    unmap_area(queue->memory, &queue->driver, bh_driver_area_size(queue->size, packed));
    unmap_area(queue->memory, &queue->descriptor, bh_descriptor_area_size(queue->size));
}

static int map_rings(struct bh_queue *queue, const struct bh_queue_setup *setup)
{
    bool packed = queue->format == &bh_packed_format;
    /* The packed device writes used descriptors over the driver's. */
    uint32_t both = BH_ACCESS_READ | BH_ACCESS_WRITE;
    uint32_t access = packed ? both : BH_ACCESS_READ;
    int error = map_area(queue->memory, setup->descriptor, bh_descriptor_area_size(queue->size),
                         access, &queue->descriptor);

    if (error == BH_OK) {
        error = map_area(queue->memory, setup->driver, bh_driver_area_size(queue->size, packed),
                         BH_ACCESS_READ, &queue->driver);
    }
    if (error == BH_OK) {
        error = map_area(queue->memory, setup->device, bh_device_area_size(queue->size, packed),
                         both, &queue->device);
    }
    if (error != BH_OK) {
        unmap_rings(queue);
    }
    return error;
}

/* Everything that a new life begins with. */
static void forget(struct bh_queue *queue)
{
    queue->unsignalled = 0;
    queue->batch = 0;
    queue->in_flight = 0;
    queue->in_flight_slots = 0;
    queue->popped = 0;
    queue->retired = 0;
    queue->resume_held = false;
    queue->dirty = false;
    queue->fault_reported = false;
    queue->fault = no_fault;
    bh_fill(queue->busy, 0, queue->size_max);
    bh_fill(queue->order, 0, (size_t)queue->size_max * sizeof(queue->order[0]));
}

int bh_queue_start(struct bh_queue *queue, struct bh_memory *memory,
                   const struct bh_queue_setup *setup)
{
    if (queue->state != BH_QUEUE_STOPPED) {
        return BH_STATE;
    }
    if (setup->size == 0u || setup->size > queue->size_max || setup->size > BH_QUEUE_SIZE_MAX) {
        return BH_INVALID;
    }
    queue->format =
        (setup->features & BH_F_RING_PACKED) != 0u ? &bh_packed_format : &bh_split_format;
    if (!queue->format->fits(queue, setup)) {
        return BH_INVALID;
    }
    queue->memory = memory;
    queue->size = setup->size;

    int error = map_rings(queue, setup);

    if (error != BH_OK) {
        return error;
    }
    queue->event_idx = (setup->features & BH_F_EVENT_IDX) != 0u;
    queue->indirect = (setup->features & BH_F_INDIRECT_DESC) != 0u;
    queue->in_order = (setup->features & BH_F_IN_ORDER) != 0u;
    queue->journal = setup->journal;
    queue->journal_data = setup->journal_data;
    forget(queue);
    queue->resuming = queue->journal != NULL;
    /* Whoever served this ring before may have died between publishing and notifying. */
    queue->notify_first = true;
    queue->format->begin(queue, setup);
    queue->state = BH_QUEUE_RUNNING;
    return BH_OK;
}

static void finish(struct bh_queue *queue)
{
    unmap_rings(queue);
    queue->state = BH_QUEUE_STOPPED;
}

int bh_queue_stop(struct bh_queue *queue)
{
    if (queue->state == BH_QUEUE_STOPPED) {
        return BH_OK;
    }
    queue->state = BH_QUEUE_DRAINING;
    if (queue->in_flight != 0u || queue->batch != 0u) {
        return BH_AGAIN;
    }
    finish(queue);
    return BH_OK;
}

/* ---- pop ---- */

static void count_popped(struct bh_queue *queue, struct bh_chain *chain)
{
    chain->sequence = queue->popped;
    queue->popped++;
    if (queue->popped == queue->size) {
        queue->popped = 0;
    }
    queue->in_flight++;
    queue->in_flight_slots = (uint16_t)(queue->in_flight_slots + chain->slots);
}

/* The next chain that a predecessor left in flight. 0: there is none left. */
static int pop_resumed(struct bh_queue *queue, struct bh_chain *chain)
{
    if (!queue->resume_held) {
        queue->resume_held =
            queue->journal->next(queue->journal_data, &queue->resume_entry, &queue->resume_slots);
    }
    if (!queue->resume_held) {
        queue->resuming = false;
        return 0;
    }

    int got = queue->format->resume(queue, chain);

    if (got > 0) {
        queue->resume_held = false;
        chain->journal_entry = queue->resume_entry;
        chain->resumed = true;
        count_popped(queue, chain);
    }
    return got;
}

int bh_queue_pop(struct bh_queue *queue, struct bh_chain *chain)
{
    int got = 0;

    if (queue->state != BH_QUEUE_RUNNING) {
        return 0;
    }
    if (queue->resuming) {
        got = pop_resumed(queue, chain);
    }
    if (got == 0) {
        got = queue->format->pop(queue, chain);
        if (got > 0) {
            chain->resumed = false;
            count_popped(queue, chain);
        }
    }
    return got;
}

/* ---- push and publish ---- */

/* Makes the entries written so far visible to the driver. */
static void make_visible(struct bh_queue *queue)
{
    const struct bh_journal_ops *journal = queue->journal;

    if (journal != NULL) {
        journal->commit_begin(queue->journal_data, queue->used_next, queue->used_wrap);
    }
    queue->format->publish(queue);
    if (journal != NULL) {
        journal->commit_end(queue->journal_data, queue->used_next, queue->used_wrap);
    }
    queue->batch = 0;
}

/* Writes a used entry and remembers that it is to be published. */
static void put(struct bh_queue *queue, uint16_t id, uint32_t written, uint16_t slots,
                uint16_t journal_entry)
{
    /* Of a packed batch all entries but the first stand in the ring with their flags before it is
     * published. If this process died in between, the driver would come upon them behind the first
     * entry of its successor and take them for done. So with a journal each entry goes by itself. */
    if (queue->journal != NULL && queue->batch != 0u && queue->format == &bh_packed_format) {
        make_visible(queue);
    }
    queue->format->put(queue, id, written, slots);
    queue->batch++;
    queue->in_flight_slots = (uint16_t)(queue->in_flight_slots - slots);
    if (queue->journal != NULL) {
        queue->journal->give(queue->journal_data, journal_entry);
    }
}

/* Writes the used entries whose turn has come (VIRTIO 1.4, 2.7.9 and 2.8.8): nothing overtakes. */
static void put_in_order(struct bh_queue *queue, const struct bh_chain *chain, uint32_t written)
{
    struct bh_order_slot *used = &queue->order[chain->sequence];

    used->written = written;
    used->id = chain->id;
    used->slots = chain->slots;
    used->journal_entry = chain->journal_entry;
    used->done = 1;
    for (used = &queue->order[queue->retired]; used->done != 0u;
         used = &queue->order[queue->retired]) {
        used->done = 0;
        put(queue, used->id, used->written, used->slots, used->journal_entry);
        queue->retired++;
        if (queue->retired == queue->size) {
            queue->retired = 0;
        }
    }
}

void bh_queue_push(struct bh_queue *queue, struct bh_chain *chain, uint32_t written)
{
    uint32_t told = written < chain->written_max ? written : chain->written_max;

    bh_chain_release(queue, chain);
    queue->in_flight--;
    if (queue->fault.error != BH_OK) {
        return;
    }
    if (queue->in_order) {
        put_in_order(queue, chain, told);
    } else {
        put(queue, chain->id, told, chain->slots, chain->journal_entry);
    }
}

/* Makes the batch visible; returns whether the driver is to be told. */
static bool publish_batch(struct bh_queue *queue)
{
    make_visible(queue);
    /* What was published must be seen before the driver's wish is read: else both sides wait. */
    bh_barrier();

    bool notify = queue->notify_first || queue->format->notify_due(queue);

    queue->notify_first = false;
    queue->unsignalled = 0;
    return notify;
}

bool bh_queue_publish(struct bh_queue *queue)
{
    bool notify = false;

    queue->dirty = false;
    if (queue->fault.error != BH_OK) {
        queue->batch = 0;
    }
    if (queue->batch != 0u) {
        notify = publish_batch(queue);
    }
    if (queue->state == BH_QUEUE_DRAINING && queue->in_flight == 0u) {
        finish(queue);
    }
    return notify;
}

bool bh_queue_notify_enable(struct bh_queue *queue, bool enable)
{
    if (queue->state != BH_QUEUE_RUNNING) {
        return false;
    }
    return queue->format->notify_enable(queue, enable);
}

struct bh_queue_position bh_queue_position(const struct bh_queue *queue)
{
    struct bh_queue_position position = {
        .avail_next = queue->avail_next,
        .used_next = queue->used_next,
        .avail_wrap = queue->avail_wrap,
        .used_wrap = queue->used_wrap,
    };

    return position;
}
