/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers of a definition: counts, sizes, times, ranges of numbers. What YAML 1.1 would read otherwise than a
 * person (octal, base 60) is refused with what to write. It knows ranges from the table of keys
 * and nothing else.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meant.h"
#include "reader.h"
#include "text.h"

#define K UINT64_C(1024)

/* What is wrong with a number, if anything. */
enum fault {
    FINE,
    NO_NUMBER,
    LEADING_ZERO,
    TOO_LARGE,
    NO_UNIT,    /* a unit that the key does not have */
    OTHER_UNIT, /* a unit that is written otherwise */
};

struct unit {
    const char *word;
    uint64_t factor;
    const char *write; /* as it is to be written */
};

static const struct unit size_units[] = {
    {"", 1, ""},        {"K", K, "K"},          {"M", K *K, "M"},    {"G", K *K *K, "G"},
    {"k", K, "K"},      {"m", K *K, "M"},       {"g", K *K *K, "G"}, {"KiB", K, "K"},
    {"MiB", K *K, "M"}, {"GiB", K *K *K, "G"},  {"KB", K, "K"},      {"MB", K *K, "M"},
    {"kB", K, "K"},     {"GB", K *K *K, "G"},   {"Ki", K, "K"},      {"Mi", K *K, "M"},
    {"B", 1, ""},       {"Gi", K *K *K, "G"},   {"K/s", K, "K"},     {"M/s", K *K, "M"},
    {"KB/s", K, "K"},   {"MB/s", K *K, "M"},    {"KiB/s", K, "K"},   {"MiB/s", K *K, "M"},
    {"B/s", 1, ""},     {"GB/s", K *K *K, "G"}, {NULL, 0, NULL},
};

static const struct unit time_units[] = {
    {"ms", 1, "ms"},       {"s", 1000, "s"},          {"min", 60000, "min"}, {"", 1000, "s"},
    {"sec", 1000, "s"},    {"S", 1000, "s"},          {"m", 60000, "min"},   {"seconds", 1000, "s"},
    {"second", 1000, "s"}, {"minutes", 60000, "min"}, {NULL, 0, NULL},
};

static const struct unit no_units[] = {{"", 1, ""}, {NULL, 0, NULL}};

static const struct unit *units_of(const struct bh_schema_key *key)
{
    switch (key->type) {
    case BH_SCHEMA_SIZE:
        return size_units;
    case BH_SCHEMA_TIME:
        return time_units;
    default:
        return no_units;
    }
}

static int digit_of(char character, uint64_t base)
{
    int digit = -1;

    if (character >= '0' && character <= '9') {
        digit = character - '0';
    } else if (base == 16 && character >= 'a' && character <= 'f') {
        digit = character - 'a' + 10;
    } else if (base == 16 && character >= 'A' && character <= 'F') {
        digit = character - 'A' + 10;
    }
    return digit;
}

/* The digits at *text, which moves behind them. */
static enum fault read_digits(const char **text, uint64_t *value)
{
    const char *at = *text;
    uint64_t base = 10;
    const char *first;
    enum fault fault = FINE;
    int digit;

    if (at[0] == '0' && at[1] == 'x') {
        base = 16;
        at += 2;
    }
    *value = 0;
    for (first = at; (digit = digit_of(*at, base)) >= 0; at++) {
        if (*value > (UINT64_MAX - (uint64_t)digit) / base) {
            fault = TOO_LARGE;
            continue; /* to the end of the digits, which is where the unit begins */
        }
        *value = *value * base + (uint64_t)digit;
    }
    *text = at;
    if (at == first) {
        return NO_NUMBER;
    }
    return base == 10 && at - first > 1 && *first == '0' ? LEADING_ZERO : fault;
}

static enum fault apply_unit(const struct bh_schema_key *key, const char *text, uint64_t *value,
                             const struct unit **found)
{
    const struct unit *unit = units_of(key);

    text += strspn(text, " ");
    if (*text != '\0' && (*text < 'A' || *text > 'z')) {
        return NO_NUMBER; /* 1.5, 1_000 */
    }
    while (unit->word != NULL && strcmp(unit->word, text) != 0) {
        unit++;
    }
    if (unit->word == NULL) {
        return NO_UNIT;
    }
    *found = unit;
    if (*value > UINT64_MAX / unit->factor) {
        return TOO_LARGE;
    }
    *value *= unit->factor;
    return FINE;
}

/* How it is to be written: "128 MiB" is 128M. */
static bool is_written(const char *text, const struct unit *unit)
{
    return strcmp(unit->word, unit->write) == 0 && strchr(text, ' ') == NULL;
}

