/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device behind the gate: its front end (device_front.c), what serves its requests (device_serve.c: a
 * relay, or the back end itself), its back end (device.c), and the watch over the back end's pace
 * (device_watch.c). The states stand in device.c.
 *
 * Thread: begun by the main thread, everything else in the device's own.
 */
#ifndef GATE_DEVICE_H
#define GATE_DEVICE_H

#include "bulkhead/vhost_user_backend.h"
#include "direct.h"
#include "ledger.h"
#include "link.h"
#include "memory.h"
#include "relay.h"
#include "thread.h"

/* What is in no guest's address space: arenas begin here, one for each device. */
#define BH_GATE_ARENA_BASE   (UINT64_C(1) << 40)
#define BH_GATE_ARENA_STRIDE (UINT64_C(1) << 36)

struct bh_gated {
    uint32_t index;
    const struct bh_ledger *ledger;
    const struct bh_gate_device *setup;
    struct bh_gate_record *record;
    struct bh_control *control;
    struct bh_thread *thread;
    const struct bh_gate_class *class;

    /* The front end. */
    struct bh_gate_memory memory; /* what it shares, as far as it is let in */
    struct bh_memory guest;       /* the same as the port maps it */
    struct bh_vu_backend *port;   /* NULL: not made yet */
    int front;                    /* a connection that waits to be served; -1: none */
    uint64_t front_number;        /* of the connection that waits */
    uint64_t connection;          /* of the one that is served */
    int *kept;                    /* BH_GATE_SLOTS; of a gate before this one */
    bool adopts;                  /* `front` is in the middle of a session */
    bool connected;

    /* What serves: one of the two. */
    struct bh_relay *relay;
    struct bh_direct *direct;
    struct bh_device *device;
    uint64_t agreed;  /* features, with the driver; 0: none */
    bool renew;       /* they changed: the back end begins anew */
    uint64_t running; /* the guest's rings, bit n, as of the turn before */
    bool reshare;     /* the memory table changed */
    bool attached;
    bool windowless; /* direct: there is no memory for the back end; said once */
    bool unshared;   /* rings lie in what the back end could map: nothing is shared until a reset */

    /* The back end. */
    struct bh_link link;
    uint32_t generation;
    uint8_t config[BH_GATE_CONFIG_MAX]; /* as it showed it */
    bool shown;                         /* something was shown to a front end, or can be */
    bool last;                          /* there will be no other */
    bool given_up;

    /* Its pace. */
    struct bh_timer deadline;
    struct bh_timer wake;
    bool deadline_armed;
    uint64_t lost_at; /* 0: nobody waits for a successor */
    uint64_t lost_requests;
    uint64_t flood_at;
    uint32_t flood;
    uint64_t limit_told_at;
    uint64_t limited;
};

extern const struct bh_thread_ops bh_gated_thread;

/* Makes the device in its thread. `kept`: BH_GATE_SLOTS descriptors of a gate before this one, or -1
 * each; the device's from here on. BH_NO_MEMORY, BH_INVALID, BH_LIMIT. */
int bh_gated_init(struct bh_gated *gated, const struct bh_ledger *ledger, uint32_t index,
                  struct bh_control *control, struct bh_thread *thread, int *kept);

/* For the log of the parent. */
void bh_gated_event(struct bh_gated *gated, enum bh_gate_reason reason, uint64_t number,
                    const char *text);
void bh_gated_state(struct bh_gated *gated, enum bh_gate_state state);

/* ---- device.c ---- */

/* The features that the back end was asked for may be told, and rings run: attaches it. */
void bh_gated_attach(struct bh_gated *gated);
/* What the next front end will see: what the back end is, or in a session what the ledger says. */
void bh_gated_offer(struct bh_gated *gated);
/* The back end is not used any more. `look`: see bh_relay_detach. */
void bh_gated_detach(struct bh_gated *gated, bool look);

/* ---- device_front.c ---- */

/* A front end that waits is served, if it can be. */
void bh_gated_front(struct bh_gated *gated);
void bh_gated_front_take(struct bh_gated *gated, int fd, uint64_t number);

/* ---- device_serve.c ---- */

int bh_gated_serve_init(struct bh_gated *gated);
/* Shows what the ledger has. */
void bh_gated_serve_offer(struct bh_gated *gated);
void bh_gated_serve_config(struct bh_gated *gated);
/* The rings of the guest that run or drain: bit n for ring n. */
uint64_t bh_gated_serve_running(const struct bh_gated *gated);
/* What the back end may map is not what it was told. */
bool bh_gated_serve_moved(struct bh_gated *gated);
/* A ring lies in memory that the back end may map. */
bool bh_gated_serve_exposed(const struct bh_gated *gated);
/* Features of the back end that have to be there, whoever it is. */
uint64_t bh_gated_serve_needs(const struct bh_gated *gated);
/* There is memory for the back end to work in. */
bool bh_gated_serve_possible(struct bh_gated *gated);
int bh_gated_serve_attach(struct bh_gated *gated);
void bh_gated_serve_detach(struct bh_gated *gated, bool look);
/* As bh_relay_owes. */
uint64_t bh_gated_serve_owes(struct bh_gated *gated, uint64_t now);
/* A successor could go on where this back end ends. */
bool bh_gated_serve_replaceable(const struct bh_gated *gated);
void bh_gated_serve_refuse(struct bh_gated *gated);

/* ---- device_watch.c ---- */

int bh_gated_watch_init(struct bh_gated *gated);
/* The link's and the relay's words. */
void bh_gated_called(void *context, uint16_t queue);
void bh_gated_wake(void *context, uint64_t microseconds);
void bh_gated_limits(struct bh_gated *gated);
void bh_gated_lost(struct bh_gated *gated);
/* After each turn of the loop. */
void bh_gated_watch(struct bh_gated *gated);

#endif
