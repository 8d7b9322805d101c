/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks that a thing of the host is one resource: under two names its users would meet there, and
 * no flow would be found. The same for what guests boot: who writes to it decides what they are.
 * It compares what is written; links are found when resources are opened.
 *
 * Two images of one name are check image-twice's, hardware is hardware-shared's. Where nothing that a user does comes to another
 * (entropy, clocks, keys), and where nobody writes, two names do no harm.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "check_assertions.h"
#include "graph.h"

/* What a text names. */
enum space { SPACE_PATH, SPACE_BUS, SPACE_INTERFACE };

struct entry {
    enum space space;
    char *text; /* a path: absolute and tidy */
    const struct bh_text *at;
    const struct bh_resource *resource; /* NULL: a file that a guest boots */
    const struct bh_guest *guest;       /* that boots it */
};

/* Whether a user of it can notice another. */
static bool carries(const struct bh_resource *resource)
{
    return resource != NULL && bh_flow_reached(resource->type.value, UINT32_MAX) != 0 &&
           !resource->read_only.value;
}

static bool is_of(const struct entry *entry, enum bh_resource_type type)
{
    return entry->resource != NULL && entry->resource->type.value == type;
}

/* What names the thing; NULL: it has none that others could have. */
static const struct bh_text *name_of(const struct bh_resource *resource, enum space *space)
{
    *space = SPACE_PATH;
    switch (resource->type.value) {
    case BH_RESOURCE_CAN:
        *space = SPACE_BUS;
        return strcmp(resource->bus.text, "virtual") == 0 ? NULL : &resource->bus;
    case BH_RESOURCE_NET:
        *space = SPACE_INTERFACE;
        return &resource->interface;
    case BH_RESOURCE_DISK:
        return &resource->image;
    case BH_RESOURCE_FOLDER:
        return &resource->folder;
    default:
        return resource->device.text == NULL ? NULL : &resource->device;
    }
}

/* A part that is ".." takes the one before it away, whatever links there are: of a link to a folder
 * that is wrong, and two names may be taken for one thing, or one thing for two; `bulkhead run`
 * compares what it has opened. */
void bh_path_tidy(char *path)
{
    char *to = path;

    for (const char *from = path; *from != '\0';) {
        size_t length = strcspn(from + 1, "/"); /* of the part that follows the slash */

        if (length == 2 && from[1] == '.' && from[2] == '.') {
            while (to > path && *--to != '/') {
            }
        } else if (length != 0 && !(length == 1 && from[1] == '.')) {
            memmove(to, from, length + 1);
            to += length + 1;
        }
        from += length + 1;
    }
    *to = '\0';
}

static int entry_fill(struct entry *entry, const struct bh_platform *platform)
{
    char path[PATH_MAX];

    if (entry->space != SPACE_PATH) {
        entry->text = strdup(entry->at->text);
    } else if (bh_platform_path(platform, entry->at, path, sizeof(path)) == BH_OK) {
        bh_path_tidy(path);
        entry->text = strdup(path);
    } else {
        entry->text = strdup(""); /* too long to be there at all */
    }
    return entry->text == NULL ? BH_NO_MEMORY : BH_OK;
}

/* By space, then by text, a slash before all else: what lies in a folder follows it. */
static int by_text(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    const unsigned char *p = (const unsigned char *)x->text;
    const unsigned char *q = (const unsigned char *)y->text;

    if (x->space != y->space) {
        return x->space < y->space ? -1 : 1;
    }
    while (*p == *q && *p != '\0') {
        p++;
        q++;
    }
    if (*p == *q && x->resource == y->resource) {
        return x->at < y->at ? -1 : 1;
    }
    if (*p == *q) { /* what is booted comes last */
        return y->resource == NULL || (x->resource != NULL && x->resource < y->resource) ? -1 : 1;
    }
    return *p == '\0' || (*p == '/' && *q != '\0') ? -1 : *q == '\0' || *q == '/' ? 1 : *p - *q;
}

