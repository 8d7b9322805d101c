/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition as JSON that a platform image carries. Private to platform/.
 */
#ifndef PLATFORM_DEFINITION_JSON_H
#define PLATFORM_DEFINITION_JSON_H

#include "bulkhead/platform_definition.h"

/* The keys of the definition with their values as the definition would write them, all texts:
 * "128M", "10s", "true". Every default that a definition can write is written out; a key is left
 * out if it was not given and nothing that can be written means that.
 *
 * Includes and templates are gone, paths begin at the folder of the definition, and in place of a
 * guest's boot files stand the sections that hold them ("cluster/kernel"). Nothing of the host that
 * built it is left, so the same definition gives the same bytes.
 *
 * bh_platform_read_json reads it back. Allocated (free); NULL: no memory. */
char *bh_definition_json(const struct bh_platform *platform);

#endif
