/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device (VIRTIO 1.4, 5.4). Not here: where bytes come from, and time.
 *
 * The life of a buffer:
 *   waiting    in its ring.
 *              the driver may draw, the source has a byte, and the allowance has one left -> taken
 *   taken      popped and looked at.
 *              device-readable, or without a byte to write -> the device needs a reset;
 *              else it is filled, as far as bytes are there -> answered
 *   answered   pushed.
 */
#include "bulkhead/rng.h"
#include "bulkhead/bytes.h"

static uint64_t rng_features(const struct bh_device *device)
{
    (void)device;
    return 0;
}

static void rng_features_set(struct bh_device *device)
{
    (void)device;
}

static uint32_t rng_config_size(const struct bh_device *device)
{
    (void)device;
    return 0;
}

/* There is nothing: bh_device never asks for any of it. */
static void rng_config_read(const struct bh_device *device, uint32_t offset, void *to,
                            uint32_t length)
{
    (void)device;
    (void)offset;
    bh_fill(to, 0, length);
}

/* Asks the source for what is missing to a full answer. Whether a buffer can be served. */
static bool have_bytes(struct bh_rng *rng)
{
    if (!bh_filter_allows(&rng->filter, BH_ENTROPY_READ) ||
        (rng->allowance != 0u && rng->left == 0u)) {
        return false;
    }
    if (rng->count < BH_RNG_BYTES_MAX) {
        uint32_t room = BH_RNG_BYTES_MAX - rng->count;
        int got = rng->ops->read(rng->source, &rng->bytes[rng->count], room);

        /* Of a source that claims more than it was asked for nothing is believed. */
        if (got > 0 && (uint32_t)got <= room) {
            rng->count += (uint32_t)got;
        }
    }
    return rng->count != 0u;
}

static uint32_t lesser(uint64_t number, uint32_t most)
{
    return number < most ? (uint32_t)number : most;
}

/* Bytes go out from the end of what is there, and leave zeroes behind: none can go out twice. */
static void answer(struct bh_rng *rng, struct bh_queue *queue)
{
    struct bh_chain *chain = &rng->chain;
    bool limited = rng->allowance != 0u;
    uint64_t most = limited ? rng->left : rng->count;
    uint32_t wanted = lesser(chain->writable_bytes, lesser(most, rng->count));

    rng->count -= wanted;
    (void)bh_chain_write(chain, 0, &rng->bytes[rng->count], wanted);
    bh_fill(&rng->bytes[rng->count], 0, wanted);
    bh_device_push(rng->device, queue, chain, wanted);
    if (limited) {
        bool first = rng->left == rng->allowance;

        rng->left -= wanted;
        if (first) {
            rng->ops->drawn(rng->source);
        }
    }
}

/* Takes a buffer. 1: it was served; 0: there is none, or it broke the protocol; BH_AGAIN: memory is
 * used up. */
static int serve_one(struct bh_rng *rng, struct bh_queue *queue)
{
    struct bh_chain *chain = &rng->chain;
    int got = bh_queue_pop(queue, chain);

    if (got <= 0) {
        return got == BH_AGAIN ? BH_AGAIN : 0;
    }
    if (chain->readable_count != 0u || chain->writable_bytes == 0u) {
        bh_device_fail(rng->device, queue, chain, BH_PROTOCOL,
                       chain->readable_count != 0u ? "entropy buffer that is device-readable"
                                                   : "entropy buffer without a byte");
        bh_device_push(rng->device, queue, chain, 0);
        return 0;
    }
    answer(rng, queue);
    return 1;
}

static enum bh_served rng_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_rng *rng = device->class_data;

    for (uint32_t i = 0; i < queue->size; i++) {
        if (!have_bytes(rng)) {
            return BH_SERVED_ENOUGH;
        }

        int got = serve_one(rng, queue);

        if (got <= 0) {
            return got == BH_AGAIN ? BH_SERVED_MORE : BH_SERVED;
        }
    }
    return BH_SERVED_MORE;
}

/* The allowance stays as it is: a driver must not get more by resetting its device. */
static void rng_reset(struct bh_device *device)
{
    (void)device;
}

bool bh_rng_wake(struct bh_rng *rng)
{
    bool more = bh_device_kick(rng->device, 0);

    bh_device_flush(rng->device);
    return more;
}

bool bh_rng_refill(struct bh_rng *rng)
{
    rng->left = rng->allowance;
    return bh_rng_wake(rng);
}

int bh_rng_init(struct bh_rng *rng, struct bh_device *device, const struct bh_entropy_ops *ops,
                void *source, uint64_t allowance, const struct bh_filter *filter)
{
    if (allowance != 0u && ops->drawn == NULL) {
        return BH_INVALID;
    }
    bh_fill(rng, 0, sizeof(*rng));
    rng->device = device;
    rng->ops = ops;
    rng->source = source;
    rng->allowance = allowance;
    rng->left = allowance;
    if (filter != NULL) {
        rng->filter = *filter;
    }
    return BH_OK;
}

const struct bh_device_class bh_rng_class = {
    .name = "rng",
    .id = BH_ID_RNG,
    .features = rng_features,
    .features_fit = NULL,
    .features_set = rng_features_set,
    .config_size = rng_config_size,
    .config_read = rng_config_read,
    .config_write = NULL,
    .serve = rng_serve,
    .started = NULL,
    .commit = NULL,
    .reset = rng_reset,
};
