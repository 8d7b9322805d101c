/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest driver of a block device (VIRTIO 1.4, 5.2). It starts requests and reports their ends; it
 * caches, splits, merges and copies nothing: that is for the file system or block layer above it.
 *
 * The device is believed as far as a status byte goes. Configuration is checked before it is used as
 * a limit, and a success for which the device did not report every byte is none.
 */
#include "bulkhead/bytes.h"
#include "bulkhead/driver_blk.h"

#define CONFIG_AT(field) ((uint32_t)offsetof(struct bh_blk_config, field))

/* What a request's status byte holds until the device writes it: no status that VIRTIO knows. */
#define STATUS_UNWRITTEN 0xffu

static int config32(struct bh_transport *transport, uint32_t offset, uint32_t *value)
{
    uint32_t raw = 0;
    const int result = bh_transport_config(transport, offset, &raw, sizeof(raw));

    *value = BH_LE32(raw);
    return result;
}

/* Reads a field that exists only with a feature; without it, `*value` stays. */
static int config32_if(const struct bh_driver_blk *blk, uint64_t feature, uint32_t offset,
                       uint32_t *value)
{
    return (blk->features & feature) != 0u ? config32(blk->transport, offset, value) : BH_OK;
}

int bh_driver_blk_refresh(struct bh_driver_blk *blk)
{
    uint64_t raw = 0;
    const int result = bh_transport_config(blk->transport, CONFIG_AT(capacity), &raw, sizeof(raw));

    if (result == BH_OK) {
        blk->capacity = BH_LE64(raw);
    }
    return result;
}

/* The limits of one kind of segment request; both fields follow each other. */
static int read_limit(const struct bh_driver_blk *blk, uint64_t feature, uint32_t offset,
                      struct bh_driver_blk_limit *limit)
{
    limit->sectors = 0;
    limit->segments = 0;

    int result = config32_if(blk, feature, offset, &limit->sectors);

    if (result == BH_OK) {
        result = config32_if(blk, feature, offset + 4u, &limit->segments);
    }
    if (limit->segments > BH_DRIVER_BLK_SEGMENTS_MAX) {
        limit->segments = BH_DRIVER_BLK_SEGMENTS_MAX;
    }
    return result;
}

static int read_limits(struct bh_driver_blk *blk)
{
    int result = read_limit(blk, BH_BLK_F_DISCARD, CONFIG_AT(max_discard_sectors), &blk->discard);

    if (result == BH_OK) {
        result = read_limit(blk, BH_BLK_F_WRITE_ZEROES, CONFIG_AT(max_write_zeroes_sectors),
                            &blk->write_zeroes);
    }
    if (result == BH_OK) {
        result = read_limit(blk, BH_BLK_F_SECURE_ERASE, CONFIG_AT(max_secure_erase_sectors),
                            &blk->secure_erase);
    }
    return result;
}

/* Sizes and segments of reads and writes. */
static int read_geometry(struct bh_driver_blk *blk)
{
    const uint32_t elements = BH_DRIVER_BLK_ELEMENTS_MAX - 2u;

    blk->block_size = BH_BLK_SECTOR;
    blk->size_max = 0;
    blk->seg_max = elements;

    int result = bh_driver_blk_refresh(blk);

    if (result == BH_OK) {
        result = config32_if(blk, BH_BLK_F_SIZE_MAX, CONFIG_AT(size_max), &blk->size_max);
    }
    if (result == BH_OK) {
        result = config32_if(blk, BH_BLK_F_SEG_MAX, CONFIG_AT(seg_max), &blk->seg_max);
    }
    if (result == BH_OK) {
        result = config32_if(blk, BH_BLK_F_BLK_SIZE, CONFIG_AT(blk_size), &blk->block_size);
    }
    if (result != BH_OK) {
        return result;
    }
    if (blk->block_size < BH_BLK_SECTOR || (blk->block_size & (blk->block_size - 1u)) != 0u) {
        return BH_PROTOCOL;
    }
    if (blk->seg_max > elements) {
        blk->seg_max = elements;
    }
    if (blk->seg_max == 0u) {
        blk->seg_max = 1; /* a device that takes no data at all is none: ask it */
    }
    return BH_OK;
}

