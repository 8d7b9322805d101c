/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Templates written out: what a template gives and the thing that uses it does not have is put into
 * the thing, before its own keys. Each value keeps the place where it stands in the template, and
 * knows who uses it there. Where things can use templates follows from the table of keys.
 */
#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"
#include "layers.h"
#include "text.h"

#define CHAIN_MAX 8u /* templates that use each other */

struct expansion {
    struct bh_yaml_forest *forest;
    struct bh_reader *reader;
    struct bh_yaml_node *templates; /* NULL: there are none */
    struct bh_yaml_index index;     /* of them */
    struct job *last;               /* where the next one is appended */
};

/* A map that may use a template, or hold things that do. */
struct job {
    struct job *next;
    const struct bh_schema_group *group;
    struct bh_yaml_node *node;
};

/* A map of a thing, and the map of a template that is put under it. */
struct pair {
    struct pair *next;
    struct bh_yaml_node *into;
    const struct bh_yaml_node *from;
};

static const struct bh_schema_key *key_of_type(const struct bh_schema_group *group,
                                               enum bh_schema_type type)
{
    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].type == type) {
            return &group->keys[i];
        }
    }
    return NULL;
}

static bool is_this(const void *context, const struct bh_yaml_node *entry)
{
    return entry == context;
}

/* ---------------------------------------------------------------------------------------- copies */

static int copy_node(struct bh_yaml_forest *forest, const struct bh_yaml_node *from, uint16_t via,
                     struct bh_yaml_node **made)
{
    int error = bh_yaml_node_make(forest, from->at, made);

    if (error == BH_OK) {
        (*made)->kind = from->kind;
        (*made)->plain = from->plain;
        (*made)->text = from->text;
        (*made)->key = from->key;
        (*made)->key_at = from->key_at;
        (*made)->at.via = via;
        (*made)->key_at.via = via;
    }
    return error;
}

/* All of `from`; not yet an entry of anything. */
static int copy_tree(struct bh_yaml_forest *forest, const struct bh_yaml_node *from, uint16_t via,
                     struct bh_yaml_node **made)
{
    const struct bh_yaml_node *node = from;
    struct bh_yaml_node *copy = NULL;
    int error = copy_node(forest, from, via, made);

    copy = *made;
    while (error == BH_OK) {
        struct bh_yaml_node *parent = copy;
        const struct bh_yaml_node *next = bh_yaml_next(from, node);

        if (next == NULL) {
            break;
        }
        /* Up as far as from here to the parent of the next one. */
        for (const struct bh_yaml_node *up = node; up != next->parent; up = up->parent) {
            parent = parent->parent;
        }
        error = copy_node(forest, next, via, &copy);
        if (error == BH_OK) {
            error = bh_yaml_append(forest, parent, copy);
        }
        node = next;
    }
    return error;
}

/* --------------------------------------------------------------------------------- one template */

static int pair_add(const struct expansion *expansion, struct pair **last,
                    struct bh_yaml_node *into, const struct bh_yaml_node *from)
{
    struct pair *pair = bh_arena_take(expansion->forest->arena, sizeof(*pair));

    if (pair == NULL) {
        return BH_NO_MEMORY;
    }
    pair->into = into;
    pair->from = from;
    (*last)->next = pair;
    *last = pair;
    return BH_OK;
}

/* What the map has not, in the order of the template, before what it has. */
static int put_under_map(const struct expansion *expansion, const struct pair *pair,
                         struct pair **last, const char *skip, uint16_t via)
{
    struct bh_yaml_node head = {.kind = BH_YAML_MAP};
    struct bh_yaml_index index;
    int error = bh_yaml_index_make(&index, pair->into);

    for (const struct bh_yaml_node *entry = pair->from->first; entry != NULL && error == BH_OK;
         entry = entry->next) {
        struct bh_yaml_node *own = bh_yaml_index_find(&index, entry->key);
        struct bh_yaml_node *copy = NULL;

        if (skip != NULL && strcmp(entry->key, skip) == 0) {
            continue;
        }
        if (own == NULL) {
            error = copy_tree(expansion->forest, entry, via, &copy);
            error = error == BH_OK ? bh_yaml_append(expansion->forest, &head, copy) : error;
        } else if (bh_yaml_is_null(own)) {
            own->marked = true;
        } else if (own->kind == BH_YAML_MAP && entry->kind == BH_YAML_MAP) {
            error = pair_add(expansion, last, own, entry);
        }
    }
    bh_yaml_index_finish(&index);
    return error != BH_OK
               ? error
               : bh_yaml_prepend(expansion->forest, pair->into, head.first, head.last, head.count);
}

static int put_under(const struct expansion *expansion, struct bh_yaml_node *thing,
                     const struct bh_yaml_node *template, const char *skip, uint16_t via)
{
    struct pair first = {NULL, thing, template};
    struct pair *last = &first;
    int error = BH_OK;

    for (const struct pair *pair = &first; pair != NULL && error == BH_OK; pair = pair->next) {
        error = put_under_map(expansion, pair, &last, pair == &first ? skip : NULL, via);
    }
    return error;
}

