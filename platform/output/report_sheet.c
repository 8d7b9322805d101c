/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See report_sheet.h: where guests, rows and resources lie on a sheet, and the lines between
 * processes and resources.
 */
#include "report_sheet.h"

#include <inttypes.h>
#include <string.h>

#include "platform/layout/layout_text.h"
#include "report_svg.h"
#include "report_text.h"

#define TOP           30 /* below the headings of the columns */
#define GUEST_GAP     18
#define ROW_GAP       7
#define NAME_LINE     22
#define NAME_SIZE     15
#define NAME_ROOM     (BH_GUEST_WIDTH - 12 - BH_SVG_METER)
#define DETAIL_SIZE   12
#define DETAIL_PITCH  16
#define RESOURCE_GAP  12
#define LEGEND_HEIGHT 46
#define GROUND_HEIGHT (112 + LEGEND_HEIGHT)

/* Where a row or a resource lies. */
struct place {
    int y;
    int height;
};

/* What is drawn, and where. */
struct sheet {
    const struct bh_report *report;
    const struct bh_order *order;
    int guests[BH_DRAWN_GUESTS_MAX]; /* their tops */
    struct place rows[BH_DRAWN_LINKS_MAX];
    struct place resources[BH_DRAWN_LINKS_MAX];
    uint32_t ports[BH_DRAWN_LINKS_MAX]; /* lines that arrive at each */
    int end;
};

/* The lines below the name of a guest. */
#define DETAILS_MAX 3u
struct details {
    char texts[DETAILS_MAX][256];
    uint32_t count;
};

static const char *detail_class(uint32_t index)
{
    return index == 2u ? "b red" : "";
}

static void details_make(struct details *details, const struct bh_guest *guest)
{
    (void)snprintf(details->texts[0], sizeof(details->texts[0]), "%s, %s, %s",
                   bh_criticality_name(guest->criticality.value), bh_arch_name(guest->arch.value),
                   bh_size_text_make(guest->memory.value).text);
    bh_report_cpus(guest, details->texts[1], sizeof(details->texts[1]));
    details->count = 2;
    if (bh_guest_has_open(guest)) {
        (void)snprintf(details->texts[2], sizeof(details->texts[2]),
                       "OPEN: open back ends reach all its memory");
        details->count = 3;
    }
}

static int header_height(const struct bh_guest *guest)
{
    struct details details;
    int height =
        19 + (NAME_LINE - 4) * bh_svg_line_count("b", guest->name.text, NAME_SIZE, NAME_ROOM);

    details_make(&details, guest);
    for (uint32_t i = 0; i < details.count; i++) {
        height += DETAIL_PITCH * bh_svg_line_count(detail_class(i), details.texts[i], DETAIL_SIZE,
                                                   BH_GUEST_WIDTH - 24);
    }
    return height;
}

int bh_sheet_guest_height(const struct bh_report *report, uint32_t guest)
{
    int height = header_height(&report->platform->guests[guest]) + ROW_GAP;

    for (uint32_t i = report->first[guest]; i < report->first[guest + 1u]; i++) {
        height += bh_row_height(report, &report->links[i]) + ROW_GAP;
    }
    return height + GUEST_GAP;
}

static void header_draw(const struct bh_report *report, const struct bh_guest *guest, int y)
{
    const struct bh_html *html = report->html;
    const int height = header_height(guest);
    struct details details;
    int at;

    bh_svg_band(html, guest->criticality.value, (struct bh_box){0, y, BH_GUEST_WIDTH, height});
    at = bh_svg_lines(html, "b", NAME_SIZE, 12, y + NAME_LINE, NAME_ROOM, NAME_LINE - 4,
                      guest->name.text) +
         3;
    details_make(&details, guest);
    for (uint32_t i = 0; i < details.count; i++) {
        at = bh_svg_lines(html, detail_class(i), DETAIL_SIZE, 12, at, BH_GUEST_WIDTH - 24,
                          DETAIL_PITCH, details.texts[i]);
    }
}

