/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of what the vhost-user front end says, and in which order, to back ends with more and fewer features; and
 * of how it serves the back end's own requests. Lies are in test_driver_vhost_user_hostile.c.
 */
#include "fake_backend.h"

#include <string.h>

/* ---- what is said ---- */

static void test_greeting(void **state)
{
    const uint32_t expected[] = {
        BH_VU_GET_FEATURES,  BH_VU_GET_PROTOCOL_FEATURES, BH_VU_SET_PROTOCOL_FEATURES,
        BH_VU_GET_QUEUE_NUM, BH_VU_GET_MAX_MEM_SLOTS,     BH_VU_SET_BACKEND_REQ_FD,
        BH_VU_SET_OWNER};
    struct bh_transport *transport;
    uint64_t features = 0;
    uint16_t size = 0;

    (void)state;
    transport = begin();
    assert_sent(0, expected, 7);
    assert_true(be.sent[2].payload.u64 == BH_VU_FRONTEND_PROTOCOL);
    assert_int_equal(be.sent[2].header.flags, BH_VU_VERSION); /* not acknowledged */
    assert_int_equal(be.sent[6].header.flags, BH_VU_VERSION | BH_VU_NEED_REPLY);
    assert_int_equal(be.sent[5].fd_count, 1);
    assert_int_equal(transport->ops->features_get(transport, &features), BH_OK);
    assert_true(features == RING_FEATURES);
    assert_int_equal(transport->ops->queue_size_max(transport, 3, &size), BH_OK);
    assert_int_equal(size, 256);
    assert_int_equal(transport->ops->queue_size_max(transport, 4, &size), BH_OK);
    assert_int_equal(size, 0);
    finish();
}

/* A back end of the first days: no protocol features, no acknowledgements, no enabling. */
static void test_plain_backend(void **state)
{
    const uint32_t greeting[] = {BH_VU_GET_FEATURES, BH_VU_SET_OWNER};
    const uint32_t life[] = {BH_VU_GET_FEATURES,   BH_VU_SET_FEATURES,   BH_VU_SET_MEM_TABLE,
                             BH_VU_SET_VRING_NUM,  BH_VU_SET_VRING_BASE, BH_VU_SET_VRING_ADDR,
                             BH_VU_SET_VRING_CALL, BH_VU_SET_VRING_ERR,  BH_VU_SET_VRING_KICK,
                             BH_VU_GET_VRING_BASE};
    const struct bh_queue_areas areas = {0x100000, 0x100400, 0x100800, 16};
    struct bh_transport *transport;
    uint64_t agreed = 0;
    uint32_t config = 0;

    (void)state;
    be.features = BH_F_VERSION_1;
    transport = begin();
    assert_sent(0, greeting, 2);
    assert_int_equal(fe.queue_count, 1);
    assert_int_equal(bh_transport_begin(transport, 0, 0, &agreed), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(bh_transport_ready(transport), BH_OK);
    assert_int_equal(transport->ops->config_read(transport, 0, &config, 4), BH_UNSUPPORTED);
    assert_int_equal(transport->ops->config_write(transport, 0, &config, 4), BH_UNSUPPORTED);
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_sent(2, life, 10);
    for (uint32_t i = 0; i < be.count; i++) {
        assert_int_equal(be.sent[i].header.flags, BH_VU_VERSION);
    }
    assert_true(sent(BH_VU_SET_FEATURES)->payload.u64 == BH_F_VERSION_1);
    finish();
}

static void test_memory_table(void **state)
{
    const struct bh_vu_message *table;
    uint64_t agreed = 0;

    (void)state;
    setup.protocol_features &= ~BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
    setup.share_count = 8;
    (void)begin();
    assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_OK);
    table = sent(BH_VU_SET_MEM_TABLE);
    assert_int_equal(table->header.size, 8 + 8 * 32);
    assert_int_equal(table->payload.table.count, 8);
    assert_int_equal(table->fd_count, 8);
    for (unsigned i = 0; i < 8; i++) {
        const struct bh_vu_region *region = &table->payload.table.regions[i];

        assert_true(region->guest_address == shares[i].guest_address);
        assert_true(region->user_address == shares[i].guest_address);
        assert_true(region->size == shares[i].size);
        assert_true(region->mmap_offset == shares[i].offset);
        assert_int_equal(table->fds[i], shares[i].fd);
    }
    finish();

    fresh(state);
    setup.protocol_features &= ~BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
    setup.share_count = 9;
    (void)begin();
    assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_LIMIT);
    finish();
}

