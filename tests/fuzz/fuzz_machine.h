/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What fuzz_vhost_user.c needs besides its front end: a loop that turns when it is told to, a device
 * that holds what it pops until it is told to finish it, and an owner who looks at memory, serves rings
 * himself, or keeps what a successor needs.
 */
#ifndef FUZZ_MACHINE_H
#define FUZZ_MACHINE_H

#include "fuzz_input.h"

#include "bulkhead/poller.h"
#include "bulkhead/vhost_user_backend.h"

#define RINGS     2u
#define QUEUE_MAX 16u
#define HELD      16u
#define SPANS     6u
#define BLOCKS    2u
#define WATCHES   16u
#define CONFIG    8u

struct loop {
    struct bh_poller poller; /* first */
    struct bh_watch *watches[WATCHES];
    struct bh_task *tasks;
};

struct held {
    struct bh_chain chain;
    struct bh_queue *queue;
    bool busy;
};

/* What an owner does. */
#define OWNER_KEEPS  1u /* and looks at memory */
#define OWNER_SERVES 2u

#define JOURNAL 4096u

/* What outlives a machine. */
struct owner {
    uint32_t does;
    struct bh_vu_saved saved;
    int fds[BH_VU_KEEP_SLOTS];
    struct bh_vu_saved left; /* for the successor */
    int left_fds[BH_VU_KEEP_SLOTS];
    struct bh_vu_adoption adoption;
    _Alignas(64) uint8_t journal[JOURNAL];
};

/* A device; left behind as it is when its back end dies. */
struct machine {
    struct bh_memory memory;
    struct bh_device device;
    struct bh_queue queues[RINGS];
    struct bh_order_slot order[RINGS][QUEUE_MAX];
    uint8_t busy[RINGS][QUEUE_MAX];
    struct bh_span blocks[BLOCKS * SPANS];
    uint16_t free[BLOCKS];
    struct bh_span_pool pool;
    struct held held[HELD];
    struct bh_vu_backend *backend;
    uint32_t closed;
    struct owner *owner;
    uint32_t admitted;   /* regions */
    bool running[RINGS]; /* elsewhere */
    bool patience;
};

void loop_init(struct loop *loop);
/* One turn; whether anything happened. */
bool loop_turn(struct loop *loop);

void owner_begin(struct owner *owner, uint32_t does);
void owner_end(struct owner *owner);

/* A fresh device behind a fresh back end on this socket; `adopts`: it takes over what the owner has
 * kept. */
void machine_begin(struct machine *machine, struct loop *loop, int socket, struct owner *owner,
                   bool adopts);
/* Gives back one of the chains that are held. */
void machine_finish(struct machine *machine, unsigned which);

#endif
