/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The split ring, device side (VIRTIO 1.4, 2.7). The driver owns descriptor table and available
 * ring, the device the used ring.
 */
#include "queue_internal.h"

static struct bh_split_used *used_ring(const struct bh_queue *queue)
{
    return (struct bh_split_used *)(void *)queue->device;
}

static const struct bh_split_avail *avail_ring(const struct bh_queue *queue)
{
    return (const struct bh_split_avail *)(const void *)queue->driver;
}

/* Where the driver says when it wants to be told: behind the available ring. */
static uint16_t used_event(const struct bh_queue *queue)
{
    return bh_load16(&avail_ring(queue)->ring[queue->size]);
}

/* Where the device says when it wants to be told: behind the used ring. */
static uint16_t *avail_event(const struct bh_queue *queue)
{
    return (uint16_t *)(void *)&used_ring(queue)->ring[queue->size];
}

static bool split_fits(const struct bh_queue *queue, const struct bh_queue_setup *setup)
{
    (void)queue;
    return (setup->size & (setup->size - 1u)) == 0u && setup->descriptor % 16u == 0u &&
           setup->driver % 2u == 0u && setup->device % 4u == 0u;
}

static void split_begin(struct bh_queue *queue, const struct bh_queue_setup *setup)
{
    queue->avail_next = setup->avail_next;
    queue->avail_seen = setup->avail_next;
    queue->used_next =
        setup->used_from_ring ? bh_load16(&used_ring(queue)->index) : setup->used_next;
    queue->avail_wrap = true;
    queue->used_wrap = true;
}

/* Brings a descriptor into local form; `id` is the next one's index. */
static inline struct bh_journal_desc local_form(const struct bh_split_desc *from)
{
    return (struct bh_journal_desc){
        .address = BH_LE64(from->address),
        .length = BH_LE32(from->length),
        .id = BH_LE16(from->next),
        .flags = BH_LE16(from->flags),
    };
}

/* Walks an indirect table: chained by `next`, from entry 0 (VIRTIO 1.4, 2.7.5.3). */
static int walk_table(struct bh_queue *queue, struct bh_walk *walk, const struct bh_table *table,
                      struct bh_place place)
{
    struct bh_split_desc raw;
    struct bh_journal_desc desc;
    int error;

    place.index = 0;
    do {
        if (place.index >= table->entries) {
            return bh_queue_fault(queue, BH_PROTOCOL, "next index outside the indirect table",
                                  place, NULL);
        }
        bh_table_read(table, place.index, &raw);
        desc = local_form(&raw);
        if ((desc.flags & BH_DESC_INDIRECT) != 0u) {
            return bh_queue_fault(queue, BH_PROTOCOL, "indirect descriptor in an indirect table",
                                  place, &desc);
        }
        error = bh_walk_add(queue, walk, &desc, place);
        place.index = desc.id;
    } while (error == BH_OK && (desc.flags & BH_DESC_NEXT) != 0u);
    return error;
}

static int add_table(struct bh_queue *queue, struct bh_walk *walk,
                     const struct bh_journal_desc *desc, struct bh_place place)
{
    struct bh_table table;

    if ((desc->flags & BH_DESC_NEXT) != 0u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "indirect descriptor with a next one", place,
                              desc);
    }

    int error = bh_table_open(queue, desc, place, &table);

    if (error == BH_OK) {
        /* The table is a new list: the ring's size does not bound it, the limit does. */
        walk->budget = bh_chain_limit(queue) - walk->count;
        error = walk_table(queue, walk, &table, place);
        bh_table_close(queue, &table);
    }
    return error;
}

static inline struct bh_journal_desc read_ring(const struct bh_queue *queue, uint16_t index)
{
    const struct bh_split_desc *descriptors = (const void *)queue->descriptor;
    struct bh_split_desc raw;

    bh_copy_once(&raw, &descriptors[index], sizeof(raw));
    return local_form(&raw);
}

/* Takes simple descriptors (bh_walk_hit) from `place` on, as nearly all are. True: the chain has
 * ended; false: `place` is what walk_carefully goes on with. */
static inline bool walk_simply(const struct bh_queue *queue, struct bh_walk *walk,
                               struct bh_place *place)
{
    struct bh_walk here = *walk;
    uint16_t index = place->index;
    bool more = true;

    while (more && index < queue->size) {
        struct bh_journal_desc desc = read_ring(queue, index);

        if (!bh_walk_hit(&here, &desc)) {
            break;
        }
        more = (desc.flags & BH_DESC_NEXT) != 0u;
        index = more ? desc.id : index;
    }
    *walk = here;
    place->index = index;
    return !more;
}

