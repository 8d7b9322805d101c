/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys: the definition as a whole; what lies in it stands in schema_*.c. It holds no
 * rule that needs two keys.
 */
#include "schema.h"

#include "bulkhead/platform_definition.h"

static const struct bh_schema_word words_accelerator[] = {
    [BH_ACCELERATOR_AUTO] = {"auto", "KVM where it works for the guest, emulation otherwise"},
    [BH_ACCELERATOR_KVM] = {"kvm", "KVM, or the guest does not start"},
    [BH_ACCELERATOR_TCG] = {"tcg", "emulation"},
    {NULL, NULL},
};

static const struct bh_schema_key host_keys[] = {
    {.key = "cpus",
     .type = BH_SCHEMA_NUMBER,
     BH_AT(bh_host, cpus),
     BH_IN(1, 1024),
     .example = "8",
     .otherwise = "it is not known, and nothing is summed up against it",
     .doc = "Its processors, 0 being the first."},
    {.key = "memory",
     .type = BH_SCHEMA_SIZE,
     BH_AT(bh_host, memory),
     BH_IN(64 * BH_MIB, 16384 * BH_GIB),
     .example = "8G",
     .otherwise = "it is not known, and nothing is summed up against it",
     .doc = "Its memory."},
};

static const struct bh_schema_group host_group = {
    .noun = "host",
    .phrase = "host",
    .doc = "The computer that the platform is meant for.",
    BH_KEYS(host_keys),
    .at_offset = offsetof(struct bh_host, at),
};

static const struct bh_schema_key engine_keys[] = {
    {.key = "qemu",
     .type = BH_SCHEMA_PATH,
     BH_AT(bh_engine_choice, program),
     .example = "/usr/bin/qemu-system-aarch64",
     .otherwise = "qemu-system-aarch64 or qemu-system-x86_64 of the search path",
     .doc = "The QEMU that runs the guests."},
    {.key = "accelerator",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_engine_choice, accelerator),
     .words = words_accelerator,
     .fallback = BH_ACCELERATOR_AUTO,
     .example = "auto",
     .doc = "How the guests' processors are made."},
};

static const struct bh_schema_group engine_group = {
    .noun = "engine",
    .phrase = "engine",
    .doc = "The hypervisor that runs the guests.",
    BH_KEYS(engine_keys),
    .at_offset = offsetof(struct bh_engine_choice, at),
};

static const struct bh_schema_key platform_keys[] = {
    {.key = "bulkhead",
     .type = BH_SCHEMA_VERSION,
     .required = true,
     .example = "1",
     .doc = "The version of the definition's form: 1. It is the first key."},
    {.key = "include",
     .type = BH_SCHEMA_INCLUDE,
     .example = "base.yaml",
     .otherwise = "the definition is one file",
     .doc =
         "Definitions that this one is laid over: its values replace theirs, its lists of policy "
         "lines and assertions are added to theirs, and null takes away what they have."},
    {.key = "templates",
     .type = BH_SCHEMA_TEMPLATES,
     .example = "{ linux: { arch: arm64, memory: 128M } }",
     .otherwise = "there are none",
     .doc = "Keys of guests, devices or resources under a name, which these refer to."},
    {.key = "name",
     .type = BH_SCHEMA_NAME,
     BH_AT(bh_platform, name),
     .required = true,
     .example = "cockpit",
     .doc = "The name of the platform."},
    {.key = "host",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_platform, host),
     .group = &host_group,
     .example = "{ cpus: 8, memory: 8G }",
     .otherwise = "it is not known",
     .doc = "The computer that the platform is meant for."},
    {.key = "engine",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_platform, engine),
     .group = &engine_group,
     .example = "{ accelerator: auto }",
     .otherwise = "QEMU of the search path",
     .doc = "The hypervisor that runs the guests."},
    {.key = "modes",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_platform, modes),
     BH_IN(1, BH_MODES_MAX),
     .example = "[park, drive, workshop, update]",
     .otherwise = "there is one, called normal",
     .doc = "The modes of the vehicle. The platform starts in the first."},
    {.key = "resources",
     .type = BH_SCHEMA_THINGS,
     BH_MANY(bh_platform, resources, resource_count),
     BH_IN(0, BH_RESOURCES_MAX),
     .group = &bh_schema_resource,
     .otherwise = "there are none",
     .example = "{ root-disk: { type: disk, image: root.ext4 } }",
     .doc = "What devices give access to, by name."},
    {.key = "guests",
     .type = BH_SCHEMA_THINGS,
     BH_MANY(bh_platform, guests, guest_count),
     BH_IN(1, BH_GUESTS_MAX),
     .group = &bh_schema_guest,
     .required = true,
     .example = "{ cluster: { arch: arm64, memory: 128M, boot: { kernel: Image } } }",
     .doc = "The guests, by name."},
    {.key = "policy",
     .type = BH_SCHEMA_LIST,
     BH_MANY(bh_platform, policy, policy_count),
     BH_IN(0, BH_POLICY_LINES_MAX),
     .group = &bh_schema_policy,
     .otherwise = "nothing is allowed",
     .example = "[{ guest: cluster, resource: root-disk, allow: [read] }]",
     .doc = "What guests may do with resources. What no line allows is denied."},
    {.key = "assert",
     .type = BH_SCHEMA_LIST,
     BH_MANY(bh_platform, assertions, assertion_count),
     BH_IN(0, BH_ASSERTIONS_MAX),
     .group = &bh_schema_assertion,
     .otherwise = "nothing is asserted",
     .example = "[{ no-flow: { from: ivi, to: cluster } }]",
     .doc = "What can never happen. A definition that does not fulfil it has an error."},
};

static const struct bh_schema_group platform_group = {
    .noun = "definition",
    .phrase = "the definition",
    .doc = "The file as a whole.",
    BH_KEYS(platform_keys),
    .size = sizeof(struct bh_platform),
    .name_offset = offsetof(struct bh_platform, name),
};

static const struct bh_schema_group *const groups[] = {
    &platform_group,
    &host_group,
    &engine_group,
    &bh_schema_resource,
    &bh_schema_guest,
    &bh_schema_boot,
    &bh_schema_watchdog,
    &bh_schema_ready,
    &bh_schema_device,
    &bh_schema_limits,
    &bh_schema_policy,
    &bh_schema_assertion,
    &bh_schema_no_flow,
    &bh_schema_only_through,
    &bh_schema_not_shared,
    &bh_schema_isolated,
    NULL,
};

const struct bh_schema_group *bh_schema_root(void)
{
    return &platform_group;
}

const struct bh_schema_group *bh_schema_group_at(size_t index)
{
    return index < sizeof(groups) / sizeof(groups[0]) ? groups[index] : NULL;
}
