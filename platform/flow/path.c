/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds a shortest way that data can take, and says for each step which device it goes through and
 * which policy line permits it. Breadth first over the guests; a hop from guest to guest becomes
 * two steps, into the resource and out of it. It judges nothing.
 */
#include "bulkhead/error.h"
#include "graph.h"
#include "platform/definition/index.h"

#define NOBODY UINT32_MAX

/* Of a search, in one mode or in all. */
struct search {
    const struct bh_flow_graph *graphs[BH_MODES_MAX]; /* of the modes that it goes through */
    uint32_t graph_count;
    const uint64_t *hops;
    const struct bh_guest *guests;
    uint64_t seen;                /* guests that were reached, or must not be */
    uint32_t from[BH_GUESTS_MAX]; /* by which guest; NOBODY: the way begins here */
    uint32_t queue[BH_GUESTS_MAX];
    uint32_t queued;
};

/* ----------------------------------------------------------------------------------------- steps */

/* The range of the line that holds `number`; false: none. */
static bool line_range(const struct bh_policy_line *line, uint32_t number, struct bh_range *range)
{
    enum bh_number_kind kind = bh_resource_numbers(line->to->type.value);
    const struct bh_ranges *numbers = kind == BH_NUMBERS_NONE ? NULL : &line->numbers[kind];

    if (numbers == NULL || numbers->count == 0) {
        *range = (struct bh_range){.first = 0, .last = UINT32_MAX};
        return true;
    }
    for (uint32_t i = 0; i < numbers->count; i++) {
        if (numbers->ranges[i].first <= number && number <= numbers->ranges[i].last) {
            *range = numbers->ranges[i];
            return true;
        }
    }
    return false;
}

/* The first line that allows one of `operations` for step->numbers.first: into the step, whose
 * numbers are narrowed to what the line has. There is one, since the operations are allowed. */
static void step_permit(struct bh_flow_step *step, const struct bh_flow_graph *graph,
                        const struct bh_guest *guest, uint32_t operations)
{
    struct bh_lines lines = bh_index_lines(graph->platform, guest, step->device->uses);

    step->mode = graph->mode;
    for (uint32_t i = 0; i < lines.count; i++) {
        const struct bh_policy_line *line = lines.lines[i];
        struct bh_range range;

        if ((line->mode_mask & (1u << graph->mode)) == 0 || (line->allows & operations) == 0 ||
            !line_range(line, step->numbers.first, &range)) {
            continue;
        }
        step->line = line;
        step->operations = line->allows & operations;
        step->numbers.last = range.last < step->numbers.last ? range.last : step->numbers.last;
        return;
    }
}

static void step_into(struct bh_flow_step *step, const struct bh_flow_use *use, uint32_t first,
                      uint32_t last)
{
    *step = (struct bh_flow_step){.from.guest = use->guest,
                                  .to.resource = use->device->uses,
                                  .device = use->device,
                                  .numbers = {.first = first, .last = last}};
}

static void step_out_of(struct bh_flow_step *step, const struct bh_flow_use *use, uint32_t first,
                        uint32_t last)
{
    *step = (struct bh_flow_step){.from.resource = use->device->uses,
                                  .to.guest = use->guest,
                                  .device = use->device,
                                  .numbers = {.first = first, .last = last}};
}

/* The step between a guest and a resource at an end of the way, in the first mode that it is
 * possible in: it has no other side. */
