/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device's requests as the driver wrote them (VIRTIO 1.4, 5.2.6): header, limits, rights
 * and ranges are checked here, and what passes is offered to the disk (blk_disk.c). Every byte is
 * read from the chain once.
 */
#include "blk_internal.h"

/* ---- read and write ---- */

bool bh_blk_segments_fit(const struct bh_span *spans, uint32_t count, uint32_t size_max)
{
    for (uint32_t i = 0; i < count; i++) {
        if (spans[i].length > size_max) {
            return false;
        }
    }
    return true;
}

/* Header and status are cut off: what is left at either end may be empty. */
static struct bh_blk_payload trim(struct bh_span *spans, uint32_t count, uint32_t bytes)
{
    while (count != 0u && spans->length == 0u) {
        spans++;
        count--;
    }
    while (count != 0u && spans[count - 1u].length == 0u) {
        count--;
    }
    return (struct bh_blk_payload){.spans = spans, .count = count, .bytes = bytes};
}

static void read_or_write(struct bh_blk *blk, struct bh_blk_request *request, uint32_t type,
                          uint64_t sector)
{
    const struct bh_chain *chain = &request->chain;
    bool read = type == BH_BLK_T_IN;
    struct bh_blk_payload out = trim(chain->spans, chain->readable_count, chain->readable_bytes);
    struct bh_blk_payload in =
        trim(&chain->spans[chain->readable_count], chain->writable_count, chain->writable_bytes);

    /* Data belongs on one side only. */
    if ((read ? out.bytes : in.bytes) != 0u) {
        bh_blk_refuse(request, BH_BLK_S_IOERR);
        return;
    }
    request->written = chain->written_max;
    bh_blk_transfer(blk, request, read ? BH_DISK_OP_READ : BH_DISK_OP_WRITE, sector,
                    read ? in : out);
}

/* ---- requests without an address ---- */

static void flush(const struct bh_blk *blk, struct bh_blk_request *request)
{
    /* A driver should send no data along; if it does, it is left alone. */
    request->written = request->chain.writable_bytes == 0u ? 1u : 0u;
    if ((blk->operations & BH_DISK_FLUSH) == 0u) {
        bh_blk_refuse(request, BH_BLK_S_UNSUPP);
        return;
    }
    if ((bh_blk_allowed(blk) & BH_DISK_FLUSH) == 0u) {
        bh_blk_deny(request, BH_DISK_FLUSH);
        return;
    }
    if (blk->flush_failed) {
        bh_blk_refuse(request, BH_BLK_S_IOERR);
        return;
    }
    request->io = (struct bh_disk_io){.op = BH_DISK_OP_FLUSH};
    bh_blk_offer(request);
}

/* Answers with exactly `length` bytes of data: the driver must send just that much room (VIRTIO
 * 1.4, 5.2.6.1). */
static void answer_data(struct bh_blk_request *request, const void *data, uint32_t length)
{
    struct bh_chain *chain = &request->chain;

    if (chain->readable_bytes != 0u || chain->writable_bytes != length) {
        bh_blk_refuse(request, BH_BLK_S_IOERR);
        return;
    }
    (void)bh_chain_write(chain, 0, data, length);
    bh_blk_answer(request, BH_BLK_S_OK, length + 1u);
}

/* VIRTIO 1.4, 5.2.6.2: values that the standard reserves are never sent. */
static void lifetime(const struct bh_blk *blk, struct bh_blk_request *request)
{
    struct bh_blk_lifetime wear = {0, 0, 0};

    if ((blk->device->features & BH_BLK_F_LIFETIME) == 0u) {
        bh_blk_refuse(request, BH_BLK_S_UNSUPP);
        return;
    }
    if ((bh_blk_allowed(blk) & BH_DISK_LIFETIME) == 0u) {
        bh_blk_deny(request, BH_DISK_LIFETIME);
        return;
    }

    int error = blk->disk_ops->lifetime(blk->disk, &wear);

    if (error != BH_OK) {
        bh_blk_answer_result(request, error);
        return;
    }
    wear.pre_eol_info = wear.pre_eol_info <= 3u ? BH_LE16(wear.pre_eol_info) : 0u;
    wear.estimate_a = wear.estimate_a <= 11u ? BH_LE16(wear.estimate_a) : 0u;
    wear.estimate_b = wear.estimate_b <= 11u ? BH_LE16(wear.estimate_b) : 0u;
    answer_data(request, &wear, (uint32_t)sizeof(wear));
}

/* ---- discard, write zeroes, secure erase ---- */

struct range_kind {
    uint64_t feature;
    enum bh_disk_op op;
    uint32_t operation; /* BH_DISK_*: what must be allowed */
    uint32_t max;       /* bytes a segment */
    uint32_t flags;     /* that are known */
};

static struct range_kind range_kind(const struct bh_blk *blk, uint32_t type)
{
    const struct bh_blk_geometry *geometry = &blk->geometry;

