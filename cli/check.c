/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead check: says whether a definition holds, and explains the checks and the flows. All of
 * that is platform/'s.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_flow.h"
#include "bulkhead/platform_layout.h"
#include "definition.h"

enum check_option { OPTION_RULE, OPTION_FORMAT, OPTION_LIST, OPTION_EXPLAIN, OPTION_FLOW };

static int check_guest(const struct bh_platform *platform, const struct bh_guest *guest,
                       struct bh_diagnostics *diagnostics)
{
    struct bh_boot_images images;
    struct bh_layout layout;
    int result = bh_boot_images_open(&images, platform, guest, diagnostics);
    if (result == BH_OK) {
        result = bh_layout_make(&layout, guest, &images, diagnostics);
        bh_boot_images_close(&images);
    }
    return result;
}

/* All guests are looked at, so that everything is said at once. */
static int check_guests(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                        void *context)
{
    int first = BH_OK;
    (void)context;
    bh_disk_images_look(platform, diagnostics);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        int result = check_guest(platform, &platform->guests[i], diagnostics);
        first = first == BH_OK ? result : first;
    }
    return first;
}

static void print_count(const char *before, uint32_t number, const char *what)
{
    (void)printf("%s%" PRIu32 " %s%s", before, number, what, number == 1 ? "" : "s");
}

static int check(const struct bh_cli_arguments *arguments, enum bh_cli_form form)
{
    uint32_t devices = 0;
    struct bh_platform *platform = bh_cli_definition(arguments, form, check_guests, NULL);
    if (platform == NULL) {
        return BH_CLI_REFUSED;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        devices += platform->guests[i].device_count;
    }
    if (form == BH_CLI_TEXT) {
        (void)printf("%s: ok (", arguments->word);
        print_count("", platform->guest_count, "guest");
        print_count(", ", devices, "device");
        (void)printf(")\n");
    }
    bh_platform_destroy(platform);
    return BH_CLI_OK;
}

/* ------------------------------------------------------------------------------------------------
 * what explains */

static int list(void)
{
    const struct bh_check *row;
    for (size_t i = 0; (row = bh_check_at(i)) != NULL; i++) {
        const char *severity = row->severity == BH_SEVERITY_WARNING ? "warning"
                               : row->may_be_warning                ? "error (W)"
                                                                    : "error";
        (void)printf("%-20s %-10s %s\n", row->name, severity, row->reason);
    }
    (void)printf("\n(W): -W warning=NAME makes it a warning; run refuses it nevertheless.\n");
    return BH_CLI_OK;
}

static int explain(const char *name)
{
    if (bh_cli_check_named(&bh_cli_check, name) == NULL) {
        return BH_CLI_USAGE;
    }
    const char *page = bh_check_page(name);
    if (page == NULL) {
        bh_cli_error("check: nothing more is known of '%s'", name);
        return BH_CLI_REFUSED;
    }
    (void)fputs(page, stdout);
    return BH_CLI_OK;
}

static int explain_flow(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                        void *context)
{
    const struct bh_cli_arguments *arguments = context;
    return bh_flow_explain(platform, arguments->options[OPTION_FLOW], arguments->second,
                           diagnostics, stdout, bh_cli_colour(STDOUT_FILENO));
}

static int explain_flows(const struct bh_cli_arguments *arguments)
{
    struct bh_cli_arguments copy = *arguments;
    struct bh_platform *platform = bh_cli_definition(arguments, BH_CLI_TEXT, explain_flow, &copy);
    int status = platform != NULL ? BH_CLI_OK : BH_CLI_REFUSED;
    bh_platform_destroy(platform);
    return status;
}

/* -1: the format is one. */
static int read_format(const char *text, enum bh_cli_form *form)
{
    *form = text != NULL && strcmp(text, "json") == 0 ? BH_CLI_JSON : BH_CLI_TEXT;
    if (text != NULL && *form == BH_CLI_TEXT && strcmp(text, "text") != 0) {
        return bh_cli_usage(&bh_cli_check, "the format is text or json, not", text);
    }
    return -1;
}

static int run(const struct bh_cli_arguments *arguments)
{
    enum bh_cli_form form;
    int status = read_format(arguments->options[OPTION_FORMAT], &form);
    if (status < 0) {
        status = bh_cli_rules_check(&bh_cli_check, arguments);
    }
    if (status >= 0) {
        return status;
    }
    bool about_checks =
        arguments->options[OPTION_LIST] != NULL || arguments->options[OPTION_EXPLAIN] != NULL;
    if (form == BH_CLI_JSON && (about_checks || arguments->options[OPTION_FLOW] != NULL)) {
        return bh_cli_usage(&bh_cli_check,
                            "--list, --explain and --explain-flow are for people alone: leave out",
                            "--format json");
    }
    if (about_checks && arguments->word != NULL) {
        return bh_cli_usage(&bh_cli_check, "--list and --explain take no file:", arguments->word);
    }
    if (!about_checks && arguments->word == NULL) {
        return bh_cli_usage(&bh_cli_check, "needs an argument:", bh_cli_check.argument);
    }
    if (arguments->options[OPTION_LIST] != NULL) {
        return list();
    }
    if (arguments->options[OPTION_EXPLAIN] != NULL) {
        return explain(arguments->options[OPTION_EXPLAIN]);
    }
    return arguments->options[OPTION_FLOW] != NULL ? explain_flows(arguments)
                                                   : check(arguments, form);
}

const struct bh_cli_command bh_cli_check = {
    .name = "check",
    .argument = "FILE",
    .summary = "Checks a definition, and the images that it names",
    .help =
        "Says what is wrong, where, and what to write instead. Nothing is started or written.\n",
    .options = {[OPTION_RULE] = BH_CLI_RULE_OPTION,
                [OPTION_FORMAT] = {"format", "FORMAT", "text, or json: on standard output", '\0'},
                [OPTION_LIST] = {"list", NULL, "list all checks", '\0'},
                [OPTION_EXPLAIN] = {"explain", "NAME", "explain a check", '\0'},
                [OPTION_FLOW] = {"explain-flow", "A B",
                                 "show every way between two guests or resources", '\0'}},
    .run = run,
};
