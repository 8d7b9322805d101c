/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that is taken away: a front end that truncates a file which this process has mapped must
 * not kill it. Touching a page behind the new end raises SIGBUS; the handler puts zero memory of
 * our own over the whole range, so that whatever was under way can end, and tells the owner, who
 * stops the device. The handler finds the range in a fixed table and calls mmap and write only.
 *
 * A SIGBUS anywhere else goes to whoever handled it before, or kills the process.
 *
 * Thread: ranges are added and removed by any thread (a lock keeps them apart), each range by the one
 * that touches its memory; the handler takes no lock and may interrupt them anywhere.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define GUARDS 2048u

struct guard {
    atomic_uintptr_t base; /* 0: free; written last when one is added, first when it is removed */
    atomic_size_t length;
    bool *lost;
    int wake;
};

static struct guard guards[GUARDS];
static struct sigaction before;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Other threads add and remove other ranges meanwhile. A length counts with the base that stands on both
 * sides of reading it: it is then of a range that was there while the one with `address` is, so that
 * the two are not mixed up. */
static struct guard *find(uintptr_t address)
{
    for (uint32_t i = 0; i < GUARDS; i++) {
        uintptr_t base = atomic_load(&guards[i].base);
        size_t length = atomic_load(&guards[i].length);

        if (base != 0u && base == atomic_load(&guards[i].base) && address >= base &&
            address - base < length) {
            return &guards[i];
        }
    }
    return NULL;
}

/* Replaces the range by zero memory. */
static bool replace(struct guard *guard)
{
    const uint64_t one = 1;
    void *base = (void *)atomic_load(&guard->base);
    void *got = mmap(base, atomic_load(&guard->length), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);

    if (got != base) {
        return false;
    }
    __atomic_store_n(guard->lost, true, __ATOMIC_SEQ_CST);
    return write(guard->wake, &one, sizeof(one)) != 0;
}

/* Not ours: as if we had not been here. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        /* The instruction faults again, and this time nobody catches it. */
        (void)signal(number, SIG_DFL);
    }
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct guard *guard = find((uintptr_t)info->si_addr);

    if (guard == NULL || !replace(guard)) {
        pass_on(number, info, context);
    }
    errno = saved;
}

/* Looked at each time: somebody may have taken the signal over since. */
static bool install(void)
{
    struct sigaction action;
    struct sigaction now;

    if (sigaction(SIGBUS, NULL, &now) != 0) {
        return false;
    }
    if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == on_sigbus) {
        return true;
    }
    before = now;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, NULL) == 0;
}

/* The guard at `base`, or a free one (0); NULL: there is none. */
static struct guard *at(uintptr_t base)
{
    for (uint32_t i = 0; i < GUARDS; i++) {
        if (atomic_load(&guards[i].base) == base) {
            return &guards[i];
        }
    }
    return NULL;
}

int bh_vu_guard_add(uint8_t *base, size_t length, bool *lost, int wake)
{
    int result = BH_OK;

    (void)pthread_mutex_lock(&lock);

    struct guard *guard = at(0);

    if (!install()) {
        result = BH_IO;
    } else if (guard == NULL) {
        result = BH_LIMIT;
    } else {
        atomic_store(&guard->length, length);
        guard->lost = lost;
        guard->wake = wake;
        atomic_store(&guard->base, (uintptr_t)base);
    }
    (void)pthread_mutex_unlock(&lock);
    return result;
}

void bh_vu_guard_remove(const uint8_t *base)
{
    (void)pthread_mutex_lock(&lock);

    struct guard *guard = at((uintptr_t)base);

    if (guard != NULL) {
        atomic_store(&guard->base, (uintptr_t)0);
    }
    (void)pthread_mutex_unlock(&lock);
}
