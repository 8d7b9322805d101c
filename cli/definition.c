/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a definition for a command, and prints what was found.
 */
#include "definition.h"

#include <stdio.h>
#include <unistd.h>

#include "bulkhead/error.h"

static int read_and_work(struct bh_platform **platform, struct bh_diagnostics *diagnostics,
                         const struct bh_cli_arguments *arguments, bh_cli_work work, void *context)
{
    int result = bh_cli_rules_apply(arguments, diagnostics);
    if (result == BH_OK) {
        result = bh_platform_read(platform, arguments->word, diagnostics);
    }
    if (result == BH_OK) {
        result = work(*platform, diagnostics, context);
    }
    return result;
}

/* False: there is no memory for it. */
static bool tell(const struct bh_diagnostics *diagnostics, enum bh_cli_form form)
{
    if (form == BH_CLI_JSON) {
        return bh_diagnostics_print_json(diagnostics, stdout) == BH_OK;
    }
    bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
    return true;
}

struct bh_platform *bh_cli_definition(const struct bh_cli_arguments *arguments,
                                      enum bh_cli_form form, bh_cli_work work, void *context)
{
    struct bh_platform *platform = NULL;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(arguments->word);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return NULL;
    }
    int result = read_and_work(&platform, diagnostics, arguments, work, context);
    if (!tell(diagnostics, form)) {
        result = BH_NO_MEMORY;
    }
    if (result != BH_OK && bh_diagnostics_errors(diagnostics) == 0) {
        bh_cli_error("%s: %s", arguments->word, bh_error_name(result));
    }
    if (result != BH_OK || bh_diagnostics_errors(diagnostics) > 0) {
        bh_platform_destroy(platform);
        platform = NULL;
    }
    bh_diagnostics_destroy(diagnostics);
    return platform;
}
