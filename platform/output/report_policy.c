/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy: who may do what with which resource, and who enforces it. What the lines come to is
 * shown, not the lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"
#include "platform/layout/layout_text.h"
#include "report.h"

#define MATRIX_GUESTS_MAX 8u /* that fit on a page side by side */

/* ------------------------------------------------------------------------------------------------
 * the matrix */

/* What a link may do: a line for all modes in which that is the same text. */
static void allowed_put(const struct bh_report *report, const struct bh_report_link *link)
{
    const struct bh_html *html = report->html;
    uint32_t said = 0;

    for (uint32_t mode = 0; mode < report->mode_count; mode++) {
        char text[BH_ALLOWED_BYTES];
        char other[BH_ALLOWED_BYTES];
        char names[BH_MODES_MAX * (BH_NAME_MAX + 2u)];
        uint32_t same = 0;

        if ((said >> mode & 1u) != 0) {
            continue;
        }
        bh_report_allowed(report, link, mode, BH_ALLOWANCE_RANGES_MAX, text, sizeof(text));
        for (uint32_t i = mode; i < report->mode_count; i++) {
            if (link->same[i] == i) {
                bh_report_allowed(report, link, i, BH_ALLOWANCE_RANGES_MAX, other, sizeof(other));
                same |= strcmp(text, other) == 0 ? bh_report_same(report, link, i) : 0u;
            }
        }
        said |= same;
        /* That some modes allow nothing need not be said. */
        if (strcmp(text, "nothing") == 0 && link->operations != 0) {
            continue;
        }
        bh_report_modes(report, same, names, sizeof(names));
        bh_html_put(html, "<div>%s", text);
        if (same != report->all_modes) {
            bh_html_put(html, "<span class=\"modes\">only in %s</span>", names);
        }
        bh_html_put(html, "</div>");
    }
}

static void cell_put(const struct bh_report *report, uint32_t guest, uint32_t resource)
{
    bool any = false;

    for (uint32_t i = report->first[guest]; i < report->first[guest + 1u]; i++) {
        const struct bh_report_link *link = &report->links[i];

        if (link->resource == resource) {
            bh_html_put(report->html, any ? "" : "<td class=\"yes\">");
            bh_html_put(report->html, "<div class=\"dev\">%s%s</div>", link->device->name.text,
                        link->device->left_out ? ", left out" : "");
            allowed_put(report, link);
            any = true;
        }
    }
    bh_html_put(report->html, any ? "</td>" : "<td class=\"no\">no</td>");
}

static void matrix_put(const struct bh_report *report)
{
    const struct bh_platform *platform = report->platform;

    bh_html_put(report->html,
                "<div class=\"scroll\"><table class=\"matrix\">\n<caption>What each guest may do "
                "with each resource, and through which device</caption>\n"
                "<thead><tr><th scope=\"col\">Resource</th>");
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        bh_html_put(report->html, "<th scope=\"col\">%s <small>%s</small></th>",
                    platform->guests[i].name.text,
                    bh_criticality_name(platform->guests[i].criticality.value));
    }
    bh_html_put(report->html, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        bh_html_put(report->html, "<tr><th scope=\"row\">%s <small>%s</small></th>",
                    platform->resources[i].name.text,
                    bh_resource_type_name(platform->resources[i].type.value));
        for (uint32_t j = 0; j < platform->guest_count; j++) {
            cell_put(report, j, i);
        }
        bh_html_put(report->html, "</tr>\n");
    }
    bh_html_put(report->html, "</tbody></table></div>\n");
}

/* ------------------------------------------------------------------------------------------------
 * who enforces it */

static const char *rights_text(const struct bh_report_link *link)
{
    static const char *const words[] = {"none", "read", "write", "read, write"};

    if (link->device->left_out) {
        return "not opened";
    }
    if (link->resource == BH_REPORT_NONE) {
        return "its terminal";
    }
    return words[bh_policy_rights(link->device->uses->type.value, link->operations) &
                 (BH_RIGHT_READ | BH_RIGHT_WRITE)];
}

static const char *filter_text(const struct bh_report_link *link)
{
    if (link->device->left_out) {
        return "left out: no back end in this version";
    }
    if (link->device->type.value == BH_DEVICE_PASSTHROUGH) {
        return "nobody: hardware as it is";
    }
    if (link->resource == BH_REPORT_NONE) {
        return "not needed";
    }
    return bh_resource_numbers(link->device->uses->type.value) == BH_NUMBERS_NONE
               ? "each request, by operation"
               : "each request, by operation and number";
}

