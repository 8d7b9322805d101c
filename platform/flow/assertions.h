/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What violates an assertion, piece by piece, for those who say it. Private to platform/flow/.
 */
#ifndef PLATFORM_FLOW_ASSERTIONS_H
#define PLATFORM_FLOW_ASSERTIONS_H

#include "graph.h"

/* Whether a device makes all memory of its guest shared. */
bool bh_flow_opens(const struct bh_device_definition *device);

/* no-shared-resource: the next resource that two of the guests use in the mode, from number *next
 * on (begin with 0), and the guests that do, as bits. NULL: none more. BH_OK; BH_GONE: it names
 * what is not there; BH_NO_MEMORY. */
int bh_flow_sharing(const struct bh_resource **resource, uint64_t *guests, uint32_t *next,
                    struct bh_flow *flow, const struct bh_assertion *assertion, uint32_t mode);

#endif
