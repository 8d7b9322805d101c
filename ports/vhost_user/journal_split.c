/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a split ring, step by step as "Inflight I/O tracking" says. An entry is a head
 * index. What is given back is written down only when the batch is published, so that a chain
 * popped in between cannot come between the two.
 */
#include "internal.h"

static struct bh_vu_inflight_split *header_of(const struct bh_vu_journal *journal)
{
    return journal->region;
}

static struct bh_vu_inflight_split_desc *descs_of(const struct bh_vu_journal *journal)
{
    return (void *)((uint8_t *)journal->region + sizeof(struct bh_vu_inflight_split));
}

/* ---- opening ---- */

static void begin(struct bh_vu_journal *journal, uint16_t used)
{
    struct bh_vu_inflight_split *header = header_of(journal);
    struct bh_vu_inflight_split_desc *descs = descs_of(journal);

    for (uint32_t i = 0; i < journal->size; i++) {
        BH_VU_POKE(descs[i].inflight, (uint8_t)0);
    }
    journal->head = 0;
    BH_VU_POKE(header->features, (uint64_t)0);
    BH_VU_POKE(header->desc_count, journal->size);
    BH_VU_POKE(header->last_batch_head, (uint16_t)0);
    BH_VU_POKE(header->used_index, used);
    BH_VU_POKE(header->version, (uint16_t)1);
}

/* The predecessor published `count` chains and died before it could strike them out. */
static int strike_out(struct bh_vu_journal *journal, uint16_t count)
{
    struct bh_vu_inflight_split_desc *descs = descs_of(journal);
    uint16_t entry = journal->head;

    for (uint32_t i = 0; i < count; i++) {
        if (entry >= journal->size) {
            return BH_PROTOCOL;
        }
        journal->entries[entry].inflight = false;
        BH_VU_POKE(descs[entry].inflight, (uint8_t)0);
        entry = BH_VU_PEEK(descs[entry].next);
    }
    return BH_OK;
}

/* Reads everything once. Returns how many entries claim to be in flight. */
static uint32_t load(struct bh_vu_journal *journal)
{
    const struct bh_vu_inflight_split_desc *descs = descs_of(journal);
    uint32_t count = 0;

    for (uint32_t i = 0; i < journal->size; i++) {
        journal->entries[i].inflight = BH_VU_PEEK(descs[i].inflight) == 1u;
        journal->entries[i].counter = BH_VU_PEEK(descs[i].counter);
        count += journal->entries[i].inflight ? 1u : 0u;
    }
    journal->head = BH_VU_PEEK(header_of(journal)->last_batch_head);
    return count;
}

static int take_over(struct bh_vu_journal *journal, const struct bh_vu_start *start, uint16_t used,
                     const char **reason)
{
    struct bh_vu_inflight_split *header = header_of(journal);
    uint16_t behind = (uint16_t)(used - BH_VU_PEEK(header->used_index));

    if (load(journal) != 0u) {
        if (behind > journal->size || strike_out(journal, behind) != BH_OK) {
            *reason = "in-flight region does not fit the used ring";
            return BH_PROTOCOL;
        }
    }
    for (uint32_t i = 0; i < journal->size; i++) {
        if (journal->entries[i].inflight) {
            if (i >= start->ring_size) {
                *reason = "in-flight entry outside the ring";
                return BH_PROTOCOL;
            }
            bh_vu_journal_found(journal, (uint16_t)i);
        }
    }
    if (journal->head >= journal->size) {
        journal->head = 0;
    }
    BH_VU_POKE(header->used_index, used);
    bh_vu_journal_sort(journal);
    return BH_OK;
}

int bh_vu_journal_split_open(struct bh_vu_journal *journal, struct bh_vu_start *start,
                             const char **reason)
{
    const struct bh_vu_inflight_split *header = header_of(journal);
    uint16_t version = BH_VU_PEEK(header->version);
    uint16_t used = start->used_next;

    if (version == 0u) {
        begin(journal, used);
        return BH_OK;
    }
    if (version != 1u || BH_VU_PEEK(header->desc_count) != journal->size) {
        *reason = "in-flight region of an unknown kind";
        return BH_PROTOCOL;
    }

    int error = take_over(journal, start, used, reason);

    if (error == BH_OK) {
        /* Completions come out of order: what was popped is what was used and what was not. */
        start->avail_next = (uint16_t)(used + journal->resume_count);
    }
    return error;
}

/* ---- running ---- */

static uint16_t take(void *data, uint16_t head, uint16_t slots)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_split_desc *descs = descs_of(journal);

    (void)slots;
    if (head >= journal->size) {
        return BH_VU_NO_ENTRY;
    }
    BH_VU_POKE(descs[head].counter, journal->counter);
    journal->counter++;
    journal->in_flight++;
    BH_VU_POKE(descs[head].inflight, (uint8_t)1);
    return head;
}

static void commit_begin(void *data, uint16_t used, bool wrap)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_split *header = header_of(journal);
    struct bh_vu_inflight_split_desc *descs = descs_of(journal);

    (void)used;
    (void)wrap;
    for (uint32_t i = 0; i < journal->batch_count; i++) {
        uint16_t entry = journal->batch[i];

        BH_VU_POKE(descs[entry].next, journal->head);
        journal->head = entry;
        BH_VU_POKE(header->last_batch_head, entry);
    }
}

static void commit_end(void *data, uint16_t used, bool wrap)
{
    struct bh_vu_journal *journal = data;
    struct bh_vu_inflight_split_desc *descs = descs_of(journal);

    (void)wrap;
    for (uint32_t i = 0; i < journal->batch_count; i++) {
        BH_VU_POKE(descs[journal->batch[i]].inflight, (uint8_t)0);
    }
    journal->batch_count = 0;
    BH_VU_POKE(header_of(journal)->used_index, used);
}

static bool next(void *data, uint16_t *entry, uint16_t *slots)
{
    *slots = 1;
    return bh_vu_journal_next(data, entry);
}

const struct bh_journal_ops bh_vu_journal_split = {
    .take = take,
    .give = bh_vu_journal_give,
    .commit_begin = commit_begin,
    .commit_end = commit_end,
    .next = next,
};
