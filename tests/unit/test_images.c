/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot images that are opened: real headers, and files that are no kernel at all.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "layout_rig.h"

struct fixture {
    struct layout_rig rig;
    struct bh_platform platform;
    char folder[64];
    char kernel[96];
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    layout_rig_init(&fixture->rig);
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/bulkhead-images-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)snprintf(fixture->kernel, sizeof(fixture->kernel), "%s/Image", fixture->folder);
    fixture->platform.files[0].folder = fixture->folder;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)unlink(fixture->kernel);
    assert_int_equal(rmdir(fixture->folder), 0);
    layout_rig_finish(&fixture->rig);
    free(fixture);
    return 0;
}

static void kernel_write(const struct fixture *fixture, const void *bytes, size_t length)
{
    const int fd = open(fixture->kernel, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(close(fd), 0);
}

static void header_make(uint8_t head[64], uint64_t offset, uint64_t size)
{
    memset(head, 0, 64);
    for (unsigned i = 0; i < 8; i++) {
        head[8 + i] = (uint8_t)(offset >> (8 * i));
        head[16 + i] = (uint8_t)(size >> (8 * i));
    }
    memcpy(head + 56, "ARM\x64", 4);
}

static int images_open(struct fixture *fixture)
{
    return bh_boot_images_open(&fixture->rig.images, &fixture->platform, &fixture->rig.guest,
                               fixture->rig.diagnostics);
}

/* What is refused leaves nothing open, and says the text. */
static void expect_refused(struct fixture *fixture, int result, const char *what)
{
    char *said;

    assert_int_equal(images_open(fixture), result);
    assert_int_equal(fixture->rig.images.kernel_fd, -1);
    assert_int_equal(fixture->rig.images.initrd_fd, -1);
    assert_int_equal(bh_diagnostics_errors(fixture->rig.diagnostics), 1);
    said = layout_rig_said(&fixture->rig);
    if (!strstr(said, what)) {
        fail_msg("not said: %s\nbut: %s", what, said);
    }
    free(said);
    layout_rig_finish(&fixture->rig);
    layout_rig_init(&fixture->rig);
}

static void test_good(void **state)
{
    struct fixture *fixture = *state;
    const struct bh_boot_images *images = &fixture->rig.images;
    uint8_t head[64];

    header_make(head, 0x80000, 0x1234000);
    kernel_write(fixture, head, sizeof(head));
    fixture->rig.guest.boot.initrd.text = "Image"; /* any file will do */
    assert_int_equal(images_open(fixture), BH_OK);
    assert_true(images->kernel_fd >= 0 && images->initrd_fd >= 0);
    assert_int_equal(fcntl(images->kernel_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(images->kernel_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(images->firmware_fd, -1);
    assert_int_equal(images->kernel_bytes, 64);
    assert_int_equal(images->initrd_bytes, 64);
    assert_int_equal(images->kernel_memory, 0x1234000);
    assert_int_equal(images->kernel_offset, 0x80000);
    bh_boot_images_close(&fixture->rig.images);
    assert_int_equal(images->kernel_fd, -1);
    bh_boot_images_close(&fixture->rig.images);
}

/* A kernel for x86 is the engine's to understand. */
static void test_x86(void **state)
{
    struct fixture *fixture = *state;

    kernel_write(fixture, "any", 3);
    fixture->rig.guest.arch.value = BH_ARCH_X86_64;
    assert_int_equal(images_open(fixture), BH_OK);
    bh_boot_images_close(&fixture->rig.images);
}

static void test_headers(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        uint64_t offset, size;
        const char *said;
    } cases[] = {
        {0, 0, "does not say how much memory"},
        {0, UINT64_MAX, "image_size 0xffffffffffffffff"},
        {0, (UINT64_C(4) << 30) + 1u, "is damaged"},
        {2 * MIB, MIB, "text_offset 0x200000"},
        {UINT64_MAX, MIB, "text_offset 0xffffffffffffffff"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t head[64];

        header_make(head, cases[i].offset, cases[i].size);
        kernel_write(fixture, head, sizeof(head));
        expect_refused(fixture, BH_INVALID, cases[i].said);
    }
}

static void test_other_formats(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        unsigned offset;
        const char *magic;
        const char *said;
    } cases[] = {
        {0, "\x1f\x8b", "gunzip -c"},
        {0,
         "\xfd"
         "7zXZ",
         "xz -dc"},
        {0, "\x28\xb5\x2f\xfd", "zstd -dc"},
        {0,
         "\x7f"
         "ELF",
         "stands under `elf:`"},
        {4, "zimg", "compressed EFI image"},
        {0x202, "HdrS", "arch: x86_64"},
        {0, "ANDROID!", "unpack_bootimg"},
        {0, "#!/bin/sh", "of an unknown format"},
        {56, "ARM", "of an unknown format"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[1024] = {0};

        memcpy(bytes + cases[i].offset, cases[i].magic, strlen(cases[i].magic));
        kernel_write(fixture, bytes, sizeof(bytes));
        expect_refused(fixture, BH_INVALID, cases[i].said);
    }
}

/* Any length up to a whole header; a magic at the very end is found, and nothing behind it read. */
static void test_short(void **state)
{
    struct fixture *fixture = *state;
    uint8_t head[64];

    header_make(head, 0, MIB);
    kernel_write(fixture, head, 0);
    expect_refused(fixture, BH_INVALID, "is an empty file");
    for (size_t length = 1; length < sizeof(head); length++) {
        kernel_write(fixture, head, length);
        expect_refused(fixture, BH_INVALID, "[kernel-format]");
    }
    kernel_write(fixture, "\x1f\x8b", 2);
    expect_refused(fixture, BH_INVALID, "gunzip");
}

static void test_no_file(void **state)
{
    struct fixture *fixture = *state;
    uint8_t head[64];
    char *longest = malloc(5000);

    assert_non_null(longest);
    expect_refused(fixture, BH_GONE, "cannot be opened");
    fixture->rig.guest.boot.kernel.text = ".";
    expect_refused(fixture, BH_INVALID, "not a file");
    memset(longest, 'x', 4999);
    longest[4999] = '\0';
    fixture->rig.guest.boot.kernel.text = longest;
    expect_refused(fixture, BH_LIMIT, "too long");
    /* A named pipe must not keep us waiting. */
    assert_int_equal(mkfifo(fixture->kernel, 0600), 0);
    expect_refused(fixture, BH_INVALID, "not a file");
    assert_int_equal(unlink(fixture->kernel), 0);
    /* The kernel is closed again when the initrd is not there. */
    header_make(head, 0, MIB);
    kernel_write(fixture, head, sizeof(head));
    fixture->rig.guest.boot.initrd.text = "initrd";
    expect_refused(fixture, BH_GONE, "the initrd of guest g cannot be opened");
    free(longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_x86, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_formats, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
