/* SPDX-License-Identifier: BSD-2-Clause */
/* The simplest device class and port: see echo_class.h. */
#include "echo_class.h"

#include <stdlib.h>
#include <string.h>

/* ---- the class ---- */

static uint64_t features(const struct bh_device *device)
{
    const struct echo *echo = device->class_data;

    return echo->offers;
}

static bool features_fit(const struct bh_device *device, uint64_t accepted)
{
    (void)device;
    return (accepted & ECHO_F_B) == 0 || (accepted & ECHO_F_A) != 0;
}

static void features_set(struct bh_device *device)
{
    struct echo *echo = device->class_data;

    echo->features_set++;
}

static uint32_t config_size(const struct bh_device *device)
{
    const struct echo *echo = device->class_data;

    return echo->no_config ? 0 : ECHO_CONFIG;
}

static void config_read(const struct bh_device *device, uint32_t offset, void *to, uint32_t length)
{
    const struct echo *echo = device->class_data;

    assert_true(offset <= ECHO_CONFIG && length <= ECHO_CONFIG - offset);
    memcpy(to, echo->config + offset, length);
}

static int config_write(struct bh_device *device, uint32_t offset, const void *from,
                        uint32_t length)
{
    struct echo *echo = device->class_data;

    assert_true(offset <= ECHO_CONFIG && length <= ECHO_CONFIG - offset);
    if (offset < ECHO_CONFIG - 2) {
        return BH_DENIED;
    }
    memcpy(echo->config + offset, from, length);
    return BH_OK;
}

static struct echo_request *vacant(struct echo *echo)
{
    unsigned i;

    for (i = 0; i < ECHO_HELD; i++) {
        if (!echo->held[i].busy) {
            return &echo->held[i];
        }
    }
    fail_msg("the class holds too many chains");
    return NULL;
}

static enum bh_served verdict(const struct echo *echo)
{
    if (echo->enough) {
        return BH_SERVED_ENOUGH;
    }
    return echo->more ? BH_SERVED_MORE : BH_SERVED;
}

static enum bh_served serve(struct bh_device *device, struct bh_queue *queue)
{
    struct echo *echo = device->class_data;
    uint16_t i;

    echo->served++;
    for (i = 0; i < queue->size; i++) {
        struct echo_request *request = vacant(echo);
        int got = bh_queue_pop(queue, &request->chain);

        if (got != 1) {
            echo->pop_error = got;
            if (echo->served_once != NULL) {
                echo->served_once(echo);
            }
            return verdict(echo);
        }
        request->queue = queue;
        if (echo->hold) {
            request->busy = true;
        } else {
            bh_device_push(device, queue, &request->chain, 1);
        }
    }
    return BH_SERVED_MORE;
}

static void commit(struct bh_device *device)
{
    struct echo *echo = device->class_data;

    echo->commits++;
}

static void reset(struct bh_device *device)
{
    struct echo *echo = device->class_data;
    unsigned i;

    for (i = 0; i < ECHO_QUEUES; i++) {
        assert_int_equal(device->queues[i].state, BH_QUEUE_STOPPED);
        assert_int_equal(device->queues[i].in_flight, 0);
    }
    echo->resets++;
}

static const struct bh_device_class echo_class = {
    .name = "echo",
    .id = 999,
    .features = features,
    .features_fit = features_fit,
    .features_set = features_set,
    .config_size = config_size,
    .config_read = config_read,
    .config_write = config_write,
    .serve = serve,
    .commit = commit,
    .reset = reset,
};

/* ---- the port ---- */

static struct echo_counts *counts(struct bh_device *device, uint16_t queue)
{
    struct echo *echo = device->port_data;

    assert_true(queue < ECHO_QUEUES);
    return &echo->counts[queue];
}

static void notify(struct bh_device *device, uint16_t queue)
{
    counts(device, queue)->notify++;
}

static void config_changed(struct bh_device *device)
{
    struct echo *echo = device->port_data;

    echo->config_changed++;
}

static void failed(struct bh_device *device, uint16_t queue)
{
    assert_int_not_equal(device->queues[queue].fault.error, BH_OK);
    assert_true((device->status & BH_STATUS_NEEDS_RESET) != 0);
    counts(device, queue)->failed++;
}

static void idle(struct bh_device *device, uint16_t queue)
{
    assert_int_equal(device->queues[queue].state, BH_QUEUE_STOPPED);
    counts(device, queue)->idle++;
}

static const struct bh_port_ops echo_port = {
    .notify = notify,
    .config_changed = config_changed,
    .failed = failed,
    .idle = idle,
};

