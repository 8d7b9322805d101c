/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prints the reference of all keys and checks of a definition in scdoc's markup, for make_man.py.
 * Runs while Bulkhead is built, and is not installed.
 */
#include <stdio.h>

#include "bulkhead/platform_definition.h"

int main(void)
{
    bh_schema_print(stdout);
    return fflush(stdout) != 0 || ferror(stdout) != 0 ? 1 : 0;
}
