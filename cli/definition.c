/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a definition for a command, with everything that can be found out before a guest starts.
 */
#include "definition.h"

#include <stdio.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "bulkhead/platform_layout.h"
#include "command.h"

/* Opens each guest's images and lays the guest out; what is wrong stands in `diagnostics`. */
static int check_guests(const struct bh_platform *platform, struct bh_diagnostics *diagnostics)
{
    struct bh_boot_images images;
    struct bh_layout layout;
    int first = BH_OK;
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        int result = bh_boot_images_open(&images, platform, guest, diagnostics);
        if (result == BH_OK) {
            result = bh_layout_make(&layout, guest, &images, diagnostics);
            bh_boot_images_close(&images);
        }
        if (first == BH_OK) {
            first = result;
        }
    }
    return first;
}

struct bh_platform *bh_cli_definition(const char *path)
{
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return NULL;
    }
    int result = bh_platform_read(&platform, path, diagnostics);
    if (result == BH_OK) {
        result = check_guests(platform, diagnostics);
    }
    bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
    if (result != BH_OK && bh_diagnostics_errors(diagnostics) == 0) {
        bh_cli_error("%s: %s", path, bh_error_name(result));
    }
    if (result != BH_OK || bh_diagnostics_errors(diagnostics) > 0) {
        bh_platform_destroy(platform);
        platform = NULL;
    }
    bh_diagnostics_destroy(diagnostics);
    return platform;
}
