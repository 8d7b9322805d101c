/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disks of host/ at work: operations on real files, files that change, stopping; the null disk.
 * Opening: test_disk_open.c. Faults of the medium itself: tests/daemon/.
 */
#include "disk_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/disk.h"

/* ------------------------------------------------------------------------------------------------
 * operations */

static void test_disk_reads_into_the_spans(void **state)
{
    (void)state;
    rig_open();
    struct operation read = rig_make(BH_DISK_OP_READ, 1024, 1024);
    read.spans[0] = (struct bh_span){memory[0], 100};
    read.spans[1] = (struct bh_span){memory[0], 0};
    read.spans[2] = (struct bh_span){memory[1] + 1, 924};
    read.io.span_count = 3;
    assert_int_equal(rig_perform(&read), BH_OK);
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
    rig_open();
    memset(memory[0], 0xa1, 4096);
    struct operation write = rig_move(BH_DISK_OP_WRITE, 512, memory[0], 1024);
    assert_int_equal(rig_perform(&write), BH_OK);
    write = rig_move(BH_DISK_OP_WRITE, 8192, memory[0], 512);
    write.io.durable = true;
    assert_int_equal(rig_perform(&write), BH_OK);
    struct operation flush = rig_make(BH_DISK_OP_FLUSH, 0, 0);
    assert_int_equal(rig_perform(&flush), BH_OK);
    rig_expect(0, 0, 512);
    rig_expect(512, 0xa1, 1024);
    rig_expect(1536, 3, 512);
    rig_expect(8192, 0xa1, 512);
}

static void test_disk_many_at_once_and_no_more(void **state)
{
    struct operation reads[RIG_DEPTH + 1u];
    (void)state;
    rig_open();
    for (unsigned int i = 0; i <= RIG_DEPTH; i++) {
        reads[i] = rig_move(BH_DISK_OP_READ, i * 512u, memory[0] + (size_t)i * 512u, 512);
        assert_int_equal(rig_submit(&reads[i]), i < RIG_DEPTH ? BH_OK : BH_AGAIN);
    }
    for (unsigned int i = 0; i < RIG_DEPTH; i++) {
        rig_wait(&reads[i]);
        assert_int_equal(reads[i].result, BH_OK);
        assert_int_equal(memory[0][i * 512u], i);
    }
    assert_int_equal(reads[RIG_DEPTH].done, 0);
    assert_int_equal(rig_perform(&reads[RIG_DEPTH]), BH_OK);
}

/* The model is called again, so that it goes on with what it had no room for. */
static void test_disk_says_when_operations_finished(void **state)
{
    (void)state;
    rig_open();
    struct operation read = rig_move(BH_DISK_OP_READ, 0, memory[0], 512);
    assert_int_equal(rig_submit(&read), BH_OK);
    assert_int_equal(read.done, 0);
    bh_disk_file_ops.commit(rig.disk);
    for (unsigned int turn = 0; rig.finished_calls == 0u && turn < 100u; turn++) {
        assert_int_equal(bh_loop_turn(&rig.loop, 1000), BH_OK);
    }
    assert_int_equal(read.done, 1);
    assert_true(rig.finished_calls > 0u);
}

static void test_disk_discard_gives_space_back(void **state)
{
    (void)state;
    rig_open();
    uint64_t before = rig_file_blocks();
    struct operation discard = rig_make(BH_DISK_OP_DISCARD, 0, RIG_SIZE / 2u);
    assert_int_equal(rig_perform(&discard), BH_OK);
    assert_true(rig_file_blocks() < before);
    assert_int_equal(rig_file_size(), RIG_SIZE);
    rig_expect(0, 0, 4096);
    rig_expect(RIG_SIZE / 2u, 0, 512);
    rig_expect(RIG_SIZE / 2u + 512u, 1, 512);
}

static void expect_zeroes(bool unmap, bool durable)
{
    struct operation zeroes = rig_make(BH_DISK_OP_WRITE_ZEROES, 1024, 200u * 1024u);
    zeroes.io.unmap = unmap;
    zeroes.io.durable = durable;
    assert_int_equal(rig_perform(&zeroes), BH_OK);
    rig_expect(512, 1, 512);
    rig_expect(1024, 0, 200u * 1024u);
    rig_expect(201u * 1024u, (uint8_t)(402u & 0xffu), 512);
    assert_int_equal(rig_file_size(), RIG_SIZE);
}

