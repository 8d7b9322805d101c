/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The thread of a device: a loop of its own, and a letter box that the main thread puts the parent's
 * messages into. There is at most one of each kind in it: a newer one replaces an older one, so it
 * needs no more room than it has, whatever the parent sends while the thread is busy.
 *
 * Whether all threads are alive is asked by numbers (the parent's PING): each writes the last one it has
 * seen, and whoever finds that it was the last to do so answers. A thread that talks to its back end says until
 * when it may be away at most, and counts as alive until then: a back end that keeps it waiting is the
 * device's matter (it hangs), not the gate's.
 */
#ifndef GATE_THREAD_H
#define GATE_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "bulkhead/host_loop.h"
#include "control.h"

struct bh_mail {
    int front;           /* -1: none; the reader's from then on */
    uint64_t connection; /* its number */
    int back;            /* -1: none */
    uint32_t generation;
    bool no_more;
    bool limits;
};

struct bh_thread;

/* The device in the thread. */
struct bh_thread_ops {
    void (*begin)(void *context); /* the sandbox is closed */
    void (*mail)(void *context, const struct bh_mail *mail);
    void (*turned)(void *context); /* after each turn of the loop */
};

struct bh_thread {
    struct bh_loop loop;
    struct bh_watch bell; /* an eventfd: there is mail */
    pthread_mutex_t lock; /* of mail */
    struct bh_mail mail;
    const struct bh_thread_ops *ops;
    void *context;
    struct bh_threads *all;
    pthread_t id;
    _Atomic uint64_t answered; /* the number of the last PING seen */
    _Atomic uint64_t away;     /* monotonic microseconds: it may be busy until then; 0: it is not */
    _Atomic bool failed;       /* its loop did: it will not answer any more */
};

struct bh_threads {
    struct bh_control *control;
    uint32_t count;
    pthread_barrier_t made;
    pthread_barrier_t closed;
    _Atomic uint64_t asked; /* the last PING */
    _Atomic uint64_t told;  /* the last PONG */
    struct bh_thread threads[BH_GATE_DEVICES_MAX];
};

/* Loop and letter box, before the thread runs. BH_LIMIT, BH_NO_MEMORY. */
int bh_thread_init(struct bh_threads *threads, uint32_t device, const struct bh_thread_ops *ops,
                   void *context);

/* Starts all threads; returns when each of them waits for bh_threads_go. BH_NO_MEMORY. */
int bh_threads_start(struct bh_threads *threads);
void bh_threads_go(struct bh_threads *threads);

/* From the main thread: a message of the parent's, whose descriptor is taken over. BH_PROTOCOL: no
 * message for a device, or without the descriptor that belongs to it. */
int bh_thread_post(struct bh_thread *thread, const struct bh_gate_message *message, int fd);

/* The parent asks. Answered by whichever thread is the last. */
void bh_threads_ask(struct bh_threads *threads, uint64_t number);

/* Somebody has not answered yet. */
bool bh_threads_awaited(struct bh_threads *threads);
/* Wakes those out of whatever system call they are in: what a thread shares with an untrusted side (an
 * eventfd's flags) can make a call wait that never should. */
void bh_threads_nudge(struct bh_threads *threads);

/* The thread itself is about to wait for its back end, for so long at most; 0: it is back. */
void bh_thread_away(struct bh_thread *thread, uint64_t microseconds);

/* Monotonic. */
uint64_t bh_gate_now_us(void);

#endif
