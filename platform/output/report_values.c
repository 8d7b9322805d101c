/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every key of the definition with its value: whether it was given and where, or what holds
 * instead. It follows the table of keys, so a new key is here without a line in this file.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "platform/definition/reader.h"
#include "platform/definition/schema.h"
#include "report.h"

#define LABEL_BYTES 160u
#define VALUE_BYTES 4096u

/* A group whose keys are still to be written. Groups lie in each other; those that are found wait
 * in a list, in the order of the page. */
struct job {
    struct job *next;
    const struct bh_schema_group *group;
    const void *owner;
    struct bh_origin at; /* of the thing: where a default stands */
    uint32_t depth;      /* 0: the definition; 1 begins a block of its own */
    bool entry;          /* of a list: what it could have besides says nothing about it */
    char label[LABEL_BYTES];
};

struct writer {
    const struct bh_report *report;
    struct job *jobs;
    struct job **tail; /* where the next that is found goes: behind those of the same group */
    bool failed;
    const struct bh_schema_group *block; /* what the block that is open is of; NULL: none */
};

static const void *member(const void *owner, size_t offset)
{
    return (const uint8_t *)owner + offset;
}

static struct job *job_add(struct writer *writer, const struct bh_schema_group *group,
                           const void *owner, struct bh_origin at, const struct job *parent,
                           const char *label)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        writer->failed = true;
        return NULL;
    }
    job->group = group;
    job->owner = owner;
    job->at = at;
    job->depth = parent == NULL ? 0 : parent->depth + 1u;
    (void)snprintf(job->label, sizeof(job->label), "%.90s%s%.60s",
                   parent == NULL || parent->depth == 0 ? "" : parent->label,
                   parent == NULL || parent->depth == 0 ? "" : ", ", label);
    job->next = *writer->tail;
    *writer->tail = job;
    writer->tail = &job->next;
    return job;
}

static void things_add(struct writer *writer, const struct job *job,
                       const struct bh_schema_key *key)
{
    const struct bh_schema_group *group = key->group;
    const uint8_t *thing = *(const uint8_t *const *)member(job->owner, key->offset);
    const uint32_t count = *(const uint32_t *)member(job->owner, key->count_offset);
    char label[64];

    for (uint32_t i = 0; i < count; i++, thing += group->size) {
        const struct bh_text *name = member(thing, group->name_offset);

        (void)snprintf(label, sizeof(label), "%s %.40s", group->noun, name->text);
        (void)job_add(writer, group, thing, name->at, job, label);
    }
}

static void list_add(struct writer *writer, const struct job *job, const struct bh_schema_key *key)
{
    const struct bh_schema_group *group = key->group;
    const uint8_t *entry = *(const uint8_t *const *)member(job->owner, key->offset);
    const uint32_t count = *(const uint32_t *)member(job->owner, key->count_offset);
    char label[64];

    for (uint32_t i = 0; i < count; i++, entry += group->size) {
        const struct bh_origin *at = member(entry, group->at_offset);

        (void)snprintf(label, sizeof(label), "%s %" PRIu32, group->noun, i + 1u);
        struct job *added = job_add(writer, group, entry, *at, job, label);

        if (added != NULL) {
            added->entry = true;
        }
    }
}

/* Whether a group that is not given has defaults that mean something by themselves. */
static bool has_defaults(const struct bh_schema_group *group)
{
    bool any = false;

    for (size_t i = 0; i < group->key_count; i++) {
        if (group->keys[i].required) {
            return false;
        }
        any = any || group->keys[i].otherwise == NULL;
    }
    return any;
}

static void add(char *to, const char *between, const char *text)
{
    const size_t used = strlen(to);

    (void)snprintf(to + used, VALUE_BYTES - used, "%s%s", used == 0 ? "" : between, text);
}

static void names_text(const struct bh_names *names, char *to)
{
    for (uint32_t i = 0; i < names->count; i++) {
        add(to, ", ", names->names[i].text);
    }
}

