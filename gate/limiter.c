/* SPDX-License-Identifier: BSD-2-Clause */
/* Token buckets: limiter.h. */
#include "limiter.h"

#include <stddef.h>

#define MILLION    1000000
#define RATE_MAX   (UINT64_C(1) << 40) /* with a second's worth of microseconds it fits 64 bits */
#define CHARGE_MAX (UINT64_C(1) << 33) /* a chain has less than 4 GiB */

static void fill(struct bh_bucket *bucket, uint64_t rate, uint64_t elapsed_us)
{
    if (rate > RATE_MAX) {
        rate = RATE_MAX;
    }
    /* One operation, or byte, at least: else nothing would ever be done. */
    int64_t most = (int64_t)(rate * (MILLION / 10));
    if (most < MILLION) {
        most = MILLION;
    }
    if (bucket->rate == 0u) {
        bucket->credit = most; /* a limit begins with a full bucket */
    }
    bucket->rate = rate;
    bucket->credit += (int64_t)(rate * elapsed_us);
    if (bucket->credit > most) {
        bucket->credit = most;
    }
}

void bh_limiter_fill(struct bh_limiter *limiter, const struct bh_gate_limits *limits,
                     uint64_t now_us)
{
    uint64_t operations = 0;
    uint64_t bytes = 0;
    if (limits != NULL) {
        operations = __atomic_load_n(&limits->operations_per_second, __ATOMIC_RELAXED);
        bytes = __atomic_load_n(&limits->bytes_per_second, __ATOMIC_RELAXED);
    }
    uint64_t elapsed = now_us > limiter->then ? now_us - limiter->then : 0u;
    if (elapsed > MILLION) {
        elapsed = MILLION;
    }
    limiter->then = now_us;
    fill(&limiter->operations, operations, elapsed);
    fill(&limiter->bytes, bytes, elapsed);
}

static uint64_t wait(const struct bh_bucket *bucket)
{
    if (bucket->rate == 0u || bucket->credit > 0) {
        return 0;
    }
    return (uint64_t)-bucket->credit / bucket->rate + 1u;
}

uint64_t bh_limiter_wait(const struct bh_limiter *limiter)
{
    uint64_t operations = wait(&limiter->operations);
    uint64_t bytes = wait(&limiter->bytes);
    return operations > bytes ? operations : bytes;
}

/* A debt is bounded, so that charges without a look in between (buffers that come back by themselves)
 * do not add up for ever. */
static void charge(struct bh_bucket *bucket, uint64_t amount)
{
    const int64_t most = (int64_t)(CHARGE_MAX * MILLION);
    if (bucket->rate == 0u) {
        return;
    }
    bucket->credit -= (int64_t)((amount < CHARGE_MAX ? amount : CHARGE_MAX) * MILLION);
    if (bucket->credit < -most) {
        bucket->credit = -most;
    }
}

void bh_limiter_charge(struct bh_limiter *limiter, uint64_t operations, uint64_t bytes)
{
    charge(&limiter->operations, operations);
    charge(&limiter->bytes, bytes);
}
