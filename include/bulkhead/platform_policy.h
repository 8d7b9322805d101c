/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the policy of a definition means. One table (platform/policy/operations.c) has, for each
 * type of resource, its operations: their words, the way data flows, and the right that a
 * descriptor needs for them. From it come
 *   (a) the rights with which the supervisor opens a resource       bh_policy_rights
 *   (b) the filter that a back end holds each request against       bh_allowance_make, .operations, .ranges
 *   (c) the limits that the gate holds to                           bh_allowance_make
 * and the edges of the flow analysis (platform_flow.h).
 *
 * Default: denied. A line allows for its guest, its resource, its numbers, in its modes; a `deny`
 * takes away from whatever lines allow. A resource that is read-only is not written to, whatever
 * the lines say.
 *
 * Thread: one. Ownership: nothing is allocated. For a platform that was read without an error; the
 * checks may ask too, once they know which guest and resource each line is about and what its words
 * mean.
 */
#ifndef BULKHEAD_PLATFORM_POLICY_H
#define BULKHEAD_PLATFORM_POLICY_H

#include "bulkhead/operations.h"
#include "bulkhead/platform_definition.h"

/* Which way data goes by an operation; both: a question and an answer. */
#define BH_FLOW_TO_GUEST    1u
#define BH_FLOW_TO_RESOURCE 2u

/* What a descriptor must be open for. */
#define BH_RIGHT_READ  1u
#define BH_RIGHT_WRITE 2u

struct bh_operation {
    const char *word;
    uint32_t bit;   /* operations.h */
    uint32_t flows; /* BH_FLOW_* */
    uint32_t rights;
    /* The operations by which another guest gets what goes to the resource by this one: bits;
     * 0: none, whatever is asked for comes back to who asked. */
    uint32_t reaches;
    const char *doc; /* "read blocks" */
};

/* Operation `index` (from 0) of a type of resource; NULL: there are no more. */
const struct bh_operation *bh_operation_at(uint32_t resource_type, size_t index);

/* The bit of an operation by its word; false: the type has no such operation. */
bool bh_operation_find(uint32_t resource_type, const char *word, uint32_t *bit);

/* The words of a type, for suggestions; `context` is a uint32_t, the type. NULL: no more. */
const char *bh_operation_word(const void *context, size_t index);

/* The numbers that its operations hold for; BH_NUMBERS_NONE: they have none. */
enum bh_number_kind bh_resource_numbers(uint32_t resource_type);

/* Whether what goes to it stays there, for who comes later; false: who is not there misses it. */
bool bh_resource_keeps(uint32_t resource_type);

/* The operations of a mask in words: "read, write"; "nothing". `size` bytes. */
void bh_operations_text(uint32_t resource_type, uint32_t operations, char *to, size_t size);

/* Numbers in words: "ids 0x100-0x1ff", "line 7"; nothing where all are meant, or there are none. */
void bh_numbers_text(enum bh_number_kind kind, uint32_t first, uint32_t last, char *to,
                     size_t size);

/* Of all lines that hold in `mode` (index in platform->modes): what the guest may do with the
 * resource, for some number at least. BH_MODES_ALL: in any mode. */
#define BH_MODES_ALL UINT32_MAX
uint32_t bh_policy_operations(const struct bh_platform *platform, const struct bh_guest *guest,
                              const struct bh_resource *resource, uint32_t mode);

/* The same for one number, in one mode; a type without numbers: any. */
uint32_t bh_policy_operations_for(const struct bh_platform *platform, const struct bh_guest *guest,
                                  const struct bh_resource *resource, uint32_t mode,
                                  uint32_t number);

/* The rights that these operations need: BH_RIGHT_*. */
uint32_t bh_policy_rights(uint32_t resource_type, uint32_t operations);

/* Where nothing else is written: of devices whose requests the gate sees and that never wait for the
 * world outside; of all that have a back end. */
#define BH_DEADLINE_MS 10000u
#define BH_RESTARTS    60u

#define BH_ALLOWANCE_RANGES_MAX 250u
/* Ranges that the lines of one guest and resource may have together, as written, in one mode. */
#define BH_POLICY_RANGES_MAX 1024u

struct bh_allowed_range {
    uint32_t first;
    uint32_t last; /* included */
    uint32_t operations;
};

/* What one device may do in one mode. */
struct bh_allowance {
    uint32_t operations; /* for some number at least */
    /* Sorted, without overlaps; none: the operations hold for every number, or the type has none. */
    struct bh_allowed_range ranges[BH_ALLOWANCE_RANGES_MAX];
    uint32_t range_count;
    /* The least of the device's limits and of those of the lines that hold; where none is written,
     * the default for such a device (BH_DEADLINE_MS, BH_RESTARTS); 0: none. */
    uint64_t operations_per_second;
    uint64_t bytes_per_second;
    uint64_t deadline_ms;
    uint64_t restarts_per_minute;
};

/* BH_OK; BH_LIMIT: more ranges than fit, or than BH_POLICY_RANGES_MAX were written (the check
 * policy-ranges says so before), and nothing is allowed. A device without a resource is allowed
 * everything. `mode` is one mode. */
int bh_allowance_make(struct bh_allowance *allowance, const struct bh_platform *platform,
                      const struct bh_guest *guest, const struct bh_device_definition *device,
                      uint32_t mode);

#endif
