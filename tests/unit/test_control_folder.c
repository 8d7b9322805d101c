/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's folder: made, checked, locked, taken over, removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control_rig.h"

/* ------------------------------------------------------------------------------------------------
 * the folder */

static void test_control_folder_is_made_and_removed(void **state)
{
    char folder[CONTROL_PATH];
    char path[128];
    int pid;
    struct stat status;
    (void)state;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    (void)snprintf(path, sizeof(path), "%s/bulkhead/p", control_rig.base);
    assert_string_equal(folder, path);
    assert_int_equal(stat(folder, &status), 0);
    assert_int_equal(status.st_mode & 07777u, 0700);
    control_rig_exists("p/control", true);
    bh_control_close(control_rig.control);
    control_rig.control = NULL;
    control_rig_exists("p", false);
    bh_control_close(NULL);
}

static void test_control_second_of_the_same_name(void **state)
{
    char folder[CONTROL_PATH];
    struct bh_control *second = NULL;
    int pid;
    (void)state;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    assert_int_equal(control_rig_open_named(&second, "p", folder, &pid), BH_STATE);
    assert_int_equal(pid, getpid());
    assert_null(second);
    assert_int_equal(control_rig_open_named(&second, "q", folder, &pid), BH_OK);
    bh_control_close(second);
    control_rig_exists("p/control", true);
}

static void test_control_lock_without_a_number(void **state)
{
    static const char *const texts[] = {"-12\n", "0\n", "12", "12x\n", "\n", "99999999999999\n"};
    char folder[CONTROL_PATH];
    char path[128];
    struct bh_control *second = NULL;
    int pid;
    (void)state;
    control_rig_make_folder("bulkhead", 0700);
    control_rig_make_folder("bulkhead/p", 0700);
    (void)snprintf(path, sizeof(path), "%s/bulkhead/p/lock", control_rig.base);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(lock, LOCK_EX), 0);
    assert_int_equal(control_rig_open_named(&second, "p", folder, &pid), BH_STATE);
    assert_int_equal(pid, 0);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(ftruncate(lock, 0), 0);
        assert_true(pwrite(lock, texts[i], strlen(texts[i]), 0) > 0);
        assert_int_equal(control_rig_open_named(&second, "p", folder, &pid), BH_STATE);
        assert_int_equal(pid, 0);
    }
    (void)close(lock);
}

/* What a killed supervisor leaves: the folder, a lock that nobody holds, a socket that nobody
 * listens on. */
static void test_control_leftover_is_taken_over(void **state)
{
    char folder[CONTROL_PATH];
    char path[128];
    int pid;
    int fd;
    (void)state;
    (void)close(control_rig_impostor());
    (void)snprintf(path, sizeof(path), "%s/bulkhead/p/lock", control_rig.base);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(lock, "4194305\n4194305\n", 16), 16);
    (void)close(lock);
    assert_int_equal(bh_control_connect("p", &fd), BH_GONE);
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    assert_int_equal(bh_control_connect("p", &fd), BH_OK);
    (void)close(fd);
}

static void refused(int expected, const char *where)
{
    char folder[CONTROL_PATH];
    char path[128];
    int pid;
    (void)snprintf(path, sizeof(path), "%s%s", control_rig.base, where);
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), expected);
    assert_string_equal(folder, path);
    assert_null(control_rig.control);
}

static void test_control_folder_that_others_may_enter(void **state)
{
    int fd;
    (void)state;
    control_rig_make_folder("bulkhead", 0750);
    refused(BH_DENIED, "/bulkhead");
    assert_int_equal(bh_control_connect("p", &fd), BH_DENIED);
    assert_int_equal(bh_control_list(NULL, NULL), BH_DENIED);
}

static void test_control_platform_folder_that_others_may_enter(void **state)
{
    (void)state;
    control_rig_make_folder("bulkhead", 0700);
    control_rig_make_folder("bulkhead/p", 0701);
    refused(BH_DENIED, "/bulkhead/p");
}

static void test_control_folder_is_a_link(void **state)
{
    char path[128];
    char folder[CONTROL_PATH];
    int pid;
    (void)state;
    control_rig_make_folder("elsewhere", 0700);
    (void)snprintf(path, sizeof(path), "%s/bulkhead", control_rig.base);
    assert_int_equal(symlink("elsewhere", path), 0);
    refused(BH_DENIED, "/bulkhead");
    assert_int_equal(unlink(path), 0);
    control_rig_make_folder("bulkhead", 0700);
    control_rig_make_folder("bulkhead/p", 0700);
    (void)snprintf(path, sizeof(path), "%s/bulkhead/p/lock", control_rig.base);
    assert_int_equal(symlink("../../elsewhere/made", path), 0);
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_DENIED);
    (void)snprintf(path, sizeof(path), "%s/elsewhere/made", control_rig.base);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_control_parent_that_others_may_write(void **state)
{
    (void)state;
    assert_int_equal(chmod(control_rig.base, 0777), 0);
    refused(BH_DENIED, "");
    assert_int_equal(chmod(control_rig.base, 01777), 0); /* as /tmp is */
    char folder[CONTROL_PATH];
    int pid;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
}

static void test_control_parent_that_is_not_there(void **state)
{
    char folder[CONTROL_PATH];
    int pid;
    int fd;
    (void)state;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/no/such/folder", 1), 0);
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_GONE);
    assert_string_equal(folder, "/no/such/folder");
    assert_int_equal(bh_control_connect("p", &fd), BH_GONE);
    assert_int_equal(bh_control_list(NULL, NULL), BH_OK);
}

