/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back end as its owner sees it: made, listening, taking one connection after the other,
 * unmade; and what the device tells its port. Not here: the connection itself (session.c).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

/* ---- small services for the other files ---- */

void bh_vu_notify(struct bh_vu_backend *backend, enum bh_vu_event event, const char *detail,
                  uint32_t request, uint16_t queue)
{
    const struct bh_vu_notice notice = {
        .event = event, .detail = detail, .request = request, .queue = queue};

    if (backend->setup.notice != NULL) {
        backend->setup.notice(backend->setup.context, &notice);
    }
}

int bh_vu_watch(struct bh_vu_backend *backend, struct bh_watch *watch, int fd,
                void (*ready)(struct bh_watch *watch), void *context)
{
    watch->fd = fd;
    watch->ready = ready;
    watch->context = context;

    int error = backend->poller->ops->add(backend->poller, watch);

    if (error != BH_OK) {
        bh_vu_close(&watch->fd);
    }
    return error;
}

void bh_vu_unwatch(struct bh_vu_backend *backend, struct bh_watch *watch)
{
    if (watch->fd >= 0) {
        backend->poller->ops->remove(backend->poller, watch);
        bh_vu_close(&watch->fd);
    }
}

void bh_vu_post(struct bh_vu_backend *backend, struct bh_task *task)
{
    backend->poller->ops->post(backend->poller, task);
}

/* ---- what the device tells ---- */

static void on_notify(struct bh_device *device, uint16_t queue)
{
    struct bh_vu_backend *backend = device->port_data;

    bh_vu_ring_signal(backend->rings[queue].call);
}

static void on_config_changed(struct bh_device *device)
{
    struct bh_vu_backend *backend = device->port_data;

    backend->session.config_due = true;
    bh_vu_config_announce(backend);
}

/* The protocol knows no "needs reset": the error descriptor says it (and GET_STATUS, if asked). */
static void on_failed(struct bh_device *device, uint16_t queue)
{
    struct bh_vu_backend *backend = device->port_data;

    bh_vu_ring_signal(backend->rings[queue].error);
    bh_vu_notify(backend, BH_VU_EVENT_FAULT, device->queues[queue].fault.reason, 0, queue);
    bh_vu_keep_commit(backend);
}

/* Called from within a completion: what waits goes on when that is over. */
static void on_idle(struct bh_device *device, uint16_t queue)
{
    struct bh_vu_backend *backend = device->port_data;

    (void)queue;
    bh_vu_post(backend, &backend->idle);
}

static const struct bh_port_ops port_ops = {
    .notify = on_notify,
    .config_changed = on_config_changed,
    .failed = on_failed,
    .idle = on_idle,
};

static void run_flush(struct bh_task *task)
{
    struct bh_vu_backend *backend = task->context;

    bh_device_flush(backend->device);
}

static void run_serve(struct bh_task *task)
{
    bh_vu_rings_go_on(task->context);
}

static void run_idle(struct bh_task *task)
{
    bh_vu_session_go_on(task->context);
}

/* ---- connections ---- */

static void on_lost(struct bh_watch *watch)
{
    struct bh_vu_backend *backend = watch->context;
    uint64_t count;

    if (read(watch->fd, &count, sizeof(count)) == (ssize_t)sizeof(count) &&
        __atomic_load_n(&backend->memory_lost, __ATOMIC_SEQ_CST)) {
        bh_vu_session_end(backend, BH_VU_EVENT_MEMORY_LOST, "memory file was truncated");
    }
}

static void on_connection(struct bh_watch *watch)
{
    struct bh_vu_backend *backend = watch->context;
    int socket = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (socket >= 0) {
        /* One at a time: the next waits in the backlog. */
        backend->poller->ops->remove(backend->poller, watch);
        bh_vu_session_begin(backend, socket);
    }
}

void bh_vu_backend_rest(struct bh_vu_backend *backend)
{
    if (backend->listener.fd < 0) {
        if (backend->setup.closed != NULL) {
            backend->setup.closed(backend->setup.context);
        }
    } else if (backend->poller->ops->add(backend->poller, &backend->listener) != BH_OK) {
        bh_vu_notify(backend, BH_VU_EVENT_REFUSED, "socket cannot be watched", 0, 0);
    }
}

/* ---- made and unmade ---- */

