/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the table of keys says, in words: for messages and for the reference text.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/platform_definition.h"
#include "schema.h"

static struct bh_schema_number size_text(uint64_t bytes)
{
    static const char units[] = {'G', 'M', 'K'};
    struct bh_schema_number number;
    uint64_t unit = BH_GIB;

    for (size_t i = 0; i < sizeof(units); i++, unit /= BH_KIB) {
        if (bytes != 0 && bytes % unit == 0) {
            (void)snprintf(number.text, sizeof(number.text), "%" PRIu64 "%c", bytes / unit,
                           units[i]);
            return number;
        }
    }
    (void)snprintf(number.text, sizeof(number.text), "%" PRIu64, bytes);
    return number;
}

static struct bh_schema_number time_text(uint64_t ms)
{
    struct bh_schema_number number;
    uint64_t unit = ms == 0 || ms % BH_SECOND != 0 ? 1 : BH_SECOND;

    unit = ms != 0 && ms % (60 * BH_SECOND) == 0 ? 60 * BH_SECOND : unit;
    (void)snprintf(number.text, sizeof(number.text), "%" PRIu64 "%s", ms / unit,
                   unit == 1           ? "ms"
                   : unit == BH_SECOND ? "s"
                                       : "min");
    return number;
}

struct bh_schema_number bh_schema_number(const struct bh_schema_key *key, uint64_t value)
{
    struct bh_schema_number number;

    if (key->type == BH_SCHEMA_SIZE) {
        return size_text(value);
    }
    if (key->type == BH_SCHEMA_TIME) {
        return time_text(value);
    }
    /* Identifiers and addresses as everybody writes them. */
    (void)snprintf(number.text, sizeof(number.text),
                   key->type == BH_SCHEMA_RANGES && strstr(key->example, "0x") != NULL
                       ? "0x%" PRIx64
                       : "%" PRIu64,
                   value);
    return number;
}

/* "a, b or c". */
static void describe_words(const struct bh_schema_word *words, char *to, size_t size)
{
    size_t used = 0;

    to[0] = '\0';
    for (size_t i = 0; words[i].word != NULL && used < size; i++) {
        const char *between = i == 0 ? "" : words[i + 1].word == NULL ? " or " : ", ";
        int more = snprintf(to + used, size - used, "%s%s", between, words[i].word);

        used += more < 0 ? 0 : (size_t)more;
    }
}

static void describe_number(const struct bh_schema_key *key, const char *what, char *to,
                            size_t size)
{
    (void)snprintf(to, size, "%s from %s to %s%s%s", what, bh_schema_number(key, key->minimum).text,
                   bh_schema_number(key, key->maximum).text,
                   key->multiple == 0 ? "" : ", a multiple of ",
                   key->multiple == 0 ? "" : bh_schema_number(key, key->multiple).text);
}

const char *bh_schema_names(const struct bh_schema_key *key)
{
    static const char *const words[][2] = {
        {"resource", "a resource"}, {"guest", "a guest"},      {"through", "a guest"},
        {"device", "a device"},     {"disk", "a device"},      {"name", "a platform"},
        {"modes", "a mode"},        {"after", "a guest"},      {"guests", "a guest"},
        {"ports", "a port"},        {"allow", "an operation"}, {"deny", "an operation"},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(key->key, words[i][0]) == 0) {
            return words[i][1];
        }
    }
    return "a guest or a resource";
}

void bh_schema_describe(const struct bh_schema_key *key, char *to, size_t size)
{
    switch (key->type) {
    case BH_SCHEMA_VERSION:
        (void)snprintf(to, size, "the number %u", BH_DEFINITION_VERSION);
        break;
    case BH_SCHEMA_NAME:
        (void)snprintf(to, size, "a name");
        break;
    case BH_SCHEMA_REFERENCE:
        (void)snprintf(to, size, "the name of %s", bh_schema_names(key));
        break;
    case BH_SCHEMA_TEXT:
        (void)snprintf(to, size, "a text of at most %" PRIu64 " bytes", key->maximum);
        break;
    case BH_SCHEMA_PATH:
        (void)snprintf(to, size, "the path of a file");
        break;
    case BH_SCHEMA_NUMBER:
        describe_number(key, "a number", to, size);
        break;
    case BH_SCHEMA_SIZE:
        describe_number(key, "a size", to, size);
        break;
    case BH_SCHEMA_TIME:
        describe_number(key, "a time", to, size);
        break;
    case BH_SCHEMA_CHOICE:
        describe_words(key->words, to, size);
        break;
    case BH_SCHEMA_FLAG:
        (void)snprintf(to, size, "true or false");
        break;
    case BH_SCHEMA_NAMES:
        (void)snprintf(to, size, "a list of %" PRIu64 " to %" PRIu64 " names", key->minimum,
                       key->maximum);
        break;
    case BH_SCHEMA_RANGES:
        (void)snprintf(to, size, "a list of numbers and ranges from %s to %s",
                       bh_schema_number(key, key->minimum).text,
                       bh_schema_number(key, key->maximum).text);
        break;
    case BH_SCHEMA_GROUP:
        (void)snprintf(to, size, "a map of keys");
        break;
    case BH_SCHEMA_LIST:
        (void)snprintf(to, size, "a list, each entry with the keys of %s", key->group->phrase);
        break;
    case BH_SCHEMA_INCLUDE:
        (void)snprintf(to, size, "the path of a file, or a list of them");
        break;
    case BH_SCHEMA_TEMPLATES:
        (void)snprintf(to, size, "a map of names, each with keys");
        break;
    case BH_SCHEMA_TEMPLATE:
        (void)snprintf(to, size, "the name of a template");
        break;
    case BH_SCHEMA_THINGS:
        (void)snprintf(to, size, "a map of names, each with the keys of a %s", key->group->noun);
        break;
    }
}
