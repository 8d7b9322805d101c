/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUEST.engine.json: how QEMU is started for a guest, for programs. It depends on the definition
 * and the sizes of the boot images alone: it is for the oldest QEMU that runs the guest, and newer
 * ones take it too.
 *
 *   {
 *     "bulkhead": 1,            the version of the form
 *     "platform", "guest",      names
 *     "engine": {
 *       "name": "qemu",
 *       "program": "qemu-system-aarch64",   as the definition has it: a relative path belongs to
 *                                           its folder; a name is searched for
 *       "oldest": "10.2" },                 the version
 *     "options": [              in order; QEMU gets option and value as two arguments
 *       { "group": "process", "option": "-name", "value": "guest=cluster" },
 *       { "group": "process", "option": "-S" },
 *       { "group": "memory", "option": "-object", "value": "…,mem-path=/proc/self/fd/{window-root}",
 *         "descriptor": "window-root" }, … ],
 *                               In a value that has one, {NAME} stands for the number of the
 *                               descriptor "NAME" in QEMU's process. Of the groups "kvm" and
 *                               "emulated" only one is given: where the host decides.
 *     "groups": { "process": "why its options are there", … },
 *     "descriptors": [          all that QEMU gets beside standard output and error
 *       { "name": "window-root", "is": "memory file" | "stream socket" | "file", "role": "…",
 *         "size": 9175040, "seals": ["shrink", "grow"],   of memory files; a size that is missing
 *                                                         is that of what they hold
 *         "file": "images/Image" }, … ]     as the definition has it
 *   }
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define FORM_VERSION 1

static const struct bh_qemu_fds none = {-1, -1, -1};

/* What could not be stored is noted, and ends in no text. */
struct maker {
    bool failed;
};

static void set(struct maker *maker, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        maker->failed = true;
    }
}

static void append(struct maker *maker, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        maker->failed = true;
    }
}

/* An argument with {NAME} in place of the marks. */
static void set_value(struct maker *maker, json_t *object, const char *argument)
{
    char name[BH_QEMU_FD_NAME];
    struct bh_qemu_pieces pieces;
    if (!bh_qemu_pieces(argument, &pieces)) {
        set(maker, object, "value", json_string(argument));
        return;
    }
    (void)snprintf(name, sizeof(name), "%.*s", pieces.name_length, pieces.name);
    set(maker, object, "value",
        json_sprintf("%.*s{%s}%s", pieces.before_length, argument, name, pieces.behind));
    set(maker, object, "descriptor", json_string(name));
}

static json_t *options_json(struct maker *maker, const struct bh_qemu_command *command)
{
    json_t *array = json_array();
    for (uint32_t i = 1; i < command->count; i++) {
        json_t *object = json_object();
        set(maker, object, "group", json_string(bh_qemu_reasons[command->groups[i]].word));
        set(maker, object, "option", json_string(command->arguments[i]));
        if (bh_qemu_takes_value(command->arguments[i])) {
            i++;
            set_value(maker, object, command->arguments[i]);
        }
        append(maker, array, object);
    }
    return array;
}

static json_t *groups_json(struct maker *maker, const struct bh_qemu_command *command)
{
    json_t *object = json_object();
    for (uint32_t i = 1; i < command->count; i++) {
        const struct bh_qemu_reason *reason = &bh_qemu_reasons[command->groups[i]];
        set(maker, object, reason->word, json_string(reason->why));
    }
    return object;
}

static json_t *seals_json(struct maker *maker, const char *seals)
{
    json_t *array = json_array();
    while (*seals != '\0') {
        size_t length = strcspn(seals, " ");
        append(maker, array, json_stringn(seals, length));
        seals += length + strspn(seals + length, " ");
    }
    return array;
}

static json_t *descriptor_json(struct maker *maker, const struct bh_qemu_descriptor *descriptor)
{
    json_t *object = json_object();
    set(maker, object, "name", json_string(descriptor->name));
    set(maker, object, "is", json_string(descriptor->is));
    set(maker, object, "role", json_string(descriptor->role));
    if (descriptor->size != 0u) {
        set(maker, object, "size", json_integer((json_int_t)descriptor->size));
    }
    if (descriptor->seals != NULL) {
        set(maker, object, "seals", seals_json(maker, descriptor->seals));
    }
    if (descriptor->file != NULL) {
        set(maker, object, "file", json_string(descriptor->file));
    }
    return object;
}

static json_t *descriptors_json(struct maker *maker, const struct bh_qemu_command *command)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < command->fd_count; i++) {
        struct bh_qemu_descriptor descriptor;
        bh_qemu_describe(command, i, &descriptor);
        append(maker, array, descriptor_json(maker, &descriptor));
    }
    return array;
}

static json_t *engine_json(struct maker *maker, const struct bh_engine *engine)
{
    json_t *object = json_object();
    set(maker, object, "name", json_string("qemu"));
    set(maker, object, "program", json_string(engine->program));
    set(maker, object, "oldest", json_sprintf("%u.%u", engine->major, engine->minor));
    return object;
}

char *bh_machine_command_json(const struct bh_machine_setup *setup)
{
    struct bh_qemu_command command;
    struct maker maker = {false};
    char *text = NULL;
    if (bh_qemu_command_make(&command, setup, &none, true) != BH_OK) {
        return NULL;
    }
    json_t *root = json_object();
    set(&maker, root, "bulkhead", json_integer(FORM_VERSION));
    set(&maker, root, "platform", json_string(setup->platform->name.text));
    set(&maker, root, "guest", json_string(setup->layout->guest->name.text));
    set(&maker, root, "engine", engine_json(&maker, setup->engine));
    set(&maker, root, "options", options_json(&maker, &command));
    set(&maker, root, "groups", groups_json(&maker, &command));
    set(&maker, root, "descriptors", descriptors_json(&maker, &command));
    if (!maker.failed) {
        text = json_dumps(root, JSON_INDENT(2));
    }
    json_decref(root);
    bh_qemu_command_finish(&command);
    return text;
}
