/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From JSON to the tree of a definition (json_tree.h). It knows no key.
 *
 * It comes out of a signed image, and is still taken as what it is: bounded in depth and nodes,
 * without control characters.
 */
#include "json_tree.h"

#include <string.h>

#include "bulkhead/error.h"

/* A map or list that is being read. */
struct frame {
    json_t *value;
    struct bh_yaml_node *node;
    void *iterator; /* of an object: the next entry */
    size_t index;   /* of an array: the next entry */
};

struct parser {
    struct bh_yaml_forest *forest;
    struct frame stack[BH_YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t line; /* of the node that was read last */
};

static int refuse(const struct parser *parser, const char *what)
{
    const struct bh_origin at = {.line = parser->line, .column = parser->line == 0 ? 0u : 1u};
    bh_diagnostics_add(parser->forest->diagnostics, BH_SEVERITY_ERROR, "json", at,
                       "%s\nbuild the image again", what);
    return BH_INVALID;
}

/* A copy of a text; NULL: no memory, or it holds what no definition can (*bad). */
static const char *copy(const struct parser *parser, const char *text, bool *bad)
{
    for (const char *at = text; *at != '\0'; at++) {
        *bad |= (uint8_t)*at < 0x20 || (uint8_t)*at == 0x7f;
    }
    return *bad ? NULL : bh_arena_text(parser->forest->arena, text, strlen(text));
}

/* Makes the node of `value`, in the frame on top of the stack, and puts it there if it is a map or
 * list. */
static int enter(struct parser *parser, json_t *value, const char *key, struct bh_yaml_node **made)
{
    bool bad = false;
    struct bh_yaml_node *node;
    parser->line++;
    const struct bh_origin at = {.line = parser->line, .column = 1};
    int result = bh_yaml_node_make(parser->forest, at, &node);
    if (result != BH_OK) {
        return result;
    }
    *made = node;
    node->at = at;
    node->key_at = at;
    node->key = key != NULL ? copy(parser, key, &bad) : NULL;
    if (json_is_string(value)) {
        node->kind = BH_YAML_SCALAR;
        node->text = copy(parser, json_string_value(value), &bad);
        /* As if without quotes, which a number must be; but the word null is a word here. */
        node->plain = true;
        node->plain = node->text == NULL || (!bh_yaml_is_null(node) && node->text[0] != '\0');
    } else if (json_is_object(value) || json_is_array(value)) {
        node->kind = json_is_object(value) ? BH_YAML_MAP : BH_YAML_LIST;
        if (parser->depth == BH_YAML_DEPTH_MAX) {
            return refuse(parser, "maps and lists lie too deep in each other");
        }
        parser->stack[parser->depth++] = (struct frame){value, node, json_object_iter(value), 0};
    } else {
        return refuse(parser, "a value is neither text, list nor map");
    }
    if (bad) {
        return refuse(parser, "a text has a control character");
    }
    bool whole =
        (node->text != NULL || node->kind != BH_YAML_SCALAR) && (node->key != NULL || key == NULL);
    return whole ? BH_OK : BH_NO_MEMORY;
}

/* The next entry of the frame on top; NULL: there is none. */
static json_t *next_entry(struct frame *frame, const char **key)
{
    *key = NULL;
    if (frame->node->kind == BH_YAML_LIST) {
        return json_array_get(frame->value, frame->index++);
    }
    if (frame->iterator == NULL) {
        return NULL;
    }
    json_t *value = json_object_iter_value(frame->iterator);
    *key = json_object_iter_key(frame->iterator);
    frame->iterator = json_object_iter_next(frame->value, frame->iterator);
    return value;
}

static int read_all(struct parser *parser)
{
    while (parser->depth > 0) {
        struct frame *frame = &parser->stack[parser->depth - 1u];
        struct bh_yaml_node *parent = frame->node;
        struct bh_yaml_node *node = NULL;
        const char *key;
        json_t *value = next_entry(frame, &key);
        if (value == NULL) {
            parser->depth--;
            parser->line += parent->count > 0 ? 1u : 0u; /* its bracket */
            continue;
        }
        int result = enter(parser, value, key, &node);
        if (result == BH_OK) {
            result = bh_yaml_append(parser->forest, parent, node);
        }
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

int bh_json_parse(struct bh_yaml_node **root, struct bh_yaml_forest *forest, json_t *json)
{
    struct parser parser = {.forest = forest};
    if (!json_is_object(json)) {
        return refuse(&parser, "the definition in the image is no JSON object");
    }
    int result = enter(&parser, json, NULL, root);
    return result == BH_OK ? read_all(&parser) : result;
}
