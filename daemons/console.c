/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-console: the console model over terminals and sockets. Only wiring: which memory it
 * gets, and how options become ports.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/console.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_terminal.h"
#include "daemon.h"

#define PORTS_MAX 17u /* the guest's terminal, and 16 more */
#define QUEUE_SIZE                                                                                 \
    1024u /* QEMU's devices have less, and its virtio-mmio lets the guest choose more */
#define POOL_SPANS                                                                                 \
    256u /* the longest chain, in pieces: what a program without privileges can splice from a pipe */
#define KEPT_SIZE (1u << 20) /* as much as such a program can hand to a port in one piece */

static struct {
    const char *paths[PORTS_MAX];
    char *names[PORTS_MAX]; /* NULL: none */
    uint32_t port_count;
    bool no_size;
    bool no_emergency_write;

    struct bh_memory memory;
    struct bh_span_pool pool;
    struct bh_device device;
    struct bh_console console;
    struct bh_terminal terminals[PORTS_MAX];
    uint32_t terminal_count; /* that are open */
    struct bh_console_port ports[PORTS_MAX];
    struct bh_task flush;
    struct bh_daemon daemon;
    void *room; /* everything below */
    struct bh_queue *queues;
    uint8_t *kept;
} self;

/* ------------------------------------------------------------------------------------------------
 * options */

/* A name has no slash: else a path with an equals sign in it would be cut. */
static size_t name_length(const char *value)
{
    size_t length = strcspn(value, "=/");
    return value[length] == '=' ? length : 0;
}

static int take_port(const char *value)
{
    size_t length = name_length(value);
    const char *path = length != 0u ? value + length + 1u : value;
    if (self.port_count == PORTS_MAX || length > BH_CONSOLE_NAME_MAX || *path == '\0') {
        return BH_INVALID;
    }
    if (length != 0u) {
        self.names[self.port_count] = strndup(value, length);
        if (self.names[self.port_count] == NULL) {
            return BH_INVALID;
        }
    }
    self.paths[self.port_count] = path;
    self.port_count++;
    return bh_daemon_keep_path(path);
}

static int take_no_size(const char *value)
{
    (void)value;
    self.no_size = true;
    return BH_OK;
}

static int take_no_emergency_write(const char *value)
{
    (void)value;
    self.no_emergency_write = true;
    return BH_OK;
}

static const struct bh_daemon_option console_options[] = {
    {"port", "[NAME=]PATH", "a port; may be repeated, the first is the console", take_port},
    {"no-size", NULL, "the guest is not told the terminal's size, and cannot ask", take_no_size},
    {"no-emergency-write", NULL, "the guest cannot write a character without queues",
     take_no_emergency_write},
};

static const char *const console_features[] = {NULL};

static const char console_notes[] =
    "PATH is a terminal, for example /dev/pts/N. If it is /dev/fd/N, descriptor N is\n"
    "used: a terminal or a connected stream socket. A terminal becomes raw, and is put\n"
    "back at the end. The guest sees the first port as its console (Linux: hvc0), and\n"
    "the others as ports for its programs, by their NAMEs. More than one port, or one\n"
    "with a NAME, needs a front end with 2 queues for each port and 2 more.\n"
    "\n"
    "What nobody reads waits in the guest, which for Linux means that whoever prints\n"
    "to the console waits too: let something read. After SIGWINCH the guest is told\n"
    "the terminals' present sizes. When the other side hangs up, the guest is told\n"
    "that the port is closed, for good, and its output goes nowhere.\n";

