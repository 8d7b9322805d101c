/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end and memory that is taken away: a front end truncates a file while it is
 * in use, and the process lives.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vu_rig.h"

#define PAGE UINT64_C(4096)

/* Guest memory that can be truncated, in the place of the sealed one. */
static void unseal(struct vu *vu)
{
    int file = vu_memfd(VU_MEMORY, false);

    (void)munmap(vu->map, VU_MEMORY);
    (void)close(vu->memory);
    vu->memory = file;
    vu->map = mmap(NULL, VU_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    assert_true(vu->map != MAP_FAILED);
    vu->guest.regions[0].base = vu->map;
}

static void test_vu_unsealed_is_told_once(void **state)
{
    struct vu *vu = *state;

    vu_negotiate(vu, 0);
    vu_memory(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_UNSEALED], 0);
    unseal(vu);
    vu_memory(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_UNSEALED], 1);
    vu_memory(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_UNSEALED], 1);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

static void expect_lost(struct vu *vu)
{
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 1);
    assert_true(vu_is_closed(vu));
    assert_int_equal(vu->closed, 1);
}

/* The rings themselves are gone: the next look at them raises SIGBUS. [BH-DEV-25] */
static void test_vu_truncated_while_running(void **state)
{
    struct vu *vu = *state;

    unseal(vu);
    vu_live(vu);
    vu_expect_works(vu);
    assert_int_equal(ftruncate(vu->memory, 0), 0);
    vu_kick(vu, 0);
    expect_lost(vu);
}

/* The buffers are gone while a request is in flight: the completion raises SIGBUS. [BH-DEV-25] */
static void test_class_17_truncated_while_in_flight(void **state)
{
    struct vu *vu = *state;

    unseal(vu);
    vu_live(vu);
    vu->echo.hold = true;
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    assert_int_equal(ftruncate(vu->memory, 0x8000), 0);
    memset(vu->echo.held[0].chain.spans[1].base, 0x5a, 16);
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 1);
    /* Not over before the request is. */
    assert_int_equal(vu->closed, 0);
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
    expect_lost(vu);
}

/* The in-flight region is a file of the front end's too. [BH-DEV-25] */
static void test_vu_truncated_inflight_region(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_inflight where = {.mmap_size = PAGE, .queue_count = 1, .queue_size = 8};
    int file = vu_memfd(PAGE, false);

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_tell(vu, BH_VU_SET_INFLIGHT_FD, &where, BH_VU_INFLIGHT_SIZE, &file, 1);
    assert_int_equal(vu->notices[BH_VU_EVENT_UNSEALED], 1);
    vu_ring(vu, 0);
    vu_expect_works(vu);
    assert_int_equal(ftruncate(file, 0), 0);
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    expect_lost(vu);
    (void)close(file);
}

/* A SIGBUS that is not ours still kills. */
static void test_vu_other_memory_is_not_rescued(void **state)
{
    struct vu *vu = *state;
    pid_t child;
    int status;

    vu_live(vu);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int file = vu_memfd(PAGE, false);
        volatile uint8_t *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0);

        /* As if no test framework had been here. */
        (void)signal(SIGBUS, SIG_DFL);
        vu_memory(vu);
        _exit(ftruncate(file, 0) == 0 && map[0] == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    vu_expect_works(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_SPLIT(test_vu_unsealed_is_told_once),
        VU_BOTH(test_vu_truncated_while_running),
        VU_BOTH(test_class_17_truncated_while_in_flight),
        VU_BOTH(test_vu_truncated_inflight_region),
        VU_SPLIT(test_vu_other_memory_is_not_rescued),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
