/* SPDX-License-Identifier: BSD-2-Clause */
/* A change of the vehicle mode: which pages are written, with what, and in which order. The loop
 * does not run, and no back end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "engine/supervisor.h"

#define WRITES_MAX 32u

static const char definition[] =
    "bulkhead: 1\n"
    "name: modes\n"
    "modes: [drive, park, workshop]\n"
    "resources:\n"
    "  logs: { type: disk, image: logs.raw }\n"
    "  maps: { type: disk, image: maps.raw }\n"
    "guests:\n"
    "  ivi:\n"
    "    arch: arm64\n"
    "    memory: 128M\n"
    "    boot: { kernel: Image }\n"
    "    devices:\n"
    "      logs: { type: blk, resource: logs }\n"
    "      maps: { type: blk, resource: maps }\n"
    "      terminal: { type: console }\n"
    "policy:\n"
    "  - { guest: ivi, resource: logs, allow: [read] }\n"
    "  - { guest: ivi, resource: logs, allow: [write], modes: [drive] }\n"
    "  - { guest: ivi, resource: maps, allow: [read] }\n"
    "  - { guest: ivi, resource: maps, allow: [write], modes: [workshop] }\n";

/* A page that was written. */
struct write_seen {
    const struct bh_filter_writer *writer;
    uint32_t operations;
};

static struct {
    struct bh_platform *platform;
    struct bh_supervisor supervisor;
    struct bh_supervised guest;
    struct bh_backend backends[3];
    FILE *output;
    struct write_seen writes[WRITES_MAX];
    uint32_t count;
} rig;

int __real_bh_filter_set(struct bh_filter_writer *writer, uint32_t operations,
                         const struct bh_filter_range *ranges, uint32_t range_count);
int __wrap_bh_filter_set(struct bh_filter_writer *writer, uint32_t operations,
                         const struct bh_filter_range *ranges, uint32_t range_count);
int __wrap_bh_filter_set(struct bh_filter_writer *writer, uint32_t operations,
                         const struct bh_filter_range *ranges, uint32_t range_count)
{
    assert_true(rig.count < WRITES_MAX);
    rig.writes[rig.count] = (struct write_seen){writer, operations};
    rig.count++;
    return __real_bh_filter_set(writer, operations, ranges, range_count);
}

static struct bh_platform *platform_read(void)
{
    char path[] = "/tmp/test-mode-XXXXXX";
    struct bh_platform *platform = NULL;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, definition, strlen(definition)), (ssize_t)strlen(definition));
    (void)close(fd);
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    assert_int_equal(bh_platform_read(&platform, path, diagnostics), BH_OK);
    bh_diagnostics_destroy(diagnostics);
    (void)unlink(path);
    return platform;
}

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.platform = platform_read();
    rig.output = tmpfile();
    rig.supervisor =
        (struct bh_supervisor){.platform = rig.platform, .guests = &rig.guest, .audit = {.fd = -1}};
    rig.guest.supervisor = &rig.supervisor;
    rig.guest.guest = &rig.platform->guests[0];
    rig.guest.backends = rig.backends;
    assert_int_equal(bh_loop_init(&rig.supervisor.loop), BH_OK);
    assert_int_equal(
        bh_output_init(&rig.supervisor.output, &rig.supervisor.loop.poller, rig.output, false),
        BH_OK);
    for (uint32_t i = 0; i < 3; i++) {
        rig.backends[i].device = &rig.platform->guests[0].devices[i];
        if (rig.backends[i].device->uses != NULL) {
            assert_int_equal(bh_supervised_make_page(&rig.guest, &rig.backends[i]), BH_OK);
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        bh_filter_close(&rig.backends[i].filter);
    }
    bh_output_finish(&rig.supervisor.output);
    bh_loop_finish(&rig.supervisor.loop);
    (void)fclose(rig.output);
    bh_platform_destroy(rig.platform);
    return 0;
}

static int mode_ask(const char *wanted, struct bh_control_modes *modes)
{
    const struct bh_control_who who = {.pid = getpid(), .uid = geteuid()};
    const char *why = NULL;
    rig.count = 0;
    int result = bh_supervisor_mode_asked(&rig.supervisor, &who, wanted, modes, &why);
    assert_true((result == BH_OK) == (why == NULL));
    return result;
}

static void expect_write(uint32_t index, uint32_t device, uint32_t operations)
{
    assert_true(index < rig.count);
    assert_ptr_equal(rig.writes[index].writer, &rig.backends[device].filter);
    assert_int_equal(rig.writes[index].operations, operations);
}

static uint32_t page(uint32_t device)
{
    return rig.backends[device].filter.page->operations;
}

static void test_mode_at_the_start(void **state)
{
    (void)state;
    assert_string_equal(bh_supervisor_mode(&rig.supervisor), "drive");
    assert_int_equal(page(0), BH_DISK_READ | BH_DISK_WRITE);
    assert_int_equal(page(1), BH_DISK_READ);
    assert_null(rig.backends[2].filter.page);
}

/* First nobody has more than both modes allow, then each has what the new one allows. */
static void test_mode_takes_away_before_it_gives(void **state)
{
    struct bh_control_modes modes;
    (void)state;
    assert_int_equal(mode_ask("workshop", &modes), BH_OK);
    assert_int_equal(rig.count, 4);
    expect_write(0, 0, BH_DISK_READ);
    expect_write(1, 1, BH_DISK_READ);
    expect_write(2, 0, BH_DISK_READ);
    expect_write(3, 1, BH_DISK_READ | BH_DISK_WRITE);
    assert_int_equal(page(0), BH_DISK_READ);
    assert_int_equal(page(1), BH_DISK_READ | BH_DISK_WRITE);
    assert_string_equal(modes.now, "workshop");
    assert_int_equal(modes.count, 3);
    assert_string_equal(modes.names[1], "park");
}

static void test_mode_question_and_unknown_change_nothing(void **state)
{
    struct bh_control_modes modes;
    (void)state;
    assert_int_equal(mode_ask(NULL, &modes), BH_OK);
    assert_int_equal(rig.count, 0);
    assert_int_equal(mode_ask("workshops", &modes), BH_GONE);
    assert_int_equal(rig.count, 0);
    assert_string_equal(modes.now, "drive");
    assert_string_equal(rig.supervisor.why,
                        "there is no such mode; the modes of this platform are drive, park, "
                        "workshop");
}

/* A back end that does not serve yet is told when it does: the signal could end it before. */
static void test_mode_is_told_later_to_a_back_end_that_starts(void **state)
{
    struct bh_control_modes modes;
    struct bh_instance *starts = &rig.backends[0].instances[0];
    struct bh_instance *serves = &rig.backends[0].instances[1];
    (void)state;
    starts->runs = true;
    serves->runs = true;
    serves->serves = true;
    assert_int_equal(mode_ask("park", &modes), BH_OK);
    assert_true(starts->mode_untold);
    assert_false(serves->mode_untold);
    assert_false(rig.backends[1].instances[0].mode_untold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mode_at_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mode_takes_away_before_it_gives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mode_question_and_unknown_change_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_mode_is_told_later_to_a_back_end_that_starts, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
