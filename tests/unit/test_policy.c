/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the lines of a policy come to: the table of operations, and allowances against a model that
 * asks line by line for every number of a small universe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "flow_rig.h"

#define UNIVERSE 24u   /* numbers that random lines are about; beyond it they are alike */
#define ROUNDS   3000u /* random policies */

/* ------------------------------------------------------------------------------------ the table */

static void test_table(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < BH_RESOURCE_TYPES; type++) {
        const struct bh_operation *operation;
        uint32_t seen = 0;
        uint32_t gets = 0;
        size_t count = 0;

        for (; (operation = bh_operation_at(type, count)) != NULL; count++) {
            uint32_t bit = 0;

            assert_int_equal(1, __builtin_popcount(operation->bit));
            assert_int_equal(0, seen & operation->bit);
            seen |= operation->bit;
            gets |= (operation->flows & BH_FLOW_TO_GUEST) != 0 ? operation->bit : 0u;
            assert_true(bh_operation_find(type, operation->word, &bit));
            assert_int_equal(operation->bit, bit);
            assert_ptr_equal(operation->word, bh_operation_word(&type, count));
            assert_true(strlen(operation->doc) > 3);
            assert_int_equal(operation->rights, bh_policy_rights(type, operation->bit));
        }
        assert_true(count > 0);
        assert_null(bh_operation_word(&type, count));
        for (size_t i = 0; (operation = bh_operation_at(type, i)) != NULL; i++) {
            /* What is reached gives data to a guest; what reaches sends some; what sends needs a
             * descriptor that may be written to. */
            assert_int_equal(operation->reaches, operation->reaches & gets);
            assert_true(operation->reaches == 0 || (operation->flows & BH_FLOW_TO_RESOURCE) != 0);
            assert_true((operation->flows & BH_FLOW_TO_RESOURCE) == 0 ||
                        (operation->rights & BH_RIGHT_WRITE) != 0);
        }
    }
    assert_null(bh_operation_at(BH_RESOURCE_NONE, 0));
    assert_int_equal(BH_NUMBERS_NONE, bh_resource_numbers(BH_RESOURCE_NONE));
}

static void test_words(void **state)
{
    uint32_t bit = 0;
    char text[64];

    (void)state;
    assert_false(bh_operation_find(BH_RESOURCE_CAN, "write", &bit));
    assert_false(bh_operation_find(BH_RESOURCE_NONE, "read", &bit));
    bh_operations_text(BH_RESOURCE_DISK, BH_DISK_WRITE | BH_DISK_READ, text, sizeof(text));
    assert_string_equal("read, write", text);
    bh_operations_text(BH_RESOURCE_DISK, 0, text, sizeof(text));
    assert_string_equal("nothing", text);
    bh_operations_text(BH_RESOURCE_DISK, UINT32_MAX, text, 12);
    assert_string_equal("read, write", text);
    bh_numbers_text(BH_NUMBERS_IDS, 0x100, 0x1ff, text, sizeof(text));
    assert_string_equal("ids 0x100-0x1ff", text);
    bh_numbers_text(BH_NUMBERS_LINES, 7, 7, text, sizeof(text));
    assert_string_equal("line 7", text);
    bh_numbers_text(BH_NUMBERS_LINES, 0, UINT32_MAX, text, sizeof(text));
    assert_string_equal("", text);
    bh_numbers_text(BH_NUMBERS_NONE, 3, 4, text, sizeof(text));
    assert_string_equal("", text);
}

static void test_rights(void **state)
{
    (void)state;
    assert_int_equal(BH_RIGHT_READ, bh_policy_rights(BH_RESOURCE_DISK, BH_DISK_READ));
    assert_int_equal(BH_RIGHT_READ,
                     bh_policy_rights(BH_RESOURCE_DISK, BH_DISK_READ | BH_DISK_FLUSH));
    assert_int_equal(BH_RIGHT_WRITE, bh_policy_rights(BH_RESOURCE_DISK, BH_DISK_DISCARD));
    assert_int_equal(BH_RIGHT_READ | BH_RIGHT_WRITE,
                     bh_policy_rights(BH_RESOURCE_DISK, BH_DISK_READ | BH_DISK_ERASE));
    assert_int_equal(0, bh_policy_rights(BH_RESOURCE_DISK, 0));
}

