/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead check: says whether a definition holds. The checks are platform/'s.
 */
#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "command.h"
#include "definition.h"

static int check_guest(const struct bh_platform *platform, const struct bh_guest *guest,
                       struct bh_diagnostics *diagnostics)
{
    struct bh_boot_images images;
    struct bh_layout layout;
    int result = bh_boot_images_open(&images, platform, guest, diagnostics);
    if (result == BH_OK) {
        result = bh_layout_make(&layout, guest, &images, diagnostics);
        bh_boot_images_close(&images);
    }
    return result;
}

/* All guests are looked at, so that everything is said at once. */
static int check_guests(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                        void *context)
{
    int first = BH_OK;
    (void)context;
    bh_disk_images_look(platform, diagnostics);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        int result = check_guest(platform, &platform->guests[i], diagnostics);
        first = first == BH_OK ? result : first;
    }
    return first;
}

static void print_count(const char *before, uint32_t number, const char *what)
{
    (void)printf("%s%" PRIu32 " %s%s", before, number, what, number == 1 ? "" : "s");
}

static int run(const struct bh_cli_arguments *arguments)
{
    uint32_t devices = 0;
    struct bh_platform *platform = bh_cli_definition(arguments->word, check_guests, NULL);
    if (platform == NULL) {
        return BH_CLI_REFUSED;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        devices += platform->guests[i].device_count;
    }
    (void)printf("%s: ok (", arguments->word);
    print_count("", platform->guest_count, "guest");
    print_count(", ", devices, "device");
    (void)printf(")\n");
    bh_platform_destroy(platform);
    return BH_CLI_OK;
}

const struct bh_cli_command bh_cli_check = {
    .name = "check",
    .argument = "FILE",
    .summary = "Checks a definition, and the images that it names",
    .help =
        "Says what is wrong, where, and what to write instead. Nothing is started or written.\n",
    .run = run,
    .argument_needed = true,
};
