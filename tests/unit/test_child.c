/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children: what they get, what they do not get, how their end is told. The program that is started
 * is this one again: with an argument it says what it finds and ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/host_child.h"
#include "bulkhead/host_loop.h"
#include "child_role.h"

/* The test links host/, which reports disk operations. None takes place. */
struct bh_disk_io;
void bh_blk_done(struct bh_disk_io *io, int result);
void bh_blk_done(struct bh_disk_io *io, int result)
{
    (void)io;
    (void)result;
    abort();
}

#define ORDINARY_USER 1000u
#define FDS_LOOKED_AT 1024

/* ------------------------------------------------------------------------------------------------
 * the starter's part */

static struct bh_loop loop;
static struct bh_child child;
static int ended;
static int end_status;
static int output[2]; /* a pipe */
static int descriptors_before;

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < FDS_LOOKED_AT; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static int set_up(void **state)
{
    (void)state;
    ended = 0;
    descriptors_before = count_descriptors();
    return bh_loop_init(&loop) == BH_OK && pipe2(output, O_CLOEXEC) == 0 ? 0 : -1;
}

/* Neither a process nor a descriptor is left. */
static int tear_down(void **state)
{
    (void)state;
    bh_loop_finish(&loop);
    (void)close(output[0]);
    if (output[1] >= 0) {
        (void)close(output[1]);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), descriptors_before);
    return 0;
}

static void child_ended(struct bh_child *which, int status)
{
    assert_ptr_equal(which, &child);
    assert_ptr_equal(which->context, &ended);
    ended++;
    end_status = status;
    bh_loop_stop(&loop);
}

/* A child that does `what`; its output goes into the pipe. */
static struct bh_child_setup make_setup(const char *const *arguments)
{
    return (struct bh_child_setup){.poller = &loop.poller,
                                   .program = "/proc/self/exe",
                                   .arguments = arguments,
                                   .output_fd = output[1],
                                   .ended = child_ended,
                                   .context = &ended};
}

static void read_output(char *text, size_t size)
{
    size_t length = 0;
    (void)close(output[1]);
    output[1] = -1;
    for (;;) {
        ssize_t more = read(output[0], text + length, size - 1u - length);
        if (more <= 0) {
            break;
        }
        length += (size_t)more;
    }
    text[length] = '\0';
}

/* Starts it, reads all that it says, and waits for its end. */
static void run(const struct bh_child_setup *setup, char *text, size_t size)
{
    assert_int_equal(bh_child_start(&child, setup), BH_OK);
    assert_true(child.pid > 0);
    read_output(text, size);
    assert_int_equal(bh_loop_run(&loop), BH_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.pidfd, -1);
}

static const char *const tell_what[] = {"child", "unknown", NULL};
static const char *const tell_fds[] = {"child", "descriptors", NULL};
static const char *const wait_arguments[] = {"child", "wait", NULL};

static void test_child_exit_code(void **state)
{
    const struct bh_child_setup setup = make_setup(tell_what);
    char text[16];
    (void)state;
    run(&setup, text, sizeof(text));
    assert_int_equal(end_status, 3);
    assert_false(child.isolated);
    bh_child_signal(&child, SIGKILL); /* nobody: nothing */
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(ended, 1);
}

static void test_child_killed(void **state)
{
    const struct bh_child_setup setup = make_setup(wait_arguments);
    (void)state;
    assert_int_equal(bh_child_start(&child, &setup), BH_OK);
    bh_child_signal(&child, SIGKILL);
    assert_int_equal(bh_loop_run(&loop), BH_OK);
    assert_int_equal(ended, 1);
    assert_int_equal(end_status, -SIGKILL);
}

/* ------------------------------------------------------------------------------------------------
 * what cannot be started */

static void expect_refused(const char *program, int error)
{
    struct bh_child_setup setup = make_setup(tell_what);
    setup.program = program;
    for (int isolate = 0; isolate < 2; isolate++) {
        setup.isolate = isolate != 0;
        assert_int_equal(bh_child_start(&child, &setup), error);
        assert_int_equal(child.pid, 0);
        assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    }
    assert_int_equal(ended, 0);
}

