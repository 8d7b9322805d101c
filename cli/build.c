/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead build: writes what follows from a definition. What that is, is platform/'s business.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "command.h"
#include "definition.h"

#define FOLDER_MAX (BH_NAME_MAX + 16u)

enum build_option { OPTION_OUTPUT };

static void list_file(const char *folder, const char *name, const char *ending)
{
    char path[4096];
    struct stat status;
    int length = snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
    if (length >= 0 && (size_t)length < sizeof(path) && stat(path, &status) == 0) {
        (void)printf("  %s (%jd bytes)\n", path, (intmax_t)status.st_size);
    }
}

static void list_files(const struct bh_platform *platform, const char *folder)
{
    list_file(folder, "platform", ".json");
    list_file(folder, "memory-map", ".txt");
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        if (guest->arch.value == BH_ARCH_ARM64 && guest->boot.kernel.text != NULL) {
            list_file(folder, guest->name.text, ".dtb");
            list_file(folder, guest->name.text, ".start");
        }
    }
}

static int build(const struct bh_platform *platform, const char *folder)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(platform->path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return BH_CLI_REFUSED;
    }
    int result = bh_platform_build(platform, folder, diagnostics);
    bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
    if (result != BH_OK && bh_diagnostics_errors(diagnostics) == 0) {
        bh_cli_error("%s: %s", folder, bh_error_name(result));
    }
    bh_diagnostics_destroy(diagnostics);
    if (result != BH_OK) {
        return BH_CLI_REFUSED;
    }
    (void)printf("%s: built\n", platform->name.text);
    list_files(platform, folder);
    return BH_CLI_OK;
}

static int run(const struct bh_cli_arguments *arguments)
{
    char usual[FOLDER_MAX];
    const char *folder = arguments->options[OPTION_OUTPUT];
    if (folder != NULL && folder[0] == '\0') {
        bh_cli_error("build: the folder has no name");
        return BH_CLI_USAGE;
    }
    struct bh_platform *platform = bh_cli_definition(arguments->word);
    if (platform == NULL) {
        return BH_CLI_REFUSED;
    }
    (void)snprintf(usual, sizeof(usual), "%s.build", platform->name.text);
    int result = build(platform, folder != NULL ? folder : usual);
    bh_platform_destroy(platform);
    return result;
}

const struct bh_cli_command bh_cli_build = {
    .name = "build",
    .argument = "FILE",
    .summary = "Writes what follows from a definition: device trees, memory map",
    .help = "Checks FILE first. Files that are there are replaced.\n",
    .options = {[OPTION_OUTPUT] = {"output", "DIR", "the folder (NAME.build, in this one)", 'o'}},
    .run = run,
    .argument_needed = true,
};
