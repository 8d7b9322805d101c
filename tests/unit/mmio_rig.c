/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-mmio device on the bench: see mmio_rig.h.
 */
#include "mmio_rig.h"

#include <stdlib.h>
#include <string.h>

/* ---- the class ---- */

static struct mmio_rig *rig_of(const struct bh_device *device)
{
    return device->class_data;
}

static uint64_t class_features(const struct bh_device *device)
{
    (void)device;
    return MMIO_CLASS_BITS;
}

static bool class_features_fit(const struct bh_device *device, uint64_t features)
{
    (void)device;
    /* Bit 2 needs bit 0. */
    return (features & 5u) != 4u;
}

static void class_features_set(struct bh_device *device)
{
    (void)device;
}

static uint32_t class_config_size(const struct bh_device *device)
{
    (void)device;
    return 8;
}

static void class_config_read(const struct bh_device *device, uint32_t offset, void *to,
                              uint32_t length)
{
    memcpy(to, &rig_of(device)->config[offset], length);
}

static int class_config_write(struct bh_device *device, uint32_t offset, const void *from,
                              uint32_t length)
{
    if (offset < 4) {
        return BH_DENIED;
    }
    memcpy(&rig_of(device)->config[offset], from, length);
    return BH_OK;
}

static enum bh_served class_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct mmio_rig *rig = rig_of(device);

    rig->serves++;
    for (uint32_t i = 0; i < rig->batch; i++) {
        int got = bh_queue_pop(queue, &rig->held[rig->held_count]);

        if (got <= 0) {
            return BH_SERVED;
        }
        rig->held_from[rig->held_count] = queue;
        rig->held_count++;
    }
    return BH_SERVED_MORE;
}

static void class_commit(struct bh_device *device)
{
    rig_of(device)->commits++;
}

static void class_reset(struct bh_device *device)
{
    (void)device;
}

static const struct bh_device_class class = {
    .name = "test",
    .id = MMIO_CLASS_ID,
    .features = class_features,
    .features_fit = class_features_fit,
    .features_set = class_features_set,
    .config_size = class_config_size,
    .config_read = class_config_read,
    .config_write = class_config_write,
    .serve = class_serve,
    .commit = class_commit,
    .reset = class_reset,
};

/* ---- the hypervisor ---- */

static void hv_interrupt(void *context, bool level)
{
    struct mmio_rig *rig = context;

    assert_true(level != rig->level);
    rig->level = level;
    rig->level_changes++;
}

static void hv_work(void *context)
{
    struct mmio_rig *rig = context;

    rig->works++;
}

static void hv_retry(void *context)
{
    struct mmio_rig *rig = context;

    rig->retries++;
}

static const struct bh_mmio_ops hypervisor = {
    .interrupt = hv_interrupt,
    .work = hv_work,
    .retry = hv_retry,
};

int mmio_setup(void **state)
{
    struct mmio_rig *rig = calloc(1, sizeof(*rig));
    struct bh_device_setup setup = {
        .class = &class, .queue_count = MMIO_QUEUES, .feature_mask = UINT64_MAX};

    if (rig == NULL) {
        return -1;
    }
    guest_init(&rig->guest, false, MMIO_QUEUE_SIZE, 0);
    setup.class_data = rig;
    setup.memory = &rig->guest.memory;
    setup.queues = rig->queues;
    for (uint16_t i = 0; i < MMIO_QUEUES; i++) {
        bh_queue_init(&rig->queues[i], i, MMIO_QUEUE_SIZE, rig->order[i], rig->busy[i],
                      &rig->guest.pool);
    }
    memcpy(rig->config, "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
    rig->batch = MMIO_QUEUE_SIZE;
    bh_device_init(&rig->device, &setup);
    bh_mmio_init(&rig->mmio, &rig->device, BH_MMIO_FEATURES & ~BH_F_ACCESS_PLATFORM, rig->registers,
                 &hypervisor, rig);
    *state = rig;
    return 0;
}

int mmio_teardown(void **state)
{
    struct mmio_rig *rig = *state;

    guest_finish(&rig->guest);
    free(rig);
    return 0;
}

/* ---- what a guest does ---- */

uint32_t mmio_get(struct mmio_rig *rig, uint32_t offset)
{
    return (uint32_t)bh_mmio_read(&rig->mmio, offset, 4);
}

int mmio_put(struct mmio_rig *rig, uint32_t offset, uint32_t value)
{
    return bh_mmio_write(&rig->mmio, offset, value, 4);
}

void mmio_put_ok(struct mmio_rig *rig, uint32_t offset, uint32_t value)
{
    assert_int_equal(mmio_put(rig, offset, value), BH_OK);
}

void mmio_accept_features(struct mmio_rig *rig, uint64_t features)
{
    mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES_SEL, 1);
    mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES_SEL, 0);
    mmio_put_ok(rig, BH_MMIO_DRIVER_FEATURES, (uint32_t)features);
}

void mmio_negotiate(struct mmio_rig *rig, uint64_t features)
{
    mmio_put_ok(rig, BH_MMIO_STATUS, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE);
    mmio_put_ok(rig, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    mmio_accept_features(rig, BH_F_VERSION_1 | features);
    mmio_put_ok(rig, BH_MMIO_STATUS, AGREED);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), AGREED);
}

void mmio_put_areas(struct mmio_rig *rig, uint64_t offset)
{
    mmio_put_ok(rig, BH_MMIO_QUEUE_SIZE, MMIO_QUEUE_SIZE);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_LOW, (uint32_t)(GUEST_DESCRIPTOR + offset));
    mmio_put_ok(rig, BH_MMIO_QUEUE_DESC_HIGH, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DRIVER_LOW, (uint32_t)(GUEST_DRIVER + offset));
    mmio_put_ok(rig, BH_MMIO_QUEUE_DRIVER_HIGH, 0);
    mmio_put_ok(rig, BH_MMIO_QUEUE_DEVICE_LOW, (uint32_t)(GUEST_DEVICE + offset));
    mmio_put_ok(rig, BH_MMIO_QUEUE_DEVICE_HIGH, 0);
}

void mmio_queue_on(struct mmio_rig *rig, uint16_t index)
{
    mmio_put_ok(rig, BH_MMIO_QUEUE_SEL, index);
    mmio_put_areas(rig, 0x800u * (uint64_t)index);
    mmio_put_ok(rig, BH_MMIO_QUEUE_READY, 1);
    assert_int_equal(mmio_get(rig, BH_MMIO_QUEUE_READY), 1);
}

void mmio_go_live(struct mmio_rig *rig, uint64_t features)
{
    mmio_negotiate(rig, features);
    mmio_queue_on(rig, 0);
    mmio_put_ok(rig, BH_MMIO_STATUS, LIVE);
    assert_int_equal(mmio_get(rig, BH_MMIO_STATUS), LIVE);
}

void mmio_offer(struct mmio_rig *rig, uint16_t head)
{
    guest_offer_one(&rig->guest, GUEST_DATA + 16u * (uint64_t)head, 16, W, head);
}

/* The class gives the oldest chain back. */
void mmio_give_back(struct mmio_rig *rig)
{
    assert_true(rig->held_count != 0);
    bh_device_push(&rig->device, rig->held_from[0], &rig->held[0], 16);
    rig->held_count--;
    memmove(&rig->held[0], &rig->held[1], rig->held_count * sizeof(rig->held[0]));
    memmove(&rig->held_from[0], &rig->held_from[1], rig->held_count * sizeof(rig->held_from[0]));
    bh_device_flush(&rig->device);
}
