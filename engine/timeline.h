/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When each part of a platform was up: a stamp for each thing that happens once on the way, in
 * microseconds from the start of the command on; and a picture of them. A thing that happens again
 * (a guest that was reset) is not stamped again, so that a run of months takes no more memory than
 * one of a second.
 *
 * Thread: the loop's. Ownership: create allocates, destroy frees. To all functions a timeline that
 * is NULL is one that nobody wants: they do nothing.
 */
#ifndef ENGINE_TIMELINE_H
#define ENGINE_TIMELINE_H

#include <stdbool.h>
#include <stdio.h>

#include "bulkhead/platform_definition.h"

#define BH_STAMP_NONE UINT64_MAX /* it has not happened */

/* Of the supervisor. */
enum bh_run_stamp {
    BH_RUN_BEGINS,    /* the definition is read and checked */
    BH_RUN_PREPARED,  /* everything of all guests is open */
    BH_RUN_ENGINES,   /* engines are looked for */
    BH_RUN_FOUND,     /* they are found */
    BH_RUN_ALL_READY, /* every guest is ready, or over */
    BH_RUN_ENDS,
    BH_RUN_STAMPS,
};

/* Of a guest, in the order in which they come. */
enum bh_guest_stamp {
    BH_GUEST_PREPARES, /* its images and windows */
    BH_GUEST_PREPARED,
    BH_GUEST_TURN,    /* its turn has come: its back ends are started */
    BH_GUEST_ENGINE,  /* its engine's process is started */
    BH_GUEST_DEVICES, /* the engine has taken up its devices, and answers */
    BH_GUEST_RUNS,    /* its first instruction */
    BH_GUEST_READY,
    BH_GUEST_FAILED,
    BH_GUEST_ENDS,
    BH_GUEST_STAMPS,
};

/* Of a device's back end. */
enum bh_device_stamp {
    BH_DEVICE_STARTED, /* its process */
    BH_DEVICE_SERVES,  /* its sandbox is closed */
    BH_DEVICE_UP,      /* the guest's driver is there */
    BH_DEVICE_ENDS,
    BH_DEVICE_STAMPS,
};

struct bh_timeline_guest {
    uint64_t stamps[BH_GUEST_STAMPS];
    uint64_t devices[BH_DEVICES_MAX][BH_DEVICE_STAMPS];
};

struct bh_timeline {
    const struct bh_platform *platform;
    uint64_t origin; /* microseconds of the clock since the boot, in which processes begin */
    uint64_t stamps[BH_RUN_STAMPS];
    bool changed;                     /* since it was last drawn */
    struct bh_timeline_guest *guests; /* one for each of the platform */
};

/* NULL: no memory. */
struct bh_timeline *bh_timeline_create(const struct bh_platform *platform);
void bh_timeline_destroy(struct bh_timeline *timeline);

void bh_timeline_run(struct bh_timeline *timeline, enum bh_run_stamp stamp);
void bh_timeline_guest(struct bh_timeline *timeline, const struct bh_guest *guest,
                       enum bh_guest_stamp stamp);
void bh_timeline_device(struct bh_timeline *timeline, const struct bh_guest *guest,
                        const struct bh_device_definition *device, enum bh_device_stamp stamp);

/* The last thing of the start that has happened: what comes later (an end) is not drawn to scale. */
uint64_t bh_timeline_last(const struct bh_timeline *timeline);

/* Writes it as a picture, an SVG that needs nothing else (timeline_svg.c). Whether that worked is
 * asked of the stream. */
void bh_timeline_draw(const struct bh_timeline *timeline, FILE *to);

#endif
