/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of a Bulkhead process: a bh_poller over epoll, with signals and timers as
 * descriptors. It sleeps without a time limit: an idle process is not woken.
 *
 * Order within a turn: descriptors that are ready (at most 64), then the tasks that were posted
 * before the first of them ran.
 *
 * Thread: one for a loop and all that hangs on it. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_HOST_LOOP_H
#define BULKHEAD_HOST_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "bulkhead/error.h"
#include "bulkhead/poller.h"

#define BH_LOOP_EVENTS 64u

struct bh_task_list {
    struct bh_task *first;
    struct bh_task *last;
};

struct bh_loop {
    struct bh_poller poller; /* first; hand &loop->poller to whoever needs a poller */
    int epoll_fd;
    bool stopped;
    struct bh_task_list posted;  /* for the next round of tasks */
    struct bh_task_list running; /* of the round under way */
    struct epoll_event events[BH_LOOP_EVENTS];
    int event_count; /* of the turn under way */
};

/* BH_LIMIT: no descriptor left; BH_NO_MEMORY. */
int bh_loop_init(struct bh_loop *loop);
void bh_loop_finish(struct bh_loop *loop);

/* One turn: sleeps at most `timeout` milliseconds (-1: until something happens; 0: not at all; not
 * at all, too, when a task is posted). BH_OK, or BH_IO when epoll fails. */
int bh_loop_turn(struct bh_loop *loop, int timeout);

/* Turns until bh_loop_stop. BH_OK, or BH_IO when epoll fails. */
int bh_loop_run(struct bh_loop *loop);

/* bh_loop_run returns after the turn under way. From any callback. */
void bh_loop_stop(struct bh_loop *loop);

/* ------------------------------------------------------------------------------------------------
 * signals */

/* Signals as events. They are blocked in the thread from init to finish. */
struct bh_signals {
    struct bh_watch watch; /* first */
    struct bh_poller *poller;
    sigset_t before;
    void (*received)(void *context, int number);
    void *context;
};

/* Listens for `count` signals. BH_INVALID, BH_LIMIT. */
int bh_signals_init(struct bh_signals *signals, struct bh_poller *poller, const int *numbers,
                    uint32_t count, void (*received)(void *context, int number), void *context);
void bh_signals_finish(struct bh_signals *signals);

/* ------------------------------------------------------------------------------------------------
 * timers */

struct bh_timer {
    struct bh_watch watch; /* first */
    struct bh_poller *poller;
    void (*expired)(void *context);
    void *context;
};

/* An unarmed timer on the monotonic clock: costs no wake-up. BH_LIMIT. */
int bh_timer_init(struct bh_timer *timer, struct bh_poller *poller, void (*expired)(void *context),
                  void *context);
void bh_timer_finish(struct bh_timer *timer);

/* Fires after `first` microseconds (0: never), then every `period` (0: once). Replaces what was
 * set. */
void bh_timer_arm(struct bh_timer *timer, uint64_t first, uint64_t period);

#endif
