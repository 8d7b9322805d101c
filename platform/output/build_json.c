/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * platform.json: the definition with every default filled in, and what was derived from it, for
 * programs. The definition's part follows the table of keys (schema.c), so a new key is in the file
 * without a line here.
 *
 *   {
 *     "bulkhead": 1,                      the version of the form, the definition's
 *     "name", "engine", "resources", "guests"    as in the definition: the same keys; a map of
 *                                         things is an object by name; sizes are in bytes, times in
 *                                         seconds; a text that is not given is null; a relative
 *                                         path begins at the folder of the definition, also if an
 *                                         included file has it
 *     "layouts": {                        for each guest, by its name
 *       "GUEST": {
 *         "layout": 1,                    the version of the machine's layout
 *         "regions": [                    by address; the first is RAM
 *           { "kind": "private" | "shared", "address": "0x40000000", "size": 134217728 },
 *           { "kind": "window", "device": "root", "address": "0x48000000", "size": 4194304 },
 *                                         or its two parts, with "part": "rings" | "data"
 *           { "kind": "reserved", … } ],  the place of a window of a device that is left out
 *         "slots": { "root": 0 },         virtio-mmio slot of each device; on x86_64 its order
 *         "images": {                     guests with layout v1: where each lies, and its room
 *           "kernel" | "initrd" | "tree" | "start": { "address": "0x…", "size": … },
 *           "program": [ { … } ] } } },   the segments of an ELF file
 *     "allowances": {                     what the policy compiles to, for each guest and each device
 *       "GUEST": { "DEVICE": {            that uses a resource
 *         "resource": "cluster-disk",
 *         "opened": [ "read", "write" ],  the rights with which it is opened: for all modes
 *         "modes": { "MODE": {
 *           "allowed": [ "read" ],        operations, for some number at least
 *           "rights": [ "read" ],         what of a descriptor they need
 *           "filter": {                   what the back end holds each request against, and what the
 *             "operations": 1,            gate allows: bits of <bulkhead/operations.h>; for which
 *             "ranges": [                 numbers, sorted; none: for all, or there are no numbers
 *               { "first": 256, "last": 511, "operations": 1 } ] },
 *           "limits": {                   what the gate holds to besides; 0: none
 *             "operations-per-second", "bytes-per-second", "deadline-ms", "restarts-per-minute" }
 *         } } } } }
 *   }
 *
 * Addresses are texts, because a number of JSON need not hold 64 bits.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "build.h"
#include "bulkhead/error.h"
#include "output_path.h"
#include "platform/definition/schema.h"
#include "policy_json.h"

#define LAYOUT_VERSION 1

/* A group whose keys still have to be put into its object. */
struct job {
    struct job *next;
    const struct bh_schema_group *group;
    const void *at;
    json_t *object; /* belongs to the object that it lies in */
};

/* A text that is being made. Groups lie in each other, and the project has no recursion: those that
 * are found wait in a list. What cannot be stored is noted, and ends the work. */
struct maker {
    const struct bh_platform *platform;
    bool failed;
    struct job *jobs;
};

/* Both take the value over, and NULL is one that could not be made. */
static void set(struct maker *maker, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        maker->failed = true;
    }
}

static void append(struct maker *maker, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        maker->failed = true;
    }
}

/* A member of a group's structure. */
static const void *member(const void *at, size_t offset)
{
    return (const uint8_t *)at + offset;
}

static json_t *text_json(const struct bh_text *text)
{
    return text->text ? json_string(text->text) : json_null();
}

static json_t *path_json(const struct maker *maker, const struct bh_text *text)
{
    char path[BH_OUTPUT_PATH_BYTES];

    if (!text->text) {
        return json_null();
    }
    return bh_output_path(maker->platform, text, path) == BH_OK ? json_string(path) : NULL;
}

static json_t *names_json(struct maker *maker, const struct bh_names *names)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < names->count; i++) {
        append(maker, array, text_json(&names->names[i]));
    }
    return array;
}

/* Numbers, and ranges as [first, last]. */
static json_t *ranges_json(struct maker *maker, const struct bh_ranges *ranges)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct bh_range *range = &ranges->ranges[i];
        json_t *pair = json_array();

        append(maker, pair, json_integer(range->first));
        append(maker, pair, json_integer(range->last));
        append(maker, array, pair);
    }
    return array;
}

/* The object of a group, which is filled later. */
static json_t *group_json(struct maker *maker, const struct bh_schema_group *group, const void *at)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job) {
        maker->failed = true;
        return NULL;
    }
    job->next = maker->jobs;
    job->group = group;
    job->at = at;
    job->object = json_object();
    maker->jobs = job;
    return job->object;
}

static json_t *things_json(struct maker *maker, const struct bh_schema_group *group,
                           const uint8_t *things, uint32_t count)
{
    json_t *object = json_object();

    for (uint32_t i = 0; i < count; i++) {
        const void *thing = things + i * group->size;
        const struct bh_text *name = member(thing, group->name_offset);

        set(maker, object, name->text, group_json(maker, group, thing));
    }
    return object;
}

static json_t *list_json(struct maker *maker, const struct bh_schema_group *group,
                         const uint8_t *things, uint32_t count)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < count; i++) {
        append(maker, array, group_json(maker, group, things + i * group->size));
    }
    return array;
}