static void test_disk_write_zeroes(void **state)
{
    (void)state;
    rig_open();
    expect_zeroes(false, false);
}

static void test_disk_write_zeroes_unmap(void **state)
{
    (void)state;
    rig_open();
    expect_zeroes(true, true);
}

/* A file system that knows neither call: zeroes are written. */
static void test_disk_write_zeroes_without_help(void **state)
{
    (void)state;
    rig_open();
    rig.disk->resource.punches = false;
    rig.disk->zero_ranges = false;
    uint64_t before = rig_file_blocks();
    expect_zeroes(true, true);
    assert_int_equal(rig_file_blocks(), before);
}

static void test_disk_discard_without_help_is_unsupported(void **state)
{
    (void)state;
    rig_open();
    rig.disk->resource.punches = false;
    struct operation discard = rig_make(BH_DISK_OP_DISCARD, 0, RIG_SIZE);
    assert_int_equal(rig_perform(&discard), BH_UNSUPPORTED);
    rig_expect(512, 1, 512);
}

/* A file cannot be erased by ioctl: the pieces fail, the operation ends. */
static void test_disk_erase_fails_on_a_file(void **state)
{
    (void)state;
    rig_open();
    struct operation erase[2] = {rig_make(BH_DISK_OP_SECURE_ERASE, 0, 4096),
                                 rig_make(BH_DISK_OP_SECURE_ERASE, 4096, 4096)};
    assert_int_equal(rig_submit(&erase[0]), BH_OK);
    assert_int_equal(rig_submit(&erase[1]), BH_OK);
    rig_wait(&erase[0]);
    rig_wait(&erase[1]);
    assert_int_equal(erase[0].result, BH_UNSUPPORTED);
    assert_int_equal(erase[1].result, BH_UNSUPPORTED);
    rig_expect(512, 1, 512);
}

/* ------------------------------------------------------------------------------------------------
 * when the file changes */

/* [BH-BLK-34] What is beyond the new end fails; the rest goes on; the file stays as it is. */
static void test_disk_shrunk_file(void **state)
{
    (void)state;
    rig_open();
    assert_int_equal(truncate(rig.path, RIG_SIZE / 2), 0);
    struct operation across = rig_move(BH_DISK_OP_READ, RIG_SIZE / 2u - 512u, memory[0], 1024);
    assert_int_equal(rig_perform(&across), BH_IO);
    struct operation beyond = rig_move(BH_DISK_OP_READ, RIG_SIZE - 512u, memory[0], 512);
    assert_int_equal(rig_perform(&beyond), BH_IO);
    across = rig_move(BH_DISK_OP_WRITE, RIG_SIZE / 2u - 512u, memory[0], 1024);
    assert_int_equal(rig_perform(&across), BH_IO);
    beyond = rig_move(BH_DISK_OP_WRITE, RIG_SIZE - 512u, memory[0], 512);
    assert_int_equal(rig_perform(&beyond), BH_IO);
    beyond = rig_make(BH_DISK_OP_WRITE_ZEROES, RIG_SIZE - 4096u, 4096);
    assert_int_equal(rig_perform(&beyond), BH_IO);
    assert_int_equal(rig_file_size(), RIG_SIZE / 2u);
    struct operation inside = rig_move(BH_DISK_OP_WRITE, 512, memory[1], 512);
    memset(memory[1], 0x77, 512);
    assert_int_equal(rig_perform(&inside), BH_OK);
    rig_expect(512, 0x77, 512);
    rig_expect(1024, 2, 512);
}

static void test_disk_capacity_follows_the_file(void **state)
{
    uint64_t capacity;
    (void)state;
    rig_open();
    assert_int_equal(truncate(rig.path, (off_t)(RIG_SIZE + 1000u)), 0);
    assert_int_equal(bh_disk_capacity(rig.disk, &capacity), BH_OK);
    assert_int_equal(capacity, RIG_SIZE + 512u);
}

