/* SPDX-License-Identifier: BSD-2-Clause */
/* A gate's parent: what it hands to a gate, and from one gate to the next. */
#include "gate_parent_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file, and whether two descriptors are the same one. */
static int memory(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static bool is_same(int fd, int other)
{
    struct stat one;
    struct stat two;
    assert_int_equal(fstat(fd, &one), 0);
    assert_int_equal(fstat(other, &two), 0);
    return one.st_ino == two.st_ino && one.st_dev == two.st_dev;
}

/* Whether anybody still has the other end of `fd`, a socket. */
static bool is_held(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* ------------------------------------------------------------------------------------------------
 * the memory */

static void test_parent_memory(void **state)
{
    const int sizes = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    (void)state;
    rig_create(0);
    rig_start();
    assert_int_equal(rig.fd_count, 5);
    for (uint32_t i = 0; i < rig.fd_count; i++) {
        assert_int_equal(rig.fds[i].to, (int)(BH_GATE_CONTROL_FD + i));
    }
    assert_int_equal(fcntl(rig.fds[1].from, F_GET_SEALS) & (sizes | F_SEAL_WRITE),
                     sizes | F_SEAL_WRITE);
    assert_int_equal(fcntl(rig.fds[2].from, F_GET_SEALS) & (sizes | F_SEAL_FUTURE_WRITE),
                     sizes | F_SEAL_FUTURE_WRITE);
    assert_int_equal(fcntl(rig.fds[3].from, F_GET_SEALS) & (sizes | F_SEAL_FUTURE_WRITE), sizes);
    assert_int_equal(fcntl(rig.fds[4].from, F_GET_SEALS) & (sizes | F_SEAL_FUTURE_WRITE), sizes);
    struct stat status;
    assert_int_equal(fstat(rig.fds[4].from, &status), 0);
    assert_int_equal(status.st_size, RIG_ARENA);
    struct bh_gate_setup *setup = malloc(sizeof(*setup));
    assert_non_null(setup);
    assert_int_equal(pread(rig.fds[1].from, setup, sizeof(*setup), 0), sizeof(*setup));
    assert_int_equal(setup->version, BH_GATE_VERSION);
    assert_int_equal(setup->size, sizeof(*setup));
    assert_string_equal(setup->devices[1].name, "ivi/1");
    free(setup);
}

/* The gate writes neither setup nor limits, by any way. */
static void test_parent_memory_is_read_only(void **state)
{
    (void)state;
    rig_create(0);
    rig_start();
    for (uint32_t i = 1; i <= 2u; i++) {
        assert_int_equal(pwrite(rig.fds[i].from, "x", 1, 0), -1);
        assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, rig.fds[i].from, 0),
                         MAP_FAILED);
        assert_int_equal(ftruncate(rig.fds[i].from, 0), -1);
        void *base = mmap(NULL, 4096, PROT_READ, MAP_SHARED, rig.fds[i].from, 0);
        assert_ptr_not_equal(base, MAP_FAILED);
        assert_int_equal(mprotect(base, 4096, PROT_READ | PROT_WRITE), -1);
        (void)munmap(base, 4096);
    }
    for (uint32_t i = 3; i <= 4u; i++) {
        assert_int_equal(ftruncate(rig.fds[i].from, 0), -1);
        assert_int_equal(pwrite(rig.fds[i].from, "x", 1, 2048), 1);
    }
}

static void test_parent_journals(void **state)
{
    struct stat status;
    uint64_t offsets[BH_GATE_DEVICES_MAX];
    uint64_t sizes[BH_GATE_DEVICES_MAX];
    (void)state;
    rig_create(0);
    rig_start();
    int fd = rig.fds[3].from;
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(
        pread(fd, offsets, sizeof(offsets), (off_t)offsetof(struct bh_gate_ledger, journal_offset)),
        sizeof(offsets));
    assert_int_equal(
        pread(fd, sizes, sizeof(sizes), (off_t)offsetof(struct bh_gate_ledger, journal_size)),
        sizeof(sizes));
    assert_true(offsets[0] >= sizeof(struct bh_gate_ledger));
    /* Two queues of 64 entries of 32 bytes and a head of 32, each a multiple of 64. */
    assert_true(sizes[0] >= 2u * 2112u);
    assert_true(offsets[1] >= offsets[0] + sizes[0]);
    assert_true((uint64_t)status.st_size >= offsets[1] + sizes[1]);
    assert_int_equal(sizes[2], 0);
}

