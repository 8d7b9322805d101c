/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device on the bench: see rng_rig.h.
 */
#include "rng_rig.h"

#include <stdlib.h>
#include <string.h>

static void port_notify(struct bh_device *device, uint16_t queue)
{
    struct rng_rig *rig = device->port_data;

    assert_int_equal(queue, 0);
    rig->notified++;
}

static void port_config_changed(struct bh_device *device)
{
    (void)device;
    fail_msg("there is no configuration");
}

static void port_failed(struct bh_device *device, uint16_t queue)
{
    struct rng_rig *rig = device->port_data;

    (void)queue;
    rig->failures++;
}

static void port_idle(struct bh_device *device, uint16_t queue)
{
    struct rng_rig *rig = device->port_data;

    (void)queue;
    rig->idles++;
}

static const struct bh_port_ops port_ops = {
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_idle,
};

/* ---- the source ---- */

static int source_read(void *source, uint8_t *to, uint32_t length)
{
    struct rng_rig *rig = source;
    uint32_t count = rig->there < rig->most ? rig->there : rig->most;

    assert_int_not_equal(length, 0);
    rig->asked++;
    if (count > length) {
        count = length;
    }
    if (count == 0) {
        return BH_AGAIN;
    }
    for (uint32_t i = 0; i < count; i++) {
        rig->next = (uint8_t)(rig->next % RIG_VALUES + 1u);
        rig->gave[rig->next]++;
        to[i] = rig->next;
    }
    rig->there -= count;
    return (int)(rig->lies ? length + 1u : count);
}

static void source_drawn(void *source)
{
    struct rng_rig *rig = source;

    rig->drawn++;
}

static const struct bh_entropy_ops source_ops = {.read = source_read, .drawn = source_drawn};

/* ---- the rig ---- */

void rig_start(struct rng_rig *rig)
{
    struct guest *guest = &rig->guest;

    memset(guest->low, 0, GUEST_LOW_SIZE);
    guest->avail = 0;
    guest->avail_wrap = true;
    guest->used = 0;
    guest->used_wrap = true;
    assert_int_equal(bh_device_features_set(&rig->device, guest->setup.features), BH_OK);
    assert_int_equal(bh_device_queue_start(&rig->device, 0, &guest->setup), BH_OK);
}

void rig_init(struct rng_rig *rig, bool packed, uint64_t allowance, uint64_t features)
{
    const struct bh_device_setup setup = {
        .class = &bh_rng_class,
        .class_data = &rig->rng,
        .memory = &rig->guest.memory,
        .queues = &rig->queue,
        .queue_count = 1,
        .feature_mask = UINT64_MAX,
    };

    memset(rig, 0, sizeof(*rig));
    guest_init(&rig->guest, packed, RIG_QUEUE, features);
    rig->there = UINT32_MAX;
    rig->most = UINT32_MAX;
    bh_queue_init(&rig->queue, 0, RIG_QUEUE, rig->order, rig->busy, &rig->guest.pool);
    rig->page = (struct bh_filter_page){.magic = BH_FILTER_MAGIC, .operations = BH_ENTROPY_READ};
    bh_filter_bind(&rig->filter, &rig->page);
    assert_int_equal(
        bh_rng_init(&rig->rng, &rig->device, &source_ops, rig, allowance, &rig->filter), BH_OK);
    bh_device_init(&rig->device, &setup);
    bh_device_bind(&rig->device, &port_ops, rig, BH_F_TRANSPORT_MASK);
    rig_start(rig);
}

void rig_finish(struct rng_rig *rig)
{
    guest_finish(&rig->guest);
}

static int setup(void **state, bool packed)
{
    struct rng_rig *rig = malloc(sizeof(*rig));

    if (rig == NULL) {
        return -1;
    }
    rig_init(rig, packed, 0, 0);
    *state = rig;
    return 0;
}

int rig_setup_split(void **state)
{
    return setup(state, false);
}

int rig_setup_packed(void **state)
{
    return setup(state, true);
}

int rig_teardown(void **state)
{
    rig_finish(*state);
    free(*state);
    return 0;
}

void rig_offer(struct rng_rig *rig, uint16_t head, uint32_t length)
{
    memset(guest_at(&rig->guest, RIG_AT(head)), 0xee, 0x400);
    guest_offer_one(&rig->guest, RIG_AT(head), length, W, head);
}

void rig_kick(struct rng_rig *rig)
{
    assert_false(bh_device_kick(&rig->device, 0));
    bh_device_flush(&rig->device);
}

uint32_t rig_take(struct rng_rig *rig, uint16_t head)
{
    const uint8_t *data = guest_at(&rig->guest, RIG_AT(head));
    uint32_t id = 0;
    uint32_t length = 0;

    assert_true(guest_used(&rig->guest, &id, &length));
    assert_int_equal(id, head);
    assert_in_range(length, 1, BH_RNG_BYTES_MAX);
    for (uint32_t i = 0; i < length; i++) {
        rig->got[data[i]]++;
        assert_true(rig->got[data[i]] <= rig->gave[data[i]]);
    }
    return length;
}

void rig_expect(struct rng_rig *rig, uint16_t head, uint32_t length, uint32_t room)
{
    const uint8_t *data = guest_at(&rig->guest, RIG_AT(head));

    assert_int_equal(rig_take(rig, head), length);
    for (uint32_t i = length; i < room; i++) {
        assert_int_equal(data[i], 0xee);
    }
}

void rig_expect_failure(struct rng_rig *rig, const char *reason)
{
    guest_expect_nothing(&rig->guest);
    assert_int_equal(rig->failures, 1);
    assert_true((rig->device.status & BH_STATUS_NEEDS_RESET) != 0);
    assert_int_equal(rig->queue.fault.error, BH_PROTOCOL);
    assert_string_equal(rig->queue.fault.reason, reason);
    assert_int_equal(rig->queue.in_flight, 0);
}
