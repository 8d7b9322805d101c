/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The picture of a start (timeline.h): a lane for the supervisor and one for each guest, in the
 * order of the definition; time goes to the right. A lane has a row for the guest as a whole, one
 * for its engine, one for each back end. A row is a chain of bars, each from one stamp to the next
 * that has come, and behind its end a text with the times. The drawing is done twice: the first
 * time nothing is written, and how wide the texts are is found out, so that none is cut.
 */
#include "timeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "bulkhead/platform_markup.h"

#define MARGIN      16
#define PLOT_WIDTH  820 /* of the time */
#define ROW_HEIGHT  20
#define BAR_HEIGHT  11
#define LANE_GAP    10
#define HEAD_HEIGHT 78 /* title, legend and axis */
#define FOOT_HEIGHT 30
#define TEXT_SIZE   12
#define TITLE_SIZE  16
#define SMALL_SIZE  11
#define TEXT_GAP    7
#define INDENT      12
#define TICKS_MOST  10u

#define TEXT_BYTES     256u
#define USECS_PER_MSEC 1000u

static const char style[] =
    ":root{color-scheme:light dark}"
    "svg{--ink:#1b1f24;--soft:#59636e;--line:#d9dee3;--paper:#fff;--panel:#f5f6f8;--prepare:#"
    "8c96a0;"
    "--wait:#c3cad1;--start:#c98a2b;--serve:#e7c795;--engine:#2f6db5;--boot:#9dc1ea;--ready:#"
    "1c7a42;"
    "--bad:#b3151d;background:var(--paper)}"
    "@media (prefers-color-scheme:dark){svg{--ink:#e5e8eb;--soft:#a0aab4;--line:#333a42;"
    "--paper:#14171a;--panel:#1d2125;--prepare:#8a949e;--wait:#454e57;--start:#d79b3f;"
    "--serve:#6f5427;--engine:#6aa7ea;--boot:#274a70;--ready:#57c481;--bad:#ff8080}}"
    "text{font-family:system-ui,'Segoe UI',Roboto,Cantarell,'DejaVu "
    "Sans',sans-serif;fill:var(--ink);"
    "font-variant-numeric:tabular-nums;paint-order:stroke;stroke:var(--panel);stroke-width:3px}"
    ".s{fill:var(--soft)}.b{font-weight:600}.bad{fill:var(--bad)}"
    ".paper{fill:var(--paper)}.lane{fill:var(--panel)}.grid{stroke:var(--line);fill:none}"
    ".prepare{fill:var(--prepare)}.wait{fill:none;stroke:var(--soft);stroke-dasharray:3 3}"
    ".start{fill:var(--start)}.serve{fill:var(--serve)}.engine{fill:var(--engine)}"
    ".boot{fill:var(--boot)}.mark{fill:var(--ready)}.fail{fill:var(--bad)}"
    ".after{fill:none;stroke:var(--ready);stroke-width:1.4}";

/* What is drawn, and how far. */
struct drawing {
    const struct bh_timeline *timeline;
    const struct bh_html *to; /* NULL: it is only measured */
    uint64_t scale;           /* microseconds of the whole width */
    int label_width;
    int right; /* where the last text ends */
    int y;     /* of the row */
    int lane_y[BH_GUESTS_MAX];
};

/* ------------------------------------------------------------------------------------------------
 * pieces */

static int left_of(const struct drawing *drawing)
{
    return MARGIN + drawing->label_width;
}

static int x_of(const struct drawing *drawing, uint64_t stamp)
{
    uint64_t scale = drawing->scale > 0u ? drawing->scale : 1u;
    uint64_t at = stamp < scale ? stamp : scale;
    return left_of(drawing) + (int)(at * PLOT_WIDTH / scale);
}

static void put_text(struct drawing *drawing, const char *class, int size, int x, int y,
                     const char *text)
{
    int width = bh_text_width(text, strlen(text), size, strchr(class, 'b') != NULL);
    drawing->right = x + width > drawing->right ? x + width : drawing->right;
    if (drawing->to != NULL) {
        bh_html_put(
            drawing->to,
            "<text class=\"%s\" x=\"%d\" y=\"%d\" font-size=\"%d\" data-w=\"%d\">%s</text>\n",
            class, x, y, size, width, text);
    }
}

