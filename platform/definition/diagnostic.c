/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a definition: collected, put in the order of the file, and printed with the
 * line that it is about. It judges nothing.
 */
#include "bulkhead/platform_diagnostic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "text.h"

#define KEPT_MAX      100u
#define EXCERPT_WIDTH 100u /* columns of a source line that are shown */
#define BEFORE_CARET  48u  /* characters before the caret, where a line is cut */
#define MARKED_MAX    40u  /* characters behind the caret that a line should not be cut in */
#define TAB           4u

struct entry {
    enum bh_severity severity;
    const char *check;
    struct bh_origin origin;
    char *text;     /* NULL: there was no memory for it */
    uint32_t order; /* of arrival */
};

struct bh_diagnostics {
    char *name;
    char *source; /* NULL: none */
    size_t source_length;
    struct entry kept[KEPT_MAX];
    uint32_t kept_count;
    uint32_t errors;
    uint32_t warnings;
};

/* What the terminal is told; all empty without colour. */
struct palette {
    const char *strong;
    const char *error;
    const char *warning;
    const char *mark;
    const char *end;
};

struct bh_diagnostics *bh_diagnostics_create(const char *name)
{
    struct bh_diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));

    if (diagnostics == NULL) {
        return NULL;
    }
    diagnostics->name = strdup(name);
    if (diagnostics->name == NULL) {
        free(diagnostics);
        return NULL;
    }
    return diagnostics;
}

void bh_diagnostics_destroy(struct bh_diagnostics *diagnostics)
{
    if (diagnostics == NULL) {
        return;
    }
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        free(diagnostics->kept[i].text);
    }
    free(diagnostics->source);
    free(diagnostics->name);
    free(diagnostics);
}

int bh_diagnostics_source(struct bh_diagnostics *diagnostics, const char *name, const char *text,
                          size_t length, uint16_t *file)
{
    char *copy = malloc(length + 1);

    (void)name;
    *file = 0;
    if (copy == NULL) {
        return BH_NO_MEMORY;
    }
    if (length != 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    free(diagnostics->source);
    diagnostics->source = copy;
    diagnostics->source_length = length;
    return BH_OK;
}

void bh_diagnostics_add(struct bh_diagnostics *diagnostics, enum bh_severity severity,
                        const char *check, struct bh_origin origin, const char *format, ...)
{
    struct entry *entry;
    va_list arguments;

    if (severity == BH_SEVERITY_ERROR) {
        diagnostics->errors++;
    } else {
        diagnostics->warnings++;
    }
    if (diagnostics->kept_count == KEPT_MAX) {
        return;
    }
    entry = &diagnostics->kept[diagnostics->kept_count];
    entry->severity = severity;
    entry->check = check;
    entry->origin = origin;
    entry->order = diagnostics->kept_count++;
    va_start(arguments, format);
    if (vasprintf(&entry->text, format, arguments) < 0) {
        entry->text = NULL;
    }
    va_end(arguments);
}

uint32_t bh_diagnostics_errors(const struct bh_diagnostics *diagnostics)
{
    return diagnostics->errors;
}

uint32_t bh_diagnostics_warnings(const struct bh_diagnostics *diagnostics)
{
    return diagnostics->warnings;
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;

    if (x->origin.line != y->origin.line) {
        return x->origin.line < y->origin.line ? -1 : 1;
    }
    if (x->origin.column != y->origin.column) {
        return x->origin.column < y->origin.column ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

/* One character; the columns that it took. At `column` (from 0) of what is printed. */
static unsigned put_character(FILE *to, const char *from, const char *behind, uint32_t character,
                              unsigned column)
{
    if (character == '\t') {
        unsigned width = TAB - column % TAB;

        (void)fprintf(to, "%*s", (int)width, "");
        return width;
    }
    if (!bh_character_is_plain(character)) {
        (void)fputc('?', to);
        return 1;
    }
    (void)fwrite(from, 1, (size_t)(behind - from), to);
    return bh_character_width(character);
}

/* A text that may come from outside, up to its end or a line break. */
static void put_text(FILE *to, const char *text, size_t length)
{
    const char *end = text + length;

    while (text < end) {
        const char *from = text;
        uint32_t character = bh_character_next(&text, end);

        (void)put_character(to, from, text, character, 0);
    }
}

static void put_repeated(FILE *to, char character, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)fputc(character, to);
    }
}

/* Moves over `count` characters. */
static const char *skip(const char *at, const char *end, size_t count)
{
    while (count != 0 && at < end) {
        (void)bh_character_next(&at, end);
        count--;
    }
    return at;
}

/* The characters of a line before which the excerpt begins: none if the marked part fits in. */
static uint32_t cut_before(const struct bh_origin *origin)
{
    uint32_t marked = origin->length < MARKED_MAX ? origin->length : MARKED_MAX;

    if (origin->column - 1 + marked <= EXCERPT_WIDTH) {
        return 0;
    }
    return origin->column - 1 - BEFORE_CARET;
}

/* The line of the source, and below it the caret. `at`..`end` is the line. */
static void put_excerpt(FILE *to, const struct palette *palette, const struct bh_origin *origin,
                        const char *at, const char *end)
{
    uint32_t index = cut_before(origin);
    uint32_t caret_from = origin->column - 1;
    uint32_t caret_to = caret_from + (origin->length == 0 ? 1 : origin->length);
    unsigned column = 0;
    unsigned begin = 0;
    unsigned behind = 0;

    (void)fprintf(to, at < end ? "%5u | " : "%5u |", origin->line);
    if (index != 0) {
        column = (unsigned)fprintf(to, "...");
        at = skip(at, end, index);
    }
    for (; at < end && column < EXCERPT_WIDTH; index++) {
        const char *from = at;
        uint32_t character = bh_character_next(&at, end);

        begin = index == caret_from ? column : begin;
        column += put_character(to, from, at, character, column);
        behind = index < caret_to ? column : behind;
    }
    if (at < end) {
        (void)fprintf(to, "...");
    }
    if (index <= caret_from) { /* behind the end of the line: what is missing there */
        begin = column;
    }
    (void)fprintf(to, "\n      | %*s%s^", (int)begin, "", palette->mark);
    put_repeated(to, '~', behind > begin + 1 ? behind - begin - 1 : 0);
    (void)fprintf(to, "%s\n", palette->end);
}

/* Where the lines of the source are; entries come in order, so it only goes forward. */
struct cursor {
    const char *at;
    const char *end;
    uint32_t line;
};

/* The end of the line that begins at the cursor, its break not included. */
static const char *line_end(const struct cursor *cursor)
{
    const char *end = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));

    if (end == NULL) {
        end = cursor->end;
    }
    return end > cursor->at && end[-1] == '\r' ? end - 1 : end;
}

