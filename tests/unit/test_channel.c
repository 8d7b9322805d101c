/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the Linux channel of the vhost-user front end against a peer on the other end of a socket pair that
 * sends what it likes: pieces, silence, too much, too many descriptors. No descriptor may be left open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_channel.h"

#define TIMEOUT_MS 200

static struct bh_host_channel channel;
static int peer;
static unsigned fds_before;

static unsigned count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

static int open_pair(void **state)
{
    int pair[2];

    (void)state;
    fds_before = count_fds();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer = pair[1];
    return bh_host_channel_adopt(&channel, pair[0], TIMEOUT_MS);
}

static int close_pair(void **state)
{
    (void)state;
    bh_host_channel_close(&channel);
    if (peer >= 0) {
        (void)close(peer);
    }
    return count_fds() == fds_before ? 0 : -1;
}

static int receive(struct bh_vu_message *message)
{
    return bh_host_channel_ops.receive(&channel, BH_VU_LINE_MAIN, message);
}

/* Sends bytes with `count` copies of descriptor 0. */
static void peer_sends(const void *bytes, size_t length, unsigned count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 32)];
    struct iovec vector = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1};
    int fds[32] = {0};

    if (count != 0) {
        struct cmsghdr *message;

        memset(control, 0, sizeof(control));
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        message = CMSG_FIRSTHDR(&header);
        message->cmsg_level = SOL_SOCKET;
        message->cmsg_type = SCM_RIGHTS;
        message->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(message), fds, sizeof(int) * count);
    }
    assert_int_equal(sendmsg(peer, &header, 0), (ssize_t)length);
}

/* A reply with 8 bytes of payload, as it lies on the wire. */
struct wire {
    struct bh_vu_header header;
    uint8_t payload[8];
};

static const struct wire reply = {{BH_VU_GET_FEATURES, BH_VU_VERSION | BH_VU_REPLY, 8},
                                  {1, 2, 3, 4, 5, 6, 7, 8}};

static void close_fds(struct bh_vu_message *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++) {
        bh_host_channel_ops.close(&channel, message->fds[i]);
    }
}

static void test_send(void **state)
{
    struct bh_vu_message message;
    struct wire seen;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)];
    struct iovec vector = {.iov_base = &seen, .iov_len = sizeof(seen)};
    struct msghdr header = {.msg_iov = &vector,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *first;
    int fds[2];

    (void)state;
    memset(&message, 0, sizeof(message));
    message.header = reply.header;
    memcpy(&message.payload, reply.payload, 8);
    message.fds[0] = 0;
    message.fds[1] = 0;
    message.fd_count = 2;
    assert_int_equal(bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message), BH_OK);
    assert_int_equal(recvmsg(peer, &header, 0), (ssize_t)sizeof(seen));
    assert_memory_equal(&seen, &reply, sizeof(seen));
    first = CMSG_FIRSTHDR(&header);
    if (first == NULL) {
        fail_msg("no descriptors came");
        return;
    }
    assert_int_equal(first->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    memcpy(fds, CMSG_DATA(first), sizeof(fds));
    (void)close(fds[0]);
    (void)close(fds[1]);
    message.fd_count = BH_VU_FDS_MAX + 1;
    assert_int_equal(bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message), BH_INVALID);
    message.fd_count = 0;
    message.header.size = sizeof(message.payload) + 1;
    assert_int_equal(bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message), BH_INVALID);
}

/* Nobody reads: the send ends all the same. And nobody is there: no signal, an error. */
static void test_send_to_the_deaf(void **state)
{
    struct bh_vu_message message;
    int result = BH_OK;

    (void)state;
    memset(&message, 0, sizeof(message));
    message.header.size = sizeof(message.payload);
    for (unsigned i = 0; i < 100000 && result == BH_OK; i++) {
        result = bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message);
    }
    assert_int_equal(result, BH_TIMEOUT);
    (void)close(peer);
    peer = -1;
    assert_int_equal(bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message), BH_GONE);
}

static void test_receive_in_pieces(void **state)
{
    struct bh_vu_message message;

    (void)state;
    peer_sends(&reply, 5, 1);
    peer_sends((const uint8_t *)&reply + 5, 9, 1);
    peer_sends((const uint8_t *)&reply + 14, sizeof(reply) - 14, 1);
    assert_int_equal(receive(&message), BH_OK);
    assert_memory_equal(&message.header, &reply.header, sizeof(reply.header));
    assert_memory_equal(&message.payload, reply.payload, 8);
    assert_int_equal(message.fd_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fcntl(message.fds[i], F_GETFD), FD_CLOEXEC);
    }
    close_fds(&message);
}

