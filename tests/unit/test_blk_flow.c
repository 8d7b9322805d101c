/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block model when something is used up (requests, room at the disk, spans), when it is drained
 * and reset under way, and with more than one queue. Requests themselves: test_blk.c.
 */
#include "blk_rig.h"

/* ---- back-pressure ---- */

static void offer_flushes(struct blk_rig *rig, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        rig_offer(rig, (uint16_t)(2 * i), BH_BLK_T_FLUSH, 0, 0, 0, R);
    }
}

static void expect_flushes(struct blk_rig *rig, uint16_t first, uint16_t end)
{
    for (uint16_t i = first; i < end; i++) {
        rig_expect(rig, (uint16_t)(2 * i), BH_BLK_S_OK, 1);
    }
}

/* More requests than the model has room for: the rest waits in the ring, and needs no new kick. */
static void test_no_free_request(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    offer_flushes(rig, 6);
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, RIG_REQUESTS);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    expect_flushes(rig, 0, 1);
    assert_int_equal(rig->disk.held_count, RIG_REQUESTS);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    expect_flushes(rig, 1, 6);
    assert_int_equal(rig->queues[0].in_flight, 0);
}

/* The disk has room for one: the others wait their turn, in order. */
static void test_disk_without_room(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    for (uint16_t i = 0; i < 4; i++) {
        rig_offer(rig, (uint16_t)(3 * i), BH_BLK_T_IN, i, RIG_DATA, 512, W);
    }
    rig_kick(rig);
    for (uint16_t i = 0; i < 4; i++) {
        assert_int_equal(rig->disk.held_count, 1);
        assert_int_equal(rig->disk.held[0]->offset, 512u * i);
        fake_disk_finish(&rig->disk, 0);
        bh_device_flush(&rig->device);
        rig_expect(rig, (uint16_t)(3 * i), BH_BLK_S_OK, 513);
    }
    assert_int_equal(rig->blk.waiting_count, 0);
    /* A refused request is offered once for each completion, not over and over. */
    assert_true(rig->disk.offers <= 8);
}

/* Segments, too, wait for room, each time anew, among others that wait. */
static void test_segments_without_room(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    for (uint32_t i = 0; i < 2; i++) {
        rig_segment(rig, RIG_DATA + 16 * (uint64_t)i, 10 + i, 1, 0);
    }
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA + 512, 512, W);
    rig_offer(rig, 3, BH_BLK_T_DISCARD, 0, RIG_DATA, 32, R);
    rig_kick(rig);
    rig_offer(rig, 6, BH_BLK_T_IN, 1, RIG_DATA + 512, 512, W);
    rig_kick(rig);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(rig->disk.held_count, 1);
        fake_disk_finish(&rig->disk, 0);
        bh_device_flush(&rig->device);
    }
    assert_int_equal(rig->disk.held_count, 0);
    assert_int_equal(rig->disk.log_count, 4);
    assert_int_equal(rig->queues[0].in_flight, 0);
}

/* Several requests wait at once, and keep their order when only some of them find room. */
static void test_many_wait(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    for (uint16_t i = 0; i < 3; i++) {
        uint64_t segments = RIG_DATA + 64u * i;

        rig_segment(rig, segments, 10u * i, 1, 0);
        rig_segment(rig, segments + 16, 10u * i + 1u, 1, 0);
        rig_offer(rig, (uint16_t)(3 * i), BH_BLK_T_DISCARD, 0, segments, 32, R);
    }
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 3);
    rig->disk.room = 0;
    fake_disk_finish(&rig->disk, 2);
    fake_disk_finish(&rig->disk, 1);
    assert_int_equal(rig->blk.waiting_count, 2);
    rig->disk.room = 2;
    bh_device_flush(&rig->device);
    assert_int_equal(rig->blk.waiting_count, 1);
    assert_int_equal(fake_disk_last(&rig->disk)->offset, 21 * 512);
    /* One more comes, behind the one that still waits. */
    rig->disk.room = 0;
    fake_disk_finish(&rig->disk, 0);
    assert_int_equal(rig->blk.waiting_count, 2);
    rig->disk.room = 3;
    bh_device_flush(&rig->device);
    assert_int_equal(rig->blk.waiting_count, 0);
    assert_int_equal(rig->disk.log[4].offset, 11 * 512);
    assert_int_equal(rig->disk.log[5].offset, 512);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    rig_expect(rig, 6, BH_BLK_S_OK, 1);
    rig_expect(rig, 3, BH_BLK_S_OK, 1);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
}

