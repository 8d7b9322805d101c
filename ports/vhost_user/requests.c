/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests that concern the whole device: features, memory, configuration space, status, the
 * in-flight region. Sizes and descriptor counts were checked against the table in session.c; what
 * a payload says is checked here. The rings' requests are in ring_requests.c.
 */
#include <sys/stat.h>

#include "internal.h"

/* Legacy, and true of every VERSION_1 device: QEMU lets guests accept it though nobody offers it.
 */
#define F_ANY_LAYOUT (UINT64_C(1) << 27)

static int reply_u64(struct bh_vu_outgoing *reply, uint64_t value)
{
    reply->payload.u64 = value;
    reply->size = sizeof(reply->payload.u64);
    return BH_OK;
}

/* ---- negotiation ---- */

int bh_vu_on_nothing(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                     struct bh_vu_outgoing *reply)
{
    (void)backend;
    (void)message;
    (void)reply;
    return BH_OK;
}

/* The protocol's advice for this relic is to disable the rings, and nothing else. */
int bh_vu_on_reset_owner(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                         struct bh_vu_outgoing *reply)
{
    (void)message;
    (void)reply;
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        backend->rings[i].enabled = false;
    }
    return bh_vu_rings_halt(backend);
}

int bh_vu_on_get_features(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    (void)message;
    return reply_u64(reply, bh_device_features(backend->device) | BH_VU_F_PROTOCOL_FEATURES);
}

/* What is left of a driver that begins anew, or of another one before it. */
static void forget_driver(struct bh_vu_backend *backend, uint64_t features)
{
    struct bh_device *device = backend->device;
    bool broke = (device->status & BH_STATUS_NEEDS_RESET) != 0u;
    bool other = device->features != 0u && features != device->features;

    if ((broke || other) && backend->setup.journal != NULL) {
        /* A region of the front end's is the front end's business. */
        bh_vu_inflight_forget(backend);
    }
    if (broke) {
        /* A front end without STATUS has no other way to say that the driver begins anew. */
        (void)bh_device_reset(device);
    }
}

/* The front end may say the same again at any time; something else only while no ring runs. */
static int set_features(struct bh_vu_backend *backend, uint64_t features)
{
    struct bh_device *device = backend->device;

    if (bh_vu_rings_running(backend)) {
        return features == device->features
                   ? BH_OK
                   : bh_vu_because(backend, BH_STATE, "features of a running device");
    }
    forget_driver(backend, features);
    if (features != device->features) {
        for (uint16_t i = 0; i < backend->ring_count; i++) {
            bh_vu_inflight_finish(&backend->rings[i]);
        }
    }

    int error = bh_device_features_set(device, features);

    return error == BH_OK ? BH_OK : bh_vu_because(backend, error, "features refused");
}

int bh_vu_on_set_features(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    uint64_t value = message->payload.u64;
    int error = set_features(backend, value & ~(BH_VU_F_PROTOCOL_FEATURES | F_ANY_LAYOUT));

    (void)reply;
    if (error != BH_OK) {
        return error;
    }
    backend->session.features_set = true;
    if ((value & BH_VU_F_PROTOCOL_FEATURES) == 0u) {
        for (uint16_t i = 0; i < backend->ring_count; i++) {
            backend->rings[i].enabled = true;
        }
    }
    bh_vu_rings_try(backend);
    return BH_OK;
}

/* A device without a configuration space has no use for its messages, and QEMU warns about them. */
uint64_t bh_vu_protocol_offered(const struct bh_vu_backend *backend)
{
    const struct bh_device *device = backend->device;
    const struct bh_vu_setup *setup = &backend->setup;
    uint64_t offered = BH_VU_PROTOCOL_FEATURES;

    if (setup->protocol_features != 0u) {
        offered &= setup->protocol_features;
    }
    if (device->class->config_size(device) == 0u) {
        offered &= ~BH_VU_PROTOCOL_F_CONFIG;
    }
    if (setup->journal != NULL) {
        offered &= ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
    }
    return offered;
}

