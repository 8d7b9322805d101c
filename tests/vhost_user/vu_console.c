/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-console: a console's driver behind a vhost-user front end, without a virtual machine, that
 * does what it reads line by line on standard input. For tests; it checks nothing about the
 * console, so that it can be as wrong as a test wants. What it prints:
 *
 *   message HEX       the device sent a control message
 *   changed           the configuration changed
 *   ok … / error …    the command is done. One line, the last, for each command.
 *
 * Commands:
 *   begin FEATURES    negotiates class features (hex), starts all queues that they make exist
 *   fill QUEUE N LEN  gives N buffers of LEN bytes for the device to write; they go back after use
 *   offer QUEUE N r|w gives one buffer of N bytes, zeroes; rw: one of each kind in one chain
 *   control HEX       sends a control message
 *   send PORT PATH MS offers a file's bytes; until all is used, or none was for MS. ok USED OFFERED
 *   take PORT N PATH MS  appends N bytes of input to a file, or what came until nothing did for MS.
 *   ok N
 *   poll MS           looks for that long. ok FAILED
 *   config            ok COLS ROWS PORTS OFFERED
 *   write OFFSET HEX  writes to the configuration space
 *   reset             the driver goes
 *   resume            the back end died: goes on with its successor
 *
 * Exit status: 0; 1: the back end cannot be used; 2: the command line.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bulkhead/bytes.h"
#include "bulkhead/driver_queue.h"
#include "bulkhead/host_channel.h"
#include "bulkhead/vhost_user_frontend.h"
#include "bulkhead/virtio_console.h"
#include "bulkhead/virtio_mmio.h"

#define ADDRESS      UINT64_C(0x100000000)
#define MEMORY       (8u << 20)
#define QUEUES_MAX   16u
#define RING         32u
#define BUFFERS      16u
#define BUFFER_BYTES 4096u
#define INPUT_MAX    (32u << 20)
#define TICK_MS      20

struct buffer {
    uint8_t *data;
    uint16_t queue;
    uint32_t length;
    bool busy;
    bool writable;
    bool again; /* offered again after use */
};

static struct {
    struct bh_host_channel channel;
    struct bh_host_memory memory;
    struct bh_vu_share share;
    struct bh_dma dma;
    struct bh_vu_frontend frontend;
    struct bh_driver_queue queues[QUEUES_MAX];
    struct bh_driver_slot slots[QUEUES_MAX][RING];
    struct buffer buffers[QUEUES_MAX][BUFFERS];
    uint16_t queue_count; /* that run */
    uint8_t *input[QUEUES_MAX];
    size_t input_count[QUEUES_MAX];
    uint64_t used[QUEUES_MAX]; /* bytes of output */
    uint64_t offered;
    uint64_t features;
    const char *socket;
    bool packed;
    bool inflight;
} vu = {.channel = {.fd = -1, .backend_fd = -1}};

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static uint16_t first_queue(uint32_t port)
{
    return (uint16_t)(port == 0u ? 0u : 2u * port + 2u);
}

/* ---- connection ---- */

static int connect_backend(void)
{
    int result = bh_host_memory_create(&vu.memory, "vu-console", MEMORY);
    if (result != BH_OK) {
        return result;
    }
    vu.share =
        (struct bh_vu_share){.guest_address = ADDRESS, .size = vu.memory.size, .fd = vu.memory.fd};
    bh_host_memory_dma(&vu.memory, ADDRESS, &vu.dma);
    result = bh_host_channel_connect(&vu.channel, vu.socket, 5000);
    if (result != BH_OK) {
        return result;
    }
    const struct bh_vu_frontend_setup setup = {
        .channel = &bh_host_channel_ops,
        .context = &vu.channel,
        .shares = &vu.share,
        .share_count = 1,
        .device_id = BH_ID_CONSOLE,
        .queue_count = 2,
        .queue_size_max = RING,
        .protocol_features = vu.inflight
                                 ? BH_VU_FRONTEND_PROTOCOL
                                 : BH_VU_FRONTEND_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
    };
    result = bh_vu_frontend_init(&vu.frontend, &setup);
    if (result == BH_OK) {
        result = vu.frontend.transport.ops->features_get(&vu.frontend.transport, &vu.offered);
    }
    return result;
}

/* ---- queues ---- */

static int add(struct buffer *buffer)
{
    const struct bh_buffer element = {bh_dma_address(&vu.dma, buffer->data), buffer->length};
    struct bh_driver_queue *queue = &vu.queues[buffer->queue];
    int result = bh_driver_queue_add(queue, &element, buffer->writable ? 0 : 1,
                                     buffer->writable ? 1 : 0, buffer);
    buffer->busy = result == BH_OK;
    return result;
}

