/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device whose rings the back end serves itself (direct and open): kick and call go straight from
 * the guest to the back end and back, and nothing of a request passes the gate. The gate makes the
 * in-flight region, so that a successor finds in it what was begun; rings go on from where the memory of
 * the rings (split) or the region (packed) says.
 *
 * States of the device's back side:
 *   detached  rings are noted when the guest starts them. -> attached
 *   attached  each ring that is noted runs in the back end. -> detached; a back end that keeps no
 *             in-flight region cannot be followed by another: -> refusing
 *   refusing  the guest's error events were signalled: the device needs a reset, and a ring that is
 *             started later is signalled at once.
 *
 * Thread: the device's. Ownership: everything in the setup stays the caller's.
 */
#ifndef GATE_DIRECT_H
#define GATE_DIRECT_H

#include "bulkhead/device.h"
#include "bulkhead/gate.h"
#include "bulkhead/vhost_user_backend.h"
#include "link.h"

struct bh_direct;

struct bh_direct_ops {
    /* As bh_relay_ops. */
    void (*agreed)(void *context, uint64_t features);
    int (*config_write)(void *context, uint32_t offset, const void *from, uint32_t length);
    /* The in-flight region is to be kept. */
    void (*keep)(void *context, int fd);
    /* A ring that could not be stopped perhaps can be now (bh_vu_backend_idle). */
    void (*idle)(void *context);
};

struct bh_direct_setup {
    const struct bh_direct_ops *ops;
    void *context;
    const struct bh_gate_device *device;
    struct bh_link *link;
    struct bh_memory *memory;      /* the guest's, as the port maps it */
    bool (*waits)(uint16_t queue); /* of the class; NULL: none do */
    int inflight;     /* the region of a gate before this one, which is taken over; -1: none */
    uint64_t resumed; /* bit n: ring n ran behind that gate */
};

/* There is one for each device, for as long as the process lives. BH_NO_MEMORY. */
int bh_direct_create(struct bh_direct **direct, const struct bh_direct_setup *setup);
struct bh_device *bh_direct_device(struct bh_direct *direct);

void bh_direct_offer(struct bh_direct *direct, uint64_t features, const void *config, uint32_t size,
                     uint16_t queue_count);
void bh_direct_config_changed(struct bh_direct *direct, const void *config, uint32_t size);

/* The rings that are noted: bit n for ring n. */
uint64_t bh_direct_running(const struct bh_direct *direct);

/* Features and memory were told to the back end: in-flight region and rings follow. BH_UNSUPPORTED:
 * rings have been served by another, and there is no region. */
int bh_direct_attach(struct bh_direct *direct);
/* The back end is over. */
void bh_direct_detach(struct bh_direct *direct);
/* Since when (monotonic microseconds, as `now`) a ring has not moved though the guest waits for it, as
 * far as looking at it now and then can tell; 0: none. Rings that wait for the world are left out. */
uint64_t bh_direct_owes(struct bh_direct *direct, uint64_t now);
/* Whether a successor could go on. */
bool bh_direct_replaceable(const struct bh_direct *direct);
void bh_direct_refuse(struct bh_direct *direct);

/* As bh_vu_ring_ops. */
int bh_direct_start(struct bh_direct *direct, const struct bh_vu_plan *plan);
int bh_direct_stop(struct bh_direct *direct, uint16_t index, uint32_t *base);
void bh_direct_exchanged(struct bh_direct *direct, const struct bh_vu_plan *plan);

#endif
