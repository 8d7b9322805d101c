/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a platform image of any files, well signed, whatever they mean: also such images as
 * `bulkhead build` would never make.
 *
 *   image_maker KEY IMAGE NAME RELEASE ROLLBACK TYPE:SECTION:FILE...
 *
 * TYPE is a number of enum bh_image_type. What is refused goes to standard error, status 1.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_image.h"

#define FIXED_WORDS 6
#define NUMBER_BASE 10

/* Takes "TYPE:SECTION:FILE" apart, in place. */
static bool take(char *word, struct bh_image_source *source)
{
    char *name = strchr(word, ':');
    char *file = name != NULL ? strchr(name + 1, ':') : NULL;
    if (file == NULL) {
        return false;
    }
    *name++ = '\0';
    *file++ = '\0';
    source->type = (enum bh_image_type)strtoul(word, NULL, NUMBER_BASE);
    source->name = name;
    source->fd = open(file, O_RDONLY | O_CLOEXEC);
    return source->fd >= 0;
}

int main(int argc, char **argv)
{
    static struct bh_image_source sources[BH_IMAGE_SECTIONS_MAX];
    static struct bh_image_refusal refusal;
    struct bh_image_signer *signer = NULL;
    uint32_t count = 0;
    for (int i = FIXED_WORDS; i < argc && count < BH_IMAGE_SECTIONS_MAX; i++) {
        if (!take(argv[i], &sources[count])) {
            (void)fprintf(stderr, "image_maker: %s: no TYPE:SECTION:FILE\n", argv[i]);
            return 2;
        }
        count++;
    }
    if (count == 0) {
        (void)fprintf(stderr, "usage: image_maker KEY IMAGE NAME RELEASE ROLLBACK "
                              "TYPE:SECTION:FILE...\n");
        return 2;
    }
    const struct bh_image_content content = {
        .name = argv[3],
        .release = argv[4],
        .rollback = strtoull(argv[5], NULL, NUMBER_BASE),
        .sources = sources,
        .source_count = count,
    };
    int result = bh_image_signer_open(&signer, argv[1], &refusal);
    if (result == BH_OK) {
        result = bh_image_write(&content, signer, argv[2], &refusal);
    }
    if (result != BH_OK) {
        (void)fprintf(stderr, "%s\n", refusal.text);
    }
    bh_image_signer_close(signer);
    for (uint32_t i = 0; i < count; i++) {
        (void)close(sources[i].fd);
    }
    return result == BH_OK ? 0 : 1;
}
