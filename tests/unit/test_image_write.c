/* SPDX-License-Identifier: BSD-2-Clause */
/* A platform image, written: what cannot become one, and signed ones that break the format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "image_rig.h"

/* ------------------------------------------------------------------------------------------------
 * well signed, badly formed: a build tool of somebody else's, or a key that was lent */

struct change {
    size_t at;
    uint8_t bytes[8];
    size_t count;
    const char *said;
};

#define FIRST_ENTRY  BH_IMAGE_HEADER_BYTES
#define SECOND_ENTRY (BH_IMAGE_HEADER_BYTES + BH_IMAGE_ENTRY_BYTES)

static const struct change changes[] = {
    {16, {0x00, 0x50}, 2, "its size is not"},              /* total */
    {48, {0}, 1, "must be zero"},                          /* name: empty */
    {48, {'C'}, 1, "platform's name"},                     /* name */
    {79, {'x'}, 1, "must be zero"},                        /* behind the name */
    {80, {'\n'}, 1, "the release"},                        /* release */
    {80, {0xc3, 0xa9}, 2, "the release"},                  /* not ASCII */
    {112, {1}, 1, "must be zero"},                         /* rest of the header */
    {127, {1}, 1, "must be zero"},                         /* rest of the header */
    {FIRST_ENTRY, {0}, 1, "type is unknown"},              /* type */
    {FIRST_ENTRY, {8}, 1, "type is unknown"},              /* type */
    {FIRST_ENTRY + 3, {1}, 1, "type is unknown"},          /* type */
    {FIRST_ENTRY + 4, {1}, 1, "must be zero"},             /* behind the type */
    {FIRST_ENTRY + 8, {0x01}, 1, "does not begin where"},  /* offset */
    {FIRST_ENTRY + 9, {0x20}, 1, "does not begin where"},  /* offset */
    {SECOND_ENTRY + 9, {0x10}, 1, "does not begin where"}, /* offset: the first's */
    {FIRST_ENTRY + 16, {0}, 1, "empty or too large"},      /* size */
    {FIRST_ENTRY + 20, {0x10}, 1, "empty or too large"},   /* size: 64 GiB */
    {FIRST_ENTRY + 16, {255, 255, 255, 255, 255, 255, 255, 255}, 8, "empty or too large"},
    {FIRST_ENTRY + 56, {' '}, 1, "section's name"}, /* name */
    {FIRST_ENTRY + 57, {0}, 1, "must be zero"},     /* name: cut */
    {FIRST_ENTRY + 120, {1}, 1, "must be zero"},    /* rest of the entry */
    {SECOND_ENTRY + 127, {1}, 1, "must be zero"},   /* rest of the entry */
};

static void test_image_signed_and_malformed(void **state)
{
    struct image_rig *rig = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t kept[8];
        uint8_t *at = rig->bytes + changes[i].at;
        memcpy(kept, at, changes[i].count);
        memcpy(at, changes[i].bytes, changes[i].count);
        image_rig_sign_and_put(rig);
        assert_int_equal(image_rig_judge(rig), BH_IMAGE_MALFORMED);
        assert_non_null(strstr(rig->refusal.text, changes[i].said));
        memcpy(at, kept, changes[i].count);
    }
    image_rig_sign_and_put(rig);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_NOT_REFUSED);
}

static void test_image_signed_with_one_name_twice(void **state)
{
    struct image_rig *rig = *state;
    memcpy(rig->bytes + SECOND_ENTRY + 56, rig->bytes + FIRST_ENTRY + 56,
           BH_IMAGE_SECTION_NAME_MAX);
    image_rig_sign_and_put(rig);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_MALFORMED);
    assert_non_null(strstr(rig->refusal.text, "two sections"));
}

static void put_count(struct image_rig *rig, uint32_t count)
{
    for (unsigned int i = 0; i < 4; i++) {
        rig->bytes[12 + i] = (uint8_t)(count >> (8u * i));
    }
    image_rig_put(rig, IMAGE_RIG_BYTES);
}

static void test_image_number_of_sections(void **state)
{
    struct image_rig *rig = *state;
    put_count(rig, 0);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_MALFORMED);
    put_count(rig, BH_IMAGE_SECTIONS_MAX + 1u);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_MALFORMED);
    put_count(rig, UINT32_MAX);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_MALFORMED);
    put_count(rig, BH_IMAGE_SECTIONS_MAX);
    assert_int_equal(image_rig_judge(rig), BH_IMAGE_TRUNCATED);
}

/* ------------------------------------------------------------------------------------------------
 * content */

/* The image was not written, and nothing lies about. */
static void refused_content(struct image_rig *rig, const char *said)
{
    char path[IMAGE_RIG_PATH];
    image_rig_path(rig, "new", path);
    assert_int_equal(image_rig_make(rig, rig->key, path), BH_INVALID);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_BAD_CONTENT);
    assert_non_null(strstr(rig->refusal.text, said));
    assert_int_equal(access(path, F_OK), -1);
}

