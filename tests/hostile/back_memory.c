/* SPDX-License-Identifier: BSD-2-Clause */
/* What the hostile back end was given to map: each file as a whole, whatever the table says of it. */
#include "back.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void release(struct region *region)
{
    if (region->base != NULL) {
        (void)munmap(region->base, (size_t)region->file_size);
    }
    (void)close(region->fd);
}

void memory_clear(struct back *back)
{
    for (uint32_t i = 0; i < back->region_count; i++) {
        release(&back->regions[i]);
    }
    back->region_count = 0;
}

void memory_add(struct back *back, const struct bh_vu_region *table, int fd)
{
    struct region *region = &back->regions[back->region_count];
    struct stat info;
    if (back->region_count == REGIONS_MAX || fstat(fd, &info) != 0) {
        (void)close(fd);
        return;
    }
    *region = (struct region){.table = *table, .fd = fd, .file_size = (uint64_t)info.st_size};
    void *base = mmap(NULL, (size_t)region->file_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    region->base = base == MAP_FAILED ? NULL : base;
    back->region_count++;
    say(back, "region %#llx %#llx file %#llx offset %#llx",
        (unsigned long long)table->guest_address, (unsigned long long)table->size,
        (unsigned long long)region->file_size, (unsigned long long)table->mmap_offset);
}

void memory_remove(struct back *back, const struct bh_vu_region *table)
{
    for (uint32_t i = 0; i < back->region_count; i++) {
        if (back->regions[i].table.guest_address == table->guest_address) {
            release(&back->regions[i]);
            back->region_count--;
            back->regions[i] = back->regions[back->region_count];
            return;
        }
    }
}

static void *inside(const struct region *region, uint64_t begin, uint64_t address, uint64_t length)
{
    uint64_t size = region->table.size;
    if (address < begin || length > size || address - begin > size - length ||
        region->base == NULL || region->table.mmap_offset > region->file_size ||
        size > region->file_size - region->table.mmap_offset) {
        return NULL;
    }
    return region->base + region->table.mmap_offset + (address - begin);
}

void *memory_user(const struct back *back, uint64_t address, uint64_t length)
{
    void *found = NULL;
    for (uint32_t i = 0; i < back->region_count && found == NULL; i++) {
        found = inside(&back->regions[i], back->regions[i].table.user_address, address, length);
    }
    return found;
}

void *memory_guest(const struct back *back, uint64_t address, uint64_t length)
{
    void *found = NULL;
    for (uint32_t i = 0; i < back->region_count && found == NULL; i++) {
        found = inside(&back->regions[i], back->regions[i].table.guest_address, address, length);
    }
    return found;
}
