/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk over a raw file or a block device: its beginning, its end, and what the model is told about
 * it. The operations: disk_io.c.
 */
#include "disk.h"

#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define DISK_DEPTH_MAX   4096u
#define DISK_DISCARD_MAX UINT32_C(0x40000000) /* bytes a segment */
#define DISK_ZEROES_MAX  UINT32_C(0x08000000)

static int disk_start(struct bh_disk *disk)
{
    int result = bh_ring_open(&disk->ring, disk->depth);
    if (result != BH_OK) {
        return result;
    }
    result = bh_timer_init(&disk->retry, disk->poller, bh_disk_retry, disk);
    if (result == BH_OK) {
        disk->watch =
            (struct bh_watch){.fd = disk->ring.ring_fd, .ready = bh_disk_ready, .context = disk};
        result = disk->poller->ops->add(disk->poller, &disk->watch);
        if (result == BH_OK) {
            return BH_OK;
        }
        bh_timer_finish(&disk->retry);
    }
    io_uring_queue_exit(&disk->ring);
    return result;
}

int bh_disk_create(struct bh_disk **disk, const struct bh_disk_setup *setup)
{
    if (setup->depth == 0u || setup->depth > DISK_DEPTH_MAX) {
        return BH_INVALID;
    }
    struct bh_disk *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->poller = setup->poller;
    made->depth = setup->depth;
    made->zero_ranges = true;
    made->finished = setup->finished;
    made->stopped = setup->stopped;
    made->context = setup->context;
    made->finish_task = (struct bh_task){.run = bh_disk_finish, .context = made};
    bh_disk_erase_init(made);
    int result = bh_disk_resource_open(&made->resource, setup);
    if (result == BH_OK) {
        made->size_now = made->resource.size;
        result = disk_start(made);
        if (result != BH_OK) {
            bh_disk_resource_close(&made->resource);
        }
    }
    if (result != BH_OK) {
        free(made);
        return result;
    }
    *disk = made;
    return BH_OK;
}

int bh_disk_claim(struct bh_disk *disk)
{
    uint64_t capacity = 0;
    int result = bh_disk_resource_claim(&disk->resource);
    if (result == BH_OK) {
        result = bh_disk_capacity(disk, &capacity);
    }
    if (result != BH_OK) {
        return result;
    }
    if (capacity < BH_BLK_SECTOR) {
        return BH_INVALID;
    }
    disk->resource.size = capacity;
    disk->size_now = capacity;
    return BH_OK;
}

void bh_disk_destroy(struct bh_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    disk->poller->ops->cancel(disk->poller, &disk->finish_task);
    disk->poller->ops->cancel(disk->poller, &disk->erase_task);
    disk->poller->ops->remove(disk->poller, &disk->watch);
    bh_timer_finish(&disk->retry);
    io_uring_queue_exit(&disk->ring);
    bh_disk_resource_close(&disk->resource);
    free(disk);
}

void bh_disk_stop(struct bh_disk *disk)
{
    disk->stopping = true;
    if (disk->in_flight == 0u && disk->stopped != NULL) {
        disk->stopped(disk->context);
    }
}

int bh_disk_capacity(const struct bh_disk *disk, uint64_t *capacity)
{
    struct stat status;
    uint64_t size = 0;
    if (disk->resource.is_device) {
        if (ioctl(disk->resource.fd, BLKGETSIZE64, &size) != 0) {
            return BH_IO;
        }
    } else {
        if (fstat(disk->resource.fd, &status) != 0) {
            return BH_IO;
        }
        size = (uint64_t)status.st_size;
    }
    *capacity = size - size % BH_BLK_SECTOR;
    return BH_OK;
}

void bh_disk_geometry(const struct bh_disk *disk, struct bh_blk_geometry *geometry)
{
    const struct bh_disk_resource *resource = &disk->resource;
    bool changes = !resource->read_only;
    geometry->capacity = resource->size - resource->size % BH_BLK_SECTOR;
    geometry->read_only = resource->read_only;
    geometry->block_size = resource->block_size;
    geometry->physical_block_size = resource->physical_block_size;
    geometry->optimal_io_size = resource->optimal_io_size;
    geometry->discard_max =
        changes && (resource->punches || resource->discards) ? DISK_DISCARD_MAX : 0u;
    geometry->discard_alignment = resource->erase_granularity;
    geometry->write_zeroes_max = changes ? DISK_ZEROES_MAX : 0u;
    geometry->write_zeroes_unmap = changes && resource->punches;
    geometry->secure_erase_max = changes && resource->erases ? DISK_DISCARD_MAX : 0u;
    geometry->secure_erase_alignment = resource->erase_granularity;
    geometry->lifetime = resource->wear_fds[0] >= 0;
}

uint32_t bh_disk_requests(const struct bh_disk *disk, const unsigned long **requests)
{
    static const unsigned long of_devices[] = {BLKGETSIZE64, BLKDISCARD, BLKSECDISCARD};
    *requests = of_devices;
    return disk->resource.is_device ? sizeof(of_devices) / sizeof(of_devices[0]) : 0u;
}
