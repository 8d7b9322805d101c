/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guests and what they share, without devices: the overview of a platform that is too large for one
 * sheet. Resources through which nothing can pass from one guest to another (one user, or nobody
 * who writes) are counted, not drawn. Beyond NODES_MAX shared ones, those of a type are one node.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "platform/layout/layout_text.h"
#include "report_order.h"
#include "report_sheet.h"
#include "report_svg.h"
#include "report_text.h"

#define NODES_MAX     24u
#define COLUMN_GUESTS 12u /* more stand on both sides of the resources */
#define GUEST_WIDTH   270
#define GUEST_HEIGHT  34
#define GUEST_PITCH   38
#define NODE_WIDTH    210
#define NODE_HEIGHT   40
#define NODE_GAP      12
#define PORT_STEP     7
#define TOP           30

/* What is drawn in the middle: a resource, or all shared ones of a type. */
struct node {
    uint32_t type;
    uint32_t resource; /* BH_REPORT_NONE: several */
    uint32_t members;
    int wanted;
    int height;
    int top;
};

/* Modes in which data goes between a guest and a node. */
struct use {
    uint32_t to_guest;
    uint32_t to_resource;
    bool lives; /* through a device that is not left out */
};

struct overview {
    const struct bh_report *report;
    uint32_t *node_of; /* of each resource; BH_REPORT_NONE: it is not drawn */
    struct node nodes[NODES_MAX];
    uint32_t node_count;
    uint32_t read_only; /* shared resources that nobody writes */
    struct use uses[BH_GUESTS_MAX][NODES_MAX];
    uint32_t left; /* guests in the left column; the others stand on the right */
    int node_x;
    int end;
};

/* ------------------------------------------------------------------------------------------------
 * what is drawn */

/* For each resource whether data can pass through it: somebody writes it, and another guest uses
 * it. One walk over all devices. */
static int meetings_find(struct overview *overview)
{
    const struct bh_report *report = overview->report;
    const uint32_t count = report->platform->resource_count;
    uint32_t *first = calloc(count + 1u, sizeof(*first));
    uint8_t *seen = calloc(count + 1u, sizeof(*seen)); /* 1: two guests use it; 2: it is written */
    const int result = first != NULL && seen != NULL ? BH_OK : BH_NO_MEMORY;

    for (uint32_t i = 0; i < count; i++) {
        overview->node_of[i] = BH_REPORT_NONE;
    }
    for (uint32_t i = 0; i < report->link_count && result == BH_OK; i++) {
        const struct bh_report_link *link = &report->links[i];

        if (link->resource == BH_REPORT_NONE) {
            continue;
        }
        if (first[link->resource] == 0) {
            first[link->resource] = link->guest_index + 1u;
        } else if (first[link->resource] != link->guest_index + 1u) {
            seen[link->resource] |= 1u;
        }
        seen[link->resource] |= link->to_resource != 0 ? 2u : 0u;
    }
    for (uint32_t i = 0; i < count && result == BH_OK; i++) {
        overview->node_of[i] = seen[i] == 3u ? 0 : BH_REPORT_NONE;
        overview->read_only += seen[i] == 1u ? 1u : 0u;
    }
    free(first);
    free(seen);
    return result;
}

static int nodes_make(struct overview *overview)
{
    const struct bh_platform *platform = overview->report->platform;
    uint32_t of_type[BH_RESOURCE_TYPES];
    uint32_t count = 0;

    if (meetings_find(overview) != BH_OK) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        count += overview->node_of[i] != BH_REPORT_NONE ? 1u : 0u;
    }
    memset(of_type, 0xff, sizeof(of_type));
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const uint32_t type = platform->resources[i].type.value;

        if (overview->node_of[i] == BH_REPORT_NONE) {
            continue;
        }
        if (count <= NODES_MAX || of_type[type] == BH_REPORT_NONE) {
            of_type[type] = overview->node_count;
            overview->nodes[overview->node_count++] =
                (struct node){.type = type, .resource = count <= NODES_MAX ? i : BH_REPORT_NONE};
        }
        overview->node_of[i] = of_type[type];
        overview->nodes[of_type[type]].members++;
    }
    return BH_OK;
}