static void limits_put(const struct bh_report *report, const struct bh_report_link *link,
                       uint32_t mode)
{
    struct bh_allowance allowance;
    const struct bh_html *html = report->html;

    (void)bh_allowance_make(&allowance, report->platform, link->guest, link->device, mode);
    bh_html_put(html, "<td>");
    if (allowance.operations_per_second != 0) {
        bh_html_put(html, "<div>%lu requests/s</div>", allowance.operations_per_second);
    }
    if (allowance.bytes_per_second != 0) {
        bh_html_put(html, "<div>%s/s</div>", bh_size_text_make(allowance.bytes_per_second).text);
    }
    if (allowance.deadline_ms != 0) {
        bh_html_put(html, "<div>%lu ms without progress</div>", allowance.deadline_ms);
    }
    if (allowance.restarts_per_minute != 0) {
        bh_html_put(html, "<div>%lu restarts/min</div>", allowance.restarts_per_minute);
    }
    bh_html_put(html, "</td>");
}

/* A row for each set of modes in which the link may do the same. */
static void link_put(const struct bh_report *report, const struct bh_report_link *link)
{
    const struct bh_html *html = report->html;
    uint32_t rows = 0;

    for (uint32_t mode = 0; mode < report->mode_count; mode++) {
        rows += link->same[mode] == mode || link->resource == BH_REPORT_NONE ? 1u : 0u;
    }
    rows = link->resource == BH_REPORT_NONE ? 1u : rows;
    for (uint32_t mode = 0; mode < report->mode_count; mode++) {
        char text[BH_ALLOWED_BYTES];
        char names[BH_MODES_MAX * (BH_NAME_MAX + 2u)] = "all";

        if (mode > 0 && (link->same[mode] != mode || link->resource == BH_REPORT_NONE)) {
            continue;
        }
        if (mode == 0) {
            bh_html_put(
                html,
                "<tr><th scope=\"row\" rowspan=\"%u\">%s/<wbr/>%s</th><td rowspan=\"%u\">%s</td>",
                rows, link->guest->name.text, link->device->name.text, rows,
                link->resource == BH_REPORT_NONE ? "" : link->device->uses->name.text);
        } else {
            bh_html_put(html, "<tr>");
        }
        if (report->mode_count > 1u) {
            if (rows > 1u) {
                bh_report_modes(report, bh_report_same(report, link, mode), names, sizeof(names));
            }
            bh_html_put(html, "<td>%s</td>", names);
        }
        bh_report_allowed(report, link, mode, BH_ALLOWANCE_RANGES_MAX, text, sizeof(text));
        bh_html_put(html, "<td>%s</td>", text);
        if (mode == 0) {
            bh_html_put(html, "<td rowspan=\"%u\">%s</td><td rowspan=\"%u\">%s</td>", rows,
                        rights_text(link), rows, filter_text(link));
        }
        limits_put(report, link, mode);
        bh_html_put(html, "</tr>\n");
    }
}

static void enforcement_put(const struct bh_report *report)
{
    const struct bh_html *html = report->html;

    bh_html_put(
        html,
        "<h3>Who enforces it</h3>\n<dl class=\"who\">\n"
        "<dt>Descriptor</dt><dd>The supervisor opens the resource with these rights, and "
        "the kernel holds the back end to them. They are the union of all modes: a mode "
        "that allows less is held by the filter alone.</dd>\n"
        "<dt>Filter</dt><dd>The back end holds each request against what the current mode "
        "allows. A back end that lies is held by its descriptor only.</dd>\n"
        "<dt>Gate</dt><dd>Holds limits of requests and bytes, and deadlines, of shadow and bounce "
        "devices, checks what their back ends answer, and replaces those that hang, die or "
        "lie. Requests of a direct or open device do not pass it.</dd>\n"
        "</dl>\n<div class=\"scroll\"><table class=\"enforced\">\n"
        "<caption>Each device, what it may do and who holds it to that</caption>\n"
        "<thead><tr><th scope=\"col\">Guest/device</th><th scope=\"col\">Resource</th>");
    if (report->mode_count > 1u) {
        bh_html_put(html, "<th scope=\"col\">Modes</th>");
    }
    bh_html_put(html, "<th scope=\"col\">May</th><th scope=\"col\">Descriptor</th>"
                      "<th scope=\"col\">Filter</th><th scope=\"col\">Limits</th></tr></thead>\n"
                      "<tbody>\n");
    for (uint32_t i = 0; i < report->link_count; i++) {
        link_put(report, &report->links[i]);
    }
    bh_html_put(html, "</tbody></table></div>\n");
}

int bh_report_policy(const struct bh_report *report)
{
    bh_html_put(report->html, "<section id=\"policy\">\n<h2>Policy</h2>\n"
                              "<p>What no line of the policy allows is denied.</p>\n");
    if (report->platform->guest_count <= MATRIX_GUESTS_MAX &&
        report->platform->resource_count > 0) {
        matrix_put(report);
    }
    enforcement_put(report);
    bh_html_put(report->html, "</section>\n");
    return BH_OK;
}
