/* SPDX-License-Identifier: BSD-2-Clause */
/* A platform image, read: what an unchanged one gives, and how every change of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "image_rig.h"

static struct bh_image *open_image(struct image_rig *rig)
{
    struct bh_image *image;
    assert_int_equal(bh_image_open(&image, rig->image, &rig->refusal), BH_OK);
    return image;
}

static struct bh_image *verify_image(struct image_rig *rig)
{
    struct bh_image *image = open_image(rig);
    assert_int_equal(bh_image_verify(image, rig->keys, &rig->refusal), BH_OK);
    return image;
}

static void test_image_gives_what_it_was_made_of(void **state)
{
    struct image_rig *rig = *state;
    struct bh_image *image = verify_image(rig);
    const struct bh_image_facts *facts = bh_image_facts(image);
    assert_string_equal(facts->name, "cockpit");
    assert_string_equal(facts->release, "2026.1 rc");
    assert_int_equal(facts->rollback, 7);
    assert_int_equal(facts->bytes, IMAGE_RIG_BYTES);
    assert_int_equal(facts->section_count, 2);
    assert_string_equal(bh_image_keys_origin(rig->keys, facts->key_id), rig->trusted);
    const struct bh_image_section *section = bh_image_find(image, "cluster/kernel");
    assert_ptr_equal(section, bh_image_section(image, 1));
    assert_int_equal(section->type, BH_IMAGE_KERNEL);
    assert_int_equal(section->size, IMAGE_RIG_KERNEL);
    assert_int_equal(section->offset, IMAGE_RIG_SECOND);
    assert_int_equal(section->fd, -1);
    assert_null(bh_image_find(image, "cluster/initrd"));
    assert_null(bh_image_section(image, 2));
    bh_image_close(image);
}

static void test_image_sections_are_sealed_memory(void **state)
{
    struct image_rig *rig = *state;
    uint8_t got[IMAGE_RIG_KERNEL + 1u];
    struct bh_image *image = verify_image(rig);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_OK);
    for (uint32_t i = 0; i < 2; i++) {
        const struct bh_image_section *section = bh_image_section(image, i);
        assert_int_equal(pread(section->fd, got, sizeof(got), 0), section->size);
        assert_memory_equal(got, rig->sources[i].bytes, rig->sources[i].size);
        assert_int_equal(fcntl(section->fd, F_GET_SEALS) &
                             (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
                         F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        assert_int_equal(pwrite(section->fd, got, 1, 0), -1);
        assert_int_equal(lseek(section->fd, 0, SEEK_CUR), 0);
        assert_int_equal(fcntl(section->fd, F_GETFD), FD_CLOEXEC);
    }
    bh_image_close(image);
}

/* Format 1 for ever: these bytes come from this content and key on every host. */
static void test_image_bytes_never_change(void **state)
{
    struct image_rig *rig = *state;
    static const char expected[] =
        "fc2fa238741ec332bd936cd01f7e624554779e3c1888a6f35092cb1cb6943efc";
    uint8_t digest[BH_IMAGE_DIGEST_BYTES];
    char text[2u * sizeof(digest) + 1u];
    char second[IMAGE_RIG_PATH];
    uint8_t bytes[IMAGE_RIG_BYTES];
    image_rig_path(rig, "second", second);
    assert_int_equal(image_rig_make(rig, rig->key, second), BH_OK);
    assert_int_equal(image_rig_read(second, bytes, sizeof(bytes)), sizeof(bytes));
    assert_memory_equal(bytes, rig->bytes, sizeof(bytes));
    assert_int_equal(EVP_Digest(bytes, sizeof(bytes), digest, NULL, EVP_sha256(), NULL), 1);
    for (size_t i = 0; i < sizeof(digest); i++) {
        (void)snprintf(text + 2u * i, 3, "%02x", digest[i]);
    }
    assert_string_equal(text, expected);
}

/* ------------------------------------------------------------------------------------------------
 * every byte, every length */

static enum bh_image_reason expected_of_header(size_t at)
{
    if (at < 8) {
        return BH_IMAGE_NOT_AN_IMAGE;
    }
    if (at < 12) {
        return BH_IMAGE_OTHER_FORMAT;
    }
    return at >= 32 && at < 48 ? BH_IMAGE_FOREIGN : BH_IMAGE_BAD_SIGNATURE;
}

