/* SPDX-License-Identifier: BSD-2-Clause */
/* Windows: what is made, and how the text of /proc/PID/maps is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "engine/window.h"

#define SIZE 65536u

static void test_window_is_sealed(void **state)
{
    struct bh_window window;
    char link[64];
    char path[128] = "";
    (void)state;
    assert_int_equal(bh_window_create(&window, "bulkhead:cluster/root", SIZE), BH_OK);
    assert_int_equal(lseek(window.fd, 0, SEEK_END), SIZE);
    assert_int_equal(ftruncate(window.fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(window.fd, SIZE * 2), -1);
    assert_int_equal(fcntl(window.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", window.fd);
    assert_true(readlink(link, path, sizeof(path) - 1u) > 0);
    assert_non_null(strstr(path, "bulkhead:cluster/root"));
    bh_window_close(&window);
    assert_int_equal(window.fd, -1);
    bh_window_close(&window);
}

static void test_window_name_is_cut(void **state)
{
    struct bh_window window;
    char name[600];
    (void)state;
    memset(name, 'n', sizeof(name) - 1u);
    name[sizeof(name) - 1u] = '\0';
    assert_int_equal(bh_window_create(&window, name, SIZE), BH_OK);
    bh_window_close(&window);
    assert_true(bh_window_create(&window, "huge", UINT64_MAX) < 0);
    assert_int_equal(window.fd, -1);
}

/* This process: one window mapped whole, one in part, one not. */
static void test_window_mapped(void **state)
{
    struct bh_window windows[3];
    uint64_t bytes[3];
    (void)state;
    for (uint32_t i = 0; i < 3u; i++) {
        assert_int_equal(bh_window_create(&windows[i], "bulkhead:test", SIZE), BH_OK);
    }
    void *whole = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, windows[0].fd, 0);
    void *part = mmap(NULL, SIZE / 4u, PROT_READ, MAP_SHARED, windows[1].fd, 4096);
    assert_ptr_not_equal(whole, MAP_FAILED);
    assert_ptr_not_equal(part, MAP_FAILED);
    for (uint32_t i = 0; i < 3u; i++) {
        bh_window_close(&windows[i]);
    }
    assert_int_equal(bh_window_mapped(getpid(), windows, bytes, 3), BH_OK);
    assert_int_equal(bytes[0], SIZE);
    assert_int_equal(bytes[1], SIZE / 4u);
    assert_int_equal(bytes[2], 0);
    /* Mapped twice is not more than all of it. */
    windows[0].fd = -1;
    void *again = mremap(whole, 0, SIZE, MREMAP_MAYMOVE);
    assert_ptr_not_equal(again, MAP_FAILED);
    assert_int_equal(bh_window_mapped(getpid(), windows, bytes, 3), BH_OK);
    assert_int_equal(bytes[0], SIZE);
    assert_int_equal(munmap(whole, SIZE) | munmap(again, SIZE) | munmap(part, SIZE / 4u), 0);
    assert_int_equal(bh_window_mapped(0x7fffffff, windows, bytes, 3), BH_GONE);
}

/* Bytes of a window with device 00:01 and inode 1234 that `text` tells of, in pieces of `piece`. */
static uint64_t parse(const char *text, size_t piece)
{
    const struct bh_window window = {
        .fd = -1, .device = makedev(0, 1), .inode = 1234, .size = SIZE};
    struct bh_mapped mapped;
    uint64_t bytes = 99;
    size_t length = strlen(text);
    bh_mapped_init(&mapped, &window, &bytes, 1);
    for (size_t at = 0; at < length; at += piece) {
        bh_mapped_feed(&mapped, text + at, length - at < piece ? length - at : piece);
    }
    return bytes;
}

static void test_mapped_lines(void **state)
{
    static const char good[] =
        "55d0-55d1 r-xp 00000000 fe:01 1234                       /usr/bin/x\n"
        "7f0000000000-7f0000001000 rw-s 00002000 00:01 1234       /memfd:bulkhead:a/b (deleted)\n"
        "7f0000002000-7f0000004000 rw-s 00000000 00:01 1234       /memfd:bulkhead:a/b (deleted)\n"
        "7f0000005000-7f0000006000 rw-s 00000000 00:01 12345      /memfd:bulkhead:a/b (deleted)\n"
        "7fff0000-7fff1000 rw-p 00000000 00:00 0                  [stack]\n";
    (void)state;
    for (size_t piece = 1; piece < 200u; piece += 7u) {
        assert_int_equal(parse(good, piece), 0x3000);
    }
}

/* Names are the process's own choice; what is no line of the kernel counts nothing. */
static void test_mapped_hostile(void **state)
{
    char text[4096];
    (void)state;
    assert_int_equal(parse("0-1000 r--p 0 08:01 7 /tmp/0-1000 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0-1000 rw-s 0 00:01 1234", 64), 0); /* no end: cut */
    assert_int_equal(parse("1000-0 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("-0-1000 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0-+1000 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0- 1000 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0x0-0x1000 rw-s 0 00:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0-1000 rw-s 0 00:01 -1234 x\n", 64), 0);
    assert_int_equal(parse("0-1000 rw-s 0 100000000:01 1234 x\n", 64), 0);
    assert_int_equal(parse("0-1000 rw-s 0 00:01 99999999999999999999999999 x\n", 64), 0);
    assert_int_equal(parse("\n\n \n-\n0\n0-\n0-1\n", 3), 0);
    assert_int_equal(parse("0-ffffffffffffffff rw-s 0 00:01 1234 x\n", 64), SIZE);
    memset(text, 'a', sizeof(text) - 1u);
    text[sizeof(text) - 1u] = '\0';
    assert_int_equal(parse(text, 100), 0);
    memcpy(text, "0-1000 rw-s 0 00:01 1234 ", 25);
    memcpy(text + 4000, "\n0-10 rw-s 0 00:01 1234 \n", 26);
    assert_int_equal(parse(text, 100), 0x1010);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_is_sealed), cmocka_unit_test(test_window_name_is_cut),
        cmocka_unit_test(test_window_mapped),    cmocka_unit_test(test_mapped_lines),
        cmocka_unit_test(test_mapped_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
