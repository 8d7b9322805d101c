/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How much room a text takes in a drawing, and where its lines break. The page brings no font, so
 * the widths are those of the widest one that a reader is likely to have (DejaVu Sans); in others
 * there is more room than needed. Private to platform/output/.
 */
#ifndef PLATFORM_REPORT_TEXT_H
#define PLATFORM_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Pixels that `length` bytes of a text take, at most. */
int bh_text_width(const char *text, size_t length, int size, bool bold);

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
