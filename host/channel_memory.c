/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a host program shares with a back end: a memfd that is sealed against every change of
 * size, so that neither side can pull it away from under the other. It is not a guest's memory.
 */
#include "bulkhead/host_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

/* Sizes, seals and maps. */
static int prepare(struct bh_host_memory *memory)
{
    if (ftruncate(memory->fd, (off_t)memory->size) != 0) {
        return bh_error_from_errno(errno);
    }
    if (fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return bh_error_from_errno(errno);
    }
    void *base =
        mmap(NULL, (size_t)memory->size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (base == MAP_FAILED) {
        return bh_error_from_errno(errno);
    }
    memory->base = base;
    return BH_OK;
}

int bh_host_memory_create(struct bh_host_memory *memory, const char *name, uint64_t size)
{
    memory->base = NULL;
    memory->size = size;
    memory->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory->fd < 0) {
        return bh_error_from_errno(errno);
    }
    int result = prepare(memory);
    if (result != BH_OK) {
        (void)close(memory->fd);
        memory->fd = -1;
    }
    return result;
}

void bh_host_memory_destroy(struct bh_host_memory *memory)
{
    if (memory->base != NULL) {
        (void)munmap(memory->base, (size_t)memory->size);
        memory->base = NULL;
    }
    if (memory->fd >= 0) {
        (void)close(memory->fd);
        memory->fd = -1;
    }
}

void bh_host_memory_dma(const struct bh_host_memory *memory, uint64_t address, struct bh_dma *dma)
{
    dma->base = memory->base;
    dma->address = address;
    dma->size = (size_t)memory->size;
    dma->used = 0;
}
