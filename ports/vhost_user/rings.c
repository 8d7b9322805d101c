/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rings of a front end. What a ring has:
 *
 *   size, addresses, position   told by SET_VRING_NUM, _ADDR, _BASE; changed only while it does not
 *                               run. Addresses are checked when they come, and looked up anew in
 *                               the memory table at each start: what counts is what holds then.
 *   kick                        a descriptor. Its arrival counts as the first kick: a guest may
 *                               have kicked while nobody listened (QEMU drops kicks while it has
 *                               no back end), and every back end in the field does the same.
 *   enabled                     by SET_VRING_ENABLE, or for all rings by SET_FEATURES without
 *                               BH_VU_F_PROTOCOL_FEATURES.
 *
 * A ring runs while it has all of these and its memory. It is halted (drained, its position kept)
 * when it is disabled, when memory changes, or for good by GET_VRING_BASE, which also takes the
 * kick descriptor away: a late kick must not start the ring behind the front end's back. A halted
 * ring starts again by itself once it has everything. A ring that broke stays halted until the
 * front end sets it up again.
 *
 * Where the owner serves the rings (bh_vu_ring_ops, elsewhere.c) all of this holds as well; only the
 * kick descriptor is not watched here.
 *
 * Polling (SET_VRING_KICK without a descriptor) is refused: it would let a front end keep this
 * process busy for ever, and no front end asks for it.
 */
#include <errno.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "internal.h"

#include "bulkhead/bytes.h"

void bh_vu_ring_init(struct bh_vu_backend *backend, uint16_t index)
{
    struct bh_vu_ring *ring = &backend->rings[index];

    ring->backend = backend;
    ring->index = index;
    ring->kick.fd = -1;
    ring->call = -1;
    ring->error = -1;
}

/* ---- descriptors ---- */

void bh_vu_ring_signal(int fd)
{
    const uint64_t one = 1;
    struct pollfd room = {.fd = fd, .events = POLLOUT};

    /* The front end shares the description: it could have filled the counter and made a write wait.
     * A full counter has been signalled already; a descriptor that takes nothing wants nothing. */
    if (fd >= 0 && poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0 &&
        write(fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        return;
    }
}

/* Not a plain read: the front end shares the description, and could make that wait. */
bool bh_vu_ring_consume(int fd)
{
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};
    ssize_t got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);

    return got == (ssize_t)sizeof(count) || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* ---- running ---- */

void bh_vu_ring_serve(struct bh_vu_ring *ring)
{
    struct bh_vu_backend *backend = ring->backend;

    if (!ring->running || bh_vu_elsewhere(ring)) {
        return;
    }
    ring->more = bh_device_kick(backend->device, ring->index);
    bh_vu_post(backend, &backend->flush);
    if (ring->more) {
        bh_vu_post(backend, &backend->serve);
    }
}

void bh_vu_rings_go_on(struct bh_vu_backend *backend)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        if (backend->rings[i].more) {
            bh_vu_ring_serve(&backend->rings[i]);
        }
    }
}

void bh_vu_ring_kicked(struct bh_watch *watch)
{
    struct bh_vu_ring *ring = watch->context;

    if (!bh_vu_ring_consume(watch->fd)) {
        /* Cannot happen with an eventfd; a descriptor that stays readable must not be polled. */
        bh_vu_unwatch(ring->backend, watch);
        bh_vu_keep_commit(ring->backend);
        return;
    }
    if (ring->running) {
        bh_vu_ring_serve(ring);
    } else {
        bh_vu_ring_try(ring);
        bh_vu_keep_commit(ring->backend);
    }
}

bool bh_vu_ring_packed(const struct bh_vu_ring *ring)
{
    return (ring->backend->device->features & BH_F_RING_PACKED) != 0u;
}