/* What waits may still be refused for good. */
static void test_waits_and_fails(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_offer(rig, 3, BH_BLK_T_IN, 1, RIG_DATA, 512, W);
    rig_kick(rig);
    fake_disk_finish(&rig->disk, 0);
    rig->disk.refuse = BH_IO;
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
    rig_expect(rig, 3, BH_BLK_S_IOERR, 0);
}

/* A disk that is full while nothing is in flight breaks its contract, but loses nothing: the port
 * is asked to call again. */
static void test_disk_full_and_quiet(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.room = 0;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    assert_true(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
    rig->disk.room = 1;
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 513);
}

/* Chains that need a block of the pool, and there are only two. */
static void test_no_span_block(void **state)
{
    struct blk_rig *rig = *state;
    struct guest_buffer buffers[5];

    rig->disk.defer = true;
    for (uint16_t i = 0; i < 3; i++) {
        buffers[0] = (struct guest_buffer){RIG_HEADER(5 * i), 16, R};
        for (uint16_t j = 1; j < 4; j++) {
            buffers[j] = (struct guest_buffer){RIG_DATA + 512u * j, 512, W};
        }
        buffers[4] = (struct guest_buffer){RIG_STATUS(5 * i), 1, W};
        rig_header(rig, (uint16_t)(5 * i), BH_BLK_T_IN, 0);
        guest_offer(&rig->guest, buffers, 5, (uint16_t)(5 * i));
    }
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish(&rig->disk, 1);
    bh_device_flush(&rig->device);
    rig_expect(rig, 5, BH_BLK_S_OK, 3 * 512 + 1);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    rig_expect(rig, 0, BH_BLK_S_OK, 3 * 512 + 1);
    rig_expect(rig, 10, BH_BLK_S_OK, 3 * 512 + 1);
    assert_int_equal(rig->guest.pool.free_count, GUEST_BLOCKS);
}

/* [BH-DEV-18] The driver is asked for notifications when the model does not look by itself. */
static void test_notifications_asked_for(void **state)
{
    struct blk_rig *rig = *state;
    uint64_t flags = rig->guest.setup.device + (rig->guest.packed ? 2u : 0u);

    rig_kick(rig);
    assert_int_equal(guest_get16(&rig->guest, flags), 0);
    rig->disk.defer = true;
    offer_flushes(rig, 5);
    rig_kick(rig);
    assert_int_equal(guest_get16(&rig->guest, flags), 1);
    fake_disk_finish_all(&rig->disk);
    bh_device_flush(&rig->device);
    assert_int_equal(guest_get16(&rig->guest, flags), 0);
}

/* ---- drain and reset ---- */

/* [BH-BLK-38] [BH-DEV-2] A completion after the reset was asked for finds everything in place. */
static void test_class_17_completion_during_reset(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig_offer(rig, 0, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_offer(rig, 3, BH_BLK_T_OUT, 1, RIG_DATA, 512, R);
    rig_kick(rig);
    assert_int_equal(bh_device_reset(&rig->device), BH_AGAIN);
    /* Nothing new is taken. */
    rig_offer(rig, 6, BH_BLK_T_IN, 0, RIG_DATA, 512, W);
    rig_kick(rig);
    assert_int_equal(rig->disk.held_count, 2);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(bh_device_reset(&rig->device), BH_AGAIN);
    assert_int_equal(rig->idles, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->idles, 1);
    assert_int_equal(bh_device_reset(&rig->device), BH_OK);
    assert_int_equal(rig->queues[0].state, BH_QUEUE_STOPPED);
    rig->disk.defer = false;
    rig_negotiate(rig, RIG_FEATURES);
    rig_request(rig, BH_BLK_T_IN, 0, RIG_DATA, 512, W, BH_BLK_S_OK, 513);
}

/* What waits for the disk belongs to the driver too: it is done before the queue stops. */
static void test_drain_what_waits(void **state)
{
    struct blk_rig *rig = *state;

    rig->disk.defer = true;
    rig->disk.room = 1;
    rig_offer(rig, 0, BH_BLK_T_OUT, 0, RIG_DATA, 512, R);
    rig_offer(rig, 3, BH_BLK_T_OUT, 1, RIG_DATA, 512, R);
    rig_kick(rig);
    assert_int_equal(rig->disk.log_count, 1);
    assert_int_equal(bh_device_queue_stop(&rig->device, 0), BH_AGAIN);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->disk.log_count, 2);
    assert_int_equal(rig->idles, 1);
    rig_expect(rig, 0, BH_BLK_S_OK, 1);
    rig_expect(rig, 3, BH_BLK_S_OK, 1);
}

