/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tells people everything between two nodes: the ways both ways, in each mode, with the lines of
 * the definition, what both use, and what must be trusted. It decides nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "flow_text.h"
#include "graph.h"
#include "platform/definition/text.h"

/* What the terminal is told; all empty without colour. */
struct palette {
    const char *strong;
    const char *bad;
    const char *good;
    const char *faint;
    const char *end;
};

struct explanation {
    const struct bh_platform *platform;
    struct bh_flow *flow;
    struct bh_flow_node ends[2];
    struct bh_flow_path path;
    struct bh_flow_path other;
    const struct palette *palette;
    FILE *to;
};

static const struct palette plain = {"", "", "", "", ""};
static const struct palette bright = {"\033[1m", "\033[1;31m", "\033[1;32m", "\033[2m", "\033[0m"};

/* ----------------------------------------------------------------------------------------- names */

static const char *node_name_at(const void *context, size_t index)
{
    const struct bh_platform *platform = context;

    if (index < platform->guest_count) {
        return platform->guests[index].name.text;
    }
    index -= platform->guest_count;
    return index < platform->resource_count ? platform->resources[index].name.text : NULL;
}

static bool find_end(struct explanation *explanation, uint32_t end, const char *name,
                     struct bh_diagnostics *diagnostics)
{
    const char *near;

    if (bh_flow_node_find(&explanation->ends[end], explanation->platform, name)) {
        return true;
    }
    near = bh_suggest(name, node_name_at, explanation->platform);
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "reference", (struct bh_origin){0},
                       "there is no guest or resource %s\n%s%s%s", bh_show(name).text,
                       near == NULL ? "name a guest or a resource of this platform"
                                    : "did you mean ",
                       near == NULL ? "" : near, near == NULL ? "" : "?");
    return false;
}

/* ------------------------------------------------------------------------------------------ ways */

/* `ever`: the way goes over changes of mode, and each step is in one. */
static void put_path(const struct explanation *explanation, const char *modes, bool ever)
{
    const struct palette *palette = explanation->palette;
    const struct bh_flow_path *path = &explanation->path;
    const struct bh_definition_file *files = explanation->platform->files;

    if (path->count == 0) {
        (void)fprintf(explanation->to, "  %s%snothing%s\n", modes, palette->good, palette->end);
        return;
    }
    (void)fprintf(explanation->to, "  %s%s%" PRIu32 " step%s%s\n", modes, palette->bad, path->count,
                  path->count == 1 ? "" : "s", palette->end);
    for (uint32_t i = 0; i < path->count; i++) {
        const struct bh_origin *at = &path->steps[i].line->at;
        char text[BH_STEP_BYTES];
        char mode[BH_MODES_BYTES] = "";

        if (ever) {
            bh_flow_modes_text(explanation->platform, 1u << path->steps[i].mode, ", ", mode,
                               sizeof(mode));
        }
        bh_flow_step_text(&path->steps[i], text, sizeof(text));
        (void)fprintf(explanation->to, "    %" PRIu32 ". %s%s\n       %s%s:%" PRIu32 "%s\n", i + 1,
                      text, mode, palette->faint, files[at->file].path, at->line, palette->end);
    }
}

/* One way, in each mode; modes with the same answer together. */
static int put_way(struct explanation *explanation, uint32_t from)
{
    const struct bh_platform *platform = explanation->platform;
    const struct bh_flow_node *a = &explanation->ends[from];
    const struct bh_flow_node *b = &explanation->ends[1 - from];
    uint32_t said = 0;
    bool flows = false;
    int error = BH_OK;

    (void)fprintf(explanation->to, "%sfrom %s to %s%s\n", explanation->palette->strong,
                  bh_flow_node_name(a), bh_flow_node_name(b), explanation->palette->end);
    for (uint32_t i = 0; i < platform->modes.count && error == BH_OK; i++) {
        uint32_t modes = 1u << i;
        char text[BH_MODES_BYTES];

        if ((said & modes) != 0) {
            continue;
        }
        error = bh_flow_find(&explanation->path, explanation->flow, a, b, NULL, i);
        for (uint32_t j = i + 1; j < platform->modes.count && error == BH_OK; j++) {
            error = bh_flow_find(&explanation->other, explanation->flow, a, b, NULL, j);
            modes |= bh_flow_path_is_same(&explanation->path, &explanation->other) ? 1u << j : 0u;
        }
        said |= modes;
        bh_flow_modes_text(platform, modes, "", text, sizeof(text) - 2);
        if (text[0] != '\0') {
            memcpy(text + strlen(text), ": ", 3);
        }
        if (error == BH_OK) {
            put_path(explanation, text, false);
            flows = flows || explanation->path.count != 0;
        }
    }
    if (error == BH_OK && !flows && platform->modes.count > 1) {
        error = bh_flow_find(&explanation->path, explanation->flow, a, b, NULL, BH_MODES_ALL);
        put_path(explanation, "over changes of mode: ", true);
    }
    return error;
}

