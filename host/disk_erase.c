/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Discard and secure erase by ioctl, for block devices that know no other way. These calls block,
 * so an operation is done in pieces, one in each turn of the loop: between them the loop serves
 * everything else. A piece is as small as keeps a flash's erase groups together. A thread would
 * not block at all, but the sandbox has none to give.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"
#include "disk.h"

#define ERASE_PIECE (UINT64_C(16) * 1024u * 1024u)

/* The notes of an erasing operation: bytes done, and the next in line. */
static uint64_t *done_of(struct bh_disk_io *io)
{
    return &io->host[0];
}

static struct bh_disk_io *next_of(const struct bh_disk_io *io)
{
    return (struct bh_disk_io *)(uintptr_t)io->host[1];
}

void bh_disk_erase_begin(struct bh_disk *disk, struct bh_disk_io *io)
{
    *done_of(io) = 0;
    io->host[1] = 0;
    if (disk->erase_last != NULL) {
        disk->erase_last->host[1] = (uint64_t)(uintptr_t)io;
    } else {
        disk->erase_first = io;
    }
    disk->erase_last = io;
    disk->poller->ops->post(disk->poller, &disk->erase_task);
}

/* The next piece of the range. A discard leaves out the parts of blocks at either end (it is
 * advice); a secure erase must be whole, and the kernel refuses it otherwise. Empty: all is done.
 */
static void next_piece(const struct bh_disk *disk, struct bh_disk_io *io, uint64_t range[2])
{
    uint64_t mask = (uint64_t)disk->resource.block_size - 1u;
    uint64_t begin = io->offset + *done_of(io);
    uint64_t end = io->offset + io->length;
    if (io->op == BH_DISK_OP_DISCARD) {
        begin = (begin + mask) & ~mask;
        end &= ~mask;
    }
    range[0] = begin;
    range[1] = end > begin ? end - begin : 0u;
    if (range[1] > ERASE_PIECE) {
        range[1] = ERASE_PIECE - (begin & (ERASE_PIECE - 1u));
    }
}

static void erase_end(struct bh_disk *disk, struct bh_disk_io *io, int result)
{
    disk->erase_first = next_of(io);
    if (disk->erase_first == NULL) {
        disk->erase_last = NULL;
    }
    bh_disk_end(disk, io, result);
    if (disk->finished != NULL) {
        disk->finished(disk->context);
    }
}

static void erase_run(struct bh_task *task)
{
    struct bh_disk *disk = task->context;
    struct bh_disk_io *io = disk->erase_first;
    uint64_t range[2];
    next_piece(disk, io, range);
    if (range[1] == 0u) {
        erase_end(disk, io, BH_OK);
    } else if (ioctl(disk->resource.fd,
                     io->op == BH_DISK_OP_DISCARD ? (unsigned long)BLKDISCARD
                                                  : (unsigned long)BLKSECDISCARD,
                     range) != 0) {
        int number = errno;
        bh_log_event(BH_LOG_WARNING, "erasing at %ju, %ju bytes: errno %d", (uintmax_t)range[0],
                     (uintmax_t)range[1], number);
        erase_end(disk, io, bh_error_from_errno(number));
    } else {
        *done_of(io) = range[0] + range[1] - io->offset;
    }
    if (disk->erase_first != NULL) {
        disk->poller->ops->post(disk->poller, task);
    }
}

void bh_disk_erase_init(struct bh_disk *disk)
{
    disk->erase_task = (struct bh_task){.run = erase_run, .context = disk};
}
