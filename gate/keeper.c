/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a gate that works alone:
 *   options -> sockets, audit, metrics -> inner gate and back end started -> READY=1 -> serve
 *   -> (SIGTERM, SIGINT, or the front end of --fd went) front end closed, back ends ended, gate ended
 * The keeper handles no message of the front end or the back end, and maps no guest memory: it passes
 * their connections on (gate_parent.h). An inner gate that dies is started again, and adopts the front
 * end's session; its back end is replaced, too.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_notify.h"
#include "keeper_backs.h"

#define PATIENCE_MS 2000u
#define US_IN_MS    1000u
#define END_US      500000u

static struct {
    struct bh_keeper_options options;
    struct bh_loop loop;
    struct bh_signals signals;
    struct bh_timer watchdog;
    struct bh_timer gate_timer; /* it is started later; or has to end now */
    struct bh_notify notify;
    struct bh_watch listener; /* fd -1: none */
    struct bh_keeper_audit audit;
    struct bh_metrics *metrics;
    struct bh_gate_setup setup;
    struct bh_gate_parent *parent;
    struct bh_backs backs;
    struct bh_child gate;
    struct bh_restarts gate_restarts;
    char guest[BH_GATE_NAME_MAX];
    int front_fd; /* a copy of the front end's connection, to be shut down at the end; -1 */
    int status;
    bool connected; /* the front end is the one of --fd: there is no other */
    bool refused;   /* it broke the protocol */
    bool ready;     /* a gate has been up */
    bool stopping;
} self;

/* ------------------------------------------------------------------------------------------------
 * the end */

static void stop(int status)
{
    if (self.stopping) {
        return;
    }
    self.stopping = true;
    self.status = status;
    (void)bh_notify_send(&self.notify, "STOPPING=1");
    if (self.listener.added) {
        self.loop.poller.ops->remove(&self.loop.poller, &self.listener);
    }
    if (self.front_fd >= 0) {
        (void)shutdown(self.front_fd, SHUT_RDWR);
    }
    bh_backs_stop(&self.backs);
}

/* The gate is the last, and has nothing left to lose. It ends when its parent's end of the line is
 * closed. */
static void backs_stopped(void *context)
{
    (void)context;
    if (self.gate.pid == 0) {
        bh_loop_stop(&self.loop);
        return;
    }
    bh_gate_parent_ended(self.parent);
    bh_timer_arm(&self.gate_timer, END_US, 0);
}

static void back_useless(void *context)
{
    (void)context;
    stop(BH_KEEPER_FAILED);
}

static void signal_received(void *context, int number)
{
    (void)context;
    (void)number;
    stop(BH_KEEPER_OK);
}

static void watchdog_expired(void *context)
{
    (void)context;
    (void)bh_notify_send(&self.notify, "WATCHDOG=1");
}

/* ------------------------------------------------------------------------------------------------
 * the front end */

static void take_front(int fd)
{
    self.front_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    self.refused = false;
    (void)bh_gate_parent_front(self.parent, 0, fd);
}

/* One at a time: the next one waits in the backlog. */
static void knocked(struct bh_watch *watch)
{
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    self.loop.poller.ops->remove(&self.loop.poller, watch);
    bh_log_event(BH_LOG_INFO, "front end connected");
    take_front(fd);
}

static void front_gone(void *context, uint32_t device)
{
    (void)context;
    (void)device;
    if (self.front_fd >= 0) {
        (void)close(self.front_fd);
        self.front_fd = -1;
    }
    if (self.stopping) {
        return;
    }
    if (self.connected) {
        stop(self.refused ? BH_KEEPER_FAILED : BH_KEEPER_OK);
    } else if (self.loop.poller.ops->add(&self.loop.poller, &self.listener) != BH_OK) {
        bh_log(BH_LOG_ERROR, "the socket for front ends cannot be watched");
        stop(BH_KEEPER_BROKEN);
    }
}

/* ------------------------------------------------------------------------------------------------
 * what the gate says */

