/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes: copy, fill, little-endian fields, and the few memory orderings that a virtqueue needs.
 * Everything that VIRTIO 1.x puts into shared memory is little-endian (VIRTIO 1.4, 1.5 "Structure
 * Specifications").
 *
 * The load and store functions touch shared memory exactly once (a volatile or atomic access), so
 * that a peer that rewrites it at the same time is seen in one state only: no double fetch.
 */
#ifndef BULKHEAD_BYTES_H
#define BULKHEAD_BYTES_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BH_LE16(x) ((uint16_t)(x))
#define BH_LE32(x) ((uint32_t)(x))
#define BH_LE64(x) ((uint64_t)(x))
#else
#define BH_LE16(x) __builtin_bswap16((uint16_t)(x))
#define BH_LE32(x) __builtin_bswap32((uint32_t)(x))
#define BH_LE64(x) __builtin_bswap64((uint64_t)(x))
#endif

/* Copy and fill: the compiler expands small constant sizes in place even in a freestanding build.
 * The ranges must not overlap; length may be 0. */
static inline void bh_copy(void *to, const void *from, size_t length)
{
    (void)__builtin_memcpy(to, from, length);
}

static inline void bh_fill(void *to, uint8_t value, size_t length)
{
    (void)__builtin_memset(to, value, length);
}

/* Copies from memory that a peer may rewrite meanwhile. The fence keeps the compiler from reading
 * the source again later: what was checked is what is used. */
static inline void bh_copy_once(void *to, const void *from, size_t length)
{
    (void)__builtin_memcpy(to, from, length);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* One plain read or write of shared memory, no ordering. */
static inline uint16_t bh_load16(const uint16_t *at)
{
    return BH_LE16(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static inline void bh_store16(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, BH_LE16(value), __ATOMIC_RELAXED);
}

static inline uint32_t bh_load32(const uint32_t *at)
{
    return BH_LE32(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static inline void bh_store32(uint32_t *at, uint32_t value)
{
    __atomic_store_n(at, BH_LE32(value), __ATOMIC_RELAXED);
}

/* A read that nothing after it may pass; a write that nothing before it may pass. */
static inline uint16_t bh_load16_acquire(const uint16_t *at)
{
    return BH_LE16(__atomic_load_n(at, __ATOMIC_ACQUIRE));
}

static inline void bh_store16_release(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, BH_LE16(value), __ATOMIC_RELEASE);
}

/* Orders an earlier write before a later read (publish, then look whether the other side wants to
 * be told). */
static inline void bh_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