/* A bar between two stamps of the row; `title` is shown by a pointer over it. */
static void put_bar(const struct drawing *drawing, const char *class, uint64_t from, uint64_t to,
                    const char *title)
{
    int x = x_of(drawing, from);
    int width = x_of(drawing, to) - x;
    if (drawing->to != NULL) {
        bh_html_put(drawing->to,
                    "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\">"
                    "<title>%s</title></rect>\n",
                    class, x, drawing->y + 4, width > 0 ? width : 1, BAR_HEIGHT, title);
    }
}

static void put_mark(const struct drawing *drawing, const char *class, uint64_t at)
{
    if (drawing->to != NULL) {
        bh_html_put(drawing->to, "<path class=\"%s\" d=\"M%d %dl5 7l-5 7l-5 -7z\"/>\n", class,
                    x_of(drawing, at), drawing->y + 2);
    }
}

/* "12", or "1.2" below ten. */
static void add_ms(char text[TEXT_BYTES], const char *before, uint64_t usecs, const char *behind)
{
    size_t used = strlen(text);
    uint64_t tenths = (usecs + 50u) / 100u;
    if (tenths < 100u) {
        (void)snprintf(text + used, TEXT_BYTES - used, "%s%" PRIu64 ".%" PRIu64 "%s", before,
                       tenths / 10u, tenths % 10u, behind);
    } else {
        (void)snprintf(text + used, TEXT_BYTES - used, "%s%" PRIu64 "%s", before,
                       (usecs + 500u) / USECS_PER_MSEC, behind);
    }
}

/* ------------------------------------------------------------------------------------------------
 * rows */

/* A part of a row: from its own stamp to the next one that has come. */
struct part {
    const char *class; /* of the bar; NULL: none follows */
    const char *title;
    uint64_t at;
    const char *word; /* of the text at the end: "serves"; NULL: none */
};

/* After its label, if it has one, the chain of parts, and behind it the times from the first on:
 * "serves +12, driver up +340". What has not come is left out. */
static void put_row(struct drawing *drawing, const char *label, const struct part *parts,
                    size_t count)
{
    char text[TEXT_BYTES] = "";
    uint64_t end = 0;
    uint64_t first = BH_STAMP_NONE;
    if (label != NULL) {
        put_text(drawing, "s", TEXT_SIZE, MARGIN + INDENT, drawing->y + 14, label);
    }
    for (size_t i = 0; i < count; i++) {
        const struct part *part = &parts[i];
        uint64_t next = BH_STAMP_NONE;
        for (size_t j = i + 1u; j < count && next == BH_STAMP_NONE; j++) {
            next = parts[j].at;
        }
        if (part->at == BH_STAMP_NONE) {
            continue;
        }
        first = first == BH_STAMP_NONE ? part->at : first;
        end = part->at;
        if (part->class != NULL && next != BH_STAMP_NONE) {
            put_bar(drawing, part->class, part->at, next, part->title);
        }
        if (part->word != NULL) {
            size_t used = strlen(text);
            (void)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0u ? ", " : "",
                           part->word);
            add_ms(text, " +", part->at - first, "");
        }
    }
    if (text[0] != '\0') {
        put_text(drawing, "s", SMALL_SIZE, x_of(drawing, end) + TEXT_GAP, drawing->y + 14, text);
    }
    drawing->y += ROW_HEIGHT;
}

static void put_device(struct drawing *drawing, const struct bh_device_definition *device,
                       const uint64_t stamps[BH_DEVICE_STAMPS])
{
    char label[TEXT_BYTES];
    const struct part parts[] = {
        {"start", "the back end starts, and closes its sandbox", stamps[BH_DEVICE_STARTED], NULL},
        {"serve", "it serves; the guest's driver is not there yet", stamps[BH_DEVICE_SERVES],
         "serves"},
        {NULL, NULL, stamps[BH_DEVICE_UP], "driver up"},
    };
    (void)snprintf(label, sizeof(label), "%s (%s%s)", device->name.text,
                   bh_device_type_name(device->type.value), device->left_out ? ", left out" : "");
    put_row(drawing, label, parts, sizeof(parts) / sizeof(parts[0]));
}

