/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a back end (backend.h).
 */
#include "backend.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/host_log.h"
#include "processors.h"

#define UP_LETTERS_MAX 16u

/* What follows the name of the program in such a line of its log. */
static const char refused[] = ": warning: refused, ";

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * refused requests */

bool bh_refusal_said(const char *program, const char *text)
{
    size_t length = strlen(program);
    return strncmp(text, program, length) == 0 &&
           strncmp(text + length, refused, sizeof(refused) - 1u) == 0;
}

bool bh_refusals_hear(struct bh_refusals *refusals, uint64_t now)
{
    uint64_t earned = (now - refusals->filled) / BH_LOG_EVENT_PERIOD;
    if (refusals->room == BH_LOG_EVENT_BURST) {
        refusals->filled = now;
    } else if (earned > 0u) {
        uint64_t room = refusals->room + earned;
        refusals->room = room < BH_LOG_EVENT_BURST ? (uint32_t)room : BH_LOG_EVENT_BURST;
        refusals->filled += earned * BH_LOG_EVENT_PERIOD;
    }
    if (refusals->room == 0u) {
        refusals->left_out++;
        return false;
    }
    refusals->room--;
    return true;
}

static void line_said(void *context, const char *text)
{
    struct bh_backend *backend = context;
    struct timespec now;
    if (!bh_refusal_said(backend->program, text)) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* that clock cannot fail */
    if (bh_refusals_hear(&backend->refusals, (uint64_t)now.tv_sec)) {
        backend->on_refused(backend->context, backend, text);
        backend->refusals.left_out = 0;
    }
}

/* ------------------------------------------------------------------------------------------------
 * how far it is */

/* The end that it writes to would break if ours were closed before its own end. */
static void stop_listening(struct bh_backend *backend)
{
    backend->poller->ops->remove(backend->poller, &backend->up);
}

/* Nothing is heard after its driver has come up, or once it has talked too much: it may write as
 * often as it likes. */
static void up_ready(struct bh_watch *watch)
{
    struct bh_backend *backend = watch->context;
    char letter = '\0';
    ssize_t count = read(watch->fd, &letter, sizeof(letter));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    backend->up_letters++;
    if (count <= 0 || letter == BH_UP_DRIVER || backend->up_letters == UP_LETTERS_MAX) {
        stop_listening(backend);
    }
    if (count > 0 && (letter == BH_UP_SERVES || letter == BH_UP_DRIVER)) {
        backend->on_up(backend->context, backend, letter);
    }
}

/* Neither end ever waits. */
static int open_up(struct bh_backend *backend, int *up_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return BH_LIMIT;
    }
    backend->up = (struct bh_watch){.fd = ends[0], .ready = up_ready, .context = backend};
    *up_fd = ends[1];
    return backend->poller->ops->add(backend->poller, &backend->up);
}

static void close_up(struct bh_backend *backend)
{
    if (backend->up.fd >= 0) {
        stop_listening(backend);
        close_fd(&backend->up.fd);
    }
}

/* ------------------------------------------------------------------------------------------------
 * life */

static void child_ended(struct bh_child *child, int status)
{
    struct bh_backend *backend = (struct bh_backend *)child; /* its first member */
    backend->ended = true;
    backend->status = status;
    close_up(backend);
    bh_source_finish(&backend->source);
    backend->on_end(backend->context, backend);
}

/* The socket, and the pipe for what it prints. */
static int open_lines(struct bh_backend *backend, const struct bh_backend_setup *setup,
                      int *output_fd)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return BH_LIMIT;
    }
    backend->front_fd = ends[0];
    backend->back_fd = ends[1];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return BH_LIMIT;
    }
    const struct bh_source_setup source = {
        .poller = setup->poller,
        .output = setup->output,
        .fd = ends[0],
        .label = setup->label,
        .colour = setup->colour,
        .words = &backend->words,
        .said = line_said,
        .context = backend,
    };
    /* Ours must not wait; whether the back end's does is its own affair. */
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        bh_source_init(&backend->source, &source) != BH_OK) {
        close_fd(&ends[0]);
        close_fd(&ends[1]);
        return BH_LIMIT;
    }
    *output_fd = ends[1];
    return BH_OK;
}

