/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end that is played; see fake_backend.h. */
#include "fake_backend.h"

#include <string.h>

struct backend be;
struct bh_vu_frontend fe;
struct bh_vu_share shares[SHARES];
struct bh_vu_frontend_setup setup;

static int32_t new_fd(void)
{
    be.next_fd++;
    assert_true(be.next_fd < FDS_MAX);
    be.open[be.next_fd] = true;
    return be.next_fd;
}

static unsigned open_fds(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < FDS_MAX; i++) {
        count += be.open[i] ? 1 : 0;
    }
    return count;
}

/* ---- the back end's answers ---- */

static void set_u64(struct bh_vu_message *answer, uint64_t value)
{
    answer->header.size = 8;
    answer->payload.u64 = value;
}

/* An honest answer; false: the request has none. */
static bool answer_to(const struct bh_vu_message *request, struct bh_vu_message *answer)
{
    switch (request->header.request) {
    case BH_VU_GET_FEATURES:
        set_u64(answer, be.features);
        return true;
    case BH_VU_GET_PROTOCOL_FEATURES:
        set_u64(answer, be.protocol_features);
        return true;
    case BH_VU_GET_QUEUE_NUM:
        set_u64(answer, be.queue_num);
        return true;
    case BH_VU_GET_MAX_MEM_SLOTS:
        set_u64(answer, be.slots);
        return true;
    case BH_VU_GET_STATUS:
        set_u64(answer, be.status);
        return true;
    case BH_VU_SET_STATUS:
        be.status = request->payload.u64;
        break;
    case BH_VU_GET_VRING_BASE:
        answer->header.size = sizeof(answer->payload.state);
        answer->payload.state.index = request->payload.state.index;
        answer->payload.state.number = be.base;
        return true;
    case BH_VU_GET_CONFIG:
        if (request->payload.config.size > be.config_size) {
            answer->header.size = 0;
        } else {
            answer->header.size = request->header.size;
            answer->payload.config = request->payload.config;
            memcpy(answer->payload.config.data, be.config, request->payload.config.size);
        }
        return true;
    case BH_VU_GET_INFLIGHT_FD:
        answer->header.size = sizeof(answer->payload.inflight);
        answer->payload.inflight = request->payload.inflight;
        answer->payload.inflight.mmap_size = 4096;
        answer->fds[0] = new_fd();
        answer->fd_count = 1;
        return true;
    default:
        break;
    }
    if ((request->header.flags & BH_VU_NEED_REPLY) != 0) {
        set_u64(answer, 0);
        return true;
    }
    return false;
}

static void twist(struct bh_vu_message *answer)
{
    switch (be.lie) {
    case OTHER_REQUEST:
        answer->header.request++;
        break;
    case NOT_A_REPLY:
        answer->header.flags &= ~BH_VU_REPLY;
        break;
    case OTHER_VERSION:
        answer->header.flags ^= 3;
        break;
    case SHORTER:
        answer->header.size--;
        break;
    case LONGER:
        answer->header.size++;
        break;
    case WITH_DESCRIPTORS:
        while (answer->fd_count < 3) {
            answer->fds[answer->fd_count] = new_fd();
            answer->fd_count++;
        }
        break;
    case REFUSES:
        answer->payload.u64 = 1;
        break;
    default:
        break;
    }
}

static int play_send(void *context, enum bh_vu_line line, const struct bh_vu_message *message)
{
    assert_ptr_equal(context, &be);
    for (uint32_t i = 0; i < message->fd_count; i++) {
        assert_true(be.open[message->fds[i]]);
    }
    if (line == BH_VU_LINE_BACKEND) {
        assert_int_equal(message->header.flags, BH_VU_VERSION | BH_VU_REPLY);
        be.replies++;
        be.last_reply = message->payload.u64;
        return BH_OK;
    }
    assert_true(be.count < SENT_MAX);
    assert_false(be.answer_ready); /* one request at a time */
    assert_int_equal(message->header.flags & ~BH_VU_NEED_REPLY, BH_VU_VERSION);
    be.sent[be.count] = *message;
    be.count++;
    memset(&be.answer, 0, sizeof(be.answer));
    be.answer.header.request = message->header.request;
    be.answer.header.flags = BH_VU_VERSION | BH_VU_REPLY;
    be.answer_ready = answer_to(message, &be.answer);
    if (be.lie_about == message->header.request) {
        twist(&be.answer);
    }
    return BH_OK;
}

