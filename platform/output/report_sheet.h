/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One sheet of the platform's drawing: some guests, a process for each of their devices, and the
 * resources that these reach. Private to platform/output/.
 */
#ifndef PLATFORM_REPORT_SHEET_H
#define PLATFORM_REPORT_SHEET_H

#include "report_order.h"

#define BH_SHEET_WIDTH 912

/* How high a guest is, drawn with its devices. */
int bh_sheet_guest_height(const struct bh_report *report, uint32_t guest);

/* Sheet `number` of `count` (from 1). */
void bh_sheet_draw(const struct bh_report *report, const struct bh_order *order, uint32_t number,
                   uint32_t count);

/* report_sheet_row.c: what a device may do, in lines for its process; modes are named where it
 * matters. */
#define BH_ROW_TEXTS_MAX  4u
#define BH_ROW_TEXT_BYTES 512u
struct bh_row_texts {
    char texts[BH_ROW_TEXTS_MAX][BH_ROW_TEXT_BYTES];
    uint32_t count;
};
void bh_row_texts_make(struct bh_row_texts *texts, const struct bh_report *report,
                       const struct bh_report_link *link);
int bh_row_height(const struct bh_report *report, const struct bh_report_link *link);
void bh_row_draw(const struct bh_report *report, const struct bh_report_link *link, int y,
                 int height);

/* The columns: guests, processes, resources. */
#define BH_GUEST_WIDTH    220
#define BH_PROCESS_X      252
#define BH_PROCESS_WIDTH  316
#define BH_RESOURCE_X     690
#define BH_RESOURCE_WIDTH (BH_SHEET_WIDTH - BH_RESOURCE_X - 1)

/* report_sheet_resource.c: a resource with what is known of it; `ports` lines arrive. */
int bh_resource_height(const struct bh_report *report, const struct bh_order *order,
                       uint32_t resource, uint32_t ports);
void bh_resource_draw(const struct bh_report *report, const struct bh_order *order,
                      uint32_t resource, int y, int height);

/* report_ground.c: what everything stands on; the y below. */
int bh_ground_draw(const struct bh_report *report, int y, int width);

#endif