static int console_check(void)
{
    if (self.port_count == 0u) {
        bh_log(BH_LOG_ERROR, "no port: give --port");
        return BH_INVALID;
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * life */

static bool is_multiport(void)
{
    return self.port_count > 1u || self.names[0] != NULL;
}

static uint32_t queue_count(void)
{
    return BH_CONSOLE_QUEUES(self.port_count, is_multiport());
}

/* Each queue holds one chain, and two blocks more are for the control queues. */
static uint32_t block_count(void)
{
    return queue_count() + 2u;
}

/* Carves the arrays out of one allocation. Only what is touched takes memory. */
static int console_room(void)
{
    struct bh_order_slot *order;
    struct bh_span *spans;
    uint16_t *free_blocks;
    uint8_t *busy;
    size_t count = queue_count();
    size_t blocks = block_count();
    size_t bytes = count * (sizeof(*self.queues) + QUEUE_SIZE * (sizeof(*order) + sizeof(*busy))) +
                   blocks * (POOL_SPANS * sizeof(*spans) + sizeof(*free_blocks)) +
                   (size_t)self.port_count * KEPT_SIZE;
    uint8_t *at = calloc(1, bytes);
    if (at == NULL) {
        return BH_NO_MEMORY;
    }
    self.room = at;
    /* Largest alignment first. */
    self.queues = (struct bh_queue *)(void *)at;
    spans = (struct bh_span *)(void *)(self.queues + count);
    order = (struct bh_order_slot *)(void *)(spans + blocks * POOL_SPANS);
    free_blocks = (uint16_t *)(void *)(order + count * QUEUE_SIZE);
    busy = (uint8_t *)(free_blocks + blocks);
    self.kept = busy + count * QUEUE_SIZE;
    bh_span_pool_init(&self.pool, spans, free_blocks, (uint16_t)blocks, POOL_SPANS);
    for (size_t i = 0; i < count; i++) {
        bh_queue_init(&self.queues[i], (uint16_t)i, QUEUE_SIZE, order + i * QUEUE_SIZE,
                      busy + i * QUEUE_SIZE, &self.pool);
    }
    return BH_OK;
}

static void run_flush(struct bh_task *task)
{
    (void)task;
    bh_device_flush(&self.device);
}

static void terminal_happened(void *context)
{
    (void)context;
    self.daemon.poller->ops->post(self.daemon.poller, &self.flush);
}

static int open_terminals(void)
{
    for (uint32_t i = 0; i < self.port_count; i++) {
        const struct bh_terminal_setup setup = {
            .poller = self.daemon.poller,
            .path = self.paths[i],
            .console = &self.console,
            .port = i,
            .happened = terminal_happened,
        };
        int result = bh_terminal_open(&self.terminals[i], &setup);
        if (result != BH_OK) {
            return result;
        }
        self.terminal_count++;
    }
    return BH_OK;
}

static int make_model(void)
{
    struct bh_console_port_setup ports[PORTS_MAX];
    const struct bh_console_setup setup = {
        .ops = &bh_terminal_host_ops,
        .ports = ports,
        .port_count = self.port_count,
        .size = !self.no_size,
        .multiport = is_multiport(),
        .emergency_write = !self.no_emergency_write,
    };
    for (uint32_t i = 0; i < self.port_count; i++) {
        ports[i] = (struct bh_console_port_setup){
            .terminal = &self.terminals[i],
            .name = self.names[i],
            .console = i == 0u,
            .open = true,
            .kept = self.kept + (size_t)i * KEPT_SIZE,
            .kept_size = KEPT_SIZE,
        };
        bh_terminal_size(&self.terminals[i], &ports[i].cols, &ports[i].rows);
    }
    return bh_console_init(&self.console, &self.device, &setup, self.ports);
}

static int console_open(const struct bh_daemon *daemon, struct bh_device **device)
{
    self.daemon = *daemon;
    self.flush.run = run_flush;
    int result = open_terminals();
    if (result == BH_OK) {
        result = console_room();
    }
    if (result == BH_OK) {
        result = make_model();
    }
    if (result != BH_OK) {
        return result;
    }
    const struct bh_device_setup setup = {
        .class = &bh_console_class,
        .class_data = &self.console,
        .memory = &self.memory,
        .queues = self.queues,
        .queue_count = (uint16_t)queue_count(),
        .feature_mask = UINT64_MAX,
    };
    bh_device_init(&self.device, &setup);
    *device = &self.device;
    return BH_OK;
}

static uint32_t console_requests(const unsigned long **requests)
{
    return bh_terminal_requests(requests);
}

static void console_resized(void)
{
    for (uint32_t i = 0; i < self.port_count; i++) {
        uint16_t cols;
        uint16_t rows;
        bh_terminal_size(&self.terminals[i], &cols, &rows);
        bh_console_size_set(&self.console, i, cols, rows);
    }
}

/* What is not written yet stays in the guest's rings. */
static void console_stop(void)
{
    self.daemon.stopped(self.daemon.context);
}

static void console_close(void)
{
    for (uint32_t i = 0; i < self.terminal_count; i++) {
        bh_terminal_close(&self.terminals[i]);
    }
    self.daemon.poller->ops->cancel(self.daemon.poller, &self.flush);
    free(self.room);
    for (uint32_t i = 0; i < self.port_count; i++) {
        free(self.names[i]);
    }
}

const struct bh_daemon_class bh_daemon_class = {
    .options = console_options,
    .option_count = sizeof(console_options) / sizeof(console_options[0]),
    .features = console_features,
    .notes = console_notes,
    .check = console_check,
    .open = console_open,
    .requests = console_requests,
    .reload = console_resized,
    .resized = console_resized,
    .stop = console_stop,
    .close = console_close,
};
