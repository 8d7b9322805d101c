/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A definition as an image carries it: what is read back is what was written, for every definition
 * of the golden files and the examples. And what is no definition.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "platform/definition/json_tree.h"
#include "platform/output/build.h"
#include "platform/output/definition_json.h"

static struct bh_diagnostics *diagnostics;

static int setup(void **state)
{
    (void)state;
    diagnostics = bh_diagnostics_create("image");
    return diagnostics == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    bh_diagnostics_destroy(diagnostics);
    return 0;
}

static int read_json(const char *text, struct bh_platform **platform)
{
    const struct bh_json_definition definition = {json_loads(text, 0, NULL), "image", "/"};
    int result = bh_platform_read_json(platform, &definition, diagnostics);
    json_decref(definition.root);
    return result;
}

/* platform.json shows every value; nothing is laid out here, which would need the boot files. */
static char *everything(const struct bh_platform *platform)
{
    struct bh_built *built = calloc(platform->guest_count, sizeof(*built));
    assert_non_null(built);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        built[i].layout.guest = &platform->guests[i];
    }
    char *text = bh_build_json(platform, built);
    free(built);
    assert_non_null(text);
    return text;
}

/* The same, but that paths were put in order. */
static void equal_but_paths(const struct bh_platform *platform, const struct bh_platform *again,
                            const char *path)
{
    char *first = everything(platform);
    char *second = everything(again);
    const char *a = first;
    const char *b = second;
    while (*a != '\0' && *b != '\0') {
        size_t a_length = strcspn(a, "\n");
        size_t b_length = strcspn(b, "\n");
        bool same = a_length == b_length && memcmp(a, b, a_length) == 0;
        bool is_path = false;
        static const char *const keys[] = {"kernel", "initrd", "elf",    "firmware",
                                           "image",  "source", "folder", "program"};
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "\"%s\": \"", keys[i]);
            is_path |= strncmp(b + strspn(b, " "), key, strlen(key)) == 0 &&
                       strncmp(a + strspn(a, " "), key, strlen(key)) == 0;
        }
        if (!same && !is_path) {
            fail_msg("%s: %.*s != %.*s", path, (int)a_length, a, (int)b_length, b);
        }
        a += a_length + (a[a_length] == '\n' ? 1u : 0u);
        b += b_length + (b[b_length] == '\n' ? 1u : 0u);
    }
    assert_int_equal(*a, *b);
    free(first);
    free(second);
}

