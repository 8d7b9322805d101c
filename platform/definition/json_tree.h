/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A definition that is JSON (platform/output/definition_json.h) as the tree that YAML would give.
 * Private to platform/.
 */
#ifndef PLATFORM_JSON_TREE_H
#define PLATFORM_JSON_TREE_H

#include <jansson.h>

#include "bulkhead/platform_definition.h"
#include "yaml_tree.h"

/* json_tree.c: objects become maps, arrays lists, texts scalars; anything else is refused. Each node
 * stands on a line of its own, the one on which JSON_INDENT of jansson puts it. BH_OK and *root;
 * BH_INVALID, said in the forest's diagnostics; BH_NO_MEMORY. */
int bh_json_parse(struct bh_yaml_node **root, struct bh_yaml_forest *forest, json_t *json);

struct bh_json_definition {
    json_t *root;
    const char *name;   /* for messages */
    const char *folder; /* absolute: what relative paths belong to */
};

/* read.c: bh_platform_read with this in place of files. The same checks, the same errors. */
int bh_platform_read_json(struct bh_platform **platform, const struct bh_json_definition *json,
                          struct bh_diagnostics *diagnostics);

#endif
