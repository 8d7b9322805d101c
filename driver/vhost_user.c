/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user front end as a transport: each call of a driver becomes the messages that a virtual
 * machine monitor would send for it. Status and reset are the front end's own where the back end
 * knows none (no STATUS): a reset stops every queue, and that is what matters.
 *
 * Not passed on to the driver, whatever the back end offers: ACCESS_PLATFORM (there is no IOMMU
 * between the two) and NOTIFICATION_DATA (an eventfd carries none).
 */
#include "bulkhead/virtio_mmio.h"
#include "vu.h"

#define HIDDEN                                                                                     \
    (BH_VU_F_PROTOCOL_FEATURES | BH_VU_F_LOG_ALL | BH_F_ACCESS_PLATFORM | BH_F_NOTIFICATION_DATA)

static struct bh_vu_frontend *frontend_of(struct bh_transport *transport)
{
    return (struct bh_vu_frontend *)transport; /* its first member */
}

static int vu_device_id(struct bh_transport *transport, uint32_t *id)
{
    *id = frontend_of(transport)->device_id;
    return BH_OK;
}

/* ---- features and status ---- */

static int vu_features_get(struct bh_transport *transport, uint64_t *features)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    const int result = bh_vu_get_u64(frontend, BH_VU_GET_FEATURES, &frontend->offered);

    *features = frontend->offered & ~HIDDEN;
    return result;
}

static int vu_features_set(struct bh_transport *transport, uint64_t features)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);

    frontend->features = features;
    return bh_vu_agree(frontend);
}

static int vu_status_get(struct bh_transport *transport, uint8_t *status)
{
    const struct bh_vu_frontend *frontend = frontend_of(transport);
    uint64_t shown = frontend->status;
    int result = BH_OK;

    if (bh_vu_has(frontend, BH_VU_PROTOCOL_F_STATUS)) {
        result = bh_vu_get_u64(frontend_of(transport), BH_VU_GET_STATUS, &shown);
    }
    if (result != BH_OK) {
        return result;
    }
    if (shown > UINT8_MAX) {
        return BH_PROTOCOL;
    }
    *status = (uint8_t)shown;
    if (frontend->failed) {
        *status |= BH_STATUS_NEEDS_RESET;
    }
    return BH_OK;
}

/* A reset (VIRTIO 1.4, 2.4): the rings are stopped first, one by one, because that is what every back
 * end understands, and what waits for requests in flight. */
static int reset(struct bh_vu_frontend *frontend)
{
    struct bh_vu_message message;
    uint64_t shown = 0;
    uint32_t base = 0;
    int result = BH_OK;

    for (uint16_t i = 0; i < frontend->queue_count && result == BH_OK; i++) {
        if (frontend->queues[i].started) {
            result = bh_vu_frontend_queue_stop(frontend, i, &base);
        }
    }
    if (result == BH_OK && bh_vu_has(frontend, BH_VU_PROTOCOL_F_RESET_DEVICE)) {
        bh_vu_message_init(&message, BH_VU_RESET_DEVICE);
        result = bh_vu_frontend_request(frontend, &message, false);
    }
    if (result == BH_OK && bh_vu_has(frontend, BH_VU_PROTOCOL_F_STATUS)) {
        result = bh_vu_set_u64(frontend, BH_VU_SET_STATUS, 0);
        if (result == BH_OK) {
            result = bh_vu_get_u64(frontend, BH_VU_GET_STATUS, &shown);
        }
    }
    if (result != BH_OK) {
        return result;
    }
    frontend->status = 0;
    frontend->failed = false;
    frontend->features = 0;
    bh_vu_inflight_return(frontend); /* nothing is in flight: the next life gets its own */
    return shown == 0u ? BH_OK : BH_PROTOCOL;
}

static int vu_status_set(struct bh_transport *transport, uint8_t status)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);

    if (status == 0u) {
        /* A connection begins with a device that is reset. */
        return frontend->status != 0u ? reset(frontend) : BH_OK;
    }
    frontend->status = status;
    return bh_vu_has(frontend, BH_VU_PROTOCOL_F_STATUS)
               ? bh_vu_set_u64(frontend, BH_VU_SET_STATUS, status)
               : BH_OK;
}

