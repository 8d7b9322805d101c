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

static void load(const struct bh_packed_desc *from, struct bh_journal_desc *desc)
{
    desc->address = BH_LE64(from->address);
    desc->length = BH_LE32(from->length);
    desc->id = BH_LE16(from->id);
    desc->flags = BH_LE16(from->flags);
}

/* Walks an indirect table: all entries, in order; only WRITE counts (VIRTIO 1.4, 2.8.7). */
static int walk_table(struct bh_queue *queue, struct bh_chain *chain, const struct bh_table *table,
                      struct bh_place place)
{
    struct bh_packed_desc raw;
    struct bh_journal_desc desc;
    int error = BH_OK;

    if (table->entries > bh_chain_limit(queue)) {
        return bh_queue_fault(queue, BH_LIMIT, "chain longer than the limit", place, NULL);
    }
    for (uint32_t i = 0; error == BH_OK && i < table->entries; i++) {
        place.index = (uint16_t)i;
        bh_table_read(table, i, &raw);
        load(&raw, &desc);
        desc.flags &= BH_DESC_WRITE;
        error = bh_chain_add(queue, chain, &desc, place);
    }
    return error;
}

/* Adds one ring descriptor, `position` steps into its chain. */
static int add(struct bh_queue *queue, struct bh_chain *chain, const struct bh_journal_desc *desc,
               uint16_t position, struct bh_place place)
{
    struct bh_table table;

    if ((desc->flags & BH_DESC_INDIRECT) == 0u) {
        return bh_chain_add(queue, chain, desc, place);
    }
    if (position != 0u || (desc->flags & BH_DESC_NEXT) != 0u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "indirect descriptor in a list", place, desc);
    }

    int error = bh_table_open(queue, desc, place, &table);

    if (error == BH_OK) {
        error = walk_table(queue, chain, &table, place);
        bh_table_close(queue, &table);
    }
    return error;
}

/* How many ring descriptors a chain may have now. */
static uint32_t list_limit(const struct bh_queue *queue)
{
    uint32_t limit = bh_chain_limit(queue);
    uint32_t vacant = (uint32_t)queue->size - queue->in_flight_slots;

    return vacant < limit ? vacant : limit;
}

/* Reads the ring descriptor `slot`. The caller has seen that the first of a list is available,
 * and the driver makes that one available last. */
static void read_slot(const struct bh_queue *queue, uint32_t slot, struct bh_journal_desc *desc)
{
    struct bh_packed_desc raw;

    bh_copy_once(&raw, &ring(queue)[slot], sizeof(raw));
    load(&raw, desc);
}

static int packed_pop(struct bh_queue *queue, struct bh_chain *chain)
{
    uint32_t slot = queue->avail_next;
    uint16_t flags = bh_load16_acquire(&ring(queue)[slot].flags);
    struct bh_place place = {.head = queue->avail_next, .index = queue->avail_next};
    struct bh_journal_desc desc;
    uint32_t limit = list_limit(queue);
    uint16_t count = 0;
    int error;

    if (!is_available(queue, flags)) {
        return 0;
    }
    do {
        if (count >= limit) {
            return bh_queue_fault(queue, BH_LIMIT, "chain longer than the limit", place, NULL);
        }
        place.index = (uint16_t)slot;
        read_slot(queue, slot, &desc);
        if (count == 0u) {
            /* What was looked at is what counts. */
            desc.flags = flags;
        }
        error = add(queue, chain, &desc, count, place);
        if (queue->journal != NULL && error == BH_OK) {
            queue->journal->record(queue->journal_data, count, &desc);
        }
        count++;
        slot++;
        if (slot == queue->size) {
            slot = 0;
        }
    } while (error == BH_OK && (desc.flags & BH_DESC_NEXT) != 0u);
    if (error != BH_OK) {
        return error;
    }
    chain->id = desc.id;
    chain->slots = count;
    if (queue->journal != NULL) {
        chain->journal_entry = queue->journal->take(queue->journal_data, queue->avail_next, count);
    }
    if (slot <= queue->avail_next) {
        queue->avail_wrap = !queue->avail_wrap;
    }
    queue->avail_next = (uint16_t)slot;
    return 1;
}

/* The ring may be overwritten by now: the journal kept the descriptors. */
static int packed_resume(struct bh_queue *queue, struct bh_chain *chain)
{
    struct bh_place place = {.head = queue->resume_entry, .index = 0};
    struct bh_journal_desc desc = {.address = 0};
    int error = BH_OK;

    if (queue->resume_slots == 0u || queue->resume_slots > list_limit(queue)) {
        return bh_queue_fault(queue, BH_PROTOCOL, "in-flight entry of impossible length", place,
                              NULL);
    }
    for (uint16_t i = 0; error == BH_OK && i < queue->resume_slots; i++) {
        place.index = i;
        queue->journal->recall(queue->journal_data, queue->resume_entry, i, &desc);
        error = add(queue, chain, &desc, i, place);
    }
    chain->id = desc.id;
    chain->slots = queue->resume_slots;
    return error == BH_OK ? 1 : error;
}

static void packed_put(struct bh_queue *queue, const struct bh_order_slot *used)
{
    struct bh_packed_desc *desc = &ring(queue)[queue->used_next];
    uint32_t flags = queue->used_wrap ? (BH_DESC_AVAIL | BH_DESC_USED) : 0u;

    if (used->written != 0u) {
        flags |= BH_DESC_WRITE;
    }
    bh_store16(&desc->id, used->id);
    bh_store32(&desc->length, used->written);
    if (queue->batch == 0u) {
        /* The driver looks at this one first: its flags come last, and publish the batch. */
        queue->first_slot = queue->used_next;
        queue->first_flags = (uint16_t)flags;
    } else {
        bh_store16(&desc->flags, (uint16_t)flags);
    }

    uint32_t next = (uint32_t)queue->used_next + used->slots;

    if (next >= queue->size) {
        next -= queue->size;
        queue->used_wrap = !queue->used_wrap;
    }
    queue->used_next = (uint16_t)next;
    queue->unsignalled = (uint16_t)(queue->unsignalled + used->slots);
}

static void packed_publish(struct bh_queue *queue)
{
    bh_store16_release(&ring(queue)[queue->first_slot].flags, queue->first_flags);
    queue->used_public = queue->used_next;
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
                        (uint16_t)(queue->used_next - queue->unsignalled)) != 0;
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
