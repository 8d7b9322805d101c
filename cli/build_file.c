/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes a file of a build (build_file.h).
 */
#include "build_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

bool bh_cli_build_file(const char *folder, const char *name, const char *ending, const char *text)
{
    char path[PATH_MAX];
    char other[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
    /* Two builds at a time must not share it. */
    int longer =
        snprintf(other, sizeof(other), "%s/.%s%s.%ld.new", folder, name, ending, (long)getpid());
    if (length < 0 || longer < 0 || (size_t)length >= sizeof(path) ||
        (size_t)longer >= sizeof(other)) {
        bh_cli_error("build: the path of the folder is too long; choose another with --output");
        return false;
    }
    FILE *file = fopen(other, "we");
    bool good = file != NULL && fputs(text, file) >= 0;
    good = file != NULL && fclose(file) == 0 && good;
    good = good && rename(other, path) == 0;
    if (!good) {
        bh_cli_error("build: %s cannot be written: %s; choose another folder with --output", path,
                     strerror(errno));
        (void)unlink(other);
    }
    return good;
}
