/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many operations and bytes a second a device may do: two token buckets that fill while time goes
 * by, up to what a tenth of a second brings. Something may be done while both have credit; it is then
 * charged whole, and may leave a debt, so that a request larger than a bucket is done, too.
 */
#ifndef GATE_LIMITER_H
#define GATE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/gate.h"

struct bh_bucket {
    uint64_t rate;  /* a second; 0: no limit */
    int64_t credit; /* millionths */
};

struct bh_limiter {
    struct bh_bucket operations;
    struct bh_bucket bytes;
    uint64_t then; /* microseconds */
};

/* Reads the limits (NULL: none), and fills the buckets for the time since the last call. */
void bh_limiter_fill(struct bh_limiter *limiter, const struct bh_gate_limits *limits,
                     uint64_t now_us);

/* 0: something may be done; else the microseconds until then. */
uint64_t bh_limiter_wait(const struct bh_limiter *limiter);

void bh_limiter_charge(struct bh_limiter *limiter, uint64_t operations, uint64_t bytes);

#endif
