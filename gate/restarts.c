/* SPDX-License-Identifier: BSD-2-Clause */
/* How often something may be started again, and how soon. It knows no clock and no process. */
#include "bulkhead/gate_parent.h"

#define MINUTE_MS  60000u
#define FREE       3u   /* in a row, without waiting */
#define AT_ONCE_MS 250u /* who ends within this time has died at once */
#define WAIT_FIRST 10u
#define WAIT_MOST  1000u
#define KEPT       (sizeof(((struct bh_restarts *)0)->times) / sizeof(uint64_t))

/* Those of the last minute, up to as many as are remembered. */
static uint64_t recent(const struct bh_restarts *restarts, uint64_t now_ms)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < restarts->count; i++) {
        if (now_ms - restarts->times[i] < MINUTE_MS) {
            found++;
        }
    }
    return found;
}

/* A limit beyond what is remembered counts as a rate, over the time that the remembered ones took. */
static bool too_many(const struct bh_restarts *restarts, uint64_t now_ms, uint64_t per_minute)
{
    if (per_minute == 0u) {
        return false;
    }
    if (per_minute <= KEPT) {
        return recent(restarts, now_ms) >= per_minute;
    }
    uint64_t oldest = restarts->times[restarts->next % KEPT];
    return restarts->count == KEPT && (now_ms - oldest) * per_minute < KEPT * (uint64_t)MINUTE_MS;
}

/* A back end that dies at once is started ever later; one that served for a while, at once. */
static uint64_t wait_before(struct bh_restarts *restarts, uint64_t now_ms)
{
    uint64_t wait = WAIT_FIRST;
    if (restarts->count == 0u || now_ms >= restarts->started + AT_ONCE_MS) {
        restarts->streak = 0;
    }
    restarts->streak++;
    if (restarts->streak <= FREE) {
        return 0;
    }
    for (uint32_t i = FREE + 1u; i < restarts->streak && wait < WAIT_MOST; i++) {
        wait *= 2u;
    }
    return wait < WAIT_MOST ? wait : WAIT_MOST;
}

bool bh_restarts_allow(struct bh_restarts *restarts, uint64_t now_ms, uint64_t per_minute,
                       uint64_t *wait_ms)
{
    *wait_ms = 0;
    if (too_many(restarts, now_ms, per_minute)) {
        return false;
    }
    *wait_ms = wait_before(restarts, now_ms);
    restarts->started = now_ms + *wait_ms;
    restarts->times[restarts->next % KEPT] = now_ms;
    restarts->next = (restarts->next + 1u) % KEPT;
    restarts->count += restarts->count < KEPT ? 1u : 0u;
    return true;
}
