/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a definition: collected, each thing once, as the user's rules want it. It
 * judges nothing, and prints nothing (diagnostic_print.c, diagnostic_json.c).
 */
#include "diagnostic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"

struct bh_diagnostics *bh_diagnostics_create(const char *name)
{
    struct bh_diagnostics *diagnostics = calloc(1, sizeof(*diagnostics));

    if (diagnostics == NULL) {
        return NULL;
    }
    diagnostics->sources[0].name = strdup(name);
    if (diagnostics->sources[0].name == NULL) {
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
        struct bh_finding *finding = &diagnostics->kept[i];

        for (uint32_t j = 0; j < finding->note_count; j++) {
            free(finding->notes[j].text);
        }
        free(finding->notes);
        free(finding->text);
    }
    for (uint32_t i = 0; i < diagnostics->use_count; i++) {
        free(diagnostics->uses[i].text);
    }
    for (uint32_t i = 0; i < BH_SOURCES_MAX; i++) {
        free(diagnostics->sources[i].marks);
        free(diagnostics->sources[i].text);
        free(diagnostics->sources[i].name);
    }
    free(diagnostics->rules);
    free(diagnostics->uses);
    free(diagnostics);
}

/* --------------------------------------------------------------------------------------- sources */

/* Where every 64th line begins: an excerpt is then found without reading the whole text again. */
static int source_mark(struct bh_source *source)
{
    const char *end = source->text + source->length;
    uint32_t line = 0;

    for (const char *at = source->text; at < end; at++) {
        line += *at == '\n' ? 1 : 0;
    }
    source->marks = calloc(line / BH_MARK_LINES + 1, sizeof(*source->marks));
    if (source->marks == NULL) {
        return BH_NO_MEMORY;
    }
    source->mark_count = line / BH_MARK_LINES + 1;
    line = 0;
    for (const char *at = source->text; at < end; at++) {
        if (*at == '\n' && ++line % BH_MARK_LINES == 0) {
            source->marks[line / BH_MARK_LINES] = (uint32_t)(at + 1 - source->text);
        }
    }
    return BH_OK;
}

static int source_fill(struct bh_source *source, const char *text, size_t length)
{
    char *copy = malloc(length + 1);

    if (copy == NULL) {
        return BH_NO_MEMORY;
    }
    if (length != 0) {
        memcpy(copy, text, length);
    }
    copy[length] = '\0';
    source->text = copy;
    source->length = length;
    if (source_mark(source) != BH_OK) {
        free(copy);
        source->text = NULL;
        return BH_NO_MEMORY;
    }
    return BH_OK;
}

int bh_diagnostics_source(struct bh_diagnostics *diagnostics, const char *name, const char *text,
                          size_t length, uint16_t *file)
{
    struct bh_source *source = &diagnostics->sources[diagnostics->source_count];

    if (diagnostics->source_count == BH_SOURCES_MAX || length > UINT32_MAX) {
        return BH_LIMIT;
    }
    *file = (uint16_t)diagnostics->source_count++;
    if (source->name == NULL) { /* the first one has it from the beginning */
        source->name = strdup(name);
    }
    if (source->name == NULL) {
        return BH_NO_MEMORY;
    }
    return source_fill(source, text, length);
}

const struct bh_source *bh_source_of(const struct bh_diagnostics *diagnostics,
                                     const struct bh_origin *origin)
{
    return &diagnostics->sources[origin->file < BH_SOURCES_MAX ? origin->file : 0];
}

bool bh_source_line(const struct bh_source *source, uint32_t line, const char **at,
                    const char **end)
{
    uint32_t index = line - 1;
    const char *behind;
    const char *stop;

    if (source->text == NULL || line == 0 || index / BH_MARK_LINES >= source->mark_count) {
        return false;
    }
    behind = source->text + source->length;
    *at = source->text + source->marks[index / BH_MARK_LINES];
    for (uint32_t left = index % BH_MARK_LINES; left != 0; left--) {
        stop = memchr(*at, '\n', (size_t)(behind - *at));
        if (stop == NULL) {
            return false;
        }
        *at = stop + 1;
    }
    stop = memchr(*at, '\n', (size_t)(behind - *at));
    *end = stop == NULL ? behind : stop;
    *end -= *end > *at && (*end)[-1] == '\r' ? 1 : 0;
    return true;
}

/* ----------------------------------------------------------------------------------- uses, rules */

uint16_t bh_diagnostics_use(struct bh_diagnostics *diagnostics, struct bh_origin at,
                            const char *text)
{
    struct bh_usage *use;

    if (diagnostics->use_count == UINT16_MAX) {
        return 0;
    }
    if (diagnostics->use_count == diagnostics->use_room) {
        uint32_t room = diagnostics->use_room == 0 ? 16 : diagnostics->use_room * 2;
        struct bh_usage *uses = realloc(diagnostics->uses, room * sizeof(*uses));

        if (uses == NULL) {
            return 0;
        }
        diagnostics->uses = uses;
        diagnostics->use_room = room;
    }
    use = &diagnostics->uses[diagnostics->use_count];
    use->at = at;
    use->text = strdup(text);
    if (use->text == NULL) {
        return 0;
    }
    diagnostics->use_count++;
    return (uint16_t)diagnostics->use_count;
}

int bh_diagnostics_rule(struct bh_diagnostics *diagnostics, const char *check, enum bh_rule rule)
{
    struct bh_named_rule *rules;

    for (uint32_t i = 0; i < diagnostics->rule_count; i++) {
        if (strcmp(diagnostics->rules[i].check, check) == 0) {
            diagnostics->rules[i].rule = rule;
            return BH_OK;
        }
    }
    rules = realloc(diagnostics->rules, (diagnostics->rule_count + 1) * sizeof(*rules));
    if (rules == NULL) {
        return BH_NO_MEMORY;
    }
    diagnostics->rules = rules;
    rules[diagnostics->rule_count++] = (struct bh_named_rule){check, rule};
    return BH_OK;
}

