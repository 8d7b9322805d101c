/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers of a platform for whoever connects: a Unix socket RUNTIME/NAME/metrics beside the control
 * socket. Each connection gets one answer, whatever it asks or none: HTTP/1.1 with OpenMetrics text.
 * Nobody is waited for; a visitor that reads slowly gets its answer slowly, and loses its place when
 * others come.
 *
 * Thread: the loop's.
 */
#ifndef ENGINE_METRICS_H
#define ENGINE_METRICS_H

#include "bulkhead/poller.h"

struct bh_metrics;

/* `folder`: the platform's, which the control socket has taken. `text`: allocated; NULL: no memory.
 * BH_OK; BH_LIMIT: no descriptor left, or the path is too long; BH_NO_MEMORY, BH_DENIED, BH_IO. */
int bh_metrics_open(struct bh_metrics **metrics, struct bh_poller *poller, const char *folder,
                    char *(*text)(void *context), void *context);
void bh_metrics_close(struct bh_metrics *metrics); /* NULL: nothing */

#endif
