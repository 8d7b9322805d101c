/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest driver of an entropy device (VIRTIO 1.4, 5.4): asks for bytes, and hands out what came.
 * It waits for nothing and mixes nothing: what it hands out belongs into the guest's own generator,
 * because a device can give bytes that somebody knows.
 *
 * Thread: one thread (or one lock) for a device. Ownership: all memory is the caller's; buffers
 * come from a bh_dma.
 */
#ifndef BULKHEAD_DRIVER_RNG_H
#define BULKHEAD_DRIVER_RNG_H

#include <stdint.h>

#include "bulkhead/driver_queue.h"

/* A buffer that the device writes to. The driver keeps those that are free in a list. */
struct bh_driver_rng_buffer {
    uint8_t *data; /* shared with the device */
    uint64_t address;
    struct bh_driver_rng_buffer *next;
};

struct bh_driver_rng {
    struct bh_transport *transport;
    struct bh_driver_queue queue;
    struct bh_driver_rng_buffer *free;
    uint32_t bytes; /* of a buffer */
    uint64_t features;
};

struct bh_driver_rng_setup {
    struct bh_transport *transport;
    struct bh_dma *dma;
    struct bh_driver_slot *slots;         /* queue_size entries */
    struct bh_driver_rng_buffer *buffers; /* buffer_count entries */
    uint16_t buffer_count;                /* asked for at a time, at most */
    uint16_t queue_size;
    uint32_t bytes;    /* of a buffer, not 0 */
    uint64_t features; /* ring features that are wanted, of those that driver/ implements */
};

/* Brings the device to life. BH_UNSUPPORTED: no entropy device, or not a modern one; BH_INVALID:
 * no buffer, or an empty one; BH_NO_MEMORY: the dma memory is too small; or what the transport
 * said. */
int bh_driver_rng_init(struct bh_driver_rng *rng, const struct bh_driver_rng_setup *setup);

/* Offers a buffer of `length` bytes (1..bytes) to the device; shown by bh_driver_rng_publish.
 * BH_AGAIN: no buffer is free, or the ring is full; BH_INVALID: the length. */
int bh_driver_rng_ask(struct bh_driver_rng *rng, uint32_t length);
int bh_driver_rng_publish(struct bh_driver_rng *rng);

/* Takes what the device put into one buffer: copies at most `room` bytes (rng->bytes is enough
 * for any) to `to`, wipes the buffer, and returns how many. 0: no buffer is used; BH_PROTOCOL:
 * the device gave none, or more than the buffer holds: no more is taken from it until a reset. */
int bh_driver_rng_collect(struct bh_driver_rng *rng, uint8_t *to, uint32_t room);

#endif
