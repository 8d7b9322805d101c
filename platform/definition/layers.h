/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A definition before its values are read: its files as layers, laid over each other; templates
 * written out. All of it happens to the YAML tree. Private to platform/definition/.
 */
#ifndef PLATFORM_LAYERS_H
#define PLATFORM_LAYERS_H

#include <sys/types.h>

#include "reader.h"

/* file.c: one file, and then the next one with the same buffer. */
struct bh_file {
    struct bh_diagnostics *diagnostics;
    const struct bh_yaml_node *included; /* where; NULL: it is the definition itself */
    char *buffer;                        /* of malloc; the caller frees it */
    const char *text;                    /* without byte order mark, NUL behind it */
    size_t length;
    dev_t device; /* which file it is, whatever it is called */
    ino_t inode;
};

/* Reads the whole file at `path`. Errors as bh_platform_read has them, said. */
int bh_file_read(struct bh_file *file, const char *path);

/* What an upper layer takes away. */
struct bh_gone {
    struct bh_gone *next;
    const char *noun; /* "guest", "resource"; of a device: "device", and the name is its guest's */
    const char *name;
    uint32_t layer;
};

/* load.c: all files of a definition. */
struct bh_layers {
    struct bh_yaml_forest forest;
    struct bh_yaml_node *roots[BH_FILES_MAX]; /* the lowest first */
    uint32_t count;
    uint32_t order[BH_FILES_MAX]; /* file number -> index in roots */
    struct bh_gone *gone;         /* the last first */
};

/* Reads the definition platform->files[0] and all that it includes. Errors as bh_platform_read has
 * them, said; but BH_NO_MEMORY is not. */
int bh_layers_load(struct bh_layers *layers, struct bh_reader *reader,
                   struct bh_platform *platform);

/* merge.c: lays them over each other; the first root is the definition then. BH_INVALID: said;
 * BH_NO_MEMORY. */
int bh_layers_merge(struct bh_layers *layers);

/* merge.c: takes out the nulls that took something away. The others are no values, which is for the
 * walk to say. */
void bh_layers_clean(const struct bh_layers *layers);

/* gone.c: what the layers below `layer` say about guests and resources that it takes away goes with
 * them: policy lines, assertions. BH_NO_MEMORY. */
int bh_gone_things(const struct bh_layers *layers, uint32_t layer);

/* gone.c: policy lines for a resource that a guest has no device for any more, because a layer above
 * them took one away. Templates are written out by then. BH_NO_MEMORY. */
int bh_gone_devices(const struct bh_layers *layers);

/* template.c: writes the templates out, and takes them out of the tree. BH_INVALID: said;
 * BH_NO_MEMORY. */
int bh_templates_expand(struct bh_yaml_forest *forest, struct bh_reader *reader,
                        struct bh_yaml_node *root);

#endif
