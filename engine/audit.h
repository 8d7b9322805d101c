/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The audit log of a platform: who did what to it, when, and what was refused. A file of JSON
 * objects, one on each line, in the state folder (host_state.h); `audit` there. What an entry has:
 *
 *   {"number": 17, "time": "2026-03-01T08:15:30.042Z", "ms": 81234, "event": "mode-changed", ...}
 *
 * `number` counts on through all runs, and through entries that could not be written: a gap is what
 * was lost. `time` is the wall clock, in UTC; `ms` the monotonic clock, which no one sets.
 *
 *   start          a run begins: platform, definition, pid, uid, mode, modes
 *   stop           a run ends: exit (engine_supervisor.h), lost
 *   stop-asked     guest (null: all); who asked
 *   attached       somebody has a terminal: guest, device, port; who asked
 *   mode-asked     mode (as it was asked for, bounded), from; who asked
 *   mode-changed   from, mode
 *   mode-refused   mode, why
 *   backend        guest, device, state, and of its state
 *                  started: program, pid, isolated, resource, rights, operations, standby
 *                  ended: program, how
 *                  left out: type
 *   guest          guest, state, detail
 *   gate           of a guest's gate: guest, state, and of its state
 *                  started: pid, isolated
 *                  ready, ended: how
 *   device         something happened to a device: guest, device, reason (a word: those of the gate,
 *                  gate.h, and guest-reset), text (the gate's, which is not believed), value (of
 *                  `replaced`: the stall in microseconds; of the back-end-… ones: which instance)
 *   refused        requests that the policy does not allow, in the words of the back end, which is
 *                  not believed: guest, device, text, left_out (lines of it that had no room before)
 *   Who asked: {"pid": 100, "uid": 1000}, as the kernel says it; or {"signal": "SIGTERM"}.
 *
 * Each entry is one write(). What cannot be written is counted, and the platform goes on. Nothing
 * is forced to the disk: a host that loses its power may lose the last entries.
 *
 * Thread: the loop's. Ownership: the caller's memory.
 */
#ifndef ENGINE_AUDIT_H
#define ENGINE_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "bulkhead/host_state.h"

#define BH_AUDIT_FILE "audit.jsonl"

struct bh_audit {
    int fd; /* -1: not open */
    uint64_t number;
    uint64_t lost; /* entries of this run */
    bool failing;  /* the last one was lost */
    /* The first one that is lost, and the first that is written again. NULL: nobody wants to know. */
    void (*changed)(void *context, int error);
    void *context;
};

/* Opens the log in the folder, made (mode 0600) if it is not there, and locks it: it has one writer.
 * BH_OK; otherwise `state->why` says what is wrong and what to do: BH_STATE: another run has it;
 * BH_DENIED: no file of this user, or writable by others; BH_NO_SPACE, BH_IO, BH_LIMIT. */
int bh_audit_open(struct bh_audit *audit, struct bh_state_folder *state);
void bh_audit_close(struct bh_audit *audit);

/* Adds an entry; `members` as json_pack takes it, an object. Not open: nothing. */
void bh_audit_add(struct bh_audit *audit, const char *event, const char *members, ...);

/* A JSON text of what need not be UTF-8: what is none becomes '?'. NULL: no memory. */
json_t *bh_audit_text(const char *text);

#endif
