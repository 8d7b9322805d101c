/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver's queue over the fake device, for tests of queues: what most of them begin with.
 */
#ifndef DRIVER_RIG_H
#define DRIVER_RIG_H

#include "fake_device.h"

#define SIZE_MAX_HERE FAKE_QUEUE_SIZE
#define DATA          (FAKE_ADDRESS + 0x80000u)

struct fixture {
    struct fake_device device;
    struct bh_driver_queue queue;
    struct bh_driver_slot slots[SIZE_MAX_HERE];
};

/* Starts queue 0 with these features. */
void start(struct fixture *f, uint64_t features, uint16_t size, uint16_t indirect_max);
void stop(struct fixture *f);

/* Adds one buffer of `readable` + `writable` elements of 16 bytes each. */
int add(struct fixture *f, uint16_t readable, uint16_t writable, void *token);

/* Adds, shows, uses and collects a batch; returns whether the device was notified. */
bool lap(struct fixture *f, unsigned batch);

#endif
