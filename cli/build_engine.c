/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the engine's command line of each guest. The engine is asked for its version, because the
 * command line depends on it; what the line is, engine/ knows.
 */
#include "build_engine.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/engine_machine.h"
#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"

/* Writes a file beside its place and moves it there. */
static bool write_file(const char *folder, const char *guest, const char *text)
{
    char path[PATH_MAX];
    char other[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s" BH_CLI_ENGINE_ENDING, folder, guest);
    int longer = snprintf(other, sizeof(other), "%s/.%s.%ld.new", folder, guest, (long)getpid());
    if (length < 0 || longer < 0 || (size_t)length >= sizeof(path) ||
        (size_t)longer >= sizeof(other)) {
        bh_cli_error("build: the path of the folder is too long; choose another with --output");
        return false;
    }
    FILE *file = fopen(other, "we");
    bool good = file != NULL && fputs(text, file) >= 0;
    good = file != NULL && fclose(file) == 0 && good;
    good = good && rename(other, path) == 0;
    if (!good) {
        bh_cli_error("build: %s cannot be written: %s; choose another folder with --output", path,
                     strerror(errno));
        (void)unlink(other);
    }
    return good;
}

static char *command_text(const struct bh_platform *platform, const struct bh_guest *guest,
                          const struct bh_engine *engine, struct bh_diagnostics *diagnostics)
{
    struct bh_boot_images images;
    struct bh_layout layout;
    char *text = NULL;
    if (bh_boot_images_look(&images, platform, guest, diagnostics) != BH_OK) {
        return NULL;
    }
    if (bh_layout_make(&layout, guest, &images, diagnostics) == BH_OK) {
        const struct bh_machine_setup setup = {.platform = platform,
                                               .layout = &layout,
                                               .images = &images,
                                               .engine = engine,
                                               .uart_fd = -1,
                                               .output_fd = -1};
        text = bh_machine_command_text(&setup);
    }
    bh_boot_images_close(&images);
    return text;
}

/* Whether an engine for the guest is there. */
static bool find_engine(struct bh_engine *engine, const struct bh_platform *platform,
                        const struct bh_guest *guest)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(platform->files[0].path);
    int result =
        diagnostics != NULL ? bh_engine_find(engine, platform, guest, diagnostics) : BH_NO_MEMORY;
    bh_diagnostics_destroy(diagnostics);
    return result == BH_OK;
}

static int write_guest(const struct bh_platform *platform, const struct bh_guest *guest,
                       const struct bh_engine *engine, const char *folder)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(platform->files[0].path);
    char *text = diagnostics != NULL ? command_text(platform, guest, engine, diagnostics) : NULL;
    bool good = text != NULL && write_file(folder, guest->name.text, text);
    if (text == NULL) {
        bh_cli_error("build: no memory for the command line of %s", guest->name.text);
    }
    free(text);
    bh_diagnostics_destroy(diagnostics);
    return good ? BH_CLI_OK : BH_CLI_REFUSED;
}

int bh_cli_build_engine(const struct bh_platform *platform, const char *folder, bool *written)
{
    *written = true;
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        struct bh_engine engine;
        if (!find_engine(&engine, platform, guest)) {
            bh_cli_error("build: %s%s is left out: the host has no engine for it; 'bulkhead run' "
                         "says what to install",
                         guest->name.text, BH_CLI_ENGINE_ENDING);
            *written = false;
            continue;
        }
        int status = write_guest(platform, guest, &engine, folder);
        if (status != BH_CLI_OK) {
            return status;
        }
    }
    return BH_CLI_OK;
}
