/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds the signed image of a platform (platform_release.h). The definition that goes into it is
 * read back first: what the vehicle would refuse is not signed.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_release.h"
#include "definition_json.h"
#include "platform/definition/json_tree.h"
#include "platform/image/image.h"
#include "release.h"

struct build {
    const struct bh_platform *platform;
    struct bh_diagnostics *diagnostics;
    struct bh_image_refusal *refusal;
    struct bh_derived *derived; /* for each guest */
    char *json;
    struct bh_image_source *sources;
    uint32_t count;
};

/* All guests are tried, so that everything is said at once; the first error counts. */
static int derive(struct build *build)
{
    int first = BH_OK;
    for (uint32_t i = 0; i < build->platform->guest_count; i++) {
        int result = bh_derived_make(&build->derived[i], build->platform,
                                     &build->platform->guests[i], build->diagnostics);
        first = first == BH_OK ? result : first;
    }
    return first;
}

/* `-W warning=` lets a definition pass that no run accepts. */
static int read_back(const struct build *build)
{
    static const struct bh_origin nowhere = {.line = 0};
    const char *name = build->platform->files[0].path;
    struct bh_diagnostics *found = bh_diagnostics_create(name);
    struct bh_platform *platform = NULL;
    const struct bh_json_definition definition = {
        json_loads(build->json, JSON_REJECT_DUPLICATES, NULL), name, "/"};
    if (found == NULL || definition.root == NULL) {
        bh_diagnostics_destroy(found);
        json_decref(definition.root);
        return bh_image_refuse_memory(build->refusal);
    }
    int result = bh_platform_read_json(&platform, &definition, found);
    if (result != BH_OK) {
        bh_diagnostics_add(build->diagnostics, BH_SEVERITY_ERROR, "image", nowhere,
                           "no image is signed that every run refuses: an error was made a warning "
                           "with -W\nmend what is warned of, or build without --sign");
    }
    bh_platform_destroy(platform);
    json_decref(definition.root);
    bh_diagnostics_destroy(found);
    return result;
}

static void list(struct build *build)
{
    build->sources[build->count++] = (struct bh_image_source){.type = BH_IMAGE_PLATFORM,
                                                              .name = BH_RELEASE_DEFINITION,
                                                              .bytes = build->json,
                                                              .size = strlen(build->json),
                                                              .fd = -1};
    for (uint32_t i = 0; i < build->platform->guest_count; i++) {
        const struct bh_derived *derived = &build->derived[i];
        for (uint32_t j = 0; j < derived->source_count; j++) {
            build->sources[build->count++] = derived->sources[j];
        }
    }
}

static int sign(const struct build *build, const struct bh_release_setup *setup, const char *path)
{
    const struct bh_image_content content = {
        .name = build->platform->name.text,
        .release = setup->release,
        .rollback = setup->rollback,
        .sources = build->sources,
        .source_count = build->count,
    };
    struct bh_image_signer *signer;
    int result = bh_image_signer_open(&signer, setup->key, build->refusal);
    if (result == BH_OK) {
        result = bh_image_write(&content, signer, path, build->refusal);
        bh_image_signer_close(signer);
    }
    return result;
}

int bh_release_write(const struct bh_platform *platform, const struct bh_release_setup *setup,
                     const char *path, struct bh_diagnostics *diagnostics,
                     struct bh_image_refusal *refusal)
{
    uint32_t guests = platform->guest_count;
    struct build build = {
        .platform = platform,
        .diagnostics = diagnostics,
        .refusal = refusal,
        .derived = calloc(guests, sizeof(build.derived[0])),
        .sources = calloc(1u + guests * BH_RELEASE_GUEST_SECTIONS, sizeof(build.sources[0])),
        .json = bh_definition_json(platform),
    };
    int result = BH_OK;
    refusal->reason = BH_IMAGE_NOT_REFUSED;
    if (build.derived == NULL || build.sources == NULL || build.json == NULL) {
        result = bh_image_refuse_memory(refusal);
    }
    if (result == BH_OK) {
        result = derive(&build);
    }
    if (result == BH_OK) {
        result = read_back(&build);
    }
    if (result == BH_OK) {
        list(&build);
        result = sign(&build, setup, path);
    }
    for (uint32_t i = 0; build.derived != NULL && i < guests; i++) {
        bh_derived_finish(&build.derived[i]);
    }
    free(build.derived);
    free(build.sources);
    free(build.json);
    return result;
}
