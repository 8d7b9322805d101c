/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a definition, for programs and editors: one JSON object, in the form that
 * bulkhead/platform_diagnostic.h shows.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "diagnostic.h"
#include "text.h"

/* A text of `length` bytes, what is not plain as '?': names of files may be no UTF-8. */
static json_t *json_text(const char *text, size_t length)
{
    const char *at = text;
    const char *end = text + length;
    char *plain = malloc(length + 1);
    size_t used = 0;
    json_t *json;

    if (plain == NULL) {
        return NULL;
    }
    while (at < end) {
        const char *from = at;
        uint32_t character = bh_character_next(&at, end);

        if (bh_character_is_plain(character)) {
            memcpy(plain + used, from, (size_t)(at - from));
            used += (size_t)(at - from);
        } else {
            plain[used++] = '?';
        }
    }
    json = json_stringn(plain, used);
    free(plain);
    return json;
}

/* Puts the members that say where something is. jansson takes no member that is NULL, and says so:
 * 0: all are there. */
static int put_place(json_t *object, const struct bh_diagnostics *diagnostics,
                     const struct bh_origin *origin)
{
    const char *name = bh_source_of(diagnostics, origin)->name;
    int failed;

    name = name == NULL ? "?" : name;
    failed = json_object_set_new(object, "file", json_text(name, strlen(name)));
    failed |= json_object_set_new(object, "line", json_integer(origin->line));
    failed |= json_object_set_new(object, "column", json_integer(origin->column));
    failed |= json_object_set_new(object, "length", json_integer(origin->length));
    return failed;
}

static json_t *note_json(const struct bh_diagnostics *diagnostics, const struct bh_note *note)
{
    const char *text = bh_text_or(note->text);
    json_t *object = json_object();
    int failed = put_place(object, diagnostics, &note->origin);

    failed |= json_object_set_new(object, "text", json_text(text, strlen(text)));
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Every line of a text but the first. */
static json_t *advice_json(const char *text)
{
    json_t *list = json_array();
    int failed = 0;

    text += strcspn(text, "\n");
    while (*text == '\n') {
        size_t length = strcspn(++text, "\n");

        failed |= json_array_append_new(list, json_text(text, length));
        text += length;
    }
    if (failed != 0) {
        json_decref(list);
        return NULL;
    }
    return list;
}

static json_t *finding_json(const struct bh_diagnostics *diagnostics,
                            const struct bh_finding *finding)
{
    const char *text = bh_text_or(finding->text);
    const char *severity = finding->severity == BH_SEVERITY_ERROR ? "error" : "warning";
    json_t *object = json_object();
    json_t *notes = json_array();
    int failed = json_object_set_new(object, "check", json_string(finding->check));

    failed |= json_object_set_new(object, "severity", json_string(severity));
    failed |= put_place(object, diagnostics, &finding->origin);
    failed |= json_object_set_new(object, "text", json_text(text, strcspn(text, "\n")));
    failed |= json_object_set_new(object, "advice", advice_json(text));
    for (uint32_t i = 0; i < finding->note_count; i++) {
        failed |= json_array_append_new(notes, note_json(diagnostics, &finding->notes[i]));
    }
    failed |= json_object_set_new(object, "notes", notes);
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *all_json(const struct bh_diagnostics *diagnostics)
{
    uint32_t all = diagnostics->errors + diagnostics->warnings;
    json_t *object = json_object();
    json_t *findings = json_array();
    struct bh_findings_sorted sorted;
    int failed = json_object_set_new(object, "errors", json_integer(diagnostics->errors));

    failed |= json_object_set_new(object, "warnings", json_integer(diagnostics->warnings));
    failed |= json_object_set_new(object, "left_out", json_integer(all - diagnostics->kept_count));
    bh_findings_sort(diagnostics, &sorted);
    for (uint32_t i = 0; i < diagnostics->kept_count; i++) {
        failed |= json_array_append_new(findings, finding_json(diagnostics, sorted.findings[i]));
    }
    failed |= json_object_set_new(object, "findings", findings);
    if (failed != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int bh_diagnostics_print_json(const struct bh_diagnostics *diagnostics, FILE *to)
{
    json_t *object = all_json(diagnostics);

    if (object == NULL) {
        return BH_NO_MEMORY;
    }
    (void)json_dumpf(object, to, JSON_INDENT(2)); /* the stream keeps its error for the caller */
    (void)fputc('\n', to);
    json_decref(object);
    return BH_OK;
}
