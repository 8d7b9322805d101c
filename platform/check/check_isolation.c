/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of how devices are isolated: what how a guest boots allows, and what one device takes
 * from the others. What the gate holds a device to besides is check_limits.c's.
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
               "device %s of guest %s cannot be %s: %s\nwrite isolation: bounce, or remove it",
               device->name.text, guest->name.text, bh_isolation_name(device->isolation.value),
               why);
    }
    if (why != NULL && !shares_all(device)) {
        device->isolation.value = BH_ISOLATION_BOUNCE;
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

/* -------------------------------------------------------------------------- open-mixed, bounce-mixed */

/* The first device of the guest that is isolated so; NULL: none. `*count` gets how many there are. */
static const struct bh_device_definition *
find(const struct bh_guest *guest, bool (*is)(const struct bh_device_definition *device),
     uint32_t *count)
{
    const struct bh_device_definition *first = NULL;

    *count = 0;
    for (uint32_t i = 0; i < guest->device_count; i++) {
        const struct bh_device_definition *device = &guest->devices[i];

        if (bh_check_has_backend(device) && is(device)) {
            first = first == NULL ? device : first;
            ++*count;
        }
    }
    return first;
}

static bool is_open(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_OPEN;
}

static bool is_not_open(const struct bh_device_definition *device)
{
    return !is_open(device);
}

static bool is_bounce(const struct bh_device_definition *device)
{
    return device->isolation.value == BH_ISOLATION_BOUNCE;
}

static bool has_window(const struct bh_device_definition *device)
{
    return !shares_all(device);
}

bool bh_guest_has_open(const struct bh_guest *guest)
{
    uint32_t count;

    return find(guest, is_open, &count) != NULL;
}

static void check_open_mixed(struct bh_reader *reader, struct bh_guest *guest)
{
    uint32_t count;
    uint32_t others;
    const struct bh_device_definition *open = find(guest, is_open, &count);
    const struct bh_device_definition *other = find(guest, is_not_open, &others);

    if (open != NULL && other != NULL) {
        BH_WARN(reader, "open-mixed", open->isolation.at,
                "device %s is open, so its back end reaches all memory of guest %s, also what is"
                " kept from the back ends of its other devices (%" PRIu32 ")\n"
                "make it %s, or every device open",
                open->name.text, guest->name.text, others,
                bh_check_why_open(guest) == NULL ? "shadow" : "bounce");
        bh_diagnostics_note(reader->diagnostics, other->name.at, "%s is meant to be %s",
                            other->name.text, bh_isolation_name(other->isolation.value));
    }
}

void bh_check_open_mixed(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_open_mixed);
}

static void check_bounce_mixed(struct bh_reader *reader, struct bh_guest *guest)
{
    uint32_t count;
    uint32_t others;
    const struct bh_device_definition *bounce = find(guest, is_bounce, &count);
    const struct bh_device_definition *other = find(guest, has_window, &others);

    if (bounce != NULL && other != NULL) {
        BH_WARN(reader, "bounce-mixed", bounce->isolation.at,
                "device %s is bounce, so all memory of guest %s is a file that its engine and its"
                " gate have; with the windows of its other devices (%" PRIu32
                ") alone nobody would have one\n"
                "make it shadow, or every device bounce",
                bounce->name.text, guest->name.text, others);
        bh_diagnostics_note(reader->diagnostics, other->name.at, "%s is %s", other->name.text,
                            bh_isolation_name(other->isolation.value));
    }
}

void bh_check_bounce_mixed(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_bounce_mixed);
}

/* ---------------------------------------------------------------------------- open-criticality */

static void check_open_criticality(struct bh_reader *reader, struct bh_guest *guest)
{
    uint32_t count;
    const struct bh_device_definition *open = find(guest, is_open, &count);

    if (open != NULL && guest->criticality.value != BH_QM) {
        BH_WARN(reader, "open-criticality", open->isolation.at,
                "guest %s is %s, and the back ends of its open devices (%" PRIu32
                ", the first is %s) reach all of its memory\nmake them %s",
                guest->name.text, bh_criticality_name(guest->criticality.value), count,
                open->name.text, bh_check_why_open(guest) == NULL ? "shadow" : "bounce");
        bh_diagnostics_note(reader->diagnostics, guest->criticality.at, "what is claimed for it");
    }
}

void bh_check_open_criticality(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_open_criticality);
}
