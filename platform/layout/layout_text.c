/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sizes as text and errno values as error codes, for what platform/ says about files and memory.
 * It reads no definition.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "layout_text.h"

struct bh_size_text bh_size_text_make(uint64_t bytes)
{
    static const struct {
        unsigned shift;
        const char *unit;
    } units[] = {{30, "G"}, {20, "M"}, {10, "K"}, {0, ""}};
    struct bh_size_text size;
    unsigned u = 0;

    while (units[u].shift != 0 && (bytes == 0 || (bytes & ((UINT64_C(1) << units[u].shift) - 1)))) {
        u++;
    }
    (void)snprintf(size.text, sizeof(size.text), "%" PRIu64 "%s", bytes >> units[u].shift,
                   units[u].unit);
    return size;
}

int bh_file_error(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return BH_GONE;
    case EACCES:
    case EPERM:
    case EROFS:
        return BH_DENIED;
    case ENOSPC:
    case EDQUOT:
        return BH_NO_SPACE;
    case ENOMEM:
        return BH_NO_MEMORY;
    case ENAMETOOLONG:
    case EMFILE:
    case ENFILE:
    case EFBIG:
        return BH_LIMIT;
    default:
        return BH_IO;
    }
}
