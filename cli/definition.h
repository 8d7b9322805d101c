/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands share that take a definition and start nothing: reading it, doing their work,
 * telling the user what was found. Private to cli/.
 */
#ifndef BULKHEAD_CLI_DEFINITION_H
#define BULKHEAD_CLI_DEFINITION_H

#include "bulkhead/platform_definition.h"
#include "rules.h"

/* What a command does with a definition that holds. What it finds goes to `diagnostics`. */
typedef int (*bh_cli_work)(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                           void *context);

/* How what was found is told. */
enum bh_cli_form {
    BH_CLI_TEXT, /* to standard error, for people */
    BH_CLI_JSON, /* to standard output, also if nothing was found */
};

/* Reads the definition that the user named, does `work` with it under the rules that the user gave,
 * and tells what was found. The platform; NULL: there are errors, and they were said. */
struct bh_platform *bh_cli_definition(const struct bh_cli_arguments *arguments,
                                      enum bh_cli_form form, bh_cli_work work, void *context);

#endif
