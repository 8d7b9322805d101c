/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The assertions with their verdicts. A definition that violates one is refused, so a violated one
 * is seen here only where its check was made a warning.
 */
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "report.h"

/* What was decided in one mode. */
struct decided {
    enum bh_verdict verdict;
    char why[BH_WHY_BYTES];
};

struct assertions {
    const struct bh_report *report;
    struct bh_flow_path path;
    struct decided modes[BH_MODES_MAX];
};

static void steps_put(const struct bh_report *report, const struct bh_flow_path *path)
{
    if (path->count == 0) {
        return;
    }
    bh_html_put(report->html, "<ol>");
    for (uint32_t i = 0; i < path->count; i++) {
        char text[BH_STEP_BYTES];

        bh_flow_step_text(&path->steps[i], text, sizeof(text));
        bh_html_put(report->html, "<li>%s", text);
        if (path->steps[i].line != NULL) {
            bh_html_put(report->html, " <code class=\"place\">%s</code>",
                        bh_report_place(report, path->steps[i].line->at).text);
        }
        bh_html_put(report->html, "</li>");
    }
    bh_html_put(report->html, "</ol>");
}

/* The modes of an assertion that were decided as `mode` was. */
static uint32_t alike(const struct assertions *self, uint32_t mask, uint32_t mode)
{
    uint32_t modes = 0;

    for (uint32_t i = 0; i < self->report->mode_count; i++) {
        if ((mask >> i & 1u) != 0 && self->modes[i].verdict == self->modes[mode].verdict &&
            strcmp(self->modes[i].why, self->modes[mode].why) == 0) {
            modes |= 1u << i;
        }
    }
    return modes;
}

static int row_put(struct assertions *self, const struct bh_assertion *assertion, uint32_t mode,
                   uint32_t modes)
{
    const struct bh_report *report = self->report;
    const bool holds = self->modes[mode].verdict == BH_VERDICT_HOLDS;
    char text[BH_WHY_BYTES];
    char names[BH_MODES_MAX * (BH_NAME_MAX + 2u)] = "all";
    enum bh_verdict verdict;
    int result;

    bh_assertion_text(assertion, text, sizeof(text));
    if (modes != report->all_modes) {
        bh_report_modes(report, modes, names, sizeof(names));
    }
    bh_html_put(report->html, "<tr><th scope=\"row\">%s</th>", text);
    if (report->mode_count > 1u) {
        bh_html_put(report->html, "<td>%s</td>", names);
    }
    bh_html_put(report->html, "<td class=\"%s\"><b>%s</b></td><td>%s", holds ? "ok" : "bad",
                holds ? "holds" : "VIOLATED", self->modes[mode].why);
    result = bh_assertion_decide(&verdict, &self->path, text, report->flow, assertion, mode);
    if (result == BH_OK && !holds) {
        steps_put(report, &self->path);
    }
    bh_html_put(report->html, "</td><td><code class=\"place\">%s</code></td></tr>\n",
                bh_report_place(report, assertion->at).text);
    return result;
}

static int assertion_put(struct assertions *self, const struct bh_assertion *assertion)
{
    const struct bh_report *report = self->report;
    uint32_t left = assertion->mode_mask & report->all_modes;
    int result = BH_OK;

    for (uint32_t mode = 0; mode < report->mode_count && result == BH_OK; mode++) {
        struct decided *decided = &self->modes[mode];

        if ((left >> mode & 1u) != 0) {
            result = bh_assertion_decide(&decided->verdict, &self->path, decided->why, report->flow,
                                         assertion, mode);
        }
    }
    while (left != 0 && result == BH_OK) {
        const uint32_t mode = (uint32_t)__builtin_ctz(left);
        const uint32_t modes = alike(self, left, mode);

        result = row_put(self, assertion, mode, modes);
        left &= ~modes;
    }
    return result;
}

static int table_put(struct assertions *self)
{
    const struct bh_report *report = self->report;
    int result = BH_OK;

    bh_html_put(report->html,
                "<div class=\"scroll\"><table class=\"assertions\">\n<caption>What can never "
                "happen</caption>\n<thead><tr><th scope=\"col\">Assertion</th>%s",
                "");
    bh_html_markup(report->html, report->mode_count > 1u ? "<th scope=\"col\">Modes</th>" : "");
    bh_html_put(report->html, "<th scope=\"col\">Verdict</th><th scope=\"col\">Why</th>"
                              "<th scope=\"col\">Where</th></tr></thead>\n<tbody>\n");
    for (uint32_t i = 0; i < report->platform->assertion_count && result == BH_OK; i++) {
        result = assertion_put(self, &report->platform->assertions[i]);
    }
    bh_html_put(report->html, "</tbody></table></div>\n");
    return result;
}

int bh_report_assertions(const struct bh_report *report)
{
    struct assertions *self = calloc(1, sizeof(*self));
    int result = self == NULL ? BH_NO_MEMORY : BH_OK;

    bh_html_put(report->html, "<section id=\"assertions\">\n<h2>Assertions</h2>\n");
    if (report->platform->assertion_count == 0) {
        bh_html_put(report->html,
                    "<p>The definition asserts nothing, so nothing but its checks was proven. "
                    "<code>assert:</code> takes what can never happen, such as "
                    "<code>{ no-flow: { from: ivi, to: cluster } }</code>.</p>\n");
    } else if (result == BH_OK) {
        self->report = report;
        bh_html_put(report->html,
                    "<p>Each is decided on the policy, for every mode it is made for, whenever the "
                    "definition is read.</p>\n");
        result = table_put(self);
    }
    free(self);
    bh_html_put(report->html, "</section>\n");
    return result;
}
