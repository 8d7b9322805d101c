/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which guests start, decided without any process: who may start, who waits for whom
 * and until when, whose turn never comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/order.h"
#include "engine/terminal_await.h"

static struct bh_order order;

static int set_up(void **state)
{
    (void)state;
    memset(&order, 0, sizeof(order));
    return 0;
}

static struct bh_order_guest *guest(uint32_t index, uint32_t priority, uint64_t after)
{
    order.count = index + 1u > order.count ? index + 1u : order.count;
    order.guests[index].priority = priority;
    order.guests[index].after = after;
    return &order.guests[index];
}

static void started(uint32_t index, uint64_t since)
{
    order.guests[index].state = BH_ORDER_STARTED;
    order.guests[index].since = since;
}

static void expect(uint32_t index, enum bh_order_verdict verdict, uint32_t other)
{
    assert_int_equal(order.guests[index].verdict, verdict);
    if (verdict != BH_ORDER_START && verdict != BH_ORDER_NOTHING) {
        assert_int_equal(order.guests[index].other, other);
    }
}

/* ------------------------------------------------------------------------------------------------
 * the order */

static void test_equal_guests_start_together(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < BH_GUESTS_MAX; i++) {
        (void)guest(i, 50, 0);
    }
    assert_int_equal(bh_order_decide(&order, 5), BH_ORDER_NEVER);
    for (uint32_t i = 0; i < BH_GUESTS_MAX; i++) {
        expect(i, BH_ORDER_START, 0);
    }
}

static void test_after(void **state)
{
    (void)state;
    (void)guest(0, 50, 0);
    (void)guest(1, 50, 1u << 0);
    (void)guest(2, 50, 1u << 0 | 1u << 1);
    (void)bh_order_decide(&order, 0);
    expect(0, BH_ORDER_START, 0);
    expect(1, BH_ORDER_AFTER, 0);
    expect(2, BH_ORDER_AFTER, 0);
    started(0, 0);
    (void)bh_order_decide(&order, 1u << 30); /* however long it takes */
    expect(0, BH_ORDER_NOTHING, 0);
    expect(1, BH_ORDER_AFTER, 0);
    order.guests[0].ready = true;
    (void)bh_order_decide(&order, 2);
    expect(1, BH_ORDER_START, 0);
    expect(2, BH_ORDER_AFTER, 1);
    started(1, 2);
    order.guests[1].ready = true;
    (void)bh_order_decide(&order, 2);
    expect(2, BH_ORDER_START, 0);
}

static void test_ready_once_is_ready(void **state)
{
    (void)state;
    guest(0, 50, 0)->state = BH_ORDER_OVER;
    order.guests[0].ready = true;
    (void)guest(1, 50, 1);
    (void)bh_order_decide(&order, 0);
    expect(1, BH_ORDER_START, 0);
}

static void test_never_ready(void **state)
{
    (void)state;
    (void)guest(0, 50, 0);
    guest(1, 50, 0)->state = BH_ORDER_OVER;
    (void)guest(2, 50, 1u << 0 | 1u << 1); /* what never comes counts before what may */
    (void)guest(3, 50, 1u << 2);
    (void)bh_order_decide(&order, 0);
    expect(2, BH_ORDER_IMPOSSIBLE, 1);
    expect(3, BH_ORDER_AFTER, 2);
    order.guests[2].state = BH_ORDER_OVER;
    (void)bh_order_decide(&order, 0);
    expect(3, BH_ORDER_IMPOSSIBLE, 2);
}

static void test_priority(void **state)
{
    (void)state;
    (void)guest(0, 10, 0);
    (void)guest(1, 90, 0);
    (void)guest(2, 50, 0);
    (void)guest(3, 90, 0);
    assert_int_equal(bh_order_decide(&order, 100), BH_ORDER_NEVER);
    expect(0, BH_ORDER_BEHIND, 1);
    expect(1, BH_ORDER_START, 0);
    expect(2, BH_ORDER_BEHIND, 1);
    expect(3, BH_ORDER_START, 0);
    started(1, 100);
    started(3, 200);
    order.guests[1].ready = true;
    assert_int_equal(bh_order_decide(&order, 300), 200 + BH_ORDER_PATIENCE_MS);
    expect(0, BH_ORDER_BEHIND, 3);
    expect(2, BH_ORDER_BEHIND, 3);
    order.guests[3].ready = true;
    (void)bh_order_decide(&order, 300);
    expect(2, BH_ORDER_START, 0);
    expect(0, BH_ORDER_BEHIND, 2);
}

static void test_patience(void **state)
{
    (void)state;
    (void)guest(0, 90, 0);
    (void)guest(1, 50, 0);
    started(0, 1000);
    assert_int_equal(bh_order_decide(&order, 1000 + BH_ORDER_PATIENCE_MS - 1u),
                     1000 + BH_ORDER_PATIENCE_MS);
    expect(1, BH_ORDER_BEHIND, 0);
    assert_int_equal(bh_order_decide(&order, 1000 + BH_ORDER_PATIENCE_MS), BH_ORDER_NEVER);
    expect(1, BH_ORDER_START, 0);
}

static void test_over_holds_nobody_up(void **state)
{
    (void)state;
    guest(0, 90, 0)->state = BH_ORDER_OVER;
    (void)guest(1, 50, 0);
    (void)bh_order_decide(&order, 0);
    expect(1, BH_ORDER_START, 0);
}

