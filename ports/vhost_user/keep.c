/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What of a session outlives this process (bh_vu_keep_ops): the owner is told the numbers, and handed
 * the descriptors, each time that they changed and before the front end can know it. New descriptors
 * come before the numbers that speak of them, and those that are not needed any more go after: at no
 * moment do the numbers that were saved last speak of something that is not kept.
 *
 * Not here: how a successor takes the session over (adopt.c).
 */
#include <string.h>

#include "internal.h"

/* ---- files of memory regions ---- */

uint32_t bh_vu_keep_region(struct bh_vu_backend *backend, int fd)
{
    const struct bh_vu_setup *setup = &backend->setup;
    struct bh_vu_keeper *keeper = &backend->keeper;

    for (uint32_t slot = 0; slot < BH_VU_KEEP_REGIONS && setup->keep_ops != NULL; slot++) {
        if (keeper->files[slot] == BH_VU_FILE_FREE) {
            keeper->files[slot] = BH_VU_FILE_KEPT;
            setup->keep_ops->keep(setup->context, BH_VU_KEEP_REGION(slot), fd);
            return slot;
        }
    }
    /* There are more slots than regions (bh_vu_regions_slots): so nothing is kept at all. */
    return BH_VU_KEEP_NONE;
}

void bh_vu_keep_drop(struct bh_vu_backend *backend, uint32_t slot)
{
    if (slot != BH_VU_KEEP_NONE) {
        backend->keeper.files[slot] = BH_VU_FILE_DROPPED;
    }
}

static void drop_files(struct bh_vu_backend *backend)
{
    const struct bh_vu_setup *setup = &backend->setup;

    for (uint32_t slot = 0; slot < BH_VU_KEEP_REGIONS; slot++) {
        if (backend->keeper.files[slot] == BH_VU_FILE_DROPPED) {
            backend->keeper.files[slot] = BH_VU_FILE_FREE;
            setup->keep_ops->keep(setup->context, BH_VU_KEEP_REGION(slot), -1);
        }
    }
}

/* ---- descriptors that the port has open ---- */

/* Between two messages a descriptor's number is that of the same descriptor, if it is one at all. */
static void keep_one(struct bh_vu_backend *backend, uint32_t slot, int fd, bool drop)
{
    const struct bh_vu_setup *setup = &backend->setup;
    int *told = &backend->keeper.told[slot - BH_VU_KEEP_REGIONS];

    if (*told != fd && (fd < 0) == drop) {
        *told = fd;
        setup->keep_ops->keep(setup->context, slot, fd);
    }
}

static void keep_all(struct bh_vu_backend *backend, bool drop)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        const struct bh_vu_ring *ring = &backend->rings[i];

        keep_one(backend, BH_VU_KEEP_KICK(i), ring->kick.fd, drop);
        keep_one(backend, BH_VU_KEEP_CALL(i), ring->call, drop);
        keep_one(backend, BH_VU_KEEP_ERROR(i), ring->error, drop);
    }
    keep_one(backend, BH_VU_KEEP_CHANNEL, backend->session.channel, drop);
}

/* What a predecessor had kept and the port has no use for. */
static void drop_stale(struct bh_vu_backend *backend)
{
    const struct bh_vu_setup *setup = &backend->setup;

    for (uint32_t i = 0; i < BH_VU_KEEP_EVENTS; i++) {
        if (backend->keeper.told[i] == BH_VU_STALE) {
            backend->keeper.told[i] = -1;
            setup->keep_ops->keep(setup->context, BH_VU_KEEP_REGIONS + i, -1);
        }
    }
}

void bh_vu_keep_begin(struct bh_vu_backend *backend)
{
    for (uint32_t i = 0; i < BH_VU_KEEP_EVENTS; i++) {
        backend->keeper.told[i] = -1;
    }
}

void bh_vu_keep_adopted(struct bh_vu_backend *backend, const int *fds)
{
    struct bh_vu_keeper *keeper = &backend->keeper;

    keeper->saved = *backend->setup.adoption->saved;
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        keeper->told[BH_VU_KEEP_KICK(i) - BH_VU_KEEP_REGIONS] = backend->rings[i].kick.fd;
        keeper->told[BH_VU_KEEP_CALL(i) - BH_VU_KEEP_REGIONS] = backend->rings[i].call;
        keeper->told[BH_VU_KEEP_ERROR(i) - BH_VU_KEEP_REGIONS] = backend->rings[i].error;
    }
    keeper->told[BH_VU_KEEP_CHANNEL - BH_VU_KEEP_REGIONS] = backend->session.channel;
    for (uint32_t slot = 0; slot < BH_VU_KEEP_SLOTS; slot++) {
        if (fds[slot] < 0) {
            continue;
        }
        if (slot < BH_VU_KEEP_REGIONS) {
            keeper->files[slot] = BH_VU_FILE_DROPPED;
        } else {
            keeper->told[slot - BH_VU_KEEP_REGIONS] = BH_VU_STALE;
        }
    }
}

/* ---- numbers ---- */

static void write_ring(const struct bh_vu_ring *ring, struct bh_vu_saved_ring *saved)
{
    saved->address = ring->address;
    saved->base = ring->base;
    saved->size = ring->size;
    saved->addressed = ring->addressed;
    saved->enabled = ring->enabled;
    saved->placed = ring->placed;
    saved->has_kick = ring->kick.fd >= 0;
    saved->has_call = ring->call >= 0;
    saved->has_error = ring->error >= 0;
    saved->running = ring->running;
    saved->broken = ring->broken;
}

static void write_regions(const struct bh_vu_backend *backend, struct bh_vu_saved *saved)
{
    uint32_t count = backend->region_count;

    memcpy(saved->regions, backend->wire, count * sizeof(saved->regions[0]));
    memcpy(saved->slots, backend->keeper.slots, count * sizeof(saved->slots[0]));
    for (uint32_t i = 0; i < backend->skipped_count; i++) {
        saved->regions[count] = backend->skipped[i];
        saved->slots[count] = BH_VU_KEEP_NONE;
        count++;
    }
    saved->region_count = count;
}

/* Padding counts in the comparison: so everything is written into zeroes. */
static void write_all(const struct bh_vu_backend *backend, struct bh_vu_saved *saved)
{
    const struct bh_vu_session *session = &backend->session;

    memset(saved, 0, sizeof(*saved));
    saved->connected = session->socket.fd >= 0 && !session->closing;
    if (saved->connected == 0u) {
        return;
    }
    saved->protocol = session->protocol;
    saved->features = backend->device->features;
    saved->features_set = session->features_set;
    saved->status = backend->device->status;
    saved->has_channel = session->channel >= 0;
    write_regions(backend, saved);
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        write_ring(&backend->rings[i], &saved->rings[i]);
    }
}

void bh_vu_keep_commit(struct bh_vu_backend *backend)
{
    const struct bh_vu_setup *setup = &backend->setup;
    struct bh_vu_keeper *keeper = &backend->keeper;

    if (setup->keep_ops == NULL) {
        return;
    }
    keep_all(backend, false);
    write_all(backend, &keeper->now);
    if (memcmp(&keeper->now, &keeper->saved, sizeof(keeper->saved)) != 0) {
        keeper->saved = keeper->now;
        setup->keep_ops->save(setup->context, &keeper->saved);
    }
    keep_all(backend, true);
    drop_stale(backend);
    drop_files(backend);
}
