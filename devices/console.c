/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (VIRTIO 1.4, 5.3): moves bytes between queues and terminals. Not here: what
 * the driver is told about ports (console_control.c), features and configuration
 * (console_config.c).
 *
 * Output of a port:
 *   free      nothing waits. A transmit buffer is popped -> offered
 *   offered   the terminal takes bytes off its front.
 *             all taken, or nobody is there -> pushed, free; no room -> blocked;
 *             the share of this turn is used up -> offered again in the next
 *   blocked   the buffer is held, the rest of the ring waits, other ports go on.
 *             bh_console_writable -> offered; the queue stops -> what is left of the buffer moves
 *             into `kept`, the buffer is pushed, free
 * Bytes in `kept` go before any buffer. They were used already, as the driver sees it, so they
 * outlive a reset.
 *
 * Input of a port:
 *   quiet     nothing waits at the terminal, the model listens.
 *             bh_console_readable -> moving
 *   moving    receive buffers are popped and filled.
 *             the terminal has no more -> quiet; the ring is empty, or the port is not open ->
 *             waiting
 *   waiting   bytes wait in the terminal, the model does not listen: it would be called for ever.
 *             buffers come -> moving; the port is opened, the queue starts -> quiet
 * A buffer that was popped and got no byte after all is held for the next ones. When the queue
 * stops it goes back empty.
 */
#include "console_internal.h"

/* How much a port may move in one turn: beyond it others come first. */
#define SHARE_BYTES (256u * 1024u)

/* ---- chains ---- */

void bh_console_refuse(struct bh_console *console, struct bh_queue *queue, struct bh_chain *chain,
                       const char *reason)
{
    bh_device_fail(console->device, queue, chain, BH_PROTOCOL, reason);
    /* The queue is faulty: this only lets go of its memory. */
    bh_device_push(console->device, queue, chain, 0);
}

static struct bh_queue *queue_of(const struct bh_console *console,
                                 const struct bh_console_port *port, bool out)
{
    const uint16_t first = bh_console_receive_queue(port->id);

    return &console->device->queues[out ? first + 1u : first];
}

/* Lets the terminal move at most `most` bytes (not 0), whatever room the spans have. */
static int move(int (*way)(void *terminal, const struct bh_span *spans, uint32_t count),
                void *terminal, struct bh_span *spans, uint32_t count, uint32_t most)
{
    size_t left = most;
    uint32_t whole = 0;

    while (whole < count && spans[whole].length <= left) {
        left -= spans[whole].length;
        whole++;
    }
    if (whole == count) {
        return way(terminal, spans, count);
    }

    const size_t length = spans[whole].length;

    spans[whole].length = left;

    const int got = way(terminal, spans, whole + 1u);

    spans[whole].length = length;
    return got;
}

static void out_done(struct bh_console *console, struct bh_console_port *port)
{
    port->out_held = false;
    bh_device_push(console->device, queue_of(console, port, true), &port->out, 0);
}

static void in_done(struct bh_console *console, struct bh_console_port *port, uint32_t written)
{
    port->in_held = false;
    bh_device_push(console->device, queue_of(console, port, false), &port->in, written);
}

/* ---- what left the ring before the terminal took it ---- */

static void keep(struct bh_console *console, struct bh_console_port *port, const uint8_t *from,
                 size_t length)
{
    const uint32_t size = port->setup.kept_size;
    const uint32_t room = size - port->kept_count;
    const uint32_t taken = length < room ? (uint32_t)length : room;
    const uint64_t end = (uint64_t)port->kept_at + port->kept_count;
    const uint32_t at = (uint32_t)(end < size ? end : end - size);
    const uint32_t first = taken < size - at ? taken : size - at;

    bh_copy(port->setup.kept + at, from, first);
    bh_copy(port->setup.kept, from + first, taken - first);
    port->kept_count += taken;
    console->lost += length - taken;
}

