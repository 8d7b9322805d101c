/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device (VIRTIO 1.4, 5.4): the contract between the model and the source behind it.
 * One queue, no features, no configuration space. The model is no generator: it hands on what the
 * source gives, each byte once, and never anything else.
 *
 * A buffer waits in its ring until the source has a byte for it, and is taken and answered within
 * one call. So nothing is ever in flight while the source is asked: a source that is slow, hangs or
 * fails holds up neither a reset nor the end of a queue. A driver that may not draw now (filter.h)
 * waits in the same way: there is no request of this device that could be refused.
 *
 * Thread: one thread for a device and its source. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_RNG_H
#define BULKHEAD_RNG_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/filter.h"
#include "bulkhead/operations.h"

/* Most bytes for one buffer; a larger buffer is answered with these. A driver that needs more asks
 * again (VIRTIO 1.4, 5.4.6.1). The model holds at most as many that nobody has asked for yet. */
#define BH_RNG_BYTES_MAX 256u

struct bh_entropy_ops {
    /* Copies at most `length` (not 0) bytes, which it gave to nobody before, to `to`; never
     * waits. Returns how many, or BH_AGAIN: none are there now, and bh_rng_wake will be called,
     * later, when there are. A source that fails gives BH_AGAIN too: VIRTIO has no error for the
     * driver, so recording it is the source's. */
    int (*read)(void *source, uint8_t *to, uint32_t length);
    /* The first bytes of an allowance were used: bh_rng_refill is to be called one period from now.
     * NULL: the device has no limit. */
    void (*drawn)(void *source);
};

struct bh_rng {
    struct bh_device *device;
    const struct bh_entropy_ops *ops;
    void *source;
    struct bh_filter filter;
    uint64_t allowance;    /* bytes for the driver in a period; 0: no limit */
    uint64_t left;         /* of the allowance */
    uint32_t count;        /* bytes in `bytes`: the source's, not handed out yet */
    struct bh_chain chain; /* the one that is being served */
    uint8_t bytes[BH_RNG_BYTES_MAX];
};

extern const struct bh_device_class bh_rng_class;

/* Makes the model of `device`, which has one queue; before bh_device_init, which takes
 * setup->class = &bh_rng_class and setup->class_data = rng. `allowance`: bytes for the driver in
 * each period, 0: as many as it asks for. `filter`: whether it may (BH_ENTROPY_READ) now; copied;
 * NULL: it always may. BH_INVALID: an allowance, and nobody to tell when it is used. */
int bh_rng_init(struct bh_rng *rng, struct bh_device *device, const struct bh_entropy_ops *ops,
                void *source, uint64_t allowance, const struct bh_filter *filter);

/* The source has bytes again, or the filter's page changed: serves the buffers that wait. Not from
 * inside the source's `read` or `drawn`. True: call again after looking at everything else. */
bool bh_rng_wake(struct bh_rng *rng);

/* A period ended: the driver has its whole allowance again. As bh_rng_wake. What was not used of
 * the last one is gone, so no time is ever worth more than two allowances for each period in it. */
bool bh_rng_refill(struct bh_rng *rng);

#endif
