/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the running platform that is meant and asks it. It knows how a request travels, and not
 * what is asked.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/engine_control.h"
#include "command.h"

#define LISTED_MAX 16u /* platforms that a message names */

/* ------------------------------------------------------------------------------------------------
 * which platform */

/* The platforms that run. */
struct running {
    char names[LISTED_MAX][BH_NAME_MAX + 1u];
    uint32_t count; /* of all */
};

static void found(void *context, const char *name)
{
    struct running *running = context;
    if (running->count < LISTED_MAX) {
        (void)snprintf(running->names[running->count], BH_NAME_MAX + 1u, "%s", name);
    }
    running->count++;
}

/* The names for a message: "a, b, ...". */
static void join(const struct running *running, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    for (uint32_t i = 0; i < running->count && i < LISTED_MAX; i++) {
        int length = snprintf(to + used, size - used, "%s%s", i > 0 ? ", " : "", running->names[i]);
        used += (size_t)length;
    }
    if (running->count > LISTED_MAX) {
        (void)snprintf(to + used, size - used, ", ...");
    }
}

static bool list(struct running *running)
{
    running->count = 0;
    int result = bh_control_list(found, running);
    if (result != BH_OK) {
        bh_cli_error("the folder of running platforms cannot be used (%s): %s",
                     bh_error_name(result), bh_control_advice(result));
    }
    return result == BH_OK;
}

static void say_not_running(const char *name, const struct running *running)
{
    char names[LISTED_MAX * (BH_NAME_MAX + 3u)];
    join(running, names, sizeof(names));
    if (running->count == 0 && name == NULL) {
        bh_cli_error("no platform is running; 'bulkhead run FILE' starts one");
    } else if (running->count == 0) {
        bh_cli_error("the platform '%s' is not running, and no other is; 'bulkhead run FILE' "
                     "starts one",
                     name);
    } else if (name == NULL) {
        bh_cli_error("several platforms are running: %s; say which", names);
    } else {
        bh_cli_error("no platform '%s' is running; running: %s", name, names);
    }
}

bool bh_cli_runs(const char *name)
{
    int fd;
    if (bh_control_connect(name, &fd) != BH_OK) {
        return false;
    }
    (void)close(fd);
    return true;
}

bool bh_cli_connect(struct bh_cli_platform *platform, const char *name)
{
    struct running running;
    if (!list(&running)) {
        return false;
    }
    if (name == NULL && running.count != 1) {
        say_not_running(NULL, &running);
        return false;
    }
    const char *meant = name != NULL ? name : running.names[0];
    int result = bh_control_connect(meant, &platform->fd);
    if (result == BH_GONE) {
        say_not_running(meant, &running);
        return false;
    }
    if (result != BH_OK) {
        bh_cli_error("the platform '%s' cannot be asked (%s): %s", meant, bh_error_name(result),
                     bh_control_advice(result));
        return false;
    }
    (void)snprintf(platform->name, sizeof(platform->name), "%s", meant);
    return true;
}

void bh_cli_disconnect(struct bh_cli_platform *platform)
{
    (void)close(platform->fd);
    platform->fd = -1;
}

bool bh_cli_path_read(struct bh_cli_path *path, const char *text, uint32_t most)
{
    int length = snprintf(path->text, sizeof(path->text), "%s", text);
    bool good = length >= 0 && (size_t)length < sizeof(path->text);
    path->count = 0;
    for (char *rest = path->text; good && rest != NULL;) {
        const char *name = strsep(&rest, "/");
        good = name[0] != '\0' && path->count < most;
        if (good) {
            path->names[path->count] = name;
            path->count++;
        }
    }
    if (!good) {
        bh_cli_error("'%s' names nothing: write up to %u names with '/' in between", text, most);
    }
    return good;
}

/* ------------------------------------------------------------------------------------------------
 * asking */

const char *bh_cli_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

uint64_t bh_cli_count(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

/* The answer as an object that says "ok"; otherwise what is wrong is said. */
static json_t *read_answer(const struct bh_cli_platform *platform, const char *text)
{
    json_t *answer = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    const json_t *ok = json_object_get(answer, "ok");
    if (json_is_true(ok)) {
        return answer;
    }
    const char *error = bh_cli_text(answer, "error");
    bh_cli_error("%s: %s", platform->name,
                 error[0] != '\0' ? error : "its supervisor answers what is no answer");
    json_decref(answer);
    return NULL;
}

json_t *bh_cli_ask(const struct bh_cli_platform *platform, json_t *request, int *passed_fd)
{
    char *text = request != NULL ? json_dumps(request, 0) : NULL;
    char *reply = NULL;
    json_decref(request);
    int result = text != NULL
                     ? bh_control_call(platform->fd, text, BH_CLI_PATIENCE, &reply, passed_fd)
                     : BH_NO_MEMORY;
    free(text);
    if (result != BH_OK) {
        bh_cli_error("%s: no answer from its supervisor (%s)%s%s", platform->name,
                     bh_error_name(result), result == BH_GONE ? "" : ": ",
                     result == BH_GONE ? ": it has ended" : bh_control_advice(result));
        return NULL;
    }
    json_t *answer = read_answer(platform, reply);
    free(reply);
    if (answer == NULL && passed_fd != NULL && *passed_fd >= 0) {
        (void)close(*passed_fd);
        *passed_fd = -1;
    }
    return answer;
}
