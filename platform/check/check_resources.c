/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of resources one by one: that devices can use them, that somebody does, that no two are
 * the same. Sharing is check_shared.c's. They look at the definition, not at what it names.
 */
#include "bulkhead/platform_policy.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "platform/flow/check_assertions.h"

/* ------------------------------------------------------------------------------- resource-type */

static void check_type(struct bh_reader *reader, struct bh_guest *guest,
                       struct bh_device_definition *device)
{
    uint32_t needs = bh_device_kind(device->type.value).resource;

    (void)guest;
    if (device->uses != NULL && device->uses->type.value != needs) {
        BH_SAY(reader, "resource-type", device->resource.at,
               "%s is a resource of type %s, and %s devices need type %s\n"
               "write the name of one of that type, or change the type of the device",
               device->resource.text, bh_resource_type_name(device->uses->type.value),
               bh_device_type_name(device->type.value), bh_resource_type_name(needs));
        bh_diagnostics_note(reader->diagnostics, device->uses->type.at, "here %s is of type %s",
                            device->resource.text, bh_resource_type_name(device->uses->type.value));
    }
}

void bh_check_resource_type(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_type);
}

/* ----------------------------------------------------------------------------- resource-unused */

void bh_check_resource_unused(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];

        if (resource->users == 0) {
            BH_WARN(reader, "resource-unused", resource->name.at,
                    "no device uses the resource %s\nremove it, or name it in a device",
                    resource->name.text);
        }
    }
}

/* --------------------------------------------------------------------------------- image-twice */

/* A disk by the path of its image. */
struct image {
    const char *path; /* absolute and tidy; links are for the supervisor to find */
    const struct bh_resource *resource;
    bool written;
};

static int by_path(const void *a, const void *b)
{
    const struct image *x = a;
    const struct image *y = b;
    int order = strcmp(x->path, y->path);

    return order != 0 ? order : x->resource < y->resource ? -1 : 1;
}

static bool is_written(const struct bh_platform *platform, const struct bh_resource *resource)
{
    struct bh_uses uses = bh_index_uses(platform, resource);

    for (uint32_t i = 0; i < uses.count; i++) {
        if ((bh_policy_rights(resource->type.value, bh_check_operations(platform, &uses.uses[i])) &
             BH_RIGHT_WRITE) != 0) {
            return true;
        }
    }
    return false;
}

/* The disks with their paths, sorted; NULL: no memory. */
static struct image *images_sort(struct bh_reader *reader, const struct bh_platform *platform,
                                 uint32_t *count)
{
    struct image *images =
        bh_arena_take(reader->arena, sizeof(*images) * (platform->resource_count + 1u));
    char path[PATH_MAX];

    *count = 0;
    for (uint32_t i = 0; i < platform->resource_count && images != NULL; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        struct image *image = &images[*count];

        if (resource->image.text == NULL ||
            bh_platform_path(platform, &resource->image, path, sizeof(path)) != 0) {
            continue; /* one that is too long is refused when it is opened */
        }
        bh_path_tidy(path);
        image->path = bh_arena_text(reader->arena, path, strlen(path));
        image->resource = resource;
        image->written = is_written(platform, resource);
        if (image->path == NULL) {
            return NULL;
        }
        (*count)++;
    }
    if (images != NULL) {
        qsort(images, *count, sizeof(*images), by_path);
    }
    return images;
}

/* The disks from `begin` on that have the same image; where they end. */
static uint32_t check_same(const struct bh_reader *reader, const struct image *images,
                           uint32_t count, uint32_t begin)
{
    const struct image *writer = NULL;
    uint32_t end = begin;

    while (end < count && strcmp(images[end].path, images[begin].path) == 0) {
        writer = writer == NULL && images[end].written ? &images[end] : writer;
        end++;
    }
    for (uint32_t i = begin + 1; i < end && writer != NULL; i++) {
        BH_SAY(reader, "image-twice", images[i].resource->image.at,
               "%s is the image of resource %s already, and policy lets %s be written\n"
               "give each resource an image of its own, or let all devices use one resource and"
               " only read",
               bh_show(images[i].resource->image.text).text, images[begin].resource->name.text,
               writer->resource->name.text);
        bh_diagnostics_note(reader->diagnostics, images[begin].resource->image.at,
                            "here it is the image of %s", images[begin].resource->name.text);
    }
    return end;
}

void bh_check_image_twice(struct bh_reader *reader, struct bh_platform *platform)
{
    uint32_t count;
    const struct image *images = images_sort(reader, platform, &count);
    uint32_t next = 0;

    if (images == NULL) {
        reader->no_memory = true;
        return;
    }
    while (next < count) {
        next = check_same(reader, images, count, next);
    }
}

/* -------------------------------------------------------------------------------- hardware-dma */

void bh_check_hardware_dma(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];

        if (resource->type.value == BH_RESOURCE_HARDWARE && resource->dma.value &&
            !resource->iommu.value && resource->users != 0) {
            BH_WARN(reader, "hardware-dma", resource->name.at,
                    "%s reads and writes memory by itself, and no IOMMU holds it: through it its"
                    " guest reaches all memory of all guests and of the host\n"
                    "put it behind an IOMMU and write iommu: true; or write dma: false if it does"
                    " no such thing",
                    resource->name.text);
        }
    }
}
