/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of a queue with a journal, both ring formats: which call comes when, measured against what
 * the driver can see at that moment, and how a successor resumes what was in flight. The journal
 * here keeps a line for each call; the real one is in ports/vhost_user/.
 */
#include "ring_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BASE  500u /* entries are the journal's own names */
#define RESUME_MAX  4u
#define RESUME_DESC 3u

struct journal {
    struct guest guest; /* first: the tests see a guest, with a journal behind it */
    char log[1024];
    uint16_t taken;
    uint16_t resume_count; /* entries to resume */
    unsigned seen;         /* used entries that the driver saw when a commit began */
    uint16_t resumed;
    uint16_t entries[RESUME_MAX];
    uint16_t slots[RESUME_MAX];
    struct bh_journal_desc descriptors[RESUME_MAX][RESUME_DESC];
};

__attribute__((format(printf, 2, 3))) static void note(struct journal *journal, const char *format,
                                                       ...)
{
    size_t used = strlen(journal->log);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(journal->log + used, sizeof(journal->log) - used, format, arguments);
    va_end(arguments);
}

/* How many used elements the driver sees now and has not taken yet. */
static unsigned visible(struct guest *guest)
{
    struct guest look = *guest;
    uint32_t id;
    uint32_t length;
    unsigned count = 0;

    while (guest_used(&look, &id, &length)) {
        count++;
    }
    return count;
}

static void record(void *data, uint16_t position, const struct bh_journal_desc *desc)
{
    struct journal *journal = data;

    assert_true(journal->guest.packed);
    note(journal, "record %u %u; ", position, desc->length);
}

static uint16_t take(void *data, uint16_t head, uint16_t slots)
{
    struct journal *journal = data;

    note(journal, "take %u %u; ", head, slots);
    journal->taken++;
    return (uint16_t)(ENTRY_BASE + journal->taken - 1u);
}

static void give(void *data, uint16_t entry)
{
    struct journal *journal = data;

    note(journal, "give %u; ", entry);
    if (!journal->guest.packed) {
        assert_int_equal(visible(&journal->guest), 0);
    }
}

static void commit(struct journal *journal, const char *name, uint16_t used, bool wrap)
{
    const struct guest *guest = &journal->guest;

    note(journal, "%s %u; ", name, used);
    assert_int_equal(used, guest->queue.used_next);
    assert_int_equal(wrap, guest->queue.used_wrap);
}

static void commit_begin(void *data, uint16_t used, bool wrap)
{
    struct journal *journal = data;

    commit(journal, "begin", used, wrap);
    journal->seen = visible(&journal->guest);
    if (!journal->guest.packed) {
        assert_int_equal(journal->seen, 0);
    }
}

static void commit_end(void *data, uint16_t used, bool wrap)
{
    struct journal *journal = data;

    commit(journal, "end", used, wrap);
    /* A packed entry goes by itself: else a successor would leave those behind the first one in the
     * ring, marked used, and the driver would believe them. */
    if (journal->guest.packed) {
        assert_int_equal(visible(&journal->guest), journal->seen + 1u);
    } else {
        assert_true(visible(&journal->guest) > 0);
    }
}

static bool next(void *data, uint16_t *entry, uint16_t *slots)
{
    struct journal *journal = data;

    if (journal->resumed == journal->resume_count) {
        return false;
    }
    *entry = journal->entries[journal->resumed];
    *slots = journal->slots[journal->resumed];
    journal->resumed++;
    return true;
}

static void recall(void *data, uint16_t entry, uint16_t position, struct bh_journal_desc *desc)
{
    struct journal *journal = data;
    unsigned i;

    for (i = 0; i < journal->resume_count; i++) {
        if (journal->entries[i] == entry) {
            assert_true(position < journal->slots[i]);
            *desc = journal->descriptors[i][position];
            return;
        }
    }
    fail_msg("recall of %u", entry);
}

static int setup(void **state, bool packed)
{
    static const struct bh_journal_ops ops = {
        .record = record,
        .take = take,
        .give = give,
        .commit_begin = commit_begin,
        .commit_end = commit_end,
        .next = next,
        .recall = recall,
    };
    struct journal *journal = calloc(1, sizeof(*journal));

    if (journal == NULL) {
        return -1;
    }
    guest_init(&journal->guest, packed, 8, 0);
    journal->guest.setup.journal = &ops;
    journal->guest.setup.journal_data = journal;
    *state = journal;
    return 0;
}

static int setup_split(void **state)
{
    return setup(state, false);
}

static int setup_packed(void **state)
{
    return setup(state, true);
}

static void expect_log(struct journal *journal, const char *split, const char *packed)
{
    assert_string_equal(journal->log, journal->guest.packed ? packed : split);
    journal->log[0] = '\0';
}

