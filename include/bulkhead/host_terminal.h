/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host side of a console's port on Linux: a tty or a connected stream socket behind
 * bh_terminal_ops (console.h), driven by a bh_poller. It never waits: what the other side does not
 * read stays with the model.
 *
 * A tty becomes raw, and is put back when the terminal is closed. When the other side goes (the
 * master of a pty is closed, a socket's peer shuts down) the terminal is gone for good: a hung-up
 * tty does not come back, and in the sandbox nothing can be opened.
 *
 * Thread: one, the poller's. Ownership: the structure is the caller's.
 */
#ifndef BULKHEAD_HOST_TERMINAL_H
#define BULKHEAD_HOST_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

#include "bulkhead/console.h"
#include "bulkhead/poller.h"

struct bh_terminal_setup {
    struct bh_poller *poller;
    const char *path; /* of a tty; or /dev/fd/N: descriptor N, a tty or a connected stream socket,
                         which becomes the terminal's */
    struct bh_console *console; /* made before anything happens */
    uint32_t port;
    /* Something happened that the console's device does not know yet: call bh_device_flush soon,
     * but not from inside. */
    void (*happened)(void *context);
    void *context;
};

struct bh_terminal {
    struct bh_terminal_setup setup;
    struct bh_watch input;
    struct bh_watch room; /* a descriptor of its own for the same thing */
    struct bh_task again; /* output was left at the end of its share of a turn */
    bool tty;
    struct termios before;
};

/* For bh_console_setup.ops; a bh_console_port_setup.terminal is a bh_terminal. */
extern const struct bh_terminal_ops bh_terminal_host_ops;

/* Opens a terminal, and logs what is wrong. BH_INVALID: neither a tty nor a connected stream
 * socket; BH_DENIED, BH_GONE, BH_LIMIT, BH_IO. After an error nothing is held. */
int bh_terminal_open(struct bh_terminal *terminal, const struct bh_terminal_setup *setup);
void bh_terminal_close(struct bh_terminal *terminal);

/* The size of a tty; 0 and 0 where there is none. */
void bh_terminal_size(const struct bh_terminal *terminal, uint16_t *cols, uint16_t *rows);

/* The ioctl requests that an open tty needs. */
uint32_t bh_terminal_requests(const unsigned long **requests);

#endif
