/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the reader of platform images: the input is the file. Each input is read twice: as
 * it is, and with a good signature put in, so that what follows the signature is reached too.
 * Whatever stands in it, reading ends, refuses with a reason, or hands over sections that are
 * exactly what lies in the file. It does not look at the wording of messages.
 */
#include "fuzz_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "platform/image/image.h"

static struct bh_image_keys *keys; /* the one of the fuzzer */
static EVP_PKEY *private_key;

static void put_file(int fd, const uint8_t *data, size_t size)
{
    FUZZ_CHECK(ftruncate(fd, 0) == 0);
    FUZZ_CHECK(bh_image_pwrite(fd, data, size, 0) == BH_OK);
}

/* Makes the key, and trusts it, through a file like any other. */
static void make_keys(void)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n"
                              "-----END PUBLIC KEY-----\n";
    static const uint8_t seed[32] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    struct bh_image_refusal refusal;
    char path[32];
    int fd = memfd_create("key", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0);
    put_file(fd, (const uint8_t *)pem, sizeof(pem) - 1u);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    keys = bh_image_keys_create();
    private_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof(seed));
    FUZZ_CHECK(keys != NULL && private_key != NULL);
    FUZZ_CHECK(bh_image_keys_file(keys, path, &refusal) == BH_OK);
    (void)close(fd);
}

/* Puts key id and signature in, if there is room for them. */
static bool sign(uint8_t *data, size_t size)
{
    static uint8_t bytes[BH_IMAGE_SIGNED_BYTES(BH_IMAGE_SECTIONS_MAX)];
    size_t length = BH_IMAGE_SIGNATURE_BYTES;
    uint32_t format;
    uint32_t count;
    if (size < BH_IMAGE_HEADER_BYTES ||
        bh_image_start_read(data, &format, &count) != BH_IMAGE_START_GOOD) {
        return false;
    }
    size_t head = BH_IMAGE_SIGNED_BYTES(count) - BH_IMAGE_CONTEXT_BYTES;
    if (size < head + BH_IMAGE_SIGNATURE_BYTES) {
        return false;
    }
    FUZZ_CHECK(bh_image_key_id(private_key, data + 32) == BH_OK);
    memcpy(bytes, bh_image_context, BH_IMAGE_CONTEXT_BYTES);
    memcpy(bytes + BH_IMAGE_CONTEXT_BYTES, data, head);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    FUZZ_CHECK(EVP_DigestSignInit(context, NULL, NULL, NULL, private_key) == 1);
    FUZZ_CHECK(
        EVP_DigestSign(context, data + head, &length, bytes, head + BH_IMAGE_CONTEXT_BYTES) == 1);
    EVP_MD_CTX_free(context);
    return true;
}

static void check_facts(const struct bh_image *image, size_t size)
{
    const struct bh_image_facts *facts = bh_image_facts(image);
    uint64_t end = BH_IMAGE_SIGNED_BYTES(facts->section_count) - BH_IMAGE_CONTEXT_BYTES +
                   BH_IMAGE_SIGNATURE_BYTES;
    FUZZ_CHECK(facts->bytes == size && facts->name[0] >= 'a' && facts->name[0] <= 'z');
    FUZZ_CHECK(facts->section_count >= 1 && facts->section_count <= BH_IMAGE_SECTIONS_MAX);
    FUZZ_CHECK(strlen(facts->name) <= BH_IMAGE_NAME_MAX);
    FUZZ_CHECK(strlen(facts->release) <= BH_IMAGE_RELEASE_MAX && facts->release[0] != '\0');
    for (uint32_t i = 0; i < facts->section_count; i++) {
        const struct bh_image_section *section = bh_image_section(image, i);
        FUZZ_CHECK(section->offset % BH_IMAGE_PAGE == 0 && section->offset >= end);
        FUZZ_CHECK(section->size >= 1 && section->size <= size - section->offset);
        FUZZ_CHECK(bh_image_type_name(section->type) != NULL && section->fd == -1);
        FUZZ_CHECK(bh_image_find(image, section->name) == section);
        end = section->offset + section->size;
    }
}

static void check_sections(const struct bh_image *image, const uint8_t *data)
{
    static uint8_t got[1u << 20];
    uint32_t count = bh_image_facts(image)->section_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct bh_image_section *section = bh_image_section(image, i);
        FUZZ_CHECK(section->size <= sizeof(got));
        FUZZ_CHECK(bh_image_pread(section->fd, got, (size_t)section->size, 0) == BH_OK);
        FUZZ_CHECK(memcmp(got, data + section->offset, (size_t)section->size) == 0);
        FUZZ_CHECK(lseek(section->fd, 0, SEEK_END) == (off_t)section->size);
    }
}

static void check_refusal(int result, const struct bh_image_refusal *refusal)
{
    FUZZ_CHECK(result < 0 && refusal->reason != BH_IMAGE_NOT_REFUSED);
    FUZZ_CHECK(refusal->reason != BH_IMAGE_HOST && strchr(refusal->text, '\n') == NULL);
}

/* Reads the file to the end of what it allows; the last step's result. */
static int read_image(const char *path, const uint8_t *data, size_t size, bool is_signed)
{
    struct bh_image_refusal refusal = {.reason = BH_IMAGE_NOT_REFUSED};
    struct bh_image *image;
    int result = bh_image_open(&image, path, &refusal);
    if (result == BH_OK) {
        result = bh_image_verify(image, keys, &refusal);
        FUZZ_CHECK(
            !is_signed || result == BH_OK ||
            (refusal.reason != BH_IMAGE_BAD_SIGNATURE && refusal.reason != BH_IMAGE_FOREIGN));
    }
    if (result == BH_OK) {
        check_facts(image, size);
        result = bh_image_load(image, &refusal);
        FUZZ_CHECK(result == BH_OK || bh_image_section(image, 0)->fd == -1);
    }
    if (result == BH_OK) {
        check_sections(image, data);
    } else {
        check_refusal(result, &refusal);
    }
    bh_image_close(image);
    return result;
}

/* Who only looks sees the same facts. */
static void look(const char *path, size_t size)
{
    struct bh_image_refusal refusal;
    struct bh_image *image;
    int result = bh_image_open(&image, path, &refusal);
    if (result == BH_OK) {
        result = bh_image_look(image, &refusal);
    }
    if (result == BH_OK) {
        check_facts(image, size);
        FUZZ_CHECK(bh_image_load(image, &refusal) == BH_STATE);
    } else {
        check_refusal(result, &refusal);
    }
    bh_image_close(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (keys == NULL) {
        make_keys();
    }
    char path[32];
    uint8_t *copy = malloc(size + 1u);
    int fd = memfd_create("image", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && copy != NULL);
    memcpy(copy, data, size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    put_file(fd, copy, size);
    (void)read_image(path, copy, size, false);
    look(path, size);
    if (sign(copy, size)) {
        put_file(fd, copy, size);
        (void)read_image(path, copy, size, true);
    }
    (void)close(fd);
    free(copy);
    return 0;
}