static void test_calls_of_one_chain(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 11, R}, {GUEST_DATA, 12, W}};
    struct bh_chain chain;

    guest_start(guest);
    guest_offer(guest, buffers, 2, 3);
    expect_log(journal, "", "");
    guest_pop(guest, &chain);
    expect_log(journal, "take 3 1; ", "record 0 11; record 1 12; take 0 2; ");
    assert_int_equal(chain.journal_entry, ENTRY_BASE);
    bh_queue_push(&guest->queue, &chain, 12);
    expect_log(journal, "give 500; ", "give 500; ");
    (void)bh_queue_publish(&guest->queue);
    expect_log(journal, "begin 1; end 1; ", "begin 2; end 2; ");
    guest_expect_used(guest, 3, 12);
    /* Nothing to publish: nothing to commit. */
    (void)bh_queue_publish(&guest->queue);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
    expect_log(journal, "", "");
}

static void test_calls_of_a_batch(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chains[3];
    unsigned round;
    uint16_t i;

    guest_start(guest);
    for (round = 0; round < 4; round++) {
        for (i = 0; i < 3; i++) {
            guest_offer_one(guest, GUEST_DATA, 1, W, i);
            guest_pop(guest, &chains[i]);
        }
        journal->log[0] = '\0';
        journal->taken = 0;
        bh_queue_push(&guest->queue, &chains[2], 1);
        bh_queue_push(&guest->queue, &chains[0], 1);
        bh_queue_push(&guest->queue, &chains[1], 1);
        assert_int_equal(chains[1].journal_entry, ENTRY_BASE + 1);
        if (!guest->packed) {
            expect_log(journal, "give 502; give 500; give 501; ", NULL);
        }
        (void)bh_queue_publish(&guest->queue);
        assert_non_null(strstr(journal->log, "begin"));
        guest_expect_used(guest, 2, 1);
        guest_expect_used(guest, 0, 1);
        guest_expect_used(guest, 1, 1);
    }
}

static void test_chain_that_waits_is_not_taken(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct guest_buffer buffers[5];
    struct bh_chain chain;
    uint16_t i;

    for (i = 0; i < 5; i++) {
        buffers[i] = (struct guest_buffer){GUEST_DATA, 1, R};
    }
    guest_start(guest);
    guest->pool.free_count = 0;
    guest_offer(guest, buffers, 5, 1);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), BH_AGAIN);
    assert_null(strstr(journal->log, "take"));
    guest->pool.free_count = GUEST_BLOCKS;
    guest_pop(guest, &chain);
    assert_non_null(strstr(journal->log, "take"));
}

static void test_faulty_chain_is_not_taken_and_nothing_given(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chain;

    guest_start(guest);
    guest_offer_one(guest, GUEST_DATA, 1, W, 0);
    guest_offer_one(guest, GUEST_HOLE, 1, W, 1);
    guest_pop(guest, &chain);
    journal->log[0] = '\0';
    guest_pop_fault(guest, BH_DENIED);
    bh_queue_push(&guest->queue, &chain, 1);
    (void)bh_queue_publish(&guest->queue);
    /* It stays in flight: the successor will see it. */
    assert_null(strstr(journal->log, "take"));
    assert_null(strstr(journal->log, "give"));
    assert_null(strstr(journal->log, "begin"));
}

static void test_in_order_gives_in_order(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chains[2];

    guest->setup.features |= BH_F_IN_ORDER;
    guest_start(guest);
    guest_offer_one(guest, GUEST_DATA, 1, W, 0);
    guest_offer_one(guest, GUEST_DATA, 1, W, 1);
    guest_pop(guest, &chains[0]);
    guest_pop(guest, &chains[1]);
    journal->log[0] = '\0';
    bh_queue_push(&guest->queue, &chains[1], 1);
    expect_log(journal, "", "");
    bh_queue_push(&guest->queue, &chains[0], 1);
    expect_log(journal, "give 500; give 501; ", "give 500; begin 1; end 1; give 501; ");
}

/* ---- resuming ---- */

/* Something to resume: `length` tells which it is. Split: it stands in the table at `entry`. */
static void left_in_flight(struct journal *journal, uint16_t entry, uint16_t id, uint32_t length)
{
    struct guest *guest = &journal->guest;
    const struct guest_buffer buffer = {GUEST_DATA, length, W};
    unsigned i = journal->resume_count;

    journal->entries[i] = entry;
    journal->slots[i] = 1;
    journal->descriptors[i][0] = (struct bh_journal_desc){GUEST_DATA, length, id, W};
    journal->resume_count++;
    if (!guest->packed) {
        guest_descriptor(guest, GUEST_DESCRIPTOR, entry, &buffer, 0);
    }
}

