/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program on a Unix-like host needs of an event loop: to be called when a descriptor is
 * readable or has room, and to be called later in the same turn. host/loop.c implements it with
 * epoll; a program with a loop of its own can put it behind this table. Host side only: descriptors
 * are Unix file descriptors.
 *
 * Thread: everything happens in the thread that runs the loop. Ownership: watches and tasks are the
 * caller's, and must stay where they are while they are added.
 */
#ifndef BULKHEAD_POLLER_H
#define BULKHEAD_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct bh_watch {
    int fd;
    /* The descriptor is readable (`room`: can be written), or its peer is gone (a read or write
     * tells which). Level-triggered. May remove any watch, itself included. */
    void (*ready)(struct bh_watch *watch);
    void *context;
    bool room; /* waits until it can be written; one descriptor has one watch (dup makes another) */
    bool added; /* kept by the poller */
};

/* Something to run once, after the descriptors of this turn and before the loop sleeps. A task that
 * is posted while tasks run is run in the next turn, which then does not sleep: the way to go on
 * with bounded work. */
struct bh_task {
    void (*run)(struct bh_task *task);
    void *context;
    struct bh_task *next; /* kept by the poller */
    bool posted;          /* kept by the poller */
};

struct bh_poller;

struct bh_poller_ops {
    /* BH_OK; BH_INVALID: not a descriptor that can be watched; BH_LIMIT: too many. */
    int (*add)(struct bh_poller *poller, struct bh_watch *watch);
    void (*remove)(struct bh_poller *poller, struct bh_watch *watch); /* not added: nothing */
    void (*post)(struct bh_poller *poller, struct bh_task *task);     /* posted already: nothing */
    void (*cancel)(struct bh_poller *poller, struct bh_task *task);   /* not posted: nothing */
};

struct bh_poller {
    const struct bh_poller_ops *ops;
};

#endif
