/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is known of each device type (classes.def). Whether this version has a back end for one
 * follows from the table of daemons (daemons/devices.def), so that a new device is available with
 * its line there.
 */
#include <string.h>

#include "bulkhead/platform_definition.h"
#include "platform/definition/schema.h"

#define CLASS(name, word, doc, id, resource, window, queues)                                       \
    [BH_DEVICE_##name] = {word, doc, id, BH_RESOURCE_##resource, window, queues, false},
static const struct bh_device_kind rows[BH_DEVICE_TYPES] = {
#include "platform/definition/classes.def"
};
#undef CLASS

/* The names of the daemons that are built with it. */
static const char *const backends[] = {BH_BACKENDS};

static bool is_available(const char *word)
{
    for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
        if (strcmp(backends[i], word) == 0) {
            return true;
        }
    }
    return false;
}

struct bh_device_kind bh_device_kind(uint32_t type)
{
    struct bh_device_kind kind = rows[type];

    kind.available = is_available(kind.word);
    return kind;
}
