/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of how devices are isolated: what how a guest boots allows, and what one device takes
 * from the others. Whether this version can do it is check_engine.c's.
 */
#include <inttypes.h>

#include "check.h"

static bool shares_all(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_OPEN ||
           device->isolation.value == BH_ISOLATION_BOUNCE;
}

bool bh_guest_is_open(const struct bh_guest *guest)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (bh_check_has_backend(&guest->devices[i]) && shares_all(&guest->devices[i])) {
            return true;
        }
    }
    return false;
}

/* ----------------------------------------------------------------------------------- isolation */

static void check_isolation(struct bh_reader *reader, struct bh_guest *guest,
                            struct bh_device_definition *device)
{
    const char *why = bh_check_why_open(guest);
    bool given = bh_is_given(device->isolation.at, device->name.at);

    if (!bh_check_has_backend(device)) {
        return;
    }
    if (why != NULL && given && !shares_all(device)) {
        BH_SAY(reader, "isolation", device->isolation.at,
               "device %s of guest %s cannot be %s: %s\nwrite isolation: open, or remove it",
               device->name.text, guest->name.text, bh_isolation_name(device->isolation.value),
               why);
    }
    if (why != NULL && !shares_all(device)) {
        device->isolation.value = BH_ISOLATION_OPEN;
    }
    if (!shares_all(device)) {
        return;
    }
    if (bh_is_given(device->window.at, device->name.at)) {
        BH_SAY(reader, "isolation", device->window.at,
               "device %s of guest %s is %s, which has no window%s%s\nremove the window",
               device->name.text, guest->name.text, bh_isolation_name(device->isolation.value),
               why == NULL ? "" : ": ", why == NULL ? "" : why);
    }
    device->window.value = 0;
}

void bh_check_isolation(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_isolation);
}

/* ---------------------------------------------------------------------------------- open-mixed */

static void check_open_mixed(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_device_definition *open = NULL;
    const struct bh_device_definition *other = NULL;
    uint32_t others = 0;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (!bh_check_has_backend(device)) {
            continue;
        }
        if (shares_all(device)) {
            open = open == NULL ? device : open;
        } else {
            other = other == NULL ? device : other;
            others++;
        }
    }
    if (open != NULL && other != NULL) {
        BH_WARN(reader, "open-mixed", open->isolation.at,
                "device %s is %s, so all memory of guest %s is shared, and the back ends of its"
                " other devices (%" PRIu32 ") can reach all of it too\n"
                "make it direct, or every device open",
                open->name.text, bh_isolation_name(open->isolation.value), guest->name.text,
                others);
        bh_diagnostics_note(reader->diagnostics, other->name.at, "%s is meant to be %s",
                            other->name.text, bh_isolation_name(other->isolation.value));
    }
}

void bh_check_open_mixed(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_open_mixed);
}

/* ---------------------------------------------------------------------------- open-criticality */

static void check_open_criticality(struct bh_reader *reader, struct bh_guest *guest)
{
    const struct bh_device_definition *open = NULL;
    uint32_t count = 0;

    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (bh_check_has_backend(device) && device->isolation.value == BH_ISOLATION_OPEN) {
            open = open == NULL ? device : open;
            count++;
        }
    }
    if (open != NULL && guest->criticality.value != BH_QM) {
        const char *why = bh_check_why_open(guest);

        BH_WARN(reader, "open-criticality", open->isolation.at,
                "guest %s is %s, and the back ends of its open devices (%" PRIu32
                ", the first is %s) reach all of its memory\n%s%s%s",
                guest->name.text, bh_criticality_name(guest->criticality.value), count,
                open->name.text,
                why == NULL ? "make them direct" : "they have to be open: ", why == NULL ? "" : why,
                why == NULL ? "" : "; boot a kernel or an ELF program on arm64");
        bh_diagnostics_note(reader->diagnostics, guest->criticality.at, "what is claimed for it");
    }
}

void bh_check_open_criticality(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_open_criticality);
}

/* ------------------------------------------------------------------------------- limits-direct */

static bool has_limits(const struct bh_limits *limits)
{
    return limits->operations.value != 0 || limits->bytes.value != 0 ||
           limits->deadline.value != 0 || limits->restarts.value != 0;
}

static bool is_counted(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_SHADOW ||
           device->isolation.value == BH_ISOLATION_BOUNCE;
}

static void check_device_limits(struct bh_reader *reader, struct bh_guest *guest,
                                struct bh_device_definition *device)
{
    (void)guest;
    if (has_limits(&device->limits) && !is_counted(device)) {
        BH_WARN(reader, "limits-direct", device->limits.at,
                "device %s is %s, and nobody counts the requests of such a device\n"
                "the limits will hold where the gate is between, in isolation shadow or bounce;"
                " remove them, or\n"
                "switch this off with -W no-limits-direct",
                device->name.text,
                bh_check_has_backend(device) ? bh_isolation_name(device->isolation.value)
                                             : "passed through");
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

        if (!has_limits(&line->limits) || line->of == NULL || line->to == NULL) {
            continue;
        }
        use = find_uncounted(platform, line);
        if (use != NULL) {
            BH_WARN(reader, "limits-direct", line->limits.at,
                    "device %s of guest %s is not behind the gate, and nobody counts its requests\n"
                    "the limits will hold where the gate is between, in isolation shadow or"
                    " bounce; remove them, or\n"
                    "switch this off with -W no-limits-direct",
                    use->device->name.text, use->guest->name.text);
            bh_diagnostics_note(reader->diagnostics, use->device->name.at, "the device");
        }
    }
}