/* The row of the guest as a whole: what it waited for, until it was ready. */
static void put_guest_row(struct drawing *drawing, const struct bh_guest *guest,
                          const uint64_t stamps[BH_GUEST_STAMPS])
{
    char text[TEXT_BYTES] = "";
    uint64_t turn = stamps[BH_GUEST_TURN];
    uint64_t last = BH_STAMP_NONE;
    uint64_t failed =
        stamps[BH_GUEST_READY] == BH_STAMP_NONE ? stamps[BH_GUEST_FAILED] : BH_STAMP_NONE;
    uint64_t ready = stamps[BH_GUEST_READY];
    uint64_t end = ready != BH_STAMP_NONE ? ready : failed;
    put_text(drawing, "b", TEXT_SIZE, MARGIN, drawing->y + 14, guest->name.text);
    for (uint32_t i = 0; i < BH_GUEST_READY; i++) {
        last = stamps[i] != BH_STAMP_NONE ? stamps[i] : last;
    }
    if (stamps[BH_GUEST_PREPARED] != BH_STAMP_NONE) {
        put_bar(drawing, "prepare", stamps[BH_GUEST_PREPARES], stamps[BH_GUEST_PREPARED],
                "images, windows and resources are opened");
        put_bar(drawing, "wait", stamps[BH_GUEST_PREPARED],
                turn != BH_STAMP_NONE  ? turn
                : end != BH_STAMP_NONE ? end
                                       : stamps[BH_GUEST_PREPARED],
                "it waits for its turn");
    }
    if (turn != BH_STAMP_NONE && stamps[BH_GUEST_RUNS] != BH_STAMP_NONE) {
        put_bar(drawing, "engine", turn, stamps[BH_GUEST_RUNS],
                "back ends and engine start, until the first instruction");
        if (ready != BH_STAMP_NONE) {
            put_bar(drawing, "boot", stamps[BH_GUEST_RUNS], ready, "it boots, until it is ready");
        }
    }
    if (end != BH_STAMP_NONE) {
        put_mark(drawing, failed != BH_STAMP_NONE ? "fail" : "mark", end);
        add_ms(text, failed != BH_STAMP_NONE ? "failed at " : "ready at ", end, " ms");
        last = end;
    } else if (last != BH_STAMP_NONE) {
        (void)snprintf(text, sizeof(text), "%s",
                       turn != BH_STAMP_NONE ? "not ready yet" : "was not started");
    }
    if (last != BH_STAMP_NONE) {
        put_text(drawing, failed != BH_STAMP_NONE ? "bad" : "b", TEXT_SIZE,
                 x_of(drawing, last) + TEXT_GAP, drawing->y + 14, text);
    }
    drawing->y += ROW_HEIGHT;
}

static void put_guest(struct drawing *drawing, uint32_t index)
{
    const struct bh_guest *guest = &drawing->timeline->platform->guests[index];
    const struct bh_timeline_guest *times = &drawing->timeline->guests[index];
    const struct part engine[] = {
        {"engine", "the engine's process starts, and takes up its devices",
         times->stamps[BH_GUEST_ENGINE], NULL},
        {"engine", "it lets the guest go", times->stamps[BH_GUEST_DEVICES], "has its devices"},
        {NULL, NULL, times->stamps[BH_GUEST_RUNS], "first instruction"},
    };
    drawing->lane_y[index] = drawing->y;
    put_guest_row(drawing, guest, times->stamps);
    put_row(drawing, "engine", engine, sizeof(engine) / sizeof(engine[0]));
    for (uint32_t i = 0; i < guest->device_count; i++) {
        put_device(drawing, &guest->devices[i], times->devices[i]);
    }
    drawing->y += LANE_GAP;
}

