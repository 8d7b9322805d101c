/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the file disk share: an image, a loop, and the model's part (bh_blk_done). Not a
 * test itself.
 */
#ifndef TESTS_UNIT_DISK_RIG_H
#define TESTS_UNIT_DISK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "bulkhead/host_disk.h"
#include "bulkhead/host_loop.h"

#define RIG_SIZE  (UINT64_C(1024) * 1024u)
#define RIG_DEPTH 8u

/* An operation, and what became of it. */
struct operation {
    struct bh_disk_io io; /* first */
    struct bh_span spans[4];
    unsigned int done;
    int result;
};

struct rig {
    struct bh_loop loop;
    struct bh_disk *disk;
    char directory[40];
    char path[64]; /* of the image */
    unsigned int finished_calls;
    unsigned int stopped_calls;
};

extern struct rig rig;
extern uint8_t memory[2][65536]; /* the guest's */

/* For a group of tests: a directory. */
int rig_make_directory(void **state);
int rig_remove_directory(void **state);

/* For a test: a file of RIG_SIZE bytes, the byte at n being n / 512 (mod 256); no disk is open. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

#define RIG_TEST(function) cmocka_unit_test_setup_teardown(function, rig_set_up, rig_tear_down)

struct bh_disk_setup rig_setup(void);
void rig_open(void);

struct operation rig_make(enum bh_disk_op op, uint64_t offset, uint64_t length);
struct operation rig_move(enum bh_disk_op op, uint64_t offset, uint8_t *base, size_t length);
int rig_submit(struct operation *operation);
void rig_wait(const struct operation *operation);

/* Submits and waits; the result. */
int rig_perform(struct operation *operation);

/* The file, by another way than the disk. */
uint64_t rig_file_size(void);
uint64_t rig_file_blocks(void);
void rig_expect(uint64_t offset, uint8_t value, size_t length);

#endif
