/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what this version can do at all: device types without a back end, watchdogs. It marks the
 * devices that are left out because they are optional. What the engine that is found on the host lacks
 * is said when it is asked.
 */
#include "check.h"

static void check_device(struct bh_reader *reader, struct bh_guest *guest,
                         struct bh_device_definition *device)
{
    const char *type = bh_device_type_name(device->type.value);

    if (bh_device_kind(device->type.value).available) {
        return;
    }
    if (device->optional.value) {
        device->left_out = true;
        return;
    }
    BH_SAY(reader, "engine-device", device->type.at,
           "device %s of guest %s is of type %s, and this version has nothing that runs one\n"
           "add optional: true, and the guest starts without it; or remove it",
           device->name.text, guest->name.text, type);
}

void bh_check_engine_device(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_device);
}

static void check_watchdog(struct bh_reader *reader, struct bh_guest *guest)
{
    struct bh_watchdog *watchdog = &guest->watchdog;

    watchdog->given = watchdog->timeout.value != 0;
    if (watchdog->given && !watchdog->optional.value) {
        BH_SAY(reader, "engine-watchdog", watchdog->at,
               "guest %s has a watchdog, and this version has no engine that shows it one\n"
               "add optional: true, and the guest starts without it; or remove it",
               guest->name.text);
    }
}

void bh_check_engine_watchdog(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_guest(reader, platform, check_watchdog);
}
