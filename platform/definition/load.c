/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of a definition: the one that the user named, and what it includes, each read once and
 * turned into a tree. What lies under what is decided here; laying them over each other is merge.c's.
 *
 * An included file lies under the one that includes it, and over those that stand before it in the
 * list. One that is included in several places takes the lowest of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "layers.h"
#include "text.h"

#define INCLUDE_DEPTH_MAX 8u           /* files that include each other */
#define ALL_BYTES_MAX     (4u << 20)   /* of all files together */
#define PATH_BYTES_MAX    (2u * 4096u) /* of a path as it is shown: several joined ones */

/* A file whose includes are being read. */
struct frame {
    struct bh_yaml_node *root;
    const struct bh_yaml_node *next; /* what it includes next; NULL: nothing more */
    const struct bh_yaml_node *at;   /* where it is included; NULL: nowhere */
    uint16_t file;
};

struct loader {
    struct bh_layers *layers;
    struct bh_reader *reader;
    struct bh_platform *platform;
    struct bh_file file;
    size_t bytes; /* of all files so far */
    struct frame stack[INCLUDE_DEPTH_MAX];
    uint32_t depth;
    struct { /* by number */
        dev_t device;
        ino_t inode;
    } known[BH_FILES_MAX];
    const struct bh_schema_key *key; /* of the table: include */
};

/* ------------------------------------------------------------------------------------- one file */

/* The folder that relative paths of a file belong to. */
static int find_folder(const struct loader *loader, struct bh_definition_file *file)
{
    const char *slash = strrchr(file->path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - file->path);
    char *folder = bh_arena_text(loader->reader->arena, file->path, length + (length == 0 ? 1 : 0));
    const struct bh_origin nowhere = {.file = (uint16_t)(file - loader->platform->files)};
    char *absolute;

    if (folder == NULL) {
        return BH_NO_MEMORY;
    }
    if (length == 0) {
        folder[0] = slash == NULL ? '.' : '/';
    }
    absolute = realpath(folder, NULL);
    if (absolute == NULL) {
        BH_SAY(loader->reader, "file", nowhere, "its folder cannot be found any more");
        return BH_GONE;
    }
    file->folder = bh_arena_text(loader->reader->arena, absolute, strlen(absolute));
    free(absolute);
    return file->folder == NULL ? BH_NO_MEMORY : BH_OK;
}

/* A definition of another version, or something else altogether, gets one message, not a hundred.
 */
