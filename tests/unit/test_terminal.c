/* SPDX-License-Identifier: BSD-2-Clause */
/* Terminals over a real loop: lines to the output, a slow reader, attaching. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "bulkhead/host_loop.h"
#include "engine/terminal.h"

static struct {
    struct bh_loop loop;
    struct bh_output output;
    struct bh_guest_terminal terminal;
    struct bh_words words;
    FILE *stream;
    int reader; /* of the output */
    char text[1u << 20];
    size_t length;
} rig;

static void drained(void *context)
{
    (void)context;
    bh_source_update(&rig.terminal.source);
}

static void start(bool is_pty)
{
    int ends[2];
    memset(&rig, 0, sizeof(rig));
    assert_int_equal(bh_loop_init(&rig.loop), BH_OK);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    rig.reader = ends[0];
    rig.stream = fdopen(ends[1], "w");
    assert_non_null(rig.stream);
    assert_int_equal(bh_output_init(&rig.output, &rig.loop.poller, rig.stream, false), BH_OK);
    rig.output.drained = drained;
    const struct bh_guest_terminal_setup setup = {
        .poller = &rig.loop.poller,
        .output = &rig.output,
        .device = "console",
        .label = "ivi",
        .colour = 1,
        .words = &rig.words,
        .is_pty = is_pty,
    };
    assert_int_equal(bh_guest_terminal_init(&rig.terminal, &setup), BH_OK);
}

static int setup_pty(void **state)
{
    (void)state;
    start(true);
    return 0;
}

static int setup_pair(void **state)
{
    (void)state;
    start(false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bh_guest_terminal_finish(&rig.terminal);
    bh_output_finish(&rig.output);
    bh_loop_finish(&rig.loop);
    (void)close(rig.reader);
    return fclose(rig.stream);
}

static void turn(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(bh_loop_turn(&rig.loop, 0), BH_OK);
    }
}

