/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a path of an included file leads, seen from the definition (output_path.h). No file is
 * looked at: both folders are absolute, and what they have in common is left out.
 */
#include "output_path.h"

#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"

/* How many bytes two absolute folders have in common, up to a whole name of both. */
static size_t common(const char *a, const char *b)
{
    size_t whole = 0;
    size_t i = 0;

    for (; a[i] != '\0' && a[i] == b[i]; i++) {
        whole = a[i] == '/' ? i : whole;
    }
    const bool a_ends = a[i] == '\0' && (b[i] == '\0' || b[i] == '/');
    const bool b_ends = b[i] == '\0' && (a[i] == '\0' || a[i] == '/');

    return a_ends || b_ends ? i : whole;
}

/* A relative path that begins at folder `here`, and means what `path` means in folder `there`. */
static int path_from(const char *here, const char *there, const char *path,
                     char to[BH_OUTPUT_PATH_BYTES])
{
    size_t used = 0;
    const size_t same = strcmp(here, "/") == 0 || strcmp(there, "/") == 0 ? 0 : common(here, there);

    for (const char *at = here + same; (at = strchr(at, '/')) != NULL && at[1] != '\0'; at++) {
        if (used + 4u > BH_OUTPUT_PATH_BYTES) {
            return BH_LIMIT;
        }
        memcpy(to + used, "../", 4);
        used += 3;
    }
    const char *rest = there + same + (there[same] == '/' ? 1 : 0);
    const int length = snprintf(to + used, BH_OUTPUT_PATH_BYTES - used, "%s%s%s", rest,
                                *rest != '\0' ? "/" : "", path);

    return length >= 0 && (size_t)length < BH_OUTPUT_PATH_BYTES - used ? BH_OK : BH_LIMIT;
}

int bh_output_path(const struct bh_platform *platform, const struct bh_text *text,
                   char to[BH_OUTPUT_PATH_BYTES])
{
    const struct bh_definition_file *files = platform->files;

    if (text->text[0] == '/' || text->at.file == 0) {
        const int length = snprintf(to, BH_OUTPUT_PATH_BYTES, "%s", text->text);

        return length >= 0 && (size_t)length < BH_OUTPUT_PATH_BYTES ? BH_OK : BH_LIMIT;
    }
    return path_from(files[0].folder, files[text->at.file].folder, text->text, to);
}
