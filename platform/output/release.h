/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is derived for a guest and goes into an image. Private to platform/.
 */
#ifndef PLATFORM_RELEASE_H
#define PLATFORM_RELEASE_H

#include "bulkhead/platform_image.h"
#include "bulkhead/platform_layout.h"

#define BH_RELEASE_DEFINITION     "platform" /* the section of the definition */
#define BH_RELEASE_BOOT_FILES     4u
#define BH_RELEASE_GUEST_SECTIONS (BH_RELEASE_BOOT_FILES + 2u)

/* The key of `boot:` and what the section is called behind the guest's name. */
struct bh_release_boot_file {
    const char *key;
    enum bh_image_type type;
};
extern const struct bh_release_boot_file bh_release_boot_files[BH_RELEASE_BOOT_FILES];

struct bh_derived {
    struct bh_boot_images images;
    bool has_images;
    struct bh_layout layout;
    void *tree; /* NULL: the guest has none of ours */
    size_t tree_bytes;
    uint8_t start[BH_START_CODE_BYTES];
    char names[BH_RELEASE_GUEST_SECTIONS][BH_IMAGE_SECTION_NAME_MAX + 1u];
    struct bh_image_source sources[BH_RELEASE_GUEST_SECTIONS];
    uint32_t source_count;
};

/* Opens the guest's boot files, lays it out, and lists its sections. After an error, said in
 * `diagnostics`, it is finished all the same. */
int bh_derived_make(struct bh_derived *derived, const struct bh_platform *platform,
                    const struct bh_guest *guest, struct bh_diagnostics *diagnostics);
void bh_derived_finish(struct bh_derived *derived);

#endif
