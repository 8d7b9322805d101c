/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys: which files and folders are believed, which are refused, and URIs of keys on tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "image_rig.h"
#include "platform/image/keys.h"
#include "platform/image/pkcs11_uri.h"

static void refused_key(struct image_rig *rig, const char *path, const char *said)
{
    assert_int_equal(bh_image_keys_file(rig->keys, path, &rig->refusal), BH_INVALID);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_BAD_KEY);
    assert_non_null(strstr(rig->refusal.text, path));
    assert_non_null(strstr(rig->refusal.text, said));
}

static void refused_signer(struct image_rig *rig, const char *key, const char *said)
{
    struct bh_image_signer *signer;
    assert_int_equal(bh_image_signer_open(&signer, key, &rig->refusal), BH_INVALID);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_BAD_KEY);
    assert_non_null(strstr(rig->refusal.text, said));
    assert_null(signer);
}

/* A key of the wrong kind, private and public. */
static void write_curve_key(const char *path, const char *public_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file = fopen(path, "w");
    assert_true(key != NULL && file != NULL);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(public_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PUBKEY(file, key), 1);
    assert_int_equal(fclose(file), 0);
    EVP_PKEY_free(key);
}

static void test_image_key_files_that_are_none(void **state)
{
    struct image_rig *rig = *state;
    static char large[70000];
    char curve[IMAGE_RIG_PATH];
    char path[IMAGE_RIG_PATH];
    image_rig_path(rig, "curve", curve);
    image_rig_path(rig, "file", path);
    refused_key(rig, rig->key, "private key");
    refused_key(rig, rig->folder, "no key file");
    refused_key(rig, rig->image, "no public key");
    write_curve_key(curve, path);
    refused_key(rig, path, "type EC");
    image_rig_write(path, "", 0);
    refused_key(rig, path, "no public key");
    memset(large, '\n', sizeof(large));
    image_rig_write(path, large, sizeof(large));
    refused_key(rig, path, "too large");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bh_image_keys_file(rig->keys, path, &rig->refusal), BH_GONE);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_HOST);
    assert_int_equal(bh_image_keys_count(rig->keys), 1);

    refused_signer(rig, rig->trusted, "public key");
    refused_signer(rig, rig->folder, "no private key");
    refused_signer(rig, rig->image, "no private key");
    refused_signer(rig, curve, "type EC");
}

/* Each key of a file counts, the same one once; a damaged one spoils the file. */
static void test_image_several_keys_in_a_file(void **state)
{
    struct image_rig *rig = *state;
    char text[2048] = "The keys of our plants:\n";
    char path[IMAGE_RIG_PATH];
    size_t length = strlen(text);
    length += image_rig_read(rig->other_public, text + length, 512);
    length += image_rig_read(rig->trusted, text + length, 512);
    image_rig_path(rig, "both.pem", path);
    image_rig_write(path, text, length);
    assert_int_equal(bh_image_keys_file(rig->keys, path, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_keys_count(rig->keys), 2);
    length += (size_t)snprintf(text + length, sizeof(text) - length,
                               "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n");
    image_rig_write(path, text, length);
    refused_key(rig, path, "no public key");
}

static void test_image_too_many_keys(void **state)
{
    struct image_rig *rig = *state;
    char path[IMAGE_RIG_PATH];
    int result = BH_OK;
    image_rig_path(rig, "one.pem", path);
    for (unsigned int i = 0; i < 70 && result == BH_OK; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 10u), 99};
        EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
        FILE *file = fopen(path, "w");
        assert_true(key != NULL && file != NULL);
        assert_int_equal(PEM_write_PUBKEY(file, key), 1);
        assert_int_equal(fclose(file), 0);
        EVP_PKEY_free(key);
        result = bh_image_keys_file(rig->keys, path, &rig->refusal);
    }
    assert_int_equal(result, BH_INVALID);
    assert_non_null(strstr(rig->refusal.text, "more than 64"));
    assert_int_equal(bh_image_keys_count(rig->keys), 64);
}

/* ------------------------------------------------------------------------------------------------
 * folders */

