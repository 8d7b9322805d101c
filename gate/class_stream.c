/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of devices that bring what happens outside: network (VIRTIO 1.4, 5.1), socket
 * (5.10), entropy (5.4), and others of which it matters only which queues wait for an event.
 *
 *   net    receive queues are the even ones (5.1.2); the control queue is the front end's own business
 *          under vhost-user. A frame is not sent twice: what was in flight is dropped, as a wire may.
 *   vsock  packets are parts of streams: one that came twice would break the stream, one that is lost
 *          ends it. A successor knows none of the connections, and says so when asked.
 *   rng    may be asked twice. What is refused has no bytes.
 */
#include "class_table.h"

#include <stddef.h>

static bool never(const struct bh_chain *chain, uint16_t queue)
{
    (void)chain;
    (void)queue;
    return false;
}

static bool is_even(uint16_t queue)
{
    return (queue & 1u) == 0u;
}

static bool is_first(uint16_t queue)
{
    return queue == 0u;
}

static bool is_second(uint16_t queue)
{
    return queue == 1u;
}

static bool is_third(uint16_t queue)
{
    return queue == 2u;
}

/* ---- what must not be repeated ---- */

/* A buffer to receive into may be given to the next one. */
static bool net_repeats(const struct bh_chain *chain, uint16_t queue)
{
    (void)chain;
    return is_even(queue);
}

const struct bh_gate_class bh_gate_class_net = {
    .type = BH_ID_NET,
    .name = "net",
    .waits = is_even,
    .repeats = net_repeats,
};

/* Receive, transmit, event (5.10.2). */
static bool vsock_repeats(const struct bh_chain *chain, uint16_t queue)
{
    (void)chain;
    return queue != 1u;
}

const struct bh_gate_class bh_gate_class_vsock = {
    .type = 19,
    .name = "vsock",
    .waits = is_even,
    .repeats = vsock_repeats,
};

/* SPI transfers (5.21) are as I2C's, but for the shape of their answer. */
const struct bh_gate_class bh_gate_class_spi = {
    .type = 45,
    .name = "spi",
    .repeats = never,
};

/* ---- what may ---- */

const struct bh_gate_class bh_gate_class_rng = {
    .type = BH_ID_RNG,
    .name = "rng",
};

/* Statistics wait until the device wants them (5.5.2). */
const struct bh_gate_class bh_gate_class_balloon = {
    .type = 5,
    .name = "balloon",
    .waits = is_third,
};

/* Events: SCSI 5.6.2, input 5.8.2, IOMMU 5.13.2, sound 5.14.2, SCMI 5.17.2. */
const struct bh_gate_class bh_gate_class_scsi = {
    .type = 8,
    .name = "scsi",
    .waits = is_second,
};

const struct bh_gate_class bh_gate_class_input = {
    .type = 18,
    .name = "input",
    .waits = is_first,
};

const struct bh_gate_class bh_gate_class_iommu = {
    .type = 23,
    .name = "iommu",
    .waits = is_second,
};

const struct bh_gate_class bh_gate_class_sound = {
    .type = 25,
    .name = "sound",
    .waits = is_second,
};

const struct bh_gate_class bh_gate_class_scmi = {
    .type = 32,
    .name = "scmi",
    .waits = is_second,
};