/* The predecessor popped entries up to here. */
static void stands_at(struct guest *guest, uint16_t avail, uint16_t used)
{
    guest->setup.avail_next = avail;
    guest->setup.used_next = used;
    guest->avail = avail;
    guest->used = used;
    if (!guest->packed) {
        guest_split_index(guest, avail);
        guest_put16(guest, GUEST_DEVICE + 2, used);
    }
}

static void test_resumed_come_first_and_in_the_journals_order(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chains[4];
    unsigned i;

    left_in_flight(journal, 5, 5, 105);
    left_in_flight(journal, 2, 2, 102);
    left_in_flight(journal, 7, 7, 107);
    stands_at(guest, 3, 0);
    guest_start(guest);
    guest_offer_one(guest, GUEST_DATA, 1, W, 0);
    for (i = 0; i < 3; i++) {
        guest_pop(guest, &chains[i]);
        assert_true(chains[i].resumed);
        assert_int_equal(chains[i].journal_entry, journal->entries[i]);
        assert_int_equal(chains[i].id, journal->entries[i]);
        assert_int_equal(chains[i].writable_bytes, 100 + journal->entries[i]);
    }
    /* They are in the journal already. */
    expect_log(journal, "", "");
    chains[3].resumed = true; /* whatever the memory held before */
    guest_pop(guest, &chains[3]);
    assert_false(chains[3].resumed);
    assert_int_equal(chains[3].writable_bytes, 1);
    assert_int_equal(guest->queue.in_flight, 4);
    guest->slots[5] = 1;
    guest->slots[2] = 1;
    guest->slots[7] = 1;
    journal->log[0] = '\0';
    bh_queue_push(&guest->queue, &chains[1], 9);
    expect_log(journal, "give 2; ", "give 2; ");
    bh_queue_push(&guest->queue, &chains[3], 1);
    bh_queue_push(&guest->queue, &chains[0], 8);
    bh_queue_push(&guest->queue, &chains[2], 7);
    assert_true(bh_queue_publish(&guest->queue));
    guest_expect_used(guest, 2, 9);
    guest_expect_used(guest, 0, 1);
    guest_expect_used(guest, 5, 8);
    guest_expect_used(guest, 7, 7);
}

/* Packed: used descriptors may have overwritten the ring; the journal's copy counts. */
static void test_packed_resume_recalls(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chain;

    left_in_flight(journal, 40, 6, 33);
    journal->slots[0] = 3;
    journal->descriptors[0][0] = (struct bh_journal_desc){GUEST_DATA, 1, 9, BH_DESC_NEXT};
    journal->descriptors[0][1] = (struct bh_journal_desc){GUEST_DATA, 2, 9, BH_DESC_NEXT | W};
    journal->descriptors[0][2] = (struct bh_journal_desc){GUEST_DATA + 9, 3, 6, W};
    memset(guest_at(guest, GUEST_DESCRIPTOR), 0x5a, 8 * 16);
    stands_at(guest, 3, 0);
    guest_start(guest);
    guest_pop(guest, &chain);
    assert_int_equal(chain.id, 6);
    assert_int_equal(chain.slots, 3);
    assert_int_equal(chain.journal_entry, 40);
    assert_int_equal(chain.readable_bytes, 1);
    assert_int_equal(chain.writable_bytes, 5);
    guest_expect_span(guest, &chain.spans[2], GUEST_DATA + 9, 3);
    guest->slots[6] = 3;
    guest_complete(guest, &chain, 5);
    assert_int_equal(guest->queue.used_next, 3);
}

static void test_packed_resume_of_a_table(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 5, R}, {GUEST_DATA, 6, W}};
    struct bh_chain chain;

    guest->setup.features |= BH_F_INDIRECT_DESC;
    guest_table(guest, GUEST_TABLE, buffers, 2);
    left_in_flight(journal, 40, 6, 33);
    journal->descriptors[0][0] = (struct bh_journal_desc){GUEST_TABLE, 32, 6, BH_DESC_INDIRECT};
    stands_at(guest, 1, 0);
    guest_start(guest);
    guest_pop(guest, &chain);
    assert_int_equal(chain.readable_bytes, 5);
    assert_int_equal(chain.writable_bytes, 6);
}

