/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks for the block model (bulkhead/blk.h) on a Linux host: a raw image file or a block device
 * through io_uring, and a null disk that holds nothing. Guest memory goes to the kernel as it is:
 * nothing is copied.
 *
 * What a disk promises: an operation is finished only with the host's own result for it (a short
 * transfer is continued, a commit is fdatasync or a synchronous write); no operation makes the
 * resource larger; a file system that has no hole or zeroing call is helped out with written
 * zeroes. What it does not: to know the model's limits; the model checks every request first.
 *
 * Thread: the poller's. Ownership: create allocates, destroy frees; nothing is allocated between.
 */
#ifndef BULKHEAD_HOST_DISK_H
#define BULKHEAD_HOST_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/blk.h"
#include "bulkhead/poller.h"

struct bh_disk_setup {
    struct bh_poller *poller;
    const char *path;     /* of the image or block device; /dev/fd/N is a descriptor that was handed
                         over, and is the disk's from now on */
    bool read_only;       /* opened for reading: no handle exists by which it can be written */
    bool direct;          /* without the host's page cache, where alignment allows it */
    uint32_t depth;       /* operations in flight, 1..4096 */
    uint32_t patience_ms; /* how long to wait for the lock of a predecessor that is going away;
                             SIGTERM and SIGINT, where they are blocked, end the wait */
    bool standby;         /* not locked yet: bh_disk_claim comes before the first operation */
    /* Operations finished outside of submit and commit: flush the device. */
    void (*finished)(void *context);
    /* bh_disk_stop was called, and nothing is in flight any more. */
    void (*stopped)(void *context);
    void *context;
};

struct bh_disk;

/* Opens, locks and probes; says in the log what is wrong. The lock (a write lock, or a read lock of
 * a read-only disk, on the open file description) is waited for up to a second: that of a
 * predecessor lasts until its last operation has ended. BH_GONE: there is no such file; BH_DENIED:
 * no right; BH_STATE: locked by another; BH_INVALID: neither a file nor a block device, empty, or
 * smaller than a sector; BH_UNSUPPORTED: io_uring or O_DIRECT is not there; BH_NO_MEMORY,
 * BH_LIMIT, BH_IO. */
int bh_disk_create(struct bh_disk **disk, const struct bh_disk_setup *setup);

/* Locks a disk that was opened with `standby`, and looks at its size again: it may have changed. Does
 * not wait. BH_OK; BH_AGAIN: another process has it, or its last operation has not ended; BH_INVALID: it
 * is smaller than a sector by now; BH_IO, BH_DENIED, BH_UNSUPPORTED: the file system has no locks. */
int bh_disk_claim(struct bh_disk *disk);

/* Nothing may be in flight. NULL: nothing. */
void bh_disk_destroy(struct bh_disk *disk);

/* Fills in what the resource is and can do: capacity, sizes, discard, write zeroes, secure erase,
 * lifetime, read_only. The other members are the caller's. */
void bh_disk_geometry(const struct bh_disk *disk, struct bh_blk_geometry *geometry);

/* Looks how large the resource is now, in whole sectors. BH_IO. */
int bh_disk_capacity(const struct bh_disk *disk, uint64_t *capacity);

/* Takes no more operations (submit: BH_AGAIN); `stopped` is called when the last one has ended,
 * perhaps at once. */
void bh_disk_stop(struct bh_disk *disk);

/* The ioctl requests that the disk makes, for the sandbox. Returns their number. */
uint32_t bh_disk_requests(const struct bh_disk *disk, const unsigned long **requests);

/* The disk's side of the contract; the `disk` argument of each is a struct bh_disk. */
extern const struct bh_disk_ops bh_disk_file_ops;

/* A disk that reads as zeroes and forgets what is written: for benchmarks and instruction counts.
 * The `disk` argument of each is not used. */
extern const struct bh_disk_ops bh_disk_null_ops;
void bh_disk_null_geometry(uint64_t capacity, struct bh_blk_geometry *geometry);

#endif
