/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regression tests for classes of bugs that virtio back ends had, as far as they concern a device's
 * state and the lifetime of what it holds: one test for each class, numbered as in the project's
 * list, with published instances. Rings are in test_hostile_rings.c.
 */
#include "echo_class.h"
#include "fake_grants.h"

#include <stdlib.h>
#include <string.h>

static void offer(struct echo *echo, uint16_t count)
{
    uint16_t i;

    for (i = 0; i < count; i++) {
        guest_offer_one(&echo->guest, GUEST_DATA, 16, W, i);
    }
}

/* Starting, breaking and stopping over and over leaves nothing behind (CVE-2019-14818). */
static void test_class_05_leak_by_repetition(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    struct bh_device *device = &echo->device;
    struct fake_grants grants;
    unsigned round;

    assert_int_equal(bh_device_reset(device), BH_OK);
    fake_grants_init(&grants, guest);
    for (round = 0; round < 200; round++) {
        struct guest_buffer buffers[6];
        unsigned i;

        memset(grants.base, 0, GRANT_PAGES * GRANT_PAGE);
        echo_negotiate(echo, 0);
        guest->setup.descriptor = GUEST_DESCRIPTOR;
        guest->setup.driver = GRANT;
        guest->setup.device = GRANT + 0x1000;
        /* Refused first, then twice. */
        fake_grants_fail(&grants, 1 + round % 2, BH_GONE);
        assert_int_equal(bh_device_queue_start(device, 0, &guest->setup), BH_GONE);
        assert_int_equal(bh_device_queue_start(device, 0, &guest->setup), BH_OK);
        assert_int_equal(bh_device_queue_start(device, 0, &guest->setup), BH_STATE);
        assert_int_equal(grants.held_count, 2);
        for (i = 0; i < 6; i++) {
            buffers[i] = (struct guest_buffer){GRANT + 0x2000 + 0x1000 * (uint64_t)i, 8, R};
        }
        buffers[5].address = GUEST_HOLE;
        guest->setup.driver = GUEST_DRIVER; /* the guest's own offering goes there */
        guest->avail = 0;
        guest->avail_wrap = true;
        guest_offer(guest, buffers, 5, 0);
        guest_offer(guest, &buffers[3], 3, 5);
        if (!guest->packed) {
            memcpy(fake_grants_at(&grants, GRANT), guest_at(guest, GUEST_DRIVER), 64);
        }
        echo->hold = true;
        (void)bh_device_kick(device, 0);
        assert_int_equal(echo->counts[0].failed, round + 1);
        assert_int_equal(grants.held_count, 2 + 5);
        assert_int_equal(bh_device_reset(device), BH_AGAIN);
        assert_int_equal(echo_release(echo, 0), 1);
        bh_device_flush(device);
        assert_int_equal(bh_device_reset(device), BH_OK);
        assert_int_equal(grants.held_count, 0);
        assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
    }
    fake_grants_finish(&grants);
}

/* A header may lie in any number of pieces, or be too short (CVE-2022-2132). [BH-DEV-13] */
static void test_class_07_header_in_pieces(void **state)
{
    static const uint8_t header[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    uint32_t piece;

    memcpy(guest_at(guest, GUEST_DATA), header, 16);
    for (piece = 2; piece <= 16; piece++) {
        struct guest_buffer buffers[8];
        struct bh_chain chain;
        uint8_t local[16];
        uint16_t count = 0;
        uint32_t done;

        for (done = 0; done < 16; done += piece) {
            uint32_t left = 16 - done;

            buffers[count] =
                (struct guest_buffer){GUEST_DATA + done, left < piece ? left : piece, R};
            count++;
        }
        guest_offer(guest, buffers, count, 0);
        assert_int_equal(bh_queue_pop(&echo->queues[0], &chain), 1);
        assert_int_equal(bh_chain_read(&chain, 0, local, 16), 16);
        assert_memory_equal(local, header, 16);
        /* One byte more than there is: refused, and nothing is changed. */
        assert_int_equal(bh_chain_cut_header(&chain, 17), BH_INVALID);
        assert_int_equal(bh_chain_cut_header(&chain, 16), BH_OK);
        assert_int_equal(chain.readable_bytes, 0);
        bh_device_push(&echo->device, &echo->queues[0], &chain, 0);
        bh_device_flush(&echo->device);
    }
}

/* Everything that was mapped is unmapped once, when the request is done (CVE-2021-3748,
 * CVE-2022-26353). */
static void test_class_10_mapped_until_pushed(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    const struct guest_buffer buffers[] = {{GRANT, 0x2000, R}, {GRANT + 0x2000, 0x2000, W}};
    struct fake_grants grants;

    fake_grants_init(&grants, guest);
    echo->hold = true;
    guest_offer(guest, buffers, 2, 0);
    guest_offer(guest, buffers, 2, 2);
    guest_offer_one(guest, GRANT + GRANT_PAGES * GRANT_PAGE, 1, W, 4);
    (void)bh_device_kick(&echo->device, 0);
    assert_int_equal(echo->counts[0].failed, 1);
    assert_int_equal(grants.held_count, 8);
    /* The request may still use its memory: it is whole. */
    memset(echo->held[0].chain.spans[2].base, 0xaa, echo->held[0].chain.spans[2].length);
    echo_release_one(echo, 0x2000);
    assert_int_equal(grants.held_count, 4);
    assert_int_equal(bh_device_reset(&echo->device), BH_AGAIN);
    assert_int_equal(echo_release(echo, 0), 1);
    assert_int_equal(grants.held_count, 0);
    bh_device_flush(&echo->device);
    fake_grants_finish(&grants);
}

/* What a device says it wrote is no more than the buffer has (CVE-2021-3544 and others).
 * [BH-DEV-14] */
static void test_class_11_answer_longer_than_its_buffer(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 64, R}, {GUEST_HIGH - 8, 24, W}};
    uint8_t answer[64];
    struct bh_chain chain;
    uint32_t offset;

    memset(answer, 0x77, sizeof(answer));
    for (offset = 0; offset < 40; offset++) {
        uint32_t room = offset < 24 ? 24 - offset : 0;

        memset(guest->low + GUEST_LOW_SIZE - 8, 0, 8);
        memset(guest->high, 0, 64);
        guest_offer(guest, buffers, 2, 0);
        assert_int_equal(bh_queue_pop(&echo->queues[0], &chain), 1);
        assert_int_equal(bh_chain_write(&chain, offset, answer, 64), room);
        assert_int_equal(guest->high[16], 0);
        assert_int_equal(*guest_at(guest, GUEST_DATA), 0);
        bh_device_push(&echo->device, &echo->queues[0], &chain, 64);
        bh_device_flush(&echo->device);
        guest_expect_used(guest, 0, 24);
    }
}

