/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The QMP client against a peer that is not QEMU: the order of a conversation, and everything that
 * a hostile end of the line can do to it. What a machine makes of it is tested with real QEMUs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/qmp.h"

/* The test links host/, which reports disk operations. None takes place. */
struct bh_disk_io;
void bh_blk_done(struct bh_disk_io *io, int result);
void bh_blk_done(struct bh_disk_io *io, int result)
{
    (void)io;
    (void)result;
    abort();
}

#define GREETING  "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define RETURN    "{\"return\": {}}\r\n"
#define LONG_TIME 10000000u
#define TURNS     20

static struct bh_loop loop;
static struct bh_qmp qmp;
static int peer; /* our end */
static char told[4096];
static bool finish_at_once;
static bool finished;

static void note(void *context, const struct bh_qmp_event *event)
{
    static const char *const names[] = {"opened", "answered", "happened", "shut", "broken"};
    size_t length = strlen(told);
    assert_ptr_equal(context, &qmp);
    (void)snprintf(told + length, sizeof(told) - length, "%s(%s)(%s);", names[event->type],
                   event->name, event->text != NULL ? event->text : "-");
    if (finish_at_once) {
        bh_qmp_finish(&qmp);
        finished = true;
    }
}

static int set_up_with(uint64_t limit)
{
    int line[2];
    told[0] = '\0';
    finish_at_once = false;
    finished = false;
    if (bh_loop_init(&loop) != BH_OK || socketpair(AF_UNIX, SOCK_STREAM, 0, line) != 0) {
        return -1;
    }
    peer = line[0];
    return bh_qmp_init(&qmp, &loop.poller, line[1], limit, note, &qmp);
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(LONG_TIME);
}

static int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(20000);
}

static int tear_down(void **state)
{
    (void)state;
    if (!finished) {
        bh_qmp_finish(&qmp);
    }
    if (peer >= 0) {
        (void)close(peer);
    }
    bh_loop_finish(&loop);
    return 0;
}

static void turn(void)
{
    for (int i = 0; i < TURNS; i++) {
        assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    }
}

static void say_bytes(const char *bytes, size_t length)
{
    assert_int_equal(send(peer, bytes, length, MSG_NOSIGNAL), length);
    turn();
}

static void say(const char *text)
{
    say_bytes(text, strlen(text));
}

/* What the client has sent since it was asked last. */
static void expect_heard(const char *expected)
{
    char heard[1024];
    ssize_t length = recv(peer, heard, sizeof(heard) - 1u, MSG_DONTWAIT);
    heard[length > 0 ? length : 0] = '\0';
    assert_string_equal(heard, expected);
}

static void expect_told(const char *expected)
{
    assert_string_equal(told, expected);
    told[0] = '\0';
}

static void open_it(void)
{
    say(GREETING);
    expect_heard("{\"execute\": \"qmp_capabilities\"}\r\n");
    expect_told("");
    say(RETURN);
    expect_told("opened()(-);");
}

/* ------------------------------------------------------------------------------------------------
 * as it should be */

static void test_qmp_conversation(void **state)
{
    (void)state;
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_STATE);
    open_it();
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
    assert_int_equal(bh_qmp_send(&qmp, "system_powerdown"), BH_OK);
    expect_heard("{\"execute\": \"cont\"}\r\n{\"execute\": \"system_powerdown\"}\r\n");
    say("{\"event\": \"RESUME\", \"timestamp\": {}}\r\n" RETURN);
    expect_told("happened(RESUME)();answered(cont)(-);");
    say("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no key\"}}\r\n");
    expect_told("answered(system_powerdown)(no key);");
    say("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n");
    expect_told("happened(SHUTDOWN)(guest-reset);");
    (void)close(peer);
    peer = -1;
    turn();
    expect_told("shut()(-);");
    assert_int_equal(bh_qmp_send(&qmp, "quit"), BH_STATE);
}

static void test_qmp_byte_by_byte(void **state)
{
    static const char text[] = GREETING RETURN "{\"event\": \"STOP\"}\n";
    (void)state;
    for (size_t i = 0; i + 1u < sizeof(text); i++) {
        say_bytes(&text[i], 1);
    }
    expect_told("opened()(-);happened(STOP)();");
}

static void test_qmp_drain_takes_what_is_there(void **state)
{
    static const char text[] = "{\"event\": \"SHUTDOWN\"}\r\n";
    (void)state;
    open_it();
    assert_int_equal(send(peer, text, sizeof(text) - 1u, MSG_NOSIGNAL), sizeof(text) - 1u);
    (void)close(peer);
    peer = -1;
    bh_qmp_drain(&qmp);
    expect_told("happened(SHUTDOWN)();shut()(-);");
    bh_qmp_drain(&qmp); /* closed: nothing */
    expect_told("");
}

/* ------------------------------------------------------------------------------------------------
 * as it should not be */

/* After `first` the line is broken: one event, and silence for ever. */
static void expect_broken(const char *text, size_t length, const char *why)
{
    char expected[BH_QMP_TEXT_MAX + 32u];
    (void)snprintf(expected, sizeof(expected), "broken()(%s);", why);
    say_bytes(text, length);
    expect_told(expected);
    (void)send(peer, GREETING RETURN, strlen(GREETING RETURN), MSG_NOSIGNAL);
    turn();
    expect_told("");
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_STATE);
}

static void test_qmp_garbage(void **state)
{
    (void)state;
    expect_broken("\x7f\x45LF\0\n", 6, "it sends what is no JSON object");
}

