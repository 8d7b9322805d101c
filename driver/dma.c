/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that driver and device share, handed out from the front. Not an allocator: nothing is given
 * back, because drivers take what they need when they start.
 */
#include "bulkhead/bytes.h"
#include "bulkhead/transport.h"

void *bh_dma_take(struct bh_dma *dma, size_t size, size_t alignment)
{
    uint64_t device = dma->address + dma->used;
    size_t pad = (size_t)((alignment - (device & (alignment - 1u))) & (alignment - 1u));

    if (pad > dma->size - dma->used || size > dma->size - dma->used - pad) {
        return NULL;
    }

    uint8_t *taken = dma->base + dma->used + pad;

    if (((uintptr_t)taken & (alignment - 1u)) != 0u) {
        return NULL;
    }
    dma->used += pad + size;
    bh_fill(taken, 0, size);
    return taken;
}

bool bh_dma_holds(const struct bh_dma *dma, const void *pointer, size_t length)
{
    uintptr_t offset = (uintptr_t)pointer - (uintptr_t)dma->base;

    return offset <= dma->size && length <= dma->size - offset;
}
