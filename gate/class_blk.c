/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of block devices (VIRTIO 1.4, 5.2). Requests may be done twice: a write that is
 * repeated lands before its driver has heard of the first, and a driver that has not heard keeps other
 * writes to the same place back (5.2.6.3 promises no order among requests in flight). What appends to
 * a zone, or has a type that is not known here, is answered with an I/O error instead.
 *
 * The state: what the driver last wrote to `writeback` (5.2.5.2), with a bit that it did.
 */
#include "bulkhead/bytes.h"
#include "bulkhead/virtio_blk.h"
#include "class_table.h"

#include <stddef.h>
#include <string.h>

#define WRITEBACK offsetof(struct bh_blk_config, writeback)
#define WRITTEN   0x100u

static bool repeats(const struct bh_chain *chain, uint16_t queue)
{
    struct bh_blk_header header;
    (void)queue;
    if (bh_chain_read(chain, 0, &header, sizeof(header)) != sizeof(header)) {
        return false;
    }
    switch (BH_LE32(header.type)) {
    case BH_BLK_T_IN:
    case BH_BLK_T_OUT:
    case BH_BLK_T_FLUSH:
    case BH_BLK_T_GET_ID:
    case BH_BLK_T_GET_LIFETIME:
    case BH_BLK_T_DISCARD:
    case BH_BLK_T_WRITE_ZEROES:
    case BH_BLK_T_SECURE_ERASE:
        return true;
    default:
        return false;
    }
}

/* The status is the last byte of the writable part (5.2.6). */
static int64_t refuse(struct bh_chain *chain, uint16_t queue)
{
    const uint8_t status = BH_BLK_S_IOERR;
    (void)queue;
    return bh_gate_chain_end(chain, &status, sizeof(status));
}

static int config_fits(const uint8_t *config, uint32_t size, const uint8_t *before,
                       uint32_t before_size, const char **why)
{
    if (size != before_size) {
        *why = "its configuration space has another size";
        return BH_INVALID;
    }
    for (uint32_t i = 0; i < size; i++) {
        if (i != WRITEBACK && config[i] != before[i]) {
            *why = i < sizeof(uint64_t) ? "its disk has another capacity"
                                        : "its configuration differs from its predecessor's";
            return BH_INVALID;
        }
    }
    return BH_OK;
}

static void config_written(uint64_t *state, uint32_t offset, const void *from, uint32_t length)
{
    const uint8_t *bytes = from;
    if (offset <= WRITEBACK && WRITEBACK - offset < length) {
        state[0] = WRITTEN | bytes[WRITEBACK - offset];
    }
}

static bool restore(const uint64_t *state, uint32_t step, struct bh_gate_restore *what)
{
    if (step != 0u || (state[0] & WRITTEN) == 0u) {
        return false;
    }
    what->config = true;
    what->offset = (uint32_t)WRITEBACK;
    what->length = 1;
    what->bytes[0] = (uint8_t)state[0];
    return true;
}

static int32_t setting(uint64_t features)
{
    return (features & BH_BLK_F_CONFIG_WCE) != 0u ? (int32_t)WRITEBACK : -1;
}

const struct bh_gate_class bh_gate_class_blk = {
    .type = BH_ID_BLK,
    .name = "blk",
    .status_bytes = 1,
    .repeats = repeats,
    .refuse = refuse,
    .config_fits = config_fits,
    .config_written = config_written,
    .restore = restore,
    .setting = setting,
};
