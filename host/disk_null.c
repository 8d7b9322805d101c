/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The null disk: reads are zeroes, writes vanish, everything succeeds at once. It shows what the
 * rings and the model cost, and keeps nothing.
 */
#include "bulkhead/bytes.h"
#include "bulkhead/host_disk.h"

static int null_submit(void *disk, struct bh_disk_io *io)
{
    (void)disk;
    if (io->op == BH_DISK_OP_READ) {
        for (uint32_t i = 0; i < io->span_count; i++) {
            bh_fill(io->spans[i].base, 0, io->spans[i].length);
        }
    }
    bh_blk_done(io, BH_OK);
    return BH_OK;
}

static void null_commit(void *disk)
{
    (void)disk;
}

const struct bh_disk_ops bh_disk_null_ops = {
    .submit = null_submit,
    .commit = null_commit,
};

void bh_disk_null_geometry(uint64_t capacity, struct bh_blk_geometry *geometry)
{
    geometry->capacity = capacity - capacity % BH_BLK_SECTOR;
    geometry->block_size = BH_BLK_SECTOR;
    geometry->physical_block_size = BH_BLK_SECTOR;
}