/* ---- configuration space ---- */

static int vu_generation(struct bh_transport *transport, uint32_t *generation)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);

    bh_vu_backend_serve(frontend);
    *generation = frontend->generation;
    return BH_OK;
}

static bool config_fits(uint32_t offset, uint32_t length)
{
    return length != 0u && offset <= BH_VU_CONFIG_MAX && length <= BH_VU_CONFIG_MAX - offset;
}

/* Reads from offset 0 on, whatever is wanted: common back ends take no notice of the offset. */
static int vu_config_read(struct bh_transport *transport, uint32_t offset, void *to,
                          uint32_t length)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    struct bh_vu_message message;

    if (!bh_vu_has(frontend, BH_VU_PROTOCOL_F_CONFIG)) {
        return BH_UNSUPPORTED;
    }
    if (!config_fits(offset, length)) {
        return BH_INVALID;
    }

    const uint32_t whole = offset + length;

    bh_vu_message_init(&message, BH_VU_GET_CONFIG);
    message.header.size = BH_VU_CONFIG_HEADER + whole;
    message.payload.config.size = whole;

    const int result = bh_vu_frontend_request(frontend, &message, true);

    if (result != BH_OK) {
        return result;
    }
    for (uint32_t i = 0; i < message.fd_count; i++) {
        bh_vu_fd_close(frontend, &message.fds[i]);
    }
    if (message.header.size != BH_VU_CONFIG_HEADER + whole ||
        message.payload.config.size != whole) {
        return BH_INVALID; /* no payload, or another one: the back end has no such bytes */
    }
    bh_copy(to, &message.payload.config.data[offset], length);
    return BH_OK;
}

static int vu_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                           uint32_t length)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    struct bh_vu_message message;

    if (!bh_vu_has(frontend, BH_VU_PROTOCOL_F_CONFIG)) {
        return BH_UNSUPPORTED;
    }
    if (!config_fits(offset, length)) {
        return BH_INVALID;
    }
    bh_vu_message_init(&message, BH_VU_SET_CONFIG);
    message.header.size = BH_VU_CONFIG_HEADER + length;
    message.payload.config.offset = offset;
    message.payload.config.size = length;
    bh_copy(message.payload.config.data, from, length);
    return bh_vu_frontend_request(frontend, &message, false);
}

/* ---- queues ---- */

static int vu_queue_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    const struct bh_vu_frontend *frontend = frontend_of(transport);

    *size = index < frontend->queue_count ? frontend->queue_size_max : (uint16_t)0;
    return BH_OK;
}

/* A region for all queues, before the first one starts. */
static int start_inflight(struct bh_vu_frontend *frontend)
{
    int result = BH_OK;

    if (!bh_vu_has(frontend, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD)) {
        return BH_OK;
    }
    if (frontend->inflight_fd < 0) {
        result = bh_vu_frontend_inflight_get(frontend, frontend->queue_size_max);
    }
    return result == BH_OK && !frontend->inflight_told ? bh_vu_frontend_inflight_set(frontend)
                                                       : result;
}

static int vu_queue_start(struct bh_transport *transport, uint16_t index,
                          const struct bh_queue_areas *areas)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    const bool packed = (frontend->features & BH_F_RING_PACKED) != 0u;

    if (index >= frontend->queue_count || areas->size > frontend->queue_size_max) {
        return BH_LIMIT;
    }
    if (frontend->queues[index].started) {
        return BH_STATE;
    }
    frontend->queues[index].areas = *areas;

    const int result = start_inflight(frontend);

    if (result != BH_OK) {
        return result;
    }
    return bh_vu_frontend_queue_go(frontend, index, packed ? BH_VU_BASE_PACKED : BH_VU_BASE_SPLIT);
}

static int vu_queue_reset(struct bh_transport *transport, uint16_t index)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    uint32_t base = 0;

    if ((frontend->features & BH_F_RING_RESET) == 0u) {
        return BH_UNSUPPORTED;
    }
    return bh_vu_frontend_queue_stop(frontend, index, &base);
}

