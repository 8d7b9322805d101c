/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What serves the requests of a device behind the gate: a relay (shadow, bounce), or the back end itself
 * (direct, open). The other files of the device do not know which.
 */
#include "device.h"

#include <stdio.h>
#include <string.h>

#include "bulkhead/error.h"

/* Ring features of the back end's side, where the relay can use them. */
#define RING_FEATURES (BH_F_INDIRECT_DESC | BH_F_EVENT_IDX | BH_F_VERSION_1)

/* ---- what the guest's driver does ---- */

static void on_agreed(void *context, uint64_t features)
{
    struct bh_gated *gated = context;
    if (features != gated->agreed || features == 0u) {
        gated->agreed = features;
        gated->renew = true;
    }
    if (features == 0u && gated->direct != NULL && !gated->last) {
        gated->given_up = false; /* nothing is in flight any more: the next back end may serve */
    }
}

static int on_config_write(void *context, uint32_t offset, const void *from, uint32_t length)
{
    struct bh_gated *gated = context;
    const int result = bh_link_config_write(&gated->link, offset, from, length);
    if (result == BH_OK) {
        memcpy(gated->config + offset, from, length);
        memcpy(gated->record->config + offset, from, length);
    }
    return result;
}

static void on_lied(void *context, uint16_t queue, const char *reason)
{
    struct bh_gated *gated = context;
    char text[BH_GATE_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "queue %u: %s", queue, reason);
    bh_link_end(&gated->link, BH_GATE_BACK_LIED, text);
}

static int on_queue_stop(void *context, uint16_t queue)
{
    struct bh_gated *gated = context;
    uint32_t base;
    return bh_link_queue_stop(&gated->link, queue, &base);
}

static uint64_t on_now(void *context)
{
    (void)context;
    return bh_gate_now_us();
}

static const struct bh_relay_ops relay_ops = {
    .agreed = on_agreed,
    .config_write = on_config_write,
    .lied = on_lied,
    .queue_stop = on_queue_stop,
    .wake = bh_gated_wake,
    .now_us = on_now,
};

static void on_keep_region(void *context, int fd)
{
    struct bh_gated *gated = context;
    const struct bh_gate_message message = {
        .kind = BH_GATE_KEEP, .device = gated->index, .slot = BH_GATE_SLOT_INFLIGHT};
    (void)bh_control_send(gated->control, &message, fd);
}

static void on_idle(void *context)
{
    struct bh_gated *gated = context;
    if (gated->port != NULL) {
        bh_vu_backend_idle(gated->port);
    }
}

static const struct bh_direct_ops direct_ops = {
    .agreed = on_agreed,
    .config_write = on_config_write,
    .keep = on_keep_region,
    .idle = on_idle,
};

/* ---- made ---- */

static int make_relay(struct bh_gated *gated)
{
    const struct bh_relay_setup setup = {
        .ops = &relay_ops,
        .context = gated,
        .class = gated->class,
        .device = gated->setup,
        .limits = &gated->ledger->limits->devices[gated->index],
        .counters = &gated->record->counters,
        .class_state = gated->record->class_state,
        .memory = &gated->guest,
        .arena = gated->ledger->arenas[gated->index],
        .arena_address = BH_GATE_ARENA_BASE + gated->index * BH_GATE_ARENA_STRIDE,
    };
    const int result = bh_relay_create(&gated->relay, &setup);
    if (result == BH_OK) {
        gated->device = bh_relay_device(gated->relay);
    }
    return result;
}

/* The rings that ran when the gate before this one ended. */
static uint64_t resumed(const struct bh_gated *gated)
{
    const struct bh_vu_saved *saved = bh_ledger_saved(gated->record);
    uint64_t rings = 0;
    for (uint32_t i = 0; gated->adopts && i < gated->setup->queue_count; i++) {
        rings |= saved->rings[i].running != 0u ? UINT64_C(1) << i : 0u;
    }
    return rings;
}

