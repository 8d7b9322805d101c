/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end and its rings: what starts and stops them, what is refused while they
 * run, kicks and calls, and violations.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vu_rig.h"

static uint64_t ack_state(struct vu *vu, uint32_t request, uint32_t index, uint32_t number)
{
    struct bh_vu_vring_state state = {.index = index, .number = number};

    return vu_ack(vu, request, &state, sizeof(state), NULL, 0);
}

static uint64_t ack_address(struct vu *vu, struct bh_vu_vring_address address)
{
    return vu_ack(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
}

/* ---- starting ---- */

/* Nothing runs before the ring has all it needs, in whatever order it comes. */
static void test_vu_ring_needs_everything(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    assert_non_null(vu);
    for (unsigned left_out = 0; left_out < 4; left_out++) {
        struct bh_vu_vring_address address = vu_address(0);

        vu_init(vu, false);
        vu_negotiate(vu, 0);
        vu_memory(vu);
        vu_offer(vu, 0);
        if (left_out != 0) {
            vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        }
        if (left_out != 1) {
            vu_tell(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
        }
        if (left_out != 2) {
            vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
        }
        if (left_out != 3) {
            vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
        }
        vu_kick(vu, 0);
        guest_expect_nothing(&vu->guest);
        vu_expect_open(vu);
        vu_ring(vu, 0);
        guest_expect_used(&vu->guest, 0, 1);
        vu_finish(vu);
    }
    free(vu);
}

/* The arrival of a kick descriptor is a kick: requests may wait since before the connection. */
static void test_vu_ring_starts_without_a_kick(void **state)
{
    struct vu *vu = *state;

    vu_offer(vu, 0);
    vu_live(vu);
    guest_expect_used(&vu->guest, 0, 1);
    assert_true(vu_called(vu, 0));
}

static void test_vu_rings_are_enabled_without_protocol_features(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_address address = vu_address(0);

    vu_tell(vu, BH_VU_SET_OWNER, NULL, 0, NULL, 0);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu));
    vu_memory(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
    vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, vu->guest.packed ? 0x80008000u : 0);
    vu_tell(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, vu->call[0]);
    vu_expect_works(vu);
}

static void test_vu_ring_disabled_and_enabled(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    vu_expect_works(vu);
    for (unsigned i = 0; i < 10; i++) {
        vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
        vu_offer(vu, 0);
        vu_kick(vu, 0);
        guest_expect_nothing(&vu->guest);
        vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
        guest_expect_used(&vu->guest, 0, 1);
    }
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_ENABLE, 0, 2), 0);
    vu_expect_works(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_READY], 1);
}

/* The driver goes with its last ring, and is told again when it comes up again. */
static void test_vu_driver_comes_again(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    for (unsigned i = 1; i < 4; i++) {
        uint32_t base;

        assert_int_equal(vu->notices[BH_VU_EVENT_READY], i);
        vu_expect_works(vu);
        base = vu_ask_base(vu, 0);
        vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, base);
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    }
}

static void test_vu_ring_goes_on_where_it_stopped(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    for (unsigned i = 0; i < 21; i++) {
        uint32_t base;

        vu_expect_works(vu);
        base = vu_ask_base(vu, 0);
        /* A late kick does not start it again. */
        vu_offer(vu, 0);
        vu_kick(vu, 0);
        guest_expect_nothing(&vu->guest);
        assert_int_equal(vu_ask_base(vu, 0), base);
        if (vu->guest.packed) {
            uint32_t used = vu->guest.used | (vu->guest.used_wrap ? 0x8000u : 0);

            assert_int_equal(base, used << 16 | used);
        } else {
            assert_int_equal(base, vu->guest.used);
        }
        vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, base);
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        guest_expect_used(&vu->guest, 0, 1);
    }
}

/* Whoever served the ring before may have died between publishing and notifying: one call too many
 * is better than one too few. A new ring needs none. */
static void test_vu_ring_that_goes_on_is_called(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    assert_false(vu_called(vu, 0));
    vu_expect_works(vu);
    assert_true(vu_called(vu, 0));
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    assert_true(vu_called(vu, 0));
}