static enum bh_log_level level_of(uint32_t reason)
{
    switch (reason) {
    case BH_GATE_GAVE_UP:
        return BH_LOG_ERROR;
    case BH_GATE_FRONT_GONE:
        return BH_LOG_INFO;
    case BH_GATE_REPLACED:
    case BH_GATE_ADOPTED:
    case BH_GATE_RINGS_SHARED:
    case BH_GATE_LIMIT_HIT:
        return BH_LOG_NOTICE;
    default:
        return BH_LOG_WARNING;
    }
}

static void on_want(void *context, uint32_t device, uint32_t generation, uint32_t reason,
                    const char *text)
{
    (void)context;
    (void)device;
    if (self.stopping) {
        return;
    }
    if (reason != BH_GATE_REASON_NONE) {
        bh_keeper_audit_write(&self.audit, BH_LOG_WARNING, reason, generation, text);
    }
    bh_backs_want(&self.backs);
}

static void on_greeted(void *context, uint32_t device, uint32_t generation)
{
    (void)context;
    (void)device;
    bh_log_event(BH_LOG_INFO, "back end %u serves", generation);
    bh_backs_greeted(&self.backs);
}

static void on_up(void *context, uint32_t device)
{
    (void)context;
    (void)device;
    bh_log_event(BH_LOG_INFO, "the guest's driver is there");
}

static void on_guest(void *context, uint32_t device, const char *text)
{
    (void)context;
    (void)device;
    (void)text; /* an event says it, too */
    bh_log_event(BH_LOG_NOTICE, "the device stands still until the guest's driver resets it");
}

static void on_event(void *context, const struct bh_gate_message *event)
{
    (void)context;
    self.refused = self.refused || event->reason == BH_GATE_FRONT_REFUSED;
    bh_keeper_audit_write(&self.audit, level_of(event->reason), event->reason, event->number,
                          event->text);
}

static void on_ready(void *context)
{
    (void)context;
    bh_log_event(BH_LOG_INFO, "the inner gate is up (process %d)", (int)self.gate.pid);
    if (!self.ready) {
        self.ready = true;
        if (bh_notify_send(&self.notify, "READY=1") != BH_OK) {
            bh_log(BH_LOG_WARNING, "the service manager was not told");
        }
    }
}

static void on_failed(void *context, const char *why)
{
    (void)context;
    bh_log(BH_LOG_WARNING, "the inner gate is ended: %s", why);
    bh_child_signal(&self.gate, SIGKILL);
}

static const struct bh_gate_parent_ops parent_ops = {
    .want = on_want,
    .greeted = on_greeted,
    .up = on_up,
    .guest = on_guest,
    .event = on_event,
    .ready = on_ready,
    .front_gone = front_gone,
    .failed = on_failed,
};

/* ------------------------------------------------------------------------------------------------
 * the inner gate */

static int start_gate(void);

static void gate_ended(struct bh_child *child, int status)
{
    uint64_t wait_ms = 0;
    (void)child;
    bh_gate_parent_ended(self.parent);
    if (self.stopping) {
        if (self.backs.current == NULL && self.backs.spare == NULL) {
            bh_loop_stop(&self.loop);
        }
        return;
    }
    if (!self.ready) {
        bh_log(BH_LOG_ERROR, "the inner gate could not start");
        stop(status > 0 && status <= BH_KEEPER_BROKEN ? status : BH_KEEPER_BROKEN);
        return;
    }
    bh_log(BH_LOG_WARNING,
           status < 0 ? "the inner gate ended by signal %d: another one takes over"
                      : "the inner gate ended with status %d: another one takes over",
           status < 0 ? -status : status);
    if (!bh_restarts_allow(&self.gate_restarts, bh_keeper_now_ms(), self.options.restarts,
                           &wait_ms)) {
        bh_log(BH_LOG_ERROR, "the inner gate ended too often (--restarts)");
        stop(BH_KEEPER_BROKEN);
        return;
    }
    bh_backs_gate_ended(&self.backs);
    if (wait_ms != 0u) {
        bh_timer_arm(&self.gate_timer, wait_ms * US_IN_MS, 0);
    } else if (start_gate() != BH_OK) {
        stop(BH_KEEPER_BROKEN);
    }
}

