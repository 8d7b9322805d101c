/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front end of a device behind the gate: the port (ports/vhost_user) serves it; here is what the
 * port asks of its owner. Descriptors are kept by the parent, numbers in the ledger, both before a
 * message is answered: a gate that ends in between was never told, one that ends after it lost
 * nothing.
 */
#include "device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"

/* ---- memory ---- */

static int on_admit(void *context, const struct bh_vu_region *region, int fd, const char **why)
{
    struct bh_gated *gated = context;
    const char *note = NULL;
    const int result = bh_gate_memory_admit(&gated->memory, region, fd, &note);
    if (note != NULL) {
        char text[BH_GATE_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "memory at %#jx, %#jx bytes: %s",
                       (uintmax_t)region->guest_address, (uintmax_t)region->size, note);
        bh_gated_event(gated, BH_GATE_FRONT_REFUSED, 0, text);
        *why = note;
    }
    return result;
}

static void on_gone(void *context, const struct bh_vu_region *region)
{
    struct bh_gated *gated = context;
    bh_gate_memory_gone(&gated->memory, region);
}

static void on_changed(void *context)
{
    struct bh_gated *gated = context;
    gated->reshare = true;
}

static const struct bh_vu_memory_ops memory_ops = {
    .admit = on_admit,
    .gone = on_gone,
    .changed = on_changed,
};

/* ---- what is kept ---- */

static void on_keep(void *context, uint32_t slot, int fd)
{
    struct bh_gated *gated = context;
    const struct bh_gate_message message = {
        .kind = BH_GATE_KEEP, .device = gated->index, .slot = slot};
    /* A parent that is gone is noticed where messages are read. */
    (void)bh_control_send(gated->control, &message, fd);
}

static void on_save(void *context, const struct bh_vu_saved *saved)
{
    struct bh_gated *gated = context;
    bh_ledger_save(gated->record, saved);
}

static const struct bh_vu_keep_ops keep_ops = {
    .keep = on_keep,
    .save = on_save,
};

/* ---- rings of the back end's (direct, open) ---- */

static int on_start(void *context, const struct bh_vu_plan *plan)
{
    struct bh_gated *gated = context;
    return bh_direct_start(gated->direct, plan);
}

static int on_stop(void *context, uint16_t index, uint32_t *base)
{
    struct bh_gated *gated = context;
    return bh_direct_stop(gated->direct, index, base);
}

static void on_exchanged(void *context, const struct bh_vu_plan *plan)
{
    struct bh_gated *gated = context;
    bh_direct_exchanged(gated->direct, plan);
}

static const struct bh_vu_ring_ops ring_ops = {
    .start = on_start,
    .stop = on_stop,
    .exchanged = on_exchanged,
};

/* ---- what happens ---- */

static void refused(struct bh_gated *gated, const struct bh_vu_notice *notice)
{
    char text[BH_GATE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "request %u: %s", notice->request,
                   notice->detail != NULL ? notice->detail : "refused");
    bh_gated_event(gated, BH_GATE_FRONT_REFUSED, notice->request, text);
}

static void violated(struct bh_gated *gated, const struct bh_vu_notice *notice)
{
    const struct bh_fault *fault = &gated->device->queues[notice->queue].fault;
    char text[BH_GATE_TEXT_MAX];
    if (fault->error == BH_OK || (fault->address == 0u && fault->length == 0u)) {
        (void)snprintf(text, sizeof(text), "queue %u: %s", notice->queue,
                       notice->detail != NULL ? notice->detail : "broken");
    } else {
        (void)snprintf(text, sizeof(text),
                       "queue %u: %s: descriptor %u: address %#jx, length %u, flags %#x",
                       notice->queue, fault->reason, fault->index, (uintmax_t)fault->address,
                       fault->length, fault->flags);
    }
    bh_gated_event(gated, BH_GATE_GUEST_VIOLATION, notice->queue, text);
    bh_control_say(gated->control, BH_GATE_GUEST, gated->index, BH_GATE_GUEST_VIOLATION,
                   notice->queue, text);
}

