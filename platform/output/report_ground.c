/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What everything in the drawing stands on, and so has to trust: gate, supervisor, engine, host
 * kernel, hardware.
 */
#include <inttypes.h>

#include "platform/layout/layout_text.h"
#include "report_sheet.h"
#include "report_svg.h"

#define BAR_HEIGHT 24
#define BAR_GAP    3

int bh_ground_draw(const struct bh_report *report, int y, int width)
{
    static const char *const bars[] = {
        "gate: a process for each guest, which keeps its back ends to what they may reach",
        "supervisor: opens every resource with the least rights, starts and watches every process",
        "engine: QEMU, a process for each guest, which reaches all memory of its guest",
        "host kernel: keeps all processes apart, and reaches everything",
    };
    const struct bh_host *host = &report->platform->host;
    char text[160] = "hardware of the host: caches and memory bandwidth are shared by all guests";
    int inset = 64;

    if (host->cpus.value != 0 && host->memory.value != 0) {
        (void)snprintf(text, sizeof(text),
                       "hardware of the host: %" PRIu64
                       " CPUs, %s; caches and memory bandwidth are "
                       "shared by all guests",
                       host->cpus.value, bh_size_text_make(host->memory.value).text);
    }
    for (size_t i = 0; i <= sizeof(bars) / sizeof(bars[0]); i++) {
        const char *says = i < sizeof(bars) / sizeof(bars[0]) ? bars[i] : text;

        bh_svg_rect(report->html, "ground",
                    (struct bh_box){inset, y, width - 2 * inset, BAR_HEIGHT}, 2);
        bh_svg_text(report->html, "", 12, "middle", width / 2, y + 16, says);
        y += BAR_HEIGHT + BAR_GAP;
        inset -= 16;
    }
    return y;
}
