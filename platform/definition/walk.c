/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the YAML tree to a platform, along the table of keys: which keys there are, which are
 * missing, which stand in the wrong place. It reads no single value itself.
 *
 * Groups lie in each other, and the project has no recursion, so groups that still have to be read
 * stand in a list: each adds those that it holds. The tree's bounds bound the list.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "meant.h"
#include "reader.h"
#include "text.h"

#define KIND_UNKNOWN UINT32_MAX

/* A map of the definition that is to be read into a structure. */
struct job {
    struct job *next;
    const struct bh_schema_group *group;
    const struct bh_yaml_node *node; /* NULL: not given, and only defaults are filled in */
    void *target;
    struct bh_origin at; /* of the thing: its name, or the key of the group */
    const char *label;   /* "guest ivi" */
    uint64_t given;      /* bit n: key n of the group */
    uint32_t kind;
};

struct walk {
    struct bh_reader *reader;
    struct job *last; /* where the next one is appended */
};

static bool has_kind(const struct bh_schema_key *key, uint32_t kind)
{
    return key->kinds == 0 || kind == KIND_UNKNOWN || (key->kinds & BH_SCHEMA_KIND(kind)) != 0;
}

/* "device root of guest ivi"; what lies in the file itself does not say so. */
static void label_job(const struct walk *walk, struct job *job, const struct job *parent,
                      const char *name)
{
    bool inner = parent->group != bh_schema_root();
    size_t size = strlen(job->group->noun) + strlen(job->group->phrase) + strlen(name) +
                  strlen(parent->label) + 8;
    char *label = bh_arena_take(walk->reader->arena, size);

    if (label == NULL) {
        walk->reader->no_memory = true;
        return;
    }
    (void)snprintf(label, size, "%s%s%s%s%s", *name == '\0' ? job->group->phrase : job->group->noun,
                   *name == '\0' ? "" : " ", name, inner ? " of " : "", inner ? parent->label : "");
    job->label = label;
}

static struct job *job_add(struct walk *walk, const struct bh_schema_group *group,
                           const struct bh_yaml_node *node, void *target)
{
    struct job *job = bh_arena_take(walk->reader->arena, sizeof(*job));

    if (job == NULL) {
        walk->reader->no_memory = true;
        return NULL;
    }
    job->group = group;
    job->node = node;
    job->target = target;
    job->kind = KIND_UNKNOWN;
    walk->last->next = job;
    walk->last = job;
    return job;
}

/* --------------------------------------------------------------------------------- wrong keys */

static const char *key_name_at(const void *context, size_t index)
{
    const struct job *job = context;
    size_t seen = 0;

    for (size_t i = 0; i < job->group->key_count; i++) {
        if (has_kind(&job->group->keys[i], job->kind) && seen++ == index) {
            return job->group->keys[i].key;
        }
    }
    return NULL;
}

/* "a resource or a device": the groups that have this key; empty: none. */
static void describe_owners(const char *key, char *to, size_t size)
{
    const struct bh_schema_group *group;
    size_t used = 0;

    to[0] = '\0';
    for (size_t i = 0; (group = bh_schema_group_at(i)) != NULL && used < size; i++) {
        for (size_t j = 0; j < group->key_count; j++) {
            if (strcmp(group->keys[j].key, key) == 0) {
                used += (size_t)snprintf(to + used, size - used, "%s%s", used == 0 ? "" : " or ",
                                         group->phrase);
                break;
            }
        }
    }
}

/* The key of the group under this name, which the thing's kind has; NULL: there is none. */
static const struct bh_schema_key *key_of(const struct job *job, const char *name)
{
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];

        if (strcmp(key->key, name) == 0 && has_kind(key, job->kind)) {
            return key;
        }
    }
    return NULL;
}

/* What a key is called here, if the thing has no such key yet; or advice alone. */
static bool find_meant(const struct job *job, const char *word, const char **here,
                       const char **advice)
{
    const struct bh_meant *line = NULL;

    while ((line = bh_meant_next(line, job->group->noun, word)) != NULL) {
        if (line->here == NULL ||
            (key_of(job, line->here) != NULL && bh_yaml_find(job->node, line->here) == NULL)) {
            *here = line->here;
            *advice = line->advice;
            return true;
        }
    }
    return false;
}

/* The map in this group in which the key belongs: kernel of a guest stands in its boot. */
static const struct bh_schema_key *inner_of(const struct job *job, const char *word)
{
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];
        const struct bh_schema_group *inner = key->type == BH_SCHEMA_GROUP ? key->group : NULL;

        for (size_t j = 0; inner != NULL && j < inner->key_count; j++) {
            if (strcmp(inner->keys[j].key, word) == 0) {
                return key;
            }
        }
    }
    return NULL;
}

