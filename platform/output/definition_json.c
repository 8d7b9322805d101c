/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition as JSON (definition_json.h), along the table of keys: a new key is in it without a
 * line here. platform.json is something else: it is for programs of others, shows what was derived,
 * and is not read back.
 *
 * Groups lie in each other, and the project has no recursion: those that are found wait in a list.
 */
#include "definition_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "output_path.h"
#include "platform/definition/reader.h"
#include "platform/definition/schema.h"
#include "release.h"

/* A group whose keys still have to be put into its object. */
struct job {
    struct job *next;
    const struct bh_schema_group *group;
    const void *at;
    struct bh_origin origin; /* of the thing: what was not given stands there */
    json_t *object;          /* belongs to the object that it lies in */
};

struct maker {
    const struct bh_platform *platform;
    bool failed;
    struct job *first;
    struct job *last;
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

static const void *member(const void *at, size_t offset)
{
    return (const uint8_t *)at + offset;
}

static json_t *path_json(const struct maker *maker, const struct bh_text *text)
{
    char path[BH_OUTPUT_PATH_BYTES];
    return bh_output_path(maker->platform, text, path) == BH_OK ? json_string(path) : NULL;
}

/* ------------------------------------------------------------------------------------------------
 * values */

static json_t *number_json(const struct bh_schema_key *key, const struct bh_number *number)
{
    return json_string(bh_schema_number(key, number->value).text);
}

/* Whether the definition can say this number: some defaults mean that there is none. */
static bool number_is_sayable(const struct bh_schema_key *key, uint64_t value)
{
    return value >= key->minimum && value <= key->maximum &&
           (key->multiple == 0 || value % key->multiple == 0);
}

static json_t *names_json(struct maker *maker, const struct bh_names *names)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < names->count; i++) {
        append(maker, array, json_string(names->names[i].text));
    }
    return array;
}

static json_t *ranges_json(struct maker *maker, const struct bh_ranges *ranges)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct bh_range *range = &ranges->ranges[i];
        char text[32];
        (void)snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, range->first, range->last);
        append(maker, array, json_string(text));
    }
    return array;
}

/* The object of a group, which is filled later. */
static json_t *group_json(struct maker *maker, const struct bh_schema_group *group, const void *at,
                          struct bh_origin origin)
{
    struct job *job = calloc(1, sizeof(*job));
    if (job == NULL) {
        maker->failed = true;
        return NULL;
    }
    *job = (struct job){NULL, group, at, origin, json_object()};
    if (maker->last != NULL) {
        maker->last->next = job;
    } else {
        maker->first = job;
    }
    maker->last = job;
    return job->object;
}

static json_t *things_json(struct maker *maker, const struct bh_schema_key *key,
                           const uint8_t *things, uint32_t count)
{
    const struct bh_schema_group *group = key->group;
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++) {
        const void *thing = things + i * group->size;
        const struct bh_text *name = member(thing, group->name_offset);
        set(maker, object, name->text, group_json(maker, group, thing, name->at));
    }
    return object;
}

static json_t *list_json(struct maker *maker, const struct bh_schema_key *key,
                         const uint8_t *things, uint32_t count)
{
    const struct bh_schema_group *group = key->group;
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const void *thing = things + i * group->size;
        const struct bh_origin *origin = member(thing, group->at_offset);
        append(maker, array, group_json(maker, group, thing, *origin));
    }
    return array;
}

/* Whether there is something to write. */
static bool is_sayable(const struct job *job, const struct bh_schema_key *key)
{
    const void *value = member(job->at, key->offset);
    switch (key->type) {
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEXT:
    case BH_SCHEMA_PATH:
        return ((const struct bh_text *)value)->text != NULL;
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        return number_is_sayable(key, ((const struct bh_number *)value)->value);
    case BH_SCHEMA_NAMES:
        return ((const struct bh_names *)value)->count > 0;
    case BH_SCHEMA_RANGES:
        return ((const struct bh_ranges *)value)->count > 0;
    case BH_SCHEMA_GROUP:
        return bh_is_given(*(const struct bh_origin *)member(value, key->group->at_offset),
                           job->origin);
    case BH_SCHEMA_THINGS:
    case BH_SCHEMA_LIST:
        return *(const uint32_t *)member(job->at, key->count_offset) > 0;
    case BH_SCHEMA_VERSION:
    case BH_SCHEMA_CHOICE:
    case BH_SCHEMA_FLAG:
        return true;
    case BH_SCHEMA_INCLUDE: /* nothing of them is left in a platform */
    case BH_SCHEMA_TEMPLATES:
    case BH_SCHEMA_TEMPLATE:
        break;
    }
    return false;
}

