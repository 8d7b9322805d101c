/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children, from the starter's side: makes the process with its namespaces, maps its user, waits
 * until it has become its program, and reaps it when it ends. What the new process does before it
 * is that program: child_exec.c; what it may open then: child_reach.c.
 */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define NOBODY 65534u

/* ------------------------------------------------------------------------------------------------
 * the user namespace */

static bool write_map(pid_t pid, const char *name, const char *text)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool written = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    (void)close(fd);
    return written;
}

/* In the namespace the child is who it was, and nobody else exists. A child of root gets "nobody"
 * besides, and may change its groups: a back end's sandbox turns root into nobody. */
static bool map_user(pid_t pid)
{
    char user[64];
    char group[64];
    if (geteuid() == 0) {
        static const char both[] = "0 0 1\n65534 65534 1\n";
        return write_map(pid, "gid_map", both) && write_map(pid, "uid_map", both);
    }
    (void)snprintf(user, sizeof(user), "%u %u 1\n", geteuid(), geteuid());
    (void)snprintf(group, sizeof(group), "%u %u 1\n", getegid(), getegid());
    return write_map(pid, "setgroups", "deny") && write_map(pid, "gid_map", group) &&
           write_map(pid, "uid_map", user);
}

/* ------------------------------------------------------------------------------------------------
 * start */

static bool setup_is_valid(const struct bh_child_setup *setup)
{
    if (setup->program == NULL || setup->arguments == NULL || setup->arguments[0] == NULL ||
        setup->fd_count > BH_CHILD_FDS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < setup->fd_count; i++) {
        if (setup->fds[i].from < 0 || setup->fds[i].to <= STDERR_FILENO) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (setup->fds[j].to == setup->fds[i].to) {
                return false;
            }
        }
    }
    return true;
}

/* What exec and clone say, where it means something of its own here. */
static int start_error(int number)
{
    switch (number) {
    case EAGAIN: /* the user's limit of processes */
    case E2BIG:
        return BH_LIMIT;
    case ENOEXEC:
    case ELIBBAD:
        return BH_INVALID;
    default:
        return bh_error_from_errno(number);
    }
}

/* Lets the new process go and waits until it has become its program: 0, or an errno value. */
static int see_through(const struct bh_child *child, int line_fd, uint64_t flags)
{
    const char go = 0;
    int number = 0;
    ssize_t length;
    if ((flags & CLONE_NEWUSER) != 0 && !map_user(child->pid)) {
        return EPERM;
    }
    if (send(line_fd, &go, sizeof(go), MSG_NOSIGNAL) != (ssize_t)sizeof(go)) {
        return ESRCH;
    }
    do {
        length = read(line_fd, &number, sizeof(number));
    } while (length < 0 && errno == EINTR);
    /* The end of the line is the program: exec has closed the other end. */
    return length == 0 ? 0 : length == (ssize_t)sizeof(number) && number != 0 ? number : EIO;
}

/* BH_AGAIN: it has not ended. */
static int reap(struct bh_child *child, int options, int *status)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    int result;
    do {
        result = waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | options);
    } while (result != 0 && errno == EINTR);
    if (result != 0) {
        *status = -SIGKILL; /* somebody else has reaped it */
        return BH_OK;
    }
    if (info.si_pid == 0) {
        return BH_AGAIN;
    }
    *status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return BH_OK;
}

static void forget(struct bh_child *child)
{
    (void)close(child->pidfd);
    child->pidfd = -1;
    child->pid = 0;
}

static void end_now(struct bh_child *child)
{
    int status;
    bh_child_signal(child, SIGKILL);
    (void)reap(child, 0, &status);
    forget(child);
}

/* One try: 0, or an errno value and nothing left. */
static int try_start(struct bh_child *child, const struct bh_child_setup *setup,
                     const char *const *environment, int rules_fd, uint64_t flags)
{
    int line[2];
    int pidfd = -1;
    sigset_t all;
    sigset_t before;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0) {
        return errno;
    }
    const struct bh_child_plan plan = {
        .setup = setup,
        .environment = environment,
        .rules_fd = rules_fd,
        .starter_fd = line[0],
        .line_fd = line[1],
    };
    /* No handler of the starter runs in the new process. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    /* Not clone3: a service manager that allows namespaces of some kinds only (systemd's
     * RestrictNamespaces=) refuses it, because a filter cannot see its flags. */
    long pid = syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, NULL);
    int number = errno;
    if (pid == 0) {
        bh_child_become(&plan);
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(line[1]);
    if (pid > 0) {
        child->pid = (pid_t)pid;
        child->pidfd = pidfd;
        number = see_through(child, line[0], flags);
        if (number != 0) {
            end_now(child);
        }
    }
    (void)close(line[0]);
    return number;
}

static void child_ready(struct bh_watch *watch)
{
    struct bh_child *child = (struct bh_child *)watch; /* its first member */
    int status = 0;
    if (reap(child, WNOHANG, &status) == BH_AGAIN) {
        return;
    }
    child->poller->ops->remove(child->poller, watch);
    forget(child);
    child->ended(child, status);
}

/* With namespaces if possible: 0, or an errno value and nothing left. */
static int start(struct bh_child *child, const struct bh_child_setup *setup,
                 const char *const *environment)
{
    uint64_t flags = setup->isolate ? CLONE_NEWUSER | CLONE_NEWPID : 0u;
    int rules_fd = setup->reach != NULL ? bh_child_reach(setup) : -1;
    flags |= setup->no_network ? CLONE_NEWNET : 0u;
    int number = try_start(child, setup, environment, rules_fd, flags);
    if (number != 0 && flags != 0) {
        /* The kernel or a container refuses namespaces; or root may not read what belongs to
         * others any more. */
        flags = 0;
        number = try_start(child, setup, environment, rules_fd, 0);
    }
    child->isolated = (flags & CLONE_NEWUSER) != 0;
    child->confined = rules_fd >= 0;
    if (rules_fd >= 0) {
        (void)close(rules_fd);
    }
    return number;
}

int bh_child_start(struct bh_child *child, const struct bh_child_setup *setup)
{
    char path[PATH_MAX] = "PATH=/usr/local/bin:/usr/bin:/bin";
    const char *const standard[] = {path, "LANG=C", NULL};
    const char *given = getenv("PATH");
    *child = (struct bh_child){
        .poller = setup->poller, .pidfd = -1, .ended = setup->ended, .context = setup->context};
    if (!setup_is_valid(setup)) {
        return BH_INVALID;
    }
    if (given != NULL && strlen(given) < sizeof(path) - sizeof("PATH=")) {
        (void)snprintf(path, sizeof(path), "PATH=%s", given);
    }
    int number = start(child, setup, setup->environment != NULL ? setup->environment : standard);
    if (number != 0) {
        return start_error(number);
    }
    child->watch = (struct bh_watch){.fd = child->pidfd, .ready = child_ready};
    int result = child->poller->ops->add(child->poller, &child->watch);
    if (result != BH_OK) {
        end_now(child);
    }
    return result;
}

void bh_child_signal(const struct bh_child *child, int number)
{
    if (child->pid != 0) {
        (void)syscall(SYS_pidfd_send_signal, child->pidfd, number, NULL, 0u);
    }
}
