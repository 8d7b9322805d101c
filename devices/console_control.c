/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's control queues (VIRTIO 1.4, 5.3.6.2): the driver is told of ports, and tells what
 * it made of them. Not here: data.
 *
 * A port, as the driver knows it:
 *   unknown   not announced, or removed.
 *             DEVICE_READY (or it is plugged in later) -> DEVICE_ADD is due; sent -> added
 *   added     the driver is making it. Nothing else is said about it.
 *             PORT_READY 1 -> ready; it is pulled out -> DEVICE_REMOVE is due; sent -> unknown
 *   ready     CONSOLE_PORT, PORT_NAME, RESIZE and PORT_OPEN went out, as far as they apply, and go
 *             out again when something changes. PORT_OPEN from the driver opens and closes its own
 *             side.
 *             PORT_READY 0 -> added; pulled out -> unknown
 *
 * What is due is a set of bits for each port and no list of messages: so a driver that asks without
 * end, and gives no buffers, costs nothing, and one that is slow sees the last state only.
 */
#include "console_internal.h"

/* Everything that the driver is told about a port that it made ready. */
#define DUE_WHEN_READY                                                                             \
    (BH_CONSOLE_DUE_CONSOLE | BH_CONSOLE_DUE_NAME | BH_CONSOLE_DUE_RESIZE | BH_CONSOLE_DUE_OPEN)

/* ---- what is due ---- */

/* Of these messages, those that make sense for this port. */
static uint32_t apply(const struct bh_console *console, const struct bh_console_port *port,
                      uint32_t messages)
{
    uint32_t left = messages;

    if (!port->setup.console) {
        left &= ~(BH_CONSOLE_DUE_CONSOLE | BH_CONSOLE_DUE_RESIZE);
    }
    if (port->name_length == 0u) {
        left &= ~BH_CONSOLE_DUE_NAME;
    }
    if (!bh_console_has(console, BH_CONSOLE_F_SIZE)) {
        left &= ~BH_CONSOLE_DUE_RESIZE;
    }
    return left;
}

void bh_console_due(struct bh_console *console, struct bh_console_port *port, uint32_t messages)
{
    if (bh_console_has(console, BH_CONSOLE_F_MULTIPORT) && port->ready) {
        port->pending |= apply(console, port, messages);
        console->due = true;
    }
}

void bh_console_announce(struct bh_console *console, bool resumed)
{
    console->ready = true;
    console->due = true;
    for (uint32_t i = 0; i < console->port_count; i++) {
        struct bh_console_port *port = &console->ports[i];

        if (port->present) {
            port->pending = BH_CONSOLE_DUE_ADD;
            port->added = resumed;
            port->ready = resumed;
            port->guest_open = resumed;
            bh_console_listen(console, port);
        }
    }
}

void bh_console_present_set(struct bh_console *console, uint32_t port, bool present)
{
    struct bh_console_port *at = &console->ports[port];

    if (at->present == present) {
        return;
    }
    at->present = present;
    if (present) {
        at->pending |= BH_CONSOLE_DUE_ADD;
    } else {
        /* A port that the driver never heard of cannot be removed (VIRTIO 1.4, 5.3.6.2.1). */
        at->pending = at->added ? BH_CONSOLE_DUE_REMOVE : 0u;
        at->ready = false;
        at->guest_open = false;
    }
    console->due = true;
    bh_console_listen(console, at);
}

/* ---- to the driver ---- */

/* The port of the next message; NULL: there is none. */
static struct bh_console_port *next(const struct bh_console *console, uint32_t *message)
{
    for (uint32_t i = 0; i < console->port_count; i++) {
        struct bh_console_port *port = &console->ports[i];

        if (port->pending != 0u) {
            *message = port->pending & (~port->pending + 1u);
            return port;
        }
    }
    return NULL;
}

static struct bh_console_control header_of(const struct bh_console_port *port, uint32_t message)
{
    struct bh_console_control header = {.id = BH_LE32(port->id), .value = BH_LE16(1u)};

    switch (message) {
    case BH_CONSOLE_DUE_REMOVE:
        header.event = BH_LE16(BH_CONSOLE_DEVICE_REMOVE);
        break;
    case BH_CONSOLE_DUE_ADD:
        header.event = BH_LE16(BH_CONSOLE_DEVICE_ADD);
        break;
    case BH_CONSOLE_DUE_CONSOLE:
        header.event = BH_LE16(BH_CONSOLE_CONSOLE_PORT);
        break;
    case BH_CONSOLE_DUE_NAME:
        header.event = BH_LE16(BH_CONSOLE_PORT_NAME);
        break;
    case BH_CONSOLE_DUE_RESIZE:
        header.event = BH_LE16(BH_CONSOLE_RESIZE);
        header.value = 0;
        break;
    default:
        header.event = BH_LE16(BH_CONSOLE_PORT_OPEN);
        header.value = port->setup.open ? BH_LE16(1u) : 0u;
        break;
    }
    return header;
}