static void refuse(struct bh_gate_setup *setup)
{
    const struct bh_gate_parent_setup all = {
        .poller = &rig.loop.poller, .setup = setup, .ops = &rig_ops, .patience_ms = 0};
    assert_int_equal(bh_gate_parent_create(&rig.parent, &all), BH_INVALID);
    assert_null(rig.parent);
}

static void test_parent_setup_refused(void **state)
{
    (void)state;
    struct bh_gate_setup *setup = rig_setup();
    setup->device_count = 0;
    refuse(setup);
    rig_setup()->device_count = BH_GATE_DEVICES_MAX + 1u;
    refuse(setup);
    rig_setup()->file_count = BH_GATE_FILES_MAX + 1u;
    refuse(setup);
    memset(rig_setup()->guest, 'x', sizeof(setup->guest));
    refuse(setup);
    memset(rig_setup()->devices[1].name, 'x', sizeof(setup->devices[1].name));
    refuse(setup);
    rig_setup()->devices[0].mode = BH_GATE_OPEN + 1u;
    refuse(setup);
    rig_setup()->devices[0].queue_count = 0;
    refuse(setup);
    rig_setup()->devices[0].queue_count = BH_GATE_QUEUES_MAX + 1u;
    refuse(setup);
    rig_setup()->devices[0].queue_size_max = 0;
    refuse(setup);
    rig_setup()->devices[0].queue_size_max = 32769;
    refuse(setup);
    rig_setup()->devices[0].config_size = BH_GATE_CONFIG_MAX + 1u;
    refuse(setup);
    rig_setup()->devices[0].arena_size = 4096; /* direct needs none */
    refuse(setup);
    rig_setup()->devices[1].arena_size = 0;
    refuse(setup);
    rig_setup()->devices[1].arena_size = 4097;
    refuse(setup);
    rig_setup()->files[0].size = 0;
    refuse(setup);
    rig_setup()->files[0].address = UINT64_MAX;
    refuse(setup);
    rig_setup()->files[0].users = 4;
    refuse(setup);
    rig_setup()->files[0].shared = 4;
    refuse(setup);
}

/* ------------------------------------------------------------------------------------------------
 * the start, and the next gate */

static void test_parent_start(void **state)
{
    (void)state;
    rig_create(0);
    assert_int_equal(bh_gate_parent_started(rig.parent), BH_STATE);
    assert_int_equal(bh_gate_parent_front(rig.parent, 1, rig_fd()), BH_OK);
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 1);
    assert_int_equal(bh_gate_parent_no_more(rig.parent, 1), BH_OK);
    rig_start();
    assert_int_equal(bh_gate_parent_fds(rig.parent, rig.fds, &rig.fd_count), BH_STATE);
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 2);
    rig_expect("back(0,1)+ front(1,1)+ no-more(1,0) go(0,0) back(0,2)+ ");
    rig_say_number(BH_GATE_READY, 0, 0);
    rig_say_number(BH_GATE_UP, 1, 0);
    rig_say_number(BH_GATE_GREETED, 0, 2);
    assert_string_equal(rig.log, "ready up(1) greeted(0,2) ");
    assert_int_equal(bh_gate_parent_front(rig.parent, 2, rig_fd()), BH_INVALID);
    assert_int_equal(bh_gate_parent_back(rig.parent, 2, rig_fd()), BH_INVALID);
    assert_int_equal(bh_gate_parent_no_more(rig.parent, 2), BH_INVALID);
}

/* A gate dies: the next one gets what was kept and the connections, and new back ends. */
static void test_parent_next_gate(void **state)
{
    struct bh_gate_message message;
    int fd;
    int first = memory("first");
    int second = memory("second");
    (void)state;
    rig_create(0);
    assert_int_equal(bh_gate_parent_front(rig.parent, 0, rig_fd()), BH_OK);
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 1);
    rig_start();
    rig_expect("front(0,1)+ back(0,1)+ go(0,0) ");
    rig_say_keep(0, BH_VU_KEEP_REGION(0), first);
    rig_say_keep(0, BH_VU_KEEP_REGION(0), second);
    rig_say_keep(1, BH_VU_KEEP_KICK(3), first);
    rig_say_keep(1, BH_VU_KEEP_KICK(3), -1);
    rig_say_keep(1, BH_GATE_SLOT_INFLIGHT, first);
    /* Said at the very end, and read only when it was reaped. */
    message = rig_about(BH_GATE_KEEP, 1);
    message.slot = BH_VU_KEEP_CALL(0);
    rig_say(&message, second);
    rig_gate_dies();
    rig_start();
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 2);
    assert_int_equal(rig_hear(&message, &fd), BH_GATE_KEPT);
    assert_int_equal(message.slot, BH_VU_KEEP_REGION(0));
    assert_true(is_same(fd, second));
    (void)close(fd);
    char rest[128];
    (void)snprintf(rest, sizeof(rest), "kept(1,%u)+ kept(1,%u)+ front(0,1)+ go(0,0) back(0,2)+ ",
                   BH_VU_KEEP_CALL(0), BH_GATE_SLOT_INFLIGHT);
    rig_expect(rest);
    (void)close(first);
    (void)close(second);
}