static void uses_make(struct overview *overview)
{
    const struct bh_report *report = overview->report;

    for (uint32_t i = 0; i < report->link_count; i++) {
        const struct bh_report_link *link = &report->links[i];

        if (link->resource != BH_REPORT_NONE &&
            overview->node_of[link->resource] != BH_REPORT_NONE) {
            struct use *use = &overview->uses[link->guest_index][overview->node_of[link->resource]];

            use->to_guest |= link->to_guest;
            use->to_resource |= link->to_resource;
            use->lives = use->lives || !link->device->left_out;
        }
    }
}

static uint32_t line_count(const struct use *use)
{
    if (use->to_guest == use->to_resource) {
        return use->to_guest != 0 ? 1u : 0u;
    }
    return (use->to_guest != 0 ? 1u : 0u) + (use->to_resource != 0 ? 1u : 0u);
}

/* ------------------------------------------------------------------------------------------------
 * where it lies */

static bool is_left(const struct overview *overview, uint32_t guest)
{
    return guest < overview->left;
}

static int guest_y(const struct overview *overview, uint32_t guest)
{
    return TOP + (int)(is_left(overview, guest) ? guest : guest - overview->left) * GUEST_PITCH;
}

/* Lines that arrive at a node from one side. */
static int ports_of(const struct overview *overview, uint32_t node, bool left)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < overview->report->platform->guest_count; i++) {
        count += is_left(overview, i) == left ? line_count(&overview->uses[i][node]) : 0u;
    }
    return (int)count;
}

static void node_measure(struct overview *overview, uint32_t index)
{
    struct node *node = &overview->nodes[index];
    const int left = ports_of(overview, index, true);
    const int right = ports_of(overview, index, false);
    const int room = PORT_STEP * ((left > right ? left : right) + 1);
    int sum = 0;
    int users = 0;

    for (uint32_t i = 0; i < overview->report->platform->guest_count; i++) {
        if (line_count(&overview->uses[i][index]) != 0) {
            sum += guest_y(overview, i) + GUEST_HEIGHT / 2;
            users++;
        }
    }
    node->wanted = users == 0 ? TOP : sum / users;
    node->height = room > NODE_HEIGHT ? room : NODE_HEIGHT;
}

static void nodes_place(struct overview *overview)
{
    uint32_t order[NODES_MAX] = {0};
    int wanted[NODES_MAX];
    int heights[NODES_MAX];
    int tops[NODES_MAX];

    for (uint32_t i = 0; i < overview->node_count; i++) {
        uint32_t j = i;

        node_measure(overview, i);
        for (; j > 0 && overview->nodes[order[j - 1u]].wanted > overview->nodes[i].wanted; j--) {
            order[j] = order[j - 1u];
        }
        order[j] = i;
    }
    for (uint32_t i = 0; i < overview->node_count; i++) {
        wanted[i] = overview->nodes[order[i]].wanted;
        heights[i] = overview->nodes[order[i]].height;
    }
    bh_order_spread(wanted, heights, tops, overview->node_count, NODE_GAP, TOP);
    for (uint32_t i = 0; i < overview->node_count; i++) {
        const int end = tops[i] + heights[i] + NODE_GAP;

        overview->nodes[order[i]].top = tops[i];
        overview->end = end > overview->end ? end : overview->end;
    }
}

static void places_make(struct overview *overview)
{
    const uint32_t guests = overview->report->platform->guest_count;

    overview->left = guests <= COLUMN_GUESTS ? guests : (guests + 1u) / 2u;
    overview->node_x = overview->left < guests ? (BH_SHEET_WIDTH - NODE_WIDTH) / 2
                                               : BH_SHEET_WIDTH - NODE_WIDTH - 100;
    overview->end = TOP + (int)overview->left * GUEST_PITCH;
    nodes_place(overview);
}