/* Writes a message into a buffer; its length, or 0: the buffer is too short. */
static uint32_t write_message(struct bh_chain *chain, const struct bh_console_port *port,
                              uint32_t message)
{
    const struct bh_console_control header = header_of(port, message);
    const struct bh_console_resize size = {.cols = BH_LE16(port->setup.cols),
                                           .rows = BH_LE16(port->setup.rows)};
    const void *body = NULL;
    uint32_t body_length = 0;
    uint32_t length = (uint32_t)sizeof(header);

    if (message == BH_CONSOLE_DUE_NAME) {
        body = port->setup.name;
        body_length = port->name_length;
    } else if (message == BH_CONSOLE_DUE_RESIZE) {
        body = &size;
        body_length = (uint32_t)sizeof(size);
    } else {
        /* The header says it all. */
    }
    if (chain->writable_bytes < length + body_length) {
        return 0;
    }
    (void)bh_chain_write(chain, 0, &header, length);
    if (body != NULL) {
        (void)bh_chain_write(chain, length, body, body_length);
    }
    return length + body_length;
}

enum bh_served bh_console_serve_control_receive(struct bh_console *console, struct bh_queue *queue)
{
    uint32_t message = 0;

    for (uint32_t left = queue->size; left > 0u; left--) {
        struct bh_console_port *port = next(console, &message);
        struct bh_chain chain;

        if (!console->ready || port == NULL) {
            return BH_SERVED_ENOUGH;
        }

        int got = bh_queue_pop(queue, &chain);

        if (got <= 0) {
            return got == BH_AGAIN ? BH_SERVED_MORE : BH_SERVED;
        }

        uint32_t length = write_message(&chain, port, message);

        if (chain.readable_count != 0u || length == 0u) {
            bh_console_refuse(console, queue, &chain,
                              length == 0u ? "control buffer shorter than the message"
                                           : "readable part in a control receive buffer");
            return BH_SERVED;
        }
        port->pending &= ~message;
        port->added = message != BH_CONSOLE_DUE_REMOVE;
        bh_device_push(console->device, queue, &chain, length);
    }
    return BH_SERVED_MORE;
}

/* ---- from the driver ---- */

static void on_port_ready(struct bh_console *console, struct bh_console_port *port, bool ready)
{
    port->ready = ready;
    if (ready) {
        bh_console_due(console, port, DUE_WHEN_READY);
    } else {
        port->pending &= BH_CONSOLE_DUE_REMOVE | BH_CONSOLE_DUE_ADD;
        port->guest_open = false;
    }
    bh_console_listen(console, port);
}

/* Whether the driver can mean this port: one that was pulled out and is in again is another, of
 * which it has not heard yet. */
static bool is_known(const struct bh_console *console, uint32_t id)
{
    return id < console->port_count && console->ports[id].added && console->ports[id].present &&
           (console->ports[id].pending & BH_CONSOLE_DUE_REMOVE) == 0u;
}

/* Messages about ports that the driver cannot know, and events that it cannot send, change
 * nothing. */
static void on_message(struct bh_console *console, const struct bh_console_control *message)
{
    const uint32_t id = BH_LE32(message->id);
    const uint16_t event = BH_LE16(message->event);
    const bool value = message->value != 0u;

    if (event == BH_CONSOLE_DEVICE_READY) {
        /* Said twice, it must not add ports twice (VIRTIO 1.4, 5.3.6.2.1). */
        if (value && !console->ready) {
            bh_console_announce(console, false);
        }
        return;
    }
    if (!is_known(console, id)) {
        console->ignored++;
        return;
    }

    struct bh_console_port *port = &console->ports[id];

    if (event == BH_CONSOLE_PORT_READY) {
        on_port_ready(console, port, value);
    } else if (event == BH_CONSOLE_PORT_OPEN) {
        port->guest_open = value;
        bh_console_listen(console, port);
    } else {
        console->ignored++;
    }
}

enum bh_served bh_console_serve_control_transmit(struct bh_console *console, struct bh_queue *queue)
{
    for (uint32_t left = queue->size; left > 0u; left--) {
        struct bh_console_control message;
        struct bh_chain chain;
        int got = bh_queue_pop(queue, &chain);

        if (got <= 0) {
            return got == BH_AGAIN ? BH_SERVED_MORE : BH_SERVED;
        }
        if (chain.writable_count != 0u) {
            bh_console_refuse(console, queue, &chain, "writable part in a control message");
            return BH_SERVED;
        }
        if (bh_chain_read(&chain, 0, &message, (uint32_t)sizeof(message)) != sizeof(message)) {
            bh_console_refuse(console, queue, &chain, "control message too short");
            return BH_SERVED;
        }
        on_message(console, &message);
        bh_device_push(console->device, queue, &chain, 0);
    }
    return BH_SERVED_MORE;
}