static void test_memory_slots(void **state)
{
    uint64_t agreed = 0;
    uint32_t slots = 0;

    (void)state;
    setup.share_count = 9;
    (void)begin();
    assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_OK);
    for (uint32_t i = 0; i < be.count; i++) {
        if (be.sent[i].header.request == BH_VU_ADD_MEM_REG) {
            assert_int_equal(be.sent[i].header.size, 40);
            assert_true(be.sent[i].payload.region.region.guest_address ==
                        shares[slots].guest_address);
            assert_int_equal(be.sent[i].fds[0], shares[slots].fd);
            slots++;
        }
    }
    assert_int_equal(slots, 9);
    /* The next life of the device finds the memory there. */
    be.count = 0;
    assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_OK);
    for (uint32_t i = 0; i < be.count; i++) {
        assert_int_not_equal(be.sent[i].header.request, BH_VU_ADD_MEM_REG);
    }
    finish();

    fresh(state);
    be.slots = 1;
    (void)begin();
    assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_LIMIT);
    finish();
}

static void test_queue_start(void **state)
{
    const uint32_t expected[] = {
        BH_VU_GET_INFLIGHT_FD, BH_VU_SET_INFLIGHT_FD, BH_VU_SET_VRING_NUM,
        BH_VU_SET_VRING_BASE,  BH_VU_SET_VRING_ADDR,  BH_VU_SET_VRING_CALL,
        BH_VU_SET_VRING_ERR,   BH_VU_SET_VRING_KICK,  BH_VU_SET_VRING_ENABLE};
    const uint64_t formats[] = {0, BH_F_RING_PACKED};
    const uint32_t bases[] = {0, 0x80008000};

    for (unsigned i = 0; i < 2; i++) {
        struct bh_queue_areas areas = {0x100000, 0x100400, 0x100800, 16};
        const struct bh_vu_vring_address *address;
        uint64_t agreed = 0;

        fresh(state);
        (void)begin();
        assert_int_equal(bh_transport_begin(&fe.transport, formats[i], 0, &agreed), BH_OK);
        assert_true(agreed == (BH_F_VERSION_1 | formats[i]));
        assert_true(sent(BH_VU_SET_FEATURES)->payload.u64 == (agreed | BH_VU_F_PROTOCOL_FEATURES));
        be.count = 0;
        assert_int_equal(fe.transport.ops->queue_start(&fe.transport, 2, &areas), BH_OK);
        assert_sent(0, expected, 9);
        assert_int_equal(be.sent[0].payload.inflight.queue_count, 4);
        assert_int_equal(be.sent[0].payload.inflight.queue_size, 256);
        assert_int_equal(be.sent[1].payload.inflight.mmap_size, 4096);
        assert_int_equal(be.sent[1].fds[0], fe.inflight_fd);
        assert_int_equal(be.sent[2].payload.state.number, 16);
        assert_true(be.sent[3].payload.state.number == bases[i]);
        address = &be.sent[4].payload.address;
        assert_int_equal(address->index, 2);
        assert_int_equal(address->descriptor, 0x100000);
        assert_int_equal(address->available, 0x100400);
        assert_int_equal(address->used, 0x100800);
        assert_int_equal(be.sent[5].fds[0], fe.queues[2].call);
        assert_int_equal(be.sent[6].fds[0], fe.queues[2].error);
        assert_int_equal(be.sent[7].fds[0], fe.queues[2].kick);
        assert_int_equal(be.sent[8].payload.state.number, 1);
        for (unsigned n = 5; n < 8; n++) {
            assert_int_equal(be.sent[n].payload.u64, 2);
        }
        assert_int_equal(fe.transport.ops->queue_start(&fe.transport, 2, &areas), BH_STATE);
        assert_int_equal(fe.transport.ops->queue_start(&fe.transport, 4, &areas), BH_LIMIT);
        areas.size = 257;
        assert_int_equal(fe.transport.ops->queue_start(&fe.transport, 1, &areas), BH_LIMIT);
        finish();
    }
}

