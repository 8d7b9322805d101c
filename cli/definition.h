/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands share that take a definition and start nothing: reading it, doing their work,
 * telling the user what was found. Private to cli/.
 */
#ifndef BULKHEAD_CLI_DEFINITION_H
#define BULKHEAD_CLI_DEFINITION_H

#include "bulkhead/platform_definition.h"

/* What a command does with a definition that holds. What it finds goes to `diagnostics`. */
typedef int (*bh_cli_work)(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                           void *context);

/* Reads the definition at `path`, does `work` with it, and prints what was found to standard error.
 * The platform; NULL: there are errors, and they were said. */
struct bh_platform *bh_cli_definition(const char *path, bh_cli_work work, void *context);

#endif
