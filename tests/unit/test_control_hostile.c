/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: peers and supervisors that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control_rig.h"

/* ------------------------------------------------------------------------------------------------
 * peers that misbehave */

static void test_control_garbage(void **state)
{
    static const char *const garbage[] = {
        "x",
        "{",
        "[]",
        "1",
        "\"stop\"",
        "{}",
        "{\"request\": 1}",
        "{\"request\": \"none\"}",
        "{\"request\": \"stop\", \"request\": \"status\"}",
        "{\"request\": \"st\\u0000op\"}",
        "{\"request\": \"\xff\"}",
        "{\"request\": \"status\"} {}",
        "{\"request\": null}",
    };
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        control_rig_expect(fd, garbage[i], "\"ok\": false");
    }
    char deep[5001];
    memset(deep, '[', sizeof(deep) - 1u);
    deep[sizeof(deep) - 1u] = '\0';
    control_rig_expect(fd, deep, "\"ok\": false");
    control_rig_expect(fd, "{\"request\": \"status\"}", "\"ok\": true");
    assert_int_equal(atomic_load(&control_rig.stops), 0);
    (void)close(fd);
}

static void test_control_message_too_long(void **state)
{
    char answer[256];
    char *text = malloc(BH_CONTROL_BYTES_MAX + 2u);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', BH_CONTROL_BYTES_MAX + 1u);
    text[BH_CONTROL_BYTES_MAX + 1u] = '\0';
    control_rig_serve();
    int fd = control_rig_client();
    char *none;
    assert_int_equal(control_rig_call(fd, text, &none), BH_LIMIT); /* not even sent */
    assert_int_equal(send(fd, text, BH_CONTROL_BYTES_MAX + 1u, 0), BH_CONTROL_BYTES_MAX + 1u);
    ssize_t length = recv(fd, answer, sizeof(answer) - 1u, 0);
    assert_true(length > 0);
    answer[length] = '\0';
    assert_non_null(strstr(answer, "too long"));
    free(text);
    (void)close(fd);
}

/* Sends requests and reads no answer: dropped, and nobody else notices. */
static void test_control_peer_that_never_reads(void **state)
{
    const char request[] = "{\"request\": \"status\"}";
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    bool dropped = false;
    for (uint32_t i = 0; i < 100000u && !dropped; i++) {
        dropped = send(fd, request, sizeof(request) - 1u, MSG_NOSIGNAL) < 0;
    }
    assert_true(dropped);
    int other = control_rig_client();
    control_rig_expect(other, request, "\"ok\": true");
    (void)close(other);
    (void)close(fd);
}

