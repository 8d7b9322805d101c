/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys as the body of a manual page, in scdoc's markup. It writes what the table
 * says; title, introduction and examples are the page's own.
 */
#include <string.h>

#include "bulkhead/platform_definition.h"
#include "schema.h"

/* A text in which nothing is markup: scdoc takes _ * # and [ for it. */
static void put_plain(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\_*#[]<>~.", *text) != NULL) {
            (void)fputc('\\', to);
        }
        (void)fputc(*text, to);
    }
}

/* The words for the kinds of thing in a group; NULL: there is one kind only. */
static const struct bh_schema_word *kinds_of(const struct bh_schema_group *group)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].is_kind) {
            return group->keys[i].words;
        }
    }
    return NULL;
}

/* The kinds of thing that have the key; nothing where all have it. */
static void put_kinds(FILE *to, const struct bh_schema_group *group,
                      const struct bh_schema_key *key)
{
    const struct bh_schema_word *words = kinds_of(group);
    bool first = true;

    if (key->kinds == 0 || words == NULL) {
        return;
    }
    (void)fprintf(to, "Only for type ");
    for (uint32_t i = 0; words[i].word != NULL; i++) {
        if ((key->kinds & BH_SCHEMA_KIND(i)) != 0) {
            (void)fprintf(to, "%s_%s_", first ? "" : " or ", words[i].word);
            first = false;
        }
    }
    (void)fprintf(to, ". ");
}

/* What holds where the key is not given. */
static void put_default(FILE *to, const struct bh_schema_group *group,
                        const struct bh_schema_key *key)
{
    const struct bh_schema_word *kinds = kinds_of(group);

    if (key->required) {
        (void)fprintf(to, "Required.");
        return;
    }
    (void)fprintf(to, "Default: ");
    if (key->otherwise != NULL) {
        put_plain(to, key->otherwise);
    } else if (key->type == BH_SCHEMA_CHOICE) {
        put_plain(to, key->words[key->fallback].word);
    } else if (key->type == BH_SCHEMA_FLAG) {
        (void)fprintf(to, "%s", key->fallback != 0 ? "true" : "false");
    } else if (key->fallbacks != NULL && kinds != NULL) {
        for (uint32_t i = 0; kinds[i].word != NULL; i++) {
            (void)fprintf(to, "%s%s for %s", i == 0 ? "" : ", ",
                          bh_schema_number(key, key->fallbacks[i]).text, kinds[i].word);
        }
    } else {
        put_plain(to, bh_schema_number(key, key->fallback).text);
    }
    (void)fprintf(to, ".");
}

static void put_capitals(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)fputc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, to);
    }
}

static void put_words(FILE *to, const struct bh_schema_word *words)
{
    (void)fprintf(to, "\n");
    for (size_t i = 0; words[i].word != NULL; i++) {
        (void)fprintf(to, "\t- ");
        put_plain(to, words[i].word);
        if (words[i].doc != NULL) {
            (void)fprintf(to, ": ");
            put_plain(to, words[i].doc);
        }
        (void)fprintf(to, "\n");
    }
}

static void put_key(FILE *to, const struct bh_schema_group *group, const struct bh_schema_key *key)
{
    char takes[160];

    bh_schema_describe(key, takes, sizeof(takes));
    (void)fprintf(to, "*%s*: ", key->key);
    put_plain(to, takes);
    (void)fprintf(to, "\n\t");
    put_plain(to, key->doc);
    (void)fprintf(to, " ");
    put_kinds(to, group, key);
    put_default(to, group, key);
    (void)fprintf(to, "\n\n\tExample: ");
    put_plain(to, key->key);
    (void)fprintf(to, ": ");
    put_plain(to, key->example);
    (void)fprintf(to, "\n");
    if (key->type == BH_SCHEMA_CHOICE) {
        put_words(to, key->words);
    }
    (void)fprintf(to, "\n");
}

void bh_schema_print(FILE *to)
{
    const struct bh_schema_group *group;
    const struct bh_check *check;

    for (size_t i = 0; (group = bh_schema_group_at(i)) != NULL; i++) {
        (void)fprintf(to, "# KEYS OF: ");
        put_capitals(to, group->noun);
        (void)fprintf(to, "\n\n");
        put_plain(to, group->doc);
        (void)fprintf(to, "\n\n");
        for (size_t j = 0; j < group->key_count; j++) {
            put_key(to, group, &group->keys[j]);
        }
    }
    (void)fprintf(to, "# CHECKS\n\n");
    for (size_t i = 0; (check = bh_check_at(i)) != NULL; i++) {
        (void)fprintf(to, "*%s*: ", check->name);
        put_plain(to, check->reason);
        (void)fprintf(to, ".\n\n");
    }
}
