/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user protocol on the wire, shared by back end (vhost_user_backend.h) and front end
 * (vhost_user_frontend.h). Source: QEMU's interoperability document "Vhost-user Protocol". Integers
 * are in the host's byte order: both ends run on one machine.
 */
#ifndef BULKHEAD_VHOST_USER_H
#define BULKHEAD_VHOST_USER_H

#include <stdint.h>

/* Bit 30 of the feature bits: protocol features can be negotiated. Never shown to a guest. */
#define BH_VU_F_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define BH_VU_F_LOG_ALL           (UINT64_C(1) << 26)

#define BH_VU_PROTOCOL_F_MQ                  (UINT64_C(1) << 0)
#define BH_VU_PROTOCOL_F_REPLY_ACK           (UINT64_C(1) << 3)
#define BH_VU_PROTOCOL_F_BACKEND_REQ         (UINT64_C(1) << 5)
#define BH_VU_PROTOCOL_F_CONFIG              (UINT64_C(1) << 9)
#define BH_VU_PROTOCOL_F_INFLIGHT_SHMFD      (UINT64_C(1) << 12)
#define BH_VU_PROTOCOL_F_RESET_DEVICE        (UINT64_C(1) << 13)
#define BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS (UINT64_C(1) << 15)
#define BH_VU_PROTOCOL_F_STATUS              (UINT64_C(1) << 16)

enum bh_vu_request {
    BH_VU_GET_FEATURES = 1,
    BH_VU_SET_FEATURES = 2,
    BH_VU_SET_OWNER = 3,
    BH_VU_RESET_OWNER = 4,
    BH_VU_SET_MEM_TABLE = 5,
    BH_VU_SET_LOG_BASE = 6,
    BH_VU_SET_LOG_FD = 7,
    BH_VU_SET_VRING_NUM = 8,
    BH_VU_SET_VRING_ADDR = 9,
    BH_VU_SET_VRING_BASE = 10,
    BH_VU_GET_VRING_BASE = 11,
    BH_VU_SET_VRING_KICK = 12,
    BH_VU_SET_VRING_CALL = 13,
    BH_VU_SET_VRING_ERR = 14,
    BH_VU_GET_PROTOCOL_FEATURES = 15,
    BH_VU_SET_PROTOCOL_FEATURES = 16,
    BH_VU_GET_QUEUE_NUM = 17,
    BH_VU_SET_VRING_ENABLE = 18,
    BH_VU_SET_BACKEND_REQ_FD = 21,
    BH_VU_GET_CONFIG = 24,
    BH_VU_SET_CONFIG = 25,
    BH_VU_GET_INFLIGHT_FD = 31,
    BH_VU_SET_INFLIGHT_FD = 32,
    BH_VU_RESET_DEVICE = 34,
    BH_VU_GET_MAX_MEM_SLOTS = 36,
    BH_VU_ADD_MEM_REG = 37,
    BH_VU_REM_MEM_REG = 38,
    BH_VU_SET_STATUS = 39,
    BH_VU_GET_STATUS = 40,
};

/* Requests of the back end, on the descriptor of SET_BACKEND_REQ_FD. */
enum bh_vu_backend_request {
    BH_VU_BACKEND_CONFIG_CHANGE = 2,
};

/* Header flags. */
#define BH_VU_VERSION      0x1u
#define BH_VU_VERSION_MASK 0x3u
#define BH_VU_REPLY        0x4u
#define BH_VU_NEED_REPLY   0x8u

/* Payload bits of SET_VRING_KICK, CALL, ERR. */
#define BH_VU_VRING_INDEX_MASK 0xffu
#define BH_VU_VRING_NO_FD      0x100u

#define BH_VU_REGIONS_MAX      8u   /* of one SET_MEM_TABLE */
#define BH_VU_FDS_MAX          8u   /* with one message */
#define BH_VU_CONFIG_MAX       256u /* bytes of configuration space in one message */
#define BH_VU_CONFIG_MIGRATION 1u   /* flags of SET_CONFIG */