/* ---------------------------------------------------------------------------------- allowances */

struct fixture {
    struct rig *rig;
    struct bh_guest *guest;
    struct bh_resource *resource;
    struct bh_device_definition *device;
    struct bh_allowance allowance;
};

static void begin(struct fixture *fixture, uint32_t type, uint32_t modes)
{
    struct rig *rig = rig_create(modes);

    fixture->rig = rig;
    fixture->guest = rig_guest(rig, "ivi");
    fixture->resource = rig_resource(rig, "thing", type);
    fixture->device = rig_device(rig, fixture->guest, "dev", fixture->resource);
}

static int make(struct fixture *fixture, uint32_t mode)
{
    rig_done(fixture->rig);
    return bh_allowance_make(&fixture->allowance, &fixture->rig->platform, fixture->guest,
                             fixture->device, mode);
}

static struct bh_policy_line *line(struct fixture *fixture, uint32_t allows, uint32_t denies,
                                   uint32_t modes)
{
    return rig_line(fixture->rig, fixture->guest, fixture->resource, allows, denies, modes);
}

static void assert_range(const struct fixture *fixture, uint32_t index, uint32_t first,
                         uint32_t last, uint32_t operations)
{
    assert_true(index < fixture->allowance.range_count);
    assert_int_equal(first, fixture->allowance.ranges[index].first);
    assert_int_equal(last, fixture->allowance.ranges[index].last);
    assert_int_equal(operations, fixture->allowance.ranges[index].operations);
}

static void test_nothing(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, BH_RESOURCE_CAN, 1);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(0, fixture.allowance.operations);
    assert_int_equal(0, fixture.allowance.range_count);
    assert_int_equal(0, bh_policy_operations(&fixture.rig->platform, fixture.guest,
                                             fixture.resource, BH_MODES_ALL));
    /* A console has no resource: nothing stands between the guest and its terminal. */
    fixture.device->uses = NULL;
    assert_int_equal(BH_OK, bh_allowance_make(&fixture.allowance, &fixture.rig->platform,
                                              fixture.guest, fixture.device, 0));
    assert_int_equal(UINT32_MAX, fixture.allowance.operations);
    assert_int_equal(0, fixture.allowance.range_count);
    rig_destroy(fixture.rig);
}

static void test_ranges(void **state)
{
    struct fixture fixture;
    struct bh_policy_line *receive;

    (void)state;
    begin(&fixture, BH_RESOURCE_CAN, 1);
    receive = line(&fixture, BH_CAN_RECEIVE, 0, RIG_EVERY);
    rig_numbers(fixture.rig, receive, 0x200, 0x2ff);
    rig_numbers(fixture.rig, receive, 0x100, 0x1ff); /* unsorted, and it touches the first */
    rig_numbers(fixture.rig, line(&fixture, BH_CAN_SEND, 0, RIG_EVERY), 0x1f0, 0x1ff);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(3, fixture.allowance.range_count);
    assert_range(&fixture, 0, 0x100, 0x1ef, BH_CAN_RECEIVE);
    assert_range(&fixture, 1, 0x1f0, 0x1ff, BH_CAN_RECEIVE | BH_CAN_SEND);
    assert_range(&fixture, 2, 0x200, 0x2ff, BH_CAN_RECEIVE);
    assert_int_equal(BH_CAN_RECEIVE | BH_CAN_SEND, fixture.allowance.operations);

    /* A deny with numbers takes away these; wherever it stands. */
    rig_numbers(fixture.rig, line(&fixture, 0, BH_CAN_RECEIVE, RIG_EVERY), 0x180, 0x2ff);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(2, fixture.allowance.range_count);
    assert_range(&fixture, 0, 0x100, 0x17f, BH_CAN_RECEIVE);
    assert_range(&fixture, 1, 0x1f0, 0x1ff, BH_CAN_SEND);

    /* One without takes away all. */
    (void)line(&fixture, 0, BH_CAN_RECEIVE, RIG_EVERY);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(1, fixture.allowance.range_count);
    assert_int_equal(BH_CAN_SEND, fixture.allowance.operations);
    rig_destroy(fixture.rig);
}

