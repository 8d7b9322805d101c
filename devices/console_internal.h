/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the console model share: console.c moves bytes and holds the class,
 * console_control.c speaks with the driver about ports, console_config.c has features and
 * configuration space.
 */
#ifndef BULKHEAD_DEVICES_CONSOLE_INTERNAL_H
#define BULKHEAD_DEVICES_CONSOLE_INTERNAL_H

#include "bulkhead/bytes.h"
#include "bulkhead/console.h"

/* Control messages that are due for a port, in the order in which they go out. */
#define BH_CONSOLE_DUE_REMOVE  1u
#define BH_CONSOLE_DUE_ADD     2u
#define BH_CONSOLE_DUE_CONSOLE 4u
#define BH_CONSOLE_DUE_NAME    8u
#define BH_CONSOLE_DUE_RESIZE  16u
#define BH_CONSOLE_DUE_OPEN    32u

/* What the driver negotiated. */
static inline bool bh_console_has(const struct bh_console *console, uint64_t feature)
{
    return (console->device->features & feature) != 0u;
}

/* The receive queue of a port; its transmit queue comes next. */
static inline uint16_t bh_console_receive_queue(uint32_t port)
{
    return (uint16_t)(port == 0u ? BH_CONSOLE_RECEIVE : 2u * port + 2u);
}

/* ---- console.c ---- */

/* Tells the terminal whether the model wants to hear of bytes, as things stand. */
void bh_console_listen(struct bh_console *console, struct bh_console_port *port);

/* The host side of a port is closed: what waits for it is dropped. */
void bh_console_closed(struct bh_console *console, struct bh_console_port *port);

/* Output outside a queue: to the terminal, or behind what it did not take yet. */
void bh_console_emit(struct bh_console *console, struct bh_console_port *port, uint8_t byte);

/* Breaks off: the driver put a buffer into a queue that does not belong there. */
void bh_console_refuse(struct bh_console *console, struct bh_queue *queue, struct bh_chain *chain,
                       const char *reason);

/* ---- console_control.c ---- */

enum bh_served bh_console_serve_control_receive(struct bh_console *console, struct bh_queue *queue);
enum bh_served bh_console_serve_control_transmit(struct bh_console *console,
                                                 struct bh_queue *queue);

/* A message of these kinds is due, if the driver is to have it now. */
void bh_console_due(struct bh_console *console, struct bh_console_port *port, uint32_t messages);

/* The driver knows nothing of any port (or, `resumed`, nobody knows what it knows): announces
 * all. */
void bh_console_announce(struct bh_console *console, bool resumed);

/* ---- console_config.c ---- */

uint64_t bh_console_features(const struct bh_device *device);
void bh_console_features_set(struct bh_device *device);
uint32_t bh_console_config_size(const struct bh_device *device);
void bh_console_config_read(const struct bh_device *device, uint32_t offset, void *to,
                            uint32_t length);
int bh_console_config_write(struct bh_device *device, uint32_t offset, const void *from,
                            uint32_t length);

#endif
