/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of host/: the file disk over real files, with the model's part (bh_blk_done) played here;
 * and the null disk. Faults of the medium itself: tests/daemon/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_disk.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_loop.h"
#include "host/disk.h"

#define SIZE  (UINT64_C(1024) * 1024u)
#define DEPTH 8u

static struct bh_loop loop;
static struct bh_disk *disk;
static char directory[] = "/tmp/bulkhead-test-disk-XXXXXX";
static char path[64];
static uint8_t memory[2][65536] __attribute__((aligned(4096)));
static unsigned int finished_calls;
static unsigned int stopped_calls;

/* An operation, and what became of it. */
struct operation {
    struct bh_disk_io io; /* first */
    struct bh_span spans[4];
    unsigned int done;
    int result;
};

void bh_blk_done(struct bh_disk_io *io, int result)
{
    struct operation *operation = (struct operation *)io;
    operation->done++;
    operation->result = result;
}

static void count_finished(void *context)
{
    (void)context;
    finished_calls++;
}

static void count_stopped(void *context)
{
    (void)context;
    stopped_calls++;
}

static int make_directory(void **state)
{
    (void)state;
    bh_log_open("test_disk", 0); /* faults are wanted here */
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

/* A file of SIZE bytes, the byte at n being n / 512 (mod 256). */
static int set_up(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/image", directory);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return -1;
    }
    for (unsigned int sector = 0; sector < SIZE / 512u; sector++) {
        memset(memory[0], (int)(sector & 0xffu), 512);
        if (fwrite(memory[0], 512, 1, file) != 1) {
            return -1;
        }
    }
    memset(memory, 0xee, sizeof(memory));
    finished_calls = 0;
    stopped_calls = 0;
    disk = NULL;
    return fclose(file) == 0 ? bh_loop_init(&loop) : -1;
}

static int tear_down(void **state)
{
    (void)state;
    bh_disk_destroy(disk);
    bh_loop_finish(&loop);
    return unlink(path);
}

static struct bh_disk_setup usual_setup(void)
{
    return (struct bh_disk_setup){.poller = &loop.poller,
                                  .path = path,
                                  .depth = DEPTH,
                                  .finished = count_finished,
                                  .stopped = count_stopped};
}

static void open_disk(void)
{
    struct bh_disk_setup setup = usual_setup();
    assert_int_equal(bh_disk_create(&disk, &setup), BH_OK);
}

static struct operation make(enum bh_disk_op op, uint64_t offset, uint64_t length)
{
    return (struct operation){.io = {.op = op, .offset = offset, .length = length}};
}

static struct operation make_move(enum bh_disk_op op, uint64_t offset, uint8_t *base, size_t length)
{
    struct operation operation = make(op, offset, length);
    operation.spans[0] = (struct bh_span){base, length};
    operation.io.span_count = 1;
    return operation;
}

static int submit(struct operation *operation)
{
    operation->io.spans = operation->spans;
    return bh_disk_file_ops.submit(disk, &operation->io);
}

static void wait_for(const struct operation *operation)
{
    bh_disk_file_ops.commit(disk);
    for (unsigned int turn = 0; operation->done == 0u && turn < 100u; turn++) {
        assert_int_equal(bh_loop_turn(&loop, 1000), BH_OK);
    }
    assert_int_equal(operation->done, 1);
}

static int perform(struct operation *operation)
{
    assert_int_equal(submit(operation), BH_OK);
    wait_for(operation);
    return operation->result;
}

static uint64_t file_size(void)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static uint64_t file_blocks(void)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_blocks;
}

/* What the file holds, by another way than the disk. */
static void expect_file(uint64_t offset, uint8_t value, size_t length)
{
    uint8_t bytes[512];
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    for (size_t at = 0; at < length; at += sizeof(bytes)) {
        assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)(offset + at)), sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            assert_int_equal(bytes[i], value);
        }
    }
    (void)close(fd);
}

/* ------------------------------------------------------------------------------------------------
 * operations */

