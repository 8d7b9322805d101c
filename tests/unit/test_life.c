/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a block device without an operating system, from probe to probe again, for every
 * combination of ring features: driver/, ports/mmio, devices/blk and core/ against each other. What
 * each does with a bad other side is in their own tests.
 */
#include "life_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The ring features; each test runs with every subset of them. */
static const uint64_t ring_features[] = {BH_F_RING_PACKED, BH_F_EVENT_IDX, BH_F_INDIRECT_DESC,
                                         BH_F_IN_ORDER, BH_F_NOTIFICATION_DATA};
#define SUBSETS 32u

static uint64_t subset(uint32_t number)
{
    uint64_t features = BH_F_RING_RESET;

    for (uint32_t i = 0; i < 5; i++) {
        if ((number & (1u << i)) != 0) {
            features |= ring_features[i];
        }
    }
    return features;
}

/* Runs a test with every subset of the ring features, each on a device of its own. */
static void every_way(void (*test)(struct life *life))
{
    for (uint32_t i = 0; i < SUBSETS; i++) {
        struct life *life = malloc(sizeof(*life));

        assert_non_null(life);
        life_init(life, subset(i));
        assert_int_equal(life_probe(life), BH_OK);
        assert_int_equal(life->device.features & BH_F_TRANSPORT_MASK, subset(i) | BH_F_VERSION_1);
        test(life);
        life_finish(life);
        free(life);
    }
}

static void expect_byte(const uint8_t *at, uint32_t length, uint8_t value)
{
    for (uint32_t i = 0; i < length; i++) {
        assert_int_equal(at[i], value);
    }
}

/* ---- one by one ---- */

static void all_requests(struct life *life)
{
    uint8_t *data = life_take(life, 2048);
    uint8_t *back = life_take(life, 2048);

    assert_int_equal(life->driver.capacity, LIFE_SECTORS);
    assert_int_equal(life->driver.queue_count, LIFE_QUEUES);
    memset(data, 0x5a, 2048);
    memset(back, 0, 2048);
    assert_int_equal(life_write(life, 0, 10, data, 2048), BH_OK);
    assert_false(fake_disk_last(&life->disk)->durable);
    assert_int_equal(life_read(life, 1, 10, back, 2048), BH_OK);
    assert_memory_equal(data, back, 2048);
    assert_int_equal(life_flush(life, 1), BH_OK);
    assert_int_equal(fake_disk_last(&life->disk)->op, BH_DISK_OP_FLUSH);
    assert_int_equal(life_segments(life, BH_BLK_T_DISCARD, 100, 4), BH_OK);
    assert_int_equal(life_segments(life, BH_BLK_T_WRITE_ZEROES, 11, 1), BH_OK);
    assert_int_equal(life_read(life, 0, 10, back, 2048), BH_OK);
    expect_byte(back, 512, 0x5a);
    expect_byte(back + 512, 512, 0);
    expect_byte(back + 1024, 1024, 0x5a);
    assert_int_equal(life_segments(life, BH_BLK_T_SECURE_ERASE, 12, 1), BH_OK);
    assert_int_equal(life_query(life, BH_BLK_T_GET_ID, back, 20), BH_OK);
    assert_memory_equal(back, "a life\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    life->disk.wear.pre_eol_info = 3;
    assert_int_equal(life_query(life, BH_BLK_T_GET_LIFETIME, back, 6), BH_OK);
    assert_memory_equal(back, "\3\0\0\0\0\0", 6);
}

/* [BH-BLK-1] [BH-BLK-6] [BH-BLK-9] [BH-BLK-23] [BH-DEV-4] [BH-DEV-5] */
static void test_all_requests(void **state)
{
    (void)state;
    every_way(all_requests);
}

static void errors(struct life *life)
{
    uint8_t *data = life_take(life, 512);

    life->disk.result = BH_IO;
    assert_int_equal(life_read(life, 0, 0, data, 512), BH_IO);
    assert_int_equal(life_write(life, 0, 0, data, 512), BH_IO);
    life->disk.result = BH_UNSUPPORTED;
    assert_int_equal(life_segments(life, BH_BLK_T_DISCARD, 0, 1), BH_UNSUPPORTED);
    life->disk.result = BH_OK;
    assert_int_equal(life_read(life, 0, 0, data, 512), BH_OK);
}

/* [BH-BLK-32] [BH-BLK-39] */
static void test_errors(void **state)
{
    (void)state;
    every_way(errors);
}

/* ---- many at once ---- */

/* More than the model and its pool hold, on both queues, over a disk that
 * is slow, has little room, and ends things in its own order. */
static void many(struct life *life)
{
    uint8_t *data = life_take(life, LIFE_REQUESTS * 4096);
    uint32_t pending = 0;

    life->disk.defer = true;
    life->disk.room = 5;
    for (uint32_t round = 0; round < 20; round++) {
        uint32_t started = 0;
        uint32_t goal;

        for (uint32_t i = 0; i < LIFE_REQUESTS; i++) {
            struct bh_driver_blk_request *request = life_request(life);
            struct bh_buffer pieces[LIFE_SEG_MAX];
            uint16_t queue = (uint16_t)(i % LIFE_QUEUES);
            uint16_t count = (uint16_t)(1 + (i + round) % LIFE_SEG_MAX);
            int error;

            for (uint16_t j = 0; j < count; j++) {
                pieces[j] = life_buffer(life, data + i * 4096 + j * 512u, 512);
            }
            error = round % 2 == 0
                        ? bh_driver_blk_write(&life->driver, queue, request, i * 8, pieces, count)
                        : bh_driver_blk_read(&life->driver, queue, request, i * 8, pieces, count);
            if (error == BH_AGAIN) {
                bh_driver_blk_give(&life->driver, request);
            } else {
                assert_int_equal(error, BH_OK);
                started++;
            }
        }
        assert_true(started > 4);
        goal = life->done + started;
        for (uint16_t queue = 0; queue < LIFE_QUEUES; queue++) {
            assert_int_equal(bh_driver_blk_publish(&life->driver, queue), BH_OK);
        }
        for (uint32_t turns = 0; life->done < goal; turns++) {
            assert_true(turns < 1000);
            if (life->disk.held_count != 0) {
                fake_disk_finish(&life->disk, (turns * 7) % life->disk.held_count);
                bh_device_flush(&life->device);
            }
            /* The driver looks only when it is told to: no wake-up may be lost. */
            if (life->level) {
                (void)life->transport.transport.ops->interrupts(&life->transport.transport,
                                                                &pending);
                for (uint16_t queue = 0; queue < LIFE_QUEUES; queue++) {
                    do {
                        assert_true(bh_driver_blk_poll(&life->driver, queue) >= 0);
                    } while (bh_driver_queue_notify_enable(&life->driver_queues[queue], true));
                }
            }
            assert_int_equal(life->result, BH_OK);
        }
    }
    assert_int_equal(life->queues[0].in_flight, 0);
    assert_int_equal(life->queues[1].in_flight, 0);
    assert_int_equal(life->pool.free_count, LIFE_BLOCKS);
}

/* [BH-BLK-28] [BH-BLK-29] [BH-DEV-18] */
static void test_many(void **state)
{
    (void)state;
    every_way(many);
}

/* ---- resets ---- */

static void start_writes(struct life *life, uint16_t queue, const uint8_t *data, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct bh_buffer piece = life_buffer(life, data, 512);

        assert_int_equal(
            bh_driver_blk_write(&life->driver, queue, life_request(life), i, &piece, 1), BH_OK);
    }
    assert_int_equal(bh_driver_blk_publish(&life->driver, queue), BH_OK);
}