static void test_child_no_such_program(void **state)
{
    (void)state;
    expect_refused("/nowhere/program", BH_GONE);
    expect_refused("", BH_GONE);
    expect_refused("/dev/null", BH_DENIED);
    expect_refused("/etc", BH_DENIED);
}

static void test_child_no_program(void **state)
{
    char path[] = "/tmp/test_child_XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "garbage\n", 8), 8);
    expect_refused(path, BH_DENIED);
    assert_int_equal(fchmod(fd, 0700), 0);
    (void)close(fd); /* open for writing it would be "busy" */
    expect_refused(path, BH_INVALID);
    assert_int_equal(unlink(path), 0);
}

static void test_child_bad_setup(void **state)
{
    static const char *const nothing[] = {NULL};
    const struct bh_child_fd twice[] = {{output[0], 5}, {output[1], 5}};
    const struct bh_child_fd standard[] = {{output[0], 2}};
    const struct bh_child_fd negative[] = {{-1, 5}};
    const struct bh_child_fd closed[] = {{FDS_LOOKED_AT - 1, 5}};
    struct bh_child_setup setup = make_setup(nothing);
    (void)state;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    setup = make_setup(tell_what);
    setup.fds = twice;
    setup.fd_count = 2;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    setup.fds = standard;
    setup.fd_count = 1;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    setup.fds = negative;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    setup.fds = closed;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    setup.fd_count = BH_CHILD_FDS_MAX + 1u;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
}

/* ------------------------------------------------------------------------------------------------
 * what a child gets */

