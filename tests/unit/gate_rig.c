/* SPDX-License-Identifier: BSD-2-Clause */
/* A gate as it really runs; see gate_rig.h. */
#include "gate_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS  60000 /* more than 20 s were seen on a busy host */
#define ARENA    (UINT64_C(4) << 20)
#define BLOCK    4096u
#define QUEUES   2u
#define RING_MAX 256u

static struct gate_rig *rig_of(void *context)
{
    return context;
}

/* ---- the back end ---- */

static void back_start(struct gate_rig *rig);

static void back_ended(struct bh_child *child, int status)
{
    struct gate_rig *rig = child->context;
    (void)status;
    atomic_store(&rig->back_pid, 0);
    if (rig->stopping) {
        return;
    }
    if (rig->wanted && atomic_load(&rig->no_more)) {
        (void)bh_gate_parent_no_more(rig->parent, 0);
    } else if (rig->wanted && rig->gate.pid != 0) {
        back_start(rig);
    }
}

static void back_start(struct gate_rig *rig)
{
    int pair[2];
    const char *blk = getenv("BULKHEAD_BLK");
    const char *const arguments[] = {"bulkhead-blk", "--fd", "3",         "--blk-file", rig->image,
                                     "--num-queues", "2",    "--sandbox", "off",        NULL};
    rig->wanted = false;
    if (blk == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        abort();
    }
    const struct bh_child_fd fd = {pair[1], 3};
    const struct bh_child_setup setup = {
        .poller = &rig->loop.poller,
        .program = blk,
        .arguments = arguments,
        .fds = &fd,
        .fd_count = 1,
        .output_fd = STDERR_FILENO,
        .ended = back_ended,
        .context = rig,
    };
    if (bh_child_start(&rig->back, &setup) != BH_OK) {
        abort();
    }
    (void)close(pair[1]);
    atomic_store(&rig->back_pid, rig->back.pid);
    atomic_fetch_add(&rig->backs, 1);
    (void)bh_gate_parent_back(rig->parent, 0, pair[0]);
}

/* ---- the gate ---- */

static void gate_start(struct gate_rig *rig);

static void gate_ended(struct bh_child *child, int status)
{
    struct gate_rig *rig = child->context;
    (void)status;
    atomic_store(&rig->gate_pid, 0);
    bh_gate_parent_ended(rig->parent);
    if (rig->stopping) {
        return;
    }
    gate_start(rig);
    rig->wanted = true;
    if (rig->back.pid != 0) {
        bh_child_signal(&rig->back, SIGKILL);
    } else {
        back_start(rig);
    }
}

static void gate_start(struct gate_rig *rig)
{
    static struct bh_child_fd fds[BH_GATE_CHILD_FDS];
    const char *const arguments[] = {"bulkhead-gate", "--control", "--sandbox",
                                     rig->options.sandbox, NULL};
    struct bh_child_setup setup = {
        .poller = &rig->loop.poller,
        .program = "/proc/self/exe",
        .arguments = arguments,
        .fds = fds,
        .output_fd = STDERR_FILENO,
        .ended = gate_ended,
        .context = rig,
    };
    if (bh_gate_parent_fds(rig->parent, fds, &setup.fd_count) != BH_OK ||
        bh_child_start(&rig->gate, &setup) != BH_OK) {
        abort();
    }
    atomic_store(&rig->gate_pid, rig->gate.pid);
    atomic_fetch_add(&rig->gates, 1);
    if (bh_gate_parent_started(rig->parent) != BH_OK) {
        abort();
    }
}

/* ---- the parent ---- */

static void on_want(void *context, uint32_t device, uint32_t generation, uint32_t reason,
                    const char *text)
{
    struct gate_rig *rig = rig_of(context);
    (void)device;
    print_message("# back end %u over: %s: %s\n", generation, bh_gate_reason_name(reason), text);
    atomic_fetch_add(&rig->wants[reason], 1);
    rig->wanted = true;
    if (rig->back.pid != 0) {
        bh_child_signal(&rig->back, SIGKILL);
    } else {
        back_ended(&rig->back, 0);
    }
}

static void on_greeted(void *context, uint32_t device, uint32_t generation)
{
    (void)device;
    atomic_store(&rig_of(context)->greeted, generation);
}