/* A buffer may be the ring itself: the device writes over what it is reading (CVE-2024-3446 is the
 * same idea with registers). It must survive, and stay within the guest. */
static void test_class_14_buffers_over_the_rings(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    uint8_t pattern[0x800];
    unsigned value;

    for (value = 0; value < 256; value += 5) {
        struct bh_chain chain;
        unsigned i;

        memset(pattern, (int)value, sizeof(pattern));
        echo_look_at(echo, 0);
        guest_offer_one(guest, GUEST_DESCRIPTOR, sizeof(pattern), W, 0);
        guest_offer_one(guest, GUEST_DRIVER, sizeof(pattern), W, 1);
        guest_offer_one(guest, GUEST_DEVICE, sizeof(pattern), W, 2);
        for (i = 0; i < 10 && bh_queue_pop(&echo->queues[0], &chain) == 1; i++) {
            (void)bh_chain_write(&chain, 0, pattern, sizeof(pattern));
            bh_device_push(&echo->device, &echo->queues[0], &chain, sizeof(pattern));
            bh_device_flush(&echo->device);
        }
        assert_int_equal(bh_device_reset(&echo->device), BH_OK);
        memset(guest->low, 0, GUEST_LOW_SIZE);
        echo_negotiate(echo, 0);
        echo_start(echo, 0);
    }
}

/* A number of a queue is checked wherever one comes in (CVE-2011-2512, CVE-2024-6505).
 * [BH-DEV-20] */
static void test_class_15_queue_number_out_of_range(void **state)
{
    static const uint16_t numbers[] = {ECHO_QUEUES, ECHO_QUEUES + 1, 0x100, 0x7fff, 0x8000, 0xffff};
    struct echo *echo = *state;
    unsigned i;

    echo->more = true;
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        assert_int_equal(bh_device_queue_start(&echo->device, numbers[i], &echo->guest.setup),
                         BH_INVALID);
        assert_int_equal(bh_device_queue_stop(&echo->device, numbers[i]), BH_INVALID);
        assert_false(bh_device_kick(&echo->device, numbers[i]));
    }
    assert_int_equal(echo->served, 0);
}

/* Positions of a predecessor are somebody else's word (CVE-2013-4535). */
static void test_class_16_position_to_go_on_from(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    struct bh_chain chain;
    uint32_t position;

    for (position = 0; position <= UINT16_MAX; position += 251) {
        struct bh_queue_setup setup = guest->setup;
        int started;

        assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
        setup.descriptor = GUEST_DESCRIPTOR;
        setup.driver = GUEST_DRIVER;
        setup.device = GUEST_DEVICE;
        setup.avail_next = (uint16_t)position;
        setup.used_next = (uint16_t)~position;
        started = bh_device_queue_start(&echo->device, 0, &setup);
        if (guest->packed) {
            assert_int_equal(started, BH_INVALID); /* one of the two is always beyond the ring */
            continue;
        }
        assert_int_equal(started, BH_OK);
        guest_split_index(guest, (uint16_t)position);
        guest_offer_one(guest, GUEST_DATA, 8, W, 0);
        assert_int_equal(bh_queue_pop(&echo->queues[0], &chain), 1);
        bh_device_push(&echo->device, &echo->queues[0], &chain, 8);
        bh_device_flush(&echo->device);
        assert_int_equal(guest_get16(guest, GUEST_DEVICE + 2), (uint16_t)(~position + 1u));
    }
}