static void test_control_path_too_long(void **state)
{
    char folder[CONTROL_PATH];
    char path[200];
    int pid;
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/%070d", control_rig.base, 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", path, 1), 0);
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_LIMIT);
    assert_int_equal(strncmp(folder, path, strlen(path)), 0);
    assert_string_equal(folder + strlen(path), "/bulkhead/p");
    assert_int_equal(access(folder, F_OK), -1); /* nothing is left */
}

static void test_control_names(void **state)
{
    static const char *const bad[] = {
        "", "..", "../p", "a/b", "P", "1a", "-a", "a_b", "a234567890123456789012345678901234"};
    char folder[CONTROL_PATH];
    int pid;
    int fd;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(control_rig_open_named(&control_rig.control, bad[i], folder, &pid),
                         BH_INVALID);
        assert_int_equal(bh_control_connect(bad[i], &fd), BH_GONE);
    }
    assert_int_equal(control_rig_open_named(&control_rig.control,
                                            "a2345678901234567890123456789012", folder, &pid),
                     BH_OK);
}

static void test_control_advice(void **state)
{
    (void)state;
    for (int error = BH_TIMEOUT; error < BH_OK; error++) {
        assert_non_null(bh_control_advice(error));
    }
    assert_non_null(strstr(bh_control_advice(BH_DENIED), "XDG_RUNTIME_DIR"));
}

static void list_found(void *context, const char *name)
{
    char *names = context;
    size_t used = strlen(names);
    (void)snprintf(names + used, CONTROL_TEXT - used, "%s ", name);
}

static void test_control_list(void **state)
{
    char names[CONTROL_TEXT] = "";
    char folder[CONTROL_PATH];
    struct bh_control *more[2];
    int pid;
    (void)state;
    assert_int_equal(bh_control_list(list_found, names), BH_OK);
    assert_string_equal(names, "");
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    assert_int_equal(control_rig_open_named(&more[0], "z", folder, &pid), BH_OK);
    assert_int_equal(control_rig_open_named(&more[1], "b", folder, &pid), BH_OK);
    control_rig_make_folder("bulkhead/leftover", 0700);
    control_rig_make_folder("bulkhead/..odd", 0700);
    assert_int_equal(bh_control_list(list_found, names), BH_OK);
    assert_string_equal(names, "b p z ");
    bh_control_close(more[0]);
    bh_control_close(more[1]);
}

/* In place of the C library's: as if the last owner ended just before the lock was asked for. */
static uint32_t vanishing; /* how many times more */

int flock(int fd, int operation)
{
    if (vanishing > 0) {
        char path[128];
        vanishing--;
        (void)snprintf(path, sizeof(path), "%s/bulkhead/p/lock", control_rig.base);
        assert_int_equal(unlink(path), 0);
        (void)snprintf(path, sizeof(path), "%s/bulkhead/p", control_rig.base);
        assert_int_equal(rmdir(path), 0);
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static void test_control_folder_vanishes_while_it_is_taken(void **state)
{
    char folder[CONTROL_PATH];
    int pid;
    (void)state;
    vanishing = 3;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    assert_int_equal(vanishing, 0);
    control_rig_exists("p/lock", true);
    control_rig_exists("p/control", true);
}

static void test_control_folder_that_vanishes_for_ever(void **state)
{
    char folder[CONTROL_PATH];
    int pid;
    (void)state;
    vanishing = UINT32_MAX;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_GONE);
    vanishing = 0;
}

/* Many that start and end at the same time under the same name: one has it at any time, and the
 * others are told so. A lock of a file that was removed meanwhile must not count. */
#define CONTENDERS 3u
#define ROUNDS     300u

static atomic_int holders;
static atomic_uint taken;

static void *contend(void *unused)
{
    (void)unused;
    struct bh_loop loop;
    char folder[CONTROL_PATH];
    assert_int_equal(bh_loop_init(&loop), BH_OK);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct bh_control *control;
        int pid;
        int result = bh_control_open(&control, &loop.poller, "p", &control_rig_handlers, NULL,
                                     folder, sizeof(folder), &pid);
        if (result == BH_OK) {
            assert_int_equal(atomic_fetch_add(&holders, 1), 0);
            atomic_fetch_add(&taken, 1u);
            atomic_fetch_sub(&holders, 1);
            bh_control_close(control);
        } else {
            assert_int_equal(result, BH_STATE);
        }
    }
    bh_loop_finish(&loop);
    return NULL;
}

static void test_control_many_at_the_same_time(void **state)
{
    pthread_t threads[CONTENDERS];
    (void)state;
    for (uint32_t i = 0; i < CONTENDERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, contend, NULL), 0);
    }
    for (uint32_t i = 0; i < CONTENDERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_true(atomic_load(&taken) > 0);
    control_rig_exists("p", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_CASE(test_control_folder_is_made_and_removed),
        CONTROL_CASE(test_control_second_of_the_same_name),
        CONTROL_CASE(test_control_lock_without_a_number),
        CONTROL_CASE(test_control_leftover_is_taken_over),
        CONTROL_CASE(test_control_folder_that_others_may_enter),
        CONTROL_CASE(test_control_platform_folder_that_others_may_enter),
        CONTROL_CASE(test_control_folder_is_a_link),
        CONTROL_CASE(test_control_parent_that_others_may_write),
        CONTROL_CASE(test_control_parent_that_is_not_there),
        CONTROL_CASE(test_control_path_too_long),
        CONTROL_CASE(test_control_names),
        CONTROL_CASE(test_control_advice),
        CONTROL_CASE(test_control_list),
        CONTROL_CASE(test_control_folder_vanishes_while_it_is_taken),
        CONTROL_CASE(test_control_folder_that_vanishes_for_ever),
        CONTROL_CASE(test_control_many_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
