/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pages of the checks, which tools/make_pages.py makes from docs/checks. Private to platform/.
 */
#ifndef PLATFORM_PAGES_H
#define PLATFORM_PAGES_H

#include <stddef.h>

struct bh_page {
    const char *name;
    const char *text; /* Markdown */
};

extern const struct bh_page bh_pages[];
extern const size_t bh_page_count;

#endif