/* A request that ends during a reset finds its queue, its memory and its ring; one that ends later
 * does not exist (CVE-2026-45782). [BH-DEV-2] */
static void test_class_17_completion_while_resetting(void **state)
{
    struct echo *echo = *state;
    struct bh_device *device = &echo->device;
    struct fake_grants grants;

    fake_grants_init(&grants, &echo->guest);
    echo->hold = true;
    offer(echo, 3);
    guest_offer_one(&echo->guest, GRANT, 64, W, 3);
    (void)bh_device_kick(device, 0);
    assert_int_equal(grants.held_count, 1);
    assert_int_equal(bh_device_status_set(device, 0), BH_AGAIN);
    /* Rings and buffers stay until the last one is back. */
    assert_non_null(echo->queues[0].descriptor);
    assert_int_equal(echo->resets, 0);
    memset(echo->held[3].chain.spans[0].base, 1, 64);
    assert_int_equal(echo_release(echo, 16), 4);
    assert_int_equal(grants.held_count, 0);
    assert_non_null(echo->queues[0].descriptor);
    bh_device_flush(device);
    assert_null(echo->queues[0].descriptor);
    assert_int_equal(echo->counts[0].idle, 1);
    assert_int_equal(bh_device_status_set(device, 0), BH_OK);
    assert_int_equal(echo->counts[0].idle, 1);
    fake_grants_finish(&grants);
}

/* The caller's buffer bounds a copy, not the guest's length (OpenBSD vmd, 2021). */
static void test_class_21_copy_into_a_small_buffer(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    const struct guest_buffer buffers[] = {{GUEST_DATA, 0x8000, R}, {GUEST_LOW, 0x8000, R}};
    uint8_t *local = malloc(16); /* ends where the sanitizer sees it */
    struct bh_chain chain;
    uint32_t offset;

    assert_non_null(local);
    guest_offer(guest, buffers, 2, 0);
    assert_int_equal(bh_queue_pop(&echo->queues[0], &chain), 1);
    for (offset = 0x7ff0; offset <= 0x8010; offset++) {
        assert_int_equal(bh_chain_read(&chain, offset, local, 16), 16);
    }
    assert_int_equal(bh_chain_read(&chain, 0xfff8, local, 16), 8);
    assert_int_equal(bh_device_config_read(&echo->device, 0, local, 16), BH_INVALID);
    bh_device_push(&echo->device, &echo->queues[0], &chain, 0);
    free(local);
}

/* What was checked at the start is what is used: later changes have no effect (crosvm 83ff1c996).
 * [BH-DEV-6] */
static void test_class_23_setup_changed_after_start(void **state)
{
    struct echo *echo = *state;
    struct guest *guest = &echo->guest;
    struct bh_queue_setup kept;
    unsigned i;

    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
    echo_look_at(echo, 0);
    memset(guest->low, 0, GUEST_LOW_SIZE);
    kept = guest->setup;
    assert_int_equal(bh_device_queue_start(&echo->device, 0, &guest->setup), BH_OK);
    guest->setup.descriptor = GUEST_HOLE;
    guest->setup.driver = UINT64_MAX;
    guest->setup.device = 3;
    guest->setup.size = UINT16_MAX;
    guest->setup.features = UINT64_MAX;
    for (i = 0; i < 20; i++) {
        struct bh_queue_setup moved = guest->setup;

        guest->setup = kept;
        offer(echo, 1);
        guest->setup = moved;
        (void)bh_device_kick(&echo->device, 0);
        bh_device_flush(&echo->device);
        guest->setup = kept;
        guest_expect_used(guest, 0, 1);
        guest->setup = moved;
        /* A ring that runs cannot be moved. */
        assert_int_equal(bh_device_queue_start(&echo->device, 0, &moved), BH_STATE);
    }
    assert_int_equal(bh_device_queue_stop(&echo->device, 0), BH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ECHO_LIVE(test_class_05_leak_by_repetition),
        ECHO_LIVE(test_class_07_header_in_pieces),
        ECHO_LIVE(test_class_10_mapped_until_pushed),
        ECHO_LIVE(test_class_11_answer_longer_than_its_buffer),
        ECHO_LIVE(test_class_14_buffers_over_the_rings),
        ECHO_LIVE(test_class_15_queue_number_out_of_range),
        ECHO_LIVE(test_class_16_position_to_go_on_from),
        ECHO_LIVE(test_class_17_completion_while_resetting),
        ECHO_LIVE(test_class_21_copy_into_a_small_buffer),
        ECHO_LIVE(test_class_23_setup_changed_after_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