static void put_supervisor(struct drawing *drawing)
{
    const uint64_t *stamps = drawing->timeline->stamps;
    const struct part parts[] = {
        {"prepare", "the definition is read and checked", 0, NULL},
        {"engine", "everything of all guests is opened", stamps[BH_RUN_BEGINS], "checked"},
        {"start", "the first back ends are started", stamps[BH_RUN_PREPARED], "all open"},
        {"prepare", "the engine is looked for", stamps[BH_RUN_ENGINES], NULL},
        {NULL, NULL, stamps[BH_RUN_FOUND], "engine found"},
    };
    put_text(drawing, "b", TEXT_SIZE, MARGIN, drawing->y + 14, "bulkhead");
    put_row(drawing, NULL, parts, sizeof(parts) / sizeof(parts[0]));
    drawing->y += LANE_GAP;
}

/* ------------------------------------------------------------------------------------------------
 * the rest */

static void put_lanes(struct drawing *drawing)
{
    drawing->y = HEAD_HEIGHT;
    put_supervisor(drawing);
    for (uint32_t i = 0; i < drawing->timeline->platform->guest_count; i++) {
        put_guest(drawing, i);
    }
}

/* From where a guest was ready down, or up, to where the one that starts after it began. */
static void put_arrows(const struct drawing *drawing)
{
    const struct bh_platform *platform = drawing->timeline->platform;
    for (uint32_t g = 0; g < platform->guest_count; g++) {
        const struct bh_guest *guest = &platform->guests[g];
        uint64_t turn = drawing->timeline->guests[g].stamps[BH_GUEST_TURN];
        for (uint32_t i = 0; i < guest->after.count; i++) {
            const struct bh_guest *other = bh_platform_guest(platform, guest->after.names[i].text);
            uint32_t index = (uint32_t)(other - platform->guests);
            uint64_t ready = drawing->timeline->guests[index].stamps[BH_GUEST_READY];
            if (turn == BH_STAMP_NONE || ready == BH_STAMP_NONE) {
                continue;
            }
            bool down = index < g;
            int from = drawing->lane_y[index] + (down ? 17 : 1);
            int to = drawing->lane_y[g] + (down ? 3 : 16);
            bh_html_put(drawing->to,
                        "<path class=\"after\" d=\"M%d %dV%dH%dV%d\"><title>%s starts after "
                        "%s</title></path>\n<path class=\"mark\" d=\"M%d %dl-4 %dh8z\"/>\n",
                        x_of(drawing, ready), from, to + (down ? -9 : 9), x_of(drawing, turn), to,
                        guest->name.text, other->name.text, x_of(drawing, turn),
                        to + (down ? 1 : -1), down ? -7 : 7);
        }
    }
}

/* 1, 2 or 5 times a power of ten, in milliseconds: at most TICKS_MOST of them. */
static uint64_t tick_of(uint64_t scale)
{
    uint64_t tick = 1;
    for (uint32_t step = 0; scale / USECS_PER_MSEC / tick > TICKS_MOST; step++) {
        tick = step % 3u == 1u ? tick / 2u * 5u : tick * 2u;
    }
    return tick;
}

static void put_axis(struct drawing *drawing, int bottom)
{
    char text[TEXT_BYTES];
    uint64_t tick = tick_of(drawing->scale);
    for (uint64_t at = 0; at * USECS_PER_MSEC <= drawing->scale; at += tick) {
        int x = x_of(drawing, at * USECS_PER_MSEC);
        (void)snprintf(text, sizeof(text), "%" PRIu64 "%s", at, at == 0u ? " ms" : "");
        bh_html_put(drawing->to, "<path class=\"grid\" d=\"M%d %dV%d\"/>\n", x, HEAD_HEIGHT - 8,
                    bottom);
        put_text(drawing, "s", SMALL_SIZE, x + 2, HEAD_HEIGHT - 10, text);
        put_text(drawing, "s", SMALL_SIZE, x + 2, bottom + 12, text);
    }
}

static void put_legend(struct drawing *drawing)
{
    static const struct {
        const char *class;
        const char *text;
    } samples[] = {
        {"prepare", "preparation"},        {"wait", "waits"},
        {"start", "back end starts"},      {"serve", "serves, no driver yet"},
        {"engine", "engine starts"},       {"boot", "guest boots"},
        {"mark", "ready; line: after it"},
    };
    int x = MARGIN;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const char *text = samples[i].text;
        if (drawing->to != NULL) {
            bh_html_put(drawing->to,
                        "<rect class=\"%s\" x=\"%d\" y=\"39\" width=\"18\" height=\"%d\"/>\n",
                        samples[i].class, x, BAR_HEIGHT);
        }
        put_text(drawing, "s", SMALL_SIZE, x + 23, 49, text);
        x += 23 + bh_text_width(text, strlen(text), SMALL_SIZE, false) + 18;
    }
}

