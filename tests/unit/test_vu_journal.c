/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Journals that lie in memory of the back end's owner instead of a region of the front end's: a
 * successor finds there what was in flight, a front end is not offered INFLIGHT, and what one guest
 * left behind means nothing to the next. How a journal survives a death at any moment, and what
 * nonsense in it does: test_vu_crash.c, test_vu_inflight.c; it is the same code.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vu_rig.h"

struct lent {
    struct vu vu; /* first */
    uint8_t *journal;
    size_t bytes;
    size_t each;
};

static int setup_one(void **state, bool packed)
{
    struct lent *lent = calloc(1, sizeof(*lent));
    struct bh_vu_setup more = {.journal = NULL};

    if (lent == NULL) {
        return -1;
    }
    lent->bytes = (size_t)bh_vu_journal_bytes(VU_RINGS, GUEST_QUEUE_MAX);
    lent->each = lent->bytes / VU_RINGS;
    /* A heap block: the sanitizer watches its end. */
    lent->journal = aligned_alloc(64, lent->bytes);
    memset(lent->journal, 0, lent->bytes);
    more.journal = lent->journal;
    vu_init_with(&lent->vu, packed, &more);
    *state = lent;
    return 0;
}

static int setup_split(void **state)
{
    return setup_one(state, false);
}

static int setup_packed(void **state)
{
    return setup_one(state, true);
}

static int teardown(void **state)
{
    struct lent *lent = *state;

    vu_finish(&lent->vu);
    free(lent->journal);
    free(lent);
    return 0;
}

#define BOTH(test)                                                                                 \
    {#test ": split", test, setup_split, teardown, NULL},                                          \
    {                                                                                              \
#test ": packed", test, setup_packed, teardown, NULL                                       \
    }

/* The version of a ring's journal: in both formats in the same place. */
static unsigned version(const struct lent *lent, unsigned ring)
{
    struct bh_vu_inflight_split header;

    memcpy(&header, lent->journal + ring * lent->each, sizeof(header));
    return header.version;
}

/* A front end without INFLIGHT. */
static void live(struct vu *vu)
{
    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES,
                VU_ALL_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_memory(vu);
    vu_ring(vu, 0);
    vu_expect_open(vu);
}

static void test_size_of_journals(void **state)
{
    (void)state;
    assert_int_equal(bh_vu_journal_bytes(0, 8), 0);
    for (uint16_t size = 1; size < 300; size++) {
        uint64_t one = bh_vu_journal_bytes(1, size);

        assert_int_equal(one % 64, 0);
        assert_true(one >= sizeof(struct bh_vu_inflight_packed) +
                               size * sizeof(struct bh_vu_inflight_packed_desc));
        assert_true(one >= sizeof(struct bh_vu_inflight_split) +
                               size * sizeof(struct bh_vu_inflight_split_desc));
        assert_int_equal(bh_vu_journal_bytes(7, size), 7 * one);
    }
    assert_true(bh_vu_journal_bytes(UINT16_MAX, UINT16_MAX) > UINT32_MAX);
}

static void test_inflight_is_not_offered(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;

    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_PROTOCOL_FEATURES) & BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
                     0);
    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL);
    vu_expect_refused(vu);
}

static void test_journal_is_used(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;

    live(vu);
    assert_int_equal(version(lent, 0), 1);
    assert_int_equal(version(lent, 1), 0);
    for (unsigned i = 0; i < 40; i++) {
        vu_expect_works(vu);
    }
    vu_ring(vu, 2);
    assert_int_equal(version(lent, 2), 1);
    /* A ring that ends in order leaves nothing to be resumed. */
    (void)vu_ask_base(vu, 2);
    assert_int_equal(version(lent, 2), 0);
    assert_int_equal(version(lent, 0), 1);
}

/* The process dies with requests in flight: a successor, with another connection of a front end that
 * says the same again, finds them, oldest first, and the next one behind them. */
