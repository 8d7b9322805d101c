/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signs the image of a platform (build_image.h). The image is platform/'s; here is the command
 * line.
 */
#include "build_image.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"

int bh_cli_sign_read(const struct bh_cli_sign_words *words, struct bh_release_setup *setup)
{
    *setup = (struct bh_release_setup){.key = words->key, .release = words->release};
    if (words->key == NULL && words->rollback == NULL && words->release == NULL) {
        return -1;
    }
    /* No usual values: a rollback index that was forgotten would make an image that no vehicle
     * takes, or one that makes every older one acceptable for ever. */
    if (words->key == NULL || words->rollback == NULL || words->release == NULL) {
        bh_cli_error("build: an image needs --sign KEY, --rollback N and --release TEXT together; "
                     "%s is missing",
                     words->key == NULL        ? "--sign"
                     : words->rollback == NULL ? "--rollback"
                                               : "--release");
        return BH_CLI_USAGE;
    }
    if (!bh_cli_number(words->rollback, UINT64_MAX, &setup->rollback)) {
        bh_cli_error("build: the rollback index '%s' is no number from 0 to 18446744073709551615; "
                     "raise it by 1 when older images must not run any more",
                     words->rollback);
        return BH_CLI_USAGE;
    }
    size_t length = strlen(words->release);
    if (length == 0 || length > BH_IMAGE_RELEASE_MAX) {
        bh_cli_error("build: the release is empty or longer than %u bytes; write your own version "
                     "of the platform, such as 2026.1",
                     BH_IMAGE_RELEASE_MAX);
        return BH_CLI_USAGE;
    }
    return -1;
}

int bh_cli_build_image(const struct bh_platform *platform, const struct bh_release_setup *setup,
                       const char *folder)
{
    static struct bh_image_refusal refusal;
    char path[PATH_MAX];
    int length =
        snprintf(path, sizeof(path), "%s/%s%s", folder, platform->name.text, BH_CLI_IMAGE_ENDING);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        bh_cli_error("build: the path of the folder is too long; choose another one");
        return BH_CLI_REFUSED;
    }
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(platform->files[0].path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return BH_CLI_REFUSED;
    }
    int result = bh_release_write(platform, setup, path, diagnostics, &refusal);
    /* Warnings have been said already. */
    if (result != BH_OK && bh_diagnostics_errors(diagnostics) > 0) {
        bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
    } else if (result != BH_OK) {
        bh_cli_error("build: %s", refusal.text);
    }
    bh_diagnostics_destroy(diagnostics);
    return result == BH_OK ? BH_CLI_OK : BH_CLI_REFUSED;
}
