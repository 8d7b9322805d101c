/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where random bytes come from on Linux: what is a source, and what a source that is slow, ends,
 * fails or comes back does to whoever asks. The kernel's generator, closed sandboxes:
 * tests/vhost_user/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_entropy.h"
#include "bulkhead/host_loop.h"

struct fixture {
    struct bh_loop loop;
    struct bh_entropy *entropy;
    uint32_t ready;
    int ends[2]; /* of a pipe: the source reads [0] */
    char path[64];
    uint8_t got[1024];
};

static void ready(void *context)
{
    struct fixture *f = context;
    f->ready++;
}

static int create(struct fixture *f, const char *path)
{
    const struct bh_entropy_setup setup = {
        .poller = &f->loop.poller, .path = path, .ready = ready, .context = f};
    return bh_entropy_create(&f->entropy, &setup);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL || bh_loop_init(&f->loop) != BH_OK || pipe2(f->ends, O_CLOEXEC) != 0) {
        return -1;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(f->path, sizeof(f->path), "/dev/fd/%d", f->ends[0]);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    bh_entropy_destroy(f->entropy);
    if (f->ends[1] >= 0) {
        (void)close(f->ends[1]);
    }
    bh_loop_finish(&f->loop);
    free(f);
    return 0;
}

static int ask(struct fixture *f, uint32_t length)
{
    return bh_entropy_read(f->entropy, f->got, length);
}

/* Turns the loop until the source called once more. */
static void wait_ready(struct fixture *f)
{
    uint32_t before = f->ready;
    for (int i = 0; f->ready == before; i++) {
        assert_true(i < 1000);
        assert_int_equal(bh_loop_turn(&f->loop, 20), BH_OK);
    }
}

static void give(const struct fixture *f, const char *text)
{
    assert_int_equal(write(f->ends[1], text, strlen(text)), strlen(text));
}

/* [BH-RNG-4] The kernel's generator is the source when none is named. */
static void test_entropy_generator(void **state)
{
    struct fixture *f = *state;
    uint8_t first[256];
    assert_int_equal(create(f, NULL), BH_OK);
    assert_int_equal(ask(f, 256), 256);
    memcpy(first, f->got, sizeof(first));
    assert_int_equal(ask(f, 256), 256);
    assert_memory_not_equal(first, f->got, sizeof(first));
    assert_int_equal(f->ready, 0);
}

/* [BH-RNG-3] Bytes come in the source's own time, as many as it has, and each once. */
static void test_entropy_bytes_come_once(void **state)
{
    struct fixture *f = *state;
    char all[16] = "";
    assert_int_equal(create(f, f->path), BH_OK);
    assert_int_equal(ask(f, 100), BH_AGAIN);
    assert_int_equal(ask(f, 100), BH_AGAIN);
    assert_int_equal(bh_loop_turn(&f->loop, 10), BH_OK);
    assert_int_equal(f->ready, 0);
    give(f, "abcdefgh");
    wait_ready(f);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ask(f, 2), 2);
        memcpy(all + 2 * i, f->got, 2);
    }
    assert_int_equal(ask(f, 2), BH_AGAIN);
    for (int c = 'a'; c <= 'h'; c++) {
        assert_non_null(strchr(all, c));
    }
    give(f, "ijk");
    wait_ready(f);
    assert_int_equal(ask(f, 100), 3);
    assert_memory_equal(f->got, "ijk", 3);
}

/* [BH-RNG-5] A source that has ended gives nothing, and is asked again after a while, not at
 * once. */
static void test_entropy_end_of_source(void **state)
{
    struct fixture *f = *state;
    (void)close(f->ends[1]);
    f->ends[1] = -1;
    assert_int_equal(create(f, f->path), BH_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ask(f, 8), BH_AGAIN);
        wait_ready(f);
    }
    assert_int_equal(ask(f, 8), BH_AGAIN);
}

/* Another writer for the pipe at the fixture's path, which writes this. */
static void write_anew(struct fixture *f, const char *text)
{
    (void)close(f->ends[1]);
    f->ends[1] = open(f->path, O_WRONLY | O_CLOEXEC);
    assert_true(f->ends[1] >= 0);
    give(f, text);
}