/* ---- several queues ---- */

static void use_two_queues(struct blk_rig *rig, uint64_t features)
{
    struct bh_blk_geometry geometry = rig_geometry();
    bool packed = rig->guest.packed;

    rig_finish(rig);
    rig_init(rig, packed, &geometry, 2, features);
}

static void offer_other(struct blk_rig *rig, uint16_t head)
{
    const struct guest_buffer buffers[] = {{RIG_HEADER(15), 16, R}, {RIG_STATUS(15), 1, W}};

    rig_header(rig, 15, BH_BLK_T_FLUSH, 0);
    guest_offer(&rig->other, buffers, 2, head);
}

/* [BH-BLK-27] */
static void test_second_queue(void **state)
{
    struct blk_rig *rig = *state;

    use_two_queues(rig, RIG_FEATURES | BH_BLK_F_MQ);
    offer_other(rig, 0);
    rig_kick(rig);
    guest_expect_nothing(&rig->other);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    guest_expect_used(&rig->other, 0, 1);
    assert_int_equal(rig->notified[1], 1);
    assert_int_equal(rig->notified[0], 0);
    use_two_queues(rig, RIG_FEATURES);
    offer_other(rig, 0);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    guest_expect_nothing(&rig->other);
}

/* [BH-BLK-9] A write is done on one queue, and lies in a cache. A flush on the other one goes to the
 * disk, and is done when the disk says so, not before. */
static void test_flush_waits_for_the_commit(void **state)
{
    struct blk_rig *rig = *state;

    use_two_queues(rig, RIG_FEATURES | BH_BLK_F_MQ);
    rig_request(rig, BH_BLK_T_OUT, 5, RIG_DATA, 512, R, BH_BLK_S_OK, 1);
    assert_false(fake_disk_last(&rig->disk)->durable);
    rig->disk.defer = true;
    offer_other(rig, 0);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    assert_int_equal(fake_disk_last(&rig->disk)->op, BH_DISK_OP_FLUSH);
    assert_int_equal(rig->disk.held_count, 1);
    guest_expect_nothing(&rig->other);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    guest_expect_used(&rig->other, 0, 1);
    assert_int_equal(*guest_at(&rig->guest, RIG_STATUS(15)), BH_BLK_S_OK);
}

/* A queue that is always full does not keep the other one from the requests that come free. */
static void test_starved_queues_take_turns(void **state)
{
    struct blk_rig *rig = *state;

    use_two_queues(rig, RIG_FEATURES | BH_BLK_F_MQ);
    rig->disk.defer = true;
    offer_flushes(rig, 8);
    offer_other(rig, 0);
    rig_kick(rig);
    assert_false(bh_device_kick(&rig->device, 1));
    bh_device_flush(&rig->device);
    assert_int_equal(rig->queues[1].in_flight, 0);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    fake_disk_finish(&rig->disk, 0);
    bh_device_flush(&rig->device);
    assert_int_equal(rig->queues[1].in_flight, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_BOTH(test_no_free_request),
        RIG_BOTH(test_disk_without_room),
        RIG_BOTH(test_segments_without_room),
        RIG_BOTH(test_many_wait),
        RIG_BOTH(test_waits_and_fails),
        RIG_BOTH(test_disk_full_and_quiet),
        RIG_BOTH(test_no_span_block),
        RIG_BOTH(test_notifications_asked_for),
        RIG_BOTH(test_class_17_completion_during_reset),
        RIG_BOTH(test_drain_what_waits),
        RIG_BOTH(test_second_queue),
        RIG_BOTH(test_flush_waits_for_the_commit),
        RIG_BOTH(test_starved_queues_take_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