static void test_disk_reads_into_the_spans(void **state)
{
    (void)state;
    open_disk();
    struct operation read = make(BH_DISK_READ, 1024, 1024);
    read.spans[0] = (struct bh_span){memory[0], 100};
    read.spans[1] = (struct bh_span){memory[0], 0};
    read.spans[2] = (struct bh_span){memory[1] + 1, 924};
    read.io.span_count = 3;
    assert_int_equal(perform(&read), BH_OK);
    assert_int_equal(memory[0][99], 2);
    assert_int_equal(memory[0][100], 0xee);
    assert_int_equal(memory[1][0], 0xee);
    assert_int_equal(memory[1][1], 2);
    assert_int_equal(memory[1][412], 2);
    assert_int_equal(memory[1][413], 3);
    assert_int_equal(memory[1][924], 3);
    assert_int_equal(memory[1][925], 0xee);
}

static void test_disk_writes_what_the_spans_hold(void **state)
{
    (void)state;
    open_disk();
    memset(memory[0], 0xa1, 4096);
    struct operation write = make_move(BH_DISK_WRITE, 512, memory[0], 1024);
    assert_int_equal(perform(&write), BH_OK);
    write = make_move(BH_DISK_WRITE, 8192, memory[0], 512);
    write.io.durable = true;
    assert_int_equal(perform(&write), BH_OK);
    struct operation flush = make(BH_DISK_FLUSH, 0, 0);
    assert_int_equal(perform(&flush), BH_OK);
    expect_file(0, 0, 512);
    expect_file(512, 0xa1, 1024);
    expect_file(1536, 3, 512);
    expect_file(8192, 0xa1, 512);
}

static void test_disk_many_at_once_and_no_more(void **state)
{
    struct operation reads[DEPTH + 1u];
    (void)state;
    open_disk();
    for (unsigned int i = 0; i <= DEPTH; i++) {
        reads[i] = make_move(BH_DISK_READ, i * 512u, memory[0] + (size_t)i * 512u, 512);
        assert_int_equal(submit(&reads[i]), i < DEPTH ? BH_OK : BH_AGAIN);
    }
    for (unsigned int i = 0; i < DEPTH; i++) {
        wait_for(&reads[i]);
        assert_int_equal(reads[i].result, BH_OK);
        assert_int_equal(memory[0][i * 512u], i);
    }
    assert_int_equal(reads[DEPTH].done, 0);
    assert_int_equal(perform(&reads[DEPTH]), BH_OK);
}

/* The model is called again, so that it goes on with what it had no room for. */
static void test_disk_says_when_operations_finished(void **state)
{
    (void)state;
    open_disk();
    struct operation read = make_move(BH_DISK_READ, 0, memory[0], 512);
    assert_int_equal(submit(&read), BH_OK);
    assert_int_equal(read.done, 0);
    bh_disk_file_ops.commit(disk);
    for (unsigned int turn = 0; finished_calls == 0u && turn < 100u; turn++) {
        assert_int_equal(bh_loop_turn(&loop, 1000), BH_OK);
    }
    assert_int_equal(read.done, 1);
    assert_true(finished_calls > 0u);
}

static void test_disk_discard_gives_space_back(void **state)
{
    (void)state;
    open_disk();
    uint64_t before = file_blocks();
    struct operation discard = make(BH_DISK_DISCARD, 0, SIZE / 2u);
    assert_int_equal(perform(&discard), BH_OK);
    assert_true(file_blocks() < before);
    assert_int_equal(file_size(), SIZE);
    expect_file(0, 0, 4096);
    expect_file(SIZE / 2u, 0, 512);
    expect_file(SIZE / 2u + 512u, 1, 512);
}

static void expect_zeroes(bool unmap, bool durable)
{
    struct operation zeroes = make(BH_DISK_WRITE_ZEROES, 1024, 200u * 1024u);
    zeroes.io.unmap = unmap;
    zeroes.io.durable = durable;
    assert_int_equal(perform(&zeroes), BH_OK);
    expect_file(512, 1, 512);
    expect_file(1024, 0, 200u * 1024u);
    expect_file(201u * 1024u, (uint8_t)(402u & 0xffu), 512);
    assert_int_equal(file_size(), SIZE);
}

