/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a policy compiles to, as JSON. Private to platform/output/.
 */
#ifndef PLATFORM_POLICY_JSON_H
#define PLATFORM_POLICY_JSON_H

#include <jansson.h>

#include "bulkhead/platform_definition.h"

/* The part "allowances" of platform.json (its form: build_json.c). The caller's; NULL: no memory. */
json_t *bh_policy_json(const struct bh_platform *platform);

#endif
