/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an image holds for a guest besides its definition: listed once, for the image that is built
 * and for the one that is taken, which must hold the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "release.h"

const struct bh_release_boot_file bh_release_boot_files[BH_RELEASE_BOOT_FILES] = {
    {"kernel", BH_IMAGE_KERNEL},
    {"initrd", BH_IMAGE_INITRD},
    {"elf", BH_IMAGE_ELF},
    {"firmware", BH_IMAGE_FIRMWARE},
};

static struct bh_image_source *add(struct bh_derived *derived, const struct bh_guest *guest,
                                   enum bh_image_type type)
{
    char *name = derived->names[derived->source_count];
    struct bh_image_source *source = &derived->sources[derived->source_count++];
    (void)snprintf(name, sizeof(derived->names[0]), "%s/%s", guest->name.text,
                   bh_image_type_name(type));
    *source = (struct bh_image_source){.type = type, .name = name, .fd = -1};
    return source;
}

static void list(struct bh_derived *derived, const struct bh_guest *guest)
{
    const int fds[BH_RELEASE_BOOT_FILES] = {derived->images.kernel_fd, derived->images.initrd_fd,
                                            derived->images.elf_fd, derived->images.firmware_fd};
    for (size_t i = 0; i < BH_RELEASE_BOOT_FILES; i++) {
        if (fds[i] >= 0) {
            add(derived, guest, bh_release_boot_files[i].type)->fd = fds[i];
        }
    }
    if (derived->tree != NULL) {
        struct bh_image_source *source = add(derived, guest, BH_IMAGE_DEVICE_TREE);
        source->bytes = derived->tree;
        source->size = derived->tree_bytes;
        bh_start_code(&derived->layout, derived->start);
        source = add(derived, guest, BH_IMAGE_START);
        source->bytes = derived->start;
        source->size = sizeof(derived->start);
    }
}

int bh_derived_make(struct bh_derived *derived, const struct bh_platform *platform,
                    const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    int result = bh_boot_images_open(&derived->images, platform, guest, diagnostics);
    derived->has_images = result == BH_OK;
    if (result == BH_OK) {
        result = bh_layout_make(&derived->layout, guest, &derived->images, diagnostics);
    }
    if (result == BH_OK && derived->layout.tree.size > 0) {
        result = bh_device_tree_make(&derived->layout, &derived->tree, &derived->tree_bytes);
        if (result != BH_OK) {
            bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "device-tree", guest->name.at,
                               "the device tree of guest %s cannot be made: %s", guest->name.text,
                               bh_error_name(result));
        }
    }
    if (result == BH_OK) {
        list(derived, guest);
    }
    return result;
}

void bh_derived_finish(struct bh_derived *derived)
{
    if (derived->has_images) {
        bh_boot_images_close(&derived->images);
    }
    free(derived->tree);
}
