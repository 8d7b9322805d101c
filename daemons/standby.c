/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Standing by (standby.h). The loop cannot be used for it: it would read the message that is waited for.
 */
#include "standby.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"

#define PATIENCE_MS 10000
#define PAUSE_MS    2
#define QUIET_MS    1000 /* a wait that is longer is worth a line in the log */

/* Whether a signal that is there asks for the end. Others mean nothing before it serves. */
static bool told_to_end(int signals_fd)
{
    struct signalfd_siginfo signal;
    return read(signals_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal) &&
           (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT);
}

/* A peer that went without a word wants nothing. A listening socket has no such end. */
static bool is_over(int socket_fd)
{
    char byte;
    return recv(socket_fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* BH_OK: there is something; BH_AGAIN: not within `timeout` ms; BH_GONE. */
static int wait_for(int socket_fd, int signals_fd, int timeout)
{
    struct pollfd fds[2] = {{.fd = signals_fd, .events = POLLIN},
                            {.fd = socket_fd, .events = POLLIN}};
    int count = poll(fds, 2, timeout);
    if (count < 0 && errno != EINTR) {
        bh_log(BH_LOG_ERROR, "standby: the socket cannot be waited for");
        return bh_error_from_errno(errno);
    }
    if (count > 0 && fds[0].revents != 0 && told_to_end(signals_fd)) {
        return BH_GONE;
    }
    if (count > 0 && fds[1].revents != 0) {
        return socket_fd >= 0 && is_over(socket_fd) ? BH_GONE : BH_OK;
    }
    return BH_AGAIN;
}

static int claim_patiently(int signals_fd, int (*claim)(void))
{
    int result = claim();
    for (int waited = 0; result == BH_AGAIN; waited += PAUSE_MS) {
        if (waited >= PATIENCE_MS) {
            bh_log(BH_LOG_ERROR, "standby: the resource is in use by another process (locked)");
            return BH_STATE;
        }
        if (waited == QUIET_MS) {
            bh_log(BH_LOG_WARNING,
                   "standby: waiting for another process to let go of the resource");
        }
        result = wait_for(-1, signals_fd, PAUSE_MS);
        result = result == BH_AGAIN ? claim() : result;
    }
    return result;
}

int bh_standby_wait(int socket_fd, int signals_fd, int (*claim)(void))
{
    int result;
    do {
        result = wait_for(socket_fd, signals_fd, -1);
    } while (result == BH_AGAIN);
    return result == BH_OK ? claim_patiently(signals_fd, claim) : result;
}
