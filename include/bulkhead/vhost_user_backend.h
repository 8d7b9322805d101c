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
 * Thread: the poller's. Ownership: the caller owns the structures; the port owns descriptors once
 * they are handed over.
 */
#ifndef BULKHEAD_VHOST_USER_BACKEND_H
#define BULKHEAD_VHOST_USER_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/poller.h"

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

struct bh_vu_setup {
    struct bh_device *device;
    struct bh_poller *poller;
    int listen_fd;     /* a listening socket, or -1 */
    int connection_fd; /* a connected socket, or -1; exactly one of the two is given */
    uint64_t features; /* subset of BH_VU_FEATURES to offer */
    void (*notice)(void *context, const struct bh_vu_notice *notice); /* NULL: nobody listens */
    void (*closed)(
        void *context); /* connection_fd only: the one connection is over. NULL: nothing */
    void *context;
};

struct bh_vu_backend;

/* Makes the port and begins to watch. BH_NO_MEMORY; or the poller's error. All allocation happens
 * here, except that memory regions and rings are mapped when the front end sends them. `device`
 * must have been initialised; the port binds itself to it. */
int bh_vu_backend_create(struct bh_vu_backend **backend, const struct bh_vu_setup *setup);

/* Ends connection and watches, waits for nothing: requests in flight must have been drained by the
 * caller (stop the disk first). NULL: nothing. */
void bh_vu_backend_destroy(struct bh_vu_backend *backend);

#endif