/* How many of the wanted queues the device has (VIRTIO 1.4, 5.2.2). */
static int read_queue_count(struct bh_driver_blk *blk, uint16_t wanted)
{
    uint16_t raw = 0;

    blk->queue_count = 1;
    if ((blk->features & BH_BLK_F_MQ) == 0u) {
        return BH_OK;
    }

    const int result =
        bh_transport_config(blk->transport, CONFIG_AT(num_queues), &raw, sizeof(raw));
    const uint16_t count = BH_LE16(raw);

    if (result != BH_OK) {
        return result;
    }
    if (count == 0u) {
        return BH_PROTOCOL;
    }
    blk->queue_count = count < wanted ? count : wanted;
    return BH_OK;
}

static int start_queues(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup)
{
    for (uint16_t i = 0; i < blk->queue_count; i++) {
        const struct bh_driver_queue_setup queue = {
            .transport = setup->transport,
            .dma = setup->dma,
            .slots = &setup->slots[(size_t)i * setup->queue_size],
            .features = blk->features,
            .index = i,
            .size = setup->queue_size,
            .indirect_max = setup->indirect_max,
        };
        const int result = bh_driver_queue_init(&setup->queues[i], &queue);

        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static int take_requests(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup)
{
    struct bh_driver_blk_shared *shared = bh_dma_take(
        setup->dma, sizeof(struct bh_driver_blk_shared) * (size_t)setup->request_count, 64);

    if (shared == NULL) {
        return BH_NO_MEMORY;
    }
    blk->free = NULL;
    for (uint16_t i = 0; i < setup->request_count; i++) {
        setup->requests[i].shared = &shared[i];
        bh_driver_blk_give(blk, &setup->requests[i]);
    }
    return BH_OK;
}

/* Everything between agreed features and DRIVER_OK. */
static int set_up(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup)
{
    int result = read_geometry(blk);

    if (result == BH_OK) {
        result = read_limits(blk);
    }
    if (result == BH_OK) {
        result = read_queue_count(blk, setup->queue_count);
    }
    if (result == BH_OK) {
        result = take_requests(blk, setup);
    }
    if (result == BH_OK) {
        result = start_queues(blk, setup);
    }
    return result;
}

int bh_driver_blk_init(struct bh_driver_blk *blk, const struct bh_driver_blk_setup *setup)
{
    struct bh_transport *transport = setup->transport;
    const uint64_t known = BH_DRIVER_BLK_FEATURES | BH_F_TRANSPORT_MASK;
    uint32_t id = 0;

    if (setup->queue_count == 0u || setup->request_count == 0u) {
        return BH_INVALID;
    }
    blk->transport = transport;
    blk->queues = setup->queues;
    blk->queue_count = 0;
    blk->dma = setup->dma;
    blk->free = NULL;
    blk->features = 0;

    int result = transport->ops->device_id(transport, &id);

    if (result != BH_OK) {
        return result;
    }
    if (id != BH_ID_BLK) {
        return BH_UNSUPPORTED;
    }
    result = bh_transport_begin(transport, setup->features & known, 0, &blk->features);
    if (result != BH_OK) {
        return result;
    }
    result = set_up(blk, setup);
    if (result != BH_OK) {
        /* VIRTIO 1.4, 3.1.1: the driver gives up. */
        (void)transport->ops->status_set(transport, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER |
                                                        BH_STATUS_FEATURES_OK | BH_STATUS_FAILED);
        return result;
    }
    return bh_transport_ready(transport);
}

struct bh_driver_blk_request *bh_driver_blk_take(struct bh_driver_blk *blk)
{
    struct bh_driver_blk_request *request = blk->free;

    if (request != NULL) {
        blk->free = request->next;
        request->next = NULL;
    }
    return request;
}

void bh_driver_blk_give(struct bh_driver_blk *blk, struct bh_driver_blk_request *request)
{
    request->next = blk->free;
    blk->free = request;
}

/* An operation on its way: header first, status last, what is between in the order of VIRTIO. */
struct operation {
    struct bh_buffer elements[BH_DRIVER_BLK_ELEMENTS_MAX];
    uint16_t readable;
    uint16_t writable;
};

static void add_element(struct operation *operation, bool writable, uint64_t address,
                        uint32_t length)
{
    struct bh_buffer *element = &operation->elements[operation->readable + operation->writable];

    element->address = address;
    element->length = length;
    if (writable) {
        operation->writable++;
    } else {
        operation->readable++;
    }
}

static void begin(const struct bh_driver_blk *blk, struct operation *operation,
                  const struct bh_driver_blk_request *request, uint32_t type, uint64_t sector)
{
    struct bh_driver_blk_shared *shared = request->shared;

    shared->header.type = BH_LE32(type);
    shared->header.reserved = 0;
    shared->header.sector = BH_LE64(sector);
    shared->status = STATUS_UNWRITTEN;
    operation->readable = 0;
    operation->writable = 0;
    add_element(operation, false, bh_dma_address(blk->dma, &shared->header),
                sizeof(shared->header));
}

/* Adds the status byte and queues the operation. `data` bytes lie before the status. */
static int end(struct bh_driver_blk *blk, uint16_t queue, struct operation *operation,
               struct bh_driver_blk_request *request, uint32_t data)
{
    add_element(operation, true, bh_dma_address(blk->dma, &request->shared->status), 1);
    request->expected = data + 1u;
    return bh_driver_queue_add(&blk->queues[queue], operation->elements, operation->readable,
                               operation->writable, request);
}

/* Whether `count` sectors from `sector` on are on the disk. */
static bool in_bounds(const struct bh_driver_blk *blk, uint64_t sector, uint64_t count)
{
    return sector <= blk->capacity && count <= blk->capacity - sector;
}

static int transfer(struct bh_driver_blk *blk, uint16_t queue,
                    struct bh_driver_blk_request *request, uint32_t type, uint64_t sector,
                    const struct bh_buffer *data, uint16_t count)
{
    struct operation operation;
    uint64_t bytes = 0;

    if (queue >= blk->queue_count || count == 0u) {
        return BH_INVALID;
    }
    if (count > blk->seg_max) {
        return BH_LIMIT;
    }
    begin(blk, &operation, request, type, sector);
    for (uint16_t i = 0; i < count; i++) {
        if (blk->size_max != 0u && data[i].length > blk->size_max) {
            return BH_LIMIT;
        }
        bytes += data[i].length;
        add_element(&operation, type == BH_BLK_T_IN, data[i].address, data[i].length);
    }
    if (bytes % BH_BLK_SECTOR != 0u || !in_bounds(blk, sector, bytes / BH_BLK_SECTOR)) {
        return BH_INVALID;
    }
    /* More than 32 bits of it are refused by the queue. */
    return end(blk, queue, &operation, request, type == BH_BLK_T_IN ? (uint32_t)bytes : 0u);
}

int bh_driver_blk_read(struct bh_driver_blk *blk, uint16_t queue,
                       struct bh_driver_blk_request *request, uint64_t sector,
                       const struct bh_buffer *data, uint16_t count)
{
    return transfer(blk, queue, request, BH_BLK_T_IN, sector, data, count);
}

int bh_driver_blk_write(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint64_t sector,
                        const struct bh_buffer *data, uint16_t count)
{
    if ((blk->features & BH_BLK_F_RO) != 0u) {
        return BH_DENIED;
    }
    return transfer(blk, queue, request, BH_BLK_T_OUT, sector, data, count);
}

int bh_driver_blk_flush(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request)
{
    struct operation operation;

    if (queue >= blk->queue_count) {
        return BH_INVALID;
    }
    if ((blk->features & BH_BLK_F_FLUSH) == 0u) {
        return BH_UNSUPPORTED;
    }
    begin(blk, &operation, request, BH_BLK_T_FLUSH, 0);
    return end(blk, queue, &operation, request, 0);
}

/* The limits for `type`; NULL: no segment request, or not offered. */
static const struct bh_driver_blk_limit *limit_of(const struct bh_driver_blk *blk, uint32_t type)
{
    const struct bh_driver_blk_limit *limit = NULL;

    if (type == BH_BLK_T_DISCARD) {
        limit = &blk->discard;
    } else if (type == BH_BLK_T_WRITE_ZEROES) {
        limit = &blk->write_zeroes;
    } else if (type == BH_BLK_T_SECURE_ERASE) {
        limit = &blk->secure_erase;
    } else {
        /* not one of them */
    }
    return limit != NULL && limit->sectors != 0u ? limit : NULL;
}

int bh_driver_blk_segments(struct bh_driver_blk *blk, uint16_t queue,
                           struct bh_driver_blk_request *request, uint32_t type,
                           const struct bh_blk_segment *segments, uint16_t count)
{
    const struct bh_driver_blk_limit *limit = limit_of(blk, type);
    struct bh_driver_blk_shared *shared = request->shared;
    struct operation operation;

    if (queue >= blk->queue_count || count == 0u) {
        return BH_INVALID;
    }
    if (limit == NULL) {
        return BH_UNSUPPORTED;
    }
    if ((blk->features & BH_BLK_F_RO) != 0u) {
        return BH_DENIED;
    }
    if (count > limit->segments) {
        return BH_LIMIT;
    }
    for (uint16_t i = 0; i < count; i++) {
        if (segments[i].sector_count > limit->sectors) {
            return BH_LIMIT;
        }
        if (!in_bounds(blk, segments[i].sector, segments[i].sector_count)) {
            return BH_INVALID;
        }
        shared->segments[i].sector = BH_LE64(segments[i].sector);
        shared->segments[i].sector_count = BH_LE32(segments[i].sector_count);
        shared->segments[i].flags = BH_LE32(segments[i].flags);
    }
    begin(blk, &operation, request, type, 0);
    add_element(&operation, false, bh_dma_address(blk->dma, shared->segments),
                (uint32_t)(count * sizeof(struct bh_blk_segment)));
    return end(blk, queue, &operation, request, 0);
}

int bh_driver_blk_query(struct bh_driver_blk *blk, uint16_t queue,
                        struct bh_driver_blk_request *request, uint32_t type,
                        const struct bh_buffer *data)
{
    struct operation operation;
    uint32_t length = 0;

    if (type == BH_BLK_T_GET_ID) {
        length = BH_BLK_ID_LENGTH;
    } else if (type == BH_BLK_T_GET_LIFETIME && (blk->features & BH_BLK_F_LIFETIME) != 0u) {
        length = sizeof(struct bh_blk_lifetime);
    } else {
        return BH_UNSUPPORTED;
    }
    if (queue >= blk->queue_count || data->length != length) {
        return BH_INVALID;
    }
    begin(blk, &operation, request, type, 0);
    add_element(&operation, true, data->address, data->length);
    return end(blk, queue, &operation, request, length);
}

int bh_driver_blk_publish(struct bh_driver_blk *blk, uint16_t queue)
{
    return queue < blk->queue_count ? bh_driver_queue_publish(&blk->queues[queue]) : BH_INVALID;
}

/* What the device's answer means. The status byte is read once: it is the device's to change. */
static int outcome(const struct bh_driver_blk_request *request, uint32_t written)
{
    const uint8_t status = *(const volatile uint8_t *)&request->shared->status;

    switch (status) {
    case BH_BLK_S_OK:
        return written == request->expected ? BH_OK : BH_PROTOCOL;
    case BH_BLK_S_IOERR:
        return BH_IO;
    case BH_BLK_S_UNSUPP:
        return BH_UNSUPPORTED;
    default:
        return BH_PROTOCOL;
    }
}

int bh_driver_blk_poll(struct bh_driver_blk *blk, uint16_t queue)
{
    int count = 0;

    if (queue >= blk->queue_count) {
        return BH_INVALID;
    }

    struct bh_driver_queue *ring = &blk->queues[queue];

    while (count < (int)ring->size) {
        void *token = NULL;
        uint32_t written = 0;
        const int result = bh_driver_queue_collect(ring, &token, &written);

        if (result < 0) {
            return result;
        }
        if (result == 0) {
            break;
        }

        struct bh_driver_blk_request *request = token;

        count++;
        request->done(request, outcome(request, written));
    }
    return count;
}