static void test_image_folder_of_keys(void **state)
{
    struct image_rig *rig = *state;
    char path[IMAGE_RIG_PATH];
    struct bh_image_keys *keys = bh_image_keys_create();
    /* `key`, `other` and `other.pub` are no *.pem; neither is a hidden one. */
    image_rig_path(rig, ".hidden.pem", path);
    image_rig_write(path, "nothing", 7);
    assert_int_equal(bh_image_keys_folder(keys, rig->folder, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_keys_count(keys), 1);
    image_rig_path(rig, "z.pem", path);
    image_rig_write(path, "nothing", 7);
    assert_int_equal(bh_image_keys_folder(keys, rig->folder, &rig->refusal), BH_INVALID);
    assert_non_null(strstr(rig->refusal.text, path));
    assert_int_equal(unlink(path), 0);
    image_rig_path(rig, "missing", path);
    assert_int_equal(bh_image_keys_folder(keys, path, &rig->refusal), BH_OK);
    bh_image_keys_destroy(keys);
}

static void test_image_folder_of_keys_that_others_may_write(void **state)
{
    struct image_rig *rig = *state;
    assert_int_equal(chmod(rig->folder, 0777), 0);
    assert_int_equal(bh_image_keys_folder(rig->keys, rig->folder, &rig->refusal), BH_INVALID);
    assert_non_null(strstr(rig->refusal.text, "o-w"));
    assert_int_equal(chmod(rig->folder, 0755), 0);
    assert_int_equal(chmod(rig->trusted, 0666), 0);
    assert_int_equal(bh_image_keys_folder(rig->keys, rig->folder, &rig->refusal), BH_INVALID);
    assert_non_null(strstr(rig->refusal.text, rig->trusted));
    assert_int_equal(bh_image_keys_file(rig->keys, rig->trusted, &rig->refusal), BH_OK);
    if (geteuid() == 0) {
        assert_int_equal(chmod(rig->trusted, 0644), 0);
        assert_int_equal(chown(rig->folder, 65534, (gid_t)-1), 0);
        assert_int_equal(bh_image_keys_folder(rig->keys, rig->folder, &rig->refusal), BH_INVALID);
        assert_non_null(strstr(rig->refusal.text, "another user"));
        assert_int_equal(chown(rig->folder, 0, (gid_t)-1), 0);
    }
}

/* ------------------------------------------------------------------------------------------------
 * URIs */

static void refused_uri(const char *text, const char *said)
{
    struct bh_pkcs11_uri uri;
    struct bh_image_refusal refusal;
    assert_int_equal(bh_pkcs11_uri_read(&uri, text, &refusal), BH_INVALID);
    assert_int_equal(refusal.reason, BH_IMAGE_BAD_KEY);
    assert_non_null(strstr(refusal.text, said));
    assert_null(strstr(refusal.text, "s3cret"));
}

static void test_image_uri_of_a_key(void **state)
{
    struct bh_pkcs11_uri uri;
    struct bh_image_refusal refusal;
    (void)state;
    assert_int_equal(
        bh_pkcs11_uri_read(&uri,
                           "pkcs11:token=Build%20Keys;object=r%c3%A9lease;id=%00%01;type=private"
                           "?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-value=12%2634",
                           &refusal),
        BH_OK);
    assert_string_equal(uri.token.bytes, "Build Keys");
    assert_string_equal(uri.object.bytes, "r\xc3\xa9lease");
    assert_int_equal(uri.id.length, 2);
    assert_memory_equal(uri.id.bytes, "\0\1", 2);
    assert_string_equal(uri.module_path.bytes, "/usr/lib/softhsm/libsofthsm2.so");
    assert_string_equal(uri.pin_value.bytes, "12&34");
    assert_false(uri.serial.given || uri.manufacturer.given || uri.model.given);
    assert_int_equal(bh_pkcs11_uri_read(&uri, "pkcs11:object=a", &refusal), BH_OK);
    assert_false(uri.token.given || uri.id.given || uri.pin_value.given || uri.pin_source.given);
}

static void test_image_uri_that_is_none(void **state)
{
    char text[600] = "pkcs11:object=";
    (void)state;
    refused_uri("pkcs11:", "which key");
    refused_uri("pkcs11:token=a", "which key");
    refused_uri("pkcs11:objekt=a", "'objekt'");
    refused_uri("pkcs11:object", "'object'");
    refused_uri("pkcs11:object=", "no valid value for object");
    refused_uri("pkcs11:object=a;object=b", "two values for object");
    refused_uri("pkcs11:object=a%", "object");
    refused_uri("pkcs11:object=a%4", "object");
    refused_uri("pkcs11:object=a%4g", "object");
    refused_uri("pkcs11:object=a%00b", "object");
    refused_uri("pkcs11:object=a;library-version=3", "'library-version'");
    refused_uri("pkcs11:object=a;pin-value=s3cret", "'pin-value' before any '?'");
    refused_uri("pkcs11:object=a?token=b", "'token' after its '?'");
    refused_uri("pkcs11:object=a;type=cert", "type");
    refused_uri("pkcs11:object=a?pin-value=s3cret&pin-source=/x", "leave one out");
    refused_uri("pkcs11:object=a?pin-value=s3cret%zz", "pin-value");
    memset(text + strlen(text), 'a', 300);
    refused_uri(text, "1 to 255 bytes");
}

static void test_image_module_that_is_none(void **state)
{
    struct image_rig *rig = *state;
    refused_signer(rig, "pkcs11:object=a?module-path=/no/such.so", "cannot be loaded");
    refused_signer(rig, "pkcs11:object=a?module-path=libcrypto.so.3", "no PKCS #11 module");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, image_rig_setup, image_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_image_key_files_that_are_none),
        TEST(test_image_several_keys_in_a_file),
        TEST(test_image_too_many_keys),
        TEST(test_image_folder_of_keys),
        TEST(test_image_folder_of_keys_that_others_may_write),
        cmocka_unit_test(test_image_uri_of_a_key),
        cmocka_unit_test(test_image_uri_that_is_none),
        TEST(test_image_module_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
