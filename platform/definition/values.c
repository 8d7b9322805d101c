/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Single values of a definition: texts, paths, names, choices, flags, lists of names. What a value
 * means together with another is check.c's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meant.h"
#include "reader.h"
#include "text.h"

/* The member of a structure that a key fills. */
static void *member(const struct bh_schema_key *key, void *owner)
{
    return (unsigned char *)owner + key->offset;
}

static void keep_text(struct bh_reader *reader, struct bh_text *to, const char *text, size_t length,
                      struct bh_origin at)
{
    to->text = bh_arena_text(reader->arena, text, length);
    to->at = at;
    if (to->text == NULL) {
        reader->no_memory = true;
    }
}

/* Empty, ~ and null: YAML's words for nothing. */
static bool is_nothing(const struct bh_yaml_node *node)
{
    return bh_yaml_is_null(node) ||
           (node->kind == BH_YAML_SCALAR && node->plain && node->text[0] == '\0');
}

void bh_value_refuse(const struct bh_reader *reader, const struct bh_schema_key *key,
                     const struct bh_yaml_node *node)
{
    static const char *const kinds[] = {
        [BH_YAML_SCALAR] = "a single value", [BH_YAML_LIST] = "a list", [BH_YAML_MAP] = "a map"};
    char takes[256];
    char mended[BH_MEANT_MAX];

    bh_schema_describe(key, takes, sizeof(takes));
    if (bh_yaml_is_null(node)) {
        bh_null_refuse(reader, key->key, node);
    } else if (is_nothing(node)) {
        BH_SAY(reader, "empty", node->key == NULL ? node->at : node->key_at,
               "%s has no value; it takes %s\nwrite %s: %s", key->key, takes, key->key,
               key->example);
    } else if (bh_shape_mend(key, node, mended)) {
        BH_SAY(reader, "type", node->at, "%s is %s; it takes %s\n%s", key->key, kinds[node->kind],
               takes, mended);
    } else {
        BH_SAY(reader, "type", node->at, "%s is %s; it takes %s\nwrite %s: %s", key->key,
               kinds[node->kind], takes, key->key, key->example);
    }
}

void bh_null_refuse(const struct bh_reader *reader, const char *what,
                    const struct bh_yaml_node *node)
{
    BH_SAY(reader, "include-null", node->at,
           "%s is %s, which takes away what an included file or a template gives, and none does\n"
           "write a value, or remove the line",
           what, node->text);
}

/* --------------------------------------------------------------------------------------- names */