static void hex(const uint8_t *bytes, uint32_t length)
{
    printf("message ");
    for (uint32_t i = 0; i < length; i++) {
        printf("%02x", bytes[i]);
    }
    printf("\n");
}

static void on_used(const struct buffer *buffer, uint32_t written)
{
    uint16_t queue = buffer->queue;
    if (queue == BH_CONSOLE_CONTROL_RECEIVE) {
        hex(buffer->data, written);
    } else if (!buffer->writable) {
        vu.used[queue] += buffer->length;
    } else if (vu.input_count[queue] + written <= INPUT_MAX) {
        memcpy(vu.input[queue] + vu.input_count[queue], buffer->data, written);
        vu.input_count[queue] += written;
    }
}

/* Whether anything was used. */
static bool collect(void)
{
    bool any = false;
    for (uint16_t i = 0; i < vu.queue_count; i++) {
        void *token;
        uint32_t written;
        bool offered = false;
        while (bh_driver_queue_collect(&vu.queues[i], &token, &written) == 1) {
            struct buffer *buffer = token;
            any = true;
            buffer->busy = false;
            on_used(buffer, written);
            if (buffer->again) {
                offered = add(buffer) == BH_OK || offered;
            }
        }
        if (offered) {
            (void)bh_driver_queue_publish(&vu.queues[i]);
        }
        (void)bh_driver_queue_notify_enable(&vu.queues[i], true);
    }
    return any;
}

/* One look, with a nap at most. Whether anything happened. */
static bool look(void)
{
    int32_t events[2u * QUEUES_MAX];
    uint32_t count = 0;
    uint32_t pending = 0;
    if (collect()) {
        return true;
    }
    for (uint16_t i = 0; i < vu.queue_count; i++) {
        events[count++] = vu.frontend.queues[i].call;
        events[count++] = vu.frontend.queues[i].error;
    }
    (void)bh_host_channel_wait(&vu.channel, events, count, TICK_MS);
    (void)vu.frontend.transport.ops->interrupts(&vu.frontend.transport, &pending);
    if ((pending & BH_MMIO_INT_CONFIG) != 0u) {
        printf("changed\n");
    }
    return collect();
}

static struct buffer *free_buffer(uint16_t queue)
{
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (!vu.buffers[queue][i].busy) {
            return &vu.buffers[queue][i];
        }
    }
    return NULL;
}

/* ---- commands; each returns BH_OK, or a code that is printed ---- */

static int begin(uint64_t features)
{
    struct bh_transport *transport = &vu.frontend.transport;
    uint64_t wanted = features | BH_F_VERSION_1 | (vu.packed ? BH_F_RING_PACKED : 0u);
    int result = bh_transport_begin(transport, wanted, 0, &vu.features);
    bool all = (vu.features & BH_CONSOLE_F_MULTIPORT) != 0u;
    bh_host_memory_dma(&vu.memory, ADDRESS, &vu.dma);
    vu.queue_count = all ? vu.frontend.queue_count : 2;
    for (uint16_t i = 0; i < vu.queue_count && result == BH_OK; i++) {
        const struct bh_driver_queue_setup setup = {.transport = transport,
                                                    .dma = &vu.dma,
                                                    .slots = vu.slots[i],
                                                    .features = vu.features,
                                                    .index = i,
                                                    .size = RING};
        memset(vu.slots[i], 0, sizeof(vu.slots[i]));
        result = bh_driver_queue_init(&vu.queues[i], &setup);
        for (uint32_t k = 0; k < BUFFERS; k++) {
            vu.buffers[i][k] =
                (struct buffer){.data = bh_dma_take(&vu.dma, BUFFER_BYTES, 64), .queue = i};
        }
        vu.input[i] = vu.input[i] != NULL ? vu.input[i] : malloc(INPUT_MAX);
        vu.input_count[i] = 0;
        vu.used[i] = 0;
    }
    return result == BH_OK ? bh_transport_ready(transport) : result;
}

static int fill(uint16_t queue, uint32_t count, uint32_t length)
{
    int result = BH_OK;
    for (uint32_t i = 0; i < count && result == BH_OK; i++) {
        struct buffer *buffer = free_buffer(queue);
        if (buffer == NULL) {
            return BH_AGAIN;
        }
        buffer->length = length;
        buffer->writable = true;
        buffer->again = true;
        result = add(buffer);
    }
    return result == BH_OK ? bh_driver_queue_publish(&vu.queues[queue]) : result;
}