static void ranges_text(const struct bh_schema_key *key, const struct bh_ranges *ranges, char *to)
{
    const enum bh_number_kind kind = strcmp(key->key, "ids") == 0         ? BH_NUMBERS_IDS
                                     : strcmp(key->key, "addresses") == 0 ? BH_NUMBERS_ADDRESSES
                                                                          : BH_NUMBERS_NONE;

    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct bh_range *range = &ranges->ranges[i];
        char text[48];

        (void)snprintf(text, sizeof(text), "%s%s%s", bh_report_number(kind, range->first).text,
                       range->first == range->last ? "" : "-",
                       range->first == range->last ? "" : bh_report_number(kind, range->last).text);
        add(to, ", ", text);
    }
}

/* The value of a key that holds none of other keys, and where it stands; "": none. A number that
 * stands for "none" is none: the key says what holds then. */
static struct bh_origin value_text(const struct bh_schema_key *key, const void *owner,
                                   struct bh_origin at, char *to)
{
    const void *value = member(owner, key->offset);
    struct bh_origin where = at;

    to[0] = '\0';
    switch (key->type) {
    case BH_SCHEMA_NAME:
    case BH_SCHEMA_REFERENCE:
    case BH_SCHEMA_TEXT:
    case BH_SCHEMA_PATH: {
        const struct bh_text *text = value;

        where = text->at;
        add(to, "", text->text == NULL ? "" : text->text);
        break;
    }
    case BH_SCHEMA_NUMBER:
    case BH_SCHEMA_SIZE:
    case BH_SCHEMA_TIME: {
        const struct bh_number *number = value;

        where = number->at;
        if (key->otherwise == NULL || number->value != key->fallback) {
            add(to, "", bh_schema_number(key, number->value).text);
        }
        break;
    }
    case BH_SCHEMA_CHOICE: {
        const struct bh_choice *choice = value;

        where = choice->at;
        add(to, "", key->words[choice->value].word);
        break;
    }
    case BH_SCHEMA_FLAG: {
        const struct bh_flag *flag = value;

        where = flag->at;
        add(to, "", flag->value ? "true" : "false");
        break;
    }
    case BH_SCHEMA_NAMES: {
        const struct bh_names *names = value;

        where = names->at;
        names_text(names, to);
        break;
    }
    case BH_SCHEMA_RANGES: {
        const struct bh_ranges *ranges = value;

        where = ranges->at;
        ranges_text(key, ranges, to);
        break;
    }
    default:
        break;
    }
    return where;
}

static void row_put(const struct writer *writer, const struct bh_schema_key *key, const char *value,
                    bool given, struct bh_origin at)
{
    const struct bh_html *html = writer->report->html;

    bh_html_put(html, given ? "<tr>" : "<tr class=\"default\">");
    bh_html_put(html, "<th scope=\"row\">%s</th><td>", key->key);
    if (value[0] != '\0') {
        bh_html_put(html, "<code>%s</code>", value);
    } else {
        bh_html_put(html, "<i>%s</i>", key->otherwise == NULL ? "not given" : key->otherwise);
    }
    if (given) {
        bh_html_put(html, "</td><td>given%s</td><td><code class=\"place\">%s</code></td></tr>\n",
                    at.via == 0 ? "" : ", by a template", bh_report_place(writer->report, at).text);
    } else {
        bh_html_put(html, "</td><td>default</td><td></td></tr>\n");
    }
}

static void group_put(struct writer *writer, const struct job *job, const struct bh_schema_key *key)
{
    const void *owner = member(job->owner, key->offset);
    const struct bh_origin *at = member(owner, key->group->at_offset);
    const bool given = at->line != 0 && bh_is_given(*at, job->at);

    if (given || has_defaults(key->group)) {
        (void)job_add(writer, key->group, owner, given ? *at : job->at, job, key->key);
    } else if (!job->entry) {
        row_put(writer, key, "", false, *at);
    }
}

