/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program `bulkhead`: the table of its commands. What they do is done in platform/ and engine/;
 * here are arguments and output only.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"

static const struct bh_cli_command *const commands[] = {
    &bh_cli_check,  &bh_cli_build,  &bh_cli_run,  &bh_cli_image, &bh_cli_attach,
    &bh_cli_status, &bh_cli_events, &bh_cli_mode, &bh_cli_stop,  &bh_cli_schema,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void program_help(void)
{
    (void)printf("Usage: bulkhead COMMAND [option]... [argument]\n"
                 "Runs guests, each device in a process of its own that has none of the guest's "
                 "memory but windows.\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
    }
    (void)printf("\n'bulkhead COMMAND --help' explains a command; bulkhead(1) and bulkhead.yaml(5) "
                 "say more.\n\n"
                 "Exit status: 0: done; 1: it cannot be done; 2: the command line is wrong;\n"
                 "run: also 3: a guest failed, 4: a back end failed, 5: an engine failed,\n"
                 "6: bulkhead itself failed.\n");
}

static const char *name_at(size_t index)
{
    return index < COMMAND_COUNT ? commands[index]->name : NULL;
}

static int unknown(const char *word)
{
    const char *meant = bh_cli_suggest(word, name_at);
    if (meant != NULL) {
        bh_cli_error("there is no command '%s'; did you mean '%s'?", word, meant);
    } else {
        bh_cli_error("there is no command '%s'; 'bulkhead --help' lists them", word);
    }
    return BH_CLI_USAGE;
}

static int run_command(int count, char **words)
{
    struct bh_cli_arguments arguments;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words[0], commands[i]->name) == 0) {
            int status = bh_cli_parse(commands[i], count, words, &arguments);
            return status >= 0 ? status : commands[i]->run(&arguments);
        }
    }
    return unknown(words[0]);
}

static int run_program(int count, char **words)
{
    if (count < 2) {
        bh_cli_error("which command? 'bulkhead --help' lists them");
        return BH_CLI_USAGE;
    }
    if (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0) {
        program_help();
        return BH_CLI_OK;
    }
    if (strcmp(words[1], "--version") == 0) {
        (void)printf("bulkhead %s\n", BH_CLI_VERSION);
        return BH_CLI_OK;
    }
    return run_command(count - 1, words + 1);
}

int main(int argc, char **argv)
{
    int status = run_program(argc, argv);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == BH_CLI_OK) {
        bh_cli_error("standard output cannot be written");
        return BH_CLI_REFUSED;
    }
    return status;
}