static void test_control_empty_message_ends_it(void **state)
{
    char byte;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(send(fd, "", 0, 0), 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    (void)close(fd);
}

static void test_control_connects_and_closes_at_once(void **state)
{
    (void)state;
    control_rig_serve();
    for (uint32_t i = 0; i < 1000; i++) {
        int fd = control_rig_client();
        if (i % 3 == 1) {
            assert_true(send(fd, "{\"request\": \"status\"}", 21, MSG_NOSIGNAL) > 0);
        }
        (void)close(fd);
    }
    int fd = control_rig_client();
    control_rig_expect(fd, "{\"request\": \"status\"}", "\"ok\": true");
    (void)close(fd);
}

static void test_control_too_many_peers(void **state)
{
    int fds[BH_CONTROL_PEERS];
    (void)state;
    control_rig_serve();
    for (uint32_t i = 0; i < BH_CONTROL_PEERS; i++) {
        fds[i] = control_rig_client();
        control_rig_expect(fds[i], "{\"request\": \"status\"}", "\"ok\": true");
    }
    for (uint32_t i = 0; i < 100; i++) {
        int more = control_rig_client();
        control_rig_expect(more, "{\"request\": \"status\"}", "too many programs");
        (void)close(more);
    }
    (void)close(fds[0]);
    int fd = -1;
    for (bool served = false; !served;) { /* the supervisor may not have seen the end yet */
        char *answer;
        fd = control_rig_client();
        assert_int_equal(control_rig_call(fd, "{\"request\": \"status\"}", &answer), BH_OK);
        served = strstr(answer, "\"ok\": true") != NULL;
        free(answer);
        if (!served) {
            (void)close(fd);
        }
    }
    (void)close(fd);
    for (uint32_t i = 1; i < BH_CONTROL_PEERS; i++) {
        control_rig_expect(fds[i], "{\"request\": \"status\"}", "\"ok\": true");
        (void)close(fds[i]);
    }
}

/* Descriptors that a peer sends along are not kept: tear_down counts. */
static void test_control_descriptors_sent_along_are_closed(void **state)
{
    static char request[] = "{\"request\": \"status\"}";
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec part = {.iov_base = request, .iov_len = sizeof(request) - 1u};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space.bytes,
                             .msg_controllen = sizeof(space.bytes)};
    int ends[2];
    char byte;
    (void)state;
    control_rig_serve();
    int fd = control_rig_client();
    assert_int_equal(pipe(ends), 0);
    memset(&space, 0, sizeof(space));
    struct cmsghdr *header = &space.header;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &ends[1], sizeof(int));
    assert_true(sendmsg(fd, &message, 0) > 0);
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* the last writer is gone */
    (void)close(ends[0]);
    (void)close(fd);
}

/* No descriptor left in the supervisor: it turns newcomers away and does not spin. */
static void test_control_without_descriptors(void **state)
{
    char folder[CONTROL_PATH];
    int pid;
    int fillers[64];
    uint32_t count = 0;
    int newcomers[4];
    char byte;
    struct rlimit before;
    (void)state;
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    for (uint32_t i = 0; i < 4; i++) {
        newcomers[i] = control_rig_client();
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit tight = {.rlim_cur = (rlim_t)newcomers[3] + 8u, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    for (int fd = open("/dev/null", O_RDONLY); fd >= 0; fd = open("/dev/null", O_RDONLY)) {
        assert_true(count < 64);
        fillers[count] = fd;
        count++;
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(bh_loop_turn(&control_rig.loop, 0), BH_OK);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(recv(newcomers[i], &byte, 1, MSG_DONTWAIT), 0);
        (void)close(newcomers[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        (void)close(fillers[i]);
    }
}

/* ------------------------------------------------------------------------------------------------
 * supervisors that misbehave: a socket of the test's own in place of theirs */

static void test_control_supervisor_that_is_silent(void **state)
{
    char *answer;
    int passed;
    (void)state;
    int listener = control_rig_impostor();
    int fd = control_rig_client();
    assert_int_equal(bh_control_call(fd, "{}", 20, &answer, &passed), BH_TIMEOUT);
    assert_null(answer);
    assert_int_equal(passed, -1);
    (void)close(listener);
    assert_int_equal(bh_control_call(fd, "{}", PATIENCE, &answer, &passed), BH_GONE);
    (void)close(fd);
    assert_int_equal(bh_control_connect("p", &fd), BH_GONE);
}

static void answer_with(const char *bytes, size_t length, int expected)
{
    char *answer;
    struct sockaddr_un address;
    socklen_t size = sizeof(address);
    int listener = control_rig_impostor();
    int fd = control_rig_client();
    int theirs = accept(listener, (struct sockaddr *)&address, &size);
    assert_true(theirs >= 0);
    assert_int_equal(send(theirs, bytes, length, 0), (ssize_t)length);
    assert_int_equal(control_rig_call(fd, "{}", &answer), expected);
    free(answer);
    (void)close(theirs);
    (void)close(fd);
    (void)close(listener);
    control_rig_remove("/bulkhead");
}

static void test_control_supervisor_that_lies(void **state)
{
    static char large[BH_CONTROL_BYTES_MAX + 1u];
    (void)state;
    memset(large, ' ', sizeof(large));
    answer_with(large, sizeof(large), BH_PROTOCOL);
    answer_with(large, sizeof(large) - 1u, BH_OK);
    answer_with("a\0b", 3, BH_PROTOCOL);
    answer_with("", 0, BH_GONE);
}

/* Two descriptors with an answer: none is kept. */
static void test_control_supervisor_that_passes_too_much(void **state)
{
    static char text[] = "{}";
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2u * sizeof(int))];
    } space;
    struct iovec part = {.iov_base = text, .iov_len = sizeof(text) - 1u};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = space.bytes,
                             .msg_controllen = sizeof(space.bytes)};
    const int passed[] = {STDIN_FILENO, STDOUT_FILENO};
    char *answer;
    int first;
    (void)state;
    int listener = control_rig_impostor();
    int fd = control_rig_client();
    int theirs = accept(listener, NULL, NULL);
    memset(&space, 0, sizeof(space));
    space.header.cmsg_level = SOL_SOCKET;
    space.header.cmsg_type = SCM_RIGHTS;
    space.header.cmsg_len = CMSG_LEN(sizeof(passed));
    memcpy(CMSG_DATA(&space.header), passed, sizeof(passed));
    assert_true(sendmsg(theirs, &message, 0) > 0);
    assert_int_equal(bh_control_call(fd, "{}", PATIENCE, &answer, &first), BH_PROTOCOL);
    assert_null(answer);
    assert_int_equal(first, -1);
    (void)close(theirs);
    (void)close(fd);
    (void)close(listener);
}