/* The device is reset while it writes; the next driver finds a new one. */
static void reset_in_flight(struct life *life)
{
    uint8_t *data = life_take(life, 512);

    life->disk.defer = true;
    start_writes(life, 0, data, 3);
    start_writes(life, 1, data, 2);
    assert_int_equal(life->disk.held_count, 5);
    assert_int_equal(life_probe(life), BH_OK);
    assert_int_equal(life->disk.held_count, 0);
    assert_int_equal(life->holds, 5);
    assert_true(life->retry);
    life->disk.defer = false;
    all_requests(life);
}

/* [BH-BLK-38] [BH-DEV-2] */
static void test_class_17_reset_in_flight(void **state)
{
    (void)state;
    every_way(reset_in_flight);
}

/* One queue is reset while it writes, the other goes on. */
static void ring_reset(struct life *life)
{
    uint8_t *data = life_take(life, 512);

    memset(data, 0x11, 512);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(life_write(life, 1, 20, data, 512), BH_OK);
        assert_int_equal(bh_driver_queue_restart(&life->driver_queues[1]), BH_OK);
        assert_int_equal(life_read(life, 0, 20, data, 512), BH_OK);
        assert_int_equal(life_read(life, 1, 20, data, 512), BH_OK);
        expect_byte(data, 512, 0x11);
    }
}

/* [BH-DEV-17] */
static void test_ring_reset(void **state)
{
    (void)state;
    every_way(ring_reset);
}

