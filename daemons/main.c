/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a daemon, the same for every device:
 *   options -> inherited descriptors closed -> filter mapped -> resources open -> socket
 *   -> device and port made -> sandbox closed -> (--standby) resource taken -> READY=1 -> serve
 *   -> (SIGTERM, SIGINT) drain, bounded -> exit 0
 * It does not go to the background, and prints nothing but its log. SIGHUP: the device looks at its
 * resource again. SIGWINCH: at the size of its terminal. SIGUSR1: at what its filter says now.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "bulkhead/host_filter.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_loop.h"
#include "bulkhead/host_notify.h"
#include "bulkhead/host_sandbox.h"
#include "bulkhead/vhost_user_backend.h"
#include "daemon.h"
#include "options.h"
#include "refusals.h"
#include "socket.h"
#include "standby.h"

#define PROGRAM     "bulkhead-" BH_DAEMON_NAME
#define DRAIN_USECS 500000u
#define FD_LIMIT    1024u

/* A sanitizer's leak check at the end traces the process from another one, and the sandbox forbids
 * both. Only builds with the sanitizer call this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static struct {
    struct bh_loop loop;
    struct bh_signals signals;
    struct bh_timer drain;
    struct bh_timer watchdog;
    struct bh_notify notify;
    struct bh_socket socket;
    struct bh_filter filter;
    struct bh_device *device;
    struct bh_vu_backend *backend;
    int up_fd; /* -1: nobody wants to know */
    bool ending;
    bool drained;
    bool refused; /* the only connection broke the protocol */
} self;

/* ------------------------------------------------------------------------------------------------
 * events */

static void end(void)
{
    if (self.ending) {
        return;
    }
    self.ending = true;
    (void)bh_notify_send(&self.notify, "STOPPING=1");
    bh_timer_arm(&self.drain, DRAIN_USECS, 0);
    bh_daemon_class.stop();
}

static void resources_stopped(void *context)
{
    (void)context;
    self.drained = true;
    bh_loop_stop(&self.loop);
}

static void drain_expired(void *context)
{
    (void)context;
    bh_log(BH_LOG_WARNING, "requests are still under way; the in-flight record keeps them");
    bh_loop_stop(&self.loop);
}

/* Who is not listening, or has not read the last ones, misses it: it is no reason to wait. */
static void tell_up(char letter)
{
    if (self.up_fd >= 0 && write(self.up_fd, &letter, sizeof(letter)) < 0) {
        bh_log(BH_LOG_INFO, "the parent was not told: %c", letter);
    }
}

static void call_device(void (*hook)(void))
{
    if (hook != NULL) {
        hook();
        bh_device_flush(self.device);
    }
}

static void signal_received(void *context, int number)
{
    (void)context;
    if (number == SIGHUP) {
        call_device(bh_daemon_class.reload);
    } else if (number == SIGWINCH) {
        call_device(bh_daemon_class.resized);
    } else if (number == SIGUSR1) {
        call_device(bh_daemon_class.filter_changed);
    } else {
        end();
    }
}

static void watchdog_expired(void *context)
{
    (void)context;
    (void)bh_notify_send(&self.notify, "WATCHDOG=1");
}

/* A queue that could not start has no fault of its own: `detail` tells. */
static void log_fault(uint16_t queue, const char *detail)
{
    const struct bh_fault *fault = &self.device->queues[queue].fault;

    if (fault->error == BH_OK) {
        bh_log_event(BH_LOG_WARNING, "queue %u not started: %s", queue, detail);
        return;
    }
    if (fault->address == 0u && fault->length == 0u && fault->flags == 0u) {
        /* What the descriptor said is not known, or not to blame. */
        bh_log_event(BH_LOG_WARNING, "queue %u stopped: %s (%s): chain %u, descriptor %u", queue,
                     fault->reason, bh_error_name(fault->error), fault->head, fault->index);
        return;
    }
    bh_log_event(BH_LOG_WARNING,
                 "queue %u stopped: %s (%s): chain %u, descriptor %u: address %#jx, length %u, "
                 "flags %#x",
                 queue, fault->reason, bh_error_name(fault->error), fault->head, fault->index,
                 (uintmax_t)fault->address, fault->length, fault->flags);
}

