/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The signer: opens the private key that the user named, and signs with it. What a token does is
 * pkcs11.c's. Every signature is verified before it is given away: a token whose public key belongs
 * to another private key would otherwise be noticed in the vehicle.
 */
#include "signer.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"

#define PEM_BYTES_MAX 65536u
#define PKCS11_SCHEME "pkcs11:"
#define PROMPT_BYTES  256u

struct bh_image_signer {
    EVP_PKEY *key;           /* of a token: the public one only */
    struct bh_pkcs11 *token; /* NULL: `key` signs */
    uint8_t id[BH_IMAGE_KEY_ID_BYTES];
};

/* What became of asking for the passphrase of a PEM file. */
struct passphrase {
    const char *path;
    int result; /* BH_STATE: nobody was asked */
};

static int ask_passphrase(char *to, int size, int writing, void *context)
{
    struct passphrase *passphrase = context;
    char prompt[PROMPT_BYTES];
    (void)writing;
    (void)snprintf(prompt, sizeof(prompt), "Passphrase of %.200s: ", passphrase->path);
    passphrase->result = bh_image_secret_ask(prompt, to, (size_t)size);
    return passphrase->result == BH_OK ? (int)strlen(to) : -1;
}

static int refuse_pem(const char *path, const char *text, int asked,
                      struct bh_image_refusal *refusal)
{
    if (asked == BH_UNSUPPORTED) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: this key is encrypted, and there is no terminal to ask for its "
                               "passphrase; run this on a terminal, or keep the key on a token "
                               "(`pkcs11:` URI with pin-source)",
                               path);
    }
    if (asked != BH_STATE) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: the passphrase is not that of this key; try again", path);
    }
    if (strstr(text, "BEGIN PUBLIC KEY-----") != NULL) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: this is a public key, which cannot sign; name the private key",
                               path);
    }
    return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                           "%s: this is no private key in PEM form; `openssl genpkey -algorithm "
                           "ed25519 -out FILE` makes one",
                           path);
}

static int open_text(struct bh_image_signer *signer, const char *path, const char *text,
                     size_t length, struct bh_image_refusal *refusal)
{
    struct passphrase passphrase = {path, BH_STATE};
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    if (bio == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    signer->key = PEM_read_bio_PrivateKey(bio, NULL, ask_passphrase, &passphrase);
    BIO_free(bio);
    ERR_clear_error();
    if (signer->key == NULL) {
        return refuse_pem(path, text, passphrase.result, refusal);
    }
    if (EVP_PKEY_get_base_id(signer->key) != EVP_PKEY_ED25519) {
        const char *type = EVP_PKEY_get0_type_name(signer->key);
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: this key is of type %s; images are signed with Ed25519: "
                               "`openssl genpkey -algorithm ed25519 -out FILE` makes such a key",
                               path, type != NULL ? type : "unknown");
    }
    return BH_OK;
}

static int open_file(struct bh_image_signer *signer, const char *path,
                     struct bh_image_refusal *refusal)
{
    char text[PEM_BYTES_MAX + 1u];
    size_t length = 0;
    int result = bh_image_small_file(path, text, sizeof(text), &length);
    if (result == BH_OK) {
        result = open_text(signer, path, text, length, refusal);
    } else if (result == BH_INVALID || result == BH_LIMIT) {
        result = refuse_pem(path, "", BH_STATE, refusal);
    } else {
        result = bh_image_refuse_host(refusal, result,
                                      "%s: the key cannot be read: %s; name the file of a private "
                                      "key that you may read, or a pkcs11: URI",
                                      path, strerror(errno));
    }
    OPENSSL_cleanse(text, sizeof(text));
    return result;
}

static int open_token(struct bh_image_signer *signer, const char *uri,
                      struct bh_image_refusal *refusal)
{
    uint8_t public_key[BH_ED25519_PUBLIC_BYTES];
    int result = bh_pkcs11_open(&signer->token, uri, public_key, refusal);
    if (result != BH_OK) {
        return result;
    }
    signer->key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, sizeof(public_key));
    return signer->key != NULL ? BH_OK : bh_image_refuse_memory(refusal);
}

int bh_image_signer_open(struct bh_image_signer **signer, const char *key,
                         struct bh_image_refusal *refusal)
{
    struct bh_image_signer *self = calloc(1, sizeof(*self));
    *signer = NULL;
    if (self == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    bh_image_crypto_ready();
    int result = strncmp(key, PKCS11_SCHEME, strlen(PKCS11_SCHEME)) == 0
                     ? open_token(self, key, refusal)
                     : open_file(self, key, refusal);
    if (result == BH_OK && bh_image_key_id(self->key, self->id) != BH_OK) {
        result = bh_image_refuse_memory(refusal);
    }
    if (result != BH_OK) {
        bh_image_signer_close(self);
        return result;
    }
    *signer = self;
    return BH_OK;
}

void bh_image_signer_close(struct bh_image_signer *signer)
{
    if (signer != NULL) {
        EVP_PKEY_free(signer->key);
        bh_pkcs11_close(signer->token);
        free(signer);
    }
}

const uint8_t *bh_image_signer_id(const struct bh_image_signer *signer)
{
    return signer->id;
}

static int sign_here(EVP_PKEY *key, const uint8_t *bytes, size_t size, uint8_t *signature,
                     struct bh_image_refusal *refusal)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t length = BH_IMAGE_SIGNATURE_BYTES;
    bool done = context != NULL && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &length, bytes, size) == 1;
    EVP_MD_CTX_free(context);
    return done && length == BH_IMAGE_SIGNATURE_BYTES ? BH_OK : bh_image_refuse_memory(refusal);
}

int bh_image_sign(struct bh_image_signer *signer, const uint8_t *bytes, size_t size,
                  uint8_t signature[BH_IMAGE_SIGNATURE_BYTES], struct bh_image_refusal *refusal)
{
    int result = signer->token != NULL
                     ? bh_pkcs11_sign(signer->token, bytes, size, signature, refusal)
                     : sign_here(signer->key, bytes, size, signature, refusal);
    if (result != BH_OK) {
        return result;
    }
    if (!bh_image_signature_good(signer->key, bytes, size, signature)) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the signature does not fit the public key: private and public key "
                               "of the token are not a pair; put the public key that belongs to "
                               "the private one on it");
    }
    return BH_OK;
}
