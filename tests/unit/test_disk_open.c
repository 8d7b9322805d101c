/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a file disk: what it finds out, whom it refuses, rights and locks, direct I/O.
 */
#include "disk_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/disk.h"

/* ------------------------------------------------------------------------------------------------
 * opening */

static void test_disk_geometry_of_a_file(void **state)
{
    struct bh_blk_geometry geometry = {0};
    (void)state;
    rig_open();
    bh_disk_geometry(rig.disk, &geometry);
    assert_int_equal(geometry.capacity, RIG_SIZE);
    assert_int_equal(geometry.block_size, 512);
    assert_true(geometry.physical_block_size >= 512u);
    assert_int_not_equal(geometry.discard_max, 0);
    assert_int_equal(geometry.discard_max % 512u, 0);
    assert_int_not_equal(geometry.write_zeroes_max, 0);
    assert_int_equal(geometry.write_zeroes_max % 512u, 0);
    assert_true(geometry.write_zeroes_unmap);
    assert_int_equal(geometry.secure_erase_max, 0);
    assert_false(geometry.lifetime);
    assert_false(geometry.read_only);
}

static void test_disk_probing_changes_nothing(void **state)
{
    (void)state;
    uint64_t blocks = rig_file_blocks();
    rig_open();
    assert_int_equal(rig_file_size(), RIG_SIZE);
    assert_int_equal(rig_file_blocks(), blocks);
}

/* A read-only disk has no descriptor that can write, whatever it was given. */
static void expect_no_writable_descriptor(void)
{
    struct stat image;
    struct stat status;
    assert_int_equal(stat(rig.path, &image), 0);
    for (int fd = 0; fd < 64; fd++) {
        if (fstat(fd, &status) == 0 && status.st_ino == image.st_ino &&
            status.st_dev == image.st_dev) {
            assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        }
    }
}

static void expect_read_only(const char *name)
{
    struct bh_disk_setup setup = rig_setup();
    struct bh_blk_geometry geometry = {0};
    setup.path = name;
    setup.read_only = true;
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_OK);
    bh_disk_geometry(rig.disk, &geometry);
    assert_true(geometry.read_only);
    assert_int_equal(geometry.discard_max, 0);
    assert_int_equal(geometry.write_zeroes_max, 0);
    expect_no_writable_descriptor();
    struct operation read = rig_move(BH_DISK_OP_READ, 512, memory[0], 512);
    assert_int_equal(rig_perform(&read), BH_OK);
    struct operation write = rig_move(BH_DISK_OP_WRITE, 512, memory[1], 512);
    assert_true(rig_perform(&write) < 0);
    rig_expect(512, 1, 512);
}

/* [BH-BLK-17] */
static void test_disk_read_only(void **state)
{
    (void)state;
    expect_read_only(rig.path);
}

/* [BH-BLK-17] */
static void test_disk_read_only_over_a_writable_descriptor(void **state)
{
    char name[32];
    int fd = open(rig.path, O_RDWR);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    expect_read_only(name);
}

static void test_disk_descriptor_that_appends(void **state)
{
    struct bh_disk_setup setup = rig_setup();
    char name[32];
    int fd = open(rig.path, O_RDWR | O_APPEND | O_NONBLOCK);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    setup.path = name;
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_OK);
    memset(memory[0], 0x5a, 512);
    struct operation write = rig_move(BH_DISK_OP_WRITE, 512, memory[0], 512);
    assert_int_equal(rig_perform(&write), BH_OK);
    assert_int_equal(rig_file_size(), RIG_SIZE);
    rig_expect(512, 0x5a, 512);
}

static void test_disk_descriptor_without_the_right(void **state)
{
    struct bh_disk_setup setup = rig_setup();
    char name[32];
    int fd = open(rig.path, O_RDONLY);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    setup.path = name;
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_DENIED);
    (void)close(fd);
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_INVALID);
}

