/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the owner of a vhost-user front end brings along: events that pass straight through, the
 * in-flight region; what he learns of a back end that asks for too much; and where the rings of one
 * that died stand.
 */
#include "fake_backend.h"

#include <string.h>

#include "bulkhead/virtio.h"

static const struct bh_queue_areas areas = {0x100000, 0x100400, 0x100800, 16};

/* Somebody's descriptor. */
static int32_t lent_fd(void)
{
    be.next_fd++;
    be.open[be.next_fd] = true;
    return be.next_fd;
}

static void agree(struct bh_transport *transport)
{
    uint64_t agreed = 0;

    assert_int_equal(bh_transport_begin(transport, 0, 0, &agreed), BH_OK);
}

/* The last message of that kind is about queue `index` and carries `fd`; -1: none. */
static void assert_event(uint32_t request, uint64_t index, int32_t fd)
{
    const struct bh_vu_message *message = sent(request);

    if (fd < 0) {
        assert_int_equal(message->payload.u64, index | BH_VU_VRING_NO_FD);
        assert_int_equal(message->fd_count, 0);
    } else {
        assert_int_equal(message->payload.u64, index);
        assert_int_equal(message->fd_count, 1);
        assert_int_equal(message->fds[0], fd);
    }
}

/* ---- events ---- */

static void test_events_pass_through(void **state)
{
    struct bh_transport *transport = begin();
    int32_t kick = lent_fd();
    int32_t call = lent_fd();
    uint32_t pending = 0;
    uint32_t base = 0;

    (void)state;
    agree(transport);
    be.signalled[kick] = true;
    be.signalled[call] = true;
    assert_int_equal(bh_vu_frontend_events(&fe, 0, kick, call, -1), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_event(BH_VU_SET_VRING_KICK, 0, kick);
    assert_event(BH_VU_SET_VRING_CALL, 0, call);
    assert_event(BH_VU_SET_VRING_ERR, 0, -1);
    /* What was signalled is for those at the two ends. */
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, 0);
    assert_true(be.signalled[kick] && be.signalled[call]);
    assert_int_equal(bh_vu_frontend_queue_stop(&fe, 0, &base), BH_OK);
    assert_int_equal(bh_vu_frontend_queue_go(&fe, 0, base), BH_OK);
    assert_true(be.signalled[kick] && be.signalled[call]);
    bh_vu_frontend_finish(&fe);
    assert_true(be.open[kick] && be.open[call]);
}

static void test_events_are_exchanged_while_running(void **state)
{
    struct bh_transport *transport = begin();
    int32_t kick = lent_fd();
    int32_t call = lent_fd();
    int32_t other = lent_fd();
    const uint32_t one[] = {BH_VU_SET_VRING_CALL};
    const uint32_t three[] = {BH_VU_SET_VRING_CALL, BH_VU_SET_VRING_ERR, BH_VU_SET_VRING_KICK};
    uint32_t count;

    (void)state;
    agree(transport);
    assert_int_equal(bh_vu_frontend_events(&fe, 1, kick, call, call), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 1, &areas), BH_OK);
    count = be.count;
    assert_int_equal(bh_vu_frontend_events(&fe, 1, kick, call, call), BH_OK);
    assert_int_equal(be.count, count); /* nothing new, nothing said */
    assert_int_equal(bh_vu_frontend_events(&fe, 1, kick, other, call), BH_OK);
    assert_sent(count, one, 1);
    assert_event(BH_VU_SET_VRING_CALL, 1, other);
    count = be.count;
    assert_int_equal(bh_vu_frontend_events(&fe, 1, other, -1, other), BH_OK);
    assert_sent(count, three, 3);
    assert_event(BH_VU_SET_VRING_CALL, 1, -1);
    assert_event(BH_VU_SET_VRING_KICK, 1, other);
    be.lie = REFUSES;
    be.lie_about = BH_VU_SET_VRING_CALL;
    assert_int_equal(bh_vu_frontend_events(&fe, 1, other, call, other), BH_DENIED);
    assert_int_equal(bh_vu_frontend_events(&fe, 1, -1, call, other), BH_INVALID);
    assert_int_equal(bh_vu_frontend_events(&fe, 4, kick, call, other), BH_INVALID);
    bh_vu_frontend_finish(&fe);
    assert_true(be.open[kick] && be.open[call] && be.open[other]);
}

/* The front end's own events are closed when others are lent. */
static void test_own_events_are_closed(void **state)
{
    struct bh_transport *transport = begin();
    int32_t kick = lent_fd();
    uint32_t base = 0;
    int32_t own;

    (void)state;
    agree(transport);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    own = fe.queues[0].kick;
    assert_int_equal(bh_vu_frontend_queue_stop(&fe, 0, &base), BH_OK);
    assert_int_equal(bh_vu_frontend_events(&fe, 0, kick, -1, -1), BH_OK);
    assert_false(be.open[own]);
    be.open[kick] = false;
    fe.queues[0].kick = -1;
    finish();
}

static void test_resume_with_lent_events(void **state)
{
    struct bh_transport *transport = begin();
    int32_t kick = lent_fd();
    const uint32_t bases[4] = {7};

    (void)state;
    agree(transport);
    assert_int_equal(bh_vu_frontend_events(&fe, 0, kick, -1, -1), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_OK);
    assert_event(BH_VU_SET_VRING_KICK, 0, kick);
    assert_true(be.signalled[kick]); /* what the dead one was told may be lost */
    assert_int_equal(sent(BH_VU_SET_VRING_BASE)->payload.state.number, 7);
    bh_vu_frontend_finish(&fe);
}

/* ---- the in-flight region ---- */

