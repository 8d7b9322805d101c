/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back end that lies, hangs, refuses or dies: what the front end makes of each, and how it
 * goes on with a successor.
 */
#include "fake_backend.h"

#include <string.h>

/* ---- lies ---- */

static void test_lies_in_the_greeting(void **state)
{
    const uint32_t requests[] = {BH_VU_GET_FEATURES,       BH_VU_GET_PROTOCOL_FEATURES,
                                 BH_VU_GET_QUEUE_NUM,      BH_VU_GET_MAX_MEM_SLOTS,
                                 BH_VU_SET_BACKEND_REQ_FD, BH_VU_SET_OWNER};

    for (unsigned i = 0; i < 6; i++) {
        bool reply = i < 4;

        for (int lie = NO_ANSWER; lie <= REFUSES; lie++) {
            int expected = BH_PROTOCOL;

            fresh(state);
            be.lie_about = requests[i];
            be.lie = (enum lie)lie;
            if (lie == NO_ANSWER) {
                expected = BH_TIMEOUT;
            } else if (lie == HANGS_UP) {
                expected = BH_GONE;
            } else if (lie == REFUSES) {
                expected = reply ? 1 : BH_DENIED;
            } else if (lie == WITH_DESCRIPTORS && !reply) {
                expected = BH_OK; /* closed, and no harm done */
            }
            if (expected == 1) {
                continue; /* a number is as good as another here */
            }
            assert_int_equal(bh_vu_frontend_init(&fe, &setup), expected);
            finish();
        }
    }
}

static void test_no_queues(void **state)
{
    (void)state;
    be.queue_num = 0;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_PROTOCOL);
    finish();
    fresh(state);
    be.queue_num = UINT64_MAX;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_OK);
    assert_int_equal(fe.queue_count, BH_VU_FRONTEND_QUEUES_MAX);
    finish();
}

/* After an answer that makes no sense nothing is sent any more. */
static void test_broken_is_broken(void **state)
{
    struct bh_transport *transport = begin();
    uint64_t features = 0;
    uint32_t count;

    (void)state;
    be.lie_about = BH_VU_GET_FEATURES;
    be.lie = OTHER_REQUEST;
    assert_int_equal(transport->ops->features_get(transport, &features), BH_PROTOCOL);
    be.lie = HONEST;
    count = be.count;
    assert_int_equal(transport->ops->features_get(transport, &features), BH_GONE);
    assert_int_equal(transport->ops->status_set(transport, 1), BH_GONE);
    assert_int_equal(be.count, count);
    finish();
}

/* A refusal is an answer: the connection goes on. */
static void test_refused_is_not_broken(void **state)
{
    struct bh_transport *transport = begin();
    uint64_t agreed = 0;

    (void)state;
    be.lie_about = BH_VU_SET_FEATURES;
    be.lie = REFUSES;
    assert_int_equal(bh_transport_begin(transport, 0, 0, &agreed), BH_DENIED);
    be.lie = HONEST;
    assert_int_equal(bh_transport_begin(transport, 0, 0, &agreed), BH_OK);
    finish();
}

static void test_lies_about_inflight_and_base(void **state)
{
    const struct bh_queue_areas areas = {0x100000, 0x100400, 0x100800, 16};
    const enum lie lies[] = {SHORTER, LONGER, WITH_DESCRIPTORS, NOT_A_REPLY};
    uint64_t agreed = 0;
    uint32_t base = 77;

    for (unsigned i = 0; i < 4; i++) {
        fresh(state);
        (void)begin();
        assert_int_equal(bh_transport_begin(&fe.transport, 0, 0, &agreed), BH_OK);
        be.lie_about = BH_VU_GET_INFLIGHT_FD;
        be.lie = lies[i];
        assert_int_equal(fe.transport.ops->queue_start(&fe.transport, 0, &areas), BH_PROTOCOL);
        assert_int_equal(fe.inflight_fd, -1);
        finish();

        fresh(state);
        start_queues(begin(), 0);
        be.lie_about = BH_VU_GET_VRING_BASE;
        be.lie = lies[i];
        assert_int_equal(bh_vu_frontend_queue_stop(&fe, 0, &base), BH_PROTOCOL);
        assert_int_equal(base, 77);
        finish();
    }
}

static void test_lies_about_config(void **state)
{
    struct bh_transport *transport = begin();
    uint8_t bytes[4] = {9, 9, 9, 9};

    (void)state;
    be.lie_about = BH_VU_GET_CONFIG;
    be.lie = SHORTER;
    assert_int_equal(transport->ops->config_read(transport, 0, bytes, 4), BH_INVALID);
    be.lie = WITH_DESCRIPTORS;
    assert_int_equal(bytes[0], 9);
    assert_int_equal(transport->ops->config_read(transport, 0, bytes, 4), BH_OK);
    assert_int_equal(bytes[0], 0);
    finish();
}