static void test_silence(void **state)
{
    struct bh_vu_message message;
    struct timespec begin;
    struct timespec end;

    (void)state;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(receive(&message), BH_TIMEOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_in_range((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000,
                    TIMEOUT_MS - 10, 50 * TIMEOUT_MS);
    /* Half a message, with a descriptor, and then nothing. */
    peer_sends(&reply, 13, 2);
    assert_int_equal(receive(&message), BH_TIMEOUT);
    assert_int_equal(message.fd_count, 0);
}

static void test_closed(void **state)
{
    struct bh_vu_message message;

    (void)state;
    peer_sends(&reply, 13, 2);
    (void)close(peer);
    peer = -1;
    assert_int_equal(receive(&message), BH_GONE);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(receive(&message), BH_GONE);
    bh_host_channel_close(&channel);
    assert_int_equal(receive(&message), BH_GONE);
}

static void test_too_long(void **state)
{
    struct bh_vu_message message;
    const uint32_t sizes[] = {sizeof(union bh_vu_payload) + 1, 0x80000000, 0xffffffff};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct bh_vu_header header = reply.header;

        header.size = sizes[i];
        peer_sends(&header, sizeof(header), 1);
        assert_int_equal(receive(&message), BH_PROTOCOL);
        assert_int_equal(message.fd_count, 0);
    }
}

/* More descriptors than a message may have: in one piece the system cuts them off, in two it does not. */
static void test_too_many_descriptors(void **state)
{
    struct bh_vu_message message;

    peer_sends(&reply, sizeof(reply), BH_VU_FDS_MAX);
    assert_int_equal(receive(&message), BH_OK);
    assert_int_equal(message.fd_count, BH_VU_FDS_MAX);
    close_fds(&message);
    peer_sends(&reply, sizeof(reply), BH_VU_FDS_MAX + 1);
    assert_int_equal(receive(&message), BH_PROTOCOL);
    assert_int_equal(message.fd_count, 0);
    assert_int_equal(close_pair(state), 0);
    assert_int_equal(open_pair(state), 0);
    peer_sends(&reply, 6, BH_VU_FDS_MAX);
    peer_sends((const uint8_t *)&reply + 6, sizeof(reply) - 6, 1);
    assert_int_equal(receive(&message), BH_PROTOCOL);
    assert_int_equal(message.fd_count, 0);
}

static void test_second_line(void **state)
{
    struct bh_vu_message message;
    int main_peer = peer;
    int32_t fd = -1;

    (void)state;
    assert_int_equal(bh_host_channel_ops.receive(&channel, BH_VU_LINE_BACKEND, &message), BH_GONE);
    assert_int_equal(bh_host_channel_ops.backend_open(&channel, &fd), BH_OK);
    assert_int_equal(bh_host_channel_ops.receive(&channel, BH_VU_LINE_BACKEND, &message), BH_AGAIN);
    peer = fd;
    peer_sends(&reply, sizeof(reply), 1);
    /* Waiting on the first line is interrupted, unless its answer is there. */
    assert_int_equal(receive(&message), BH_AGAIN);
    peer = main_peer;
    peer_sends(&reply, sizeof(reply), 0);
    assert_int_equal(receive(&message), BH_OK);
    assert_int_equal(receive(&message), BH_AGAIN);
    assert_int_equal(bh_host_channel_ops.receive(&channel, BH_VU_LINE_BACKEND, &message), BH_OK);
    assert_int_equal(message.fd_count, 1);
    close_fds(&message);
    assert_int_equal(receive(&message), BH_TIMEOUT);
    /* Its end is the end of interruptions. */
    (void)close(fd);
    assert_int_equal(receive(&message), BH_AGAIN);
    assert_int_equal(bh_host_channel_ops.receive(&channel, BH_VU_LINE_BACKEND, &message), BH_GONE);
    assert_int_equal(receive(&message), BH_TIMEOUT);
}

static void test_events_and_wait(void **state)
{
    int32_t events[2] = {-1, -1};
    bool signalled = true;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bh_host_channel_ops.event_create(&channel, &events[i]), BH_OK);
        assert_int_equal(fcntl(events[i], F_GETFD), FD_CLOEXEC);
    }
    assert_int_equal(bh_host_channel_ops.event_consume(&channel, events[0], &signalled), BH_OK);
    assert_false(signalled);
    assert_int_equal(bh_host_channel_wait(&channel, events, 2, 10), BH_TIMEOUT);
    assert_int_equal(bh_host_channel_ops.event_signal(&channel, events[1]), BH_OK);
    assert_int_equal(bh_host_channel_ops.event_signal(&channel, events[1]), BH_OK);
    assert_int_equal(bh_host_channel_wait(&channel, events, 2, 1000), BH_OK);
    assert_int_equal(bh_host_channel_ops.event_consume(&channel, events[1], &signalled), BH_OK);
    assert_true(signalled);
    assert_int_equal(bh_host_channel_ops.event_consume(&channel, events[1], &signalled), BH_OK);
    assert_false(signalled);
    assert_int_equal(bh_host_channel_wait(&channel, events, 129, 0), BH_LIMIT);
    (void)close(peer);
    peer = -1;
    assert_int_equal(bh_host_channel_wait(&channel, events, 2, 1000), BH_GONE);
    bh_host_channel_ops.close(&channel, events[0]);
    bh_host_channel_ops.close(&channel, events[1]);
}