static void on_up(void *context, uint32_t device)
{
    (void)device;
    atomic_fetch_add(&rig_of(context)->ups, 1);
}

static void on_guest(void *context, uint32_t device, const char *text)
{
    (void)device;
    (void)text;
    atomic_fetch_add(&rig_of(context)->guests, 1);
}

static void on_event(void *context, const struct bh_gate_message *event)
{
    print_message("# event: %s: %s (%ju)\n", bh_gate_reason_name(event->reason), event->text,
                  (uintmax_t)event->number);
    atomic_fetch_add(&rig_of(context)->events[event->reason], 1);
}

static void on_ready(void *context)
{
    (void)context;
}

static void on_failed(void *context, const char *why)
{
    print_message("# gate failed: %s\n", why);
    bh_child_signal(&rig_of(context)->gate, SIGKILL);
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

static void on_connection(struct bh_watch *watch)
{
    struct gate_rig *rig = watch->context;
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)bh_gate_parent_front(rig->parent, 0, fd);
    }
}

/* ---- life ---- */

static struct bh_gate_file file_of(const struct gate_rig *rig, uint64_t address, bool shared)
{
    return (struct bh_gate_file){.address = address,
                                 .size = UINT64_C(1) << 30,
                                 .inode = rig->options.foreign,
                                 .device = rig->options.foreign,
                                 .users = 1,
                                 .shared = shared ? 1u : 0u,
                                 .sealed = 1};
}

