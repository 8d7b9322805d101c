/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-rng: the entropy model over the kernel's generator or a device. Only wiring, and the
 * time of the limit: the model counts bytes, the timer here says when a period is over.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "bulkhead/host_entropy.h"
#include "bulkhead/host_log.h"
#include "bulkhead/rng.h"
#include "daemon.h"

#define QUEUE_SIZE                                                                                 \
    1024u /* QEMU's device has less, and its virtio-mmio lets the guest choose more */
#define CHAIN_SPANS    64u   /* the longest buffer, in pieces */
#define PERIOD_DEFAULT 1000u /* milliseconds */
#define PERIOD_MAX     86400000u

static struct {
    const char *path;   /* NULL: the kernel's generator */
    uint64_t max_bytes; /* 0: no limit */
    uint64_t period;    /* milliseconds; 0: not given */

    struct bh_memory memory;
    struct bh_span_pool pool;
    struct bh_span spans[CHAIN_SPANS];
    uint16_t free_block;
    struct bh_order_slot order[QUEUE_SIZE];
    uint8_t busy[QUEUE_SIZE];
    struct bh_queue queue;
    struct bh_device device;
    struct bh_rng rng;
    struct bh_entropy *entropy;
    struct bh_timer timer;
    struct bh_task task;
    struct bh_daemon daemon;
    bool may_draw; /* what the log said last */
} self;

/* ------------------------------------------------------------------------------------------------
 * options */

static int take_source(const char *value)
{
    self.path = value;
    return bh_daemon_keep_path(value);
}

static int take_max_bytes(const char *value)
{
    int result = bh_daemon_size(value, &self.max_bytes);
    return result == BH_OK && self.max_bytes == 0u ? BH_INVALID : result;
}

static int take_period(const char *value)
{
    return bh_daemon_number(value, 1, PERIOD_MAX, &self.period);
}

static const struct bh_daemon_option rng_options[] = {
    {"source", "PATH", "a device, pipe or socket to read (default: the kernel's generator)",
     take_source},
    {"max-bytes", "SIZE", "give the guest at most SIZE bytes in each period", take_max_bytes},
    {"period", "MS", "the length of a period: 1000 ms is the default", take_period},
};

static const char *const rng_features[] = {NULL};

static const char rng_notes[] =
    "If PATH is /dev/fd/N, descriptor N is used, and nothing is opened. A file or a\n"
    "block device is refused: it would give the same bytes again. So is a device that\n"
    "is no source, or does not wait for its seed, such as /dev/urandom. While the\n"
    "source gives nothing the guest waits: it never gets bytes from anywhere else.\n"
    "\n"
    "While --filter does not allow it to read, the guest waits too; its requests are\n"
    "served after SIGUSR1 as soon as it may.\n"
    "\n"
    "A guest that has had its SIZE waits for the next period, which begins with its\n"
    "first request after the last. SIZE may end in K, M, G or T.\n";

static int rng_check(void)
{
    if (self.period != 0u && self.max_bytes == 0u) {
        bh_log(BH_LOG_ERROR, "--period says nothing without --max-bytes");
        return BH_INVALID;
    }
    if (self.period == 0u) {
        self.period = PERIOD_DEFAULT;
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * source and limit */

static int source_read(void *source, uint8_t *to, uint32_t length)
{
    (void)source;
    return bh_entropy_read(self.entropy, to, length);
}

static void source_drawn(void *source)
{
    (void)source;
    bh_timer_arm(&self.timer, self.period * 1000u, 0);
}

static const struct bh_entropy_ops source_ops = {.read = source_read, .drawn = source_drawn};

/* `more`: buffers may be left, which wait until the loop has looked at everything else. */
static void go_on(bool more)
{
    if (more) {
        self.daemon.poller->ops->post(self.daemon.poller, &self.task);
    }
}

static void task_run(struct bh_task *task)
{
    (void)task;
    go_on(bh_rng_wake(&self.rng));
}

static void source_ready(void *context)
{
    (void)context;
    go_on(bh_rng_wake(&self.rng));
}

static void period_over(void *context)
{
    (void)context;
    go_on(bh_rng_refill(&self.rng));
}

/* A guest that waits is worth a line: it looks like one whose source is broken. */
static void tell_filter(void)
{
    bool may_draw =
        self.daemon.filter == NULL || bh_filter_allows(self.daemon.filter, BH_ENTROPY_READ);
    if (may_draw != self.may_draw) {
        self.may_draw = may_draw;
        bh_log(BH_LOG_NOTICE, may_draw ? "the guest may draw random bytes"
                                       : "the guest may not draw random bytes: it waits");
    }
}

static void filter_changed(void)
{
    tell_filter();
    go_on(bh_rng_wake(&self.rng));
}

/* ------------------------------------------------------------------------------------------------
 * life */

static int rng_resources(void)
{
    const struct bh_entropy_setup setup = {
        .poller = self.daemon.poller,
        .path = self.path,
        .ready = source_ready,
    };
    int result = bh_entropy_create(&self.entropy, &setup);
    if (result != BH_OK) {
        return result;
    }
    self.task.run = task_run;
    return bh_timer_init(&self.timer, self.daemon.poller, period_over, NULL);
}

static int rng_open(const struct bh_daemon *daemon, struct bh_device **device)
{
    const struct bh_device_setup setup = {
        .class = &bh_rng_class,
        .class_data = &self.rng,
        .memory = &self.memory,
        .queues = &self.queue,
        .queue_count = 1,
        .feature_mask = UINT64_MAX,
    };
    self.daemon = *daemon;
    self.may_draw = true;
    int result = rng_resources();
    if (result == BH_OK) {
        result =
            bh_rng_init(&self.rng, &self.device, &source_ops, NULL, self.max_bytes, daemon->filter);
    }
    if (result != BH_OK) {
        return result;
    }
    tell_filter();
    bh_span_pool_init(&self.pool, self.spans, &self.free_block, 1, CHAIN_SPANS);
    bh_queue_init(&self.queue, 0, QUEUE_SIZE, self.order, self.busy, &self.pool);
    bh_device_init(&self.device, &setup);
    *device = &self.device;
    return BH_OK;
}

/* The source writes to no guest's memory: there is nothing to wait for. */
static void rng_stop(void)
{
    self.daemon.stopped(self.daemon.context);
}

static void rng_close(void)
{
    self.daemon.poller->ops->cancel(self.daemon.poller, &self.task);
    bh_timer_finish(&self.timer);
    bh_entropy_destroy(self.entropy);
}

const struct bh_daemon_class bh_daemon_class = {
    .options = rng_options,
    .option_count = sizeof(rng_options) / sizeof(rng_options[0]),
    .features = rng_features,
    .notes = rng_notes,
    .takes_filter = true,
    .check = rng_check,
    .open = rng_open,
    .filter_changed = filter_changed,
    .stop = rng_stop,
    .close = rng_close,
};
