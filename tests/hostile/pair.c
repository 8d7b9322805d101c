/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile-pair: a parent with two devices in one gate, so that a test can attack one of them and see
 * what the other one notices, in the same process. Both are disks in shadow; front ends connect to
 * FOLDER/front and FOLDER/front1, one after the other. What happens goes to FOLDER/audit as JSON lines.
 *
 * Not here: restart limits (each back end is replaced at once), and what a keeper does for people.
 */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_loop.h"
#include "bulkhead/virtio.h"

#include "guest.h"

#define DEVICES    2u
#define WORDS_MAX  64u
#define BACK_FD    3
#define ARENA_SIZE (UINT64_C(4) << 20)

struct pair;

struct device {
    struct pair *pair;
    uint32_t index;
    struct bh_watch listener; /* its context: the device */
    const char *command[WORDS_MAX];
    struct bh_child child;
    bool running;
    bool wanted; /* the next one, once this one is reaped */
};

struct pair {
    struct bh_loop loop;
    struct bh_signals signals;
    struct bh_gate_parent *parent;
    struct bh_child gate;
    struct device devices[DEVICES];
    struct bh_gate_setup setup;
    const char *program;
    const char *sandbox;
    const char *folder;
    FILE *audit;
    int status;
};

static void give_up(const char *what)
{
    (void)fprintf(stderr, "hostile-pair: %s\n", what);
    exit(1);
}

/* ---- audit ---- */

static void note(struct pair *pair, uint32_t device, uint32_t reason, const char *text)
{
    char clean[BH_GATE_TEXT_MAX];
    size_t length = 0;
    for (; text[length] != '\0' && length + 1u < sizeof(clean); length++) {
        clean[length] = '"';
        if (text[length] != '"' && text[length] != '\\') {
            clean[length] = text[length];
        } else {
            clean[length] = '\'';
        }
    }
    clean[length] = '\0';
    (void)fprintf(pair->audit,
                  "{\"guest\":\"pair\",\"device\":\"%u\",\"reason\":\"%s\",\"text\":\"%s\"}\n",
                  (unsigned)device, bh_gate_reason_name(reason), clean);
    (void)fflush(pair->audit);
}

/* ---- back ends ---- */

static void back_ended(struct bh_child *child, int status);

static void start_back(struct device *device)
{
    struct pair *pair = device->pair;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        give_up("no socket");
    }
    const struct bh_child_fd fd = {.from = ends[1], .to = BACK_FD};
    const struct bh_child_setup setup = {
        .poller = &pair->loop.poller,
        .program = device->command[0],
        .arguments = device->command,
        .fds = &fd,
        .fd_count = 1,
        .output_fd = STDERR_FILENO,
        .ended = back_ended,
        .context = device,
    };
    device->wanted = false;
    if (bh_child_start(&device->child, &setup) != BH_OK) {
        give_up("a back end does not start");
    }
    (void)close(ends[1]);
    device->running = true;
    if (bh_gate_parent_back(pair->parent, device->index, ends[0]) < 0) {
        give_up("a back end is not taken");
    }
}

static void back_ended(struct bh_child *child, int status)
{
    struct device *device = child->context;
    (void)status;
    device->running = false;
    if (device->wanted) {
        start_back(device);
    }
}

static void on_want(void *context, uint32_t index, uint32_t generation, uint32_t reason,
                    const char *text)
{
    struct pair *pair = context;
    struct device *device = &pair->devices[index];
    (void)generation;
    note(pair, index, reason, text);
    device->wanted = true;
    if (device->running) {
        bh_child_signal(&device->child, SIGKILL);
    } else {
        start_back(device);
    }
}

/* ---- what the gate says ---- */

static void on_greeted(void *context, uint32_t device, uint32_t generation)
{
    (void)context;
    (void)device;
    (void)generation;
}

static void on_up(void *context, uint32_t device)
{
    (void)context;
    (void)device;
}

static void on_guest(void *context, uint32_t device, const char *text)
{
    note(context, device, BH_GATE_GUEST_VIOLATION, text);
}

static void on_event(void *context, const struct bh_gate_message *event)
{
    note(context, event->device, event->reason, event->text);
}

static void on_ready(void *context)
{
    (void)context;
}

/* A gate that failed is what these tests look for: nothing is tried again. */
static void on_failed(void *context, const char *why)
{
    struct pair *pair = context;
    (void)fprintf(stderr, "hostile-pair: the gate failed: %s\n", why);
    pair->status = 1;
    bh_loop_stop(&pair->loop);
}

static const struct bh_gate_parent_ops parent_ops = {
    .want = on_want,
    .greeted = on_greeted,
    .up = on_up,
    .guest = on_guest,
    .event = on_event,
    .ready = on_ready,
    .failed = on_failed,
};

/* ---- front ends ---- */

static void connected(struct bh_watch *watch)
{
    struct device *device = watch->context;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)bh_gate_parent_front(device->pair->parent, device->index, fd);
    }
}

static void listen_at(struct device *device)
{
    struct pair *pair = device->pair;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/front%s", pair->folder,
                   device->index == 0u ? "" : "1");
    device->listener = (struct bh_watch){.fd = fd, .ready = connected, .context = device};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 4) != 0 ||
        pair->loop.poller.ops->add(&pair->loop.poller, &device->listener) != BH_OK) {
        give_up("no listening socket");
    }
}

/* ---- the gate ---- */

