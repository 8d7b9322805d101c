/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of the inner gate:
 *   setup, limits, ledger, arenas mapped -> what the parent has for it read, up to GO -> devices made
 *   -> threads made, sandbox closed -> READY -> the control socket is read until it closes -> end
 * It ends without taking leave of anybody: whatever matters is in the ledger and with the parent, as
 * it would be had it been killed.
 */
#include "inner.h"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_sandbox.h"
#include "device.h"

enum { EXIT_GONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SANDBOX = 3, EXIT_BROKEN = 4 };

/* Regions (twice: a table is replaced whole), ring events on both sides, lines. */
#define FDS_COMMON    128u
#define FDS_OF_DEVICE 1024u
/* A thread that has not answered for so long is taken out of its system call. */
#define NUDGE_MS   100
#define KEPT_BYTES (BH_GATE_SLOTS * sizeof(int))

static struct {
    struct bh_ledger ledger;
    struct bh_control control;
    struct bh_threads threads;
    struct bh_gated *devices;
    int *kept; /* BH_GATE_SLOTS for each device */
} self;

/* ---- before GO ---- */

static uint32_t device_count(void)
{
    return self.ledger.setup->device_count;
}

static int take_kept(const struct bh_gate_message *message, int fd)
{
    if (fd < 0 || message->slot >= BH_GATE_SLOTS) {
        return BH_PROTOCOL;
    }
    int *slot = &self.kept[(size_t)message->device * BH_GATE_SLOTS + message->slot];
    if (*slot >= 0) {
        (void)close(*slot);
    }
    *slot = fd;
    return BH_OK;
}

static void drop(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* One message. BH_PROTOCOL: it makes no sense. */
static int handle(const struct bh_gate_message *message, int fd, bool started)
{
    if (message->kind == BH_GATE_PING && fd < 0) {
        __atomic_store_n(&self.ledger.pages->beat, self.ledger.pages->beat + 1u, __ATOMIC_RELAXED);
        bh_threads_ask(&self.threads, message->number);
        return BH_OK;
    }
    if (message->device >= device_count()) {
        drop(fd);
        return BH_PROTOCOL;
    }
    if (message->kind == BH_GATE_KEPT && !started) {
        int result = take_kept(message, fd);
        if (result != BH_OK) {
            drop(fd);
        }
        return result;
    }
    return bh_thread_post(&self.threads.threads[message->device], message, fd);
}

static int read_until_go(void)
{
    for (;;) {
        struct bh_gate_message message;
        int fd = -1;
        int result = bh_control_receive(&self.control, &message, &fd);
        if (result != BH_OK) {
            return result;
        }
        if (message.kind == BH_GATE_GO) {
            drop(fd);
            return BH_OK;
        }
        result = handle(&message, fd, false);
        if (result != BH_OK) {
            return result;
        }
    }
}

/* ---- start ---- */

/* Threads share one heap: one for each would be mapped when a thread first allocates, in ways that the
 * sandbox forbids. */
static int make_memory(void)
{
    const uint32_t count = device_count();
    (void)mallopt(M_ARENA_MAX, 1); /* an allocator that knows no such thing needs none */
    self.devices = calloc(count, sizeof(*self.devices));
    self.kept = malloc(count * KEPT_BYTES);
    if (self.devices == NULL || self.kept == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count * BH_GATE_SLOTS; i++) {
        self.kept[i] = -1;
    }
    self.threads.control = &self.control;
    self.threads.count = count;
    for (uint32_t i = 0; i < count; i++) {
        int result = bh_thread_init(&self.threads, i, &bh_gated_thread, &self.devices[i]);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

static int make_devices(void)
{
    for (uint32_t i = 0; i < device_count(); i++) {
        int result = bh_gated_init(&self.devices[i], &self.ledger, i, &self.control,
                                   &self.threads.threads[i], &self.kept[(size_t)i * BH_GATE_SLOTS]);
        if (result != BH_OK) {
            bh_log(BH_LOG_ERROR, "device %s: %s", self.ledger.setup->devices[i].name,
                   result == BH_INVALID ? "its arena is too small for its rings; give it a larger "
                                          "one, or smaller queues"
                                        : bh_error_name(result));
            return result;
        }
    }
    return BH_OK;
}

static int make_threads(void *context)
{
    return bh_threads_start(context);
}

static int close_sandbox(enum bh_sandbox_mode mode)
{
    static const char *const calls[] = {"eventfd2", "socketpair"};
    const struct bh_sandbox_setup setup = {
        .mode = mode,
        .fd_limit = FDS_COMMON + FDS_OF_DEVICE * device_count(),
        .calls = calls,
        .call_count = sizeof(calls) / sizeof(calls[0]),
        .threads = make_threads,
        .context = &self.threads,
        .thread_count = device_count(),
    };
    struct bh_sandbox_report report;
    return bh_sandbox_close(&setup, &report);
}

/* Only what the setup tells of is kept: the parent's other descriptors are none of this program's. */
static int close_inherited(enum bh_sandbox_mode mode)
{
    int fds[BH_GATE_ARENA_FD + BH_GATE_DEVICES_MAX];
    uint32_t count = 0;
    for (int fd = BH_GATE_CONTROL_FD; fd < BH_GATE_ARENA_FD; fd++) {
        fds[count++] = fd;
    }
    for (uint32_t i = 0; i < device_count(); i++) {
        if (self.ledger.arena_fds[i] >= 0) {
            fds[count++] = self.ledger.arena_fds[i];
        }
    }
    return mode == BH_SANDBOX_OFF ? BH_OK : bh_sandbox_descriptors(fds, count);
}

static int start(enum bh_sandbox_mode mode)
{
    const char *why = "the gate cannot start";
    int result = bh_ledger_open(&self.ledger, &why);
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "%s. This is how the gate's parent starts it; alone: see --help", why);
        return EXIT_FAILED;
    }
    if (close_inherited(mode) != BH_OK) {
        bh_log(BH_LOG_ERROR, "what was inherited cannot be closed");
        return EXIT_FAILED;
    }
    bh_control_init(&self.control, BH_GATE_CONTROL_FD);
    result = make_memory();
    if (result == BH_OK) {
        result = read_until_go();
    }
    if (result == BH_GONE) {
        return EXIT_GONE;
    }
    if (result == BH_OK) {
        result = make_devices();
    }
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "the gate cannot start: %s", bh_error_name(result));
        return result == BH_PROTOCOL ? EXIT_BROKEN : EXIT_FAILED;
    }
    return close_sandbox(mode) == BH_OK ? -1 : EXIT_SANDBOX;
}

