/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The public keys that are trusted: read from PEM files, found in folders, looked up by id. Who may
 * change them decides what the vehicle runs, so a folder that others may write to is refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "keys.h"
#include "platform/layout/layout_text.h"

#define KEYS_MAX       64u
#define PEM_BYTES_MAX  65536u
#define KEYS_SUBFOLDER "bulkhead/keys"
#define PEM_ENDING     ".pem"

struct key {
    EVP_PKEY *key;
    char *origin;
    uint8_t id[BH_IMAGE_KEY_ID_BYTES];
};

struct bh_image_keys {
    struct key keys[KEYS_MAX];
    uint32_t count;
};

struct bh_image_keys *bh_image_keys_create(void)
{
    bh_image_crypto_ready();
    return calloc(1, sizeof(struct bh_image_keys));
}

void bh_image_keys_destroy(struct bh_image_keys *keys)
{
    for (uint32_t i = 0; keys != NULL && i < keys->count; i++) {
        EVP_PKEY_free(keys->keys[i].key);
        free(keys->keys[i].origin);
    }
    free(keys);
}

uint32_t bh_image_keys_count(const struct bh_image_keys *keys)
{
    return keys->count;
}

const uint8_t *bh_image_keys_first(const struct bh_image_keys *keys)
{
    return keys->keys[0].id;
}

static const struct key *find(const struct bh_image_keys *keys, const uint8_t *id)
{
    for (uint32_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].id, id, BH_IMAGE_KEY_ID_BYTES) == 0) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

EVP_PKEY *bh_image_keys_find(const struct bh_image_keys *keys,
                             const uint8_t id[BH_IMAGE_KEY_ID_BYTES])
{
    const struct key *key = find(keys, id);
    return key != NULL ? key->key : NULL;
}

const char *bh_image_keys_origin(const struct bh_image_keys *keys,
                                 const uint8_t id[BH_IMAGE_KEY_ID_BYTES])
{
    const struct key *key = find(keys, id);
    return key != NULL ? key->origin : NULL;
}

/* ------------------------------------------------------------------------------------------------
 * files */

/* Takes `key` over, whatever becomes of it. */
static int add(struct bh_image_keys *keys, EVP_PKEY *key, const char *path,
               struct bh_image_refusal *refusal)
{
    struct key *place = &keys->keys[keys->count];
    int result = BH_OK;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) {
        const char *type = EVP_PKEY_get0_type_name(key);
        result = bh_image_refuse(
            refusal, BH_IMAGE_BAD_KEY,
            "%s: this key is of type %s; images are signed with Ed25519: `openssl genpkey "
            "-algorithm ed25519` makes such a key",
            path, type != NULL ? type : "unknown");
    } else if (keys->count == KEYS_MAX) {
        result = bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                                 "%s: more than %u keys are trusted; take old ones away", path,
                                 KEYS_MAX);
    } else if (bh_image_key_id(key, place->id) != BH_OK) {
        result = bh_image_refuse_memory(refusal);
    } else if (find(keys, place->id) == NULL) { /* once is enough */
        place->origin = strdup(path);
        place->key = key;
        if (place->origin != NULL) {
            keys->count++;
            return BH_OK;
        }
        result = bh_image_refuse_memory(refusal);
    }
    EVP_PKEY_free(key);
    return result;
}

static int refuse_pem(const char *path, const char *text, struct bh_image_refusal *refusal)
{
    if (strstr(text, "PRIVATE KEY-----") != NULL) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: this is a private key, which verifies nothing and has to stay "
                               "where images are signed; `openssl pkey -in %s -pubout` prints the "
                               "public one",
                               path, path);
    }
    return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                           "%s: this is no public key in PEM form; `openssl pkey -in PRIVATE-KEY "
                           "-pubout` prints one",
                           path);
}

/* The next key of a text. *ended: there is none, and nothing else that is PEM. NULL otherwise: it is
 * damaged, or no public key. */
static EVP_PKEY *next_key(BIO *bio, bool *ended)
{
    char *name = NULL;
    char *header = NULL;
    unsigned char *data = NULL;
    EVP_PKEY *key = NULL;
    long length = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &length) != 1) {
        *ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    } else if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
        const unsigned char *at = data;
        key = d2i_PUBKEY(NULL, &at, length);
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    ERR_clear_error();
    return key;
}

