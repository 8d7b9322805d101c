/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead schema: prints the form of a definition for editors. The table of keys is platform/'s.
 */
#include <stdio.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"
#include "command.h"

static int run(const struct bh_cli_arguments *arguments)
{
    (void)arguments;
    if (bh_schema_print_json(stdout) != BH_OK) {
        bh_cli_error("no memory");
        return BH_CLI_REFUSED;
    }
    return BH_CLI_OK;
}

const struct bh_cli_command bh_cli_schema = {
    .name = "schema",
    .summary = "Prints the form of a definition as a JSON Schema, for editors",
    .help = "bulkhead.yaml(5) says how an editor uses it.\n",
    .run = run,
};