static const char *say_place(const struct walk *walk, const struct job *job,
                             const struct bh_yaml_node *entry, const char *owners)
{
    const struct bh_schema_key *inner = inner_of(job, entry->key);

    /* Not where something else has it too: cpus is a key of host, and of a guest. */
    if (inner != NULL && strcmp(owners, inner->group->phrase) == 0) {
        BH_SAY(walk->reader, "key-place", entry->key_at,
               "%s is no key of %s\nwrite it into %s: { %s: ... }", entry->key, job->label,
               inner->key, entry->key);
        return inner->key;
    }
    BH_SAY(walk->reader, "key-place", entry->key_at, "%s is no key of %s\nit is a key of %s",
           entry->key, job->label, owners);
    return NULL;
}

/* Says it, and returns the key of the group that was meant; NULL: that is not known. */
static const char *say_unknown(const struct walk *walk, const struct job *job,
                               const struct bh_yaml_node *entry)
{
    struct bh_shown key = bh_show(entry->key);
    const char *near = NULL;
    const char *advice = NULL;
    char owners[128];
    char keys[512] = "";
    size_t used = 0;
    const char *word;

    if (bh_diagnostics_full(walk->reader->diagnostics)) {
        BH_SAY(walk->reader, "key", entry->key_at, "%s is no key", key.text);
        return NULL;
    }
    describe_owners(entry->key, owners, sizeof(owners));
    if (find_meant(job, entry->key, &near, &advice) && near == NULL) {
        BH_SAY(walk->reader, owners[0] == '\0' ? "key" : "key-place", entry->key_at,
               "%s is no key of %s\n%s", key.text, job->label, advice);
        return NULL;
    }
    if (near == NULL && owners[0] != '\0') {
        return say_place(walk, job, entry, owners);
    }
    near = near == NULL ? bh_suggest(entry->key, key_name_at, job) : near;
    if (near != NULL) {
        BH_SAY(walk->reader, "key", entry->key_at, "%s is no key of %s\ndid you mean %s?", key.text,
               job->label, near);
        return near;
    }
    for (size_t i = 0; (word = key_name_at(job, i)) != NULL && used < sizeof(keys); i++) {
        used +=
            (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s", i == 0 ? "" : ", ", word);
    }
    BH_SAY(walk->reader, "key", entry->key_at, "%s is no key of %s\npossible is %s", key.text,
           job->label, keys);
    return NULL;
}

/* Words of the kinds that have the key, or that do not; how many. */
static size_t list_kinds(const struct bh_schema_word *words, const struct bh_schema_key *key,
                         bool have, char *to, size_t size)
{
    size_t used = 0;
    size_t count = 0;

    to[0] = '\0';
    for (uint32_t i = 0; words != NULL && words[i].word != NULL && used < size; i++) {
        if (has_kind(key, i) == have) {
            used += (size_t)snprintf(to + used, size - used, "%s%s", used == 0 ? "" : " or ",
                                     words[i].word);
            count++;
        }
    }
    return count;
}

/* "type blk or rng", "any type but console": the kinds that have the key. */
static void describe_kinds(const struct bh_schema_group *group, const struct bh_schema_key *key,
                           char *to, size_t size)
{
    const struct bh_schema_word *words = NULL;
    char kinds[192];

    for (size_t i = 0; i < group->key_count; i++) {
        words = group->keys[i].is_kind ? group->keys[i].words : words;
    }
    if (list_kinds(words, key, false, kinds, sizeof(kinds)) <= 2) {
        (void)snprintf(to, size, "any type but %s", kinds);
        return;
    }
    (void)list_kinds(words, key, true, kinds, sizeof(kinds));
    (void)snprintf(to, size, "type %s", kinds);
}

static const char *say_other_kind(const struct walk *walk, const struct job *job,
                                  const struct bh_schema_key *key, const struct bh_yaml_node *entry)
{
    const char *near = NULL;
    const char *advice = NULL;
    char kinds[224];
    char own[64];
    const struct bh_schema_key this_kind = {.kinds = BH_SCHEMA_KIND(job->kind)};

    describe_kinds(job->group, key, kinds, sizeof(kinds));
    describe_kinds(job->group, &this_kind, own, sizeof(own));
    if (find_meant(job, key->key, &near, &advice) && near != NULL) {
        BH_SAY(walk->reader, "key-place", entry->key_at,
               "%s belongs to a %s of %s, and %s is of %s\ndid you mean %s?", key->key,
               job->group->noun, kinds, job->label, own, near);
        return near;
    }
    BH_SAY(walk->reader, "key-place", entry->key_at,
           "%s belongs to a %s of %s, and %s is of %s\nremove it, or change the type", key->key,
           job->group->noun, kinds, job->label, own);
    return NULL;
}

/* ---------------------------------------------------------------------------- things and groups */

/* A map of names: an array of structures, and a job for each. */
static void read_things(struct walk *walk, const struct job *job, const struct bh_schema_key *key,
                        const struct bh_yaml_node *node)
{
    const struct bh_schema_group *group = key->group;
    unsigned char *owner = job->target;
    uint32_t *count = (void *)(owner + key->count_offset);
    unsigned char *things;

    if (node->kind != BH_YAML_MAP) {
        bh_value_refuse(walk->reader, key, node);
        return;
    }
    if (node->count < key->minimum || node->count > key->maximum) {
        BH_SAY(walk->reader, "range", node->key_at,
               "%s has %" PRIu32 " entries; possible is %" PRIu64 " to %" PRIu64, key->key,
               node->count, key->minimum, key->maximum);
        return;
    }
    things = bh_arena_take(walk->reader->arena, group->size * node->count + 1);
    if (things == NULL) {
        walk->reader->no_memory = true;
        return;
    }
    *(void **)(void *)(owner + key->offset) = things;
    for (const struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        struct bh_text *name = (void *)(things + group->name_offset);
        struct job *inner = job_add(walk, group, entry, things);

        (void)bh_name_is_good(walk->reader, group->phrase, entry->key, entry->key_at);
        name->text = bh_arena_text(walk->reader->arena, entry->key, strlen(entry->key));
        name->at = entry->key_at;
        if (inner == NULL || name->text == NULL) {
            walk->reader->no_memory = true;
            return;
        }
        inner->at = entry->key_at;
        label_job(walk, inner, job, bh_show(entry->key).text);
        things += group->size;
        (*count)++;
    }
}

/* A list of groups: an array of structures, and a job for each. */
static void read_list(struct walk *walk, const struct job *job, const struct bh_schema_key *key,
                      const struct bh_yaml_node *node)
{
    const struct bh_schema_group *group = key->group;
    unsigned char *owner = job->target;
    uint32_t *count = (void *)(owner + key->count_offset);
    unsigned char *things;

    if (node->kind != BH_YAML_LIST) {
        bh_value_refuse(walk->reader, key, node);
        return;
    }
    if (node->count > key->maximum) {
        BH_SAY(walk->reader, "range", node->key_at,
               "%s has %" PRIu32 " entries; possible is %" PRIu64 " to %" PRIu64, key->key,
               node->count, key->minimum, key->maximum);
        return;
    }
    things = bh_arena_take(walk->reader->arena, group->size * node->count + 1);
    if (things == NULL) {
        walk->reader->no_memory = true;
        return;
    }
    *(void **)(void *)(owner + key->offset) = things;
    for (const struct bh_yaml_node *entry = node->first; entry != NULL; entry = entry->next) {
        struct bh_origin *at = (void *)(things + group->at_offset);
        struct job *inner = job_add(walk, group, entry, things);

        if (inner == NULL) {
            return;
        }
        *at = entry->at;
        inner->at = entry->at;
        inner->label = group->phrase;
        things += group->size;
        (*count)++;
    }
}

/* A group that every thing has once; `node` NULL: it is not given. */
static void read_group(struct walk *walk, const struct job *job, const struct bh_schema_key *key,
                       const struct bh_yaml_node *node)
{
    unsigned char *target = (unsigned char *)job->target + key->offset;
    struct bh_origin *at = (void *)(target + key->group->at_offset);
    struct job *inner = job_add(walk, key->group, node, target);

    if (inner == NULL) {
        return;
    }
    *at = node == NULL ? job->at : node->key_at;
    inner->at = *at;
    label_job(walk, inner, job, "");
}

static void read_key(struct walk *walk, const struct job *job, const struct bh_schema_key *key,
                     const struct bh_yaml_node *node)
{
    switch (key->type) {
    case BH_SCHEMA_THINGS:
        read_things(walk, job, key, node);
        break;
    case BH_SCHEMA_GROUP:
        if (node->kind == BH_YAML_MAP) {
            read_group(walk, job, key, node);
        } else {
            bh_value_refuse(walk->reader, key, node);
        }
        break;
    case BH_SCHEMA_LIST:
        read_list(walk, job, key, node);
        break;
    default:
        bh_value_read(walk->reader, key, node, job->target);
        break;
    }
}

/* ------------------------------------------------------------------------------------- one job */

static size_t key_index(const struct bh_schema_group *group, const char *key)
{
    size_t index = 0;

    while (index < group->key_count && strcmp(group->keys[index].key, key) != 0) {
        index++;
    }
    return index;
}

/* The kind decides which keys belong here, wherever it stands among them. */
static void read_kind(struct walk *walk, struct job *job)
{
    for (const struct bh_yaml_node *entry = job->node->first; entry != NULL; entry = entry->next) {
        size_t index = key_index(job->group, entry->key);

        if (index < job->group->key_count && job->group->keys[index].is_kind) {
            const struct bh_schema_key *key = &job->group->keys[index];
            const struct bh_choice *choice =
                (const void *)((const unsigned char *)job->target + key->offset);
            uint32_t errors = bh_diagnostics_errors(walk->reader->diagnostics);

            bh_value_read(walk->reader, key, entry, job->target);
            if (bh_diagnostics_errors(walk->reader->diagnostics) == errors) {
                job->kind = choice->value;
            }
        }
    }
}

/* A key that was written under another name is wrong, and not missing as well. */
static void give(struct job *job, const char *meant)
{
    size_t index = meant == NULL ? job->group->key_count : key_index(job->group, meant);

    if (index < job->group->key_count) {
        job->given |= UINT64_C(1) << index;
    }
}

static void read_entries(struct walk *walk, struct job *job)
{
    for (const struct bh_yaml_node *entry = job->node->first; entry != NULL; entry = entry->next) {
        size_t index = key_index(job->group, entry->key);
        const struct bh_schema_key *key = &job->group->keys[index];

        if (index == job->group->key_count) {
            give(job, say_unknown(walk, job, entry));
            continue;
        }
        job->given |= UINT64_C(1) << index;
        if (!has_kind(key, job->kind)) {
            give(job, say_other_kind(walk, job, key, entry));
        } else if (!key->is_kind) {
            read_key(walk, job, key, entry);
        }
    }
}

static void fill_missing(struct walk *walk, const struct job *job)
{
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];
        /* Of what kind the thing is was not understood: then nothing is missed. */
        bool judged = key->kinds == 0 || job->kind != KIND_UNKNOWN;

        if ((job->given >> i & 1) != 0 || !judged || !has_kind(key, job->kind)) {
            continue;
        }
        if (key->required && (job->node != NULL || job->group == bh_schema_root())) {
            BH_SAY(walk->reader, "missing", job->at, "%s has no %s\nadd %s: %s", job->label,
                   key->key, key->key, key->example);
        } else if (key->type == BH_SCHEMA_GROUP) {
            read_group(walk, job, key, NULL);
        } else if (key->fallbacks == NULL || job->kind != KIND_UNKNOWN) {
            bh_value_default(key, job->kind, job->at, job->target);
        }
    }
}

