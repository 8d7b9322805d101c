/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole device life in one process: driver/'s block driver over its mmio transport, the mmio
 * port, the block model, a disk in memory. The bus between transport and port plays the hypervisor:
 * it holds the guest on a write that has to be repeated, as long as the disk has something to
 * finish.
 */
#ifndef LIFE_RIG_H
#define LIFE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/blk.h"
#include "bulkhead/driver_blk.h"
#include "bulkhead/mmio.h"
#include "fake_disk.h"

#define LIFE_BASE     UINT64_C(0x80000000)
#define LIFE_SIZE     0x80000u
#define LIFE_QUEUES   2u
#define LIFE_RING     32u
#define LIFE_REQUESTS 24u /* of the driver */
#define LIFE_MODEL    16u /* requests of the model: fewer, so that it starves at times */
#define LIFE_SECTORS  256u
#define LIFE_SEG_MAX  8u
#define LIFE_BLOCKS   4u

/* Everything the driver can use of the class. */
#define LIFE_CLASS                                                                                 \
    (BH_BLK_F_SEG_MAX | BH_BLK_F_BLK_SIZE | BH_BLK_F_FLUSH | BH_BLK_F_TOPOLOGY | BH_BLK_F_MQ |     \
     BH_BLK_F_CONFIG_WCE | BH_BLK_F_DISCARD | BH_BLK_F_WRITE_ZEROES | BH_BLK_F_LIFETIME |          \
     BH_BLK_F_SECURE_ERASE)

struct life {
    /* device */
    uint8_t *memory_base;
    struct bh_region region;
    struct bh_memory memory;
    struct bh_device device;
    struct bh_queue queues[LIFE_QUEUES];
    struct bh_order_slot order[LIFE_QUEUES][LIFE_RING];
    uint8_t busy[LIFE_QUEUES][LIFE_RING];
    struct bh_span_pool pool;
    struct bh_span spans[LIFE_BLOCKS * (LIFE_SEG_MAX + 2)];
    uint16_t free_blocks[LIFE_BLOCKS];
    struct bh_blk blk;
    struct bh_blk_request model_requests[LIFE_MODEL];
    struct fake_disk disk;
    struct bh_mmio mmio;
    struct bh_mmio_queue registers[LIFE_QUEUES];
    bool level;
    bool retry;
    uint32_t holds; /* writes that had to be repeated */
    /* driver */
    struct bh_mmio_transport transport;
    struct bh_dma dma;
    struct bh_driver_queue driver_queues[LIFE_QUEUES];
    struct bh_driver_slot slots[LIFE_QUEUES * LIFE_RING];
    struct bh_driver_blk driver;
    struct bh_driver_blk_request requests[LIFE_REQUESTS];
    uint64_t transport_features; /* wanted beside LIFE_CLASS */
    uint32_t done;
    int result; /* of the last request that was done */
};

/* A device without a driver. `transport_features`: what the driver will want. */
void life_init(struct life *life, uint64_t transport_features);
void life_finish(struct life *life);

/* The driver begins (again), in fresh dma memory. */
int life_probe(struct life *life);

/* A request of the driver with the test's callback. */
struct bh_driver_blk_request *life_request(struct life *life);

/* `size` bytes that the device reaches. */
void *life_take(struct life *life, uint32_t size);
struct bh_buffer life_buffer(struct life *life, const void *at, uint32_t length);

/* Publishes, and polls until `count` requests are done; the disk finishes what it holds. */
void life_run(struct life *life, uint16_t queue, uint32_t count);

/* One request from start to end. */
int life_read(struct life *life, uint16_t queue, uint64_t sector, void *to, uint32_t length);
int life_write(struct life *life, uint16_t queue, uint64_t sector, const void *from,
               uint32_t length);
int life_flush(struct life *life, uint16_t queue);
int life_segments(struct life *life, uint32_t type, uint64_t sector, uint32_t count);
int life_query(struct life *life, uint32_t type, void *to, uint32_t length);

#endif
