/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Short texts that messages and explanations share. Private to platform/flow/.
 */
#ifndef PLATFORM_FLOW_TEXT_H
#define PLATFORM_FLOW_TEXT_H

#include "bulkhead/platform_flow.h"

#define BH_MODES_BYTES ((BH_MODES_MAX + 1u) * (BH_NAME_MAX + 8u))

/* Modes (bits) in words, behind `before`: "in mode drive", "in modes drive and park", "in every
 * mode". A platform with one mode: nothing. */
void bh_flow_modes_text(const struct bh_platform *platform, uint32_t modes, const char *before,
                        char *to, size_t size);

#endif