/* A line or two for each row: one that goes both ways where both hold in the same modes. */
static uint32_t line_count(const struct bh_report_link *link)
{
    if (link->to_guest == link->to_resource) {
        return link->to_guest != 0 ? 1u : 0u;
    }
    return (link->to_guest != 0 ? 1u : 0u) + (link->to_resource != 0 ? 1u : 0u);
}

static void guests_place(struct sheet *sheet)
{
    const struct bh_report *report = sheet->report;
    const struct bh_order *order = sheet->order;
    uint32_t row = 0;

    sheet->end = TOP;
    for (uint32_t i = 0; i < order->guest_count; i++) {
        const uint32_t guest = order->guests[i];
        int at = sheet->end + header_height(&report->platform->guests[guest]) + ROW_GAP;

        sheet->guests[i] = sheet->end;
        for (; row < order->row_count && order->rows[row]->guest_index == guest; row++) {
            sheet->rows[row] = (struct place){at, bh_row_height(report, order->rows[row])};
            at += sheet->rows[row].height + ROW_GAP;
        }
        sheet->end += bh_sheet_guest_height(report, guest);
    }
}

/* Resources beside the rows that use them. */
static void resources_place(struct sheet *sheet)
{
    const struct bh_order *order = sheet->order;
    int wanted[BH_DRAWN_LINKS_MAX];
    int heights[BH_DRAWN_LINKS_MAX];
    int tops[BH_DRAWN_LINKS_MAX];

    for (uint32_t i = 0; i < order->resource_count; i++) {
        int sum = 0;
        int count = 0;

        sheet->ports[i] = 0;
        for (uint32_t j = 0; j < order->row_count; j++) {
            if (order->rows[j]->resource == order->resources[i]) {
                sum += sheet->rows[j].y + sheet->rows[j].height / 2;
                sheet->ports[i] += line_count(order->rows[j]);
                count++;
            }
        }
        wanted[i] = count == 0 ? TOP : sum / count;
        heights[i] = bh_resource_height(sheet->report, order, order->resources[i], sheet->ports[i]);
    }
    bh_order_spread(wanted, heights, tops, order->resource_count, RESOURCE_GAP, TOP);
    for (uint32_t i = 0; i < order->resource_count; i++) {
        const int end = tops[i] + heights[i] + RESOURCE_GAP;

        sheet->resources[i] = (struct place){tops[i], heights[i]};
        sheet->end = end > sheet->end ? end : sheet->end;
    }
}

static void guests_draw(const struct sheet *sheet)
{
    const struct bh_report *report = sheet->report;

    for (uint32_t i = 0; i < sheet->order->guest_count; i++) {
        const uint32_t index = sheet->order->guests[i];
        const struct bh_guest *guest = &report->platform->guests[index];
        const int height = bh_sheet_guest_height(report, index) - GUEST_GAP;

        bh_svg_rect(report->html, bh_guest_has_open(guest) ? "guest open" : "guest",
                    (struct bh_box){0, sheet->guests[i], BH_GUEST_WIDTH, height}, 0);
        header_draw(report, guest, sheet->guests[i]);
    }
    for (uint32_t i = 0; i < sheet->order->row_count; i++) {
        bh_row_draw(report, sheet->order->rows[i], sheet->rows[i].y, sheet->rows[i].height);
    }
}

static void line_draw(const struct bh_report *report, const struct bh_report_link *link, int y1,
                      int y2, bool to_guest, bool to_resource)
{
    const uint32_t modes = to_guest ? link->to_guest : link->to_resource;
    const char *way = to_guest && to_resource ? "both" : to_guest ? "in" : "out";
    char class[24];

    (void)snprintf(class, sizeof(class), "%s%s", link->device->left_out ? "gone" : way,
                   modes != report->all_modes && !link->device->left_out ? " part" : "");
    bh_svg_edge(report->html, class, BH_PROCESS_X + BH_PROCESS_WIDTH, y1, BH_RESOURCE_X, y2,
                to_guest, to_resource);
}