/* Offers what is kept. True: nothing is, any more. */
static bool kept_offer(struct bh_console *console, struct bh_console_port *port)
{
    while (port->kept_count != 0u) {
        const uint32_t tail = port->setup.kept_size - port->kept_at;
        const struct bh_span span = {
            .base = port->setup.kept + port->kept_at,
            .length = port->kept_count < tail ? port->kept_count : tail,
        };
        int got = console->ops->write(port->setup.terminal, &span, 1);

        if (got == BH_GONE) {
            bh_console_closed(console, port);
        } else if (got < 0) {
            return false;
        } else {
            port->kept_at += (uint32_t)got;
            port->kept_at -= port->kept_at == port->setup.kept_size ? port->setup.kept_size : 0u;
            port->kept_count -= (uint32_t)got;
        }
    }
    return true;
}

void bh_console_emit(struct bh_console *console, struct bh_console_port *port, uint8_t byte)
{
    if (port->setup.open) {
        (void)kept_offer(console, port);
        keep(console, port, &byte, 1);
        (void)kept_offer(console, port);
    }
}

/* ---- output ---- */

/* Offers the buffer that is held. True: nothing of it is left. */
static bool out_offer(struct bh_console *console, struct bh_console_port *port, uint32_t *share)
{
    struct bh_chain *chain = &port->out;

    while (port->setup.open && chain->readable_bytes != 0u) {
        int got = BH_AGAIN;

        if (*share != 0u) {
            got = move(console->ops->write, port->setup.terminal, chain->spans,
                       chain->readable_count, *share);
        }
        if (got == BH_GONE) {
            bh_console_closed(console, port);
        } else if (got < 0) {
            return false;
        } else {
            (void)bh_chain_cut_header(chain, (uint32_t)got);
            *share -= (uint32_t)got;
        }
    }
    return true;
}

static enum bh_served serve_out(struct bh_console *console, struct bh_console_port *port,
                                struct bh_queue *queue)
{
    uint32_t share = SHARE_BYTES;

    if (!kept_offer(console, port)) {
        return BH_SERVED_ENOUGH;
    }
    for (uint32_t left = queue->size; left > 0u; left--) {
        if (!port->out_held) {
            int got = bh_queue_pop(queue, &port->out);

            if (got <= 0) {
                return got == BH_AGAIN ? BH_SERVED_MORE : BH_SERVED;
            }
            if (port->out.writable_count != 0u) {
                bh_console_refuse(console, queue, &port->out, "writable part in output");
                return BH_SERVED;
            }
            port->out_held = true;
        }
        if (!out_offer(console, port, &share)) {
            return share == 0u ? BH_SERVED_MORE : BH_SERVED_ENOUGH;
        }
        out_done(console, port);
    }
    return BH_SERVED_MORE;
}

bool bh_console_writable(struct bh_console *console, uint32_t port)
{
    /* The queue may not run. */
    (void)kept_offer(console, &console->ports[port]);
    return bh_device_kick(console->device, (uint16_t)(bh_console_receive_queue(port) + 1u));
}

/* ---- input ---- */

/* Whether the driver takes bytes for this port. Without MULTIPORT nobody tells, so it does. */
static bool takes_input(const struct bh_console *console, const struct bh_console_port *port)
{
    return port->setup.open && port->present &&
           (!bh_console_has(console, BH_CONSOLE_F_MULTIPORT) || port->guest_open);
}

static void listen(struct bh_console *console, struct bh_console_port *port, bool on)
{
    if (port->listening != on) {
        port->listening = on;
        console->ops->listen(port->setup.terminal, on);
    }
}

void bh_console_listen(struct bh_console *console, struct bh_console_port *port)
{
    listen(console, port,
           takes_input(console, port) && queue_of(console, port, false)->state == BH_QUEUE_RUNNING);
}

/* Fills the buffer that is held, and gives it to the driver if it got a byte. */
static void in_fill(struct bh_console *console, struct bh_console_port *port, uint32_t *share)
{
    struct bh_chain *chain = &port->in;
    int got =
        move(console->ops->read, port->setup.terminal, chain->spans, chain->writable_count, *share);

    if (got == BH_GONE) {
        bh_console_closed(console, port);
    }
    port->input = got > 0 && (uint32_t)got == chain->writable_bytes;
    if (got > 0) {
        *share -= (uint32_t)got;
        in_done(console, port, (uint32_t)got);
    }
}

