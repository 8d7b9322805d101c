/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A build of a definition: the files that are written, word for word, and what happens where they
 * cannot be.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "bulkhead/error.h"
#include "layout_rig.h"

static const char definition[] =
    "bulkhead: 1\n"
    "name: car\n"
    "resources:\n"
    "  disk: { type: disk, image: disk.img }\n"
    "  noise: { type: entropy }\n"
    "guests:\n"
    "  one:\n"
    "    arch: arm64\n"
    "    criticality: ASIL-B\n"
    "    memory: 64M\n"
    "    boot: { kernel: Image, initrd: initrd, command-line: console=hvc0 }\n"
    "    devices:\n"
    "      root: { type: blk, resource: disk, window: 9M }\n"
    "      random: { type: rng, resource: noise, window: 256K }\n"
    "      term: { type: console, window: 5M, ports: [log] }\n"
    "  two:\n"
    "    arch: arm64\n"
    "    memory: 32M\n"
    "    boot: { firmware: Image }\n"
    "policy:\n"
    "  - { guest: one, resource: disk, allow: [read, write, flush] }\n"
    "  - { guest: one, resource: noise, allow: [read] }\n";

static const char expected_map[] =
    "Memory of the guests of car, as each guest sees it.\n"
    "The engine and the gate of a guest have all that it shares; the gate hands on to a back end\n"
    "what stands here. For the guest, rings and data are one window.\n"
    "\n"
    "guest one: arm64, ASIL-B\n"
    "  first        last              size  what                                        who can "
    "reach it\n"
    "  0x00a000000  0x00a0001ff        512  device root (blk)                           registers: "
    "guest, engine\n"
    "  0x00a000200  0x00a0003ff        512  device random (rng)                         registers: "
    "guest, engine\n"
    "  0x00a000400  0x00a0005ff        512  device term (console)                       registers: "
    "guest, engine\n"
    "  0x040000000  0x043ffffff        64M  private RAM                                 guest, "
    "engine\n"
    "  0x040200000  0x04020ffff        64K    device tree\n"
    "  0x040210000  0x04021003f         64    start code\n"
    "  0x040400000  0x040ffffff        12M    kernel\n"
    "  0x041000000  0x041000004          5    initrd\n"
    "  0x044000000  0x04400ffff        64K  window of root, rings                       guest, "
    "engine, gate\n"
    "  0x044010000  0x0448fffff      9152K  window of root, data                        guest, "
    "engine, gate, its back end\n"
    "  0x044900000  0x04490ffff        64K  window of random, rings                     guest, "
    "engine, gate\n"
    "  0x044910000  0x04493ffff       192K  window of random, data                      guest, "
    "engine, gate, its back end\n"
    "  0x044940000  0x04496ffff       192K  window of term, rings                       guest, "
    "engine, gate\n"
    "  0x044970000  0x044e3ffff      4928K  window of term, data                        guest, "
    "engine, gate, its back end\n"
    "\n"
    "guest two: arm64, QM\n"
    "  first        last              size  what                                        who can "
    "reach it\n"
    "  0x040000000  0x041ffffff        32M  private RAM                                 guest, "
    "engine\n";

struct fixture {
    char folder[64];
    struct bh_platform *platform;
    struct bh_diagnostics *diagnostics;
};

static const char *in(const struct fixture *fixture, const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
    return path;
}