/* Moves to `line`; false: there is no such line. */
static bool find_line(struct cursor *cursor, uint32_t line)
{
    while (cursor->line < line) {
        const char *end = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));

        if (end == NULL) {
            return false;
        }
        cursor->at = end + 1;
        cursor->line++;
    }
    return true;
}

/* The lines of a text behind its first: what to do. */
static void put_advice(FILE *to, const char *text)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");

        (void)fprintf(to, "      = ");
        put_text(to, text, length);
        (void)fputc('\n', to);
        text += length;
        text += *text == '\n' ? 1 : 0;
    }
}

static void put_entry(const struct bh_diagnostics *diagnostics, const struct entry *entry,
                      struct cursor *cursor, const struct palette *palette, FILE *to)
{
    const char *text = entry->text == NULL ? "(no memory for the text)" : entry->text;
    size_t first = strcspn(text, "\n");
    const struct bh_origin *origin = &entry->origin;
    bool error = entry->severity == BH_SEVERITY_ERROR;

    (void)fputs(palette->strong, to);
    put_text(to, diagnostics->name, strlen(diagnostics->name));
    if (origin->line != 0) {
        (void)fprintf(to, ":%u:%u", origin->line, origin->column);
    }
    (void)fprintf(to, ": %s%s:%s %s", error ? palette->error : palette->warning,
                  error ? "error" : "warning", palette->end, palette->strong);
    put_text(to, text, first);
    (void)fprintf(to, "%s [%s]\n", palette->end, entry->check);
    if (origin->line != 0 && origin->column != 0 && cursor->at != NULL &&
        find_line(cursor, origin->line)) {
        put_excerpt(to, palette, origin, cursor->at, line_end(cursor));
    }
    put_advice(to, text[first] == '\n' ? text + first + 1 : text + first);
}

static void put_count(FILE *to, uint32_t count, const char *what)
{
    (void)fprintf(to, "%u %s%s", count, what, count == 1 ? "" : "s");
}

static void put_sums(const struct bh_diagnostics *diagnostics, FILE *to)
{
    uint32_t all = diagnostics->errors + diagnostics->warnings;

    if (all == 0) {
        return;
    }
    if (diagnostics->errors != 0) {
        put_count(to, diagnostics->errors, "error");
    }
    if (diagnostics->warnings != 0) {
        (void)fputs(diagnostics->errors != 0 ? ", " : "", to);
        put_count(to, diagnostics->warnings, "warning");
    }
    if (all > diagnostics->kept_count) {
        (void)fprintf(to, "; the first %u that were found are shown", diagnostics->kept_count);
    }
    (void)fputc('\n', to);
}

void bh_diagnostics_print(const struct bh_diagnostics *diagnostics, FILE *to, bool colour)
{
    static const struct palette plain = {"", "", "", "", ""};
    static const struct palette bright = {"\033[1m", "\033[1;31m", "\033[1;35m", "\033[1;32m",
                                          "\033[0m"};
    const struct entry *sorted[KEPT_MAX] = {NULL};
    struct cursor cursor = {diagnostics->source, NULL, 1};

    if (diagnostics->source != NULL) {
        cursor.end = diagnostics->source + diagnostics->source_length;
    }
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        sorted[i] = &diagnostics->kept[i];
    }
    qsort(sorted, diagnostics->kept_count, sizeof(const struct entry *), by_place);
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        put_entry(diagnostics, sorted[i], &cursor, colour ? &bright : &plain, to);
    }
    put_sums(diagnostics, to);
}