static int play_receive(void *context, enum bh_vu_line line, struct bh_vu_message *message)
{
    assert_ptr_equal(context, &be);
    memset(message, 0, sizeof(*message));
    if (line == BH_VU_LINE_BACKEND) {
        assert_true(be.line_open);
        if (be.interruptions == 0) {
            return BH_AGAIN;
        }
        be.interruptions--;
        message->header.request = be.interrupt_request;
        message->header.flags = BH_VU_VERSION | (be.interrupts_need_reply ? BH_VU_NEED_REPLY : 0u);
        message->fds[0] = new_fd();
        message->fd_count = 1;
        return BH_OK;
    }
    if (be.line_open && be.interruptions != 0) {
        return BH_AGAIN;
    }
    assert_true(be.answer_ready); /* nobody waits for an answer that cannot come */
    be.answer_ready = false;
    if (be.lie_about == be.answer.header.request && be.lie == NO_ANSWER) {
        return BH_TIMEOUT;
    }
    if (be.lie_about == be.answer.header.request && be.lie == HANGS_UP) {
        return BH_GONE;
    }
    *message = be.answer;
    return BH_OK;
}

static int play_backend_open(void *context, int32_t *fd)
{
    assert_ptr_equal(context, &be);
    be.line_open = true;
    *fd = new_fd();
    return BH_OK;
}

static int play_event_create(void *context, int32_t *fd)
{
    assert_ptr_equal(context, &be);
    *fd = new_fd();
    return BH_OK;
}

static int play_event_signal(void *context, int32_t fd)
{
    assert_ptr_equal(context, &be);
    assert_true(be.open[fd]);
    be.signalled[fd] = true;
    return BH_OK;
}

static int play_event_consume(void *context, int32_t fd, bool *signalled)
{
    assert_ptr_equal(context, &be);
    assert_true(be.open[fd]);
    *signalled = be.signalled[fd];
    be.signalled[fd] = false;
    return BH_OK;
}

static void play_close(void *context, int32_t fd)
{
    assert_ptr_equal(context, &be);
    assert_true(fd > 0 && fd < FDS_MAX);
    assert_true(be.open[fd]);
    be.open[fd] = false;
}

static const struct bh_vu_channel channel = {
    .send = play_send,
    .receive = play_receive,
    .backend_open = play_backend_open,
    .event_create = play_event_create,
    .event_signal = play_event_signal,
    .event_consume = play_event_consume,
    .close = play_close,
};

/* ---- the fixture ---- */

int fresh(void **state)
{
    (void)state;
    memset(&be, 0, sizeof(be));
    be.features = RING_FEATURES | BH_F_ACCESS_PLATFORM | BH_F_NOTIFICATION_DATA |
                  BH_VU_F_PROTOCOL_FEATURES | BH_VU_F_LOG_ALL;
    be.protocol_features = BH_VU_FRONTEND_PROTOCOL | UINT64_C(0x40000);
    be.queue_num = 4;
    be.slots = 32;
    be.config_size = 60;
    be.interrupt_request = BH_VU_BACKEND_CONFIG_CHANGE;
    for (unsigned i = 0; i < SHARES; i++) {
        shares[i] = (struct bh_vu_share){.guest_address = 0x100000u * (i + 1u),
                                         .size = 0x1000,
                                         .offset = 0x2000u * i,
                                         .fd = new_fd()};
    }
    setup = (struct bh_vu_frontend_setup){
        .channel = &channel,
        .context = &be,
        .shares = shares,
        .share_count = 2,
        .device_id = BH_ID_BLK,
        .queue_count = 1,
        .queue_size_max = 256,
        .protocol_features = BH_VU_FRONTEND_PROTOCOL,
    };
    return 0;
}

struct bh_transport *begin(void)
{
    assert_int_equal(bh_vu_frontend_init(&fe, &setup), BH_OK);
    return &fe.transport;
}

void start_queues(struct bh_transport *transport, uint64_t features)
{
    const struct bh_queue_areas areas = {0x100000, 0x100400, 0x100800, 16};
    uint64_t agreed = 0;

    assert_int_equal(bh_transport_begin(transport, features, 0, &agreed), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 0, &areas), BH_OK);
    assert_int_equal(transport->ops->queue_start(transport, 1, &areas), BH_OK);
    assert_int_equal(bh_transport_ready(transport), BH_OK);
}

void finish(void)
{
    bh_vu_frontend_finish(&fe);
    assert_int_equal(open_fds(), SHARES);
}

void assert_sent(uint32_t from, const uint32_t *requests, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_true(from + i < be.count);
        assert_int_equal(be.sent[from + i].header.request, requests[i]);
    }
    assert_int_equal(be.count, from + count);
}

const struct bh_vu_message *sent(uint32_t request)
{
    for (uint32_t i = be.count; i > 0; i--) {
        if (be.sent[i - 1].header.request == request) {
            return &be.sent[i - 1];
        }
    }
    fail_msg("request %u was not sent", request);
    return NULL;
}
