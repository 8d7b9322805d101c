/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys as a JSON Schema (draft 2020-12), by which editors complete and check a
 * definition while it is written. It says what the table says; what several keys together must
 * fulfil is for the checks.
 *
 * Each group is there twice. What is `complete` has all keys that it needs. What is not may lack
 * them, and may take keys away with null: an overlay, a template, a thing that uses one, and a file
 * without a name, which is taken for one that others include.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"
#include "schema.h"

#define NAME_PATTERN   "^[a-z][a-z0-9-]{0,31}$"
#define PATH_PATTERN   "^(?!~(/|$))"
#define NUMBER_PATTERN "(0x[0-9a-fA-F]+|0|[1-9][0-9]*)"
#define SIZE_PATTERN   "^" NUMBER_PATTERN "[KMG]?$"
#define TIME_PATTERN   "^" NUMBER_PATTERN "(ms|s|min)$"
#define RANGE_PATTERN  "^" NUMBER_PATTERN " *- *" NUMBER_PATTERN "$"
#define PATH_BYTES     4095

/* What is written into. Failures add up, because jansson refuses a NULL and says so. */
struct writer {
    int failed;
};

static void set(struct writer *writer, json_t *object, const char *key, json_t *value)
{
    writer->failed |= json_object_set_new(object, key, value);
}

static void append(struct writer *writer, json_t *array, json_t *value)
{
    writer->failed |= json_array_append_new(array, value);
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *of_type(struct writer *writer, const char *type)
{
    json_t *schema = json_object();

    set(writer, schema, "type", json_string(type));
    return schema;
}

static json_t *pattern(struct writer *writer, const char *regular)
{
    json_t *schema = of_type(writer, "string");

    set(writer, schema, "pattern", json_string(regular));
    return schema;
}

static json_t *reference(struct writer *writer, const struct bh_schema_group *group, bool complete)
{
    json_t *schema = json_object();

    set(writer, schema, "$ref",
        json_sprintf("#/$defs/%s%s", complete ? "complete-" : "", group->noun));
    return schema;
}

/* One of two. */
static json_t *either(struct writer *writer, json_t *a, json_t *b)
{
    json_t *schema = json_object();
    json_t *list = json_array();

    append(writer, list, a);
    append(writer, list, b);
    set(writer, schema, "anyOf", list);
    return schema;
}

static json_t *list_of(struct writer *writer, json_t *items, uint64_t minimum, uint64_t maximum)
{
    json_t *schema = of_type(writer, "array");

    set(writer, schema, "items", items);
    set(writer, schema, "minItems", number(minimum));
    set(writer, schema, "maxItems", number(maximum));
    return schema;
}

/* ---------------------------------------------------------------------------------- single values */

static json_t *integer(struct writer *writer, const struct bh_schema_key *key)
{
    json_t *schema = of_type(writer, "integer");

    set(writer, schema, "minimum", number(key->minimum));
    set(writer, schema, "maximum", number(key->maximum));
    if (key->multiple != 0) {
        set(writer, schema, "multipleOf", number(key->multiple));
    }
    return schema;
}

/* Texts and paths: YAML takes some of them for numbers. */
static json_t *text(struct writer *writer, uint64_t minimum, uint64_t maximum, const char *regular)
{
    json_t *schema = json_object();
    json_t *types = json_array();

    append(writer, types, json_string("string"));
    append(writer, types, json_string("number"));
    set(writer, schema, "type", types);
    set(writer, schema, "minLength", number(minimum));
    set(writer, schema, "maxLength", number(maximum));
    if (regular != NULL) {
        set(writer, schema, "pattern", json_string(regular));
    }
    return schema;
}

static json_t *choice(struct writer *writer, const struct bh_schema_key *key)
{
    json_t *schema = json_object();
    json_t *words = json_array();

    for (size_t i = 0; key->words[i].word != NULL; i++) {
        json_t *word = json_object();

        set(writer, word, "const", json_string(key->words[i].word));
        if (key->words[i].doc != NULL) {
            set(writer, word, "description", json_string(key->words[i].doc));
        }
        append(writer, words, word);
    }
    set(writer, schema, "oneOf", words);
    return schema;
}

/* A value that is no map; NULL: it is one. */
static json_t *single(struct writer *writer, const struct bh_schema_key *key)
{
    json_t *schema;

    switch (key->type) {
    case BH_SCHEMA_VERSION:
        schema = json_object();
        set(writer, schema, "const", number(BH_DEFINITION_VERSION));
        return schema;
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEMPLATE:
        return pattern(writer, NAME_PATTERN);
    case BH_SCHEMA_TEXT:
        return text(writer, key->minimum, key->maximum, NULL);
    case BH_SCHEMA_PATH:
        return text(writer, 1, PATH_BYTES, PATH_PATTERN);
    case BH_SCHEMA_NUMBER:
        return integer(writer, key);
    case BH_SCHEMA_SIZE:
        return either(writer, integer(writer, key), pattern(writer, SIZE_PATTERN));
    case BH_SCHEMA_TIME:
        return pattern(writer, TIME_PATTERN);
    case BH_SCHEMA_CHOICE:
        return choice(writer, key);
    case BH_SCHEMA_FLAG:
        return of_type(writer, "boolean");
    case BH_SCHEMA_NAMES:
        return list_of(writer, pattern(writer, NAME_PATTERN), key->minimum, key->maximum);
    case BH_SCHEMA_RANGES:
        return list_of(writer, either(writer, integer(writer, key), pattern(writer, RANGE_PATTERN)),
                       1, BH_RANGES_MAX);
    case BH_SCHEMA_INCLUDE:
        return either(
            writer, text(writer, 1, PATH_BYTES, PATH_PATTERN),
            list_of(writer, text(writer, 1, PATH_BYTES, PATH_PATTERN), 1, BH_FILES_MAX - 1));
    default:
        return NULL;
    }
}

/* ------------------------------------------------------------------------------------------ maps */

static bool uses_templates(const struct bh_schema_group *group)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].type == BH_SCHEMA_TEMPLATE) {
            return true;
        }
    }
    return false;
}

