/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths that mean a descriptor (host_path.h). Nothing is opened here. */
#include "bulkhead/host_path.h"

#include <string.h>

#define BASE 10

int bh_path_fd(const char *path)
{
    static const char prefix[] = "/dev/fd/";
    const char *digit = path + sizeof(prefix) - 1u;
    int number = 0;
    if (strncmp(path, prefix, sizeof(prefix) - 1u) != 0) {
        return BH_UNSUPPORTED;
    }
    if (*digit == '\0') {
        return BH_INVALID;
    }
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return BH_INVALID;
        }
        number = number * BASE + (*digit - '0');
        if (number > BH_PATH_FD_MAX) {
            return BH_INVALID;
        }
    }
    return number;
}
