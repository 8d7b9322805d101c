/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the checks found and let through, as they said it.
 */
#include <jansson.h>
#include <stdlib.h>

#include "bulkhead/error.h"
#include "report.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static void place_put(const struct bh_report *report, const json_t *object)
{
    const json_int_t line = json_integer_value(json_object_get(object, "line"));

    bh_html_put(report->html, "<code class=\"place\">%s",
                bh_report_file(report, text_of(object, "file")));
    if (line > 0) {
        bh_html_put(report->html, ":%lu", (unsigned long)line);
    }
    bh_html_put(report->html, "</code>");
}

static void finding_put(const struct bh_report *report, const json_t *finding)
{
    const json_t *advice = json_object_get(finding, "advice");
    const json_t *notes = json_object_get(finding, "notes");
    const json_t *entry;
    size_t i;

    bh_html_put(report->html, "<li><p><b>%s</b> %s ", text_of(finding, "check"),
                text_of(finding, "text"));
    place_put(report, finding);
    bh_html_put(report->html, "</p>");
    json_array_foreach(advice, i, entry)
    {
        const char *line = json_string_value(entry);

        bh_html_put(report->html, "<p class=\"advice\">%s</p>", line == NULL ? "" : line);
    }
    json_array_foreach(notes, i, entry)
    {
        bh_html_put(report->html, "<p class=\"advice\">note: %s ", text_of(entry, "text"));
        place_put(report, entry);
        bh_html_put(report->html, "</p>");
    }
    bh_html_put(report->html, "</li>\n");
}

/* The findings as the collection prints them for programs. NULL: no memory. */
static json_t *findings_load(const struct bh_diagnostics *diagnostics)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);
    json_t *root = NULL;
    int result = BH_NO_MEMORY;

    if (to != NULL) {
        result = bh_diagnostics_print_json(diagnostics, to);
        result = fclose(to) != 0 ? BH_NO_MEMORY : result;
    }
    if (result == BH_OK) {
        root = json_loads(text, 0, NULL);
    }
    free(text);
    return root;
}

int bh_report_warnings(const struct bh_report *report)
{
    json_t *root;
    const json_t *finding;
    size_t i;

    bh_html_put(report->html, "<section id=\"warnings\">\n<h2>Warnings</h2>\n");
    if (bh_diagnostics_warnings(report->diagnostics) == 0) {
        bh_html_put(report->html, "<p>The checks found nothing.</p>\n</section>\n");
        return BH_OK;
    }
    root = findings_load(report->diagnostics);
    if (root == NULL) {
        return BH_NO_MEMORY;
    }
    bh_html_put(report->html,
                "<p><code>bulkhead check --explain NAME</code> has a page for each.</p>\n"
                "<ol class=\"warnings\">\n");
    json_array_foreach(json_object_get(root, "findings"), i, finding)
    {
        finding_put(report, finding);
    }
    json_decref(root);
    bh_html_put(report->html, "</ol>\n</section>\n");
    return BH_OK;
}