static json_t *version_json(void)
{
    char text[8];
    (void)snprintf(text, sizeof(text), "%u", BH_DEFINITION_VERSION);
    return json_string(text);
}

static json_t *value_json(struct maker *maker, const struct job *job,
                          const struct bh_schema_key *key)
{
    const void *value = member(job->at, key->offset);
    switch (key->type) {
    case BH_SCHEMA_VERSION:
        return version_json();
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEXT:
        return json_string(((const struct bh_text *)value)->text);
    case BH_SCHEMA_PATH:
        return path_json(maker, value);
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        return number_json(key, value);
    case BH_SCHEMA_CHOICE:
        return json_string(key->words[((const struct bh_choice *)value)->value].word);
    case BH_SCHEMA_FLAG:
        return json_string(((const struct bh_flag *)value)->value ? "true" : "false");
    case BH_SCHEMA_NAMES:
        return names_json(maker, value);
    case BH_SCHEMA_RANGES:
        return ranges_json(maker, value);
    case BH_SCHEMA_GROUP:
        return group_json(maker, key->group, value,
                          *(const struct bh_origin *)member(value, key->group->at_offset));
    case BH_SCHEMA_THINGS:
        return things_json(maker, key, *(const uint8_t *const *)value,
                           *(const uint32_t *)member(job->at, key->count_offset));
    default:
        return list_json(maker, key, *(const uint8_t *const *)value,
                         *(const uint32_t *)member(job->at, key->count_offset));
    }
}

/* ------------------------------------------------------------------------------------------------
 * groups */

/* The kind of a thing, as a bit of bh_schema_key.kinds; 0: things of this group have no kinds. */
static uint32_t group_kind(const struct bh_schema_group *group, const void *at)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].is_kind) {
            const struct bh_choice *choice = member(at, group->keys[i].offset);
            return BH_SCHEMA_KIND(choice->value);
        }
    }
    return 0;
}

static void job_do(struct maker *maker, const struct job *job)
{
    uint32_t kind = group_kind(job->group, job->at);
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];
        if ((key->kinds == 0 || (key->kinds & kind) != 0) && is_sayable(job, key)) {
            set(maker, job->object, key->key, value_json(maker, job, key));
        }
    }
}

/* An object that could not be stored is gone: no job is done after a failure. */
static void jobs_do(struct maker *maker)
{
    while (maker->first != NULL) {
        struct job *job = maker->first;
        if (!maker->failed) {
            job_do(maker, job);
        }
        maker->first = job->next;
        maker->last = maker->first == NULL ? NULL : maker->last;
        free(job);
    }
}

/* The sections that hold what a guest boots, in place of the files. */
static void name_sections(struct maker *maker, const json_t *root)
{
    json_t *guests = json_object_get(root, "guests");
    const char *name;
    json_t *guest;
    json_object_foreach(guests, name, guest)
    {
        json_t *boot = json_object_get(guest, "boot");
        for (size_t i = 0; i < BH_RELEASE_BOOT_FILES; i++) {
            const char *key = bh_release_boot_files[i].key;
            if (json_object_get(boot, key) != NULL) {
                set(maker, boot, key, json_sprintf("%s/%s", name, key));
            }
        }
    }
}

char *bh_definition_json(const struct bh_platform *platform)
{
    struct maker maker = {.platform = platform};
    json_t *root = group_json(&maker, bh_schema_root(), platform, (struct bh_origin){.line = 0});
    jobs_do(&maker);
    if (!maker.failed) {
        name_sections(&maker, root);
    }
    char *text = maker.failed ? NULL : json_dumps(root, JSON_INDENT(1));
    json_decref(root);
    return text;
}
