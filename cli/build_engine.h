/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of `bulkhead build` that needs an engine: the command line of each guest. Private to
 * cli/. */
#ifndef BULKHEAD_CLI_BUILD_ENGINE_H
#define BULKHEAD_CLI_BUILD_ENGINE_H

#include <stdbool.h>

#include "bulkhead/platform_definition.h"

#define BH_CLI_ENGINE_ENDING ".qemu"

/* Writes GUEST.qemu for each guest into `folder`. `written`: whether the host has the engine;
 * that it has not is said, and no failure. What the command then ends with. */
int bh_cli_build_engine(const struct bh_platform *platform, const char *folder, bool *written);

#endif