/* The lines that arrive at one resource, spread over its height in the order of the rows. */
static void lines_draw(const struct sheet *sheet, uint32_t index)
{
    const struct bh_order *order = sheet->order;
    const struct place *box = &sheet->resources[index];
    int port = 0;

    for (uint32_t i = 0; i < order->row_count; i++) {
        const struct bh_report_link *link = order->rows[i];
        const uint32_t lines = line_count(link);

        if (link->resource != order->resources[index]) {
            continue;
        }
        for (uint32_t j = 0; j < lines; j++, port++) {
            const int shift = lines == 1u ? 0 : j == 0 ? -6 : 6;
            const bool in = lines == 1u ? link->to_guest != 0 : j == 0;
            const bool out = lines == 1u ? link->to_resource != 0 : j == 1u;

            line_draw(sheet->report, link, sheet->rows[i].y + sheet->rows[i].height / 2 + shift,
                      box->y + (port + 1) * box->height / ((int)sheet->ports[index] + 1), in, out);
        }
    }
}

static void resources_draw(const struct sheet *sheet)
{
    for (uint32_t i = 0; i < sheet->order->resource_count; i++) {
        bh_resource_draw(sheet->report, sheet->order, sheet->order->resources[i],
                         sheet->resources[i].y, sheet->resources[i].height);
        lines_draw(sheet, i);
    }
}

static void headings_draw(const struct bh_report *report)
{
    bh_svg_text(report->html, "soft", 12, NULL, 0, 16, "guests and their devices");
    bh_svg_text(report->html, "soft", 12, NULL, BH_PROCESS_X, 16,
                "back ends, a process each, and what they let pass");
    bh_svg_text(report->html, "soft", 12, NULL, BH_RESOURCE_X, 16, "resources of the host");
}

/* What the lines mean; only what occurs. */
static void legend_draw(const struct sheet *sheet, int y)
{
    struct bh_svg_sample samples[] = {
        {"in", true, false, "data goes to the guest"},
        {"out", false, true, "data goes to the resource"},
        {"both", true, true, "both"},
        {NULL, true, true, NULL},
        {NULL, true, true, NULL},
        {NULL, false, false, NULL},
    };
    struct bh_svg_sample *next = &samples[3];

    if (sheet->report->mode_count > 1u) {
        next->class = "both part";
        next->text = "in some modes only";
        next++;
    }
    for (uint32_t i = 0; i < sheet->order->row_count; i++) {
        if (sheet->order->rows[i]->device->left_out) {
            next->class = "gone";
            next->text = "left out in this version";
            break;
        }
    }
    (void)bh_svg_legend(sheet->report->html, samples, 0, y, BH_SHEET_WIDTH);
}

void bh_sheet_draw(const struct bh_report *report, const struct bh_order *order, uint32_t number,
                   uint32_t count)
{
    struct sheet sheet = {.report = report, .order = order};
    char id[24];
    char title[96];
    int end;

    (void)snprintf(id, sizeof(id), "sheet%" PRIu32, number);
    (void)snprintf(title, sizeof(title), "The platform %s", report->platform->name.text);
    if (count > 1u) {
        (void)snprintf(title, sizeof(title), "The platform %s, sheet %" PRIu32 " of %" PRIu32,
                       report->platform->name.text, number, count);
    }
    guests_place(&sheet);
    resources_place(&sheet);
    bh_svg_begin(
        report->html, id, title,
        "Guests with their devices on the left, the back end of each device in the middle, "
        "resources on the right. The tables of the policy say the same in words.",
        BH_SHEET_WIDTH, sheet.end + (count > 1u ? LEGEND_HEIGHT : GROUND_HEIGHT));
    headings_draw(report);
    guests_draw(&sheet);
    resources_draw(&sheet);
    /* With several sheets the overview before them has the ground. */
    end = count > 1u ? sheet.end : bh_ground_draw(report, sheet.end + 4, BH_SHEET_WIDTH);
    legend_draw(&sheet, end + 18);
    bh_svg_end(report->html);
}
