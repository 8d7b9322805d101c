/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a definition and prints what was understood, or what is wrong with it: what the golden
 * files of tests/platform hold. Not a test itself.
 *
 *   definition-dump FILE       diagnostics; for a good definition each value and where it stands
 *                              (line:column+length, and the numbers of its file and of who uses it)
 *   definition-dump --colour FILE   the same with the terminal's colours
 *   definition-dump --keys     the table of keys: GROUP KEY TYPE, one key a line
 *   definition-dump --checks   the names of the checks
 *   definition-dump --page NAME     the page of a check
 *   definition-dump --schema   the reference text
 *   definition-dump --json-schema   the JSON Schema
 *   definition-dump --json FILE     diagnostics as JSON
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/platform_definition.h"
#include "platform/definition/schema.h"

#define JOBS_MAX   16384u
#define PATH_BYTES 256u

/* A structure that is to be printed. */
struct job {
    const struct bh_schema_group *group;
    const unsigned char *owner;
    char path[PATH_BYTES];
};

static struct job jobs[JOBS_MAX];
static uint32_t job_count;

static void job_add(const struct bh_schema_group *group, const unsigned char *owner,
                    const char *parent, const char *name)
{
    struct job *job = &jobs[job_count];

    if (job_count == JOBS_MAX) {
        abort();
    }
    job_count++;
    job->group = group;
    job->owner = owner;
    if (snprintf(job->path, sizeof(job->path), "%s%s.", parent, name) >= (int)PATH_BYTES) {
        abort();
    }
}

static void print_value(const struct job *job, const struct bh_schema_key *key, const char *value,
                        struct bh_origin at)
{
    printf("%s%s = %s @%u:%u+%u", job->path, key->key, value, at.line, at.column, at.length);
    if (at.file != 0) {
        printf(" in %u", at.file);
    }
    if (at.via != 0) {
        printf(" via %u", at.via);
    }
    printf("\n");
}

static void print_things(const struct job *job, const struct bh_schema_key *key)
{
    const unsigned char *things = *(void *const *)(const void *)(job->owner + key->offset);
    uint32_t count = *(const uint32_t *)(const void *)(job->owner + key->count_offset);
    char path[PATH_BYTES + 64];

    (void)snprintf(path, sizeof(path), "%s%s.", job->path, key->key);
    printf("%s%s: %u\n", job->path, key->key, count);
    for (uint32_t i = 0; i < count; i++, things += key->group->size) {
        const struct bh_text *name = (const void *)(things + key->group->name_offset);

        job_add(key->group, things, path, name->text);
    }
}

static void print_names(const struct job *job, const struct bh_schema_key *key)
{
    const struct bh_names *names = (const void *)(job->owner + key->offset);

    for (uint32_t i = 0; i < names->count; i++) {
        print_value(job, key, names->names[i].text, names->names[i].at);
    }
}

static void print_ranges(const struct job *job, const struct bh_schema_key *key)
{
    const struct bh_ranges *ranges = (const void *)(job->owner + key->offset);
    char text[24];

    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct bh_range *range = &ranges->ranges[i];

        (void)snprintf(text, sizeof(text), "%u-%u", range->first, range->last);
        print_value(job, key, text, range->at);
    }
}

static void print_list(const struct job *job, const struct bh_schema_key *key)
{
    const unsigned char *things = *(void *const *)(const void *)(job->owner + key->offset);
    uint32_t count = *(const uint32_t *)(const void *)(job->owner + key->count_offset);
    char path[PATH_BYTES + 64];
    char number[16];

    (void)snprintf(path, sizeof(path), "%s%s.", job->path, key->key);
    printf("%s%s: %u\n", job->path, key->key, count);
    for (uint32_t i = 0; i < count; i++, things += key->group->size) {
        (void)snprintf(number, sizeof(number), "%u", i);
        job_add(key->group, things, path, number);
    }
}

