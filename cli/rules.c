/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of -W: read, and given to the diagnostics. What a check may be made is the check's own
 * business (platform/).
 */
#include "rules.h"

#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"

#define ALL_ERRORS "error" /* every warning is one */

static const char *check_name_at(size_t index)
{
    const struct bh_check *check = bh_check_at(index);
    return check != NULL ? check->name : NULL;
}

const struct bh_check *bh_cli_check_named(const struct bh_cli_command *command, const char *name)
{
    const struct bh_check *check = bh_check_find(name);
    const char *meant = check == NULL ? bh_cli_suggest(name, check_name_at) : NULL;
    if (check == NULL && meant != NULL) {
        bh_cli_error("%s: there is no check '%s'; did you mean '%s'?", command->name, name, meant);
    } else if (check == NULL) {
        bh_cli_error("%s: there is no check '%s'; 'bulkhead check --list' lists them",
                     command->name, name);
    }
    return check;
}

/* What a rule asks for, and of which check; false: it is no rule. */
static bool split(const char *text, enum bh_rule *rule, const char **name)
{
    static const struct {
        const char *before;
        enum bh_rule rule;
    } forms[] = {
        {"error=", BH_RULE_ERROR},
        {"warning=", BH_RULE_WARNING},
        {"no-", BH_RULE_OFF},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strncmp(text, forms[i].before, strlen(forms[i].before)) == 0) {
            *rule = forms[i].rule;
            *name = text + strlen(forms[i].before);
            return true;
        }
    }
    return false;
}

static int check_rule(const struct bh_cli_command *command, const char *text)
{
    enum bh_rule rule;
    const char *name;
    if (strcmp(text, ALL_ERRORS) == 0) {
        return -1;
    }
    if (bh_check_find(text) != NULL) {
        bh_cli_error("%s: -W says what is made of a check: error=%s, warning=%s or no-%s",
                     command->name, text, text, text);
        return BH_CLI_USAGE;
    }
    if (!split(text, &rule, &name)) {
        return bh_cli_usage(command, "a rule is error, error=NAME, warning=NAME or no-NAME, not",
                            text);
    }
    const struct bh_check *check = bh_cli_check_named(command, name);
    if (check == NULL) {
        return BH_CLI_USAGE;
    }
    if (check->severity == BH_SEVERITY_ERROR && rule == BH_RULE_OFF) {
        bh_cli_error("%s: what '%s' finds is an error, which is always said", command->name, name);
        return BH_CLI_USAGE;
    }
    if (check->severity == BH_SEVERITY_ERROR && rule == BH_RULE_WARNING && !check->may_be_warning) {
        bh_cli_error("%s: what '%s' finds cannot be a warning; 'bulkhead check --list' shows for "
                     "which checks it can",
                     command->name, name);
        return BH_CLI_USAGE;
    }
    return -1;
}

int bh_cli_rules_check(const struct bh_cli_command *command,
                       const struct bh_cli_arguments *arguments)
{
    int status = -1;
    for (uint32_t i = 0; i < arguments->list_count && status < 0; i++) {
        status = check_rule(command, arguments->list[i]);
    }
    return status;
}

static int make_all_errors(struct bh_diagnostics *diagnostics)
{
    const struct bh_check *check;
    int result = BH_OK;
    for (size_t i = 0; (check = bh_check_at(i)) != NULL && result == BH_OK; i++) {
        if (check->severity == BH_SEVERITY_WARNING) {
            result = bh_diagnostics_rule(diagnostics, check->name, BH_RULE_ERROR);
        }
    }
    return result;
}

int bh_cli_rules_apply(const struct bh_cli_arguments *arguments, struct bh_diagnostics *diagnostics)
{
    int result = BH_OK;
    for (uint32_t i = 0; i < arguments->list_count && result == BH_OK; i++) {
        if (strcmp(arguments->list[i], ALL_ERRORS) == 0) {
            result = make_all_errors(diagnostics);
        }
    }
    for (uint32_t i = 0; i < arguments->list_count && result == BH_OK; i++) {
        enum bh_rule rule;
        const char *name;
        if (split(arguments->list[i], &rule, &name)) {
            result = bh_diagnostics_rule(diagnostics, bh_check_find(name)->name, rule);
        }
    }
    return result;
}
