/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for whoever connects to a socket (the supervisor's, the keeper's). Each connection gets
 * one answer, whatever it asks or none: HTTP/1.1 with OpenMetrics text. Nobody is waited for; a visitor
 * that reads slowly gets its answer slowly, and loses its place when others come.
 *
 * Thread: the loop's.
 */
#ifndef BULKHEAD_HOST_METRICS_H
#define BULKHEAD_HOST_METRICS_H

#include "bulkhead/poller.h"

struct bh_metrics;

/* `listen_fd`: a listening socket that never blocks; taken over, also on failure; its name stays the
 * caller's to remove. `text`: allocated; NULL: no memory. BH_OK, BH_NO_MEMORY, or as bh_poller_ops.add. */
int bh_metrics_open(struct bh_metrics **metrics, struct bh_poller *poller, int listen_fd,
                    char *(*text)(void *context), void *context);
void bh_metrics_close(struct bh_metrics *metrics); /* NULL: nothing */

#endif
