/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keys of a definition as one table: what each is called, where it may stand, what values it
 * takes, and which member of bulkhead/platform_definition.h it fills. Reading, its messages and
 * the reference text follow this table and know no key by name; a new key is a line in schema.c
 * and a member. What several keys together must fulfil is check.c's. Private to platform/.
 */
#ifndef PLATFORM_SCHEMA_H
#define PLATFORM_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_DEFINITION_VERSION 1u

enum bh_schema_type {
    BH_SCHEMA_VERSION,   /* of the definition: no member, and the first key of the file */
    BH_SCHEMA_NAME,      /* struct bh_text: [a-z][a-z0-9-]* */
    BH_SCHEMA_REFERENCE, /* struct bh_text: the name of a thing elsewhere */
    BH_SCHEMA_TEXT,      /* struct bh_text: minimum..maximum bytes in one line */
    BH_SCHEMA_PATH,      /* struct bh_text: of a file */
    BH_SCHEMA_NUMBER,    /* struct bh_number: a count, an address */
    BH_SCHEMA_SIZE,      /* struct bh_number: bytes, with K, M or G (binary) */
    BH_SCHEMA_TIME,      /* struct bh_number: milliseconds, with ms, s or min */
    BH_SCHEMA_CHOICE,    /* struct bh_choice: one word of several */
    BH_SCHEMA_FLAG,      /* struct bh_flag: true or false */
    BH_SCHEMA_NAMES,     /* struct bh_names: a list of names, minimum..maximum long */
    BH_SCHEMA_RANGES, /* struct bh_ranges: a list of numbers and ranges (0x100-0x1ff), each in minimum..maximum */
    BH_SCHEMA_GROUP,  /* a map with keys of its own; its members lie in the group's structure */
    BH_SCHEMA_THINGS, /* a pointer and a uint32_t: a map of name to group */
    BH_SCHEMA_LIST,   /* a pointer and a uint32_t: a list of groups */
    /* Dealt with in the tree, before values are read; no member (merge.c). */
    BH_SCHEMA_INCLUDE,   /* a path, or a list of them */
    BH_SCHEMA_TEMPLATES, /* a map of name to a map of keys of whatever uses it */
    BH_SCHEMA_TEMPLATE,  /* the name of one of them */
};

/* A word that a choice may have; its value is its index. The last one has no word. */
struct bh_schema_word {
    const char *word;
    const char *doc;
};

#define BH_SCHEMA_KIND(type) (1u << (type))

struct bh_schema_key {
    const char *key;
    enum bh_schema_type type;
    size_t offset;                       /* of the member in the group's structure */
    size_t count_offset;                 /* THINGS, LIST: of the member that counts */
    const struct bh_schema_word *words;  /* CHOICE */
    const struct bh_schema_group *group; /* GROUP, THINGS, LIST */
    /* NUMBER, SIZE, TIME: the value; RANGES: each number; TEXT: its bytes; NAMES, THINGS, LIST: how many. */
    uint64_t minimum;
    uint64_t maximum;
    uint64_t multiple;         /* 0: of nothing in particular */
    uint64_t fallback;         /* of numbers, choices and flags that are not given */
    const uint64_t *fallbacks; /* the same, by kind of thing; NULL: `fallback` */
    uint32_t kinds;            /* the kinds of thing that have it; 0: all */
    bool required;             /* of the kinds that have it */
    bool is_kind;              /* its choice is the kind of the thing */
    const char *example;       /* a value, as it would be written */
    const char *otherwise;     /* what holds if it is not given, where no fallback says it */
    const char *doc;           /* one sentence */
};

struct bh_schema_group {
    const char *noun;   /* "guest": what a message calls it, with its name behind */
    const char *phrase; /* "a guest": without */
    const char *doc;
    const struct bh_schema_key *keys;
    size_t key_count;   /* at most 64 */
    size_t size;        /* of the structure, for THINGS */
    size_t name_offset; /* THINGS: of the struct bh_text that is its name */
    size_t at_offset;   /* GROUP, LIST: of the struct bh_origin that says where it stands */
};

/* The group that the file as a whole is. */
const struct bh_schema_group *bh_schema_root(void);

/* Every group, the file first; NULL behind the last. */
const struct bh_schema_group *bh_schema_group_at(size_t index);

/* What a key's value is, in words: "a size from 32M to 64G, a multiple of 2M". `size` bytes. */
void bh_schema_describe(const struct bh_schema_key *key, char *to, size_t size);

/* What a name that is its value, or an entry of it, is a name of: "a guest". */
const char *bh_schema_names(const struct bh_schema_key *key);

/* A number as one would write it for this key: "4M", "10s", "3". */
struct bh_schema_number {
    char text[24];
};
struct bh_schema_number bh_schema_number(const struct bh_schema_key *key, uint64_t value);

/* The words of the choices, for names.c. */
extern const struct bh_schema_word bh_words_device[];
extern const struct bh_schema_word bh_words_resource[];
extern const struct bh_schema_word bh_words_arch[];
extern const struct bh_schema_word bh_words_criticality[];
extern const struct bh_schema_word bh_words_isolation[];

/* The parts of the table, each in its file. */
extern const struct bh_schema_group bh_schema_limits;   /* schema_device.c */
extern const struct bh_schema_group bh_schema_device;   /* schema_device.c */
extern const struct bh_schema_group bh_schema_boot;     /* schema_guest.c */
extern const struct bh_schema_group bh_schema_watchdog; /* schema_guest.c */
extern const struct bh_schema_group bh_schema_ready;    /* schema_guest.c */
extern const struct bh_schema_group bh_schema_guest;    /* schema_guest.c */
extern const struct bh_schema_group bh_schema_resource; /* schema_resource.c */
extern const struct bh_schema_group bh_schema_policy;   /* schema_policy.c */
extern const struct bh_schema_group bh_schema_assertion;
extern const struct bh_schema_group bh_schema_no_flow;
extern const struct bh_schema_group bh_schema_only_through;
extern const struct bh_schema_group bh_schema_not_shared;
extern const struct bh_schema_group bh_schema_isolated;

/* How an entry of the table is written. */
#define BH_AT(owner, member) .offset = offsetof(struct owner, member)
#define BH_MANY(owner, member, counter)                                                            \
    BH_AT(owner, member), .count_offset = offsetof(struct owner, counter)
#define BH_IN(low, high) .minimum = (low), .maximum = (high)
#define BH_KEYS(table)   .keys = (table), .key_count = sizeof(table) / sizeof((table)[0])

#define BH_KIB    UINT64_C(1024)
#define BH_MIB    (BH_KIB * 1024)
#define BH_GIB    (BH_MIB * 1024)
#define BH_SECOND UINT64_C(1000)

#endif