static void add_end(struct bh_flow_path *path, const struct search *search, uint32_t guest,
                    const struct bh_resource *resource, uint32_t flow)
{
    uint32_t type = resource->type.value;

    for (uint32_t i = 0; i < search->graph_count; i++) {
        const struct bh_flow_graph *graph = search->graphs[i];
        const struct bh_flow_use *use = bh_flow_use_find(graph, &search->guests[guest], resource);
        const struct bh_allowed_range *range;
        struct bh_flow_step *step = &path->steps[path->count];

        if (use == NULL || bh_flow_operations(type, use->operations, flow) == 0) {
            continue;
        }
        range = &graph->ranges[use->range_first];
        while (bh_flow_operations(type, range->operations, flow) == 0) {
            range++; /* one of them has it, since the use has */
        }
        if (flow == BH_FLOW_TO_RESOURCE) {
            step_into(step, use, range->first, range->last);
        } else {
            step_out_of(step, use, range->first, range->last);
        }
        step_permit(step, graph, use->guest, bh_flow_operations(type, range->operations, flow));
        path->count++;
        return;
    }
}

/* The two steps of a meeting, which may lie in two modes. */
static void add_meeting(struct bh_flow_path *path, const struct bh_flow_meeting *meeting,
                        const struct bh_flow_graph *from, const struct bh_flow_use *sends,
                        const struct bh_flow_graph *to, const struct bh_flow_use *gets)
{
    struct bh_flow_step *into = &path->steps[path->count++];
    struct bh_flow_step *out = &path->steps[path->count++];
    uint32_t type = sends->device->uses->type.value;

    step_into(into, sends, meeting->first, meeting->last);
    step_permit(into, from, sends->guest,
                bh_flow_reaching(type, meeting->sends->operations, meeting->gets->operations));
    step_out_of(out, gets, into->numbers.first, into->numbers.last);
    step_permit(out, to, gets->guest,
                bh_flow_reached(type, into->operations) & meeting->gets->operations);
    into->operations = bh_flow_reaching(type, into->operations, out->operations);
    into->numbers = out->numbers;
}

/* The hop from one guest to another, by the first device that it is possible with; false: it is not
 * possible between these graphs. */
static bool add_hop(struct bh_flow_path *path, const struct search *search,
                    const struct bh_flow_graph *from, const struct bh_flow_graph *to,
                    uint32_t sender, uint32_t getter)
{
    for (uint32_t i = from->guest_first[sender]; i < from->guest_first[sender + 1]; i++) {
        const struct bh_flow_use *sends = &from->uses[i];
        const struct bh_flow_use *gets =
            bh_flow_use_find(to, &search->guests[getter], sends->device->uses);
        struct bh_flow_meeting meeting;

        if (gets != NULL && bh_flow_meet(&meeting, from, sends, to, gets)) {
            add_meeting(path, &meeting, from, sends, to, gets);
            return true;
        }
    }
    return false;
}

/* The same in the first mode that it is possible in; else from one mode into another. */
static void add_hop_ever(struct bh_flow_path *path, const struct search *search, uint32_t sender,
                         uint32_t getter)
{
    bool found = false;

    for (uint32_t i = 0; i < search->graph_count && !found; i++) {
        found = add_hop(path, search, search->graphs[i], search->graphs[i], sender, getter);
    }
    for (uint32_t i = 0; i < search->graph_count * search->graph_count && !found; i++) {
        found = add_hop(path, search, search->graphs[i / search->graph_count],
                        search->graphs[i % search->graph_count], sender, getter);
    }
}

/* ---------------------------------------------------------------------------------------- search */

bool bh_flow_node_find(struct bh_flow_node *node, const struct bh_platform *platform,
                       const char *name)
{
    node->guest = bh_platform_guest(platform, name);
    node->resource = node->guest != NULL ? NULL : bh_platform_resource(platform, name);
    return node->guest != NULL || node->resource != NULL;
}

/* BH_OK; BH_NO_MEMORY. */
static int search_begin(struct search *search, struct bh_flow *flow, uint32_t mode)
{
    int error;

    search->guests = flow->platform->guests;
    search->queued = 0;
    if (mode != BH_MODES_ALL) {
        error = bh_flow_graph(&search->graphs[0], flow, mode);
        search->graph_count = 1;
        search->hops = error == BH_OK ? search->graphs[0]->hops : NULL;
        return error;
    }
    error = bh_flow_ever(&search->hops, flow);
    search->graph_count = flow->platform->modes.count;
    for (uint32_t i = 0; i < search->graph_count && error == BH_OK; i++) {
        error = bh_flow_graph(&search->graphs[i], flow, i);
    }
    return error;
}