static void test_stop_and_reset(void **state)
{
    const uint32_t stopping[] = {BH_VU_GET_VRING_BASE, BH_VU_SET_VRING_ENABLE};
    const uint32_t resetting[] = {
        BH_VU_GET_VRING_BASE, BH_VU_SET_VRING_ENABLE, BH_VU_GET_VRING_BASE, BH_VU_SET_VRING_ENABLE,
        BH_VU_RESET_DEVICE,   BH_VU_SET_STATUS,       BH_VU_GET_STATUS};
    struct bh_transport *transport = begin();
    uint32_t base = 0;

    (void)state;
    start_queues(transport, 0);
    be.count = 0;
    be.base = 0x1234;
    assert_int_equal(bh_vu_frontend_queue_stop(&fe, 1, &base), BH_OK);
    assert_int_equal(base, 0x1234);
    assert_sent(0, stopping, 2);
    assert_int_equal(be.sent[1].payload.state.number, 0);
    assert_int_equal(bh_vu_frontend_queue_stop(&fe, 1, &base), BH_STATE);
    assert_int_equal(bh_vu_frontend_queue_stop(&fe, 4, &base), BH_INVALID);
    assert_int_equal(transport->ops->notify(transport, 1, 0, false), BH_STATE);
    assert_int_equal(bh_vu_frontend_queue_go(&fe, 1, base), BH_OK);
    assert_int_equal(sent(BH_VU_SET_VRING_BASE)->payload.state.number, 0x1234);
    assert_int_equal(bh_vu_frontend_queue_go(&fe, 3, 0), BH_INVALID); /* it never was */
    be.count = 0;
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_sent(0, resetting, 7);
    be.count = 0;
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_int_equal(be.count, 0);
    assert_int_equal(fe.inflight_fd, -1);
    start_queues(transport, 0);
    finish();
}

static void test_ring_reset(void **state)
{
    struct bh_transport *transport = begin();

    (void)state;
    start_queues(transport, 0);
    assert_int_equal(transport->ops->queue_reset(transport, 0), BH_UNSUPPORTED);
    start_queues(transport, BH_F_RING_RESET);
    be.count = 0;
    assert_int_equal(transport->ops->queue_reset(transport, 0), BH_OK);
    assert_int_equal(be.sent[0].header.request, BH_VU_GET_VRING_BASE);
    finish();
}

static void test_status(void **state)
{
    struct bh_transport *transport = begin();
    uint8_t status = 0;

    (void)state;
    assert_int_equal(transport->ops->status_set(transport, 3), BH_OK);
    assert_int_equal(be.status, 3);
    be.status = 0x43;
    assert_int_equal(transport->ops->status_get(transport, &status), BH_OK);
    assert_int_equal(status, 0x43);
    be.status = 0x103;
    assert_int_equal(transport->ops->status_get(transport, &status), BH_PROTOCOL);
    finish();
}

static void test_config(void **state)
{
    struct bh_transport *transport = begin();
    uint8_t bytes[8] = {0};
    uint8_t config[257] = {0};

    (void)state;
    for (unsigned i = 0; i < sizeof(be.config); i++) {
        be.config[i] = (uint8_t)(i + 1);
    }
    assert_int_equal(transport->ops->config_read(transport, 12, bytes, 4), BH_OK);
    assert_memory_equal(bytes, &be.config[12], 4);
    assert_int_equal(bytes[4], 0);
    assert_int_equal(sent(BH_VU_GET_CONFIG)->payload.config.offset, 0);
    assert_int_equal(sent(BH_VU_GET_CONFIG)->payload.config.size, 16);
    assert_int_equal(sent(BH_VU_GET_CONFIG)->header.size, 28);
    assert_int_equal(transport->ops->config_read(transport, 58, bytes, 4), BH_INVALID);
    assert_int_equal(transport->ops->config_write(transport, 32, "x", 1), BH_OK);
    assert_int_equal(sent(BH_VU_SET_CONFIG)->payload.config.offset, 32);
    assert_int_equal(sent(BH_VU_SET_CONFIG)->payload.config.size, 1);
    assert_int_equal(sent(BH_VU_SET_CONFIG)->header.size, 13);
    assert_int_equal(sent(BH_VU_SET_CONFIG)->payload.config.data[0], 'x');
    be.count = 0;
    assert_int_equal(transport->ops->config_read(transport, 0, config, 257), BH_INVALID);
    assert_int_equal(transport->ops->config_read(transport, 256, config, 1), BH_INVALID);
    assert_int_equal(transport->ops->config_read(transport, UINT32_MAX, config, 2), BH_INVALID);
    assert_int_equal(transport->ops->config_read(transport, 0, config, 0), BH_INVALID);
    assert_int_equal(transport->ops->config_write(transport, 1, config, 256), BH_INVALID);
    assert_int_equal(be.count, 0);
    finish();
}

