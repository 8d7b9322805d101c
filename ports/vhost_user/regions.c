/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a front end shares: checked, mapped (shared, never executable), shown to core/ as
 * regions, and let go of. An owner who wants to (bh_vu_memory_ops) sees each region before it is
 * mapped, and may have it skipped: it then counts as told, and nobody can reach it. Whoever calls the
 * functions that take regions away has drained the device before. Not here: what happens when the file
 * is truncated later (sigbus.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* What is aligned for the guest must be aligned here: rings are used in place. */
#define ALIGNMENT 16u

/* ---- pieces of files ---- */

/* The unit in which a file can be mapped: its huge page, where it has such. */
static uint64_t unit_of(const struct stat *status)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t unit = (uint64_t)status->st_blksize;
    bool sane = unit > page && unit <= (UINT64_C(1) << 30) && (unit & (unit - 1u)) == 0u;

    return sane ? unit : page;
}

static void *map(int fd, uint64_t start, uint64_t length, bool *writable)
{
    void *base =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);

    *writable = base != MAP_FAILED;
    if (base == MAP_FAILED && (errno == EACCES || errno == EPERM)) {
        base = mmap(NULL, length, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
    }
    return base;
}

/* A file that can shrink can take memory away from under us. Told once for each session. */
static void look_at_seals(struct bh_vu_backend *backend, int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    if ((seals < 0 || (seals & F_SEAL_SHRINK) == 0) && !backend->session.told_unsealed) {
        backend->session.told_unsealed = true;
        bh_vu_notify(backend, BH_VU_EVENT_UNSEALED, "memory file without F_SEAL_SHRINK",
                     backend->session.message.header.request, 0);
    }
}

int bh_vu_piece_map(struct bh_vu_backend *backend, int fd, uint64_t offset, uint64_t size,
                    struct bh_vu_piece *piece)
{
    struct stat status;

    if (size == 0u || size > (uint64_t)INT64_MAX || offset > (uint64_t)INT64_MAX - size) {
        return bh_vu_because(backend, BH_INVALID, "size and offset of a file range overflow");
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return bh_vu_because(backend, BH_INVALID, "descriptor is no memory file");
    }
    if (status.st_size < 0 || offset + size > (uint64_t)status.st_size) {
        return bh_vu_because(backend, BH_INVALID, "range ends behind the file");
    }

    uint64_t unit = unit_of(&status);
    uint64_t start = offset & ~(unit - 1u);
    uint64_t length = (offset + size - start + unit - 1u) & ~(unit - 1u);
    void *base = map(fd, start, length, &piece->writable);

    if (base == MAP_FAILED) {
        return bh_vu_because(backend, BH_NO_MEMORY, "memory file cannot be mapped");
    }
    piece->map.base = base;
    piece->map.length = length;
    piece->data = piece->map.base + (offset - start);

    int error = bh_vu_guard_add(base, length, &backend->memory_lost, backend->lost.fd);

    if (error != BH_OK) {
        bh_vu_map_drop(&piece->map);
        return bh_vu_because(backend, error, "too many mappings in one process");
    }
    look_at_seals(backend, fd);
    return BH_OK;
}

void bh_vu_map_drop(struct bh_vu_map *map)
{
    if (map->base != NULL) {
        bh_vu_guard_remove(map->base);
        (void)munmap(map->base, map->length);
        map->base = NULL;
    }
}

/* ---- checks ---- */

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
    return a < b + b_size && b < a + a_size;
}

/* One region by itself, and beside `others`. */
static int check(struct bh_vu_backend *backend, const struct bh_vu_region *region,
                 const struct bh_vu_region *others, uint32_t count)
{
    if (region->size == 0u || region->size > UINT64_MAX - region->guest_address ||
        region->size > UINT64_MAX - region->user_address) {
        return bh_vu_because(backend, BH_INVALID, "region is empty or wraps around");
    }
    if ((region->guest_address - region->mmap_offset) % ALIGNMENT != 0u) {
        return bh_vu_because(backend, BH_INVALID, "region is not aligned");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (overlap(region->guest_address, region->size, others[i].guest_address, others[i].size)) {
            return bh_vu_because(backend, BH_INVALID, "regions overlap for the guest");
        }
        if (overlap(region->user_address, region->size, others[i].user_address, others[i].size)) {
            return bh_vu_because(backend, BH_INVALID, "regions overlap for the front end");
        }
    }
    return BH_OK;
}

