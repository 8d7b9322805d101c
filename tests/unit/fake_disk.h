/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory for tests of the block model: it answers at once or when the test says so, has
 * room for so many operations, fails on demand, and keeps a list of what was asked of it. It checks
 * what the model promises a disk: ranges within the capacity, spans that add up.
 */
#ifndef FAKE_DISK_H
#define FAKE_DISK_H

#include "bulkhead/blk.h"

#define FAKE_DISK_LOG 512u

/* What was asked. */
struct fake_op {
    enum bh_disk_op op;
    bool durable;
    bool unmap;
    uint64_t offset;
    uint64_t length;
    uint32_t span_count;
};

struct fake_disk {
    uint8_t *data;
    uint64_t size;
    bool defer;    /* operations wait for fake_disk_finish */
    uint32_t room; /* operations at the disk at most; else BH_AGAIN */
    int refuse;    /* what submit returns, if not BH_OK */
    int result;    /* what operations end with */
    struct bh_disk_io *held[FAKE_DISK_LOG];
    uint32_t held_count;
    struct fake_op log[FAKE_DISK_LOG]; /* of everything that was taken */
    uint32_t log_count;
    void (*on_submit)(void *context); /* before an operation is looked at; NULL: nothing */
    void *context;
    bool inside;     /* submit is under way: it must not be entered again */
    uint32_t offers; /* submits, refused ones included */
    uint32_t commits;
    struct bh_blk_lifetime wear;
    int wear_result;
};

extern const struct bh_disk_ops fake_disk_ops;

/* `size` bytes of zeroes; answers at once, has room for everything. */
void fake_disk_init(struct fake_disk *disk, uint64_t size);
void fake_disk_finish_all(struct fake_disk *disk); /* ends what is held, in order */
void fake_disk_free(struct fake_disk *disk);

/* Ends the operation at place `index` of those held, with disk->result. */
void fake_disk_finish(struct fake_disk *disk, uint32_t index);

/* The last operation that was taken. */
const struct fake_op *fake_disk_last(const struct fake_disk *disk);

#endif
