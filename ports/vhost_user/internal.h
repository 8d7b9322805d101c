/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of ports/vhost_user/ share and nobody else needs: the back end's one structure and
 * the calls between its parts. The state machine stands in session.c, the life of a ring in
 * rings.c.
 *
 * A call that returns BH_AGAIN waits for requests in flight; it is made again when a queue became
 * idle, and goes on where it was.
 */
#ifndef BULKHEAD_PORTS_VHOST_USER_INTERNAL_H
#define BULKHEAD_PORTS_VHOST_USER_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/poller.h"
#include "bulkhead/vhost_user.h"
#include "bulkhead/vhost_user_backend.h"

/* QEMU asks for as many memory slots as there are, at most 512; the kernel's own vhost has 509. */
#define BH_VU_SLOTS 509u

#define BH_VU_PROTOCOL_FEATURES                                                                    \
    (BH_VU_PROTOCOL_F_MQ | BH_VU_PROTOCOL_F_REPLY_ACK | BH_VU_PROTOCOL_F_BACKEND_REQ |             \
     BH_VU_PROTOCOL_F_CONFIG | BH_VU_PROTOCOL_F_INFLIGHT_SHMFD | BH_VU_PROTOCOL_F_RESET_DEVICE |   \
     BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | BH_VU_PROTOCOL_F_STATUS)

/* ---- wire.c: messages in pieces ---- */

struct bh_vu_incoming {
    struct bh_vu_header header;
    union bh_vu_payload payload;
    int fds[BH_VU_FDS_MAX]; /* -1 once somebody took it */
    uint32_t fd_count;
    uint32_t have;   /* bytes received so far, header included */
    uint32_t peeked; /* bytes of it that are still in the socket */
};

struct bh_vu_outgoing {
    union bh_vu_payload payload;
    uint32_t size;
    int fd; /* -1: none; closed after sending */
};

/* Reads what is there. BH_OK: the message is complete; BH_AGAIN: not yet; BH_GONE: the peer is;
 * BH_PROTOCOL: it can never become a message (`reason`). Never blocks. */
int bh_vu_wire_receive(int socket, struct bh_vu_incoming *message, const char **reason);
/* The same, but a message that is there whole stays in the socket until it is taken off: whoever dies
 * over it leaves it to be read again. Only then is it known how many descriptors really were its own:
 * BH_PROTOCOL, if not those that were seen; BH_GONE. */
int bh_vu_wire_peek(int socket, struct bh_vu_incoming *message, const char **reason);
int bh_vu_wire_take_off(int socket, struct bh_vu_incoming *message, const char **reason);
/* Sends a whole message or fails: BH_AGAIN (the peer does not read), BH_GONE. Never blocks. */
int bh_vu_wire_send(int socket, const struct bh_vu_header *header, const void *payload, int fd);
/* Closes what nobody took and begins a new message. */
void bh_vu_wire_clear(struct bh_vu_incoming *message);
/* Takes descriptor `index` over; -1: there is none. */
int bh_vu_wire_take(struct bh_vu_incoming *message, uint32_t index);
void bh_vu_close(int *fd);

/* ---- sigbus.c: memory that is taken away ---- */

/* Watches over [base, base + length): a SIGBUS there puts zero memory of our own in its place, sets
 * *lost and signals the eventfd `wake`. BH_LIMIT: too many ranges; BH_IO: no handler. */
int bh_vu_guard_add(uint8_t *base, size_t length, bool *lost, int wake);
void bh_vu_guard_remove(const uint8_t *base);

/* ---- regions.c: the memory of the front end ---- */

struct bh_vu_map {
    uint8_t *base; /* of the mapping, which may begin before what was asked for */
    size_t length;
};

/* A range of somebody's file, checked (size, offset, type), mapped and watched over. Writing is
 * tried first; `writable` tells what came of it. The descriptor stays the caller's. */
struct bh_vu_piece {
    struct bh_vu_map map;
    uint8_t *data;
    bool writable;
};
struct bh_vu_backend;
int bh_vu_piece_map(struct bh_vu_backend *backend, int fd, uint64_t offset, uint64_t size,
                    struct bh_vu_piece *piece);
void bh_vu_map_drop(struct bh_vu_map *map);

int bh_vu_regions_replace(struct bh_vu_backend *backend, struct bh_vu_incoming *message);
int bh_vu_regions_add(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd);
int bh_vu_regions_remove(struct bh_vu_backend *backend, const struct bh_vu_region *region);
void bh_vu_regions_clear(struct bh_vu_backend *backend);
/* A region of a predecessor, whose file is kept in `slot`; BH_VU_KEEP_NONE: it was skipped. */
int bh_vu_regions_adopt(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd,
                        uint32_t slot);
