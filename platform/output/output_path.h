/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths of a definition for a host that did not build it. Private to platform/output/.
 */
#ifndef PLATFORM_OUTPUT_PATH_H
#define PLATFORM_OUTPUT_PATH_H

#include "bulkhead/platform_definition.h"

#define BH_OUTPUT_PATH_BYTES 12288u

/* The path that `text` means, from the folder of the definition on, whichever file it stands in; an
 * absolute one as it is. BH_LIMIT: longer. */
int bh_output_path(const struct bh_platform *platform, const struct bh_text *text,
                   char to[BH_OUTPUT_PATH_BYTES]);

#endif
