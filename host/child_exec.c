/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a new process does between its making and its program: descriptors, signals, limits, processors. Only
 * system calls, no allocation, no stdio. Who it is and where it lives was decided by the starter
 * (child.c).
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXIT_NOT_STARTED 127
#define CLOSE_ON_EXEC    4u /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */

/* The line is checked after the death signal was asked for: a starter that died before that would
 * not be noticed otherwise. getppid tells nothing here, it is 0 in a pid namespace of one's own. */
static int follow_starter(const struct bh_child_plan *plan)
{
    struct pollfd line = {.fd = plan->line_fd, .events = 0};
    char go;
    (void)close(plan->starter_fd);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
        return errno;
    }
    if (poll(&line, 1, 0) < 0 || (line.revents & POLLHUP) != 0) {
        return ESRCH;
    }
    ssize_t length;
    do {
        length = read(plan->line_fd, &go, sizeof(go));
    } while (length < 0 && errno == EINTR);
    return length == 1 ? 0 : ESRCH;
}

static int reset_signals(void)
{
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, &standard, NULL); /* a few cannot be changed */
    }
    (void)sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) == 0 ? 0 : errno;
}

/* A copy of `fd` that is out of the way of all numbers below `first`; -1 with errno. */
static int move_up(int fd, int first)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, first);
}

/* 0, 1 and 2. `output` is out of the way, or -1. */
static int place_standard(int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = output >= 0 ? output : null;
    if (null < 0) {
        return errno;
    }
    /* The first free number may be one of the three: then dup2 changes nothing, not even the flag
     * that would close it. */
    if (null <= STDERR_FILENO) {
        int moved = move_up(null, STDERR_FILENO + 1);
        out = out == null ? moved : out;
        null = moved;
    }
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
        dup2(out, STDERR_FILENO) < 0) {
        return errno;
    }
    return 0;
}

/* Everything that is to stay is copied above the highest number wanted first: then no number that
 * is wanted can hit one that is still needed. */
static int place_descriptors(const struct bh_child_setup *setup, int *line_fd)
{
    int copies[BH_CHILD_FDS_MAX];
    int first = STDERR_FILENO + 1;
    for (uint32_t i = 0; i < setup->fd_count; i++) {
        first = setup->fds[i].to >= first ? setup->fds[i].to + 1 : first;
    }
    int moved = move_up(*line_fd, first);
    if (moved < 0) {
        return errno;
    }
    *line_fd = moved;
    for (uint32_t i = 0; i < setup->fd_count; i++) {
        copies[i] = move_up(setup->fds[i].from, first);
        if (copies[i] < 0) {
            return errno;
        }
    }
    int output = setup->output_fd < 0 ? -1 : move_up(setup->output_fd, first);
    if (setup->output_fd >= 0 && output < 0) {
        return errno;
    }
    /* From here on everything ends with exec but what is placed now. */
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, CLOSE_ON_EXEC) != 0) {
        return errno;
    }
    for (uint32_t i = 0; i < setup->fd_count; i++) {
        if (dup2(copies[i], setup->fds[i].to) < 0) {
            return errno;
        }
    }
    return place_standard(output);
}

/* From here on nothing is opened that the rules do not name. */
static int confine(int rules_fd)
{
    if (rules_fd >= 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
                          syscall(SYS_landlock_restrict_self, rules_fd, 0u) != 0)) {
        return errno;
    }
    return 0;
}

static int pin(const struct bh_child_cpus *cpus)
{
    /* The library's function may do more than the call. */
    return cpus == NULL || syscall(SYS_sched_setaffinity, 0, sizeof(cpus->words), cpus->words) == 0
               ? 0
               : errno;
}

static int prepare(const struct bh_child_plan *plan, int *line_fd)
{
    const struct rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
    int number = follow_starter(plan);
    if (number != 0) {
        return number;
    }
    /* A session of its own: the terminal's Ctrl-C is the starter's to handle. */
    if (setsid() < 0 || setrlimit(RLIMIT_CORE, &no_core) != 0) {
        return errno;
    }
    number = pin(plan->setup->cpus);
    if (number == 0) {
        number = confine(plan->rules_fd);
    }
    if (number == 0) {
        number = place_descriptors(plan->setup, line_fd);
    }
    return number != 0 ? number : reset_signals();
}

_Noreturn void bh_child_become(const struct bh_child_plan *plan)
{
    int line_fd = plan->line_fd;
    int number = prepare(plan, &line_fd);
    if (number == 0) {
        /* execve takes pointers to what it does not change. */
        (void)execve(plan->setup->program, (char *const *)(uintptr_t)plan->setup->arguments,
                     (char *const *)(uintptr_t)plan->environment);
        number = errno;
    }
    (void)send(line_fd, &number, sizeof(number), MSG_NOSIGNAL);
    _exit(EXIT_NOT_STARTED);
}