/* Whether `inner` is `outer`, or lies in it. */
static bool lies_in(const struct entry *inner, const struct entry *outer)
{
    size_t length = strlen(outer->text);

    if (inner->space != outer->space || strncmp(inner->text, outer->text, length) != 0) {
        return false;
    }
    return inner->text[length] == '\0' ||
           (inner->text[length] == '/' && is_of(outer, BH_RESOURCE_FOLDER));
}

static void say(struct bh_reader *reader, const struct entry *later, const struct entry *first)
{
    bool same = strcmp(later->text, first->text) == 0;

    if (later->resource == NULL) {
        BH_SAY(reader, "resource-alias", later->at->at,
               "guest %s boots this, which is %s resource %s, and that can be written to\n"
               "keep it elsewhere, or let nobody write to %s (read-only: true): who writes to it"
               " decides what the guest is",
               later->guest->name.text, same ? "the same as" : "in the folder of",
               first->resource->name.text, first->resource->name.text);
    } else {
        BH_SAY(reader, "resource-alias", later->at->at,
               "%s is %s resource %s, and one of the two is written to\n"
               "%s",
               later->resource->name.text, same ? "the same as" : "in the folder of",
               first->resource->name.text,
               same ? "name one resource in all devices that use it: flows are found by its name"
                    : "keep it elsewhere: who writes to the folder would write to it unseen");
    }
    bh_diagnostics_note(reader->diagnostics, first->at->at, "here is %s",
                        first->resource->name.text);
}

/* `entries` are sorted, so what an entry lies in stands before it, and in each other. */
static void compare(struct bh_reader *reader, const struct entry *entries, uint32_t count)
{
    const struct entry *outer = NULL; /* the last one that others may lie in */

    for (uint32_t i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        bool in = outer != NULL && entry->text[0] != '\0' && lies_in(entry, outer);
        bool images = in && is_of(entry, BH_RESOURCE_DISK) && is_of(outer, BH_RESOURCE_DISK);

        if (in && !images && (carries(entry->resource) || carries(outer->resource))) {
            say(reader, entry, outer);
        }
        if (!in) {
            outer = entry;
        }
    }
}

#define BOOT_FILES 4u

/* What a guest boots. */
static int boot_fill(struct entry *entries, uint32_t *count, const struct bh_platform *platform,
                     const struct bh_guest *guest)
{
    const struct bh_text *files[BOOT_FILES] = {&guest->boot.kernel, &guest->boot.initrd,
                                               &guest->boot.elf, &guest->boot.firmware};
    int error = BH_OK;

    for (uint32_t i = 0; i < BOOT_FILES && error == BH_OK; i++) {
        if (files[i]->text != NULL) {
            entries[*count] = (struct entry){SPACE_PATH, NULL, files[i], NULL, guest};
            error = entry_fill(&entries[*count], platform);
            (*count)++;
        }
    }
    return error;
}

void bh_check_resource_alias(struct bh_reader *reader, struct bh_platform *platform)
{
    size_t most = platform->resource_count + (size_t)platform->guest_count * BOOT_FILES;
    struct entry *entries = calloc(most + 1, sizeof(*entries));
    uint32_t count = 0;
    int error = entries == NULL ? BH_NO_MEMORY : BH_OK;

    for (uint32_t i = 0; i < platform->resource_count && error == BH_OK; i++) {
        struct entry *entry = &entries[count];

        entry->resource = &platform->resources[i];
        entry->at = name_of(entry->resource, &entry->space);
        if (entry->at != NULL && bh_flow_reached(entry->resource->type.value, UINT32_MAX) != 0) {
            error = entry_fill(entry, platform);
            count++;
        }
    }
    for (uint32_t i = 0; i < platform->guest_count && error == BH_OK; i++) {
        error = boot_fill(entries, &count, platform, &platform->guests[i]);
    }
    if (error == BH_OK) {
        qsort(entries, count, sizeof(*entries), by_text);
        compare(reader, entries, count);
    } else {
        reader->no_memory = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        free(entries[i].text);
    }
    free(entries);
}