/* ------------------------------------------------------------------------------------------------
 * drawing */

/* Of the resources of a guest, those that are not drawn. */
static uint32_t own_count(const struct overview *overview, uint32_t guest)
{
    const struct bh_report *report = overview->report;
    uint32_t count = 0;

    for (uint32_t i = report->first[guest]; i < report->first[guest + 1u]; i++) {
        const uint32_t resource = report->links[i].resource;

        count += resource != BH_REPORT_NONE && overview->node_of[resource] == BH_REPORT_NONE &&
                         report->platform->resources[resource].users == 1u
                     ? 1u
                     : 0u;
    }
    return count;
}

static void guest_draw(const struct overview *overview, uint32_t index)
{
    const struct bh_report *report = overview->report;
    const struct bh_guest *guest = &report->platform->guests[index];
    const int x = is_left(overview, index) ? 0 : BH_SHEET_WIDTH - GUEST_WIDTH;
    const int y = guest_y(overview, index);
    const bool open = bh_guest_has_open(guest);
    char text[160];

    bh_svg_band(report->html, guest->criticality.value,
                (struct bh_box){x, y, GUEST_WIDTH, GUEST_HEIGHT});
    bh_svg_rect(report->html, open ? "guest open" : "guest",
                (struct bh_box){x, y, GUEST_WIDTH, GUEST_HEIGHT}, 0);
    bh_svg_text(report->html, "b",
                bh_text_fit(guest->name.text, 13, true, GUEST_WIDTH - 10 - BH_SVG_METER), NULL,
                x + 10, y + 15, guest->name.text);
    (void)snprintf(
        text, sizeof(text), "%s, %s, %" PRIu32 " device%s, %" PRIu32 " resource%s of its own%s",
        bh_criticality_name(guest->criticality.value), bh_size_text_make(guest->memory.value).text,
        guest->device_count, guest->device_count == 1u ? "" : "s", own_count(overview, index),
        own_count(overview, index) == 1u ? "" : "s", open ? ", OPEN" : "");
    bh_svg_text(report->html, open ? "b red" : "", bh_text_fit(text, 11, open, GUEST_WIDTH - 20),
                NULL, x + 10, y + 28, text);
}

static void node_draw(const struct overview *overview, const struct node *node)
{
    const struct bh_report *report = overview->report;
    const struct bh_resource *resource =
        node->resource == BH_REPORT_NONE ? NULL : &report->platform->resources[node->resource];
    const struct bh_box box = {overview->node_x, node->top, NODE_WIDTH, node->height};
    const char *type = bh_resource_type_name(node->type);
    const int middle = box.y + box.height / 2;
    char text[96];

    bh_svg_rect(report->html, "resource", box, 12);
    if (resource != NULL) {
        (void)snprintf(text, sizeof(text), "%s%s", type,
                       resource->mediator.text == NULL ? "" : ", mediator named");
    } else {
        (void)snprintf(text, sizeof(text), "shared resources of this type");
    }
    bh_svg_text(report->html, "soft", 11, "middle", box.x + box.width / 2, middle + 13, text);
    if (resource == NULL) {
        (void)snprintf(text, sizeof(text), "%" PRIu32 " x %s", node->members, type);
    } else {
        (void)snprintf(text, sizeof(text), "%s", resource->name.text);
    }
    bh_svg_text(report->html, "b", bh_text_fit(text, 12, true, NODE_WIDTH - 16), "middle",
                box.x + box.width / 2, middle - 2, text);
}

static void line_draw(const struct overview *overview, uint32_t guest, const struct use *use,
                      int shift, int y2)
{
    const bool left = is_left(overview, guest);
    const bool in = shift <= 0 && use->to_guest != 0;
    const bool out = shift >= 0 && use->to_resource != 0;
    const uint32_t modes = in ? use->to_guest : use->to_resource;
    const char *way = in && out ? "both" : in ? "in" : "out";
    char class[24];

    way = use->lives ? way : "gone";
    (void)snprintf(class, sizeof(class), "%s%s", way,
                   !use->lives || modes == overview->report->all_modes ? "" : " part");
    bh_svg_edge(overview->report->html, class, left ? GUEST_WIDTH : BH_SHEET_WIDTH - GUEST_WIDTH,
                guest_y(overview, guest) + GUEST_HEIGHT / 2 + shift,
                left ? overview->node_x : overview->node_x + NODE_WIDTH, y2, in, out);
}