static void test_events(void **state)
{
    struct bh_transport *transport = begin();
    uint32_t pending = 99;
    uint8_t status = 0;

    (void)state;
    start_queues(transport, 0);
    assert_int_equal(transport->ops->notify(transport, 1, 0, false), BH_OK);
    assert_true(be.signalled[fe.queues[1].kick]);
    assert_false(be.signalled[fe.queues[0].kick]);
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, 0);
    be.signalled[fe.queues[1].call] = true;
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, BH_MMIO_INT_USED);
    be.signalled[fe.queues[0].error] = true;
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, BH_MMIO_INT_CONFIG);
    assert_int_equal(transport->ops->status_get(transport, &status), BH_OK);
    assert_int_equal(status, 15 | BH_STATUS_NEEDS_RESET);
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_int_equal(transport->ops->status_get(transport, &status), BH_OK);
    assert_int_equal(status, 0);
    finish();
}

/* ---- the back end's own requests ---- */

static void test_config_change(void **state)
{
    struct bh_transport *transport = begin();
    uint32_t before = 0;
    uint32_t after = 0;
    uint32_t pending = 0;

    (void)state;
    assert_int_equal(transport->ops->generation(transport, &before), BH_OK);
    be.interruptions = 1;
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, BH_MMIO_INT_CONFIG);
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, 0);
    assert_int_equal(transport->ops->generation(transport, &after), BH_OK);
    assert_int_equal(after, before + 1);
    assert_int_equal(be.replies, 0);
    be.interruptions = 1;
    be.interrupts_need_reply = true;
    assert_int_equal(transport->ops->generation(transport, &after), BH_OK);
    assert_int_equal(after, before + 2);
    assert_int_equal(be.replies, 1);
    assert_true(be.last_reply == 0);
    finish();
}

/* It may ask while it owes an answer, and wait for ours first: both get theirs. */
static void test_request_during_answer(void **state)
{
    struct bh_transport *transport = begin();
    uint64_t features = 0;

    (void)state;
    be.interruptions = 3;
    be.interrupts_need_reply = true;
    be.interrupt_request = 99; /* nothing that we know: refused, and not waited for */
    assert_int_equal(transport->ops->features_get(transport, &features), BH_OK);
    assert_int_equal(be.replies, 3);
    assert_true(be.last_reply == 1);
    assert_int_equal(fe.generation, 0);
    finish();
}

static void test_requests_without_end(void **state)
{
    struct bh_transport *transport = begin();
    uint64_t features = 0;

    (void)state;
    be.interruptions = 300; /* of 16 times 16 that are listened to */
    assert_int_equal(transport->ops->features_get(transport, &features), BH_TIMEOUT);
    assert_int_equal(be.interruptions, 300 - 256);
    assert_int_equal(transport->ops->features_get(transport, &features), BH_GONE);
    finish();
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_greeting),
        TEST(test_plain_backend),
        TEST(test_memory_table),
        TEST(test_memory_slots),
        TEST(test_queue_start),
        TEST(test_stop_and_reset),
        TEST(test_ring_reset),
        TEST(test_status),
        TEST(test_config),
        TEST(test_events),
        TEST(test_config_change),
        TEST(test_request_during_answer),
        TEST(test_requests_without_end),
    };

    return cmocka_run_group_tests_name("driver_vhost_user", tests, NULL, NULL);
}