/* Memory that is not there (a front end took it away): an error of that operation, nothing else. */
static void test_disk_bad_memory_is_an_error(void **state)
{
    (void)state;
    rig_open();
    struct operation read = rig_move(BH_DISK_OP_READ, 0, (uint8_t *)(uintptr_t)4096, 512);
    assert_int_equal(rig_perform(&read), BH_GONE);
    struct operation write = rig_move(BH_DISK_OP_WRITE, 0, (uint8_t *)(uintptr_t)4096, 512);
    assert_int_equal(rig_perform(&write), BH_GONE);
    rig_expect(0, 0, 512);
}

/* ------------------------------------------------------------------------------------------------
 * stopping, wear, null */

static void test_disk_stops_when_it_is_quiet(void **state)
{
    (void)state;
    rig_open();
    struct operation read = rig_move(BH_DISK_OP_READ, 0, memory[0], 512);
    struct operation late = rig_move(BH_DISK_OP_READ, 0, memory[0], 512);
    assert_int_equal(rig_submit(&read), BH_OK);
    bh_disk_stop(rig.disk);
    assert_int_equal(rig.stopped_calls, 0);
    assert_int_equal(rig_submit(&late), BH_AGAIN);
    rig_wait(&read);
    assert_int_equal(rig.stopped_calls, 1);
    assert_int_equal(late.done, 0);
}

static void write_text(const char *name, const char *text)
{
    char file_path[128];
    (void)snprintf(file_path, sizeof(file_path), "%s/device/%s", rig.directory, name);
    FILE *file = fopen(file_path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_text(const char *name)
{
    char file_path[128];
    (void)snprintf(file_path, sizeof(file_path), "%s/device/%s", rig.directory, name);
    assert_int_equal(unlink(file_path), 0);
}

/* [BH-BLK-26] The wear of an eMMC as the kernel shows it, and nothing that VIRTIO reserves. */
static void test_disk_wear_is_what_the_medium_says(void **state)
{
    struct bh_blk_lifetime lifetime;
    char device[64];
    int fds[2];
    (void)state;
    (void)snprintf(device, sizeof(device), "%s/device", rig.directory);
    bh_disk_wear_open(rig.directory, fds);
    assert_int_equal(fds[0], -1);
    assert_int_equal(mkdir(device, 0700), 0);
    write_text("life_time", "0x02 0x0b\n");
    bh_disk_wear_open(rig.directory, fds);
    assert_int_equal(fds[0], -1); /* one of two is not enough */
    write_text("pre_eol_info", "0x01\n");
    bh_disk_wear_open(rig.directory, fds);
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
    struct operation write = rig_move(BH_DISK_OP_WRITE, 0, memory[0], 1024);
    write.io.spans = write.spans;
    assert_int_equal(bh_disk_null_ops.submit(NULL, &write.io), BH_OK);
    assert_int_equal(write.done, 1);
    assert_int_equal(write.result, BH_OK);
    assert_int_equal(memory[0][0], 1);
    struct operation read = rig_move(BH_DISK_OP_READ, 0, memory[0], 1000);
    read.io.spans = read.spans;
    assert_int_equal(bh_disk_null_ops.submit(NULL, &read.io), BH_OK);
    bh_disk_null_ops.commit(NULL);
    assert_int_equal(read.done, 1);
    assert_int_equal(memory[0][0], 0);
    assert_int_equal(memory[0][999], 0);
    assert_int_equal(memory[0][1000], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(test_disk_reads_into_the_spans),
        RIG_TEST(test_disk_writes_what_the_spans_hold),
        RIG_TEST(test_disk_many_at_once_and_no_more),
        RIG_TEST(test_disk_says_when_operations_finished),
        RIG_TEST(test_disk_discard_gives_space_back),
        RIG_TEST(test_disk_write_zeroes),
        RIG_TEST(test_disk_write_zeroes_unmap),
        RIG_TEST(test_disk_write_zeroes_without_help),
        RIG_TEST(test_disk_discard_without_help_is_unsupported),
        RIG_TEST(test_disk_erase_fails_on_a_file),
        RIG_TEST(test_disk_shrunk_file),
        RIG_TEST(test_disk_capacity_follows_the_file),
        RIG_TEST(test_disk_bad_memory_is_an_error),
        RIG_TEST(test_disk_stops_when_it_is_quiet),
        RIG_TEST(test_disk_wear_is_what_the_medium_says),
        cmocka_unit_test(test_disk_null_reads_zeroes_and_forgets),
    };
    return cmocka_run_group_tests(tests, rig_make_directory, rig_remove_directory);
}