static json_t *value_json(struct maker *maker, const struct bh_schema_key *key, const void *at)
{
    const void *value = member(at, key->offset);

    switch (key->type) {
    case BH_SCHEMA_VERSION:
        return json_integer(BH_DEFINITION_VERSION);
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEXT:
        return text_json(value);
    case BH_SCHEMA_PATH:
        return path_json(maker, value);
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        return json_integer((json_int_t)((const struct bh_number *)value)->value);
    case BH_SCHEMA_CHOICE:
        return json_string(key->words[((const struct bh_choice *)value)->value].word);
    case BH_SCHEMA_FLAG:
        return json_boolean(((const struct bh_flag *)value)->value);
    case BH_SCHEMA_NAMES:
        return names_json(maker, value);
    case BH_SCHEMA_RANGES:
        return ranges_json(maker, value);
    case BH_SCHEMA_GROUP:
        return group_json(maker, key->group, value);
    case BH_SCHEMA_THINGS:
        return things_json(maker, key->group, *(const uint8_t *const *)value,
                           *(const uint32_t *)member(at, key->count_offset));
    case BH_SCHEMA_LIST:
        return list_json(maker, key->group, *(const uint8_t *const *)value,
                         *(const uint32_t *)member(at, key->count_offset));
    case BH_SCHEMA_INCLUDE: /* nothing of them is left in a platform */
    case BH_SCHEMA_TEMPLATES:
    case BH_SCHEMA_TEMPLATE:
        break;
    }
    return NULL;
}

/* The kind of a thing, as a bit of bh_schema_key.kinds; 0: things of this group have no kinds. */
static uint32_t group_kind(const struct bh_schema_group *group, const void *at)
{
    for (size_t i = 0; i < group->key_count; i++) {
        const struct bh_schema_key *key = &group->keys[i];

        if (key->is_kind) {
            const struct bh_choice *choice = member(at, key->offset);

            return BH_SCHEMA_KIND(choice->value);
        }
    }
    return 0;
}

static void job_do(struct maker *maker, const struct job *job)
{
    const uint32_t kind = group_kind(job->group, job->at);

    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];

        if ((key->kinds == 0 || (key->kinds & kind) != 0) && key->type < BH_SCHEMA_INCLUDE) {
            set(maker, job->object, key->key, value_json(maker, key, job->at));
        }
    }
}

/* An object that could not be stored is gone: no job is done after a failure. */
static void jobs_do(struct maker *maker)
{
    while (maker->jobs) {
        struct job *job = maker->jobs;

        maker->jobs = job->next;
        if (!maker->failed) {
            job_do(maker, job);
        }
        free(job);
    }
}

static void range_set(struct maker *maker, json_t *object, uint64_t address, uint64_t size)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%08" PRIx64, address);
    set(maker, object, "address", json_string(text));
    set(maker, object, "size", json_integer((json_int_t)size));
}

static json_t *regions_json(struct maker *maker, const struct bh_layout *layout)
{
    static const char *const kinds[] = {
        [BH_REGION_PRIVATE] = "private",
        [BH_REGION_WINDOW] = "window",
        [BH_REGION_SHARED] = "shared",
        [BH_REGION_RESERVED] = "reserved",
    };
    json_t *array = json_array();

    for (uint32_t i = 0; i < layout->region_count; i++) {
        const struct bh_layout_region *region = &layout->regions[i];
        json_t *object = json_object();

        set(maker, object, "kind", json_string(kinds[region->kind]));
        if (region->kind == BH_REGION_WINDOW || region->kind == BH_REGION_RESERVED) {
            set(maker, object, "device", text_json(&layout->guest->devices[region->device].name));
        }
        if (bh_layout_is_part(layout, region)) {
            set(maker, object, "part", json_string(region->rings ? "rings" : "data"));
        }
        range_set(maker, object, region->address, region->size);
        append(maker, array, object);
    }
    return array;
}

static json_t *segments_json(struct maker *maker, const struct bh_layout *layout)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < layout->segment_count; i++) {
        json_t *range = json_object();

        range_set(maker, range, layout->segments[i].address, layout->segments[i].size);
        append(maker, array, range);
    }
    return array;
}

static json_t *images_json(struct maker *maker, const struct bh_layout *layout)
{
    const struct {
        const char *name;
        const struct bh_placement *placement;
    } images[] = {
        {"kernel", &layout->kernel},
        {"initrd", &layout->initrd},
        {"tree", &layout->tree},
        {"start", &layout->start},
    };
    json_t *object = json_object();

    for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
        const struct bh_placement *placement = images[i].placement;

        if (placement->size == 0) {
            continue;
        }
        json_t *range = json_object();

        range_set(maker, range, placement->address, placement->size);
        set(maker, object, images[i].name, range);
    }
    if (layout->segment_count > 0) {
        set(maker, object, "program", segments_json(maker, layout));
    }
    return object;
}

static json_t *layout_json(struct maker *maker, const struct bh_layout *layout)
{
    json_t *object = json_object();
    json_t *slots = json_object();

    for (uint32_t i = 0; i < layout->guest->device_count; i++) {
        if (layout->slots[i] != BH_SLOT_NONE) {
            set(maker, slots, layout->guest->devices[i].name.text,
                json_integer((json_int_t)layout->slots[i]));
        }
    }
    set(maker, object, "layout", json_integer(LAYOUT_VERSION));
    set(maker, object, "regions", regions_json(maker, layout));
    set(maker, object, "slots", slots);
    set(maker, object, "images", images_json(maker, layout));
    return object;
}

char *bh_build_json(const struct bh_platform *platform, const struct bh_built *built)
{
    struct maker made = {platform, false, NULL};
    struct maker *maker = &made;
    json_t *root = group_json(maker, bh_schema_root(), platform);
    json_t *layouts = json_object();
    char *text;

    jobs_do(maker);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        set(maker, layouts, platform->guests[i].name.text, layout_json(maker, &built[i].layout));
    }
    set(maker, root, "layouts", layouts);
    set(maker, root, "allowances", bh_policy_json(platform));
    text = maker->failed ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    return text;
}
