/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A restricted io_uring: only these descriptors, by their place in the table, and only the
 * operations that a disk needs. seccomp does not see what a ring does, so the ring itself must be
 * as narrow as the sandbox. Private to host/.
 */
#ifndef HOST_RING_H
#define HOST_RING_H

#include <liburing.h>
#include <stdint.h>

/* Makes a ring for `depth` entries over `fds`. From its first submission on it takes READV, WRITEV,
 * WRITE, FSYNC and FALLOCATE on registered descriptors, and no further registration. Its completion
 * queue has twice the room. BH_UNSUPPORTED: the kernel has no io_uring or forbids it, or cannot
 * restrict it; BH_NO_MEMORY; BH_LIMIT. */
int bh_ring_open(struct io_uring *ring, uint32_t depth, const int *fds, uint32_t fd_count);

#endif