uint32_t bh_vu_ring_base(const struct bh_vu_ring *ring)
{
    if (ring->placed) {
        return ring->base;
    }
    /* The packed wrap counters begin at 1 (VIRTIO 1.4, 2.8.1). */
    return bh_vu_ring_packed(ring) ? 0x80008000u : 0u;
}

static uint32_t encode(const struct bh_vu_ring *ring, struct bh_queue_position position)
{
    uint32_t base = position.avail_next;

    if (bh_vu_ring_packed(ring)) {
        base |= position.avail_wrap ? 0x8000u : 0u;
        base |= (uint32_t)position.used_next << 16;
        base |= position.used_wrap ? 0x80000000u : 0u;
    }
    return base;
}

static void decode(const struct bh_vu_ring *ring, struct bh_vu_start *start)
{
    uint32_t base = bh_vu_ring_base(ring);

    start->ring_size = ring->size;
    if (bh_vu_ring_packed(ring)) {
        start->avail_next = (uint16_t)(base & 0x7fffu);
        start->avail_wrap = (base & 0x8000u) != 0u;
        start->used_next = (uint16_t)(base >> 16 & 0x7fffu);
        start->used_wrap = (base & 0x80000000u) != 0u;
    } else {
        start->avail_next = (uint16_t)base;
        start->avail_wrap = true;
        start->used_wrap = true;
    }
}

int bh_vu_ring_locate(const struct bh_vu_ring *ring, const struct bh_vu_vring_address *address,
                      uint16_t size, struct bh_queue_setup *setup)
{
    const struct bh_vu_backend *backend = ring->backend;
    bool packed = bh_vu_ring_packed(ring);
    int error = bh_vu_regions_guest(backend, address->descriptor, bh_descriptor_area_size(size),
                                    &setup->descriptor);

    if (error == BH_OK) {
        error = bh_vu_regions_guest(backend, address->available, bh_driver_area_size(size, packed),
                                    &setup->driver);
    }
    if (error == BH_OK) {
        error = bh_vu_regions_guest(backend, address->used, bh_device_area_size(size, packed),
                                    &setup->device);
    }
    return error;
}

/* Looks at the ring as far as its start needs it: the used index of a split ring lies in it. */
static int look(struct bh_vu_ring *ring, const struct bh_queue_setup *setup,
                struct bh_vu_start *start)
{
    struct bh_memory *memory = ring->backend->device->memory;
    uint64_t address = bh_vu_ring_packed(ring) ? setup->descriptor : setup->device;
    uint32_t length = bh_vu_ring_packed(ring) ? bh_descriptor_area_size(ring->size)
                                              : bh_device_area_size(ring->size, false);
    struct bh_span span;

    /* Regions are aligned, so what holds for the guest's address holds for ours. */
    if (setup->descriptor % 16u != 0u || setup->device % 4u != 0u) {
        return BH_INVALID;
    }

    int got = bh_memory_acquire(memory, address, length, BH_ACCESS_READ | BH_ACCESS_RING, &span, 1);

    if (got < 0) {
        return got;
    }
    if (bh_vu_ring_packed(ring)) {
        start->ring = (const void *)span.base;
    } else {
        const struct bh_split_used *used = (const void *)span.base;

        start->used_next = bh_load16(&used->index);
    }
    return BH_OK;
}

static void broke(struct bh_vu_ring *ring, const char *reason)
{
    ring->broken = true;
    bh_vu_ring_signal(ring->error);
    bh_vu_notify(ring->backend, BH_VU_EVENT_FAULT, reason, 0, ring->index);
}

