/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and explains the command line of one command, from its description. It knows no command.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define HELP_COLUMN  28
#define FIRST_OPTION 256 /* getopt's values for the options of a command begin here */
#define HELP_OPTION  255
#define NUMBER_BASE  10
#define SHORT_MAX    (2u * BH_CLI_OPTIONS_MAX + 4u)

void bh_cli_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("bulkhead: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

bool bh_cli_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return (no_colour == NULL || no_colour[0] == '\0') &&
           !(terminal != NULL && strcmp(terminal, "dumb") == 0) && isatty(fd) == 1;
}

bool bh_cli_number(const char *text, uint64_t most, uint64_t *number)
{
    char *end;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(text, &end, NUMBER_BASE);
    return errno == 0 && *end == '\0' && *number <= most;
}

/* ------------------------------------------------------------------------------------------------
 * help */

static void help_line(const struct bh_cli_option *option)
{
    char letter[] = "-x, ";
    letter[1] = option->letter;
    int column = printf("  %s--%s%s%s", option->letter != '\0' ? letter : "    ", option->name,
                        option->argument != NULL ? " " : "",
                        option->argument != NULL ? option->argument : "");
    (void)printf("%*s%s\n", column < HELP_COLUMN ? HELP_COLUMN - column : 2, "", option->help);
}

void bh_cli_help(const struct bh_cli_command *command)
{
    static const struct bh_cli_option help = {"help", NULL, "print this help, and exit", 'h'};
    (void)printf("Usage: bulkhead %s [option]...%s%s\n%s.\n\n%s\nOptions:\n", command->name,
                 command->argument != NULL ? " " : "",
                 command->argument != NULL ? command->argument : "", command->summary,
                 command->help);
    for (const struct bh_cli_option *option = command->options; option->name != NULL; option++) {
        help_line(option);
    }
    help_line(&help);
}

/* ------------------------------------------------------------------------------------------------
 * parsing */

static uint32_t option_count(const struct bh_cli_command *command)
{
    uint32_t count = 0;
    while (command->options[count].name != NULL) {
        count++;
    }
    return count;
}

/* Describes the options to getopt. `letters` begins with ':' so that a missing value is told
 * from an unknown option. */
static void describe(const struct bh_cli_command *command, struct option *table, char *letters)
{
    uint32_t count = option_count(command);
    *letters++ = ':';
    for (uint32_t i = 0; i < count; i++) {
        const struct bh_cli_option *option = &command->options[i];
        table[i] = (struct option){.name = option->name,
                                   .has_arg = option->argument != NULL ? 1 : 0,
                                   .val = FIRST_OPTION + (int)i};
        if (option->letter != '\0') {
            *letters++ = option->letter;
        }
        if (option->letter != '\0' && option->argument != NULL) {
            *letters++ = ':';
        }
    }
    *letters++ = 'h';
    *letters = '\0';
    table[count] = (struct option){.name = "help", .val = HELP_OPTION};
    table[count + 1u] = (struct option){.name = NULL};
}

/* The place of the option that getopt returned. */
static uint32_t option_index(const struct bh_cli_command *command, int value)
{
    if (value >= FIRST_OPTION) {
        return (uint32_t)(value - FIRST_OPTION);
    }
    uint32_t i = 0;
    while (command->options[i].letter != (char)value) {
        i++;
    }
    return i;
}

int bh_cli_usage(const struct bh_cli_command *command, const char *what, const char *word)
{
    bh_cli_error("%s: %s%s%s%s; 'bulkhead %s --help' explains it", command->name, what,
                 word != NULL ? " '" : "", word != NULL ? word : "", word != NULL ? "'" : "",
                 command->name);
    return BH_CLI_USAGE;
}

static int take_word(const struct bh_cli_command *command, int count, char **words,
                     struct bh_cli_arguments *arguments)
{
    int left = count - optind;
    int most = command->takes_two ? 2 : 1;
    if (left > 0 && command->argument == NULL) {
        return bh_cli_usage(command, "takes no argument:", words[optind]);
    }
    if (left > most) {
        return bh_cli_usage(command,
                            most == 1 ? "takes one argument; this is too much:"
                                      : "takes two arguments; this is too much:",
                            words[optind + most]);
    }
    if ((left > 0 && words[optind][0] == '\0') || (left > 1 && words[optind + 1][0] == '\0')) {
        return bh_cli_usage(command, "the argument is empty", NULL);
    }
    if (left == 0 && command->argument_needed) {
        return bh_cli_usage(command, "needs an argument:", command->argument);
    }
    arguments->word = left > 0 ? words[optind] : NULL;
    arguments->more = left > 1 ? words[optind + 1] : NULL;
    return -1;
}

/* Keeps what getopt found. -1, or what the program ends with. */
static int take_option(const struct bh_cli_command *command, uint32_t index, int count,
                       char **words, struct bh_cli_arguments *arguments)
{
    const char *argument = command->options[index].argument;
    arguments->options[index] = optarg != NULL ? optarg : "";
    if (argument != NULL && strchr(argument, ' ') != NULL) {
        if (optind == count) {
            return bh_cli_usage(command, "this option needs two values:", words[optind - 2]);
        }
        arguments->second = words[optind++];
    }
    if (argument != NULL && strstr(argument, "...") != NULL) {
        if (arguments->list_count == BH_CLI_LIST_MAX) {
            return bh_cli_usage(command, "this option is given too often:", optarg);
        }
        arguments->list[arguments->list_count++] = optarg;
    }
    return -1;
}

int bh_cli_parse(const struct bh_cli_command *command, int count, char **words,
                 struct bh_cli_arguments *arguments)
{
    struct option table[BH_CLI_OPTIONS_MAX + 2u];
    char letters[SHORT_MAX];
    *arguments = (struct bh_cli_arguments){.word = NULL};
    describe(command, table, letters);
    opterr = 0;
    for (int value = getopt_long(count, words, letters, table, NULL); value != -1;
         value = getopt_long(count, words, letters, table, NULL)) {
        char letter[] = {'-', (char)optopt, '\0'};
        const char *word = optopt > 0 && optopt < HELP_OPTION ? letter : words[optind - 1];
        if (value == HELP_OPTION || value == 'h') {
            bh_cli_help(command);
            return BH_CLI_OK;
        }
        if (value == ':') {
            return bh_cli_usage(command, "this option needs a value:", word);
        }
        if (value == '?') {
            return bh_cli_usage(command, "there is no such option, or it takes no value:", word);
        }
        int ended = take_option(command, option_index(command, value), count, words, arguments);
        if (ended >= 0) {
            return ended;
        }
    }
    return take_word(command, count, words, arguments);
}
