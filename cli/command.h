/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a command of `bulkhead` is: a line in main.c's table. Help, option parsing and the checks of
 * the command line are made from it (main.c, options.c). Private to cli/.
 */
#ifndef BULKHEAD_CLI_COMMAND_H
#define BULKHEAD_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a command ends; `run` has more (enum bh_run_exit). */
enum bh_cli_exit {
    BH_CLI_OK = 0,
    BH_CLI_REFUSED = 1, /* it cannot be done; standard error says why */
    BH_CLI_USAGE = 2,   /* the command line */
};

#define BH_CLI_OPTIONS_MAX 8u
#define BH_CLI_LIST_MAX    64u

struct bh_cli_option {
    const char *name; /* NULL: the list's end */
    /* What it takes; NULL: nothing. "A B": two words. "RULE...": one, and the option may be given
     * again and again. Of each of these two a command has one at most. */
    const char *argument;
    const char *help;
    char letter; /* its short form; 0: none */
};

/* What the user wrote. */
struct bh_cli_arguments {
    const char
        *options[BH_CLI_OPTIONS_MAX];  /* by their place in the command's list; NULL: not given;
                                                "" if it takes nothing */
    const char *second;                /* of the option that takes two words, the other one */
    const char *list[BH_CLI_LIST_MAX]; /* of the option that may be given again, all in order */
    uint32_t list_count;
    const char *word; /* the argument; NULL: not given */
    const char *more; /* of a command that takes two arguments, the other one; NULL: not given */
};

struct bh_cli_command {
    const char *name;
    const char *argument; /* what the argument is, as help shows it; NULL: it takes none */
    const char *summary;  /* a line */
    const char *help;     /* more lines */
    struct bh_cli_option options[BH_CLI_OPTIONS_MAX + 1u];
    int (*run)(const struct bh_cli_arguments *arguments);
    bool argument_needed;
    bool takes_two; /* arguments, at most; otherwise one */
};

extern const struct bh_cli_command bh_cli_attach;
extern const struct bh_cli_command bh_cli_build;
extern const struct bh_cli_command bh_cli_check;
extern const struct bh_cli_command bh_cli_events;
extern const struct bh_cli_command bh_cli_image;
extern const struct bh_cli_command bh_cli_mode;
extern const struct bh_cli_command bh_cli_run;
extern const struct bh_cli_command bh_cli_schema;
extern const struct bh_cli_command bh_cli_status;
extern const struct bh_cli_command bh_cli_stop;

/* Reads the command line after the command's name. -1: `arguments` is filled; otherwise what the
 * program ends with. */
int bh_cli_parse(const struct bh_cli_command *command, int count, char **words,
                 struct bh_cli_arguments *arguments);

/* Says what is wrong with the command line, and about which word (NULL: none in particular).
 * BH_CLI_USAGE. */
int bh_cli_usage(const struct bh_cli_command *command, const char *what, const char *word);

/* Of the words `at(0)`, `at(1)`, ... (NULL ends them) the one that `word` was probably meant to be;
 * NULL: none is near. */
const char *bh_cli_suggest(const char *word, const char *(*at)(size_t index));

/* The help of a command, to standard output. */
void bh_cli_help(const struct bh_cli_command *command);

/* A number of at most `most`; false: it is none. */
bool bh_cli_number(const char *text, uint64_t most, uint64_t *number);

/* A message to standard error, after the program's name: what is wrong and what to do. */
void bh_cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether what goes to descriptor `fd` may be coloured: a terminal that is not dumb, and
 * NO_COLOR is not set. */
bool bh_cli_colour(int fd);

#endif