/* Takes whatever walk_simply stopped at, and the rest. */
static int walk_carefully(struct bh_queue *queue, struct bh_walk *walk, struct bh_place place)
{
    struct bh_journal_desc desc;
    int error;

    do {
        if (place.index >= queue->size) {
            return bh_queue_fault(queue, BH_PROTOCOL, "next index outside the ring", place, NULL);
        }
        desc = read_ring(queue, place.index);
        if ((desc.flags & BH_DESC_INDIRECT) != 0u) {
            return add_table(queue, walk, &desc, place);
        }
        error = bh_walk_add(queue, walk, &desc, place);
        place.index = desc.id;
    } while (error == BH_OK && (desc.flags & BH_DESC_NEXT) != 0u);
    return error;
}

/* Fills the chain of `head`, which came from the driver or the journal. */
static int take_head(struct bh_queue *queue, struct bh_chain *chain, uint16_t head)
{
    struct bh_place place = {.head = head, .index = head};

    if (head >= queue->size) {
        return bh_queue_fault(queue, BH_PROTOCOL, "head index outside the ring", place, NULL);
    }
    if (queue->busy[head] != 0u) {
        return bh_queue_fault(queue, BH_PROTOCOL, "head is in flight already", place, NULL);
    }

    struct bh_walk walk = bh_walk_begin(queue, chain, queue->size);
    int error = BH_OK;

    if (!walk_simply(queue, &walk, &place)) {
        error = walk_carefully(queue, &walk, place);
    }
    bh_walk_end(queue, &walk, chain, error);
    if (error != BH_OK) {
        return error;
    }
    queue->busy[head] = 1;
    chain->id = head;
    chain->head = head;
    chain->slots = 1;
    return 1;
}

static int split_pop(struct bh_queue *queue, struct bh_chain *chain)
{
    const struct bh_split_avail *avail = avail_ring(queue);

    if (queue->avail_next == queue->avail_seen) {
        uint16_t seen = bh_load16_acquire(&avail->index);

        if ((uint16_t)(seen - queue->avail_next) > queue->size) {
            struct bh_place place = {.head = 0, .index = seen};

            return bh_queue_fault(queue, BH_PROTOCOL, "available index ran ahead", place, NULL);
        }
        queue->avail_seen = seen;
        if (seen == queue->avail_next) {
            return 0;
        }
    }

    uint16_t head = bh_load16(&avail->ring[queue->avail_next & (queue->size - 1u)]);
    int got = take_head(queue, chain, head);

    if (got > 0) {
        queue->avail_next++;
        if (queue->journal != NULL) {
            chain->journal_entry = queue->journal->take(queue->journal_data, head, 1);
        }
    }
    return got;
}

static int split_resume(struct bh_queue *queue, struct bh_chain *chain)
{
    return take_head(queue, chain, queue->resume_entry);
}

static void split_put(struct bh_queue *queue, uint16_t id, uint32_t written, uint16_t slots)
{
    struct bh_split_used_element *element =
        &used_ring(queue)->ring[queue->used_next & (queue->size - 1u)];

    bh_store32(&element->id, id);
    bh_store32(&element->length, written);
    queue->busy[id] = 0;
    queue->used_next++;
    queue->unsignalled = (uint16_t)(queue->unsignalled + slots);
}

static void split_publish(struct bh_queue *queue)
{
    bh_store16_release(&used_ring(queue)->index, queue->used_next);
}

/* VIRTIO 1.4, 2.7.7.2. */
static bool split_notify_due(const struct bh_queue *queue)
{
    if (!queue->event_idx) {
        return (bh_load16(&avail_ring(queue)->flags) & BH_SPLIT_AVAIL_NO_INTERRUPT) == 0u;
    }

    uint16_t before = (uint16_t)(queue->used_next - queue->unsignalled);

    return bh_event_due(used_event(queue), queue->used_next, before);
}

/* VIRTIO 1.4, 2.7.10. With event-idx, not asking means leaving the old index behind. */
static bool split_notify_enable(struct bh_queue *queue, bool enable)
{
    if (queue->event_idx) {
        if (enable) {
            bh_store16(avail_event(queue), queue->avail_next);
        }
    } else {
        bh_store16(&used_ring(queue)->flags, (uint16_t)(enable ? 0u : BH_SPLIT_USED_NO_NOTIFY));
    }
    if (!enable) {
        return false;
    }
    bh_barrier();
    return bh_load16(&avail_ring(queue)->index) != queue->avail_next;
}

const struct bh_queue_format bh_split_format = {
    .fits = split_fits,
    .begin = split_begin,
    .pop = split_pop,
    .resume = split_resume,
    .put = split_put,
    .publish = split_publish,
    .notify_due = split_notify_due,
    .notify_enable = split_notify_enable,
};