static void fill_setup(struct gate_rig *rig)
{
    const struct gate_rig_options *o = &rig->options;
    struct bh_gate_setup *setup = &rig->setup;
    struct bh_gate_device *device = &setup->devices[0];
    const bool relayed = o->mode == BH_GATE_SHADOW || o->mode == BH_GATE_BOUNCE;
    setup->version = BH_GATE_VERSION;
    setup->size = sizeof(*setup);
    setup->device_count = 1;
    setup->file_count = 2;
    (void)snprintf(setup->guest, sizeof(setup->guest), "guest");
    (void)snprintf(device->name, sizeof(device->name), "guest/disk");
    device->type = BH_ID_BLK;
    device->mode = o->mode;
    device->queue_count = QUEUES;
    device->queue_size_max = RING_MAX;
    device->deadline_ms = o->deadline_ms;
    device->feature_mask = UINT64_MAX;
    device->arena_size = relayed ? ARENA : 0u;
    device->config_size = 60;
    device->packed = o->packed ? 1 : 0;
    device->restores = 1;
    setup->files[0] = file_of(rig, VU_DISK_RINGS, o->mode == BH_GATE_DIRECT || o->share_rings);
    setup->files[1] = file_of(rig, VU_DISK_DATA, true);
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

/* The loop is this thread's; a signal over an atomic would not wake it, a timer does. */
static void look_for_end(void *context)
{
    struct gate_rig *rig = context;
    if (atomic_load(&rig->over)) {
        rig->stopping = true;
        bh_child_signal(&rig->gate, SIGKILL);
        bh_child_signal(&rig->back, SIGKILL);
        if (rig->gate.pid == 0 && rig->back.pid == 0) {
            bh_loop_stop(&rig->loop);
        }
    }
}

static void *run(void *context)
{
    struct gate_rig *rig = context;
    gate_start(rig);
    back_start(rig);
    bh_timer_arm(&rig->stop, 20000, 20000);
    (void)bh_loop_run(&rig->loop);
    return NULL;
}

void gate_rig_start(struct gate_rig *rig, const struct gate_rig_options *options)
{
    memset(rig, 0, sizeof(*rig));
    rig->options = *options;
    if (rig->options.sandbox == NULL) {
        rig->options.sandbox = "off";
    }
    (void)snprintf(rig->folder, sizeof(rig->folder), "/tmp/bh-gate-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->socket, sizeof(rig->socket), "%s/front", rig->folder);
    /* In memory: a successor waits for its predecessor's last write, and a disk that others keep busy
     * makes that long. */
    rig->image_fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(rig->image_fd >= 0);
    assert_int_equal(ftruncate(rig->image_fd, (off_t)GATE_RIG_IMAGE), 0);
    (void)snprintf(rig->image, sizeof(rig->image), "/proc/%d/fd/%d", (int)getpid(), rig->image_fd);
    fill_setup(rig);
    assert_int_equal(bh_loop_init(&rig->loop), BH_OK);
    const struct bh_gate_parent_setup setup = {.poller = &rig->loop.poller,
                                               .setup = &rig->setup,
                                               .ops = &parent_ops,
                                               .context = rig,
                                               .patience_ms = 5000};
    assert_int_equal(bh_gate_parent_create(&rig->parent, &setup), BH_OK);
    assert_int_equal(bh_timer_init(&rig->stop, &rig->loop.poller, look_for_end, rig), BH_OK);
    rig->listener =
        (struct bh_watch){.fd = listen_at(rig->socket), .ready = on_connection, .context = rig};
    assert_int_equal(rig->loop.poller.ops->add(&rig->loop.poller, &rig->listener), BH_OK);
    assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

void gate_rig_finish(struct gate_rig *rig)
{
    atomic_store(&rig->over, true);
    assert_int_equal(pthread_join(rig->thread, NULL), 0);
    bh_gate_parent_destroy(rig->parent);
    bh_timer_finish(&rig->stop);
    rig->loop.poller.ops->remove(&rig->loop.poller, &rig->listener);
    (void)close(rig->listener.fd);
    bh_loop_finish(&rig->loop);
    (void)unlink(rig->socket);
    (void)close(rig->image_fd);
    (void)rmdir(rig->folder);
}

/* ---- what tests do ---- */

void gate_rig_disk(struct gate_rig *rig, struct vu_disk *disk, const struct vu_disk_options *more)
{
    struct vu_disk_options options = *more;
    options.socket = rig->socket;
    options.queues = options.queues != 0u ? options.queues : 1u;
    options.queue_size = options.queue_size != 0u ? options.queue_size : 128u;
    options.requests = options.requests != 0u ? options.requests : 16u;
    options.data_bytes = BLOCK;
    options.timeout_ms = WAIT_MS;
    assert_int_equal(vu_disk_open(disk, &options), BH_OK);
}

bool gate_rig_wait(const atomic_uint *counter, unsigned int least)
{
    const struct timespec nap = {0, 2000000};
    for (int i = 0; i < WAIT_MS / 2; i++) {
        if (atomic_load(counter) >= least) {
            return true;
        }
        (void)nanosleep(&nap, NULL);
    }
    return false;
}

static void fill(uint8_t *data, uint32_t seed, uint32_t block)
{
    uint32_t state = seed * 2654435761u + block + 1u;
    for (uint32_t i = 0; i < BLOCK; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t)(state >> 24);
    }
}

int gate_rig_write(struct vu_disk *disk, uint32_t seed, uint32_t blocks)
{
    int result = BH_OK;
    for (uint32_t i = 0; i < blocks && result == BH_OK; i++) {
        struct vu_request *request = &disk->requests[i % disk->options.requests];
        fill(request->data, seed, i);
        request->sector = (uint64_t)i * (BLOCK / BH_BLK_SECTOR);
        request->bytes = BLOCK;
        result = vu_disk_run(disk, request, BH_BLK_T_OUT);
    }
    return result;
}

int gate_rig_read(struct vu_disk *disk, uint32_t seed, uint32_t blocks)
{
    static uint8_t expected[BLOCK];
    int result = BH_OK;
    for (uint32_t i = 0; i < blocks && result == BH_OK; i++) {
        struct vu_request *request = &disk->requests[i % disk->options.requests];
        memset(request->data, 0x5a, BLOCK);
        request->sector = (uint64_t)i * (BLOCK / BH_BLK_SECTOR);
        request->bytes = BLOCK;
        result = vu_disk_run(disk, request, BH_BLK_T_IN);
        fill(expected, seed, i);
        if (result == BH_OK && memcmp(expected, request->data, BLOCK) != 0) {
            return BH_IO;
        }
    }
    return result;
}

struct bh_gate_counters gate_rig_counters(struct gate_rig *rig)
{
    struct bh_gate_counters counters;
    bh_gate_parent_counters(rig->parent, 0, &counters);
    return counters;
}
