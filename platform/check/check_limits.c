/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what the gate holds a device and its back end to, and of what follows when it gives up.
 * What limits come to for a device is platform/policy's.
 */
#include <inttypes.h>
#include <string.h>

#include "check.h"

#define DEADLINE_DEFAULT 10000u /* ms */
#define DEADLINE_LEAST   100u /* ms: a disk that writes back, or a host that is busy, takes longer */
#define RESTARTS_DEFAULT 60u  /* in a minute */

/* ------------------------------------------------------------------------------- limits-direct */

static bool is_counted(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_SHADOW ||
           device->isolation.value == BH_ISOLATION_BOUNCE;
}

/* Whether limits were written that need somebody who sees requests. */
static bool count_requests(const struct bh_limits *limits)
{
    return limits->operations.value != 0 || limits->bytes.value != 0 || limits->deadline.value != 0;
}

static void check_device_limits(struct bh_reader *reader, struct bh_guest *guest,
                                struct bh_device_definition *device)
{
    const bool has = bh_check_has_backend(device);

    (void)guest;
    if ((count_requests(&device->limits) && !(has && is_counted(device))) ||
        (device->limits.restarts.value != 0 && !has)) {
        BH_WARN(reader, "limits-direct", device->limits.at,
                "device %s is %s, and nobody sees the requests of such a device\n%s",
                device->name.text,
                has ? bh_isolation_name(device->isolation.value) : "passed through",
                has ? "operations, bytes and deadline hold in isolation shadow or bounce; write "
                      "one of these, or\nremove them"
                    : "remove them");
    }
}

/* The first device that a line is about and that nobody counts the requests of. */
static const struct bh_use *find_uncounted(const struct bh_platform *platform,
                                           const struct bh_policy_line *line)
{
    struct bh_uses uses = bh_index_uses(platform, line->to);
    const struct bh_use *use = uses.uses;

    for (uint32_t i = 0; i < uses.count; i++, use++) {
        if (use->guest == line->of && !is_counted(use->device)) {
            return use;
        }
    }
    return NULL;
}

void bh_check_limits_direct(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_device_limits);
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];
        const struct bh_use *use;

        if (!count_requests(&line->limits) || line->of == NULL || line->to == NULL) {
            continue;
        }
        use = find_uncounted(platform, line);
        if (use != NULL) {
            BH_WARN(reader, "limits-direct", line->limits.at,
                    "requests of device %s of guest %s do not pass the gate, and nobody sees them\n"
                    "operations, bytes and deadline hold in isolation shadow or bounce; write one "
                    "of these, or\nremove them",
                    use->device->name.text, use->guest->name.text);
            bh_diagnostics_note(reader->diagnostics, use->device->name.at, "the device");
        }
    }
}

/* ------------------------------------------------------------------------------------ deadline */

static void check_short(const struct bh_reader *reader, const struct bh_number *deadline,
                        const char *what, const char *name)
{
    if (deadline->value != 0 && deadline->value < DEADLINE_LEAST) {
        BH_WARN(reader, "deadline", deadline->at,
                "%s %s has a deadline of %" PRIu64 "ms, and a back end that works can take longer "
                "than that: it would be replaced for nothing\n"
                "write %ums or more; seconds do where a disk is behind it",
                what, name, deadline->value, DEADLINE_LEAST);
    }
}

static void check_deadline(struct bh_reader *reader, struct bh_guest *guest,
                           struct bh_device_definition *device)
{
    (void)guest;
    check_short(reader, &device->limits.deadline, "device", device->name.text);
}

void bh_check_deadline(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_deadline);
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        if (line->resource.text != NULL) {
            check_short(reader, &line->limits.deadline, "a policy line for", line->resource.text);
        }
    }
}

/* --------------------------------------------------------------------------------- detach-root */

/* The disk of a kernel's command line: "root=/dev/vdb" is the second in the order of the slots. */
static const struct bh_device_definition *find_root(const struct bh_guest *guest)
{
    const char *line = guest->boot.command_line.text;
    const char *root = line == NULL ? NULL : strstr(line, "root=/dev/vd");
    uint32_t number = 0;

    if (guest->boot.boots != NULL || root == NULL || (root != line && root[-1] != ' ')) {
        return guest->boot.boots;
    }
    const char letter = root[sizeof("root=/dev/vd") - 1u];

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (device->type.value == BH_DEVICE_BLK && !device->left_out &&
            letter == (char)('a' + (char)number++)) {
            return device;
        }
    }
    return NULL;
}

static void check_detach_root(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_device_definition *root = find_root(guest);

    if (root != NULL && root->on_failure.value == BH_CONSEQUENCE_DETACH) {
        BH_WARN(
            reader, "detach-root", root->on_failure.at,
            "guest %s lives on its device %s; with on-failure: detach it goes on without it, and "
            "whatever it loads next is an error\n"
            "write on-failure: reset-guest or stop-guest",
            guest->name.text, root->name.text);
    }
}

void bh_check_detach_root(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_detach_root);
}
