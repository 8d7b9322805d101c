/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes on their way to a descriptor that may not take them now: a bounded store that is written
 * out as the reader takes it, and that never makes the loop wait. What is put within one turn of
 * the loop goes out in one write.
 *
 * States of an outflow:
 *   open   takes bytes. -> broken (the reader is gone: an error of write)
 *   broken takes bytes and drops them. For good.
 *
 * Thread: the loop's. Ownership: structures and store are the caller's; the descriptor stays the
 * caller's, and is closed after bh_outflow_finish.
 */
#ifndef ENGINE_TERMINAL_OUTFLOW_H
#define ENGINE_TERMINAL_OUTFLOW_H

#include "bulkhead/error.h"
#include "bulkhead/poller.h"

#include <stddef.h>

struct bh_outflow {
    struct bh_task task; /* first */
    struct bh_poller *poller;
    struct bh_watch room; /* of a copy of the descriptor, which may have a watch of its own */
    int fd;
    size_t piece;   /* bytes of one write at most; 0: no bound */
    uint8_t *store; /* a ring */
    size_t capacity;
    size_t start;
    size_t used;
    bool broken;
    /* Bytes have left the store, or it broke: there is place for more. NULL: nobody asks. */
    void (*drained)(void *context);
    void *context;
};

/* The descriptor should not block. Of one that may, nothing is written before poll says that there
 * is room, and `piece` bytes at most. */
void bh_outflow_init(struct bh_outflow *outflow, struct bh_poller *poller, int fd, size_t piece,
                     uint8_t *store, size_t capacity);
void bh_outflow_finish(struct bh_outflow *outflow);

/* Bytes that bh_outflow_put takes now. */
size_t bh_outflow_free(const struct bh_outflow *outflow);

/* All of them, or BH_LIMIT and none. A broken one drops them: BH_OK. */
int bh_outflow_put(struct bh_outflow *outflow, const void *bytes, size_t count);

/* Writes what can be written now. */
void bh_outflow_write(struct bh_outflow *outflow);

#endif
