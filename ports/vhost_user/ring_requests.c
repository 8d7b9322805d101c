/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests that concern one ring. What a ring is, and when it runs, stands in rings.c. Sizes
 * and descriptor counts were checked against the table in session.c; what a payload says is checked
 * here.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static struct bh_vu_ring *ring_of(struct bh_vu_backend *backend, uint64_t index)
{
    if (index >= backend->ring_count) {
        (void)bh_vu_because(backend, BH_PROTOCOL, "no such ring");
        return NULL;
    }
    return &backend->rings[index];
}

int bh_vu_on_vring_num(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                       struct bh_vu_outgoing *reply)
{
    const struct bh_vu_vring_state *state = &message->payload.state;
    struct bh_vu_ring *ring = ring_of(backend, state->index);

    (void)reply;
    if (ring == NULL) {
        return BH_PROTOCOL;
    }
    if (ring->running) {
        return state->number == ring->size
                   ? BH_OK
                   : bh_vu_because(backend, BH_STATE, "size of a running ring");
    }
    if (state->number == 0u || state->number > backend->device->queues[ring->index].size_max) {
        return bh_vu_because(backend, BH_LIMIT, "ring size out of range");
    }
    ring->size = (uint16_t)state->number;
    ring->broken = false;
    return BH_OK;
}

int bh_vu_on_vring_addr(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    const struct bh_vu_vring_address *address = &message->payload.address;
    struct bh_vu_ring *ring = ring_of(backend, address->index);
    struct bh_queue_setup setup;

    (void)reply;
    if (ring == NULL) {
        return BH_PROTOCOL;
    }
    if (address->flags != 0u) {
        return bh_vu_because(backend, BH_UNSUPPORTED, "logging of the used ring");
    }
    if (ring->running) {
        bool same = address->descriptor == ring->address.descriptor &&
                    address->used == ring->address.used &&
                    address->available == ring->address.available;

        return same ? BH_OK : bh_vu_because(backend, BH_STATE, "move of a running ring");
    }
    if (bh_vu_ring_locate(ring, address, ring->size == 0u ? 1u : ring->size, &setup) != BH_OK) {
        return bh_vu_because(backend, BH_DENIED, "ring outside the memory table");
    }
    ring->address = *address;
    ring->addressed = true;
    ring->broken = false;
    return BH_OK;
}

int bh_vu_on_vring_base(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    const struct bh_vu_vring_state *state = &message->payload.state;
    struct bh_vu_ring *ring = ring_of(backend, state->index);

    (void)reply;
    if (ring == NULL) {
        return BH_PROTOCOL;
    }
    if (ring->running) {
        return bh_vu_because(backend, BH_STATE, "position of a running ring");
    }
    if (!bh_vu_ring_packed(ring) && state->number > UINT16_MAX) {
        return bh_vu_because(backend, BH_INVALID, "position out of range");
    }
    bh_vu_inflight_finish(ring);
    ring->base = state->number;
    ring->placed = true;
    ring->broken = false;
    return BH_OK;
}

int bh_vu_on_get_vring_base(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                            struct bh_vu_outgoing *reply)
{
    struct bh_vu_ring *ring = ring_of(backend, message->payload.state.index);

    if (ring == NULL) {
        return BH_PROTOCOL;
    }

    int error = bh_vu_ring_halt(ring);

    if (error != BH_OK) {
        return error;
    }
    bh_vu_inflight_finish(ring);
    bh_vu_unwatch(backend, &ring->kick);
    ring->broken = false;
    if (!bh_vu_rings_running(backend)) {
        backend->session.told_ready = false; /* the driver is gone, and may come again */
    }
    reply->payload.state.index = ring->index;
    reply->payload.state.number = bh_vu_ring_base(ring);
    reply->size = sizeof(reply->payload.state);
    return BH_OK;
}

/* eventfds have no file type; memory files, sockets and pipes have. What is handed on to somebody
 * else is looked at more closely. */
bool bh_vu_ring_event(const struct bh_vu_ring *ring, int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && (status.st_mode & S_IFMT) == 0u &&
           (!bh_vu_elsewhere(ring) || bh_vu_elsewhere_event(fd));
}