static void say_other(const struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, const char *why)
{
    char takes[128];

    bh_schema_describe(key, takes, sizeof(takes));
    BH_SAY(reader, "number", node->at, "%s is %s, %s\nit takes %s, such as %s", key->key,
           bh_show(node->text).text, why, takes, key->example);
}

/* 1:30 is ninety in YAML 1.1, and a word in YAML 1.2. */
static bool is_base_60(const char *text, uint64_t *seconds)
{
    uint64_t minutes = 0;
    uint64_t rest = 0;
    enum fault fault = read_digits(&text, &minutes);

    if (fault != FINE || *text != ':' || minutes > UINT32_MAX) {
        return false;
    }
    text++;
    fault = read_digits(&text, &rest);
    if ((fault != FINE && fault != LEADING_ZERO) || *text != '\0' || rest >= 60) {
        return false;
    }
    *seconds = minutes * 60 + rest;
    return true;
}

/* 1.5G, as it is to be written: 1536M; false: it is no such number, or no whole one in this unit's parts. */
static bool is_fraction(const struct bh_schema_key *key, const char *text, uint64_t *value)
{
    const struct unit *unit = NULL;
    uint64_t part = 0;
    uint64_t whole = 0;
    uint64_t scale = 1;
    const char *first;

    if (read_digits(&text, &whole) != FINE || *text != '.' || whole > UINT32_MAX) {
        return false;
    }
    for (first = ++text; *text >= '0' && *text <= '9' && text - first < 6; text++) {
        part = part * 10 + (uint64_t)(*text - '0');
        scale *= 10;
    }
    if (text == first || apply_unit(key, text, &whole, &unit) != FINE ||
        part * unit->factor % scale != 0) {
        return false;
    }
    *value = whole + part * unit->factor / scale;
    return *value >= key->minimum && *value <= key->maximum;
}

static void say_fault(const struct bh_reader *reader, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node, enum fault fault)
{
    uint64_t seconds;
    uint64_t value;

    if (key->type != BH_SCHEMA_NUMBER && is_fraction(key, node->text, &value)) {
        BH_SAY(reader, "number", node->at, "%s is %s, which is no whole number\nwrite %s", key->key,
               bh_show(node->text).text, bh_schema_number(key, value).text);
        return;
    }
    if (key->type == BH_SCHEMA_TIME && is_base_60(node->text, &seconds)) {
        BH_SAY(reader, "number", node->at, "%s is %s, which is no time here\nwrite %" PRIu64 "s",
               key->key, bh_show(node->text).text, seconds);
        return;
    }
    switch (fault) {
    case LEADING_ZERO:
        BH_SAY(reader, "number", node->at,
               "%s is %s: with a 0 in front, some would read it as octal\n"
               "write it without the 0, or in hexadecimal with 0x",
               key->key, bh_show(node->text).text);
        break;
    case TOO_LARGE:
        say_other(reader, key, node, "too large a number");
        break;
    case NO_UNIT:
        say_other(reader, key, node,
                  key->type == BH_SCHEMA_NUMBER ? "which is more than a number"
                                                : "whose unit is not known");
        break;
    default:
        say_other(reader, key, node, "which is no whole number");
        break;
    }
}

/* A number without a unit where bytes would be too few: "write 2048M". */
static void advise_unit(const struct bh_schema_key *key, const char *text, uint64_t value, char *to,
                        size_t size)
{
    static const char units[] = {'M', 'K', 'G'};
    static const uint64_t factor[] = {K * K, K, K * K * K};

    to[0] = '\0';
    if (key->type != BH_SCHEMA_SIZE || text[strspn(text, "0123456789")] != '\0') {
        return;
    }
    (void)snprintf(to, size, "\na number without K, M or G counts bytes");
    for (size_t i = 0; i < sizeof(units) && value != 0 && value < UINT32_MAX; i++) {
        if (value * factor[i] >= key->minimum && value * factor[i] <= key->maximum) {
            (void)snprintf(to, size,
                           "\na number without K, M or G counts bytes: write %" PRIu64 "%c", value,
                           units[i]);
            return;
        }
    }
}

/* What the key's range and multiple say about a number. */
static bool is_in_range(const struct bh_reader *reader, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node, uint64_t value)
{
    if (value < key->minimum || value > key->maximum) {
        char advice[96];

        advise_unit(key, node->text, value, advice, sizeof(advice));
        BH_SAY(reader, "range", node->at, "%s is %s; possible is %s to %s%s", key->key,
               bh_schema_number(key, value).text, bh_schema_number(key, key->minimum).text,
               bh_schema_number(key, key->maximum).text, advice);
        return false;
    }
    if (key->multiple != 0 && value % key->multiple != 0) {
        uint64_t below = value - value % key->multiple;

        below = below < key->minimum ? key->minimum : below;
        BH_SAY(reader, "range", node->at, "%s is %s, not a multiple of %s\nwrite %s or %s",
               key->key, bh_schema_number(key, value).text,
               bh_schema_number(key, key->multiple).text, bh_schema_number(key, below).text,
               bh_schema_number(key, below + key->multiple).text);
        return false;
    }
    return true;
}

