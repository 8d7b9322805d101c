/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Landlock: a set of rules that forbids everything this kernel knows how to forbid, and what is
 * allowed after all. Whoever restricts itself with it (landlock_restrict_self) does so alone.
 * Private to host/.
 */
#ifndef HOST_LANDLOCK_H
#define HOST_LANDLOCK_H

#include <stdbool.h>

/* A set of rules without an exception, close-on-exec; `*abi` is the kernel's version of Landlock.
 * -1 with errno: there is none (ENOSYS, EOPNOTSUPP), or it cannot be made. */
int bh_landlock_create(int *abi);

/* Allows `fd`, or what lies below it if it is a folder, to be read and executed, and to be written
 * if `writable`: what exists, nothing is made or removed. 0, or an errno value. EBADFD: it lies in
 * no file system (a memfd, a socket), and needs no rule. */
int bh_landlock_allow(int rules, int abi, int fd, bool writable);

#endif
