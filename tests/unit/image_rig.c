/* SPDX-License-Identifier: BSD-2-Clause */
/* See image_rig.h. */
#include "image_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"

static uint8_t kernel[IMAGE_RIG_KERNEL];

void image_rig_path(const struct image_rig *rig, const char *name, char path[IMAGE_RIG_PATH])
{
    assert_in_range(snprintf(path, IMAGE_RIG_PATH, "%s/%s", rig->folder, name), 1,
                    IMAGE_RIG_PATH - 1u);
}

void image_rig_write(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

size_t image_rig_read(const char *path, void *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t got = fread(bytes, 1, size, file);
    assert_int_equal(fclose(file), 0);
    return got;
}

/* The key pair that always comes from `number`. */
static EVP_PKEY *make_key(uint8_t number)
{
    uint8_t seed[32];
    memset(seed, number, sizeof(seed));
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    assert_non_null(key);
    return key;
}

static void write_key(uint8_t number, const char *path, const char *public_path)
{
    EVP_PKEY *key = make_key(number);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(public_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
}

int image_rig_make(struct image_rig *rig, const char *key, const char *path)
{
    struct bh_image_signer *signer;
    int result = bh_image_signer_open(&signer, key, &rig->refusal);
    if (result == BH_OK) {
        result = bh_image_write(&rig->content, signer, path, &rig->refusal);
        bh_image_signer_close(signer);
    }
    return result;
}

int image_rig_setup(void **state)
{
    struct image_rig *rig = calloc(1, sizeof(*rig));
    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/bulkhead-image-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    image_rig_path(rig, "key", rig->key);
    image_rig_path(rig, "trusted.pem", rig->trusted);
    image_rig_path(rig, "other", rig->other);
    image_rig_path(rig, "other.pub", rig->other_public);
    image_rig_path(rig, "image", rig->image);
    write_key(1, rig->key, rig->trusted);
    write_key(2, rig->other, rig->other_public);
    for (size_t i = 0; i < sizeof(kernel); i++) {
        kernel[i] = (uint8_t)(i * 7u + 1u);
    }
    rig->sources[0] = (struct bh_image_source){.type = BH_IMAGE_PLATFORM,
                                               .name = "platform",
                                               .bytes = IMAGE_RIG_JSON,
                                               .size = strlen(IMAGE_RIG_JSON)};
    rig->sources[1] = (struct bh_image_source){
        .type = BH_IMAGE_KERNEL, .name = "cluster/kernel", .bytes = kernel, .size = sizeof(kernel)};
    rig->content = (struct bh_image_content){"cockpit", "2026.1 rc", 7, rig->sources, 2};
    rig->keys = bh_image_keys_create();
    assert_non_null(rig->keys);
    assert_int_equal(bh_image_keys_file(rig->keys, rig->trusted, &rig->refusal), BH_OK);
    assert_int_equal(image_rig_make(rig, rig->key, rig->image), BH_OK);
    assert_int_equal(image_rig_read(rig->image, rig->bytes, sizeof(rig->bytes)), IMAGE_RIG_BYTES);
    *state = rig;
    return 0;
}

int image_rig_teardown(void **state)
{
    struct image_rig *rig = *state;
    char path[IMAGE_RIG_PATH];
    DIR *folder = opendir(rig->folder);
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        image_rig_path(rig, entry->d_name, path);
        if (unlink(path) != 0) {
            (void)rmdir(path);
        }
    }
    (void)closedir(folder);
    assert_int_equal(rmdir(rig->folder), 0);
    bh_image_keys_destroy(rig->keys);
    free(rig);
    return 0;
}

enum bh_image_reason image_rig_judge(struct image_rig *rig)
{
    struct bh_image *image;
    rig->refusal = (struct bh_image_refusal){.reason = BH_IMAGE_NOT_REFUSED};
    int result = bh_image_open(&image, rig->image, &rig->refusal);
    if (result == BH_OK) {
        result = bh_image_verify(image, rig->keys, &rig->refusal);
    }
    if (result == BH_OK) {
        result = bh_image_load(image, &rig->refusal);
    }
    assert_int_equal(result == BH_OK, rig->refusal.reason == BH_IMAGE_NOT_REFUSED);
    if (result != BH_OK) {
        assert_non_null(strstr(rig->refusal.text, rig->image));
        assert_non_null(strstr(rig->refusal.text, "; ")); /* what to do */
        assert_null(strchr(rig->refusal.text, '\n'));
    }
    bh_image_close(image);
    return rig->refusal.reason;
}

void image_rig_put(struct image_rig *rig, size_t size)
{
    image_rig_write(rig->image, rig->bytes, size);
}

void image_rig_sign_and_put(struct image_rig *rig)
{
    uint8_t bytes[BH_IMAGE_CONTEXT_BYTES + IMAGE_RIG_TABLE];
    size_t length = BH_IMAGE_SIGNATURE_BYTES;
    EVP_PKEY *key = make_key(1);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    memcpy(bytes, "Bulkhead platform image, signed\0", BH_IMAGE_CONTEXT_BYTES);
    memcpy(bytes + BH_IMAGE_CONTEXT_BYTES, rig->bytes, IMAGE_RIG_TABLE);
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, rig->bytes + IMAGE_RIG_TABLE, &length, bytes, sizeof(bytes)), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    image_rig_put(rig, sizeof(rig->bytes));
}
