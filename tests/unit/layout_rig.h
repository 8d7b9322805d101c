/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that is written down in C instead of YAML, with sizes of boot images instead of files,
 * for the tests of layout, device tree and build.
 */
#ifndef LAYOUT_RIG_H
#define LAYOUT_RIG_H

#include "bulkhead/platform_layout.h"

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024u)

struct layout_rig {
    struct bh_guest guest;
    struct bh_device_definition devices[BH_DEVICES_MAX + 1u];
    char names[BH_DEVICES_MAX + 1u][16];
    struct bh_boot_images images;
    struct bh_diagnostics *diagnostics;
    struct bh_layout layout;
};

/* An arm64 guest "g" of 128M with a kernel of 12M and an initrd of 2M; no devices. */
void layout_rig_init(struct layout_rig *rig);
void layout_rig_finish(struct layout_rig *rig);

/* Adds a device with a window; the one that was added, for more settings. */
struct bh_device_definition *layout_rig_add(struct layout_rig *rig, enum bh_device_type type,
                                            uint64_t window);

int layout_rig_make(struct layout_rig *rig);

/* What the diagnostics print; allocated. */
char *layout_rig_said(struct layout_rig *rig);

#endif