int bh_vu_on_get_protocol_features(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                                   struct bh_vu_outgoing *reply)
{
    (void)message;
    return reply_u64(reply, bh_vu_protocol_offered(backend));
}

int bh_vu_on_set_protocol_features(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                                   struct bh_vu_outgoing *reply)
{
    uint64_t value = message->payload.u64;

    (void)reply;
    if ((value & ~bh_vu_protocol_offered(backend)) != 0u) {
        return bh_vu_because(backend, BH_INVALID, "protocol features that were not offered");
    }
    if (bh_vu_rings_running(backend) && value != backend->session.protocol) {
        return bh_vu_because(backend, BH_STATE, "protocol features of a running device");
    }
    backend->session.protocol = value;
    return BH_OK;
}

int bh_vu_on_get_queue_num(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                           struct bh_vu_outgoing *reply)
{
    (void)message;
    return reply_u64(reply, backend->ring_count);
}

/* ---- memory ---- */

int bh_vu_on_get_max_mem_slots(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                               struct bh_vu_outgoing *reply)
{
    (void)message;
    return reply_u64(reply, bh_vu_regions_slots(backend));
}

/* After the table was changed, or was not, for `error`. */
static int changed(struct bh_vu_backend *backend, int error)
{
    const struct bh_vu_memory_ops *ops = backend->setup.memory_ops;

    if (error == BH_OK && ops != NULL) {
        ops->changed(backend->setup.context);
    }
    bh_vu_rings_try(backend);
    return error;
}

int bh_vu_on_set_mem_table(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                           struct bh_vu_outgoing *reply)
{
    uint32_t count = message->payload.table.count;

    (void)reply;
    /* There are one to eight descriptors: so this bounds the count too. */
    if (count != message->fd_count ||
        message->header.size != 8u + count * sizeof(struct bh_vu_region)) {
        return bh_vu_because(backend, BH_PROTOCOL, "regions, size and descriptors do not agree");
    }

    int error = bh_vu_rings_halt(backend);

    return error == BH_OK ? changed(backend, bh_vu_regions_replace(backend, message)) : error;
}

/* Nothing is taken away, so nothing has to be drained, but for an owner who wants to see it. */
int bh_vu_on_add_mem_reg(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                         struct bh_vu_outgoing *reply)
{
    const struct bh_vu_region *region = &message->payload.region.region;
    int error = backend->setup.memory_ops != NULL ? bh_vu_rings_halt(backend) : BH_OK;

    (void)reply;
    return error == BH_OK ? changed(backend, bh_vu_regions_add(backend, region, message->fds[0]))
                          : error;
}

int bh_vu_on_rem_mem_reg(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                         struct bh_vu_outgoing *reply)
{
    int error = bh_vu_rings_halt(backend);

    (void)reply;
    return error == BH_OK
               ? changed(backend, bh_vu_regions_remove(backend, &message->payload.region.region))
               : error;
}

/* ---- configuration space ---- */

static int check_config(struct bh_vu_backend *backend, const struct bh_vu_incoming *message)
{
    const struct bh_vu_config *config = &message->payload.config;

    /* The table bounds the size of the message: so this bounds that of the field too. */
    if (config->size != message->header.size - BH_VU_CONFIG_HEADER) {
        return bh_vu_because(backend, BH_PROTOCOL, "configuration size does not fit the message");
    }
    return BH_OK;
}

int bh_vu_on_get_config(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    const struct bh_vu_config *config = &message->payload.config;
    struct bh_device *device = backend->device;
    int error = check_config(backend, message);

    if (error != BH_OK) {
        return error;
    }
    if (config->offset >= device->class->config_size(device)) {
        /* "Zero length of payload to indicate an error". */
        reply->size = 0;
        return BH_OK;
    }
    reply->payload.config.offset = config->offset;
    reply->payload.config.size = config->size;
    reply->payload.config.flags = config->flags;
    /* A front end may know more fields than the device has: those read as zero. */
    (void)bh_device_config_read(device, config->offset, reply->payload.config.data, config->size);
    reply->size = BH_VU_CONFIG_HEADER + config->size;
    return BH_OK;
}

