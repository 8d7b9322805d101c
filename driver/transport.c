/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every driver does over any transport: the beginning of a device's life up to agreed features,
 * its end (DRIVER_OK), and consistent reads of the configuration space. What the calls become on the
 * wire is the transports' (mmio.c, vhost_user.c).
 */
#include "bulkhead/transport.h"

/* How often the configuration is read again when it changes under our hands. */
#define CONFIG_TRIES 16u

/* VIRTIO 1.4, 3.1.1: a driver that gives up says so. What the device makes of it changes nothing. */
static int give_up(struct bh_transport *transport, uint8_t status, int error)
{
    (void)transport->ops->status_set(transport, (uint8_t)(status | BH_STATUS_FAILED));
    return error;
}

/* Steps 4 to 6. The device's offer is read once: bits that appear or vanish later change nothing. */
static int agree(struct bh_transport *transport, uint64_t wanted, uint64_t needed, uint8_t *status,
                 uint64_t *agreed)
{
    uint64_t offered = 0;
    uint8_t shown = 0;
    int result = transport->ops->features_get(transport, &offered);

    if (result != BH_OK) {
        return result;
    }

    uint64_t features = offered & (wanted | needed);

    if ((features & needed) != needed) {
        return BH_UNSUPPORTED;
    }
    result = transport->ops->features_set(transport, features);
    if (result != BH_OK) {
        return result;
    }
    *status |= BH_STATUS_FEATURES_OK;
    result = transport->ops->status_set(transport, *status);
    if (result != BH_OK) {
        return result;
    }
    result = transport->ops->status_get(transport, &shown);
    if (result != BH_OK) {
        return result;
    }
    if ((shown & BH_STATUS_FEATURES_OK) == 0u) {
        return BH_UNSUPPORTED;
    }
    *agreed = features;
    return BH_OK;
}

int bh_transport_begin(struct bh_transport *transport, uint64_t wanted, uint64_t needed,
                       uint64_t *agreed)
{
    uint8_t status = 0;
    int result = transport->ops->status_set(transport, 0);

    if (result != BH_OK) {
        return give_up(transport, status, result);
    }
    status |= BH_STATUS_ACKNOWLEDGE;
    result = transport->ops->status_set(transport, status);
    if (result != BH_OK) {
        return give_up(transport, status, result);
    }
    status |= BH_STATUS_DRIVER;
    result = transport->ops->status_set(transport, status);
    if (result != BH_OK) {
        return give_up(transport, status, result);
    }
    result = agree(transport, wanted, needed | BH_F_VERSION_1, &status, agreed);
    if (result != BH_OK) {
        return give_up(transport, status, result);
    }
    return BH_OK;
}

int bh_transport_ready(struct bh_transport *transport)
{
    uint8_t status =
        BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK | BH_STATUS_DRIVER_OK;
    uint8_t shown = 0;
    int result = transport->ops->status_set(transport, status);

    if (result != BH_OK) {
        return result;
    }
    result = transport->ops->status_get(transport, &shown);
    if (result != BH_OK) {
        return result;
    }
    if ((shown & BH_STATUS_DRIVER_OK) == 0u || (shown & BH_STATUS_NEEDS_RESET) != 0u) {
        return give_up(transport, status, BH_PROTOCOL);
    }
    return BH_OK;
}

int bh_transport_config(struct bh_transport *transport, uint32_t offset, void *to, uint32_t length)
{
    for (uint32_t i = 0; i < CONFIG_TRIES; i++) {
        uint32_t before = 0;
        uint32_t after = 0;
        int result = transport->ops->generation(transport, &before);

        if (result != BH_OK) {
            return result;
        }
        result = transport->ops->config_read(transport, offset, to, length);
        if (result != BH_OK) {
            return result;
        }
        result = transport->ops->generation(transport, &after);
        if (result != BH_OK) {
            return result;
        }
        if (before == after) {
            return BH_OK;
        }
    }
    return BH_AGAIN;
}
