/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who signs: a private key from a file (signer.c), or one that stays on a token (pkcs11.c). Private
 * to platform/image/.
 */
#ifndef PLATFORM_IMAGE_SIGNER_H
#define PLATFORM_IMAGE_SIGNER_H

#include "image.h"

#define BH_ED25519_PUBLIC_BYTES 32u

/* Signs, and verifies the signature with the public key. */
int bh_image_sign(struct bh_image_signer *signer, const uint8_t *bytes, size_t size,
                  uint8_t signature[BH_IMAGE_SIGNATURE_BYTES], struct bh_image_refusal *refusal);

/* A key on a token. */
struct bh_pkcs11;

/* Finds the key that `uri` means, and its public key. */
int bh_pkcs11_open(struct bh_pkcs11 **token, const char *uri,
                   uint8_t public_key[BH_ED25519_PUBLIC_BYTES], struct bh_image_refusal *refusal);
void bh_pkcs11_close(struct bh_pkcs11 *token); /* NULL: nothing */
int bh_pkcs11_sign(struct bh_pkcs11 *token, const uint8_t *bytes, size_t size,
                   uint8_t signature[BH_IMAGE_SIGNATURE_BYTES], struct bh_image_refusal *refusal);

#endif
