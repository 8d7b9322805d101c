/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the policy did not allow, in the log: the first refusal at once, then at most one line a
 * second for all that came meanwhile. A guest may ask as often as it likes; so these lines share the
 * limits of all that a guest can cause (bh_log_event), and each says how many there were in all.
 *
 * The states:
 *   quiet     nothing was refused in the last second.
 *             a refusal -> it is said, counting
 *   counting  the timer runs.
 *             a refusal -> stays, and is counted
 *             the timer -> what was counted is said, counting; or, if that is nothing, quiet
 */
#include "refusals.h"

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/host_log.h"
#include "bulkhead/host_loop.h"
#include "daemon.h"

#define SECOND_USECS 1000000u

static struct {
    struct bh_timer timer;
    bool counting;
    const char *last; /* the operation that was refused last */
    uint64_t unsaid;
    uint64_t total;
} self;

static void say(void)
{
    if (self.unsaid == 1u) {
        bh_log_event(BH_LOG_WARNING, "refused, the policy does not allow it: %s (%ju in all)",
                     self.last, (uintmax_t)self.total);
    } else {
        bh_log_event(BH_LOG_WARNING,
                     "refused, the policy does not allow it: %ju requests, the last of them %s "
                     "(%ju in all)",
                     (uintmax_t)self.unsaid, self.last, (uintmax_t)self.total);
    }
    self.unsaid = 0;
    self.counting = true;
    bh_timer_arm(&self.timer, SECOND_USECS, 0);
}

static void second_over(void *context)
{
    (void)context;
    self.counting = false;
    if (self.unsaid != 0u) {
        say();
    }
}

void bh_daemon_refused(const char *operation)
{
    self.last = operation;
    self.unsaid++;
    self.total++;
    if (!self.counting) {
        say();
    }
}

int bh_refusals_init(struct bh_poller *poller)
{
    return bh_timer_init(&self.timer, poller, second_over, NULL);
}

void bh_refusals_finish(void)
{
    bh_timer_finish(&self.timer);
}
