/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of each policy line by itself: that its words are operations of its resource, and its
 * numbers numbers of it. It fills in what a line allows and denies. Who needs a line, or has one
 * for nothing, is check_policy_use.c's.
 */
#include "bulkhead/platform_policy.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "platform/definition/meant.h"

/* By enum bh_number_kind: the key, and what has it. */
static const struct {
    const char *key;
    uint32_t resource;
} numbers[BH_NUMBER_KINDS] = {
    [BH_NUMBERS_IDS] = {"ids", BH_RESOURCE_CAN},
    [BH_NUMBERS_LINES] = {"lines", BH_RESOURCE_GPIO},
    [BH_NUMBERS_ADDRESSES] = {"addresses", BH_RESOURCE_I2C},
    [BH_NUMBERS_SELECTS] = {"selects", BH_RESOURCE_SPI},
    [BH_NUMBERS_SENSORS] = {"sensors", BH_RESOURCE_SENSORS},
    [BH_NUMBERS_PORTS] = {"ports", BH_RESOURCE_SOCKETS},
    [BH_NUMBERS_KEYS] = {"keys", BH_RESOURCE_KEYS},
    [BH_NUMBERS_STREAMS] = {"streams", BH_RESOURCE_SOUND},
};

/* ---------------------------------------------------------------------------- policy-operation */

/* The operation under another name, of those that the resource has; or advice alone. */
static const char *meant_operation(uint32_t type, const char *word, const char **advice)
{
    const struct bh_meant *line = NULL;

    while ((line = bh_meant_next(line, "allow", word)) != NULL) {
        char first[BH_NAME_MAX + 1] = "";
        uint32_t bit;

        if (line->here != NULL) {
            (void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(line->here, ","), line->here);
        }
        if (line->here == NULL || bh_operation_find(type, first, &bit)) {
            *advice = line->advice;
            return line->here;
        }
    }
    return NULL;
}

static void say_no_operation(const struct bh_reader *reader, const struct bh_resource *resource,
                             const struct bh_text *word)
{
    const char *advice = NULL;
    const char *near = meant_operation(resource->type.value, word->text, &advice);
    char possible[160];

    if (near == NULL && advice == NULL) {
        near = bh_check_suggest(reader, word->text, bh_operation_word, &resource->type.value);
    }
    bh_operations_text(resource->type.value, UINT32_MAX, possible, sizeof(possible));
    BH_SAY(reader, "policy-operation", word->at,
           "%s is no operation of %s, a resource of type %s\n%s%s%spossible is %s%s%s",
           bh_show(word->text).text, resource->name.text,
           bh_resource_type_name(resource->type.value), near == NULL ? "" : "did you mean ",
           near == NULL ? "" : near, near == NULL ? "" : "? ", possible, advice == NULL ? "" : "\n",
           advice == NULL ? "" : advice);
}

static uint32_t resolve(const struct bh_reader *reader, const struct bh_resource *resource,
                        const struct bh_names *words)
{
    uint32_t operations = 0;

    for (uint32_t i = 0; i < words->count; i++) {
        uint32_t bit;

        if (bh_operation_find(resource->type.value, words->names[i].text, &bit)) {
            operations |= bit;
        } else {
            say_no_operation(reader, resource, &words->names[i]);
        }
    }
    return operations;
}

void bh_check_policy_operation(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        struct bh_policy_line *line = &platform->policy[i];

        if (line->to != NULL) {
            line->allows = resolve(reader, line->to, &line->allow);
            line->denies = resolve(reader, line->to, &line->deny);
        }
    }
}

/* -------------------------------------------------------------------------------- policy-empty */

void bh_check_policy_empty(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        if (line->allow.count == 0 && line->deny.count == 0) {
            BH_SAY(reader, "policy-empty", line->at,
                   "a policy line neither allows nor denies anything\n"
                   "add allow: [OPERATION, ...]; what no line allows is denied anyway");
        }
    }
}

/* ------------------------------------------------------------------------------ policy-numbers */

static void say_numbers(const struct bh_reader *reader, const struct bh_policy_line *line,
                        uint32_t kind)
{
    uint32_t own = (uint32_t)bh_resource_numbers(line->to->type.value);

    BH_SAY(reader, "policy-numbers", line->numbers[kind].at,
           "%s are of resources of type %s, and %s is of type %s\n%s%s", numbers[kind].key,
           bh_resource_type_name(numbers[kind].resource), line->to->name.text,
           bh_resource_type_name(line->to->type.value),
           own == BH_NUMBERS_NONE ? "remove them: its operations hold for all of it"
                                  : "its operations hold for ",
           own == BH_NUMBERS_NONE ? "" : numbers[own].key);
    bh_diagnostics_note(reader->diagnostics, line->to->type.at, "here it is of type %s",
                        bh_resource_type_name(line->to->type.value));
}

void bh_check_policy_numbers(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        for (uint32_t kind = 0; kind < BH_NUMBER_KINDS && line->to != NULL; kind++) {
            if (line->numbers[kind].count != 0 &&
                kind != (uint32_t)bh_resource_numbers(line->to->type.value)) {
                say_numbers(reader, line, kind);
            }
        }
    }
}

/* ---------------------------------------------------------------------------- policy-read-only */

static void check_writes(const struct bh_reader *reader, const struct bh_policy_line *line,
                         const struct bh_text *word)
{
    uint32_t bit;

    if (!bh_operation_find(line->to->type.value, word->text, &bit) ||
        (bh_policy_rights(line->to->type.value, bit) & BH_RIGHT_WRITE) == 0) {
        return;
    }
    BH_SAY(reader, "policy-read-only", word->at,
           "%s is read-only, so %s can never be allowed\n"
           "remove %s here, or read-only: true there",
           line->to->name.text, word->text, word->text);
    bh_diagnostics_note(reader->diagnostics, line->to->read_only.at, "here it is read-only");
}

void bh_check_policy_read_only(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        const struct bh_policy_line *line = &platform->policy[i];

        if (line->to == NULL || !line->to->read_only.value) {
            continue;
        }
        for (uint32_t j = 0; j < line->allow.count; j++) {
            check_writes(reader, line, &line->allow.names[j]);
        }
    }
}
