/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands share that take a definition: reading and checking it, and telling the user.
 * Private to cli/.
 */
#ifndef BULKHEAD_CLI_DEFINITION_H
#define BULKHEAD_CLI_DEFINITION_H

#include "bulkhead/platform_definition.h"

/* Reads and checks the definition at `path`, its boot images and the layout of each guest; prints
 * what was found to standard error. NULL: it is of no use. */
struct bh_platform *bh_cli_definition(const char *path);

#endif