static int open_result(const char *name)
{
    struct bh_disk_setup setup = rig_setup();
    setup.path = name;
    return bh_disk_create(&rig.disk, &setup);
}

static void test_disk_refuses_what_is_no_disk(void **state)
{
    char pipe_path[80];
    (void)state;
    (void)snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", rig.directory);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(open_result(pipe_path), BH_INVALID);
    assert_int_equal(unlink(pipe_path), 0);
    assert_int_equal(open_result(pipe_path), BH_GONE);
    assert_int_equal(open_result(rig.directory), BH_INVALID);
    assert_int_equal(open_result("/dev/null"), BH_INVALID);
    assert_int_equal(truncate(rig.path, 0), 0);
    assert_int_equal(open_result(rig.path), BH_INVALID);
    assert_int_equal(truncate(rig.path, 511), 0);
    assert_int_equal(open_result(rig.path), BH_INVALID);
}

static void test_disk_one_writer_or_many_readers(void **state)
{
    struct bh_disk_setup setup = rig_setup();
    struct bh_disk *second = NULL;
    (void)state;
    rig_open();
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
    setup.read_only = true;
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
    bh_disk_destroy(rig.disk);
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_OK);
    assert_int_equal(bh_disk_create(&second, &setup), BH_OK);
    bh_disk_destroy(second);
    setup.read_only = false;
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
}

/* The patience is kept, and not more than kept. */
static void test_disk_waits_for_the_lock(void **state)
{
    struct bh_disk_setup setup = rig_setup();
    struct bh_disk *second = NULL;
    struct timespec begin;
    struct timespec end;
    (void)state;
    rig_open();
    setup.patience_ms = 100;
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &begin), 0);
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &end), 0);
    int64_t waited_ms =
        (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    assert_true(waited_ms >= 100);
    bh_disk_destroy(rig.disk);
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_OK);
}

/* [BH-BLK-3] With direct I/O too, any address and any whole number of sectors is served. */
static void test_disk_direct_serves_what_is_not_aligned(void **state)
{
    struct bh_disk_setup setup = rig_setup();
    (void)state;
    setup.direct = true;
    if (bh_disk_create(&rig.disk, &setup) == BH_UNSUPPORTED) {
        skip(); /* a file system without direct I/O */
    }
    memset(memory[0], 0xc3, 8192);
    struct operation write = rig_move(BH_DISK_OP_WRITE, 4096, memory[0], 4096);
    assert_int_equal(rig_perform(&write), BH_OK);
    memset(memory[0], 0xc4, 8192);
    write = rig_move(BH_DISK_OP_WRITE, 512, memory[0] + 3, 512);
    assert_int_equal(rig_perform(&write), BH_OK);
    struct operation read = rig_move(BH_DISK_OP_READ, 0, memory[1] + 1, 16384);
    assert_int_equal(rig_perform(&read), BH_OK);
    assert_int_equal(memory[1][1], 0);
    assert_int_equal(memory[1][513], 0xc4);
    assert_int_equal(memory[1][1025], 2);
    assert_int_equal(memory[1][4097], 0xc3);
    assert_int_equal(memory[1][8193], 16);
    rig_expect(512, 0xc4, 512);
    rig_expect(4096, 0xc3, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_disk_geometry_of_a_file),
        RIG_TEST(test_disk_probing_changes_nothing),
        RIG_TEST(test_disk_read_only),
        RIG_TEST(test_disk_read_only_over_a_writable_descriptor),
        RIG_TEST(test_disk_descriptor_that_appends),
        RIG_TEST(test_disk_descriptor_without_the_right),
        RIG_TEST(test_disk_refuses_what_is_no_disk),
        RIG_TEST(test_disk_one_writer_or_many_readers),
        RIG_TEST(test_disk_waits_for_the_lock),
        RIG_TEST(test_disk_direct_serves_what_is_not_aligned),
    };
    return cmocka_run_group_tests(tests, rig_make_directory, rig_remove_directory);
}
