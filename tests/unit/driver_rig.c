/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's queue over the fake device; see driver_rig.h. */
#include "driver_rig.h"

void start(struct fixture *f, uint64_t features, uint16_t size, uint16_t indirect_max)
{
    const struct bh_driver_queue_setup setup = {
        .transport = &f->device.transport,
        .dma = &f->device.dma,
        .slots = f->slots,
        .features = features | BH_F_VERSION_1,
        .index = 0,
        .size = size,
        .indirect_max = indirect_max,
    };

    fake_init(&f->device);
    f->device.features = setup.features;
    assert_int_equal(bh_driver_queue_init(&f->queue, &setup), BH_OK);
}

void stop(struct fixture *f)
{
    fake_finish(&f->device);
}

int add(struct fixture *f, uint16_t readable, uint16_t writable, void *token)
{
    struct bh_buffer elements[FAKE_CHAIN_MAX];

    for (uint16_t i = 0; i < readable + writable; i++) {
        elements[i].address = DATA + 0x100u * i;
        elements[i].length = 16;
    }
    return bh_driver_queue_add(&f->queue, elements, readable, writable, token);
}

bool lap(struct fixture *f, unsigned batch)
{
    struct fake_chain chain;
    uint32_t before = f->device.queues[0].notifies;
    void *token;
    uint32_t written;

    for (unsigned i = 0; i < batch; i++) {
        assert_int_equal(add(f, 1, 0, f), BH_OK);
    }
    assert_int_equal(bh_driver_queue_publish(&f->queue), BH_OK);
    for (unsigned i = 0; i < batch; i++) {
        assert_true(fake_pop(&f->device, 0, &chain));
        fake_push(&f->device, 0, chain.id, 0, chain.slots);
        assert_int_equal(bh_driver_queue_collect(&f->queue, &token, &written), 1);
    }
    assert_in_range(f->device.queues[0].notifies - before, 0, 1);
    return f->device.queues[0].notifies != before;
}
