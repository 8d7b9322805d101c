/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing markup that no text can break: markup comes from the program's own format strings, and
 * whatever is put into it is escaped. The result is HTML that is well-formed XML too, so that any
 * parser can hold it to that; or SVG. Not a template language.
 *
 * Thread: any, one for each stream. Ownership: the stream is the caller's.
 */
#ifndef BULKHEAD_PLATFORM_MARKUP_H
#define BULKHEAD_PLATFORM_MARKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct bh_html {
    FILE *to; /* whether writing failed is asked of it at the end (ferror, fclose) */
};

/* Writes `format`. Conversions: %s, escaped (NULL: nothing); %d, %u, %lu; %%. Others end the text. */
void bh_html_put(const struct bh_html *html, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes a text, escaped: & < > " ' as entities; what is no character, or cannot be shown as it
 * is (control characters, marks that turn the direction of writing), as U+FFFD. */
void bh_html_text(const struct bh_html *html, const char *text);

/* Pixels that `length` bytes of a text take, at most. The page brings no font, so the widths are
 * those of the widest one that a reader is likely to have (DejaVu Sans); in others there is more
 * room than needed. */
int bh_text_width(const char *text, size_t length, int size, bool bold);

/* Writes markup as it is: text that was made by the build itself. */
void bh_html_markup(const struct bh_html *html, const char *markup);

#endif
