/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device types by name, with the bytes of configuration space that their back ends have: a back end
 * refuses to be asked for more. And the setup of a gate that works alone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper.h"

#define TYPE_MOST 1024u

static const struct {
    const char *name;
    uint32_t type;
    uint32_t config_size;
} types[] = {
    {"net", 1, 0},    {"blk", 2, 60},   {"console", 3, 12}, {"rng", 4, 0},   {"scsi", 8, 36},
    {"input", 18, 0}, {"vsock", 19, 8}, {"crypto", 20, 56}, {"snd", 25, 12}, {"fs", 26, 0},
    {"i2c", 34, 0},   {"can", 36, 2},   {"gpio", 41, 8},
};

bool bh_keeper_type(const char *text, struct bh_keeper_options *options)
{
    char *end;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(text, types[i].name) == 0) {
            options->type = types[i].type;
            options->type_name = types[i].name;
            options->type_config_size = types[i].config_size;
            return true;
        }
    }
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || number == 0u ||
        number > TYPE_MOST) {
        return false;
    }
    options->type = (uint32_t)number;
    options->type_name = text;
    options->type_config_size = 0;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].type == number) {
            options->type_name = types[i].name;
            options->type_config_size = types[i].config_size;
        }
    }
    return true;
}

static void add_file(struct bh_gate_setup *setup, const struct bh_keeper_range *range, bool used,
                     bool shared)
{
    setup->files[setup->file_count] = (struct bh_gate_file){
        .address = range->address,
        .size = range->size,
        .users = used ? 1u : 0u,
        .shared = shared ? 1u : 0u,
    };
    setup->file_count++;
}

/* Whose file a piece of memory is nobody told: addresses are all there is. The last entry is for all
 * the rest: the gate's to use, unless it is said what the device may use. */
void bh_keeper_setup(const struct bh_keeper_options *options, const char *guest,
                     struct bh_gate_setup *setup)
{
    static const struct bh_keeper_range rest = {.address = 0, .size = UINT64_MAX};
    struct bh_gate_device *device = &setup->devices[0];
    memset(setup, 0, sizeof(*setup));
    (void)snprintf(setup->guest, sizeof(setup->guest), "%s", guest);
    (void)snprintf(device->name, sizeof(device->name), "%s", options->type_name);
    setup->device_count = 1;
    device->type = options->type;
    device->mode = options->mode;
    device->queue_count = options->queues;
    device->queue_size_max = options->queue_size;
    device->deadline_ms = options->deadline_ms;
    device->feature_mask = UINT64_MAX;
    device->arena_size =
        options->mode == BH_GATE_SHADOW || options->mode == BH_GATE_BOUNCE ? options->arena : 0u;
    device->config_size = options->config_size <= BH_GATE_CONFIG_MAX ? options->config_size
                                                                     : options->type_config_size;
    device->packed = options->packed ? 1u : 0u;
    device->restores = 1;
    for (uint32_t i = 0; i < options->share_count; i++) {
        add_file(setup, &options->shares[i], true, true);
    }
    for (uint32_t i = 0; i < options->guard_count; i++) {
        add_file(setup, &options->guards[i], true, false);
    }
    add_file(setup, &rest, options->guard_count == 0u, false);
}
