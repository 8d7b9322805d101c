/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-rng: drives any vhost-user entropy back end from the command line, without a virtual machine,
 * through the drivers of driver/; and as a guest should not. For tests.
 *
 * Exit status: 0; 1: the back end is at fault; 2: the command line; 3: the back end lacks what was
 * asked for; 4: what was asked for did not come in time.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/driver_rng.h"
#include "bulkhead/host_channel.h"
#include "bulkhead/vhost_user_frontend.h"

#define MEMORY_ADDRESS UINT64_C(0x100000000) /* where the back end sees the memory */
#define MEMORY_BYTES   (UINT64_C(1) << 21)
#define QUEUE_SIZE_MAX 256u
#define DEPTH_MAX      64u
#define BLOCK_MAX      16384u
#define TRIES          1000u

static const char usage[] =
    "usage: vu-rng --socket PATH [options] COMMAND\n"
    "commands:\n"
    "  read                     --length bytes, to standard output\n"
    "  lengths                  the same, but prints how many bytes came in each buffer\n"
    "  stop                     ask, stop the queue, start it again, reset: all at once\n"
    "  readable, mixed, empty   a buffer that breaks the rules: the device must stop\n"
    "options:\n"
    "  --length BYTES --block BYTES --depth N --queue-size N --packed\n"
    "  --inflight --reconnect   keep an in-flight region; go on when the back end comes back\n"
    "  --timeout MS             for each answer\n";

struct command {
    const char *name;
    int (*run)(void);
    bool prints_bytes;
    uint16_t readable; /* elements of the buffer that breaks the rules */
    uint16_t writable;
};

static struct {
    const char *socket;
    const struct command *command;
    uint64_t length;
    uint64_t block;
    uint64_t depth;
    uint64_t queue_size;
    uint64_t timeout_ms;
    bool packed;
    bool inflight;
    bool reconnect;

    struct bh_host_channel channel;
    struct bh_host_memory memory;
    struct bh_vu_share share;
    struct bh_dma dma;
    struct bh_vu_frontend frontend;
    struct bh_driver_rng rng;
    struct bh_driver_slot slots[QUEUE_SIZE_MAX];
    struct bh_driver_rng_buffer buffers[DEPTH_MAX];
    uint64_t got; /* bytes so far */
} self = {.length = 64,
          .block = 64,
          .depth = 1,
          .queue_size = 64,
          .timeout_ms = 10000,
          .channel = {.fd = -1, .backend_fd = -1},
          .memory = {.fd = -1}};

static int complain(const char *what, int error)
{
    (void)fprintf(stderr, "vu-rng: %s: %s\n", what, bh_error_name(error));
    return error;
}

/* ---- opening ---- */

static int open_frontend(void)
{
    const struct bh_vu_frontend_setup setup = {
        .channel = &bh_host_channel_ops,
        .context = &self.channel,
        .shares = &self.share,
        .share_count = 1,
        .device_id = BH_ID_RNG,
        .queue_count = 1,
        .queue_size_max = (uint16_t)self.queue_size,
        .protocol_features = self.inflight
                                 ? BH_VU_FRONTEND_PROTOCOL
                                 : BH_VU_FRONTEND_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
    };
    int result = bh_host_memory_create(&self.memory, "vu-rng", MEMORY_BYTES);
    if (result != BH_OK) {
        return complain("memory", result);
    }
    self.share = (struct bh_vu_share){
        .guest_address = MEMORY_ADDRESS, .size = self.memory.size, .fd = self.memory.fd};
    bh_host_memory_dma(&self.memory, MEMORY_ADDRESS, &self.dma);
    result = bh_host_channel_connect(&self.channel, self.socket, (int)self.timeout_ms);
    if (result == BH_OK) {
        result = bh_vu_frontend_init(&self.frontend, &setup);
    }
    return result == BH_OK ? BH_OK : complain(self.socket, result);
}

