/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds out what an open image or block device can do. Each question is one that changes nothing,
 * whatever the answer is; what cannot be asked so is not offered.
 */
#include "disk_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "bulkhead/host_log.h"

#define BLOCK_MIN 512u
#define BLOCK_MAX 65536u
/* What every file system accepts for direct I/O, when it does not say what it needs. */
#define DIRECT_ALIGNMENT 4096u
#define PATH_ROOM        96u

/* Reads a small text file; its length, or -1. */
static ssize_t read_small(int fd, char *text, size_t room)
{
    ssize_t length = pread(fd, text, room - 1u, 0);
    if (length >= 0) {
        text[length] = '\0';
    }
    return length;
}

static int open_in(const char *directory, const char *name)
{
    char path[PATH_ROOM + 64u];
    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* ------------------------------------------------------------------------------------------------
 * wear */

void bh_disk_wear_open(const char *directory, int fds[2])
{
    fds[0] = open_in(directory, "device/life_time");
    fds[1] = open_in(directory, "device/pre_eol_info");
    if (fds[0] >= 0 && fds[1] >= 0) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
            fds[i] = -1;
        }
    }
}

static uint16_t within(unsigned long value, uint16_t most)
{
    return value <= most ? (uint16_t)value : 0u;
}

int bh_disk_wear_read(const int fds[2], struct bh_blk_lifetime *lifetime)
{
    char text[64];
    char *end;
    if (read_small(fds[0], text, sizeof(text)) <= 0) {
        return BH_IO;
    }
    lifetime->estimate_a = within(strtoul(text, &end, 16), 11);
    lifetime->estimate_b = within(strtoul(end, NULL, 16), 11);
    if (read_small(fds[1], text, sizeof(text)) <= 0) {
        return BH_IO;
    }
    lifetime->pre_eol_info = within(strtoul(text, NULL, 16), 3);
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * files */

static uint32_t block_size_within(uint64_t size)
{
    bool good = size >= BLOCK_MIN && size <= BLOCK_MAX && (size & (size - 1u)) == 0u;
    return good ? (uint32_t)size : 0u;
}

/* A hole beyond the end of a file changes nothing; whether it is allowed tells what the file system
 * can do. */
static bool punches_holes(int fd, uint64_t size)
{
    uint64_t beyond = (size + BLOCK_MAX) & ~(uint64_t)(BLOCK_MAX - 1u);
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)beyond,
                     (off_t)BLOCK_MAX) == 0;
}

/* io_uring first tries each operation without waiting. Not every file system keeps to that: a FUSE
 * server that takes its time holds up the whole process. Those that are known to are trusted; for
 * the others a kernel worker does the waiting from the start. */
static bool may_block(int fd)
{
    static const uint32_t trusted[] = {
        0xef53,     /* ext2, ext3, ext4 */
        0x58465342, /* XFS */
        0x9123683e, /* Btrfs */
        0xf2f52010, /* F2FS */
        0x01021994, /* tmpfs */
    };
    struct statfs status;
    if (fstatfs(fd, &status) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(trusted) / sizeof(trusted[0]); i++) {
        if ((uint32_t)status.f_type == trusted[i]) {
            return false;
        }
    }
    return true;
}

