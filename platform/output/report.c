/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.html as a whole: the frame of the page, and its sections in their order. What stands in a
 * section is the business of its file.
 */
#include "report.h"

#include <stdlib.h>

#include "bulkhead/error.h"

/* Nothing is loaded from anywhere, and nothing runs: said to the browser, too. */
static void frame_begin(const struct bh_report *report)
{
    const struct bh_html *html = report->html;

    bh_html_put(html,
                "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                "<meta http-equiv=\"Content-Security-Policy\" "
                "content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
                "<title>%s: who can reach what</title>\n<style>\n",
                report->platform->name.text);
    bh_html_markup(html, bh_report_style);
    bh_html_put(html, "</style>\n</head>\n<body>\n<main>\n");
}

static void contents(const struct bh_report *report)
{
    static const char *const sections[][2] = {
        {"platform", "Platform"},     {"reach", "Reach"},       {"policy", "Policy"},
        {"assertions", "Assertions"}, {"guests", "Guests"},     {"start", "Start order"},
        {"values", "Every value"},    {"warnings", "Warnings"},
    };

    bh_html_put(report->html, "<nav aria-label=\"Sections\">");
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        bh_html_put(report->html, "<a href=\"#%s\">%s</a>\n", sections[i][0], sections[i][1]);
    }
    bh_html_put(report->html, "</nav>\n");
}

static int page(const struct bh_report *report)
{
    static int (*const sections[])(const struct bh_report *) = {
        bh_report_drawing, bh_report_reach, bh_report_policy, bh_report_assertions,
        bh_report_guests,  bh_report_start, bh_report_values, bh_report_warnings,
    };
    int result = BH_OK;

    frame_begin(report);
    bh_report_head(report);
    contents(report);
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]) && result == BH_OK; i++) {
        result = sections[i](report);
    }
    bh_html_put(report->html, "</main>\n</body>\n</html>\n");
    return result;
}

char *bh_report_html(const struct bh_platform *platform, const struct bh_built *built,
                     const struct bh_diagnostics *diagnostics)
{
    char *text = NULL;
    size_t length = 0;
    const struct bh_html html = {open_memstream(&text, &length)};
    struct bh_report report = {
        .html = &html, .platform = platform, .built = built, .diagnostics = diagnostics};
    int result = html.to == NULL ? BH_NO_MEMORY : bh_flow_create(&report.flow, platform);

    if (result == BH_OK) {
        result = bh_report_facts(&report);
    }
    if (result == BH_OK) {
        result = page(&report);
    }
    bh_flow_destroy(report.flow);
    free(report.links);
    if (html.to != NULL && fclose(html.to) != 0) {
        result = BH_NO_MEMORY;
    }
    if (result != BH_OK) {
        free(text);
        return NULL;
    }
    return text;
}