static int open_driver(void)
{
    const struct bh_driver_rng_setup setup = {
        .transport = &self.frontend.transport,
        .dma = &self.dma,
        .slots = self.slots,
        .buffers = self.buffers,
        .buffer_count = (uint16_t)self.depth,
        .queue_size = (uint16_t)self.queue_size,
        .bytes = (uint32_t)self.block,
        .features =
            BH_F_VERSION_1 | BH_F_EVENT_IDX | (self.packed ? BH_F_RING_PACKED : UINT64_C(0)),
    };
    int result = bh_driver_rng_init(&self.rng, &setup);
    if (result != BH_OK) {
        return complain("device", result);
    }
    if (self.packed && (self.rng.features & BH_F_RING_PACKED) == 0u) {
        return complain("packed rings", BH_UNSUPPORTED);
    }
    if (self.inflight && self.frontend.inflight_fd < 0) {
        return complain("an in-flight region", BH_UNSUPPORTED);
    }
    return BH_OK;
}

static void close_all(void)
{
    if (self.frontend.channel != NULL) {
        (void)self.frontend.transport.ops->status_set(&self.frontend.transport, 0);
        bh_vu_frontend_finish(&self.frontend);
    }
    bh_host_channel_close(&self.channel);
    bh_host_memory_destroy(&self.memory);
}

/* ---- answers ---- */

/* Takes what came, and prints it. How many buffers, or an error. */
static int take_answers(void)
{
    uint8_t bytes[BLOCK_MAX];
    int count = 0;
    for (;;) {
        int got = bh_driver_rng_collect(&self.rng, bytes, sizeof(bytes));
        if (got < 0) {
            return complain("an answer", got);
        }
        if (got == 0) {
            return count;
        }
        if (self.command->prints_bytes) {
            uint64_t left = self.length - self.got;
            (void)fwrite(bytes, 1, (uint64_t)got < left ? (size_t)got : (size_t)left, stdout);
        } else {
            (void)printf("%d\n", got);
        }
        self.got += (uint64_t)got;
        if (self.got > self.length) {
            self.got = self.length;
        }
        count++;
    }
}

/* Goes on with the next back end. */
static int resume(void)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int result = BH_GONE;
    for (uint32_t i = 0; i < TRIES && result == BH_GONE; i++) {
        int count = take_answers();
        if (count < 0) {
            return count;
        }
        (void)nanosleep(&pause, NULL);
        uint32_t base = bh_driver_queue_base(&self.rng.queue);
        bh_host_channel_close(&self.channel);
        result = bh_host_channel_connect(&self.channel, self.socket, (int)self.timeout_ms);
        if (result == BH_OK) {
            result = bh_vu_frontend_resume(&self.frontend, &base);
        }
    }
    return result == BH_OK ? BH_OK : complain("resume", result);
}

/* Sleeps until the back end speaks. BH_STATE: it stopped the device. */
static int wait_for_event(void)
{
    const int32_t events[] = {self.frontend.queues[0].call, self.frontend.queues[0].error};
    struct bh_transport *transport = &self.frontend.transport;
    uint32_t pending = 0;
    int result = bh_host_channel_wait(&self.channel, events, 2, (int)self.timeout_ms);
    if (result == BH_GONE && self.reconnect) {
        return resume();
    }
    if (result == BH_OK) {
        result = transport->ops->interrupts(transport, &pending);
    }
    return result == BH_OK && self.frontend.failed ? BH_STATE : result;
}

/* Waits until at least one buffer came back. */
static int wait_for_answers(void)
{
    for (;;) {
        uint64_t before = self.got;
        int result = take_answers();
        if (result != 0) {
            return result > 0 ? BH_OK : result;
        }
        if (!bh_driver_queue_notify_enable(&self.rng.queue, true)) {
            result = wait_for_event();
        }
        /* Resuming takes answers, too. */
        if (result != BH_OK || self.got != before) {
            return result;
        }
    }
}

/* Asks for as many buffers as are free. */
static int ask(void)
{
    int result = BH_OK;
    while (result == BH_OK) {
        result = bh_driver_rng_ask(&self.rng, (uint32_t)self.block);
    }
    return result == BH_AGAIN ? bh_driver_rng_publish(&self.rng) : result;
}

/* ---- commands ---- */

static int read_bytes(void)
{
    int result = BH_OK;
    while (result == BH_OK && self.got < self.length) {
        result = ask();
        if (result == BH_OK) {
            result = wait_for_answers();
        }
    }
    return result;
}