static void test_successor_resumes(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;
    struct lent *next = calloc(1, sizeof(*next));
    struct bh_vu_setup more = {.journal = lent->journal};
    uint16_t ids[4];

    assert_non_null(next);
    live(vu);
    vu_expect_works(vu);
    vu->echo.hold = true;
    vu_offer(vu, 3);
    vu_offer(vu, 1);
    vu_kick(vu, 0);
    /* The first of them is answered last. */
    echo_release_one(&vu->echo, 1);
    bh_device_flush(&vu->echo.device);
    guest_expect_used(&vu->guest, 3, 1);
    vu_offer(vu, 2);
    vu_kick(vu, 0);

    vu_init_with(&next->vu, vu->guest.packed, &more);
    memcpy(next->vu.map, vu->map, VU_MEMORY);
    next->vu.guest.avail = vu->guest.avail;
    next->vu.guest.avail_wrap = vu->guest.avail_wrap;
    next->vu.guest.used = vu->guest.used;
    next->vu.guest.used_wrap = vu->guest.used_wrap;
    memcpy(next->vu.guest.slots, vu->guest.slots, sizeof(vu->guest.slots));
    next->vu.echo.hold = true;
    live(&next->vu);
    vu_offer(&next->vu, 0);
    vu_kick(&next->vu, 0);
    assert_true(next->vu.echo.held[0].chain.resumed);
    assert_true(next->vu.echo.held[1].chain.resumed);
    assert_true(next->vu.echo.held[2].busy);
    assert_false(next->vu.echo.held[2].chain.resumed);
    assert_int_equal(echo_release(&next->vu.echo, 1), 3);
    bh_device_flush(&next->vu.echo.device);
    assert_int_equal(vu_take(&next->vu, ids, 4), 3);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 0);
    vu_finish(&next->vu);
    free(next);
    (void)echo_release(&vu->echo, 1);
}

/* Another front end brings another guest, whatever the last one left. */
static void test_next_front_end_begins_anew(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;

    live(vu);
    guest_offer_one(&vu->guest, GUEST_HOLE, 16, W, 0);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    vu_disconnect(vu);
    for (unsigned i = 0; i < VU_RINGS; i++) {
        assert_int_equal(version(lent, i), 0);
    }
}

/* A driver that broke its ring with a request in flight, and begins anew: that request was its
 * predecessor's. */
static void test_next_driver_begins_anew(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;

    live(vu);
    vu->echo.hold = true;
    vu_offer(vu, 1);
    vu_kick(vu, 0);
    guest_offer_one(&vu->guest, GUEST_HOLE, 16, W, 2);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
    (void)vu_ask_base(vu, 0);
    assert_int_equal(version(lent, 0), 1);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    assert_int_equal(version(lent, 0), 0);
}

/* Firmware uses split rings, and the system after it packed ones, or the other way round: no journal
 * is found in the middle of another. */
static void test_formats_take_turns(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;

    for (unsigned i = 0; i < 4; i++) {
        live(vu);
        for (unsigned j = 0; j < 10; j++) {
            vu_expect_works(vu);
        }
        vu_ring(vu, 1);
        vu_ring(vu, 2);
        assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
        for (unsigned j = 0; j < VU_RINGS; j++) {
            /* Not stopped in order: what is left in the journal is of another driver. */
            vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, j, 0);
        }
        memset(vu->map, 0, VU_MEMORY);
        vu->guest.packed = !vu->guest.packed;
        vu->guest.avail = 0;
        vu->guest.used = 0;
        vu->guest.avail_wrap = true;
        vu->guest.used_wrap = true;
    }
}

/* A region of the front end's is refused, though the owner has room: it was not negotiated. */
static void test_journal_is_not_exchanged(void **state)
{
    struct lent *lent = *state;
    struct vu *vu = &lent->vu;
    struct bh_vu_inflight where = {.mmap_size = 4096, .queue_count = 1, .queue_size = 8};

    live(vu);
    (void)vu_ask_base(vu, 0);
    vu_tell(vu, BH_VU_SET_INFLIGHT_FD, &where, BH_VU_INFLIGHT_SIZE, &vu->memory, 1);
    vu_expect_refused(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_of_journals),
        BOTH(test_inflight_is_not_offered),
        BOTH(test_journal_is_used),
        BOTH(test_successor_resumes),
        BOTH(test_next_front_end_begins_anew),
        BOTH(test_next_driver_begins_anew),
        BOTH(test_formats_take_turns),
        BOTH(test_journal_is_not_exchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
