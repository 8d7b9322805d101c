/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a definition, for people: each finding with the line that it is about, what to
 * do, and the places that have to do with it.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "diagnostic.h"
#include "text.h"

#define EXCERPT_WIDTH 100u /* columns of a source line that are shown where there is room */
#define EXCERPT_LEAST 40u  /* and where there is none */
#define MARGIN        11u  /* columns around it: the number of the line, and "..." */
#define TAB           4u

/* What the terminal is told; all empty without colour. */
struct palette {
    const char *strong;
    const char *error;
    const char *warning;
    const char *note;
    const char *mark;
    const char *end;
};

struct printer {
    const struct bh_diagnostics *diagnostics;
    const struct palette *palette;
    FILE *to;
    unsigned width; /* columns of a source line that are shown */
};

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
static uint32_t cut_before(const struct bh_origin *origin, unsigned width)
{
    uint32_t longest = width * 2 / 5; /* of what is marked */
    uint32_t marked = origin->length < longest ? origin->length : longest;

    if (origin->column - 1 + marked <= width) {
        return 0;
    }
    return origin->column - 1 - (width / 2 - 2);
}

/* The line of the source, and below it the caret. `at`..`end` is the line. */
static void put_excerpt(const struct printer *printer, const struct bh_origin *origin,
                        const char *at, const char *end)
{
    FILE *to = printer->to;
    uint32_t index = cut_before(origin, printer->width);
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
    for (; at < end && column < printer->width; index++) {
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
    (void)fprintf(to, "\n      | %*s%s^", (int)begin, "", printer->palette->mark);
    put_repeated(to, '~', behind > begin + 1 ? behind - begin - 1 : 0);
    (void)fprintf(to, "%s\n", printer->palette->end);
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

/* "platform.yaml:3:5: error: " */
static void put_place(const struct printer *printer, const struct bh_origin *origin,
                      const char *colour, const char *word)
{
    const char *name = bh_source_of(printer->diagnostics, origin)->name;

    name = name == NULL ? "?" : name;
    (void)fputs(printer->palette->strong, printer->to);
    put_text(printer->to, name, strlen(name));
    if (origin->line != 0) {
        (void)fprintf(printer->to, ":%u:%u", origin->line, origin->column);
    }
    (void)fprintf(printer->to, ": %s%s:%s ", colour, word, printer->palette->end);
}

static void put_line(const struct printer *printer, const struct bh_origin *origin)
{
    const struct bh_source *source = bh_source_of(printer->diagnostics, origin);
    const char *at;
    const char *end;

    if (origin->column != 0 && bh_source_line(source, origin->line, &at, &end)) {
        put_excerpt(printer, origin, at, end);
    }
}

static void put_note(const struct printer *printer, const struct bh_note *note)
{
    const char *text = bh_text_or(note->text);

    put_place(printer, &note->origin, printer->palette->note, "note");
    put_text(printer->to, text, strlen(text));
    (void)fputc('\n', printer->to);
    put_line(printer, &note->origin);
}

static void put_finding(const struct printer *printer, const struct bh_finding *finding)
{
    const struct palette *palette = printer->palette;
    const char *text = bh_text_or(finding->text);
    size_t first = strcspn(text, "\n");
    bool error = finding->severity == BH_SEVERITY_ERROR;

    put_place(printer, &finding->origin, error ? palette->error : palette->warning,
              error ? "error" : "warning");
    (void)fputs(palette->strong, printer->to);
    put_text(printer->to, text, first);
    (void)fprintf(printer->to, "%s [%s]\n", palette->end, finding->check);
    put_line(printer, &finding->origin);
    put_advice(printer->to, text[first] == '\n' ? text + first + 1 : text + first);
    for (uint32_t i = 0; i < finding->note_count; i++) {
        put_note(printer, &finding->notes[i]);
    }
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

/* A line that a terminal breaks puts the caret below something else. */
static unsigned excerpt_width(FILE *to)
{
    struct winsize size;

    if (ioctl(fileno(to), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 ||
        size.ws_col >= EXCERPT_WIDTH + MARGIN) {
        return EXCERPT_WIDTH;
    }
    return size.ws_col < EXCERPT_LEAST + MARGIN ? EXCERPT_LEAST : size.ws_col - MARGIN;
}

void bh_diagnostics_print(const struct bh_diagnostics *diagnostics, FILE *to, bool colour)
{
    static const struct palette plain = {"", "", "", "", "", ""};
    static const struct palette bright = {"\033[1m",    "\033[1;31m", "\033[1;35m",
                                          "\033[1;36m", "\033[1;32m", "\033[0m"};
    const struct printer printer = {diagnostics, colour ? &bright : &plain, to, excerpt_width(to)};
    struct bh_findings_sorted sorted;

    bh_findings_sort(diagnostics, &sorted);
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        put_finding(&printer, sorted.findings[i]);
    }
    put_sums(diagnostics, to);
}