static int start_here(struct bh_vu_ring *ring, struct bh_queue_setup *setup, const char **reason)
{
    struct bh_vu_start at = {.ring = NULL};
    int error;

    decode(ring, &at);
    *reason = "ring misplaced or of an impossible size";
    error = look(ring, setup, &at);
    if (error == BH_OK) {
        error = bh_vu_inflight_open(ring, &at, reason);
    }
    if (error != BH_OK) {
        return error;
    }
    setup->size = ring->size;
    setup->avail_next = at.avail_next;
    setup->avail_wrap = at.avail_wrap;
    setup->used_next = at.used_next;
    setup->used_wrap = at.used_wrap;
    if (ring->journal.region != NULL) {
        setup->journal = bh_vu_ring_packed(ring) ? &bh_vu_journal_packed : &bh_vu_journal_split;
        setup->journal_data = &ring->journal;
    }
    setup->resumed = at.avail_next != 0u || at.used_next != 0u || ring->backend->session.adopting;
    error = bh_device_queue_start(ring->backend->device, ring->index, setup);
    if (error != BH_OK) {
        ring->journal.region = NULL;
    } else if (setup->resumed) {
        /* Whoever served this ring before may have died between publishing and notifying. */
        bh_vu_ring_signal(ring->call);
    }
    return error;
}

static int start(struct bh_vu_ring *ring, struct bh_queue_setup *setup, const char **reason)
{
    if (bh_vu_elsewhere(ring)) {
        *reason = "ring that cannot be served";
        return bh_vu_elsewhere_start(ring, setup);
    }
    return start_here(ring, setup, reason);
}

void bh_vu_ring_try(struct bh_vu_ring *ring)
{
    struct bh_vu_backend *backend = ring->backend;
    struct bh_vu_session *session = &backend->session;
    struct bh_queue_setup setup = {.size = 0};
    const char *reason;

    if (ring->running || ring->broken || !ring->enabled || ring->size == 0u || !ring->addressed ||
        ring->kick.fd < 0 || !session->features_set || session->waiting || session->closing) {
        return;
    }
    if (bh_vu_ring_locate(ring, &ring->address, ring->size, &setup) != BH_OK) {
        /* Its memory was taken away, and may come back. */
        return;
    }

    int error = start(ring, &setup, &reason);

    if (error == BH_STATE) {
        /* The device waits for a reset, as was told when it broke. */
        ring->broken = true;
    } else if (error != BH_OK) {
        broke(ring, reason);
    } else {
        ring->running = true;
        if (!session->told_ready) {
            session->told_ready = true;
            bh_vu_notify(backend, BH_VU_EVENT_READY, NULL, 0, ring->index);
        }
        bh_vu_config_announce(backend);
        bh_vu_ring_serve(ring);
    }
}

void bh_vu_rings_try(struct bh_vu_backend *backend)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        bh_vu_ring_try(&backend->rings[i]);
    }
}

/* ---- halting ---- */

int bh_vu_ring_halt(struct bh_vu_ring *ring)
{
    struct bh_device *device = ring->backend->device;

    if (!ring->running) {
        return BH_OK;
    }
    if (bh_vu_elsewhere(ring)) {
        return bh_vu_elsewhere_stop(ring);
    }
    ring->more = false;

    int error = bh_device_queue_stop(device, ring->index);

    if (error == BH_OK) {
        ring->base = encode(ring, bh_queue_position(&device->queues[ring->index]));
        ring->placed = true;
        ring->running = false;
    }
    return error;
}

int bh_vu_rings_halt(struct bh_vu_backend *backend)
{
    int result = BH_OK;

    for (uint16_t i = 0; i < backend->ring_count; i++) {
        int error = bh_vu_ring_halt(&backend->rings[i]);

        if (error != BH_OK) {
            result = error;
        }
    }
    return result;
}

bool bh_vu_rings_running(const struct bh_vu_backend *backend)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        if (backend->rings[i].running) {
            return true;
        }
    }
    return false;
}

void bh_vu_ring_reset(struct bh_vu_ring *ring, bool all)
{
    bh_vu_unwatch(ring->backend, &ring->kick);
    ring->size = 0;
    ring->addressed = false;
    ring->enabled = false;
    ring->broken = false;
    ring->placed = false;
    ring->more = false;
    ring->running = false;
    if (all) {
        bh_vu_close(&ring->call);
        bh_vu_close(&ring->error);
    }
}