/* What the user's rules make of a finding; false: it is not said. */
static bool is_said(const struct bh_diagnostics *diagnostics, const char *check,
                    enum bh_severity *severity)
{
    enum bh_rule rule = BH_RULE_USUAL;

    for (uint32_t i = 0; i < diagnostics->rule_count; i++) {
        if (strcmp(diagnostics->rules[i].check, check) == 0) {
            rule = diagnostics->rules[i].rule;
        }
    }
    if (rule == BH_RULE_OFF && *severity == BH_SEVERITY_WARNING) {
        return false;
    }
    *severity = rule == BH_RULE_ERROR     ? BH_SEVERITY_ERROR
                : rule == BH_RULE_WARNING ? BH_SEVERITY_WARNING
                                          : *severity;
    return true;
}

/* -------------------------------------------------------------------------------------- findings */

static bool same_place(const struct bh_origin *a, const struct bh_origin *b)
{
    return a->line == b->line && a->column == b->column && a->length == b->length &&
           a->file == b->file;
}

static bool same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The same thing was found before: in a template that several use. NULL: no. */
static struct bh_finding *find_same(struct bh_diagnostics *diagnostics,
                                    const struct bh_finding *finding)
{
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        struct bh_finding *other = &diagnostics->kept[i];

        if (same_place(&other->origin, &finding->origin) &&
            strcmp(other->check, finding->check) == 0 && same_text(other->text, finding->text)) {
            return other;
        }
    }
    return NULL;
}

/* Takes `text`. */
static void note_add(struct bh_finding *finding, struct bh_origin origin, char *text)
{
    struct bh_note *notes;

    for (uint32_t i = 0; i < finding->note_count; i++) {
        if (same_place(&finding->notes[i].origin, &origin) &&
            same_text(finding->notes[i].text, text)) {
            free(text);
            return;
        }
    }
    if (finding->note_count == BH_NOTES_MAX) {
        free(text);
        return;
    }
    notes = realloc(finding->notes, (finding->note_count + 1) * sizeof(*notes));
    if (notes == NULL) {
        free(text);
        return;
    }
    finding->notes = notes;
    notes[finding->note_count++] = (struct bh_note){origin, text};
}

/* Where what is wrong is used, and where the user of it is used. A use is older than what uses it
 * further, so this ends. */
static void note_uses(const struct bh_diagnostics *diagnostics, struct bh_finding *finding,
                      uint16_t via)
{
    while (via != 0 && via <= diagnostics->use_count) {
        const struct bh_usage *use = &diagnostics->uses[via - 1];
        struct bh_origin at = use->at;

        at.via = 0;
        note_add(finding, at, strdup(use->text));
        via = use->at.via < via ? use->at.via : 0;
    }
}

bool bh_diagnostics_full(const struct bh_diagnostics *diagnostics)
{
    return diagnostics->kept_count == BH_DIAGNOSTICS_KEPT_MAX;
}

static void count(struct bh_diagnostics *diagnostics, enum bh_severity severity)
{
    if (severity == BH_SEVERITY_ERROR) {
        diagnostics->errors++;
    } else {
        diagnostics->warnings++;
    }
}

void bh_diagnostics_add(struct bh_diagnostics *diagnostics, enum bh_severity severity,
                        const char *check, struct bh_origin origin, const char *format, ...)
{
    struct bh_finding finding = {.check = check, .origin = origin};
    struct bh_finding *same;
    va_list arguments;

    diagnostics->last = NULL;
    if (!is_said(diagnostics, check, &severity)) {
        return;
    }
    if (bh_diagnostics_full(diagnostics)) {
        count(diagnostics, severity);
        return;
    }
    va_start(arguments, format);
    if (vasprintf(&finding.text, format, arguments) < 0) {
        finding.text = NULL;
    }
    va_end(arguments);
    same = find_same(diagnostics, &finding);
    if (same != NULL) {
        free(finding.text);
        diagnostics->last = same;
    } else {
        finding.severity = severity;
        finding.origin.via = 0;
        finding.order = diagnostics->kept_count;
        diagnostics->last = &diagnostics->kept[diagnostics->kept_count++];
        *diagnostics->last = finding;
        count(diagnostics, severity);
    }
    note_uses(diagnostics, diagnostics->last, origin.via);
}

void bh_diagnostics_note(struct bh_diagnostics *diagnostics, struct bh_origin origin,
                         const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    if (diagnostics->last == NULL) {
        return;
    }
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0) {
        text = NULL;
    }
    va_end(arguments);
    origin.via = 0;
    note_add(diagnostics->last, origin, text);
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
    const struct bh_finding *x = *(const struct bh_finding *const *)a;
    const struct bh_finding *y = *(const struct bh_finding *const *)b;

    if (x->origin.file != y->origin.file) {
        return x->origin.file < y->origin.file ? -1 : 1;
    }
    if (x->origin.line != y->origin.line) {
        return x->origin.line < y->origin.line ? -1 : 1;
    }
    if (x->origin.column != y->origin.column) {
        return x->origin.column < y->origin.column ? -1 : 1;
    }
    return x->order < y->order ? -1 : 1;
}

void bh_findings_sort(const struct bh_diagnostics *diagnostics, struct bh_findings_sorted *sorted)
{
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        sorted->findings[i] = &diagnostics->kept[i];
    }
    qsort(sorted->findings, diagnostics->kept_count, sizeof(const struct bh_finding *), by_place);
}