static int start_gate(void)
{
    struct bh_child_fd fds[BH_GATE_CHILD_FDS];
    uint32_t count = 0;
    const char *const arguments[] = {"bulkhead-gate", "--control", "--sandbox",
                                     self.options.sandbox, NULL};
    int result = bh_gate_parent_fds(self.parent, fds, &count);
    if (result == BH_OK) {
        const struct bh_child_setup setup = {
            .poller = &self.loop.poller,
            .program = "/proc/self/exe",
            .arguments = arguments,
            .fds = fds,
            .fd_count = count,
            .output_fd = STDERR_FILENO,
            .isolate = true,
            .no_network = true,
            .ended = gate_ended,
        };
        result = bh_child_start(&self.gate, &setup);
    }
    if (result == BH_OK) {
        result = bh_gate_parent_started(self.parent);
    }
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "the inner gate cannot be started: %s", bh_error_name(result));
    }
    return result;
}

static void gate_timer_expired(void *context)
{
    (void)context;
    if (self.stopping) {
        bh_child_signal(&self.gate, SIGKILL);
    } else if (start_gate() != BH_OK) {
        stop(BH_KEEPER_BROKEN);
    }
}

/* ------------------------------------------------------------------------------------------------
 * start */

static char *metrics_text(void *context)
{
    struct bh_gate_metrics_source source = {
        .guest = self.guest,
        .device = self.setup.devices[0].name,
        .mode = bh_gate_mode_name(self.options.mode),
    };
    (void)context;
    bh_gate_parent_counters(self.parent, 0, &source.counters);
    return bh_gate_metrics(&source, 1);
}

/* What the service manager told us is not for back ends. */
static void keep_environment(void)
{
    static const char *const names[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                        "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)unsetenv(names[i]);
    }
}

static int start_events(void)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    struct bh_poller *poller = &self.loop.poller;
    int result = bh_loop_init(&self.loop);
    if (result == BH_OK) {
        result = bh_signals_init(&self.signals, poller, numbers, 2, signal_received, NULL);
    }
    if (result == BH_OK) {
        result = bh_timer_init(&self.watchdog, poller, watchdog_expired, NULL);
    }
    if (result == BH_OK) {
        result = bh_timer_init(&self.gate_timer, poller, gate_timer_expired, NULL);
    }
    if (result == BH_OK && bh_notify_init(&self.notify) != BH_OK) {
        bh_log(BH_LOG_WARNING, "the service manager cannot be told");
    }
    keep_environment();
    return result;
}

static int open_front(int given_fd)
{
    int fd = self.options.fd >= 0 ? self.options.fd : given_fd;
    bool listens = true;
    int result = self.options.listen != NULL ? bh_keeper_listen(self.options.listen, &fd)
                                             : bh_keeper_adopt(fd, &listens);
    if (result != BH_OK) {
        return result;
    }
    self.connected = !listens;
    if (self.connected) {
        take_front(fd);
        return BH_OK;
    }
    self.listener = (struct bh_watch){.fd = fd, .ready = knocked};
    return self.loop.poller.ops->add(&self.loop.poller, &self.listener);
}

/* The name of the front end's socket, without its folder and its ending, tells guests apart. */
static void name_guest(void)
{
    const char *path = self.options.listen != NULL ? self.options.listen : "guest";
    const char *slash = strrchr(path, '/');
    (void)snprintf(self.guest, sizeof(self.guest), "%.100s", slash != NULL ? slash + 1 : path);
    char *ending = strstr(self.guest, ".sock");
    if (ending != NULL && ending != self.guest && strcmp(ending, ".sock") == 0) {
        *ending = '\0';
    }
    self.audit.guest = self.guest;
    self.audit.device = self.setup.devices[0].name;
}

