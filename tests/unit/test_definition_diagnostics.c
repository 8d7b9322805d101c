/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Diagnostics of several files: their order, notes, uses, what is said once, the user's rules, and
 * the form for programs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"

static const char main_text[] = "bulkhead: 1\ninclude: base.yaml\nname: x\n";
static const char base_text[] = "bulkhead: 1\ntemplates: { t: { cpus: 99 } }\nguests:\n"
                                "  a: { template: t }\n  b: { template: t }\n";

/* Two files. */
static struct bh_diagnostics *two_files(void)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("main.yaml");
    uint16_t file = 9;

    assert_non_null(diagnostics);
    assert_int_equal(BH_OK, bh_diagnostics_source(diagnostics, "main.yaml", main_text,
                                                  sizeof(main_text) - 1, &file));
    assert_int_equal(0, file);
    assert_int_equal(BH_OK, bh_diagnostics_source(diagnostics, "base.yaml", base_text,
                                                  sizeof(base_text) - 1, &file));
    assert_int_equal(1, file);
    return diagnostics;
}

static char *printed(const struct bh_diagnostics *diagnostics, bool json)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(to);
    if (json) {
        assert_int_equal(BH_OK, bh_diagnostics_print_json(diagnostics, to));
    } else {
        bh_diagnostics_print(diagnostics, to, false);
    }
    assert_int_equal(0, fclose(to));
    return text;
}

static void assert_printed(struct bh_diagnostics *diagnostics, bool json, const char *expected)
{
    char *text = printed(diagnostics, json);

    assert_string_equal(expected, text);
    free(text);
    bh_diagnostics_destroy(diagnostics);
}

/* The definition before what it includes, whenever it was found; each with its own lines. */
static void test_files(void **state)
{
    struct bh_diagnostics *diagnostics = two_files();

    (void)state;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 8, 1, 0},
                       "in the base");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){3, 7, 1, 0, 0},
                       "in the definition");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){.file = 1},
                       "of the base");
    assert_printed(diagnostics, false,
                   "main.yaml:3:7: error: in the definition [c]\n"
                   "    3 | name: x\n      |       ^\n"
                   "base.yaml: error: of the base [c]\n"
                   "base.yaml:1:1: error: in the base [c]\n"
                   "    1 | bulkhead: 1\n      | ^~~~~~~~\n"
                   "3 errors\n");
}

/* More files than can be: no number, no crash. */
static void test_many_files(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    uint16_t file;

    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(BH_OK, bh_diagnostics_source(diagnostics, "f", "x", 1, &file));
        assert_int_equal(i, file);
    }
    assert_int_equal(BH_LIMIT, bh_diagnostics_source(diagnostics, "f", "x", 1, &file));
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 1, 31, 0},
                       "last");
    assert_printed(diagnostics, false, "f:1:1: error: last [c]\n    1 | x\n      | ^\n1 error\n");
}

/* Lines far down, before and behind a mark, in a text that ends without a break. */
static void test_lines(void **state)
{
    static const uint32_t lines[] = {1, 63, 64, 65, 66, 128, 129, 130, 200, 201};
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    char text[8 * 200 + 1];
    char expected[32];
    size_t length = 0;
    uint16_t file;
    char *all;

    (void)state;
    for (int i = 1; i <= 200; i++) {
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%sk%d:", i == 1 ? "" : "\n", i);
    }
    assert_int_equal(BH_OK, bh_diagnostics_source(diagnostics, "f", text, length, &file));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c",
                           (struct bh_origin){lines[i], 1, 1, 0, 0}, "x");
    }
    all = printed(diagnostics, false);
    for (size_t i = 0; i + 1 < sizeof(lines) / sizeof(lines[0]); i++) {
        (void)snprintf(expected, sizeof(expected), "%5u | k%u:\n", lines[i], lines[i]);
        assert_non_null(strstr(all, expected));
    }
    assert_non_null(strstr(all, "f:201:1: error: x [c]\n10 errors\n")); /* there is no such line */
    free(all);
    bh_diagnostics_destroy(diagnostics);
}

