/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.html: one page that says who can reach what. Each part of it is a file report_*.c, which
 * writes its section in one go; what several parts need is worked out once (report_facts.c).
 * Private to platform/output/.
 *
 * The page is a function of the definition, the sizes of the boot images and the version of the
 * program: no time, no host, no path of the machine that it was built on.
 */
#ifndef PLATFORM_REPORT_H
#define PLATFORM_REPORT_H

#include "build.h"
#include "bulkhead/platform_flow.h"
#include "bulkhead/platform_markup.h"

#define BH_REPORT_NONE UINT32_MAX

/* A device, and what the policy lets it do. */
struct bh_report_link {
    const struct bh_guest *guest;
    const struct bh_device_definition *device;
    uint32_t guest_index;
    uint32_t device_index;      /* in guest->devices */
    uint32_t resource;          /* in platform->resources; BH_REPORT_NONE: it has none */
    uint32_t operations;        /* in some mode */
    uint32_t to_guest;          /* modes in which data goes from the resource to the guest; bits */
    uint32_t to_resource;       /* the other way */
    uint8_t same[BH_MODES_MAX]; /* for each mode: the first one in which it may do the same */
};

struct bh_report {
    const struct bh_html *html;
    const struct bh_platform *platform;
    const struct bh_built *built;
    const struct bh_diagnostics *diagnostics;
    struct bh_flow *flow;
    const char *base;             /* the folder of the definition as it was named, '/' behind it */
    size_t base_length;           /* of that in `base`; 0: it was named without one */
    uint32_t mode_count;          /* 1: modes are no matter here, and none is named */
    uint32_t all_modes;           /* as bits */
    struct bh_report_link *links; /* by guest, then by device */
    uint32_t link_count;
    uint32_t first[BH_GUESTS_MAX + 1u]; /* of the links of each guest; one more ends the last */
    uint32_t open_guests;               /* whose memory back ends reach */
    uint32_t gated_guests;              /* whose memory is shared with their gate alone */
    uint32_t violated;                  /* assertions, each counted once */
};

/* ------------------------------------------------------------------------------------------------
 * report_facts.c */

/* Fills in what follows from the members before `base`. BH_NO_MEMORY. */
int bh_report_facts(struct bh_report *report);

/* "drive, park". `size` bytes. */
void bh_report_modes(const struct bh_report *report, uint32_t modes, char *to, size_t size);

/* The modes in which a link may do the same as in `mode`. */
uint32_t bh_report_same(const struct bh_report *report, const struct bh_report_link *link,
                        uint32_t mode);

/* What a link may do in `mode`, with numbers: "receive 0x123; send 0x100-0x1ff". At most `ranges`
 * ranges for each operation, then "and 12 more". */
#define BH_ALLOWED_BYTES 8192u
void bh_report_allowed(const struct bh_report *report, const struct bh_report_link *link,
                       uint32_t mode, uint32_t ranges, char *to, size_t size);

/* The number of a kind as one would write it. */
struct bh_report_number {
    char text[16];
};
struct bh_report_number bh_report_number(enum bh_number_kind kind, uint32_t value);

/* Hardware that masters memory without an IOMMU: it reaches all memory, of any guest. */
bool bh_report_is_loose(const struct bh_resource *resource);
const struct bh_resource *bh_report_loose(const struct bh_platform *platform);

/* Whether a device has no process of its own: it is left out, or hardware as it is. */
bool bh_report_has_process(const struct bh_device_definition *device);

/* Where something stands: "platform.yaml:12"; "" nowhere. */
struct bh_report_place {
    char text[300];
};
struct bh_report_place bh_report_place(const struct bh_report *report, struct bh_origin at);

/* The name of a file for the page: without the definition's own folder. */
const char *bh_report_file(const struct bh_report *report, const char *path);

/* What stands out about a guest's CPUs: "2 CPUs on host CPUs 2-3". */
void bh_report_cpus(const struct bh_guest *guest, char *to, size_t size);

/* ------------------------------------------------------------------------------------------------
 * the sections, in the order of the page */

void bh_report_head(const struct bh_report *report);      /* report_head.c */
int bh_report_drawing(const struct bh_report *report);    /* report_drawing.c; BH_NO_MEMORY */
int bh_report_reach(const struct bh_report *report);      /* report_reach.c; BH_NO_MEMORY */
int bh_report_policy(const struct bh_report *report);     /* report_policy.c */
int bh_report_assertions(const struct bh_report *report); /* report_assertions.c; BH_NO_MEMORY */
int bh_report_guests(const struct bh_report *report);     /* report_guest.c */
int bh_report_start(const struct bh_report *report);      /* report_start.c; BH_NO_MEMORY */
int bh_report_values(const struct bh_report *report);     /* report_values.c; BH_NO_MEMORY */
int bh_report_warnings(const struct bh_report *report);   /* report_warnings.c; BH_NO_MEMORY */

/* Pieces of a section that stand in files of their own. */
int bh_report_overview(
    const struct bh_report *report); /* report_overview.c: guests and what they share */
void bh_report_memory(const struct bh_report *report, uint32_t guest); /* report_memory.c */

/* The style sheet: report_style.css, built in. */
extern const char bh_report_style[];

/* The page. Allocated (free); NULL: no memory. */
char *bh_report_html(const struct bh_platform *platform, const struct bh_built *built,
                     const struct bh_diagnostics *diagnostics);

#endif
