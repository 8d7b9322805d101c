/* SPDX-License-Identifier: BSD-2-Clause */
/* What guests print becomes harmless lines, whatever the bytes and however they are split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/terminal_lines.h"
#include "engine/terminal_words.h"

#define SHOWN_BYTES 65536u

static char shown[SHOWN_BYTES]; /* all lines, each with '|' behind it */
static size_t shown_length;
static size_t longest;

static void take_line(void *context, const char *text, size_t length)
{
    (void)context;
    assert_int_equal(strlen(text), length);
    longest = length > longest ? length : longest;
    if (shown_length + length + 2u < SHOWN_BYTES) {
        memcpy(shown + shown_length, text, length);
        shown_length += length;
        shown[shown_length] = '|';
        shown_length++;
    }
    shown[shown_length] = '\0';
}

static void feed(struct bh_lines *lines, const char *bytes, size_t count)
{
    bh_lines_feed(lines, (const uint8_t *)bytes, count);
}

static void start(struct bh_lines *lines)
{
    shown_length = 0;
    shown[0] = '\0';
    longest = 0;
    bh_lines_init(lines, take_line, NULL);
}

/* The lines of `bytes`, whole and byte by byte. */
static void expect_bytes(const char *bytes, size_t count, const char *wanted)
{
    struct bh_lines lines;
    start(&lines);
    feed(&lines, bytes, count);
    bh_lines_flush(&lines);
    assert_string_equal(shown, wanted);
    start(&lines);
    for (size_t i = 0; i < count; i++) {
        feed(&lines, bytes + i, 1);
    }
    bh_lines_flush(&lines);
    assert_string_equal(shown, wanted);
}

static void expect(const char *bytes, const char *wanted)
{
    expect_bytes(bytes, strlen(bytes), wanted);
}

static void test_lines_ends(void **state)
{
    (void)state;
    expect("one\ntwo\n", "one|two|");
    expect("one\r\ntwo\r\r\n", "one|two|");
    expect("\n\r\nx\n", "||x|");
    expect("10%\r20%\r\ndone", "10%|20%|done|");
    expect("\r\r# ", "# |");
    expect("", "");
}

static void test_lines_controls(void **state)
{
    (void)state;
    expect("a\tb\n", "a       b|");
    expect("12345678\tb\n", "12345678        b|");
    expect("abc\b\bX\n", "aX|");
    expect("\b\b\bok\n", "ok|");
    expect("\xc3\xa9\bx\n", "x|");
    expect_bytes("a\0b\x07"
                 "c\x7f"
                 "d\n",
                 8, "a?b?c?d|");
}

static void test_lines_sequences(void **state)
{
    (void)state;
    expect("\033[0;32mOK\033[0m\n", "OK|");
    expect("\033[6nroot\n", "root|");
    expect("\033]0;title\007x\n", "?]0;title?x|");
    expect("\033cx\n", "?cx|");
    expect("\033[12\nx\n", "?|x|");
    expect("\033\033[1mx\n", "?x|");
    expect("\033[", "?|");
    expect("\r\033[Kprompt", "prompt|");
}

/* A sequence cannot swallow more than its bound. */
static void test_lines_long_sequence(void **state)
{
    char bytes[200];
    struct bh_lines lines;
    (void)state;
    memset(bytes, '1', sizeof(bytes));
    memcpy(bytes, "\033[", 2);
    start(&lines);
    feed(&lines, bytes, sizeof(bytes));
    bh_lines_flush(&lines);
    assert_true(shown_length > 150u);
    assert_int_equal(shown[0], '?');
}

static void test_lines_utf8(void **state)
{
    (void)state;
    expect("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x97\n",
           "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x97|");
    expect("\xc3x\n", "?x|");
    expect("\xe2\x82x\n", "??x|");
    expect("\x80\xbf\xff\xfe\n", "????|");
    expect("\xc0\xaf\n", "??|");
    expect("\xe0\x80\xaf\n", "???|");
    expect("\xed\xa0\x80\n", "???|");
    expect("\xf4\x90\x80\x80\n", "????|");
    expect("\xf0\x9f", "??|");
    expect("\xc3\n", "?|");
}

