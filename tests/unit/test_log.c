/* SPDX-License-Identifier: BSD-2-Clause */
/* The log: one line for each message whatever it contains, levels, limits, and that it never waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"

#include <errno.h>

static int saved;
static int ends[2];
static char text[65536];

/* Standard error becomes a pipe. */
static int set_up(void **state)
{
    (void)state;
    saved = dup(STDERR_FILENO);
    if (saved < 0 || pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        return -1;
    }
    bh_log_open("test", BH_LOG_NOTICE);
    return fcntl(ends[0], F_SETFL, O_NONBLOCK);
}

static int tear_down(void **state)
{
    (void)state;
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return unsetenv("JOURNAL_STREAM");
}

/* What was written since the last time. */
static const char *written(void)
{
    ssize_t length = read(ends[0], text, sizeof(text) - 1u);
    text[length > 0 ? length : 0] = '\0';
    return text;
}

static unsigned int count_lines(const char *at)
{
    unsigned int count = 0;
    for (; *at != '\0'; at++) {
        count += *at == '\n' ? 1u : 0u;
    }
    return count;
}

static void test_log_names_program_and_level(void **state)
{
    (void)state;
    bh_log(BH_LOG_ERROR, "no %s", "disk");
    assert_string_equal(written(), "test: error: no disk\n");
    bh_log(BH_LOG_WARNING, "%d", 5);
    assert_string_equal(written(), "test: warning: 5\n");
    bh_log(BH_LOG_NOTICE, "ready");
    assert_string_equal(written(), "test: ready\n");
}

static void test_log_drops_what_is_not_wanted(void **state)
{
    (void)state;
    bh_log(BH_LOG_INFO, "detail");
    bh_log_event(BH_LOG_INFO, "detail");
    assert_string_equal(written(), "");
    bh_log_open("test", BH_LOG_INFO);
    bh_log(BH_LOG_INFO, "detail");
    assert_string_equal(written(), "test: detail\n");
}

/* A file name with a line break cannot forge a line. */
static void test_log_is_one_line(void **state)
{
    (void)state;
    bh_log(BH_LOG_NOTICE, "a\nb\x1b[31m\x7f");
    assert_string_equal(written(), "test: a?b?[31m?\n");
}

static void test_log_cuts_long_lines(void **state)
{
    char *longest = malloc(10000);
    (void)state;
    assert_non_null(longest);
    memset(longest, 'x', 9999);
    longest[9999] = '\0';
    bh_log(BH_LOG_NOTICE, "%s", longest);
    free(longest);
    const char *line = written();
    assert_true(strlen(line) <= BH_LOG_LINE_MAX + 64u);
    assert_int_equal(count_lines(line), 1);
    assert_int_equal(line[strlen(line) - 1u], '\n');
}

static void test_log_priorities_for_the_journal(void **state)
{
    struct stat status;
    char stream[64];
    (void)state;
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    bh_log_open("test", BH_LOG_NOTICE);
    bh_log(BH_LOG_ERROR, "no disk");
    assert_string_equal(written(), "<3>no disk\n");
    /* Another stream's name: the journal does not listen here. */
    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    bh_log_open("test", BH_LOG_NOTICE);
    bh_log(BH_LOG_ERROR, "no disk");
    assert_string_equal(written(), "test: error: no disk\n");
}

/* A guest may cause as many events as it likes: the host's log does not grow with them. */
static void test_log_events_are_limited(void **state)
{
    (void)state;
    for (unsigned int i = 0; i < 1000u; i++) {
        bh_log_event(BH_LOG_WARNING, "event %u", i);
    }
    unsigned int lines = count_lines(written());
    assert_true(lines >= BH_LOG_EVENT_BURST && lines <= BH_LOG_EVENT_BURST + 2u);
    /* What the program itself has to say is not limited, and tells of the gap. */
    bh_log(BH_LOG_NOTICE, "end");
    const char *line = written();
    assert_non_null(strstr(line, " lines left out\n"));
    assert_non_null(strstr(line, "test: end\n"));
}

/* Nobody reads: lines are dropped and counted, nothing waits. */
static void test_log_never_waits(void **state)
{
    (void)state;
    (void)alarm(10); /* ends the test if it does */
    for (unsigned int i = 0; i < 20000u; i++) {
        bh_log(BH_LOG_NOTICE, "line %u", i);
    }
    (void)alarm(0);
    while (*written() != '\0') {
    }
    bh_log(BH_LOG_NOTICE, "end");
    const char *line = written();
    assert_non_null(strstr(line, " lines left out\n"));
    assert_non_null(strstr(line, "test: end\n"));
}

static void test_log_errno_is_never_success(void **state)
{
    (void)state;
    for (int number = 0; number < 200; number++) {
        assert_true(bh_error_from_errno(number) < 0);
    }
    assert_int_equal(bh_error_from_errno(ENOSPC), BH_NO_SPACE);
    assert_int_equal(bh_error_from_errno(EDQUOT), BH_NO_SPACE);
    assert_int_equal(bh_error_from_errno(EIO), BH_IO);
    assert_int_equal(bh_error_from_errno(EOPNOTSUPP), BH_UNSUPPORTED);
    assert_int_equal(bh_error_from_errno(EFAULT), BH_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_names_program_and_level, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_drops_what_is_not_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_is_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_cuts_long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_priorities_for_the_journal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_events_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_log_never_waits, set_up, tear_down),
        cmocka_unit_test(test_log_errno_is_never_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