/* How many regions there may be. */
uint32_t bh_vu_regions_slots(const struct bh_vu_backend *backend);
/* From the front end's address of [user, user + length) to the guest's. BH_DENIED: not in one
 * region. */
int bh_vu_regions_guest(const struct bh_vu_backend *backend, uint64_t user, uint64_t length,
                        uint64_t *guest);

/* ---- inflight.c, journal_*.c: what is in flight, for a successor ---- */

/* What this process believes of an entry; the shared region is written, and read only when a ring
 * starts. */
struct bh_vu_entry {
    struct bh_journal_desc desc; /* packed */
    uint64_t counter;
    uint16_t next;  /* packed: of the free list, or of the chain */
    uint16_t last;  /* packed */
    uint16_t count; /* packed */
    bool inflight;
    bool seen; /* packed: accounted for while the journal is opened */
};

struct bh_vu_journal {
    void *region;    /* of this queue in the shared region; NULL: closed */
    uint16_t size;   /* entries */
    uint16_t head;   /* split: of the last batch; packed: of the free list */
    uint16_t cursor; /* packed: the entry last recorded or recalled */
    uint64_t counter;
    uint16_t in_flight; /* entries that are not struck out */
    uint16_t batch_count;
    uint16_t resume_count;
    uint16_t resume_next;
    struct bh_vu_entry *entries; /* size_max of the queue, as are the next two */
    uint16_t *batch;             /* given, and not yet committed */
    uint16_t *resume;            /* in flight when the journal was opened, oldest first */
};

/* Where a ring stands, for the one who starts it. */
struct bh_vu_start {
    const struct bh_packed_desc *ring; /* packed */
    uint16_t ring_size;
    uint16_t avail_next;
    uint16_t used_next;
    bool avail_wrap;
    bool used_wrap;
};

extern const struct bh_journal_ops bh_vu_journal_split;
extern const struct bh_journal_ops bh_vu_journal_packed;

/* Opens: takes over what a predecessor left (and corrects `start` by it), or begins. BH_PROTOCOL:
 * the region makes no sense; `reason` tells. */
int bh_vu_journal_split_open(struct bh_vu_journal *journal, struct bh_vu_start *start,
                             const char **reason);
int bh_vu_journal_packed_open(struct bh_vu_journal *journal, struct bh_vu_start *start,
                              const char **reason);
/* Notes an entry as in flight before the start, and puts the notes in order of their counters. */
void bh_vu_journal_found(struct bh_vu_journal *journal, uint16_t entry);
void bh_vu_journal_sort(struct bh_vu_journal *journal);
void bh_vu_journal_give(void *data, uint16_t entry);
bool bh_vu_journal_next(struct bh_vu_journal *journal, uint16_t *entry);

#define BH_VU_NO_ENTRY UINT16_MAX

/* Fields of the shared region, in the host's byte order. Stores keep their order: whoever looks
 * after a crash sees a beginning of what was done. */
#define BH_VU_PEEK(field)        __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define BH_VU_POKE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)

struct bh_vu_ring;

/* The front end's, or the owner's memory (bh_vu_setup.journal): then piece.map is nothing. */
struct bh_vu_inflight_region {
    struct bh_vu_piece piece;
    uint64_t size; /* 0: there is none */
    uint16_t queue_count;
    uint16_t queue_size;
};

int bh_vu_inflight_get(struct bh_vu_backend *backend, const struct bh_vu_inflight *wanted,
                       struct bh_vu_outgoing *reply);
int bh_vu_inflight_set(struct bh_vu_backend *backend, const struct bh_vu_inflight *given, int fd);
void bh_vu_inflight_drop(struct bh_vu_backend *backend);
/* The journals lie in the owner's memory. */
void bh_vu_inflight_lend(struct bh_vu_backend *backend);
/* The entries that a journal may be opened with. */
uint16_t bh_vu_inflight_longest(const struct bh_vu_backend *backend);
/* Opens the journal of a ring that starts, if there is a region. BH_OK also when there is none. */
int bh_vu_inflight_open(struct bh_vu_ring *ring, struct bh_vu_start *start, const char **reason);
/* The ring ended in order: if nothing is left to be resumed, the next start begins anew. */
void bh_vu_inflight_finish(struct bh_vu_ring *ring);
/* The device was reset: the same for all rings, also those that this process never started. */
void bh_vu_inflight_forget(struct bh_vu_backend *backend);

/* ---- rings.c ---- */

