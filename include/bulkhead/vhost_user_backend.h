/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user port: a device behind a Unix socket, for QEMU, Cloud Hypervisor, crosvm, or the
 * gate. One connection at a time; when the front end goes, the device is stopped, and the next
 * connection starts afresh or resumes (INFLIGHT). Host side only.
 *
 * The states of a connection, and what is accepted in each, stand in ports/vhost_user/session.c.
 * Whatever is not allowed, too long, too short, or comes with the wrong number of descriptors ends
 * the connection (the device stays, and waits for the next one); surplus descriptors are closed.
 *
 * Thread: the poller's; back ends in different threads have nothing in common. Ownership: the caller
 * owns the structures; the port owns descriptors once they are handed over.
 */
#ifndef BULKHEAD_VHOST_USER_BACKEND_H
#define BULKHEAD_VHOST_USER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/poller.h"
#include "bulkhead/vhost_user_keep.h"

/* The transport features that this port carries. NOTIFICATION_DATA cannot travel through an
 * eventfd; ACCESS_PLATFORM is settled between the front end and the guest (offered so that a front
 * end that passes it on is served). */
#define BH_VU_FEATURES                                                                             \
    (BH_F_INDIRECT_DESC | BH_F_EVENT_IDX | BH_F_VERSION_1 | BH_F_ACCESS_PLATFORM |                 \
     BH_F_RING_PACKED | BH_F_IN_ORDER | BH_F_RING_RESET)

/* Why a connection or a device stopped; for log and metrics. */
enum bh_vu_event {
    BH_VU_EVENT_CONNECTED,
    BH_VU_EVENT_DISCONNECTED, /* the front end closed; detail: NULL */
    BH_VU_EVENT_REFUSED, /* the front end broke the protocol; detail: static text; request: which
                            message */
    BH_VU_EVENT_FAULT,   /* the guest broke the protocol; queue: which */
    BH_VU_EVENT_MEMORY_LOST, /* a memory region was truncated under us */
    BH_VU_EVENT_UNSEALED,    /* a region's memfd could be truncated; detail: static text */
    BH_VU_EVENT_READY,       /* the first queue runs: the guest's driver is there. Again once it was
                                gone */
};

struct bh_vu_notice {
    enum bh_vu_event event;
    const char *detail;
    uint32_t request;
    uint16_t queue;
};

/* ------------------------------------------------------------------------------------------------
 * for the gate: memory that is looked at, rings that are served elsewhere, sessions that outlive us */

/* The owner looks at the memory that the front end shares, region by region. */
struct bh_vu_memory_ops {
    /* Before region is mapped. BH_OK: map it; 1: it is none of this device's business: it counts as
     * told, and is neither mapped nor known; BH_DENIED: the message is refused, *why (static text)
     * says why. The descriptor stays the port's: dup what is to be kept. */
    int (*admit)(void *context, const struct bh_vu_region *region, int fd, const char **why);
    /* An admitted region is gone, or its message was refused after all. Of several that are equal: the
     * oldest. (A new table is admitted before the old one goes.) */
    void (*gone)(void *context, const struct bh_vu_region *region);
    /* The table is complete and changed (after SET_MEM_TABLE, ADD_MEM_REG, REM_MEM_REG); no ring
     * runs. */
    void (*changed)(void *context);
};

/* A ring as the front end set it up. */
struct bh_vu_plan {
    uint64_t descriptor; /* guest-physical, looked up in the memory table */
    uint64_t driver;
    uint64_t device;
    uint32_t base; /* where to go on, as SET_VRING_BASE has it */
    int kick;      /* stay the port's; dup what is to be kept */
    int call;      /* -1: none */
    int error;     /* -1: none */
    uint16_t index;
    uint16_t size;
};

/* Rings that somebody else serves (the gate in `direct`): the port never looks at them, and does not
 * watch their kick descriptors. */
