/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the reader asks of the trusted keys. Private to platform/image/.
 */
#ifndef PLATFORM_IMAGE_KEYS_H
#define PLATFORM_IMAGE_KEYS_H

#include "image.h"

/* The id of the first key of at least one. */
const uint8_t *bh_image_keys_first(const struct bh_image_keys *keys);

/* NULL: not trusted. The keys' own. */
EVP_PKEY *bh_image_keys_find(const struct bh_image_keys *keys,
                             const uint8_t id[BH_IMAGE_KEY_ID_BYTES]);

#endif
