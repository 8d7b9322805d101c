/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of resources: who uses them, and whether they can be shared. They look at the definition,
 * not at the files that it names.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "platform/definition/text.h"

/* The next device of the platform after (*guest, *device), in the order of the file; NULL: none.
 * Begin with both 0. */
static struct bh_device_definition *device_next(const struct bh_platform *platform, uint32_t *guest,
                                                uint32_t *device)
{
    while (*guest < platform->guest_count) {
        if (*device < platform->guests[*guest].device_count) {
            return &platform->guests[*guest].devices[(*device)++];
        }
        (*guest)++;
        *device = 0;
    }
    return NULL;
}

static const char *resource_name_at(const void *context, size_t index)
{
    const struct bh_platform *platform = context;

    return index < platform->resource_count ? platform->resources[index].name.text : NULL;
}

static const struct bh_resource *resource_find(const struct bh_platform *platform, const char *name)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        if (strcmp(platform->resources[i].name.text, name) == 0) {
            return &platform->resources[i];
        }
    }
    return NULL;
}

void bh_check_reference(struct bh_reader *reader, struct bh_platform *platform)
{
    struct bh_device_definition *device;
    uint32_t guest = 0;
    uint32_t next = 0;

    while ((device = device_next(platform, &guest, &next)) != NULL) {
        const char *near;

        if (device->resource.text == NULL) {
            continue;
        }
        device->uses = resource_find(platform, device->resource.text);
        if (device->uses != NULL) {
            continue;
        }
        near = bh_suggest(device->resource.text, resource_name_at, platform);
        BH_SAY(reader, "reference", device->resource.at, "there is no resource %s\n%s%s%s",
               device->resource.text, near == NULL ? "add it below resources" : "did you mean ",
               near == NULL ? "" : near, near == NULL ? "" : "?");
    }
}

void bh_check_resource_type(struct bh_reader *reader, struct bh_platform *platform)
{
    static const uint32_t needs[BH_DEVICE_TYPES] = {
        [BH_DEVICE_BLK] = BH_RESOURCE_DISK,
        [BH_DEVICE_RNG] = BH_RESOURCE_ENTROPY,
    };
    const struct bh_device_definition *device;
    uint32_t guest = 0;
    uint32_t next = 0;

    while ((device = device_next(platform, &guest, &next)) != NULL) {
        uint32_t need = needs[device->type.value];

        if (device->uses != NULL && device->uses->type.value != need) {
            BH_SAY(reader, "resource-type", device->resource.at,
                   "%s is a resource of type %s, and %s devices need type %s\n"
                   "the resource stands in line %" PRIu32,
                   device->resource.text, bh_words_resource[device->uses->type.value].word,
                   bh_device_type_name(device->type.value), bh_words_resource[need].word,
                   device->uses->name.at.line);
        }
    }
}

/* The first device that uses a resource; NULL: none. */
static const struct bh_device_definition *first_user(const struct bh_platform *platform,
                                                     const struct bh_resource *resource,
                                                     const struct bh_guest **owner)
{
    const struct bh_device_definition *device;
    uint32_t guest = 0;
    uint32_t next = 0;

    while ((device = device_next(platform, &guest, &next)) != NULL) {
        if (device->uses == resource) {
            *owner = &platform->guests[guest];
            return device;
        }
    }
    return NULL;
}

void bh_check_resource_shared(struct bh_reader *reader, struct bh_platform *platform)
{
    const struct bh_device_definition *device;
    uint32_t guest = 0;
    uint32_t next = 0;

    while ((device = device_next(platform, &guest, &next)) != NULL) {
        const struct bh_guest *owner = NULL;
        const struct bh_device_definition *first;

        if (device->uses == NULL || device->uses->type.value != BH_RESOURCE_DISK ||
            device->uses->read_only.value) {
            continue;
        }
        first = first_user(platform, device->uses, &owner);
        if (first != device && first != NULL) {
            BH_SAY(reader, "resource-shared", device->resource.at,
                   "the disk %s is already used by device %s of guest %s, and it is written to\n"
                   "two writers destroy a file system: give each device an image of its own,\n"
                   "or make the resource read-only: true",
                   device->resource.text, first->name.text, owner->name.text);
        }
    }
}

void bh_check_resource_unused(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        const struct bh_guest *owner = NULL;

        if (first_user(platform, resource, &owner) == NULL) {
            BH_WARN(reader, "resource-unused", resource->name.at,
                    "no device uses the resource %s\nremove it, or name it in a device",
                    resource->name.text);
        }
    }
}

/* The next part of a path between slashes, without "." parts; 0: the end. */
static size_t part_next(const char **at)
{
    for (;;) {
        size_t length;

        *at += strspn(*at, "/");
        length = strcspn(*at, "/");
        if (length != 1 || **at != '.') {
            return length;
        }
        *at += 1;
    }
}

/* Whether two paths are the same but for "//" and "/./". Links are for the supervisor to find: it
 * locks what it opens. */
static bool same_path(const char *a, const char *b)
{
    if ((*a == '/') != (*b == '/')) {
        return false;
    }
    for (;;) {
        size_t a_length = part_next(&a);
        size_t b_length = part_next(&b);

        if (a_length != b_length || strncmp(a, b, a_length) != 0) {
            return false;
        }
        if (a_length == 0) {
            return true;
        }
        a += a_length;
        b += b_length;
    }
}

void bh_check_image_twice(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 1; i < platform->resource_count; i++) {
        const struct bh_resource *later = &platform->resources[i];

        for (uint32_t j = 0; j < i && later->image.text != NULL; j++) {
            const struct bh_resource *first = &platform->resources[j];

            if (first->image.text == NULL || !same_path(first->image.text, later->image.text) ||
                (first->read_only.value && later->read_only.value)) {
                continue;
            }
            BH_SAY(reader, "image-twice", later->image.at,
                   "%s is the image of resource %s already, and one of the two is written to\n"
                   "give each resource an image of its own, or make both read-only: true",
                   bh_show(later->image.text).text, first->name.text);
            break;
        }
    }
}
