/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session that another process began and did not end: its numbers and descriptors come from where
 * that process kept them (keep.c), and everything is put back as its messages had made it. All of it
 * was once said by a front end, so it is checked as if it came from there again; what does not fit
 * ends the session as a message would.
 *
 * Then the rings start. What the journals name is handed out first. Every ring is looked at once, since
 * its kick may have been taken by a process that died over it, and its driver is called once, since
 * that process may have died between publishing and calling. The message that it was about to answer
 * may be read again, and is obeyed again (bh_vu_session.again).
 */
#include <sys/stat.h>

#include "internal.h"

/* Takes a kept descriptor out of its slot. */
static int take(int *fds, uint32_t slot)
{
    int fd = fds[slot];

    fds[slot] = -1;
    return fd;
}

static int adopt_region(struct bh_vu_backend *backend, const struct bh_vu_region *region,
                        uint32_t slot, int *fds)
{
    int fd = slot < BH_VU_KEEP_REGIONS ? take(fds, slot) : -1;

    if (slot != BH_VU_KEEP_NONE && fd < 0) {
        return bh_vu_because(backend, BH_INVALID, "kept session without its memory");
    }

    int error = bh_vu_regions_adopt(backend, region, fd, slot);

    bh_vu_close(&fd);
    return error;
}

static int adopt_regions(struct bh_vu_backend *backend, const struct bh_vu_saved *saved, int *fds)
{
    int error = BH_OK;

    if (saved->region_count > bh_vu_regions_slots(backend)) {
        return bh_vu_because(backend, BH_INVALID, "kept session with too many regions");
    }
    for (uint32_t i = 0; i < saved->region_count && error == BH_OK; i++) {
        error = adopt_region(backend, &saved->regions[i], saved->slots[i], fds);
    }
    return error;
}

/* Takes one descriptor of a ring, if it had it. */
static int adopt_event(struct bh_vu_ring *ring, uint8_t has, int *fds, uint32_t slot, int *fd)
{
    *fd = has != 0u ? take(fds, slot) : -1;
    if (has != 0u && (*fd < 0 || !bh_vu_ring_event(ring, *fd))) {
        return bh_vu_because(ring->backend, BH_INVALID, "kept ring without its descriptors");
    }
    return BH_OK;
}

static int adopt_events(struct bh_vu_ring *ring, const struct bh_vu_saved_ring *saved, int *fds)
{
    uint16_t i = ring->index;
    int kick = -1;
    int error = adopt_event(ring, saved->has_call, fds, BH_VU_KEEP_CALL(i), &ring->call);

    if (error == BH_OK) {
        error = adopt_event(ring, saved->has_error, fds, BH_VU_KEEP_ERROR(i), &ring->error);
    }
    if (error == BH_OK) {
        error = adopt_event(ring, saved->has_kick, fds, BH_VU_KEEP_KICK(i), &kick);
    }
    if (error != BH_OK) {
        bh_vu_close(&kick);
        return error;
    }
    return kick >= 0 ? bh_vu_ring_listen(ring, kick) : BH_OK;
}

static int adopt_ring(struct bh_vu_ring *ring, const struct bh_vu_saved_ring *saved, int *fds)
{
    struct bh_vu_backend *backend = ring->backend;

    if (saved->size > backend->device->queues[ring->index].size_max ||
        (saved->addressed != 0u &&
         (saved->address.index != ring->index || saved->address.flags != 0u)) ||
        (saved->placed != 0u && !bh_vu_ring_packed(ring) && saved->base > UINT16_MAX)) {
        return bh_vu_because(backend, BH_INVALID, "kept ring that cannot be");
    }
    ring->size = saved->size;
    ring->address = saved->address;
    ring->addressed = saved->addressed != 0u;
    ring->enabled = saved->enabled != 0u;
    ring->broken = saved->broken != 0u;
    ring->placed = saved->placed != 0u;
    ring->base = saved->base;
    return adopt_events(ring, saved, fds);
}