static void lines_draw(const struct overview *overview, uint32_t index, bool left)
{
    const struct node *node = &overview->nodes[index];
    const int ports = ports_of(overview, index, left);
    int port = 0;

    for (uint32_t i = 0; i < overview->report->platform->guest_count; i++) {
        const struct use *use = &overview->uses[i][index];
        const uint32_t lines = is_left(overview, i) == left ? line_count(use) : 0u;

        for (uint32_t j = 0; j < lines; j++, port++) {
            line_draw(overview, i, use,
                      lines == 1u ? 0
                      : j == 0    ? -5
                                  : 5,
                      node->top + (port + 1) * node->height / (ports + 1));
        }
    }
}

static void legend_draw(const struct overview *overview, int y)
{
    const struct bh_report *report = overview->report;
    struct bh_svg_sample samples[6] = {
        {"in", true, false, "data goes to the guest"},
        {"out", false, true, "data goes to the resource"},
        {"both", true, true, "both"},
    };
    size_t count = 3;

    if (report->mode_count > 1u) {
        samples[count++] = (struct bh_svg_sample){"both part", true, true, "in some modes only"};
    }
    for (uint32_t i = 0; i < report->link_count; i++) {
        if (report->links[i].device->left_out) {
            samples[count] = (struct bh_svg_sample){"gone", true, true, "left out in this version"};
            break;
        }
    }
    (void)bh_svg_legend(report->html, samples, 0, y, BH_SHEET_WIDTH);
}

static void overview_draw(const struct overview *overview)
{
    const struct bh_html *html = overview->report->html;
    int end;

    bh_svg_begin(html, "overview", "Guests and what they share",
                 "Guests at the sides, resources through which data can pass between them in the "
                 "middle.",
                 BH_SHEET_WIDTH, overview->end + 160);
    bh_svg_text(html, "soft", 12, NULL, 0, 16, "guests");
    bh_svg_text(html, "soft", 11, "middle", overview->node_x + NODE_WIDTH / 2, 16,
                "resources where data can pass");
    for (uint32_t i = 0; i < overview->node_count; i++) {
        lines_draw(overview, i, true);
        lines_draw(overview, i, false);
    }
    for (uint32_t i = 0; i < overview->report->platform->guest_count; i++) {
        guest_draw(overview, i);
    }
    for (uint32_t i = 0; i < overview->node_count; i++) {
        node_draw(overview, &overview->nodes[i]);
    }
    end = bh_ground_draw(overview->report, overview->end + 4, BH_SHEET_WIDTH);
    legend_draw(overview, end + 18);
    bh_svg_end(html);
}

int bh_report_overview(const struct bh_report *report)
{
    struct overview *overview = calloc(1, sizeof(*overview));
    int result = BH_NO_MEMORY;

    if (overview != NULL) {
        overview->report = report;
        overview->node_of = calloc(report->platform->resource_count + 1u, sizeof(uint32_t));
        result = overview->node_of == NULL ? BH_NO_MEMORY : nodes_make(overview);
    }
    if (result == BH_OK) {
        uses_make(overview);
        places_make(overview);
        bh_html_put(report->html, "<h3>Guests and what they share</h3>\n");
        overview_draw(overview);
        if (overview->read_only > 0) {
            bh_html_put(report->html,
                        "<p class=\"note\">Shared, written by nobody, and not drawn: %u "
                        "resource%s.</p>\n",
                        overview->read_only, overview->read_only == 1u ? "" : "s");
        }
    }
    if (overview != NULL) {
        free(overview->node_of);
    }
    free(overview);
    return result;
}
