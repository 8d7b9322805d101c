/* SPDX-License-Identifier: BSD-2-Clause */
/* How often, and how soon, something is started again. And the gate's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bulkhead/gate_parent.h"

#define START 1000000u

static struct bh_restarts restarts;
static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    memset(&restarts, 0, sizeof(restarts));
    now = START;
    return 0;
}

static void allowed(uint64_t per_minute, uint64_t wait)
{
    uint64_t wait_ms = UINT64_MAX;
    assert_true(bh_restarts_allow(&restarts, now, per_minute, &wait_ms));
    assert_int_equal(wait_ms, wait);
    now += wait_ms;
}

static void refused(uint64_t per_minute)
{
    uint64_t wait_ms = UINT64_MAX;
    assert_false(bh_restarts_allow(&restarts, now, per_minute, &wait_ms));
    assert_int_equal(wait_ms, 0);
}

/* One that dies at once: three times without waiting, then ever later, up to a second. */
static void test_restarts_wait(void **state)
{
    static const uint64_t waits[] = {0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        allowed(0, waits[i]);
        now += 5;
    }
}

/* One that served for a quarter of a second has not died at once, however often it does. */
static void test_restarts_wait_ends(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6u; i++) {
        allowed(0, i < 3u ? 0u : 10u << (i - 3u));
        now += 249;
    }
    now += 1;
    for (uint32_t i = 0; i < 100u; i++) {
        allowed(0, 0);
        now += 250;
    }
}

static void test_restarts_limit(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5u; i++) {
        allowed(5, 0);
        now += 1000;
    }
    refused(5);
    refused(5);
    now = START + 59999u; /* the first is not a minute ago */
    refused(5);
    now++;
    allowed(5, 0);
    refused(5);
    now = START + 61000u; /* the second */
    allowed(5, 0);
    refused(5);
}

static void test_restarts_one(void **state)
{
    (void)state;
    allowed(1, 0);
    now += 30000;
    refused(1);
    now += 30000;
    allowed(1, 0);
}

/* As many as are remembered, and one more. */
static void test_restarts_remembered(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 64u; i++) {
        allowed(64, 0);
        now += 500;
    }
    refused(64);
    now = START + 60000u;
    allowed(64, 0);
    refused(64);
}

/* Beyond that it is a rate: 640 a minute is 64 in 6 seconds. */
static void test_restarts_rate(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 64u; i++) {
        uint64_t wait_ms;
        assert_true(bh_restarts_allow(&restarts, now, 640, &wait_ms));
        now += 90;
    }
    refused(640); /* 64 * 90 ms: too fast */
    now = START + 6000u;
    uint64_t wait_ms;
    assert_true(bh_restarts_allow(&restarts, now, 640, &wait_ms));
    refused(640);
}

static void test_restarts_no_limit(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 1000u; i++) {
        allowed(0, 0);
        now += 300;
    }
}

static void test_reasons(void **state)
{
    (void)state;
    for (uint32_t reason = 0; reason < BH_GATE_REASONS; reason++) {
        assert_non_null(bh_gate_reason_name(reason));
        assert_true(strlen(bh_gate_reason_text(reason)) > 10u);
        for (uint32_t other = 0; other < reason; other++) {
            assert_string_not_equal(bh_gate_reason_name(reason), bh_gate_reason_name(other));
        }
    }
    assert_string_equal(bh_gate_reason_name(BH_GATE_BACK_LIED), "back-end-lied");
    assert_string_equal(bh_gate_reason_name(BH_GATE_ADOPTED), "adopted");
    assert_string_equal(bh_gate_reason_name(BH_GATE_REASONS), "unknown");
    assert_non_null(bh_gate_reason_text(UINT32_MAX));
    assert_string_equal(bh_gate_state_name(BH_GATE_REPLACING), "replacing");
    assert_string_equal(bh_gate_state_name(BH_GATE_FAILED + 1u), "unknown");
    assert_string_equal(bh_gate_mode_name(BH_GATE_DIRECT), "direct");
    assert_string_equal(bh_gate_mode_name(BH_GATE_OPEN), "open");
    assert_string_equal(bh_gate_mode_name(BH_GATE_OPEN + 1u), "unknown");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_restarts_wait, set_up),
        cmocka_unit_test_setup(test_restarts_wait_ends, set_up),
        cmocka_unit_test_setup(test_restarts_limit, set_up),
        cmocka_unit_test_setup(test_restarts_one, set_up),
        cmocka_unit_test_setup(test_restarts_remembered, set_up),
        cmocka_unit_test_setup(test_restarts_rate, set_up),
        cmocka_unit_test_setup(test_restarts_no_limit, set_up),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests_name("gate_restarts", tests, NULL, NULL);
}
