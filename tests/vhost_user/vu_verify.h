/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks that a disk keeps what is written to it; see vu_verify.c. */
#ifndef VU_VERIFY_H
#define VU_VERIFY_H

#include "vu_disk.h"

struct vu_verify {
    uint64_t sector;  /* where the region begins */
    uint64_t sectors; /* its size */
    uint64_t count;   /* operations */
    uint32_t seed;
    bool zeroes; /* write zeroes too, if the disk offers it */
};

/* BH_OK, or what went wrong, which it says on stderr: BH_IO where data is not what it was. */
int vu_verify(struct vu_disk *disk, const struct vu_verify *verify);

#endif