/* Of what it said at the end only what lasts counts: its back ends end with it. */
static void test_parent_last_words(void **state)
{
    struct bh_gate_message message = rig_about(BH_GATE_WANT, 0);
    (void)state;
    rig_create(0);
    rig_start();
    rig_say(&message, -1);
    message = rig_about(BH_GATE_READY, 0);
    rig_say(&message, -1);
    message = rig_about(BH_GATE_EVENT, 0);
    message.reason = BH_GATE_GUEST_VIOLATION;
    rig_say(&message, -1);
    message = rig_about(BH_GATE_GUEST, 1);
    rig_say(&message, -1);
    rig_gate_dies();
    assert_string_equal(rig.log, "event(0,guest-violation,) guest(1,) ");
}

/* A back end's connection that the gate never got is closed with the gate: it belongs to nobody. */
static void test_parent_unsent_back(void **state)
{
    int pair[2];
    (void)state;
    rig_create(0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, pair[1]), 1);
    assert_true(is_held(pair[0]));
    bh_gate_parent_ended(rig.parent);
    assert_false(is_held(pair[0]));
    (void)close(pair[0]);
}

/* What cannot be sent waits, in any number, and goes when the gate reads. */
static void test_parent_gate_reads_late(void **state)
{
    struct bh_gate_message message;
    int fd;
    (void)state;
    rig_create(0);
    assert_int_equal(bh_gate_parent_front(rig.parent, 0, rig_fd()), BH_OK);
    rig_start();
    int any = rig_fd();
    for (uint32_t slot = 0; slot < BH_VU_KEEP_SLOTS; slot++) {
        rig_say_keep(0, slot, any);
        rig_say_keep(1, slot, any);
    }
    (void)close(any);
    rig_gate_dies();
    rig_start();
    assert_int_equal(bh_gate_parent_no_more(rig.parent, 1), BH_OK);
    for (uint32_t i = 0; i < 2u * BH_VU_KEEP_SLOTS; i++) {
        assert_int_equal(rig_hear(&message, &fd), BH_GATE_KEPT);
        assert_int_equal(message.device, i / BH_VU_KEEP_SLOTS);
        assert_int_equal(message.slot, i % BH_VU_KEEP_SLOTS);
        (void)close(fd);
        rig_turn();
    }
    rig_expect("front(0,1)+ no-more(1,0) go(0,0) ");
    assert_string_equal(rig.log, "");
}

/* The front end is gone: its connection is closed here too, or the peer would wait for ever. */
static void test_parent_front_gone(void **state)
{
    int pair[2];
    struct bh_gate_message message = rig_about(BH_GATE_KEEP, 0);
    (void)state;
    rig_create(0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(bh_gate_parent_front(rig.parent, 0, rig_fd()), BH_OK);
    rig_start();
    rig_expect("front(0,1)+ go(0,0) ");
    assert_int_equal(bh_gate_parent_front(rig.parent, 0, pair[1]), BH_OK);
    int any = rig_fd();
    rig_say_keep(0, BH_VU_KEEP_REGION(5), any);
    (void)close(any);
    message.slot = BH_GATE_SLOT_CONNECTION;
    message.number = 1; /* the one before */
    rig_say(&message, -1);
    rig_turn();
    assert_true(is_held(pair[0]));
    rig_expect("front(0,2)+ ");
    assert_string_equal(rig.log, "");
    message.number = 2;
    rig_say(&message, -1);
    rig_say(&message, -1);
    rig_turn();
    assert_false(is_held(pair[0]));
    assert_string_equal(rig.log, "front-gone(0) ");
    (void)close(pair[0]);
    rig_gate_dies();
    rig_start();
    rig_expect("go(0,0) ");
}

/* ------------------------------------------------------------------------------------------------
 * back ends */

static void test_parent_want(void **state)
{
    (void)state;
    rig_create(0);
    rig_start();
    rig_say_number(BH_GATE_WANT, 0, 0);
    rig_say_number(BH_GATE_WANT, 0, 0);
    assert_string_equal(rig.log, "want(0,0,back-end-died) ");
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 1);
    rig_say_number(BH_GATE_WANT, 0, 0); /* old */
    assert_int_equal(rig.wants, 1);
    rig_say_number(BH_GATE_WANT, 0, 1);
    rig_say_number(BH_GATE_WANT, 0, 1);
    assert_int_equal(rig.wants, 2);
    assert_string_equal(rig.log, "want(0,0,back-end-died) want(0,1,back-end-died) ");
    rig_gate_dies();
    rig_start();
    rig_say_number(BH_GATE_WANT, 0, 0); /* this gate was given none */
    assert_int_equal(rig.wants, 3);
    assert_string_equal(rig.why, "");
}