static void test_qmp_not_an_object(void **state)
{
    (void)state;
    expect_broken("[1]\n", 4, "it sends what is no JSON object");
}

static void test_qmp_nested_without_end(void **state)
{
    static char text[BH_QMP_LINE_MAX];
    (void)state;
    memset(text, '[', sizeof(text));
    text[sizeof(text) - 1u] = '\n';
    expect_broken(text, sizeof(text), "it sends what is no JSON object");
}

static void test_qmp_no_greeting(void **state)
{
    (void)state;
    expect_broken(RETURN, strlen(RETURN), "it does not greet");
}

static void test_qmp_answer_nobody_asked_for(void **state)
{
    (void)state;
    open_it();
    expect_broken(RETURN, strlen(RETURN), "it answers what nobody asked");
}

static void test_qmp_neither_event_nor_answer(void **state)
{
    static const char text[] = "{\"event\": 1, \"error\": \"x\"}\n";
    (void)state;
    open_it();
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
    expect_broken(text, sizeof(text) - 1u, "it sends neither an event nor an answer");
}

static void test_qmp_refuses_capabilities(void **state)
{
    static const char text[] = "{\"error\": {\"desc\": \"no\\u001b[31m\\u00e9\"}}\n";
    (void)state;
    say(GREETING);
    expect_broken(text, sizeof(text) - 1u, "no?[31m??");
}

static void test_qmp_long_words_are_cut(void **state)
{
    static char text[BH_QMP_LINE_MAX / 2u];
    size_t length;
    (void)state;
    open_it();
    (void)snprintf(text, sizeof(text), "{\"event\": \"%0*d\", \"data\": {\"reason\": \"%0*d\"}}\n",
                   10000, 0, 10000, 0);
    say(text);
    length = strlen(told);
    assert_int_equal(length, strlen("happened()();") + BH_QMP_WORD_MAX - 1u + BH_QMP_TEXT_MAX - 1u);
}

/* The longest line passes, and one byte more does not. */
static void test_qmp_line_without_end(void **state)
{
    static char text[BH_QMP_LINE_MAX];
    (void)state;
    open_it();
    memset(text, ' ', sizeof(text));
    memcpy(text, "{\"event\": \"STOP\"}", 17);
    text[sizeof(text) - 1u] = '\n';
    say_bytes(text, sizeof(text));
    expect_told("happened(STOP)();");
    text[sizeof(text) - 1u] = ' ';
    expect_broken(text, sizeof(text), "its line does not end");
}

static void test_qmp_no_greeting_in_time(void **state)
{
    (void)state;
    assert_int_equal(bh_loop_turn(&loop, 5000), BH_OK);
    expect_told("broken()(it does not answer);");
}

static void test_qmp_no_answer_in_time(void **state)
{
    (void)state;
    open_it();
    assert_int_equal(bh_loop_turn(&loop, 60), BH_OK); /* nothing is due: nothing happens */
    expect_told("");
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 5000), BH_OK);
    expect_told("broken()(it does not answer);");
}

/* Events in between do not count as an answer. */
static void test_qmp_talks_and_does_not_answer(void **state)
{
    (void)state;
    open_it();
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
    while (strstr(told, "broken") == NULL) {
        told[0] = '\0';
        (void)send(peer, "{\"event\": \"STOP\"}\n", 18, MSG_NOSIGNAL);
        assert_int_equal(bh_loop_turn(&loop, 5), BH_OK);
    }
    assert_non_null(strstr(told, "broken()(it does not answer);"));
}

static void test_qmp_too_many_commands(void **state)
{
    (void)state;
    open_it();
    for (uint32_t i = 0; i < BH_QMP_PENDING_MAX; i++) {
        assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
    }
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_LIMIT);
    say(RETURN);
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_OK);
}

static void test_qmp_takes_nothing(void **state)
{
    const int small = 1;
    static char filling[65536];
    (void)state;
    open_it();
    assert_int_equal(setsockopt(qmp.watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    while (send(qmp.watch.fd, filling, sizeof(filling), MSG_DONTWAIT) > 0) {
    }
    assert_int_equal(bh_qmp_send(&qmp, "cont"), BH_GONE);
}

static void test_qmp_finished_in_its_event(void **state)
{
    (void)state;
    say(GREETING);
    finish_at_once = true;
    say(RETURN "{\"event\": \"STOP\"}\n");
    assert_true(finished);
    expect_told("opened()(-);");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_qmp_conversation),
        CASE(test_qmp_byte_by_byte),
        CASE(test_qmp_drain_takes_what_is_there),
        CASE(test_qmp_garbage),
        CASE(test_qmp_not_an_object),
        CASE(test_qmp_nested_without_end),
        CASE(test_qmp_no_greeting),
        CASE(test_qmp_answer_nobody_asked_for),
        CASE(test_qmp_neither_event_nor_answer),
        CASE(test_qmp_refuses_capabilities),
        CASE(test_qmp_long_words_are_cut),
        CASE(test_qmp_line_without_end),
        cmocka_unit_test_setup_teardown(test_qmp_no_greeting_in_time, set_up_impatient, tear_down),
        cmocka_unit_test_setup_teardown(test_qmp_no_answer_in_time, set_up_impatient, tear_down),
        cmocka_unit_test_setup_teardown(test_qmp_talks_and_does_not_answer, set_up_impatient,
                                        tear_down),
        CASE(test_qmp_too_many_commands),
        CASE(test_qmp_takes_nothing),
        CASE(test_qmp_finished_in_its_event),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
