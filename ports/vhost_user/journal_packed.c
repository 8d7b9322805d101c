/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a packed ring, step by step as "Inflight I/O tracking" says. The ring is
 * overwritten as it is used, so each chain's descriptors are copied into a list of entries; an
 * entry is the first of them. What is given back is written down only when the batch is published:
 * until then a crash rolls back to the old heads, and a chain popped in between must not have taken
 * those entries.
 */
#include "internal.h"

#include "bulkhead/bytes.h"

static struct bh_vu_inflight_packed *header_of(const struct bh_vu_journal *journal)
{
    return journal->region;
}

static struct bh_vu_inflight_packed_desc *descs_of(const struct bh_vu_journal *journal)
{
    return (void *)((uint8_t *)journal->region + sizeof(struct bh_vu_inflight_packed));
}

/* ---- opening ---- */

/* What the header says, and after `settle` what holds. */
struct state {
    uint16_t free_head;
    uint16_t used;
    uint8_t wrap;
};

static void store(struct bh_vu_inflight_packed *header, struct state now)
{
    BH_VU_POKE(header->free_head, now.free_head);
    BH_VU_POKE(header->used_index, now.used);
    BH_VU_POKE(header->used_wrap, now.wrap);
}

static void store_old(struct bh_vu_inflight_packed *header, struct state now)
{
    BH_VU_POKE(header->old_free_head, now.free_head);
    BH_VU_POKE(header->old_used_index, now.used);
    BH_VU_POKE(header->old_used_wrap, now.wrap);
}

static void begin(struct bh_vu_journal *journal, const struct bh_vu_start *start)
{
    struct bh_vu_inflight_packed *header = header_of(journal);
    struct bh_vu_inflight_packed_desc *descs = descs_of(journal);
    struct state now = {.used = start->used_next, .wrap = start->used_wrap ? 1 : 0};

    for (uint32_t i = 0; i < journal->size; i++) {
        journal->entries[i].next = (uint16_t)(i + 1u);
        BH_VU_POKE(descs[i].inflight, (uint8_t)0);
        BH_VU_POKE(descs[i].next, (uint16_t)(i + 1u));
    }
    journal->head = 0;
    BH_VU_POKE(header->features, (uint64_t)0);
    BH_VU_POKE(header->desc_count, journal->size);
    store(header, now);
    store_old(header, now);
    BH_VU_POKE(header->version, (uint16_t)1);
}

/* Whether the descriptor at the old used index is as the driver left it: then the predecessor died
 * before the batch became visible. */
static bool untouched(const struct bh_vu_start *start, struct state old)
{
    uint16_t flags = bh_load16(&start->ring[old.used].flags);
    bool avail = (flags & BH_DESC_AVAIL) != 0u;
    bool used = (flags & BH_DESC_USED) != 0u;

    return avail == (old.wrap != 0u) && used != (old.wrap != 0u);
}

/* Reads the header once, and commits or rolls back what was under way. */
static int settle(struct bh_vu_journal *journal, const struct bh_vu_start *start, struct state *now)
{
    struct bh_vu_inflight_packed *header = header_of(journal);
    struct state new = {.free_head = BH_VU_PEEK(header->free_head),
                        .used = BH_VU_PEEK(header->used_index),
                        .wrap = BH_VU_PEEK(header->used_wrap)};
    struct state old = {.free_head = BH_VU_PEEK(header->old_free_head),
                        .used = BH_VU_PEEK(header->old_used_index),
                        .wrap = BH_VU_PEEK(header->old_used_wrap)};

    if (new.free_head > journal->size || old.free_head > journal->size ||
        new.used >= start->ring_size || old.used >= start->ring_size || new.wrap > 1u ||
        old.wrap > 1u) {
        return BH_PROTOCOL;
    }
    *now = old;
    if ((new.used != old.used || new.wrap != old.wrap) && !untouched(start, old)) {
        *now = new;
    }
    return BH_OK;
}

