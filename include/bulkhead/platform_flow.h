/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who can reach whom: the platform as a graph, decided for each vehicle mode.
 *
 * Data flows are what the policy permits: a guest writes a resource, a guest reads it. Two guests
 * meet in a resource only where what one may send and what the other may receive overlap (CAN
 * identifiers, lines, addresses). A guest may pass on whatever it gets, so flows are transitive.
 * Each mode is looked at by itself. Over a change of mode data flows too: a guest remembers, and some
 * resources keep what was written; that is asked for with BH_MODES_ALL.
 * What must be trusted for that to be all (engine, host kernel, gate, shared processors, hardware that
 * masters memory, `open` and `direct` back ends) is no data flow, and is listed for each guest.
 *
 * Outside of the graph: what is connected to a resource beyond the host (the other nodes of a CAN
 * bus, a network). The report says so.
 *
 * docs/flows.md has the same for people, with examples.
 *
 * Thread: one. Ownership: results are the caller's memory and refer to the platform.
 */
#ifndef BULKHEAD_PLATFORM_FLOW_H
#define BULKHEAD_PLATFORM_FLOW_H

#include "bulkhead/platform_policy.h"

/* What flows are found in: a graph for each mode, made when it is first asked for. */
struct bh_flow;

/* For a platform that was read without an error, which it refers to. BH_OK; BH_NO_MEMORY. */
int bh_flow_create(struct bh_flow **flow, const struct bh_platform *platform);
void bh_flow_destroy(struct bh_flow *flow); /* NULL: nothing */

/* A guest or a resource. */
struct bh_flow_node {
    const struct bh_guest *guest; /* NULL: it is the resource */
    const struct bh_resource *resource;
};

/* One hop of a path: from a guest into a resource, or from a resource into a guest. */
struct bh_flow_step {
    struct bh_flow_node from;
    struct bh_flow_node to;
    const struct bh_device_definition *device; /* of the guest, that it goes through */
    const struct bh_policy_line *line;         /* that permits it */
    uint32_t operations;                       /* of that line, that make it flow this way */
    /* An overlap that it is possible with, without `at`; all: 0 to UINT32_MAX. The step into a
     * resource and the step out of it have the same. */
    struct bh_range numbers;
    uint32_t mode; /* that it is possible in */
};

#define BH_FLOW_STEPS_MAX (2u * BH_GUESTS_MAX + 2u)

struct bh_flow_path {
    struct bh_flow_step steps[BH_FLOW_STEPS_MAX];
    uint32_t count; /* 0: there is no way */
};

/* A guest or resource by name (names of guests first). false: there is none. */
bool bh_flow_node_find(struct bh_flow_node *node, const struct bh_platform *platform,
                       const char *name);

/* A shortest path from one to the other in `mode` (BH_MODES_ALL: over any changes of mode) that does not pass guest `without` (NULL: any
 * may be passed); of several the one by the guests and devices that stand first in the definition.
 * From a node to itself there is none. BH_OK: path->count is 0 if there is none; BH_NO_MEMORY. */
int bh_flow_find(struct bh_flow_path *path, struct bh_flow *flow, const struct bh_flow_node *from,
                 const struct bh_flow_node *to, const struct bh_guest *without, uint32_t mode);

const char *bh_flow_node_name(const struct bh_flow_node *node);

/* One hop in words, a line: "ivi -> body-can: ivi may send (ids 0x100-0x1ff) through its device
 * body". `size` bytes; BH_STEP_BYTES hold any. */
#define BH_STEP_BYTES 320u
void bh_flow_step_text(const struct bh_flow_step *step, char *to, size_t size);

/* Everything between two nodes, for people, in each mode: the paths both ways with the lines of
 * the definition, what is shared, what must be trusted. BH_GONE: no such name, said to
 * `diagnostics` with a suggestion; BH_NO_MEMORY. */
int bh_flow_explain(const struct bh_platform *platform, const char *a, const char *b,
                    struct bh_diagnostics *diagnostics, FILE *to, bool colour);

/* ------------------------------------------------------------------------------------------------
 * assertions */

enum bh_verdict { BH_VERDICT_HOLDS, BH_VERDICT_VIOLATED };

/* Decides an assertion in one mode it is made for; no-flow and only-through that are made for all
 * modes: for BH_MODES_ALL too, over changes of mode. `path` gets the way that violates it, where
 * there is one (no-flow, only-through). `why` (BH_WHY_BYTES) gets the reason in a line, either
 * way. BH_OK; BH_GONE: it names what is not there; BH_NO_MEMORY. */
#define BH_WHY_BYTES 256u
int bh_assertion_decide(enum bh_verdict *verdict, struct bh_flow_path *path, char *why,
                        struct bh_flow *flow, const struct bh_assertion *assertion, uint32_t mode);

/* The assertion in words: "no flow from ivi to cluster". */
void bh_assertion_text(const struct bh_assertion *assertion, char *to, size_t size);

/* ------------------------------------------------------------------------------------------------
 * trust */

enum bh_trust_kind {
    BH_TRUST_HOST_KERNEL,
    BH_TRUST_SUPERVISOR,
    BH_TRUST_ENGINE,
    BH_TRUST_GATE,     /* of a guest that has back ends */
    BH_TRUST_BACKEND,  /* an open one, or a direct one, which writes rings that the guest reads */
    BH_TRUST_HARDWARE, /* masters memory without an IOMMU: of any guest */
    BH_TRUST_CPU,      /* shares processors with another guest */
    BH_TRUST_CACHE,    /* shares caches and memory bandwidth */
    BH_TRUST_MEDIATOR, /* a resource that guests of other criticality use */
};

/* One thing that must be trusted for what is claimed for a guest. */
struct bh_trust {
    enum bh_trust_kind kind;
    const struct bh_guest *other;              /* NULL: none in particular */
    const struct bh_device_definition *device; /* the same */
    const struct bh_resource *resource;        /* the same */
    char text[BH_WHY_BYTES];                   /* what it is trusted with, a sentence */
};

/* Calls `found` for each, the gravest first. */
void bh_trust_list(const struct bh_platform *platform, const struct bh_guest *guest,
                   void (*found)(void *context, const struct bh_trust *trust), void *context);

#endif
