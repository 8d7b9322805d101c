/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A row of the drawing: a device in its guest, the process that is its back end, and what lies
 * between them (a window, copies, or all of the guest's memory; and the gate). The lines to resources
 * are report_sheet.c's.
 */
#include <inttypes.h>
#include <string.h>

#include "platform/layout/layout_text.h"
#include "report_sheet.h"
#include "report_svg.h"
#include "report_text.h"

#define TEXT_SIZE    12
#define TEXT_PITCH   15
#define NAME_SIZE    14
#define NAME_PITCH   16
#define NAME_ROOM    (BH_GUEST_WIDTH - 24)
#define TITLE_HEIGHT 22
#define ROW_LEAST    44
#define INSET        9
#define RANGES_MOST  3u

/* Adds a text for some modes; one that is there already holds in these too. false: there are too
 * many. */
static bool text_add(struct bh_row_texts *texts, uint32_t *modes, uint32_t more, const char *text)
{
    for (uint32_t i = 0; i < texts->count; i++) {
        if (strcmp(texts->texts[i], text) == 0) {
            modes[i] |= more;
            return true;
        }
    }
    if (texts->count == BH_ROW_TEXTS_MAX) {
        return false;
    }
    (void)snprintf(texts->texts[texts->count], BH_ROW_TEXT_BYTES, "%s", text);
    modes[texts->count++] = more;
    return true;
}

void bh_row_texts_make(struct bh_row_texts *texts, const struct bh_report *report,
                       const struct bh_report_link *link)
{
    uint32_t modes[BH_ROW_TEXTS_MAX] = {0};
    char text[BH_ROW_TEXT_BYTES];
    bool room = true;

    texts->count = 0;
    for (uint32_t mode = 0; mode < report->mode_count && room; mode++) {
        if (link->same[mode] == mode || link->resource == BH_REPORT_NONE) {
            const uint32_t holds = link->resource == BH_REPORT_NONE
                                       ? report->all_modes
                                       : bh_report_same(report, link, mode);

            bh_report_allowed(report, link, mode, RANGES_MOST, text, sizeof(text));
            room = text_add(texts, modes, holds, text);
        }
    }
    if (!room) {
        texts->count = 1;
        (void)snprintf(texts->texts[0], BH_ROW_TEXT_BYTES,
                       "differs between the modes: see the policy");
        return;
    }
    for (uint32_t i = 0; i < texts->count; i++) {
        if (modes[i] != report->all_modes) {
            char names[BH_ROW_TEXT_BYTES];

            bh_report_modes(report, modes[i], names, sizeof(names));
            (void)snprintf(text, sizeof(text), "%.200s: %.300s", names, texts->texts[i]);
            (void)snprintf(texts->texts[i], BH_ROW_TEXT_BYTES, "%s", text);
        }
    }
}

/* Of a device's name with the line below it. */
static int name_height(const struct bh_device_definition *device)
{
    return NAME_PITCH * bh_svg_line_count("", device->name.text, NAME_SIZE, NAME_ROOM) + 14;
}

int bh_row_height(const struct bh_report *report, const struct bh_report_link *link)
{
    struct bh_row_texts texts;
    int height = TITLE_HEIGHT + 8;

    bh_row_texts_make(&texts, report, link);
    for (uint32_t i = 0; i < texts.count; i++) {
        height += TEXT_PITCH *
                  bh_svg_line_count("", texts.texts[i], TEXT_SIZE, BH_PROCESS_WIDTH - 2 * INSET);
    }
    height = height < ROW_LEAST ? ROW_LEAST : height;
    return height < name_height(link->device) + 10 ? name_height(link->device) + 10 : height;
}

/* The gate between the two, across what they share. */
static void gate_draw(const struct bh_html *html, int middle)
{
    bh_svg_rect(html, "gate",
                (struct bh_box){(BH_GUEST_WIDTH + BH_PROCESS_X) / 2 - 2, middle - 11, 4, 22}, 0);
}

/* What the guest and the process share. */
static void between_draw(const struct bh_report *report, const struct bh_report_link *link, int y,
                         int height)
{
    const struct bh_html *html = report->html;
    const struct bh_device_definition *device = link->device;
    const int middle = y + height / 2;

    if (device->left_out) {
        bh_svg_line(html, "edge gone", BH_GUEST_WIDTH, middle, BH_PROCESS_X, middle);
    } else if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        bh_svg_line(html, "edge both", BH_GUEST_WIDTH, middle, BH_PROCESS_X, middle);
    } else if (device->isolation.value == BH_ISOLATION_OPEN) {
        bh_svg_rect(
            html, "reach open",
            (struct bh_box){BH_GUEST_WIDTH, y + 4, BH_PROCESS_X - BH_GUEST_WIDTH, height - 8}, 0);
    } else {
        bh_svg_rect(
            html, device->isolation.value == BH_ISOLATION_BOUNCE ? "reach copies" : "reach window",
            (struct bh_box){BH_GUEST_WIDTH, middle - 5, BH_PROCESS_X - BH_GUEST_WIDTH, 10}, 0);
        if (device->isolation.value != BH_ISOLATION_DIRECT) {
            gate_draw(html, middle);
        }
    }
}

