/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes on a Linux host: from the kernel's generator, or from a device or stream that the
 * platform names. It is no generator and mixes nothing. A source that is not ready, ends or fails
 * is recorded in the log and tried again for as long as somebody asks; until then there are no
 * bytes.
 *
 * Thread: the poller's. Ownership: create allocates, destroy frees; nothing is allocated between.
 */
#ifndef BULKHEAD_HOST_ENTROPY_H
#define BULKHEAD_HOST_ENTROPY_H

#include <stdint.h>

#include "bulkhead/error.h"
#include "bulkhead/poller.h"

struct bh_entropy_setup {
    struct bh_poller *poller;
    /* A character device such as /dev/hwrng, a pipe or a socket; /dev/fd/N is a descriptor that was
     * handed over, and is the source's from now on. NULL: the kernel's generator (getrandom(2)). */
    const char *path;
    void (*ready)(
        void *context); /* bytes are there after bh_entropy_read said that there are none */
    void *context;
};

struct bh_entropy;
struct stat;

/* Why what `status` describes (fstat) cannot be a source, as the end of a sentence that begins with
 * its name: it would give the same bytes again (a file, a block device), gives none, or gives bytes
 * that nobody vouches for (/dev/zero; /dev/urandom, which does not wait for its seed). NULL: it
 * can. Any thread. */
const char *bh_entropy_objection(const struct stat *status);

/* Opens the source and names it in the log, or says what is wrong. What there is an objection to is
 * refused: BH_INVALID. BH_GONE: there is no such thing;
 * BH_DENIED: no right to read; BH_UNSUPPORTED: no io_uring, or no getrandom; BH_NO_MEMORY,
 * BH_LIMIT, BH_IO. */
int bh_entropy_create(struct bh_entropy **entropy, const struct bh_entropy_setup *setup);

/* NULL: nothing. A read that hangs in the source's driver ends with the process. */
void bh_entropy_destroy(struct bh_entropy *entropy);

/* Copies at most `length` (not 0) bytes to `to`, each handed out once; never waits. Returns how
 * many, or BH_AGAIN: `ready` will be called, from the loop. */
int bh_entropy_read(struct bh_entropy *entropy, uint8_t *to, uint32_t length);

#endif