/* Every key of a text; what stands between them is passed over, as PEM has it. */
static int add_text(struct bh_image_keys *keys, const char *path, const char *text, size_t length,
                    struct bh_image_refusal *refusal)
{
    BIO *bio = BIO_new_mem_buf(text, (int)length);
    if (bio == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    bool ended = false;
    uint32_t found = 0;
    int result = BH_OK;
    for (EVP_PKEY *key = next_key(bio, &ended); key != NULL; key = next_key(bio, &ended)) {
        found++;
        result = add(keys, key, path, refusal);
        if (result != BH_OK) {
            break;
        }
    }
    BIO_free(bio);
    if (result == BH_OK && (found == 0 || !ended)) {
        result = refuse_pem(path, text, refusal);
    }
    return result;
}

int bh_image_keys_file(struct bh_image_keys *keys, const char *path,
                       struct bh_image_refusal *refusal)
{
    char text[PEM_BYTES_MAX + 1u];
    size_t length;
    int result = bh_image_small_file(path, text, sizeof(text), &length);
    if (result == BH_INVALID || result == BH_LIMIT) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: this is no key file%s; name a file with a public key in PEM "
                               "form",
                               path, result == BH_LIMIT ? ", it is too large" : "");
    }
    if (result != BH_OK) {
        return bh_image_refuse_host(refusal, result,
                                    "%s: the key cannot be read: %s; name the file of a public key "
                                    "that you may read",
                                    path, strerror(errno));
    }
    return add_text(keys, path, text, length, refusal);
}

/* ------------------------------------------------------------------------------------------------
 * folders */

/* Whether only root or this user may change what lies there. */
static int check_owner(const char *path, struct bh_image_refusal *refusal)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return bh_image_refuse_host(refusal, bh_file_error(errno),
                                    "%s: trusted keys should be here, and cannot be read: %s; "
                                    "mend it, or name a key with --key",
                                    path, strerror(errno));
    }
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: trusted keys lie here, and it belongs to another user, who "
                               "could trust anybody; `chown root` it, or name a key with --key",
                               path);
    }
    if ((status.st_mode & S_IWOTH) != 0) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s: trusted keys lie here, and everybody may write to it; `chmod "
                               "o-w` it, or name a key with --key",
                               path);
    }
    return BH_OK;
}

static int is_pem(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    size_t ending = strlen(PEM_ENDING);
    return entry->d_name[0] != '.' && length > ending &&
           strcmp(entry->d_name + length - ending, PEM_ENDING) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_entry(struct bh_image_keys *keys, const char *folder, const char *name,
                     struct bh_image_refusal *refusal)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return bh_image_refuse_host(
            refusal, BH_LIMIT, "%.100s...: this path is too long; name a key with --key", folder);
    }
    int result = check_owner(path, refusal);
    return result == BH_OK ? bh_image_keys_file(keys, path, refusal) : result;
}

int bh_image_keys_folder(struct bh_image_keys *keys, const char *path,
                         struct bh_image_refusal *refusal)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_pem, by_bytes);
    if (count < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return BH_OK;
    }
    int result = check_owner(path, refusal);
    if (count < 0 && result == BH_OK) {
        result = bh_image_refuse_host(refusal, BH_DENIED,
                                      "%s: trusted keys should be here, and it cannot be read; let "
                                      "this user read it, or name a key with --key",
                                      path);
    }
    for (int i = 0; i < count; i++) {
        if (result == BH_OK) {
            result = add_entry(keys, path, entries[i]->d_name, refusal);
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

int bh_image_keys_usual(struct bh_image_keys *keys, struct bh_image_refusal *refusal)
{
    char path[PATH_MAX];
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    int result = bh_image_keys_folder(keys, BH_IMAGE_KEYS_FOLDER, refusal);
    if (result != BH_OK) {
        return result;
    }
    /* Relative ones do not count (XDG base directory specification). */
    if (config != NULL && config[0] == '/') {
        length = snprintf(path, sizeof(path), "%s/" KEYS_SUBFOLDER, config);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(path, sizeof(path), "%s/.config/" KEYS_SUBFOLDER, home);
    }
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return BH_OK;
    }
    return bh_image_keys_folder(keys, path, refusal);
}
