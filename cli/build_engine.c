/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes how the engine is started for each guest, as data and as a script. What that is, engine/
 * knows; it is for the oldest engine that runs the guest, so that the files do not depend on the
 * host that builds.
 */
#include "build_engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "build_file.h"
#include "bulkhead/engine_machine.h"
#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"

static bool write_file(const char *folder, const char *guest, const char *ending, char *text)
{
    bool good = text != NULL && bh_cli_build_file(folder, guest, ending, text);
    if (text == NULL) {
        bh_cli_error("build: no memory for %s%s", guest, ending);
    }
    free(text);
    return good;
}

static bool write_files(const struct bh_machine_setup *setup, const char *folder)
{
    const char *guest = setup->layout->guest->name.text;
    return write_file(folder, guest, BH_CLI_ENGINE_DATA, bh_machine_command_json(setup)) &&
           write_file(folder, guest, BH_CLI_ENGINE_SCRIPT, bh_machine_command_script(setup));
}

/* The images were looked at before, so what is wrong now is not said a second time. */
static bool write_guest(const struct bh_platform *platform, const struct bh_guest *guest,
                        struct bh_diagnostics *diagnostics, const char *folder)
{
    struct bh_boot_images images;
    struct bh_layout layout;
    struct bh_engine engine;
    if (bh_boot_images_look(&images, platform, guest, diagnostics) != BH_OK) {
        bh_cli_error("build: what guest %s boots has changed meanwhile; build again",
                     guest->name.text);
        return false;
    }
    bool good = bh_layout_make(&layout, guest, &images, diagnostics) == BH_OK;
    bh_engine_oldest(&engine, platform, guest);
    const struct bh_machine_setup setup = {.platform = platform,
                                           .layout = &layout,
                                           .images = &images,
                                           .engine = &engine,
                                           .uart_fd = -1,
                                           .output_fd = -1};
    good = good && write_files(&setup, folder);
    bh_boot_images_close(&images);
    return good;
}

int bh_cli_build_engine(const struct bh_platform *platform, const char *folder)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(platform->files[0].path);
    bool good = diagnostics != NULL;
    for (uint32_t i = 0; good && i < platform->guest_count; i++) {
        good = write_guest(platform, &platform->guests[i], diagnostics, folder);
    }
    bh_diagnostics_destroy(diagnostics);
    return good ? BH_CLI_OK : BH_CLI_REFUSED;
}