static void test_image_content_that_cannot_be_one(void **state)
{
    struct image_rig *rig = *state;
    const struct bh_image_content good = rig->content;
    const struct bh_image_source source = rig->sources[1];
    char longer[BH_IMAGE_SECTION_NAME_MAX + 2u];
    memset(longer, 'a', sizeof(longer) - 1u);
    longer[sizeof(longer) - 1u] = '\0';
    rig->content.name = "Cockpit";
    refused_content(rig, "platform's name");
    rig->content.name = "";
    refused_content(rig, "platform's name");
    rig->content.name = longer;
    refused_content(rig, "32 bytes");
    rig->content = good;
    rig->content.release = "";
    refused_content(rig, "release");
    rig->content.release = "1\n2";
    refused_content(rig, "release");
    rig->content.release = longer;
    refused_content(rig, "32 bytes");
    rig->content = good;
    rig->content.source_count = 0;
    refused_content(rig, "0 sections");
    rig->content.source_count = BH_IMAGE_SECTIONS_MAX + 1u;
    refused_content(rig, "513 sections");
    rig->content = good;
    rig->sources[1].name = "platform";
    refused_content(rig, "two sections");
    rig->sources[1].name = longer;
    refused_content(rig, "longer than 64");
    rig->sources[1].name = "a b";
    refused_content(rig, "section's name");
    rig->sources[1] = source;
    rig->sources[1].size = 0;
    refused_content(rig, "empty");
    rig->sources[1].size = BH_IMAGE_BYTES_MAX;
    refused_content(rig, "64 GiB");
    rig->sources[1] = source;
    rig->sources[1].type = BH_IMAGE_TYPES;
    refused_content(rig, "type");
    rig->sources[1] = source;
    rig->sources[1].bytes = NULL;
    rig->sources[1].fd = -1;
    refused_content(rig, "no regular file");
}

static void test_image_longest_names(void **state)
{
    struct image_rig *rig = *state;
    char name[BH_IMAGE_NAME_MAX + 1u];
    char section[BH_IMAGE_SECTION_NAME_MAX + 1u];
    struct bh_image *image;
    memset(name, 'n', sizeof(name));
    memset(section, 's', sizeof(section));
    name[sizeof(name) - 1u] = '\0';
    section[sizeof(section) - 1u] = '\0';
    rig->content.name = name;
    rig->content.release = name;
    rig->content.rollback = UINT64_MAX;
    rig->sources[1].name = section;
    assert_int_equal(image_rig_make(rig, rig->key, rig->image), BH_OK);
    assert_int_equal(bh_image_open(&image, rig->image, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_verify(image, rig->keys, &rig->refusal), BH_OK);
    assert_string_equal(bh_image_facts(image)->name, name);
    assert_string_equal(bh_image_facts(image)->release, name);
    assert_true(bh_image_facts(image)->rollback == UINT64_MAX);
    assert_non_null(bh_image_find(image, section));
    bh_image_close(image);
}

/* A file as a source: the same bytes as from memory, wherever its offset stands. */
static void test_image_of_files(void **state)
{
    struct image_rig *rig = *state;
    char path[IMAGE_RIG_PATH];
    uint8_t bytes[IMAGE_RIG_BYTES];
    image_rig_path(rig, "kernel", path);
    image_rig_write(path, rig->sources[1].bytes, rig->sources[1].size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 100, SEEK_SET), 100);
    rig->sources[1].bytes = NULL;
    rig->sources[1].size = 0;
    rig->sources[1].fd = fd;
    assert_int_equal(image_rig_make(rig, rig->key, rig->image), BH_OK);
    assert_int_equal(image_rig_read(rig->image, bytes, sizeof(bytes)), sizeof(bytes));
    assert_memory_equal(bytes, rig->bytes, sizeof(bytes));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
    assert_int_equal(close(fd), 0);
}

/* More than one piece, and a size that ends with a page. */
static void test_image_of_a_large_file(void **state)
{
    struct image_rig *rig = *state;
    const size_t size = 3u << 18;
    uint8_t *bytes = malloc(size);
    uint8_t *got = malloc(size);
    struct bh_image *image;
    assert_true(bytes != NULL && got != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(i >> 11);
    }
    rig->sources[1].bytes = bytes;
    rig->sources[1].size = size;
    assert_int_equal(image_rig_make(rig, rig->key, rig->image), BH_OK);
    assert_int_equal(bh_image_open(&image, rig->image, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_verify(image, rig->keys, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_load(image, &rig->refusal), BH_OK);
    assert_int_equal(bh_image_facts(image)->bytes, IMAGE_RIG_SECOND + size);
    assert_int_equal(pread(bh_image_section(image, 1)->fd, got, size, 0), size);
    assert_memory_equal(got, bytes, size);
    bh_image_close(image);
    free(bytes);
    free(got);
}

static unsigned int count_files(const char *folder)
{
    unsigned int count = 0;
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    while (readdir(entries) != NULL) {
        count++;
    }
    (void)closedir(entries);
    return count;
}

static void test_image_that_cannot_be_written_leaves_the_old_one(void **state)
{
    struct image_rig *rig = *state;
    char path[IMAGE_RIG_PATH];
    uint8_t bytes[IMAGE_RIG_BYTES];
    unsigned int files = count_files(rig->folder);
    int fd = open(rig->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->sources[1].bytes = NULL;
    rig->sources[1].fd = fd;
    assert_int_equal(image_rig_make(rig, rig->key, rig->image), BH_INVALID);
    assert_int_equal(close(fd), 0);
    image_rig_path(rig, "no/folder", path);
    rig->content.source_count = 1;
    assert_int_equal(image_rig_make(rig, rig->key, path), BH_GONE);
    assert_int_equal(rig->refusal.reason, BH_IMAGE_HOST);
    image_rig_path(rig, "taken", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(image_rig_make(rig, rig->key, path) < 0);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(image_rig_read(rig->image, bytes, sizeof(bytes)), sizeof(bytes));
    assert_memory_equal(bytes, rig->bytes, sizeof(bytes));
    assert_int_equal(count_files(rig->folder), files);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, image_rig_setup, image_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_image_signed_and_malformed),
        TEST(test_image_signed_with_one_name_twice),
        TEST(test_image_number_of_sections),
        TEST(test_image_content_that_cannot_be_one),
        TEST(test_image_longest_names),
        TEST(test_image_of_files),
        TEST(test_image_of_a_large_file),
        TEST(test_image_that_cannot_be_written_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