static void key_put(struct writer *writer, const struct job *job, const struct bh_schema_key *key)
{
    char value[VALUE_BYTES];
    struct bh_origin at;

    switch (key->type) {
    case BH_SCHEMA_VERSION:
        (void)snprintf(value, sizeof(value), "%u", BH_DEFINITION_VERSION);
        row_put(writer, key, value, true, (struct bh_origin){.line = 0});
        break;
    case BH_SCHEMA_GROUP:
        group_put(writer, job, key);
        break;
    case BH_SCHEMA_THINGS:
        things_add(writer, job, key);
        break;
    case BH_SCHEMA_LIST:
        list_add(writer, job, key);
        break;
    case BH_SCHEMA_INCLUDE: /* nothing of them is left in a platform */
    case BH_SCHEMA_TEMPLATES:
    case BH_SCHEMA_TEMPLATE:
        break;
    default:
        at = value_text(key, job->owner, job->at, value);
        if (!job->entry || value[0] != '\0' || key->type != BH_SCHEMA_RANGES) {
            /* The name of the definition is where its defaults stand. */
            row_put(writer, key, value,
                    at.line != 0 && (key->type == BH_SCHEMA_NAME || bh_is_given(at, job->at)), at);
        }
    }
}

/* Of the thing's kind, as a bit; 0: its group has no kinds. */
static uint32_t kind_of(const struct job *job)
{
    for (size_t i = 0; i < job->group->key_count; i++) {
        if (job->group->keys[i].is_kind) {
            const struct bh_choice *choice = member(job->owner, job->group->keys[i].offset);

            return BH_SCHEMA_KIND(choice->value);
        }
    }
    return 0;
}

static void block_end(struct writer *writer)
{
    if (writer->block != NULL) {
        bh_html_put(writer->report->html, "</tbody></table></div></details>\n");
    }
    writer->block = NULL;
}

/* The definition and each guest has a block of its own; resources, policy lines and assertions have
 * one together. */
static bool is_own_block(const struct job *job)
{
    return job->depth == 0 || (job->depth == 1u && job->group == &bh_schema_guest);
}

static bool block_begins(const struct writer *writer, const struct job *job)
{
    const bool many = job->group == &bh_schema_resource || job->group == &bh_schema_policy ||
                      job->group == &bh_schema_assertion;

    return is_own_block(job) || (many && writer->block != job->group);
}

static void job_do(struct writer *writer, const struct job *job)
{
    const struct bh_html *html = writer->report->html;
    const uint32_t kind = kind_of(job);

    if (block_begins(writer, job)) {
        block_end(writer);
        bh_html_put(html,
                    "<details><summary>%s%s</summary>\n<div class=\"scroll\">"
                    "<table class=\"values\">\n<thead><tr><th scope=\"col\">Key</th>"
                    "<th scope=\"col\">Value</th><th scope=\"col\">From</th>"
                    "<th scope=\"col\">Where</th></tr></thead>\n<tbody>\n",
                    is_own_block(job) ? job->label : job->group->noun,
                    is_own_block(job) ? "" : "s");
        writer->block = job->group;
    }
    if (!is_own_block(job)) {
        bh_html_put(html, "<tr class=\"thing\"><th scope=\"rowgroup\" colspan=\"4\">%s</th></tr>\n",
                    job->label);
    }
    for (size_t i = 0; i < job->group->key_count; i++) {
        const struct bh_schema_key *key = &job->group->keys[i];

        if (key->kinds == 0 || (key->kinds & kind) != 0) {
            key_put(writer, job, key);
        }
    }
}

int bh_report_values(const struct bh_report *report)
{
    struct writer writer = {.report = report};

    bh_html_put(report->html,
                "<section id=\"values\">\n<h2>Every value</h2>\n"
                "<p>What the definition says and what holds where it says nothing.</p>\n");
    writer.tail = &writer.jobs;
    (void)job_add(&writer, bh_schema_root(), report->platform, report->platform->name.at, NULL,
                  "definition");
    while (writer.jobs != NULL) {
        struct job *job = writer.jobs;

        writer.jobs = job->next;
        writer.tail = &writer.jobs;
        if (!writer.failed) {
            job_do(&writer, job);
        }
        free(job);
    }
    block_end(&writer);
    bh_html_put(report->html, "</section>\n");
    return writer.failed ? BH_NO_MEMORY : BH_OK;
}
