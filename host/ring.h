/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A restricted io_uring: only the operations that a disk needs, on what is open already. seccomp does
 * not see what a ring does, so the ring itself must be as narrow as the sandbox. Private to host/.
 *
 * Descriptors are not registered with the ring. What is registered stays open, and locked, until the
 * kernel has taken the ring apart, which may be seconds after the process is gone; otherwise it stays
 * open until the last operation on it has ended, which is just what a successor has to wait for.
 */
#ifndef HOST_RING_H
#define HOST_RING_H

#include <liburing.h>
#include <stdint.h>

/* Makes a ring for `depth` entries. From its first submission on it takes READV, WRITEV, WRITE, FSYNC
 * and FALLOCATE, no flags but IOSQE_ASYNC, and no registration. Its completion queue has twice the
 * room. BH_UNSUPPORTED: the kernel has no io_uring or forbids it, or cannot restrict it;
 * BH_NO_MEMORY; BH_LIMIT. */
int bh_ring_open(struct io_uring *ring, uint32_t depth);

#endif