static unsigned count_sent(uint32_t request)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < be.count; i++) {
        count += be.sent[i].header.request == request ? 1u : 0u;
    }
    return count;
}

static void test_lent_region_is_told_once(void **state)
{
    const struct bh_vu_inflight region = {.mmap_size = 8192, .queue_count = 4, .queue_size = 256};
    const uint32_t bases[4] = {0};
    struct bh_transport *transport = begin();
    int32_t fd = lent_fd();

    (void)state;
    agree(transport);
    bh_vu_frontend_inflight_lend(&fe, &region, fd);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 1, &areas), BH_OK);
    assert_int_equal(count_sent(BH_VU_GET_INFLIGHT_FD), 0);
    assert_int_equal(count_sent(BH_VU_SET_INFLIGHT_FD), 1);
    assert_int_equal(sent(BH_VU_SET_INFLIGHT_FD)->fds[0], fd);
    assert_int_equal(sent(BH_VU_SET_INFLIGHT_FD)->payload.inflight.mmap_size, 8192);
    assert_int_equal(sent(BH_VU_SET_INFLIGHT_FD)->payload.inflight.queue_size, 256);
    /* Each successor is told, and each life of the driver. */
    assert_int_equal(bh_vu_frontend_resume(&fe, bases), BH_OK);
    assert_int_equal(count_sent(BH_VU_SET_INFLIGHT_FD), 2);
    fe.status = BH_STATUS_DRIVER_OK;
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_true(be.open[fd]);
    be.count = 0;
    agree(transport);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(count_sent(BH_VU_SET_INFLIGHT_FD), 1);
    bh_vu_frontend_finish(&fe);
    assert_true(be.open[fd]);
}

static void test_lent_region_instead_of_an_own_one(void **state)
{
    const struct bh_vu_inflight region = {.mmap_size = 8192, .queue_count = 4, .queue_size = 256};
    struct bh_transport *transport = begin();
    int32_t fd = lent_fd();
    int32_t own;

    (void)state;
    agree(transport);
    assert_int_equal(bh_vu_frontend_inflight_get(&fe, 16), BH_OK);
    own = fe.inflight_fd;
    bh_vu_frontend_inflight_lend(&fe, &region, fd);
    assert_false(be.open[own]);
    bh_vu_frontend_inflight_lend(&fe, &region, -1);
    assert_true(be.open[fd]);
    assert_int_equal(bh_vu_frontend_inflight_set(&fe), BH_STATE);
    be.open[fd] = false;
    finish();
}

/* A back end that keeps none is told nothing. */
static void test_back_end_without_inflight(void **state)
{
    const struct bh_vu_inflight region = {.mmap_size = 8192, .queue_count = 4, .queue_size = 256};
    struct bh_transport *transport;
    int32_t fd = lent_fd();

    (void)state;
    be.protocol_features &= ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
    transport = begin();
    agree(transport);
    bh_vu_frontend_inflight_lend(&fe, &region, fd);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(count_sent(BH_VU_SET_INFLIGHT_FD), 0);
    be.open[fd] = false;
    finish();
}

static void test_base_of_a_dead_back_end(void **state)
{
    struct bh_split_used used = {.index = 0};
    struct bh_vu_inflight_packed part;
    uint32_t base = 0;

    (void)state;
    memset(&part, 0, sizeof(part));
    used.index = 0xfffe;
    assert_int_equal(bh_vu_base_split(&used), 0xfffe);

    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_OK);
    assert_int_equal(base, 0x80008000u);
    part.version = 1;
    part.used_index = 7;
    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_OK);
    assert_int_equal(base, 0x00070007u);
    part.used_wrap = 1;
    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_OK);
    assert_int_equal(base, 0x80078007u);
    base = 1;
    part.used_index = 8;
    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_PROTOCOL);
    part.used_index = 0;
    part.used_wrap = 2;
    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_PROTOCOL);
    part.used_wrap = 0;
    part.version = 2;
    assert_int_equal(bh_vu_base_packed(&part, 8, &base), BH_PROTOCOL);
    assert_int_equal(base, 1);
}

/* ---- the back end's own requests ---- */

static void test_strange_request_is_reported(void **state)
{
    struct bh_transport *transport = begin();
    uint32_t generation = 0;

    (void)state;
    be.interruptions = 1;
    assert_int_equal(transport->ops->generation(transport, &generation), BH_OK);
    assert_int_equal(generation, 1);
    assert_false(fe.strange);
    be.interruptions = 1;
    be.interrupt_request = 9; /* SHMEM_MAP: memory mapping */
    be.interrupts_need_reply = true;
    assert_int_equal(transport->ops->generation(transport, &generation), BH_OK);
    assert_int_equal(generation, 1);
    assert_true(fe.strange);
    assert_int_equal(fe.strange_request, 9);
    assert_int_equal(be.last_reply, 1); /* refused */
    /* What the next back end does is another matter. */
    fe.queues[0].started = false;
    assert_int_equal(bh_vu_frontend_resume(&fe, (const uint32_t[4]){0}), BH_OK);
    assert_false(fe.strange);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_events_pass_through, fresh),
        cmocka_unit_test_setup(test_events_are_exchanged_while_running, fresh),
        cmocka_unit_test_setup(test_own_events_are_closed, fresh),
        cmocka_unit_test_setup(test_resume_with_lent_events, fresh),
        cmocka_unit_test_setup(test_lent_region_is_told_once, fresh),
        cmocka_unit_test_setup(test_lent_region_instead_of_an_own_one, fresh),
        cmocka_unit_test_setup(test_back_end_without_inflight, fresh),
        cmocka_unit_test_setup(test_base_of_a_dead_back_end, fresh),
        cmocka_unit_test_setup(test_strange_request_is_reported, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
