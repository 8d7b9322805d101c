/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Terminals of guests, and attaching to one (terminal.h).
 */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "bulkhead/error.h"

#define ROWS    24u
#define COLUMNS 80u

/* ------------------------------------------------------------------------------------------------
 * both sides */

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* Raw: what the guest prints and is typed passes as it is. */
static int open_slave(int master)
{
    const struct winsize size = {.ws_row = ROWS, .ws_col = COLUMNS};
    struct termios termios;
    if (grantpt(master) != 0 || unlockpt(master) != 0) {
        return -1;
    }
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) {
        return -1;
    }
    if (tcgetattr(slave, &termios) == 0) {
        cfmakeraw(&termios);
        if (tcsetattr(slave, TCSANOW, &termios) == 0 && ioctl(slave, TIOCSWINSZ, &size) == 0) {
            return slave;
        }
    }
    (void)close(slave);
    return -1;
}

static int open_pty(int fds[2])
{
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fds[0] < 0) {
        return BH_LIMIT;
    }
    fds[1] = open_slave(fds[0]);
    if (fds[1] < 0) {
        close_fd(&fds[0]);
        return BH_LIMIT;
    }
    return BH_OK;
}

static int open_pair(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return BH_LIMIT;
    }
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0) {
        close_fd(&fds[0]);
        close_fd(&fds[1]);
        return BH_LIMIT;
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * the attachment */

static void detach(struct bh_guest_terminal *terminal)
{
    if (!terminal->attached) {
        return;
    }
    struct bh_poller *poller = terminal->poller;
    terminal->attached = false;
    bh_outflow_finish(&terminal->to_peer);
    poller->ops->remove(poller, &terminal->peer);
    close_fd(&terminal->peer.fd);
    bh_source_hold(&terminal->source, false);
}

/* The peer is read only while all of it could go to the guest. */
static void update_peer(struct bh_guest_terminal *terminal)
{
    struct bh_poller *poller = terminal->poller;
    if (!terminal->attached) {
        return;
    }
    if (bh_outflow_free(&terminal->to_guest) == 0u) {
        poller->ops->remove(poller, &terminal->peer);
    } else if (!terminal->peer.added && poller->ops->add(poller, &terminal->peer) != BH_OK) {
        detach(terminal);
    }
}

static void peer_ready(struct bh_watch *watch)
{
    struct bh_guest_terminal *terminal = watch->context;
    uint8_t bytes[BH_TERMINAL_INPUT];
    ssize_t count = read(watch->fd, bytes, bh_outflow_free(&terminal->to_guest));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        detach(terminal);
        return;
    }
    (void)bh_outflow_put(&terminal->to_guest, bytes, (size_t)count); /* no more than is free */
    update_peer(terminal);
}

static void guest_took(void *context)
{
    update_peer(context);
}

static void peer_took(void *context)
{
    struct bh_guest_terminal *terminal = context;
    terminal->peer_waits = 0;
    if (bh_outflow_free(&terminal->to_peer) >= BH_OUTPUT_READ) {
        bh_source_hold(&terminal->source, false);
    }
}

static void guest_bytes(void *context, const uint8_t *bytes, size_t count)
{
    struct bh_guest_terminal *terminal = context;
    if (!terminal->attached) {
        return;
    }
    /* Held before it could be too much; what is read of a guest that has ended may be. */
    (void)bh_outflow_put(&terminal->to_peer, bytes, count);
    terminal->source.output->restless = true;
    if (bh_outflow_free(&terminal->to_peer) < BH_OUTPUT_READ) {
        bh_source_hold(&terminal->source, true);
    }
}

static void guest_said(void *context, const char *text)
{
    struct bh_guest_terminal *terminal = context;
    if (bh_await_line(&terminal->await, text, terminal->source.lines.goes_on)) {
        terminal->came(terminal->context);
    }
}