static int make_direct(struct bh_gated *gated)
{
    const struct bh_direct_setup setup = {
        .ops = &direct_ops,
        .context = gated,
        .device = gated->setup,
        .link = &gated->link,
        .memory = &gated->guest,
        .waits = gated->class->waits,
        .resumed = resumed(gated),
        .inflight = gated->adopts ? gated->kept[BH_GATE_SLOT_INFLIGHT] : -1,
    };
    const int result = bh_direct_create(&gated->direct, &setup);
    if (result == BH_OK) {
        gated->device = bh_direct_device(gated->direct);
    }
    return result;
}

int bh_gated_serve_init(struct bh_gated *gated)
{
    return gated->setup->arena_size != 0u ? make_relay(gated) : make_direct(gated);
}

/* ---- shown ---- */

void bh_gated_serve_offer(struct bh_gated *gated)
{
    const struct bh_gate_record *record = gated->record;
    const uint16_t queues = gated->link.state == BH_LINK_OPEN ? bh_link_queues(&gated->link)
                                                              : gated->setup->queue_count;
    if (gated->relay != NULL) {
        bh_relay_offer(gated->relay, record->offered, record->config, record->config_size, queues);
    } else {
        bh_direct_offer(gated->direct, record->offered, record->config, record->config_size,
                        queues);
    }
}

void bh_gated_serve_config(struct bh_gated *gated)
{
    const struct bh_gate_record *record = gated->record;
    if (gated->relay != NULL) {
        bh_relay_config_changed(gated->relay, record->config, record->config_size);
    } else {
        bh_direct_config_changed(gated->direct, record->config, record->config_size);
    }
}

uint64_t bh_gated_serve_running(const struct bh_gated *gated)
{
    uint64_t running = 0;
    if (gated->direct != NULL) {
        return bh_direct_running(gated->direct);
    }
    for (uint16_t i = 0; i < gated->device->queue_count; i++) {
        if (gated->device->queues[i].state != BH_QUEUE_STOPPED) {
            running |= UINT64_C(1) << i;
        }
    }
    return running;
}

/* ---- memory ---- */

static bool queue_exposed(const struct bh_gated *gated, const struct bh_queue *queue)
{
    const bool packed = (gated->device->features & BH_F_RING_PACKED) != 0u;
    return bh_gate_memory_exposes(&gated->memory, &gated->guest, queue->descriptor,
                                  bh_descriptor_area_size(queue->size)) ||
           bh_gate_memory_exposes(&gated->memory, &gated->guest, queue->driver,
                                  bh_driver_area_size(queue->size, packed)) ||
           bh_gate_memory_exposes(&gated->memory, &gated->guest, queue->device,
                                  bh_device_area_size(queue->size, packed));
}

bool bh_gated_serve_exposed(const struct bh_gated *gated)
{
    for (uint16_t i = 0; i < gated->device->queue_count; i++) {
        const struct bh_queue *queue = &gated->device->queues[i];
        if (queue->state != BH_QUEUE_STOPPED && queue_exposed(gated, queue)) {
            return true;
        }
    }
    return false;
}

/* The back end's memory table: what is shared, and the arena. */
static int table_of(const struct bh_gated *gated, struct bh_vu_share *shares)
{
    int count = 0;
    if (!gated->unshared) {
        count = bh_gate_memory_shares(&gated->memory, shares, BH_LINK_SHARES_MAX - 1u);
    }
    if (count >= 0 && gated->relay != NULL) {
        shares[count] = (struct bh_vu_share){
            .guest_address = BH_GATE_ARENA_BASE + gated->index * BH_GATE_ARENA_STRIDE,
            .size = gated->setup->arena_size,
            .fd = gated->ledger->arena_fds[gated->index],
        };
        count++;
    }
    return count;
}