/* A driver that asks for the reset of a busy queue sees it finish when the disk does. */
static void ring_reset_in_flight(struct life *life)
{
    const uint8_t *data = life_take(life, 512);
    struct bh_mmio *mmio = &life->mmio;

    life->disk.defer = true;
    start_writes(life, 0, data, 3);
    assert_int_equal(bh_mmio_write(mmio, BH_MMIO_QUEUE_SEL, 0, 4), BH_OK);
    assert_int_equal(bh_mmio_write(mmio, BH_MMIO_QUEUE_RESET, 1, 4), BH_OK);
    assert_int_equal(bh_mmio_read(mmio, BH_MMIO_QUEUE_RESET, 4), 1);
    while (life->disk.held_count != 0) {
        assert_int_equal(bh_mmio_read(mmio, BH_MMIO_QUEUE_RESET, 4), 1);
        fake_disk_finish(&life->disk, life->disk.held_count - 1);
        bh_device_flush(&life->device);
    }
    assert_int_equal(bh_mmio_read(mmio, BH_MMIO_QUEUE_RESET, 4), 0);
    life->disk.defer = false;
    assert_int_equal(bh_driver_queue_restart(&life->driver_queues[0]), BH_OK);
    assert_int_equal(life_flush(life, 0), BH_OK);
}

static void test_ring_reset_in_flight(void **state)
{
    (void)state;
    every_way(ring_reset_in_flight);
}

/* ---- configuration ---- */

static void capacity_changes(struct life *life)
{
    uint8_t *data = life_take(life, 512);
    uint32_t pending = 0;

    bh_blk_capacity_set(&life->blk, 100 * 512);
    assert_true(life->level);
    assert_int_equal(
        life->transport.transport.ops->interrupts(&life->transport.transport, &pending), BH_OK);
    assert_true((pending & BH_MMIO_INT_CONFIG) != 0);
    assert_int_equal(life_read(life, 0, 100, data, 512), BH_IO);
    assert_int_equal(bh_driver_blk_refresh(&life->driver), BH_OK);
    assert_int_equal(life->driver.capacity, 100);
    assert_int_equal(life_read(life, 0, 99, data, 512), BH_OK);
}

/* [BH-BLK-35] [BH-DEV-22] */
static void test_capacity_changes(void **state)
{
    (void)state;
    every_way(capacity_changes);
}

static void cache_mode(struct life *life)
{
    struct bh_transport *transport = &life->transport.transport;
    const uint8_t *data = life_take(life, 512);
    const uint32_t at = offsetof(struct bh_blk_config, writeback);
    uint8_t mode = 0;

    assert_int_equal(bh_transport_config(transport, at, &mode, 1), BH_OK);
    assert_int_equal(mode, 1);
    mode = 0;
    assert_int_equal(transport->ops->config_write(transport, at, &mode, 1), BH_OK);
    assert_int_equal(life_write(life, 0, 0, data, 512), BH_OK);
    assert_true(fake_disk_last(&life->disk)->durable);
    mode = 1;
    assert_int_equal(transport->ops->config_write(transport, at, &mode, 1), BH_OK);
    assert_int_equal(life_write(life, 0, 0, data, 512), BH_OK);
    assert_false(fake_disk_last(&life->disk)->durable);
}

/* [BH-BLK-14] */
static void test_cache_mode(void **state)
{
    (void)state;
    every_way(cache_mode);
}

/* ---- violations ---- */

/* A request without a status byte, over the driver's own queue: the device stops, the
 * driver is told, a reset mends it. */
static void violation(struct life *life)
{
    struct bh_transport *transport = &life->transport.transport;
    const uint8_t *data = life_take(life, 512);
    struct bh_buffer header = life_buffer(life, data, 16);
    uint8_t status = 0;
    uint32_t pending = 0;

    life->disk.defer = true;
    start_writes(life, 1, data, 1);
    assert_int_equal(bh_driver_queue_add(&life->driver_queues[0], &header, 1, 0, life), BH_OK);
    assert_int_equal(bh_driver_queue_publish(&life->driver_queues[0]), BH_OK);
    assert_int_equal(transport->ops->status_get(transport, &status), BH_OK);
    assert_true((status & BH_STATUS_NEEDS_RESET) != 0);
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_true((pending & BH_MMIO_INT_CONFIG) != 0);
    assert_int_equal(life->device.faults, 1);
    /* The other queue stands still, too. */
    start_writes(life, 1, data, 1);
    assert_int_equal(life->disk.held_count, 1);
    assert_int_equal(life_probe(life), BH_OK);
    assert_int_equal(life->disk.held_count, 0);
    life->disk.defer = false;
    all_requests(life);
}

/* [BH-DEV-23] */
static void test_violation(void **state)
{
    (void)state;
    every_way(violation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_requests),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_class_17_reset_in_flight),
        cmocka_unit_test(test_ring_reset),
        cmocka_unit_test(test_ring_reset_in_flight),
        cmocka_unit_test(test_capacity_changes),
        cmocka_unit_test(test_cache_mode),
        cmocka_unit_test(test_violation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