/* ---- what tests call ---- */

void echo_init(struct echo *echo, bool packed)
{
    struct bh_device_setup setup = {
        .class = &echo_class,
        .class_data = echo,
        .memory = &echo->guest.memory,
        .queue_count = ECHO_QUEUES,
        .feature_mask = UINT64_MAX,
    };
    uint16_t i;

    memset(echo, 0, sizeof(*echo));
    guest_init(&echo->guest, packed, 8, 0);
    echo->queues = calloc(ECHO_QUEUES, sizeof(*echo->queues));
    assert_non_null(echo->queues);
    setup.queues = echo->queues;
    for (i = 0; i < ECHO_QUEUES; i++) {
        bh_queue_init(&echo->queues[i], i, GUEST_QUEUE_MAX, echo->order[i], echo->busy[i],
                      &echo->guest.pool);
    }
    for (i = 0; i < ECHO_CONFIG; i++) {
        echo->config[i] = (uint8_t)(0x10 + i);
    }
    echo->offers = ECHO_FEATURES;
    bh_device_init(&echo->device, &setup);
    bh_device_bind(&echo->device, &echo_port, echo, ECHO_PORT_FEATURES);
}

void echo_finish(struct echo *echo)
{
    free(echo->queues);
    guest_finish(&echo->guest);
}

void echo_negotiate(struct echo *echo, uint64_t accepted)
{
    struct bh_device *device = &echo->device;
    uint64_t format = echo->guest.packed ? BH_F_RING_PACKED : 0;
    uint8_t status = BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER;

    assert_int_equal(bh_device_status_set(device, status), BH_OK);
    assert_int_equal(bh_device_features_set(device, BH_F_VERSION_1 | format | accepted), BH_OK);
    status |= BH_STATUS_FEATURES_OK;
    assert_int_equal(bh_device_status_set(device, status), BH_OK);
    assert_int_equal(device->status, status);
    status |= BH_STATUS_DRIVER_OK;
    assert_int_equal(bh_device_status_set(device, status), BH_OK);
    assert_int_equal(device->status, status);
}

/* The areas of the queues lie side by side. */
static void place(struct echo *echo, uint16_t index)
{
    uint64_t offset = 0x200u * (uint64_t)index;

    echo->guest.setup.descriptor = GUEST_DESCRIPTOR + offset;
    echo->guest.setup.driver = GUEST_DRIVER + offset;
    echo->guest.setup.device = GUEST_DEVICE + offset;
}

void echo_start(struct echo *echo, uint16_t index)
{
    place(echo, index);
    assert_int_equal(bh_device_queue_start(&echo->device, index, &echo->guest.setup), BH_OK);
}

void echo_look_at(struct echo *echo, uint16_t index)
{
    place(echo, index);
    echo->guest.avail = 0;
    echo->guest.avail_wrap = true;
    echo->guest.used = 0;
    echo->guest.used_wrap = true;
}

void echo_release_one(struct echo *echo, uint32_t written)
{
    unsigned i;

    for (i = 0; i < ECHO_HELD; i++) {
        struct echo_request *request = &echo->held[i];

        if (request->busy) {
            request->busy = false;
            bh_device_push(&echo->device, request->queue, &request->chain, written);
            return;
        }
    }
    fail_msg("the class holds nothing");
}

unsigned echo_release(struct echo *echo, uint32_t written)
{
    unsigned count = 0;
    unsigned i;

    for (i = 0; i < ECHO_HELD; i++) {
        if (echo->held[i].busy) {
            count++;
        }
    }
    for (i = 0; i < count; i++) {
        echo_release_one(echo, written);
    }
    return count;
}

static int setup(void **state, bool packed, bool live)
{
    struct echo *echo = malloc(sizeof(*echo));
    uint16_t i;

    if (echo == NULL) {
        return -1;
    }
    echo_init(echo, packed);
    if (live) {
        echo_negotiate(echo, 0);
        for (i = 0; i < ECHO_QUEUES; i++) {
            echo_start(echo, i);
        }
        echo_look_at(echo, 0);
    }
    *state = echo;
    return 0;
}

int echo_setup_split(void **state)
{
    return setup(state, false, false);
}

int echo_setup_packed(void **state)
{
    return setup(state, true, false);
}

int echo_setup_live_split(void **state)
{
    return setup(state, false, true);
}

int echo_setup_live_packed(void **state)
{
    return setup(state, true, true);
}

int echo_teardown(void **state)
{
    echo_finish(*state);
    free(*state);
    return 0;
}
