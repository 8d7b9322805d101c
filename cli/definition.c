/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a definition for a command, and prints what was found.
 */
#include "definition.h"

#include <stdio.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"

struct bh_platform *bh_cli_definition(const char *path, bh_cli_work work, void *context)
{
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return NULL;
    }
    int result = bh_platform_read(&platform, path, diagnostics);
    if (result == BH_OK) {
        result = work(platform, diagnostics, context);
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