static int probe_file(struct bh_disk_resource *resource, const struct stat *status)
{
    uint32_t block = block_size_within((uint64_t)status->st_blksize);
    resource->size = (uint64_t)status->st_size;
    resource->may_block = may_block(resource->fd);
    resource->block_size = BLOCK_MIN;
    resource->physical_block_size = block != 0u ? block : BLOCK_MIN;
    resource->erase_granularity = resource->physical_block_size;
    resource->punches = !resource->read_only && punches_holes(resource->fd, resource->size);
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * block devices */

/* A number from the device's queue in sysfs; of a partition, from the disk's. Missing: 0. */
static uint64_t read_queue(const char *directory, const char *name)
{
    char path[PATH_ROOM];
    char text[32];
    uint64_t value = 0;
    (void)snprintf(path, sizeof(path), "%s/queue", directory);
    int fd = open_in(path, name);
    if (fd < 0) {
        (void)snprintf(path, sizeof(path), "%s/../queue", directory);
        fd = open_in(path, name);
    }
    if (fd >= 0) {
        if (read_small(fd, text, sizeof(text)) > 0) {
            value = strtoull(text, NULL, 10);
        }
        (void)close(fd);
    }
    return value;
}

/* Whether BLKSECDISCARD is really there. Since 5.19 the kernel looks for that before it looks at
 * the range: a range that no device takes (1 byte at 1) changes nothing and tells. An older kernel
 * refuses the range first, and so does not tell. */
static bool erases_securely(int fd)
{
    uint64_t range[2] = {1, 1};
    struct utsname system;
    char *end = system.release;
    if (uname(&system) != 0) {
        return false;
    }
    unsigned long major_version = strtoul(system.release, &end, 10);
    unsigned long minor_version = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    if (major_version < 5u || (major_version == 5u && minor_version < 19u)) {
        return false;
    }
    return ioctl(fd, BLKSECDISCARD, range) != 0 && errno == EINVAL;
}

static int probe_sizes(struct bh_disk_resource *resource)
{
    int logical = 0;
    unsigned int physical = 0;
    unsigned int optimal = 0;
    if (ioctl(resource->fd, BLKGETSIZE64, &resource->size) != 0 ||
        ioctl(resource->fd, BLKSSZGET, &logical) != 0 || logical <= 0) {
        return BH_IO;
    }
    (void)ioctl(resource->fd, BLKPBSZGET, &physical);
    (void)ioctl(resource->fd, BLKIOOPT, &optimal);
    resource->block_size = block_size_within((uint64_t)logical);
    if (resource->block_size == 0u) {
        return BH_IO;
    }
    resource->physical_block_size = block_size_within(physical);
    if (resource->physical_block_size < resource->block_size) {
        resource->physical_block_size = resource->block_size;
    }
    resource->optimal_io_size = optimal - optimal % BLOCK_MIN;
    return BH_OK;
}

static int probe_device(struct bh_disk_resource *resource, const struct stat *status)
{
    char directory[PATH_ROOM / 2u];
    char whole[PATH_ROOM / 2u + 4u];
    int result = probe_sizes(resource);
    if (result != BH_OK) {
        return result;
    }
    (void)snprintf(directory, sizeof(directory), "/sys/dev/block/%u:%u", major(status->st_rdev),
                   minor(status->st_rdev));
    (void)snprintf(whole, sizeof(whole), "%s/..", directory);
    uint64_t granularity = read_queue(directory, "discard_granularity");
    resource->erase_granularity = granularity >= resource->block_size && granularity <= UINT32_MAX
                                      ? (uint32_t)granularity
                                      : resource->block_size;
    if (!resource->read_only) {
        resource->discards = read_queue(directory, "discard_max_bytes") != 0u;
        resource->punches =
            resource->discards && read_queue(directory, "write_zeroes_max_bytes") != 0u;
        resource->erases = erases_securely(resource->fd);
    }
    bh_disk_wear_open(directory, resource->wear_fds);
    if (resource->wear_fds[0] < 0) {
        bh_disk_wear_open(whole, resource->wear_fds); /* a partition's disk */
    }
    return BH_OK;
}

int bh_disk_probe(struct bh_disk_resource *resource)
{
    struct stat status;
    if (fstat(resource->fd, &status) != 0) {
        return BH_IO;
    }
    resource->is_device = S_ISBLK(status.st_mode);
    return resource->is_device ? probe_device(resource, &status) : probe_file(resource, &status);
}

uint32_t bh_disk_probe_alignment(const struct bh_disk_resource *resource)
{
    struct statx status = {0};
    if (resource->is_device) {
        return resource->block_size;
    }
#ifdef STATX_DIOALIGN
    if (statx(resource->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN) != 0u) {
        return status.stx_dio_mem_align > status.stx_dio_offset_align ? status.stx_dio_mem_align
                                                                      : status.stx_dio_offset_align;
    }
#endif
    (void)status;
    return DIRECT_ALIGNMENT;
}
