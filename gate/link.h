/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's connection to a back end, which is not trusted. The link is the front end of it, and the
 * transport that a relay drives: it puts bounds on every conversation, watches the calls, the socket
 * and the back end's own line, and finds out that the back end is over, and why. Whatever it finds, it
 * says once, from the loop and never from within a call of its owner's.
 *
 * States:
 *   closed   no back end. -> open (bh_link_open greets it)
 *   open     greeted. Features, memory and rings are told, and told again. -> over
 *   over     every call returns BH_GONE; `over` is called soon, once. -> closed (bh_link_close)
 *
 * Thread: the device's. Ownership: the structure is the caller's; the link owns the socket.
 */
#ifndef GATE_LINK_H
#define GATE_LINK_H

#include "bulkhead/gate.h"
#include "bulkhead/host_channel.h"
#include "bulkhead/poller.h"

#define BH_LINK_SHARES_MAX 64u

struct bh_link_ops {
    /* The back end called for this queue; several calls may be one. */
    void (*called)(void *context, uint16_t queue);
    void (*config_changed)(void *context); /* the back end says that its configuration changed */
    void (*over)(void *context, enum bh_gate_reason reason, const char *text);
    /* The thread is about to wait for the back end, so long at most; 0: that is over. */
    void (*away)(void *context, uint64_t microseconds);
};

struct bh_link_setup {
    const struct bh_link_ops *ops;
    void *context;
    struct bh_poller *poller;
    const struct bh_gate_device *device;
    uint64_t protocol_features; /* of BH_VU_FRONTEND_PROTOCOL, wanted */
};

enum bh_link_state {
    BH_LINK_CLOSED,
    BH_LINK_OPEN,
    BH_LINK_OVER,
};

struct bh_link_call {
    struct bh_watch watch;
    struct bh_link *link;
    uint16_t queue;
};

/* A memory file, whatever descriptors of it come and go. */
struct bh_link_file {
    uint64_t device;
    uint64_t inode;
};

struct bh_link {
    struct bh_transport transport; /* first: what a relay drives */
    struct bh_link_setup setup;
    enum bh_link_state state;
    enum bh_gate_reason reason; /* over */
    char text[BH_GATE_TEXT_MAX];
    bool talking; /* within a conversation */
    struct bh_task task;
    struct bh_watch main;
    struct bh_watch line;       /* a duplicate of the channel's descriptor; fd -1: none */
    struct bh_vu_channel lines; /* the channel's functions, and an ear of ours */
    struct bh_host_channel channel;
    struct bh_vu_frontend frontend;
    struct bh_vu_share shares[BH_LINK_SHARES_MAX]; /* as told */
    struct bh_link_file files[BH_LINK_SHARES_MAX]; /* whose memory that was */
    uint32_t share_count;
    uint32_t shared_most; /* on this connection; who mapped it once may have it still */
    bool garbled;         /* something came on the back end's line that is no message */
    struct bh_link_call calls[BH_VU_FRONTEND_QUEUES_MAX];
};

void bh_link_init(struct bh_link *link, const struct bh_link_setup *setup);

/* Greets the back end at the other end of `fd`, which is taken over. BH_OK: open; anything else: over
 * (and `over` will say so). BH_STATE: not closed; fd is closed. */
int bh_link_open(struct bh_link *link, int fd);

/* Closes whatever there is. `over` is not called any more. */
void bh_link_close(struct bh_link *link);

/* The back end is over, says the owner (or the link itself): from here on it is. The first reason
 * counts. */
void bh_link_end(struct bh_link *link, enum bh_gate_reason reason, const char *text);

/* What it offers, transport features included, and how many queues. */
uint64_t bh_link_offered(const struct bh_link *link);
uint16_t bh_link_queues(const struct bh_link *link);
bool bh_link_has(const struct bh_link *link, uint64_t protocol_feature);

/* Its configuration space, `size` bytes; where it has none (no CONFIG), zeroes. */
int bh_link_config_read(struct bh_link *link, uint8_t *config, uint32_t size);
int bh_link_config_write(struct bh_link *link, uint32_t offset, const void *from, uint32_t length);

/* Tells features and memory, before rings start. Said again, only what changed is told; no ring may
 * run then. The descriptors stay the caller's until the next time. */
int bh_link_agree(struct bh_link *link, uint64_t features, const struct bh_vu_share *shares,
                  uint32_t count);

/* Whether this is what it was told to share: the same ranges of the same files. */
bool bh_link_shares(const struct bh_link *link, const struct bh_vu_share *shares, uint32_t count);

/* Stops one ring; every ring that runs; and makes the device anew. */
int bh_link_queue_stop(struct bh_link *link, uint16_t queue, uint32_t *base);
int bh_link_stop(struct bh_link *link);
int bh_link_reset(struct bh_link *link);

/* A conversation of the owner's own with link->frontend: begins (BH_GONE: it is over), and ends with
 * what came of it; an error ends the back end. */
int bh_link_begin(struct bh_link *link);
int bh_link_done(struct bh_link *link, int result, const char *what);

#endif
