/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From which guest data can flow to which, through what, and in which modes. Small platforms get
 * the ways in words; of larger ones each pair is a mark.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "platform/flow/graph.h"
#include "report.h"

#define WORDS_MAX 10u /* guests that fit on a page with words between them */
#define STEPS_MAX 40u /* pairs whose ways are written out step by step */
#define WAY_BYTES 640u

struct reach {
    const struct bh_report *report;
    uint32_t modes[BH_GUESTS_MAX][BH_GUESTS_MAX]; /* from, to: those in which data can flow */
    uint32_t pairs;
    struct bh_flow_path path;
};

/* Whatever a guest gets it may pass on: those that are reached by any number of hops. */
static uint64_t closure(const struct bh_flow_graph *graph, uint32_t from)
{
    uint64_t reached = graph->hops[from];
    uint64_t done = 0;

    while ((reached & ~done) != 0) {
        const unsigned next = (unsigned)__builtin_ctzll(reached & ~done);

        done |= UINT64_C(1) << next;
        reached |= graph->hops[next];
    }
    return reached;
}

static int reach_find(struct reach *reach)
{
    const struct bh_report *report = reach->report;
    const uint32_t guests = report->platform->guest_count;

    for (uint32_t mode = 0; mode < report->mode_count; mode++) {
        const struct bh_flow_graph *graph;
        const int result = bh_flow_graph(&graph, report->flow, mode);

        if (result != BH_OK) {
            return result;
        }
        for (uint32_t from = 0; from < guests; from++) {
            const uint64_t reached = closure(graph, from);

            for (uint32_t to = 0; to < guests; to++) {
                const bool reaches = to != from && (reached >> to & 1u) != 0;

                reach->pairs += reaches && reach->modes[from][to] == 0 ? 1u : 0u;
                reach->modes[from][to] |= reaches ? 1u << mode : 0u;
            }
        }
    }
    return BH_OK;
}

/* What lies between the ends of a path: "body-can, gateway, ivi-net". */
static void way_text(const struct bh_flow_path *path, char *to, size_t size)
{
    size_t used = 0;

    to[0] = '\0';
    for (uint32_t i = 0; i + 1u < path->count && used < size; i++) {
        used += (size_t)snprintf(to + used, size - used, "%s%s", i == 0 ? "" : " \xe2\x86\x92 ",
                                 bh_flow_node_name(&path->steps[i].to));
    }
}

static int way_find(struct reach *reach, uint32_t from, uint32_t to, uint32_t mode)
{
    const struct bh_flow_node ends[] = {{&reach->report->platform->guests[from], NULL},
                                        {&reach->report->platform->guests[to], NULL}};

    return bh_flow_find(&reach->path, reach->report->flow, &ends[0], &ends[1], NULL, mode);
}

/* The ways from one to the other: a line for all modes that have the same one. */
static int cell_put(struct reach *reach, uint32_t from, uint32_t to)
{
    const struct bh_report *report = reach->report;
    uint32_t left = reach->modes[from][to];

    if (from == to) {
        bh_html_put(report->html, "<td class=\"self\"></td>");
        return BH_OK;
    }
    bh_html_put(report->html, left == 0 ? "<td class=\"no\">no" : "<td class=\"yes\">");
    while (left != 0) {
        char way[WAY_BYTES];
        char other[WAY_BYTES];
        char names[BH_MODES_MAX * (BH_NAME_MAX + 2u)];
        uint32_t same = 0;
        int result = way_find(reach, from, to, (uint32_t)__builtin_ctz(left));

        way_text(&reach->path, way, sizeof(way));
        for (uint32_t mode = 0; mode < report->mode_count && result == BH_OK; mode++) {
            if ((left >> mode & 1u) != 0) {
                result = way_find(reach, from, to, mode);
                way_text(&reach->path, other, sizeof(other));
                same |= strcmp(way, other) == 0 ? 1u << mode : 0u;
            }
        }
        if (result != BH_OK || same == 0) {
            return result == BH_OK ? BH_NO_MEMORY : result;
        }
        bh_report_modes(report, same, names, sizeof(names));
        bh_html_put(report->html, "<div><b class=\"mark\">%s</b> through %s", "yes", way);
        if (same != report->all_modes) {
            bh_html_put(report->html, "<span class=\"modes\">only in %s</span>", names);
        }
        bh_html_put(report->html, "</div>");
        left &= ~same;
    }
    bh_html_put(report->html, "</td>");
    return BH_OK;
}

static void head_put(const struct bh_report *report, const char *class)
{
    bh_html_put(report->html,
                "<div class=\"scroll\"><table class=\"%s\">\n<caption>From the guest on the left "
                "to the guest above</caption>\n<thead><tr><th scope=\"col\">from \\ to</th>",
                class);
    for (uint32_t i = 0; i < report->platform->guest_count; i++) {
        bh_html_put(report->html, "<th scope=\"col\"><span>%s</span></th>",
                    report->platform->guests[i].name.text);
    }
    bh_html_put(report->html, "</tr></thead>\n<tbody>\n");
}

