/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtio-mmio device on the bench: the port, a raw guest (ring_guest.h) that reaches it through
 * registers, and a class behind it that takes chains and holds them until the test gives them back.
 */
#ifndef MMIO_RIG_H
#define MMIO_RIG_H

#include "ring_guest.h"

#include "bulkhead/mmio.h"

#define MMIO_QUEUES     2u
#define MMIO_QUEUE_SIZE 8u
#define MMIO_HELD_MAX   16u
#define MMIO_CLASS_BITS                                                                            \
    (BH_F_INDIRECT_DESC | 0x5u) /* the first is no class bit: it must not get through */
#define MMIO_CLASS_ID 0x1234u
#define AGREED        (BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK)
#define LIVE          (AGREED | BH_STATUS_DRIVER_OK)

struct mmio_rig {
    struct guest guest; /* memory, and queue 0's ring */
    struct bh_device device;
    struct bh_queue queues[MMIO_QUEUES];
    struct bh_order_slot order[MMIO_QUEUES][MMIO_QUEUE_SIZE];
    uint8_t busy[MMIO_QUEUES][MMIO_QUEUE_SIZE];
    struct bh_mmio mmio;
    struct bh_mmio_queue registers[MMIO_QUEUES];
    struct bh_chain held[MMIO_HELD_MAX];
    struct bh_queue *held_from[MMIO_HELD_MAX];
    uint32_t held_count;
    uint8_t config[8];
    uint32_t batch; /* chains a serve takes at most */
    uint32_t serves;
    uint32_t commits;
    bool level;
    uint32_t level_changes;
    uint32_t retries;
    uint32_t works;
};

/* cmocka's: a device after bh_mmio_init, untouched by any driver. */
int mmio_setup(void **state);
int mmio_teardown(void **state);

#define MMIO_TEST(test) cmocka_unit_test_setup_teardown(test, mmio_setup, mmio_teardown)

/* Registers, 32 bits wide; put_ok: it must return BH_OK. */
uint32_t mmio_get(struct mmio_rig *rig, uint32_t offset);
int mmio_put(struct mmio_rig *rig, uint32_t offset, uint32_t value);
void mmio_put_ok(struct mmio_rig *rig, uint32_t offset, uint32_t value);

/* The steps of a driver: reset up to FEATURES_OK, queue 0's (1's) areas, DRIVER_OK. */
void mmio_accept_features(struct mmio_rig *rig, uint64_t features);
void mmio_negotiate(struct mmio_rig *rig, uint64_t features);
void mmio_put_areas(struct mmio_rig *rig, uint64_t offset);
void mmio_queue_on(struct mmio_rig *rig, uint16_t index);
void mmio_go_live(struct mmio_rig *rig, uint64_t features);

/* A chain of one buffer on queue 0; and the class gives the oldest one (of any queue) back. */
void mmio_offer(struct mmio_rig *rig, uint16_t head);
void mmio_give_back(struct mmio_rig *rig);

#endif