    if (type == BH_BLK_T_DISCARD) {
        return (struct range_kind){BH_BLK_F_DISCARD, BH_DISK_OP_DISCARD, BH_DISK_DISCARD,
                                   geometry->discard_max, 0};
    }
    if (type == BH_BLK_T_WRITE_ZEROES) {
        return (struct range_kind){BH_BLK_F_WRITE_ZEROES, BH_DISK_OP_WRITE_ZEROES, BH_DISK_WRITE,
                                   geometry->write_zeroes_max, BH_BLK_SEGMENT_UNMAP};
    }
    return (struct range_kind){BH_BLK_F_SECURE_ERASE, BH_DISK_OP_SECURE_ERASE, BH_DISK_ERASE,
                               geometry->secure_erase_max, 0};
}

/* Copies the segments out of the chain, once, and checks them all before the first is acted on.
 * `count` is within the array. Unknown flags come first: they must be answered with UNSUPP whatever
 * else is wrong (VIRTIO 1.4, 5.2.6.2). An empty range is no error. */
static uint8_t segments_read(const struct bh_blk *blk, struct bh_blk_request *request,
                             const struct range_kind *kind, uint32_t count)
{
    uint8_t status = BH_BLK_S_OK;

    (void)bh_chain_read(&request->chain, 0, request->segments,
                        count * (uint32_t)sizeof(request->segments[0]));
    for (uint32_t i = 0; i < count; i++) {
        struct bh_blk_segment *segment = &request->segments[i];

        segment->sector = BH_LE64(segment->sector);
        segment->sector_count = BH_LE32(segment->sector_count);
        segment->flags = BH_LE32(segment->flags);
        if ((segment->flags & ~kind->flags) != 0u) {
            return BH_BLK_S_UNSUPP;
        }

        uint64_t length = (uint64_t)segment->sector_count * BH_BLK_SECTOR;

        if (length > kind->max || !bh_blk_in_capacity(blk, segment->sector, length)) {
            status = BH_BLK_S_IOERR;
        }
    }
    return status;
}

static void range(struct bh_blk *blk, struct bh_blk_request *request, uint32_t type)
{
    const struct bh_chain *chain = &request->chain;
    const uint32_t size = (uint32_t)sizeof(request->segments[0]);
    struct range_kind kind = range_kind(blk, type);
    uint32_t count = chain->readable_bytes / size;
    uint8_t status;

    if ((blk->operations & BH_DISK_WRITE) == 0u) {
        status = BH_BLK_S_IOERR;
    } else if ((blk->device->features & kind.feature) == 0u) {
        status = BH_BLK_S_UNSUPP;
    } else if (chain->writable_bytes != 0u || chain->readable_bytes % size != 0u || count == 0u ||
               count > BH_BLK_SEGMENTS_MAX) {
        status = BH_BLK_S_IOERR;
    } else {
        status = segments_read(blk, request, &kind, count);
    }
    if (status != BH_BLK_S_OK) {
        bh_blk_refuse(request, status);
        return;
    }
    if ((bh_blk_allowed(blk) & kind.operation) == 0u) {
        bh_blk_deny(request, kind.operation);
        return;
    }
    request->written = 1;
    request->io = (struct bh_disk_io){.op = kind.op};
    request->segment = 0;
    request->segment_count = (uint16_t)count;
    bh_blk_segments_offer(request);
}

/* ---- any request ---- */

void bh_blk_dispatch(struct bh_blk *blk, struct bh_blk_request *request, uint32_t type,
                     uint64_t sector)
{
    switch (type) {
    case BH_BLK_T_IN:
    case BH_BLK_T_OUT:
        read_or_write(blk, request, type, sector);
        break;
    case BH_BLK_T_FLUSH:
        flush(blk, request);
        break;
    case BH_BLK_T_GET_ID:
        answer_data(request, blk->geometry.id, BH_BLK_ID_LENGTH);
        break;
    case BH_BLK_T_GET_LIFETIME:
        lifetime(blk, request);
        break;
    case BH_BLK_T_DISCARD:
    case BH_BLK_T_WRITE_ZEROES:
    case BH_BLK_T_SECURE_ERASE:
        range(blk, request, type);
        break;
    default:
        bh_blk_refuse(request, BH_BLK_S_UNSUPP);
        break;
    }
}

void bh_blk_begin_any(struct bh_blk *blk, struct bh_blk_request *request)
{
    struct bh_chain *chain = &request->chain;
    struct bh_blk_header header;

    if (bh_chain_cut_status(chain, &request->status) != BH_OK) {
        bh_blk_fail(request, "block request without a status byte");
        return;
    }
    if (bh_chain_read(chain, 0, &header, (uint32_t)sizeof(header)) < sizeof(header)) {
        bh_blk_fail(request, "block request without a whole header");
        return;
    }
    (void)bh_chain_cut_header(chain, (uint32_t)sizeof(header));
    bh_blk_dispatch(blk, request, BH_LE32(header.type), BH_LE64(header.sector));
}