/* ---- the owner's word ---- */

#define SKIP 1

/* BH_OK: to be mapped; SKIP: not. */
static int admit(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd)
{
    const struct bh_vu_setup *setup = &backend->setup;
    const char *why = "memory that is not allowed";

    if (setup->memory_ops == NULL) {
        return BH_OK;
    }

    int result = setup->memory_ops->admit(setup->context, region, fd, &why);

    return result == BH_OK || result == SKIP ? result : bh_vu_because(backend, result, why);
}

static void gone(struct bh_vu_backend *backend, const struct bh_vu_region *region)
{
    const struct bh_vu_setup *setup = &backend->setup;

    if (setup->memory_ops != NULL) {
        setup->memory_ops->gone(setup->context, region);
    }
}

/* A region that was checked: asks, and maps it unless it is to be skipped (piece->data is NULL). */
static int take(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd,
                struct bh_vu_piece *piece)
{
    int result = admit(backend, region, fd);

    piece->map.base = NULL;
    piece->data = NULL;
    if (result != BH_OK) {
        return result == SKIP ? BH_OK : result;
    }
    result = bh_vu_piece_map(backend, fd, region->mmap_offset, region->size, piece);
    if (result != BH_OK) {
        gone(backend, region);
    }
    return result;
}

/* ---- the table ---- */

static void publish(struct bh_vu_backend *backend)
{
    backend->device->memory->regions = backend->view;
    backend->device->memory->region_count = backend->region_count;
    backend->device->memory->last = 0;
}

static void append(struct bh_vu_backend *backend, const struct bh_vu_region *region,
                   const struct bh_vu_piece *piece, uint32_t slot)
{
    uint32_t i = backend->region_count;

    if (piece->data == NULL) {
        backend->skipped[backend->skipped_count] = *region;
        backend->skipped_count++;
        return;
    }
    backend->keeper.slots[i] = slot;
    backend->wire[i] = *region;
    backend->maps[i] = piece->map;
    backend->view[i].address = region->guest_address;
    backend->view[i].size = region->size;
    backend->view[i].base = piece->data;
    backend->view[i].access = piece->writable ? BH_ACCESS_READ | BH_ACCESS_WRITE : BH_ACCESS_READ;
    backend->region_count++;
    publish(backend);
}

void bh_vu_regions_clear(struct bh_vu_backend *backend)
{
    uint32_t count = backend->region_count;

    backend->region_count = 0;
    backend->skipped_count = 0;
    publish(backend);
    for (uint32_t i = 0; i < count; i++) {
        bh_vu_map_drop(&backend->maps[i]);
        bh_vu_keep_drop(backend, backend->keeper.slots[i]);
        gone(backend, &backend->wire[i]);
    }
}

uint32_t bh_vu_regions_slots(const struct bh_vu_backend *backend)
{
    /* A new table is kept before the old one is let go of. */
    return backend->setup.keep_ops != NULL ? BH_VU_KEEP_REGIONS - BH_VU_REGIONS_MAX : BH_VU_SLOTS;
}

/* Where a region stands in a list; `count`: nowhere. */
static uint32_t find(const struct bh_vu_region *list, uint32_t count,
                     const struct bh_vu_region *region)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i].guest_address == region->guest_address &&
            list[i].user_address == region->user_address && list[i].size == region->size) {
            return i;
        }
    }
    return count;
}

/* Beside all others, in the table or skipped. */
static int check_all(struct bh_vu_backend *backend, const struct bh_vu_region *region)
{
    int error = check(backend, region, backend->wire, backend->region_count);

    return error == BH_OK ? check(backend, region, backend->skipped, backend->skipped_count)
                          : error;
}

/* A predecessor added it, and could not say so any more. */
static bool added_before(const struct bh_vu_backend *backend, const struct bh_vu_region *region)
{
    return backend->session.again &&
           (find(backend->wire, backend->region_count, region) != backend->region_count ||
            find(backend->skipped, backend->skipped_count, region) != backend->skipped_count);
}

/* Has the file of a region kept, if it is one of ours. */
static uint32_t keep(struct bh_vu_backend *backend, const struct bh_vu_piece *piece, int fd)
{
    return piece->data != NULL ? bh_vu_keep_region(backend, fd) : BH_VU_KEEP_NONE;
}

