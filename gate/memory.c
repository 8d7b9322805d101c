/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may have which piece of memory. A file is known by its device and inode, which its maker told the
 * parent, and by the guest addresses that it stands for; a name or a size proves nothing. Front ends send
 * new descriptors of the same files whenever a driver starts, so nothing is remembered of those.
 */
#include "memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void bh_gate_memory_init(struct bh_gate_memory *memory, const struct bh_gate_setup *setup,
                         uint32_t device)
{
    memset(memory, 0, sizeof(*memory));
    memory->setup = setup;
    memory->device = device;
}

static void drop(struct bh_gate_memory *memory, uint32_t index)
{
    if (memory->regions[index].fd >= 0) {
        (void)close(memory->regions[index].fd);
    }
    memory->count--;
    memmove(&memory->regions[index], &memory->regions[index + 1u],
            (memory->count - index) * sizeof(memory->regions[0]));
}

void bh_gate_memory_clear(struct bh_gate_memory *memory)
{
    while (memory->count != 0u) {
        drop(memory, memory->count - 1u);
    }
}

/* ---- admission ---- */

static bool inside(const struct bh_vu_region *region, const struct bh_gate_file *file)
{
    return region->guest_address >= file->address && region->size <= file->size &&
           region->guest_address - file->address <= file->size - region->size;
}

/* How much of a match: the entry that gives most to this device counts, so that a part of a file can
 * be shared that is otherwise used through the gate. */
static uint32_t worth(const struct bh_gate_file *file, uint32_t device)
{
    const uint64_t bit = UINT64_C(1) << device;
    return ((file->users & bit) != 0u ? 1u : 0u) + ((file->shared & bit) != 0u ? 2u : 0u);
}

static const struct bh_gate_file *look_up(const struct bh_gate_memory *memory,
                                          const struct bh_vu_region *region,
                                          const struct stat *status)
{
    const struct bh_gate_file *found = NULL;
    for (uint32_t i = 0; i < memory->setup->file_count; i++) {
        const struct bh_gate_file *file = &memory->setup->files[i];
        const bool same = file->inode == 0u || (file->inode == (uint64_t)status->st_ino &&
                                                file->device == (uint64_t)status->st_dev);
        if (same && inside(region, file) &&
            (found == NULL || worth(file, memory->device) > worth(found, memory->device))) {
            found = file;
        }
    }
    return found;
}

static int keep(struct bh_gate_memory *memory, const struct bh_vu_region *region, int fd,
                bool shared, const char **why)
{
    if (memory->count == BH_GATE_REGIONS_MAX) {
        *why = "more memory regions than the gate keeps";
        return BH_DENIED;
    }
    struct bh_gate_region *kept = &memory->regions[memory->count];
    kept->region = *region;
    kept->fd = shared ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (shared && kept->fd < 0) {
        *why = "the gate has no descriptor left";
        return BH_DENIED;
    }
    memory->count++;
    return BH_OK;
}

/* A descriptor gives away all of its file, whatever a table says. */
static bool whole(const struct bh_vu_region *region, const struct bh_gate_file *file,
                  const struct stat *status)
{
    const uint64_t size = (uint64_t)status->st_size;
    return (region->mmap_offset == 0u && region->size == size) ||
           (file->inode != 0u && file->size == size);
}

int bh_gate_memory_admit(struct bh_gate_memory *memory, const struct bh_vu_region *region, int fd,
                         const char **why)
{
    const struct bh_gate_device *device = &memory->setup->devices[memory->device];
    const uint64_t bit = UINT64_C(1) << memory->device;
    struct stat status;
    if (fstat(fd, &status) != 0) {
        *why = "memory without a file";
        return BH_DENIED;
    }
    const struct bh_gate_file *file = look_up(memory, region, &status);
    if (file == NULL) {
        if (device->mode == (uint32_t)BH_GATE_OPEN) {
            return keep(memory, region, fd, true, why);
        }
        *why = "memory that is no part of this guest";
        return BH_DENIED;
    }
    const int seals = file->sealed != 0u ? fcntl(fd, F_GET_SEALS) : F_SEAL_SHRINK;
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
        *why = "memory that is not sealed against shrinking";
        return BH_DENIED;
    }
    if (device->mode != (uint32_t)BH_GATE_OPEN && (file->users & bit) == 0u) {
        return 1; /* another device's, or the guest's own */
    }
    bool shared = device->mode == (uint32_t)BH_GATE_OPEN ||
                  (device->mode != (uint32_t)BH_GATE_BOUNCE && (file->shared & bit) != 0u);
    if (shared && device->mode != (uint32_t)BH_GATE_OPEN && !whole(region, file, &status)) {
        *why = "only a part of a file: the back end cannot be given that without the rest";
        if (device->mode == (uint32_t)BH_GATE_DIRECT) {
            return BH_DENIED;
        }
        shared = false; /* copied */
    }
    return keep(memory, region, fd, shared, why);
}

/* The oldest of its kind goes: a table is replaced before the old one is gone. */
void bh_gate_memory_gone(struct bh_gate_memory *memory, const struct bh_vu_region *region)
{
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct bh_vu_region *kept = &memory->regions[i].region;
        if (kept->guest_address == region->guest_address && kept->size == region->size &&
            kept->user_address == region->user_address &&
            kept->mmap_offset == region->mmap_offset) {
            drop(memory, i);
            return;
        }
    }
}

/* ---- what the back end may have ---- */

int bh_gate_memory_shares(const struct bh_gate_memory *memory, struct bh_vu_share *shares,
                          uint32_t room)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct bh_gate_region *kept = &memory->regions[i];
        if (kept->fd < 0) {
            continue;
        }
        if (count == room) {
            return BH_LIMIT;
        }
        shares[count] = (struct bh_vu_share){.guest_address = kept->region.guest_address,
                                             .size = kept->region.size,
                                             .offset = kept->region.mmap_offset,
                                             .fd = kept->fd};
        count++;
    }
    return (int)count;
}

bool bh_gate_memory_shared(const struct bh_gate_memory *memory, uint64_t address, uint64_t length)
{
    for (uint32_t i = 0; i < memory->count; i++) {
        const struct bh_vu_region *region = &memory->regions[i].region;
        if (memory->regions[i].fd >= 0 && address < region->guest_address + region->size &&
            region->guest_address < address + length) {
            return true;
        }
    }
    return false;
}

bool bh_gate_memory_exposes(const struct bh_gate_memory *memory, const struct bh_memory *mapped,
                            const uint8_t *pointer, uint64_t length)
{
    for (uint32_t i = 0; i < mapped->region_count; i++) {
        const struct bh_region *region = &mapped->regions[i];
        if (pointer >= region->base && (uint64_t)(pointer - region->base) < region->size) {
            return bh_gate_memory_shared(
                memory, region->address + (uint64_t)(pointer - region->base), length);
        }
    }
    return false;
}
