/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for a text in the lines of a terminal, once. The lines are those of bh_lines: harmless, and
 * bounded; one that is told in pieces is looked at as a whole, so it does not matter how its bytes
 * came.
 *
 * Thread: one. Ownership: the caller's memory; the text is the caller's, too.
 */
#ifndef ENGINE_TERMINAL_AWAIT_H
#define ENGINE_TERMINAL_AWAIT_H

#include <stdbool.h>
#include <stddef.h>

#include "terminal_lines.h"

#define BH_AWAIT_BYTES_MAX 200u /* `message` of the definition */

struct bh_await {
    const char *text; /* NULL: nothing is awaited, or it has come */
    size_t length;
    char
        seen[BH_AWAIT_BYTES_MAX + BH_LINE_BYTES_MAX + 1u]; /* a line that goes on: its end so far */
    size_t have;
};

/* NULL: nothing is awaited. A text that is longer than BH_AWAIT_BYTES_MAX never comes. */
void bh_await_init(struct bh_await *await, const char *text);

/* A line, or a piece of one that goes on. True: the text has come, now. */
bool bh_await_line(struct bh_await *await, const char *line, bool goes_on);

#endif
