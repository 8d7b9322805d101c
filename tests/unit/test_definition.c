/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition as its callers see it: error codes, ownership, paths, names, diagnostics as such.
 * What each input leads to is in the golden files of tests/platform.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"
#include "platform/definition/text.h"

static const char good[] = "bulkhead: 1\n"
                           "name: demo\n"
                           "resources:\n"
                           "  disk: { type: disk, image: a.img }\n"
                           "guests:\n"
                           "  one:\n"
                           "    arch: arm64\n"
                           "    memory: 128M\n"
                           "    boot: { kernel: Image }\n"
                           "    devices:\n"
                           "      root: { type: blk, resource: disk }\n"
                           "policy:\n"
                           "  - { guest: one, resource: disk, allow: [read] }\n";

static const struct bh_origin somewhere = {.line = 2, .column = 3, .length = 4};

/* A folder of the test's own, with a folder in it, and a file in each. */
struct place {
    char folder[64];
    char file[96];
    char inner[96];
    char included[128];
};

static int setup(void **state)
{
    static struct place place;

    (void)snprintf(place.folder, sizeof(place.folder), "/tmp/bh-definition-XXXXXX");
    if (mkdtemp(place.folder) == NULL) {
        return -1;
    }
    (void)snprintf(place.file, sizeof(place.file), "%s/d.yaml", place.folder);
    (void)snprintf(place.inner, sizeof(place.inner), "%s/base", place.folder);
    (void)snprintf(place.included, sizeof(place.included), "%s/i.yaml", place.inner);
    *state = &place;
    return mkdir(place.inner, 0755);
}

static int teardown(void **state)
{
    const struct place *place = *state;

    (void)unlink(place->file);
    (void)unlink(place->included);
    (void)rmdir(place->inner);
    return rmdir(place->folder);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(0, fclose(file));
}

/* Printed diagnostics; to be freed. */
static char *printed(const struct bh_diagnostics *diagnostics)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(to);
    bh_diagnostics_print(diagnostics, to, false);
    assert_int_equal(0, fclose(to));
    return text;
}

static void assert_printed(struct bh_diagnostics *diagnostics, const char *expected)
{
    char *text = printed(diagnostics);

    assert_string_equal(expected, text);
    free(text);
    bh_diagnostics_destroy(diagnostics);
}

static int read_text(const struct place *place, const char *text, struct bh_platform **platform,
                     struct bh_diagnostics **diagnostics)
{
    write_file(place->file, text);
    *diagnostics = bh_diagnostics_create(place->file);
    assert_non_null(*diagnostics);
    return bh_platform_read(platform, place->file, *diagnostics);
}

static void test_reading(void **state)
{
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = NULL;

    assert_int_equal(BH_OK, read_text(place, good, &platform, &diagnostics));
    assert_int_equal(0, bh_diagnostics_errors(diagnostics));
    assert_int_equal(0, bh_diagnostics_warnings(diagnostics));
    bh_diagnostics_destroy(diagnostics); /* the platform does not need it */
    assert_string_equal(place->file, platform->files[0].path);
    assert_string_equal(place->folder, platform->files[0].folder);
    assert_int_equal(1, platform->guest_count);
    assert_ptr_equal(&platform->resources[0], platform->guests[0].devices[0].uses);
    assert_int_equal(9, platform->guests[0].boot.at.line);
    assert_int_equal(5, platform->guests[0].boot.at.column);
    assert_false(bh_guest_is_open(&platform->guests[0]));
    platform->guests[0].devices[0].isolation.value = BH_ISOLATION_OPEN;
    assert_true(bh_guest_is_open(&platform->guests[0]));
    bh_platform_destroy(platform);
    bh_platform_destroy(NULL);
}

static void test_codes(void **state)
{
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("x");

    assert_int_equal(BH_GONE, bh_platform_read(&platform, "/nonexistent/d.yaml", diagnostics));
    assert_null(platform);
    assert_int_equal(BH_IO, bh_platform_read(&platform, place->folder, diagnostics));
    assert_int_equal(2, bh_diagnostics_errors(diagnostics));
    bh_diagnostics_destroy(diagnostics);

    assert_int_equal(BH_INVALID, read_text(place, "bulkhead: 2\n", &platform, &diagnostics));
    assert_null(platform);
    bh_diagnostics_destroy(diagnostics);

    write_file(place->file, good);
    assert_int_equal(0, truncate(place->file, BH_DEFINITION_BYTES_MAX + 1));
    diagnostics = bh_diagnostics_create("x");
    assert_int_equal(BH_LIMIT, bh_platform_read(&platform, place->file, diagnostics));
    bh_diagnostics_destroy(diagnostics);
}

