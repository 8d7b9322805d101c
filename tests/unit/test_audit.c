/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit log: the form of an entry, its number through runs, what happens when it cannot be
 * written, and who may write it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "engine/audit.h"

#define TEXT_MAX 65536u

static struct {
    char folder[64];
    char file[96];
    struct bh_state_folder state;
    struct bh_audit audit;
    char text[TEXT_MAX];
    uint32_t failures; /* as `changed` said */
    uint32_t mended;
} rig;

static int setup(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    (void)snprintf(rig.folder, sizeof(rig.folder), "/tmp/test-audit-XXXXXX");
    if (mkdtemp(rig.folder) == NULL) {
        return -1;
    }
    (void)snprintf(rig.file, sizeof(rig.file), "%s/audit.jsonl", rig.folder);
    rig.audit.fd = -1;
    return bh_state_open(&rig.state, rig.folder, "test");
}

static int teardown(void **state)
{
    (void)state;
    bh_audit_close(&rig.audit);
    bh_state_close(&rig.state);
    (void)unlink(rig.file);
    return rmdir(rig.folder);
}

static void changed(void *context, int error)
{
    assert_ptr_equal(context, &rig);
    rig.failures += error != BH_OK ? 1u : 0u;
    rig.mended += error == BH_OK ? 1u : 0u;
}

static void audit_open(void)
{
    assert_int_equal(bh_audit_open(&rig.audit, &rig.state), BH_OK);
    rig.audit.changed = changed;
    rig.audit.context = &rig;
}