/* The descriptor of SET_VRING_KICK, CALL, ERR. BH_OK: `fd` is it, or -1 where none is meant. */
static int event_of(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                    struct bh_vu_ring **ring, int *fd)
{
    uint64_t value = message->payload.u64;
    bool none = (value & BH_VU_VRING_NO_FD) != 0u;

    if ((value & ~(uint64_t)(BH_VU_VRING_INDEX_MASK | BH_VU_VRING_NO_FD)) != 0u ||
        none != (message->fd_count == 0u)) {
        return bh_vu_because(backend, BH_PROTOCOL, "descriptor missing or unexpected");
    }
    *ring = ring_of(backend, value & BH_VU_VRING_INDEX_MASK);
    if (*ring == NULL) {
        return BH_PROTOCOL;
    }
    if (!none && !bh_vu_ring_event(*ring, message->fds[0])) {
        return bh_vu_because(backend, BH_INVALID, "descriptor is no eventfd");
    }
    *fd = bh_vu_wire_take(message, 0);
    return BH_OK;
}

int bh_vu_ring_listen(struct bh_vu_ring *ring, int fd)
{
    struct bh_vu_backend *backend = ring->backend;

    if (bh_vu_elsewhere(ring)) {
        bh_vu_close(&ring->kick.fd);
        ring->kick.fd = fd;
        return BH_OK;
    }
    if (!bh_vu_ring_consume(fd)) {
        bh_vu_close(&fd);
        return bh_vu_because(backend, BH_INVALID, "descriptor is no eventfd");
    }
    bh_vu_unwatch(backend, &ring->kick);

    int error = bh_vu_watch(backend, &ring->kick, fd, bh_vu_ring_kicked, ring);

    return error == BH_OK ? BH_OK
                          : bh_vu_because(backend, error, "kick descriptor cannot be watched");
}

int bh_vu_on_vring_kick(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    struct bh_vu_ring *ring = NULL;
    int fd = -1;
    int error = event_of(backend, message, &ring, &fd);

    (void)reply;
    if (error != BH_OK) {
        return error;
    }
    if (fd < 0) {
        return bh_vu_because(backend, BH_UNSUPPORTED, "polling of a ring");
    }
    error = bh_vu_ring_listen(ring, fd);
    if (error != BH_OK) {
        return error;
    }
    ring->broken = false;
    if (ring->running) {
        bh_vu_elsewhere_exchanged(ring);
    }
    bh_vu_ring_try(ring);
    /* A kick may have gone to the old descriptor. */
    bh_vu_ring_serve(ring);
    return BH_OK;
}

/* A descriptor to be signalled: never to be waited for. */
static int take_signal(struct bh_vu_backend *backend, int fd, int *slot)
{
    if (fd >= 0) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
            bh_vu_close(&fd);
            return bh_vu_because(backend, BH_INVALID, "descriptor is no eventfd");
        }
    }
    bh_vu_close(slot);
    *slot = fd;
    return BH_OK;
}

int bh_vu_on_vring_call(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    struct bh_vu_ring *ring = NULL;
    int fd = -1;
    int error = event_of(backend, message, &ring, &fd);

    (void)reply;
    if (error == BH_OK) {
        error = take_signal(backend, fd, &ring->call);
    }
    if (error == BH_OK && ring->running) {
        bh_vu_elsewhere_exchanged(ring);
        /* A notification may have gone to the old descriptor. */
        bh_vu_ring_signal(ring->call);
    }
    return error;
}

int bh_vu_on_vring_err(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                       struct bh_vu_outgoing *reply)
{
    struct bh_vu_ring *ring = NULL;
    int fd = -1;
    int error = event_of(backend, message, &ring, &fd);

    (void)reply;
    if (error == BH_OK) {
        error = take_signal(backend, fd, &ring->error);
    }
    if (error == BH_OK && ring->running) {
        bh_vu_elsewhere_exchanged(ring);
    }
    return error;
}

int bh_vu_on_vring_enable(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    const struct bh_vu_vring_state *state = &message->payload.state;
    struct bh_vu_ring *ring = ring_of(backend, state->index);

    (void)reply;
    if (ring == NULL) {
        return BH_PROTOCOL;
    }
    if (state->number > 1u) {
        return bh_vu_because(backend, BH_INVALID, "neither enabled nor disabled");
    }
    ring->enabled = state->number == 1u;
    if (!ring->enabled) {
        return bh_vu_ring_halt(ring);
    }
    bh_vu_ring_try(ring);
    return BH_OK;
}
