/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See report_svg.h. It knows no platform.
 */
#include "report_svg.h"

#include <string.h>

#include "report_text.h"

#define HEAD_LENGTH 9 /* of an arrow */
#define HEAD_HALF   4

#define LINE_BYTES 512u

#define SLOTS 4u /* ASIL-A to ASIL-D */

#define LEGEND_SIZE  12
#define LEGEND_PITCH 18
#define SAMPLE_WIDTH 44

void bh_svg_begin(const struct bh_html *html, const char *id, const char *title,
                  const char *description, int width, int height)
{
    bh_html_put(html,
                "<div class=\"figure\"><svg role=\"img\" aria-labelledby=\"%s-t %s-d\" "
                "viewBox=\"-3 -3 %d %d\" width=\"%d\" height=\"%d\">\n"
                "<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">%s</desc>\n",
                id, id, width + 6, height + 6, width + 6, height + 6, id, title, id, description);
}

void bh_svg_end(const struct bh_html *html)
{
    bh_html_put(html, "</svg></div>\n");
}

void bh_svg_rect(const struct bh_html *html, const char *class, struct bh_box box, int radius)
{
    bh_html_put(html,
                "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>\n",
                class, box.x, box.y, box.width, box.height, radius);
}

void bh_svg_line(const struct bh_html *html, const char *class, int x1, int y1, int x2, int y2)
{
    bh_html_put(html, "<path class=\"%s\" d=\"M%d %dL%d %d\"/>\n", class, x1, y1, x2, y2);
}

static bool is_bold(const char *class)
{
    return strncmp(class, "b", 1) == 0 && (class[1] == '\0' || class[1] == ' ');
}

void bh_svg_text(const struct bh_html *html, const char *class, int size, const char *anchor, int x,
                 int y, const char *text)
{
    bh_html_put(html, "<text class=\"%s\" x=\"%d\" y=\"%d\" font-size=\"%d\"", class, x, y, size);
    if (anchor != NULL) {
        bh_html_put(html, " text-anchor=\"%s\"", anchor);
    }
    bh_html_put(html, " data-w=\"%d\">%s</text>\n",
                bh_text_width(text, strlen(text), size, is_bold(class)), text);
}

int bh_svg_lines(const struct bh_html *html, const char *class, int size, int x, int y, int room,
                 int pitch, const char *text)
{
    struct bh_text_lines lines;
    char line[LINE_BYTES];

    bh_text_wrap(&lines, text, size, is_bold(class), room);
    for (int i = 0; i < lines.count; i++, y += pitch) {
        const size_t length =
            lines.lengths[i] < sizeof(line) ? lines.lengths[i] : sizeof(line) - 1u;

        memcpy(line, lines.starts[i], length);
        line[length] = '\0';
        bh_svg_text(html, class, size, NULL, x, y, line);
    }
    return y;
}

int bh_svg_line_count(const char *class, const char *text, int size, int room)
{
    struct bh_text_lines lines;

    bh_text_wrap(&lines, text, size, is_bold(class), room);
    return lines.count;
}

void bh_svg_edge(const struct bh_html *html, const char *class, int x1, int y1, int x2, int y2,
                 bool head1, bool head2)
{
    const int towards = x2 > x1 ? 1 : -1;
    const int from = x1 + (head1 ? towards * (HEAD_LENGTH - 1) : 0);
    const int to = x2 - (head2 ? towards * (HEAD_LENGTH - 1) : 0);
    const int bend = (to - from) / 2;

    bh_html_put(html, "<path class=\"edge %s\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n", class, from, y1,
                from + bend, y1, to - bend, y2, to, y2);
    if (head1) {
        bh_html_put(html, "<path class=\"head %s\" d=\"M%d %dl%d %dv%dz\"/>\n", class, x1, y1,
                    towards * HEAD_LENGTH, -HEAD_HALF, 2 * HEAD_HALF);
    }
    if (head2) {
        bh_html_put(html, "<path class=\"head %s\" d=\"M%d %dl%d %dv%dz\"/>\n", class, x2, y2,
                    -towards * HEAD_LENGTH, -HEAD_HALF, 2 * HEAD_HALF);
    }
}

void bh_svg_band(const struct bh_html *html, uint32_t criticality, struct bh_box box)
{
    /* Beside the first line of two, or below the edge of a larger box. */
    const int top = box.height < 60 ? 4 : 9;

    bh_html_put(html, "<rect class=\"band c%u\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
                criticality, box.x, box.y, box.width, box.height);
    for (uint32_t i = 0; i < SLOTS; i++) {
        bh_html_put(html, "<rect class=\"%s c%u\" x=\"%d\" y=\"%d\" width=\"5\" height=\"12\"/>\n",
                    i < criticality ? "slot full" : "slot", criticality,
                    box.x + box.width - 34 + (int)i * 7, box.y + top);
    }
}

int bh_svg_legend(const struct bh_html *html, const struct bh_svg_sample *samples, int x, int y,
                  int room)
{
    int at = x;

    for (; samples->text != NULL; samples++) {
        const int width = bh_text_width(samples->text, strlen(samples->text), LEGEND_SIZE, false);

        if (at > x && at + SAMPLE_WIDTH + 8 + width > x + room) {
            at = x;
            y += LEGEND_PITCH;
        }
        bh_svg_edge(html, samples->class, at, y - 4, at + SAMPLE_WIDTH, y - 4, samples->head1,
                    samples->head2);
        bh_svg_text(html, "soft", LEGEND_SIZE, NULL, at + SAMPLE_WIDTH + 8, y, samples->text);
        at += SAMPLE_WIDTH + 8 + width + 18;
    }
    return y + LEGEND_PITCH;
}
