/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a definition from end to end: file, tree, version, keys, checks; each begins only when
 * the one before it found no error, because what it would say then is seldom true.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "reader.h"
#include "text.h"

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

/* The folder that relative paths belong to. */
static int find_folder(struct bh_reader *reader, struct bh_platform *platform)
{
    const char *slash = strrchr(platform->files[0].path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - platform->files[0].path);
    char *folder =
        bh_arena_text(reader->arena, platform->files[0].path, length + (length == 0 ? 1 : 0));
    char *absolute;

    if (folder == NULL) {
        return say_no_memory(reader->diagnostics);
    }
    if (length == 0) {
        folder[0] = slash == NULL ? '.' : '/';
    }
    absolute = realpath(folder, NULL);
    if (absolute == NULL) {
        BH_SAY(reader, "file", nowhere, "its folder cannot be found any more");
        return BH_GONE;
    }
    platform->files[0].folder = bh_arena_text(reader->arena, absolute, strlen(absolute));
    free(absolute);
    return platform->files[0].folder == NULL ? say_no_memory(reader->diagnostics) : BH_OK;
}

/* A definition of another version, or something else altogether, gets one message, not a hundred.
 */
static int check_version(const struct bh_reader *reader, const struct bh_yaml_node *root)
{
    const char *key = bh_schema_root()->keys[0].key;
    const struct bh_yaml_node *entry;
    char known[8];

    if (root == NULL || (root->kind == BH_YAML_SCALAR && root->plain && root->text[0] == '\0')) {
        BH_SAY(reader, "version", nowhere,
               "the definition is empty\nbegin it with %s: %u, a name and guests", key,
               BH_DEFINITION_VERSION);
        return BH_INVALID;
    }
    entry = root->first;
    while (root->kind == BH_YAML_MAP && entry != NULL && strcmp(entry->key, key) != 0) {
        entry = entry->next;
    }
    if (root->kind != BH_YAML_MAP || entry == NULL) {
        BH_SAY(reader, "version", root->at,
               "this is no definition: it has no %s key\n"
               "begin it with %s: %u",
               key, key, BH_DEFINITION_VERSION);
        return BH_INVALID;
    }
    (void)snprintf(known, sizeof(known), "%u", BH_DEFINITION_VERSION);
    if (entry->kind != BH_YAML_SCALAR || strcmp(entry->text, known) != 0) {
        BH_SAY(reader, "version", entry->at,
               "this definition's version is %s; this program knows version %s\n"
               "a later version needs a later program; if it is none, write %s: %s",
               entry->kind != BH_YAML_SCALAR ? "no number" : bh_show(entry->text).text, known, key,
               known);
        return BH_INVALID;
    }
    if (entry != root->first) {
        BH_SAY(reader, "version", entry->key_at, "%s is not the first key\nput it first", key);
    }
    return BH_OK;
}

/* The tree into the platform. */
static int read_tree(struct bh_reader *reader, const struct bh_yaml_node *root,
                     struct bh_platform *platform)
{
    int error = check_version(reader, root);

    if (error != BH_OK) {
        return error;
    }
    bh_walk(reader, root, platform);
    if (!reader->no_memory && bh_diagnostics_errors(reader->diagnostics) == reader->errors) {
        bh_checks_run(reader, platform);
    }
    return reader->no_memory ? say_no_memory(reader->diagnostics) : BH_OK;
}

/* The file into the platform; what is needed only meanwhile lies in `meanwhile`. */
static int read_file(struct bh_reader *reader, struct bh_arena *meanwhile,
                     struct bh_platform *platform)
{
    struct bh_diagnostics *diagnostics = reader->diagnostics;
    struct bh_yaml_node *root = NULL;
    const char *text = NULL;
    size_t length = 0;
    uint16_t file;
    int error = bh_file_read(meanwhile, platform->files[0].path, &text, &length, diagnostics);

    if (error != BH_OK) {
        return error;
    }
    (void)bh_diagnostics_source(diagnostics, platform->files[0].path, text, length, &file);
    error = find_folder(reader, platform);
    if (error != BH_OK) {
        return error;
    }
    error = bh_yaml_parse(&root, meanwhile, text, length, diagnostics);
    if (error == BH_NO_MEMORY) {
        return say_no_memory(diagnostics);
    }
    return error != BH_OK ? error : read_tree(reader, root, platform);
}

int bh_platform_read(struct bh_platform **platform, const char *path,
                     struct bh_diagnostics *diagnostics)
{
    struct owned_platform *owned = calloc(1, sizeof(*owned));
    struct bh_reader reader = {.diagnostics = diagnostics,
                               .errors = bh_diagnostics_errors(diagnostics)};
    struct bh_arena meanwhile = {NULL};
    int error;

    *platform = NULL;
    if (owned == NULL) {
        return say_no_memory(diagnostics);
    }
    reader.arena = &owned->arena;
    owned->platform.file_count = 1;
    owned->platform.files[0].path = bh_arena_text(&owned->arena, path, strlen(path));
    error = owned->platform.files[0].path == NULL
                ? say_no_memory(diagnostics)
                : read_file(&reader, &meanwhile, &owned->platform);
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

const struct bh_guest *bh_platform_guest(const struct bh_platform *platform, const char *name)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        if (strcmp(platform->guests[i].name.text, name) == 0) {
            return &platform->guests[i];
        }
    }
    return NULL;
}

const struct bh_resource *bh_platform_resource(const struct bh_platform *platform, const char *name)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        if (strcmp(platform->resources[i].name.text, name) == 0) {
            return &platform->resources[i];
        }
    }
    return NULL;
}

const struct bh_device_definition *bh_guest_device(const struct bh_guest *guest, const char *name)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (strcmp(guest->devices[i].name.text, name) == 0) {
            return &guest->devices[i];
        }
    }
    return NULL;
}