/* Controls of the upper half, and what reorders or breaks a line. */
static void test_lines_harmful_characters(void **state)
{
    (void)state;
    expect("\xc2\x9b"
           "31m\n",
           "?31m|");
    expect("a\xe2\x80\xae"
           "b\xe2\x81\xa6"
           "c\n",
           "a?b?c|");
    expect("a\xe2\x80\xa8"
           "b\n",
           "a?b|");
    expect("\xef\xbb\xbf"
           "b\n",
           "?b|");
    expect("\xf3\xa0\x81\x81"
           "b\n",
           "?b|");
}

static void test_lines_long(void **state)
{
    struct bh_lines lines;
    (void)state;
    start(&lines);
    for (uint32_t i = 0; i < 2500u; i++) {
        feed(&lines, "x", 1);
    }
    feed(&lines, "\n", 1);
    assert_int_equal(longest, BH_LINE_BYTES_MAX);
    assert_int_equal(shown_length, 2500u + 3u);
    /* A character is not cut in two. */
    start(&lines);
    for (uint32_t i = 0; i < 999u; i++) {
        feed(&lines, "x", 1);
    }
    feed(&lines, "\xc3\xa9\n", 3);
    assert_int_equal(longest, 999u);
    assert_string_equal(shown + 1000u, "\xc3\xa9|");
}

/* Whatever comes: lines are bounded, and nothing but printable characters is in them. */
static void test_lines_random(void **state)
{
    struct bh_lines lines;
    uint32_t seed = 1;
    (void)state;
    start(&lines);
    for (uint32_t i = 0; i < 60000u; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint8_t byte = (uint8_t)(seed >> 24u);
        bh_lines_feed(&lines, &byte, 1);
    }
    bh_lines_flush(&lines);
    assert_true(longest <= BH_LINE_BYTES_MAX);
    assert_true(shown_length > 10000u);
    for (size_t i = 0; i < shown_length; i++) {
        assert_true((uint8_t)shown[i] >= 0x20u && shown[i] != 0x7f);
    }
}

/* A prompt has no end: it is shown when nothing more came for a while, and not before. */
static void test_lines_partial(void **state)
{
    struct bh_lines lines;
    (void)state;
    start(&lines);
    feed(&lines, "login: ", 7);
    assert_true(bh_lines_partial(&lines));
    bh_lines_tick(&lines);
    assert_string_equal(shown, "");
    bh_lines_tick(&lines);
    assert_string_equal(shown, "login: |");
    assert_false(bh_lines_partial(&lines));
    feed(&lines, "root\n", 5);
    assert_string_equal(shown, "login: |root|");
    bh_lines_tick(&lines);
    bh_lines_tick(&lines);
    assert_string_equal(shown, "login: |root|");
}

static void take_words(struct bh_words *words, const char *text)
{
    bh_words_take(words, text, strlen(text));
}

static void test_words(void **state)
{
    struct bh_words words = {{0}, {0}};
    char text[400];
    (void)state;
    assert_null(bh_words_said(&words));
    take_words(&words, "  starting");
    take_words(&words, "");
    take_words(&words, "   ");
    assert_string_equal(bh_words_said(&words), "starting");
    take_words(&words, "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs");
    take_words(&words, "[ 1.1] Kernel panic, again");
    take_words(&words, "---[ end ]---");
    assert_string_equal(bh_words_said(&words),
                        "[ 1.0] Kernel panic - not syncing: VFS: Unable to mount root fs");
    /* Cut between characters. */
    memset(&words, 0, sizeof(words));
    memset(text, 'x', sizeof(text));
    memcpy(text + BH_WORDS_BYTES_MAX - 1u, "\xc3\xa9", 2);
    text[399] = '\0';
    take_words(&words, text);
    assert_int_equal(strlen(bh_words_said(&words)), BH_WORDS_BYTES_MAX - 1u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_ends),      cmocka_unit_test(test_lines_controls),
        cmocka_unit_test(test_lines_sequences), cmocka_unit_test(test_lines_long_sequence),
        cmocka_unit_test(test_lines_utf8),      cmocka_unit_test(test_lines_harmful_characters),
        cmocka_unit_test(test_lines_long),      cmocka_unit_test(test_lines_random),
        cmocka_unit_test(test_lines_partial),   cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
