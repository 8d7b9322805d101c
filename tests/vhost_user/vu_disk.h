/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk behind a vhost-user-blk back end, for host programs: connection, memory, front end and blk
 * driver in one, with operations that wait for their end and operations that run several at a time.
 * What to do with the disk is vu_blk.c's and vu_verify.c's.
 */
#ifndef VU_DISK_H
#define VU_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/driver_blk.h"
#include "bulkhead/host_channel.h"
#include "bulkhead/vhost_user_frontend.h"

/* Where the back end sees the memory, two files of it: rings (with headers and status bytes), and
 * data. A gate may pass the second on. */
#define VU_DISK_RINGS UINT64_C(0x100000000)
#define VU_DISK_DATA  UINT64_C(0x200000000)

struct vu_disk_options {
    const char *socket;
    bool packed;
    bool event_idx;
    bool in_order;
    bool indirect;
    bool inflight; /* ask for an in-flight region */
    bool poll;     /* spin instead of waiting for events */
    bool reconnect;
    uint16_t queues;
    uint16_t queue_size;
    uint16_t requests;   /* in flight at most, all queues together */
    uint32_t data_bytes; /* of each request */
    int timeout_ms;
};

struct vu_disk;

/* One request with its own data buffer. */
struct vu_request {
    struct bh_driver_blk_request *request;
    struct vu_disk *disk;
    uint8_t *data;
    uint64_t address; /* of data, as the device sees it */
    uint16_t queue;
    bool busy;
    int result;
    void (*done)(struct vu_request *request); /* NULL: nobody is told */
    /* For whoever uses it. */
    uint64_t sector;
    uint32_t bytes;
    uint32_t tag;
    int kind;
};

struct vu_disk {
    struct vu_disk_options options;
    struct bh_host_channel channel;
    struct bh_host_memory rings;
    struct bh_host_memory data;
    struct bh_vu_share shares[2];
    struct bh_dma dma; /* of the rings' file */
    struct bh_dma data_dma;
    struct bh_vu_frontend frontend;
    struct bh_driver_blk blk;
    struct bh_driver_queue *queues;
    struct bh_driver_slot *slots;
    struct bh_driver_blk_request *driver_requests;
    struct vu_request *requests;
    uint32_t in_flight;
    uint64_t finished; /* operations that ended */
    uint32_t resumes;
};

/* Everything up to a living device. Says on stderr what went wrong; BH_OK or a code. BH_UNSUPPORTED: the
 * back end lacks what was asked for. */
int vu_disk_open(struct vu_disk *disk, const struct vu_disk_options *options);
void vu_disk_close(struct vu_disk *disk);

/* Starts what `request` describes: read or write of `bytes` at `sector`, cut into `pieces` elements;
 * or, with type FLUSH and the segment types, that. Shown to the device by vu_disk_kick. */
int vu_disk_start(struct vu_disk *disk, struct vu_request *request, uint32_t type, uint16_t pieces);
int vu_disk_kick(struct vu_disk *disk);

/* Lets requests finish: waits (or spins) until at least one did, or none is in flight. BH_TIMEOUT: none
 * does. */
int vu_disk_wait(struct vu_disk *disk);

/* Starts, waits, and returns the operation's result. */
int vu_disk_run(struct vu_disk *disk, struct vu_request *request, uint32_t type);

uint64_t vu_now_ns(void);

#endif
