/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the commands share that speak to a running platform: finding it, asking it, saying what went
 * wrong. Private to cli/.
 */
#ifndef BULKHEAD_CLI_CLIENT_H
#define BULKHEAD_CLI_CLIENT_H

#include <jansson.h>

#include <stdbool.h>

#include "bulkhead/platform_definition.h"

#define BH_CLI_PATIENCE 5000 /* ms that an answer may take */

/* A connection to a running platform. */
struct bh_cli_platform {
    char name[BH_NAME_MAX + 1u];
    int fd;
};

/* What the user named: up to 4 names with '/' in between. */
#define BH_CLI_PATH_MAX 4u
struct bh_cli_path {
    char text[BH_CLI_PATH_MAX * (BH_NAME_MAX + 1u)];
    const char *names[BH_CLI_PATH_MAX];
    uint32_t count;
};

/* Takes `text` apart; false, and said: it has an empty part, more than `most`, or is too long. */
bool bh_cli_path_read(struct bh_cli_path *path, const char *text, uint32_t most);

/* Whether a platform of that name runs. */
bool bh_cli_runs(const char *name);

/* Connects to the platform `name`, or to the only one that runs (NULL). False, and said: there is
 * none, or more than one. */
bool bh_cli_connect(struct bh_cli_platform *platform, const char *name);
void bh_cli_disconnect(struct bh_cli_platform *platform);

/* Asks and waits for the answer; takes `request` over. The answer (json_decref) says "ok". NULL,
 * and said: there is none, or a refusal. `passed_fd` as bh_control_call has it. */
json_t *bh_cli_ask(const struct bh_cli_platform *platform, json_t *request, int *passed_fd);

/* Members of the supervisor's answers: "" and 0 for what is not there or of another type. */
const char *bh_cli_text(const json_t *object, const char *key);
uint64_t bh_cli_count(const json_t *object, const char *key);

#endif