/* ---- serving ---- */

/* Until there is something to read. Nobody is nudged who answers within that time. */
static void wait_for_message(void)
{
    struct pollfd polled = {.fd = self.control.fd, .events = POLLIN};
    while (poll(&polled, 1, bh_threads_awaited(&self.threads) ? NUDGE_MS : -1) == 0) {
        bh_threads_nudge(&self.threads);
    }
}

static int serve(void)
{
    bh_control_say(&self.control, BH_GATE_READY, 0, BH_GATE_REASON_NONE, 0, NULL);
    bh_threads_go(&self.threads);
    for (;;) {
        struct bh_gate_message message;
        int fd = -1;
        wait_for_message();
        int result = bh_control_receive(&self.control, &message, &fd);
        if (result == BH_OK) {
            result = handle(&message, fd, true);
        }
        if (result == BH_PROTOCOL) {
            bh_log(BH_LOG_ERROR, "a message of the parent's makes no sense");
            return EXIT_BROKEN;
        }
        if (result != BH_OK) {
            return EXIT_GONE;
        }
    }
}

static int read_mode(int argc, char **argv, enum bh_sandbox_mode *mode)
{
    static const char *const names[] = {[BH_SANDBOX_OFF] = "off",
                                        [BH_SANDBOX_BEST_EFFORT] = "best-effort",
                                        [BH_SANDBOX_STRICT] = "strict"};
    *mode = BH_SANDBOX_BEST_EFFORT;
    if (argc == 0) {
        return BH_OK;
    }
    if (argc != 2 || strcmp(argv[0], "--sandbox") != 0) {
        return BH_INVALID;
    }
    for (int i = BH_SANDBOX_OFF; i <= (int)BH_SANDBOX_STRICT; i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            *mode = (enum bh_sandbox_mode)i;
            return BH_OK;
        }
    }
    return BH_INVALID;
}

int bh_inner_main(int argc, char **argv)
{
    enum bh_sandbox_mode mode;
    if (read_mode(argc, argv, &mode) != BH_OK) {
        bh_log(BH_LOG_ERROR,
               "--control is followed by nothing, or by --sandbox best-effort, strict "
               "or off");
        return EXIT_USAGE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int status = start(mode);
    if (status < 0) {
        status = serve();
        /* Threads run: nothing of theirs may be taken apart. */
        _exit(status);
    }
    return status;
}
