/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end, message by message: each in every state, too short, too long, with too
 * few, too many and wrong descriptors, in pieces, with a broken header. What a message does is
 * tested elsewhere.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vu_rig.h"

#define OPEN    1u
#define READY   2u
#define RUNNING 4u
#define ALL     7u
#define LATER   (READY | RUNNING)

enum kind { NO_FD, MEMORY, EVENT, SOCKET, REGION };

struct message {
    uint32_t request;
    uint32_t size;
    uint32_t states;
    uint32_t fds_min;
    uint32_t fds_max;
    enum kind kind;
    bool body;
    uint64_t needs;
};

/* What the protocol says, written down a second time. */
static const struct message messages[] = {
    {BH_VU_GET_FEATURES, 0, ALL, 0, 0, NO_FD, true, 0},
    {BH_VU_SET_FEATURES, 8, ALL, 0, 0, NO_FD, false, 0},
    {BH_VU_SET_OWNER, 0, ALL, 0, 0, NO_FD, false, 0},
    {BH_VU_RESET_OWNER, 0, ALL, 0, 0, NO_FD, false, 0},
    {BH_VU_SET_MEM_TABLE, 40, ALL, 1, 1, MEMORY, false, 0},
    {BH_VU_SET_VRING_NUM, 8, LATER, 0, 0, NO_FD, false, 0},
    {BH_VU_SET_VRING_ADDR, 40, LATER, 0, 0, NO_FD, false, 0},
    {BH_VU_SET_VRING_BASE, 8, LATER, 0, 0, NO_FD, false, 0},
    {BH_VU_GET_VRING_BASE, 8, ALL, 0, 0, NO_FD, true, 0},
    {BH_VU_SET_VRING_KICK, 8, LATER, 1, 1, EVENT, false, 0},
    {BH_VU_SET_VRING_CALL, 8, ALL, 1, 1, EVENT, false, 0},
    {BH_VU_SET_VRING_ERR, 8, ALL, 1, 1, EVENT, false, 0},
    {BH_VU_GET_PROTOCOL_FEATURES, 0, ALL, 0, 0, NO_FD, true, 0},
    {BH_VU_SET_PROTOCOL_FEATURES, 8, ALL, 0, 0, NO_FD, false, 0},
    {BH_VU_GET_QUEUE_NUM, 0, ALL, 0, 0, NO_FD, true, 0},
    {BH_VU_SET_VRING_ENABLE, 8, ALL, 0, 0, NO_FD, false, 0},
    {BH_VU_SET_BACKEND_REQ_FD, 0, ALL, 1, 1, SOCKET, false, BH_VU_PROTOCOL_F_BACKEND_REQ},
    {BH_VU_GET_CONFIG, 13, ALL, 0, 0, NO_FD, true, BH_VU_PROTOCOL_F_CONFIG},
    {BH_VU_SET_CONFIG, 13, ALL, 0, 0, NO_FD, false, BH_VU_PROTOCOL_F_CONFIG},
    {BH_VU_GET_INFLIGHT_FD, 20, LATER, 0, 0, NO_FD, true, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD},
    {BH_VU_SET_INFLIGHT_FD, 20, READY, 1, 1, MEMORY, false, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD},
    {BH_VU_RESET_DEVICE, 0, ALL, 0, 0, NO_FD, false, BH_VU_PROTOCOL_F_RESET_DEVICE},
    {BH_VU_GET_MAX_MEM_SLOTS, 0, ALL, 0, 0, NO_FD, true, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS},
    {BH_VU_ADD_MEM_REG, 40, ALL, 1, 1, REGION, false, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS},
    {BH_VU_REM_MEM_REG, 40, ALL, 0, 1, REGION, false, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS},
    {BH_VU_SET_STATUS, 8, ALL, 0, 0, NO_FD, false, BH_VU_PROTOCOL_F_STATUS},
    {BH_VU_GET_STATUS, 0, ALL, 0, 0, NO_FD, true, BH_VU_PROTOCOL_F_STATUS},
};
#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static const struct message *find(uint32_t request)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (messages[i].request == request) {
            return &messages[i];
        }
    }
    return NULL;
}