bool bh_gated_serve_moved(struct bh_gated *gated)
{
    struct bh_vu_share shares[BH_LINK_SHARES_MAX];
    const int count = table_of(gated, shares);
    return count < 0 || !bh_link_shares(&gated->link, shares, (uint32_t)count);
}

static void tell_relay(struct bh_gated *gated, const struct bh_vu_share *shares, uint32_t count)
{
    struct bh_relay_range ranges[BH_LINK_SHARES_MAX];
    for (uint32_t i = 0; i < count; i++) {
        ranges[i] = (struct bh_relay_range){shares[i].guest_address, shares[i].size};
    }
    bh_relay_share(gated->relay, ranges, count);
}

/* ---- attached ---- */

uint64_t bh_gated_serve_needs(const struct bh_gated *gated)
{
    const uint64_t used = gated->agreed != 0u ? gated->agreed : gated->record->offered;
    return used & (gated->relay != NULL ? ~BH_F_TRANSPORT_MASK : ~BH_F_ACCESS_PLATFORM);
}

/* What the back end is asked for: the class's features are the guest's choice, those of the ring the
 * gate's (or in direct the guest's, too). */
static uint64_t features_for(const struct bh_gated *gated)
{
    const uint64_t offered = bh_link_offered(&gated->link);
    if (gated->direct != NULL) {
        return gated->agreed & offered;
    }
    const uint64_t packed = gated->setup->packed != 0u ? BH_F_RING_PACKED : 0u;
    return ((gated->agreed & ~BH_F_TRANSPORT_MASK) | RING_FEATURES | packed) & offered;
}

bool bh_gated_serve_possible(struct bh_gated *gated)
{
    struct bh_vu_share shares[BH_LINK_SHARES_MAX];
    return gated->relay != NULL || table_of(gated, shares) != 0;
}

/* What the driver set is told to a back end that serves its rings itself, once they run. */
static int tell_setting(struct bh_gated *gated, uint64_t features)
{
    const int32_t at = gated->class->setting != NULL ? gated->class->setting(features) : -1;
    if (at < 0 || (uint32_t)at >= gated->record->config_size) {
        return BH_OK;
    }
    const int result =
        bh_link_config_write(&gated->link, (uint32_t)at, &gated->record->config[at], 1);
    /* One that does not take it keeps to what it does by itself. */
    return result == BH_DENIED || result == BH_UNSUPPORTED ? BH_OK : result;
}

int bh_gated_serve_attach(struct bh_gated *gated)
{
    struct bh_vu_share shares[BH_LINK_SHARES_MAX];
    const uint64_t features = features_for(gated);
    const int count = table_of(gated, shares);
    int result = count < 0 ? count : bh_link_agree(&gated->link, features, shares, (uint32_t)count);
    if (result != BH_OK) {
        return result;
    }
    if (gated->direct != NULL) {
        result = bh_direct_attach(gated->direct);
        return result == BH_OK ? tell_setting(gated, features) : result;
    }
    tell_relay(gated, shares, (uint32_t)count - 1u);
    return bh_relay_attach(gated->relay, &gated->link.transport, features);
}

uint64_t bh_gated_serve_owes(struct bh_gated *gated, uint64_t now)
{
    if (!gated->attached) {
        return 0;
    }
    return gated->relay != NULL ? bh_relay_owes(gated->relay) : bh_direct_owes(gated->direct, now);
}

bool bh_gated_serve_replaceable(const struct bh_gated *gated)
{
    return gated->direct == NULL || bh_direct_replaceable(gated->direct);
}

void bh_gated_serve_detach(struct bh_gated *gated, bool look)
{
    if (gated->relay != NULL) {
        bh_relay_detach(gated->relay, look);
    } else {
        bh_direct_detach(gated->direct);
    }
}

void bh_gated_serve_refuse(struct bh_gated *gated)
{
    if (gated->relay != NULL) {
        bh_relay_refuse(gated->relay);
    } else {
        bh_direct_refuse(gated->direct);
    }
}