static void put_title(struct drawing *drawing)
{
    const struct bh_platform *platform = drawing->timeline->platform;
    uint32_t count = 0;
    uint64_t last = 0;
    char text[TEXT_BYTES];
    for (uint32_t g = 0; g < platform->guest_count; g++) {
        uint64_t ready = drawing->timeline->guests[g].stamps[BH_GUEST_READY];
        if (ready != BH_STAMP_NONE) {
            last = ready > last ? ready : last;
            count++;
        }
    }
    (void)snprintf(text, sizeof(text), "%s: ", platform->name.text);
    if (count == platform->guest_count) {
        add_ms(text, "every guest was ready ", last, " ms after the command began");
    } else {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof(text) - used, "%u of %u guests became ready", count,
                       platform->guest_count);
    }
    put_text(drawing, "b", TITLE_SIZE, MARGIN, 24, text);
    put_legend(drawing);
}

static int label_width(const struct bh_platform *platform)
{
    int width = bh_text_width("bulkhead", 8, TEXT_SIZE, true);
    for (uint32_t g = 0; g < platform->guest_count; g++) {
        const struct bh_guest *guest = &platform->guests[g];
        int name = bh_text_width(guest->name.text, strlen(guest->name.text), TEXT_SIZE, true);
        width = name > width ? name : width;
        for (uint32_t d = 0; d < guest->device_count; d++) {
            const struct bh_device_definition *device = &guest->devices[d];
            char label[TEXT_BYTES];
            (void)snprintf(label, sizeof(label), "%s (%s%s)", device->name.text,
                           bh_device_type_name(device->type.value),
                           device->left_out ? ", left out" : "");
            name = INDENT + bh_text_width(label, strlen(label), TEXT_SIZE, false);
            width = name > width ? name : width;
        }
    }
    return width + 2 * TEXT_GAP;
}

static void put_lane_grounds(const struct drawing *drawing, int width)
{
    const struct bh_platform *platform = drawing->timeline->platform;
    for (uint32_t g = 0; g < platform->guest_count; g++) {
        bh_html_put(
            drawing->to,
            "<rect class=\"lane\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\"/>\n",
            MARGIN - 6, drawing->lane_y[g] - 3, width - 2 * MARGIN + 12,
            (int)(2u + platform->guests[g].device_count) * ROW_HEIGHT + 6);
    }
}

void bh_timeline_draw(const struct bh_timeline *timeline, FILE *to)
{
    const struct bh_html html = {.to = to};
    const char *name = timeline->platform->name.text;
    uint64_t last = bh_timeline_last(timeline);
    struct drawing drawing = {
        .timeline = timeline,
        .scale = last > USECS_PER_MSEC ? last : USECS_PER_MSEC,
        .label_width = label_width(timeline->platform),
    };
    drawing.right = left_of(&drawing) + PLOT_WIDTH;
    put_title(&drawing);
    put_lanes(&drawing);
    int width = drawing.right + MARGIN;
    int bottom = drawing.y - LANE_GAP + 4;
    drawing.to = &html;
    bh_html_put(&html,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" viewBox=\"0 0 %d %d\" "
                "width=\"%d\" height=\"%d\">\n<title>Timeline of %s</title>\n<style>",
                width, bottom + FOOT_HEIGHT, width, bottom + FOOT_HEIGHT, name);
    bh_html_markup(&html, style);
    bh_html_put(&html, "</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", width,
                bottom + FOOT_HEIGHT);
    put_lane_grounds(&drawing, width);
    put_title(&drawing);
    put_axis(&drawing, bottom);
    put_arrows(&drawing); /* below the texts */
    put_lanes(&drawing);
    bh_html_put(&html, "</svg>\n");
}
