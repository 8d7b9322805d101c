/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back ends of the keeper, one after the other: which serves, which stands by, when the next one
 * is started, and when there will be no other.
 *
 * States of the one that serves:
 *   coming   it was started, and its connection is not there yet. -> serving; or ended
 *   serving  its connection was given to the gate. -> ending (the gate wants another, or has ended);
 *            or ended (by itself: the gate sees that, too, and asks)
 *   ending   it is killed, or waited for. -> ended
 *   ended    none is there. When the gate has asked -> delayed (too many in a row died at once) or
 *            coming; or given up (too many in a minute)
 *   given up the gate was told that there will be no other; for good
 */
#ifndef GATE_KEEPER_BACKS_H
#define GATE_KEEPER_BACKS_H

#include "keeper_instance.h"

struct bh_backs {
    struct bh_poller *poller;
    const struct bh_keeper_options *options;
    struct bh_gate_parent *parent;
    void (*stopped)(void *context); /* after bh_backs_stop: none is left */
    void (*useless)(void *context); /* none has served, and none will (logged) */
    void *context;
    struct bh_instance instances[2];
    struct bh_instance *current; /* NULL: ended */
    struct bh_instance *spare;   /* NULL: none */
    struct bh_restarts restarts;
    struct bh_timer delay;
    char folder[64];     /* for {socket}; "": not made */
    uint32_t generation; /* of the last that was given to the gate */
    bool handed;         /* the connection of `current` was given to the gate */
    bool wanted;         /* the gate wants another */
    bool uncounted;      /* because it has ended itself */
    bool delayed;
    uint32_t failures; /* of back ends, before one has served */
    bool served;       /* one has been greeted */
    bool given_up;
    bool stopping;
};

/* The caller has set all that is its own (down to `context`). BH_LIMIT, or what the system says of the
 * folder (logged). */
int bh_backs_init(struct bh_backs *backs);
void bh_backs_finish(struct bh_backs *backs);

void bh_backs_start(struct bh_backs *backs);
void bh_backs_want(struct bh_backs *backs);
void bh_backs_greeted(struct bh_backs *backs);
void bh_backs_gate_ended(struct bh_backs *backs);

/* Ends all of them: in order, and after a second at once. `stopped` is called, perhaps from here. */
void bh_backs_stop(struct bh_backs *backs);

#endif
