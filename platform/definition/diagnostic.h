/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the collection of diagnostics is made of, for the files that print it. Private to
 * platform/definition/diagnostic*.c.
 */
#ifndef PLATFORM_DIAGNOSTIC_H
#define PLATFORM_DIAGNOSTIC_H

#include <stddef.h>

#include "bulkhead/platform_diagnostic.h"

#define BH_DIAGNOSTICS_KEPT_MAX 100u
#define BH_NOTES_MAX            64u /* of one finding */
#define BH_SOURCES_MAX          32u
#define BH_MARK_LINES           64u /* from one mark in a source to the next */

/* A file that findings are about. */
struct bh_source {
    char *name;
    char *text; /* NULL: its lines are not known */
    size_t length;
    uint32_t *marks; /* where line 1, 1 + BH_MARK_LINES, ... begin */
    uint32_t mark_count;
};

/* Another place that has to do with a finding. */
struct bh_note {
    struct bh_origin origin;
    char *text; /* NULL: there was no memory for it */
};

struct bh_finding {
    enum bh_severity severity;
    const char *check;
    struct bh_origin origin;
    char *text; /* NULL: there was no memory for it */
    struct bh_note *notes;
    uint32_t note_count;
    uint32_t order; /* of arrival */
};

/* Who uses what stands elsewhere. */
struct bh_usage {
    struct bh_origin at;
    char *text;
};

struct bh_named_rule {
    const char *check;
    enum bh_rule rule;
};

struct bh_diagnostics {
    struct bh_source sources[BH_SOURCES_MAX]; /* the first one has its name from the beginning */
    uint32_t source_count;
    struct bh_finding kept[BH_DIAGNOSTICS_KEPT_MAX];
    uint32_t kept_count;
    struct bh_finding *last; /* what was added last; NULL: it was not kept */
    uint32_t errors;
    uint32_t warnings;
    struct bh_usage *uses; /* number n at n - 1 */
    uint32_t use_count;
    uint32_t use_room;
    struct bh_named_rule *rules;
    uint32_t rule_count;
};

/* All that are kept, by file, line and column, and then as they came. */
struct bh_findings_sorted {
    const struct bh_finding *findings[BH_DIAGNOSTICS_KEPT_MAX];
};
void bh_findings_sort(const struct bh_diagnostics *diagnostics, struct bh_findings_sorted *sorted);

/* The file that an origin is in. */
const struct bh_source *bh_source_of(const struct bh_diagnostics *diagnostics,
                                     const struct bh_origin *origin);

/* A line of a source, its break not included; false: there is none. */
bool bh_source_line(const struct bh_source *source, uint32_t line, const char **at,
                    const char **end);

/* The text of a finding or note, whatever became of it. */
static inline const char *bh_text_or(const char *text)
{
    return text == NULL ? "(no memory for the text)" : text;
}

#endif