int bh_guest_terminal_attach(struct bh_guest_terminal *terminal, int *fd)
{
    int fds[2];
    struct bh_poller *poller = terminal->poller;
    if (poller == NULL || terminal->source.ended) {
        return BH_GONE;
    }
    if (terminal->attached) {
        return BH_STATE;
    }
    if (open_pair(fds) != BH_OK) {
        return BH_LIMIT;
    }
    terminal->peer = (struct bh_watch){.fd = fds[0], .ready = peer_ready, .context = terminal};
    if (poller->ops->add(poller, &terminal->peer) != BH_OK) {
        close_fd(&fds[0]);
        close_fd(&fds[1]);
        return BH_LIMIT;
    }
    bh_outflow_init(&terminal->to_peer, poller, fds[0], 0, terminal->peer_bytes,
                    sizeof(terminal->peer_bytes));
    terminal->to_peer.drained = peer_took;
    terminal->to_peer.context = terminal;
    terminal->peer_waits = 0;
    terminal->attached = true;
    update_peer(terminal);
    *fd = fds[1];
    return BH_OK;
}

bool bh_guest_terminal_resize(struct bh_guest_terminal *terminal, uint16_t rows, uint16_t columns)
{
    const struct winsize size = {.ws_row = rows, .ws_col = columns};
    return terminal->is_pty && terminal->poller != NULL &&
           ioctl(terminal->source.watch.fd, TIOCSWINSZ, &size) == 0;
}

/* ------------------------------------------------------------------------------------------------
 * life */

int bh_guest_terminal_init(struct bh_guest_terminal *terminal,
                           const struct bh_guest_terminal_setup *setup)
{
    int fds[2];
    terminal->device = setup->device;
    terminal->port = setup->port;
    terminal->is_pty = setup->is_pty;
    terminal->guest_fd = -1;
    terminal->peer.fd = -1;
    int result = setup->is_pty ? open_pty(fds) : open_pair(fds);
    if (result != BH_OK) {
        return result;
    }
    const struct bh_source_setup source = {
        .poller = setup->poller,
        .output = setup->output,
        .fd = fds[0],
        .label = setup->label,
        .colour = setup->colour,
        .words = setup->words,
        .said = guest_said,
        .context = terminal,
    };
    bh_await_init(&terminal->await, setup->awaited);
    terminal->came = setup->came;
    terminal->context = setup->context;
    result = bh_source_init(&terminal->source, &source);
    if (result != BH_OK) {
        close_fd(&fds[0]);
        close_fd(&fds[1]);
        return result;
    }
    terminal->source.bytes = guest_bytes;
    bh_outflow_init(&terminal->to_guest, setup->poller, fds[0], 0, terminal->input,
                    sizeof(terminal->input));
    terminal->to_guest.drained = guest_took;
    terminal->to_guest.context = terminal;
    terminal->guest_fd = fds[1];
    terminal->poller = setup->poller;
    return BH_OK;
}

void bh_guest_terminal_handed(struct bh_guest_terminal *terminal)
{
    if (!terminal->is_pty) {
        close_fd(&terminal->guest_fd);
    }
}

void bh_guest_terminal_finish(struct bh_guest_terminal *terminal)
{
    if (terminal->poller == NULL) {
        return;
    }
    bh_source_finish(&terminal->source); /* reads what is there, for the peer too */
    bh_outflow_finish(&terminal->to_guest);
    if (terminal->attached) {
        bh_outflow_write(&terminal->to_peer);
        detach(terminal);
    }
    close_fd(&terminal->guest_fd);
    terminal->poller = NULL;
}

void bh_guest_terminal_tick(struct bh_guest_terminal *terminal)
{
    if (terminal->poller == NULL) {
        return;
    }
    bh_source_tick(&terminal->source);
    if (!terminal->attached || terminal->to_peer.used == 0u) {
        return;
    }
    terminal->source.output->restless = true;
    terminal->peer_waits++;
    if (terminal->peer_waits > (terminal->source.output->hurried ? 1u : BH_TERMINAL_PATIENCE)) {
        detach(terminal);
    }
}