struct bh_vu_header {
    uint32_t request;
    uint32_t flags;
    uint32_t size; /* of the payload that follows */
};

struct bh_vu_vring_state {
    uint32_t index;
    uint32_t number;
};

/* Ring addresses are user addresses of the front end (VIRTIO_F_ACCESS_PLATFORM never reaches the
 * back end). */
struct bh_vu_vring_address {
    uint32_t index;
    uint32_t flags;
    uint64_t descriptor;
    uint64_t used;
    uint64_t available;
    uint64_t log;
};

struct bh_vu_region {
    uint64_t guest_address;
    uint64_t size;
    uint64_t user_address;
    uint64_t mmap_offset;
};

struct bh_vu_memory_table {
    uint32_t count;
    uint32_t padding;
    struct bh_vu_region regions[BH_VU_REGIONS_MAX];
};

struct bh_vu_single_region {
    uint64_t padding;
    struct bh_vu_region region;
};

struct bh_vu_config {
    uint32_t offset;
    uint32_t size;
    uint32_t flags;
    uint8_t data[BH_VU_CONFIG_MAX];
};

#define BH_VU_CONFIG_HEADER 12u /* bytes of bh_vu_config before data */

struct bh_vu_inflight {
    uint64_t mmap_size;
    uint64_t mmap_offset;
    uint16_t queue_count;
    uint16_t queue_size;
    uint8_t padding[4];
};

/* The last four bytes of bh_vu_inflight are padding: front ends send 20 or 24. */
#define BH_VU_INFLIGHT_SIZE 20u

union bh_vu_payload {
    uint64_t u64;
    struct bh_vu_vring_state state;
    struct bh_vu_vring_address address;
    struct bh_vu_memory_table table;
    struct bh_vu_single_region region;
    struct bh_vu_config config;
    struct bh_vu_inflight inflight;
};

/* The in-flight region of one split queue: a header, then an entry for each descriptor. */
struct bh_vu_inflight_split {
    uint64_t features;
    uint16_t version; /* 0: never used; 1 */
    uint16_t desc_count;
    uint16_t last_batch_head;
    uint16_t used_index;
};

struct bh_vu_inflight_split_desc {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next;
    uint64_t counter;
};

/* The in-flight region of one packed queue. */
struct bh_vu_inflight_packed {
    uint64_t features;
    uint16_t version;
    uint16_t desc_count;
    uint16_t free_head;
    uint16_t old_free_head;
    uint16_t used_index;
    uint16_t old_used_index;
    uint8_t used_wrap;
    uint8_t old_used_wrap;
    uint8_t padding[10]; /* 7 named ones and 3 that align the entries */
};

struct bh_vu_inflight_packed_desc {
    uint8_t inflight;
    uint8_t padding;
    uint16_t next;
    uint16_t last;
    uint16_t count;
    uint64_t counter;
    uint16_t id;
    uint16_t flags;
    uint32_t length;
    uint64_t address;
};

_Static_assert(sizeof(struct bh_vu_header) == 12u, "wire format");
_Static_assert(sizeof(struct bh_vu_vring_address) == 40u, "wire format");
_Static_assert(sizeof(struct bh_vu_region) == 32u, "wire format");
_Static_assert(sizeof(struct bh_vu_memory_table) == 8u + 8u * 32u, "wire format");
_Static_assert(sizeof(struct bh_vu_single_region) == 40u, "wire format");
_Static_assert(sizeof(struct bh_vu_config) == 12u + 256u, "wire format");
_Static_assert(sizeof(struct bh_vu_inflight_split) == 16u, "wire format");
_Static_assert(sizeof(struct bh_vu_inflight_split_desc) == 16u, "wire format");
_Static_assert(sizeof(struct bh_vu_inflight_packed) == 32u, "wire format");
_Static_assert(sizeof(struct bh_vu_inflight_packed_desc) == 32u, "wire format");

#endif