/* ------------------------------------------------------------------------------------- one thing */

static const char *template_name_at(const void *context, size_t index)
{
    const struct bh_yaml_node *const *next = context;
    const struct bh_yaml_node *entry = (*next)->first;

    /* Small counts only: bh_suggest is not asked for long lists (say_no_template). */
    while (entry != NULL && index-- != 0) {
        entry = entry->next;
    }
    return entry == NULL ? NULL : entry->key;
}

static void say_no_template(const struct expansion *expansion, const char *name,
                            struct bh_origin at)
{
    const struct bh_yaml_node *templates = expansion->templates;
    const char *near = NULL;

    if (templates != NULL && templates->count <= 64 &&
        !bh_diagnostics_full(expansion->reader->diagnostics)) {
        near = bh_suggest(name, template_name_at, &templates);
    }
    BH_SAY(expansion->reader, "template", at, "there is no template %s\n%s%s%s", bh_show(name).text,
           near == NULL ? "add it below templates" : "did you mean ", near == NULL ? "" : near,
           near == NULL ? "" : "?");
}

/* The template that `link` names; NULL: there is none, and it was said. */
static struct bh_yaml_node *find_template(const struct expansion *expansion,
                                          const struct bh_schema_key *key,
                                          const struct bh_yaml_node *link, struct bh_origin at)
{
    struct bh_yaml_node *found = NULL;

    if (link->kind != BH_YAML_SCALAR || (link->plain && link->text[0] == '\0')) {
        bh_value_refuse(expansion->reader, key, link);
        return NULL;
    }
    if (expansion->templates != NULL) {
        found = bh_yaml_index_find(&expansion->index, link->text);
    }
    if (found == NULL || bh_yaml_is_null(found)) {
        say_no_template(expansion, link->text, at);
        return NULL;
    }
    found->marked = true;
    return found;
}

/* Writes the template of a thing out, and those that it uses itself. */
static int expand_thing(const struct expansion *expansion, const struct bh_schema_key *key,
                        struct bh_yaml_node *thing)
{
    const struct bh_yaml_node *link = bh_yaml_find(thing, key->key);
    uint16_t via = 0;
    int error = BH_OK;

    if (link == NULL || bh_yaml_is_null(link)) {
        return BH_OK;
    }
    bh_yaml_remove(thing, is_this, link);
    while (link != NULL && !bh_yaml_is_null(link) && error == BH_OK) {
        struct bh_origin at = link->at;
        const struct bh_yaml_node *template;
        char text[64 + sizeof(struct bh_shown)];

        at.via = via != 0 ? via : at.via;
        template = find_template(expansion, key, link, at);
        if (template == NULL) {
            break;
        }
        (void)snprintf(text, sizeof(text), "template %s is used here", bh_show(link->text).text);
        via = bh_diagnostics_use(expansion->reader->diagnostics, at, text);
        error = put_under(expansion, thing, template, key->key, via);
        link = bh_yaml_find(template, key->key);
    }
    return error;
}

static int job_add(struct expansion *expansion, const struct bh_schema_group *group,
                   struct bh_yaml_node *node)
{
    struct job *job = bh_arena_take(expansion->forest->arena, sizeof(*job));

    if (job == NULL) {
        return BH_NO_MEMORY;
    }
    job->group = group;
    job->node = node;
    expansion->last->next = job;
    expansion->last = job;
    return BH_OK;
}

/* The things that a map holds. */
static int add_things(struct expansion *expansion, const struct job *job)
{
    int error = BH_OK;

    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];
        const struct bh_yaml_node *things =
            key->type == BH_SCHEMA_THINGS ? bh_yaml_find(job->node, key->key) : NULL;
        struct bh_yaml_node *entry =
            things != NULL && things->kind == BH_YAML_MAP ? things->first : NULL;

        for (; entry != NULL && error == BH_OK; entry = entry->next) {
            error = job_add(expansion, key->group, entry);
        }
    }
    return error;
}

static int expand_all(struct expansion *expansion, struct bh_yaml_node *root)
{
    struct job first = {NULL, bh_schema_root(), root};
    int error = BH_OK;

    expansion->last = &first;
    for (const struct job *job = &first; job != NULL && error == BH_OK; job = job->next) {
        const struct bh_schema_key *key = key_of_type(job->group, BH_SCHEMA_TEMPLATE);

        if (key != NULL && job->node->kind == BH_YAML_MAP) {
            error = expand_thing(expansion, key, job->node);
        }
        if (error == BH_OK) {
            error = add_things(expansion, job);
        }
    }
    expansion->last = NULL;
    return error;
}

/* ------------------------------------------------------------------------------ the templates as such */

