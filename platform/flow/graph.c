/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes the graph of data flows of a mode out of what the policy allows. It knows no paths.
 *
 * Each device is looked at once; two uses are compared only where they are of one resource, and
 * only while the two guests are not known to be a hop apart.
 */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"

#define RANGES_AT_FIRST 256u

/* ------------------------------------------------------------------------------------ operations */

uint32_t bh_flow_operations(uint32_t resource_type, uint32_t operations, uint32_t flow)
{
    const struct bh_operation *operation;
    uint32_t found = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        found |= (operation->flows & flow) != 0 ? operations & operation->bit : 0u;
    }
    return found;
}

uint32_t bh_flow_reached(uint32_t resource_type, uint32_t operations)
{
    const struct bh_operation *operation;
    uint32_t reached = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        reached |= (operations & operation->bit) != 0 ? operation->reaches : 0u;
    }
    return reached;
}

uint32_t bh_flow_reaching(uint32_t resource_type, uint32_t operations, uint32_t others)
{
    const struct bh_operation *operation;
    uint32_t reaching = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        reaching |= (operation->reaches & others) != 0 ? operations & operation->bit : 0u;
    }
    return reaching;
}

bool bh_flow_meet(struct bh_flow_meeting *meeting, const struct bh_flow_graph *from,
                  const struct bh_flow_use *sends, const struct bh_flow_graph *to,
                  const struct bh_flow_use *gets)
{
    const struct bh_allowed_range *a = &from->ranges[sends->range_first];
    const struct bh_allowed_range *b = &to->ranges[gets->range_first];
    const struct bh_allowed_range *a_end = a + sends->range_count;
    const struct bh_allowed_range *b_end = b + gets->range_count;
    uint32_t type = sends->device->uses->type.value;

    if ((from != to && !bh_resource_keeps(type)) ||
        (bh_flow_reached(type, sends->operations) & gets->operations) == 0) {
        return false;
    }
    while (a < a_end && b < b_end) {
        uint32_t first = a->first > b->first ? a->first : b->first;
        uint32_t last = a->last < b->last ? a->last : b->last;

        if (first <= last && (bh_flow_reached(type, a->operations) & b->operations) != 0) {
            *meeting = (struct bh_flow_meeting){a, b, first, last};
            return true;
        }
        if (a->last < b->last) {
            a++;
        } else {
            b++;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------ uses */

static int ranges_add(struct bh_flow_graph *graph, const struct bh_allowed_range *ranges,
                      uint32_t count)
{
    if (graph->range_room - graph->range_count < count) {
        uint32_t room = 2 * (graph->range_room + RANGES_AT_FIRST);
        struct bh_allowed_range *more = realloc(graph->ranges, room * sizeof(*more));

        if (more == NULL) {
            return BH_NO_MEMORY;
        }
        graph->ranges = more;
        graph->range_room = room;
    }
    memcpy(&graph->ranges[graph->range_count], ranges, count * sizeof(*ranges));
    graph->range_count += count;
    return BH_OK;
}

/* Whether an earlier device of the guest has it already. */
static bool is_known(const struct bh_flow_graph *graph, uint32_t guest,
                     const struct bh_resource *resource)
{
    for (uint32_t i = graph->guest_first[guest]; i < graph->use_count; i++) {
        if (graph->uses[i].device->uses == resource) {
            return true;
        }
    }
    return false;
}

static int use_add(struct bh_flow_graph *graph, const struct bh_guest *guest,
                   const struct bh_device_definition *device, struct bh_allowance *allowance)
{
    struct bh_flow_use *use = &graph->uses[graph->use_count];

    /* What does not fit is an error of the policy, and nothing is allowed then. */
    (void)bh_allowance_make(allowance, graph->platform, guest, device, graph->mode);
    if (allowance->operations == 0) {
        return BH_OK;
    }
    if (allowance->range_count == 0) {
        allowance->ranges[0] = (struct bh_allowed_range){0, UINT32_MAX, allowance->operations};
        allowance->range_count = 1;
    }
    *use = (struct bh_flow_use){guest, device, allowance->operations, graph->range_count,
                                allowance->range_count};
    graph->use_count++;
    return ranges_add(graph, allowance->ranges, allowance->range_count);
}

static int uses_make(struct bh_flow_graph *graph)
{
    const struct bh_platform *platform = graph->platform;
    struct bh_allowance allowance;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        graph->guest_first[i] = graph->use_count;
        for (uint32_t j = 0; j < guest->device_count; j++) {
            const struct bh_device_definition *device = &guest->devices[j];

            if (device->uses != NULL && !is_known(graph, i, device->uses)) {
                int error = use_add(graph, guest, device, &allowance);

                if (error != BH_OK) {
                    return error;
                }
            }
        }
    }
    graph->guest_first[platform->guest_count] = graph->use_count;
    return BH_OK;
}

/* The uses by resource: counted, then put in their places. */
static void uses_sort(struct bh_flow_graph *graph)
{
    uint32_t resources = graph->platform->resource_count;
    uint32_t *first = graph->resource_first;

    for (uint32_t i = 0; i < graph->use_count; i++) {
        first[bh_flow_resource_index(graph, graph->uses[i].device->uses)]++;
    }
    for (uint32_t i = 1; i <= resources; i++) {
        first[i] += first[i - 1];
    }
    for (uint32_t i = graph->use_count; i > 0; i--) { /* from behind: the order of guests stays */
        uint32_t resource = bh_flow_resource_index(graph, graph->uses[i - 1].device->uses);

        graph->at_resource[--first[resource]] = i - 1;
    }
}

/* Adds the hops from the uses of one graph to those of another, or of the same. */
static void hops_add(uint64_t *all, const struct bh_flow_graph *from,
                     const struct bh_flow_graph *to)
{
    struct bh_flow_meeting meeting;

    for (uint32_t i = 0; i < from->use_count; i++) {
        const struct bh_flow_use *sends = &from->uses[i];
        uint64_t *hops = &all[bh_flow_guest_index(from, sends->guest)];
        uint32_t resource = bh_flow_resource_index(from, sends->device->uses);

        for (uint32_t j = to->resource_first[resource]; j < to->resource_first[resource + 1]; j++) {
            const struct bh_flow_use *gets = &to->uses[to->at_resource[j]];
            uint64_t bit = UINT64_C(1) << bh_flow_guest_index(to, gets->guest);

            if ((*hops & bit) == 0 && bh_flow_meet(&meeting, from, sends, to, gets)) {
                *hops |= bit;
            }
        }
    }
}

uint64_t bh_flow_guests_at(const struct bh_flow_graph *graph, const struct bh_resource *resource,
                           uint32_t flow)
{
    uint32_t index = bh_flow_resource_index(graph, resource);
    uint64_t guests = 0;

    for (uint32_t i = graph->resource_first[index]; i < graph->resource_first[index + 1]; i++) {
        const struct bh_flow_use *use = &graph->uses[graph->at_resource[i]];

        if (flow == BH_FLOW_ANY ||
            bh_flow_operations(resource->type.value, use->operations, flow) != 0) {
            guests |= UINT64_C(1) << bh_flow_guest_index(graph, use->guest);
        }
    }
    return guests;
}

const struct bh_flow_use *bh_flow_use_find(const struct bh_flow_graph *graph,
                                           const struct bh_guest *guest,
                                           const struct bh_resource *resource)
{
    uint32_t index = bh_flow_guest_index(graph, guest);

    for (uint32_t i = graph->guest_first[index]; i < graph->guest_first[index + 1]; i++) {
        if (graph->uses[i].device->uses == resource) {
            return &graph->uses[i];
        }
    }
    return NULL;
}

/* --------------------------------------------------------------------------------------- hardware */

static bool masters_memory(const struct bh_resource *resource)
{
    return resource->type.value == BH_RESOURCE_HARDWARE && resource->dma.value &&
           !resource->iommu.value;
}

const struct bh_device_definition *bh_flow_master(const struct bh_platform *platform,
                                                  uint32_t *guest, uint32_t *device)
{
    for (; *guest < platform->guest_count; (*guest)++, *device = 0) {
        const struct bh_guest *of = &platform->guests[*guest];

        while (*device < of->device_count) {
            const struct bh_device_definition *found = &of->devices[(*device)++];

            if (found->uses != NULL && masters_memory(found->uses)) {
                return found;
            }
        }
    }
    return NULL;
}

/* ----------------------------------------------------------------------------------------- graphs */

static void graph_destroy(struct bh_flow_graph *graph)
{
    if (graph == NULL) {
        return;
    }
    free(graph->ranges);
    free(graph->resource_first);
    free(graph->at_resource);
    free(graph->uses);
    free(graph);
}

static int graph_fill(struct bh_flow_graph *graph)
{
    size_t devices = 1; /* never nothing: what calloc makes of that is not said */
    int error;

    for (uint32_t i = 0; i < graph->platform->guest_count; i++) {
        devices += graph->platform->guests[i].device_count;
    }
    graph->uses = calloc(devices, sizeof(*graph->uses));
    graph->at_resource = calloc(devices, sizeof(*graph->at_resource));
    graph->resource_first =
        calloc((size_t)graph->platform->resource_count + 1, sizeof(*graph->resource_first));
    if (graph->uses == NULL || graph->at_resource == NULL || graph->resource_first == NULL) {
        return BH_NO_MEMORY;
    }
    error = uses_make(graph);
    if (error == BH_OK) {
        uses_sort(graph);
        hops_add(graph->hops, graph, graph);
    }
    return error;
}

int bh_flow_graph(const struct bh_flow_graph **graph, struct bh_flow *flow, uint32_t mode)
{
    struct bh_flow_graph *fresh;
    int error;

    *graph = flow->graphs[mode];
    if (*graph != NULL) {
        return BH_OK;
    }
    fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return BH_NO_MEMORY;
    }
    fresh->platform = flow->platform;
    fresh->mode = mode;
    error = graph_fill(fresh);
    if (error != BH_OK) {
        graph_destroy(fresh);
        return error;
    }
    flow->graphs[mode] = fresh;
    *graph = fresh;
    return BH_OK;
}

int bh_flow_ever(const uint64_t **hops, struct bh_flow *flow)
{
    const uint32_t modes = flow->platform->modes.count;

    *hops = flow->ever;
    for (uint32_t i = 0; i < modes && !flow->has_ever; i++) {
        const struct bh_flow_graph *graph;
        int error = bh_flow_graph(&graph, flow, i);

        if (error != BH_OK) {
            return error;
        }
        for (uint32_t j = 0; j < BH_GUESTS_MAX; j++) {
            flow->ever[j] |= graph->hops[j];
        }
    }
    for (uint32_t i = 0; i < modes && !flow->has_ever; i++) {
        for (uint32_t j = 0; j < modes; j++) {
            if (i != j) {
                hops_add(flow->ever, flow->graphs[i], flow->graphs[j]);
            }
        }
    }
    flow->has_ever = true;
    return BH_OK;
}

int bh_flow_create(struct bh_flow **flow, const struct bh_platform *platform)
{
    uint32_t guest = 0;
    uint32_t device = 0;

    *flow = calloc(1, sizeof(**flow));
    if (*flow == NULL) {
        return BH_NO_MEMORY;
    }
    (*flow)->platform = platform;
    (*flow)->has_master = bh_flow_master(platform, &guest, &device) != NULL;
    return BH_OK;
}

void bh_flow_destroy(struct bh_flow *flow)
{
    if (flow == NULL) {
        return;
    }
    for (uint32_t i = 0; i < BH_MODES_MAX; i++) {
        graph_destroy(flow->graphs[i]);
    }
    free(flow);
}