static void test_refused_setups(void **state)
{
    (void)state;
    setup.queue_count = 0;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_INVALID);
    setup.queue_count = BH_VU_FRONTEND_QUEUES_MAX + 1;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_INVALID);
    setup.queue_count = 1;
    setup.share_count = 0;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_INVALID);
    setup.share_count = 1;
    setup.protocol_features = 2;
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_INVALID);
    assert_int_equal(be.count, 0);
}

/* ---- a successor ---- */

static void test_resume(void **state)
{
    const uint32_t expected[] = {BH_VU_GET_FEATURES,
                                 BH_VU_GET_PROTOCOL_FEATURES,
                                 BH_VU_SET_PROTOCOL_FEATURES,
                                 BH_VU_GET_QUEUE_NUM,
                                 BH_VU_GET_MAX_MEM_SLOTS,
                                 BH_VU_SET_BACKEND_REQ_FD,
                                 BH_VU_SET_OWNER,
                                 BH_VU_SET_FEATURES,
                                 BH_VU_ADD_MEM_REG,
                                 BH_VU_ADD_MEM_REG,
                                 BH_VU_SET_STATUS,
                                 BH_VU_SET_INFLIGHT_FD,
                                 BH_VU_SET_VRING_NUM,
                                 BH_VU_SET_VRING_BASE,
                                 BH_VU_SET_VRING_ADDR,
                                 BH_VU_SET_VRING_CALL,
                                 BH_VU_SET_VRING_ERR,
                                 BH_VU_SET_VRING_KICK,
                                 BH_VU_SET_VRING_ENABLE,
                                 BH_VU_SET_VRING_NUM};
    const uint32_t bases[] = {7, 9, 11, 13};
    struct bh_transport *transport = begin();
    uint64_t features = 0;
    int32_t inflight;

    (void)state;
    start_queues(transport, BH_F_EVENT_IDX);
    inflight = fe.inflight_fd;
    be.lie_about = BH_VU_GET_FEATURES;
    be.lie = HANGS_UP;
    assert_int_equal(transport->ops->features_get(transport, &features), BH_GONE);
    be.lie = HONEST;
    be.count = 0;
    be.status = 0;
    memset(be.signalled, 0, sizeof(be.signalled));
    assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_OK);
    for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(be.sent[i].header.request, expected[i]);
    }
    assert_true(be.sent[7].payload.u64 ==
                (BH_F_VERSION_1 | BH_F_EVENT_IDX | BH_VU_F_PROTOCOL_FEATURES));
    assert_int_equal(be.sent[10].payload.u64, 11); /* DRIVER_OK comes last */
    assert_int_equal(be.sent[11].fds[0], inflight);
    assert_int_equal(be.sent[13].payload.state.number, 7);
    assert_int_equal(sent(BH_VU_SET_VRING_BASE)->payload.state.number, 9);
    assert_int_equal(be.sent[be.count - 1].header.request, BH_VU_SET_STATUS);
    assert_int_equal(be.status, 15);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(be.signalled[fe.queues[i].kick]);
        assert_true(be.signalled[fe.queues[i].call]);
    }
    finish();
}

static void test_resume_with_less(void **state)
{
    const uint32_t bases[] = {0, 0, 0, 0};

    for (unsigned i = 0; i < 3; i++) {
        fresh(state);
        start_queues(begin(), BH_F_EVENT_IDX);
        if (i == 0) {
            be.features &= ~BH_F_EVENT_IDX;
        } else if (i == 1) {
            be.protocol_features &= ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
        } else {
            be.queue_num = 3;
        }
        assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_UNSUPPORTED);
        /* The one after it can do everything again. */
        be.features |= BH_F_EVENT_IDX;
        be.protocol_features |= BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
        be.queue_num = 4;
        be.count = 0;
        assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_OK);
        assert_true(fe.queues[0].started && fe.queues[1].started);
        finish();
    }
}

/* The successor dies in the middle of it: the next one is told everything, too. */
static void test_resume_twice(void **state)
{
    const uint32_t bases[] = {5, 6, 0, 0};

    (void)state;
    start_queues(begin(), 0);
    be.count = 0;
    be.lie_about = BH_VU_SET_VRING_KICK;
    be.lie = HANGS_UP;
    assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_GONE);
    be.lie = HONEST;
    be.count = 0;
    assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_OK);
    assert_int_equal(sent(BH_VU_SET_VRING_BASE)->payload.state.number, 6);
    assert_true(fe.queues[0].started && fe.queues[1].started);
    assert_int_equal(be.status, 15);
    finish();
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lies_in_the_greeting),
        TEST(test_no_queues),
        TEST(test_broken_is_broken),
        TEST(test_refused_is_not_broken),
        TEST(test_lies_about_inflight_and_base),
        TEST(test_lies_about_config),
        TEST(test_refused_setups),
        TEST(test_resume),
        TEST(test_resume_with_less),
        TEST(test_resume_twice),
    };

    return cmocka_run_group_tests_name("driver_vhost_user_hostile", tests, NULL, NULL);
}
