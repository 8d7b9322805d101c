/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device on the wire: what driver and device share (VIRTIO 1.4, 5.3). Fields are
 * little-endian; use bytes.h to touch them.
 */
#ifndef BULKHEAD_VIRTIO_CONSOLE_H
#define BULKHEAD_VIRTIO_CONSOLE_H

#include <stdint.h>

#define BH_CONSOLE_F_SIZE        (UINT64_C(1) << 0)
#define BH_CONSOLE_F_MULTIPORT   (UINT64_C(1) << 1)
#define BH_CONSOLE_F_EMERG_WRITE (UINT64_C(1) << 2)

/* Queues (VIRTIO 1.4, 5.3.2). The control queues, and those of ports from 1 on, exist with
 * MULTIPORT only. Port n > 0 has the queues 2n + 2 and 2n + 3. */
#define BH_CONSOLE_RECEIVE          0u
#define BH_CONSOLE_TRANSMIT         1u
#define BH_CONSOLE_CONTROL_RECEIVE  2u
#define BH_CONSOLE_CONTROL_TRANSMIT 3u

struct bh_console_config {
    uint16_t cols;
    uint16_t rows;
    uint32_t max_nr_ports;
    uint32_t emerg_wr;
};

/* A control message begins with this (VIRTIO 1.4, 5.3.6.2). */
struct bh_console_control {
    uint32_t id;    /* port */
    uint16_t event; /* BH_CONSOLE_DEVICE_READY, … */
    uint16_t value;
};

#define BH_CONSOLE_DEVICE_READY  0u /* from the driver */
#define BH_CONSOLE_DEVICE_ADD    1u
#define BH_CONSOLE_DEVICE_REMOVE 2u
#define BH_CONSOLE_PORT_READY    3u /* from the driver */
#define BH_CONSOLE_CONSOLE_PORT  4u
#define BH_CONSOLE_RESIZE        5u /* a bh_console_resize follows */
#define BH_CONSOLE_PORT_OPEN     6u /* from both */
#define BH_CONSOLE_PORT_NAME     7u /* the name follows, in UTF-8, without a NUL */

struct bh_console_resize {
    uint16_t cols;
    uint16_t rows;
};

_Static_assert(sizeof(struct bh_console_config) == 12u, "wire format");
_Static_assert(sizeof(struct bh_console_control) == 8u, "wire format");
_Static_assert(sizeof(struct bh_console_resize) == 4u, "wire format");

#endif