struct bh_vu_ring {
    struct bh_vu_backend *backend;
    struct bh_watch kick; /* fd -1: none */
    int call;
    int error;
    uint16_t index;
    uint16_t size; /* 0: not told yet */
    bool addressed;
    bool enabled;
    bool running; /* the core's queue was started, and `base` is behind */
    bool broken;  /* it could not be started; told once */
    bool more;    /* chains were left at the end of its share of the turn */
    bool placed;  /* `base` is known */
    uint32_t base;
    struct bh_vu_vring_address address;
    struct bh_vu_journal journal;
};

void bh_vu_ring_init(struct bh_vu_backend *backend, uint16_t index);
/* Starts a ring that has all it needs; else nothing. */
void bh_vu_ring_try(struct bh_vu_ring *ring);
/* Stops the core's queue and remembers where it stood. BH_AGAIN. */
int bh_vu_ring_halt(struct bh_vu_ring *ring);
int bh_vu_rings_halt(struct bh_vu_backend *backend);
void bh_vu_rings_try(struct bh_vu_backend *backend);
bool bh_vu_rings_running(const struct bh_vu_backend *backend);
/* A halted ring is back where a new one is; `all`: descriptors too. */
void bh_vu_ring_reset(struct bh_vu_ring *ring, bool all);
/* Serves the rings that had chains left. */
void bh_vu_rings_go_on(struct bh_vu_backend *backend);
void bh_vu_ring_signal(int fd);
/* Takes a signal off a kick descriptor. False: it is no eventfd. */
bool bh_vu_ring_consume(int fd);
void bh_vu_ring_kicked(struct bh_watch *watch);
/* Lets the device look at a ring: at most a ring's worth of chains, and the rest next turn. */
void bh_vu_ring_serve(struct bh_vu_ring *ring);
bool bh_vu_ring_packed(const struct bh_vu_ring *ring);
/* Takes a kick descriptor over. */
int bh_vu_ring_listen(struct bh_vu_ring *ring, int fd);
/* Whether it can be a descriptor of the ring's. */
bool bh_vu_ring_event(const struct bh_vu_ring *ring, int fd);
/* Where the ring stands, as the front end says it. */
uint32_t bh_vu_ring_base(const struct bh_vu_ring *ring);
/* The addresses as the guest knows them. BH_DENIED: not (wholly) in the memory table. */
int bh_vu_ring_locate(const struct bh_vu_ring *ring, const struct bh_vu_vring_address *address,
                      uint16_t size, struct bh_queue_setup *setup);

/* ---- elsewhere.c: rings that somebody else serves (bh_vu_ring_ops) ---- */

/* As starting and stopping a queue of the core. */
int bh_vu_elsewhere_start(struct bh_vu_ring *ring, const struct bh_queue_setup *where);
int bh_vu_elsewhere_stop(struct bh_vu_ring *ring);
/* A descriptor of the ring is another one now. */
void bh_vu_elsewhere_exchanged(struct bh_vu_ring *ring);
/* Whether a descriptor is an eventfd; it is left as it was. */
bool bh_vu_elsewhere_event(int fd);

/* ---- the requests: requests.c and ring_requests.c; BH_OK, or a code for the acknowledgement (see
 * session.c) ---- */

typedef int bh_vu_handler(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply);

bh_vu_handler bh_vu_on_get_features, bh_vu_on_set_features, bh_vu_on_nothing, bh_vu_on_reset_owner,
    bh_vu_on_get_protocol_features, bh_vu_on_set_protocol_features, bh_vu_on_get_queue_num,
    bh_vu_on_set_backend_req_fd, bh_vu_on_get_config, bh_vu_on_set_config, bh_vu_on_get_inflight,
    bh_vu_on_set_inflight, bh_vu_on_reset_device, bh_vu_on_get_max_mem_slots,
    bh_vu_on_set_mem_table, bh_vu_on_add_mem_reg, bh_vu_on_rem_mem_reg, bh_vu_on_set_status,
    bh_vu_on_get_status;

bh_vu_handler bh_vu_on_vring_num, bh_vu_on_vring_addr, bh_vu_on_vring_base, bh_vu_on_get_vring_base,
    bh_vu_on_vring_kick, bh_vu_on_vring_call, bh_vu_on_vring_err, bh_vu_on_vring_enable;

/* The protocol features that this front end is offered. */
uint64_t bh_vu_protocol_offered(const struct bh_vu_backend *backend);

/* Sends CONFIG_CHANGE if one is due and can be sent. */
void bh_vu_config_announce(struct bh_vu_backend *backend);

/* ---- session.c ---- */