static void test_notes(void **state)
{
    struct bh_diagnostics *diagnostics = two_files();

    (void)state;
    bh_diagnostics_note(diagnostics, (struct bh_origin){1, 1, 1, 0, 0}, "to nothing");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "c", (struct bh_origin){3, 7, 1, 0, 0},
                       "a\ndo b");
    bh_diagnostics_note(diagnostics, (struct bh_origin){4, 3, 1, 1, 0}, "number %d", 1);
    bh_diagnostics_note(diagnostics, (struct bh_origin){4, 3, 1, 1, 0}, "number %d", 1);
    bh_diagnostics_note(diagnostics, (struct bh_origin){.file = 1}, "number 2");
    assert_printed(diagnostics, false,
                   "main.yaml:3:7: warning: a [c]\n"
                   "    3 | name: x\n      |       ^\n"
                   "      = do b\n"
                   "base.yaml:4:3: note: number 1\n"
                   "    4 |   a: { template: t }\n      |   ^\n"
                   "base.yaml: note: number 2\n"
                   "1 warning\n");
}

/* What is wrong in a template is wrong once, and every use of it is shown. */
static void test_uses(void **state)
{
    struct bh_diagnostics *diagnostics = two_files();
    struct bh_origin cpus = {2, 25, 2, 1, 0};
    uint16_t outer = bh_diagnostics_use(diagnostics, (struct bh_origin){1, 1, 1, 0, 0}, "outer");

    (void)state;
    assert_int_not_equal(0, outer);
    for (uint32_t line = 4; line <= 5; line++) {
        cpus.via =
            bh_diagnostics_use(diagnostics, (struct bh_origin){line, 18, 1, 1, outer}, "used");
        assert_int_not_equal(0, cpus.via);
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "range", cpus, "cpus is 99");
    }
    assert_int_equal(1, bh_diagnostics_errors(diagnostics));
    assert_printed(diagnostics, false,
                   "base.yaml:2:25: error: cpus is 99 [range]\n"
                   "    2 | templates: { t: { cpus: 99 } }\n"
                   "      |                         ^~\n"
                   "base.yaml:4:18: note: used\n"
                   "    4 |   a: { template: t }\n      |                  ^\n"
                   "main.yaml:1:1: note: outer\n"
                   "    1 | bulkhead: 1\n      | ^\n"
                   "base.yaml:5:18: note: used\n"
                   "    5 |   b: { template: t }\n      |                  ^\n"
                   "1 error\n");
}

/* The same words elsewhere, other words, another check: each is a finding of its own. */
static void test_not_the_same(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");

    (void)state;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 1, 0, 0}, "x");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 1, 0, 0}, "x");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 2, 1, 0, 0}, "x");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 1, 1, 0}, "x");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "d", (struct bh_origin){1, 1, 1, 0, 0}, "x");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){1, 1, 1, 0, 0}, "y");
    assert_int_equal(5, bh_diagnostics_errors(diagnostics));
    bh_diagnostics_destroy(diagnostics);
}

/* Bounds: 64 notes for one finding, and 65535 uses. */
static void test_bounds(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");
    const char *at;
    char *text;
    int notes = 0;

    (void)state;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){0}, "x");
    for (uint32_t i = 1; i <= 65; i++) {
        bh_diagnostics_note(diagnostics, (struct bh_origin){i, 1, 1, 0, 0}, "n");
    }
    text = printed(diagnostics, false);
    for (at = strstr(text, "note: n"); at != NULL; at = strstr(at + 1, "note: n")) {
        notes++;
    }
    assert_int_equal(64, notes);
    free(text);
    for (uint32_t i = 1; i < 65536; i++) {
        assert_int_equal(i, bh_diagnostics_use(diagnostics, (struct bh_origin){0}, "u"));
    }
    assert_int_equal(0, bh_diagnostics_use(diagnostics, (struct bh_origin){0}, "u"));
    bh_diagnostics_destroy(diagnostics);
}