static int make_file(const char *text)
{
    int fd = memfd_create(text, 0); /* not close-on-exec: inherited, if nobody cares */
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

/* Two that change places, one that goes to a number in use, one to where it is; the rest is closed,
 * and standard input and output are what they should be. */
static void test_child_descriptors_change_places(void **state)
{
    int a = make_file("a");
    int b = make_file("b");
    int c = make_file("c");
    int d = make_file("d");
    const struct bh_child_fd fds[] = {{a, b}, {b, a}, {c, 200}, {d, d}, {d, c}};
    struct bh_child_setup setup = make_setup(tell_fds);
    char text[256];
    char expected[256];
    (void)state;
    setup.fds = fds;
    setup.fd_count = 5;
    run(&setup, text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "0=null;1=;2=;%d=b;%d=a;%d=d;%d=d;200=c;", a, b, c,
                   d);
    assert_string_equal(text, expected);
    assert_int_equal(end_status, 0);
    (void)close(a);
    (void)close(b);
    (void)close(c);
    (void)close(d);
}

static void test_child_output_to_nowhere(void **state)
{
    int file = make_file("");
    const struct bh_child_fd fds[] = {{file, 3}};
    struct bh_child_setup setup = make_setup(tell_fds);
    char text[16];
    (void)state;
    setup.output_fd = -1;
    setup.fds = fds;
    setup.fd_count = 1;
    run(&setup, text, sizeof(text));
    assert_string_equal(text, "");
    assert_int_equal(end_status, 0);
    (void)close(file);
}

static void make_path(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void test_child_reach(void **state)
{
    static const char *const arguments[] = {"child", "reach", NULL};
    /* What the program itself needs, its sanitizer included, comes last. */
    static const struct bh_child_path reach[] = {
        {"inside", false}, {"device", true}, {"/no/such/path", false},
        {"/usr", false},   {"/lib", false},  {"/lib64", false},
        {"/etc", false},   {"/proc", false}, {NULL, false}};
    char folder[] = "/tmp/bulkhead-reach-XXXXXX";
    char text[256];
    struct bh_child_setup setup = make_setup(arguments);
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("inside", 0700), 0);
    make_path("inside/file");
    make_path("device");
    make_path("outside");
    make_path("given");
    int given = open("given", O_RDONLY | O_CLOEXEC);
    const struct bh_child_fd fds[] = {{given, REACH_GIVEN}};
    setup.fds = fds;
    setup.fd_count = 1;
    setup.reach = reach;
    run(&setup, text, sizeof(text));
    (void)close(given);
    (void)unlink("inside/file");
    (void)unlink("device");
    (void)unlink("outside");
    (void)unlink("given");
    (void)rmdir("inside/new");
    (void)rmdir("inside");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
    if (!child.confined) {
        skip(); /* no Landlock here */
    }
    assert_int_equal(end_status, 0);
    assert_string_equal(text, "inside:yes written:EACCES device:yes outside:EACCES given:yes "
                              "given-written:EACCES null:yes made:EACCES removed:EACCES rights:1");
}

/* A starter that has closed its own standard descriptors still gives a child all three. */
static void test_child_starter_without_standard_descriptors(void **state)
{
    const struct bh_child_setup setup = make_setup(tell_fds);
    char text[64];
    int saved[3];
    (void)state;
    for (int fd = 0; fd < 3; fd++) {
        saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        (void)close(fd);
    }
    int result = bh_child_start(&child, &setup);
    if (result == BH_OK) {
        read_output(text, sizeof(text));
        result = bh_loop_run(&loop);
    }
    for (int fd = 0; fd < 3; fd++) {
        (void)dup2(saved[fd], fd);
        (void)close(saved[fd]);
    }
    assert_int_equal(result, BH_OK);
    assert_string_equal(text, "0=null;1=;2=;");
}

static void test_child_state(void **state)
{
    static const char *const arguments[] = {"child", "state", NULL};
    const struct bh_child_setup setup = make_setup(arguments);
    char text[256];
    sigset_t blocked;
    sigset_t before;
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    run(&setup, text, sizeof(text));
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    assert_string_equal(text, "SigBlk:0 SigIgn:0 core:0 death:9 leads:1");
}

static void test_child_environment(void **state)
{
    static const char *const arguments[] = {"child", "environment", NULL};
    static const char *const given[] = {"ONE=1", NULL};
    struct bh_child_setup setup = make_setup(arguments);
    char text[8192];
    char expected[8192];
    (void)state;
    assert_int_equal(setenv("SECRET", "x", 1), 0);
    run(&setup, text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "PATH=%s\nLANG=C\n", getenv("PATH"));
    assert_string_equal(text, expected);
    (void)close(output[0]);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    ended = 0;
    setup.output_fd = output[1];
    setup.environment = given;
    run(&setup, text, sizeof(text));
    assert_string_equal(text, "ONE=1\n");
}

/* ------------------------------------------------------------------------------------------------
 * namespaces */

/* Asked of the kernel directly: what the child code says of it is what is tested. */
static bool namespaces_are_here(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET) == 0 ? 0 : 1);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void test_child_processors(void **state)
{
    static const char *const arguments[] = {"child", "processors", NULL};
    struct bh_child_setup setup = make_setup(arguments);
    struct bh_child_cpus cpus = {.words = {0}};
    char text[32];
    char expected[32];
    cpu_set_t mine;
    int last = CPU_SETSIZE - 1;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
    while (!CPU_ISSET((size_t)last, &mine)) {
        last--;
    }
    cpus.words[(size_t)last / (8u * sizeof(long))] = 1ul << (size_t)last % (8u * sizeof(long));
    setup.cpus = &cpus;
    run(&setup, text, sizeof(text));
    (void)snprintf(expected, sizeof(expected), "1 of them: %d", last);
    assert_string_equal(text, expected);
}

static void test_child_no_such_processor(void **state)
{
    struct bh_child_setup setup = make_setup(tell_what);
    struct bh_child_cpus cpus = {.words = {0}};
    (void)state;
    cpus.words[BH_CHILD_CPU_WORDS - 1u] = 1ul << (8u * sizeof(long) - 1u);
    setup.cpus = &cpus;
    assert_int_equal(bh_child_start(&child, &setup), BH_INVALID);
    assert_int_equal(ended, 0);
}