static enum bh_served serve_in(struct bh_console *console, struct bh_console_port *port,
                               struct bh_queue *queue)
{
    uint32_t share = SHARE_BYTES;

    port->looked = true;
    for (uint32_t left = queue->size; left > 0u && share != 0u; left--) {
        if (!port->input || !takes_input(console, port)) {
            listen(console, port, takes_input(console, port));
            return BH_SERVED_ENOUGH;
        }
        if (!port->in_held) {
            int got = bh_queue_pop(queue, &port->in);

            if (got <= 0) {
                listen(console, port, false);
                return got == BH_AGAIN ? BH_SERVED_MORE : BH_SERVED;
            }
            if (port->in.readable_count != 0u) {
                bh_console_refuse(console, queue, &port->in, "readable part in a receive buffer");
                return BH_SERVED;
            }
            port->in_held = true;
        }
        if (port->in.writable_bytes == 0u) {
            in_done(console, port, 0);
        } else {
            in_fill(console, port, &share);
        }
    }
    return BH_SERVED_MORE;
}

void bh_console_readable(struct bh_console *console, uint32_t port)
{
    struct bh_console_port *at = &console->ports[port];

    at->input = true;
    at->looked = false;
    (void)bh_device_kick(console->device, bh_console_receive_queue(port));
    if (!at->looked) {
        /* The queue does not run. It is looked at when it does. */
        listen(console, at, false);
    }
}

/* ---- the host side opens and closes ---- */

void bh_console_closed(struct bh_console *console, struct bh_console_port *port)
{
    port->setup.open = false;
    port->input = false;
    port->swallow = true;
    port->kept_at = 0;
    port->kept_count = 0;
    listen(console, port, false);
    bh_console_due(console, port, BH_CONSOLE_DUE_OPEN);
}

void bh_console_open_set(struct bh_console *console, uint32_t port, bool open)
{
    struct bh_console_port *at = &console->ports[port];

    if (at->setup.open == open) {
        return;
    }
    if (open) {
        at->setup.open = true;
        bh_console_due(console, at, BH_CONSOLE_DUE_OPEN);
        bh_console_listen(console, at);
    } else {
        bh_console_closed(console, at);
    }
}

/* ---- the class ---- */

/* The port of a data queue. */
static struct bh_console_port *port_of(struct bh_console *console, uint16_t queue)
{
    return &console->ports[queue <= BH_CONSOLE_TRANSMIT ? 0u : (uint32_t)queue / 2u - 1u];
}

static bool is_control(uint16_t queue)
{
    return queue == BH_CONSOLE_CONTROL_RECEIVE || queue == BH_CONSOLE_CONTROL_TRANSMIT;
}

static enum bh_served console_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_console *console = device->class_data;

    /* VIRTIO 1.4, 5.3.2: without MULTIPORT there are the two queues of port 0. */
    if (queue->index > BH_CONSOLE_TRANSMIT && !bh_console_has(console, BH_CONSOLE_F_MULTIPORT)) {
        return BH_SERVED_ENOUGH;
    }
    if (queue->index == BH_CONSOLE_CONTROL_RECEIVE) {
        return bh_console_serve_control_receive(console, queue);
    }
    if (queue->index == BH_CONSOLE_CONTROL_TRANSMIT) {
        return bh_console_serve_control_transmit(console, queue);
    }

    struct bh_console_port *port = port_of(console, queue->index);

    return (queue->index & 1u) != 0u ? serve_out(console, port, queue)
                                     : serve_in(console, port, queue);
}

/* Serves a queue at the end of a turn, where nobody comes back to it: what is used now is not
 * published yet, so a driver can have given a ring's worth, and the second look asks it to
 * notify again. */
static void serve_all(struct bh_device *device, uint16_t queue)
{
    if (bh_device_kick(device, queue)) {
        (void)bh_device_kick(device, queue);
    }
}

/* What follows from the events of a turn is done at its end: buffers that waited for a terminal
 * that is gone go back, and the driver is told what it has to know. */
