/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform drawn: on one sheet where it fits, on several with an overview before them where it
 * does not, and as the overview alone where even those would be too many.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "bulkhead/error.h"
#include "report_sheet.h"

/* What an A4 page takes without becoming too small to read. */
#define SHEET_HEIGHT 1230

struct sheets {
    uint32_t ends[BH_DRAWN_GUESTS_MAX]; /* the guest behind the last of each, in the order */
    uint32_t count;
};

static void sheets_cut(struct sheets *sheets, const struct bh_report *report,
                       const struct bh_order *order)
{
    int height = 0;

    sheets->count = 0;
    for (uint32_t i = 0; i < order->guest_count; i++) {
        const int more = bh_sheet_guest_height(report, order->guests[i]);

        if (i > 0 && height + more > SHEET_HEIGHT) {
            sheets->ends[sheets->count++] = i;
            height = 0;
        }
        height += more;
    }
    sheets->ends[sheets->count++] = order->guest_count;
}

static int sheets_draw(const struct bh_report *report)
{
    uint32_t guests[BH_DRAWN_GUESTS_MAX];
    struct bh_order order;
    struct bh_order part;
    struct sheets sheets;
    uint32_t first = 0;

    for (uint32_t i = 0; i < report->platform->guest_count; i++) {
        guests[i] = i;
    }
    bh_order_make(&order, report, guests, report->platform->guest_count);
    sheets_cut(&sheets, report, &order);
    if (sheets.count > 1u && bh_report_overview(report) != BH_OK) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < sheets.count; i++) {
        if (sheets.count > 1u) {
            bh_html_put(report->html, "<h3>Sheet %u of %u</h3>\n", i + 1u, sheets.count);
            bh_order_make(&part, report, &order.guests[first], sheets.ends[i] - first);
        } else {
            part = order;
        }
        bh_sheet_draw(report, &part, i + 1u, sheets.count);
        first = sheets.ends[i];
    }
    return BH_OK;
}

int bh_report_drawing(const struct bh_report *report)
{
    const uint32_t guests = report->platform->guest_count;
    int result;

    bh_html_put(
        report->html,
        "<section id=\"platform\">\n<h2>The platform</h2>\n"
        "<p>A line is there only where the policy allows something. Each back end is a "
        "process of its own, in a sandbox, with descriptors for its resource and nothing "
        "else. Between a guest and a back end lies what both reach: a window, or (dashed) "
        "copies of requests in flight; the bar across it is the gate of the guest, where it "
        "sees each request. What is connected to a resource beyond the host (the other nodes of a "
        "bus, "
        "a network) is not part of this picture.</p>\n");
    if (guests <= BH_DRAWN_GUESTS_MAX && report->link_count <= BH_DRAWN_LINKS_MAX) {
        result = sheets_draw(report);
    } else {
        bh_html_put(report->html,
                    "<p class=\"note\">With %u guests and %u devices the platform is too large to "
                    "be drawn whole. The drawing shows the guests and what they share; the policy "
                    "below has every device.</p>\n",
                    guests, report->link_count);
        result = bh_report_overview(report);
    }
    bh_html_put(report->html, "</section>\n");
    return result;
}
