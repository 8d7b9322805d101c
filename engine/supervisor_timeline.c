/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the timeline is drawn: once every guest is ready or over, again once every driver is up, and
 * at the end of the run if something came since.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "supervisor.h"

/* The file holds the last picture and nothing of an earlier one. */
static void draw(struct bh_supervisor *supervisor)
{
    FILE *to = supervisor->setup->timeline;
    rewind(to);
    bool emptied = ftruncate(fileno(to), 0) == 0;
    bh_timeline_draw(supervisor->timeline, to);
    if ((fflush(to) != 0 || ferror(to) || !emptied) && !supervisor->timeline_lost) {
        supervisor->timeline_lost = true;
        bh_output_say(&supervisor->output, "warning: the timeline cannot be written: %s",
                      strerror(errno));
    }
    supervisor->timeline->changed = false;
}

static bool drivers_up(const struct bh_supervised *guest)
{
    const struct bh_supervisor *supervisor = guest->supervisor;
    const struct bh_timeline_guest *times =
        &supervisor->timeline->guests[guest - supervisor->guests];
    for (uint32_t i = 0; i < guest->guest->device_count; i++) {
        if (bh_backend_runs(&guest->backends[i]) &&
            times->devices[i][BH_DEVICE_UP] == BH_STAMP_NONE) {
            return false;
        }
    }
    return true;
}

void bh_supervisor_timeline(struct bh_supervisor *supervisor)
{
    bool up = true;
    if (supervisor->timeline == NULL || !supervisor->under_way) {
        return;
    }
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        const struct bh_supervised *guest = &supervisor->guests[i];
        if (!guest->ready && !guest->settled) {
            return;
        }
        up = up && drivers_up(guest);
    }
    bool first = supervisor->timeline->stamps[BH_RUN_ALL_READY] == BH_STAMP_NONE;
    bh_timeline_run(supervisor->timeline, BH_RUN_ALL_READY);
    if (first || (up && supervisor->timeline->changed)) {
        draw(supervisor);
    }
}

void bh_supervisor_timeline_end(struct bh_supervisor *supervisor)
{
    if (supervisor->timeline != NULL) {
        bool changed = supervisor->timeline->changed;
        bh_timeline_run(supervisor->timeline, BH_RUN_ENDS);
        if (changed) {
            draw(supervisor);
        }
        bh_timeline_destroy(supervisor->timeline);
        supervisor->timeline = NULL;
    }
}