static void test_disk_write_zeroes(void **state)
{
    (void)state;
    open_disk();
    expect_zeroes(false, false);
}

static void test_disk_write_zeroes_unmap(void **state)
{
    (void)state;
    open_disk();
    expect_zeroes(true, true);
}

/* A file system that knows neither call: zeroes are written. */
static void test_disk_write_zeroes_without_help(void **state)
{
    (void)state;
    open_disk();
    disk->resource.punches = false;
    disk->zero_ranges = false;
    uint64_t before = file_blocks();
    expect_zeroes(true, true);
    assert_int_equal(file_blocks(), before);
}

static void test_disk_discard_without_help_is_unsupported(void **state)
{
    (void)state;
    open_disk();
    disk->resource.punches = false;
    struct operation discard = make(BH_DISK_DISCARD, 0, SIZE);
    assert_int_equal(perform(&discard), BH_UNSUPPORTED);
    expect_file(512, 1, 512);
}

/* A file cannot be erased by ioctl: the pieces fail, the operation ends. */
static void test_disk_erase_fails_on_a_file(void **state)
{
    (void)state;
    open_disk();
    struct operation erase[2] = {make(BH_DISK_SECURE_ERASE, 0, 4096),
                                 make(BH_DISK_SECURE_ERASE, 4096, 4096)};
    assert_int_equal(submit(&erase[0]), BH_OK);
    assert_int_equal(submit(&erase[1]), BH_OK);
    wait_for(&erase[0]);
    wait_for(&erase[1]);
    assert_int_equal(erase[0].result, BH_UNSUPPORTED);
    assert_int_equal(erase[1].result, BH_UNSUPPORTED);
    expect_file(512, 1, 512);
}

/* ------------------------------------------------------------------------------------------------
 * when the file changes */

/* [BH-BLK-34] What is beyond the new end fails; the rest goes on; the file stays as it is. */
static void test_disk_shrunk_file(void **state)
{
    (void)state;
    open_disk();
    assert_int_equal(truncate(path, SIZE / 2), 0);
    struct operation across = make_move(BH_DISK_READ, SIZE / 2u - 512u, memory[0], 1024);
    assert_int_equal(perform(&across), BH_IO);
    struct operation beyond = make_move(BH_DISK_READ, SIZE - 512u, memory[0], 512);
    assert_int_equal(perform(&beyond), BH_IO);
    across = make_move(BH_DISK_WRITE, SIZE / 2u - 512u, memory[0], 1024);
    assert_int_equal(perform(&across), BH_IO);
    beyond = make_move(BH_DISK_WRITE, SIZE - 512u, memory[0], 512);
    assert_int_equal(perform(&beyond), BH_IO);
    beyond = make(BH_DISK_WRITE_ZEROES, SIZE - 4096u, 4096);
    assert_int_equal(perform(&beyond), BH_IO);
    assert_int_equal(file_size(), SIZE / 2u);
    struct operation inside = make_move(BH_DISK_WRITE, 512, memory[1], 512);
    memset(memory[1], 0x77, 512);
    assert_int_equal(perform(&inside), BH_OK);
    expect_file(512, 0x77, 512);
    expect_file(1024, 2, 512);
}

static void test_disk_capacity_follows_the_file(void **state)
{
    uint64_t capacity;
    (void)state;
    open_disk();
    assert_int_equal(truncate(path, (off_t)(SIZE + 1000u)), 0);
    assert_int_equal(bh_disk_capacity(disk, &capacity), BH_OK);
    assert_int_equal(capacity, SIZE + 512u);
}