/* A guest of high priority that cannot start yet does not keep the processors idle. */
static void test_who_waits_by_after_holds_nobody_up(void **state)
{
    (void)state;
    (void)guest(0, 50, 0);
    (void)guest(1, 90, 1u << 0);
    (void)guest(2, 40, 0);
    started(0, 0);
    order.guests[0].priority = 30;
    (void)bh_order_decide(&order, 0);
    expect(1, BH_ORDER_AFTER, 0);
    expect(2, BH_ORDER_START, 0);
}

/* ------------------------------------------------------------------------------------------------
 * from the definition */

static struct bh_platform *read_platform(const char *guests)
{
    char path[] = "/tmp/bulkhead-order.XXXXXX";
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "bulkhead: 1\nname: test\nguests:\n%s", guests) > 0);
    (void)close(fd);
    int result = bh_platform_read(&platform, path, diagnostics);
    if (result != 0) {
        bh_diagnostics_print(diagnostics, stderr, false);
    }
    (void)unlink(path);
    bh_diagnostics_destroy(diagnostics);
    assert_int_equal(result, 0);
    return platform;
}

#define GUEST "arch: arm64, memory: 128M, boot: { kernel: Image }"

static void test_definition(void **state)
{
    (void)state;
    struct bh_platform *platform =
        read_platform("  low: { " GUEST ", priority: 10 }\n"
                      "  store: { " GUEST ", priority: 5 }\n"
                      "  bus: { " GUEST ", priority: 95, after: [store] }\n"
                      "  cluster: { " GUEST ", priority: 90, after: [bus, store] }\n");
    bh_order_init(&order, platform);
    bh_platform_destroy(platform);
    assert_int_equal(order.count, 4);
    assert_int_equal(order.guests[3].after, 1u << 1 | 1u << 2);
    assert_int_equal(order.guests[0].priority, 10);
    assert_int_equal(order.guests[1].priority, 95); /* inherited */
    assert_int_equal(order.guests[3].priority, 90);
    (void)bh_order_decide(&order, 0);
    expect(1, BH_ORDER_START, 0);
    expect(0, BH_ORDER_BEHIND, 1);
}

/* A chain in the wrong order: each step of it inherits from the next. */
static void test_definition_chain(void **state)
{
    (void)state;
    struct bh_platform *platform = read_platform("  a: { " GUEST ", priority: 1 }\n"
                                                 "  b: { " GUEST ", priority: 1, after: [a] }\n"
                                                 "  c: { " GUEST ", priority: 1, after: [b] }\n"
                                                 "  d: { " GUEST ", priority: 70, after: [c] }\n");
    bh_order_init(&order, platform);
    bh_platform_destroy(platform);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(order.guests[i].priority, 70);
    }
}

/* ------------------------------------------------------------------------------------------------
 * a message, for which somebody waits */

static void test_await(void **state)
{
    (void)state;
    struct bh_await await;
    bh_await_init(&await, "cluster: ready");
    assert_false(bh_await_line(&await, "cluster: rea", false));
    assert_false(bh_await_line(&await, "dy", false));
    assert_false(bh_await_line(&await, "", false));
    assert_true(bh_await_line(&await, "[ 1.2] cluster: ready, boot 3", false));
    assert_false(bh_await_line(&await, "cluster: ready", false)); /* once */
}

static void test_await_in_pieces(void **state)
{
    (void)state;
    char whole[BH_LINE_BYTES_MAX + 1u];
    struct bh_await await;
    bh_await_init(&await, "abab!");
    assert_false(bh_await_line(&await, "ab", true));
    assert_false(bh_await_line(&await, "a", true));
    assert_false(bh_await_line(&await, "", true));
    assert_false(bh_await_line(&await, "bab", true));
    assert_true(bh_await_line(&await, "!", true));
    /* Between two pieces of full length. */
    memset(whole, 'a', sizeof(whole) - 1u);
    whole[sizeof(whole) - 1u] = '\0';
    memcpy(whole + sizeof(whole) - 5u, "abab", 4);
    bh_await_init(&await, "abab!");
    for (int i = 0; i < 8; i++) {
        assert_false(bh_await_line(&await, whole, true));
    }
    assert_true(bh_await_line(&await, "!", false));
}

static void test_await_nothing(void **state)
{
    (void)state;
    char text[BH_AWAIT_BYTES_MAX + 2u];
    struct bh_await await;
    bh_await_init(&await, NULL);
    assert_false(bh_await_line(&await, "anything", false));
    memset(text, 'x', sizeof(text) - 1u);
    text[sizeof(text) - 1u] = '\0';
    bh_await_init(&await, text);
    assert_false(bh_await_line(&await, text, false));
    bh_await_init(&await, text + 1);
    assert_true(bh_await_line(&await, text, false));
}

#define CASE(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_equal_guests_start_together),
        CASE(test_after),
        CASE(test_ready_once_is_ready),
        CASE(test_never_ready),
        CASE(test_priority),
        CASE(test_patience),
        CASE(test_over_holds_nobody_up),
        CASE(test_who_waits_by_after_holds_nobody_up),
        CASE(test_definition),
        CASE(test_definition_chain),
        CASE(test_await),
        CASE(test_await_in_pieces),
        CASE(test_await_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
