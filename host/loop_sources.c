/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals and timers as descriptors for an event loop: signalfd and timerfd. Any bh_poller will do.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_loop.h"

#define USECS_PER_SEC 1000000u

static void signal_ready(struct bh_watch *watch)
{
    struct bh_signals *signals = (struct bh_signals *)watch; /* its first member */
    struct signalfd_siginfo info;
    if (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        signals->received(signals->context, (int)info.ssi_signo);
    }
}

int bh_signals_init(struct bh_signals *signals, struct bh_poller *poller, const int *numbers,
                    uint32_t count, void (*received)(void *context, int number), void *context)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (uint32_t i = 0; i < count; i++) {
        if (sigaddset(&set, numbers[i]) != 0) {
            return BH_INVALID;
        }
    }
    *signals = (struct bh_signals){.poller = poller, .received = received, .context = context};
    if (sigprocmask(SIG_BLOCK, &set, &signals->before) != 0) {
        return BH_INVALID;
    }
    int result = BH_LIMIT;
    signals->watch = (struct bh_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                                       .ready = signal_ready};
    if (signals->watch.fd >= 0) {
        result = poller->ops->add(poller, &signals->watch);
    }
    if (result != BH_OK) {
        bh_signals_finish(signals);
    }
    return result;
}

void bh_signals_finish(struct bh_signals *signals)
{
    signals->poller->ops->remove(signals->poller, &signals->watch);
    if (signals->watch.fd >= 0) {
        (void)close(signals->watch.fd);
        signals->watch.fd = -1;
    }
    (void)sigprocmask(SIG_SETMASK, &signals->before, NULL);
}

static void timer_ready(struct bh_watch *watch)
{
    struct bh_timer *timer = (struct bh_timer *)watch; /* its first member */
    uint64_t times;
    if (read(watch->fd, &times, sizeof(times)) == (ssize_t)sizeof(times)) {
        timer->expired(timer->context);
    }
}

int bh_timer_init(struct bh_timer *timer, struct bh_poller *poller, void (*expired)(void *context),
                  void *context)
{
    *timer = (struct bh_timer){.poller = poller, .expired = expired, .context = context};
    timer->watch = (struct bh_watch){
        .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), .ready = timer_ready};
    if (timer->watch.fd < 0) {
        return BH_LIMIT;
    }
    int result = poller->ops->add(poller, &timer->watch);
    if (result != BH_OK) {
        bh_timer_finish(timer);
    }
    return result;
}

void bh_timer_finish(struct bh_timer *timer)
{
    timer->poller->ops->remove(timer->poller, &timer->watch);
    if (timer->watch.fd >= 0) {
        (void)close(timer->watch.fd);
        timer->watch.fd = -1;
    }
}

static struct timespec time_of(uint64_t usecs)
{
    return (struct timespec){.tv_sec = (time_t)(usecs / USECS_PER_SEC),
                             .tv_nsec = (long)(usecs % USECS_PER_SEC) * 1000L};
}

void bh_timer_arm(struct bh_timer *timer, uint64_t first, uint64_t period)
{
    const struct itimerspec when = {.it_interval = time_of(period), .it_value = time_of(first)};
    /* It fails only for times out of range, which time_of does not make, or no timer. */
    (void)timerfd_settime(timer->watch.fd, 0, &when, NULL);
}