static void test_resumed_chain_waits_for_room(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chain;

    left_in_flight(journal, 5, 5, 105);
    left_in_flight(journal, 2, 2, 102);
    /* Five pieces of memory: more than inline. */
    guest->regions[1].size = 1;
    guest->regions[2] = (struct bh_region){GUEST_HIGH + 1, 1, guest->rom, BH_ACCESS_WRITE};
    guest->regions[3] = (struct bh_region){GUEST_HIGH + 2, 0x1000, guest->rom, BH_ACCESS_WRITE};
    guest->memory.region_count = 4;
    journal->descriptors[0][0].address = GUEST_HIGH - 1;
    journal->descriptors[0][0].length = 4;
    journal->slots[0] = 2;
    journal->descriptors[0][1] = journal->descriptors[0][0];
    journal->descriptors[0][0].flags = W | BH_DESC_NEXT;
    if (!guest->packed) {
        guest_descriptor(guest, GUEST_DESCRIPTOR, 5,
                         &(struct guest_buffer){GUEST_HIGH - 1, 4, W | BH_DESC_NEXT}, 6);
        guest_descriptor(guest, GUEST_DESCRIPTOR, 6, &(struct guest_buffer){GUEST_HIGH - 1, 4, W},
                         0);
    }
    stands_at(guest, 3, 0);
    guest_start(guest);
    guest->pool.free_count = 0;
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), BH_AGAIN);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), BH_AGAIN);
    guest->pool.free_count = GUEST_BLOCKS;
    guest_pop(guest, &chain);
    assert_int_equal(chain.journal_entry, 5);
    assert_int_equal(chain.writable_bytes, 8);
    guest_pop(guest, &chain);
    assert_int_equal(chain.journal_entry, 2);
    assert_int_equal(bh_queue_pop(&guest->queue, &chain), 0);
}

/* [BH-BLK-37] */
static void test_split_journal_is_not_believed(void **state)
{
    static const uint16_t heads[] = {8, 0x8000, 0xffff};
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    for (i = 0; i < 3; i++) {
        journal->resume_count = 1;
        journal->resumed = 0;
        journal->entries[0] = heads[i];
        guest_start(guest);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    }
    /* The same head twice. */
    journal->resume_count = 0;
    journal->resumed = 0;
    left_in_flight(journal, 3, 3, 1);
    left_in_flight(journal, 3, 3, 1);
    guest_start(guest);
    guest_pop(guest, &chain);
    guest_pop_fault(guest, BH_PROTOCOL);
}

/* [BH-BLK-37] */
static void test_packed_journal_is_not_believed(void **state)
{
    static const uint16_t slots[] = {0, 9, 17, 0x8000, 0xffff};
    struct journal *journal = *state;
    struct guest *guest = *state;
    struct bh_chain chain;
    unsigned i;

    left_in_flight(journal, 3, 3, 1);
    for (i = 0; i < 5; i++) {
        journal->resumed = 0;
        journal->slots[0] = slots[i];
        guest_start(guest);
        guest_pop_fault(guest, BH_PROTOCOL);
        assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
    }
    /* More slots in flight than the ring has. */
    guest->setup.size = 2;
    journal->resumed = 0;
    journal->slots[0] = 1;
    left_in_flight(journal, 4, 4, 1);
    left_in_flight(journal, 5, 5, 1);
    guest_start(guest);
    guest_pop(guest, &chain);
    guest_pop(guest, &chain);
    guest_pop_fault(guest, BH_PROTOCOL);
}

/* Memory that was taken away meanwhile. */
static void test_resumed_chain_outside_memory(void **state)
{
    struct journal *journal = *state;
    struct guest *guest = *state;

    left_in_flight(journal, 3, 3, 1);
    journal->descriptors[0][0].address = GUEST_HOLE;
    guest_descriptor(guest, GUEST_DESCRIPTOR, 3, &(struct guest_buffer){GUEST_HOLE, 1, W}, 0);
    guest_start(guest);
    guest_pop_fault(guest, BH_DENIED);
    assert_int_equal(guest->queue.fault.address, GUEST_HOLE);
    assert_int_equal(guest->queue.fault.head, 3);
}

#define SPLIT(test)                                                                                \
    {                                                                                              \
#test ": split", test, setup_split, guest_teardown, NULL                                   \
    }
#define PACKED(test)                                                                               \
    {                                                                                              \
#test ": packed", test, setup_packed, guest_teardown, NULL                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPLIT(test_calls_of_one_chain),
        PACKED(test_calls_of_one_chain),
        SPLIT(test_calls_of_a_batch),
        PACKED(test_calls_of_a_batch),
        SPLIT(test_chain_that_waits_is_not_taken),
        PACKED(test_chain_that_waits_is_not_taken),
        SPLIT(test_faulty_chain_is_not_taken_and_nothing_given),
        PACKED(test_faulty_chain_is_not_taken_and_nothing_given),
        SPLIT(test_in_order_gives_in_order),
        PACKED(test_in_order_gives_in_order),
        SPLIT(test_resumed_come_first_and_in_the_journals_order),
        PACKED(test_resumed_come_first_and_in_the_journals_order),
        PACKED(test_packed_resume_recalls),
        PACKED(test_packed_resume_of_a_table),
        SPLIT(test_resumed_chain_waits_for_room),
        PACKED(test_resumed_chain_waits_for_room),
        SPLIT(test_split_journal_is_not_believed),
        PACKED(test_packed_journal_is_not_believed),
        SPLIT(test_resumed_chain_outside_memory),
        PACKED(test_resumed_chain_outside_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
