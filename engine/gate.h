/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate of a guest guards, made from definition and layout (bulkhead/gate.h: setup, limits).
 * A device of the gate is a device of the guest that is not left out, in their order.
 *
 * Which memory a back end may map follows from its isolation:
 *   direct  all of its window
 *   shadow  its window but for the ring part, which the gate alone maps
 *   bounce  nothing; the gate uses all RAM of the guest for it
 *   open    all RAM of the guest
 *
 * Thread: one. Ownership: the caller's memory.
 */
#ifndef ENGINE_GATE_H
#define ENGINE_GATE_H

#include "bulkhead/gate.h"
#include "bulkhead/platform_layout.h"
#include "window.h"

#define BH_GATE_PROGRAM  "bulkhead-gate"
#define BH_GATE_ARGUMENT "--control" /* it has a parent */

#define BH_GATE_NO_DEVICE UINT32_MAX

/* What the setup is made from. */
struct bh_gate_parts {
    const struct bh_platform *platform;
    const struct bh_layout *layout;
    const struct bh_window *windows; /* of each region */
    const uint64_t *disk_bytes;      /* of each device that is a disk */
};

/* BH_OK; BH_INVALID: no device is there; BH_LIMIT: more than a gate holds. */
int bh_gate_setup_make(struct bh_gate_setup *setup, const struct bh_gate_parts *parts);

/* The device of the gate that is device `index` of the guest; BH_GATE_NO_DEVICE: it is left out. And
 * back: `index` is one of the gate. */
uint32_t bh_gate_device_of(const struct bh_guest *guest, uint32_t index);
uint32_t bh_gate_device_is(const struct bh_guest *guest, uint32_t index);

/* What the policy says of the device in `mode`: its limits; and how often a minute its back end may be
 * replaced, 0: without a limit. */
void bh_gate_limits_make(struct bh_gate_limits *limits, const struct bh_platform *platform,
                         const struct bh_guest *guest, const struct bh_device_definition *device,
                         uint32_t mode);
uint64_t bh_gate_restarts(const struct bh_platform *platform, const struct bh_guest *guest,
                          const struct bh_device_definition *device, uint32_t mode);

/* The path of the gate's program: in the folder of the back ends, or beside it where it is not
 * installed. BH_GONE: there is none; BH_LIMIT. */
int bh_gate_program(const char *daemons, char *path, size_t size);

#endif
