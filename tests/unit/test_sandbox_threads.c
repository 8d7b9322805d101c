/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox of a process with several threads: it holds for all of them, those that were made before it
 * closed included, and lets none be made after. What it forbids at all: test_sandbox.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/host_log.h"
#include "bulkhead/host_sandbox.h"

enum { DID = 0, DID_NOT = 1, NO_SANDBOX = 2 };

/* What a child does once it is closed; `other`: in the thread that was made before. */
struct
try {
    bool (*run)(void);
    bool other;
    const char *const *calls;
    uint32_t call_count;
    enum bh_sandbox_mode mode;
};

static struct {
    const struct try *try;
    pthread_barrier_t made;
    pthread_barrier_t closed;
    pthread_t thread;
    bool done;
} self;

static void *other_thread(void *context)
{
    (void)context;
    (void)pthread_barrier_wait(&self.made);
    (void)pthread_barrier_wait(&self.closed);
    if (self.try->other) {
        self.done = self.try->run();
    }
    return NULL;
}

static int make_thread(void *context)
{
    (void)context;
    if (pthread_create(&self.thread, NULL, other_thread, NULL) != 0) {
        return BH_NO_MEMORY;
    }
    (void)pthread_barrier_wait(&self.made);
    return BH_OK;
}

static int child(const struct try *try)
{
    const struct bh_sandbox_setup setup = {.mode = try->mode,
                                           .fd_limit = 64,
                                           .calls = try->calls,
                                           .call_count = try->call_count,
                                           .threads = make_thread,
                                           .thread_count = 1};
    struct bh_sandbox_report report;
    bh_log_open("test_sandbox_threads", 0);
    self.try = try;
    (void)pthread_barrier_init(&self.made, NULL, 2);
    (void)pthread_barrier_init(&self.closed, NULL, 2);
    (void)bh_sandbox_descriptors(NULL, 0);
    if (bh_sandbox_close(&setup, &report) != BH_OK ||
        (try->mode != BH_SANDBOX_OFF && report.failed[BH_LAYER_SECCOMP] != 0)) {
        return NO_SANDBOX;
    }
    (void)pthread_barrier_wait(&self.closed);
    if (!try->other) {
        self.done = try->run();
    }
    (void)pthread_join(self.thread, NULL);
    return self.done ? DID : DID_NOT;
}

static int run(const struct try *try)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child(try));
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_killed(const struct try *try)
{
    int status = run(try);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void expect_done(const struct try *try)
{
    int status = run(try);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DID);
}

/* ---- what is tried ---- */

static bool try_open(void)
{
    return open("/", O_RDONLY | O_CLOEXEC) >= 0;
}

static void *nothing(void *context)
{
    return context;
}

static bool try_thread(void)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, nothing, NULL) == 0;
}

static bool try_event(void)
{
    return eventfd(0, EFD_CLOEXEC) >= 0;
}

static bool try_signal_main(void)
{
    return syscall(SYS_tgkill, getpid(), getpid(), 0) == 0;
}

static bool try_signal_parent(void)
{
    return syscall(SYS_tgkill, 1, 1, 0) == 0;
}

static bool try_nothing(void)
{
    return true;
}

/* ---- tests ---- */

static void test_sandbox_holds_for_all_threads(void **state)
{
    (void)state;
    expect_done(&(struct try){.run = try_nothing, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
    expect_killed(&(struct try){.run = try_open, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
    expect_killed(&(struct try){.run = try_open, .mode = BH_SANDBOX_BEST_EFFORT});
}

static void test_sandbox_makes_no_more_threads(void **state)
{
    (void)state;
    expect_killed(&(struct try){.run = try_thread, .mode = BH_SANDBOX_BEST_EFFORT});
    expect_killed(&(struct try){.run = try_thread, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
}

static void test_sandbox_calls_that_are_asked_for(void **state)
{
    (void)state;
    static const char *const calls[] = {"eventfd2"};
    expect_done(&(struct try){.run = try_event,
                              .other = true,
                              .calls = calls,
                              .call_count = 1,
                              .mode = BH_SANDBOX_BEST_EFFORT});
    expect_killed(&(struct try){.run = try_event, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
}

static void test_sandbox_signals_stay_inside(void **state)
{
    (void)state;
    expect_done(
        &(struct try){.run = try_signal_main, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
    expect_killed(
        &(struct try){.run = try_signal_parent, .other = true, .mode = BH_SANDBOX_BEST_EFFORT});
}

static void test_sandbox_off_makes_threads(void **state)
{
    (void)state;
    expect_done(&(struct try){.run = try_open, .other = true, .mode = BH_SANDBOX_OFF});
}

static int no_threads(void *context)
{
    (void)context;
    return BH_LIMIT;
}

static void test_sandbox_threads_that_cannot_be_made(void **state)
{
    (void)state;
    const struct bh_sandbox_setup setup = {.mode = BH_SANDBOX_OFF, .threads = no_threads};
    struct bh_sandbox_report report;
    assert_int_equal(bh_sandbox_close(&setup, &report), BH_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sandbox_holds_for_all_threads),
        cmocka_unit_test(test_sandbox_makes_no_more_threads),
        cmocka_unit_test(test_sandbox_calls_that_are_asked_for),
        cmocka_unit_test(test_sandbox_signals_stay_inside),
        cmocka_unit_test(test_sandbox_off_makes_threads),
        cmocka_unit_test(test_sandbox_threads_that_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