static const char *audit_read(void)
{
    int fd = open(rig.file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t length = read(fd, rig.text, sizeof(rig.text) - 1u);
    assert_true(length >= 0);
    rig.text[length] = '\0';
    (void)close(fd);
    return rig.text;
}

static void audit_write(const char *text)
{
    int fd = open(rig.file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

/* Entry `index` (from 0) of the file; NULL: there is none. */
static json_t *entry(size_t index)
{
    const char *line = audit_read();
    for (size_t i = 0; i < index && line != NULL; i++) {
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return line != NULL ? json_loads(line, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}

static json_int_t number_of(size_t index)
{
    json_t *found = entry(index);
    json_int_t number = json_integer_value(json_object_get(found, "number"));
    json_decref(found);
    return number;
}

static void test_audit_form(void **state)
{
    struct stat status;
    (void)state;
    audit_open();
    bh_audit_add(&rig.audit, "mode-changed", "{s:s, s:o}", "mode", "park", "said",
                 bh_audit_text("a\x1b[2J\nb \xc3\xa9"));
    assert_int_equal(stat(rig.file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    json_t *found = entry(0);
    assert_int_equal(json_object_size(found), 6);
    assert_int_equal(json_integer_value(json_object_get(found, "number")), 1);
    assert_string_equal(json_string_value(json_object_get(found, "event")), "mode-changed");
    assert_string_equal(json_string_value(json_object_get(found, "mode")), "park");
    assert_string_equal(json_string_value(json_object_get(found, "said")), "a\x1b[2J\nb \xc3\xa9");
    assert_true(json_integer_value(json_object_get(found, "ms")) > 0);
    const char *time = json_string_value(json_object_get(found, "time"));
    assert_int_equal(strlen(time), strlen("2026-01-01T00:00:00.000Z"));
    assert_true(time[10] == 'T' && time[19] == '.' && time[23] == 'Z');
    json_decref(found);
    /* One line, of characters that a terminal can be shown. */
    for (const char *at = audit_read(); *at != '\0'; at++) {
        assert_true((*at >= ' ' && *at <= '~') || (*at == '\n' && at[1] == '\0'));
    }
}

static void test_audit_number_goes_on(void **state)
{
    (void)state;
    for (json_int_t run = 0; run < 3; run++) {
        audit_open();
        bh_audit_add(&rig.audit, "start", "{}");
        bh_audit_add(&rig.audit, "stop", "{}");
        bh_audit_close(&rig.audit);
    }
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(number_of(i), (json_int_t)i + 1);
    }
}

/* A line that a loss of power cut off stands by itself. */
static void test_audit_after_a_line_that_is_cut(void **state)
{
    (void)state;
    audit_write("{\"number\": 41}\n{\"number\": 42, \"ev");
    audit_open();
    bh_audit_add(&rig.audit, "start", "{}");
    assert_int_equal(number_of(2), 42);
    assert_null(entry(1));
}

static void test_audit_after_what_is_no_entry(void **state)
{
    static const char *const texts[] = {
        "", "\n", "hello\n", "{\"number\": -3}\n", "[7]\n", "{\"number\": \"9\"}\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        audit_write(texts[i]);
        audit_open();
        bh_audit_add(&rig.audit, "start", "{}");
        assert_int_equal(rig.audit.number, 1);
        bh_audit_close(&rig.audit);
    }
}

static void test_audit_behind_much_text(void **state)
{
    static char text[40000];
    (void)state;
    memset(text, ' ', sizeof(text) - 1u);
    memcpy(text + sizeof(text) - 17u, "\n{\"number\": 77}\n", 17);
    audit_write(text);
    audit_open();
    assert_int_equal(rig.audit.number, 77);
}

static void test_audit_has_one_writer(void **state)
{
    struct bh_audit second;
    (void)state;
    audit_open();
    assert_int_equal(bh_audit_open(&second, &rig.state), BH_STATE);
    assert_int_equal(second.fd, -1);
    assert_non_null(strstr(rig.state.why, "another run writes this audit log"));
    bh_audit_add(&second, "start", "{}"); /* is not open: nothing */
    assert_string_equal(audit_read(), "");
}

static void test_audit_refused_files(void **state)
{
    (void)state;
    audit_write("");
    assert_int_equal(chmod(rig.file, 0620), 0);
    assert_int_equal(bh_audit_open(&rig.audit, &rig.state), BH_DENIED);
    assert_non_null(strstr(rig.state.why, "nobody else may write"));
    assert_int_equal(unlink(rig.file), 0);
    assert_int_equal(mkfifo(rig.file, 0600), 0);
    assert_int_equal(bh_audit_open(&rig.audit, &rig.state), BH_DENIED);
    assert_int_equal(unlink(rig.file), 0);
    assert_int_equal(symlink("/dev/null", rig.file), 0);
    assert_int_not_equal(bh_audit_open(&rig.audit, &rig.state), BH_OK);
    assert_non_null(strstr(rig.state.why, "--state"));
    assert_int_equal(rig.audit.fd, -1);
}

/* A file that may not grow is a full disk, as far as write() can tell. */
static void test_audit_cannot_be_written(void **state)
{
    struct rlimit before;
    (void)state;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction action;
    assert_int_equal(sigaction(SIGXFSZ, &ignore, &action), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    audit_open();
    bh_audit_add(&rig.audit, "start", "{}");
    const struct rlimit little = {.rlim_cur = strlen(audit_read()) + 20u,
                                  .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    bh_audit_add(&rig.audit, "guest", "{}"); /* a part of it has room, and is taken back */
    bh_audit_add(&rig.audit, "guest", "{}");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(rig.failures, 1);
    assert_int_equal(rig.audit.lost, 2);
    assert_int_equal(rig.mended, 0);
    bh_audit_add(&rig.audit, "guest", "{}");
    assert_int_equal(rig.mended, 1);
    assert_int_equal(number_of(0), 1);
    assert_int_equal(number_of(1), 4); /* the gap is what is missing */
    assert_int_equal(sigaction(SIGXFSZ, &action, NULL), 0);
}

static void test_audit_members_that_are_none(void **state)
{
    (void)state;
    audit_open();
    bh_audit_add(&rig.audit, "guest", "{s:s}", "detail", "\xff\xfe");
    assert_int_equal(rig.audit.lost, 1);
    bh_audit_add(&rig.audit, "guest", "{s:o}", "detail", bh_audit_text("\xff\xfe"));
    json_t *found = entry(0);
    assert_string_equal(json_string_value(json_object_get(found, "detail")), "??");
    json_decref(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_form, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_number_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_after_a_line_that_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_after_what_is_no_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_behind_much_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_has_one_writer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_refused_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_cannot_be_written, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_members_that_are_none, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
