/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the options of a gate that works alone make sense together; and what to write if not. */
#include <string.h>
#include <sys/un.h>

#include "keeper.h"

#define PATH_MOST (sizeof(((struct sockaddr_un *)0)->sun_path) - 1u)

static int check_path(const char *name, const char *path)
{
    if (path == NULL) {
        return -1;
    }
    if (*path == '\0') {
        return bh_keeper_mistake("--%s: the path is empty", name);
    }
    if (strlen(path) > PATH_MOST) {
        return bh_keeper_mistake(
            "--%s %s: longer than the path of a socket can be (%zu characters): "
            "choose a shorter one",
            name, path, PATH_MOST);
    }
    return -1;
}

static int check_sockets(const struct bh_keeper_options *options, bool given_fd)
{
    uint32_t fronts = (options->listen != NULL ? 1u : 0u) + (options->fd >= 0 ? 1u : 0u);
    if (fronts > 1u) {
        return bh_keeper_mistake(
            "--listen and --fd: only one of the two: the front end comes one way");
    }
    if (fronts == 0u && !given_fd) {
        return bh_keeper_mistake(
            "where the front end connects is not said: give --listen SOCKET, or "
            "--fd N for a socket that is connected already");
    }
    int status = check_path("listen", options->listen);
    if (status == -1) {
        status = check_path("backend", options->backend);
    }
    return status == -1 ? check_path("metrics", options->metrics) : status;
}

/* How a command gets its connection. */
static int check_command(char **command)
{
    bool by_fd = false;
    bool by_socket = false;
    for (char **argument = command; *argument != NULL; argument++) {
        by_fd = by_fd || strstr(*argument, "{fd}") != NULL;
        by_socket = by_socket || strstr(*argument, "{socket}") != NULL;
    }
    if (!by_fd && !by_socket) {
        return bh_keeper_mistake(
            "%s: its arguments do not say where it gets its connection: put {fd} "
            "where it expects the number of a connected socket, or {socket} where "
            "it expects the path at which it listens",
            command[0]);
    }
    if (by_fd && by_socket) {
        return bh_keeper_mistake(
            "%s: {fd} and {socket}: only one of the two: it has one connection", command[0]);
    }
    return -1;
}

static int check_backend(const struct bh_keeper_options *options)
{
    if (options->backend != NULL && options->command != NULL) {
        return bh_keeper_mistake(
            "--backend and a command: only one of the two: leave out the one that "
            "is not meant");
    }
    if (options->backend == NULL && options->command == NULL) {
        return bh_keeper_mistake(
            "there is no back end: give a command behind --, or --backend SOCKET "
            "for one that is started elsewhere");
    }
    if (options->spares != 0u && options->command == NULL) {
        return bh_keeper_mistake("--spares: only with a command: whoever starts the back end at "
                                 "--backend starts its spares");
    }
    return options->command != NULL ? check_command(options->command) : -1;
}

static int check_memory(const struct bh_keeper_options *options)
{
    bool shares = options->share_count != 0u;
    switch (options->mode) {
    case BH_GATE_DIRECT:
        if (!shares) {
            return bh_keeper_mistake(
                "--mode direct: which memory the back end may map is not said: "
                "give --share ADDRESS:SIZE for the device's window, or --mode open "
                "if it may map all");
        }
        break;
    case BH_GATE_BOUNCE:
        if (shares) {
            return bh_keeper_mistake(
                "--share: not with --mode bounce, in which the back end maps no "
                "guest memory: leave it out, or write --mode shadow");
        }
        break;
    case BH_GATE_OPEN:
        if (shares || options->guard_count != 0u) {
            return bh_keeper_mistake(
                "--share and --guard: not with --mode open, in which the back end "
                "maps all that the front end shares: leave them out, or write "
                "--mode shadow");
        }
        break;
    default:
        break;
    }
    return -1;
}

static int check_limits(const struct bh_keeper_options *options)
{
    bool relayed = options->mode == BH_GATE_SHADOW || options->mode == BH_GATE_BOUNCE;
    if (!relayed && (options->limits.operations_per_second != 0u ||
                     options->limits.bytes_per_second != 0u || options->packed)) {
        return bh_keeper_mistake("--operations, --bytes and --packed: only with --mode shadow or "
                                 "bounce: in %s the requests do not go through the gate",
                                 bh_gate_mode_name(options->mode));
    }
    if (options->arena % 4096u != 0u) {
        return bh_keeper_mistake("--arena: the size is a multiple of 4K");
    }
    return -1;
}

int bh_keeper_options_check(const struct bh_keeper_options *options, bool given_fd)
{
    if (options->type == 0u) {
        return bh_keeper_mistake(
            "what kind of device it is is not said: give --type, as in --type blk");
    }
    if (options->mode > BH_GATE_OPEN) {
        return bh_keeper_mistake(
            "what the back end may reach is not said: give --mode bounce (works "
            "with any guest), shadow, direct or open");
    }
    int status = check_sockets(options, given_fd);
    if (status == -1) {
        status = check_backend(options);
    }
    if (status == -1) {
        status = check_memory(options);
    }
    return status == -1 ? check_limits(options) : status;
}
