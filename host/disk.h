/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The insides of a disk over a file or block device: what was found out when it was opened
 * (disk_open.c), and what is under way (disk.c, disk_erase.c). Private to host/.
 */
#ifndef HOST_DISK_H
#define HOST_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/host_disk.h"
#include "bulkhead/host_loop.h"
#include "ring.h"

/* What lies behind a disk. Found out once. */
struct bh_disk_resource {
    int fd;
    int direct_fd;   /* -1: none */
    int wear_fds[2]; /* life_time and pre_eol_info of an eMMC; -1: none */
    bool is_device;  /* a block device, else a file */
    bool read_only;
    bool may_block;      /* it may make io_uring wait where that asks for no waiting */
    bool punches;        /* holes can be punched (a device: unmapped with zeroes) */
    bool discards;       /* a device that takes BLKDISCARD */
    bool erases;         /* a device that takes BLKSECDISCARD */
    uint64_t size;       /* bytes when it was opened */
    uint32_t block_size; /* logical */
    uint32_t physical_block_size;
    uint32_t optimal_io_size;
    uint32_t erase_granularity; /* bytes */
    uint32_t direct_alignment;  /* of offset, length and memory, for direct_fd */
};

/* See bh_disk_create. On error nothing is open. */
int bh_disk_resource_open(struct bh_disk_resource *resource, const struct bh_disk_setup *setup);
void bh_disk_resource_close(struct bh_disk_resource *resource);
/* Takes the lock, without waiting: BH_OK, BH_AGAIN, or an error. */
int bh_disk_resource_claim(struct bh_disk_resource *resource);

/* Opens the wear records of the eMMC that a block device belongs to: `directory` is the device's
 * directory in sysfs. fds: life_time, pre_eol_info; both are -1 when one of them is missing. */
void bh_disk_wear_open(const char *directory, int fds[2]);

/* Reads them. BH_OK, BH_IO. Values that VIRTIO reserves become 0, "undefined" (VIRTIO 1.4, 5.2.6).
 */
int bh_disk_wear_read(const int fds[2], struct bh_blk_lifetime *lifetime);

struct bh_disk {
    struct bh_disk_resource resource;
    struct bh_poller *poller;
    struct io_uring ring;
    struct bh_watch watch;      /* the ring's descriptor */
    struct bh_timer retry;      /* after the kernel refused a submission */
    struct bh_task finish_task; /* calls `finished` after a commit that completed something */
    uint32_t depth;
    uint32_t in_flight;
    bool stopping;
    bool zero_ranges;  /* the kernel's zeroing call works here, as far as known */
    bool size_fresh;   /* `size_now` was read for this batch */
    uint64_t size_now; /* of a file, bytes */
    /* Erasing by ioctl (disk_erase.c): operations, oldest first, and the task that works on them.
     */
    struct bh_disk_io *erase_first;
    struct bh_disk_io *erase_last;
    struct bh_task erase_task;
    void (*finished)(void *context);
    void (*stopped)(void *context);
    void *context;
};

/* An operation of the disk ends: it leaves the count, and the model hears of it. */
void bh_disk_end(struct bh_disk *disk, struct bh_disk_io *io, int result);

/* The ring has completions; a submission that the kernel refused is tried again; the model is called
 * once more. */
void bh_disk_ready(struct bh_watch *watch);
void bh_disk_retry(void *context);
void bh_disk_finish(struct bh_task *task);

/* Takes a discard or secure erase that only an ioctl can do. */
void bh_disk_erase_begin(struct bh_disk *disk, struct bh_disk_io *io);
void bh_disk_erase_init(struct bh_disk *disk);

#endif