static unsigned int check_all(const char *pattern)
{
    glob_t found;
    unsigned int read = 0;
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", BH_SOURCE_ROOT, pattern);
    assert_int_equal(glob(path, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct bh_platform *platform;
        struct bh_platform *again;
        struct bh_diagnostics *said = bh_diagnostics_create(found.gl_pathv[i]);
        assert_non_null(said);
        int result = bh_platform_read(&platform, found.gl_pathv[i], said);
        bh_diagnostics_destroy(said);
        if (result != BH_OK) {
            continue; /* a layer, which is no definition by itself */
        }
        char *first = bh_definition_json(platform);
        assert_non_null(first);
        result = read_json(first, &again);
        if (result != BH_OK) {
            bh_diagnostics_print(diagnostics, stderr, false);
            fail_msg("%s: not read back", found.gl_pathv[i]);
        }
        char *second = bh_definition_json(again);
        assert_string_equal(first, second);
        equal_but_paths(platform, again, found.gl_pathv[i]);
        bh_platform_destroy(platform);
        bh_platform_destroy(again);
        free(first);
        free(second);
        read++;
    }
    globfree(&found);
    return read;
}

static void test_release_definitions_come_back(void **state)
{
    (void)state;
    assert_true(check_all("tests/platform/pass/*.yaml") >= 30);
    assert_true(check_all("examples/*/*.yaml") >= 3);
}

/* ------------------------------------------------------------------------------------------------
 * paths */

static void put(const char *folder, const char *name, const char *text)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A path that stands in an included file begins at the definition's folder in the image. */
static void test_release_paths_begin_at_the_definition(void **state)
{
    static const char base[] = "bulkhead: 1\n"
                               "resources:\n"
                               "  one: { type: disk, image: one.img }\n"
                               "  two: { type: disk, image: sub/two.img }\n"
                               "  three: { type: disk, image: /srv/three.img }\n"
                               "policy:\n"
                               "  - { guest: g, resource: one, allow: [read] }\n"
                               "  - { guest: g, resource: two, allow: [read] }\n"
                               "  - { guest: g, resource: three, allow: [read] }\n"
                               "guests:\n"
                               "  g:\n"
                               "    arch: arm64\n"
                               "    memory: 64M\n"
                               "    boot: { kernel: Image }\n"
                               "    devices:\n"
                               "      a: { type: blk, resource: one }\n"
                               "      b: { type: blk, resource: two }\n"
                               "      c: { type: blk, resource: three }\n";
    static const struct {
        const char *place; /* of the base */
        const char *include;
        const char *one;
    } cases[] = {
        {"car/base.yaml", "base.yaml", "\"one.img\""},
        {"car/parts/base.yaml", "parts/base.yaml", "\"parts/one.img\""},
        {"base.yaml", "../base.yaml", "\"../one.img\""},
        {"carpark/base.yaml", "../carpark/base.yaml", "\"../carpark/one.img\""},
    };
    char folder[64] = "/tmp/bulkhead-release-XXXXXX";
    char text[128];
    char path[128];
    (void)state;
    assert_non_null(mkdtemp(folder));
    static const char *const folders[] = {"car", "car/parts", "carpark"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bh_platform *platform;
        struct bh_diagnostics *said = bh_diagnostics_create("platform.yaml");
        assert_non_null(said);
        put(folder, cases[i].place, base);
        (void)snprintf(text, sizeof(text), "bulkhead: 1\ninclude: %s\nname: car\n",
                       cases[i].include);
        put(folder, "car/platform.yaml", text);
        (void)snprintf(path, sizeof(path), "%s/car/platform.yaml", folder);
        if (bh_platform_read(&platform, path, said) != BH_OK) {
            bh_diagnostics_print(said, stderr, false);
            fail();
        }
        bh_diagnostics_destroy(said);
        char *json = bh_definition_json(platform);
        assert_non_null(strstr(json, cases[i].one));
        assert_non_null(strstr(json, "sub/two.img\""));
        assert_non_null(strstr(json, "\"/srv/three.img\""));
        assert_non_null(strstr(json, "\"kernel\": \"g/kernel\""));
        assert_null(strstr(json, folder));
        free(json);
        bh_platform_destroy(platform);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, cases[i].place);
        assert_int_equal(unlink(path), 0);
    }
    (void)snprintf(path, sizeof(path), "%s/car/platform.yaml", folder);
    assert_int_equal(unlink(path), 0);
    for (size_t i = 3; i > 0; i--) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, i == 3 ? "carpark" : folders[i - 1]);
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

/* ------------------------------------------------------------------------------------------------
 * what is none */

static void test_release_json_that_is_no_definition(void **state)
{
    static const char *const texts[] = {
        "[]",
        "{}",
        "{\"bulkhead\": 1}",
        "{\"bulkhead\": \"1\", \"name\": null}",
        "{\"bulkhead\": \"1\", \"name\": true}",
        "{\"bulkhead\": \"1\", \"name\": \"a\\u0007\"}",
        "{\"bulkhead\": \"1\", \"a\\n\": \"a\"}",
        "{\"bulkhead\": \"1\", \"name\": \"a\", \"guests\": {}}",
        "{\"bulkhead\": \"1\", \"name\": \"a\", \"kind\": \"b\"}",
    };
    struct bh_platform *platform;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_json(texts[i], &platform), BH_INVALID);
        assert_null(platform);
    }
    char open[41] = "";
    char close[41] = "";
    char deep[200];
    memset(open, '[', sizeof(open) - 1u);
    memset(close, ']', sizeof(close) - 1u);
    (void)snprintf(deep, sizeof(deep), "{\"bulkhead\": \"1\", \"name\": %s%s}", open, close);
    assert_int_equal(read_json(deep, &platform), BH_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_release_definitions_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_paths_begin_at_the_definition, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_release_json_that_is_no_definition, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