/* A front end that never tells a position: the ring begins where rings begin, and goes on. */
static void test_vu_ring_without_a_base(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_address address = vu_address(0);

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
    vu_tell(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    for (unsigned i = 0; i < 5; i++) {
        vu_expect_works(vu);
        vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
        vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    }
}

/* The base of a ring that never ran is what was told, or where rings begin. */
static void test_vu_base_of_an_idle_ring(void **state)
{
    struct vu *vu = *state;
    uint32_t base = vu->guest.packed ? 0x00058003u : 17;

    vu_negotiate(vu, 0);
    assert_int_equal(vu_ask_base(vu, 1), vu->guest.packed ? 0x80008000u : 0);
    vu_tell_state(vu, BH_VU_SET_VRING_BASE, 1, base);
    assert_int_equal(vu_ask_base(vu, 1), base);
}

/* ---- index out of range ---- */

static void bad_index(uint32_t request, uint32_t index)
{
    struct vu *vu = malloc(sizeof(*vu));
    struct bh_vu_vring_address address = vu_address(0);

    assert_non_null(vu);
    vu_init(vu, false);
    vu_negotiate(vu, 0);
    vu_memory(vu);
    address.index = index;
    if (request == BH_VU_SET_VRING_ADDR) {
        vu_tell(vu, request, &address, sizeof(address), NULL, 0);
    } else {
        vu_tell_state(vu, request, index, 1);
    }
    vu_expect_refused(vu);
    assert_string_equal(vu->detail, "no such ring");
    vu_finish(vu);
    free(vu);
}

static void test_class_15_ring_index_out_of_range(void **state)
{
    const uint32_t requests[] = {BH_VU_SET_VRING_NUM, BH_VU_SET_VRING_BASE, BH_VU_GET_VRING_BASE,
                                 BH_VU_SET_VRING_ENABLE, BH_VU_SET_VRING_ADDR};
    const uint32_t indices[] = {VU_RINGS, 0xff, 0x100, 0x10000, 0x80000000u, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < 6; j++) {
            bad_index(requests[i], indices[j]);
        }
    }
}

static void bad_event(uint32_t request, uint64_t value, uint32_t fd_count)
{
    struct vu *vu = malloc(sizeof(*vu));
    unsigned before;

    assert_non_null(vu);
    vu_init(vu, false);
    vu_negotiate(vu, 0);
    vu_memory(vu);
    before = vu_count_fds();
    vu_tell(vu, request, &value, sizeof(value), &vu->kick[0], fd_count);
    vu_expect_refused(vu);
    assert_int_equal(vu_count_fds(), before - 1);
    vu_finish(vu);
    free(vu);
}

/* The index is eight bits of 64: none may be cut off. */
static void test_class_03_ring_index_truncated(void **state)
{
    const uint32_t requests[] = {BH_VU_SET_VRING_KICK, BH_VU_SET_VRING_CALL, BH_VU_SET_VRING_ERR};
    const uint64_t values[] = {
        VU_RINGS, 0xff, 0x200, 0x10000, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX - 0x1ff};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 7; j++) {
            bad_event(requests[i], values[j], 1);
        }
        /* The flag and the descriptor must agree. */
        bad_event(requests[i], BH_VU_VRING_NO_FD, 1);
        bad_event(requests[i], 0, 0);
        bad_event(requests[i], VU_RINGS | BH_VU_VRING_NO_FD, 0);
    }
}

static void test_class_03_ring_position_truncated(void **state)
{
    struct vu *vu = *state;

    vu_negotiate(vu, 0);
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_BASE, 0, 0x10000), 0);
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_BASE, 0, UINT32_MAX), 0);
    assert_int_equal(ack_state(vu, BH_VU_SET_VRING_BASE, 0, 0xffff), 0);
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_NUM, 0, 0x10008), 0);
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_NUM, 0, 0), 0);
    assert_int_not_equal(ack_state(vu, BH_VU_SET_VRING_NUM, 0, GUEST_QUEUE_MAX + 1), 0);
    assert_int_equal(ack_state(vu, BH_VU_SET_VRING_NUM, 0, GUEST_QUEUE_MAX), 0);
}

/* A position outside a packed ring is found when it starts. */
static void test_class_03_packed_position_outside_the_ring(void **state)
{
    struct vu *vu = *state;
    const uint32_t bases[] = {0x80008008u, 0x80088000u, 0xffffffffu, 0x7fff7fffu};

    vu_live(vu);
    for (unsigned i = 0; i < 4; i++) {
        (void)vu_ask_base(vu, 0);
        vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, bases[i]);
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], i + 1);
    }
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 4);
    vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, 0x80008000u);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    vu_expect_works(vu);
}

/* ---- changes while it runs ---- */