static void print_key(const struct job *job, const struct bh_schema_key *key)
{
    const void *at = job->owner + key->offset;
    const struct bh_text *text = at;
    const struct bh_number *number = at;
    const struct bh_choice *choice = at;
    const struct bh_flag *flag = at;

    switch (key->type) {
    case BH_SCHEMA_VERSION:
        break;
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEXT:
    case BH_SCHEMA_PATH:
        if (text->text != NULL) {
            print_value(job, key, text->text, text->at);
        }
        break;
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME:
        print_value(job, key, bh_schema_number(key, number->value).text, number->at);
        break;
    case BH_SCHEMA_CHOICE:
        print_value(job, key, key->words[choice->value].word, choice->at);
        break;
    case BH_SCHEMA_FLAG:
        print_value(job, key, flag->value ? "true" : "false", flag->at);
        break;
    case BH_SCHEMA_NAMES:
        print_names(job, key);
        break;
    case BH_SCHEMA_RANGES:
        print_ranges(job, key);
        break;
    case BH_SCHEMA_LIST:
        print_list(job, key);
        break;
    case BH_SCHEMA_INCLUDE:
    case BH_SCHEMA_TEMPLATES:
    case BH_SCHEMA_TEMPLATE:
        break;
    case BH_SCHEMA_GROUP:
        job_add(key->group, at, job->path, key->key);
        break;
    case BH_SCHEMA_THINGS:
        print_things(job, key);
        break;
    }
}

/* Of the thing's kind, or of none in particular. */
static bool belongs(const struct job *job, const struct bh_schema_key *key)
{
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *kind = &job->group->keys[i];

        if (kind->is_kind) {
            const struct bh_choice *choice = (const void *)(job->owner + kind->offset);

            return key->kinds == 0 || (key->kinds & BH_SCHEMA_KIND(choice->value)) != 0;
        }
    }
    return true;
}

static void print_platform(const struct bh_platform *platform)
{
    job_add(bh_schema_root(), (const void *)platform, "", "");
    jobs[0].path[0] = '\0';
    for (uint32_t i = 0; i < job_count; i++) {
        const struct job *job = &jobs[i];

        for (size_t j = 0; j < job->group->key_count; j++) {
            if (belongs(job, &job->group->keys[j])) {
                print_key(job, &job->group->keys[j]);
            }
        }
    }
}

static void print_keys(void)
{
    const struct bh_schema_group *group;

    for (size_t i = 0; (group = bh_schema_group_at(i)) != NULL; i++) {
        for (size_t j = 0; j < group->key_count; j++) {
            const struct bh_schema_key *key = &group->keys[j];

            printf("%s %s %d %s %s\n", group->noun, key->key, (int)key->type,
                   key->required ? "required" : "optional", key->kinds == 0 ? "all" : "some");
        }
    }
}

static void print_checks(void)
{
    const struct bh_check *check;

    for (size_t i = 0; (check = bh_check_at(i)) != NULL; i++) {
        printf("%s: %s\n", check->name, check->reason);
    }
}

/* How to print. */
enum form { PLAIN, COLOUR, JSON };

static int read_and_print(const char *path, enum form form)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(path);
    struct bh_platform *platform = NULL;
    int error;

    if (diagnostics == NULL) {
        return 2;
    }
    error = bh_platform_read(&platform, path, diagnostics);
    if (form == JSON && bh_diagnostics_print_json(diagnostics, stdout) != 0) {
        return 2;
    }
    if (form != JSON) {
        bh_diagnostics_print(diagnostics, stdout, form == COLOUR);
    }
    if (platform != NULL && form != JSON) {
        print_platform(platform);
    }
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    return error == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--colour") == 0) {
        return read_and_print(argv[2], COLOUR);
    }
    if (argc == 3 && strcmp(argv[1], "--json") == 0) {
        return read_and_print(argv[2], JSON);
    }
    if (argc == 3 && strcmp(argv[1], "--page") == 0) {
        const char *page = bh_check_page(argv[2]);

        (void)fputs(page == NULL ? "" : page, stdout);
        return page == NULL ? 1 : 0;
    }
    if (argc != 2) {
        (void)fprintf(stderr, "usage: definition-dump [--colour|--json] FILE"
                              "|--keys|--checks|--page NAME|--schema|--json-schema\n");
        return 2;
    }
    if (strcmp(argv[1], "--keys") == 0) {
        print_keys();
    } else if (strcmp(argv[1], "--checks") == 0) {
        print_checks();
    } else if (strcmp(argv[1], "--schema") == 0) {
        bh_schema_print(stdout);
    } else if (strcmp(argv[1], "--json-schema") == 0) {
        return bh_schema_print_json(stdout) == 0 ? 0 : 2;
    } else {
        return read_and_print(argv[1], PLAIN);
    }
    return 0;
}