/* The device must stop, even while its source gives nothing, and go on afterwards. */
static int stop(void)
{
    uint32_t base = 0;
    int result = ask();
    if (result == BH_OK) {
        result = bh_vu_frontend_queue_stop(&self.frontend, 0, &base);
    }
    if (result == BH_OK) {
        result = bh_vu_frontend_queue_go(&self.frontend, 0, base);
    }
    if (result == BH_OK) {
        result = self.frontend.transport.ops->status_set(&self.frontend.transport, 0);
    }
    return result;
}

/* Offers a buffer that breaks the rules; BH_OK when the device stopped for it. */
static int offend(void)
{
    const struct bh_driver_rng_buffer *first = self.rng.free;
    const struct bh_buffer elements[2] = {{first->address, 1}, {first->address, 8}};
    int result = bh_driver_queue_add(&self.rng.queue, elements, self.command->readable,
                                     self.command->writable, &self);
    if (self.command->readable == 0u) {
        memset(self.rng.queue.descriptor + 8, 0, 4); /* the length, in both formats */
    }
    if (result == BH_OK) {
        result = bh_driver_rng_publish(&self.rng);
    }
    if (result == BH_OK) {
        result = wait_for_answers();
    }
    return result == BH_STATE ? BH_OK : BH_PROTOCOL;
}

static const struct command commands[] = {
    {"read", read_bytes, true, 0, 0}, {"lengths", read_bytes, false, 0, 0},
    {"stop", stop, false, 0, 0},      {"readable", offend, false, 1, 0},
    {"mixed", offend, false, 1, 1},   {"empty", offend, false, 0, 1},
};

/* ---- the command line ---- */

static const struct option options[] = {
    {"socket", required_argument, NULL, 's'},  {"length", required_argument, NULL, 'l'},
    {"block", required_argument, NULL, 'b'},   {"depth", required_argument, NULL, 'd'},
    {"timeout", required_argument, NULL, 't'}, {"queue-size", required_argument, NULL, 'q'},
    {"packed", no_argument, NULL, 'p'},        {"inflight", no_argument, NULL, 'i'},
    {"reconnect", no_argument, NULL, 'r'},     {NULL, 0, NULL, 0},
};

static bool take_number(uint64_t most, uint64_t *number)
{
    char *end = NULL;
    *number = strtoull(optarg, &end, 0);
    return *optarg >= '0' && *optarg <= '9' && *end == '\0' && *number >= 1u && *number <= most;
}

static bool take(int option)
{
    switch (option) {
    case 's':
        self.socket = optarg;
        return true;
    case 'l':
        return take_number(INT64_MAX, &self.length);
    case 'b':
        return take_number(BLOCK_MAX, &self.block);
    case 'd':
        return take_number(DEPTH_MAX, &self.depth);
    case 't':
        return take_number(600000, &self.timeout_ms);
    case 'q':
        return take_number(QUEUE_SIZE_MAX, &self.queue_size);
    case 'p':
        self.packed = true;
        return true;
    case 'i':
        self.inflight = true;
        return true;
    case 'r':
        self.reconnect = true;
        return true;
    default:
        return false;
    }
}

/* NULL: the command line makes no sense. */
static const struct command *parse(int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take(option)) {
            return NULL;
        }
    }
    for (size_t i = 0; optind + 1 == argc && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[optind], commands[i].name) == 0) {
            return self.socket != NULL ? &commands[i] : NULL;
        }
    }
    return NULL;
}

static int exit_status(const struct command *command, int result)
{
    if (result == BH_OK) {
        return fflush(stdout) == 0 ? 0 : 1;
    }
    (void)complain(command->name, result);
    (void)fflush(stdout);
    switch (result) {
    case BH_UNSUPPORTED:
        return 3;
    case BH_TIMEOUT:
        return 4;
    default:
        return 1;
    }
}

int main(int argc, char **argv)
{
    const struct command *command = parse(argc, argv);
    if (command == NULL) {
        (void)fputs(usage, stderr);
        return 2;
    }
    self.command = command;
    int result = open_frontend();
    if (result == BH_OK) {
        result = open_driver();
    }
    if (result == BH_OK) {
        result = command->run();
    }
    int status = exit_status(command, result);
    close_all();
    return status;
}
