/* SPDX-License-Identifier: BSD-2-Clause */
/* The disk of the hostile back end: a file, read and written at once. */
#include "back.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bulkhead/virtio_blk.h"

#define SEGMENTS 64u

void blk_config(struct back *back)
{
    struct bh_blk_config config = {
        .capacity = back->image_size / BH_BLK_SECTOR,
        .seg_max = SEGMENTS,
        .blk_size = BH_BLK_SECTOR,
        .num_queues = (uint16_t)back->queue_count,
    };
    memcpy(back->config, &config, sizeof(config));
    back->config_size = sizeof(config);
}

/* Copies the front of the readable part; what is left of it begins at *first. */
static bool take_header(struct chain *chain, struct bh_blk_header *header, uint32_t *first)
{
    uint8_t *to = (uint8_t *)header;
    size_t want = sizeof(*header);
    *first = 0;
    while (want != 0u && *first < chain->readables) {
        struct iovec *segment = &chain->readable[*first];
        size_t part = segment->iov_len < want ? segment->iov_len : want;
        memcpy(to, segment->iov_base, part);
        to += part;
        want -= part;
        segment->iov_base = (uint8_t *)segment->iov_base + part;
        segment->iov_len -= part;
        *first += segment->iov_len == 0u ? 1u : 0u;
    }
    return want == 0u;
}

/* Cuts the last byte off the writable part. */
static uint8_t *take_status(struct chain *chain)
{
    if (chain->writables == 0u) {
        return NULL;
    }
    struct iovec *last = &chain->writable[chain->writables - 1u];
    last->iov_len--;
    uint8_t *status = (uint8_t *)last->iov_base + last->iov_len;
    chain->writables -= last->iov_len == 0u ? 1u : 0u;
    return status;
}

static bool transfer(const struct back *back, const struct chain *chain, bool write, uint32_t first,
                     uint64_t sector)
{
    const struct iovec *segments = write ? &chain->readable[first] : chain->writable;
    const uint32_t count = write ? chain->readables - first : chain->writables;
    uint64_t at = sector * BH_BLK_SECTOR;
    for (uint32_t i = 0; i < count; i++) {
        size_t length = segments[i].iov_len;
        if (at > back->image_size || length > back->image_size - at) {
            return false;
        }
        ssize_t moved = write ? pwrite(back->image, segments[i].iov_base, length, (off_t)at)
                              : pread(back->image, segments[i].iov_base, length, (off_t)at);
        if (moved != (ssize_t)length) {
            return false;
        }
        at += length;
    }
    return true;
}

void blk_serve(struct back *back, struct chain *chain)
{
    struct bh_blk_header header = {0};
    uint32_t first = 0;
    const uint32_t all = chain->writable_bytes;
    bool whole = take_header(chain, &header, &first);
    uint8_t *status = take_status(chain);
    uint8_t result = BH_BLK_S_UNSUPP;
    chain->written = status != NULL ? 1u : 0u;
    if (status == NULL || !whole) {
        return;
    }
    if (header.type == BH_BLK_T_IN || header.type == BH_BLK_T_OUT) {
        bool write = header.type == BH_BLK_T_OUT;
        const bool moved = transfer(back, chain, write, first, header.sector);
        result = (uint8_t)(moved ? BH_BLK_S_OK : BH_BLK_S_IOERR);
        chain->written = write ? 1u : all;
    } else if (header.type == BH_BLK_T_FLUSH) {
        result = BH_BLK_S_OK;
    } else if (header.type == BH_BLK_T_GET_ID && chain->writables != 0u) {
        memset(chain->writable[0].iov_base, 'h', chain->writable[0].iov_len);
        chain->written = all;
        result = BH_BLK_S_OK;
    }
    *status = result;
}