static void on_notice(void *context, const struct bh_vu_notice *notice)
{
    struct bh_gated *gated = context;
    switch (notice->event) {
    case BH_VU_EVENT_REFUSED:
        refused(gated, notice);
        break;
    case BH_VU_EVENT_FAULT:
        violated(gated, notice);
        break;
    case BH_VU_EVENT_MEMORY_LOST:
        bh_gated_event(gated, BH_GATE_FRONT_REFUSED, 0, "it took shared memory away");
        break;
    case BH_VU_EVENT_READY:
        if (gated->adopts) {
            break; /* it was said */
        }
        bh_control_say(gated->control, BH_GATE_UP, gated->index, BH_GATE_REASON_NONE, 0, NULL);
        break;
    default:
        break;
    }
}

/* Said twice: once for the log, and once so that the parent lets go of its end. */
static void on_closed(void *context)
{
    struct bh_gated *gated = context;
    const struct bh_gate_message message = {.kind = BH_GATE_KEEP,
                                            .device = gated->index,
                                            .slot = BH_GATE_SLOT_CONNECTION,
                                            .number = gated->connection};
    gated->connected = false;
    gated->adopts = false;
    gated->unshared = false;
    gated->windowless = false;
    bh_gate_memory_clear(&gated->memory);
    bh_gated_event(gated, BH_GATE_FRONT_GONE, 0, "the front end closed its connection");
    (void)bh_control_send(gated->control, &message, -1);
}

/* ---- life ---- */

static struct bh_vu_setup port_setup(struct bh_gated *gated)
{
    struct bh_vu_setup setup = {
        .device = gated->device,
        .poller = &gated->thread->loop.poller,
        .listen_fd = -1,
        .connection_fd = -1,
        .features = BH_VU_FEATURES,
        .notice = on_notice,
        .closed = on_closed,
        .context = gated,
        .memory_ops = &memory_ops,
        .keep_ops = &keep_ops,
        .protocol_features = BH_VU_FRONTEND_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
    };
    if (gated->direct != NULL) {
        setup.ring_ops = &ring_ops;
        /* Settled between front end and guest: see BH_VU_FEATURES. */
        setup.features &= gated->record->offered | BH_F_ACCESS_PLATFORM;
    } else {
        setup.journal = bh_ledger_journal(gated->ledger, gated->index);
    }
    return setup;
}

/* The port is made once it is known how many queues there are. */
static int connect_front(struct bh_gated *gated)
{
    const int fd = gated->front;
    const struct bh_vu_adoption adoption = {.saved = bh_ledger_saved(gated->record),
                                            .fds = gated->kept};
    gated->front = -1;
    gated->connection = gated->front_number;
    gated->connected = true;
    if (gated->port != NULL) {
        return bh_vu_backend_connect(gated->port, fd);
    }
    struct bh_vu_setup setup = port_setup(gated);
    setup.connection_fd = fd;
    if (gated->adopts) {
        setup.adoption = &adoption;
        bh_gated_event(gated, BH_GATE_ADOPTED, gated->ledger->pages->started,
                       "a new gate took over the running guest");
    }
    return bh_vu_backend_create(&gated->port, &setup);
}

void bh_gated_front_take(struct bh_gated *gated, int fd, uint64_t number)
{
    if (gated->front >= 0) {
        (void)close(gated->front);
    }
    gated->front = fd;
    gated->front_number = number;
}

/* Whether what is to be said to the front end that waits is known. */
static bool ready(const struct bh_gated *gated)
{
    if (gated->given_up || gated->adopts) {
        return gated->shown;
    }
    return gated->shown && gated->link.state == BH_LINK_OPEN;
}

void bh_gated_front(struct bh_gated *gated)
{
    if (gated->front < 0 || gated->connected) {
        return;
    }
    if (gated->given_up && !gated->shown) {
        /* Nothing will ever be known. */
        (void)close(gated->front);
        gated->front = -1;
        gated->connection = gated->front_number;
        on_closed(gated);
        return;
    }
    if (!ready(gated)) {
        return;
    }
    bh_gated_offer(gated);
    if (connect_front(gated) != BH_OK) {
        on_closed(gated);
    }
}
