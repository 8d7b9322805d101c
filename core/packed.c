/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packed ring, device side (VIRTIO 1.4, 2.8). One ring of descriptors, written by both sides; a
 * wrap counter on each side tells old from new.
 */
#include "queue_internal.h"

static struct bh_packed_desc *ring(const struct bh_queue *queue)
{
    return (struct bh_packed_desc *)(void *)queue->descriptor;
}

static bool packed_fits(const struct bh_queue *queue, const struct bh_queue_setup *setup)
{
    (void)queue;
    return setup->descriptor % 16u == 0u && setup->driver % 4u == 0u && setup->device % 4u == 0u &&
           setup->avail_next < setup->size && setup->used_next < setup->size;
}

static void packed_begin(struct bh_queue *queue, const struct bh_queue_setup *setup)
{
    queue->avail_next = setup->avail_next;
    queue->avail_wrap = setup->avail_wrap;
    queue->used_next = setup->used_next;
    queue->used_wrap = setup->used_wrap;
    queue->first_slot = setup->used_next;
    queue->first_flags = 0;
}

/* Whether flags mark a descriptor that the driver made available in this round (VIRTIO 1.4,
 * 2.8.1). */
static bool is_available(const struct bh_queue *queue, uint16_t flags)
{
    bool avail = (flags & BH_DESC_AVAIL) != 0u;
    bool used = (flags & BH_DESC_USED) != 0u;

    return avail == queue->avail_wrap && used != queue->avail_wrap;
}

static inline struct bh_journal_desc local_form(const struct bh_packed_desc *from)
{
    return (struct bh_journal_desc){
        .address = BH_LE64(from->address),
        .length = BH_LE32(from->length),
        .id = BH_LE16(from->id),
        .flags = BH_LE16(from->flags),
    };
}

/* Walks an indirect table: all entries, in order; only WRITE counts (VIRTIO 1.4, 2.8.7). */
static int walk_table(struct bh_queue *queue, struct bh_walk *walk, const struct bh_table *table,
                      struct bh_place place)
{
    struct bh_packed_desc raw;
    struct bh_journal_desc desc;
    int error = BH_OK;

    for (uint32_t i = 0; error == BH_OK && i < table->entries; i++) {
        place.index = (uint16_t)i;
        bh_table_read(table, i, &raw);
        desc = local_form(&raw);
        desc.flags &= BH_DESC_WRITE;
        error = bh_walk_add(queue, walk, &desc, place);
    }
    return error;
}

/* Adds a ring descriptor, `position` steps into its list. */
static int add(struct bh_queue *queue, struct bh_walk *walk, const struct bh_journal_desc *desc,
               uint16_t position, struct bh_place place)
{
    struct bh_table table;

    if ((desc->flags & BH_DESC_INDIRECT) == 0u) {
        return bh_walk_add(queue, walk, desc, place);
    }
    if (position != 0u || (desc->flags & BH_DESC_NEXT) != 0u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "indirect descriptor in a list", place, desc);
    }

    int error = bh_table_open(queue, desc, place, &table);

    if (error == BH_OK) {
        /* The table is a list of its own: the ring's size does not bound it, the limit does. */
        walk->budget = bh_chain_limit(queue);
        error = walk_table(queue, walk, &table, place);
        bh_table_close(queue, &table);
    }
    return error;
}

/* Reads the ring descriptor `slot`. The caller has seen that the first of a list is available, and
 * the driver makes that one available last. */
static inline struct bh_journal_desc read_ring(const struct bh_queue *queue, uint32_t slot)
{
    struct bh_packed_desc raw;

    bh_copy_once(&raw, &ring(queue)[slot], sizeof(raw));
    return local_form(&raw);
}

/* Where a walk along the ring stands. */
struct position {
    struct bh_journal_desc desc; /* the one that was read last */
    uint32_t slot;               /* the next one */
    uint16_t count;              /* how many were taken */
};

static inline void advance(const struct bh_queue *queue, struct position *at)
{
    at->count++;
    at->slot++;
    if (at->slot == queue->size) {
        at->slot = 0;
    }
}

/* Takes simple descriptors (bh_walk_hit), as nearly all are; the flags of the first were read. True:
 * the list has ended; false: walk_carefully goes on, with at->desc if at->count is 0. */
static inline bool walk_simply(const struct bh_queue *queue, struct bh_walk *walk,
                               struct position *at)
{
    struct bh_walk here = *walk;
    struct position now = *at;
    bool more = true;

    while (more && bh_walk_hit(&here, &now.desc)) {
        more = (now.desc.flags & BH_DESC_NEXT) != 0u;
        advance(queue, &now);
        if (more) {
            now.desc = read_ring(queue, now.slot);
        }
    }
    *walk = here;
    *at = now;
    return !more;
}

/* Takes at->desc, which is read, and the rest; tells the journal. */
static int walk_carefully(struct bh_queue *queue, struct bh_walk *walk, struct position *at,
                          struct bh_place place)
{
    int error;
    bool more;

    do {
        place.index = (uint16_t)at->slot;
        if (walk->budget == 0u) {
            return bh_queue_fault(queue, BH_LIMIT, "chain longer than the limit", place, &at->desc);
        }
        error = add(queue, walk, &at->desc, at->count, place);
        if (queue->journal != NULL && error == BH_OK) {
            queue->journal->record(queue->journal_data, at->count, &at->desc);
        }
        more = (at->desc.flags & BH_DESC_NEXT) != 0u;
        advance(queue, at);
        if (more && error == BH_OK) {
            at->desc = read_ring(queue, at->slot);
        }
    } while (error == BH_OK && more);
    return error;
}