static void device_draw(const struct bh_report *report, const struct bh_report_link *link, int y,
                        int height)
{
    const struct bh_html *html = report->html;
    const struct bh_device_definition *device = link->device;
    const char *type = bh_device_type_name(device->type.value);
    int at = y + (height - name_height(device)) / 2 + 13;
    char text[96];

    if (device->left_out) {
        (void)snprintf(text, sizeof(text), "%s, left out", type);
    } else if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        (void)snprintf(text, sizeof(text), "%s", type);
    } else if (device->isolation.value == BH_ISOLATION_OPEN) {
        (void)snprintf(text, sizeof(text), "%s, shares all memory", type);
    } else if (device->isolation.value == BH_ISOLATION_BOUNCE) {
        (void)snprintf(text, sizeof(text), "%s, copies", type);
    } else {
        (void)snprintf(text, sizeof(text), "%s, window %s", type,
                       bh_size_text_make(device->window.value).text);
    }
    at = bh_svg_lines(html, device->left_out ? "soft" : "", NAME_SIZE, 12, at, NAME_ROOM,
                      NAME_PITCH, device->name.text);
    bh_svg_text(html,
                bh_report_has_process(device) && device->isolation.value == BH_ISOLATION_OPEN
                    ? "b red"
                    : "soft",
                TEXT_SIZE, NULL, 12, at - 1, text);
}

/* What runs the device, on the left, and how far it is held, on the right. */
static void title_draw(const struct bh_report *report, const struct bh_report_link *link, int y)
{
    const struct bh_html *html = report->html;
    const struct bh_device_definition *device = link->device;
    const int right = BH_PROCESS_X + BH_PROCESS_WIDTH - INSET;
    const bool loose = device->uses != NULL && bh_report_is_loose(device->uses);
    char text[96];

    if (device->left_out) {
        (void)snprintf(text, sizeof(text), "no %s%s in this version",
                       bh_device_type_name(device->type.value),
                       device->type.value == BH_DEVICE_PASSTHROUGH ? "" : " back end");
    } else if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        (void)snprintf(text, sizeof(text), "no process: hardware as it is");
    } else {
        (void)snprintf(text, sizeof(text), "%s back end", bh_device_type_name(device->type.value));
    }
    bh_svg_text(html, device->left_out ? "soft" : "b", 12, NULL, BH_PROCESS_X + INSET, y, text);
    if (device->left_out) {
        bh_svg_text(html, "soft", TEXT_SIZE, "end", right, y, "left out");
    } else if (loose) {
        bh_svg_text(html, "b red", TEXT_SIZE, "end", right, y, "DMA, NO IOMMU");
    } else if (device->type.value != BH_DEVICE_PASSTHROUGH) {
        const bool open = device->isolation.value == BH_ISOLATION_OPEN;

        bh_svg_text(html, open ? "b red" : "soft", TEXT_SIZE, "end", right, y,
                    open ? "OPEN" : bh_isolation_name(device->isolation.value));
    }
}

static const char *process_class(const struct bh_device_definition *device)
{
    if (device->left_out) {
        return "process gone";
    }
    if (device->type.value == BH_DEVICE_PASSTHROUGH) {
        return device->uses != NULL && bh_report_is_loose(device->uses) ? "process open"
                                                                        : "process raw";
    }
    return device->isolation.value == BH_ISOLATION_OPEN ? "process open" : "process";
}

void bh_row_draw(const struct bh_report *report, const struct bh_report_link *link, int y,
                 int height)
{
    const struct bh_html *html = report->html;
    const struct bh_device_definition *device = link->device;
    struct bh_row_texts texts;
    int at = y + TITLE_HEIGHT + 12;

    between_draw(report, link, y, height);
    device_draw(report, link, y, height);
    bh_svg_rect(html, process_class(device),
                (struct bh_box){BH_PROCESS_X, y, BH_PROCESS_WIDTH, height}, 4);
    title_draw(report, link, y + 17);
    bh_row_texts_make(&texts, report, link);
    for (uint32_t i = 0; i < texts.count; i++) {
        at = bh_svg_lines(html, device->left_out ? "soft" : "", TEXT_SIZE, BH_PROCESS_X + INSET, at,
                          BH_PROCESS_WIDTH - 2 * INSET, TEXT_PITCH, texts.texts[i]);
    }
}