/* Numbers up to the last that there is. */
static void test_all_numbers(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, BH_RESOURCE_SOCKETS, 1);
    (void)line(&fixture, BH_SOCKET_CONNECT, 0, RIG_EVERY);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(0, fixture.allowance.range_count);
    assert_int_equal(BH_SOCKET_CONNECT, fixture.allowance.operations);

    rig_numbers(fixture.rig, line(&fixture, 0, BH_SOCKET_CONNECT, RIG_EVERY), 10, 10);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(2, fixture.allowance.range_count);
    assert_range(&fixture, 0, 0, 9, BH_SOCKET_CONNECT);
    assert_range(&fixture, 1, 11, UINT32_MAX, BH_SOCKET_CONNECT);

    /* Everything twice is everything. */
    rig_numbers(fixture.rig, line(&fixture, BH_SOCKET_LISTEN, 0, RIG_EVERY), 0, UINT32_MAX);
    fixture.rig->platform.policy[1].denies = 0;
    (void)line(&fixture, BH_SOCKET_CONNECT | BH_SOCKET_LISTEN, 0, RIG_EVERY);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(0, fixture.allowance.range_count);
    rig_destroy(fixture.rig);
}

/* A type without numbers looks at none, whatever the line has. */
static void test_no_numbers(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, BH_RESOURCE_DISK, 1);
    (void)line(&fixture, BH_DISK_READ | BH_DISK_WRITE, 0, RIG_EVERY);
    (void)line(&fixture, BH_DISK_FLUSH, BH_DISK_WRITE, RIG_EVERY);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(BH_DISK_READ | BH_DISK_FLUSH, fixture.allowance.operations);
    assert_int_equal(0, fixture.allowance.range_count);
    rig_destroy(fixture.rig);
}

static void test_read_only(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, BH_RESOURCE_DISK, 1);
    (void)line(&fixture, UINT32_MAX, 0, RIG_EVERY);
    fixture.resource->read_only.value = true;
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(BH_DISK_READ | BH_DISK_FLUSH | BH_DISK_LIFETIME, fixture.allowance.operations);
    assert_int_equal(BH_RIGHT_READ,
                     bh_policy_rights(BH_RESOURCE_DISK, fixture.allowance.operations));
    rig_destroy(fixture.rig);
}

/* A deny of one mode takes nothing from another. */
static void test_modes(void **state)
{
    struct fixture fixture;
    const struct bh_platform *platform;

    (void)state;
    begin(&fixture, BH_RESOURCE_DISK, 3);
    platform = &fixture.rig->platform;
    (void)line(&fixture, BH_DISK_READ, 0, RIG_EVERY);
    (void)line(&fixture, BH_DISK_WRITE, 0, 1u << 1 | 1u << 2);
    (void)line(&fixture, 0, BH_DISK_WRITE | BH_DISK_READ, 1u << 2);
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(BH_DISK_READ, fixture.allowance.operations);
    assert_int_equal(BH_OK, make(&fixture, 1));
    assert_int_equal(BH_DISK_READ | BH_DISK_WRITE, fixture.allowance.operations);
    assert_int_equal(BH_OK, make(&fixture, 2));
    assert_int_equal(0, fixture.allowance.operations);
    assert_int_equal(BH_DISK_READ | BH_DISK_WRITE,
                     bh_policy_operations(platform, fixture.guest, fixture.resource, BH_MODES_ALL));
    assert_int_equal(BH_DISK_READ,
                     bh_policy_operations(platform, fixture.guest, fixture.resource, 0));
    assert_int_equal(0, bh_policy_operations(platform, fixture.guest, fixture.resource, 3));
    rig_destroy(fixture.rig);
}