static int packed_pop(struct bh_queue *queue, struct bh_chain *chain)
{
    uint16_t flags = bh_load16_acquire(&ring(queue)[queue->avail_next].flags);
    struct bh_place place = {.head = queue->avail_next, .index = queue->avail_next};
    uint32_t vacant = (uint32_t)queue->size - queue->in_flight_slots;

    if (!is_available(queue, flags)) {
        return 0;
    }

    struct bh_walk walk = bh_walk_begin(queue, chain, vacant);
    struct position at = {.desc = read_ring(queue, queue->avail_next), .slot = queue->avail_next};
    int error = BH_OK;

    /* What was looked at is what counts. */
    at.desc.flags = flags;
    if (queue->journal != NULL || !walk_simply(queue, &walk, &at)) {
        error = walk_carefully(queue, &walk, &at, place);
    }
    bh_walk_end(queue, &walk, chain, error);
    if (error != BH_OK) {
        return error;
    }
    chain->id = at.desc.id;
    chain->head = queue->avail_next;
    chain->slots = at.count;
    if (queue->journal != NULL) {
        chain->journal_entry =
            queue->journal->take(queue->journal_data, queue->avail_next, at.count);
    }
    if (at.slot <= queue->avail_next) {
        queue->avail_wrap = !queue->avail_wrap;
    }
    queue->avail_next = (uint16_t)at.slot;
    return 1;
}

/* The ring may be overwritten by now: the journal kept the descriptors. */
static int packed_resume(struct bh_queue *queue, struct bh_chain *chain)
{
    struct bh_place place = {.head = queue->resume_entry, .index = 0};
    struct bh_journal_desc desc = {.address = 0};
    uint32_t vacant = (uint32_t)queue->size - queue->in_flight_slots;
    int error = BH_OK;

    if (queue->resume_slots == 0u || queue->resume_slots > vacant) {
        return bh_queue_fault(queue, BH_PROTOCOL, "in-flight entry of impossible length", place,
                              NULL);
    }

    struct bh_walk walk = bh_walk_begin(queue, chain, vacant);

    for (uint16_t i = 0; error == BH_OK && i < queue->resume_slots; i++) {
        place.index = i;
        queue->journal->recall(queue->journal_data, queue->resume_entry, i, &desc);
        error = add(queue, &walk, &desc, i, place);
    }
    chain->id = desc.id;
    chain->head = queue->resume_entry;
    chain->slots = queue->resume_slots;
    bh_walk_end(queue, &walk, chain, error);
    return error == BH_OK ? 1 : error;
}

static void packed_put(struct bh_queue *queue, uint16_t id, uint32_t written, uint16_t slots)
{
    struct bh_packed_desc *desc = &ring(queue)[queue->used_next];
    uint32_t flags = queue->used_wrap ? (BH_DESC_AVAIL | BH_DESC_USED) : 0u;

    if (written != 0u) {
        flags |= BH_DESC_WRITE;
    }
    bh_store16(&desc->id, id);
    bh_store32(&desc->length, written);
    if (queue->batch == 0u) {
        /* The driver looks at this one first: its flags come last, and publish the batch. */
        queue->first_slot = queue->used_next;
        queue->first_flags = (uint16_t)flags;
    } else {
        bh_store16(&desc->flags, (uint16_t)flags);
    }

    uint32_t next = (uint32_t)queue->used_next + slots;

    if (next >= queue->size) {
        next -= queue->size;
        queue->used_wrap = !queue->used_wrap;
    }
    queue->used_next = (uint16_t)next;
    queue->unsignalled = (uint16_t)(queue->unsignalled + slots);
}

static void packed_publish(struct bh_queue *queue)
{
    bh_store16_release(&ring(queue)[queue->first_slot].flags, queue->first_flags);
}

/* VIRTIO 1.4, 2.8.10. */
static bool packed_notify_due(const struct bh_queue *queue)
{
    const struct bh_packed_event *event = (const void *)queue->driver;
    uint16_t mode = bh_load16_acquire(&event->flags) & 3u;

    if (mode != BH_PACKED_EVENT_DESC || !queue->event_idx) {
        return mode != BH_PACKED_EVENT_DISABLE;
    }

    uint16_t wanted = bh_load16(&event->offset_wrap);
    uint16_t offset = wanted & 0x7fffu;
    bool wrap = (wanted & 0x8000u) != 0u;

    /* Counted from this round of the ring: an offset of the round before lies below 0. */
    if (wrap != queue->used_wrap) {
        offset = (uint16_t)(offset - queue->size);
    }
    return bh_event_due(offset, queue->used_next,
                        (uint16_t)(queue->used_next - queue->unsignalled));
}

static bool packed_notify_enable(struct bh_queue *queue, bool enable)
{
    struct bh_packed_event *event = (void *)queue->device;

    if (!enable) {
        bh_store16(&event->flags, BH_PACKED_EVENT_DISABLE);
        return false;
    }
    if (queue->event_idx) {
        uint32_t wrap = queue->avail_wrap ? 0x8000u : 0u;

        bh_store16(&event->offset_wrap, (uint16_t)(queue->avail_next | wrap));
        bh_store16_release(&event->flags, BH_PACKED_EVENT_DESC);
    } else {
        bh_store16(&event->flags, BH_PACKED_EVENT_ENABLE);
    }
    bh_barrier();
    return is_available(queue, bh_load16(&ring(queue)[queue->avail_next].flags));
}

const struct bh_queue_format bh_packed_format = {
    .fits = packed_fits,
    .begin = packed_begin,
    .pop = packed_pop,
    .resume = packed_resume,
    .put = packed_put,
    .publish = packed_publish,
    .notify_due = packed_notify_due,
    .notify_enable = packed_notify_enable,
};