static void add_both(struct bh_diagnostics *diagnostics, uint32_t line)
{
    bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "w", (struct bh_origin){line, 1, 1, 0, 0},
                       "warned");
    bh_diagnostics_note(diagnostics, (struct bh_origin){9, 9, 1, 0, 0}, "note");
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "e", (struct bh_origin){line, 1, 1, 0, 0},
                       "failed");
}

static void test_rules(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");

    (void)state;
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "w", BH_RULE_ERROR));
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "e", BH_RULE_WARNING));
    add_both(diagnostics, 1);
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "w", BH_RULE_OFF));
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "e", BH_RULE_OFF)); /* never */
    add_both(diagnostics, 2);
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "w", BH_RULE_USUAL));
    assert_int_equal(BH_OK, bh_diagnostics_rule(diagnostics, "e", BH_RULE_USUAL));
    add_both(diagnostics, 3);
    assert_int_equal(3, bh_diagnostics_errors(diagnostics));
    assert_int_equal(2, bh_diagnostics_warnings(diagnostics));
    assert_printed(diagnostics, false,
                   "f:1:1: error: warned [w]\nf:9:9: note: note\nf:1:1: warning: failed [e]\n"
                   "f:2:1: error: failed [e]\n"
                   "f:3:1: warning: warned [w]\nf:9:9: note: note\nf:3:1: error: failed [e]\n"
                   "3 errors, 2 warnings\n");
}

static void test_full(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("f");

    (void)state;
    for (uint32_t i = 1; i <= 100; i++) {
        assert_false(bh_diagnostics_full(diagnostics));
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){i, 1, 1, 0, 0},
                           "x");
    }
    assert_true(bh_diagnostics_full(diagnostics));
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "c", (struct bh_origin){101, 1, 1, 0, 0},
                       "x");
    bh_diagnostics_note(diagnostics, (struct bh_origin){1, 1, 1, 0, 0}, "to nobody");
    assert_int_equal(101, bh_diagnostics_errors(diagnostics));
    bh_diagnostics_destroy(diagnostics);
}

static void test_json(void **state)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("a\xff\033.yaml");

    (void)state;
    bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "w", (struct bh_origin){3, 5, 4, 0, 0},
                       "gr\xc3\xbc\xc3\x9f \xff\"\nfirst\n\nthird");
    bh_diagnostics_note(diagnostics, (struct bh_origin){4, 1, 0, 0, 0}, "see");
    assert_printed(diagnostics, true,
                   "{\n"
                   "  \"errors\": 0,\n"
                   "  \"warnings\": 1,\n"
                   "  \"left_out\": 0,\n"
                   "  \"findings\": [\n"
                   "    {\n"
                   "      \"check\": \"w\",\n"
                   "      \"severity\": \"warning\",\n"
                   "      \"file\": \"a??.yaml\",\n"
                   "      \"line\": 3,\n"
                   "      \"column\": 5,\n"
                   "      \"length\": 4,\n"
                   "      \"text\": \"gr\xc3\xbc\xc3\x9f ?\\\"\",\n"
                   "      \"advice\": [\n"
                   "        \"first\",\n"
                   "        \"\",\n"
                   "        \"third\"\n"
                   "      ],\n"
                   "      \"notes\": [\n"
                   "        {\n"
                   "          \"file\": \"a??.yaml\",\n"
                   "          \"line\": 4,\n"
                   "          \"column\": 1,\n"
                   "          \"length\": 0,\n"
                   "          \"text\": \"see\"\n"
                   "        }\n"
                   "      ]\n"
                   "    }\n"
                   "  ]\n"
                   "}\n");
    assert_printed(bh_diagnostics_create("f"), true,
                   "{\n  \"errors\": 0,\n  \"warnings\": 0,\n  \"left_out\": 0,\n"
                   "  \"findings\": []\n}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),  cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_lines),  cmocka_unit_test(test_notes),
        cmocka_unit_test(test_uses),   cmocka_unit_test(test_not_the_same),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_full),   cmocka_unit_test(test_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
