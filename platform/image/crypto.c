/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The look at libcrypto, and at the terminal for a secret. It knows no file and no format.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "image.h"

#define TERMINAL "/dev/tty"

void bh_image_crypto_ready(void)
{
    (void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL);
}

int bh_image_key_id(EVP_PKEY *key, uint8_t id[BH_IMAGE_KEY_ID_BYTES])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned char *info = NULL;
    int bytes = i2d_PUBKEY(key, &info);
    bool done = bytes > 0 && EVP_Digest(info, (size_t)bytes, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(info);
    if (done) {
        memcpy(id, digest, BH_IMAGE_KEY_ID_BYTES);
    }
    return done ? BH_OK : BH_NO_MEMORY;
}

void bh_image_key_id_text(const uint8_t id[BH_IMAGE_KEY_ID_BYTES], char text[BH_IMAGE_KEY_ID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < BH_IMAGE_KEY_ID_BYTES; i++) {
        text[2u * i] = digits[id[i] >> 4];
        text[2u * i + 1u] = digits[id[i] & 0xfu];
    }
    text[BH_IMAGE_KEY_ID_TEXT - 1u] = '\0';
}

bool bh_image_signature_good(EVP_PKEY *key, const uint8_t *bytes, size_t size,
                             const uint8_t signature[BH_IMAGE_SIGNATURE_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context != NULL && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, BH_IMAGE_SIGNATURE_BYTES, bytes, size) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

int bh_image_secret_ask(const char *prompt, char *secret, size_t size)
{
    /* libcrypto would read standard input instead, and echo it. */
    int fd = open(TERMINAL, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return BH_UNSUPPORTED;
    }
    (void)close(fd);
    return EVP_read_pw_string_min(secret, 0, (int)size, prompt, 0) == 0 ? BH_OK : BH_GONE;
}
