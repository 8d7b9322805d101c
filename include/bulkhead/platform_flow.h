/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who can reach whom: the platform as a graph, decided for each vehicle mode.
 *
 * Data flows are what the policy permits: a guest writes a resource, a guest reads it. Two guests
 * meet in a resource only where what one may send and what the other may receive overlap (CAN
 * identifiers, lines, addresses). A guest may pass on whatever it gets, so flows are transitive.
 * What must be trusted for that to be all (engine, host kernel, shared processors, hardware that
 * masters memory, `open` back ends) is no data flow, and is listed for each guest.
 *
 * Outside of the graph: what is connected to a resource beyond the host (the other nodes of a CAN
 * bus, a network). The report says so.
 *
 * Thread: one. Ownership: results are the caller's memory and refer to the platform.
 */
#ifndef BULKHEAD_PLATFORM_FLOW_H
#define BULKHEAD_PLATFORM_FLOW_H

#include "bulkhead/platform_policy.h"

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
    struct bh_range numbers; /* an overlap that it is possible with; all: 0 to UINT32_MAX */
};

#define BH_FLOW_STEPS_MAX (2u * BH_GUESTS_MAX + 2u)

struct bh_flow_path {
    struct bh_flow_step steps[BH_FLOW_STEPS_MAX];
    uint32_t count; /* 0: there is no way */
};

/* A guest or resource by name (names of guests first). false: there is none. */
bool bh_flow_node_find(struct bh_flow_node *node, const struct bh_platform *platform,
                       const char *name);

/* A shortest path from one to the other in `mode` that does not pass guest `without` (NULL: any
 * may be passed). BH_OK: path->count is 0 if there is none; BH_NO_MEMORY. */
int bh_flow_find(struct bh_flow_path *path, const struct bh_platform *platform,
                 const struct bh_flow_node *from, const struct bh_flow_node *to,
                 const struct bh_guest *without, uint32_t mode);

/* One hop in words, a line: "ivi may write ivi-disk through its device root". `size` bytes. */
void bh_flow_step_text(const struct bh_flow_step *step, char *to, size_t size);

/* Everything between two nodes, for people, in each mode: the paths both ways with the lines of
 * the definition, what is shared, what must be trusted. BH_GONE: no such name, said to
 * `diagnostics` with a suggestion; BH_NO_MEMORY. */
int bh_flow_explain(const struct bh_platform *platform, const char *a, const char *b,
                    struct bh_diagnostics *diagnostics, FILE *to, bool colour);

/* ------------------------------------------------------------------------------------------------
 * assertions */

enum bh_verdict { BH_VERDICT_HOLDS, BH_VERDICT_VIOLATED };

/* Decides an assertion in one mode it is made for. `path` gets the way that violates it, where
 * there is one (no-flow, only-through). `why` (BH_WHY_BYTES) gets the reason in a line, either way. BH_NO_MEMORY. */
#define BH_WHY_BYTES 256u
int bh_assertion_decide(enum bh_verdict *verdict, struct bh_flow_path *path, char *why,
                        const struct bh_platform *platform, const struct bh_assertion *assertion,
                        uint32_t mode);

/* The assertion in words: "no flow from ivi to cluster". */
void bh_assertion_text(const struct bh_assertion *assertion, char *to, size_t size);

/* ------------------------------------------------------------------------------------------------
 * trust */

enum bh_trust_kind {
    BH_TRUST_HOST_KERNEL,
    BH_TRUST_SUPERVISOR,
    BH_TRUST_ENGINE,
    BH_TRUST_BACKEND,  /* an open one, or (direct) one that maps the windows of other devices */
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
