/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few shapes that the report's drawings consist of. Colours come from the page's style sheet,
 * by class, so that a drawing follows light, dark and paper. Each text says how wide it is at most
 * (data-w), which is what the tests hold the layout to. Private to platform/output/.
 */
#ifndef PLATFORM_REPORT_SVG_H
#define PLATFORM_REPORT_SVG_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/platform_markup.h"

struct bh_box {
    int x;
    int y;
    int width;
    int height;
};

/* A figure with its accessible name and description; bh_svg_end closes it. */
void bh_svg_begin(const struct bh_html *html, const char *id, const char *title,
                  const char *description, int width, int height);
void bh_svg_end(const struct bh_html *html);

void bh_svg_rect(const struct bh_html *html, const char *class, struct bh_box box, int radius);
void bh_svg_line(const struct bh_html *html, const char *class, int x1, int y1, int x2, int y2);

/* A text on one line; `x` is its left end, or its right end where `anchor` is "end", or the middle.
 * Class "b" is bold, and has to stand first. */
void bh_svg_text(const struct bh_html *html, const char *class, int size, const char *anchor, int x,
                 int y, const char *text);

/* The lines of a text that is broken to `room`, `pitch` below each other; the y behind the last. */
int bh_svg_lines(const struct bh_html *html, const char *class, int size, int x, int y, int room,
                 int pitch, const char *text);

/* How many lines that are. */
int bh_svg_line_count(const char *class, const char *text, int size, int room);

/* A curve that leaves and arrives horizontally, with arrowheads where data arrives. */
void bh_svg_edge(const struct bh_html *html, const char *class, int x1, int y1, int x2, int y2,
                 bool head1, bool head2);

/* A ground in the colour of a criticality, with its level in the right upper corner: four slots, of
 * which ASIL-A fills one and ASIL-D four. BH_SVG_METER pixels are taken from a text beside it. */
#define BH_SVG_METER 40
void bh_svg_band(const struct bh_html *html, uint32_t criticality, struct bh_box box);

/* Samples with their meaning, in lines of at most `room`; the y below. `swatch` draws a line x */
struct bh_svg_sample {
    const char *class;
    bool head1;
    bool head2;
    const char *text;
};
int bh_svg_legend(const struct bh_html *html, const struct bh_svg_sample *samples, int x, int y,
                  int room);

#endif