/* 2000 may be seconds or milliseconds: whatever is possible is to be chosen from. */
static void say_no_unit(const struct bh_reader *reader, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node, uint64_t value)
{
    char takes[128];
    bool ms = value >= key->minimum && value <= key->maximum;
    bool s = value <= key->maximum / 1000 && value * 1000 >= key->minimum;

    if (!ms && !s) {
        bh_schema_describe(key, takes, sizeof(takes));
        BH_SAY(reader, "number", node->at, "%s is %s, without a unit\nit takes %s, such as %s",
               key->key, bh_show(node->text).text, takes, key->example);
        return;
    }
    BH_SAY(reader, "number", node->at, "%s is %s, without a unit\nwrite %s%s%s%s%s", key->key,
           bh_show(node->text).text, s ? node->text : "", s ? "s" : "", ms && s ? " or " : "",
           ms ? node->text : "", ms ? "ms" : "");
}

bool bh_number_read(struct bh_reader *reader, const struct bh_schema_key *key,
                    const struct bh_yaml_node *node, uint64_t *value)
{
    const struct unit *unit = NULL;
    const char *at = node->text;
    enum fault fault;

    if (!node->plain) {
        BH_SAY(reader, "number", node->at, "%s is a text in quotes\nwrite the number without them",
               key->key);
        return false;
    }
    fault = read_digits(&at, value);
    if (fault == FINE) {
        fault = apply_unit(key, at, value, &unit);
    }
    if (fault != FINE) {
        say_fault(reader, key, node, fault);
        return false;
    }
    if (key->type == BH_SCHEMA_TIME && *unit->word == '\0') {
        say_no_unit(reader, key, node, *value / unit->factor);
        return false;
    }
    if (!is_written(node->text, unit)) {
        BH_SAY(reader, "number", node->at, "%s is %s\nwrite %s", key->key, bh_show(node->text).text,
               bh_schema_number(key, *value).text);
        return false;
    }
    return is_in_range(reader, key, node, *value);
}

/* ---------------------------------------------------------------------------------------- ranges */

/* A number, or two with a hyphen between them; false: it is none. */
static bool read_range(const char *text, uint64_t *first, uint64_t *last, enum fault *fault)
{
    *fault = read_digits(&text, first);
    *last = *first;
    if (*fault != FINE || *text == '\0') {
        return *fault == FINE;
    }
    text += strspn(text, " ");
    if (*text != '-') {
        *fault = NO_NUMBER;
        return false;
    }
    text++;
    text += strspn(text, " ");
    *fault = read_digits(&text, last);
    if (*fault == FINE && *text != '\0') {
        *fault = NO_NUMBER;
    }
    return *fault == FINE;
}

bool bh_range_read(struct bh_reader *reader, const struct bh_schema_key *key,
                   const struct bh_yaml_node *node, struct bh_range *range)
{
    uint64_t first = 0;
    uint64_t last = 0;
    enum fault fault;

    if (!node->plain) {
        BH_SAY(reader, "number", node->at, "%s has a text in quotes\nwrite it without them",
               key->key);
        return false;
    }
    if (!read_range(node->text, &first, &last, &fault)) {
        char mended[BH_MEANT_MAX];

        if (fault != LEADING_ZERO && bh_range_mend(key, node->text, mended)) {
            BH_SAY(reader, "number", node->at, "%s has %s, which is no number or range\nwrite %s",
                   key->key, bh_show(node->text).text, mended);
            return false;
        }
        BH_SAY(reader, "number", node->at, "%s has %s, %s\nwrite numbers and ranges: %s: %s",
               key->key, bh_show(node->text).text,
               fault == LEADING_ZERO ? "which some would read as octal"
                                     : "which is no number or range",
               key->key, key->example);
        return false;
    }
    if (first > last) {
        BH_SAY(reader, "range", node->at, "%s has %s, which ends before it begins\nwrite %s-%s",
               key->key, bh_show(node->text).text, bh_schema_number(key, last).text,
               bh_schema_number(key, first).text);
        return false;
    }
    if (first < key->minimum || last > key->maximum) {
        BH_SAY(reader, "range", node->at, "%s has %s; possible is %s to %s", key->key,
               bh_show(node->text).text, bh_schema_number(key, key->minimum).text,
               bh_schema_number(key, key->maximum).text);
        return false;
    }
    *range = (struct bh_range){(uint32_t)first, (uint32_t)last, node->at};
    return true;
}
