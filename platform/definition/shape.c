/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What to write instead of a value of the wrong shape, made from what was written: a list of one
 * where a single value stands, a map where a list stands. For messages alone, and only where there
 * is no doubt; otherwise the table's example is shown.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/platform_definition.h"
#include "meant.h"

#define PIECES_MAX 8u
#define PIECE_MAX  64u

/* What was written, taken apart. */
struct pieces {
    char piece[PIECES_MAX][PIECE_MAX];
    size_t count;
};

/* A text that is written bit by bit; `full`: there was no room. */
struct line {
    char *to;
    size_t used;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
    va_list arguments;
    int more;

    va_start(arguments, format);
    more = vsnprintf(line->to + line->used, BH_MEANT_MAX - line->used, format, arguments);
    va_end(arguments);
    if (more < 0 || (size_t)more >= BH_MEANT_MAX - line->used) {
        line->full = true;
        return;
    }
    line->used += (size_t)more;
}

/* ------------------------------------------------------------------------------------- in pieces */

static bool add_piece(struct pieces *pieces, const char *text, size_t length)
{
    while (length != 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length != 0 && text[length - 1] == ' ') {
        length--;
    }
    if (length == 0) {
        return true;
    }
    if (length >= PIECE_MAX || pieces->count == PIECES_MAX) {
        return false;
    }
    memcpy(pieces->piece[pieces->count], text, length);
    pieces->piece[pieces->count++][length] = '\0';
    return true;
}

/* Where a piece ends: at a comma or an arrow; `behind`: where the next one begins. */
static size_t piece_length(const char *text, size_t *behind)
{
    size_t comma = strcspn(text, ",;|");
    const char *arrow = strstr(text, "->");

    arrow = arrow == NULL ? strstr(text, "=>") : arrow;
    if (arrow != NULL && (size_t)(arrow - text) < comma) {
        *behind = (size_t)(arrow - text) + 2;
        return (size_t)(arrow - text);
    }
    *behind = comma + (text[comma] == '\0' ? 0 : 1);
    return comma;
}

/* Of a single value, or of a list of such. */
static bool take_apart(const struct bh_yaml_node *node, struct pieces *pieces)
{
    pieces->count = 0;
    if (node->kind == BH_YAML_SCALAR) {
        const char *text = node->text;

        if (strlen(text) >= BH_MEANT_MAX) { /* which nobody wrote by hand */
            return false;
        }
        while (*text != '\0') {
            size_t behind;
            size_t length = piece_length(text, &behind);

            if (!add_piece(pieces, text, length)) {
                return false;
            }
            text += behind;
        }
        return pieces->count != 0;
    }
    if (node->kind != BH_YAML_LIST) {
        return false;
    }
    for (const struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        if (entry->kind != BH_YAML_SCALAR || !add_piece(pieces, entry->text, strlen(entry->text))) {
            return false;
        }
    }
    return pieces->count != 0;
}

static bool is_name(const char *text)
{
    size_t length = strlen(text);

    return length >= 1 && length <= BH_NAME_MAX && *text >= 'a' && *text <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Whether it reads the same outside of quotes, wherever it stands. */
static bool is_safe(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f || strchr("\"'{}[]#&*!|>%@`\\,", *at) != NULL) {
            return false;
        }
    }
    return text[strlen(text) - 1] != ':';
}

static bool are_safe(const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (!is_safe(pieces->piece[i])) {
            return false;
        }
    }
    return true;
}

static bool are_names(const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (!is_name(pieces->piece[i])) {
            return false;
        }
    }
    return true;
}

static void put_list(struct line *line, const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        put(line, "%s%s", i == 0 ? "[" : ", ", pieces->piece[i]);
    }
    put(line, "]");
}

/* ---------------------------------------------------------------------------------------- ranges */

static int digit_of(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

    return c == '\0' || at == NULL ? -1 : (int)(at - digits);
}

