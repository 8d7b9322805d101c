/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader of a filter: what a page allows, what it takes for nothing, and a page that is written
 * while it is read. The writer's side on Linux, and the seals: test_host_filter.c.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/filter.h"

#define A UINT32_C(1)
#define B UINT32_C(2)
#define C UINT32_C(4)

struct fixture {
    struct bh_filter_page *page; /* of its own allocation: a byte beyond it is an error */
    struct bh_filter filter;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->page = calloc(1, sizeof(*f->page));
    f->page->magic = BH_FILTER_MAGIC;
    bh_filter_bind(&f->filter, f->page);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    free(f->page);
    free(f);
    return 0;
}

static void add(struct fixture *f, uint32_t first, uint32_t last, uint32_t operations)
{
    f->page->ranges[f->page->range_count] = (struct bh_filter_range){first, last, operations, 0};
    f->page->range_count++;
}

static bool allows(const struct fixture *f, uint32_t operations, uint32_t number)
{
    return bh_filter_allows_number(&f->filter, operations, number);
}

/* ---- what is allowed ---- */

static void test_no_filter_allows_everything(void **state)
{
    struct bh_filter filter = {.closed = true};
    const struct bh_filter zeroed = {0};

    (void)state;
    bh_filter_bind(&filter, NULL);
    assert_true(bh_filter_allows(&filter, UINT32_MAX));
    assert_true(bh_filter_allows_number(&filter, UINT32_MAX, 7));
    assert_true(bh_filter_allows(&zeroed, UINT32_MAX));
    assert_int_equal(bh_filter_operations(&zeroed), UINT32_MAX);
}

/* [BH-DEV-29, BH-DEV-30] */
static void test_each_operation_must_be_allowed(void **state)
{
    struct fixture *f = *state;

    assert_false(bh_filter_allows(&f->filter, A));
    assert_false(allows(f, A, 0));
    f->page->operations = A | B;
    assert_true(bh_filter_allows(&f->filter, A));
    assert_true(bh_filter_allows(&f->filter, A | B));
    assert_false(bh_filter_allows(&f->filter, A | C));
    assert_false(bh_filter_allows(&f->filter, C));
    assert_int_equal(bh_filter_operations(&f->filter), A | B);
    /* No ranges: for every number. */
    assert_true(allows(f, A | B, 0));
    assert_true(allows(f, A, UINT32_MAX));
    assert_false(allows(f, A | C, 5));
    f->page->operations = B;
    assert_false(bh_filter_allows(&f->filter, A));
    assert_false(allows(f, A, 0));
}

static void test_numbers(void **state)
{
    struct fixture *f = *state;

    f->page->operations = A | B;
    add(f, 10, 20, A);
    add(f, 15, 15, B | C);
    add(f, UINT32_MAX, UINT32_MAX, B);
    assert_false(allows(f, A, 9));
    assert_true(allows(f, A, 10));
    assert_true(allows(f, A, 20));
    assert_false(allows(f, A, 21));
    assert_false(allows(f, B, 14));
    assert_true(allows(f, A | B, 15)); /* one range gives the one, another the other */
    assert_false(allows(f, C, 15));    /* the page's own operations lack it */
    assert_true(allows(f, B, UINT32_MAX));
    assert_false(allows(f, B, 0));
    /* "For some number" does not look at the ranges. */
    assert_true(bh_filter_allows(&f->filter, A | B));
}

static void test_as_many_ranges_as_there_may_be(void **state)
{
    struct fixture *f = *state;

    f->page->operations = A;
    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        add(f, 2u * i, 2u * i, A);
    }
    assert_true(allows(f, A, 0));
    assert_true(allows(f, A, 2u * (BH_FILTER_RANGES_MAX - 1u)));
    assert_false(allows(f, A, 1));
    assert_false(allows(f, A, 2u * BH_FILTER_RANGES_MAX));
}

/* ---- what is not understood ---- */

/* [BH-DEV-31] */
static void test_filter_of_another_form(void **state)
{
    struct fixture *f = *state;

    f->page->operations = UINT32_MAX;
    assert_true(allows(f, A, 0));
    f->page->magic = BH_FILTER_MAGIC + 1u;
    assert_false(allows(f, A, 0));
    bh_filter_bind(&f->filter, f->page);
    assert_false(bh_filter_allows(&f->filter, A));
    assert_int_equal(bh_filter_operations(&f->filter), 0);
    assert_false(allows(f, A, 0));
    /* And from then on: what it becomes is not looked at. */
    f->page->magic = BH_FILTER_MAGIC;
    assert_false(bh_filter_allows(&f->filter, A));
    assert_false(allows(f, A, 0));
}