struct bh_vu_session {
    struct bh_watch socket; /* fd -1: none */
    int channel;            /* for requests of the back end; -1: none */
    struct bh_vu_incoming message;
    bool waiting; /* `message` waits for queues to become idle */
    bool closing;
    bool told_unsealed;
    bool told_ready;
    bool features_set;
    bool config_due;
    bool adopting; /* rings start that ran before */
    bool again;    /* the next message may be one that a predecessor obeyed, and died over */
    uint64_t protocol;
    const char *detail; /* of the request at hand: why it failed */
};

void bh_vu_session_begin(struct bh_vu_backend *backend, int socket);
/* The same without a word to the owner. False: it is over already. */
bool bh_vu_session_open(struct bh_vu_backend *backend, int socket);
/* Ends the session: drains, lets go of memory and descriptors, then listens again. */
void bh_vu_session_end(struct bh_vu_backend *backend, enum bh_vu_event event, const char *detail);
/* A queue became idle: goes on with what waits. */
void bh_vu_session_go_on(struct bh_vu_backend *backend);
/* Lets go of everything that a session has; the queues are halted, or their owner gave up. */
void bh_vu_session_drop(struct bh_vu_backend *backend);

/* ---- keep.c, adopt.c: what outlives the process ---- */

#define BH_VU_KEEP_EVENTS (BH_VU_KEEP_SLOTS - BH_VU_KEEP_REGIONS)

/* The file of a memory region, in its slot. */
enum bh_vu_file {
    BH_VU_FILE_FREE,
    BH_VU_FILE_KEPT,
    BH_VU_FILE_DROPPED, /* the owner keeps it until the next numbers are saved */
};

struct bh_vu_keeper {
    struct bh_vu_saved saved; /* what the owner has */
    struct bh_vu_saved now;
    uint8_t files[BH_VU_KEEP_REGIONS];
    uint32_t slots[BH_VU_SLOTS]; /* of each region in the table */
    int told[BH_VU_KEEP_EVENTS]; /* the other slots: what the owner was handed last */
};

/* A kept descriptor that the port has no use for. */
#define BH_VU_STALE (-2)

void bh_vu_keep_begin(struct bh_vu_backend *backend);
/* Has the file of a new region kept, and returns its slot. */
uint32_t bh_vu_keep_region(struct bh_vu_backend *backend, int fd);
/* The region is gone. */
void bh_vu_keep_drop(struct bh_vu_backend *backend, uint32_t slot);
/* The port has what the predecessor saved; what is still in fds is of no use. */
void bh_vu_keep_adopted(struct bh_vu_backend *backend, const int *fds);
/* Tells the owner all that changed. */
void bh_vu_keep_commit(struct bh_vu_backend *backend);

/* Takes the session of setup.adoption over, or begins without. */
void bh_vu_adopt(struct bh_vu_backend *backend);

/* ---- backend.c ---- */

struct bh_vu_backend {
    struct bh_vu_setup setup;
    struct bh_device *device;
    struct bh_poller *poller;
    struct bh_watch listener;
    struct bh_watch lost; /* an eventfd: memory was taken away */
    struct bh_task flush;
    struct bh_task serve;
    struct bh_task idle;
    struct bh_vu_session session;
    struct bh_vu_inflight_region inflight;
    struct bh_vu_ring *rings;
    uint16_t ring_count;
    bool memory_lost;
    uint32_t region_count;
    struct bh_region view[BH_VU_SLOTS]; /* what bh_memory sees */
    struct bh_vu_region wire[BH_VU_SLOTS];
    struct bh_vu_map maps[BH_VU_SLOTS];
    uint32_t skipped_count;
    struct bh_vu_region skipped[BH_VU_SLOTS]; /* told, and not mapped */
    struct bh_vu_keeper keeper;
};

static inline bool bh_vu_elsewhere(const struct bh_vu_ring *ring)
{
    return ring->backend->setup.ring_ops != NULL;
}

/* Notes why a request failed, for the notice, and returns `code`. */
static inline int bh_vu_because(struct bh_vu_backend *backend, int code, const char *detail)
{
    backend->session.detail = detail;
    return code;
}

void bh_vu_notify(struct bh_vu_backend *backend, enum bh_vu_event event, const char *detail,
                  uint32_t request, uint16_t queue);
int bh_vu_watch(struct bh_vu_backend *backend, struct bh_watch *watch, int fd,
                void (*ready)(struct bh_watch *watch), void *context);
void bh_vu_unwatch(struct bh_vu_backend *backend, struct bh_watch *watch); /* and closes it */
void bh_vu_post(struct bh_vu_backend *backend, struct bh_task *task);
/* A session is over: listens again, or tells the owner. The owner may destroy the back end. */
void bh_vu_backend_rest(struct bh_vu_backend *backend);

#endif