/* A number at *text, which moves behind it: 100, 0x1ff, 0X1FF, 1FFh, 1ff. */
static bool take_number(const char **text, uint64_t *value, bool *hexadecimal)
{
    const char *at = *text;
    bool base16 = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
    size_t length = 0;

    at += base16 ? 2 : 0;
    while (digit_of(at[length]) >= 0) {
        base16 = base16 || digit_of(at[length]) > 9;
        length++;
    }
    base16 = base16 || at[length] == 'h' || at[length] == 'H';
    if (length == 0 || length > 9 || digit_of(*at) > 9) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < length; i++) {
        *value = *value * (base16 ? 16 : 10) + (uint64_t)digit_of(at[i]);
    }
    *hexadecimal = *hexadecimal || base16;
    at += length;
    *text = at + (*at == 'h' || *at == 'H' ? 1 : 0);
    return true;
}

bool bh_range_mend(const struct bh_schema_key *key, const char *text, char to[BH_MEANT_MAX])
{
    uint64_t first = 0;
    uint64_t last;
    bool hexadecimal = false;
    size_t between;

    if (!take_number(&text, &first, &hexadecimal)) {
        return false;
    }
    last = first;
    between = strspn(text, " .-");
    if (between != 0 && (strstr(text, "..") != NULL || memchr(text, '-', between) != NULL)) {
        text += between;
        if (!take_number(&text, &last, &hexadecimal)) {
            return false;
        }
    }
    if (*text != '\0' || first < key->minimum || last > key->maximum || first > last) {
        return false;
    }
    if (first == last) {
        (void)snprintf(to, BH_MEANT_MAX, hexadecimal ? "0x%" PRIx64 : "%" PRIu64, first);
    } else {
        (void)snprintf(to, BH_MEANT_MAX,
                       hexadecimal ? "0x%" PRIx64 "-0x%" PRIx64 : "%" PRIu64 "-%" PRIu64, first,
                       last);
    }
    return true;
}

static bool mend_ranges(const struct bh_schema_key *key, const struct pieces *pieces,
                        struct line *line)
{
    char range[BH_MEANT_MAX];

    put(line, "write %s: ", key->key);
    for (size_t i = 0; i < pieces->count; i++) {
        if (!bh_range_mend(key, pieces->piece[i], range)) {
            return false;
        }
        put(line, "%s%s", i == 0 ? "[" : ", ", range);
    }
    put(line, "]");
    return true;
}

/* ---------------------------------------------------------------------------------------- groups */

/* Whether a value is one of this key, as far as its looks tell. */
static bool takes(const struct bh_schema_key *key, const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t digits = strspn(text, "0123456789");

    switch (key->type) {
    case BH_SCHEMA_NUMBER:
        return digits != 0 && text[digits] == '\0';
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        return digits != 0 && text[digits + strspn(text + digits, letters)] == '\0';
    case BH_SCHEMA_PATH: /* a mere word may be anything */
        return is_safe(text) && !is_name(text) && (*text == '/' || strspn(text, letters) != 0);
    case BH_SCHEMA_CHOICE:
        for (size_t i = 0; key->words[i].word != NULL; i++) {
            if (strcmp(key->words[i].word, text) == 0) {
                return true;
            }
        }
        return false;
    default:
        return false;
    }
}

/* no-flow: [ivi, cluster] is { from: ivi, to: cluster }: names for the keys that must be there. */
static bool mend_references(const struct bh_schema_group *group, const struct pieces *pieces,
                            struct line *line)
{
    size_t used = 0;

    for (size_t i = 0; i < group->key_count; i++) {
        const struct bh_schema_key *key = &group->keys[i];

        if (!key->required) {
            continue;
        }
        if (key->type == BH_SCHEMA_NAMES && used == 0 && pieces->count >= key->minimum) {
            put(line, "{ %s: ", key->key);
            put_list(line, pieces);
            put(line, " }");
            return true;
        }
        if (key->type != BH_SCHEMA_REFERENCE || used == pieces->count) {
            return false;
        }
        put(line, "%s%s: %s", used == 0 ? "{ " : ", ", key->key, pieces->piece[used]);
        used++;
    }
    put(line, " }");
    return used != 0 && used == pieces->count;
}