/* The flags are not looked at: front ends disagree about them (some mark every driver's write with
 * the migration bit), and only what a driver may write is written anyway. */
int bh_vu_on_set_config(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    const struct bh_vu_config *config = &message->payload.config;
    int error = check_config(backend, message);

    (void)reply;
    if (error != BH_OK) {
        return error;
    }
    error = bh_device_config_write(backend->device, config->offset, config->data, config->size);
    return error == BH_OK ? BH_OK : bh_vu_because(backend, error, "configuration not writable");
}

int bh_vu_on_set_backend_req_fd(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                                struct bh_vu_outgoing *reply)
{
    struct stat status;

    (void)reply;
    if (fstat(message->fds[0], &status) != 0 || !S_ISSOCK(status.st_mode)) {
        return bh_vu_because(backend, BH_INVALID, "channel is no socket");
    }
    bh_vu_close(&backend->session.channel);
    backend->session.channel = bh_vu_wire_take(message, 0);
    bh_vu_config_announce(backend);
    return BH_OK;
}

void bh_vu_config_announce(struct bh_vu_backend *backend)
{
    struct bh_vu_session *session = &backend->session;
    const uint64_t needed = BH_VU_PROTOCOL_F_CONFIG | BH_VU_PROTOCOL_F_BACKEND_REQ;
    /* No reply is asked for: waiting for one, while the front end waits for ours, is a deadlock. */
    const struct bh_vu_header header = {.request = BH_VU_BACKEND_CONFIG_CHANGE,
                                        .flags = BH_VU_VERSION};

    /* A device whose rings all stand still sends nothing ("Suspended device state"). */
    if (!session->config_due || session->channel < 0 || (session->protocol & needed) != needed ||
        !bh_vu_rings_running(backend)) {
        return;
    }
    session->config_due = false;
    /* A channel that is full holds this very message already, unread: nothing is lost. */
    if (bh_vu_wire_send(session->channel, &header, NULL, -1) == BH_GONE) {
        bh_vu_close(&session->channel);
    }
}

/* ---- in-flight region ---- */

int bh_vu_on_get_inflight(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    /* Front ends disagree about the padding at the end: answer as asked. */
    reply->size = message->header.size;
    return bh_vu_inflight_get(backend, &message->payload.inflight, reply);
}

int bh_vu_on_set_inflight(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    (void)reply;
    return bh_vu_inflight_set(backend, &message->payload.inflight, message->fds[0]);
}

/* ---- status and reset ---- */

/* Back to before SET_FEATURES. Memory, protocol features, in-flight region, and call and error
 * descriptors belong to the connection and stay: QEMU sends the latter once. */
int bh_vu_on_reset_device(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                          struct bh_vu_outgoing *reply)
{
    int error = bh_vu_rings_halt(backend);

    (void)message;
    (void)reply;
    if (error != BH_OK) {
        return error;
    }
    if (backend->session.features_set) {
        bh_vu_inflight_forget(backend);
    }
    backend->session.features_set = false;
    backend->session.told_ready = false;
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        bh_vu_ring_reset(&backend->rings[i], false);
    }
    return bh_device_reset(backend->device);
}

int bh_vu_on_set_status(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    uint64_t status = message->payload.u64;

    if (status > UINT8_MAX) {
        return bh_vu_because(backend, BH_PROTOCOL, "status of more than eight bits");
    }
    if (status == 0u) {
        return bh_vu_on_reset_device(backend, message, reply);
    }

    int error = bh_device_status_set(backend->device, (uint8_t)status);

    return error == BH_OK ? BH_OK : bh_vu_because(backend, error, "status refused");
}

int bh_vu_on_get_status(struct bh_vu_backend *backend, struct bh_vu_incoming *message,
                        struct bh_vu_outgoing *reply)
{
    (void)message;
    return reply_u64(reply, backend->device->status);
}
