/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A terminal of a guest: a port of its console (a pseudo-terminal whose other side the back end
 * has) or its UART (a socket pair whose other end the engine has). What the guest prints becomes
 * lines of the output; somebody may attach, who gets the bytes as they are and types.
 *
 * States of the attachment:
 *   none      -> attached (bh_guest_terminal_attach)
 *   attached  bytes go both ways. While the peer has no room the terminal is not read, and while
 *             the guest takes no input the peer is not read.
 *             -> none (the peer closed, or left its bytes lying for BH_TERMINAL_PATIENCE ticks;
 *             for one, while the run is in a hurry)
 *
 * Thread: the loop's. Ownership: the structure is the caller's, and stays where it is.
 */
#ifndef ENGINE_TERMINAL_H
#define ENGINE_TERMINAL_H

#include <sys/types.h>

#include "terminal_await.h"
#include "terminal_source.h"

#define BH_TERMINAL_INPUT    4096u
#define BH_TERMINAL_PEER     16384u
#define BH_TERMINAL_PATIENCE 25u /* ticks */

struct bh_guest_terminal {
    struct bh_source source;  /* first */
    struct bh_poller *poller; /* NULL: not initialized, or finished */
    const char *device;       /* name, as `attach` says it */
    const char *port;         /* NULL: the first */
    int guest_fd;             /* what the back end or the engine gets */
    bool is_pty; /* then the guest's side stays open here too, or its end would spin the loop */
    struct bh_outflow to_guest;
    uint8_t input[BH_TERMINAL_INPUT];
    struct bh_watch peer;
    struct bh_outflow to_peer;
    uint8_t peer_bytes[BH_TERMINAL_PEER];
    bool attached;
    uint32_t peer_waits; /* ticks in which the peer took nothing */
    struct bh_await await;
    void (*came)(void *context);
    void *context;
};

struct bh_guest_terminal_setup {
    struct bh_poller *poller;
    struct bh_output *output;
    const char *device;
    const char *port;
    const char *label;
    uint32_t colour;
    struct bh_words *words;
    bool is_pty;
    const char *awaited; /* `came` is called once a line holds this text; NULL: nobody waits */
    void (*came)(void *context);
    void *context;
};

/* Makes both sides. BH_LIMIT: no descriptor or pseudo-terminal left. */
int bh_guest_terminal_init(struct bh_guest_terminal *terminal,
                           const struct bh_guest_terminal_setup *setup);

/* Not initialized (all zero): nothing. */
void bh_guest_terminal_finish(struct bh_guest_terminal *terminal);

/* The guest's side was handed over. */
void bh_guest_terminal_handed(struct bh_guest_terminal *terminal);

/* BH_OK and *fd, a stream socket that is the caller's; BH_STATE: somebody is attached; BH_GONE: it
 * has ended; BH_LIMIT. */
int bh_guest_terminal_attach(struct bh_guest_terminal *terminal, int *fd);

/* A new size. True: it is a pseudo-terminal, and its program wants to know (SIGWINCH). */
bool bh_guest_terminal_resize(struct bh_guest_terminal *terminal, uint16_t rows, uint16_t columns);

/* Now and then: a line without an end is shown, a peer that sleeps is let go. */
void bh_guest_terminal_tick(struct bh_guest_terminal *terminal);

#endif