static int check_version(const struct bh_reader *reader, const struct bh_yaml_node *root,
                         uint16_t file)
{
    const char *key = bh_schema_root()->keys[0].key;
    const struct bh_origin nowhere = {.file = file};
    const struct bh_yaml_node *entry;
    char known[8];

    if (root == NULL || (root->kind == BH_YAML_SCALAR && root->plain && root->text[0] == '\0')) {
        BH_SAY(reader, "version", nowhere,
               "the definition is empty\nbegin it with %s: %u, a name and guests", key,
               BH_DEFINITION_VERSION);
        return BH_INVALID;
    }
    entry = bh_yaml_find(root, key);
    if (entry == NULL) {
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

/* The text that was read, as a tree. */
static int parse(struct loader *loader, const char *path, uint16_t *number,
                 struct bh_yaml_node **root)
{
    struct bh_platform *platform = loader->platform;
    struct bh_definition_file *file;
    int error = bh_diagnostics_source(loader->reader->diagnostics, path, loader->file.text,
                                      loader->file.length, number);

    if (error == BH_LIMIT) {
        return error;
    }
    file = &platform->files[*number];
    platform->file_count = *number + 1u;
    loader->known[*number].device = loader->file.device;
    loader->known[*number].inode = loader->file.inode;
    file->path = bh_arena_text(loader->reader->arena, path, strlen(path));
    error = file->path == NULL ? BH_NO_MEMORY : find_folder(loader, file);
    if (error == BH_OK) {
        error = bh_yaml_parse(root, &loader->layers->forest, loader->file.text, loader->file.length,
                              *number);
    }
    return error != BH_OK ? error : check_version(loader->reader, *root, *number);
}

/* ------------------------------------------------------------------------------------ what it includes */

static bool is_include(const void *context, const struct bh_yaml_node *entry)
{
    return entry == context;
}

/* Puts a file on the stack, and takes `include` out of its tree. */
static void push(struct loader *loader, struct bh_yaml_node *root, uint16_t file,
                 const struct bh_yaml_node *at)
{
    struct bh_yaml_node *include = bh_yaml_find(root, loader->key->key);
    struct frame *frame = &loader->stack[loader->depth++];

    *frame = (struct frame){.root = root, .at = at, .file = file};
    if (include == NULL) {
        return;
    }
    bh_yaml_remove(root, is_include, include);
    if (include->kind == BH_YAML_LIST && (include->count == 0 || include->count >= BH_FILES_MAX)) {
        BH_SAY(loader->reader, "range", include->at, "%s has %u entries; possible is 1 to %u",
               loader->key->key, include->count, BH_FILES_MAX - 1);
    } else if (include->kind == BH_YAML_MAP) {
        bh_value_refuse(loader->reader, loader->key, include);
    } else {
        frame->next = include->kind == BH_YAML_LIST ? include->first : include;
    }
}

/* The path of what an entry includes, as it is shown and opened: a relative one begins at the
 * folder of the file that it stands in. NULL: said, or no memory. */
static char *path_of(const struct loader *loader, const struct bh_yaml_node *entry)
{
    struct bh_schema_key key = *loader->key;
    const char *from = loader->platform->files[entry->at.file].path;
    const char *slash = strrchr(from, '/');
    int folder = slash == NULL ? 0 : (int)(slash + 1 - from);
    struct bh_text text = {.text = NULL};
    char path[PATH_BYTES_MAX];
    char *kept;

    key.type = entry->kind == BH_YAML_SCALAR ? BH_SCHEMA_PATH : BH_SCHEMA_INCLUDE;
    if (entry->kind != BH_YAML_SCALAR) {
        bh_value_refuse(loader->reader, &key, entry);
        return NULL;
    }
    key.offset = 0;
    bh_value_read(loader->reader, &key, entry, &text);
    if (text.text == NULL) {
        return NULL;
    }
    if (snprintf(path, sizeof(path), "%.*s%s", text.text[0] == '/' ? 0 : folder, from, text.text) >=
        (int)sizeof(path)) {
        BH_SAY(loader->reader, "include", entry->at,
               "the path of this file is longer than %u bytes", PATH_BYTES_MAX - 1);
        return NULL;
    }
    kept = bh_arena_text(loader->layers->forest.arena, path, strlen(path));
    loader->reader->no_memory |= kept == NULL;
    return kept;
}

/* The number of the file that was read last, if it was read before; -1: it was not. */
static int find_known(const struct loader *loader)
{
    for (uint32_t i = 0; i < loader->platform->file_count; i++) {
        if (loader->known[i].device == loader->file.device &&
            loader->known[i].inode == loader->file.inode) {
            return (int)i;
        }
    }
    return -1;
}

/* A file that is known already: fine, unless it includes itself. */
static void meet_again(const struct loader *loader, const struct bh_yaml_node *entry, int number)
{
    uint32_t from = 0;

    while (from < loader->depth && loader->stack[from].file != number) {
        from++;
    }
    if (from == loader->depth) {
        return;
    }
    BH_SAY(loader->reader, "include-cycle", entry->at,
           "%s includes itself\nremove it here, or from one of the files between",
           bh_show(loader->platform->files[number].path).text);
    for (uint32_t i = from + 1; i < loader->depth; i++) {
        bh_diagnostics_note(loader->reader->diagnostics, loader->stack[i].at->at,
                            "%s is included here",
                            bh_show(loader->platform->files[loader->stack[i].file].path).text);
    }
}

/* Why no more can be included; NULL: it can. */
static const char *why_full(const struct loader *loader)
{
    if (loader->platform->file_count == BH_FILES_MAX) {
        return "the definition has 32 files, which is as many as it may have";
    }
    if (loader->bytes > ALL_BYTES_MAX) {
        return "the files of the definition have more than 4 MiB together";
    }
    return NULL;
}

/* Reads the file that `entry` includes, and puts it on the stack. Only BH_NO_MEMORY ends it all:
 * whatever else is wrong is said, and the other files are still looked at. */
static int enter(struct loader *loader, const struct bh_yaml_node *entry)
{
    struct bh_yaml_node *root = NULL;
    const char *path = path_of(loader, entry);
    const char *full = NULL;
    uint16_t number;
    int known;
    int error;

    if (path == NULL) {
        return loader->reader->no_memory ? BH_NO_MEMORY : BH_OK;
    }
    loader->file.included = entry;
    error = bh_file_read(&loader->file, path);
    if (error != BH_OK) {
        return error == BH_NO_MEMORY ? error : BH_OK;
    }
    known = find_known(loader);
    if (known >= 0) {
        meet_again(loader, entry, known);
        return BH_OK;
    }
    loader->bytes += loader->file.length;
    full = loader->depth == INCLUDE_DEPTH_MAX ? "files include each other deeper than 8"
                                              : why_full(loader);
    if (full != NULL) {
        BH_SAY(loader->reader, "include", entry->at, "%s\ninclude fewer files", full);
        return BH_OK;
    }
    error = parse(loader, path, &number, &root);
    if (error == BH_OK) {
        push(loader, root, number, entry);
    }
    return error == BH_NO_MEMORY ? error : BH_OK;
}

/* The file on top of the stack has no more to include: it lies over all that it did. */
static void pop(struct loader *loader)
{
    struct bh_layers *layers = loader->layers;
    const struct frame *frame = &loader->stack[--loader->depth];

    layers->order[frame->file] = layers->count;
    layers->roots[layers->count++] = frame->root;
}

static int load_all(struct loader *loader)
{
    int error = BH_OK;

    while (loader->depth != 0 && error == BH_OK) {
        struct frame *frame = &loader->stack[loader->depth - 1];
        const struct bh_yaml_node *entry = frame->next;

        if (entry == NULL) {
            pop(loader);
        } else {
            frame->next = entry->parent->kind == BH_YAML_LIST ? entry->next : NULL;
            error = enter(loader, entry);
        }
    }
    return error;
}

static const struct bh_schema_key *include_key(void)
{
    const struct bh_schema_key *key = bh_schema_root()->keys;

    while (key->type != BH_SCHEMA_INCLUDE) {
        key++;
    }
    return key;
}

int bh_layers_load(struct bh_layers *layers, struct bh_reader *reader, struct bh_platform *platform)
{
    struct loader loader = {.layers = layers,
                            .reader = reader,
                            .platform = platform,
                            .file = {.diagnostics = reader->diagnostics},
                            .key = include_key()};
    struct bh_yaml_node *root = NULL;
    const char *path = platform->files[0].path;
    uint16_t number;
    int error = bh_file_read(&loader.file, path);

    loader.bytes = loader.file.length;
    if (error == BH_OK) {
        error = parse(&loader, path, &number, &root);
    }
    if (error == BH_OK) {
        push(&loader, root, number, NULL);
        error = load_all(&loader);
    }
    free(loader.file.buffer);
    if (error == BH_OK && bh_diagnostics_errors(reader->diagnostics) != reader->errors) {
        error = BH_INVALID;
    }
    return error;
}