/* Memory that is not there (a front end took it away): an error of that operation, nothing else. */
static void test_disk_bad_memory_is_an_error(void **state)
{
    (void)state;
    open_disk();
    struct operation read = make_move(BH_DISK_READ, 0, (uint8_t *)(uintptr_t)4096, 512);
    assert_int_equal(perform(&read), BH_GONE);
    struct operation write = make_move(BH_DISK_WRITE, 0, (uint8_t *)(uintptr_t)4096, 512);
    assert_int_equal(perform(&write), BH_GONE);
    expect_file(0, 0, 512);
}

/* ------------------------------------------------------------------------------------------------
 * opening */

static void test_disk_geometry_of_a_file(void **state)
{
    struct bh_blk_geometry geometry = {0};
    (void)state;
    open_disk();
    bh_disk_geometry(disk, &geometry);
    assert_int_equal(geometry.capacity, SIZE);
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
    uint64_t blocks = file_blocks();
    open_disk();
    assert_int_equal(file_size(), SIZE);
    assert_int_equal(file_blocks(), blocks);
}

/* A read-only disk has no descriptor that can write, whatever it was given. */
static void expect_no_writable_descriptor(void)
{
    struct stat image;
    struct stat status;
    assert_int_equal(stat(path, &image), 0);
    for (int fd = 0; fd < 64; fd++) {
        if (fstat(fd, &status) == 0 && status.st_ino == image.st_ino &&
            status.st_dev == image.st_dev) {
            assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        }
    }
}

static void expect_read_only(const char *name)
{
    struct bh_disk_setup setup = usual_setup();
    struct bh_blk_geometry geometry = {0};
    setup.path = name;
    setup.read_only = true;
    assert_int_equal(bh_disk_create(&disk, &setup), BH_OK);
    bh_disk_geometry(disk, &geometry);
    assert_true(geometry.read_only);
    assert_int_equal(geometry.discard_max, 0);
    assert_int_equal(geometry.write_zeroes_max, 0);
    expect_no_writable_descriptor();
    struct operation read = make_move(BH_DISK_READ, 512, memory[0], 512);
    assert_int_equal(perform(&read), BH_OK);
    struct operation write = make_move(BH_DISK_WRITE, 512, memory[1], 512);
    assert_true(perform(&write) < 0);
    expect_file(512, 1, 512);
}

/* [BH-BLK-17] */
static void test_disk_read_only(void **state)
{
    (void)state;
    expect_read_only(path);
}

/* [BH-BLK-17] */
static void test_disk_read_only_over_a_writable_descriptor(void **state)
{
    char name[32];
    int fd = open(path, O_RDWR);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    expect_read_only(name);
}

static void test_disk_descriptor_that_appends(void **state)
{
    struct bh_disk_setup setup = usual_setup();
    char name[32];
    int fd = open(path, O_RDWR | O_APPEND | O_NONBLOCK);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    setup.path = name;
    assert_int_equal(bh_disk_create(&disk, &setup), BH_OK);
    memset(memory[0], 0x5a, 512);
    struct operation write = make_move(BH_DISK_WRITE, 512, memory[0], 512);
    assert_int_equal(perform(&write), BH_OK);
    assert_int_equal(file_size(), SIZE);
    expect_file(512, 0x5a, 512);
}

static void test_disk_descriptor_without_the_right(void **state)
{
    struct bh_disk_setup setup = usual_setup();
    char name[32];
    int fd = open(path, O_RDONLY);
    (void)state;
    (void)snprintf(name, sizeof(name), "/dev/fd/%d", fd);
    setup.path = name;
    assert_int_equal(bh_disk_create(&disk, &setup), BH_DENIED);
    (void)close(fd);
    assert_int_equal(bh_disk_create(&disk, &setup), BH_INVALID);
}

static int open_result(const char *name)
{
    struct bh_disk_setup setup = usual_setup();
    setup.path = name;
    return bh_disk_create(&disk, &setup);
}

