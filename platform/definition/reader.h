/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of the reader share: the file's text, single values, the walk along the table of
 * keys, the checks. Private to platform/, like everything that knows the YAML tree.
 */
#ifndef PLATFORM_READER_H
#define PLATFORM_READER_H

#include "arena.h"
#include "bulkhead/platform_definition.h"
#include "schema.h"
#include "yaml_tree.h"

struct bh_reader {
    struct bh_diagnostics *diagnostics;
    struct bh_arena *arena; /* of the platform: what is read stays there */
    uint32_t errors;        /* that were in `diagnostics` before */
    bool no_memory;         /* something was not read for want of memory */
};

#define BH_SAY(reader, check, at, ...)                                                             \
    bh_diagnostics_add((reader)->diagnostics, BH_SEVERITY_ERROR, check, at, __VA_ARGS__)
#define BH_WARN(reader, check, at, ...)                                                            \
    bh_diagnostics_add((reader)->diagnostics, BH_SEVERITY_WARNING, check, at, __VA_ARGS__)

/* values.c: the value `node` of `key` into its member of the structure `owner`, or an error. Every
 * type but GROUP, THINGS, LIST and those that are gone from the tree by then. */
void bh_value_read(struct bh_reader *reader, const struct bh_schema_key *key,
                   const struct bh_yaml_node *node, void *owner);

/* values.c: what holds where the key is not given; `at` is the thing that it belongs to. */
void bh_value_default(const struct bh_schema_key *key, uint32_t kind, struct bh_origin at,
                      void *owner);

/* numbers.c: a NUMBER, SIZE or TIME; false: an error was said. */
bool bh_number_read(struct bh_reader *reader, const struct bh_schema_key *key,
                    const struct bh_yaml_node *node, uint64_t *value);

/* numbers.c: an entry of RANGES; false: an error was said. */
bool bh_range_read(struct bh_reader *reader, const struct bh_schema_key *key,
                   const struct bh_yaml_node *node, struct bh_range *range);

/* values.c: whether `text` at `at` is a name of `what` ("a guest"); if not, it is said. */
bool bh_name_is_good(const struct bh_reader *reader, const char *what, const char *text,
                     struct bh_origin at);

/* values.c: says that `node` is no value of the key: the wrong kind of thing, or nothing. */
void bh_value_refuse(const struct bh_reader *reader, const struct bh_schema_key *key,
                     const struct bh_yaml_node *node);

/* values.c: says that a null took nothing away; `what` is null, as a message calls it. */
void bh_null_refuse(const struct bh_reader *reader, const char *what,
                    const struct bh_yaml_node *node);

/* walk.c: the tree into a platform, along the table; errors are said. */
void bh_walk(struct bh_reader *reader, const struct bh_yaml_node *root,
             struct bh_platform *platform);

/* check.c: resolves references, puts in what depends on several keys, and runs every check. Only
 * for a platform that was read without an error. */
void bh_checks_run(struct bh_reader *reader, struct bh_platform *platform);

/* Whether a value was given: a default stands where its owner stands. */
static inline bool bh_is_given(struct bh_origin value, struct bh_origin owner)
{
    return value.line != owner.line || value.column != owner.column || value.file != owner.file;
}

#endif