/* A map of name to what `entry` says. */
static json_t *named(struct writer *writer, json_t *entry, uint64_t minimum, uint64_t maximum)
{
    json_t *schema = of_type(writer, "object");

    set(writer, schema, "propertyNames", pattern(writer, NAME_PATTERN));
    set(writer, schema, "additionalProperties", entry);
    set(writer, schema, "minProperties", number(minimum));
    set(writer, schema, "maxProperties", number(maximum));
    return schema;
}

/* One of the things of a map: complete if it has to be, and no template completes it. */
static json_t *thing(struct writer *writer, const struct bh_schema_group *group, bool complete)
{
    json_t *schema;
    json_t *condition;
    json_t *keys;

    if (!complete) {
        return either(writer, reference(writer, group, false), of_type(writer, "null"));
    }
    if (!uses_templates(group)) {
        return reference(writer, group, true);
    }
    schema = of_type(writer, "object");
    condition = json_object();
    keys = json_array();
    append(writer, keys, json_string("template"));
    set(writer, condition, "required", keys);
    set(writer, schema, "if", condition);
    set(writer, schema, "then", reference(writer, group, false));
    set(writer, schema, "else", reference(writer, group, true));
    return schema;
}

/* Keys of whatever can use a template. */
static json_t *template_keys(struct writer *writer)
{
    const struct bh_schema_group *group;
    json_t *schema = json_object();
    json_t *kinds = json_array();

    for (size_t i = 0; (group = bh_schema_group_at(i)) != NULL; i++) {
        if (uses_templates(group)) {
            append(writer, kinds, reference(writer, group, false));
        }
    }
    append(writer, kinds, of_type(writer, "null"));
    set(writer, schema, "anyOf", kinds);
    return schema;
}

static json_t *value_of(struct writer *writer, const struct bh_schema_key *key, bool complete)
{
    switch (key->type) {
    case BH_SCHEMA_GROUP:
        return reference(writer, key->group, complete);
    case BH_SCHEMA_THINGS:
        return named(writer, thing(writer, key->group, complete), complete ? key->minimum : 0,
                     key->maximum);
    case BH_SCHEMA_LIST: /* nothing is laid over an entry of a list, so it is always complete */
        return list_of(writer, reference(writer, key->group, true), key->minimum, key->maximum);
    case BH_SCHEMA_TEMPLATES:
        return named(writer, template_keys(writer), 0, 4096);
    default:
        return single(writer, key);
    }
}

/* What holds where the key is not given, if it is a value. */
static json_t *fallback(const struct bh_schema_key *key)
{
    if (key->required || key->otherwise != NULL || key->fallbacks != NULL) {
        return NULL;
    }
    switch (key->type) {
    case BH_SCHEMA_NUMBER:
        return number(key->fallback);
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        return json_string(bh_schema_number(key, key->fallback).text);
    case BH_SCHEMA_CHOICE:
        return json_string(key->words[key->fallback].word);
    case BH_SCHEMA_FLAG:
        return json_boolean(key->fallback != 0);
    default:
        return NULL;
    }
}

