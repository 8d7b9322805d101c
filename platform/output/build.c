/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A build: everything that follows from a definition, as files. All of it is derived before the
 * first byte is written, so an error in a guest leaves an older build as it was; each file then
 * appears whole or not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"
#include "bulkhead/error.h"
#include "platform/layout/layout_text.h"
#include "platform/output/report.h"

#define FILE_NAME_BYTES (BH_NAME_MAX + 32u)

/* Where a build goes. */
struct target {
    const char *folder;
    int fd;
    struct bh_diagnostics *diagnostics;
};

static int target_fail(const struct target *target, const char *what, const char *name, int number)
{
    static const struct bh_origin nowhere = {.line = 0};
    const int result = bh_file_error(number);
    const char *cure = "choose another folder with --output";

    if (result == BH_DENIED) {
        cure = "choose a folder that you may write to, with --output";
    } else if (result == BH_NO_SPACE) {
        cure = "make room on that file system, or choose another folder with --output";
    }
    bh_diagnostics_add(target->diagnostics, BH_SEVERITY_ERROR, "build-folder", nowhere,
                       "%s: %s%s%s: %s\n%s", what, target->folder, *name ? "/" : "", name,
                       strerror(number), cure);
    return result;
}

static int target_open(struct target *target)
{
    if (mkdir(target->folder, 0777) != 0 && errno != EEXIST) {
        return target_fail(target, "the folder cannot be made", "", errno);
    }
    target->fd = open(target->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target->fd < 0) {
        return target_fail(target, "the folder cannot be used", "", errno);
    }
    return BH_OK;
}

/* 0, or an errno value. */
static int bytes_write(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        const ssize_t done = write(fd, bytes, length);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return errno;
        }
        bytes += done;
        length -= (size_t)done;
    }
    return 0;
}

/* Writes one file beside its place and moves it there. */
static int target_write(const struct target *target, const char *name, const void *bytes,
                        size_t length)
{
    char other[FILE_NAME_BYTES + 32u];
    int number;

    /* Two builds at a time must not share it. */
    (void)snprintf(other, sizeof(other), ".%s.%ld.new", name, (long)getpid());
    const int fd =
        openat(target->fd, other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);

    if (fd < 0) {
        return target_fail(target, "the file cannot be written", name, errno);
    }
    number = bytes_write(fd, bytes, length);
    if (close(fd) != 0 && number == 0) {
        number = errno;
    }
    if (number == 0 && renameat(target->fd, other, target->fd, name) != 0) {
        number = errno;
    }
    if (number == 0) {
        return BH_OK;
    }
    (void)unlinkat(target->fd, other, 0);
    return target_fail(target, "the file cannot be written", name, number);
}

static int text_write(const struct target *target, const char *name, char *text)
{
    int result = BH_NO_MEMORY;

    if (text) {
        result = target_write(target, name, text, strlen(text));
    }
    free(text);
    return result;
}

/* The guest's own files: what its engine loads, and what its programs are compiled with. */
static int guest_write(const struct target *target, const struct bh_platform *platform,
                       const struct bh_built *built)
{
    const char *guest = built->layout.guest->name.text;
    char name[FILE_NAME_BYTES];
    uint8_t code[BH_START_CODE_BYTES];
    int result;

    if (!built->tree) {
        return BH_OK;
    }
    (void)snprintf(name, sizeof(name), "%s.dtb", guest);
    result = target_write(target, name, built->tree, built->tree_bytes);
    if (result != BH_OK) {
        return result;
    }
    (void)snprintf(name, sizeof(name), "%s.h", guest);
    result = text_write(target, name, bh_build_header(platform, built));
    if (result != BH_OK || built->layout.entry == 0) {
        return result;
    }
    bh_start_code(&built->layout, code);
    (void)snprintf(name, sizeof(name), "%s.start", guest);
    return target_write(target, name, code, sizeof(code));
}

static int build_write(const struct bh_platform *platform, const struct bh_built *built,
                       const char *folder, struct bh_diagnostics *diagnostics)
{
    struct target target = {folder, -1, diagnostics};
    int result = target_open(&target);

    for (uint32_t i = 0; result == BH_OK && i < platform->guest_count; i++) {
        result = guest_write(&target, platform, &built[i]);
    }
    if (result == BH_OK) {
        result = text_write(&target, "memory-map.txt", bh_build_map(platform, built));
    }
    if (result == BH_OK) {
        result = text_write(&target, "platform.json", bh_build_json(platform, built));
    }
    if (result == BH_OK) {
        result = text_write(&target, "report.html", bh_report_html(platform, built, diagnostics));
    }
    if (target.fd >= 0) {
        (void)close(target.fd);
    }
    return result;
}

static int guest_build(struct bh_built *built, const struct bh_platform *platform,
                       const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    struct bh_boot_images images;
    int result = bh_boot_images_look(&images, platform, guest, diagnostics);

    if (result != BH_OK) {
        return result;
    }
    result = bh_layout_make(&built->layout, guest, &images, diagnostics);
    bh_boot_images_close(&images);
    if (result == BH_OK && built->layout.tree.size > 0) {
        result = bh_device_tree_make(&built->layout, &built->tree, &built->tree_bytes);
    }
    return result;
}

int bh_platform_build(const struct bh_platform *platform, const char *folder,
                      struct bh_diagnostics *diagnostics)
{
    struct bh_built *built = calloc(platform->guest_count, sizeof(*built));
    int result = built ? BH_OK : BH_NO_MEMORY;

    /* Every guest is tried, so that all errors are said at once; the first one counts. */
    for (uint32_t i = 0; built && i < platform->guest_count; i++) {
        const int guest = guest_build(&built[i], platform, &platform->guests[i], diagnostics);

        if (result == BH_OK) {
            result = guest;
        }
    }
    if (result == BH_OK) {
        result = build_write(platform, built, folder, diagnostics);
    }
    for (uint32_t i = 0; built && i < platform->guest_count; i++) {
        free(built[i].tree);
    }
    free(built);
    return result;
}