static void test_connect(void **state)
{
    struct bh_host_channel other;
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(bh_host_channel_connect(&other, path, TIMEOUT_MS), BH_INVALID);
    assert_int_equal(bh_host_channel_connect(&other, "", TIMEOUT_MS), BH_INVALID);
    assert_int_equal(bh_host_channel_connect(&other, "/nonexistent/socket", TIMEOUT_MS), BH_GONE);
    assert_int_equal(other.fd, -1);
    bh_host_channel_close(&other);
}

/* Neither side can change the size of shared memory, or take the seals off. */
static void test_memory(void **state)
{
    struct bh_host_memory memory;
    struct bh_dma dma;

    (void)state;
    assert_int_equal(bh_host_memory_create(&memory, "test", 16384), BH_OK);
    assert_int_equal(fcntl(memory.fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    assert_int_equal(fcntl(memory.fd, F_GETFD), FD_CLOEXEC);
    assert_int_not_equal(ftruncate(memory.fd, 4096), 0);
    assert_int_not_equal(ftruncate(memory.fd, 32768), 0);
    bh_host_memory_dma(&memory, 0x10000, &dma);
    assert_ptr_equal(bh_dma_take(&dma, 16384, 4096), memory.base);
    memory.base[16383] = 1;
    bh_host_memory_destroy(&memory);
    bh_host_memory_destroy(&memory);
    assert_int_equal(bh_host_memory_create(&memory, "test", UINT64_MAX & ~UINT64_C(4095)),
                     BH_INVALID);
    bh_host_memory_destroy(&memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

/* Each answer comes in time, and all of them together do not. */
static void test_budget_of_a_conversation(void **state)
{
    struct bh_vu_message message;
    unsigned answers = 0;
    int result = BH_OK;

    (void)state;
    channel.timeout_ms = 60000;
    bh_host_channel_budget(&channel, 40);
    while (result == BH_OK && answers < 1000) {
        const struct timespec pause = {.tv_nsec = 5000000};

        (void)nanosleep(&pause, NULL);
        /* The last one is not sent: what is there is taken, and nothing is waited for. */
        if (answers < 20) {
            peer_sends(&reply, sizeof(reply), 0);
        }
        result = receive(&message);
        answers += result == BH_OK ? 1u : 0u;
    }
    assert_int_equal(result, BH_TIMEOUT);
    assert_int_equal(answers, 20);
    /* A send that would have to wait does not, either. */
    memset(&message, 0, sizeof(message));
    message.header.size = sizeof(message.payload);
    result = BH_OK;
    for (unsigned i = 0; i < 100000 && result == BH_OK; i++) {
        result = bh_host_channel_ops.send(&channel, BH_VU_LINE_MAIN, &message);
    }
    assert_int_equal(result, BH_TIMEOUT);
    /* The next conversation has a budget of its own, or none. */
    bh_host_channel_budget(&channel, 0);
    peer_sends(&reply, sizeof(reply), 0);
    assert_int_equal(receive(&message), BH_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_budget_of_a_conversation, open_pair, close_pair),
        TEST(test_send),
        TEST(test_send_to_the_deaf),
        TEST(test_receive_in_pieces),
        TEST(test_silence),
        TEST(test_closed),
        TEST(test_too_long),
        TEST(test_too_many_descriptors),
        TEST(test_second_line),
        TEST(test_events_and_wait),
        TEST(test_connect),
        TEST(test_memory),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