static void load(struct bh_vu_journal *journal)
{
    const struct bh_vu_inflight_packed_desc *descs = descs_of(journal);

    for (uint32_t i = 0; i < journal->size; i++) {
        struct bh_vu_entry *entry = &journal->entries[i];

        entry->desc.address = BH_VU_PEEK(descs[i].address);
        entry->desc.length = BH_VU_PEEK(descs[i].length);
        entry->desc.id = BH_VU_PEEK(descs[i].id);
        entry->desc.flags = BH_VU_PEEK(descs[i].flags);
        entry->counter = BH_VU_PEEK(descs[i].counter);
        entry->next = BH_VU_PEEK(descs[i].next);
        entry->last = BH_VU_PEEK(descs[i].last);
        entry->count = BH_VU_PEEK(descs[i].count);
        entry->inflight = BH_VU_PEEK(descs[i].inflight) == 1u;
        entry->seen = false;
    }
}

/* Walks the free list; nothing on it is in flight. Returns its length, or BH_PROTOCOL: a loop. */
static int walk_free(struct bh_vu_journal *journal)
{
    struct bh_vu_inflight_packed_desc *descs = descs_of(journal);
    int count = 0;

    for (uint16_t i = journal->head; i < journal->size; i = journal->entries[i].next) {
        if (journal->entries[i].seen) {
            return BH_PROTOCOL;
        }
        journal->entries[i].seen = true;
        journal->entries[i].inflight = false;
        BH_VU_POKE(descs[i].inflight, (uint8_t)0);
        count++;
    }
    return count;
}

/* Walks one chain in flight. Returns its length, or BH_PROTOCOL. */
static int walk_chain(struct bh_vu_journal *journal, uint16_t first)
{
    uint16_t count = journal->entries[first].count;
    uint16_t at = first;

    if (count == 0u) {
        return BH_PROTOCOL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (at >= journal->size || journal->entries[at].seen) {
            return BH_PROTOCOL;
        }
        journal->entries[at].seen = true;
        if (i + 1u == count && at != journal->entries[first].last) {
            return BH_PROTOCOL;
        }
        at = journal->entries[at].next;
    }
    return count;
}

/* Every entry is free or belongs to one chain in flight. Returns the ring slots in flight, or
 * BH_PROTOCOL. */
static int account(struct bh_vu_journal *journal)
{
    int vacant = walk_free(journal);
    int busy = 0;

    if (vacant < 0) {
        return vacant;
    }
    for (uint32_t i = 0; i < journal->size; i++) {
        if (journal->entries[i].inflight) {
            int count = walk_chain(journal, (uint16_t)i);

            if (count < 0) {
                return count;
            }
            busy += count;
            bh_vu_journal_found(journal, (uint16_t)i);
        }
    }
    return vacant + busy == journal->size ? busy : BH_PROTOCOL;
}

static int take_over(struct bh_vu_journal *journal, struct bh_vu_start *start)
{
    struct state now;
    int error = settle(journal, start, &now);

    if (error != BH_OK) {
        return error;
    }
    load(journal);
    journal->head = now.free_head;

    int busy = account(journal);

    if (busy < 0 || busy > start->ring_size) {
        return BH_PROTOCOL;
    }
    store_old(header_of(journal), now);
    store(header_of(journal), now);
    bh_vu_journal_sort(journal);

    uint32_t avail = (uint32_t)now.used + (uint32_t)busy;
    bool wraps = avail >= start->ring_size;

    start->used_next = now.used;
    start->used_wrap = now.wrap != 0u;
    start->avail_next = (uint16_t)(wraps ? avail - start->ring_size : avail);
    start->avail_wrap = wraps ? !start->used_wrap : start->used_wrap;
    return BH_OK;
}