static void console_commit(struct bh_device *device)
{
    struct bh_console *console = device->class_data;

    for (uint32_t i = 0; i < console->port_count; i++) {
        struct bh_console_port *port = &console->ports[i];

        if (port->swallow) {
            port->swallow = false;
            serve_all(device, (uint16_t)(bh_console_receive_queue(i) + 1u));
        }
    }
    if (console->due) {
        /* A queue that does not run is served when it starts. */
        console->due = false;
        serve_all(device, BH_CONSOLE_CONTROL_RECEIVE);
    }
}

static void console_started(struct bh_device *device, bool resumed)
{
    struct bh_console *console = device->class_data;

    if (resumed && !console->ready) {
        bh_console_announce(console, true);
        if (bh_console_has(console, BH_CONSOLE_F_SIZE)) {
            bh_device_config_changed(device);
        }
    }
    for (uint32_t i = 0; i < console->port_count; i++) {
        if (bh_console_has(console, BH_CONSOLE_F_MULTIPORT) || i == 0u) {
            bh_console_listen(console, &console->ports[i]);
        }
    }
}

/* Whoever is at a terminal may never read: buffers must not wait for that now. */
static void console_stopping(struct bh_device *device, struct bh_queue *queue)
{
    struct bh_console *console = device->class_data;

    if (is_control(queue->index)) {
        return;
    }

    struct bh_console_port *port = port_of(console, queue->index);

    if ((queue->index & 1u) == 0u) {
        listen(console, port, false);
        if (port->in_held) {
            in_done(console, port, 0);
        }
    } else if (port->out_held) {
        for (uint32_t i = 0; i < port->out.readable_count; i++) {
            keep(console, port, port->out.spans[i].base, port->out.spans[i].length);
        }
        out_done(console, port);
        (void)kept_offer(console, port);
    } else {
        /* Nothing is held. */
    }
}

static void console_reset(struct bh_device *device)
{
    struct bh_console *console = device->class_data;

    console->ready = false;
    console->due = false;
    for (uint32_t i = 0; i < console->port_count; i++) {
        struct bh_console_port *port = &console->ports[i];

        port->pending = 0;
        port->added = false;
        port->ready = false;
        port->guest_open = false;
    }
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;

    while (text != NULL && length <= BH_CONSOLE_NAME_MAX && text[length] != '\0') {
        length++;
    }
    return length;
}

int bh_console_init(struct bh_console *console, struct bh_device *device,
                    const struct bh_console_setup *setup, struct bh_console_port *ports)
{
    if (setup->port_count == 0u || setup->port_count > BH_CONSOLE_PORTS_MAX ||
        (setup->port_count > 1u && !setup->multiport)) {
        return BH_INVALID;
    }
    bh_fill(console, 0, sizeof(*console));
    bh_fill(ports, 0, setup->port_count * sizeof(ports[0]));
    console->device = device;
    console->ops = setup->ops;
    console->ports = ports;
    console->port_count = setup->port_count;
    console->features = (setup->size ? BH_CONSOLE_F_SIZE : 0u) |
                        (setup->multiport ? BH_CONSOLE_F_MULTIPORT : 0u) |
                        (setup->emergency_write ? BH_CONSOLE_F_EMERG_WRITE : 0u);
    for (uint32_t i = 0; i < setup->port_count; i++) {
        ports[i].setup = setup->ports[i];
        ports[i].id = i;
        ports[i].name_length = length_of(setup->ports[i].name);
        ports[i].present = true;
        if (ports[i].name_length > BH_CONSOLE_NAME_MAX || ports[i].setup.kept_size == 0u) {
            return BH_INVALID;
        }
    }
    return BH_OK;
}

const struct bh_device_class bh_console_class = {
    .name = "console",
    .id = BH_ID_CONSOLE,
    .features = bh_console_features,
    .features_fit = NULL,
    .features_set = bh_console_features_set,
    .config_size = bh_console_config_size,
    .config_read = bh_console_config_read,
    .config_write = bh_console_config_write,
    .started = console_started,
    .serve = console_serve,
    .stopping = console_stopping,
    .commit = console_commit,
    .reset = console_reset,
};
