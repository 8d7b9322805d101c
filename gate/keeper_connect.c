/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end that somebody else starts and ends. The keeper connects, and remembers which process is at
 * the other end: its successor is connected to only when that process is gone, because until then it
 * may still write. It never kills what it did not start.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "keeper_instance.h"

#ifndef SO_PEERPIDFD /* Linux 6.5 */
#define SO_PEERPIDFD 77
#endif

#define RETRY_US 20000u
#define SAY_US   1000000u

static void peer_ended(struct bh_watch *watch)
{
    bh_instance_gone(watch->context);
}

/* The process at the other end, while it is certainly that one. */
static int open_peer(struct bh_instance *instance)
{
    struct ucred peer = {.pid = 0};
    socklen_t length = sizeof(peer);
    int pidfd = -1;
    if (getsockopt(instance->fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        return bh_error_from_errno(errno);
    }
    instance->pid = peer.pid;
    length = sizeof(pidfd);
    if (getsockopt(instance->fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0) {
        pidfd = peer.pid > 0 ? (int)syscall(SYS_pidfd_open, peer.pid, 0) : -1;
    }
    if (pidfd < 0) {
        return BH_UNSUPPORTED;
    }
    instance->peer = (struct bh_watch){.fd = pidfd, .ready = peer_ended, .context = instance};
    int result = instance->poller->ops->add(instance->poller, &instance->peer);
    if (result != BH_OK) {
        (void)close(pidfd);
        instance->peer.fd = -1;
    }
    return result;
}

static int try_once(struct bh_instance *instance)
{
    int result = bh_keeper_connect(instance->options->backend, &instance->fd);
    if (result != BH_OK) {
        return result;
    }
    result = open_peer(instance);
    if (result == BH_UNSUPPORTED) {
        bh_log(BH_LOG_WARNING,
               "%s: which process serves there cannot be seen (another pid namespace?): a back end "
               "that is over cannot be replaced",
               instance->options->backend);
    }
    instance->ready = true;
    return BH_OK;
}

int bh_instance_connect(struct bh_instance *instance)
{
    int result = try_once(instance);
    if (result == BH_AGAIN) {
        bh_timer_arm(&instance->timer, RETRY_US, RETRY_US);
        return BH_OK;
    }
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "%s: cannot be connected to: %s", instance->options->backend,
               bh_error_name(result));
    }
    return result;
}

int bh_instance_await(struct bh_instance *instance)
{
    if (!instance->ready) {
        bh_instance_gone(instance); /* it was never connected */
        return BH_OK;
    }
    if (instance->peer.fd < 0) {
        bh_log(BH_LOG_ERROR, "%s: nobody can tell when the old back end is gone",
               instance->options->backend);
        return BH_UNSUPPORTED;
    }
    bh_timer_arm(&instance->timer, 1u, SAY_US);
    return BH_OK;
}

void bh_instance_connect_tick(struct bh_instance *instance)
{
    if (instance->ending) {
        bh_log(BH_LOG_NOTICE,
               "%s: waiting until the old back end (process %d) is gone; whoever started it has to "
               "end it",
               instance->options->backend, (int)instance->pid);
        return;
    }
    int result = try_once(instance);
    if (result == BH_OK) {
        bh_timer_arm(&instance->timer, 0, 0);
        instance->became_ready(instance);
    } else if (!instance->told) {
        instance->told = true;
        bh_log(BH_LOG_NOTICE, "%s: nobody listens there yet (%s): waiting",
               instance->options->backend, bh_error_name(result));
    }
}