/* A payload that can be obeyed. Ring 1 is meant: it never runs here. */
static union bh_vu_payload payload_of(struct vu *vu, uint32_t request)
{
    union bh_vu_payload payload;

    memset(&payload, 0, sizeof(payload));
    switch (request) {
    case BH_VU_SET_FEATURES:
        payload.u64 = vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES;
        break;
    case BH_VU_SET_PROTOCOL_FEATURES:
        payload.u64 = VU_ALL_PROTOCOL;
        break;
    case BH_VU_SET_MEM_TABLE:
        payload.table = vu_table();
        break;
    case BH_VU_SET_VRING_NUM:
        payload.state = (struct bh_vu_vring_state){.index = 1, .number = 8};
        break;
    case BH_VU_SET_VRING_ADDR:
        payload.address = vu_address(1);
        break;
    case BH_VU_SET_VRING_BASE:
    case BH_VU_GET_VRING_BASE:
    case BH_VU_SET_VRING_ENABLE:
        payload.state.index = 1;
        break;
    case BH_VU_SET_VRING_KICK:
    case BH_VU_SET_VRING_CALL:
    case BH_VU_SET_VRING_ERR:
        payload.u64 = 1;
        break;
    case BH_VU_GET_CONFIG:
    case BH_VU_SET_CONFIG:
        payload.config.offset = ECHO_CONFIG - 1;
        payload.config.size = 1;
        break;
    case BH_VU_GET_INFLIGHT_FD:
    case BH_VU_SET_INFLIGHT_FD:
        payload.inflight.mmap_size = VU_MEMORY;
        payload.inflight.queue_count = 1;
        payload.inflight.queue_size = 8;
        break;
    case BH_VU_ADD_MEM_REG:
    case BH_VU_REM_MEM_REG:
        payload.region.region = vu_table().regions[0];
        payload.region.region.guest_address += UINT64_C(1) << 32;
        payload.region.region.user_address += UINT64_C(1) << 32;
        break;
    case BH_VU_SET_STATUS:
        payload.u64 = BH_STATUS_ACKNOWLEDGE;
        break;
    default:
        break;
    }
    return payload;
}

static int fd_of(struct vu *vu, enum kind kind)
{
    switch (kind) {
    case EVENT:
        return vu->call[1];
    case SOCKET:
        return vu->socket;
    default:
        return vu->memory;
    }
}

/* A connection in the state. */
static void reach(struct vu *vu, uint32_t state)
{
    vu_init(vu, false);
    if (state == OPEN) {
        vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL);
    } else if (state == READY) {
        vu_negotiate(vu, 0);
        vu_memory(vu);
    } else {
        vu_live(vu);
    }
    vu_expect_open(vu);
}

/* Sends a message as the table has it, but for size and number of descriptors. */
static void deliver(struct vu *vu, const struct message *message, uint32_t size, uint32_t fd_count)
{
    uint8_t bytes[600] = {0};
    union bh_vu_payload payload = payload_of(vu, message->request);
    int fds[BH_VU_FDS_MAX + 2];

    memcpy(bytes, &payload, sizeof(payload));
    for (unsigned i = 0; i < BH_VU_FDS_MAX + 2; i++) {
        fds[i] = fd_of(vu, message->kind);
    }
    if (message->request == BH_VU_REM_MEM_REG && size == message->size) {
        /* So that there is something to remove. */
        assert_int_equal(vu_ack(vu, BH_VU_ADD_MEM_REG, &payload, 40, &vu->memory, 1), 0);
    }
    (void)vu_send(vu, message->request, BH_VU_VERSION | BH_VU_NEED_REPLY, bytes, size, fds,
                  fd_count);
    vu_run(vu);
}

static void expect_answer(struct vu *vu, const struct message *message)
{
    struct vu_message reply;

    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.header.request, message->request);
    assert_int_equal(reply.header.flags, BH_VU_VERSION | BH_VU_REPLY);
    if (!message->body) {
        assert_int_equal(reply.header.size, 8);
        assert_int_equal(reply.payload.u64, 0);
    }
    for (unsigned i = 0; i < reply.fd_count; i++) {
        (void)close(reply.fds[i]);
    }
    vu_expect_open(vu);
}