static int start_child(struct bh_backend *backend, const struct bh_backend_setup *setup,
                       int output_fd, int up_fd)
{
    struct bh_backend_command command = {.count = 0};
    struct bh_child_cpus cpus;
    int ports[1u + BH_PORTS_MAX] = {-1};
    for (uint32_t i = 0; i < backend->terminal_count; i++) {
        ports[i] = backend->terminals[i].guest_fd;
    }
    const struct bh_backend_parts parts = {
        .guest = backend->guest,
        .device = backend->device,
        .socket_fd = backend->back_fd,
        .resource_fd = backend->resource.fd,
        .filter_fd = backend->filter.fd,
        .up_fd = up_fd,
        .operations = backend->resource.operations,
        .port_fds = ports,
    };
    int result = bh_backend_command(&command, setup->daemons, &parts);
    if (result != BH_OK) {
        return result;
    }
    const struct bh_child_setup child = {
        .poller = setup->poller,
        .program = command.program,
        .arguments = command.arguments,
        .fds = command.fds,
        .fd_count = command.fd_count,
        .output_fd = output_fd,
        .cpus = bh_processors_of(backend->guest, &cpus),
        .isolate = true,
        .no_network = true,
        .ended = child_ended,
    };
    memcpy(backend->program, command.name, sizeof(backend->program));
    return bh_child_start(&backend->child, &child);
}

int bh_backend_start(struct bh_backend *backend, const struct bh_backend_setup *setup)
{
    int output_fd = -1;
    int up_fd = -1;
    backend->poller = setup->poller;
    backend->on_up = setup->on_up;
    backend->on_end = setup->on_end;
    backend->on_refused = setup->on_refused;
    backend->context = setup->context;
    backend->refusals.room = BH_LOG_EVENT_BURST;
    int result = open_lines(backend, setup, &output_fd);
    if (result == BH_OK) {
        result = open_up(backend, &up_fd);
    }
    if (result == BH_OK) {
        result = start_child(backend, setup, output_fd, up_fd);
    }
    close_fd(&output_fd);
    close_fd(&up_fd);
    close_fd(&backend->back_fd);
    close_fd(&backend->filter.fd); /* the page stays: it is ours to write */
    bh_resource_close(&backend->resource);
    backend->started = result == BH_OK;
    return result;
}

bool bh_backend_runs(const struct bh_backend *backend)
{
    return backend->started && !backend->ended;
}

void bh_backend_end(struct bh_backend *backend)
{
    if (bh_backend_runs(backend)) {
        bh_child_signal(&backend->child, SIGTERM);
    }
}

void bh_backend_kill(struct bh_backend *backend)
{
    if (bh_backend_runs(backend)) {
        bh_child_signal(&backend->child, SIGKILL);
    }
}

void bh_backend_finish(struct bh_backend *backend)
{
    close_up(backend);
    bh_source_finish(&backend->source);
    bh_resource_close(&backend->resource);
    bh_filter_close(&backend->filter);
    close_fd(&backend->front_fd);
    close_fd(&backend->back_fd);
    for (uint32_t i = 0; i < backend->terminal_count; i++) {
        bh_guest_terminal_finish(&backend->terminals[i]);
    }
    free(backend->terminals);
    backend->terminals = NULL;
    backend->terminal_count = 0;
}

void bh_backend_status_text(int status, char *text, size_t size)
{
    if (status >= 0) {
        (void)snprintf(text, size, "exit code %d", status);
    } else {
        (void)snprintf(text, size, "signal %d (%s)", -status, strsignal(-status));
    }
}
