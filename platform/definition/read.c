/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a definition from end to end: files, layers, templates, keys, checks; each begins only
 * when the one before it found no error, because what it would say then is seldom true.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "json_tree.h"
#include "layers.h"

/* The public part is the first member, so that one pointer is both. */
struct owned_platform {
    struct bh_platform platform;
    struct bh_arena arena;
};

static const struct bh_origin nowhere;

static int say_no_memory(struct bh_diagnostics *diagnostics)
{
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "file", nowhere,
                       "there is not enough memory to read it");
    return BH_NO_MEMORY;
}

/* Values of the tree into the platform, and the checks. */
static int read_tree(struct bh_reader *reader, const struct bh_yaml_node *root,
                     struct bh_platform *platform)
{
    bh_walk(reader, root, platform);
    if (!reader->no_memory && bh_diagnostics_errors(reader->diagnostics) == reader->errors) {
        bh_checks_run(reader, platform);
    }
    return reader->no_memory ? BH_NO_MEMORY : BH_OK;
}

/* The files into the platform; what is needed only meanwhile lies in `meanwhile`. */
static int read_files(struct bh_reader *reader, struct bh_arena *meanwhile,
                      struct bh_platform *platform)
{
    struct bh_layers layers = {.forest = {.arena = meanwhile, .diagnostics = reader->diagnostics}};
    int error = bh_layers_load(&layers, reader, platform);

    if (error == BH_OK) {
        error = bh_layers_merge(&layers);
    }
    if (error == BH_OK) {
        error = bh_templates_expand(&layers.forest, reader, layers.roots[0]);
    }
    if (error == BH_OK) {
        error = bh_gone_devices(&layers);
    }
    if (error != BH_OK) {
        return error;
    }
    bh_layers_clean(&layers);
    return read_tree(reader, layers.roots[0], platform);
}

/* The definition that an image holds: layers and templates are gone from it. */
static int read_json(struct bh_reader *reader, struct bh_arena *meanwhile,
                     const struct bh_json_definition *json, struct bh_platform *platform)
{
    struct bh_yaml_forest forest = {.arena = meanwhile, .diagnostics = reader->diagnostics};
    struct bh_definition_file *file = &platform->files[0];
    struct bh_yaml_node *root = NULL;
    int error = bh_json_parse(&root, &forest, json->root);

    if (error != BH_OK) {
        return error;
    }
    file->path = bh_arena_text(reader->arena, json->name, strlen(json->name));
    file->folder = bh_arena_text(reader->arena, json->folder, strlen(json->folder));
    platform->file_count = 1;
    if (file->path == NULL || file->folder == NULL) {
        return BH_NO_MEMORY;
    }
    return read_tree(reader, root, platform);
}

/* From files if `json` is NULL. */
static int read_platform(struct bh_platform **platform, const char *path,
                         const struct bh_json_definition *json, struct bh_diagnostics *diagnostics)
{
    struct owned_platform *owned = calloc(1, sizeof(*owned));
    struct bh_reader reader = {.diagnostics = diagnostics,
                               .errors = bh_diagnostics_errors(diagnostics)};
    struct bh_arena meanwhile = {.blocks = NULL};
    int error;

    *platform = NULL;
    if (owned == NULL) {
        return say_no_memory(diagnostics);
    }
    reader.arena = &owned->arena;
    owned->platform.files[0].path = path;
    error = json == NULL ? read_files(&reader, &meanwhile, &owned->platform)
                         : read_json(&reader, &meanwhile, json, &owned->platform);
    if (error == BH_NO_MEMORY) {
        error = say_no_memory(diagnostics);
    }
    bh_arena_finish(&meanwhile);
    if (error == BH_OK && bh_diagnostics_errors(diagnostics) != reader.errors) {
        error = BH_INVALID;
    }
    if (error != BH_OK) {
        bh_platform_destroy(&owned->platform);
        return error;
    }
    *platform = &owned->platform;
    return BH_OK;
}

int bh_platform_read(struct bh_platform **platform, const char *path,
                     struct bh_diagnostics *diagnostics)
{
    return read_platform(platform, path, NULL, diagnostics);
}

int bh_platform_read_json(struct bh_platform **platform, const struct bh_json_definition *json,
                          struct bh_diagnostics *diagnostics)
{
    return read_platform(platform, json->name, json, diagnostics);
}

void bh_platform_destroy(struct bh_platform *platform)
{
    struct owned_platform *owned = (struct owned_platform *)(void *)platform;

    if (owned != NULL) {
        bh_arena_finish(&owned->arena);
        free(owned);
    }
}

int bh_platform_path(const struct bh_platform *platform, const struct bh_text *text, char *to,
                     size_t size)
{
    const char *folder = platform->files[text->at.file].folder;
    const char *path = text->text;
    int length;

    /* Below "/" the folder adds nothing but the slash. */
    folder = path[0] == '/' || strcmp(folder, "/") == 0 ? "" : folder;
    length = snprintf(to, size, "%s%s%s", folder, path[0] == '/' ? "" : "/", path);
    return length < 0 || (size_t)length >= size ? BH_LIMIT : BH_OK;
}