/* What a guest or front end causes goes to the log within limits. */
static void port_notice(void *context, const struct bh_vu_notice *notice)
{
    const char *detail = notice->detail != NULL ? notice->detail : "";
    (void)context;
    switch (notice->event) {
    case BH_VU_EVENT_CONNECTED:
        bh_log_event(BH_LOG_INFO, "front end connected");
        break;
    case BH_VU_EVENT_DISCONNECTED:
        bh_log_event(BH_LOG_INFO, "front end disconnected");
        break;
    case BH_VU_EVENT_READY:
        bh_log_event(BH_LOG_INFO, "the guest's driver is there");
        tell_up(BH_UP_DRIVER);
        break;
    case BH_VU_EVENT_REFUSED:
        self.refused = true;
        bh_log_event(BH_LOG_WARNING, "front end refused at request %u: %s", notice->request,
                     detail);
        break;
    case BH_VU_EVENT_FAULT:
        log_fault(notice->queue, detail);
        break;
    case BH_VU_EVENT_MEMORY_LOST:
        bh_log_event(BH_LOG_WARNING, "memory was truncated by the front end: device stopped");
        break;
    case BH_VU_EVENT_UNSEALED:
        bh_log_event(BH_LOG_INFO, "memory that the front end could truncate: %s", detail);
        break;
    default:
        break;
    }
}

static void connection_closed(void *context)
{
    (void)context;
    end();
}

/* ------------------------------------------------------------------------------------------------
 * start */

static int start_events(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGWINCH, SIGUSR1};
    int result = bh_loop_init(&self.loop);
    if (result != BH_OK) {
        return result;
    }
    struct bh_poller *poller = &self.loop.poller;
    result = bh_signals_init(&self.signals, poller, numbers, sizeof(numbers) / sizeof(numbers[0]),
                             signal_received, NULL);
    if (result == BH_OK) {
        result = bh_timer_init(&self.drain, poller, drain_expired, NULL);
    }
    if (result == BH_OK) {
        result = bh_timer_init(&self.watchdog, poller, watchdog_expired, NULL);
    }
    if (result == BH_OK) {
        result = bh_refusals_init(poller);
    }
    return result;
}

/* The mapping stays; the descriptor is not needed any more. */
static int open_filter(int fd)
{
    const struct bh_filter_page *page = NULL;
    int result = bh_filter_map(fd, &page);
    switch (result) {
    case BH_OK:
        bh_filter_bind(&self.filter, page);
        (void)close(fd);
        break;
    case BH_INVALID:
        bh_log(BH_LOG_ERROR, "--filter: descriptor %d is no memory file of %u bytes", fd,
               BH_FILTER_BYTES);
        break;
    case BH_DENIED:
        bh_log(BH_LOG_ERROR,
               "--filter: descriptor %d is not sealed: whoever holds it could change it. Seal it "
               "against growing, shrinking, future writes and further seals",
               fd);
        break;
    case BH_UNSUPPORTED:
        bh_log(BH_LOG_ERROR,
               "--filter: the page in descriptor %d has a form that this version does not know, "
               "and would allow nothing: start it from the version that wrote the page",
               fd);
        break;
    default:
        bh_log(BH_LOG_ERROR, "--filter: descriptor %d cannot be mapped: %s", fd,
               bh_error_name(result));
        break;
    }
    return result;
}

static int start_port(void)
{
    const struct bh_vu_setup setup = {
        .device = self.device,
        .poller = &self.loop.poller,
        .listen_fd = self.socket.listen_fd,
        .connection_fd = self.socket.connection_fd,
        .features = BH_VU_FEATURES,
        .notice = port_notice,
        .closed = connection_closed,
    };
    return bh_vu_backend_create(&self.backend, &setup);
}

static int close_sandbox(enum bh_sandbox_mode mode)
{
    struct bh_sandbox_setup setup = {.mode = mode, .fd_limit = FD_LIMIT};
    struct bh_sandbox_report report;
    if (bh_daemon_class.requests != NULL) {
        setup.request_count = bh_daemon_class.requests(&setup.requests);
    }
    return bh_sandbox_close(&setup, &report);
}