/* [BH-RNG-5] A pipe whose writer goes, and another comes: it goes on with what that one writes. */
static void test_entropy_source_comes_back(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/bulkhead-entropy-XXXXXX";
    assert_non_null(mkdtemp(folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/pipe", folder);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(create(f, f->path), BH_OK); /* without a writer it does not hang */
    assert_int_equal(ask(f, 8), BH_AGAIN);
    write_anew(f, "xy");
    wait_ready(f);
    assert_int_equal(ask(f, 8), 2);
    assert_memory_equal(f->got, "xy", 2);
    (void)close(f->ends[1]);
    f->ends[1] = -1;
    assert_int_equal(ask(f, 8), BH_AGAIN);
    wait_ready(f); /* it has ended */
    assert_int_equal(ask(f, 8), BH_AGAIN);
    write_anew(f, "z");
    for (int got = BH_AGAIN; got != 1; got = ask(f, 8)) {
        wait_ready(f);
    }
    assert_int_equal(f->got[0], 'z');
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* An error of the source is no byte, and no end. */
static void test_entropy_source_fails(void **state)
{
    struct fixture *f = *state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    (void)snprintf(f->path, sizeof(f->path), "/dev/fd/%d", pair[0]);
    assert_int_equal(create(f, f->path), BH_OK);
    /* Closed with something unread: the reader gets ECONNRESET. */
    assert_int_equal(write(pair[0], "x", 1), 1);
    (void)close(pair[1]);
    assert_int_equal(ask(f, 8), BH_AGAIN);
    wait_ready(f);
    assert_int_equal(ask(f, 8), BH_AGAIN);
}

/* A source that hangs holds up neither a turn of the loop nor the end. */
static void test_entropy_source_hangs(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, f->path), BH_OK);
    assert_int_equal(ask(f, 8), BH_AGAIN);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(bh_loop_turn(&f->loop, 1), BH_OK);
    }
    assert_int_equal(f->ready, 0);
}

/* A descriptor that does not wait, as it was handed over, is made to. */
static void test_entropy_descriptor_that_does_not_wait(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fcntl(f->ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(create(f, f->path), BH_OK);
    assert_int_equal(fcntl(f->ends[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(ask(f, 8), BH_AGAIN);
    assert_int_equal(bh_loop_turn(&f->loop, 300), BH_OK);
    assert_int_equal(f->ready, 0);
    give(f, "z");
    wait_ready(f);
    assert_int_equal(ask(f, 8), 1);
}

/* [BH-RNG-3, BH-RNG-4] What gives the same bytes again, what does not wait for a seed, and what
 * is no source at all is refused. */
static void test_entropy_what_is_no_source(void **state)
{
    static const char *const paths[] = {"/dev/zero",   "/dev/null", "/dev/full", "/dev/urandom",
                                        "/etc/passwd", "/",         "/dev/fd/0x"};
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        assert_int_equal(create(f, paths[i]), BH_INVALID);
        assert_null(f->entropy);
    }
    assert_int_equal(create(f, "/no/such/source"), BH_GONE);
    assert_int_equal(create(f, "/dev/fd/999"), BH_INVALID);
    (void)snprintf(f->path, sizeof(f->path), "/dev/fd/%d", f->ends[1]);
    assert_int_equal(create(f, f->path), BH_DENIED);
    f->ends[1] = -1;
}

/* The generator, as a device: it waits for its seed. */
static void test_entropy_random_device(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(create(f, "/dev/random"), BH_OK);
    assert_int_equal(ask(f, 64), BH_AGAIN);
    wait_ready(f);
    assert_int_equal(ask(f, 64), 64);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_entropy_generator),
        CASE(test_entropy_bytes_come_once),
        CASE(test_entropy_end_of_source),
        CASE(test_entropy_source_comes_back),
        CASE(test_entropy_source_fails),
        CASE(test_entropy_source_hangs),
        CASE(test_entropy_descriptor_that_does_not_wait),
        CASE(test_entropy_what_is_no_source),
        CASE(test_entropy_random_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