/* The template that one uses itself; NULL: none, or no good one. */
static struct bh_yaml_node *next_template(const struct expansion *expansion,
                                          const struct bh_yaml_node *template, const char *key)
{
    const struct bh_yaml_node *link = bh_yaml_find(template, key);

    return link == NULL || link->kind != BH_YAML_SCALAR
               ? NULL
               : bh_yaml_index_find(&expansion->index, link->text);
}

/* Follows a template until it comes back to itself, ends (NULL), or is followed far enough. */
static struct bh_yaml_node *follow(const struct expansion *expansion, struct bh_yaml_node *template,
                                   const char *key)
{
    struct bh_yaml_node *at = template;

    for (uint32_t steps = 0; steps <= CHAIN_MAX && at != NULL; steps++) {
        at = next_template(expansion, at, key);
        if (at == template) {
            break;
        }
    }
    return at;
}

/* Templates that use each other: without end, or too many. */
static void check_chain(const struct expansion *expansion, struct bh_yaml_node *template,
                        const char *key)
{
    struct bh_yaml_node *at = follow(expansion, template, key);

    if (at == NULL || template->marked) {
        return;
    }
    if (at != template && follow(expansion, at, key) != at) { /* else it leads into a cycle */
        BH_SAY(expansion->reader, "template", bh_yaml_find(template, key)->at,
               "templates use each other deeper than %u\nwrite some of them out", CHAIN_MAX);
    }
    if (at != template) {
        return;
    }
    BH_SAY(expansion->reader, "template-cycle", bh_yaml_find(template, key)->at,
           "template %s uses itself\nremove one of the uses", bh_show(template->key).text);
    for (struct bh_yaml_node *other = template; other != NULL && !other->marked;
         other = next_template(expansion, other, key)) {
        other->marked = true; /* said with the first one of the cycle */
        if (other != template) {
            bh_diagnostics_note(expansion->reader->diagnostics, bh_yaml_find(other, key)->at,
                                "template %s is used by it", bh_show(other->key).text);
        }
    }
}

static void check_template(const struct expansion *expansion, struct bh_yaml_node *template)
{
    const struct bh_schema_key *key = NULL;
    const struct bh_schema_group *group;

    for (size_t i = 0; key == NULL && (group = bh_schema_group_at(i)) != NULL; i++) {
        key = key_of_type(group, BH_SCHEMA_TEMPLATE);
    }
    (void)bh_name_is_good(expansion->reader, "a template", template->key, template->key_at);
    if (bh_yaml_is_null(template)) {
        return;
    }
    if (template->kind != BH_YAML_MAP) {
        BH_SAY(expansion->reader, "type", template->key_at,
               "template %s has no keys\nwrite %s: { memory: 128M }", bh_show(template->key).text,
               bh_show(template->key).text);
    } else if (key != NULL) {
        check_chain(expansion, template, key->key);
    }
}

static void say_unused(const struct expansion *expansion)
{
    for (const struct bh_yaml_node *template = expansion->templates->first; template != NULL;
         template = template->next) {
        /* An included file may hold templates for many definitions. */
        if (!template->marked && template->key_at.file == 0 && !bh_yaml_is_null(template)) {
            BH_WARN(expansion->reader, "template-unused", template->key_at,
                    "nothing uses template %s\nremove it, or write template: %s where it belongs",
                    bh_show(template->key).text, bh_show(template->key).text);
        }
    }
}

/* The templates out of the tree; what is wrong with them is said. */
static int take_templates(struct expansion *expansion, struct bh_yaml_node *root)
{
    const struct bh_schema_key *key = key_of_type(bh_schema_root(), BH_SCHEMA_TEMPLATES);
    struct bh_yaml_node *templates = key == NULL ? NULL : bh_yaml_find(root, key->key);
    int error;

    if (templates == NULL || bh_yaml_is_null(templates)) {
        return BH_OK;
    }
    bh_yaml_remove(root, is_this, templates);
    if (templates->kind != BH_YAML_MAP) {
        bh_value_refuse(expansion->reader, key, templates);
        return BH_OK;
    }
    error = bh_yaml_index_make(&expansion->index, templates);
    expansion->templates = templates;
    for (struct bh_yaml_node *template = templates->first; template != NULL && error == BH_OK;
         template = template->next) {
        check_template(expansion, template);
    }
    return error;
}

int bh_templates_expand(struct bh_yaml_forest *forest, struct bh_reader *reader,
                        struct bh_yaml_node *root)
{
    struct expansion expansion = {.forest = forest, .reader = reader};
    uint32_t errors = bh_diagnostics_errors(reader->diagnostics);
    int error = take_templates(&expansion, root);

    if (error == BH_OK && bh_diagnostics_errors(reader->diagnostics) == errors) {
        error = expand_all(&expansion, root);
    }
    if (error == BH_OK && bh_diagnostics_errors(reader->diagnostics) != errors) {
        error = BH_INVALID;
    }
    if (error == BH_OK && expansion.templates != NULL) {
        say_unused(&expansion);
    }
    bh_yaml_index_finish(&expansion.index);
    return error;
}
