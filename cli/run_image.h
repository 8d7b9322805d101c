/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The part of `bulkhead run` that takes a signed image instead of a definition. Private to cli/.
 */
#ifndef BULKHEAD_CLI_RUN_IMAGE_H
#define BULKHEAD_CLI_RUN_IMAGE_H

#include "bulkhead/host_state.h"
#include "bulkhead/platform_release.h"

/* What the user named. NULL: not given. */
struct bh_cli_image_words {
    const char *path;
    const char *key;
    const char *root;
    const char *state;
};

struct bh_cli_image {
    struct bh_image *image; /* NULL: there is none, or it is not needed any more */
    struct bh_image_keys *keys;
    struct bh_state_folder state;
    uint64_t rollback;
};

/* Takes the image at `path`: verifies it, compares its rollback index, loads it, and makes the
 * platform of it. -1: `path` is no image, and may be run as a definition. BH_CLI_OK and *platform;
 * otherwise what the command ends with; everything was said. bh_cli_image_finish follows. */
int bh_cli_image_take(struct bh_cli_image *self, const struct bh_cli_image_words *words,
                      struct bh_platform **platform);

/* The platform has started: its rollback index is noted. For bh_supervisor_setup.ready. */
void bh_cli_image_ready(void *context);

void bh_cli_image_finish(struct bh_cli_image *self);

#endif