/* Every request number there could be, in every state. [BH-DEV-26] */
static void test_vu_every_message_in_every_state(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));
    unsigned before = vu_count_fds();

    (void)state;
    assert_non_null(vu);
    for (uint32_t where = OPEN; where <= RUNNING; where *= 2) {
        for (uint32_t request = 0; request < 64; request++) {
            const struct message *message = find(request);

            reach(vu, where);
            if (message == NULL) {
                struct message unknown = {.request = request, .size = 8, .kind = NO_FD};

                deliver(vu, &unknown, 8, 0);
                vu_expect_refused(vu);
            } else {
                deliver(vu, message, message->size, message->fds_max);
                if ((message->states & where) != 0) {
                    expect_answer(vu, message);
                } else {
                    vu_expect_refused(vu);
                    assert_string_equal(vu->detail, "not in this state");
                    assert_int_equal(vu->request, request);
                }
            }
            vu_finish(vu);
        }
    }
    assert_int_equal(vu_count_fds(), before);
    free(vu);
}

static void test_vu_message_needs_its_feature(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    assert_non_null(vu);
    for (unsigned i = 0; i < MESSAGES; i++) {
        if (messages[i].needs != 0) {
            reach(vu, READY);
            vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL & ~messages[i].needs);
            (void)vu_send(vu, messages[i].request, BH_VU_VERSION, "", 0, NULL, 0);
            vu_expect_refused(vu);
            assert_string_equal(vu->detail, "protocol feature was not negotiated");
            vu_finish(vu);
        }
    }
    free(vu);
}

static void refuses(struct vu *vu, const struct message *message, uint32_t size, uint32_t fd_count)
{
    unsigned before = vu_count_fds();

    reach(vu, READY);
    deliver(vu, message, size, fd_count);
    vu_expect_refused(vu);
    vu_finish(vu);
    assert_int_equal(vu_count_fds(), before);
}

/* [BH-DEV-26] */
static void test_vu_message_short_and_long(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    assert_non_null(vu);
    for (unsigned i = 0; i < MESSAGES; i++) {
        const struct message *message = &messages[i];
        /* The in-flight description may have four bytes of padding. */
        uint32_t longest = message->size == 20 ? 24 : message->size;

        if (message->size != 0) {
            refuses(vu, message, message->size - 1, message->fds_max);
            refuses(vu, message, 0, message->fds_max);
        }
        refuses(vu, message, longest + 1, message->fds_max);
        refuses(vu, message, sizeof(union bh_vu_payload), message->fds_max);
    }
    free(vu);
}

/* [BH-DEV-26] */
static void test_class_05_surplus_and_missing_descriptors(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    assert_non_null(vu);
    for (unsigned i = 0; i < MESSAGES; i++) {
        const struct message *message = &messages[i];

        refuses(vu, message, message->size, message->fds_max + 1);
        refuses(vu, message, message->size, BH_VU_FDS_MAX);
        refuses(vu, message, message->size, BH_VU_FDS_MAX + 1);
        if (message->fds_min != 0) {
            refuses(vu, message, message->size, 0);
        }
    }
    free(vu);
}

static void header_refused(uint32_t request, uint32_t flags, uint32_t size)
{
    struct vu *vu = malloc(sizeof(*vu));
    struct bh_vu_header header = {.request = request, .flags = flags, .size = size};

    assert_non_null(vu);
    vu_init(vu, false);
    assert_true(vu_send_raw(vu, &header, sizeof(header), NULL, 0));
    vu_expect_refused(vu);
    vu_finish(vu);
    free(vu);
}

