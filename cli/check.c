/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead check: says whether a definition holds. The checks are platform/'s.
 */
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "definition.h"

static void count(uint32_t number, const char *what, const char *before)
{
    (void)printf("%s%" PRIu32 " %s%s", before, number, what, number == 1 ? "" : "s");
}

static int run(const struct bh_cli_arguments *arguments)
{
    uint32_t devices = 0;
    struct bh_platform *platform = bh_cli_definition(arguments->word);
    if (platform == NULL) {
        return BH_CLI_REFUSED;
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        devices += platform->guests[i].device_count;
    }
    (void)printf("%s: ok (", arguments->word);
    count(platform->guest_count, "guest", "");
    count(devices, "device", ", ");
    (void)printf(")\n");
    bh_platform_destroy(platform);
    return BH_CLI_OK;
}

const struct bh_cli_command bh_cli_check = {
    .name = "check",
    .argument = "FILE",
    .summary = "Checks a definition, and the images that it names",
    .help =
        "Says what is wrong, where, and what to write instead. Nothing is started or written.\n",
    .run = run,
    .argument_needed = true,
};