static void test_disk_refuses_what_is_no_disk(void **state)
{
    char pipe_path[80];
    (void)state;
    (void)snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", directory);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(open_result(pipe_path), BH_INVALID);
    assert_int_equal(unlink(pipe_path), 0);
    assert_int_equal(open_result(pipe_path), BH_GONE);
    assert_int_equal(open_result(directory), BH_INVALID);
    assert_int_equal(open_result("/dev/null"), BH_INVALID);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(open_result(path), BH_INVALID);
    assert_int_equal(truncate(path, 511), 0);
    assert_int_equal(open_result(path), BH_INVALID);
}

static void test_disk_one_writer_or_many_readers(void **state)
{
    struct bh_disk_setup setup = usual_setup();
    struct bh_disk *second = NULL;
    (void)state;
    open_disk();
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
    setup.read_only = true;
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
    bh_disk_destroy(disk);
    assert_int_equal(bh_disk_create(&disk, &setup), BH_OK);
    assert_int_equal(bh_disk_create(&second, &setup), BH_OK);
    bh_disk_destroy(second);
    setup.read_only = false;
    assert_int_equal(bh_disk_create(&second, &setup), BH_STATE);
}

/* [BH-BLK-3] With direct I/O too, any address and any whole number of sectors is served. */
static void test_disk_direct_serves_what_is_not_aligned(void **state)
{
    struct bh_disk_setup setup = usual_setup();
    (void)state;
    setup.direct = true;
    if (bh_disk_create(&disk, &setup) == BH_UNSUPPORTED) {
        skip(); /* a file system without direct I/O */
    }
    memset(memory[0], 0xc3, 8192);
    struct operation write = make_move(BH_DISK_WRITE, 4096, memory[0], 4096);
    assert_int_equal(perform(&write), BH_OK);
    memset(memory[0], 0xc4, 8192);
    write = make_move(BH_DISK_WRITE, 512, memory[0] + 3, 512);
    assert_int_equal(perform(&write), BH_OK);
    struct operation read = make_move(BH_DISK_READ, 0, memory[1] + 1, 16384);
    assert_int_equal(perform(&read), BH_OK);
    assert_int_equal(memory[1][1], 0);
    assert_int_equal(memory[1][513], 0xc4);
    assert_int_equal(memory[1][1025], 2);
    assert_int_equal(memory[1][4097], 0xc3);
    assert_int_equal(memory[1][8193], 16);
    expect_file(512, 0xc4, 512);
    expect_file(4096, 0xc3, 4096);
}

/* ------------------------------------------------------------------------------------------------
 * stopping, wear, null */

static void test_disk_stops_when_it_is_quiet(void **state)
{
    (void)state;
    open_disk();
    struct operation read = make_move(BH_DISK_READ, 0, memory[0], 512);
    struct operation late = make_move(BH_DISK_READ, 0, memory[0], 512);
    assert_int_equal(submit(&read), BH_OK);
    bh_disk_stop(disk);
    assert_int_equal(stopped_calls, 0);
    assert_int_equal(submit(&late), BH_AGAIN);
    wait_for(&read);
    assert_int_equal(stopped_calls, 1);
    assert_int_equal(late.done, 0);
}

