/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back end in one process with its front end: the echo class behind the port, a loop
 * that runs when a test says so, a socket pair, and a raw front end that can send anything. The
 * guest's rings are laid out by ring_guest.c, in a memory file that both sides map.
 *
 * Not here: a front end that behaves (driver/vhost_user.c is one).
 */
#ifndef VU_RIG_H
#define VU_RIG_H

#include "echo_class.h"

#include "bulkhead/poller.h"
#include "bulkhead/vhost_user.h"
#include "bulkhead/vhost_user_backend.h"

#define VU_MEMORY (GUEST_LOW_SIZE + GUEST_HIGH_SIZE) /* one region at GUEST_LOW */
#define VU_USER   UINT64_C(0x7f0000000000)           /* where the front end says it has it */
#define VU_RINGS  ECHO_QUEUES

#define VU_ALL_PROTOCOL                                                                            \
    (BH_VU_PROTOCOL_F_MQ | BH_VU_PROTOCOL_F_REPLY_ACK | BH_VU_PROTOCOL_F_BACKEND_REQ |             \
     BH_VU_PROTOCOL_F_CONFIG | BH_VU_PROTOCOL_F_INFLIGHT_SHMFD | BH_VU_PROTOCOL_F_RESET_DEVICE |   \
     BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | BH_VU_PROTOCOL_F_STATUS)

#define VU_WATCHES 32u

struct vu_loop {
    struct bh_poller poller; /* first */
    struct bh_watch *watches[VU_WATCHES];
    struct bh_task *tasks; /* of the next round */
};

extern const struct bh_poller_ops vu_loop_ops;

struct vu_message {
    struct bh_vu_header header;
    union bh_vu_payload payload;
    int fds[BH_VU_FDS_MAX + 8u];
    uint32_t fd_count;
};

struct vu {
    struct vu_loop loop;
    struct echo echo;   /* the device */
    struct guest guest; /* ring 0 as the guest sees it */
    struct bh_vu_backend *backend;
    int socket;     /* the front end's end; -1: closed */
    int connection; /* a duplicate of the back end's, for a successor */
    int listener;
    int memory;
    uint8_t *map;
    int kick[VU_RINGS];
    int call[VU_RINGS];
    int error[VU_RINGS];
    struct bh_vu_setup more; /* what the back end is made with besides */
    int inflight;            /* the region, once vu_inflight_get was called */
    struct bh_vu_inflight inflight_where;

    uint32_t notices[BH_VU_EVENT_READY + 1];
    const char *detail; /* of the last notice */
    uint32_t request;
    uint32_t closed;
};

/* A back end on a connected socket; nothing was said yet. */
void vu_init(struct vu *vu, bool packed);
void vu_finish(struct vu *vu);
/* The same, with what more says: hooks, journal, protocol features. Their context is `vu`. */
void vu_init_with(struct vu *vu, bool packed, const struct bh_vu_setup *more);
/* Another process takes over: a back end of its own, on the same connection, for the same guest. `was`
 * is left alone; it must not be turned any more. connected: with the connection, or without one. */
void vu_succeed(struct vu *next, const struct vu *was, const struct bh_vu_adoption *adoption,
                bool connected);
/* A back end that listens; and a front end that connects (again). */
void vu_init_listening(struct vu *vu, bool packed);
void vu_connect(struct vu *vu);
void vu_disconnect(struct vu *vu);
/* cmocka: the same. */
int vu_setup_split(void **state);
int vu_setup_packed(void **state);
int vu_teardown(void **state);

#define VU_SPLIT(test)                                                                             \
    {                                                                                              \
#test, test, vu_setup_split, vu_teardown, NULL                                             \
    }
#define VU_BOTH(test)                                                                              \
    {#test ": split", test, vu_setup_split, vu_teardown, NULL},                                    \
    {                                                                                              \
#test ": packed", test, vu_setup_packed, vu_teardown, NULL                                 \
    }

/* The loop: one turn; or until nothing happens any more (bounded). */
void vu_turn(struct vu *vu);
void vu_run(struct vu *vu);

/* Sends as it is. Returns false when the back end is gone. */
bool vu_send_raw(struct vu *vu, const void *bytes, size_t length, const int *fds, uint32_t count);
bool vu_send(struct vu *vu, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
             const int *fds, uint32_t count);
/* The next message of the back end; false: there is none. */
bool vu_receive(struct vu *vu, int socket, struct vu_message *message);
/* Whether the back end closed the connection. */
bool vu_is_closed(struct vu *vu);
/* The connection must be closed, and by a refusal. */
void vu_expect_refused(struct vu *vu);
/* The connection must be open, and unread replies there must be none. */
void vu_expect_open(struct vu *vu);

/* Sends, runs the loop. vu_ask: and the reply must come. vu_ack: with NEED_REPLY; returns what the
 * back end answers. */
void vu_tell(struct vu *vu, uint32_t request, const void *payload, uint32_t size, const int *fds,
             uint32_t count);
void vu_ask(struct vu *vu, uint32_t request, const void *payload, uint32_t size,
            struct vu_message *reply);
uint64_t vu_ack(struct vu *vu, uint32_t request, const void *payload, uint32_t size, const int *fds,
                uint32_t count);
void vu_tell_u64(struct vu *vu, uint32_t request, uint64_t value);
void vu_tell_state(struct vu *vu, uint32_t request, uint32_t index, uint32_t number);
uint64_t vu_ask_u64(struct vu *vu, uint32_t request);
uint32_t vu_ask_base(struct vu *vu, uint32_t index);

/* The steps of a front end. vu_live: all of them, so that ring 0 runs. */
void vu_negotiate(struct vu *vu, uint64_t features);
void vu_memory(struct vu *vu);
struct bh_vu_memory_table vu_table(void);
struct bh_vu_vring_address vu_address(uint32_t index);
void vu_ring(struct vu *vu, uint32_t index);
void vu_event_fd(struct vu *vu, uint32_t request, uint32_t index, int fd);
void vu_live(struct vu *vu);
void vu_kick(struct vu *vu, uint32_t index);
bool vu_called(struct vu *vu, uint32_t index);
void vu_inflight_get(struct vu *vu, uint32_t size);
void vu_inflight_set(struct vu *vu);
/* The features that are accepted besides VERSION_1 and the ring's format. */
uint64_t vu_features(const struct vu *vu);

/* The guest: a chain of one readable and one writable buffer on ring 0; and taking it back. */
void vu_offer(struct vu *vu, uint16_t id);
unsigned vu_take(struct vu *vu, uint16_t *ids, unsigned room);
/* Offers, kicks, runs, and must get it back. */
void vu_expect_works(struct vu *vu);

/* A memory file of `size`, sealed against shrinking or not. */
int vu_memfd(uint64_t size, bool sealed);
/* Descriptors that this process has open. */
unsigned vu_count_fds(void);

#endif
