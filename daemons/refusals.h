/* SPDX-License-Identifier: BSD-2-Clause */
/* The log of refused requests (bh_daemon_refused). Private to daemons/. */
#ifndef DAEMONS_REFUSALS_H
#define DAEMONS_REFUSALS_H

#include "bulkhead/poller.h"

/* BH_LIMIT: no descriptor left. */
int bh_refusals_init(struct bh_poller *poller);
void bh_refusals_finish(void);

#endif