static bool make_journal(struct bh_vu_journal *journal, uint16_t size)
{
    journal->entries = calloc(size, sizeof(journal->entries[0]));
    journal->batch = calloc(size, sizeof(journal->batch[0]));
    journal->resume = calloc(size, sizeof(journal->resume[0]));
    return journal->entries != NULL && journal->batch != NULL && journal->resume != NULL;
}

static int make_rings(struct bh_vu_backend *backend)
{
    backend->rings = calloc(backend->device->queue_count, sizeof(backend->rings[0]));
    if (backend->rings == NULL) {
        return BH_NO_MEMORY;
    }
    backend->ring_count = backend->device->queue_count;
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        bh_vu_ring_init(backend, i);
        if (!make_journal(&backend->rings[i].journal, bh_vu_inflight_longest(backend))) {
            return BH_NO_MEMORY;
        }
    }
    if (backend->setup.journal != NULL) {
        bh_vu_inflight_lend(backend);
    }
    return BH_OK;
}

static void init_tasks(struct bh_vu_backend *backend)
{
    backend->flush = (struct bh_task){.run = run_flush, .context = backend};
    backend->serve = (struct bh_task){.run = run_serve, .context = backend};
    backend->idle = (struct bh_task){.run = run_idle, .context = backend};
}

static int begin(struct bh_vu_backend *backend, int lost)
{
    const struct bh_vu_setup *setup = &backend->setup;
    int error = bh_vu_watch(backend, &backend->lost, lost, on_lost, backend);

    if (error != BH_OK) {
        return error;
    }
    bh_device_bind(backend->device, &port_ops, backend, setup->features & BH_VU_FEATURES);
    if (setup->listen_fd < 0) {
        if (setup->adoption != NULL) {
            bh_vu_adopt(backend);
            backend->setup.adoption = NULL; /* it need not live any longer */
        } else if (setup->connection_fd >= 0) {
            bh_vu_session_begin(backend, setup->connection_fd);
        }
        return BH_OK;
    }

    int flags = fcntl(setup->listen_fd, F_GETFL);

    /* A client that gives up before it is accepted must not make accept wait for the next. */
    if (flags < 0 || fcntl(setup->listen_fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return BH_INVALID;
    }
    return bh_vu_watch(backend, &backend->listener, setup->listen_fd, on_connection, backend);
}

int bh_vu_backend_create(struct bh_vu_backend **backend, const struct bh_vu_setup *setup)
{
    struct bh_vu_backend *made = calloc(1, sizeof(*made));

    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->setup = *setup;
    made->device = setup->device;
    made->poller = setup->poller;
    made->listener.fd = -1;
    made->lost.fd = -1;
    made->session.socket.fd = -1;
    made->session.channel = -1;
    init_tasks(made);
    bh_vu_keep_begin(made);

    int error = make_rings(made);

    if (error == BH_OK && setup->keep_ops != NULL && made->ring_count > BH_VU_KEEP_QUEUES) {
        error = BH_LIMIT;
    }

    /* The owner is called from here on, and may call back. */
    *backend = made;
    if (error == BH_OK) {
        int lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        error = lost < 0 ? BH_NO_MEMORY : begin(made, lost);
    }
    if (error != BH_OK) {
        *backend = NULL;
        bh_vu_backend_destroy(made);
    }
    return error;
}

void bh_vu_backend_idle(struct bh_vu_backend *backend)
{
    bh_vu_post(backend, &backend->idle);
}

int bh_vu_backend_connect(struct bh_vu_backend *backend, int connection_fd)
{
    if (backend->session.socket.fd >= 0 || backend->listener.fd >= 0) {
        return BH_STATE;
    }
    bh_vu_session_begin(backend, connection_fd);
    return BH_OK;
}

void bh_vu_backend_destroy(struct bh_vu_backend *backend)
{
    if (backend == NULL) {
        return;
    }
    (void)bh_vu_rings_halt(backend);
    bh_vu_session_drop(backend);
    bh_vu_unwatch(backend, &backend->listener);
    bh_vu_unwatch(backend, &backend->lost);
    backend->poller->ops->cancel(backend->poller, &backend->flush);
    backend->poller->ops->cancel(backend->poller, &backend->serve);
    backend->poller->ops->cancel(backend->poller, &backend->idle);
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        free(backend->rings[i].journal.entries);
        free(backend->rings[i].journal.batch);
        free(backend->rings[i].journal.resume);
    }
    free(backend->rings);
    free(backend);
}