static json_t *property(struct writer *writer, const struct bh_schema_key *key, bool complete)
{
    json_t *schema = value_of(writer, key, complete);
    json_t *by_default = fallback(key);

    if (!complete && key->type != BH_SCHEMA_VERSION && key->type != BH_SCHEMA_INCLUDE) {
        schema = either(writer, schema, of_type(writer, "null"));
    }
    set(writer, schema, "description", json_string(key->doc));
    if (by_default != NULL) {
        set(writer, schema, "default", by_default);
    }
    return schema;
}

static json_t *required_keys(struct writer *writer, const struct bh_schema_group *group,
                             uint32_t kind_mask)
{
    json_t *keys = json_array();

    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].required && group->keys[i].kinds == 0
                ? kind_mask == 0
                : group->keys[i].required && (group->keys[i].kinds & kind_mask) != 0) {
            append(writer, keys, json_string(group->keys[i].key));
        }
    }
    return keys;
}

/* If the thing is of this kind, then it has only the keys of this kind. */
static json_t *for_kind(struct writer *writer, const struct bh_schema_group *group,
                        const struct bh_schema_key *kind, uint32_t value, bool complete)
{
    json_t *schema = json_object();
    json_t *condition = json_pack("{s:{s:{s:s}},s:[s]}", "properties", kind->key, "const",
                                  kind->words[value].word, "required", kind->key);
    json_t *then = json_object();
    json_t *properties = json_object();

    for (size_t i = 0; i < group->key_count; i++) {
        const struct bh_schema_key *key = &group->keys[i];

        if (key->kinds != 0 && (key->kinds & BH_SCHEMA_KIND(value)) == 0) {
            set(writer, properties, key->key, json_false());
        }
    }
    set(writer, then, "properties", properties);
    if (complete) {
        set(writer, then, "required", required_keys(writer, group, BH_SCHEMA_KIND(value)));
    }
    set(writer, schema, "if", condition);
    set(writer, schema, "then", then);
    return schema;
}

static json_t *group_schema(struct writer *writer, const struct bh_schema_group *group,
                            bool complete)
{
    json_t *schema = of_type(writer, "object");
    json_t *properties = json_object();
    json_t *kinds = json_array();

    set(writer, schema, "description", json_string(group->doc));
    for (size_t i = 0; i < group->key_count; i++) {
        const struct bh_schema_key *key = &group->keys[i];

        set(writer, properties, key->key, property(writer, key, complete));
        for (uint32_t j = 0; key->is_kind && key->words[j].word != NULL; j++) {
            append(writer, kinds, for_kind(writer, group, key, j, complete));
        }
    }
    set(writer, schema, "properties", properties);
    set(writer, schema, "additionalProperties", json_false());
    if (complete) {
        set(writer, schema, "required", required_keys(writer, group, 0));
    }
    if (json_array_size(kinds) != 0) {
        set(writer, schema, "allOf", kinds);
    } else {
        json_decref(kinds);
    }
    return schema;
}

/* A definition that has a name and includes nothing is complete. */
static json_t *whole(struct writer *writer)
{
    json_t *schema = json_object();
    json_t *definitions = json_object();
    json_t *condition =
        json_pack("{s:[s],s:{s:[s]}}", "required", "name", "not", "required", "include");
    const struct bh_schema_group *group;

    set(writer, schema, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
    set(writer, schema, "title", json_string("Bulkhead definition"));
    set(writer, schema, "type", json_string("object"));
    set(writer, schema, "required", json_pack("[s]", bh_schema_root()->keys[0].key));
    set(writer, schema, "if", condition);
    set(writer, schema, "then", reference(writer, bh_schema_root(), true));
    set(writer, schema, "else", reference(writer, bh_schema_root(), false));
    for (size_t i = 0; (group = bh_schema_group_at(i)) != NULL; i++) {
        char name[64];

        (void)snprintf(name, sizeof(name), "complete-%s", group->noun);
        set(writer, definitions, group->noun, group_schema(writer, group, false));
        set(writer, definitions, name, group_schema(writer, group, true));
    }
    set(writer, schema, "$defs", definitions);
    return schema;
}

int bh_schema_print_json(FILE *to)
{
    struct writer writer = {0};
    json_t *schema = whole(&writer);
    int result = writer.failed == 0 ? BH_OK : BH_NO_MEMORY;

    if (result == BH_OK) {
        (void)json_dumpf(schema, to,
                         JSON_INDENT(2)); /* the stream keeps its error for the caller */
        (void)fputc('\n', to);
    }
    json_decref(schema);
    return result;
}
