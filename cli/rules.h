/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the user makes of the checks: the option -W of the commands that take a definition. Private
 * to cli/.
 */
#ifndef BULKHEAD_CLI_RULES_H
#define BULKHEAD_CLI_RULES_H

#include "bulkhead/platform_diagnostic.h"
#include "command.h"

#define BH_CLI_RULE_OPTION                                                                         \
    {                                                                                              \
        "rule", "RULE...", "error, error=NAME, warning=NAME or no-NAME; see bulkhead(1)", 'W'      \
    }

/* Whether every rule that was given names a check, and asks for what can be. -1: yes; otherwise
 * what the program ends with, and it was said. */
int bh_cli_rules_check(const struct bh_cli_command *command,
                       const struct bh_cli_arguments *arguments);

/* Puts them into force: `error` first, then the others in their order. BH_NO_MEMORY. */
int bh_cli_rules_apply(const struct bh_cli_arguments *arguments,
                       struct bh_diagnostics *diagnostics);

/* The check of a name; NULL: there is none, and it was said. */
const struct bh_check *bh_cli_check_named(const struct bh_cli_command *command, const char *name);

#endif
