/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of the order in which guests start: that everybody's turn comes.
 *
 * `after` makes a graph. Cycles are found by walking it in depth: a guest is NEW, then OPEN while
 * the walk is behind it, then DONE; who meets an OPEN guest has closed a cycle.
 */
#include <string.h>

#include "check.h"

enum colour { NEW, OPEN, DONE };

struct walk {
    const struct bh_platform *platform;
    enum colour colours[BH_GUESTS_MAX];
    bool told[BH_GUESTS_MAX];     /* in a cycle that was said */
    uint32_t path[BH_GUESTS_MAX]; /* guests that are OPEN, each after the next */
    uint32_t next[BH_GUESTS_MAX]; /* of each guest: the entry of `after` to look at */
    uint32_t depth;
};

static void say_cycle(struct bh_reader *reader, struct walk *walk, uint32_t begin)
{
    const struct bh_guest *guests = walk->platform->guests;
    const struct bh_guest *first = &guests[walk->path[begin]];
    uint32_t entry = walk->next[walk->path[begin]] - 1u;
    uint32_t length = walk->depth - begin;

    if (length == 1) {
        BH_SAY(reader, "after", first->after.names[entry].at,
               "guest %s starts after itself, which never happens\nremove it", first->name.text);
        return;
    }
    BH_SAY(reader, "after", first->after.names[entry].at,
           "these %u guests wait for each other, and none of them ever starts\n"
           "take one of these names out of its after",
           length);
    for (uint32_t i = begin; i < walk->depth; i++) {
        const struct bh_guest *guest = &guests[walk->path[i]];
        const struct bh_text *name = &guest->after.names[walk->next[walk->path[i]] - 1u];

        bh_diagnostics_note(reader->diagnostics, name->at, "%s starts after %s", guest->name.text,
                            name->text);
    }
}

/* Where `guest`, which is OPEN, stands on the path; says the cycle, once for those in it. */
static void close_cycle(struct bh_reader *reader, struct walk *walk, uint32_t guest)
{
    uint32_t begin = walk->depth - 1u;
    bool told = true;

    while (walk->path[begin] != guest) {
        begin--;
    }
    for (uint32_t i = begin; i < walk->depth; i++) {
        told = told && walk->told[walk->path[i]];
        walk->told[walk->path[i]] = true;
    }
    if (!told) {
        say_cycle(reader, walk, begin);
    }
}

/* One step from the guest at the end of the path. */
static void step(struct bh_reader *reader, struct walk *walk)
{
    uint32_t at = walk->path[walk->depth - 1u];
    const struct bh_guest *guest = &walk->platform->guests[at];
    const struct bh_guest *other;
    uint32_t to;

    if (walk->next[at] == guest->after.count) {
        walk->colours[at] = DONE;
        walk->depth--;
        return;
    }
    other = bh_platform_guest(walk->platform, guest->after.names[walk->next[at]++].text);
    if (other == NULL) {
        return;
    }
    to = (uint32_t)(other - walk->platform->guests);
    if (walk->colours[to] == OPEN) {
        close_cycle(reader, walk, to);
    } else if (walk->colours[to] == NEW) {
        walk->colours[to] = OPEN;
        walk->path[walk->depth++] = to;
    }
}

void bh_check_after(struct bh_reader *reader, struct bh_platform *platform)
{
    struct walk walk = {.platform = platform};

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        if (walk.colours[i] != NEW) {
            continue;
        }
        walk.colours[i] = OPEN;
        walk.path[walk.depth++] = i;
        while (walk.depth != 0) {
            step(reader, &walk);
        }
    }
}

/* ---------------------------------------------------------------------------------- ready-when */

static void check_ready_when(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_device_definition *device = guest->ready_when.waits_for;

    if (device != NULL && !bh_check_has_backend(device)) {
        BH_SAY(reader, "ready-when", guest->ready_when.device.at,
               "device %s is passed through, and nobody but guest %s sees its driver come up\n"
               "write another device, or message: TEXT",
               device->name.text, guest->name.text);
        bh_diagnostics_note(reader->diagnostics, device->type.at, "here it is passed through");
    }
}

void bh_check_ready_when(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_ready_when);
}

/* --------------------------------------------------------------------------------- after-never */

void bh_check_after_never(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];

        for (uint32_t j = 0; j < guest->after.count; j++) {
            const struct bh_guest *before = bh_platform_guest(platform, guest->after.names[j].text);
            const struct bh_device_definition *device =
                before == NULL ? NULL : before->ready_when.waits_for;

            if (device != NULL && device->left_out) {
                BH_SAY(reader, "after-never", guest->after.names[j].at,
                       "guest %s starts after %s, which never becomes ready: it waits for its"
                       " device %s, and that is left out\n"
                       "let it be ready by another device or a message",
                       guest->name.text, before->name.text, device->name.text);
                bh_diagnostics_note(reader->diagnostics, before->ready_when.device.at,
                                    "here %s waits for it", before->name.text);
                bh_diagnostics_note(reader->diagnostics, device->type.at,
                                    "nothing of this version runs a device of type %s",
                                    bh_device_type_name(device->type.value));
            }
        }
    }
}
