/* SPDX-License-Identifier: BSD-2-Clause */
/* The back ends of the keeper (keeper_backs.h). */
#include "keeper_backs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define US_IN_MS 1000u
#define END_US   1000000u

#define FAILURES_MOST 3u

static void schedule(struct bh_backs *backs);

static struct bh_instance *free_instance(struct bh_backs *backs)
{
    for (size_t i = 0; i < 2u; i++) {
        if (!backs->instances[i].alive) {
            return &backs->instances[i];
        }
    }
    return NULL;
}

static void give_up(struct bh_backs *backs, const char *why)
{
    backs->given_up = true;
    bh_log(BH_LOG_ERROR,
           "no other back end is started: %s: requests of the guest fail from here on", why);
    (void)bh_gate_parent_no_more(backs->parent, 0);
}

/* It cannot even be started. */
static void fail(struct bh_backs *backs)
{
    if (backs->served) {
        give_up(backs, "it cannot be started");
    } else {
        backs->useless(backs->context);
    }
}

/* Its connection goes to the gate, which numbers it. */
static void hand(struct bh_backs *backs)
{
    int fd = backs->current->fd;
    backs->current->fd = -1;
    backs->handed = true;
    int generation = bh_gate_parent_back(backs->parent, 0, fd);
    if (generation > 0) {
        backs->generation = (uint32_t)generation;
    } else {
        give_up(backs, "the gate cannot take its connection");
    }
}

/* A spare if there is one, else a new one. */
static void begin(struct bh_backs *backs)
{
    backs->handed = false;
    backs->uncounted = false;
    if (backs->spare != NULL) {
        backs->current = backs->spare;
        backs->spare = NULL;
    } else {
        struct bh_instance *instance = free_instance(backs);
        if (instance == NULL || bh_instance_start(instance) != BH_OK) {
            fail(backs);
            return;
        }
        backs->current = instance;
    }
    if (backs->current->ready) {
        hand(backs);
    }
}

static void delay_over(void *context)
{
    struct bh_backs *backs = context;
    if (backs->stopping) {
        if (backs->current != NULL) {
            (void)bh_instance_end(backs->current, true);
        }
        if (backs->spare != NULL) {
            (void)bh_instance_end(backs->spare, true);
        }
    } else if (backs->delayed) {
        backs->delayed = false;
        begin(backs);
    }
}

static void schedule(struct bh_backs *backs)
{
    char why[80];
    uint64_t wait_ms = 0;
    backs->wanted = false;
    if (!backs->served && backs->options->command != NULL && ++backs->failures == FAILURES_MOST) {
        bh_log(BH_LOG_ERROR,
               "%s has never served and ended %u times: look at what it says, and try the command "
               "by itself",
               backs->options->command[0], FAILURES_MOST);
        backs->useless(backs->context);
    } else if (backs->uncounted) {
        begin(backs);
    } else if (!bh_restarts_allow(&backs->restarts, bh_keeper_now_ms(), backs->options->restarts,
                                  &wait_ms)) {
        (void)snprintf(why, sizeof(why), "%ju of them were replaced within a minute (--restarts)",
                       (uintmax_t)backs->options->restarts);
        give_up(backs, why);
    } else if (wait_ms != 0u) {
        backs->delayed = true;
        bh_timer_arm(&backs->delay, wait_ms * US_IN_MS, 0);
    } else {
        begin(backs);
    }
}

static void tell_stopped(struct bh_backs *backs)
{
    if (backs->current == NULL && backs->spare == NULL) {
        bh_timer_arm(&backs->delay, 0, 0);
        backs->stopped(backs->context);
    }
}

static void over(struct bh_instance *instance)
{
    struct bh_backs *backs = instance->context;
    bool served = instance == backs->current;
    if (served) {
        backs->current = NULL;
    } else if (instance == backs->spare) {
        backs->spare = NULL;
    }
    if (backs->stopping) {
        tell_stopped(backs);
    } else if (!served) {
        bh_log_event(BH_LOG_WARNING,
                     "the spare back end has ended: there is none until the next one "
                     "serves");
    } else if (!backs->given_up && (!backs->handed || backs->wanted)) {
        schedule(backs);
    }
}

