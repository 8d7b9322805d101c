/* SPDX-License-Identifier: BSD-2-Clause */
/* See disk_rig.h. */
#include "disk_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_log.h"

struct rig rig = {.directory = "/tmp/bulkhead-test-disk-XXXXXX"};
uint8_t memory[2][65536] __attribute__((aligned(4096)));

void bh_blk_done(struct bh_disk_io *io, int result)
{
    struct operation *operation = (struct operation *)io;
    operation->done++;
    operation->result = result;
}

static void count_finished(void *context)
{
    (void)context;
    rig.finished_calls++;
}

static void count_stopped(void *context)
{
    (void)context;
    rig.stopped_calls++;
}

int rig_make_directory(void **state)
{
    (void)state;
    bh_log_open("test_disk", 0); /* faults are wanted here */
    return mkdtemp(rig.directory) == NULL ? -1 : 0;
}

int rig_remove_directory(void **state)
{
    (void)state;
    return rmdir(rig.directory);
}

/* A file of RIG_SIZE bytes, the byte at n being n / 512 (mod 256). */
int rig_set_up(void **state)
{
    (void)state;
    (void)snprintf(rig.path, sizeof(rig.path), "%s/image", rig.directory);
    FILE *file = fopen(rig.path, "w");
    if (file == NULL) {
        return -1;
    }
    for (unsigned int sector = 0; sector < RIG_SIZE / 512u; sector++) {
        memset(memory[0], (int)(sector & 0xffu), 512);
        if (fwrite(memory[0], 512, 1, file) != 1) {
            return -1;
        }
    }
    memset(memory, 0xee, sizeof(memory));
    rig.finished_calls = 0;
    rig.stopped_calls = 0;
    rig.disk = NULL;
    return fclose(file) == 0 ? bh_loop_init(&rig.loop) : -1;
}

int rig_tear_down(void **state)
{
    (void)state;
    bh_disk_destroy(rig.disk);
    bh_loop_finish(&rig.loop);
    return unlink(rig.path);
}

struct bh_disk_setup rig_setup(void)
{
    return (struct bh_disk_setup){.poller = &rig.loop.poller,
                                  .path = rig.path,
                                  .depth = RIG_DEPTH,
                                  .finished = count_finished,
                                  .stopped = count_stopped};
}

void rig_open(void)
{
    struct bh_disk_setup setup = rig_setup();
    assert_int_equal(bh_disk_create(&rig.disk, &setup), BH_OK);
}

struct operation rig_make(enum bh_disk_op op, uint64_t offset, uint64_t length)
{
    return (struct operation){.io = {.op = op, .offset = offset, .length = length}};
}

struct operation rig_move(enum bh_disk_op op, uint64_t offset, uint8_t *base, size_t length)
{
    struct operation operation = rig_make(op, offset, length);
    operation.spans[0] = (struct bh_span){base, length};
    operation.io.span_count = 1;
    return operation;
}

int rig_submit(struct operation *operation)
{
    operation->io.spans = operation->spans;
    return bh_disk_file_ops.submit(rig.disk, &operation->io);
}

void rig_wait(const struct operation *operation)
{
    bh_disk_file_ops.commit(rig.disk);
    for (unsigned int turn = 0; operation->done == 0u && turn < 100u; turn++) {
        assert_int_equal(bh_loop_turn(&rig.loop, 1000), BH_OK);
    }
    assert_int_equal(operation->done, 1);
}

int rig_perform(struct operation *operation)
{
    assert_int_equal(rig_submit(operation), BH_OK);
    rig_wait(operation);
    return operation->result;
}

uint64_t rig_file_size(void)
{
    struct stat status;
    assert_int_equal(stat(rig.path, &status), 0);
    return (uint64_t)status.st_size;
}

uint64_t rig_file_blocks(void)
{
    struct stat status;
    assert_int_equal(stat(rig.path, &status), 0);
    return (uint64_t)status.st_blocks;
}

/* What the file holds, by another way than the disk. */
void rig_expect(uint64_t offset, uint8_t value, size_t length)
{
    uint8_t bytes[512];
    int fd = open(rig.path, O_RDONLY);
    assert_true(fd >= 0);
    for (size_t at = 0; at < length; at += sizeof(bytes)) {
        assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)(offset + at)), sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes); i++) {
            assert_int_equal(bytes[i], value);
        }
    }
    (void)close(fd);
}
