/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session outlives the process that serves it: numbers and descriptors are kept by the owner, and
 * another back end takes the connection over. Whatever was being said when the first one died, the front
 * end gets its one answer, no request is lost or answered twice, and what was saved last is always
 * whole. Records that no back end has saved: test_vu_adopt_records.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adopt_rig.h"

/* All steps; the process dies at moment `death` (0: never). Returns whether it did. */
static bool live(struct owner *owner, unsigned death)
{
    volatile unsigned i = 0;
    volatile bool died = false;

    owner->death = death;
    if (setjmp(owner->end) != 0) {
        died = true;
        adopt_settle(adopt_succeed(owner, true));
        adopt_hear(&owner->now->vu, i);
        i++;
    }
    for (; i < ADOPT_STEPS; i++) {
        struct vu *vu = &owner->now->vu;

        if (adopt_speak(vu, i)) {
            adopt_settle(vu);
            adopt_hear(vu, i);
        } else {
            adopt_work(vu);
        }
        if (i == 19) {
            /* Nothing was lost, and nothing came twice. */
            uint16_t ids[4];

            assert_int_equal(vu_take(vu, ids, 4), 2);
            assert_true((ids[0] == 1 && ids[1] == 2) || (ids[0] == 2 && ids[1] == 1));
        }
    }
    return died;
}

static void die_at_every_moment(bool packed)
{
    struct owner *owner = calloc(1, sizeof(*owner));
    unsigned moments;

    assert_non_null(owner);
    adopt_open(owner, packed);
    assert_false(live(owner, 0));
    moments = owner->moments;
    assert_true(moments > 60);
    adopt_close(owner);
    for (unsigned death = 1; death <= moments; death++) {
        adopt_open(owner, packed);
        /* The connection itself is saved before anything is said. */
        if (death > 2) {
            assert_true(live(owner, death));
            assert_int_equal(owner->now->vu.notices[BH_VU_EVENT_REFUSED], 0);
            assert_int_equal(owner->now->vu.notices[BH_VU_EVENT_FAULT], 0);
            adopt_check_whole(owner);
        }
        adopt_close(owner);
    }
    free(owner);
}

static void test_death_at_every_moment_split(void **state)
{
    (void)state;
    die_at_every_moment(false);
}

static void test_death_at_every_moment_packed(void **state)
{
    (void)state;
    die_at_every_moment(true);
}

/* ---- with requests in flight ---- */

static void test_requests_in_flight_are_resumed(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = adopt_bring_up(owner);
    uint16_t ids[4];
    eventfd_t count;

    (void)vu_called(vu, 0);
    /* One is done and published, and the process dies before it calls. */
    echo_release_one(&vu->echo, 1);
    (void)bh_queue_publish(&vu->echo.queues[0]);
    /* And one is offered and kicked, and nobody has looked. */
    vu_offer(vu, 3);
    assert_int_equal(eventfd_write(vu->kick[0], 1), 0);
    vu = adopt_succeed(owner, true);
    assert_int_equal(owner->now->changed, 1);
    assert_int_equal(owner->now->admitted, 2);
    assert_true(vu_called(vu, 0));
    assert_int_equal(vu->notices[BH_VU_EVENT_CONNECTED], 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_READY], 0);
    vu->echo.hold = true;
    vu_run(vu);
    assert_int_equal(vu->echo.device.status, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER |
                                                 BH_STATUS_FEATURES_OK | BH_STATUS_DRIVER_OK);
    adopt_settle(vu);
    assert_int_equal(vu_take(vu, ids, 4), 3);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 3);
    /* Its descriptors are those of old: a kick wakes, an answer calls. */
    (void)eventfd_read(vu->call[0], &count);
    vu->echo.hold = false;
    vu_expect_works(vu);
    assert_true(vu_called(vu, 0));
    /* And the front end goes as it would have: everything is let go of. */
    vu_disconnect(vu);
    (void)shutdown(owner->lives[0].vu.socket, SHUT_RDWR);
    vu_run(vu);
    assert_int_equal(vu->closed, 1);
    assert_int_equal(owner->saved.connected, 0);
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        assert_int_equal(owner->fds[i], -1);
    }
    assert_int_equal(owner->now->admitted, 0);
}

