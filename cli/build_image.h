/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of `bulkhead build` that signs an image. Private to cli/. */
#ifndef BULKHEAD_CLI_BUILD_IMAGE_H
#define BULKHEAD_CLI_BUILD_IMAGE_H

#include <stdbool.h>

#include "bulkhead/platform_release.h"

#define BH_CLI_IMAGE_ENDING ".image"

/* What the user wrote. NULL: not given. */
struct bh_cli_sign_words {
    const char *key;
    const char *rollback;
    const char *release;
};

/* Reads and checks them. -1: `setup` is filled, or no image is asked for (setup->key is NULL);
 * otherwise what the command ends with, said. */
int bh_cli_sign_read(const struct bh_cli_sign_words *words, struct bh_release_setup *setup);

/* Writes NAME.image into `folder`. What the command ends with; what is wrong was said. */
int bh_cli_build_image(const struct bh_platform *platform, const struct bh_release_setup *setup,
                       const char *folder);

#endif
