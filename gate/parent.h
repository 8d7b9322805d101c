/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a gate's parent (bulkhead/gate_parent.h) among themselves. Private to gate/parent*.c. */
#ifndef GATE_PARENT_H
#define GATE_PARENT_H

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_loop.h"

/* A share of messages that a gate may send: so many at once, and one more each `period` milliseconds. */
struct bh_gate_share {
    uint32_t left;
    uint64_t filled_ms;
};

struct bh_gate_parent_device {
    int front; /* the front end's connection; -1: none */
    uint64_t front_number;
    int back;            /* a back end's connection that was not sent yet; -1: none */
    uint32_t generation; /* of the last back end, of any gate; 0: there was none */
    uint32_t given;      /* generation that this gate was given last; 0: none */
    uint32_t wanted;     /* generation for which it said that it is over, plus 1; 0: none */
    uint32_t greeted;    /* generation that it greeted; 0: none */
    bool front_due;      /* what the gate has not been sent yet */
    bool no_more;        /* there will be no other back end */
    bool no_more_due;
    bool limits_due;
    struct bh_gate_share events;
    struct bh_gate_share violations;
};

/* A piece of memory that gates are started with. */
struct bh_gate_piece {
    int fd; /* -1: none */
    uint64_t size;
    void *base; /* NULL: not mapped here */
};

struct bh_gate_parent {
    struct bh_gate_setup setup;
    struct bh_poller *poller;
    const struct bh_gate_parent_ops *ops;
    void *context;
    struct bh_gate_piece setup_piece;
    struct bh_gate_piece limits;
    struct bh_gate_piece ledger;
    struct bh_gate_piece arenas[BH_GATE_DEVICES_MAX];
    struct bh_gate_parent_device devices[BH_GATE_DEVICES_MAX];
    int *kept; /* device_count * BH_GATE_SLOTS; -1: nothing in the slot */

    /* The gate that runs. */
    struct bh_watch in;   /* of the control socket; fd -1: there is no gate */
    struct bh_watch room; /* of a copy of it: something could not be sent */
    int child_fd;         /* the gate's end, until it was started; -1 */
    uint32_t next_kept;   /* index in `kept` of the next one to send */
    bool running;
    bool go_due;
    bool ping_due;
    bool ready;  /* the gate said so */
    bool broken; /* it broke the protocol: nothing more is read */
    bool failed; /* the owner was told */

    struct bh_timer patience;
    bool patient; /* the timer is there */
    uint32_t tick_ms;
    uint32_t missed; /* ticks without an answer */
    uint64_t asked;  /* number of the last ping */
    bool asking;     /* it was not answered yet */
};

/* parent_memory.c: BH_OK; BH_LIMIT, BH_NO_MEMORY, BH_UNSUPPORTED (no memory files). After an error all
 * that was made is there to be dropped. */
int bh_gate_parent_memory_make(struct bh_gate_parent *parent);
void bh_gate_parent_memory_drop(struct bh_gate_parent *parent);

/* parent_send.c: sends all that is due and goes; what does not go now follows by itself. */
void bh_gate_parent_send(struct bh_gate_parent *parent);
void bh_gate_parent_send_stop(struct bh_gate_parent *parent);

/* parent_read.c: reads messages of the gate: of a turn, or all that there are (`last`: it has ended). */
void bh_gate_parent_read(struct bh_gate_parent *parent, bool last);
/* Forgets what is kept of a device's front end. */
void bh_gate_parent_forget_front(struct bh_gate_parent *parent, uint32_t device);
/* Tells the owner, once for each gate. */
void bh_gate_parent_fail(struct bh_gate_parent *parent, const char *why);

static inline int *bh_gate_parent_slot(struct bh_gate_parent *parent, uint32_t device,
                                       uint32_t slot)
{
    return &parent->kept[device * BH_GATE_SLOTS + slot];
}

/* Closes *fd, if it is one, and forgets it. */
void bh_gate_parent_close(int *fd);

#endif