/* [BH-DEV-26] */
static void test_vu_header_broken(void **state)
{
    (void)state;
    header_refused(BH_VU_GET_FEATURES, 0, 0);
    header_refused(BH_VU_GET_FEATURES, 2, 0);
    header_refused(BH_VU_GET_FEATURES, 3, 0);
    header_refused(BH_VU_GET_FEATURES, BH_VU_VERSION | BH_VU_REPLY, 0);
    header_refused(BH_VU_GET_FEATURES, BH_VU_VERSION | 0x10, 0);
    header_refused(BH_VU_GET_FEATURES, BH_VU_VERSION | 0x80000000u, 0);
    header_refused(BH_VU_SET_FEATURES, BH_VU_VERSION, UINT32_MAX);
    header_refused(BH_VU_SET_FEATURES, BH_VU_VERSION, UINT32_MAX - 11);
    header_refused(BH_VU_SET_FEATURES, BH_VU_VERSION, sizeof(union bh_vu_payload) + 1);
    header_refused(UINT32_MAX, BH_VU_VERSION, 0);
    header_refused(0x80000001u, BH_VU_VERSION, 0);
}

/* One byte at a time, the descriptor with the first, and the loop runs in between. */
static void test_vu_message_in_single_bytes(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = vu_table();
    struct bh_vu_header header = {
        .request = BH_VU_SET_MEM_TABLE, .flags = BH_VU_VERSION | BH_VU_NEED_REPLY, .size = 40};
    uint8_t bytes[52];
    struct vu_message reply;

    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + 12, &table, 40);
    vu_negotiate(vu, 0);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        assert_false(vu_receive(vu, vu->socket, &reply));
        assert_true(vu_send_raw(vu, &bytes[i], 1, &vu->memory, i == 0 ? 1 : 0));
        vu_run(vu);
    }
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.payload.u64, 0);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

/* Descriptors may be strewn over the pieces; they count together. */
static void test_class_05_descriptors_with_every_piece(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_header header = {.request = BH_VU_SET_FEATURES, .flags = BH_VU_VERSION, .size = 8};
    unsigned before = vu_count_fds();
    uint8_t bytes[20] = {0};

    memcpy(bytes, &header, sizeof(header));
    for (unsigned i = 0; i < 8; i++) {
        assert_true(vu_send_raw(vu, &bytes[i], 1, &vu->memory, 1));
        vu_run(vu);
    }
    assert_int_equal(vu_count_fds(), before + 8);
    (void)vu_send_raw(vu, &bytes[8], 1, &vu->memory, 1);
    vu_expect_refused(vu);
    /* The connection's own descriptors went as well: its socket. */
    assert_int_equal(vu_count_fds(), before - 1);
}

static void test_vu_gone_in_the_middle_of_a_message(void **state)
{
    struct vu *vu = *state;
    unsigned before = vu_count_fds();
    uint8_t bytes[5] = {BH_VU_SET_MEM_TABLE};

    assert_true(vu_send_raw(vu, bytes, sizeof(bytes), &vu->memory, 1));
    vu_run(vu);
    assert_int_equal(vu_count_fds(), before + 1);
    (void)close(vu->socket);
    vu->socket = -1;
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_DISCONNECTED], 1);
    assert_int_equal(vu->closed, 1);
    assert_int_equal(vu_count_fds(), before - 2);
}

/* Many messages in one go are served one by one, each with its own descriptors. */
static void test_vu_messages_in_one_piece(void **state)
{
    struct vu *vu = *state;
    struct vu_message reply;

    vu_negotiate(vu, 0);
    for (unsigned i = 0; i < 50; i++) {
        struct bh_vu_memory_table table = vu_table();

        assert_true(vu_send(vu, BH_VU_SET_MEM_TABLE, BH_VU_VERSION | BH_VU_NEED_REPLY, &table, 40,
                            &vu->memory, 1));
        assert_true(vu_send(vu, BH_VU_GET_QUEUE_NUM, BH_VU_VERSION, NULL, 0, NULL, 0));
    }
    vu_run(vu);
    for (unsigned i = 0; i < 50; i++) {
        assert_true(vu_receive(vu, vu->socket, &reply));
        assert_int_equal(reply.header.request, BH_VU_SET_MEM_TABLE);
        assert_int_equal(reply.payload.u64, 0);
        assert_true(vu_receive(vu, vu->socket, &reply));
        assert_int_equal(reply.header.request, BH_VU_GET_QUEUE_NUM);
        assert_int_equal(reply.payload.u64, VU_RINGS);
    }
    vu_expect_open(vu);
}