static void test_limits(void **state)
{
    struct fixture fixture;
    struct bh_policy_line *always;
    struct bh_policy_line *driving;

    (void)state;
    begin(&fixture, BH_RESOURCE_DISK, 2);
    fixture.device->limits.bytes.value = 500;
    fixture.device->limits.restarts.value = 3;
    always = line(&fixture, BH_DISK_READ, 0, RIG_EVERY);
    driving = line(&fixture, BH_DISK_WRITE, 0, 1u << 1);
    always->limits.operations.value = 100;
    always->limits.bytes.value = 900;
    driving->limits.operations.value = 10;
    driving->limits.bytes.value = 400;
    driving->limits.deadline.value = 50;
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(100, fixture.allowance.operations_per_second);
    assert_int_equal(500, fixture.allowance.bytes_per_second);
    assert_int_equal(BH_DEADLINE_MS, fixture.allowance.deadline_ms); /* nothing else is written */
    assert_int_equal(3, fixture.allowance.restarts_per_minute);
    assert_int_equal(BH_OK, make(&fixture, 1));
    assert_int_equal(10, fixture.allowance.operations_per_second);
    assert_int_equal(400, fixture.allowance.bytes_per_second);
    assert_int_equal(50, fixture.allowance.deadline_ms);
    rig_destroy(fixture.rig);
}

/* What holds where nothing is written: nobody waits for ever for a disk whose requests the gate sees,
 * and no back end is started again for ever. */