static bool mend_group(const struct bh_schema_key *key, const struct pieces *pieces,
                       struct line *line)
{
    const struct bh_schema_group *group = key->group;

    put(line, "write %s: ", key->key);
    if (are_names(pieces) && group->keys[0].required) {
        return mend_references(group, pieces, line);
    }
    for (size_t i = 0; i < group->key_count && pieces->count == 1; i++) {
        if (takes(&group->keys[i], pieces->piece[0])) {
            put(line, "{ %s: %s }", group->keys[i].key, pieces->piece[0]);
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------- all */

/* What the first entry of a list calls itself, if that is a name. */
static const char *own_name(const struct bh_yaml_node *list)
{
    const struct bh_yaml_node *entry = list->first;
    const struct bh_yaml_node *name = entry == NULL ? NULL : bh_yaml_find(entry, "name");

    return name != NULL && name->kind == BH_YAML_SCALAR && is_name(name->text) ? name->text : NULL;
}

/* What the table of words says about a value, or about a list of them. */
static const char *advice_of(const struct bh_schema_key *key, const struct bh_yaml_node *node)
{
    const char *word = node->kind == BH_YAML_SCALAR ? node->text
                       : node->kind == BH_YAML_LIST ? "[]"
                                                    : "{}";
    const struct bh_meant *line = bh_meant_next(NULL, key->key, word);

    return line == NULL || line->here != NULL ? NULL : line->advice;
}

/* command-line: [console=hvc0, quiet] is one text. */
static bool mend_text(const struct bh_schema_key *key, const struct pieces *pieces,
                      struct line *line)
{
    size_t length = pieces->count - 1;

    put(line, "write %s:", key->key);
    for (size_t i = 0; i < pieces->count; i++) {
        length += strlen(pieces->piece[i]);
        put(line, " %s", pieces->piece[i]);
    }
    return are_safe(pieces) && length >= key->minimum && length <= key->maximum;
}

/* A single value where a list is taken, a list where a single value is, and so on. */
static bool mend(const struct bh_schema_key *key, const struct bh_yaml_node *node,
                 struct line *line)
{
    bool list = node->kind == BH_YAML_LIST;
    const char *name = list ? own_name(node) : NULL;
    struct pieces pieces;

    if ((key->type == BH_SCHEMA_THINGS || key->type == BH_SCHEMA_TEMPLATES) && list) {
        put(line, "write the name of each before its keys, instead of -: %s: { ... }",
            name == NULL ? "NAME" : name);
        return true;
    }
    if (key->type == BH_SCHEMA_LIST && node->kind == BH_YAML_MAP) {
        int length = (int)strlen(key->example) - 2; /* without the brackets */

        put(line, "write a - before each entry: - %.*s", length, key->example + 1);
        return true;
    }
    if (!take_apart(node, &pieces)) {
        return false;
    }
    switch (key->type) {
    case BH_SCHEMA_NAMES:
        put(line, "write %s: ", key->key);
        put_list(line, &pieces);
        return are_names(&pieces) && pieces.count >= key->minimum && pieces.count <= key->maximum;
    case BH_SCHEMA_RANGES:
        return mend_ranges(key, &pieces, line);
    case BH_SCHEMA_GROUP:
        return mend_group(key, &pieces, line);
    case BH_SCHEMA_TEXT:
        return list && mend_text(key, &pieces, line);
    case BH_SCHEMA_VERSION:
    case BH_SCHEMA_THINGS:
    case BH_SCHEMA_LIST:
        return false;
    default:
        put(line, "write %s: %s", key->key, pieces.piece[0]);
        return list && pieces.count == 1 && are_safe(&pieces);
    }
}

bool bh_shape_mend(const struct bh_schema_key *key, const struct bh_yaml_node *node,
                   char to[BH_MEANT_MAX])
{
    struct line line = {.to = to};
    const char *advice = node->count == 1 ? NULL : advice_of(key, node);

    if (advice != NULL) {
        put(&line, "%s", advice);
        return !line.full;
    }
    return mend(key, node, &line) && !line.full;
}
