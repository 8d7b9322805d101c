/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as OpenMetrics text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/gate_parent.h"

static char *text;

static int tear_down(void **state)
{
    (void)state;
    free(text);
    text = NULL;
    return 0;
}

static void has(const char *line)
{
    char *found = strstr(text, line);
    if (found == NULL) {
        fail_msg("%s: not in:\n%s", line, text);
        return;
    }
    assert_true(found == text || found[-1] == '\n');
    assert_int_equal(found[strlen(line)], '\n');
}

static void test_metrics_all(void **state)
{
    struct bh_gate_metrics_source source = {
        .guest = "ivi",
        .device = "root",
        .mode = "bounce",
        .counters = {.requests = 5,
                     .bytes_read = 6,
                     .bytes_written = 7,
                     .copied = 8,
                     .limited = 9,
                     .starved = 10,
                     .repeated = 11,
                     .refused = 12,
                     .restarts = 13,
                     .stall_us = 4000,
                     .stall_us_max = 12000001,
                     .latency = {1, 0, 0, 2},
                     .latency_us = 1500000,
                     .in_flight = 14,
                     .arena_used = 15,
                     .state = BH_GATE_REPLACING},
    };
    (void)state;
    source.counters.latency[BH_GATE_LATENCY_BUCKETS - 1u] = 4;
    text = bh_gate_metrics(&source, 1);
    assert_non_null(text);
#define LABELS "guest=\"ivi\",device=\"root\",mode=\"bounce\""
    has("# TYPE bulkhead_gate_requests counter");
    has("bulkhead_gate_requests_total{" LABELS "} 5");
    has("# UNIT bulkhead_gate_bytes bytes");
    has("bulkhead_gate_bytes_total{" LABELS ",direction=\"read\"} 6");
    has("bulkhead_gate_bytes_total{" LABELS ",direction=\"write\"} 7");
    has("bulkhead_gate_copied_bytes_total{" LABELS "} 8");
    has("bulkhead_gate_limited_total{" LABELS "} 9");
    has("bulkhead_gate_starved_total{" LABELS "} 10");
    has("bulkhead_gate_repeated_total{" LABELS "} 11");
    has("bulkhead_gate_refused_total{" LABELS "} 12");
    has("bulkhead_gate_restarts_total{" LABELS "} 13");
    has("# TYPE bulkhead_gate_stall_seconds gauge");
    has("bulkhead_gate_stall_seconds{" LABELS "} 0.004000");
    has("bulkhead_gate_stall_most_seconds{" LABELS "} 12.000001");
    has("bulkhead_gate_in_flight{" LABELS "} 14");
    has("bulkhead_gate_arena_bytes{" LABELS "} 15360");
    has("# TYPE bulkhead_gate_state stateset");
    has("bulkhead_gate_state{" LABELS ",bulkhead_gate_state=\"serving\"} 0");
    has("bulkhead_gate_state{" LABELS ",bulkhead_gate_state=\"replacing\"} 1");
    /* Buckets count all that lies below: bucket n of the ledger is below 2^n microseconds. */
    has("# TYPE bulkhead_gate_latency_seconds histogram");
    has("bulkhead_gate_latency_seconds_bucket{" LABELS ",le=\"0.000001\"} 1");
    has("bulkhead_gate_latency_seconds_bucket{" LABELS ",le=\"0.000004\"} 1");
    has("bulkhead_gate_latency_seconds_bucket{" LABELS ",le=\"0.000008\"} 3");
    has("bulkhead_gate_latency_seconds_bucket{" LABELS ",le=\"4.194304\"} 3");
    has("bulkhead_gate_latency_seconds_bucket{" LABELS ",le=\"+Inf\"} 7");
    has("bulkhead_gate_latency_seconds_sum{" LABELS "} 1.500000");
    has("bulkhead_gate_latency_seconds_count{" LABELS "} 7");
    assert_string_equal(text + strlen(text) - strlen("\n# EOF\n"), "\n# EOF\n");
}

/* A family's samples stand together, whatever the number of devices. */
static void test_metrics_families(void **state)
{
    const struct bh_gate_metrics_source sources[2] = {
        {.guest = "a", .device = "x", .mode = "open"},
        {.guest = "b", .device = "y", .mode = "direct"}};
    (void)state;
    text = bh_gate_metrics(sources, 2);
    assert_non_null(text);
    assert_non_null(
        strstr(text, "bulkhead_gate_requests_total{guest=\"a\",device=\"x\",mode=\"open\"} 0\n"
                     "bulkhead_gate_requests_total{guest=\"b\",device=\"y\",mode=\"direct\"} "
                     "0\n# TYPE bulkhead_gate_bytes counter\n"));
    const char *type = strstr(text, "# TYPE bulkhead_gate_in_flight ");
    assert_non_null(type);
    assert_null(strstr(type + 1, "# TYPE bulkhead_gate_in_flight "));
}

static void test_metrics_none(void **state)
{
    (void)state;
    text = bh_gate_metrics(NULL, 0);
    assert_non_null(text);
    assert_null(strchr(text, '{'));
    assert_non_null(strstr(text, "\n# EOF\n"));
}

static void test_metrics_escaped(void **state)
{
    const struct bh_gate_metrics_source source = {
        .guest = "a\"b\\c\nd", .device = "", .mode = "open"};
    (void)state;
    text = bh_gate_metrics(&source, 1);
    assert_non_null(text);
    has("bulkhead_gate_in_flight{guest=\"a\\\"b\\\\c\\nd\",device=\"\",mode=\"open\"} 0");
}

/* A ledger is not believed: its sums do not wrap. */
static void test_metrics_sums(void **state)
{
    struct bh_gate_metrics_source source = {.guest = "a", .device = "b", .mode = "open"};
    (void)state;
    memset(&source.counters, 0xff, sizeof(source.counters));
    text = bh_gate_metrics(&source, 1);
    assert_non_null(text);
    has("bulkhead_gate_latency_seconds_count{guest=\"a\",device=\"b\",mode=\"open\"} "
        "18446744073709551615");
    has("bulkhead_gate_state{guest=\"a\",device=\"b\",mode=\"open\",bulkhead_gate_state=\"failed\"}"
        " "
        "0");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_metrics_all, tear_down),
        cmocka_unit_test_teardown(test_metrics_families, tear_down),
        cmocka_unit_test_teardown(test_metrics_none, tear_down),
        cmocka_unit_test_teardown(test_metrics_escaped, tear_down),
        cmocka_unit_test_teardown(test_metrics_sums, tear_down),
    };
    return cmocka_run_group_tests_name("gate_metrics", tests, NULL, NULL);
}
