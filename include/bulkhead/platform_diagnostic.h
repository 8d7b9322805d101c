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

/* Where something stands in the definition. All zero: nowhere (the file as a whole). */
struct bh_origin {
    uint32_t line;   /* from 1; 0: nowhere */
    uint32_t column; /* in characters, from 1 */
    uint32_t length; /* characters on that line; 0: unknown */
};

enum bh_severity { BH_SEVERITY_ERROR, BH_SEVERITY_WARNING };

struct bh_diagnostics;

/* For the file `name` (as the user named it). NULL: no memory. */
struct bh_diagnostics *bh_diagnostics_create(const char *name);
void bh_diagnostics_destroy(struct bh_diagnostics *diagnostics); /* NULL: nothing */

/* The text of the file, for the source lines; copied. BH_NO_MEMORY: lines are left out. */
int bh_diagnostics_source(struct bh_diagnostics *diagnostics, const char *text, size_t length);

/* Adds one. `check` is the stable name of what found it, static text ("memory-size"). The first
 * line of the formatted text says what is wrong; the lines after it say what to do, one each.
 * Beyond 100 they are counted only. */
void bh_diagnostics_add(struct bh_diagnostics *diagnostics, enum bh_severity severity,
                        const char *check, struct bh_origin origin, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

uint32_t bh_diagnostics_errors(const struct bh_diagnostics *diagnostics);
uint32_t bh_diagnostics_warnings(const struct bh_diagnostics *diagnostics);

/* Prints all in the order of the file, then a line with the sums if there is anything. Control
 * characters of the source are shown as '?'. `colour`: with the terminal's colours. */
void bh_diagnostics_print(const struct bh_diagnostics *diagnostics, FILE *to, bool colour);

#endif
