/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GUEST.engine.sh: how QEMU is started for a guest, to be read: the command of qemu_command.c in
 * groups, each with why it is there, and descriptors as named variables. The supervisor starts the
 * same command without a shell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define COMMENT_COLUMNS 100u

static const struct bh_qemu_fds none = {-1, -1, -1};

/* ------------------------------------------------------------------------------------------------
 * words */

static bool is_plain(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,.:/@%";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

static void put_quoted(FILE *to, const char *text)
{
    if (is_plain(text)) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('\'', to);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", to);
        } else {
            (void)fputc(*text, to);
        }
    }
    (void)fputc('\'', to);
}

/* "window-root" as a variable: no name has a '_' of its own. */
static void put_variable(FILE *to, const char *name, int length)
{
    for (int i = 0; i < length; i++) {
        (void)fputc(name[i] == '-' ? '_' : name[i], to);
    }
}

/* A descriptor stands in options of our own making only, which need no quoting but the one for its
 * variable. */
static void put_argument(FILE *to, const char *argument)
{
    struct bh_qemu_pieces pieces;
    if (!bh_qemu_pieces(argument, &pieces)) {
        put_quoted(to, argument);
        return;
    }
    (void)fprintf(to, "\"%.*s${", pieces.before_length, argument);
    put_variable(to, pieces.name, pieces.name_length);
    (void)fprintf(to, "}%s\"", pieces.behind);
}

/* Text as comment lines. */
static void put_comment(FILE *to, const char *text)
{
    size_t column = 1;
    (void)fputc('#', to);
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column + 1u + length > COMMENT_COLUMNS) {
            (void)fputs("\n#", to);
            column = 1;
        }
        (void)fprintf(to, " %.*s", (int)length, text);
        column += 1u + length;
        text += length;
        text += *text == ' ' ? 1 : 0;
    }
    (void)fputc('\n', to);
}

/* ------------------------------------------------------------------------------------------------
 * the parts */

static void put_head(FILE *to, const struct bh_machine_setup *setup)
{
    char text[512];
    (void)fputs("#!/bin/sh\n", to);
    (void)snprintf(
        text, sizeof(text),
        "How guest %s of platform %s is started on QEMU %u.%u or newer. This is to be read: "
        "`bulkhead run` starts the same command by itself, in namespaces of its own and "
        "with nothing open but what stands here.",
        setup->layout->guest->name.text, setup->platform->name.text, setup->engine->major,
        setup->engine->minor);
    put_comment(to, text);
    put_comment(to, "");
    put_comment(to,
                "Every file, memory and socket is a descriptor that is open already; the variables "
                "are their numbers. The gate is started before, with the other ends and the "
                "same memory files.");
    (void)fputs("set -eu\n\n", to);
}

static void put_descriptor(FILE *to, const struct bh_qemu_descriptor *descriptor)
{
    (void)fputs(": \"${", to);
    put_variable(to, descriptor->name, (int)strlen(descriptor->name));
    (void)fprintf(to, ":?%s", descriptor->is);
    if (descriptor->size != 0u) {
        (void)fprintf(to, " of %" PRIu64 " bytes", descriptor->size);
    }
    if (descriptor->seals != NULL) {
        (void)fprintf(to, ", sealed (%s)", descriptor->seals);
    }
    (void)fprintf(to, ": %s}\"\n", descriptor->role);
}

static void put_descriptors(FILE *to, const struct bh_qemu_command *command)
{
    for (uint32_t i = 0; i < command->fd_count; i++) {
        struct bh_qemu_descriptor descriptor;
        bh_qemu_describe(command, i, &descriptor);
        put_descriptor(to, &descriptor);
    }
}

/* The options from `at` on that belong to one group: the index behind them. */
static uint32_t put_group(FILE *to, const struct bh_qemu_command *command, uint32_t at,
                          const char *indent)
{
    const enum bh_qemu_group group = command->groups[at];
    (void)fprintf(to, "%sset --%s", indent, at == 1u ? "" : " \"$@\"");
    while (at < command->count && command->groups[at] == group) {
        const char *option = command->arguments[at];
        (void)fprintf(to, " \\\n%s    %s", indent, option);
        at++;
        if (bh_qemu_takes_value(option)) {
            (void)fputc(' ', to);
            put_argument(to, command->arguments[at]);
            at++;
        }
    }
    (void)fputc('\n', to);
    return at;
}

/* The host decides which of two groups it is: both, as branches. */
static uint32_t put_choice(FILE *to, const struct bh_qemu_command *command, uint32_t at)
{
    put_comment(to, bh_qemu_reasons[BH_QEMU_KVM].why);
    (void)fputs("if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then\n", to);
    at = put_group(to, command, at, "    ");
    (void)fputs("else\n", to);
    at = put_group(to, command, at, "    ");
    (void)fputs("fi\n", to);
    return at;
}

static void put_command(FILE *to, const struct bh_qemu_command *command)
{
    uint32_t at = 1;
    while (at < command->count) {
        const enum bh_qemu_group group = command->groups[at];
        (void)fputc('\n', to);
        if (group == BH_QEMU_KVM) {
            at = put_choice(to, command, at);
        } else {
            put_comment(to, bh_qemu_reasons[group].why);
            at = put_group(to, command, at, "");
        }
    }
    (void)fputs("\nexec ", to);
    put_quoted(to, command->arguments[0]);
    (void)fputs(" \"$@\"\n", to);
}

char *bh_machine_command_script(const struct bh_machine_setup *setup)
{
    struct bh_qemu_command command;
    char *text = NULL;
    size_t size = 0;
    if (bh_qemu_command_make(&command, setup, &none, true) != BH_OK) {
        return NULL;
    }
    FILE *to = open_memstream(&text, &size);
    if (to != NULL) {
        put_head(to, setup);
        put_descriptors(to, &command);
        put_command(to, &command);
        bool failed = ferror(to) != 0;
        if (fclose(to) != 0 || failed) {
            free(text);
            text = NULL;
        }
    }
    bh_qemu_command_finish(&command);
    return text;
}
