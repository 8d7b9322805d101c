/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A release: a platform as one signed image, and an image as a platform again. What the file is,
 * and who may have signed it, is platform_image.h's; here is what its sections mean:
 *
 *   "platform"            the definition with its defaults, as JSON
 *   "GUEST/kernel", "GUEST/initrd", "GUEST/elf", "GUEST/firmware"   what the guest boots
 *   "GUEST/device-tree", "GUEST/start"   what was derived for it (guests with layout v1)
 *
 * What the guests change (disks) and what the host has (devices, QEMU) stay outside.
 *
 * Thread: one.
 */
#ifndef BULKHEAD_PLATFORM_RELEASE_H
#define BULKHEAD_PLATFORM_RELEASE_H

#include "bulkhead/platform_definition.h"
#include "bulkhead/platform_image.h"

struct bh_release_setup {
    const char *key;     /* as bh_image_signer_open takes it */
    const char *release; /* the integrator's version */
    uint64_t rollback;
};

/* Builds the image of `platform` at `path`. What is wrong with the platform goes to `diagnostics`;
 * BH_OK, or an error code, said there or in `refusal` (whose reason is BH_IMAGE_NOT_REFUSED then). */
int bh_release_write(const struct bh_platform *platform, const struct bh_release_setup *setup,
                     const char *path, struct bh_diagnostics *diagnostics,
                     struct bh_image_refusal *refusal);

/* The platform that a LOADED image holds, checked like any definition, without reading YAML. Boot
 * files are paths to the image's memory, so the image is closed after the platform was started;
 * relative paths of disks and devices belong to the folder `root`. BH_OK and *platform; otherwise
 * said in `diagnostics` or `refusal`: also an image whose derived parts are not what this version of
 * Bulkhead derives. */
int bh_release_read(struct bh_platform **platform, const struct bh_image *image, const char *name,
                    const char *root, struct bh_diagnostics *diagnostics,
                    struct bh_image_refusal *refusal);

#endif