static bool is_name(const char *text)
{
    size_t length = strlen(text);

    return length >= 1 && length <= BH_NAME_MAX && *text >= 'a' && *text <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* A name like `text` that would be good; empty: none. */
static void mend_name(const char *text, char to[BH_NAME_MAX + 1])
{
    size_t length = 0;

    for (; *text != '\0' && length < BH_NAME_MAX; text++) {
        char c = *text;

        if (c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        } else if (c == '_' || c == ' ' || c == '.') {
            c = '-';
        }
        if ((c >= 'a' && c <= 'z') || (length != 0 && ((c >= '0' && c <= '9') || c == '-'))) {
            to[length++] = c;
        }
    }
    to[length] = '\0';
}

bool bh_name_is_good(const struct bh_reader *reader, const char *what, const char *text,
                     struct bh_origin at)
{
    char mended[BH_NAME_MAX + 1];

    if (is_name(text)) {
        return true;
    }
    mend_name(text, mended);
    BH_SAY(reader, "name", at,
           "%s is no name for %s: a small letter, then small letters, digits and -, %u at most"
           "%s%s",
           bh_show(text).text, what, BH_NAME_MAX, mended[0] == '\0' ? "" : "\nwrite ", mended);
    return false;
}

static void read_name(struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, void *owner)
{
    if (bh_name_is_good(reader, bh_schema_names(key), node->text, node->at)) {
        keep_text(reader, member(key, owner), node->text, strlen(node->text), node->at);
    }
}

/* Whether a list has as many entries as it may. */
static bool list_fits(const struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, uint64_t minimum, uint64_t maximum)
{
    if (node->count >= minimum && node->count <= maximum) {
        return true;
    }
    BH_SAY(reader, "range", node->at,
           "%s has %" PRIu32 " entries; possible is %" PRIu64 " to %" PRIu64, key->key, node->count,
           minimum, maximum);
    return false;
}

static void read_names(struct bh_reader *reader, const struct bh_schema_key *key,
                       const struct bh_yaml_node *node, void *owner)
{
    struct bh_names *names = member(key, owner);

    if (!list_fits(reader, key, node, key->minimum, key->maximum)) {
        return;
    }
    names->at = node->key_at;
    names->names = bh_arena_take(reader->arena, sizeof(*names->names) * node->count + 1);
    if (names->names == NULL) {
        reader->no_memory = true;
        return;
    }
    for (const struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        if (entry->kind != BH_YAML_SCALAR || is_nothing(entry)) {
            BH_SAY(reader, "type", entry->at, "an entry of %s is a name\nwrite %s: %s", key->key,
                   key->key, key->example);
        } else if (bh_name_is_good(reader, bh_schema_names(key), entry->text, entry->at)) {
            keep_text(reader, &names->names[names->count++], entry->text, strlen(entry->text),
                      entry->at);
        }
    }
}

static void read_ranges(struct bh_reader *reader, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node, void *owner)
{
    struct bh_ranges *ranges = member(key, owner);

    if (!list_fits(reader, key, node, 1, BH_RANGES_MAX)) {
        return;
    }
    ranges->at = node->key_at;
    ranges->ranges = bh_arena_take(reader->arena, sizeof(*ranges->ranges) * node->count);
    if (ranges->ranges == NULL) {
        reader->no_memory = true;
        return;
    }
    for (const struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        if (entry->kind != BH_YAML_SCALAR || is_nothing(entry)) {
            BH_SAY(reader, "type", entry->at, "an entry of %s is a number or a range\nwrite %s: %s",
                   key->key, key->key, key->example);
        } else if (bh_range_read(reader, key, entry, &ranges->ranges[ranges->count])) {
            ranges->count++;
        }
    }
}

/* --------------------------------------------------------------------------------------- texts */

/* The length of a text without the line breaks that a block of several lines ends with. */
static size_t text_length(const struct bh_yaml_node *node)
{
    size_t length = strlen(node->text);

    while (!node->plain && length != 0 && node->text[length - 1] == '\n') {
        length--;
    }
    return length;
}

static void read_text(struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, void *owner)
{
    bool path = key->type == BH_SCHEMA_PATH;
    uint64_t maximum = path ? 4095 : key->maximum;
    size_t length = text_length(node);

    if (length == 0) {
        BH_SAY(reader, "empty", node->at, "%s is empty\nwrite %s: %s, or remove the line", key->key,
               key->key, key->example);
    } else if (memchr(node->text, '\n', length) != NULL) {
        BH_SAY(reader, "text", node->at,
               "%s has several lines; it takes one\n"
               "begin a text of several lines with >- and they are joined",
               key->key);
    } else if (memchr(node->text, '\t', length) != NULL) {
        BH_SAY(reader, "text", node->at, "%s has a tab in it\nwrite spaces", key->key);
    } else if (length > maximum || length < key->minimum) {
        BH_SAY(reader, "range", node->at, "%s has %zu bytes; %" PRIu64 " at %s", key->key, length,
               length > maximum ? maximum : key->minimum, length > maximum ? "most" : "least");
    } else if (path && (strcmp(node->text, "~") == 0 || strncmp(node->text, "~/", 2) == 0)) {
        BH_SAY(reader, "path", node->at,
               "%s begins with ~, which only a shell replaces\n"
               "write the whole path, or one that begins at the definition's folder",
               key->key);
    } else {
        keep_text(reader, member(key, owner), node->text, length, node->at);
    }
}

/* ---------------------------------------------------------------------------- choices and flags */

static const char *word_of(const void *words, size_t index)
{
    return ((const struct bh_schema_word *)words)[index].word;
}

static void read_choice(const struct bh_reader *reader, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node, void *owner)
{
    struct bh_choice *choice = member(key, owner);
    const char *advice;
    const char *near;
    char takes[256];

    for (uint32_t i = 0; key->words[i].word != NULL; i++) {
        if (strcmp(node->text, key->words[i].word) == 0) {
            choice->value = i;
            choice->at = node->at;
            return;
        }
    }
    bh_schema_describe(key, takes, sizeof(takes));
    near = bh_meant_choice(key, node->text, &advice);
    if (near == NULL && advice == NULL) {
        near = bh_suggest(node->text, word_of, key->words);
    }
    BH_SAY(reader, "choice", node->at, "%s is %s; possible is %s%s%s%s%s%s", key->key,
           bh_show(node->text).text, takes, near == NULL ? "" : "\ndid you mean ",
           near == NULL ? "" : near, near == NULL ? "" : "?", advice == NULL ? "" : "\n",
           advice == NULL ? "" : advice);
}

/* What YAML 1.1 takes for a flag besides true and false, and how it is written here. */
static const char *flag_meant(const char *text)
{
    static const char *const pairs[][2] = {
        {"yes", "true"},  {"Yes", "true"},    {"YES", "true"},    {"y", "true"},
        {"on", "true"},   {"On", "true"},     {"ON", "true"},     {"True", "true"},
        {"TRUE", "true"}, {"1", "true"},      {"no", "false"},    {"No", "false"},
        {"NO", "false"},  {"n", "false"},     {"off", "false"},   {"Off", "false"},
        {"OFF", "false"}, {"False", "false"}, {"FALSE", "false"}, {"0", "false"},
        {"true", "true"}, {"false", "false"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strcmp(text, pairs[i][0]) == 0) {
            return pairs[i][1];
        }
    }
    return NULL;
}

static void read_flag(const struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, void *owner)
{
    struct bh_flag *flag = member(key, owner);
    const char *meant = flag_meant(node->text);

    if (node->plain && meant != NULL && strcmp(node->text, meant) == 0) {
        flag->value = strcmp(meant, "true") == 0;
        flag->at = node->at;
        return;
    }
    BH_SAY(reader, "flag", node->at, "%s is %s%s; possible is true or false%s%s", key->key,
           bh_show(node->text).text, node->plain ? "" : " in quotes",
           meant == NULL ? "" : "\nwrite ", meant == NULL ? "" : meant);
}

/* ----------------------------------------------------------------------------------------- all */

static void read_number(struct bh_reader *reader, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node, void *owner)
{
    struct bh_number *number = member(key, owner);
    uint64_t value;

    if (bh_number_read(reader, key, node, &value)) {
        number->value = value;
        number->at = node->at;
    }
}

void bh_value_read(struct bh_reader *reader, const struct bh_schema_key *key,
                   const struct bh_yaml_node *node, void *owner)
{
    bool list = key->type == BH_SCHEMA_NAMES || key->type == BH_SCHEMA_RANGES;
    enum bh_yaml_kind kind = list ? BH_YAML_LIST : BH_YAML_SCALAR;

    if (node->kind != kind || is_nothing(node)) {
        bh_value_refuse(reader, key, node);
        return;
    }
    switch (key->type) {
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
        read_name(reader, key, node, owner);
        break;
    case BH_SCHEMA_TEXT:
    case BH_SCHEMA_PATH:
        read_text(reader, key, node, owner);
        break;
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        read_number(reader, key, node, owner);
        break;
    case BH_SCHEMA_CHOICE:
        read_choice(reader, key, node, owner);
        break;
    case BH_SCHEMA_FLAG:
        read_flag(reader, key, node, owner);
        break;
    case BH_SCHEMA_NAMES:
        read_names(reader, key, node, owner);
        break;
    case BH_SCHEMA_RANGES:
        read_ranges(reader, key, node, owner);
        break;
    case BH_SCHEMA_VERSION: /* seen before anything else, like the last three */
    case BH_SCHEMA_GROUP:
    case BH_SCHEMA_THINGS:
    case BH_SCHEMA_LIST:
    case BH_SCHEMA_INCLUDE:
    case BH_SCHEMA_TEMPLATES:
    case BH_SCHEMA_TEMPLATE:
        break;
    }
}

void bh_value_default(const struct bh_schema_key *key, uint32_t kind, struct bh_origin at,
                      void *owner)
{
    uint64_t value = key->fallbacks != NULL ? key->fallbacks[kind] : key->fallback;

    switch (key->type) {
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        *(struct bh_number *)member(key, owner) = (struct bh_number){value, at};
        break;
    case BH_SCHEMA_CHOICE:
        *(struct bh_choice *)member(key, owner) = (struct bh_choice){(uint32_t)value, at};
        break;
    case BH_SCHEMA_FLAG:
        *(struct bh_flag *)member(key, owner) = (struct bh_flag){value != 0, at};
        break;
    case BH_SCHEMA_NAMES:
        ((struct bh_names *)member(key, owner))->at = at;
        break;
    case BH_SCHEMA_RANGES:
        ((struct bh_ranges *)member(key, owner))->at = at;
        break;
    default: /* there is none: no text, an empty list */
        break;
    }
}