static uint64_t bit_of(const struct search *search, const struct bh_guest *guest)
{
    return guest == NULL ? 0 : UINT64_C(1) << (guest - search->guests);
}

/* The guests that an end of the way is: itself, or those that have data go this way. */
static uint64_t guests_of(const struct search *search, const struct bh_flow_node *node,
                          uint32_t flow)
{
    uint64_t guests = bit_of(search, node->guest);

    for (uint32_t i = 0; i < search->graph_count && node->guest == NULL; i++) {
        guests |= bh_flow_guests_at(search->graphs[i], node->resource, flow);
    }
    return guests;
}

/* Adds those of `guests` that were not reached, the first of the definition first. */
static void reach(struct search *search, uint64_t guests, uint32_t from)
{
    guests &= ~search->seen;
    search->seen |= guests;
    while (guests != 0) {
        uint32_t guest = (uint32_t)__builtin_ctzll(guests);

        search->from[guest] = from;
        search->queue[search->queued++] = guest;
        guests &= guests - 1;
    }
}

/* The nearest guest of `goals`; NOBODY: none can be reached. */
static uint32_t search_run(struct search *search, uint64_t starts, uint64_t goals)
{
    reach(search, starts, NOBODY);
    for (uint32_t i = 0; i < search->queued; i++) {
        uint32_t guest = search->queue[i];

        if ((goals >> guest & 1u) != 0) {
            return guest;
        }
        reach(search, search->hops[guest], guest);
    }
    return NOBODY;
}

/* The way to `last`, from its beginning. */
static void path_make(struct bh_flow_path *path, const struct search *search, uint32_t last,
                      const struct bh_resource *from, const struct bh_resource *to)
{
    uint32_t way[BH_GUESTS_MAX];
    uint32_t length = 0;

    for (uint32_t guest = last; guest != NOBODY; guest = search->from[guest]) {
        way[length++] = guest;
    }
    if (from != NULL) {
        add_end(path, search, way[length - 1], from, BH_FLOW_TO_GUEST);
    }
    for (uint32_t i = length; i > 1; i--) {
        add_hop_ever(path, search, way[i - 1], way[i - 2]);
    }
    if (to != NULL) {
        add_end(path, search, last, to, BH_FLOW_TO_RESOURCE);
    }
}

int bh_flow_find(struct bh_flow_path *path, struct bh_flow *flow, const struct bh_flow_node *from,
                 const struct bh_flow_node *to, const struct bh_guest *without, uint32_t mode)
{
    struct search search;
    uint32_t last;
    int error;

    path->count = 0;
    error = search_begin(&search, flow, mode);
    if (error != BH_OK || (from->guest == to->guest && from->resource == to->resource)) {
        return error;
    }
    /* Who stands at an end of the way does not pass it. */
    search.seen = without == from->guest || without == to->guest ? 0 : bit_of(&search, without);
    last = search_run(&search, guests_of(&search, from, BH_FLOW_TO_GUEST),
                      guests_of(&search, to, BH_FLOW_TO_RESOURCE));
    if (last != NOBODY) {
        path_make(path, &search, last, from->resource, to->resource);
    }
    return BH_OK;
}

bool bh_flow_path_is_same(const struct bh_flow_path *a, const struct bh_flow_path *b)
{
    bool same = a->count == b->count;

    for (uint32_t i = 0; i < a->count && same; i++) {
        same = a->steps[i].line == b->steps[i].line && a->steps[i].device == b->steps[i].device &&
               a->steps[i].operations == b->steps[i].operations &&
               a->steps[i].numbers.first == b->steps[i].numbers.first &&
               a->steps[i].numbers.last == b->steps[i].numbers.last;
    }
    return same;
}
