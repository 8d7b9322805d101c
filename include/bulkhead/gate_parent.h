/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent's end of a gate: makes what a gate is started with (setup, limits, ledger, arenas), speaks
 * with it, keeps its descriptors, counts restarts, and gives all of it to a new gate when one dies. The
 * parent itself starts and ends processes: the supervisor (engine/), or the keeper of a gate that
 * works alone. What the gate sends is checked like any other peer's word.
 *
 * States of a gate, for its parent:
 *   made     bh_gate_parent_create. -> running (bh_gate_parent_started)
 *   running  -> made, when its process was reaped (bh_gate_parent_ended): all that it kept is here,
 *            and bh_gate_parent_started gives it to the next one.
 *
 * The rule for back ends: their connection belongs to one gate and one generation. When a gate ends,
 * its back ends end, too (they see their front end go; the parent makes sure), and the next gate gets
 * new ones: so an old write can never land on a newer one.
 *
 * Thread: the poller's. Ownership: the structure is the callee's; descriptors handed in are taken over.
 */
#ifndef BULKHEAD_GATE_PARENT_H
#define BULKHEAD_GATE_PARENT_H

#include "bulkhead/gate.h"
#include "bulkhead/host_child.h"
#include "bulkhead/poller.h"

struct bh_gate_parent;

struct bh_gate_parent_ops {
    /* Back end `generation` of the device is over: end it at once, and when it is reaped, give the
     * next (bh_gate_parent_back), or bh_gate_parent_no_more. `reason`: enum bh_gate_reason. `text`:
     * printable, the gate's word. Generation 0: there was none yet. */
    void (*want)(void *context, uint32_t device, uint32_t generation, uint32_t reason,
                 const char *text);
    void (*greeted)(void *context, uint32_t device, uint32_t generation);
    void (*up)(void *context, uint32_t device); /* the guest's driver has started it */
    void (*guest)(void *context, uint32_t device, const char *text);   /* it broke the protocol */
    void (*event)(void *context, const struct bh_gate_message *event); /* for the audit log */
    void (*ready)(void *context);                                      /* it reads messages now */
    /* The connection of the front end is over, and closed. NULL: nothing. */
    void (*front_gone)(void *context, uint32_t device);
    /* It broke the control protocol, or does not answer: the caller kills it. */
    void (*failed)(void *context, const char *why);
};

struct bh_gate_parent_setup {
    struct bh_poller *poller;
    const struct bh_gate_setup *setup; /* copied */
    const struct bh_gate_parent_ops *ops;
    void *context;
    uint32_t patience_ms; /* a gate that does not answer a ping for so long has failed; 0: never */
};

/* Makes setup page, limits page, ledger and arenas (sealed memfds). BH_INVALID: the setup; BH_LIMIT;
 * BH_NO_MEMORY. */
int bh_gate_parent_create(struct bh_gate_parent **parent, const struct bh_gate_parent_setup *setup);
void bh_gate_parent_destroy(struct bh_gate_parent *parent); /* NULL: nothing */

/* The descriptors of a gate that is about to be started, for bh_child_setup.fds; at most
 * BH_GATE_CHILD_FDS. BH_LIMIT: no descriptor left. */
#define BH_GATE_CHILD_FDS (BH_GATE_ARENA_FD + BH_GATE_DEVICES_MAX)
int bh_gate_parent_fds(struct bh_gate_parent *parent, struct bh_child_fd *fds, uint32_t *count);

/* It was started (after bh_gate_parent_fds): sends what was kept, connections that are there already,
 * and GO. BH_STATE: not after bh_gate_parent_fds; or the poller's error. */
int bh_gate_parent_started(struct bh_gate_parent *parent);
/* It was reaped. Reads what it still said, first (keep, event, guest and up; the rest has no use any
 * more). Connections to back ends that it was not sent yet are closed: the next gate gets new ones. */
void bh_gate_parent_ended(struct bh_gate_parent *parent);

/* A connection of the device's front end; kept for the next gate, too, until the gate says that it is
 * gone (KEEP of BH_GATE_SLOT_CONNECTION): then it is closed here with all that was kept of it. Takes the
 * place of an earlier one. BH_INVALID. */
int bh_gate_parent_front(struct bh_gate_parent *parent, uint32_t device, int fd);
/* A connection to a new back end: its generation is returned (> 0), or an error. Before the gate is
 * started it waits for that. */
int bh_gate_parent_back(struct bh_gate_parent *parent, uint32_t device, int fd);
int bh_gate_parent_no_more(struct bh_gate_parent *parent, uint32_t device);

/* Writes the limits of a device, and tells the gate. */
void bh_gate_parent_limits(struct bh_gate_parent *parent, uint32_t device,
                           const struct bh_gate_limits *limits);

/* What the ledger says of a device now: numbers, none of them to be believed further than shown. */
void bh_gate_parent_counters(const struct bh_gate_parent *parent, uint32_t device,
                             struct bh_gate_counters *counters);

/* "back-end-died", ...; enum bh_gate_reason. And a sentence for people. */
const char *bh_gate_reason_name(uint32_t reason);
const char *bh_gate_reason_text(uint32_t reason);
const char *bh_gate_state_name(uint32_t state);
const char *bh_gate_mode_name(uint32_t mode);

/* ------------------------------------------------------------------------------------------------
 * restarts */

/* Whether one more restart is allowed, with at most `per_minute` of them in any minute (0: no limit;
 * above 64 it is held as a rate over the last 64); and how long to wait before it, so that a back end
 * that dies at once does not keep the host busy: nothing for the first three in a row of those that
 * ended within 250 ms of their start, then doubling from 10 ms up to 1 s. All zero: none yet. */
struct bh_restarts {
    uint64_t times[64]; /* ring of milliseconds */
    uint64_t started;   /* when the last one starts, its waiting included */
    uint32_t next;
    uint32_t count;
    uint32_t streak; /* in a row that ended at once */
};
bool bh_restarts_allow(struct bh_restarts *restarts, uint64_t now_ms, uint64_t per_minute,
                       uint64_t *wait_ms);

/* ------------------------------------------------------------------------------------------------
 * metrics */

/* A device's numbers. In gate/metrics.c. */
struct bh_gate_metrics_source {
    const char *guest;
    const char *device;
    const char *mode;
    struct bh_gate_counters counters;
};
/* The numbers of `count` devices as OpenMetrics text, up to "# EOF". NULL: no memory. The caller frees
 * it. */
char *bh_gate_metrics(const struct bh_gate_metrics_source *sources, uint32_t count);

#endif