static int words_put(struct reach *reach)
{
    const struct bh_report *report = reach->report;
    const uint32_t guests = report->platform->guest_count;
    int result = BH_OK;

    head_put(report, "reach");
    for (uint32_t from = 0; from < guests && result == BH_OK; from++) {
        bh_html_put(report->html, "<tr><th scope=\"row\">%s</th>",
                    report->platform->guests[from].name.text);
        for (uint32_t to = 0; to < guests && result == BH_OK; to++) {
            result = cell_put(reach, from, to);
        }
        bh_html_put(report->html, "</tr>\n");
    }
    bh_html_put(report->html, "</tbody></table></div>\n");
    return result;
}

static void marks_put(const struct reach *reach)
{
    const struct bh_report *report = reach->report;
    const uint32_t guests = report->platform->guest_count;

    bh_html_put(
        report->html,
        "<p class=\"note\">\xe2\x97\x8f in every mode, \xe2\x97\x8b in some modes only, "
        "empty: no. <code>bulkhead check --explain-flow A B</code> writes a way out.</p>\n");
    head_put(report, "marks");
    for (uint32_t from = 0; from < guests; from++) {
        bh_html_put(report->html, "<tr><th scope=\"row\">%s</th>",
                    report->platform->guests[from].name.text);
        for (uint32_t to = 0; to < guests; to++) {
            const uint32_t modes = reach->modes[from][to];

            bh_html_put(report->html, "<td%s>%s</td>", "",
                        from == to                   ? ""
                        : modes == 0                 ? ""
                        : modes == report->all_modes ? "\xe2\x97\x8f"
                                                     : "\xe2\x97\x8b");
        }
        bh_html_put(report->html, "</tr>\n");
    }
    bh_html_put(report->html, "</tbody></table></div>\n");
}

static void step_put(const struct bh_report *report, const struct bh_flow_step *step)
{
    char text[BH_STEP_BYTES];
    char place[sizeof(struct bh_report_place)] = "";

    bh_flow_step_text(step, text, sizeof(text));
    if (step->line != NULL) {
        (void)snprintf(place, sizeof(place), "%s", bh_report_place(report, step->line->at).text);
    }
    bh_html_put(report->html, "<li>%s <code class=\"place\">%s</code></li>\n", text, place);
}

/* One way for each pair, in the first mode that has one. */
static int steps_put(struct reach *reach)
{
    const struct bh_report *report = reach->report;
    const uint32_t guests = report->platform->guest_count;

    bh_html_put(report->html, "<details><summary>Each way, step by step</summary>\n");
    for (uint32_t i = 0; i < guests * guests; i++) {
        const uint32_t from = i / guests;
        const uint32_t to = i % guests;
        const uint32_t modes = reach->modes[from][to];

        if (modes == 0) {
            continue;
        }
        const uint32_t mode = (uint32_t)__builtin_ctz(modes);
        const int result = way_find(reach, from, to, mode);

        if (result != BH_OK) {
            return result;
        }
        bh_html_put(report->html, "<div class=\"way\"><p>%s \xe2\x86\x92 %s",
                    report->platform->guests[from].name.text,
                    report->platform->guests[to].name.text);
        if (report->mode_count > 1u) {
            bh_html_put(report->html, ", in mode %s", report->platform->modes.names[mode].text);
        }
        bh_html_put(report->html, "</p>\n<ol>\n");
        for (uint32_t j = 0; j < reach->path.count; j++) {
            step_put(report, &reach->path.steps[j]);
        }
        bh_html_put(report->html, "</ol></div>\n");
    }
    bh_html_put(report->html, "</details>\n");
    return BH_OK;
}

int bh_report_reach(const struct bh_report *report)
{
    struct reach *reach = calloc(1, sizeof(*reach));
    int result = reach == NULL ? BH_NO_MEMORY : BH_OK;

    bh_html_put(report->html,
                "<section id=\"reach\">\n<h2>Which guest can reach which</h2>\n"
                "<p>Whether data can flow from one guest to another through resources that the "
                "policy lets both of them use; a guest may pass on whatever it gets. Left-out "
                "devices count as if they were there. Not counted: what must be trusted anyway "
                "(see each guest), and what is connected to a resource beyond the host.</p>\n");
    if (result == BH_OK) {
        reach->report = report;
        result = reach_find(reach);
    }
    if (result == BH_OK && report->platform->guest_count <= WORDS_MAX) {
        result = words_put(reach);
    } else if (result == BH_OK) {
        marks_put(reach);
    }
    if (result == BH_OK && reach->pairs > 0 && reach->pairs <= STEPS_MAX) {
        result = steps_put(reach);
    }
    free(reach);
    bh_html_put(report->html, "</section>\n");
    return result;
}
