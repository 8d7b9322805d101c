/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a gate is started with: memfds whose size nobody can change any more. The setup
 * cannot be changed at all; the limits can be written through the one mapping that is made here,
 * before the seal (FUTURE_WRITE), and by nobody else; ledger and arenas are the gate's to write.
 * The parent has the ledger mapped for reading, and the arenas not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "parent.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define SEALS_SIZE        (F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL)
#define PAGE              4096u
#define JOURNAL_ALIGNMENT 64u /* of a queue's part */

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1u) / to * to;
}

static int memory_file(const char *name, uint64_t size, int *file)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    *file = fd;
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        return bh_error_from_errno(errno);
    }
    return BH_OK;
}

static int write_all(int fd, const void *bytes, size_t size, uint64_t offset)
{
    const uint8_t *from = bytes;
    while (size != 0u) {
        ssize_t done = pwrite(fd, from, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return done < 0 ? bh_error_from_errno(errno) : BH_IO;
        }
        from += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return BH_OK;
}

static int seal(int fd, int seals)
{
    if (fcntl(fd, F_ADD_SEALS, seals) != 0) {
        return errno == EINVAL ? BH_UNSUPPORTED : bh_error_from_errno(errno);
    }
    return BH_OK;
}

static int map(struct bh_gate_piece *piece, int protection)
{
    void *base = mmap(NULL, piece->size, protection, MAP_SHARED, piece->fd, 0);
    if (base == MAP_FAILED) {
        return bh_error_from_errno(errno);
    }
    piece->base = base;
    return BH_OK;
}

static int make_setup(struct bh_gate_parent *parent)
{
    struct bh_gate_piece *piece = &parent->setup_piece;
    piece->size = sizeof(parent->setup);
    int result = memory_file("gate-setup", piece->size, &piece->fd);
    if (result == BH_OK) {
        result = write_all(piece->fd, &parent->setup, sizeof(parent->setup), 0);
    }
    return result == BH_OK ? seal(piece->fd, SEALS_SIZE | F_SEAL_WRITE) : result;
}

static int make_limits(struct bh_gate_parent *parent)
{
    struct bh_gate_piece *piece = &parent->limits;
    piece->size = round_up(sizeof(struct bh_gate_limits_page), PAGE);
    int result = memory_file("gate-limits", piece->size, &piece->fd);
    if (result == BH_OK) {
        result = map(piece, PROT_READ | PROT_WRITE);
    }
    return result == BH_OK ? seal(piece->fd, SEALS_SIZE | F_SEAL_FUTURE_WRITE) : result;
}

/* Either format of vhost-user's "Inflight I/O tracking", whichever is longer. The same number as
 * bh_vu_journal_bytes, without the port, which has no place in a supervisor; a gate that gets too
 * little refuses to start. */
static uint64_t journal_bytes(uint16_t queue_count, uint16_t queue_size)
{
    uint64_t split = sizeof(struct bh_vu_inflight_split) +
                     (uint64_t)queue_size * sizeof(struct bh_vu_inflight_split_desc);
    uint64_t packed = sizeof(struct bh_vu_inflight_packed) +
                      (uint64_t)queue_size * sizeof(struct bh_vu_inflight_packed_desc);
    return round_up(split > packed ? split : packed, JOURNAL_ALIGNMENT) * queue_count;
}

/* Where the journals lie is written here, once: a gate that finds other numbers in its ledger knows
 * that a predecessor has spoilt it. */
static int make_ledger(struct bh_gate_parent *parent)
{
    struct bh_gate_piece *piece = &parent->ledger;
    uint64_t offsets[BH_GATE_DEVICES_MAX] = {0};
    uint64_t sizes[BH_GATE_DEVICES_MAX] = {0};
    const uint32_t version = BH_GATE_VERSION;
    uint64_t end = round_up(sizeof(struct bh_gate_ledger), PAGE);
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        const struct bh_gate_device *device = &parent->setup.devices[i];
        offsets[i] = end;
        sizes[i] = journal_bytes(device->queue_count, device->queue_size_max);
        end = round_up(end + sizes[i], PAGE);
    }
    piece->size = end;
    int result = memory_file("gate-ledger", piece->size, &piece->fd);
    if (result == BH_OK) {
        result = write_all(piece->fd, &version, sizeof(version),
                           offsetof(struct bh_gate_ledger, version));
    }
    if (result == BH_OK) {
        result = write_all(piece->fd, offsets, sizeof(offsets),
                           offsetof(struct bh_gate_ledger, journal_offset));
    }
    if (result == BH_OK) {
        result = write_all(piece->fd, sizes, sizeof(sizes),
                           offsetof(struct bh_gate_ledger, journal_size));
    }
    if (result == BH_OK) {
        result = seal(piece->fd, SEALS_SIZE);
    }
    return result == BH_OK ? map(piece, PROT_READ) : result;
}

static int make_arenas(struct bh_gate_parent *parent)
{
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        struct bh_gate_piece *piece = &parent->arenas[i];
        piece->size = parent->setup.devices[i].arena_size;
        if (piece->size == 0u) {
            continue;
        }
        int result = memory_file("gate-arena", piece->size, &piece->fd);
        if (result == BH_OK) {
            result = seal(piece->fd, SEALS_SIZE);
        }
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

int bh_gate_parent_memory_make(struct bh_gate_parent *parent)
{
    int result = make_setup(parent);
    if (result == BH_OK) {
        result = make_limits(parent);
    }
    if (result == BH_OK) {
        result = make_ledger(parent);
    }
    return result == BH_OK ? make_arenas(parent) : result;
}

static void drop(struct bh_gate_piece *piece)
{
    if (piece->base != NULL) {
        (void)munmap(piece->base, piece->size);
    }
    bh_gate_parent_close(&piece->fd);
    *piece = (struct bh_gate_piece){.fd = -1};
}

void bh_gate_parent_memory_drop(struct bh_gate_parent *parent)
{
    drop(&parent->setup_piece);
    drop(&parent->limits);
    drop(&parent->ledger);
    for (uint32_t i = 0; i < BH_GATE_DEVICES_MAX; i++) {
        drop(&parent->arenas[i]);
    }
}
