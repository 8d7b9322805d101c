/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest driver of an entropy device (VIRTIO 1.4, 5.4). The device can rewrite a buffer at any
 * time, so bytes are copied out once, and only the copy is anybody's.
 */
#include "bulkhead/bytes.h"
#include "bulkhead/driver_rng.h"

#define BUFFER_ALIGNMENT 64u /* a cache line: a device that is not coherent harms no neighbour */

static int take_buffers(struct bh_driver_rng *rng, const struct bh_driver_rng_setup *setup)
{
    for (uint16_t i = 0; i < setup->buffer_count; i++) {
        struct bh_driver_rng_buffer *buffer = &setup->buffers[i];

        buffer->data = bh_dma_take(setup->dma, setup->bytes, BUFFER_ALIGNMENT);
        if (buffer->data == NULL) {
            return BH_NO_MEMORY;
        }
        buffer->address = bh_dma_address(setup->dma, buffer->data);
        buffer->next = rng->free;
        rng->free = buffer;
    }
    return BH_OK;
}

static int set_up(struct bh_driver_rng *rng, const struct bh_driver_rng_setup *setup)
{
    const struct bh_driver_queue_setup queue = {
        .transport = setup->transport,
        .dma = setup->dma,
        .slots = setup->slots,
        .features = rng->features,
        .index = 0,
        .size = setup->queue_size,
        .indirect_max = 0,
    };
    const int result = bh_driver_queue_init(&rng->queue, &queue);

    return result == BH_OK ? take_buffers(rng, setup) : result;
}

int bh_driver_rng_init(struct bh_driver_rng *rng, const struct bh_driver_rng_setup *setup)
{
    struct bh_transport *transport = setup->transport;
    uint32_t id = 0;

    if (setup->buffer_count == 0u || setup->bytes == 0u) {
        return BH_INVALID;
    }
    bh_fill(rng, 0, sizeof(*rng));
    rng->transport = transport;
    rng->bytes = setup->bytes;

    int result = transport->ops->device_id(transport, &id);

    if (result != BH_OK) {
        return result;
    }
    if (id != BH_ID_RNG) {
        return BH_UNSUPPORTED;
    }
    result =
        bh_transport_begin(transport, setup->features & BH_F_TRANSPORT_MASK, 0, &rng->features);
    if (result != BH_OK) {
        return result;
    }
    result = set_up(rng, setup);
    if (result != BH_OK) {
        /* VIRTIO 1.4, 3.1.1: the driver gives up. */
        (void)transport->ops->status_set(transport, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER |
                                                        BH_STATUS_FEATURES_OK | BH_STATUS_FAILED);
        return result;
    }
    return bh_transport_ready(transport);
}

int bh_driver_rng_ask(struct bh_driver_rng *rng, uint32_t length)
{
    struct bh_driver_rng_buffer *buffer = rng->free;

    if (length > rng->bytes) {
        return BH_INVALID;
    }
    if (buffer == NULL) {
        return BH_AGAIN;
    }

    const struct bh_buffer element = {.address = buffer->address, .length = length};
    const int result = bh_driver_queue_add(&rng->queue, &element, 0, 1, buffer);

    if (result == BH_OK) {
        rng->free = buffer->next;
    }
    return result;
}

int bh_driver_rng_publish(struct bh_driver_rng *rng)
{
    return bh_driver_queue_publish(&rng->queue);
}

int bh_driver_rng_collect(struct bh_driver_rng *rng, uint8_t *to, uint32_t room)
{
    void *token = NULL;
    uint32_t written = 0;
    /* A used length beyond the buffer is a violation already. */
    const int result = bh_driver_queue_collect(&rng->queue, &token, &written);

    if (result <= 0) {
        return result;
    }

    struct bh_driver_rng_buffer *buffer = token;
    const uint32_t count = written < room ? written : room;

    bh_copy_once(to, buffer->data, count);
    bh_fill(buffer->data, 0, written);
    buffer->next = rng->free;
    rng->free = buffer;
    if (written == 0u) {
        rng->queue.faulty = true;
        return BH_PROTOCOL;
    }
    return (int)count;
}
