/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay: a device (bh_device_class) whose requests are served by a back end that is not trusted,
 * through rings of the gate's own. Shadow and bounce are the same relay: a span of a request that lies
 * wholly in memory that the back end may map (`shared`) is passed by address; every other span is
 * copied through the arena, in before the request is shown, out when it is done and only as far as the
 * back end says that it wrote. In bounce nothing is shared.
 *
 * A ring of the guest that lies in shared memory could be rewritten by the back end under the gate and
 * the guest. So if any ring of the device does, nothing counts as shared until the rings are elsewhere
 * (bh_relay_setup.shared is then left out by its owner: bh_relay_share).
 *
 * A request's way: popped from the guest's ring (bh_queue_pop checks all that the guest wrote), looked
 * at by the class, held in a slot, added to the back end's ring (bh_driver_queue, in the arena),
 * collected from there (which checks id and length), copied out, pushed. What is in flight is known
 * here, and nowhere else: when the back end is over, the next one's rings begin empty, and the slots
 * are added again, oldest first, or answered with an error where the class says that they must not be
 * done twice.
 *
 * States of the back side:
 *   detached  requests are popped and held, up to the ring's size. -> attached (bh_relay_attach)
 *   attached  -> detached (bh_relay_detach; the owner calls it after `lied`, too)
 *   refusing  there is no back end any more: what is in flight, and what comes, is answered with an
 *             error (bh_relay_refuse); for good.
 *
 * Not here: where back ends come from (device.c), what a class knows (class.h), the guest's end
 * (ports/vhost_user).
 *
 * Thread: the device's. All memory is allocated by bh_relay_create. Ownership: the relay owns its
 * slots; everything in the setup stays the caller's, for as long as the relay lives.
 */
#ifndef GATE_RELAY_H
#define GATE_RELAY_H

#include "bulkhead/device.h"
#include "bulkhead/gate.h"
#include "bulkhead/transport.h"
#include "class.h"

struct bh_relay;

/* What a relay needs of its owner. */
struct bh_relay_ops {
    /* The driver agreed on features: the owner agrees with the back end, and attaches it. 0: the driver
     * was reset; nothing is in flight, and the relay has detached the back end by itself. */
    void (*agreed)(void *context, uint64_t features);
    /* The driver writes the configuration space. BH_OK or an error, as bh_device_class. */
    int (*config_write)(void *context, uint32_t offset, const void *from, uint32_t length);
    /* The back end broke the rules of queue `queue`; `reason` is static text. It is not collected
     * from any more. The owner detaches it, not from within this call's caller's turn but soon. */
    void (*lied)(void *context, uint16_t queue, const char *reason);
    /* Ring `queue` of the attached back end is to stop, whatever it holds (vhost-user: GET_VRING_BASE,
     * bh_vu_frontend_queue_stop). BH_OK: the back end has let go of it. An error: it has not; the owner
     * detaches it soon. */
    int (*queue_stop)(void *context, uint16_t queue);
    /* Call bh_relay_go_on after so many microseconds (a limit). Replaces what was asked before. */
    void (*wake)(void *context, uint64_t microseconds);
    uint64_t (*now_us)(void *context); /* monotonic */
};

struct bh_relay_range {
    uint64_t address; /* guest-physical */
    uint64_t size;
};

struct bh_relay_setup {
    const struct bh_relay_ops *ops;
    void *context;
    const struct bh_gate_class *class;
    const struct bh_gate_device *device;
    const struct bh_gate_limits *limits; /* read at any time; NULL: none */
    struct bh_gate_counters *counters;
    uint64_t *class_state;    /* of the ledger: 64 words */
    struct bh_memory *memory; /* the guest's: as the port maps it */
    uint8_t *arena;           /* device->arena_size bytes; rings and copies lie in it */
    uint64_t arena_address;   /* where the back end sees it: no guest address lies there */
};

/* Makes a relay and its device, which is then bound to a port. BH_NO_MEMORY; BH_INVALID: the arena is
 * too small for the rings. */
int bh_relay_create(struct bh_relay **relay, const struct bh_relay_setup *setup);
void bh_relay_destroy(struct bh_relay *relay);
struct bh_device *bh_relay_device(struct bh_relay *relay);

/* What the back end offers, and its configuration space: shown to the guest from now on (features: the
 * class's; the rings' are the gate's own). Before the port reads its first message. */
void bh_relay_offer(struct bh_relay *relay, uint64_t features, const void *config, uint32_t size,
                    uint16_t queue_count);
/* The configuration space changed: the guest is told. */
void bh_relay_config_changed(struct bh_relay *relay, const void *config, uint32_t size);

/* Guest memory that the back end may map, from the next attach on; 0 ranges: none. */
void bh_relay_share(struct bh_relay *relay, const struct bh_relay_range *ranges, uint32_t count);

/* A back end is there: its transport, on which `features` were agreed. Starts a ring for each of the
 * guest's that runs or drains, gives it what is in flight, kicks it. Rings that the guest starts later
 * follow by themselves. BH_OK, or what the transport said: then nothing is attached. */
int bh_relay_attach(struct bh_relay *relay, struct bh_transport *transport, uint64_t features);
/* It is over. `look`: what it said to be done and was not collected is collected first (it died; one
 * that lied is not believed). */
void bh_relay_detach(struct bh_relay *relay, bool look);
/* There will be no other. */
void bh_relay_refuse(struct bh_relay *relay);

/* The back end called for queue `queue`: takes what is done, and shows it to the guest at the flush
 * (bh_device_flush is called). Returns how many requests were done: 0 is a call for nothing. */
uint32_t bh_relay_called(struct bh_relay *relay, uint16_t queue);
/* As asked by `wake`, or when limits have changed. */
void bh_relay_go_on(struct bh_relay *relay);

/* Since when (monotonic microseconds) the back end owes a completion: of the queues that have requests
 * which must not wait for ever, the oldest last progress. 0: it owes none. */
uint64_t bh_relay_owes(const struct bh_relay *relay);

#endif