static void test_child_isolated(void **state)
{
    static const char *const arguments[] = {"child", "names", NULL};
    struct bh_child_setup setup = make_setup(arguments);
    char text[128];
    char expected[128];
    (void)state;
    setup.isolate = true;
    setup.no_network = true;
    run(&setup, text, sizeof(text));
    if (!namespaces_are_here()) {
        assert_false(child.isolated);
        skip();
    }
    assert_true(child.isolated);
    (void)snprintf(expected, sizeof(expected), "pid:1 user:%u group:%u interfaces:1", getuid(),
                   getgid());
    assert_string_equal(text, expected);
}

static bool maps_are_readable(pid_t pid)
{
    char path[64];
    char byte;
    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool readable = fd >= 0 && read(fd, &byte, 1) == 1;
    if (fd >= 0) {
        (void)close(fd);
    }
    return readable;
}

/* As the ordinary user that this process is now: an isolated child that made itself undumpable can
 * be looked into all the same, and hears SIGTERM though it is the first of its pid namespace. */
static int try_isolated_wait(void)
{
    struct bh_child_setup setup = make_setup(wait_arguments);
    char text[8] = "";
    setup.isolate = true;
    if (bh_child_start(&child, &setup) != BH_OK) {
        return 2;
    }
    if (read(output[0], text, 5) != 5 || strcmp(text, "ready") != 0) {
        return 3;
    }
    bool readable = maps_are_readable(child.pid);
    bh_child_signal(&child, SIGTERM);
    if (bh_loop_run(&loop) != BH_OK || ended != 1 || end_status != 7) {
        return 4;
    }
    return child.isolated && readable ? 0 : 5;
}

static void test_child_isolated_can_be_looked_into(void **state)
{
    int status = 0;
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        /* The loop's epoll descriptor is shared with the other process: a new one. */
        if (bh_loop_init(&loop) != BH_OK ||
            (geteuid() == 0 && (setresgid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) != 0 ||
                                setresuid(ORDINARY_USER, ORDINARY_USER, ORDINARY_USER) != 0))) {
            _exit(6);
        }
        (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* what a change of user took away */
        _exit(try_isolated_wait());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (!namespaces_are_here()) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ------------------------------------------------------------------------------------------------
 * the starter dies */

static void starter_dies(bool isolate)
{
    struct bh_child_setup setup = make_setup(wait_arguments);
    char text[8] = "";
    struct pollfd end = {.fd = output[0], .events = POLLIN};
    setup.isolate = isolate;
    pid_t starter = fork();
    if (starter == 0) {
        if (bh_loop_init(&loop) != BH_OK || bh_child_start(&child, &setup) != BH_OK) {
            _exit(1);
        }
        (void)pause();
    }
    assert_int_equal(read(output[0], text, 5), 5);
    assert_string_equal(text, "ready");
    (void)close(output[1]);
    output[1] = -1;
    assert_int_equal(kill(starter, SIGKILL), 0);
    assert_int_equal(waitpid(starter, NULL, 0), starter);
    /* The child held the other end of the pipe. */
    assert_int_equal(poll(&end, 1, 10000), 1);
    assert_int_equal(read(output[0], text, 1), 0);
}

static void test_child_dies_with_its_starter(void **state)
{
    starter_dies(*state != NULL);
}

int main(int count, char **arguments)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_child_exit_code),
        CASE(test_child_killed),
        CASE(test_child_no_such_program),
        CASE(test_child_no_program),
        CASE(test_child_bad_setup),
        CASE(test_child_descriptors_change_places),
        CASE(test_child_output_to_nowhere),
        CASE(test_child_reach),
        CASE(test_child_starter_without_standard_descriptors),
        CASE(test_child_state),
        CASE(test_child_environment),
        CASE(test_child_processors),
        CASE(test_child_no_such_processor),
        CASE(test_child_isolated),
        CASE(test_child_isolated_can_be_looked_into),
        CASE(test_child_dies_with_its_starter),
        {"test_child_isolated_dies_with_its_starter", test_child_dies_with_its_starter, set_up,
         tear_down, &loop},
    };
#undef CASE
    if (count > 1) {
        return child_role_play(arguments[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