/* The kernel passes a pseudo-terminal's bytes on in its own time. */
#define WAIT_TURNS 1000u
#define WAIT_MS    5
#define turn_until(condition)                                                                      \
    do {                                                                                           \
        for (uint32_t turns = 0; turns < WAIT_TURNS && !(condition); turns++) {                    \
            assert_int_equal(bh_loop_turn(&rig.loop, WAIT_MS), BH_OK);                             \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static bool readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/* Reads what is printed. */
static void collect(void)
{
    ssize_t got;
    while ((got = read(rig.reader, rig.text + rig.length, sizeof(rig.text) - 1u - rig.length)) >
           0) {
        rig.length += (size_t)got;
    }
    rig.text[rig.length] = '\0';
}

/* All that is printed, from the start. */
static void expect(const char *text)
{
    for (uint32_t i = 0; i < WAIT_TURNS && rig.length < strlen(text); i++) {
        assert_int_equal(bh_loop_turn(&rig.loop, WAIT_MS), BH_OK);
        collect();
    }
    assert_string_equal(rig.text, text);
}

static void print(const char *text)
{
    assert_int_equal(write(rig.terminal.guest_fd, text, strlen(text)), strlen(text));
}

static void test_terminal_lines(void **state)
{
    (void)state;
    print("hello\r\n\033[31mred\033[0m\nprompt# ");
    expect("ivi      | hello\nivi      | red\n");
    assert_true(rig.output.restless);
    bh_guest_terminal_tick(&rig.terminal);
    bh_guest_terminal_tick(&rig.terminal);
    expect("ivi      | hello\nivi      | red\nivi      | prompt# \n");
    assert_string_equal(bh_words_said(&rig.words), "prompt# ");
}

/* What a guest printed last is shown, though it has ended. */
static void test_terminal_last_words(void **state)
{
    (void)state;
    print("Kernel panic - not syncing\nno end");
    bh_guest_terminal_finish(&rig.terminal);
    expect("ivi      | Kernel panic - not syncing\nivi      | no end\n");
    assert_string_equal(bh_words_said(&rig.words), "Kernel panic - not syncing");
}

/* Nobody reads the output: the guest has to wait, and nothing is lost when somebody does. */
static void test_terminal_slow_reader(void **state)
{
    char line[32];
    uint32_t written = 0;
    uint32_t stuck = 0;
    (void)state;
    assert_int_equal(fcntl(rig.terminal.guest_fd, F_SETFL, O_NONBLOCK), 0);
    while (stuck < 50u && written < 100000u) {
        int length = snprintf(line, sizeof(line), "%07u\n", written);
        if (write(rig.terminal.guest_fd, line, (size_t)length) == length) {
            written++;
            stuck = 0;
        } else {
            stuck++;
        }
        assert_int_equal(bh_loop_turn(&rig.loop, stuck > 0u ? 1 : 0), BH_OK);
    }
    assert_int_equal(stuck, 50);
    assert_true(rig.output.flow.used < BH_OUTPUT_STORE / 2u);
    for (uint32_t i = 0; i < 100u; i++) { /* until nothing more comes for a while */
        size_t before = rig.length;
        assert_int_equal(bh_loop_turn(&rig.loop, 1), BH_OK);
        collect();
        i = rig.length > before ? 0u : i;
    }
    const char *at = rig.text;
    for (uint32_t i = 0; i < written; i++) {
        (void)snprintf(line, sizeof(line), "ivi      | %07u\n", i);
        assert_memory_equal(at, line, strlen(line));
        at += strlen(line);
    }
    assert_string_equal(at, "");
    assert_int_equal(rig.output.left_out, 0);
}

/* In a hurry the guest does not wait; what has no room is left out and counted. */
static void test_terminal_hurried(void **state)
{
    (void)state;
    assert_int_equal(fcntl(rig.terminal.guest_fd, F_SETFL, O_NONBLOCK), 0);
    rig.output.hurried = true;
    for (uint32_t i = 0; i < 200000u && rig.output.left_out == 0u; i++) {
        (void)!write(rig.terminal.guest_fd, "line\n", 5);
        turn(1);
    }
    assert_true(rig.output.left_out > 0u);
    for (uint32_t i = 0; i < WAIT_TURNS && strstr(rig.text, "left out") == NULL; i++) {
        assert_int_equal(bh_loop_turn(&rig.loop, 1), BH_OK);
        collect();
    }
    assert_non_null(strstr(rig.text, "lines were left out"));
    assert_int_equal(rig.output.left_out, 0);
}

static void test_terminal_reader_is_gone(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(rig.reader);
    rig.reader = open("/dev/null", O_RDONLY | O_CLOEXEC);
    print("line\n");
    turn_until(rig.output.flow.broken);
    for (uint32_t i = 0; i < 100u; i++) {
        print("line\n");
        turn(2);
    }
    assert_true(rig.terminal.source.watch.added);
    (void)signal(SIGPIPE, SIG_DFL);
}

static void test_terminal_attach(void **state)
{
    char bytes[64];
    int fd = -1;
    int second = -1;
    (void)state;
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_OK);
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &second), BH_STATE);
    print("raw \033[1m\r\n");
    turn_until(readable(fd));
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 10);
    assert_memory_equal(bytes, "raw \033[1m\r\n", 10);
    expect("ivi      | raw \n");
    assert_int_equal(write(fd, "\003x\r", 3), 3);
    turn_until(readable(rig.terminal.guest_fd));
    assert_int_equal(read(rig.terminal.guest_fd, bytes, sizeof(bytes)), 3);
    assert_memory_equal(bytes, "\003x\r", 3);
    (void)close(fd);
    turn_until(!rig.terminal.attached);
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_OK);
    (void)close(fd);
}

/* The guest takes no input: the peer has to wait, and nothing is lost. */
static void test_terminal_input_waits(void **state)
{
    char bytes[4096];
    int fd = -1;
    size_t sent = 0;
    size_t received = 0;
    uint32_t stuck = 0;
    (void)state;
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_OK);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(fcntl(rig.terminal.guest_fd, F_SETFL, O_NONBLOCK), 0);
    memset(bytes, 'i', sizeof(bytes));
    while (stuck < 50u && sent < 8u << 20) {
        ssize_t count = write(fd, bytes, sizeof(bytes));
        stuck = count > 0 ? 0u : stuck + 1u;
        sent += count > 0 ? (size_t)count : 0u;
        assert_int_equal(bh_loop_turn(&rig.loop, count > 0 ? 0 : 1), BH_OK);
    }
    assert_int_equal(stuck, 50);
    for (uint32_t i = 0; i < 100000u && received < sent; i++) {
        ssize_t count = read(rig.terminal.guest_fd, bytes, sizeof(bytes));
        received += count > 0 ? (size_t)count : 0u;
        assert_int_equal(bh_loop_turn(&rig.loop, count > 0 ? 0 : 1), BH_OK);
    }
    assert_int_equal(received, sent);
    (void)close(fd);
}

