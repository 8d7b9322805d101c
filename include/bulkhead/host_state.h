/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state folder of a platform: what has to outlive a run. Found, made, checked, and in it the
 * rollback index. Other parts keep files of their own there (the audit log), through state->fd.
 *
 *   platform   the name of the platform that the folder belongs to
 *   rollback   the highest rollback index that was accepted, a decimal number and a line end
 *
 * Where it is: the folder that was asked for; else /var/lib/bulkhead/NAME for root,
 * $XDG_STATE_HOME/bulkhead/NAME for others, and $HOME/.local/state/bulkhead/NAME without that
 * variable.
 *
 * The folder has to lie where nobody but the user can put another in its place. That there is one
 * writer at a time is the caller's business (the lock of the runtime folder).
 *
 * Thread: one.
 */
#ifndef BULKHEAD_HOST_STATE_H
#define BULKHEAD_HOST_STATE_H

#include <limits.h>
#include <stdint.h>

#define BH_STATE_NAME_MAX  32u
#define BH_STATE_WHY_BYTES (PATH_MAX + 256)

struct bh_state_folder {
    int fd; /* of the folder; -1: not open */
    char name[BH_STATE_NAME_MAX + 1u];
    char path[PATH_MAX];
    char why[BH_STATE_WHY_BYTES]; /* after an error: one line, what is wrong; what to do */
};

/* Opens the state folder of the platform `name`, made with its parents (mode 0700) if it is not
 * there. `given`: the folder that the user named; NULL: none. BH_DENIED: another user's, writable
 * by others, or another platform's. On every error `why` says more, here and below. */
int bh_state_open(struct bh_state_folder *state, const char *given, const char *name);
void bh_state_close(struct bh_state_folder *state);

/* The rollback index that was accepted last; 0 if none was. BH_PROTOCOL: the file holds something
 * else, and nobody knows what was accepted. */
int bh_state_rollback_read(struct bh_state_folder *state, uint64_t *number);

/* Notes a rollback index that was accepted, and the platform's name. It is on the disk on return.
 * The number never falls: a lower one is BH_DENIED, the same one writes nothing. */
int bh_state_rollback_write(struct bh_state_folder *state, uint64_t number);

#endif