static int offer(uint16_t queue, uint32_t length, const char *kind)
{
    struct buffer *buffer = free_buffer(queue);
    if (buffer == NULL || length > BUFFER_BYTES / 2u) {
        return BH_AGAIN;
    }
    const struct bh_buffer elements[] = {
        {bh_dma_address(&vu.dma, buffer->data), length},
        {bh_dma_address(&vu.dma, buffer->data + BUFFER_BYTES / 2u), length}};
    bool both = strcmp(kind, "rw") == 0;
    bool writable = strcmp(kind, "w") == 0;
    memset(buffer->data, 0, BUFFER_BYTES);
    buffer->length = length;
    buffer->writable = writable;
    buffer->again = false;
    int result = bh_driver_queue_add(&vu.queues[queue], elements, writable ? 0 : 1,
                                     both || writable ? 1 : 0, buffer);
    buffer->busy = result == BH_OK;
    return result == BH_OK ? bh_driver_queue_publish(&vu.queues[queue]) : result;
}

static size_t unhex(const char *text, uint8_t *to, size_t most)
{
    size_t count = 0;
    for (const char *at = text; count < most && at[0] != '\0' && at[1] != '\0'; at += 2) {
        const char digits[] = {at[0], at[1], '\0'};
        to[count++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return count;
}

static int control(const char *text)
{
    struct buffer *buffer = free_buffer(BH_CONSOLE_CONTROL_TRANSMIT);
    if (vu.queue_count <= BH_CONSOLE_CONTROL_TRANSMIT || buffer == NULL) {
        return BH_AGAIN;
    }
    buffer->length = (uint32_t)unhex(text, buffer->data, BUFFER_BYTES);
    buffer->writable = false;
    buffer->again = false;
    int result = add(buffer);
    return result == BH_OK ? bh_driver_queue_publish(&vu.queues[buffer->queue]) : result;
}

/* Offers as much of a file as there are buffers for. The end of the file: false. */
static bool offer_file(uint16_t queue, FILE *file, uint64_t *offered)
{
    struct buffer *buffer;
    while ((buffer = free_buffer(queue)) != NULL) {
        buffer->length = (uint32_t)fread(buffer->data, 1, BUFFER_BYTES, file);
        buffer->writable = false;
        buffer->again = false;
        if (buffer->length == 0u || add(buffer) != BH_OK) {
            (void)bh_driver_queue_publish(&vu.queues[queue]);
            return false;
        }
        *offered += buffer->length;
    }
    (void)bh_driver_queue_publish(&vu.queues[queue]);
    return true;
}

static int send(uint32_t port, const char *path, uint64_t patience)
{
    uint16_t queue = (uint16_t)(first_queue(port) + 1u);
    FILE *file = fopen(path, "rb");
    uint64_t offered = 0;
    uint64_t before = vu.used[queue];
    uint64_t seen = before;
    uint64_t deadline = now_ms() + patience;
    bool more = true;
    if (file == NULL) {
        return BH_INVALID;
    }
    while (now_ms() < deadline) {
        more = more && offer_file(queue, file, &offered);
        (void)look();
        if (vu.used[queue] != seen) {
            seen = vu.used[queue];
            deadline = now_ms() + patience;
        }
        if (!more && seen - before == offered) {
            break;
        }
    }
    (void)fclose(file);
    printf("ok %" PRIu64 " %" PRIu64 "\n", vu.used[queue] - before, offered);
    return BH_OK;
}

static int take(uint32_t port, size_t count, const char *path, uint64_t patience)
{
    uint16_t queue = first_queue(port);
    uint64_t deadline = now_ms() + patience;
    while (vu.input_count[queue] < count && now_ms() < deadline) {
        if (look()) {
            deadline = now_ms() + patience;
        }
    }
    size_t got = vu.input_count[queue] < count ? vu.input_count[queue] : count;
    FILE *file = fopen(path, "ab");
    if (file == NULL || fwrite(vu.input[queue], 1, got, file) != got || fclose(file) != 0) {
        return BH_IO;
    }
    memmove(vu.input[queue], vu.input[queue] + got, vu.input_count[queue] - got);
    vu.input_count[queue] -= got;
    printf("ok %zu\n", got);
    return BH_OK;
}

static int poll_for(uint64_t patience)
{
    uint64_t deadline = now_ms() + patience;
    while (now_ms() < deadline) {
        (void)look();
    }
    printf("ok %d\n", vu.frontend.failed ? 1 : 0);
    return BH_OK;
}

static int config(void)
{
    struct bh_console_config at;
    int result = vu.frontend.transport.ops->config_read(&vu.frontend.transport, 0, &at, sizeof(at));
    if (result == BH_OK) {
        printf("ok %u %u %" PRIu32 " %" PRIx64 "\n", BH_LE16(at.cols), BH_LE16(at.rows),
               BH_LE32(at.max_nr_ports), vu.offered);
    }
    return result;
}

static int write_config(uint32_t offset, const char *text)
{
    uint8_t bytes[64];
    size_t count = unhex(text, bytes, sizeof(bytes));
    return vu.frontend.transport.ops->config_write(&vu.frontend.transport, offset, bytes,
                                                   (uint32_t)count);
}

static int reset(void)
{
    vu.queue_count = 0;
    return vu.frontend.transport.ops->status_set(&vu.frontend.transport, 0);
}

/* What the dead back end used is collected first. */
static int resume(void)
{
    uint32_t bases[BH_VU_FRONTEND_QUEUES_MAX] = {0};
    (void)collect();
    for (uint16_t i = 0; i < vu.queue_count; i++) {
        bases[i] = bh_driver_queue_base(&vu.queues[i]);
    }
    bh_host_channel_close(&vu.channel);
    int result = bh_host_channel_connect(&vu.channel, vu.socket, 5000);
    return result == BH_OK ? bh_vu_frontend_resume(&vu.frontend, bases) : result;
}

/* ---- command lines ---- */

#define WORDS_MAX 5u

/* The words of a line, in place; what is missing is empty. */
static void split(char *line, const char **words)
{
    char *rest = line;
    for (uint32_t i = 0; i < WORDS_MAX; i++) {
        const char *word = strtok_r(rest, " \n", &rest);
        words[i] = word != NULL ? word : "";
    }
}

/* A number of at most 32 bits; text that is none gives 0, which no test means. */
static uint32_t number(const char *word)
{
    return (uint32_t)strtoul(word, NULL, 10);
}

static int run_queue(const char *const *words)
{
    uint32_t queue = number(words[1]);
    if (queue >= vu.queue_count) {
        return BH_INVALID;
    }
    return strcmp(words[0], "fill") == 0 ? fill((uint16_t)queue, number(words[2]), number(words[3]))
                                         : offer((uint16_t)queue, number(words[2]), words[3]);
}

/* Commands that say `ok` themselves. BH_UNSUPPORTED: it is none of them. */
static int run_talking(const char *const *words)
{
    if (strcmp(words[0], "send") == 0) {
        return send(number(words[1]), words[2], number(words[3]));
    }
    if (strcmp(words[0], "take") == 0) {
        return take(number(words[1]), number(words[2]), words[3], number(words[4]));
    }
    if (strcmp(words[0], "poll") == 0) {
        return poll_for(number(words[1]));
    }
    return strcmp(words[0], "config") == 0 ? config() : BH_UNSUPPORTED;
}

static int run_silent(const char *const *words)
{
    if (strcmp(words[0], "begin") == 0) {
        return begin(strtoull(words[1], NULL, 16));
    }
    if (strcmp(words[0], "fill") == 0 || strcmp(words[0], "offer") == 0) {
        return run_queue(words);
    }
    if (strcmp(words[0], "control") == 0) {
        return control(words[1]);
    }
    if (strcmp(words[0], "write") == 0) {
        return write_config(number(words[1]), words[2]);
    }
    if (strcmp(words[0], "reset") == 0) {
        return reset();
    }
    return strcmp(words[0], "resume") == 0 ? resume() : BH_UNSUPPORTED;
}

static void run(char *line)
{
    const char *words[WORDS_MAX];
    split(line, words);
    int result = run_talking(words);
    if (result == BH_UNSUPPORTED) {
        result = run_silent(words);
        if (result == BH_OK) {
            printf("ok\n");
        }
    }
    if (result != BH_OK) {
        printf("error %s\n", bh_error_name(result));
    }
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"socket", required_argument, NULL, 's'},
                                            {"packed", no_argument, NULL, 'p'},
                                            {"inflight", no_argument, NULL, 'i'},
                                            {NULL, 0, NULL, 0}};
    char line[1024];
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        vu.socket = option == 's' ? optarg : vu.socket;
        vu.packed = vu.packed || option == 'p';
        vu.inflight = vu.inflight || option == 'i';
        if (option == '?') {
            return 2;
        }
    }
    if (vu.socket == NULL || optind != argc) {
        return 2;
    }
    int result = connect_backend();
    if (result != BH_OK) {
        printf("error %s\n", bh_error_name(result));
        return 1;
    }
    printf("ok\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        run(line);
    }
    (void)reset();
    return 0;
}