static void file_write(const struct fixture *fixture, const char *name, const void *bytes,
                       size_t length)
{
    const int fd = open(in(fixture, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(close(fd), 0);
}

static char *file_read(const struct fixture *fixture, const char *name)
{
    static char text[65536];
    const int fd = open(in(fixture, name), O_RDONLY | O_CLOEXEC);
    ssize_t length;

    if (fd < 0) {
        return NULL;
    }
    length = read(fd, text, sizeof(text) - 1u);
    assert_true(length >= 0);
    text[length] = '\0';
    assert_int_equal(close(fd), 0);
    return text;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    uint8_t head[64] = {0};

    assert_non_null(fixture);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/bulkhead-build-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    head[18] = 0xc0; /* image_size 12M */
    memcpy(head + 56, "ARM\x64", 4);
    file_write(fixture, "Image", head, sizeof(head));
    file_write(fixture, "initrd", "12345", 5);
    file_write(fixture, "platform.yaml", definition, sizeof(definition) - 1u);
    fixture->diagnostics = bh_diagnostics_create("platform.yaml");
    assert_non_null(fixture->diagnostics);
    assert_int_equal(
        bh_platform_read(&fixture->platform, in(fixture, "platform.yaml"), fixture->diagnostics),
        BH_OK);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {
        "Image",         "initrd",          "platform.yaml",     "out/one.dtb",        "out/one.h",
        "out/one.start", "out/report.html", "out/platform.json", "out/memory-map.txt",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unlink(in(fixture, names[i]));
    }
    (void)rmdir(in(fixture, "out"));
    /* Nothing else was left. */
    assert_int_equal(rmdir(fixture->folder), 0);
    bh_platform_destroy(fixture->platform);
    bh_diagnostics_destroy(fixture->diagnostics);
    free(fixture);
    return 0;
}

static int build(struct fixture *fixture, const char *folder)
{
    return bh_platform_build(fixture->platform, in(fixture, folder), fixture->diagnostics);
}

static void test_map(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(build(fixture, "out"), BH_OK);
    assert_string_equal(file_read(fixture, "out/memory-map.txt"), expected_map);
    assert_null(file_read(fixture, "out/two.dtb"));
    /* Again: each file is replaced. */
    file_write(fixture, "out/memory-map.txt", "old", 3);
    assert_int_equal(build(fixture, "out"), BH_OK);
    assert_string_equal(file_read(fixture, "out/memory-map.txt"), expected_map);
}

/* The header as it is, in its parts that depend on the definition; a guest without a layout of ours
 * has none. [BH-LAY-22] */
static void test_header(void **state)
{
    static const char *const lines[] = {
        "#ifndef BULKHEAD_HEADER_CAR_ONE_H\n#define BULKHEAD_HEADER_CAR_ONE_H\n",
        "BULKHEAD_LAYOUT                                 1U",
        "BULKHEAD_CRITICALITY                            2U /* ASIL-B */",
        "BULKHEAD_RAM_BYTES                              0x004000000ULL /* 64M */",
        "BULKHEAD_RAM_IS_SHARED                          0U",
        "BULKHEAD_DEVICE_ID_TERM                         3U",
        "BULKHEAD_DEVICE_BASE_TERM                       0x00a000400ULL",
        "BULKHEAD_DEVICE_INTERRUPT_TERM                  50U",
        "BULKHEAD_WINDOW_BASE_TERM                       0x044940000ULL",
        "BULKHEAD_WINDOW_BYTES_TERM                      0x000500000ULL /* 5M */",
    };
    struct fixture *fixture = *state;
    const char *text;

    assert_int_equal(build(fixture, "out"), BH_OK);
    text = file_read(fixture, "out/one.h");
    assert_non_null(text);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (!strstr(text, lines[i])) {
            fail_msg("no %s in:\n%s", lines[i], text);
        }
    }
    assert_null(file_read(fixture, "out/two.h"));
}

static void test_json(void **state)
{
    struct fixture *fixture = *state;
    json_t *root;
    const char *text;
    const char *type;
    const char *address;
    const char *port;
    int version;
    int window;
    int queues;
    int read_only;
    int slot;
    json_t *initrd;

    assert_int_equal(build(fixture, "out"), BH_OK);
    text = file_read(fixture, "out/platform.json");
    assert_non_null(text);
    root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_int_equal(json_unpack(root,
                                 "{s:i, s:{s:{s:b}}, s:{s:{s:{s:{s:i, s:i}, s:{s:s, s:[s]}}},"
                                 " s:{s:{s:o}}}, s:{s:{s:{s:i}, s:{s:{s:s}}}}}",
                                 "bulkhead", &version, "resources", "disk", "read-only", &read_only,
                                 "guests", "one", "devices", "root", "window", &window, "queues",
                                 &queues, "term", "type", &type, "ports", &port, "two", "boot",
                                 "initrd", &initrd, "layouts", "one", "slots", "term", &slot,
                                 "images", "kernel", "address", &address),
                     0);
    assert_int_equal(version, 1);
    assert_false(read_only);
    assert_int_equal(window, 9 << 20);
    assert_int_equal(queues, 1);
    assert_string_equal(type, "console");
    assert_string_equal(port, "log");
    assert_true(json_is_null(initrd));
    assert_int_equal(slot, 2);
    assert_string_equal(address, "0x40400000");
    /* A key of another kind of device is not there. */
    assert_null(json_object_get(
        json_object_get(
            json_object_get(json_object_get(json_object_get(root, "guests"), "one"), "devices"),
            "term"),
        "queues"));
    json_decref(root);
}

static void test_no_folder(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(build(fixture, "no/out"), BH_GONE);
    assert_int_equal(bh_diagnostics_errors(fixture->diagnostics), 1);
    assert_int_equal(build(fixture, "Image"), BH_GONE); /* a file */
    assert_int_equal(build(fixture, "Image/out"), BH_GONE);
    assert_int_equal(
        bh_platform_build(fixture->platform, "/proc/self/bulkhead-build", fixture->diagnostics),
        BH_GONE);
    assert_int_equal(bh_diagnostics_errors(fixture->diagnostics), 4);
}

/* An error in one guest: nothing is written, an older build stays. */
static void test_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;

    fixture->platform->guests[1].boot.firmware.text = "gone";
    assert_int_equal(build(fixture, "out"), BH_GONE);
    assert_int_not_equal(access(in(fixture, "out"), F_OK), 0);
}

/* A file cannot be moved to its place: it is said, and the one beside it is removed. */
static void test_place_is_taken(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(in(fixture, "out"), 0700), 0);
    assert_int_equal(mkdir(in(fixture, "out/memory-map.txt"), 0700), 0);
    assert_int_equal(build(fixture, "out"), BH_IO);
    assert_int_equal(bh_diagnostics_errors(fixture->diagnostics), 1);
    assert_int_equal(rmdir(in(fixture, "out/memory-map.txt")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_or_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_place_is_taken, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