static void write_text(const char *name, const char *text)
{
    char file_path[128];
    (void)snprintf(file_path, sizeof(file_path), "%s/device/%s", directory, name);
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_text(const char *name)
{
    char file_path[128];
    (void)snprintf(file_path, sizeof(file_path), "%s/device/%s", directory, name);
    assert_int_equal(unlink(file_path), 0);
}

/* [BH-BLK-26] The wear of an eMMC as the kernel shows it, and nothing that VIRTIO reserves. */
static void test_disk_wear_is_what_the_medium_says(void **state)
{
    struct bh_blk_lifetime lifetime;
    char device[64];
    int fds[2];
    (void)state;
    (void)snprintf(device, sizeof(device), "%s/device", directory);
    bh_disk_wear_open(directory, fds);
    assert_int_equal(fds[0], -1);
    assert_int_equal(mkdir(device, 0700), 0);
    write_text("life_time", "0x02 0x0b\n");
    bh_disk_wear_open(directory, fds);
    assert_int_equal(fds[0], -1); /* one of two is not enough */
    write_text("pre_eol_info", "0x01\n");
    bh_disk_wear_open(directory, fds);
    assert_true(fds[0] >= 0);
    assert_int_equal(bh_disk_wear_read(fds, &lifetime), BH_OK);
    assert_int_equal(lifetime.estimate_a, 2);
    assert_int_equal(lifetime.estimate_b, 11);
    assert_int_equal(lifetime.pre_eol_info, 1);
    write_text("life_time", "0x0c 0xff\n");
    write_text("pre_eol_info", "0x04\n");
    assert_int_equal(bh_disk_wear_read(fds, &lifetime), BH_OK);
    assert_int_equal(lifetime.estimate_a, 0);
    assert_int_equal(lifetime.estimate_b, 0);
    assert_int_equal(lifetime.pre_eol_info, 0);
    write_text("life_time", "");
    assert_int_equal(bh_disk_wear_read(fds, &lifetime), BH_IO);
    (void)close(fds[0]);
    (void)close(fds[1]);
    remove_text("life_time");
    remove_text("pre_eol_info");
    assert_int_equal(rmdir(device), 0);
}

static void test_disk_null_reads_zeroes_and_forgets(void **state)
{
    struct bh_blk_geometry geometry = {0};
    (void)state;
    bh_disk_null_geometry(1000000, &geometry);
    assert_int_equal(geometry.capacity, 999936);
    memset(memory[0], 1, 1024);
    struct operation write = make_move(BH_DISK_WRITE, 0, memory[0], 1024);
    write.io.spans = write.spans;
    assert_int_equal(bh_disk_null_ops.submit(NULL, &write.io), BH_OK);
    assert_int_equal(write.done, 1);
    assert_int_equal(write.result, BH_OK);
    assert_int_equal(memory[0][0], 1);
    struct operation read = make_move(BH_DISK_READ, 0, memory[0], 1000);
    read.io.spans = read.spans;
    assert_int_equal(bh_disk_null_ops.submit(NULL, &read.io), BH_OK);
    bh_disk_null_ops.commit(NULL);
    assert_int_equal(read.done, 1);
    assert_int_equal(memory[0][0], 0);
    assert_int_equal(memory[0][999], 0);
    assert_int_equal(memory[0][1000], 1);
}

#define DISK_TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_disk_reads_into_the_spans),
        DISK_TEST(test_disk_writes_what_the_spans_hold),
        DISK_TEST(test_disk_many_at_once_and_no_more),
        DISK_TEST(test_disk_says_when_operations_finished),
        DISK_TEST(test_disk_discard_gives_space_back),
        DISK_TEST(test_disk_write_zeroes),
        DISK_TEST(test_disk_write_zeroes_unmap),
        DISK_TEST(test_disk_write_zeroes_without_help),
        DISK_TEST(test_disk_discard_without_help_is_unsupported),
        DISK_TEST(test_disk_erase_fails_on_a_file),
        DISK_TEST(test_disk_shrunk_file),
        DISK_TEST(test_disk_capacity_follows_the_file),
        DISK_TEST(test_disk_bad_memory_is_an_error),
        DISK_TEST(test_disk_geometry_of_a_file),
        DISK_TEST(test_disk_probing_changes_nothing),
        DISK_TEST(test_disk_read_only),
        DISK_TEST(test_disk_read_only_over_a_writable_descriptor),
        DISK_TEST(test_disk_descriptor_that_appends),
        DISK_TEST(test_disk_descriptor_without_the_right),
        DISK_TEST(test_disk_refuses_what_is_no_disk),
        DISK_TEST(test_disk_one_writer_or_many_readers),
        DISK_TEST(test_disk_direct_serves_what_is_not_aligned),
        DISK_TEST(test_disk_stops_when_it_is_quiet),
        DISK_TEST(test_disk_wear_is_what_the_medium_says),
        cmocka_unit_test(test_disk_null_reads_zeroes_and_forgets),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