static void test_image_every_signed_byte_counts(void **state)
{
    struct image_rig *rig = *state;
    for (size_t at = 0; at < IMAGE_RIG_SIGNED; at++) {
        for (unsigned int bit = 0; bit < 8; bit++) {
            rig->bytes[at] ^= (uint8_t)(1u << bit);
            image_rig_put(rig, IMAGE_RIG_BYTES);
            enum bh_image_reason reason = image_rig_judge(rig);
            bool is_count = at >= 12 && at < 16;
            if (is_count) { /* another table, or more of it than there is */
                assert_true(reason == BH_IMAGE_BAD_SIGNATURE || reason == BH_IMAGE_MALFORMED ||
                            reason == BH_IMAGE_TRUNCATED);
            } else {
                assert_int_equal(reason, expected_of_header(at));
            }
            rig->bytes[at] ^= (uint8_t)(1u << bit);
        }
    }
    image_rig_put(rig, IMAGE_RIG_BYTES);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_REFUSED);
}

static void test_image_every_other_byte_counts(void **state)
{
    struct image_rig *rig = *state;
    size_t json_end = IMAGE_RIG_FIRST + strlen(IMAGE_RIG_JSON);
    for (size_t at = IMAGE_RIG_SIGNED; at < IMAGE_RIG_BYTES; at++) {
        bool is_json = at >= IMAGE_RIG_FIRST && at < json_end;
        bool is_kernel = at >= IMAGE_RIG_SECOND && at < IMAGE_RIG_SECOND + IMAGE_RIG_KERNEL;
        rig->bytes[at] ^= (uint8_t)(1u << (at % 8u));
        image_rig_put(rig, IMAGE_RIG_BYTES);
        enum bh_image_reason reason = image_rig_judge(rig);
        assert_int_equal(reason,
                         is_json || is_kernel ? BH_IMAGE_BAD_SECTION : BH_IMAGE_BAD_PADDING);
        assert_true(!is_json || strstr(rig->refusal.text, "section platform ") != NULL);
        assert_true(!is_kernel || strstr(rig->refusal.text, "section cluster/kernel ") != NULL);
        rig->bytes[at] ^= (uint8_t)(1u << (at % 8u));
    }
}

static void test_image_every_length_counts(void **state)
{
    struct image_rig *rig = *state;
    for (size_t size = IMAGE_RIG_BYTES; size > 0; size--) {
        assert_int_equal(truncate(rig->image, (off_t)(size - 1u)), 0);
        assert_int_equal(image_rig_judge(rig),
                         size - 1u < 8u ? BH_IMAGE_NOT_AN_IMAGE : BH_IMAGE_TRUNCATED);
    }
}

static void test_image_nothing_may_follow(void **state)
{
    struct image_rig *rig = *state;
    assert_int_equal(truncate(rig->image, (off_t)IMAGE_RIG_BYTES + 1), 0);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_TRAILING);
    assert_non_null(strstr(rig->refusal.text, ": 1 bytes follow"));
}

/* ------------------------------------------------------------------------------------------------
 * who signed, and when */

static void test_image_foreign(void **state)
{
    struct image_rig *rig = *state;
    struct bh_image *image;
    char id[BH_IMAGE_KEY_ID_TEXT];
    assert_int_equal(image_rig_make(rig, rig->other, rig->image), BH_OK);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_FOREIGN);
    assert_non_null(strstr(rig->refusal.text, "foreign"));
    image = open_image(rig);
    assert_int_equal(bh_image_look(image, &rig->refusal), BH_OK);
    bh_image_key_id_text(bh_image_facts(image)->key_id, id);
    bh_image_close(image);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_FOREIGN);
    assert_non_null(strstr(rig->refusal.text, id)); /* whose it is */
    assert_int_equal(bh_image_keys_file(rig->keys, rig->other_public, &rig->refusal), BH_OK);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_REFUSED);
}

static void test_image_with_nobody_to_trust(void **state)
{
    struct image_rig *rig = *state;
    bh_image_keys_destroy(rig->keys);
    rig->keys = bh_image_keys_create();
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NO_KEYS);
    assert_non_null(strstr(rig->refusal.text, "--key"));
}

static void test_image_a_signature_of_something_else_is_none(void **state)
{
    struct image_rig *rig = *state;
    size_t length = BH_IMAGE_SIGNATURE_BYTES;
    char pem[512] = {0};
    (void)image_rig_read(rig->key, pem, sizeof(pem) - 1u);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, key), 1);
    /* The same key over the same bytes, without the context. */
    assert_int_equal(
        EVP_DigestSign(context, rig->bytes + IMAGE_RIG_TABLE, &length, rig->bytes, IMAGE_RIG_TABLE),
        1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    image_rig_put(rig, IMAGE_RIG_BYTES);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_BAD_SIGNATURE);
}

