/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead stop: asks a platform, or one guest of it, to shut down, and waits until it has. It ends
 * nothing itself: how long a guest may take, and what follows, is the supervisor's business.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/engine_control.h"
#include "client.h"
#include "command.h"

#define PERIOD_MS      250 /* between two looks */
#define TIMEOUT_USUAL  120u
#define TIMEOUT_MOST   86400u
#define SECOND_MS      1000
#define NSEC_PER_MSEC  1000000
#define STATES_SIZE    1024u
#define GUEST_TEXT_MAX 60

enum stop_option { OPTION_TIMEOUT };

struct stopping {
    struct bh_cli_platform platform;
    const char *guest;        /* NULL: all */
    char states[STATES_SIZE]; /* as last shown */
    bool hung_up;
    int supervisor; /* pidfd; -1: none */
    int64_t end;    /* ms */
    uint64_t seconds;
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* fails for unknown clocks only */
    return (int64_t)now.tv_sec * SECOND_MS + now.tv_nsec / NSEC_PER_MSEC;
}

/* The process that listens: the platform is gone when that is. */
static int supervisor_open(int fd)
{
    struct ucred who = {.pid = 0};
    socklen_t length = sizeof(who);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0 || who.pid <= 0) {
        return -1;
    }
    return (int)syscall(SYS_pidfd_open, who.pid, 0u);
}

static bool supervisor_ended(const struct stopping *stopping)
{
    /* Without a descriptor of the process its hanging up has to do. */
    struct pollfd watched = {.fd = stopping->platform.fd, .events = 0}; /* POLLHUP always comes */
    if (stopping->supervisor >= 0) {
        watched = (struct pollfd){.fd = stopping->supervisor, .events = POLLIN};
    }
    return poll(&watched, 1, 0) > 0;
}

static bool guest_ended(const json_t *guest)
{
    const char *state = bh_cli_text(guest, "state");
    return strcmp(state, "stopped") == 0 || strcmp(state, "failed") == 0;
}

/* Shows the states of the guests that are meant when they have changed. True: all have ended. */
static bool look(struct stopping *stopping, const json_t *status)
{
    char states[STATES_SIZE] = "";
    size_t used = 0;
    bool all = true;
    const json_t *guests = json_object_get(status, "guests");
    for (size_t i = 0; i < json_array_size(guests); i++) {
        const json_t *guest = json_array_get(guests, i);
        const char *name = bh_cli_text(guest, "name");
        if (stopping->guest != NULL && strcmp(stopping->guest, name) != 0) {
            continue;
        }
        all = all && guest_ended(guest);
        int length =
            snprintf(states + used, sizeof(states) - used, "%s%.*s: %.*s", used > 0 ? ", " : "",
                     GUEST_TEXT_MAX, name, GUEST_TEXT_MAX, bh_cli_text(guest, "state"));
        used += length > 0 && (size_t)length < sizeof(states) - used ? (size_t)length : 0;
    }
    if (strcmp(states, stopping->states) != 0) {
        (void)printf("%s\n", states);
        (void)fflush(stdout);
        memcpy(stopping->states, states, sizeof(states));
    }
    return all;
}

/* Asks once for the states. A supervisor that hangs up is about to end: that is no error here, and
 * it is not asked again. */
static bool ask_states(struct stopping *stopping)
{
    char *answer;
    if (stopping->hung_up || bh_control_call(stopping->platform.fd, "{\"request\": \"status\"}",
                                             BH_CLI_PATIENCE, &answer, NULL) != BH_OK) {
        stopping->hung_up = true;
        return false;
    }
    json_t *object = json_loads(answer, 0, NULL);
    bool ended = look(stopping, json_object_get(object, "status"));
    json_decref(object);
    free(answer);
    return ended;
}

/* Waits until what is meant has ended, or the time is over. */
static bool wait_ended(struct stopping *stopping)
{
    struct pollfd watched = {.fd = stopping->supervisor, .events = POLLIN};
    while (!supervisor_ended(stopping)) {
        bool ended = ask_states(stopping);
        if (ended && stopping->guest != NULL) {
            return true;
        }
        if (now_ms() >= stopping->end) {
            return false;
        }
        (void)poll(&watched, 1, PERIOD_MS); /* a signal that interrupts it costs a look more */
    }
    return true;
}

static int stop(struct stopping *stopping)
{
    const char *guest = stopping->guest;
    json_t *request = guest != NULL ? json_pack("{s:s, s:s}", "request", "stop", "guest", guest)
                                    : json_pack("{s:s}", "request", "stop");
    json_t *answer = bh_cli_ask(&stopping->platform, request, NULL);
    if (answer == NULL) {
        return BH_CLI_REFUSED;
    }
    json_decref(answer);
    const char *name = guest != NULL ? guest : stopping->platform.name;
    if (!wait_ended(stopping)) {
        bh_cli_error("%s still runs after %" PRIu64 " s; wait longer (--timeout), or press Ctrl-C "
                     "twice where 'bulkhead run' was started",
                     name, stopping->seconds);
        return BH_CLI_REFUSED;
    }
    (void)printf("%s has ended\n", name);
    return BH_CLI_OK;
}

static int run(const struct bh_cli_arguments *arguments)
{
    struct bh_cli_path path = {.count = 0};
    struct stopping stopping = {.seconds = TIMEOUT_USUAL};
    const char *timeout = arguments->options[OPTION_TIMEOUT];
    if (timeout != NULL && !bh_cli_number(timeout, TIMEOUT_MOST, &stopping.seconds)) {
        bh_cli_error("stop: '%s' is no number of seconds from 0 to %u", timeout, TIMEOUT_MOST);
        return BH_CLI_USAGE;
    }
    if (arguments->word != NULL && !bh_cli_path_read(&path, arguments->word, 2)) {
        return BH_CLI_USAGE;
    }
    if (!bh_cli_connect(&stopping.platform, path.count > 0 ? path.names[0] : NULL)) {
        return BH_CLI_REFUSED;
    }
    stopping.guest = path.count > 1 ? path.names[1] : NULL;
    stopping.supervisor = supervisor_open(stopping.platform.fd);
    stopping.end = now_ms() + (int64_t)stopping.seconds * SECOND_MS;
    int result = stop(&stopping);
    if (stopping.supervisor >= 0) {
        (void)close(stopping.supervisor);
    }
    bh_cli_disconnect(&stopping.platform);
    return result;
}

const struct bh_cli_command bh_cli_stop = {
    .name = "stop",
    .argument = "[PLATFORM[/GUEST]]",
    .summary = "Shuts a running platform down, or one guest of it, and waits",
    .help = "Guests are asked to shut down; who does not within its stop-within is ended.\n"
            "PLATFORM may be left out while only one is running.\n",
    .options = {[OPTION_TIMEOUT] = {"timeout", "SECONDS", "how long to wait (120)", 't'}},
    .run = run,
};
