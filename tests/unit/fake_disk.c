/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk in memory: see fake_disk.h.
 */
#include "fake_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void move(struct fake_disk *disk, struct bh_disk_io *io)
{
    uint8_t *at = disk->data + io->offset;

    for (uint32_t i = 0; i < io->span_count; i++) {
        struct bh_span *span = &io->spans[i];

        if (io->op == BH_DISK_OP_READ) {
            memcpy(span->base, at, span->length);
        } else {
            memcpy(at, span->base, span->length);
        }
        at += span->length;
        /* As a real disk does to go on after a short transfer. */
        span->base += span->length;
        span->length = 0;
    }
}

static void carry_out(struct fake_disk *disk, struct bh_disk_io *io)
{
    switch (io->op) {
    case BH_DISK_OP_READ:
    case BH_DISK_OP_WRITE:
        move(disk, io);
        break;
    case BH_DISK_OP_WRITE_ZEROES:
    case BH_DISK_OP_SECURE_ERASE:
        memset(disk->data + io->offset, 0, io->length);
        break;
    case BH_DISK_OP_FLUSH:
    case BH_DISK_OP_DISCARD:
        break;
    }
}

static void end(struct fake_disk *disk, struct bh_disk_io *io)
{
    if (disk->result == BH_OK) {
        carry_out(disk, io);
    }
    bh_blk_done(io, disk->result);
}

static void check(const struct fake_disk *disk, const struct bh_disk_io *io)
{
    uint64_t sum = 0;

    assert_true(io->offset <= disk->size);
    assert_true(io->length <= disk->size - io->offset);
    assert_int_equal(io->offset % 512u, 0);
    assert_int_equal(io->length % 512u, 0);
    for (uint32_t i = 0; i < io->span_count; i++) {
        assert_true(io->spans[i].length != 0);
        sum += io->spans[i].length;
    }
    if (io->op == BH_DISK_OP_READ || io->op == BH_DISK_OP_WRITE) {
        assert_int_equal(sum, io->length);
        assert_true(sum != 0);
    } else {
        assert_int_equal(io->span_count, 0);
        assert_int_equal(io->length == 0, io->op == BH_DISK_OP_FLUSH);
    }
}

static int take(struct fake_disk *disk, struct bh_disk_io *io)
{
    if (disk->refuse != BH_OK) {
        return disk->refuse;
    }
    if (disk->held_count >= disk->room) {
        return BH_AGAIN;
    }
    if (disk->log_count < FAKE_DISK_LOG) {
        disk->log[disk->log_count] = (struct fake_op){
            io->op, io->durable, io->unmap, io->offset, io->length, io->span_count,
        };
        disk->log_count++;
    }
    if (disk->defer) {
        assert_true(disk->held_count < FAKE_DISK_LOG);
        disk->held[disk->held_count] = io;
        disk->held_count++;
    } else {
        end(disk, io);
    }
    return BH_OK;
}

static int submit(void *context, struct bh_disk_io *io)
{
    struct fake_disk *disk = context;
    int result;

    assert_false(disk->inside);
    disk->inside = true;
    check(disk, io);
    disk->offers++;
    if (disk->on_submit != NULL) {
        disk->on_submit(disk->context);
    }
    result = take(disk, io);
    disk->inside = false;
    return result;
}

static void commit(void *context)
{
    struct fake_disk *disk = context;

    disk->commits++;
}

static int lifetime(void *context, struct bh_blk_lifetime *wear)
{
    const struct fake_disk *disk = context;

    *wear = disk->wear;
    return disk->wear_result;
}

const struct bh_disk_ops fake_disk_ops = {
    .submit = submit,
    .commit = commit,
    .lifetime = lifetime,
};

void fake_disk_init(struct fake_disk *disk, uint64_t size)
{
    memset(disk, 0, sizeof(*disk));
    disk->data = calloc(1, size);
    assert_non_null(disk->data);
    disk->size = size;
    disk->room = FAKE_DISK_LOG;
}

void fake_disk_free(struct fake_disk *disk)
{
    free(disk->data);
}

void fake_disk_finish(struct fake_disk *disk, uint32_t index)
{
    struct bh_disk_io *io;

    assert_true(index < disk->held_count);
    io = disk->held[index];
    disk->held_count--;
    memmove(&disk->held[index], &disk->held[index + 1],
            (disk->held_count - index) * sizeof(disk->held[0]));
    end(disk, io);
}

void fake_disk_finish_all(struct fake_disk *disk)
{
    while (disk->held_count != 0) {
        fake_disk_finish(disk, 0);
    }
}

const struct fake_op *fake_disk_last(const struct fake_disk *disk)
{
    assert_true(disk->log_count != 0);
    return &disk->log[disk->log_count - 1];
}
