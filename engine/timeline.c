/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stamps of a start (timeline.h).
 */
#include "timeline.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define USECS_PER_SEC  1000000u
#define NSECS_PER_USEC 1000u

#define LATE_FAILURE 10u /* as many times as long as the start took */

#define STAT_BYTES       1024
#define STAT_FIRST_FIELD 3u  /* behind the name */
#define STAT_START_FIELD 22u /* proc(5) */

static uint64_t clock_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_BOOTTIME, &now); /* that clock cannot fail */
    return (uint64_t)now.tv_sec * USECS_PER_SEC + (uint64_t)now.tv_nsec / NSECS_PER_USEC;
}

/* Field `wanted` of /proc/self/stat; NULL: it is not there. The name, which may hold anything, ends
 * at the last ')'. */
static const char *stat_field(char text[STAT_BYTES], uint32_t wanted)
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, STAT_BYTES - 1) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    text[length > 0 ? length : 0] = '\0';
    const char *at = strrchr(text, ')');
    at = at != NULL ? strchr(at, ' ') : NULL;
    for (uint32_t field = STAT_FIRST_FIELD; at != NULL && field < wanted; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? at + 1 : NULL;
}

/* When this process began; the kernel tells it in hundredths of a second. */
static uint64_t process_start(void)
{
    char text[STAT_BYTES];
    uint64_t now = clock_now();
    const char *field = stat_field(text, STAT_START_FIELD);
    long ticks = sysconf(_SC_CLK_TCK);
    if (field == NULL || ticks <= 0) {
        return now;
    }
    uint64_t began = strtoull(field, NULL, 10) * (USECS_PER_SEC / (uint64_t)ticks);
    return began < now ? began : now;
}

static void clear(uint64_t *stamps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        stamps[i] = BH_STAMP_NONE;
    }
}

struct bh_timeline *bh_timeline_create(const struct bh_platform *platform)
{
    struct bh_timeline *timeline = calloc(1, sizeof(*timeline));
    uint32_t count = platform->guest_count;
    if (timeline == NULL) {
        return NULL;
    }
    timeline->guests = calloc(count > 0u ? count : 1u, sizeof(*timeline->guests));
    if (timeline->guests == NULL) {
        free(timeline);
        return NULL;
    }
    timeline->platform = platform;
    timeline->origin = process_start();
    clear(timeline->stamps, BH_RUN_STAMPS);
    for (uint32_t g = 0; g < count; g++) {
        clear(timeline->guests[g].stamps, BH_GUEST_STAMPS);
        for (uint32_t d = 0; d < BH_DEVICES_MAX; d++) {
            clear(timeline->guests[g].devices[d], BH_DEVICE_STAMPS);
        }
    }
    return timeline;
}

void bh_timeline_destroy(struct bh_timeline *timeline)
{
    if (timeline != NULL) {
        free(timeline->guests);
        free(timeline);
    }
}

/* ------------------------------------------------------------------------------------------------
 * stamps */

static void stamp_first(struct bh_timeline *timeline, uint64_t *stamp)
{
    if (*stamp == BH_STAMP_NONE) {
        *stamp = clock_now() - timeline->origin;
        timeline->changed = true;
    }
}

void bh_timeline_run(struct bh_timeline *timeline, enum bh_run_stamp stamp)
{
    if (timeline != NULL) {
        stamp_first(timeline, &timeline->stamps[stamp]);
    }
}

void bh_timeline_guest(struct bh_timeline *timeline, const struct bh_guest *guest,
                       enum bh_guest_stamp stamp)
{
    if (timeline != NULL) {
        stamp_first(timeline, &timeline->guests[guest - timeline->platform->guests].stamps[stamp]);
    }
}

void bh_timeline_device(struct bh_timeline *timeline, const struct bh_guest *guest,
                        const struct bh_device_definition *device, enum bh_device_stamp stamp)
{
    if (timeline != NULL) {
        struct bh_timeline_guest *of = &timeline->guests[guest - timeline->platform->guests];
        stamp_first(timeline, &of->devices[device - guest->devices][stamp]);
    }
}

/* ------------------------------------------------------------------------------------------------
 * the last one */

static void later(uint64_t *last, uint64_t stamp)
{
    if (stamp != BH_STAMP_NONE && stamp > *last) {
        *last = stamp;
    }
}

/* What happened until the guests ran and were ready. */
static uint64_t last_of_starts(const struct bh_timeline *timeline)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < BH_RUN_ALL_READY; i++) {
        later(&last, timeline->stamps[i]);
    }
    for (uint32_t g = 0; g < timeline->platform->guest_count; g++) {
        const struct bh_timeline_guest *guest = &timeline->guests[g];
        for (uint32_t i = 0; i < BH_GUEST_FAILED; i++) {
            later(&last, guest->stamps[i]);
        }
        for (uint32_t d = 0; d < BH_DEVICES_MAX; d++) {
            for (uint32_t i = 0; i < BH_DEVICE_ENDS; i++) {
                later(&last, guest->devices[d][i]);
            }
        }
    }
    return last;
}

uint64_t bh_timeline_last(const struct bh_timeline *timeline)
{
    uint64_t starts = last_of_starts(timeline);
    uint64_t last = starts;
    for (uint32_t g = 0; g < timeline->platform->guest_count; g++) {
        const uint64_t *stamps = timeline->guests[g].stamps;
        /* A failure hours later is none of the start, and would make a line of it. */
        if (stamps[BH_GUEST_READY] == BH_STAMP_NONE &&
            stamps[BH_GUEST_FAILED] / LATE_FAILURE <= starts) {
            later(&last, stamps[BH_GUEST_FAILED]);
        }
    }
    return last;
}