/* ------------------------------------------------------------------------------------------------
 * other users: only root can play them */

#define NOBODY 65534u

/* Lets everyone through to the socket: what keeps others away then is the check of who they are. */
static void open_all_doors(void)
{
    static const char *const doors[] = {"", "/bulkhead", "/bulkhead/p", "/bulkhead/p/control"};
    char path[128];
    for (size_t i = 0; i < sizeof(doors) / sizeof(doors[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", control_rig.base, doors[i]);
        assert_int_equal(chmod(path, 0777), 0);
    }
}

static void test_control_peer_of_another_user(void **state)
{
    char folder[CONTROL_PATH];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int pid;
    int status;
    char byte;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(control_rig_open_named(&control_rig.control, "p", folder, &pid), BH_OK);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/bulkhead/p/control",
                   control_rig.base);
    open_all_doors();
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    pid_t child = fork(); /* who connects counts, not who uses the connection */
    if (child == 0) {
        _exit(setresuid(NOBODY, NOBODY, NOBODY) == 0 &&
                      connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(bh_loop_turn(&control_rig.loop, 0), BH_OK);
    assert_int_equal(bh_loop_turn(&control_rig.loop, 0), BH_OK);
    (void)send(fd, "{\"request\": \"status\"}", 21, MSG_NOSIGNAL);
    assert_int_equal(bh_loop_turn(&control_rig.loop, 0), BH_OK);
    assert_true(recv(fd, &byte, 1, MSG_DONTWAIT) <= 0);
    assert_int_not_equal(errno, EAGAIN);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTROL_CASE(test_control_garbage),
        CONTROL_CASE(test_control_message_too_long),
        CONTROL_CASE(test_control_peer_that_never_reads),
        CONTROL_CASE(test_control_empty_message_ends_it),
        CONTROL_CASE(test_control_connects_and_closes_at_once),
        CONTROL_CASE(test_control_too_many_peers),
        CONTROL_CASE(test_control_descriptors_sent_along_are_closed),
        CONTROL_CASE(test_control_without_descriptors),
        CONTROL_CASE(test_control_supervisor_that_is_silent),
        CONTROL_CASE(test_control_supervisor_that_lies),
        CONTROL_CASE(test_control_supervisor_that_passes_too_much),
        CONTROL_CASE(test_control_peer_of_another_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