/* Everything up to the sandbox. Nothing of a guest is read yet: the loop does not run. */
static int start(const struct bh_options *options, int inherited_fd)
{
    const struct bh_daemon daemon = {
        .poller = &self.loop.poller,
        .stopped = resources_stopped,
        .filter = options->filter_fd >= 0 ? &self.filter : NULL,
        .standby = options->standby,
    };
    int result = start_events();
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "no event loop: %s", bh_error_name(result));
        return result;
    }
    result = bh_notify_init(&self.notify);
    if (result != BH_OK) {
        bh_log(BH_LOG_WARNING, "the service manager cannot be told: %s", bh_error_name(result));
    }
    if (options->filter_fd >= 0) {
        result = open_filter(options->filter_fd);
        if (result != BH_OK) {
            return result;
        }
    }
    result = bh_daemon_class.open(&daemon, &self.device);
    if (result != BH_OK) {
        return result;
    }
    result = bh_socket_open(&self.socket, options, inherited_fd);
    if (result != BH_OK) {
        return result;
    }
    result = start_port();
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "no vhost-user port: %s", bh_error_name(result));
    }
    return result;
}

/* The service manager's socket is one more descriptor that may be inherited. */
static int close_inherited(struct bh_options *options, int *inherited_fd)
{
    if (bh_notify_listen_fd(inherited_fd) != BH_OK) {
        bh_log(BH_LOG_ERROR, "LISTEN_FDS makes no sense: one socket is expected");
        return BH_INVALID;
    }
    if (*inherited_fd >= 0) {
        int result = bh_daemon_keep_fd(*inherited_fd);
        if (result != BH_OK) {
            return result;
        }
    }
    if (options->sandbox == BH_SANDBOX_OFF) {
        return BH_OK;
    }
    return bh_sandbox_descriptors(options->kept_fds, options->kept_count);
}

/* ------------------------------------------------------------------------------------------------
 * serving, and the end */

static int serve(void)
{
    if (self.notify.watchdog_usecs != 0u) {
        bh_timer_arm(&self.watchdog, self.notify.watchdog_usecs / 2u,
                     self.notify.watchdog_usecs / 2u);
    }
    if (bh_notify_send(&self.notify, "READY=1") != BH_OK) {
        bh_log(BH_LOG_WARNING, "the service manager was not told");
    }
    tell_up(BH_UP_SERVES);
    if (bh_loop_run(&self.loop) != BH_OK) {
        bh_log(BH_LOG_ERROR, "the event loop failed");
        return BH_EXIT_BROKEN;
    }
    return self.refused && self.socket.connection_fd >= 0 ? BH_EXIT_FAILED : BH_EXIT_OK;
}

/* Nothing of the socket is read: the loop does not run. */
static int stand_by(void)
{
    const struct bh_socket *socket = &self.socket;
    return bh_standby_wait(socket->connection_fd >= 0 ? socket->connection_fd : socket->listen_fd,
                           self.signals.watch.fd, bh_daemon_class.claim);
}

/* In reverse order. What the kernel still works on refers to this memory: then it is all left to
 * the end of the process. */
static void finish(void)
{
    if (!self.drained) {
        return;
    }
    bh_device_flush(self.device);
    bh_vu_backend_destroy(self.backend);
    bh_daemon_class.close();
    bh_filter_unmap(self.filter.page);
    bh_refusals_finish();
    bh_notify_finish(&self.notify);
    bh_timer_finish(&self.watchdog);
    bh_timer_finish(&self.drain);
    bh_signals_finish(&self.signals);
    bh_loop_finish(&self.loop);
}

int main(int count, char **arguments)
{
    struct bh_options options;
    int inherited_fd = -1;
    bh_log_open(PROGRAM, BH_LOG_NOTICE);
    int status = bh_options_read(count, arguments, &options);
    if (status >= 0) {
        return status;
    }
    self.up_fd = options.up_fd;
    if (close_inherited(&options, &inherited_fd) != BH_OK) {
        return BH_EXIT_FAILED;
    }
    if (start(&options, inherited_fd) != BH_OK) {
        return BH_EXIT_FAILED;
    }
    if (close_sandbox(options.sandbox) != BH_OK) {
        return BH_EXIT_SANDBOX;
    }
    if (options.standby) {
        int result = stand_by();
        if (result != BH_OK) {
            return result == BH_GONE ? BH_EXIT_OK : BH_EXIT_FAILED;
        }
    }
    status = serve();
    finish();
    return status;
}