static void say_what_is_shared(void)
{
    const char *mode = bh_gate_mode_name(self.options.mode);
    if (self.options.mode == BH_GATE_OPEN) {
        bh_log(BH_LOG_WARNING, "open: the back end maps all memory that the front end shares");
    } else if (self.options.mode == BH_GATE_SHADOW && self.options.share_count == 0u) {
        bh_log(BH_LOG_NOTICE, "shadow without --share: the back end maps no guest memory, and all "
                              "data is copied, as in bounce");
    } else if (self.options.share_count == 0u) {
        bh_log(BH_LOG_INFO, "%s: the back end maps no guest memory", mode);
    } else {
        bh_log(BH_LOG_INFO, "%s: of guest memory the back end maps %u range%s", mode,
               self.options.share_count, self.options.share_count == 1u ? "" : "s");
    }
}

static int make_parent(void)
{
    const struct bh_gate_parent_setup setup = {
        .poller = &self.loop.poller,
        .setup = &self.setup,
        .ops = &parent_ops,
        .patience_ms = PATIENCE_MS,
    };
    bh_keeper_setup(&self.options, self.guest, &self.setup);
    int result = bh_gate_parent_create(&self.parent, &setup);
    if (result == BH_OK) {
        bh_gate_parent_limits(self.parent, 0, &self.options.limits);
        self.backs.poller = &self.loop.poller;
        self.backs.options = &self.options;
        self.backs.parent = self.parent;
        self.backs.stopped = backs_stopped;
        self.backs.useless = back_useless;
        result = bh_backs_init(&self.backs);
    }
    return result;
}

static int open_metrics(void)
{
    int fd = -1;
    int result = bh_keeper_listen(self.options.metrics, &fd);
    return result == BH_OK
               ? bh_metrics_open(&self.metrics, &self.loop.poller, fd, metrics_text, NULL)
               : result;
}

static int start(int given_fd)
{
    int result = start_events();
    if (result == BH_OK) {
        result = bh_keeper_audit_open(&self.audit, self.options.audit);
    }
    if (result == BH_OK) {
        result = make_parent();
    }
    if (result == BH_OK && self.options.metrics != NULL) {
        result = open_metrics();
    }
    if (result == BH_OK) {
        result = open_front(given_fd);
    }
    if (result == BH_OK) {
        /* What back ends leave behind is reaped here, and known to be gone. */
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        say_what_is_shared();
        result = start_gate();
    }
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "not started: %s", bh_error_name(result));
    }
    return result;
}

static void finish(void)
{
    bh_gate_parent_destroy(self.parent);
    bh_backs_finish(&self.backs);
    if (self.metrics != NULL) {
        bh_metrics_close(self.metrics);
        (void)unlink(self.options.metrics);
    }
    bh_keeper_audit_close(&self.audit);
    if (self.options.listen != NULL) {
        (void)unlink(self.options.listen);
    }
    bh_notify_finish(&self.notify);
    bh_timer_finish(&self.gate_timer);
    bh_timer_finish(&self.watchdog);
    bh_signals_finish(&self.signals);
    bh_loop_finish(&self.loop);
}

int bh_keeper_main(int argc, char **argv)
{
    int given_fd = -1;
    self.front_fd = -1;
    self.listener.fd = -1;
    bh_log_open("bulkhead-gate", BH_LOG_INFO);
    int status = bh_keeper_options_read(argc, argv, &self.options);
    if (status >= 0) {
        return status;
    }
    if (bh_notify_listen_fd(&given_fd) != BH_OK) {
        return bh_keeper_mistake("LISTEN_FDS makes no sense: one socket is expected");
    }
    status = bh_keeper_options_check(&self.options, given_fd >= 0);
    if (status >= 0 || self.options.check) {
        return status >= 0 ? status : BH_KEEPER_OK;
    }
    bh_keeper_setup(&self.options, "", &self.setup);
    name_guest();
    if (start(given_fd) != BH_OK) {
        return BH_KEEPER_FAILED;
    }
    if (self.notify.watchdog_usecs != 0u) {
        bh_timer_arm(&self.watchdog, self.notify.watchdog_usecs / 2u,
                     self.notify.watchdog_usecs / 2u);
    }
    bh_backs_start(&self.backs);
    if (bh_loop_run(&self.loop) != BH_OK) {
        bh_log(BH_LOG_ERROR, "the event loop failed");
        return BH_KEEPER_BROKEN;
    }
    finish();
    return self.status;
}