static int vu_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    const struct bh_vu_frontend *frontend = frontend_of(transport);

    (void)next;
    (void)wrap;
    if (index >= frontend->queue_count || !frontend->queues[index].started) {
        return BH_STATE;
    }
    return frontend->channel->event_signal(frontend->context, frontend->queues[index].kick);
}

/* The error event is what vhost-user has for DEVICE_NEEDS_RESET: the driver sees that, with the
 * configuration change that announces it (VIRTIO 1.4, 2.1.2). */
static int look_at_queue(struct bh_vu_frontend *frontend, const struct bh_vu_frontend_queue *queue,
                         uint32_t *pending)
{
    bool called = false;
    bool failed = false;
    int result = frontend->channel->event_consume(frontend->context, queue->call, &called);

    if (result == BH_OK) {
        result = frontend->channel->event_consume(frontend->context, queue->error, &failed);
    }
    if (called) {
        *pending |= BH_MMIO_INT_USED;
    }
    if (failed) {
        frontend->failed = true;
        *pending |= BH_MMIO_INT_CONFIG;
    }
    return result;
}

static int vu_interrupts(struct bh_transport *transport, uint32_t *pending)
{
    struct bh_vu_frontend *frontend = frontend_of(transport);
    int result = BH_OK;

    *pending = 0;
    for (uint16_t i = 0; i < frontend->queue_count && result == BH_OK; i++) {
        if (frontend->queues[i].started && !frontend->queues[i].lent) {
            result = look_at_queue(frontend, &frontend->queues[i], pending);
        }
    }
    bh_vu_backend_serve(frontend);
    if (frontend->config_changed) {
        frontend->config_changed = false;
        *pending |= BH_MMIO_INT_CONFIG;
    }
    return result;
}

static const struct bh_transport_ops vu_ops = {
    .device_id = vu_device_id,
    .features_get = vu_features_get,
    .features_set = vu_features_set,
    .status_get = vu_status_get,
    .status_set = vu_status_set,
    .generation = vu_generation,
    .config_read = vu_config_read,
    .config_write = vu_config_write,
    .queue_size_max = vu_queue_size_max,
    .queue_start = vu_queue_start,
    .queue_reset = vu_queue_reset,
    .notify = vu_notify,
    .interrupts = vu_interrupts,
};

/* ---- life ---- */

int bh_vu_frontend_init(struct bh_vu_frontend *frontend, const struct bh_vu_frontend_setup *setup)
{
    if (setup->queue_count == 0u || setup->queue_count > BH_VU_FRONTEND_QUEUES_MAX ||
        setup->share_count == 0u || (setup->protocol_features & ~BH_VU_FRONTEND_PROTOCOL) != 0u) {
        return BH_INVALID;
    }
    bh_fill(frontend, 0, sizeof(*frontend));
    frontend->transport.ops = &vu_ops;
    frontend->channel = setup->channel;
    frontend->context = setup->context;
    frontend->shares = setup->shares;
    frontend->share_count = setup->share_count;
    frontend->device_id = setup->device_id;
    frontend->queue_size_max = setup->queue_size_max;
    frontend->protocol_wanted = setup->protocol_features;
    frontend->inflight_fd = -1;
    for (uint16_t i = 0; i < BH_VU_FRONTEND_QUEUES_MAX; i++) {
        frontend->queues[i].kick = -1;
        frontend->queues[i].call = -1;
        frontend->queues[i].error = -1;
    }
    return bh_vu_greet(frontend, setup->queue_count);
}

void bh_vu_frontend_finish(struct bh_vu_frontend *frontend)
{
    for (uint16_t i = 0; i < BH_VU_FRONTEND_QUEUES_MAX; i++) {
        if (!frontend->queues[i].lent) {
            bh_vu_fd_close(frontend, &frontend->queues[i].kick);
            bh_vu_fd_close(frontend, &frontend->queues[i].call);
            bh_vu_fd_close(frontend, &frontend->queues[i].error);
        }
        frontend->queues[i].started = false;
    }
    bh_vu_inflight_return(frontend);
    frontend->broken = true;
}