static void test_limits_otherwise(void **state)
{
    static const struct {
        enum bh_device_type type;
        enum bh_isolation isolation;
        uint64_t deadline;
        uint64_t restarts;
    } cases[] = {
        {BH_DEVICE_BLK, BH_ISOLATION_SHADOW, BH_DEADLINE_MS, BH_RESTARTS},
        {BH_DEVICE_FS, BH_ISOLATION_BOUNCE, BH_DEADLINE_MS, BH_RESTARTS},
        {BH_DEVICE_BLK, BH_ISOLATION_DIRECT, 0, BH_RESTARTS},
        {BH_DEVICE_BLK, BH_ISOLATION_OPEN, 0, BH_RESTARTS},
        {BH_DEVICE_CONSOLE, BH_ISOLATION_SHADOW, 0, BH_RESTARTS},
        {BH_DEVICE_INPUT, BH_ISOLATION_BOUNCE, 0, BH_RESTARTS},
        {BH_DEVICE_PASSTHROUGH, BH_ISOLATION_SHADOW, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;

        begin(&fixture, BH_RESOURCE_DISK, 1);
        fixture.device->type.value = cases[i].type;
        fixture.device->isolation.value = cases[i].isolation;
        assert_int_equal(BH_OK, make(&fixture, 0));
        assert_int_equal(cases[i].deadline, fixture.allowance.deadline_ms);
        assert_int_equal(cases[i].restarts, fixture.allowance.restarts_per_minute);
        assert_int_equal(0, fixture.allowance.operations_per_second);
        fixture.device->uses = NULL;
        assert_int_equal(BH_OK, make(&fixture, 0));
        assert_int_equal(cases[i].restarts, fixture.allowance.restarts_per_minute);
        fixture.device->uses = fixture.resource;
        rig_destroy(fixture.rig);
    }
}

/* As many ranges as a filter holds, then one more. */
static void test_too_many_ranges(void **state)
{
    struct fixture fixture;
    struct bh_policy_line *last = NULL;

    (void)state;
    begin(&fixture, BH_RESOURCE_CAN, 1);
    for (uint32_t i = 0; i < BH_ALLOWANCE_RANGES_MAX; i++) {
        if (i % BH_RANGES_MAX == 0) {
            last = line(&fixture, BH_CAN_SEND, 0, RIG_EVERY);
        }
        rig_numbers(fixture.rig, last, 2 * i, 2 * i);
    }
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(BH_ALLOWANCE_RANGES_MAX, fixture.allowance.range_count);
    rig_numbers(fixture.rig, last, 10000, 10000);
    assert_int_equal(BH_LIMIT, make(&fixture, 0));
    assert_int_equal(0, fixture.allowance.operations);
    assert_int_equal(0, fixture.allowance.range_count);
    rig_destroy(fixture.rig);
}

/* Many ranges that come to one, up to what may be written. */
static void test_too_much_written(void **state)
{
    struct fixture fixture;
    struct bh_policy_line *last = NULL;

    (void)state;
    begin(&fixture, BH_RESOURCE_CAN, 1);
    for (uint32_t i = 0; i < BH_POLICY_RANGES_MAX; i++) {
        if (i % BH_RANGES_MAX == 0) {
            last = line(&fixture, BH_CAN_SEND, 0, RIG_EVERY);
        }
        rig_numbers(fixture.rig, last, i, i);
    }
    assert_int_equal(BH_OK, make(&fixture, 0));
    assert_int_equal(1, fixture.allowance.range_count);
    assert_range(&fixture, 0, 0, BH_POLICY_RANGES_MAX - 1, BH_CAN_SEND);
    (void)line(&fixture, BH_CAN_SEND, 0, RIG_EVERY);
    assert_int_equal(BH_LIMIT, make(&fixture, 0));
    assert_int_equal(0, fixture.allowance.operations);
    rig_destroy(fixture.rig);
}

/* ---------------------------------------------------------------------------------- the model */

static const uint32_t model_types[] = {BH_RESOURCE_CAN, BH_RESOURCE_GPIO, BH_RESOURCE_KEYS,
                                       BH_RESOURCE_SENSORS, BH_RESOURCE_DISK};

/* Whether a line holds for a number: what the page of the policy says, word for word. */
static bool model_holds(const struct bh_policy_line *of, uint32_t mode, uint32_t number)
{
    enum bh_number_kind kind = bh_resource_numbers(of->to->type.value);

    if ((of->mode_mask >> mode & 1u) == 0) {
        return false;
    }
    if (kind == BH_NUMBERS_NONE || of->numbers[kind].count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < of->numbers[kind].count; i++) {
        if (number >= of->numbers[kind].ranges[i].first &&
            number <= of->numbers[kind].ranges[i].last) {
            return true;
        }
    }
    return false;
}

static uint32_t model(const struct fixture *fixture, uint32_t mode, uint32_t number)
{
    const struct bh_platform *platform = &fixture->rig->platform;
    uint32_t allowed = 0;
    uint32_t denied = 0;

    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *of = &platform->policy[i];

        if (of->of == fixture->guest && of->to == fixture->resource &&
            model_holds(of, mode, number)) {
            allowed |= of->allows;
            denied |= of->denies;
        }
    }
    return allowed & ~denied;
}

/* What an allowance says for a number, as a filter reads it. */
static uint32_t allowed_for(const struct bh_allowance *allowance, uint32_t number)
{
    for (uint32_t i = 0; i < allowance->range_count; i++) {
        if (allowance->ranges[i].first <= number && number <= allowance->ranges[i].last) {
            return allowance->ranges[i].operations & allowance->operations;
        }
    }
    return allowance->range_count == 0 ? allowance->operations : 0;
}

static uint32_t some_operations(struct fixture *fixture, uint32_t type)
{
    uint32_t mask = 0;
    const struct bh_operation *operation;

    for (size_t i = 0; (operation = bh_operation_at(type, i)) != NULL; i++) {
        mask |= rig_below(fixture->rig, 2) != 0 ? operation->bit : 0u;
    }
    return mask;
}

