/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end dies with requests in flight, and its successor gets the in-flight region: nothing is
 * lost, nothing is given back twice, whatever the order of completions and wherever it died.
 *
 * Dying is made here: the journal's calls are wrapped, and at one of them memory and region are
 * copied as they are. A successor starts from the copies; the first life goes on, unheard.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vu_rig.h"

#define IDS 8u

struct life {
    struct vu vu;
    bool in_order;
    uint32_t seed;
    const struct bh_journal_ops *ops;
    void *data;
    bool outstanding[IDS]; /* offered, and not taken back by the guest */
    uint8_t *region;
    size_t region_size;

    /* The moment of death. */
    unsigned countdown;
    bool dead;
    uint8_t memory_then[VU_MEMORY];
    _Alignas(16) uint8_t region_then[0x20000];
    struct guest guest_then;
    bool outstanding_then[IDS];
};

static struct life *living; /* the journal's calls know no other way to it */

static uint32_t chance(struct life *life, uint32_t below)
{
    life->seed = life->seed * 1664525u + 1013904223u;
    return (life->seed >> 16) % below;
}

/* ---- dying ---- */

enum moment { ANYWHERE, BEFORE_PUBLISH, AFTER_PUBLISH };

/* As if the last call had not come to its end: some of its stores are not there. */
static void tear_packed(struct life *life, enum moment moment)
{
    struct bh_vu_inflight_packed *header = (void *)life->region_then;

    if (moment == BEFORE_PUBLISH) {
        switch (chance(life, 3)) {
        case 0:
            header->used_wrap = header->old_used_wrap;
            break;
        case 1:
            header->used_wrap = header->old_used_wrap;
            header->used_index = header->old_used_index;
            break;
        default:
            break;
        }
    } else if (moment == AFTER_PUBLISH && chance(life, 2) == 0) {
        header->old_free_head = header->free_head;
    }
}

/* Some of the batch is struck out already. */
static void tear_split(struct life *life, enum moment moment)
{
    struct bh_vu_inflight_split *header = (void *)life->region_then;
    struct bh_vu_inflight_split_desc *descs = (void *)(header + 1);

    if (moment == AFTER_PUBLISH && chance(life, 2) == 0) {
        descs[header->last_batch_head].inflight = 0;
    }
}

static void maybe_die(enum moment moment)
{
    struct life *life = living;

    if (life->dead || --life->countdown != 0) {
        return;
    }
    life->dead = true;
    memcpy(life->memory_then, life->vu.map, VU_MEMORY);
    memcpy(life->region_then, life->region, life->region_size);
    memcpy(&life->guest_then, &life->vu.guest, sizeof(life->guest_then));
    memcpy(life->outstanding_then, life->outstanding, sizeof(life->outstanding));
    if (life->vu.guest.packed) {
        tear_packed(life, moment);
    } else {
        tear_split(life, moment);
    }
}

static void record(void *data, uint16_t position, const struct bh_journal_desc *desc)
{
    (void)data;
    living->ops->record(living->data, position, desc);
    maybe_die(ANYWHERE);
}

static uint16_t take(void *data, uint16_t head, uint16_t slots)
{
    uint16_t entry;

    (void)data;
    maybe_die(ANYWHERE);
    entry = living->ops->take(living->data, head, slots);
    maybe_die(ANYWHERE);
    return entry;
}

static void give(void *data, uint16_t entry)
{
    (void)data;
    living->ops->give(living->data, entry);
    maybe_die(ANYWHERE);
}

static void commit_begin(void *data, uint16_t used, bool wrap)
{
    (void)data;
    maybe_die(ANYWHERE);
    living->ops->commit_begin(living->data, used, wrap);
    maybe_die(BEFORE_PUBLISH);
}

static void commit_end(void *data, uint16_t used, bool wrap)
{
    (void)data;
    maybe_die(AFTER_PUBLISH);
    living->ops->commit_end(living->data, used, wrap);
    maybe_die(ANYWHERE);
}

static bool next(void *data, uint16_t *entry, uint16_t *slots)
{
    (void)data;
    return living->ops->next(living->data, entry, slots);
}