/* Errors that were there before are not this file's. */
static void test_reading_after_errors(void **state)
{
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("x");

    write_file(place->file, good);
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "other", somewhere, "before");
    assert_int_equal(BH_OK, bh_platform_read(&platform, place->file, diagnostics));
    assert_ptr_equal(&platform->resources[0], platform->guests[0].devices[0].uses);
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
}

static void test_folder(void **state)
{
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("d.yaml");
    char here[4096];

    write_file(place->file, good);
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(0, chdir(place->folder));
    assert_int_equal(BH_OK, bh_platform_read(&platform, "d.yaml", diagnostics));
    assert_int_equal(0, chdir(here));
    assert_string_equal(place->folder, platform->files[0].folder);
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
}

/* Each value knows its file, and a relative path belongs to the folder of that file. */
static void test_include(void **state)
{
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = NULL;
    char path[256];
    char expected[256];

    write_file(place->included, good);
    assert_int_equal(BH_OK, read_text(place,
                                      "bulkhead: 1\n"
                                      "include: base/i.yaml\n"
                                      "guests: { one: { boot: { initrd: r.gz } } }\n",
                                      &platform, &diagnostics));
    bh_diagnostics_destroy(diagnostics);
    assert_int_equal(2, platform->file_count);
    assert_string_equal(place->file, platform->files[0].path);
    assert_string_equal(place->included, platform->files[1].path);
    assert_string_equal(place->folder, platform->files[0].folder);
    assert_string_equal(place->inner, platform->files[1].folder);
    assert_int_equal(1, platform->guests[0].boot.kernel.at.file);
    assert_int_equal(0, platform->guests[0].boot.initrd.at.file);
    assert_int_equal(
        BH_OK, bh_platform_path(platform, &platform->guests[0].boot.kernel, path, sizeof(path)));
    (void)snprintf(expected, sizeof(expected), "%s/Image", place->inner);
    assert_string_equal(expected, path);
    assert_int_equal(
        BH_OK, bh_platform_path(platform, &platform->guests[0].boot.initrd, path, sizeof(path)));
    (void)snprintf(expected, sizeof(expected), "%s/r.gz", place->folder);
    assert_string_equal(expected, path);
    bh_platform_destroy(platform);
}

/* What is wrong with an included file is wrong with the definition. */
static void test_include_codes(void **state)
{
    static const char including[] = "bulkhead: 1\ninclude: base/i.yaml\nname: x\n";
    const struct place *place = *state;
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = NULL;

    assert_int_equal(BH_INVALID, read_text(place, including, &platform, &diagnostics));
    assert_null(platform);
    assert_int_equal(1, bh_diagnostics_errors(diagnostics));
    bh_diagnostics_destroy(diagnostics);

    write_file(place->included, good);
    assert_int_equal(0, truncate(place->included, BH_DEFINITION_BYTES_MAX + 1));
    assert_int_equal(BH_INVALID, read_text(place, including, &platform, &diagnostics));
    assert_int_equal(1, bh_diagnostics_errors(diagnostics));
    bh_diagnostics_destroy(diagnostics);
}

static void test_path(void **state)
{
    struct bh_platform platform = {.files = {{.folder = "/a/b"}}};
    struct bh_text text = {.text = "/c"};
    char to[8];

    (void)state;
    assert_int_equal(BH_OK, bh_platform_path(&platform, &text, to, sizeof(to)));
    assert_string_equal("/c", to);
    text.text = "cd";
    assert_int_equal(BH_OK, bh_platform_path(&platform, &text, to, sizeof(to)));
    assert_string_equal("/a/b/cd", to);
    text.text = "cde";
    assert_int_equal(BH_LIMIT, bh_platform_path(&platform, &text, to, sizeof(to)));
    platform.files[0].folder = "/";
    text.text = "c";
    assert_int_equal(BH_OK, bh_platform_path(&platform, &text, to, sizeof(to)));
    assert_string_equal("/c", to);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal("blk", bh_device_type_name(BH_DEVICE_BLK));
    assert_string_equal("console", bh_device_type_name(BH_DEVICE_CONSOLE));
    assert_string_equal("unknown", bh_device_type_name(BH_DEVICE_TYPES));
    assert_string_equal("unknown", bh_device_type_name(UINT32_MAX));
    assert_string_equal("x86_64", bh_arch_name(BH_ARCH_X86_64));
    assert_string_equal("ASIL-D", bh_criticality_name(BH_ASIL_D));
    assert_string_equal("open", bh_isolation_name(BH_ISOLATION_OPEN));
}

static const char *word_at(const void *words, size_t index)
{
    return ((const char *const *)words)[index];
}

