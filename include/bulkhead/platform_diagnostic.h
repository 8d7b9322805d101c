/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is wrong with a definition, said like a good compiler says it: where, what, why, and what to
 * write instead. Whoever finds something adds it here; whoever has the terminal prints it.
 *
 *     platform.yaml:12:15: error: memory is 100M, not a multiple of 2M [memory-size]
 *        12 |     memory: 100M
 *           |             ^~~~
 *           = write 100M as 102M, or 98M
 *
 * Thread: one. Ownership: the collection owns copies of all texts.
 */
#ifndef BULKHEAD_PLATFORM_DIAGNOSTIC_H
#define BULKHEAD_PLATFORM_DIAGNOSTIC_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Where something stands in the definition. All zero: nowhere (the files as a whole). */
struct bh_origin {
    uint32_t line;   /* from 1; 0: nowhere */
    uint32_t column; /* in characters, from 1 */
    uint32_t length; /* characters on that line; 0: unknown */
    uint16_t file;   /* as bh_diagnostics_source numbered it; 0: the definition itself */
    uint16_t via;    /* as bh_diagnostics_use numbered it: who uses it here; 0: nobody else */
};

enum bh_severity { BH_SEVERITY_ERROR, BH_SEVERITY_WARNING };

/* What the user makes of a check (`-W`). */
enum bh_rule {
    BH_RULE_USUAL,
    BH_RULE_ERROR,   /* its warnings are errors */
    BH_RULE_WARNING, /* its errors are warnings */
    BH_RULE_OFF,     /* its warnings are not said */
};

struct bh_diagnostics;

/* For the file `name` (as the user named it). NULL: no memory. */
struct bh_diagnostics *bh_diagnostics_create(const char *name);
void bh_diagnostics_destroy(struct bh_diagnostics *diagnostics); /* NULL: nothing */

/* Adds a file with its text, for the source lines; both are copied. `*file` is its number: 0 for
 * the first, which is the definition (its name is given again). BH_NO_MEMORY: `*file` is good, and
 * its lines are left out; BH_LIMIT: too many files. */
int bh_diagnostics_source(struct bh_diagnostics *diagnostics, const char *name, const char *text,
                          size_t length, uint16_t *file);

/* What stands elsewhere is used at `at`: "through template linux". The text is copied. The number is for
 * bh_origin.via; every finding at such an origin is followed by a note that shows `at`. 0: no
 * memory, or too many: no note then. */
uint16_t bh_diagnostics_use(struct bh_diagnostics *diagnostics, struct bh_origin at,
                            const char *text);

/* What is to be made of the findings of a check, from now on. `check` is static text. BH_NO_MEMORY. */
int bh_diagnostics_rule(struct bh_diagnostics *diagnostics, const char *check, enum bh_rule rule);

/* Adds one. `check` is the stable name of what found it, static text ("memory-size"). The first
 * line of the formatted text says what is wrong; the lines after it say what to do, one each.
 * Beyond 100 they are counted only. What was found in the same words at the same place before is
 * the same finding: it gets a note for each use of the place. */
void bh_diagnostics_add(struct bh_diagnostics *diagnostics, enum bh_severity severity,
                        const char *check, struct bh_origin origin, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Adds a note to what was added last: another place that has to do with it, and why. Bounded: at
 * most 64 notes for one finding. */
void bh_diagnostics_note(struct bh_diagnostics *diagnostics, struct bh_origin origin,
                         const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whether what is added now is only counted: then looking for a suggestion is in vain. */
bool bh_diagnostics_full(const struct bh_diagnostics *diagnostics);

uint32_t bh_diagnostics_errors(const struct bh_diagnostics *diagnostics);
uint32_t bh_diagnostics_warnings(const struct bh_diagnostics *diagnostics);

/* Prints all in the order of the file, then a line with the sums if there is anything. Control
 * characters of the source are shown as '?'. `colour`: with the terminal's colours. */
void bh_diagnostics_print(const struct bh_diagnostics *diagnostics, FILE *to, bool colour);

/* Prints all as one JSON object, for programs and editors:
 *   { "errors": 1, "warnings": 0, "left_out": 0,
 *     "findings": [ { "check": "key", "severity": "error", "file": "a.yaml", "line": 3, "column": 5,
 *       "length": 4, "text": "...", "advice": ["..."],
 *       "notes": [ { "file": ..., "line": ..., "column": ..., "length": ..., "text": "..." } ] } ] }
 * line 0: nowhere. BH_NO_MEMORY: nothing is printed. */
int bh_diagnostics_print_json(const struct bh_diagnostics *diagnostics, FILE *to);

#endif