static void test_parent_greeted_once(void **state)
{
    (void)state;
    rig_create(0);
    rig_start();
    assert_int_equal(bh_gate_parent_back(rig.parent, 1, rig_fd()), 1);
    rig_say_number(BH_GATE_GREETED, 1, 1);
    rig_say_number(BH_GATE_GREETED, 1, 1);
    assert_int_equal(bh_gate_parent_back(rig.parent, 1, rig_fd()), 2);
    rig_say_number(BH_GATE_GREETED, 1, 1);
    assert_string_equal(rig.log, "greeted(1,1) ");
}

/* A back end takes back that there will be none. */
static void test_parent_back_after_no_more(void **state)
{
    (void)state;
    rig_create(0);
    assert_int_equal(bh_gate_parent_no_more(rig.parent, 0), BH_OK);
    assert_int_equal(bh_gate_parent_back(rig.parent, 0, rig_fd()), 1);
    rig_start();
    rig_expect("back(0,1)+ go(0,0) ");
    assert_int_equal(bh_gate_parent_no_more(rig.parent, 0), BH_OK);
    rig_expect("no-more(0,0) ");
    rig_gate_dies();
    rig_start();
    rig_expect("no-more(0,0) go(0,0) ");
}

/* ------------------------------------------------------------------------------------------------
 * limits and counters */

static void test_parent_limits(void **state)
{
    const struct bh_gate_limits limits = {.operations_per_second = 7, .bytes_per_second = 8};
    struct bh_gate_limits found[2];
    (void)state;
    rig_create(0);
    rig_start();
    bh_gate_parent_limits(rig.parent, 1, &limits);
    bh_gate_parent_limits(rig.parent, 2, &limits);
    rig_expect("go(0,0) limits(1,0) ");
    assert_int_equal(pread(rig.fds[2].from, found, sizeof(found), 0), sizeof(found));
    assert_int_equal(found[0].bytes_per_second, 0);
    assert_int_equal(found[1].operations_per_second, 7);
    assert_int_equal(found[1].bytes_per_second, 8);
}

static void test_parent_counters(void **state)
{
    struct bh_gate_counters counters;
    (void)state;
    rig_create(0);
    rig_start();
    assert_int_equal(bh_gate_parent_back(rig.parent, 1, rig_fd()), 1);
    memset(&counters, 0xff, sizeof(counters));
    counters.requests = 12;
    counters.latency_us = 13;
    assert_int_equal(
        pwrite(rig.fds[3].from, &counters, sizeof(counters),
               (off_t)(offsetof(struct bh_gate_ledger, records) + sizeof(struct bh_gate_record) +
                       offsetof(struct bh_gate_record, counters))),
        sizeof(counters));
    bh_gate_parent_counters(rig.parent, 1, &counters);
    assert_int_equal(counters.requests, 12);
    assert_int_equal(counters.latency_us, 13);
    assert_int_equal(counters.latency[BH_GATE_LATENCY_BUCKETS - 1u], UINT64_MAX);
    assert_int_equal(counters.in_flight, 2 * 64);
    assert_int_equal(counters.arena_used, RIG_ARENA / 1024);
    assert_int_equal(counters.state, BH_GATE_FAILED);
    assert_int_equal(counters.generation, 1);
    bh_gate_parent_counters(rig.parent, 0, &counters);
    assert_int_equal(counters.requests, 0);
    counters.requests = 1;
    bh_gate_parent_counters(rig.parent, 2, &counters);
    assert_int_equal(counters.requests, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parent_memory, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_memory_is_read_only, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_journals, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_setup_refused, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_start, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_next_gate, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_last_words, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_unsent_back, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_gate_reads_late, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_front_gone, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_want, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_greeted_once, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_back_after_no_more, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_limits, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_counters, rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests_name("gate_parent", tests, NULL, NULL);
}
