/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In which order the guests start: a row for each, to the right of everything it waits for, and of
 * those that wait for the same number of others in a row the one of higher priority first.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "report.h"
#include "report_svg.h"
#include "report_text.h"

#define WIDTH      912
#define BOX_WIDTH  300
#define BOX_HEIGHT 42
#define PITCH      54
#define TOP        10
#define STEP_MOST  330 /* from one level to the next */
#define STEP_LEAST 20

struct start {
    const struct bh_report *report;
    uint32_t levels[BH_GUESTS_MAX]; /* the longest chain of guests that it waits for */
    uint32_t order[BH_GUESTS_MAX];
    uint32_t rows[BH_GUESTS_MAX]; /* of each guest: its place in `order` */
    int step;
};

static uint32_t index_of(const struct bh_platform *platform, const char *name)
{
    const struct bh_guest *guest = bh_platform_guest(platform, name);

    return guest == NULL ? BH_REPORT_NONE : (uint32_t)(guest - platform->guests);
}

/* The checks refuse cycles; that the turns are bounded holds without them too. */
static void levels_find(struct start *start)
{
    const struct bh_platform *platform = start->report->platform;
    bool changed = true;

    for (uint32_t turn = 0; turn < platform->guest_count && changed; turn++) {
        changed = false;
        for (uint32_t i = 0; i < platform->guest_count; i++) {
            const struct bh_names *after = &platform->guests[i].after;

            for (uint32_t j = 0; j < after->count; j++) {
                const uint32_t other = index_of(platform, after->names[j].text);

                if (other != BH_REPORT_NONE && start->levels[i] < start->levels[other] + 1u) {
                    start->levels[i] = start->levels[other] + 1u;
                    changed = true;
                }
            }
        }
    }
}

static bool is_before(const struct start *start, uint32_t a, uint32_t b)
{
    const struct bh_guest *guests = start->report->platform->guests;

    if (start->levels[a] != start->levels[b]) {
        return start->levels[a] < start->levels[b];
    }
    return guests[a].priority.value > guests[b].priority.value;
}

static void order_make(struct start *start)
{
    const uint32_t count = start->report->platform->guest_count;
    uint32_t deepest = 0;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = i;

        for (; j > 0 && is_before(start, i, start->order[j - 1u]); j--) {
            start->order[j] = start->order[j - 1u];
        }
        start->order[j] = i;
        deepest = start->levels[i] > deepest ? start->levels[i] : deepest;
    }
    for (uint32_t i = 0; i < count; i++) {
        start->rows[start->order[i]] = i;
    }
    start->step = deepest == 0 ? 0 : (WIDTH - BOX_WIDTH) / (int)deepest;
    start->step = start->step > STEP_MOST ? STEP_MOST : start->step;
    start->step = start->step < STEP_LEAST ? STEP_LEAST : start->step;
}

static int x_of(const struct start *start, uint32_t guest)
{
    return (int)start->levels[guest] * start->step;
}

static int y_of(const struct start *start, uint32_t guest)
{
    return TOP + (int)start->rows[guest] * PITCH;
}

/* From below whom it waits for, down and to the right into it. Boxes are drawn over these lines. */
static void waits_draw(const struct start *start, uint32_t guest)
{
    const struct bh_platform *platform = start->report->platform;
    const struct bh_names *after = &platform->guests[guest].after;
    const int y = y_of(start, guest) + BOX_HEIGHT / 2;

    for (uint32_t i = 0; i < after->count; i++) {
        const uint32_t other = index_of(platform, after->names[i].text);

        if (other != BH_REPORT_NONE) {
            const int x = x_of(start, other) + (start->step < 40 ? start->step / 2 : 14);

            bh_html_put(start->report->html,
                        "<path class=\"edge wait\" d=\"M%d %dV%dH%d\"/>\n"
                        "<path class=\"head wait\" d=\"M%d %dl-9 -4v8z\"/>\n",
                        x, y_of(start, other) + BOX_HEIGHT, y, x_of(start, guest) - 8,
                        x_of(start, guest), y);
        }
    }
}