struct bh_vu_ring_ops {
    /* The ring has all it needs. BH_OK: it runs; an error: the ring broke. */
    int (*start)(void *context, const struct bh_vu_plan *plan);
    /* Stops it, and says where it stands. BH_AGAIN: not yet: bh_vu_backend_idle goes on. */
    int (*stop)(void *context, uint16_t index, uint32_t *base);
    /* A descriptor of a running ring was exchanged. */
    void (*exchanged)(void *context, const struct bh_vu_plan *plan);
};

/* What outlives this process. Called before a message is answered: first `keep` for what is new, then
 * `save`, then `keep` for what is not needed any more, so that what was saved last never speaks of a
 * descriptor that is not kept. A message stays in the connection until then: who dies over it leaves it
 * to its successor. At most BH_VU_KEEP_QUEUES queues. */
struct bh_vu_keep_ops {
    /* A descriptor is to be kept in `slot` (vhost_user_keep.h) instead of what is there; -1: forget
     * it. The descriptor stays the port's. */
    void (*keep)(void *context, uint32_t slot, int fd);
    /* The numbers changed; `saved` is valid during the call. */
    void (*save)(void *context, const struct bh_vu_saved *saved);
};

/* A session that another process began. It goes on from within bh_vu_backend_create: regions are admitted,
 * `changed` is called, rings start; no BH_VU_EVENT_CONNECTED. One that cannot be taken over is refused,
 * with notice and `closed`, from there, too; `closed` must not destroy the back end then. With
 * saved->connected 0 or without a connection it is over, and only its descriptors are let go of; a
 * connection is then a new one. */
struct bh_vu_adoption {
    const struct bh_vu_saved *saved;
    int *fds; /* BH_VU_KEEP_SLOTS; -1: none; become the port's */
};

struct bh_vu_setup {
    struct bh_device *device;
    struct bh_poller *poller;
    int listen_fd;     /* a listening socket, or -1 */
    int connection_fd; /* a connected socket, or -1. One of the two is given; or none: then
                          bh_vu_backend_connect brings the first front end */
    uint64_t features; /* subset of BH_VU_FEATURES to offer */
    void (*notice)(void *context, const struct bh_vu_notice *notice); /* NULL: nobody listens */
    void (*closed)(
        void *context); /* connection_fd only: the one connection is over. NULL: nothing */
    void *context;
    /* NULL: without. */
    const struct bh_vu_memory_ops *memory_ops;
    const struct bh_vu_ring_ops *ring_ops;
    const struct bh_vu_keep_ops *keep_ops;
    const struct bh_vu_adoption *adoption; /* connection_fd is in the middle of this session */
    /* Where the queues keep their journals, instead of a region of the front end's, which is then not
     * offered INFLIGHT. Mapped memory that lives longer than the back end; NULL: none. Its size is
     * bh_vu_journal_bytes. */
    void *journal;
    uint64_t protocol_features; /* of the port's, those to offer; 0: all */
};

/* Bytes of a journal for so many queues of so many entries, either format. */
uint64_t bh_vu_journal_bytes(uint16_t queue_count, uint16_t queue_size_max);

struct bh_vu_backend;

/* Makes the port and begins to watch. *backend is set before the owner is called for the first time.
 * BH_NO_MEMORY; or the poller's error. All allocation happens
 * here, except that memory regions and rings are mapped when the front end sends them. `device`
 * must have been initialised; the port binds itself to it. */
int bh_vu_backend_create(struct bh_vu_backend **backend, const struct bh_vu_setup *setup);

/* Ends connection and watches, waits for nothing: requests in flight must have been drained by the
 * caller (stop the disk first). What is kept and what the journal says stays, for a successor. NULL:
 * nothing. */
void bh_vu_backend_destroy(struct bh_vu_backend *backend);

/* A stop that said BH_AGAIN (bh_vu_ring_ops) may be done: goes on with what waits, later in this turn of
 * the poller. */
void bh_vu_backend_idle(struct bh_vu_backend *backend);

/* Takes the next connection, within `closed` or after it (without listen_fd only). It is the port's, but
 * for BH_STATE: there is one. */
int bh_vu_backend_connect(struct bh_vu_backend *backend, int connection_fd);

#endif