static void became_ready(struct bh_instance *instance)
{
    struct bh_backs *backs = instance->context;
    if (instance == backs->current && !backs->handed && !backs->stopping) {
        hand(backs);
    }
}

/* ------------------------------------------------------------------------------------------------
 * from outside */

static int make_folder(struct bh_backs *backs)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    int length = snprintf(backs->folder, sizeof(backs->folder), "%s/bulkhead-gate-XXXXXX",
                          base != NULL && strlen(base) < 32u ? base : "/tmp");
    if (length > 0 && mkdtemp(backs->folder) != NULL) {
        return BH_OK;
    }
    bh_log(BH_LOG_ERROR, "%s: no folder can be made there for the sockets of back ends: %s",
           backs->folder, strerror(errno));
    backs->folder[0] = '\0';
    return bh_error_from_errno(errno);
}

int bh_backs_init(struct bh_backs *backs)
{
    int result = backs->options->command != NULL ? make_folder(backs) : BH_OK;
    if (result != BH_OK) {
        return result;
    }
    for (size_t i = 0; i < 2u && result == BH_OK; i++) {
        struct bh_instance *instance = &backs->instances[i];
        instance->became_ready = became_ready;
        instance->over = over;
        instance->context = backs;
        instance->number = (uint32_t)i << 31; /* names of their own */
        result = bh_instance_init(instance, backs->poller, backs->options, backs->folder);
    }
    return result == BH_OK ? bh_timer_init(&backs->delay, backs->poller, delay_over, backs)
                           : result;
}

void bh_backs_finish(struct bh_backs *backs)
{
    for (size_t i = 0; i < 2u; i++) {
        bh_instance_finish(&backs->instances[i]);
    }
    bh_timer_finish(&backs->delay);
    if (backs->folder[0] != '\0') {
        (void)rmdir(backs->folder);
    }
}

void bh_backs_start(struct bh_backs *backs)
{
    begin(backs);
}

static void end_current(struct bh_backs *backs)
{
    backs->wanted = true;
    if (backs->current == NULL) {
        schedule(backs);
    } else if (!backs->current->ending && bh_instance_end(backs->current, true) != BH_OK) {
        give_up(backs, "the old one may still write");
    }
}

/* The gate asks, too, when it has none yet: then one is under way. */
void bh_backs_want(struct bh_backs *backs)
{
    bool coming = backs->delayed || (backs->current != NULL && !backs->handed);
    if (!backs->stopping && !backs->given_up && !coming) {
        end_current(backs);
    }
}

/* Only now, so that it does not compete with the one that comes up. */
void bh_backs_greeted(struct bh_backs *backs)
{
    struct bh_instance *instance = free_instance(backs);
    backs->served = true;
    if (backs->options->spares == 0u || backs->spare != NULL || backs->stopping ||
        instance == NULL) {
        return;
    }
    if (bh_instance_start(instance) == BH_OK) {
        backs->spare = instance;
    }
}

/* Its connection has ended with the gate; one that was not given to it serves the next gate. */
void bh_backs_gate_ended(struct bh_backs *backs)
{
    bool coming = backs->delayed || (backs->current != NULL && !backs->handed);
    if (!backs->stopping && !backs->given_up && !coming) {
        backs->uncounted = true;
        end_current(backs);
    }
}

void bh_backs_stop(struct bh_backs *backs)
{
    backs->stopping = true;
    backs->delayed = false;
    if (backs->options->command == NULL) {
        backs->current = NULL; /* not ours to end */
    }
    bh_timer_arm(&backs->delay, END_US, 0);
    if (backs->current != NULL) {
        (void)bh_instance_end(backs->current, false);
    }
    if (backs->spare != NULL) {
        (void)bh_instance_end(backs->spare, false);
    }
    tell_stopped(backs);
}
