/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device on the wire: what driver and device share (VIRTIO 1.4, 5.2, all but zones).
 * Fields are little-endian; use bytes.h to touch them.
 */
#ifndef BULKHEAD_VIRTIO_BLK_H
#define BULKHEAD_VIRTIO_BLK_H

#include <stdint.h>

#define BH_BLK_F_SIZE_MAX     (UINT64_C(1) << 1)
#define BH_BLK_F_SEG_MAX      (UINT64_C(1) << 2)
#define BH_BLK_F_RO           (UINT64_C(1) << 5)
#define BH_BLK_F_BLK_SIZE     (UINT64_C(1) << 6)
#define BH_BLK_F_FLUSH        (UINT64_C(1) << 9)
#define BH_BLK_F_TOPOLOGY     (UINT64_C(1) << 10)
#define BH_BLK_F_CONFIG_WCE   (UINT64_C(1) << 11)
#define BH_BLK_F_MQ           (UINT64_C(1) << 12)
#define BH_BLK_F_DISCARD      (UINT64_C(1) << 13)
#define BH_BLK_F_WRITE_ZEROES (UINT64_C(1) << 14)
#define BH_BLK_F_LIFETIME     (UINT64_C(1) << 15)
#define BH_BLK_F_SECURE_ERASE (UINT64_C(1) << 16)

#define BH_BLK_T_IN           0u
#define BH_BLK_T_OUT          1u
#define BH_BLK_T_FLUSH        4u
#define BH_BLK_T_GET_ID       8u
#define BH_BLK_T_GET_LIFETIME 10u
#define BH_BLK_T_DISCARD      11u
#define BH_BLK_T_WRITE_ZEROES 13u
#define BH_BLK_T_SECURE_ERASE 14u

#define BH_BLK_S_OK     0u
#define BH_BLK_S_IOERR  1u
#define BH_BLK_S_UNSUPP 2u

#define BH_BLK_SECTOR                                                                              \
    512u /* the unit of every address and length on the wire, whatever blk_size says */
#define BH_BLK_ID_LENGTH 20u

/* A request begins with this, device-readable; data follows; a status byte, device-writable, ends
 * it. Fields little-endian. */
struct bh_blk_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

/* The data of discard, write zeroes and secure erase: an array of these. */
struct bh_blk_segment {
    uint64_t sector;
    uint32_t sector_count;
    uint32_t flags; /* bit 0: unmap */
};

#define BH_BLK_SEGMENT_UNMAP 1u

struct bh_blk_lifetime {
    uint16_t pre_eol_info; /* 1 normal, 2 warning (80 %), 3 urgent (90 %); 0 undefined */
    uint16_t estimate_a;   /* 1..11: used life in steps of 10 %; 0 undefined */
    uint16_t estimate_b;
};

struct bh_blk_config {
    uint64_t capacity; /* sectors */
    uint32_t size_max;
    uint32_t seg_max;
    uint16_t cylinders;
    uint8_t heads;
    uint8_t sectors;
    uint32_t blk_size;
    uint8_t physical_block_exp;
    uint8_t alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback;
    uint8_t unused0;
    uint16_t num_queues;
    uint32_t max_discard_sectors;
    uint32_t max_discard_seg;
    uint32_t discard_sector_alignment;
    uint32_t max_write_zeroes_sectors;
    uint32_t max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
    uint32_t max_secure_erase_sectors;
    uint32_t max_secure_erase_seg;
    uint32_t secure_erase_sector_alignment;
};

_Static_assert(sizeof(struct bh_blk_header) == 16u, "wire format");
_Static_assert(sizeof(struct bh_blk_segment) == 16u, "wire format");
_Static_assert(sizeof(struct bh_blk_lifetime) == 6u, "wire format");
_Static_assert(sizeof(struct bh_blk_config) == 72u,
               "60 bytes up to write zeroes, 12 of secure erase");

#endif
