/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads of devices: made, rung, asked whether they live. */
#include "thread.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

uint64_t bh_gate_now_us(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

/* ---- alive ---- */

static bool lives(struct bh_thread *thread, uint64_t number, uint64_t now)
{
    return !atomic_load(&thread->failed) &&
           (atomic_load(&thread->answered) >= number || atomic_load(&thread->away) > now);
}

/* Answers if every thread lives, once for each number. */
static void answer(struct bh_threads *threads)
{
    const uint64_t number = atomic_load(&threads->asked);
    const uint64_t now = bh_gate_now_us();
    for (uint32_t i = 0; i < threads->count; i++) {
        if (!lives(&threads->threads[i], number, now)) {
            return;
        }
    }
    uint64_t told = atomic_load(&threads->told);
    if (told < number && atomic_compare_exchange_strong(&threads->told, &told, number)) {
        bh_control_say(threads->control, BH_GATE_PONG, 0, BH_GATE_REASON_NONE, number, NULL);
    }
}

void bh_thread_away(struct bh_thread *thread, uint64_t microseconds)
{
    atomic_store(&thread->away, microseconds != 0u ? bh_gate_now_us() + microseconds : 0u);
}

/* ---- mail ---- */

static void ring(struct bh_thread *thread)
{
    const uint64_t one = 1;
    if (write(thread->bell.fd, &one, sizeof(one)) < 0) {
        return; /* the counter is full: it has rung already */
    }
}

static void replace(int *slot, int fd)
{
    if (*slot >= 0) {
        (void)close(*slot);
    }
    *slot = fd;
}

/* Puts it in. False: it is nothing for a device. */
static bool put(struct bh_mail *mail, const struct bh_gate_message *message, int fd)
{
    switch (message->kind) {
    case BH_GATE_FRONT:
        replace(&mail->front, fd);
        mail->connection = message->number;
        return fd >= 0;
    case BH_GATE_BACK:
        replace(&mail->back, fd);
        mail->generation = (uint32_t)message->number;
        return fd >= 0;
    case BH_GATE_NO_MORE:
        mail->no_more = true;
        return fd < 0;
    case BH_GATE_LIMITS:
        mail->limits = true;
        return fd < 0;
    default:
        return false;
    }
}

int bh_thread_post(struct bh_thread *thread, const struct bh_gate_message *message, int fd)
{
    (void)pthread_mutex_lock(&thread->lock);
    const bool known = put(&thread->mail, message, fd);
    (void)pthread_mutex_unlock(&thread->lock);
    if (!known) {
        return BH_PROTOCOL;
    }
    ring(thread);
    return BH_OK;
}

void bh_threads_ask(struct bh_threads *threads, uint64_t number)
{
    atomic_store(&threads->asked, number);
    for (uint32_t i = 0; i < threads->count; i++) {
        ring(&threads->threads[i]);
    }
    answer(threads); /* those that are away do not hear it */
}

bool bh_threads_awaited(struct bh_threads *threads)
{
    return atomic_load(&threads->told) < atomic_load(&threads->asked);
}

void bh_threads_nudge(struct bh_threads *threads)
{
    const uint64_t number = atomic_load(&threads->asked);
    const uint64_t now = bh_gate_now_us();
    for (uint32_t i = 0; i < threads->count; i++) {
        if (!lives(&threads->threads[i], number, now)) {
            (void)pthread_kill(threads->threads[i].id, SIGUSR1);
        }
    }
}

static void rung(struct bh_watch *watch)
{
    struct bh_thread *thread = watch->context;
    uint64_t count;
    if (read(watch->fd, &count, sizeof(count)) < 0) {
        return; /* nothing: another turn took it */
    }
    (void)pthread_mutex_lock(&thread->lock);
    const struct bh_mail mail = thread->mail;
    thread->mail = (struct bh_mail){.front = -1, .back = -1};
    (void)pthread_mutex_unlock(&thread->lock);
    atomic_store(&thread->answered, atomic_load(&thread->all->asked));
    answer(thread->all);
    thread->ops->mail(thread->context, &mail);
}

/* ---- life ---- */

int bh_thread_init(struct bh_threads *threads, uint32_t device, const struct bh_thread_ops *ops,
                   void *context)
{
    struct bh_thread *thread = &threads->threads[device];
    memset(thread, 0, sizeof(*thread));
    thread->ops = ops;
    thread->context = context;
    thread->all = threads;
    thread->mail = (struct bh_mail){.front = -1, .back = -1};
    (void)pthread_mutex_init(&thread->lock, NULL);
    int result = bh_loop_init(&thread->loop);
    if (result != BH_OK) {
        return result;
    }
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    thread->bell = (struct bh_watch){.fd = fd, .ready = rung, .context = thread};
    return fd >= 0 ? thread->loop.poller.ops->add(&thread->loop.poller, &thread->bell) : BH_LIMIT;
}

static void *run(void *context)
{
    struct bh_thread *thread = context;
    (void)pthread_barrier_wait(&thread->all->made);
    (void)pthread_barrier_wait(&thread->all->closed);
    thread->ops->begin(thread->context);
    do {
        thread->ops->turned(thread->context);
    } while (bh_loop_turn(&thread->loop, -1) == BH_OK);
    /* The parent hears no PONG from now on, and replaces this gate. */
    atomic_store(&thread->failed, true);
    return NULL;
}

static void nudged(int number)
{
    (void)number; /* it is the interruption that counts */
}

int bh_threads_start(struct bh_threads *threads)
{
    const struct sigaction action = {.sa_handler = nudged}; /* without SA_RESTART */
    (void)sigaction(SIGUSR1, &action, NULL);
    if (pthread_barrier_init(&threads->made, NULL, threads->count + 1u) != 0 ||
        pthread_barrier_init(&threads->closed, NULL, threads->count + 1u) != 0) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < threads->count; i++) {
        struct bh_thread *thread = &threads->threads[i];
        if (pthread_create(&thread->id, NULL, run, thread) != 0) {
            return BH_NO_MEMORY; /* the process ends */
        }
    }
    (void)pthread_barrier_wait(&threads->made);
    return BH_OK;
}

void bh_threads_go(struct bh_threads *threads)
{
    (void)pthread_barrier_wait(&threads->closed);
}
