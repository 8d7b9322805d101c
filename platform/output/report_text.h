/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the lines of a text break in a drawing, by the room that it takes (platform_markup.h).
 * Private to platform/output/.
 */
#ifndef PLATFORM_REPORT_TEXT_H
#define PLATFORM_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "bulkhead/platform_markup.h"

/* The largest size, from `size` down to 7, in which the text takes at most `room` pixels. */
int bh_text_fit(const char *text, int size, bool bold, int room);

#define BH_TEXT_LINES_MAX 48u

struct bh_text_lines {
    const char *starts[BH_TEXT_LINES_MAX];
    size_t lengths[BH_TEXT_LINES_MAX];
    int count;
};

/* Breaks a text into lines of at most `room` pixels: at spaces; where a word alone is too long,
 * behind a hyphen of it, or else between any two characters. What does not fit into
 * BH_TEXT_LINES_MAX lines is left out. */
void bh_text_wrap(struct bh_text_lines *lines, const char *text, int size, bool bold, int room);

#endif
