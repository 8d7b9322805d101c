/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox of a back end (docs/architecture.md): after everything is open and before the first
 * byte of a guest is read, the process gives up whatever else it could reach. Linux only. It is one
 * way: nothing here can be undone.
 *
 * The layers, in the order in which they close:
 *   descriptors   what the process inherited and was not told to use is closed, before it opens
 *                 anything itself (bh_sandbox_descriptors); standard input and output become
 *                 /dev/null.
 *   identity      root becomes "nobody" (65534), without supplementary groups.
 *   namespaces    user, mount, network, ipc, uts and cgroup ones of its own. Not pid: a process
 *                 enters a new pid namespace only by forking, and the program that was started has
 *                 to be the one that serves; what it would bar (signals, ptrace, /proc) is barred
 *                 by the layers below. Whoever starts the daemon can put it into one.
 *   root          an empty, read-only directory.
 *   limits        no core files, few descriptors, few kernel workers.
 *   Landlock      every right that the kernel knows is handled and none is granted.
 *   capabilities  none; the bounding set is empty; no_new_privs.
 *   seccomp       an allow-list; anything else ends the process (SIGSYS): it is not a mistake to
 *                 recover from. recvmsg with descriptors and shared mappings stay possible,
 *                 executable ones do not.
 *
 * io_uring submits work that seccomp does not see: a ring must be restricted by its owner
 * (host/ring.c does) before the sandbox closes.
 */
#ifndef BULKHEAD_HOST_SANDBOX_H
#define BULKHEAD_HOST_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/error.h"

enum bh_sandbox_mode {
    BH_SANDBOX_OFF,         /* for debugging */
    BH_SANDBOX_BEST_EFFORT, /* a layer that the kernel lacks or forbids is reported, and left out */
    BH_SANDBOX_STRICT,      /* a layer that cannot be closed is an error */
};

enum bh_sandbox_layer {
    BH_LAYER_DESCRIPTORS,
    BH_LAYER_IDENTITY,
    BH_LAYER_NAMESPACES,
    BH_LAYER_ROOT,
    BH_LAYER_LIMITS,
    BH_LAYER_LANDLOCK,
    BH_LAYER_CAPABILITIES,
    BH_LAYER_SECCOMP,
    BH_LAYER_COUNT,
};

struct bh_sandbox_report {
    int failed[BH_LAYER_COUNT]; /* 0: closed; otherwise the errno that kept it open */
    int landlock_abi;           /* 0: none */
};

struct bh_sandbox_setup {
    enum bh_sandbox_mode mode;
    uint32_t fd_limit;             /* RLIMIT_NOFILE */
    const unsigned long *requests; /* ioctl requests that stay allowed */
    uint32_t request_count;
    const char *const *calls; /* system calls that stay allowed besides the daemons' */
    uint32_t call_count;
    /* A program of several threads makes them here: every layer but seccomp is closed by then (threads
     * inherit those; a user namespace can only be made by a process of one thread), and seccomp, which
     * forbids to make any, is closed for all of them at once. A thread must not go on by itself before
     * it is. BH_OK, or an error, which bh_sandbox_close returns. NULL: one thread. Called with the
     * sandbox off, too. */
    int (*threads)(void *context);
    void *context;
    uint32_t thread_count; /* that `threads` makes; they may signal each other */
};

/* The first layer, by itself, at the start of the process: closes all descriptors but 0, 1, 2 and
 * the `count` listed ones. BH_OK; BH_INVALID: a listed one is not open; BH_UNSUPPORTED: the kernel
 * cannot. */
int bh_sandbox_descriptors(const int *fds, uint32_t count);

/* Closes the sandbox, and logs in one line what is closed and what is not. BH_OK; BH_UNSUPPORTED:
 * strict, and a layer could not be closed (the process must end: some are closed already); what
 * `threads` returned. */
int bh_sandbox_close(const struct bh_sandbox_setup *setup, struct bh_sandbox_report *report);

/* The name of a layer, for logs. */
const char *bh_sandbox_layer_name(enum bh_sandbox_layer layer);

#endif
