/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An opened image, as reader.c (header, table, signature) and load.c (sections) share it. Private
 * to platform/image/.
 */
#ifndef PLATFORM_IMAGE_READER_H
#define PLATFORM_IMAGE_READER_H

#include "image.h"

enum bh_image_state {
    BH_IMAGE_OPENED,
    BH_IMAGE_LOOKED_AT,
    BH_IMAGE_VERIFIED,
    BH_IMAGE_LOADED,
};

struct bh_image {
    enum bh_image_state state;
    int fd;
    char *path;
    uint8_t *bytes; /* what is signed */
    uint8_t signature[BH_IMAGE_SIGNATURE_BYTES];
    struct bh_image_facts facts;
    struct bh_image_section *sections;
};

/* The file could not be read at some place: it became shorter, or the host failed. `result` is what
 * bh_image_pread returned. */
int bh_image_refuse_read(const char *path, int result, struct bh_image_refusal *refusal);

#endif
