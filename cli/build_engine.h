/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of `bulkhead build` that knows engines: how each guest is started. Private to cli/. */
#ifndef BULKHEAD_CLI_BUILD_ENGINE_H
#define BULKHEAD_CLI_BUILD_ENGINE_H

#include "bulkhead/platform_definition.h"

#define BH_CLI_ENGINE_DATA   ".engine.json"
#define BH_CLI_ENGINE_SCRIPT ".engine.sh"

/* Writes both for each guest into `folder`. No engine is asked or needed. What the command then
 * ends with. */
int bh_cli_build_engine(const struct bh_platform *platform, const char *folder);

#endif
