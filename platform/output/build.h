/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pieces of a build: what is derived from a definition, and how each file of it is made.
 * Private to platform/.
 */
#ifndef PLATFORM_BUILD_H
#define PLATFORM_BUILD_H

#include "bulkhead/platform_layout.h"

/* What was derived for one guest. */
struct bh_built {
    struct bh_layout layout;
    void *tree; /* NULL: the guest has none of ours */
    size_t tree_bytes;
};

/* platform.json and memory-map.txt as text, `built` for each guest of the platform. Allocated
 * (free); NULL: no memory. */
char *bh_build_json(const struct bh_platform *platform, const struct bh_built *built);
char *bh_build_map(const struct bh_platform *platform, const struct bh_built *built);

/* GUEST.h as text, for one guest that has a tree. Allocated (free); NULL: no memory. */
char *bh_build_header(const struct bh_platform *platform, const struct bh_built *built);

#endif
