/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (VIRTIO 1.4, 5.3): the contract between the model and the terminals behind its
 * ports. The model takes bytes from transmit queues to the terminals and from the terminals into
 * receive queues, and tells the driver about ports, their names, sizes, and whether anybody is at
 * the other end. A terminal is whatever has two directions of bytes: a tty, a socket, a UART.
 *
 * Nothing is lost between the two: what a terminal does not take stays in the guest's ring, what
 * the guest has no buffer for stays in the terminal. A port whose host side is closed swallows
 * output.
 *
 * What a successor has to be given, and what it cannot know:
 *   - ports, names, and the offered features must be the same again; sizes and open states are told
 *     anew, because they may have changed;
 *   - which ports the driver knows, and which ones a guest program has open, was said to the
 *     predecessor only. So a model that takes rings over announces its ports as if the driver had
 *     just said DEVICE_READY (Linux answers for a port that it knows), and takes them for open
 *     until the driver says that they are not;
 *   - a transmit buffer that was partly written is written again from its beginning.
 *
 * Thread: one thread for a device and its terminals. Ownership: all memory is the caller's.
 */
#ifndef BULKHEAD_CONSOLE_H
#define BULKHEAD_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/virtio_console.h"

#define BH_CONSOLE_PORTS_MAX 64u
#define BH_CONSOLE_NAME_MAX  64u /* bytes */

/* How many queues a console has: 2 without multiport. */
#define BH_CONSOLE_QUEUES(ports, multiport) ((multiport) ? 2u * (ports) + 2u : 2u)

/* ---- the terminal ---- */

struct bh_terminal_ops {
    /* Takes bytes of the guest from the front of the spans, of which some may be empty; what is
     * left is offered again. Returns how many it took (1 or more), or BH_AGAIN: none, there is
     * no room, and it will call bh_console_writable once there is. BH_GONE: nobody is there any
     * more; the model goes on as after bh_console_open_set(…, false). Never waits. */
    int (*write)(void *terminal, const struct bh_span *spans, uint32_t count);
    /* Fills the spans from the front. Returns how many bytes (1 or more; less than there was room
     * for means that no more were there), BH_AGAIN: none are there, or BH_GONE. Never waits. */
    int (*read)(void *terminal, const struct bh_span *spans, uint32_t count);
    /* Whether the model wants to hear of bytes (bh_console_readable). While it does, it is
     * called as long as bytes are there, not once for each. At first it does not. */
    void (*listen)(void *terminal, bool on);
};

/* ---- the model ---- */

/* What a port is. */
struct bh_console_port_setup {
    void *terminal;
    const char *name; /* UTF-8; stays as long as the device; NULL: none */
    bool console;     /* the driver is to treat it as a text console */
    bool open;        /* somebody is at the host side */
    uint16_t cols;    /* of a console; 0: unknown */
    uint16_t rows;
    /* Where output goes that has to leave the ring before the terminal takes it: a queue is
     * stopped, or emergency output meets a full terminal. What does not fit is lost. Not 0. */
    uint8_t *kept;
    uint32_t kept_size;
};

/* What is offered: nothing else can be turned on by a driver. */
struct bh_console_setup {
    const struct bh_terminal_ops *ops;
    const struct bh_console_port_setup *ports;
    uint32_t port_count; /* 1..BH_CONSOLE_PORTS_MAX; more than 1 needs multiport */
    bool size;
    bool multiport;
    bool emergency_write;
};

/* A port: the model's own. */
struct bh_console_port {
    struct bh_console_port_setup setup;
    uint32_t id;
    uint32_t name_length;
    uint32_t kept_at; /* a ring of kept_size bytes: the oldest byte, and how many */
    uint32_t kept_count;
    uint32_t pending; /* control messages that are due: see console_control.c */
    bool present;     /* the platform has it plugged in */
    bool added;       /* the driver was told of it */
    bool ready;       /* the driver has it set up */
    bool guest_open;  /* a program in the guest has it open */
    bool input;       /* bytes wait in the terminal */
    bool listening;   /* as the terminal was told */
    bool looked;      /* the receive queue was served */
    bool swallow;     /* the terminal went: what waits in the transmit queue is let go */
    bool out_held;    /* `out` is not (wholly) written yet */
    bool in_held;     /* `in` waits for bytes */
    struct bh_chain out;
    struct bh_chain in;
};

struct bh_console {
    struct bh_device *device;
    const struct bh_terminal_ops *ops;
    struct bh_console_port *ports;
    uint32_t port_count;
    uint64_t features; /* offered */
    bool ready;        /* the driver said DEVICE_READY, or its rings were taken over */
    bool due;          /* some port may have a control message for the driver */
    uint64_t ignored;  /* control messages that made no sense */
    uint64_t lost;     /* bytes that did not fit into `kept` */
};

extern const struct bh_device_class bh_console_class;

/* Makes the model of `device`; before bh_device_init, which takes setup->class =
 * &bh_console_class, setup->class_data = console, and BH_CONSOLE_QUEUES queues. The pool of the
 * queues has at least two blocks for each port and two more. `ports`: port_count of them, as
 * long as the device lives. BH_INVALID: a number is out of its range. */
int bh_console_init(struct bh_console *console, struct bh_device *device,
                    const struct bh_console_setup *setup, struct bh_console_port *ports);

/* Events from the terminals. `port` is below port_count. What they cause is seen by the driver
 * after the next bh_device_flush, which the caller calls once for a batch of them. */

/* Bytes are there. */
void bh_console_readable(struct bh_console *console, uint32_t port);

/* There is room again, after a write that found none. True: call again after looking at everything
 * else. */
bool bh_console_writable(struct bh_console *console, uint32_t port);

/* The terminal of a console port has another size (VIRTIO 1.4, 5.3.5 and 5.3.6.2). */
void bh_console_size_set(struct bh_console *console, uint32_t port, uint16_t cols, uint16_t rows);

/* Somebody came to the host side, or left it: then output that waits is dropped. */
void bh_console_open_set(struct bh_console *console, uint32_t port, bool open);

/* A port is plugged in or pulled out (multiport; at first all are in). */
void bh_console_present_set(struct bh_console *console, uint32_t port, bool present);

#endif