/* What a dying process kept too much of is let go of. */
static void test_surplus_descriptors(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = adopt_bring_up(owner);
    const uint32_t slots[] = {BH_VU_KEEP_REGION(77), BH_VU_KEEP_KICK(1), BH_VU_KEEP_CALL(2),
                              BH_VU_KEEP_ERROR(60)};

    for (unsigned i = 0; i < 4; i++) {
        owner->fds[slots[i]] = dup(vu->kick[2]);
    }
    vu = adopt_succeed(owner, true);
    vu_run(vu);
    vu_expect_open(vu);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(owner->fds[slots[i]], -1);
    }
    assert_int_equal(owner->fds[slots[3]], -1);
    adopt_settle(vu);
}

/* A session that is over, and one whose connection is. */
static void test_no_session(void **state)
{
    struct owner *owner = *state;
    struct vu *vu;
    int pair[2];
    struct bh_vu_inflight_split header;

    (void)adopt_bring_up(owner);
    vu = adopt_succeed(owner, false);
    vu_run(vu);
    assert_int_equal(vu->closed, 0);
    assert_int_equal(owner->saved.connected, 0);
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        assert_int_equal(owner->fds[i], -1);
    }
    memcpy(&header, owner->journal, sizeof(header));
    assert_int_equal(header.version, 0);
    /* The next front end begins anew. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)close(vu->socket);
    vu->socket = pair[0];
    assert_int_equal(bh_vu_backend_connect(vu->backend, pair[1]), BH_OK);
    assert_int_equal(owner->saved.connected, 1);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_QUEUE_NUM), VU_RINGS);
}

static void test_connected_0_begins_anew(void **state)
{
    struct owner *owner = *state;
    struct vu *vu;

    (void)adopt_bring_up(owner);
    owner->saved.connected = 0;
    vu = adopt_succeed(owner, true);
    assert_int_equal(vu->notices[BH_VU_EVENT_CONNECTED], 1);
    assert_int_equal(vu->echo.device.features, 0);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_QUEUE_NUM), VU_RINGS);
}

/* A device that broke stays broken until its driver begins anew. */
static void test_broken_device(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = adopt_bring_up(owner);

    vu_offer(vu, 3);
    guest_offer_one(&vu->guest, GUEST_HOLE, 16, W, 4);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_true((owner->saved.status & BH_STATUS_NEEDS_RESET) != 0);
    vu = adopt_succeed(owner, true);
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
    assert_int_equal(vu->echo.queues[0].state, BH_QUEUE_STOPPED);
    vu_expect_open(vu);
    assert_true((vu_ask_u64(vu, BH_VU_GET_STATUS) & BH_STATUS_NEEDS_RESET) != 0);
}

static void test_memory_is_admitted_again(void **state)
{
    struct owner *owner = *state;
    struct vu *vu;

    (void)adopt_bring_up(owner);
    owner->denies = true;
    vu = adopt_succeed(owner, true);
    assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
    assert_string_equal(vu->detail, "no");
    assert_int_equal(vu->closed, 1);
    assert_int_equal(owner->saved.connected, 0);
}

static void test_rings_elsewhere_start_again(void **state)
{
    struct owner *owner = calloc(1, sizeof(*owner));
    struct vu *vu;

    (void)state;
    assert_non_null(owner);
    adopt_open_serving(owner);
    vu = &owner->now->vu;
    for (unsigned i = 0; i < ADOPT_WORK; i++) {
        assert_true(adopt_speak(vu, i));
        adopt_settle(vu);
        adopt_hear(vu, i);
    }
    assert_int_equal(owner->now->started, 1);
    (void)vu_called(vu, 0);
    vu_kick(vu, 0);
    vu = adopt_succeed(owner, true);
    assert_int_equal(owner->now->started, 1);
    assert_int_equal(owner->now->plan.descriptor, GUEST_DESCRIPTOR);
    assert_int_equal(owner->now->plan.size, vu->guest.size);
    assert_int_equal(vu->echo.queues[0].state, BH_QUEUE_STOPPED);
    /* The kick is there for whoever serves the ring, and the driver looks once. */
    assert_int_equal(eventfd_read(owner->now->plan.kick, &(eventfd_t){0}), 0);
    assert_true(vu_called(vu, 0));
    assert_int_equal(vu_ask_base(vu, 0), 5);
    adopt_close(owner);
    free(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_death_at_every_moment_split),
        cmocka_unit_test(test_death_at_every_moment_packed),
        ADOPT_BOTH(test_requests_in_flight_are_resumed),
        ADOPT_BOTH(test_surplus_descriptors),
        ADOPT_BOTH(test_no_session),
        ADOPT_BOTH(test_connected_0_begins_anew),
        ADOPT_BOTH(test_broken_device),
        ADOPT_BOTH(test_memory_is_admitted_again),
        cmocka_unit_test(test_rings_elsewhere_start_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