static void recall(void *data, uint16_t entry, uint16_t position, struct bh_journal_desc *desc)
{
    (void)data;
    living->ops->recall(living->data, entry, position, desc);
}

static const struct bh_journal_ops wrapped = {
    .record = record,
    .take = take,
    .give = give,
    .commit_begin = commit_begin,
    .commit_end = commit_end,
    .next = next,
    .recall = recall,
};

/* ---- living ---- */

static void begin(struct life *life, bool packed, bool in_order, uint32_t seed)
{
    struct vu *vu = &life->vu;

    memset(life, 0, sizeof(*life));
    life->seed = seed;
    life->in_order = in_order;
    life->countdown = 1 + chance(life, 120);
    living = life;
    vu_init(vu, packed);
    vu_negotiate(vu, in_order ? BH_F_IN_ORDER : 0);
    vu_memory(vu);
    vu_inflight_get(vu, 24);
    vu_inflight_set(vu);
    vu_ring(vu, 0);
    life->region_size = vu->inflight_where.mmap_size;
    assert_true(life->region_size <= sizeof(life->region_then));
    life->region =
        mmap(NULL, life->region_size, PROT_READ | PROT_WRITE, MAP_SHARED, vu->inflight, 0);
    assert_true(life->region != MAP_FAILED);
    assert_non_null(vu->echo.queues[0].journal);
    life->ops = vu->echo.queues[0].journal;
    life->data = vu->echo.queues[0].journal_data;
    vu->echo.queues[0].journal = &wrapped;
    vu->echo.hold = true;
}

static void end(struct life *life)
{
    (void)munmap(life->region, life->region_size);
    vu_finish(&life->vu);
}

static uint16_t slots_left(const struct life *life)
{
    uint16_t used = 0;

    for (unsigned i = 0; i < IDS; i++) {
        used = (uint16_t)(used + (life->outstanding[i] ? life->vu.guest.slots[i] : 0));
    }
    return (uint16_t)(life->vu.guest.size - used);
}

/* The guest offers a chain under an id that is free. Split: heads with room for two. */
static void offer(struct life *life)
{
    struct guest *guest = &life->vu.guest;
    const struct guest_buffer buffers[3] = {
        {GUEST_DATA, 16, R}, {GUEST_DATA + 0x100, 16, W}, {GUEST_DATA + 0x200, 16, W}};
    uint16_t count = (uint16_t)(1 + chance(life, guest->packed ? 3 : 2));
    uint16_t id = (uint16_t)(guest->packed ? chance(life, IDS) : 2 * chance(life, IDS / 2));

    if (life->outstanding[id] || (guest->packed && slots_left(life) < count)) {
        return;
    }
    guest_offer(guest, buffers + (3 - count), count, id);
    life->outstanding[id] = true;
}

static void take_back(struct life *life, struct guest *guest, bool *outstanding)
{
    uint32_t id;
    uint32_t length;

    (void)life;
    while (guest_used(guest, &id, &length)) {
        assert_true(id < IDS);
        assert_true(outstanding[id]);
        outstanding[id] = false;
    }
}

/* One of the chains that the device holds comes back, not the oldest. */
static void complete(struct life *life)
{
    struct echo *echo = &life->vu.echo;
    unsigned first = chance(life, ECHO_HELD);

    for (unsigned i = 0; i < ECHO_HELD; i++) {
        struct echo_request *request = &echo->held[(first + i) % ECHO_HELD];

        if (request->busy) {
            request->busy = false;
            bh_device_push(&echo->device, request->queue, &request->chain, 1);
            return;
        }
    }
}

static void live_on(struct life *life)
{
    for (unsigned step = 0; step < 400 && !life->dead; step++) {
        switch (chance(life, 6)) {
        case 0:
        case 1:
            offer(life);
            break;
        case 2:
            (void)bh_device_kick(&life->vu.echo.device, 0);
            break;
        case 3:
            complete(life);
            break;
        case 4:
            bh_device_flush(&life->vu.echo.device);
            break;
        default:
            take_back(life, &life->vu.guest, life->outstanding);
            break;
        }
    }
}

/* ---- the successor ---- */

