/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor: runs a platform in the foreground. It alone holds resources; it opens each with
 * the least rights that the policy gives and hands descriptors over; it starts every back end
 * and every engine, watches them, and leaves nothing behind but the audit log.
 *
 *   supervisor (bulkhead run)
 *     for each guest: engine (QEMU) <- sockets -> gate <- sockets -> one back end for each device
 *
 * States of a guest, as `status` names them:
 *   waiting -> starting -> running -> (stop asked) stopping -> stopped
 *                  |-> powered off by itself -> stopped
 *                  |-> reset itself, crashed, engine failed, a back end or the gate could not be
 *                      replaced -> failed
 * A guest that waits starts when its turn comes: its priority, and the guests that it starts after,
 * decide. Its gate and its back ends start with it. If its turn never comes it fails. A back end or a
 * gate that is over while the engine runs is replaced, and the guest notices only time; how often, and
 * what follows when it cannot be, the definition says.
 * A guest that ends takes its engine and its back ends along and no other guest. The run ends when
 * every guest has.
 *
 * Output: one line for each line of a guest's terminal, with the guest's name before it; control
 * characters are shown harmless; a line is cut at 1000 bytes. What an engine or back end prints has
 * its own name before it.
 *
 * Stop (SIGINT, SIGTERM, a control request): every guest is asked to shut down and has
 * `stop-within` seconds; what is left is ended, and said. A SIGINT while they stop ends everything at
 * once.
 *
 * Vehicle mode: the run begins in the first of the definition's. A control request changes it, and
 * with it what every back end may do, at once and without a restart.
 *
 * Thread: one, the caller's. Ownership: the platform and the state folder stay the caller's.
 */
#ifndef BULKHEAD_ENGINE_SUPERVISOR_H
#define BULKHEAD_ENGINE_SUPERVISOR_H

#include <stdio.h>

#include "bulkhead/host_state.h"
#include "bulkhead/platform_definition.h"

/* How `bulkhead run` ends. The first failure counts. */
enum bh_run_exit {
    BH_RUN_OK = 0, /* every guest shut down in order, by itself or when asked */
    BH_RUN_REFUSED =
        1,            /* nothing was started: the definition, a file, the host does not allow it */
    BH_RUN_USAGE = 2, /* the command line */
    BH_RUN_GUEST = 3, /* a guest crashed, reset itself, or did not shut down when asked */
    BH_RUN_BACKEND = 4,  /* a back end or a gate ended by itself, and could not be replaced */
    BH_RUN_ENGINE = 5,   /* an engine ended by itself */
    BH_RUN_INTERNAL = 6, /* the supervisor's own fault: memory, event loop */
};

struct bh_supervisor_setup {
    const struct bh_platform *platform;
    struct bh_diagnostics
        *diagnostics; /* for what is found before the start; printed by the supervisor's caller */
    struct bh_state_folder *state; /* open; the audit log goes there */
    FILE *output;                  /* lines of guests and messages */
    bool colour;
    const char *daemons;          /* folder of the bulkhead-* programs */
    void (*ready)(void *context); /* every guest has become ready, once; NULL: nobody asks */
    void *ready_context;
    FILE *
        timeline; /* a file in which a picture of the start is drawn (SVG); NULL: nobody wants it */
};

/* Runs the platform to its end. */
enum bh_run_exit bh_supervisor_run(const struct bh_supervisor_setup *setup);

#endif
