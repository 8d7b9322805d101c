/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A folder with two signing keys, a small image made with one of them, and hands to change it byte
 * by byte and to sign the result again.
 */
#ifndef IMAGE_RIG_H
#define IMAGE_RIG_H

#include "platform/image/image.h"

#define IMAGE_RIG_PATH    128u
#define IMAGE_RIG_KERNEL  5000u /* bytes: two pages, the second not full */
#define IMAGE_RIG_TABLE   (BH_IMAGE_HEADER_BYTES + 2u * BH_IMAGE_ENTRY_BYTES)
#define IMAGE_RIG_SIGNED  (IMAGE_RIG_TABLE + BH_IMAGE_SIGNATURE_BYTES)
#define IMAGE_RIG_FIRST   4096u /* where the sections begin */
#define IMAGE_RIG_SECOND  8192u
#define IMAGE_RIG_BYTES   16384u
#define IMAGE_RIG_JSON    "{\"name\":\"cockpit\"}\n"
#define IMAGE_RIG_JSON_AT IMAGE_RIG_FIRST

struct image_rig {
    char folder[64];
    char key[IMAGE_RIG_PATH];     /* the private key, PEM */
    char trusted[IMAGE_RIG_PATH]; /* its public key */
    char other[IMAGE_RIG_PATH];   /* another private key */
    char other_public[IMAGE_RIG_PATH];
    char image[IMAGE_RIG_PATH];        /* sections "platform" and "cluster/kernel", index 7 */
    uint8_t bytes[IMAGE_RIG_BYTES];    /* of the image, as it was made */
    struct bh_image_keys *keys;        /* with `trusted` */
    struct bh_image_refusal refusal;   /* what was said last */
    struct bh_image_source sources[2]; /* what the image was made of */
    struct bh_image_content content;
};

int image_rig_setup(void **state);
int image_rig_teardown(void **state);

/* A path in the rig's folder. */
void image_rig_path(const struct image_rig *rig, const char *name, char path[IMAGE_RIG_PATH]);

void image_rig_write(const char *path, const void *bytes, size_t size);
size_t image_rig_read(const char *path, void *bytes, size_t size);

/* Writes rig->content, signed with the key at `key`. */
int image_rig_make(struct image_rig *rig, const char *key, const char *path);

/* Opens, verifies and loads what is at rig->image: the reason for which it is refused. */
enum bh_image_reason image_rig_judge(struct image_rig *rig);

/* Puts `size` bytes of rig->bytes, changed by the caller, in the image's place. */
void image_rig_put(struct image_rig *rig, size_t size);

/* Signs header and table of rig->bytes with the trusted key, and puts them in place. */
void image_rig_sign_and_put(struct image_rig *rig);

#endif
