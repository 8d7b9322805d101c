/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys: policy and assertions. It holds no rule that needs two keys; what the words of
 * `allow` are follows from the type of the resource (policy/operations.c).
 */
#include "schema.h"

#include "bulkhead/platform_definition.h"

#define CAN_ID_MAX 0x1fffffffu /* ISO 11898-1: 29 bits */
#define OPERATIONS 8u

#define NUMBERS(kind, name, low, high, text, sample)                                               \
    {                                                                                              \
        .key = (name), .type = BH_SCHEMA_RANGES, BH_AT(bh_policy_line, numbers[kind]),             \
        BH_IN(low, high), .example = (sample), .otherwise = "all", .doc = (text)                   \
    }

static const struct bh_schema_key policy_keys[] = {
    {.key = "guest",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_policy_line, guest),
     .required = true,
     .example = "NAME",
     .doc = "Who may do it."},
    {.key = "resource",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_policy_line, resource),
     .required = true,
     .example = "NAME",
     .doc = "With what."},
    {.key = "allow",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_policy_line, allow),
     BH_IN(1, OPERATIONS),
     .example = "[read]",
     .otherwise = "nothing",
     .doc = "Operations that the guest may perform."},
    {.key = "deny",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_policy_line, deny),
     BH_IN(1, OPERATIONS),
     .example = "[write]",
     .otherwise = "nothing",
     .doc = "Operations that it may not perform, whichever line allows them."},
    NUMBERS(BH_NUMBERS_IDS, "ids", 0, CAN_ID_MAX,
            "Of a CAN bus: identifiers of the frames; from 0x800 on, extended ones.",
            "[0x100-0x1ff, 0x321]"),
    NUMBERS(BH_NUMBERS_LINES, "lines", 0, 1023, "Of a GPIO chip: its lines.", "[0-3, 7]"),
    NUMBERS(BH_NUMBERS_ADDRESSES, "addresses", 0x08, 0x77, "Of an I2C adapter: target addresses.",
            "[0x48]"),
    NUMBERS(BH_NUMBERS_SELECTS, "selects", 0, 255, "Of an SPI bus: chip selects.", "[0]"),
    NUMBERS(BH_NUMBERS_SENSORS, "sensors", 0, 65535, "Of sensors: their numbers.", "[0-2]"),
    NUMBERS(BH_NUMBERS_PORTS, "ports", 0, 0xfffffffe, "Of sockets: ports.", "[1024]"),
    NUMBERS(BH_NUMBERS_KEYS, "keys", 0, 65535, "Of keys: their numbers in the store.", "[1]"),
    NUMBERS(BH_NUMBERS_STREAMS, "streams", 0, 255, "Of sound: streams.", "[0]"),
    {.key = "modes",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_policy_line, modes),
     BH_IN(1, BH_MODES_MAX),
     .example = "[workshop]",
     .otherwise = "all",
     .doc = "The vehicle modes that the line holds in."},
    {.key = "limits",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_policy_line, limits),
     .group = &bh_schema_limits,
     .example = "{ bytes: 20M }",
     .otherwise = "there are none",
     .doc = "Limits that hold where the line holds."},
};

const struct bh_schema_group bh_schema_policy = {
    .noun = "policy line",
    .phrase = "a policy line",
    .doc = "What a guest may do with a resource. What no line allows is denied.",
    BH_KEYS(policy_keys),
    .size = sizeof(struct bh_policy_line),
    .at_offset = offsetof(struct bh_policy_line, at),
};

static const struct bh_schema_key no_flow_keys[] = {
    {.key = "from",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_flow, from),
     .required = true,
     .example = "ivi",
     .doc = "A guest or a resource."},
    {.key = "to",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_flow, to),
     .required = true,
     .example = "cluster",
     .doc = "A guest or a resource."},
};

const struct bh_schema_group bh_schema_no_flow = {
    .noun = "no-flow",
    .phrase = "no-flow",
    .doc = "Nothing that one of them writes ever reaches the other.",
    BH_KEYS(no_flow_keys),
    .at_offset = offsetof(struct bh_assert_flow, at),
};

static const struct bh_schema_key only_through_keys[] = {
    {.key = "from",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_flow, from),
     .required = true,
     .example = "ivi",
     .doc = "A guest or a resource."},
    {.key = "to",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_flow, to),
     .required = true,
     .example = "body-can",
     .doc = "A guest or a resource."},
    {.key = "through",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_flow, through),
     .required = true,
     .example = "gateway",
     .doc = "The guest that everything passes."},
};

const struct bh_schema_group bh_schema_only_through = {
    .noun = "only-through",
    .phrase = "only-through",
    .doc = "Whatever one of them writes reaches the other through that guest alone.",
    BH_KEYS(only_through_keys),
    .at_offset = offsetof(struct bh_assert_flow, at),
};

static const struct bh_schema_key not_shared_keys[] = {
    {.key = "guests",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_assert_shared, guests),
     BH_IN(2, BH_GUESTS_MAX),
     .required = true,
     .example = "[cluster, ivi]",
     .doc = "Guests, by name."},
};

const struct bh_schema_group bh_schema_not_shared = {
    .noun = "no-shared-resource",
    .phrase = "no-shared-resource",
    .doc = "No two of the guests use the same resource.",
    BH_KEYS(not_shared_keys),
    .at_offset = offsetof(struct bh_assert_shared, at),
};

static const struct bh_schema_key isolated_keys[] = {
    {.key = "guest",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_assert_isolated, guest),
     .required = true,
     .example = "cluster",
     .doc = "The guest."},
};

const struct bh_schema_group bh_schema_isolated = {
    .noun = "isolated",
    .phrase = "isolated",
    .doc = "The guest's private memory is out of the reach of every back end and all hardware.",
    BH_KEYS(isolated_keys),
    .at_offset = offsetof(struct bh_assert_isolated, at),
};

static const struct bh_schema_key assertion_keys[] = {
    {.key = "no-flow",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_assertion, no_flow),
     .group = &bh_schema_no_flow,
     .example = "{ from: ivi, to: cluster }",
     .otherwise = "it asserts something else",
     .doc = "Nothing that one of them writes ever reaches the other."},
    {.key = "only-through",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_assertion, only_through),
     .group = &bh_schema_only_through,
     .example = "{ from: ivi, to: body-can, through: gateway }",
     .otherwise = "it asserts something else",
     .doc = "Whatever one of them writes reaches the other through a guest alone."},
    {.key = "no-shared-resource",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_assertion, no_shared_resource),
     .group = &bh_schema_not_shared,
     .example = "{ guests: [cluster, ivi] }",
     .otherwise = "it asserts something else",
     .doc = "No two of the guests use the same resource."},
    {.key = "isolated",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_assertion, isolated),
     .group = &bh_schema_isolated,
     .example = "{ guest: cluster }",
     .otherwise = "it asserts something else",
     .doc = "The guest's private memory is out of the reach of every back end and all hardware."},
    {.key = "modes",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_assertion, modes),
     BH_IN(1, BH_MODES_MAX),
     .example = "[drive]",
     .otherwise = "all",
     .doc = "The vehicle modes that it has to hold in."},
};

const struct bh_schema_group bh_schema_assertion = {
    .noun = "assertion",
    .phrase = "an assertion",
    .doc = "What can never happen: checked whenever the definition is read, in each mode.",
    BH_KEYS(assertion_keys),
    .size = sizeof(struct bh_assertion),
    .at_offset = offsetof(struct bh_assertion, at),
};