/* The first key that a thing must have. */
static const struct bh_schema_key *first_required(const struct bh_schema_group *group)
{
    const struct bh_schema_key *key = group->keys;

    while (!key->required && key + 1 < group->keys + group->key_count) {
        key++;
    }
    return key;
}

static void run_job(struct walk *walk, struct job *job)
{
    if (job->node != NULL && bh_yaml_is_null(job->node)) {
        bh_null_refuse(walk->reader, job->label, job->node);
        return;
    }
    if (job->node != NULL && job->node->kind != BH_YAML_MAP) {
        const struct bh_schema_key *key = first_required(job->group);

        if (job->node->key == NULL) {
            BH_SAY(walk->reader, "type", job->at, "%s is a map of keys\nwrite - { %s: %s, ... }",
                   job->label, key->key, key->example);
        } else {
            BH_SAY(walk->reader, "type", job->at, "%s has no keys\nwrite %s: { %s: %s, ... }",
                   job->label, bh_show(job->node->key).text, key->key, key->example);
        }
        return;
    }
    if (job->node != NULL) {
        read_kind(walk, job);
        read_entries(walk, job);
    }
    fill_missing(walk, job);
}

void bh_walk(struct bh_reader *reader, const struct bh_yaml_node *root,
             struct bh_platform *platform)
{
    struct job first = {.group = bh_schema_root(),
                        .node = root,
                        .target = platform,
                        .label = "the definition",
                        .kind = KIND_UNKNOWN};
    struct walk walk = {reader, &first};

    for (struct job *job = &first; job != NULL && !reader->no_memory; job = job->next) {
        run_job(&walk, job);
    }
}
