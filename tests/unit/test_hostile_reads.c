/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that changes its rings between any two of the device's reads, without chance: descriptors
 * and tables lie in pages that nobody may touch, so that each access faults; the handler lets
 * exactly one instruction through (the processor's single step), and puts the second version in
 * place before the access that the test names. So every pair of reads is split once. Only x86-64
 * has a single step that a process can set for itself; elsewhere test_hostile_threads.c has to do.
 */
/* The names of the machine's registers. */
#define _GNU_SOURCE

#include "ring_guest.h"

#if defined(__x86_64__)

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define WATCHED      UINT64_C(0x90000000)
#define WATCHED_SIZE 0x2000u
#define TABLE        (WATCHED + 0x1000)
#define SINGLE_STEP  0x100 /* in the flags register */

static struct {
    uint8_t *pages;
    uint8_t after[WATCHED_SIZE]; /* the second version */
    unsigned accesses;
    unsigned change_at; /* the access that is the first to see it */
} watch;

static void on_access(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;
    const uint8_t *at = info->si_addr;

    if (at < watch.pages || at >= watch.pages + WATCHED_SIZE) {
        (void)signal(number, SIG_DFL); /* a real one: it comes again */
        return;
    }
    (void)mprotect(watch.pages, WATCHED_SIZE, PROT_READ | PROT_WRITE);
    if (watch.accesses == watch.change_at) {
        memcpy(watch.pages, watch.after, WATCHED_SIZE);
    }
    watch.accesses++;
    machine->uc_mcontext.gregs[REG_EFL] |= SINGLE_STEP;
}

static void on_step(int number, siginfo_t *info, void *context)
{
    ucontext_t *machine = context;

    (void)number;
    (void)info;
    (void)mprotect(watch.pages, WATCHED_SIZE, PROT_NONE);
    machine->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)SINGLE_STEP;
}

/* Pops while every access is watched. */
static int pop_watched(struct guest *guest, struct bh_chain *chain, unsigned change_at)
{
    struct sigaction access = {.sa_sigaction = on_access, .sa_flags = SA_SIGINFO};
    struct sigaction step = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    struct sigaction old_access;
    struct sigaction old_step;
    int got;

    watch.accesses = 0;
    watch.change_at = change_at;
    assert_int_equal(sigaction(SIGSEGV, &access, &old_access), 0);
    assert_int_equal(sigaction(SIGTRAP, &step, &old_step), 0);
    assert_int_equal(mprotect(watch.pages, WATCHED_SIZE, PROT_NONE), 0);
    got = bh_queue_pop(&guest->queue, chain);
    assert_int_equal(mprotect(watch.pages, WATCHED_SIZE, PROT_READ | PROT_WRITE), 0);
    assert_int_equal(sigaction(SIGSEGV, &old_access, NULL), 0);
    assert_int_equal(sigaction(SIGTRAP, &old_step, NULL), 0);
    return got;
}

static void watch_begin(struct guest *guest, bool packed)
{
    watch.pages =
        mmap(NULL, WATCHED_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(watch.pages != MAP_FAILED);
    guest_init(guest, packed, 8, BH_F_INDIRECT_DESC);
    guest->regions[3] =
        (struct bh_region){WATCHED, WATCHED_SIZE, watch.pages, BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest->memory.region_count = 4;
    guest->setup.descriptor = WATCHED;
    guest_start(guest);
}

static void watch_end(struct guest *guest)
{
    assert_int_equal(munmap(watch.pages, WATCHED_SIZE), 0);
    guest_finish(guest);
}

/* Two versions of a chain: each is well formed, and every mixture of an address of one with the
 * length or flags of the other leaves the guest's memory or its rights. */
struct versions {
    struct guest_buffer buffers[2][3];
    bool table;
};

static const struct versions cases[] = {
    {{{{GUEST_ROM + GUEST_ROM_SIZE - 16, 16, R}, {GUEST_ROM, 32, R}, {GUEST_HIGH, 8, W}},
      {{GUEST_DATA, 0x4000, W}, {GUEST_DATA, 0x2000, W}, {GUEST_DATA, 0x8000, W}}},
     false},
    {{{{GUEST_DATA, 0x4000, R}, {GUEST_DATA, 0x2000, W}, {GUEST_DATA, 0x8000, W}},
      {{GUEST_ROM + GUEST_ROM_SIZE - 16, 16, R}, {GUEST_ROM, 32, R}, {GUEST_ROM, 0, R}}},
     false},
    {{{{GUEST_ROM + GUEST_ROM_SIZE - 16, 16, R}, {GUEST_ROM, 32, R}, {GUEST_HIGH, 8, W}},
      {{GUEST_DATA, 0x4000, W}, {GUEST_DATA, 0x2000, W}, {GUEST_DATA, 0x8000, W}}},
     true},
    {{{{GUEST_DATA, 0x4000, R}, {GUEST_DATA, 0x2000, W}, {GUEST_DATA, 0x8000, W}},
      {{GUEST_HOLE, 16, R}, {GUEST_HOLE, UINT32_MAX, R}, {GUEST_HOLE, 0, R}}},
     true},
};

static void lay_out(struct guest *guest, const struct versions *versions, unsigned which)
{
    guest->avail = 0;
    if (versions->table) {
        guest_table(guest, TABLE, versions->buffers[which], 3);
        /* The second version of the reference is another length, and a direct one. */
        guest_offer_one(guest, TABLE, which == 0 ? 48 : 0x8000, which == 0 ? BH_DESC_INDIRECT : W,
                        0);
    } else {
        guest_offer(guest, versions->buffers[which], 3, 0);
    }
}

/* Changes the rings before the first read, the second, ... until there is none left. */
static void change_everywhere(const struct versions *versions, bool packed)
{
    unsigned change_at = 0;
    unsigned accesses;

    do {
        struct guest guest;
        struct bh_chain chain;
        int got;

        watch_begin(&guest, packed);
        lay_out(&guest, versions, 1);
        memcpy(watch.after, watch.pages, WATCHED_SIZE);
        memset(watch.pages, 0, WATCHED_SIZE);
        lay_out(&guest, versions, 0);
        got = pop_watched(&guest, &chain, change_at);
        accesses = watch.accesses;
        if (got == 1) {
            guest_check_chain(&guest, &chain);
            bh_queue_push(&guest.queue, &chain, 0);
        } else {
            assert_true(got == BH_DENIED || got == BH_PROTOCOL || got == BH_LIMIT);
        }
        assert_int_equal(guest.pool.free_count, GUEST_BLOCKS);
        watch_end(&guest);
        change_at++;
    } while (change_at <= accesses);
    /* Three descriptors, or a reference and three, in one piece or two each. */
    assert_in_range(accesses, 3, 16);
}

/* CVE-2020-14375, CH 929df76e1: checked with one value, used with another. [BH-DEV-11] */
static void test_class_02_change_between_two_reads(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        change_everywhere(&cases[i], false);
        change_everywhere(&cases[i], true);
    }
}

#else

static void test_class_02_change_between_two_reads(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_class_02_change_between_two_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