static void test_suggestions(void **state)
{
    static const char *const words[] = {"abc", "memory", "ports", "parts", NULL};
    static const char *const first[] = {"vsock", "blk", NULL};

    (void)state;
    assert_string_equal("abc", bh_suggest("xyabc", word_at, words));
    assert_string_equal("abc", bh_suggest("abcxy", word_at, words));
    assert_string_equal("memory", bh_suggest("MEMROY", word_at, words));
    assert_string_equal("memory", bh_suggest("mory", word_at, words));
    assert_null(bh_suggest("mry", word_at, words));   /* 3 letters are missing */
    assert_null(bh_suggest("purts", word_at, words)); /* two are as near */
    assert_string_equal("parts", bh_suggest("parts", word_at, words));
    assert_null(bh_suggest("", word_at, words));
    assert_null(bh_suggest("memorymemorymemorymemorymemorymemorymemorymemory+", word_at, words));
    assert_null(bh_suggest("abc", word_at, words + 4));
    assert_string_equal("blk", bh_suggest("block", word_at, first)); /* vsock begins otherwise */
}

/* Shortened to forty characters, whatever their size. */
static void test_shown(void **state)
{
    char text[4 * 41 + 1];

    (void)state;
    for (size_t i = 0; i < 41; i++) {
        memcpy(text + 4 * i, "\xf0\x9f\x9a\x97", 4);
    }
    text[4 * 41] = '\0';
    assert_int_equal(4 * 40 + 3, strlen(bh_show(text).text));
    text[4 * 40] = '\0';
    assert_string_equal(text, bh_show(text).text);
    assert_string_equal("\"\"", bh_show("").text);
    assert_string_equal("a?b", bh_show("a\nb").text);
}

static void test_nothing_wrong(void **state)
{
    (void)state;
    assert_printed(bh_diagnostics_create("x"), "");
}

static void test_order(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    static const struct bh_origin places[] = {
        {3, 1, 1, 0, 0}, {1, 9, 1, 0, 0}, {1, 2, 1, 0, 0}, {0, 0, 0, 0, 0}, {1, 2, 1, 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        bh_diagnostics_add(diagnostics, i == 1 ? BH_SEVERITY_WARNING : BH_SEVERITY_ERROR, "c",
                           places[i], "number %zu", i);
    }
    assert_int_equal(4, bh_diagnostics_errors(diagnostics));
    assert_int_equal(1, bh_diagnostics_warnings(diagnostics));
    assert_printed(diagnostics, "f: error: number 3 [c]\n"
                                "f:1:2: error: number 2 [c]\n"
                                "f:1:2: error: number 4 [c]\n"
                                "f:1:9: warning: number 1 [c]\n"
                                "f:3:1: error: number 0 [c]\n"
                                "4 errors, 1 warning\n");
}

static void test_excerpt(void **state)
{
    static const char source[] = "first\n\tb\xc3\xa4r: x\nlast";
    static const struct bh_origin places[] = {{2, 2, 3, 0, 0}, {3, 5, 0, 0, 0}, {4, 1, 1, 0, 0}};
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    uint16_t file;

    (void)state;
    assert_int_equal(BH_OK,
                     bh_diagnostics_source(diagnostics, "f", source, sizeof(source) - 1, &file));
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "c", places[i], "a\nb\nc");
    }
    assert_printed(diagnostics, "f:2:2: warning: a [c]\n"
                                "    2 |     b\xc3\xa4r: x\n"
                                "      |     ^~~\n"
                                "      = b\n      = c\n"
                                "f:3:5: warning: a [c]\n"
                                "    3 | last\n"
                                "      |     ^\n"
                                "      = b\n      = c\n"
                                "f:4:1: warning: a [c]\n"
                                "      = b\n      = c\n"
                                "3 warnings\n");
}

/* A hundred are kept, all are counted. */
static void test_many(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    static const char sums[] = "101 errors; the first 100 that were found are shown\n";
    char *text;

    (void)state;
    for (uint32_t i = 0; i < 101; i++) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", somewhere, "number %u", i);
    }
    assert_int_equal(101, bh_diagnostics_errors(diagnostics));
    text = printed(diagnostics);
    assert_non_null(strstr(text, "number 99 "));
    assert_null(strstr(text, "number 100 "));
    assert_string_equal(sums, text + strlen(text) - strlen(sums));
    free(text);
    bh_diagnostics_destroy(diagnostics);
    bh_diagnostics_destroy(NULL);
}

/* What is quoted from outside does not reach the terminal as it is. */
static void test_hostile_text(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f\033\n");

    (void)state;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){0}, "%s",
                       "a\033[2J\xe2\x80\xae\xff"
                       "b\nc\x7f");
    assert_printed(diagnostics, "f??: error: a?[2J??b [c]\n      = c?\n1 error\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading_after_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_include, setup, teardown),
        cmocka_unit_test_setup_teardown(test_include_codes, setup, teardown),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_nothing_wrong),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_excerpt),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_hostile_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