static void test_class_23_ring_moves_while_running(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_address address = vu_address(0);
    struct vu_message reply;

    vu_live(vu);
    /* The same again is no move. */
    assert_int_equal(ack_address(vu, address), 0);
    assert_int_equal(ack_state(vu, BH_VU_SET_VRING_NUM, 0, 8), 0);
    vu_expect_works(vu);
    address.used += 0x1000;
    assert_true(vu_send(vu, BH_VU_SET_VRING_ADDR, BH_VU_VERSION | BH_VU_NEED_REPLY, &address,
                        sizeof(address), NULL, 0));
    vu_run(vu);
    assert_false(vu_receive(vu, vu->socket, &reply));
    vu_expect_refused(vu);
    assert_string_equal(vu->detail, "move of a running ring");
}

static void refused_while_running(uint32_t request, uint32_t number)
{
    struct vu *vu = malloc(sizeof(*vu));

    assert_non_null(vu);
    vu_init(vu, false);
    vu_live(vu);
    vu_tell_state(vu, request, 0, number);
    vu_expect_refused(vu);
    vu_finish(vu);
    free(vu);
}

static void test_class_23_size_and_position_while_running(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    refused_while_running(BH_VU_SET_VRING_NUM, 16);
    refused_while_running(BH_VU_SET_VRING_NUM, 4);
    refused_while_running(BH_VU_SET_VRING_BASE, 0);
    refused_while_running(BH_VU_SET_VRING_BASE, 3);
    assert_non_null(vu);
    vu_init(vu, false);
    vu_live(vu);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, BH_F_VERSION_1 | BH_F_RING_PACKED);
    vu_expect_refused(vu);
    vu_finish(vu);
    free(vu);
}

/* Addresses were good when they were told; then the memory under them moved. [BH-DEV-6] */
static void test_class_23_memory_moves_under_a_checked_ring(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = vu_table();
    struct bh_vu_vring_address address = vu_address(0);

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
    assert_int_equal(ack_address(vu, address), 0);
    table.regions[0].size = 0x1000;
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 40, &vu->memory, 1);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    assert_int_equal(vu->notices[BH_VU_EVENT_READY], 0);
    /* Elsewhere for the guest, the same for the front end: found at its new place. */
    table = vu_table();
    table.regions[0].guest_address += 0x10000000;
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 40, &vu->memory, 1);
    assert_int_equal(vu->notices[BH_VU_EVENT_READY], 1);
    vu_expect_open(vu);
}

