/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device may do in a mode, from a definition to the form of its page; and what two modes have
 * in common: number by number, beside an answer that is worked out the slow way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "engine/rules.h"

#define NUMBERS 64u

static const char definition[] =
    "bulkhead: 1\n"
    "name: rules\n"
    "modes: [drive, workshop]\n"
    "resources:\n"
    "  disk: { type: disk, image: disk.raw }\n"
    "  bus: { type: can, bus: virtual }\n"
    "guests:\n"
    "  ivi:\n"
    "    arch: arm64\n"
    "    memory: 128M\n"
    "    boot: { kernel: Image }\n"
    "    devices:\n"
    "      root: { type: blk, resource: disk }\n"
    "      body: { type: can, resource: bus, optional: true }\n"
    "      terminal: { type: console }\n"
    "policy:\n"
    "  - { guest: ivi, resource: disk, allow: [read] }\n"
    "  - { guest: ivi, resource: disk, allow: [write], modes: [workshop] }\n"
    "  - { guest: ivi, resource: bus, allow: [receive], ids: [0x100-0x1ff] }\n"
    "  - { guest: ivi, resource: bus, allow: [send], ids: [0x123], modes: [workshop] }\n";

static struct bh_platform *platform_read(void)
{
    char path[] = "/tmp/test-rules-XXXXXX";
    struct bh_platform *platform = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, definition, strlen(definition)), (ssize_t)strlen(definition));
    (void)close(fd);
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    int result = bh_platform_read(&platform, path, diagnostics);
    if (result != BH_OK) {
        bh_diagnostics_print(diagnostics, stderr, false);
    }
    assert_int_equal(result, BH_OK);
    bh_diagnostics_destroy(diagnostics);
    (void)unlink(path);
    return platform;
}

static void test_rules_of_a_definition(void **state)
{
    static struct bh_rules rules;
    (void)state;
    struct bh_platform *platform = platform_read();
    const struct bh_guest *guest = &platform->guests[0];
    assert_int_equal(bh_rules_make(&rules, platform, guest, &guest->devices[0], 0), BH_OK);
    assert_int_equal(rules.operations, BH_DISK_READ);
    assert_int_equal(rules.count, 0);
    assert_int_equal(bh_rules_make(&rules, platform, guest, &guest->devices[0], 1), BH_OK);
    assert_int_equal(rules.operations, BH_DISK_READ | BH_DISK_WRITE);
    assert_int_equal(bh_rules_make(&rules, platform, guest, &guest->devices[1], 1), BH_OK);
    assert_int_equal(rules.operations, BH_CAN_RECEIVE | BH_CAN_SEND);
    assert_int_equal(rules.count, 3);
    assert_int_equal(rules.ranges[1].first, 0x123);
    assert_int_equal(rules.ranges[1].last, 0x123);
    assert_int_equal(rules.ranges[1].operations, BH_CAN_RECEIVE | BH_CAN_SEND);
    assert_int_equal(rules.ranges[1].reserved, 0);
    assert_int_equal(bh_rules_make(&rules, platform, guest, &guest->devices[2], 0), BH_OK);
    assert_int_equal(rules.operations, UINT32_MAX);
    bh_platform_destroy(platform);
}

/* ------------------------------------------------------------------------------------------------
 * what two have in common */

/* As filter.h reads a page. */
static uint32_t allowed(const struct bh_rules *rules, uint32_t number)
{
    if (rules->count == 0u) {
        return rules->operations;
    }
    for (uint32_t i = 0; i < rules->count; i++) {
        if (rules->ranges[i].first <= number && number <= rules->ranges[i].last) {
            return rules->ranges[i].operations & rules->operations;
        }
    }
    return 0;
}

static void make_random(struct bh_rules *rules, unsigned int *seed)
{
    uint32_t at = 0;
    *rules = (struct bh_rules){.operations = 0};
    if (rand_r(seed) % 5 == 0) {
        rules->operations = (uint32_t)rand_r(seed) % 4u;
        return;
    }
    while (at < NUMBERS && rules->count < 8u) {
        uint32_t first = at + (uint32_t)rand_r(seed) % 6u;
        uint32_t last = first + (uint32_t)rand_r(seed) % 9u;
        uint32_t operations = 1u + (uint32_t)rand_r(seed) % 3u;
        rules->ranges[rules->count] =
            (struct bh_filter_range){.first = first, .last = last, .operations = operations};
        rules->count++;
        rules->operations |= operations;
        at = last + 1u;
    }
}

static void test_rules_common_number_by_number(void **state)
{
    static struct bh_rules a;
    static struct bh_rules b;
    static struct bh_rules both;
    unsigned int seed = 1;
    (void)state;
    for (uint32_t round = 0; round < 2000u; round++) {
        make_random(&a, &seed);
        make_random(&b, &seed);
        bh_rules_common(&both, &a, &b);
        for (uint32_t number = 0; number < 2u * NUMBERS; number++) {
            assert_int_equal(allowed(&both, number), allowed(&a, number) & allowed(&b, number));
        }
        assert_int_equal(allowed(&both, UINT32_MAX),
                         allowed(&a, UINT32_MAX) & allowed(&b, UINT32_MAX));
        for (uint32_t i = 1; i < both.count; i++) {
            assert_true(both.ranges[i - 1u].last < both.ranges[i].first);
        }
    }
}

/* Nothing in common allows nothing: no ranges would mean every number. */
static void test_rules_common_nothing(void **state)
{
    static struct bh_rules both;
    static const struct bh_rules low = {.operations = 1, .count = 1, .ranges = {{0, 9, 1, 0}}};
    static const struct bh_rules high = {.operations = 1, .count = 1, .ranges = {{10, 19, 1, 0}}};
    (void)state;
    bh_rules_common(&both, &low, &high);
    assert_int_equal(both.operations, 0);
    assert_int_equal(both.count, 0);
}

/* 250 ranges against 250 that lie across their ends: more pieces than a page has room for. */
static void test_rules_common_without_room(void **state)
{
    static struct bh_rules a;
    static struct bh_rules b;
    static struct bh_rules both;
    (void)state;
    a = (struct bh_rules){.operations = 1, .count = BH_FILTER_RANGES_MAX};
    b = a;
    for (uint32_t i = 0; i < BH_FILTER_RANGES_MAX; i++) {
        a.ranges[i] = (struct bh_filter_range){i * 10u, i * 10u + 8u, 1, 0};
        b.ranges[i] = (struct bh_filter_range){i * 10u + 5u, i * 10u + 13u, 1, 0};
    }
    bh_rules_common(&both, &a, &b);
    assert_int_equal(both.operations, 0);
    assert_int_equal(both.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_of_a_definition),
        cmocka_unit_test(test_rules_common_number_by_number),
        cmocka_unit_test(test_rules_common_nothing),
        cmocka_unit_test(test_rules_common_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