static void test_image_older(void **state)
{
    struct image_rig *rig = *state;
    struct bh_image *image = verify_image(rig);
    assert_int_equal(bh_image_not_older(image, 0, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_not_older(image, 7, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_not_older(image, 8, &rig->refusal), BH_DENIED);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_OLDER);
    assert_non_null(strstr(rig->refusal.text, "rollback index is 7"));
    assert_non_null(strstr(rig->refusal.text, "with 8 has run"));
    assert_int_equal(bh_image_not_older(image, UINT64_MAX, &rig->refusal), BH_DENIED);
    bh_image_close(image);
}

/* ------------------------------------------------------------------------------------------------
 * steps in their order */

static void test_image_is_loaded_only_when_verified(void **state)
{
    struct image_rig *rig = *state;
    struct bh_image *image = open_image(rig);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_STATE);
    assert_int_equal(bh_image_look(image, &rig->refusal), BH_OK);
    assert_string_equal(bh_image_facts(image)->name, "cockpit");
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_STATE);
    assert_int_equal(bh_image_look(image, &rig->refusal), BH_STATE);
    assert_int_equal(bh_image_verify(image, rig->keys, &rig->refusal), BH_STATE);
    bh_image_close(image);
    image = verify_image(rig);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_STATE);
    bh_image_close(image);
}

static void write_at(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
    assert_int_equal(close(fd), 0);
}

static void test_image_that_changes_while_it_is_read(void **state)
{
    struct image_rig *rig = *state;
    char got[8] = {0};
    struct bh_image *image = verify_image(rig);
    write_at(rig->image, IMAGE_RIG_JSON_AT, "XX");
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_DENIED);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_BAD_SECTION);
    assert_int_equal(bh_image_section(image, 0)->fd, -1); /* nothing is left to be used */
    bh_image_close(image);

    image_rig_put(rig, IMAGE_RIG_BYTES);
    image = verify_image(rig);
    assert_int_equal(truncate(rig->image, IMAGE_RIG_SECOND + 1), 0);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_PROTOCOL);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_TRUNCATED);
    bh_image_close(image);

    image_rig_put(rig, IMAGE_RIG_BYTES);
    image = verify_image(rig);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_OK);
    write_at(rig->image, IMAGE_RIG_JSON_AT, "XX");
    assert_int_equal(pread(bh_image_section(image, 0)->fd, got, 7, 0), 7);
    assert_memory_equal(got, IMAGE_RIG_JSON, 7);
    bh_image_close(image);
}

static void test_image_that_is_none(void **state)
{
    struct image_rig *rig = *state;
    struct bh_image *image;
    assert_int_equal(unlink(rig->image), 0);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_HOST);
    assert_int_equal(bh_image_open(&image, rig->image, &rig->refusal), BH_GONE);
    assert_null(image);
    assert_int_equal(mkfifo(rig->image, 0600), 0);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_AN_IMAGE);
    assert_int_equal(unlink(rig->image), 0);
    assert_int_equal(mkdir(rig->image, 0700), 0);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_AN_IMAGE);
    assert_int_equal(rmdir(rig->image), 0);
    image_rig_write(rig->image, "bulkhead: 1\nname: cockpit\n", 26);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_AN_IMAGE);
}

static void test_image_words(void **state)
{
    (void)state;
    for (int i = 0; i < (int)BH_IMAGE_REASONS; i++) {
        assert_true(strlen(bh_image_reason_name((enum bh_image_reason)i)) > 3);
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(bh_image_reason_name((enum bh_image_reason)i),
                                    bh_image_reason_name((enum bh_image_reason)j));
        }
    }
    assert_string_equal(bh_image_reason_name(BH_IMAGE_REASONS), "unknown");
    assert_null(bh_image_type_name((enum bh_image_type)0));
    assert_null(bh_image_type_name(BH_IMAGE_TYPES));
    for (int i = BH_IMAGE_PLATFORM; i < (int)BH_IMAGE_TYPES; i++) {
        assert_non_null(bh_image_type_name((enum bh_image_type)i));
    }
    bh_image_close(NULL);
    bh_image_keys_destroy(NULL);
    bh_image_signer_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, image_rig_setup, image_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_image_gives_what_it_was_made_of),
        TEST(test_image_sections_are_sealed_memory),
        TEST(test_image_bytes_never_change),
        TEST(test_image_every_signed_byte_counts),
        TEST(test_image_every_other_byte_counts),
        TEST(test_image_every_length_counts),
        TEST(test_image_nothing_may_follow),
        TEST(test_image_foreign),
        TEST(test_image_with_nobody_to_trust),
        TEST(test_image_a_signature_of_something_else_is_none),
        TEST(test_image_older),
        TEST(test_image_is_loaded_only_when_verified),
        TEST(test_image_that_changes_while_it_is_read),
        TEST(test_image_that_is_none),
        cmocka_unit_test(test_image_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