/* [BH-DEV-31] A count that would lead out of the page. */
static void test_filter_of_too_many_ranges(void **state)
{
    struct fixture *f = *state;

    f->page->operations = UINT32_MAX;
    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        f->page->ranges[i] = (struct bh_filter_range){0, UINT32_MAX, UINT32_MAX, 0};
    }
    f->page->range_count = BH_FILTER_RANGES_MAX;
    assert_true(allows(f, A, 3));
    f->page->range_count = BH_FILTER_RANGES_MAX + 1u;
    assert_false(allows(f, A, 3));
    f->page->range_count = UINT32_MAX;
    assert_false(allows(f, A, 3));
}

/* [BH-DEV-31] */
static void test_filter_of_odd_ranges(void **state)
{
    struct fixture *f = *state;

    f->page->operations = UINT32_MAX;
    add(f, 20, 10, A);
    assert_false(allows(f, A, 10));
    assert_false(allows(f, A, 15));
    assert_false(allows(f, A, 20));
    f->page->ranges[0] = (struct bh_filter_range){10, 20, A, 0};
    assert_true(allows(f, A, 15));
    f->page->ranges[0].reserved = 1;
    assert_false(allows(f, A, 15));
}

/* [BH-DEV-31] A writer that stopped within its change: nothing, and an end to the reading. */
static void test_filter_left_half_written(void **state)
{
    struct fixture *f = *state;

    f->page->operations = UINT32_MAX;
    f->page->sequence = 1;
    assert_false(allows(f, A, 0));
    f->page->sequence = UINT32_MAX;
    assert_false(allows(f, A, 0));
    f->page->sequence = UINT32_MAX - 1u;
    assert_true(allows(f, A, 0));
}

/* [BH-DEV-31] Whatever stands there, it is read within the page. */
static void test_filter_of_noise(void **state)
{
    struct fixture *f = *state;
    uint32_t *words = (uint32_t *)(void *)f->page;
    uint32_t noise = 1;

    for (uint32_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof(*f->page) / sizeof(words[0]); i++) {
            noise = noise * UINT32_C(1664525) + UINT32_C(1013904223);
            words[i] = noise;
        }
        f->page->sequence &= ~(round & 1u);
        f->page->magic = (round & 2u) != 0u ? BH_FILTER_MAGIC : noise;
        f->page->range_count >>= round % 32u;
        if (allows(f, A, noise)) {
            assert_int_equal(f->page->sequence & 1u, 0);
            assert_int_equal(f->page->magic, BH_FILTER_MAGIC);
            assert_in_range(f->page->range_count, 0, BH_FILTER_RANGES_MAX);
        }
    }
}

/* ---- a writer at the same time ---- */

static void store(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* Two contents by turns, each of which gives all numbers one operation. */
static void write_turn(struct bh_filter_page *page, uint32_t operation)
{
    uint32_t sequence = page->sequence;

    store(&page->sequence, sequence + 1u);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        store(&page->ranges[i].operations, operation);
    }
    __atomic_store_n(&page->sequence, sequence + 2u, __ATOMIC_RELEASE);
}

static bool stop;

static void *write_turns(void *context)
{
    struct bh_filter_page *page = context;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        /* Where both threads share a processor, the reader sees only what stands there when the
         * writer steps aside. */
        write_turn(page, A);
        (void)sched_yield();
        write_turn(page, B);
        (void)sched_yield();
    }
    return NULL;
}

/* [BH-DEV-30, BH-DEV-31] What two contents allow only together is never allowed, and each is seen.
 * It ends when enough of both was seen. */
static void test_filter_written_while_read(void **state)
{
    struct fixture *f = *state;
    pthread_t writer;
    uint32_t seen[2] = {0, 0};
    uint32_t torn = 0;

    f->page->operations = A | B;
    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        add(f, 0, UINT32_MAX, A);
    }
    stop = false;
    assert_int_equal(pthread_create(&writer, NULL, write_turns, f->page), 0);
    while (seen[0] < 500u || seen[1] < 500u) {
        torn += allows(f, A | B, 1) ? 1u : 0u;
        seen[0] += allows(f, A, 1) ? 1u : 0u;
        seen[1] += allows(f, B, 1) ? 1u : 0u;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(torn, 0);
    assert_true(allows(f, B, 1));
    assert_false(allows(f, A, 1));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_filter_allows_everything),
        CASE(test_each_operation_must_be_allowed),
        CASE(test_numbers),
        CASE(test_as_many_ranges_as_there_may_be),
        CASE(test_filter_of_another_form),
        CASE(test_filter_of_too_many_ranges),
        CASE(test_filter_of_odd_ranges),
        CASE(test_filter_left_half_written),
        CASE(test_filter_of_noise),
        CASE(test_filter_written_while_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