/* Copies of what the front end kept. */
static void inherit(struct vu *vu, const struct life *life)
{
    struct bh_region region;
    uint8_t *map;

    vu_init(vu, life->guest_then.packed);
    region = vu->guest.regions[0];
    memcpy(vu->map, life->memory_then, VU_MEMORY);
    memcpy(&vu->guest, &life->guest_then, sizeof(vu->guest));
    vu->guest.regions[0] = region;
    vu->inflight = vu_memfd(life->region_size, true);
    vu->inflight_where = life->vu.inflight_where;
    map = mmap(NULL, life->region_size, PROT_READ | PROT_WRITE, MAP_SHARED, vu->inflight, 0);
    assert_true(map != MAP_FAILED);
    memcpy(map, life->region_then, life->region_size);
    (void)munmap(map, life->region_size);
}

static void succeed(struct life *life, struct vu *vu)
{
    bool outstanding[IDS];

    inherit(vu, life);
    memcpy(outstanding, life->outstanding_then, sizeof(outstanding));
    vu_negotiate(vu, life->in_order ? BH_F_IN_ORDER : 0);
    vu_memory(vu);
    vu_inflight_set(vu);
    /* The base is as stale as the ones that front ends send: the journal knows better. */
    vu_ring(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
    take_back(life, &vu->guest, outstanding);
    for (unsigned i = 0; i < IDS; i++) {
        assert_false(outstanding[i]);
    }
    for (unsigned i = 0; i < 20; i++) {
        vu_expect_works(vu);
    }
    vu_finish(vu);
}

static void lives(bool packed, bool in_order, uint32_t count)
{
    struct life *life = malloc(sizeof(*life));
    struct vu *successor = malloc(sizeof(*successor));
    unsigned deaths = 0;

    assert_non_null(life);
    assert_non_null(successor);
    for (uint32_t seed = 1; seed <= count; seed++) {
        begin(life, packed, in_order, seed * 7919u);
        live_on(life);
        if (life->dead) {
            deaths++;
            succeed(life, successor);
        }
        end(life);
    }
    assert_true(deaths > count / 2);
    free(successor);
    free(life);
}

/* [BH-BLK-36] */
static void test_vu_crash_split(void **state)
{
    (void)state;
    lives(false, false, 400);
}

/* [BH-BLK-36] */
static void test_vu_crash_packed(void **state)
{
    (void)state;
    lives(true, false, 400);
}

/* [BH-BLK-36] */
static void test_vu_crash_split_in_order(void **state)
{
    (void)state;
    lives(false, true, 200);
}

/* [BH-BLK-36] */
static void test_vu_crash_packed_in_order(void **state)
{
    (void)state;
    lives(true, true, 200);
}

/* The successor takes up the oldest first, and dies in turn. */
static void in_their_order(bool packed)
{
    struct life *life = malloc(sizeof(*life));
    struct vu *vu = malloc(sizeof(*vu));
    const uint16_t ids[4] = {6, 0, 4, 2};

    assert_non_null(life);
    assert_non_null(vu);
    begin(life, packed, false, 1);
    life->countdown = UINT32_MAX;
    for (unsigned i = 0; i < 4; i++) {
        guest_offer_one(&life->vu.guest, GUEST_DATA, 16, W, ids[i]);
        vu_kick(&life->vu, 0);
    }
    /* The first is done; then the process dies. */
    echo_release_one(&life->vu.echo, 1);
    bh_device_flush(&life->vu.echo.device);
    life->countdown = 1;
    maybe_die(ANYWHERE);
    inherit(vu, life);
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_inflight_set(vu);
    vu->echo.hold = true;
    vu_ring(vu, 0);
    for (unsigned i = 1; i < 4; i++) {
        assert_true(vu->echo.held[i - 1].busy);
        assert_int_equal(vu->echo.held[i - 1].chain.id, ids[i]);
    }
    assert_false(vu->echo.held[3].busy);
    vu_finish(vu);
    end(life);
    free(vu);
    free(life);
}

static void test_vu_crash_resumes_the_oldest_first(void **state)
{
    (void)state;
    in_their_order(false);
    in_their_order(true);
}

/* The same process meets the front end again: everything was drained, and the base it is told is
 * an old one. */
static void reconnect(bool packed)
{
    struct vu *vu = malloc(sizeof(*vu));

    assert_non_null(vu);
    vu_init_listening(vu, packed);
    vu_connect(vu);
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_inflight_get(vu, 20);
    for (unsigned i = 0; i < 5; i++) {
        if (i != 0) {
            vu_connect(vu);
            vu_negotiate(vu, 0);
            vu_memory(vu);
        }
        vu_inflight_set(vu);
        vu_ring(vu, 0);
        vu_expect_works(vu);
        vu_expect_works(vu);
        vu_expect_works(vu);
        vu_disconnect(vu);
        /* Nobody hears this kick. */
        vu_offer(vu, 2);
        if (i < 4) {
            vu_connect(vu);
            vu_negotiate(vu, 0);
            vu_memory(vu);
            vu_inflight_set(vu);
            vu_ring(vu, 0);
            guest_expect_used(&vu->guest, 2, 1);
            vu_disconnect(vu);
        }
    }
    vu_finish(vu);
    free(vu);
}

static void test_vu_reconnect_with_a_stale_base(void **state)
{
    (void)state;
    reconnect(false);
    reconnect(true);
}

/* ---- ends that are no crash ---- */

static void rings_anew(struct vu *vu)
{
    memset(vu->map, 0, VU_MEMORY);
    vu->guest.avail = 0;
    vu->guest.avail_wrap = true;
    vu->guest.used = 0;
    vu->guest.used_wrap = true;
}

static void start_with_region(struct vu *vu)
{
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_inflight_get(vu, 20);
    vu_inflight_set(vu);
    vu_ring(vu, 0);
    for (unsigned i = 0; i < 3; i++) {
        vu_expect_works(vu);
    }
}

/* A reset: the region is still there, and says nothing about the new rings. */
static void test_vu_reset_forgets_the_journal(void **state)
{
    struct vu *vu = *state;

    start_with_region(vu);
    vu_tell(vu, BH_VU_RESET_DEVICE, NULL, 0, NULL, 0);
    rings_anew(vu);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

/* So does a ring that was stopped in order, and is set up from its beginning. */
static void test_vu_stop_finishes_the_journal(void **state)
{
    struct vu *vu = *state;

    start_with_region(vu);
    (void)vu_ask_base(vu, 0);
    rings_anew(vu);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

/* Breaks the ring while chain 2 is in flight. */
static void break_in_flight(struct vu *vu)
{
    struct guest_buffer nowhere = {GUEST_HOLE, 16, W};

    vu->echo.hold = true;
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    guest_offer(&vu->guest, &nowhere, 1, 5);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
    guest_expect_nothing(&vu->guest);
}

/* A ring that broke with a request in flight: the stop does not forget it. */
static void test_vu_broken_ring_keeps_its_journal(void **state)
{
    struct vu *vu = *state;

    start_with_region(vu);
    break_in_flight(vu);
    (void)vu_ask_base(vu, 0);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    /* The base as the front end first had it: the journal knows that one was not done. */
    vu_ring(vu, 0);
    assert_true(vu->echo.held[0].busy);
    assert_int_equal(vu->echo.held[0].chain.id, 2);
    /* And then the ring breaks at the same place. */
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 2);
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
}

/* A reset does. */
static void test_vu_reset_forgets_what_was_in_flight(void **state)
{
    struct vu *vu = *state;

    start_with_region(vu);
    break_in_flight(vu);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
    rings_anew(vu);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_ring(vu, 0);
    assert_false(vu->echo.held[0].busy);
    vu->echo.hold = false;
    vu_expect_works(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vu_crash_split),
        cmocka_unit_test(test_vu_crash_packed),
        cmocka_unit_test(test_vu_crash_split_in_order),
        cmocka_unit_test(test_vu_crash_packed_in_order),
        cmocka_unit_test(test_vu_crash_resumes_the_oldest_first),
        cmocka_unit_test(test_vu_reconnect_with_a_stale_base),
        VU_BOTH(test_vu_reset_forgets_the_journal),
        VU_BOTH(test_vu_stop_finishes_the_journal),
        VU_BOTH(test_vu_broken_ring_keeps_its_journal),
        VU_BOTH(test_vu_reset_forgets_what_was_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
