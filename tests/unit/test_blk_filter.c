/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model and the policy: what a driver never may (withheld), and what it may not now (the
 * filter's page).
 */
#include "blk_rig.h"

#include <string.h>

#include "bulkhead/bytes.h"

#define DATA_SECTORS 2u

/* Requests of each operation, well-formed. */
static const struct {
    uint32_t operation;
    uint32_t type;
    uint32_t length;
    uint16_t flags;
    uint32_t written;        /* used length if it is done */
    uint32_t refused_length; /* and if not: no byte is claimed that was not written */
} kinds[] = {
    {BH_DISK_READ, BH_BLK_T_IN, DATA_SECTORS * 512u, W, DATA_SECTORS * 512u + 1u, 0},
    {BH_DISK_WRITE, BH_BLK_T_OUT, DATA_SECTORS * 512u, R, 1, 1},
    {BH_DISK_WRITE, BH_BLK_T_WRITE_ZEROES, 16, R, 1, 1},
    {BH_DISK_FLUSH, BH_BLK_T_FLUSH, 0, R, 1, 1},
    {BH_DISK_DISCARD, BH_BLK_T_DISCARD, 16, R, 1, 1},
    {BH_DISK_ERASE, BH_BLK_T_SECURE_ERASE, 16, R, 1, 1},
    {BH_DISK_LIFETIME, BH_BLK_T_GET_LIFETIME, 6, W, 7, 0},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void request(struct blk_rig *rig, size_t kind, unsigned int status)
{
    bool done = status == BH_BLK_S_OK;

    if (kinds[kind].length == 16u) {
        rig_segment(rig, RIG_DATA, 1, 2, 0);
    }
    rig_request(rig, kinds[kind].type, kinds[kind].flags == W ? 1 : 0, RIG_DATA, kinds[kind].length,
                kinds[kind].flags, (uint8_t)status,
                done ? kinds[kind].written : kinds[kind].refused_length);
}

/* ---- not now ---- */

/* [BH-DEV-29, BH-BLK-40] Each operation by itself: allowed, all others are not; and the other way
 * round. */
static void test_filter_each_operation(void **state)
{
    struct blk_rig *rig = *state;

    for (size_t i = 0; i < KINDS; i++) {
        for (size_t j = 0; j < KINDS; j++) {
            bool same = kinds[i].operation == kinds[j].operation;

            rig->page.operations = kinds[j].operation;
            request(rig, i, same ? BH_BLK_S_OK : BH_BLK_S_IOERR);
            rig->page.operations = ~kinds[j].operation;
            request(rig, i, same ? BH_BLK_S_IOERR : BH_BLK_S_OK);
        }
    }
    assert_int_equal(rig->failures, 0);
}

/* [BH-BLK-40, BH-DEV-33] What is refused reaches neither the disk nor the guest's memory, is
 * counted, and told. */
static void test_filter_refused_does_nothing(void **state)
{
    struct blk_rig *rig = *state;

    rig->page.operations = 0;
    memset(rig->disk.data, 0x11, rig->disk.size);
    for (size_t i = 0; i < KINDS; i++) {
        memset(guest_at(&rig->guest, RIG_DATA), 0xaa, 0x1000);
        if (kinds[i].length == 16u) {
            rig_segment(rig, RIG_DATA, 1, 2, 0);
        }
        request(rig, i, BH_BLK_S_IOERR);
        assert_int_equal(rig->refused, i + 1u);
        assert_int_equal(rig->blk.refused, i + 1u);
        assert_int_equal(rig->refused_last, kinds[i].operation);
        if (kinds[i].flags == W) {
            assert_int_equal(*guest_at(&rig->guest, RIG_DATA), 0xaa);
        }
    }
    assert_int_equal(rig->disk.offers, 0);
    for (uint32_t i = 0; i < rig->disk.size; i++) {
        assert_int_equal(rig->disk.data[i], 0x11);
    }
    /* Its name is free. */
    rig_request(rig, BH_BLK_T_GET_ID, 0, RIG_DATA, 20, W, BH_BLK_S_OK, 21);
    assert_int_equal(rig->refused, KINDS);
}

/* What the model refuses anyway is no refusal of the policy's: nobody is told. */
static void test_filter_bad_requests_come_first(void **state)
{
    struct blk_rig *rig = *state;

    rig->page.operations = 0;
    rig_request(rig, BH_BLK_T_IN, RIG_SECTORS, RIG_DATA, 512, W, BH_BLK_S_IOERR, 0);
    rig_request(rig, BH_BLK_T_OUT, 0, RIG_DATA, 100, R, BH_BLK_S_IOERR, 1);
    rig_segment(rig, RIG_DATA, 0, 1, 4);
    rig_request(rig, BH_BLK_T_DISCARD, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    rig_request(rig, 77, 0, RIG_DATA, 16, R, BH_BLK_S_UNSUPP, 1);
    assert_int_equal(rig->refused, 0);
    assert_int_equal(rig->blk.refused, 0);
}

/* Nobody asks: the answer is the same. */
static void test_filter_without_a_hook(void **state)
{
    struct blk_rig *rig = *state;

    rig->blk.on_refused = NULL;
    rig->page.operations = 0;
    request(rig, 0, BH_BLK_S_IOERR);
    assert_int_equal(rig->blk.refused, 1);
}

/* [BH-DEV-30] A change counts from the next request on; those before it end as they began. */
static void test_filter_change_counts_from_the_next_request(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_offer(rig, 0, BH_BLK_T_OUT, 0, RIG_DATA, 512, R);
    rig_kick(rig);
    rig->page.operations = BH_DISK_READ;
    rig_offer(rig, 1, BH_BLK_T_OUT, 0, RIG_DATA, 512, R);
    rig_kick(rig);
    rig_expect(rig, 1, BH_BLK_S_IOERR, 1);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    rig->disk.defer = false;
    rig->page.operations = BH_DISK_WRITE;
    request(rig, 1, BH_BLK_S_OK);
    request(rig, 0, BH_BLK_S_IOERR);
    assert_int_equal(rig->config_changes, 0);
}

/* The segments of a request that was taken are all done. */
static void test_filter_change_within_a_request(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_segment(rig, RIG_DATA, 0, 1, 0);
    rig_segment(rig, RIG_DATA + 16, 4, 1, 0);
    rig_offer(rig, 0, BH_BLK_T_DISCARD, 0, RIG_DATA, 32, R);
    rig_kick(rig);
    rig->page.operations = 0;
    fake_disk_finish(&rig->disk, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    assert_int_equal(rig->disk.log_count, 2);
}

/* [BH-BLK-40] A header that shares its descriptor with data takes another way, to the same end. */
static void test_filter_in_any_framing(void **state)
{
    struct blk_rig *rig = *state;
    const struct guest_buffer parts[] = {{RIG_DATA, 16 + 512, R}, {RIG_STATUS(0), 1, W}};

    memset(guest_at(&rig->guest, RIG_DATA), 0, 16 + 512);
    guest_put32(&rig->guest, RIG_DATA, BH_BLK_T_OUT);
    rig->page.operations = ~BH_DISK_WRITE;
    guest_offer(&rig->guest, parts, 2, 0);
    rig_kick(rig);
    rig_expect(rig, 0, BH_BLK_S_IOERR, 1);
    assert_int_equal(rig->disk.offers, 0);
    assert_int_equal(rig->refused_last, BH_DISK_WRITE);
}

static void test_filter_none(void **state)
{
    struct blk_rig *rig = *state;
    const struct bh_blk_setup setup = {
        .device = &rig->device,
        .geometry = &rig->geometry,
        .ops = &fake_disk_ops,
        .disk = &rig->disk,
        .requests = rig->requests,
        .request_count = RIG_REQUESTS,
    };

    rig->page.operations = 0;
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(bh_blk_init(&rig->blk, &setup), BH_OK);
    rig_negotiate(rig, RIG_FEATURES);
    for (size_t i = 0; i < KINDS; i++) {
        request(rig, i, BH_BLK_S_OK);
    }
}

/* ---- never ---- */

static uint64_t again(struct blk_rig *rig, uint32_t withheld)
{
    uint64_t offered;

    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    rig_init_model(rig, withheld);
    offered = bh_device_features(&rig->device) & ~BH_F_TRANSPORT_MASK;
    rig_negotiate(rig, offered);
    return offered;
}

/* [BH-BLK-41] */
static void test_withheld_is_not_offered(void **state)
{
    static const struct {
        uint32_t withheld;
        uint64_t gone;
        uint64_t come;
    } cases[] = {
        {0, 0, 0},
        {BH_DISK_READ, 0, 0},
        {BH_DISK_FLUSH, BH_BLK_F_FLUSH | BH_BLK_F_CONFIG_WCE, 0},
        {BH_DISK_DISCARD, BH_BLK_F_DISCARD, 0},
        {BH_DISK_ERASE, BH_BLK_F_SECURE_ERASE, 0},
        {BH_DISK_LIFETIME, BH_BLK_F_LIFETIME, 0},
        {BH_DISK_WRITE,
         BH_BLK_F_CONFIG_WCE | BH_BLK_F_DISCARD | BH_BLK_F_SECURE_ERASE | BH_BLK_F_WRITE_ZEROES,
         BH_BLK_F_RO},
        {UINT32_MAX,
         BH_BLK_F_FLUSH | BH_BLK_F_CONFIG_WCE | BH_BLK_F_DISCARD | BH_BLK_F_SECURE_ERASE |
             BH_BLK_F_WRITE_ZEROES | BH_BLK_F_LIFETIME,
         BH_BLK_F_RO},
    };
    struct blk_rig *rig = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(again(rig, cases[i].withheld),
                         (RIG_FEATURES & ~cases[i].gone) | cases[i].come);
    }
}

/* [BH-BLK-41, BH-BLK-5] And not done either, whatever the page says: a request whose feature is not
 * offered is unknown, one that every disk knows is refused. */
static void test_withheld_is_not_done(void **state)
{
    struct blk_rig *rig = *state;

    for (size_t i = 0; i < KINDS; i++) {
        bool known = kinds[i].operation == BH_DISK_READ || kinds[i].operation == BH_DISK_WRITE;

        (void)again(rig, kinds[i].operation);
        rig->refused = 0;
        request(rig, i, known ? BH_BLK_S_IOERR : BH_BLK_S_UNSUPP);
        assert_int_equal(rig->disk.offers, 0);
    }
    (void)again(rig, BH_DISK_READ);
    request(rig, 0, BH_BLK_S_IOERR);
    assert_int_equal(rig->refused_last, BH_DISK_READ);
    request(rig, 1, BH_BLK_S_OK);
}

static uint8_t shown_mode(struct blk_rig *rig)
{
    uint8_t mode = 0xee;

    assert_int_equal(
        bh_device_config_read(&rig->device, offsetof(struct bh_blk_config, writeback), &mode, 1),
        BH_OK);
    return mode;
}

/* [BH-BLK-42] A driver that has no flush can rely on each write. */
static void test_withheld_flush_makes_writes_durable(void **state)
{
    struct blk_rig *rig = *state;

    request(rig, 1, BH_BLK_S_OK);
    assert_false(fake_disk_last(&rig->disk)->durable);
    assert_int_equal(shown_mode(rig), 1);
    (void)again(rig, BH_DISK_FLUSH);
    assert_int_equal(shown_mode(rig), 0);
    request(rig, 1, BH_BLK_S_OK);
    assert_true(fake_disk_last(&rig->disk)->durable);
    request(rig, 2, BH_BLK_S_OK);
    assert_true(fake_disk_last(&rig->disk)->durable);
}

/* [BH-BLK-42] And so can one whose flushes are refused for now. */
static void test_refused_flush_makes_writes_durable(void **state)
{
    struct blk_rig *rig = *state;

    for (size_t kind = 1; kind <= 2; kind++) {
        rig->page.operations = BH_DISK_WRITE;
        request(rig, kind, BH_BLK_S_OK);
        assert_true(fake_disk_last(&rig->disk)->durable);
        rig->page.operations = BH_DISK_WRITE | BH_DISK_FLUSH;
        request(rig, kind, BH_BLK_S_OK);
        assert_false(fake_disk_last(&rig->disk)->durable);
    }
    /* A read is not made to wait for anything. */
    rig->page.operations = BH_DISK_READ;
    request(rig, 0, BH_BLK_S_OK);
    assert_false(fake_disk_last(&rig->disk)->durable);
}

/* A flush that was refused has not failed: the disk has lost nothing. */
static void test_refused_flush_is_no_failed_flush(void **state)
{
    struct blk_rig *rig = *state;

    rig->page.operations = 0;
    request(rig, 3, BH_BLK_S_IOERR);
    rig->page.operations = BH_DISK_FLUSH;
    request(rig, 3, BH_BLK_S_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_filter_each_operation),
        RIG_BOTH(test_filter_refused_does_nothing),
        RIG_BOTH(test_filter_bad_requests_come_first),
        RIG_BOTH(test_filter_without_a_hook),
        RIG_BOTH(test_filter_change_counts_from_the_next_request),
        RIG_BOTH(test_filter_change_within_a_request),
        RIG_BOTH(test_filter_in_any_framing),
        RIG_BOTH(test_filter_none),
        RIG_BOTH(test_withheld_is_not_offered),
        RIG_BOTH(test_withheld_is_not_done),
        RIG_BOTH(test_withheld_flush_makes_writes_durable),
        RIG_BOTH(test_refused_flush_makes_writes_durable),
        RIG_BOTH(test_refused_flush_is_no_failed_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
