/* SPDX-License-Identifier: BSD-2-Clause */
/* The state folder: where it is, whose it may be, and the rollback index in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/host_state.h"

struct rig {
    char folder[64];
    char path[96]; /* of the state folder */
    struct bh_state_folder state;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/bulkhead-state-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->path, sizeof(rig->path), "%s/a/b", rig->folder);
    rig->state.fd = -1;
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    char command[128];
    bh_state_close(&rig->state);
    (void)snprintf(command, sizeof(command), "rm -r '%s'", rig->folder);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a name of mkdtemp's */
    free(rig);
    return 0;
}

static void put(const struct rig *rig, const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", rig->path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void open_good(struct rig *rig, const char *name)
{
    bh_state_close(&rig->state);
    assert_int_equal(bh_state_open(&rig->state, rig->path, name), BH_OK);
}

static void open_refused(struct rig *rig, const char *name, const char *said)
{
    bh_state_close(&rig->state);
    assert_int_equal(bh_state_open(&rig->state, rig->path, name), BH_DENIED);
    assert_int_equal(rig->state.fd, -1);
    assert_non_null(strstr(rig->state.why, said));
    assert_non_null(strstr(rig->state.why, "--state"));
}

static void test_state_folder_is_made(void **state)
{
    struct rig *rig = *state;
    struct stat status;
    mode_t mask = umask(022);
    open_good(rig, "cockpit");
    (void)umask(mask);
    assert_int_equal(fstat(rig->state.fd, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_int_equal(fcntl(rig->state.fd, F_GETFD), FD_CLOEXEC);
    assert_string_equal(rig->state.path, rig->path);
    open_good(rig, "cockpit"); /* it is there */
}

static void test_state_folder_of_the_usual_places(void **state)
{
    struct rig *rig = *state;
    char expected[160];
    assert_int_equal(setenv("HOME", rig->folder, 1), 0);
    assert_int_equal(setenv("XDG_STATE_HOME", rig->path, 1), 0);
    if (geteuid() == 0) {
        return; /* /var/lib is the host's own: test_image.py looks there as another user */
    }
    (void)snprintf(expected, sizeof(expected), "%s/bulkhead/cockpit", rig->path);
    assert_int_equal(bh_state_open(&rig->state, NULL, "cockpit"), BH_OK);
    assert_string_equal(rig->state.path, expected);
    bh_state_close(&rig->state);
    assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1), 0);
    (void)snprintf(expected, sizeof(expected), "%s/.local/state/bulkhead/cockpit", rig->folder);
    assert_int_equal(bh_state_open(&rig->state, NULL, "cockpit"), BH_OK);
    assert_string_equal(rig->state.path, expected);
    bh_state_close(&rig->state);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(bh_state_open(&rig->state, NULL, "cockpit"), BH_STATE);
    assert_non_null(strstr(rig->state.why, "--state"));
}

static void test_state_folder_of_others(void **state)
{
    struct rig *rig = *state;
    open_good(rig, "cockpit");
    assert_int_equal(chmod(rig->path, 0770), 0);
    open_refused(rig, "cockpit", "go-w");
    assert_int_equal(chmod(rig->path, 0702), 0);
    open_refused(rig, "cockpit", "go-w");
    assert_int_equal(chmod(rig->path, 0755), 0);
    open_good(rig, "cockpit");
    if (geteuid() == 0) {
        assert_int_equal(chown(rig->path, 65534, (gid_t)-1), 0);
        open_refused(rig, "cockpit", "another user (65534)");
    }
}

static void test_state_folder_that_is_none(void **state)
{
    struct rig *rig = *state;
    char name[BH_STATE_NAME_MAX + 2u];
    char path[PATH_MAX + 2];
    memset(name, 'n', sizeof(name) - 1u);
    name[sizeof(name) - 1u] = '\0';
    assert_int_equal(bh_state_open(&rig->state, rig->path, name), BH_INVALID);
    assert_int_equal(bh_state_open(&rig->state, "", "cockpit"), BH_LIMIT);
    memset(path, 'p', sizeof(path) - 1u);
    path[sizeof(path) - 1u] = '\0';
    assert_int_equal(bh_state_open(&rig->state, path, "cockpit"), BH_LIMIT);
    assert_true(bh_state_open(&rig->state, "/proc/none/here", "cockpit") < 0);
    assert_non_null(strstr(rig->state.why, "/proc/none/here"));
    assert_int_equal(rig->state.fd, -1);
}

/* ------------------------------------------------------------------------------------------------
 * rollback */

static uint64_t seen(struct rig *rig)
{
    uint64_t number = 99;
    assert_int_equal(bh_state_rollback_read(&rig->state, &number), BH_OK);
    return number;
}

static void test_state_rollback_rises(void **state)
{
    struct rig *rig = *state;
    struct stat first;
    struct stat second;
    open_good(rig, "cockpit");
    assert_int_equal(seen(rig), 0);
    assert_int_equal(bh_state_rollback_write(&rig->state, 7), BH_OK);
    assert_int_equal(seen(rig), 7);
    assert_int_equal(fstatat(rig->state.fd, "rollback", &first, 0), 0);
    assert_int_equal(first.st_mode & 07777, 0600);
    assert_int_equal(bh_state_rollback_write(&rig->state, 7), BH_OK);
    assert_int_equal(fstatat(rig->state.fd, "rollback", &second, 0), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* not written once more */
    assert_int_equal(bh_state_rollback_write(&rig->state, 6), BH_DENIED);
    assert_int_equal(seen(rig), 7);
    assert_int_equal(bh_state_rollback_write(&rig->state, UINT64_MAX), BH_OK);
    assert_true(seen(rig) == UINT64_MAX);
    open_good(rig, "cockpit");
    assert_true(seen(rig) == UINT64_MAX);
    assert_int_equal(faccessat(rig->state.fd, ".rollback.new", F_OK, 0), -1);
}

/* What nobody can read is not 0: an attacker would just spoil the file. */
static void test_state_rollback_damaged(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "7",
        "seven\n",
        "-7\n",
        "+7\n",
        " 7\n",
        "7 \n",
        "0x7\n",
        "7\n8\n",
        "18446744073709551616\n",
        "7\r\n",
        "00000000000000000000000000000000000000000000000000000000000000000000007\n"};
    struct rig *rig = *state;
    char path[128];
    uint64_t number;
    open_good(rig, "cockpit");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(rig, "rollback", texts[i]);
        number = 5;
        assert_int_equal(bh_state_rollback_read(&rig->state, &number), BH_PROTOCOL);
        assert_int_equal(number, 0);
        assert_non_null(strstr(rig->state.why, "/rollback: damaged"));
        assert_int_equal(bh_state_rollback_write(&rig->state, 9), BH_PROTOCOL);
    }
    put(rig, "rollback", "0012\n");
    assert_int_equal(seen(rig), 12);
    (void)snprintf(path, sizeof(path), "%s/rollback", rig->path);
    assert_int_equal(unlink(path), 0);
    put(rig, "elsewhere", "1\n");
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_true(bh_state_rollback_read(&rig->state, &number) < 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(bh_state_rollback_read(&rig->state, &number), BH_PROTOCOL);
}

static void test_state_folder_of_another_platform(void **state)
{
    struct rig *rig = *state;
    open_good(rig, "cockpit");
    open_good(rig, "gateway"); /* nothing was accepted yet */
    assert_int_equal(bh_state_rollback_write(&rig->state, 0), BH_OK);
    open_refused(rig, "cockpit", "another platform than cockpit");
    open_good(rig, "gateway");
    put(rig, "platform", "no line end");
    bh_state_close(&rig->state);
    assert_int_equal(bh_state_open(&rig->state, rig->path, "gateway"), BH_PROTOCOL);
}

/* A write that fails leaves the old number. */
static void test_state_rollback_that_cannot_be_written(void **state)
{
    struct rig *rig = *state;
    char path[128];
    open_good(rig, "cockpit");
    assert_int_equal(bh_state_rollback_write(&rig->state, 7), BH_OK);
    (void)snprintf(path, sizeof(path), "%s/.rollback.new", rig->path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(bh_state_rollback_write(&rig->state, 8) < 0);
    assert_non_null(strstr(rig->state.why, "cannot be written"));
    assert_int_equal(seen(rig), 7);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_true(bh_state_rollback_write(&rig->state, 8) < 0);
    assert_int_equal(bh_state_rollback_write(&rig->state, 8), BH_OK); /* the link was taken away */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_state_folder_is_made),
        TEST(test_state_folder_of_the_usual_places),
        TEST(test_state_folder_of_others),
        TEST(test_state_folder_that_is_none),
        TEST(test_state_rollback_rises),
        TEST(test_state_rollback_damaged),
        TEST(test_state_folder_of_another_platform),
        TEST(test_state_rollback_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