/* -------------------------------------------------------------------------------- what both use */

static void put_use(const struct explanation *explanation, const struct bh_guest *guest,
                    const struct bh_resource *resource)
{
    char operations[128];

    bh_operations_text(resource->type.value,
                       bh_policy_operations(explanation->platform, guest, resource, BH_MODES_ALL),
                       operations, sizeof(operations));
    (void)fprintf(explanation->to, "    %s: %s\n", guest->name.text, operations);
}

static bool uses(const struct bh_guest *guest, const struct bh_resource *resource)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (guest->devices[i].uses == resource) {
            return true;
        }
    }
    return false;
}

static void put_shared(const struct explanation *explanation)
{
    const struct bh_platform *platform = explanation->platform;
    const struct bh_guest *a = explanation->ends[0].guest;
    const struct bh_guest *b = explanation->ends[1].guest;
    const struct palette *palette = explanation->palette;
    uint32_t count = 0;

    if (a == NULL || b == NULL) {
        return;
    }
    (void)fprintf(explanation->to, "\n%sused by both%s\n", palette->strong, palette->end);
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];

        if (!uses(a, resource) || !uses(b, resource)) {
            continue;
        }
        count++;
        (void)fprintf(explanation->to, "  %s%s%s\n", resource->name.text,
                      resource->mediator.text == NULL ? "" : ", kept apart by ",
                      resource->mediator.text == NULL ? "" : resource->mediator.text);
        put_use(explanation, a, resource);
        put_use(explanation, b, resource);
    }
    if (count == 0) {
        (void)fprintf(explanation->to, "  %snothing%s\n", palette->good, palette->end);
    }
}

/* ----------------------------------------------------------------------------------------- trust */

static void put_trust(void *context, const struct bh_trust *trust)
{
    const struct explanation *explanation = context;
    bool grave = trust->kind == BH_TRUST_HARDWARE || trust->kind == BH_TRUST_BACKEND;

    (void)fprintf(explanation->to, "  - %s%s%s\n", grave ? explanation->palette->bad : "",
                  trust->text, grave ? explanation->palette->end : "");
}

static void put_trusted(struct explanation *explanation, const struct bh_guest *guest)
{
    if (guest == NULL) {
        return;
    }
    (void)fprintf(explanation->to, "\n%strusted by %s (%s)%s\n", explanation->palette->strong,
                  guest->name.text, bh_criticality_name(guest->criticality.value),
                  explanation->palette->end);
    bh_trust_list(explanation->platform, guest, put_trust, explanation);
}

int bh_flow_explain(const struct bh_platform *platform, const char *a, const char *b,
                    struct bh_diagnostics *diagnostics, FILE *to, bool colour)
{
    struct explanation *explanation = calloc(1, sizeof(*explanation));
    bool good;
    int error;

    if (explanation == NULL) {
        return BH_NO_MEMORY;
    }
    explanation->platform = platform;
    explanation->palette = colour ? &bright : &plain;
    explanation->to = to;
    good = find_end(explanation, 0, a, diagnostics);
    good = find_end(explanation, 1, b, diagnostics) && good;
    error = good ? bh_flow_create(&explanation->flow, platform) : BH_GONE;
    if (error == BH_OK) {
        error = put_way(explanation, 0);
        (void)fputc('\n', to);
    }
    if (error == BH_OK) {
        error = put_way(explanation, 1);
    }
    if (error == BH_OK) {
        put_shared(explanation);
        put_trusted(explanation, explanation->ends[0].guest);
        put_trusted(explanation, strcmp(a, b) == 0 ? NULL : explanation->ends[1].guest);
    }
    bh_flow_destroy(explanation->flow);
    free(explanation);
    return error;
}
