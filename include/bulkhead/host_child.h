/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child process of the supervisor: started with exactly the descriptors it is given, watched
 * through a pidfd, never left behind. Linux only.
 *
 * What a child gets: the listed descriptors at the listed numbers and nothing else (beside 0 from
 * /dev/null, 1 and 2 as the setup says); SIGKILL when the supervisor dies; default signal
 * dispositions and an empty mask; a session of its own, so that the terminal's Ctrl-C is not for
 * it; no core files. With `isolate` a user and a pid namespace of its own, owned by the
 * supervisor's user: the child cannot see or signal anyone, and the supervisor may read its /proc
 * although the child makes itself undumpable. As the first of its pid namespace it hears only the
 * signals that it handles or reads through a descriptor, and SIGKILL. Where it cannot start with
 * namespaces it starts without, and `isolated` says so. With `reach` it opens what stands there,
 * what it was given (again, through /proc/self/fd), its program and /dev/null, and nothing else; it
 * makes and removes nothing, and gains no rights by exec (Landlock, no_new_privs). Where the kernel
 * has no Landlock it starts without, and `confined` says so. With `cpus` it runs on these
 * processors of the host, and so does what it starts.
 *
 * States: started -> (exited, reaped) ended. The memory may be let go once `ended` was called.
 *
 * Thread: the loop's. Ownership: struct and texts are the caller's; descriptors stay the caller's,
 * who closes its copies after the start.
 */
#ifndef BULKHEAD_HOST_CHILD_H
#define BULKHEAD_HOST_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bulkhead/error.h"
#include "bulkhead/poller.h"

/* `from` of the supervisor becomes `to` of the child. No two have the same `to`; to > 2. */
struct bh_child_fd {
    int from;
    int to;
};

#define BH_CHILD_FDS_MAX 128u

/* A file, or a folder with all that is in it: to be read and executed, or written as well. */
struct bh_child_path {
    const char *path;
    bool writable;
};

#define BH_CHILD_CPUS      1024u /* Linux: CPU_SETSIZE */
#define BH_CHILD_CPU_WORDS (BH_CHILD_CPUS / (8u * sizeof(unsigned long)))

/* Processors of the host, a bit each, as the kernel has them. */
struct bh_child_cpus {
    unsigned long words[BH_CHILD_CPU_WORDS];
};

struct bh_child;

struct bh_child_setup {
    struct bh_poller *poller;
    const char *program;            /* path */
    const char *const *arguments;   /* [0] is the name; ends with NULL */
    const char *const *environment; /* ends with NULL; NULL: PATH and LANG=C only */
    const struct bh_child_fd *fds;
    uint32_t fd_count;
    int output_fd;                     /* becomes 1 and 2; -1: /dev/null */
    const struct bh_child_path *reach; /* ends with a path NULL; what is not there does not count.
                                          NULL: whatever its user may open */
    const struct bh_child_cpus *cpus;  /* NULL: those of the supervisor */
    bool isolate;
    bool no_network; /* a network namespace of its own, empty (with `isolate` or as root) */
    /* Called once, from the loop, when the child was reaped: `status` as waitid says:
     * exit code, or -signal. */
    void (*ended)(struct bh_child *child, int status);
    void *context;
};

struct bh_child {
    struct bh_watch watch; /* first; of the pidfd */
    struct bh_poller *poller;
    pid_t pid; /* as the supervisor sees it; 0: not running */
    int pidfd;
    bool isolated;
    bool confined; /* to its `reach` */
    void (*ended)(struct bh_child *child, int status);
    void *context;
};

/* Starts it. BH_OK: exec has succeeded. BH_GONE: no such program; BH_DENIED: not executable;
 * BH_LIMIT: no process or descriptor left; BH_NO_MEMORY; BH_INVALID, also: none of `cpus` is there.
 * On failure nothing is left and `ended` is not called. */
int bh_child_start(struct bh_child *child, const struct bh_child_setup *setup);

/* Sends a signal; nothing if it has ended. */
void bh_child_signal(const struct bh_child *child, int number);

#endif