static void add_random_line(struct fixture *fixture, struct bh_guest *guest,
                            struct bh_resource *resource)
{
    struct rig *rig = fixture->rig;
    uint32_t type = resource->type.value;
    bool denies = rig_below(rig, 4) == 0;
    uint32_t operations = some_operations(fixture, type);
    struct bh_policy_line *added = rig_line(rig, guest, resource, denies ? 0 : operations,
                                            denies ? operations : 0, 1u + rig_below(rig, 7));

    for (uint32_t i = rig_below(rig, 4); i > 0 && bh_resource_numbers(type) != BH_NUMBERS_NONE;
         i--) {
        uint32_t first = rig_below(rig, UNIVERSE);
        uint32_t length = rig_below(rig, 6);

        /* The universe's last number stands for all up to the last that there is. */
        rig_numbers(rig, added, first,
                    first + length >= UNIVERSE - 1 ? UINT32_MAX : first + length);
    }
}

static void check_form(const struct bh_allowance *allowance)
{
    uint32_t operations = 0;

    for (uint32_t i = 0; i < allowance->range_count; i++) {
        const struct bh_allowed_range *range = &allowance->ranges[i];
        const struct bh_allowed_range *before = i == 0 ? NULL : range - 1;

        assert_true(range->first <= range->last);
        assert_int_not_equal(0, range->operations);
        assert_true(before == NULL || before->last < range->first);
        assert_false(before != NULL && before->last + 1 == range->first &&
                     before->operations == range->operations);
        operations |= range->operations;
    }
    if (allowance->range_count != 0) {
        assert_int_equal(operations, allowance->operations);
        assert_false(allowance->range_count == 1 && allowance->ranges[0].first == 0 &&
                     allowance->ranges[0].last == UINT32_MAX);
    }
}

static void check_against_model(struct fixture *fixture)
{
    const struct bh_platform *platform = &fixture->rig->platform;
    uint32_t ever = 0;

    for (uint32_t mode = 0; mode < platform->modes.count; mode++) {
        uint32_t some = 0;

        assert_int_equal(BH_OK, make(fixture, mode));
        check_form(&fixture->allowance);
        for (uint32_t number = 0; number < UNIVERSE; number++) {
            uint32_t probe = number == UNIVERSE - 1 ? UINT32_MAX : number;
            uint32_t expected = model(fixture, mode, probe);

            some |= expected;
            assert_int_equal(expected, allowed_for(&fixture->allowance, probe));
            assert_int_equal(expected, bh_policy_operations_for(platform, fixture->guest,
                                                                fixture->resource, mode, probe));
        }
        assert_int_equal(some, fixture->allowance.operations);
        assert_int_equal(some,
                         bh_policy_operations(platform, fixture->guest, fixture->resource, mode));
        ever |= some;
    }
    assert_int_equal(
        ever, bh_policy_operations(platform, fixture->guest, fixture->resource, BH_MODES_ALL));
}

static void test_random(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t type = model_types[round % (sizeof(model_types) / sizeof(model_types[0]))];
        struct fixture fixture;
        struct bh_guest *other;
        struct bh_resource *another;

        begin(&fixture, type, 3);
        fixture.rig->random = round + 1;
        other = rig_guest(fixture.rig, "other");
        another = rig_resource(fixture.rig, "another", type);
        for (uint32_t lines = rig_below(fixture.rig, 9); lines > 0; lines--) {
            uint32_t whose = rig_below(fixture.rig, 6);

            /* Lines of others are in between, and mean nothing here. */
            add_random_line(&fixture, whose == 0 ? other : fixture.guest,
                            whose == 1 ? another : fixture.resource);
        }
        check_against_model(&fixture);
        rig_destroy(fixture.rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_rights),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_all_numbers),
        cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_limits_otherwise),
        cmocka_unit_test(test_too_many_ranges),
        cmocka_unit_test(test_too_much_written),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
