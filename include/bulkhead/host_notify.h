/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service manager's protocol from a daemon's side: sockets that it hands over (LISTEN_FDS) and
 * the messages that it wants (sd_notify: READY=1, WATCHDOG=1, …). Spoken directly: it is a few
 * lines of text over a datagram socket, and needs no library.
 *
 * Thread: one. bh_notify_init comes before the sandbox, because it connects a socket.
 */
#ifndef BULKHEAD_HOST_NOTIFY_H
#define BULKHEAD_HOST_NOTIFY_H

#include <stdint.h>

#include "bulkhead/error.h"

struct bh_notify {
    int fd;                  /* -1: nobody wants to be told */
    uint64_t watchdog_usecs; /* the manager's watchdog wants a sign within this time; 0: none */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. BH_INVALID: they make no sense; BH_GONE:
 * nobody listens. Without NOTIFY_SOCKET: BH_OK, and later calls do nothing. */
int bh_notify_init(struct bh_notify *notify);
void bh_notify_finish(struct bh_notify *notify);

/* Sends `message` ("READY=1", lines separated by '\n'). Never waits. BH_AGAIN, BH_GONE. */
int bh_notify_send(const struct bh_notify *notify, const char *message);

/* What a daemon writes to its parent (--up), a letter each. */
#define BH_UP_SERVES 's' /* its sandbox is closed: from now on it reads what a guest has */
#define BH_UP_DRIVER 'u' /* the guest's driver is there; once each time it comes up */

/* The socket that LISTEN_FDS hands over: BH_OK and *fd (-1: none is handed over), BH_INVALID: more
 * than one, or values that make no sense. */
int bh_notify_listen_fd(int *fd);

#endif