int bh_vu_regions_add(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd)
{
    struct bh_vu_piece piece;

    if (added_before(backend, region)) {
        return BH_OK;
    }
    if (backend->region_count + backend->skipped_count >= bh_vu_regions_slots(backend)) {
        return bh_vu_because(backend, BH_LIMIT, "all memory slots are in use");
    }

    int error = check_all(backend, region);

    if (error == BH_OK) {
        error = take(backend, region, fd, &piece);
    }
    if (error == BH_OK) {
        append(backend, region, &piece, keep(backend, &piece, fd));
    }
    return error;
}

int bh_vu_regions_adopt(struct bh_vu_backend *backend, const struct bh_vu_region *region, int fd,
                        uint32_t slot)
{
    struct bh_vu_piece piece = {.data = NULL};
    int error = check_all(backend, region);

    if (slot != BH_VU_KEEP_NONE) {
        backend->keeper.files[slot] = BH_VU_FILE_DROPPED; /* unless it is mapped */
        if (error == BH_OK) {
            error = take(backend, region, fd, &piece);
        }
        if (error == BH_OK && piece.data != NULL) {
            backend->keeper.files[slot] = BH_VU_FILE_KEPT;
        }
    }
    if (error == BH_OK) {
        append(backend, region, &piece, slot);
    }
    return error;
}

int bh_vu_regions_remove(struct bh_vu_backend *backend, const struct bh_vu_region *region)
{
    uint32_t i = find(backend->wire, backend->region_count, region);

    if (i != backend->region_count) {
        const struct bh_vu_region was = backend->wire[i];

        bh_vu_map_drop(&backend->maps[i]);
        bh_vu_keep_drop(backend, backend->keeper.slots[i]);
        backend->region_count--;
        backend->keeper.slots[i] = backend->keeper.slots[backend->region_count];
        backend->wire[i] = backend->wire[backend->region_count];
        backend->maps[i] = backend->maps[backend->region_count];
        backend->view[i] = backend->view[backend->region_count];
        publish(backend);
        gone(backend, &was);
        return BH_OK;
    }
    i = find(backend->skipped, backend->skipped_count, region);
    if (i == backend->skipped_count) {
        /* A predecessor may have removed it, and could not say so any more. */
        return backend->session.again ? BH_OK
                                      : bh_vu_because(backend, BH_INVALID, "no such region");
    }
    backend->skipped_count--;
    backend->skipped[i] = backend->skipped[backend->skipped_count];
    return BH_OK;
}

int bh_vu_regions_replace(struct bh_vu_backend *backend, struct bh_vu_incoming *message)
{
    const struct bh_vu_memory_table *table = &message->payload.table;
    struct bh_vu_piece pieces[BH_VU_REGIONS_MAX];
    uint32_t count = 0;
    int error = BH_OK;

    while (error == BH_OK && count < message->fd_count) {
        error = check(backend, &table->regions[count], table->regions, count);
        if (error == BH_OK) {
            error = take(backend, &table->regions[count], message->fds[count], &pieces[count]);
        }
        if (error == BH_OK) {
            count++;
        }
    }
    if (error != BH_OK) {
        /* All or nothing: the old table stays. */
        while (count > 0u) {
            count--;
            if (pieces[count].data != NULL) {
                bh_vu_map_drop(&pieces[count].map);
                gone(backend, &table->regions[count]);
            }
        }
        return error;
    }
    bh_vu_regions_clear(backend);
    for (uint32_t i = 0; i < count; i++) {
        append(backend, &table->regions[i], &pieces[i], keep(backend, &pieces[i], message->fds[i]));
    }
    return BH_OK;
}

int bh_vu_regions_guest(const struct bh_vu_backend *backend, uint64_t user, uint64_t length,
                        uint64_t *guest)
{
    for (uint32_t i = 0; i < backend->region_count; i++) {
        const struct bh_vu_region *region = &backend->wire[i];
        uint64_t offset = user - region->user_address;

        /* An address below the region wraps around to a huge offset. */
        if (offset < region->size && length <= region->size - offset) {
            *guest = region->guest_address + offset;
            return BH_OK;
        }
    }
    return BH_DENIED;
}
