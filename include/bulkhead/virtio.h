/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers and layouts that belong to every VIRTIO device: device ids, status bits, ring feature
 * bits, and the two virtqueue formats as they lie in shared memory. Source: VIRTIO 1.4, chapters 2,
 * 5 and 6. Fields in the structures are little-endian; use bytes.h to touch them.
 */
#ifndef BULKHEAD_VIRTIO_H
#define BULKHEAD_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

/* Device ids (VIRTIO 1.4, chapter 5). */
#define BH_ID_NET     1u
#define BH_ID_BLK     2u
#define BH_ID_CONSOLE 3u
#define BH_ID_RNG     4u

/* Device status bits (VIRTIO 1.4, 2.1). */
#define BH_STATUS_ACKNOWLEDGE 1u
#define BH_STATUS_DRIVER      2u
#define BH_STATUS_DRIVER_OK   4u
#define BH_STATUS_FEATURES_OK 8u
#define BH_STATUS_NEEDS_RESET 64u
#define BH_STATUS_FAILED      128u

/* Feature bits of queues and negotiation (VIRTIO 1.4, chapter 6). */
#define BH_F_INDIRECT_DESC     (UINT64_C(1) << 28)
#define BH_F_EVENT_IDX         (UINT64_C(1) << 29)
#define BH_F_VERSION_1         (UINT64_C(1) << 32)
#define BH_F_ACCESS_PLATFORM   (UINT64_C(1) << 33)
#define BH_F_RING_PACKED       (UINT64_C(1) << 34)
#define BH_F_IN_ORDER          (UINT64_C(1) << 35)
#define BH_F_ORDER_PLATFORM    (UINT64_C(1) << 36)
#define BH_F_NOTIFICATION_DATA (UINT64_C(1) << 38)
#define BH_F_RING_RESET        (UINT64_C(1) << 40)

/* Bits 24 to 40 and 43 belong to queues and negotiation, the others to the device class
 * (VIRTIO 1.4, 2.2). */
#define BH_F_TRANSPORT_MASK (((UINT64_C(1) << 17) - 1u) << 24 | UINT64_C(1) << 43)

/* Descriptor flags, both formats (VIRTIO 1.4, 2.7.5 and 2.8). */
#define BH_DESC_NEXT     1u
#define BH_DESC_WRITE    2u
#define BH_DESC_INDIRECT 4u
#define BH_DESC_AVAIL    0x0080u /* packed only */
#define BH_DESC_USED     0x8000u /* packed only */

/* The largest queue of either format (VIRTIO 1.4, 2.7 and 2.8). */
#define BH_QUEUE_SIZE_MAX 32768u

/* Split format: a descriptor, 16-byte aligned table (VIRTIO 1.4, 2.7.5). */
struct bh_split_desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

/* Split format: driver area, 2-byte aligned, 6 + 2 * size bytes; a le16 used_event follows the
 * ring. */
struct bh_split_avail {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[];
};

struct bh_split_used_element {
    uint32_t id;
    uint32_t length;
};

/* Split format: device area, 4-byte aligned, 6 + 8 * size bytes; a le16 avail_event follows the
 * ring. */
struct bh_split_used {
    uint16_t flags;
    uint16_t index;
    struct bh_split_used_element ring[];
};

#define BH_SPLIT_AVAIL_NO_INTERRUPT 1u
#define BH_SPLIT_USED_NO_NOTIFY     1u

/* Packed format: a descriptor, 16-byte aligned ring (VIRTIO 1.4, 2.8.13). */
struct bh_packed_desc {
    uint64_t address;
    uint32_t length;
    uint16_t id;
    uint16_t flags;
};

/* Packed format: event suppression, 4-byte aligned (VIRTIO 1.4, 2.8.14). Bit 15 of `offset_wrap` is
 * the wrap counter. */
struct bh_packed_event {
    uint16_t offset_wrap;
    uint16_t flags;
};

#define BH_PACKED_EVENT_ENABLE  0u
#define BH_PACKED_EVENT_DISABLE 1u
#define BH_PACKED_EVENT_DESC    2u

/* The sizes of the three areas of a queue, in bytes. */
static inline uint32_t bh_descriptor_area_size(uint32_t size)
{
    return 16u * size;
}

static inline uint32_t bh_driver_area_size(uint32_t size, bool packed)
{
    return packed ? 4u : 6u + 2u * size;
}

static inline uint32_t bh_device_area_size(uint32_t size, bool packed)
{
    return packed ? 4u : 6u + 8u * size;
}

/* Whether a notification is due: the other side asked to be told when index `event` is passed, and
 * the index moved from `before` to `after` (all modulo 2^16; VIRTIO 1.4, 2.7.10). */
static inline bool bh_event_due(uint16_t event, uint16_t after, uint16_t before)
{
    return (uint16_t)(after - event - 1u) < (uint16_t)(after - before);
}

#endif