static void gate_ended(struct bh_child *child, int status)
{
    struct pair *pair = child->context;
    (void)fprintf(stderr, "hostile-pair: the gate ended: %d\n", status);
    pair->status = 1;
    bh_loop_stop(&pair->loop);
}

static void describe(struct pair *pair, uint64_t inode)
{
    struct bh_gate_setup *setup = &pair->setup;
    setup->version = BH_GATE_VERSION;
    setup->size = sizeof(*setup);
    setup->device_count = DEVICES;
    setup->file_count = 2;
    (void)snprintf(setup->guest, sizeof(setup->guest), "pair");
    for (uint32_t i = 0; i < DEVICES; i++) {
        setup->devices[i] = (struct bh_gate_device){.type = BH_ID_BLK,
                                                    .mode = BH_GATE_SHADOW,
                                                    .queue_count = 2,
                                                    .queue_size_max = 64,
                                                    .deadline_ms = 1000,
                                                    .feature_mask = UINT64_MAX,
                                                    .arena_size = ARENA_SIZE,
                                                    .config_size = 60,
                                                    .restores = 1};
        (void)snprintf(setup->devices[i].name, sizeof(setup->devices[i].name), "pair/%u",
                       (unsigned)i);
        /* Both front ends have their memory at the same addresses: a window for both. */
        setup->files[i] = (struct bh_gate_file){.address = i == 0u ? GUEST_RINGS : GUEST_DATA,
                                                .size = GUEST_PART,
                                                .device = inode != 0u ? 1u : 0u,
                                                .inode = inode,
                                                .users = 3,
                                                .shared = i == 0u ? 0u : 3u,
                                                .sealed = 1};
    }
}

static void start_gate(struct pair *pair)
{
    const char *const arguments[] = {"bulkhead-gate", "--control", "--sandbox", pair->sandbox,
                                     NULL};
    static struct bh_child_fd fds[BH_GATE_CHILD_FDS];
    uint32_t count = 0;
    const struct bh_gate_parent_setup parent = {.poller = &pair->loop.poller,
                                                .setup = &pair->setup,
                                                .ops = &parent_ops,
                                                .context = pair,
                                                .patience_ms = 4000};
    if (bh_gate_parent_create(&pair->parent, &parent) != BH_OK ||
        bh_gate_parent_fds(pair->parent, fds, &count) != BH_OK) {
        give_up("no gate");
    }
    const struct bh_child_setup child = {
        .poller = &pair->loop.poller,
        .program = pair->program,
        .arguments = arguments,
        .fds = fds,
        .fd_count = count,
        .output_fd = STDERR_FILENO,
        .ended = gate_ended,
        .context = pair,
    };
    if (bh_child_start(&pair->gate, &child) != BH_OK ||
        bh_gate_parent_started(pair->parent) != BH_OK) {
        give_up("the gate does not start");
    }
}

/* ---- life ---- */

static void on_signal(void *context, int number)
{
    struct pair *pair = context;
    (void)number;
    bh_loop_stop(&pair->loop);
}

/* Commands of the two back ends, each after a `--`. */
static void take_commands(struct pair *pair, char **words)
{
    uint32_t device = 0;
    uint32_t count = 0;
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--") == 0) {
            device++;
            count = 0;
        } else if (device < DEVICES && count + 1u < WORDS_MAX) {
            pair->devices[device].command[count] = *words;
            count++;
        }
    }
}

static uint64_t take_options(struct pair *pair, int argc, char **argv)
{
    static const struct option options[] = {{"gate", required_argument, NULL, 'g'},
                                            {"sandbox", required_argument, NULL, 's'},
                                            {"folder", required_argument, NULL, 'f'},
                                            {"inode", required_argument, NULL, 'i'},
                                            {NULL, 0, NULL, 0}};
    uint64_t inode = 0;
    int option;
    pair->sandbox = "best-effort";
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'g') {
            pair->program = optarg;
        } else if (option == 's') {
            pair->sandbox = optarg;
        } else if (option == 'f') {
            pair->folder = optarg;
        } else if (option == 'i') {
            inode = strtoull(optarg, NULL, 0);
        } else {
            give_up("usage: --gate PROGRAM --folder FOLDER [--sandbox MODE] [--inode N] -- COMMAND "
                    "-- COMMAND");
        }
    }
    take_commands(pair, argv + optind);
    if (pair->program == NULL || pair->folder == NULL || pair->devices[1].command[0] == NULL) {
        give_up("the gate, the folder or a command is missing");
    }
    return inode;
}

int main(int argc, char **argv)
{
    static struct pair pair;
    static const int signals[] = {SIGTERM, SIGINT};
    char path[4096];
    describe(&pair, take_options(&pair, argc, argv));
    (void)snprintf(path, sizeof(path), "%s/audit", pair.folder);
    pair.audit = fopen(path, "we");
    if (pair.audit == NULL || bh_loop_init(&pair.loop) != BH_OK ||
        bh_signals_init(&pair.signals, &pair.loop.poller, signals, 2, on_signal, &pair) != BH_OK) {
        give_up("no loop");
    }
    start_gate(&pair);
    for (uint32_t i = 0; i < DEVICES; i++) {
        pair.devices[i].pair = &pair;
        pair.devices[i].index = i;
        start_back(&pair.devices[i]);
        listen_at(&pair.devices[i]);
    }
    (void)bh_loop_run(&pair.loop);
    bh_child_signal(&pair.gate, SIGKILL); /* what it started ends with it, or with us */
    return pair.status;
}
