/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What this host has for the guests: the processors that they are pinned to, and memory. The
 * definition says what it needs; what it says of the host it is meant for is checked elsewhere.
 *
 * Thread: any. Ownership: the caller's memory.
 */
#ifndef ENGINE_PROCESSORS_H
#define ENGINE_PROCESSORS_H

#include "bulkhead/host_child.h"
#include "bulkhead/platform_layout.h"

/* The processors that run the guest: `cpus`, or NULL: any. For bh_child_setup.cpus. */
const struct bh_child_cpus *bh_processors_of(const struct bh_guest *guest,
                                             struct bh_child_cpus *cpus);

/* Says each processor of the guest that this process may not use, where it stands. */
void bh_processors_check(const struct bh_guest *guest, struct bh_diagnostics *diagnostics);

/* Bytes of memory that the host can give without paging, as the kernel estimates it
 * (MemAvailable of /proc/meminfo). False: it does not tell. */
bool bh_host_available(uint64_t *bytes);

/* RAM and windows of a guest. */
uint64_t bh_layout_bytes(const struct bh_layout *layout);

#endif