/* A ring that is disabled may be moved, and is looked at anew when it is enabled. */
static void test_class_23_ring_moves_while_disabled(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_address address = vu_address(0);
    uint64_t shift = 0x10;

    vu_live(vu);
    vu_expect_works(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
    address.descriptor += shift / 2;
    assert_int_equal(ack_address(vu, address), 0);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_string_equal(vu->detail, "ring misplaced or of an impossible size");
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
    assert_int_equal(ack_address(vu, vu_address(0)), 0);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    vu_expect_works(vu);
}

/* A guest chooses the size: 12 is none for a split ring. [BH-DEV-6] */
static void test_vu_ring_of_an_impossible_size(void **state)
{
    struct vu *vu = *state;
    eventfd_t count;

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu->guest.size = 12;
    vu_ring(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_int_equal(eventfd_read(vu->error[0], &count), 0);
    /* Told once, however often it is kicked. */
    vu_kick(vu, 0);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    vu->guest.size = 8;
    (void)vu_ask_base(vu, 0);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

/* ---- kicks and calls ---- */

static void test_vu_descriptors_exchanged_while_running(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    for (unsigned i = 0; i < 10; i++) {
        int old_kick = vu->kick[0];
        int old_call = vu->call[0];

        vu_expect_works(vu);
        vu->kick[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        vu->call[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        vu_offer(vu, 0);
        vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, vu->call[0]);
        /* A notification may have gone astray: the new one hears of it. */
        assert_true(vu_called(vu, 0));
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        guest_expect_used(&vu->guest, 0, 1);
        assert_true(vu_called(vu, 0));
        (void)close(old_kick);
        (void)close(old_call);
    }
    vu_expect_works(vu);
}

static void test_vu_call_can_be_done_without(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    (void)vu_called(vu, 0);
    vu_tell_u64(vu, BH_VU_SET_VRING_CALL, BH_VU_VRING_NO_FD);
    vu_tell_u64(vu, BH_VU_SET_VRING_ERR, BH_VU_VRING_NO_FD);
    vu_expect_works(vu);
    assert_false(vu_called(vu, 0));
    vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, vu->call[0]);
    (void)vu_called(vu, 0);
    vu_expect_works(vu);
    assert_true(vu_called(vu, 0));
}

static void test_vu_polling_is_refused(void **state)
{
    struct vu *vu = *state;
    uint64_t value = BH_VU_VRING_NO_FD;

    vu_live(vu);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_VRING_KICK, &value, sizeof(value), NULL, 0), 0);
    vu_expect_works(vu);
}

/* A kick that somebody else took away between poll and read must not make the loop wait; nor must
 * a call descriptor that is full. The descriptors here are blocking ones. */
static void test_vu_events_never_block(void **state)
{
    struct vu *vu = *state;

    (void)close(vu->kick[0]);
    (void)close(vu->call[0]);
    vu->kick[0] = eventfd(0, EFD_CLOEXEC);
    vu->call[0] = eventfd(0, EFD_CLOEXEC);
    vu_live(vu);
    vu_expect_works(vu);
    assert_int_equal(eventfd_write(vu->call[0], UINT64_MAX - 2), 0);
    vu_expect_works(vu);
    vu_expect_works(vu);
}

/* ---- the guest breaks the protocol ---- */

static void violate(struct vu *vu)
{
    struct guest_buffer nowhere = {GUEST_HOLE, 16, W};

    guest_offer(&vu->guest, &nowhere, 1, 1);
    vu_kick(vu, 0);
}

/* [BH-DEV-23] */
static void test_vu_violation_stops_the_device_only(void **state)
{
    struct vu *vu = *state;
    eventfd_t count;

    vu_live(vu);
    vu_expect_works(vu);
    violate(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_non_null(vu->detail);
    assert_int_equal(eventfd_read(vu->error[0], &count), 0);
    assert_true((vu_ask_u64(vu, BH_VU_GET_STATUS) & BH_STATUS_NEEDS_RESET) != 0);
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    vu_expect_open(vu);
}

/* A new driver: the front end sets everything up again, as QEMU does (7.2: without a status). */
static void begin_anew(struct vu *vu, bool reset)
{
    (void)vu_ask_base(vu, 0);
    if (reset) {
        vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
        assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 0);
    }
    memset(vu->map, 0, VU_MEMORY);
    vu->guest.avail = 0;
    vu->guest.avail_wrap = true;
    vu->guest.used = 0;
    vu->guest.used_wrap = true;
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

static void test_vu_a_new_driver_after_a_violation(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    violate(vu);
    begin_anew(vu, false);
    violate(vu);
    begin_anew(vu, true);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vu_ring_needs_everything),
        VU_BOTH(test_vu_ring_starts_without_a_kick),
        VU_BOTH(test_vu_rings_are_enabled_without_protocol_features),
        VU_BOTH(test_vu_ring_disabled_and_enabled),
        VU_BOTH(test_vu_driver_comes_again),
        VU_BOTH(test_vu_ring_goes_on_where_it_stopped),
        VU_BOTH(test_vu_ring_that_goes_on_is_called),
        VU_BOTH(test_vu_ring_without_a_base),
        VU_BOTH(test_vu_base_of_an_idle_ring),
        cmocka_unit_test(test_class_15_ring_index_out_of_range),
        cmocka_unit_test(test_class_03_ring_index_truncated),
        VU_SPLIT(test_class_03_ring_position_truncated),
        {"test_class_03_packed_position_outside_the_ring",
         test_class_03_packed_position_outside_the_ring, vu_setup_packed, vu_teardown, NULL},
        VU_BOTH(test_class_23_ring_moves_while_running),
        cmocka_unit_test(test_class_23_size_and_position_while_running),
        VU_BOTH(test_class_23_memory_moves_under_a_checked_ring),
        VU_BOTH(test_class_23_ring_moves_while_disabled),
        VU_SPLIT(test_vu_ring_of_an_impossible_size),
        VU_BOTH(test_vu_descriptors_exchanged_while_running),
        VU_BOTH(test_vu_call_can_be_done_without),
        VU_SPLIT(test_vu_polling_is_refused),
        VU_SPLIT(test_vu_events_never_block),
        VU_BOTH(test_vu_violation_stops_the_device_only),
        VU_BOTH(test_vu_a_new_driver_after_a_violation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