static int adopt_device(struct bh_vu_backend *backend, const struct bh_vu_saved *saved)
{
    struct bh_device *device = backend->device;
    uint8_t status = saved->status & (uint8_t)~BH_STATUS_NEEDS_RESET;
    int error = BH_OK;

    if ((saved->protocol & ~bh_vu_protocol_offered(backend)) != 0u) {
        return bh_vu_because(backend, BH_INVALID, "kept session with other protocol features");
    }
    backend->session.protocol = saved->protocol;
    if (saved->features_set != 0u) {
        backend->session.features_set = true;
        error = bh_device_features_set(device, saved->features);
    }
    if (error == BH_OK && status != 0u) {
        error = bh_device_status_set(device, status);
    }
    if (error != BH_OK || (status != 0u && device->status != status)) {
        return bh_vu_because(backend, BH_INVALID, "kept session with other features");
    }
    /* A device that broke waits for its driver to begin anew. */
    device->status |= saved->status & BH_STATUS_NEEDS_RESET;
    return BH_OK;
}

static int adopt_channel(struct bh_vu_backend *backend, const struct bh_vu_saved *saved, int *fds)
{
    struct stat status;

    if (saved->has_channel == 0u) {
        return BH_OK;
    }
    backend->session.channel = take(fds, BH_VU_KEEP_CHANNEL);
    if (backend->session.channel < 0 || fstat(backend->session.channel, &status) != 0 ||
        !S_ISSOCK(status.st_mode)) {
        return bh_vu_because(backend, BH_INVALID, "kept session without its channel");
    }
    return BH_OK;
}

static int adopt_all(struct bh_vu_backend *backend, const struct bh_vu_saved *saved, int *fds)
{
    int error = adopt_device(backend, saved);

    if (error == BH_OK) {
        error = adopt_regions(backend, saved, fds);
    }
    for (uint16_t i = 0; i < backend->ring_count && error == BH_OK; i++) {
        error = adopt_ring(&backend->rings[i], &saved->rings[i], fds);
    }
    return error == BH_OK ? adopt_channel(backend, saved, fds) : error;
}

/* What the predecessor had running runs again, and its drivers look once. */
static void go_on(struct bh_vu_backend *backend, const struct bh_vu_saved *saved)
{
    const struct bh_vu_memory_ops *ops = backend->setup.memory_ops;

    for (uint16_t i = 0; i < backend->ring_count; i++) {
        backend->session.told_ready = backend->session.told_ready || saved->rings[i].running != 0u;
    }
    if (ops != NULL) {
        ops->changed(backend->setup.context);
    }
    backend->session.adopting = true;
    bh_vu_rings_try(backend);
    backend->session.adopting = false;
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        if (saved->rings[i].running != 0u) {
            bh_vu_ring_signal(backend->rings[i].call);
        }
    }
}

void bh_vu_adopt(struct bh_vu_backend *backend)
{
    const struct bh_vu_saved *saved = backend->setup.adoption->saved;
    int *fds = backend->setup.adoption->fds;
    int socket = backend->setup.connection_fd;
    bool lives = saved->connected != 0u && socket >= 0 && bh_vu_session_open(backend, socket);
    int error = lives ? adopt_all(backend, saved, fds) : BH_OK;

    bh_vu_keep_adopted(backend, fds);
    for (uint32_t i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        bh_vu_close(&fds[i]);
    }
    if (error != BH_OK) {
        bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, backend->session.detail);
    } else if (lives) {
        backend->session.again = true;
        go_on(backend, saved);
    } else {
        if (backend->setup.journal != NULL) {
            bh_vu_inflight_forget(backend);
        }
        if (saved->connected == 0u && socket >= 0) {
            bh_vu_session_begin(backend, socket);
        }
    }
    bh_vu_keep_commit(backend);
}