static void ready_text(const struct bh_guest *guest, char *to, size_t size)
{
    const struct bh_ready *ready = &guest->ready_when;

    if (ready->device.text != NULL) {
        (void)snprintf(to, size, "ready when the driver of %s is up", ready->device.text);
    } else if (ready->message.text != NULL) {
        (void)snprintf(to, size, "ready when it says: %s", ready->message.text);
    } else {
        (void)snprintf(to, size, "ready at its first instruction");
    }
}

static void guest_draw(const struct start *start, uint32_t index)
{
    const struct bh_html *html = start->report->html;
    const struct bh_guest *guest = &start->report->platform->guests[index];
    const int x = x_of(start, index);
    const int y = y_of(start, index);
    char text[320];
    int used;

    bh_svg_band(html, guest->criticality.value, (struct bh_box){x, y, BOX_WIDTH, BOX_HEIGHT});
    bh_svg_rect(html, "guest", (struct bh_box){x, y, BOX_WIDTH, BOX_HEIGHT}, 0);
    bh_svg_text(html, "b", bh_text_fit(guest->name.text, 13, true, BOX_WIDTH - 10 - BH_SVG_METER),
                NULL, x + 10, y + 18, guest->name.text);
    used = snprintf(text, sizeof(text), "priority %" PRIu64 ", ", guest->priority.value);
    ready_text(guest, text + used, sizeof(text) - (size_t)used);
    /* A long message stands in the table below. */
    if (bh_text_width(text, strlen(text), 9, false) > BOX_WIDTH - 20) {
        (void)snprintf(text + used, sizeof(text) - (size_t)used,
                       "ready when it says a line (below)");
    }
    bh_svg_text(html, "", bh_text_fit(text, 12, false, BOX_WIDTH - 20), NULL, x + 10, y + 34, text);
}

static void drawing_put(const struct start *start)
{
    const struct bh_html *html = start->report->html;
    const uint32_t count = start->report->platform->guest_count;
    int width = WIDTH;

    for (uint32_t i = 0; i < count; i++) {
        const int right = x_of(start, i) + BOX_WIDTH + 2;

        width = right > width ? right : width;
    }
    bh_svg_begin(html, "order", "Start order",
                 "Guests from top to bottom and left to right; an arrow leads to a guest from each "
                 "one that it waits for.",
                 width, TOP + (int)count * PITCH);
    for (uint32_t i = 0; i < count; i++) {
        waits_draw(start, i);
    }
    for (uint32_t i = 0; i < count; i++) {
        guest_draw(start, i);
    }
    bh_svg_end(html);
}

static void table_put(const struct start *start)
{
    const struct bh_html *html = start->report->html;
    const struct bh_platform *platform = start->report->platform;

    bh_html_put(html, "<div class=\"scroll\"><table class=\"start\">\n"
                      "<thead><tr><th scope=\"col\">Guest</th><th scope=\"col\" class=\"n\">"
                      "Priority</th><th scope=\"col\">After</th><th scope=\"col\">Ready</th></tr>"
                      "</thead>\n<tbody>\n");
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[start->order[i]];
        char text[320];

        bh_html_put(html, "<tr><th scope=\"row\">%s</th><td class=\"n\">%lu</td><td>",
                    guest->name.text, guest->priority.value);
        for (uint32_t j = 0; j < guest->after.count; j++) {
            bh_html_put(html, "%s%s", j == 0 ? "" : ", ", guest->after.names[j].text);
        }
        ready_text(guest, text, sizeof(text));
        bh_html_put(html, "</td><td>%s</td></tr>\n", text);
    }
    bh_html_put(html, "</tbody></table></div>\n");
}

int bh_report_start(const struct bh_report *report)
{
    struct start *start = calloc(1, sizeof(*start));

    if (start == NULL) {
        return BH_NO_MEMORY;
    }
    bh_html_put(report->html,
                "<section id=\"start\">\n<h2>Start order</h2>\n"
                "<p>A guest starts when those it waits for are ready; of several that could start, "
                "the one of higher priority first.</p>\n");
    start->report = report;
    levels_find(start);
    order_make(start);
    drawing_put(start);
    table_put(start);
    free(start);
    bh_html_put(report->html, "</section>\n");
    return BH_OK;
}
