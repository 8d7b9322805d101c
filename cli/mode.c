/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead mode: shows the vehicle modes of a running platform, or changes to another. What follows
 * from a mode is the supervisor's business.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"

static void print_modes(const json_t *answer)
{
    const json_t *modes = json_object_get(answer, "modes");
    const char *now = bh_cli_text(answer, "mode");
    for (size_t i = 0; i < json_array_size(modes); i++) {
        const char *name = json_string_value(json_array_get(modes, i));
        if (name != NULL) {
            (void)printf("%s %s\n", strcmp(name, now) == 0 ? "*" : " ", name);
        }
    }
}

static int ask(const struct bh_cli_platform *platform, const char *mode)
{
    json_t *request = mode != NULL ? json_pack("{s:s, s:s}", "request", "mode", "mode", mode)
                                   : json_pack("{s:s}", "request", "mode");
    json_t *answer = bh_cli_ask(platform, request, NULL);
    if (answer == NULL) {
        return BH_CLI_REFUSED;
    }
    if (mode != NULL) {
        (void)printf("%s: mode %s\n", platform->name, bh_cli_text(answer, "mode"));
    } else {
        print_modes(answer);
    }
    json_decref(answer);
    return BH_CLI_OK;
}

/* One name alone is a platform's if one of that name runs, else a mode's. */
static int run(const struct bh_cli_arguments *arguments)
{
    struct bh_cli_platform platform;
    const char *name = arguments->word;
    const char *mode = arguments->more;
    if (name != NULL && mode == NULL && !bh_cli_runs(name)) {
        mode = name;
        name = NULL;
    }
    if (!bh_cli_connect(&platform, name)) {
        return BH_CLI_REFUSED;
    }
    int status = ask(&platform, mode);
    bh_cli_disconnect(&platform);
    return status;
}

const struct bh_cli_command bh_cli_mode = {
    .name = "mode",
    .argument = "[PLATFORM] [MODE]",
    .summary = "Shows the vehicle modes of a running platform, or changes to another",
    .help =
        "Without MODE the modes are listed; * marks the one that holds. After a change every\n"
        "device may do what the policy allows in the new mode, and nothing else, from the next\n"
        "request on. PLATFORM may be left out while only one is running.\n",
    .run = run,
    .takes_two = true,
};