int bh_vu_journal_packed_open(struct bh_vu_journal *journal, struct bh_vu_start *start,
                              const char **reason)
{
    const struct bh_vu_inflight_packed *header = header_of(journal);
    uint16_t version = BH_VU_PEEK(header->version);

    if (version == 0u) {
        begin(journal, start);
        return BH_OK;
    }
    if (version != 1u || BH_VU_PEEK(header->desc_count) != journal->size) {
        *reason = "in-flight region of an unknown kind";
        return BH_PROTOCOL;
    }
    if (take_over(journal, start) != BH_OK) {
        *reason = "in-flight region contradicts itself";
        return BH_PROTOCOL;
    }
    return BH_OK;
}

/* ---- running ---- */

static void record(void *data, uint16_t position, const struct bh_journal_desc *desc)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_packed_desc *descs = descs_of(journal);

    if (position == 0u) {
        journal->cursor = journal->head;
    } else if (journal->cursor < journal->size) {
        journal->cursor = journal->entries[journal->cursor].next;
    }
    /* Only a guest that lies about its ring can use up the list: it loses its own record. */
    if (journal->cursor < journal->size) {
        journal->entries[journal->cursor].desc = *desc;
        BH_VU_POKE(descs[journal->cursor].address, desc->address);
        BH_VU_POKE(descs[journal->cursor].length, desc->length);
        BH_VU_POKE(descs[journal->cursor].flags, desc->flags);
        BH_VU_POKE(descs[journal->cursor].id, desc->id);
    }
}

static uint16_t take(void *data, uint16_t slot, uint16_t slots)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_packed *header = header_of(journal);
    uint16_t first = journal->head;

    (void)slot;
    if (journal->cursor >= journal->size) {
        return BH_VU_NO_ENTRY;
    }

    struct bh_vu_inflight_packed_desc *desc = &descs_of(journal)[first];

    journal->entries[first].last = journal->cursor;
    journal->head = journal->entries[journal->cursor].next;
    BH_VU_POKE(desc->count, slots);
    BH_VU_POKE(desc->last, journal->cursor);
    BH_VU_POKE(desc->counter, journal->counter);
    journal->counter++;
    journal->in_flight++;
    BH_VU_POKE(desc->inflight, (uint8_t)1);
    BH_VU_POKE(header->free_head, journal->head);
    BH_VU_POKE(header->old_free_head, journal->head);
    return first;
}

static void commit_begin(void *data, uint16_t used, bool wrap)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_packed_desc *descs = descs_of(journal);

    for (uint32_t i = 0; i < journal->batch_count; i++) {
        uint16_t entry = journal->batch[i];
        uint16_t last = journal->entries[entry].last;

        journal->entries[last].next = journal->head;
        BH_VU_POKE(descs[last].next, journal->head);
        journal->head = entry;
    }
    store(header_of(journal),
          (struct state){.free_head = journal->head, .used = used, .wrap = wrap ? 1 : 0});
}

static void commit_end(void *data, uint16_t used, bool wrap)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_packed_desc *descs = descs_of(journal);

    for (uint32_t i = 0; i < journal->batch_count; i++) {
        BH_VU_POKE(descs[journal->batch[i]].inflight, (uint8_t)0);
    }
    journal->batch_count = 0;
    store_old(header_of(journal),
              (struct state){.free_head = journal->head, .used = used, .wrap = wrap ? 1 : 0});
}

static bool next(void *data, uint16_t *entry, uint16_t *slots)
{
    struct bh_vu_journal *journal = data;

    if (!bh_vu_journal_next(journal, entry)) {
        return false;
    }
    *slots = journal->entries[*entry].count;
    return true;
}

static void recall(void *data, uint16_t entry, uint16_t position, struct bh_journal_desc *desc)
{
    struct bh_vu_journal *journal = data;

    journal->cursor = position == 0u ? entry : journal->entries[journal->cursor].next;
    *desc = journal->entries[journal->cursor].desc;
}

const struct bh_journal_ops bh_vu_journal_packed = {
    .record = record,
    .take = take,
    .give = bh_vu_journal_give,
    .commit_begin = commit_begin,
    .commit_end = commit_end,
    .next = next,
    .recall = recall,
};
