/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of an instance of a back end: a process (backend.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "bulkhead/error.h"
#include "bulkhead/host_log.h"
#include "processors.h"

#define UP_LETTERS_MAX 16u

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * what it says */

static void line_said(void *context, const char *text)
{
    struct bh_backend *backend = context;
    struct timespec now;
    if (!bh_refusal_said(backend->program, text)) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* that clock cannot fail */
    if (bh_refusals_hear(&backend->refusals, (uint64_t)now.tv_sec)) {
        backend->setup.on_refused(backend->setup.context, backend, text);
        backend->refusals.left_out = 0;
    }
}

/* The end that it writes to would break if ours were closed before its own end. */
static void stop_listening(struct bh_instance *instance)
{
    struct bh_poller *poller = instance->backend->setup.poller;
    poller->ops->remove(poller, &instance->up);
}

/* Nothing is heard once it has talked too much: it may write as often as it likes. */
static void up_ready(struct bh_watch *watch)
{
    struct bh_instance *instance = watch->context;
    const struct bh_backend_setup *setup = &instance->backend->setup;
    char letter = '\0';
    ssize_t count = read(watch->fd, &letter, sizeof(letter));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    instance->up_letters++;
    if (count <= 0 || letter == BH_UP_SERVES || instance->up_letters == UP_LETTERS_MAX) {
        stop_listening(instance);
    }
    if (count > 0 && letter == BH_UP_SERVES) {
        instance->serves = true;
        setup->on_up(setup->context, instance);
    }
}

/* ------------------------------------------------------------------------------------------------
 * its lines */

/* Neither end ever waits. */
static int open_up(struct bh_instance *instance, int *up_fd)
{
    struct bh_poller *poller = instance->backend->setup.poller;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return BH_LIMIT;
    }
    instance->up = (struct bh_watch){.fd = ends[0], .ready = up_ready, .context = instance};
    *up_fd = ends[1];
    return poller->ops->add(poller, &instance->up);
}

static void close_up(struct bh_instance *instance)
{
    if (instance->up.fd >= 0) {
        stop_listening(instance);
        close_fd(&instance->up.fd);
    }
}

static int open_line(struct bh_instance *instance, int *back_fd)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return BH_LIMIT;
    }
    instance->line_fd = ends[0];
    *back_fd = ends[1];
    return BH_OK;
}

/* The pipe for what it prints. */
static int open_output(struct bh_instance *instance, int *output_fd)
{
    struct bh_backend *backend = instance->backend;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return BH_LIMIT;
    }
    const struct bh_source_setup source = {
        .poller = backend->setup.poller,
        .output = backend->setup.output,
        .fd = ends[0],
        .label = backend->label,
        .colour = backend->setup.colour,
        .words = &instance->words,
        .said = line_said,
        .context = backend,
    };
    /* Ours must not wait; whether the back end's does is its own affair. */
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 ||
        bh_source_init(&instance->source, &source) != BH_OK) {
        close_fd(&ends[0]);
        close_fd(&ends[1]);
        return BH_LIMIT;
    }
    *output_fd = ends[1];
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * life */

static void child_ended(struct bh_child *child, int status)
{
    struct bh_instance *instance = (struct bh_instance *)child; /* its first member */
    struct bh_backend *backend = instance->backend;
    instance->runs = false;
    instance->status = status;
    close_up(instance);
    close_fd(&instance->line_fd);
    bh_source_finish(&instance->source);
    backend->setup.on_end(backend->setup.context, instance);
}

/* What only the child needs. */
struct ends {
    int back;
    int output;
    int up;
};

static int start_child(struct bh_instance *instance, const struct ends *ends, bool standby)
{
    struct bh_backend *backend = instance->backend;
    struct bh_backend_command command = {.count = 0};
    struct bh_child_cpus cpus;
    int ports[1u + BH_PORTS_MAX] = {-1};
    for (uint32_t i = 0; i < backend->terminal_count; i++) {
        ports[i] = backend->terminals[i].guest_fd;
    }
    const struct bh_backend_parts parts = {
        .guest = backend->guest,
        .device = backend->device,
        .socket_fd = ends->back,
        .resource_fd = backend->resource.fd,
        .filter_fd = backend->filter.fd,
        .up_fd = ends->up,
        .operations = backend->resource.operations,
        .port_fds = ports,
        .standby = standby,
    };
    int result = bh_backend_command(&command, backend->setup.daemons, &parts);
    if (result != BH_OK) {
        return result;
    }
    const struct bh_child_setup child = {
        .poller = backend->setup.poller,
        .program = command.program,
        .arguments = command.arguments,
        .fds = command.fds,
        .fd_count = command.fd_count,
        .output_fd = ends->output,
        .cpus = bh_processors_of(backend->guest, &cpus),
        .isolate = true,
        .no_network = true,
        .ended = child_ended,
    };
    memcpy(backend->program, command.name, sizeof(backend->program));
    return bh_child_start(&instance->child, &child);
}

static struct bh_instance *free_place(struct bh_backend *backend)
{
    for (uint32_t i = 0; i < 2u; i++) {
        if (!backend->instances[i].runs) {
            return &backend->instances[i];
        }
    }
    return NULL;
}

/* What was opened for the first one is the first one's; each other has a description of its own. */
static int open_resource(struct bh_backend *backend)
{
    return backend->resource.fd < 0 && backend->resource.handle >= 0
               ? bh_resource_again(&backend->resource)
               : BH_OK;
}

int bh_instance_start(struct bh_backend *backend, bool standby)
{
    struct ends ends = {.back = -1, .output = -1, .up = -1};
    struct bh_instance *instance = free_place(backend);
    if (instance == NULL || backend->next != NULL) {
        return BH_STATE;
    }
    *instance = (struct bh_instance){.backend = backend, .line_fd = -1, .up = {.fd = -1}};
    int result = open_resource(backend);
    if (result == BH_OK) {
        result = open_line(instance, &ends.back);
    }
    if (result == BH_OK) {
        result = open_output(instance, &ends.output);
    }
    if (result == BH_OK) {
        result = open_up(instance, &ends.up);
    }
    if (result == BH_OK) {
        result = start_child(instance, &ends, standby);
    }
    close_fd(&ends.back);
    close_fd(&ends.output);
    close_fd(&ends.up);
    bh_resource_close(&backend->resource);
    if (result != BH_OK) {
        close_up(instance);
        close_fd(&instance->line_fd);
        bh_source_finish(&instance->source);
        return result;
    }
    instance->runs = true;
    backend->next = instance;
    return BH_OK;
}

void bh_instance_end(struct bh_instance *instance)
{
    if (instance->runs) {
        bh_child_signal(&instance->child, SIGTERM);
    }
}

void bh_instance_kill(struct bh_instance *instance)
{
    if (instance->runs) {
        bh_child_signal(&instance->child, SIGKILL);
    }
}
