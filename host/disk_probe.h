/* SPDX-License-Identifier: BSD-2-Clause */
/* What can be found out about an open image or block device. Private to host/. */
#ifndef HOST_DISK_PROBE_H
#define HOST_DISK_PROBE_H

#include "disk.h"

/* Fills in all but the descriptors it is given. BH_OK, BH_IO. */
int bh_disk_probe(struct bh_disk_resource *resource);

/* What offset, length and memory of direct I/O must be multiples of; 0: it is not possible. */
uint32_t bh_disk_probe_alignment(const struct bh_disk_resource *resource);

#endif