/* [BH-DEV-26] */
static void test_class_05_repeated_messages_leak_nothing(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = vu_table();
    const struct message *channel = find(BH_VU_SET_BACKEND_REQ_FD);
    unsigned before;

    vu_live(vu);
    vu_tell(vu, BH_VU_SET_BACKEND_REQ_FD, NULL, 0, &vu->socket, 1);
    before = vu_count_fds();
    for (unsigned i = 0; i < 2000; i++) {
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, vu->call[0]);
        vu_event_fd(vu, BH_VU_SET_VRING_ERR, 0, vu->error[0]);
        vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 40, &vu->memory, 1);
        vu_tell(vu, BH_VU_SET_BACKEND_REQ_FD, NULL, 0, &vu->socket, channel->fds_max);
    }
    assert_int_equal(vu_count_fds(), before);
    vu_expect_works(vu);
}

/* ---- wrong descriptors ---- */

#define WRONG 8u

/* One of each kind; the list ends with what is right for somebody else. */
static void make_wrong(struct vu *vu, int *fds)
{
    int pipes[2];
    int pair[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)close(pair[1]);
    fds[0] = pipes[0];
    fds[1] = pipes[1];
    fds[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fds[3] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[4] = open("/", O_PATH | O_CLOEXEC);
    fds[5] = pair[0];
    fds[6] = dup(vu->memory);
    fds[7] = eventfd(0, EFD_CLOEXEC);
    for (unsigned i = 0; i < WRONG; i++) {
        assert_true(fds[i] >= 0);
    }
}

static void wrong_descriptors(struct vu *vu, uint32_t request, unsigned right)
{
    union bh_vu_payload payload = payload_of(vu, request);
    const struct message *message = find(request);
    int fds[WRONG];
    unsigned before;

    make_wrong(vu, fds);
    before = vu_count_fds();
    for (unsigned i = 0; i < WRONG; i++) {
        uint64_t result = vu_ack(vu, request, &payload, message->size, &fds[i], 1);

        assert_int_equal(result != 0, i != right);
        assert_int_equal(vu_count_fds(), before + (i == right && message->kind != MEMORY &&
                                                   message->kind != REGION));
        if (i == right) {
            before = vu_count_fds();
        }
    }
    for (unsigned i = 0; i < WRONG; i++) {
        (void)close(fds[i]);
    }
    vu_expect_open(vu);
}

/* [BH-DEV-26] */
static void test_class_05_wrong_descriptors(void **state)
{
    struct vu *vu = *state;

    vu_negotiate(vu, 0);
    wrong_descriptors(vu, BH_VU_SET_MEM_TABLE, 6);
    wrong_descriptors(vu, BH_VU_ADD_MEM_REG, 6);
    wrong_descriptors(vu, BH_VU_SET_INFLIGHT_FD, 6);
    wrong_descriptors(vu, BH_VU_SET_VRING_KICK, 7);
    wrong_descriptors(vu, BH_VU_SET_VRING_CALL, 7);
    wrong_descriptors(vu, BH_VU_SET_VRING_ERR, 7);
    wrong_descriptors(vu, BH_VU_SET_BACKEND_REQ_FD, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vu_every_message_in_every_state),
        cmocka_unit_test(test_vu_message_needs_its_feature),
        cmocka_unit_test(test_vu_message_short_and_long),
        cmocka_unit_test(test_class_05_surplus_and_missing_descriptors),
        cmocka_unit_test(test_vu_header_broken),
        VU_BOTH(test_vu_message_in_single_bytes),
        VU_SPLIT(test_class_05_descriptors_with_every_piece),
        VU_SPLIT(test_vu_gone_in_the_middle_of_a_message),
        VU_SPLIT(test_vu_messages_in_one_piece),
        VU_BOTH(test_class_05_repeated_messages_leak_nothing),
        VU_SPLIT(test_class_05_wrong_descriptors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