static void peer_sleeps(uint32_t ticks)
{
    int fd = -1;
    uint32_t stuck = 0;
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_OK);
    assert_int_equal(fcntl(rig.terminal.guest_fd, F_SETFL, O_NONBLOCK), 0);
    for (uint32_t i = 0; i < 1000000u && stuck < 50u; i++) {
        stuck = write(rig.terminal.guest_fd, "0123456789\n", 11) > 0 ? 0u : stuck + 1u;
        assert_int_equal(bh_loop_turn(&rig.loop, stuck > 0u ? 1 : 0), BH_OK);
        collect();
        rig.length = 0;
    }
    assert_int_equal(stuck, 50);
    for (uint32_t i = 0; i < ticks; i++) {
        assert_true(rig.terminal.attached);
        bh_guest_terminal_tick(&rig.terminal);
        turn(1);
    }
    assert_false(rig.terminal.attached);
    rig.length = 0;
    for (uint32_t i = 0; i < WAIT_TURNS && rig.length == 0u; i++) {
        assert_int_equal(bh_loop_turn(&rig.loop, WAIT_MS), BH_OK);
        collect();
    }
    assert_true(rig.length > 0u);
    (void)close(fd);
}

/* A peer that sleeps holds the guest up for a while, and is let go then. */
static void test_terminal_peer_sleeps(void **state)
{
    (void)state;
    peer_sleeps(BH_TERMINAL_PATIENCE + 1u);
}

/* A guest that is to stop is not held up. */
static void test_terminal_peer_sleeps_in_a_hurry(void **state)
{
    (void)state;
    rig.output.hurried = true;
    peer_sleeps(2);
}

/* Those who are attached see the last bytes, and the end. */
static void test_terminal_ends_while_attached(void **state)
{
    char bytes[64];
    int fd = -1;
    (void)state;
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_OK);
    print("bye");
    bh_guest_terminal_finish(&rig.terminal);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), 0);
    (void)close(fd);
    assert_int_equal(bh_guest_terminal_attach(&rig.terminal, &fd), BH_GONE);
    assert_false(bh_guest_terminal_resize(&rig.terminal, 1, 1));
}

static void test_terminal_is_raw_and_resized(void **state)
{
    struct winsize size;
    struct termios termios;
    (void)state;
    assert_int_equal(tcgetattr(rig.terminal.guest_fd, &termios), 0);
    assert_int_equal(termios.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(termios.c_oflag & OPOST, 0);
    assert_int_equal(ioctl(rig.terminal.guest_fd, TIOCGWINSZ, &size), 0);
    assert_int_equal(size.ws_row, 24);
    assert_true(bh_guest_terminal_resize(&rig.terminal, 50, 132));
    assert_int_equal(ioctl(rig.terminal.guest_fd, TIOCGWINSZ, &size), 0);
    assert_int_equal(size.ws_row, 50);
    assert_int_equal(size.ws_col, 132);
}

/* The engine has its end of a UART; when it goes, the terminal ends and spins no loop. */
static void test_terminal_uart_ends(void **state)
{
    (void)state;
    assert_false(bh_guest_terminal_resize(&rig.terminal, 1, 1));
    print("uart\n");
    bh_guest_terminal_handed(&rig.terminal);
    assert_int_equal(rig.terminal.guest_fd, -1);
    expect("ivi      | uart\n");
    turn_until(rig.terminal.source.ended);
    assert_false(rig.terminal.source.watch.added);
}

static void test_output_say(void **state)
{
    (void)state;
    bh_output_align(&rig.output, "cluster/console");
    bh_output_say(&rig.output, "one\ntwo\033%s", "x");
    rig.output.colour = true;
    bh_output_line(&rig.output, "ivi", 1, "text", 4);
    expect("bulkhead        | one\nbulkhead        | two?x\n"
           "\033[36mivi             |\033[0m text\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_terminal_lines, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_last_words, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_slow_reader, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_hurried, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_reader_is_gone, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_attach, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_input_waits, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_peer_sleeps, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_peer_sleeps_in_a_hurry, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_ends_while_attached, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_is_raw_and_resized, setup_pty, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_attach, setup_pair, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_input_waits, setup_pair, teardown),
        cmocka_unit_test_setup_teardown(test_terminal_uart_ends, setup_pair, teardown),
        cmocka_unit_test_setup_teardown(test_output_say, setup_pair, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
