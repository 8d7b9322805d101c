/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The graph of data flows in one mode, as path.c, assertions.c and explain.c see it. Private to
 * platform/flow/.
 *
 * Nodes are guests and resources. A use joins a guest and a resource: what the guest may do there.
 * Two uses of one resource meet where one sends what the other may get, for the same number. Guests
 * that are joined by such a meeting are one hop apart; there are at most 64 guests, so those that
 * one reaches with a hop are the bits of a word.
 */
#ifndef PLATFORM_FLOW_GRAPH_H
#define PLATFORM_FLOW_GRAPH_H

#include "bulkhead/platform_flow.h"

/* What a guest may do with a resource, by all its devices for it. */
struct bh_flow_use {
    const struct bh_guest *guest;
    const struct bh_device_definition *device; /* the first of them */
    uint32_t operations;                       /* for some number at least; not 0 */
    uint32_t range_first;                      /* of graph->ranges: at least one, sorted */
    uint32_t range_count;
};

struct bh_flow_graph {
    const struct bh_platform *platform;
    uint32_t mode;
    struct bh_flow_use
        *uses; /* of the guests, one after the other, in the order of their devices */
    uint32_t use_count;
    uint32_t guest_first[BH_GUESTS_MAX + 1]; /* of guest n: uses guest_first[n] to [n + 1] */
    uint32_t *at_resource; /* the same by resource, in the order of the guests: indices of uses */
    uint32_t *resource_first; /* of resource n: at_resource[resource_first[n]] to [n + 1] */
    struct bh_allowed_range *ranges;
    uint32_t range_count;
    uint32_t range_room;
    uint64_t hops[BH_GUESTS_MAX]; /* of guest n: bit m, its data reaches guest m in one hop */
};

struct bh_flow {
    const struct bh_platform *platform;
    bool has_master; /* some hardware reaches all memory (bh_flow_master) */
    struct bh_flow_graph *graphs[BH_MODES_MAX]; /* NULL: not asked for yet */
    bool has_ever;
    uint64_t ever[BH_GUESTS_MAX]; /* as hops of a graph, over any changes of mode */
};

/* Where two uses meet: parts of both that share numbers. */
struct bh_flow_meeting {
    const struct bh_allowed_range *sends;
    const struct bh_allowed_range *gets;
    uint32_t first;
    uint32_t last; /* included */
};

/* The graph of a mode that the platform has. BH_OK; BH_NO_MEMORY. */
int bh_flow_graph(const struct bh_flow_graph **graph, struct bh_flow *flow, uint32_t mode);

static inline uint32_t bh_flow_guest_index(const struct bh_flow_graph *graph,
                                           const struct bh_guest *guest)
{
    return (uint32_t)(guest - graph->platform->guests);
}

static inline uint32_t bh_flow_resource_index(const struct bh_flow_graph *graph,
                                              const struct bh_resource *resource)
{
    return (uint32_t)(resource - graph->platform->resources);
}

/* The hops of all modes and between modes; makes all graphs. BH_OK; BH_NO_MEMORY. */
int bh_flow_ever(const uint64_t **hops, struct bh_flow *flow);

/* Of `operations`, those by which data goes this way: BH_FLOW_*. */
uint32_t bh_flow_operations(uint32_t resource_type, uint32_t operations, uint32_t flow);

/* The operations by which others get what goes to the resource by `operations`. */
uint32_t bh_flow_reached(uint32_t resource_type, uint32_t operations);

/* Of `operations`, those that reach one of `others`. */
uint32_t bh_flow_reaching(uint32_t resource_type, uint32_t operations, uint32_t others);

/* Whether what one sends reaches the other, uses of one resource: with the lowest number that it is
 * possible with. Each is of its graph; if these are two, the resource has to keep it. */
bool bh_flow_meet(struct bh_flow_meeting *meeting, const struct bh_flow_graph *from,
                  const struct bh_flow_use *sends, const struct bh_flow_graph *to,
                  const struct bh_flow_use *gets);

/* The guests that have an operation at the resource by which data goes this way (BH_FLOW_*, or just
 * any operation); bits. */
#define BH_FLOW_ANY UINT32_MAX
uint64_t bh_flow_guests_at(const struct bh_flow_graph *graph, const struct bh_resource *resource,
                           uint32_t flow);

/* The next device that is hardware which reads and writes memory by itself, and which no IOMMU holds
 * to its guest; after (*guest, *device), which begin with 0. NULL: none more. Its guest is number
 * *guest. */
const struct bh_device_definition *bh_flow_master(const struct bh_platform *platform,
                                                  uint32_t *guest, uint32_t *device);

/* What a guest has at a resource; NULL: nothing. */
const struct bh_flow_use *bh_flow_use_find(const struct bh_flow_graph *graph,
                                           const struct bh_guest *guest,
                                           const struct bh_resource *resource);

/* Whether two ways go through the same devices by the same lines. */
bool bh_flow_path_is_same(const struct bh_flow_path *a, const struct bh_flow_path *b);

#endif
