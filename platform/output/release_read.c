/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An image as a platform again (platform_release.h). It believes the image, which is verified, and
 * not that this program is the release of Bulkhead that built it: what is derived here has to be
 * what lies in the image, byte by byte. So nothing runs that was not looked at when it was signed.
 */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_release.h"
#include "platform/definition/json_tree.h"
#include "platform/image/image.h"
#include "release.h"

#define DEFINITION_BYTES_MAX (UINT64_C(16) << 20)

struct take {
    const struct bh_image *image;
    const char *name;
    uint32_t used; /* sections */
    struct bh_diagnostics *diagnostics;
    struct bh_image_refusal *refusal;
};

static int refuse(const struct take *take, const char *what)
{
    return bh_image_refuse(take->refusal, BH_IMAGE_MALFORMED,
                           "%s: malformed: %s; build the image with the release of Bulkhead that "
                           "runs it",
                           take->name, what);
}

/* A section's bytes, mapped (munmap, section->size); NULL: it cannot be. It is sealed. */
static void *map_section(const struct bh_image_section *section)
{
    void *bytes = mmap(NULL, (size_t)section->size, PROT_READ, MAP_PRIVATE, section->fd, 0);
    return bytes == MAP_FAILED ? NULL : bytes;
}

/* ------------------------------------------------------------------------------------------------
 * the definition */

/* Puts paths to the image's memory in place of a guest's section names. */
static int place_files(const struct take *take, const char *guest, json_t *boot)
{
    for (size_t i = 0; i < BH_RELEASE_BOOT_FILES; i++) {
        const char *key = bh_release_boot_files[i].key;
        const json_t *value = json_object_get(boot, key);
        char name[2u * BH_IMAGE_SECTION_NAME_MAX];
        if (value == NULL) {
            continue;
        }
        (void)snprintf(name, sizeof(name), "%.*s/%s", (int)BH_IMAGE_SECTION_NAME_MAX, guest, key);
        const struct bh_image_section *section = bh_image_find(take->image, name);
        if (!json_is_string(value) || strcmp(json_string_value(value), name) != 0 ||
            section == NULL || section->type != bh_release_boot_files[i].type) {
            return refuse(take, "a file that a guest boots is not in it");
        }
        if (json_object_set_new(boot, key, json_sprintf("/proc/self/fd/%d", section->fd)) != 0) {
            return bh_image_refuse_memory(take->refusal);
        }
    }
    return BH_OK;
}

static int place_all_files(const struct take *take, json_t *root)
{
    const char *name;
    json_t *guest;
    json_object_foreach(json_object_get(root, "guests"), name, guest)
    {
        int result = place_files(take, name, json_object_get(guest, "boot"));
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static int read_definition(const struct take *take, const char *root, struct bh_platform **platform)
{
    char folder[PATH_MAX];
    const struct bh_image_section *section = bh_image_find(take->image, BH_RELEASE_DEFINITION);
    if (section == NULL || section->type != BH_IMAGE_PLATFORM ||
        section->size > DEFINITION_BYTES_MAX) {
        return refuse(take, "there is no definition in it");
    }
    if (realpath(root, folder) == NULL) {
        return bh_image_refuse_host(take->refusal, BH_GONE,
                                    "%s: the folder of its disks cannot be used: %s: %s; name it "
                                    "with --root",
                                    take->name, root, strerror(errno));
    }
    char *text = map_section(section);
    if (text == NULL) {
        return bh_image_refuse_memory(take->refusal);
    }
    const struct bh_json_definition definition = {
        json_loadb(text, (size_t)section->size, JSON_REJECT_DUPLICATES, NULL), take->name, folder};
    (void)munmap(text, (size_t)section->size);
    int result = json_is_object(definition.root) ? place_all_files(take, definition.root)
                                                 : refuse(take, "its definition is no JSON object");
    if (result == BH_OK) {
        result = bh_platform_read_json(platform, &definition, take->diagnostics);
    }
    json_decref(definition.root);
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * what was derived */

/* Whether the image has this section; of what is derived, with these bytes. */
static bool holds(const struct take *take, const struct bh_image_source *source)
{
    const struct bh_image_section *section = bh_image_find(take->image, source->name);
    if (section == NULL || section->type != source->type) {
        return false;
    }
    if (source->bytes == NULL) {
        return true;
    }
    void *bytes = section->size == source->size ? map_section(section) : NULL;
    bool same = bytes != NULL && memcmp(bytes, source->bytes, (size_t)source->size) == 0;
    if (bytes != NULL) {
        (void)munmap(bytes, (size_t)section->size);
    }
    return same;
}

static int compare_guest(struct take *take, const struct bh_platform *platform, uint32_t index,
                         struct bh_derived *derived)
{
    const struct bh_guest *guest = &platform->guests[index];
    int result = bh_derived_make(derived, platform, guest, take->diagnostics);
    for (uint32_t i = 0; result == BH_OK && i < derived->source_count; i++) {
        if (!holds(take, &derived->sources[i])) {
            result =
                bh_image_refuse(take->refusal, BH_IMAGE_OTHER_FORMAT,
                                "%s: built by another release of Bulkhead: what it derives for "
                                "%s differs; build the image with the release that runs it",
                                take->name, derived->sources[i].name);
        }
    }
    take->used += derived->source_count;
    bh_derived_finish(derived);
    return result;
}

static int compare(struct take *take, const struct bh_platform *platform)
{
    int result = BH_OK;
    if (strcmp(platform->name.text, bh_image_facts(take->image)->name) != 0) {
        return refuse(take, "its definition has another name than its header");
    }
    for (uint32_t i = 0; result == BH_OK && i < platform->guest_count; i++) {
        struct bh_derived *derived = calloc(1, sizeof(*derived));
        result = derived != NULL ? compare_guest(take, platform, i, derived)
                                 : bh_image_refuse_memory(take->refusal);
        free(derived);
    }
    if (result == BH_OK && take->used != bh_image_facts(take->image)->section_count) {
        result = refuse(take, "it has sections that no guest uses");
    }
    return result;
}

int bh_release_read(struct bh_platform **platform, const struct bh_image *image, const char *name,
                    const char *root, struct bh_diagnostics *diagnostics,
                    struct bh_image_refusal *refusal)
{
    struct take take = {.image = image,
                        .name = name,
                        .used = 1, /* the definition */
                        .diagnostics = diagnostics,
                        .refusal = refusal};
    *platform = NULL;
    refusal->reason = BH_IMAGE_NOT_REFUSED;
    int result = read_definition(&take, root, platform);
    if (result == BH_OK && *platform != NULL) {
        result = compare(&take, *platform);
    }
    if (result != BH_OK) {
        bh_platform_destroy(*platform);
        *platform = NULL;
    }
    return result;
}
