/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of lists of names: that a name stands in a list once, and that the modes of lines and
 * assertions are modes of the platform. What names of guests, resources and devices mean is
 * check_reference.c's.
 */
#include <string.h>

#include "check.h"

/* The mode of a platform that names none. */
static const char normal[] = "normal";

/* ------------------------------------------------------------------------------ duplicate-name */

/* Lists are short (64 guests at most). */
static void check_list(const struct bh_reader *reader, const struct bh_names *names,
                       const char *what)
{
    for (uint32_t i = 1; i < names->count; i++) {
        uint32_t j = 0;

        while (j < i && strcmp(names->names[i].text, names->names[j].text) != 0) {
            j++;
        }
        if (j < i) {
            BH_SAY(reader, "duplicate-name", names->names[i].at, "%s %s stands here twice\n%s",
                   what, bh_show(names->names[i].text).text,
                   strcmp(what, "port") == 0 ? "give each port a name of its own" : "remove one");
            bh_diagnostics_note(reader->diagnostics, names->names[j].at, "here it is already");
        }
    }
}

static void check_guest_lists(struct bh_reader *reader, struct bh_guest *guest)
{
    check_list(reader, &guest->after, "guest");
    for (uint32_t i = 0; i < guest->device_count; i++) {
        check_list(reader, &guest->devices[i].ports, "port");
    }
}

void bh_check_duplicate_name(struct bh_reader *reader, struct bh_platform *platform)
{
    check_list(reader, &platform->modes, "mode");
    bh_each_guest(reader, platform, check_guest_lists);
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        check_list(reader, &platform->policy[i].allow, "operation");
        check_list(reader, &platform->policy[i].deny, "operation");
        check_list(reader, &platform->policy[i].modes, "mode");
    }
    for (uint32_t i = 0; i < platform->assertion_count; i++) {
        check_list(reader, &platform->assertions[i].no_shared_resource.guests, "guest");
        check_list(reader, &platform->assertions[i].modes, "mode");
    }
}

/* ---------------------------------------------------------------------------------------- mode */

static uint32_t mode_find(const struct bh_platform *platform, const char *name)
{
    uint32_t mode = 0;

    while (mode < platform->modes.count && strcmp(platform->modes.names[mode].text, name) != 0) {
        mode++;
    }
    return mode;
}

/* The bits of the modes that are named; none named: of all. */
static uint32_t resolve(const struct bh_reader *reader, const struct bh_platform *platform,
                        const struct bh_names *names, bool modes_given)
{
    uint32_t mask = 0;

    if (names->count == 0) {
        return (UINT32_C(1) << platform->modes.count) - 1u;
    }
    for (uint32_t i = 0; i < names->count; i++) {
        const struct bh_text *name = &names->names[i];
        uint32_t mode = mode_find(platform, name->text);
        const char *near;

        if (mode < platform->modes.count) {
            mask |= UINT32_C(1) << mode;
            continue;
        }
        near = bh_check_suggest(reader, name->text, bh_word_name, &platform->modes);
        if (!modes_given) {
            BH_SAY(reader, "mode", name->at,
                   "there is no mode %s: the definition names none, so there is one, %s\n"
                   "add modes: [%s, ...] to the definition, or remove this",
                   bh_show(name->text).text, normal, bh_show(name->text).text);
        } else {
            BH_SAY(reader, "mode", name->at, "there is no mode %s\n%s%s%s",
                   bh_show(name->text).text, near == NULL ? "add it to modes" : "did you mean ",
                   near == NULL ? "" : near, near == NULL ? "" : "?");
            bh_diagnostics_note(reader->diagnostics, platform->modes.at,
                                "here are the modes of the platform");
        }
    }
    return mask;
}

/* A platform that names no mode has one. */
static void add_normal(struct bh_reader *reader, struct bh_platform *platform)
{
    struct bh_text *mode = bh_arena_take(reader->arena, sizeof(*mode));

    if (mode == NULL) {
        reader->no_memory = true;
        return;
    }
    mode->text = normal;
    mode->at = platform->name.at;
    platform->modes.names = mode;
    platform->modes.count = 1;
}

void bh_check_mode(struct bh_reader *reader, struct bh_platform *platform)
{
    bool given = platform->modes.count != 0;

    if (!given) {
        add_normal(reader, platform);
    }
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        struct bh_policy_line *line = &platform->policy[i];

        line->mode_mask = resolve(reader, platform, &line->modes, given);
    }
    for (uint32_t i = 0; i < platform->assertion_count; i++) {
        struct bh_assertion *assertion = &platform->assertions[i];

        assertion->mode_mask = resolve(reader, platform, &assertion->modes, given);
    }
}
