/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints the reference of all keys and checks of a definition in scdoc's markup, for make_man.py; with
 * --json the JSON Schema that is installed. Runs while Bulkhead is built, and is not installed.
 */
#include <stdio.h>
#include <string.h>

#include "bulkhead/platform_definition.h"

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        if (bh_schema_print_json(stdout) != 0) {
            return 1;
        }
    } else {
        bh_schema_print(stdout);
    }
    return fflush(stdout) != 0 || ferror(stdout) != 0 ? 1 : 0;
}
