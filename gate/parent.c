/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gate's parent (gate_parent.h): the life of its gates, and what is handed from one to the next.
 * What is sent: parent_send.c; what is read: parent_read.c; the memory: parent_memory.c. Here is no
 * process: the owner starts and reaps.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "parent.h"

#define PAGE          4096u
#define TICKS         4u  /* of the patience */
#define TICKS_AT_BOOT 20u /* a gate that does not read yet closes its sandbox first */
#define US_IN_MS      1000u

void bh_gate_parent_close(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * what is guarded */

static bool device_is_valid(const struct bh_gate_device *device)
{
    bool relayed = device->mode == BH_GATE_SHADOW || device->mode == BH_GATE_BOUNCE;
    return memchr(device->name, '\0', sizeof(device->name)) != NULL &&
           device->mode <= BH_GATE_OPEN && device->queue_count != 0u &&
           device->queue_count <= BH_GATE_QUEUES_MAX && device->queue_size_max != 0u &&
           device->queue_size_max <= 32768u && device->config_size <= BH_GATE_CONFIG_MAX &&
           device->arena_size % PAGE == 0u && device->arena_size <= INT64_MAX &&
           (device->arena_size != 0u) == relayed;
}

static bool file_is_valid(const struct bh_gate_file *file, uint32_t device_count)
{
    uint64_t beyond = device_count < 64u ? ~(((uint64_t)1 << device_count) - 1u) : 0u;
    return file->size != 0u && file->address <= UINT64_MAX - file->size &&
           ((file->users | file->shared) & beyond) == 0u;
}

static bool setup_is_valid(const struct bh_gate_setup *setup)
{
    if (setup->device_count == 0u || setup->device_count > BH_GATE_DEVICES_MAX ||
        setup->file_count > BH_GATE_FILES_MAX ||
        memchr(setup->guest, '\0', sizeof(setup->guest)) == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < setup->device_count; i++) {
        if (!device_is_valid(&setup->devices[i])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < setup->file_count; i++) {
        if (!file_is_valid(&setup->files[i], setup->device_count)) {
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * patience */

/* Answers are counted in ticks, not measured: a parent that was stopped itself sees one tick when it
 * goes on, and the gate has the others to answer in. */
static void tick(void *context)
{
    struct bh_gate_parent *parent = context;
    if (!parent->running || parent->broken) {
        return;
    }
    if (!parent->asking) {
        parent->asking = true;
        parent->asked++;
        parent->ping_due = true;
        bh_gate_parent_send(parent);
        return;
    }
    parent->missed++;
    if (parent->missed >= (parent->ready ? TICKS : TICKS_AT_BOOT)) {
        bh_timer_arm(&parent->patience, 0, 0);
        bh_gate_parent_fail(parent, "it does not answer");
    }
}

static void set_patience(struct bh_gate_parent *parent, bool on)
{
    uint64_t period = on ? (uint64_t)parent->tick_ms * US_IN_MS : 0u;
    if (parent->patient) {
        bh_timer_arm(&parent->patience, period, period);
    }
}

/* ------------------------------------------------------------------------------------------------
 * creation */

static int make(struct bh_gate_parent *parent, uint32_t patience_ms)
{
    uint32_t slots = parent->setup.device_count * BH_GATE_SLOTS;
    parent->kept = malloc(slots * sizeof(*parent->kept));
    if (parent->kept == NULL) {
        return BH_NO_MEMORY;
    }
    for (uint32_t i = 0; i < slots; i++) {
        parent->kept[i] = -1;
    }
    int result = bh_gate_parent_memory_make(parent);
    if (result == BH_OK && patience_ms != 0u) {
        parent->tick_ms = patience_ms < TICKS ? 1u : patience_ms / TICKS;
        result = bh_timer_init(&parent->patience, parent->poller, tick, parent);
        parent->patient = result == BH_OK;
    }
    return result;
}

int bh_gate_parent_create(struct bh_gate_parent **parent, const struct bh_gate_parent_setup *setup)
{
    *parent = NULL;
    if (setup->poller == NULL || setup->ops == NULL || !setup_is_valid(setup->setup)) {
        return BH_INVALID;
    }
    struct bh_gate_parent *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->setup = *setup->setup;
    made->setup.version = BH_GATE_VERSION;
    made->setup.size = (uint32_t)sizeof(made->setup);
    made->poller = setup->poller;
    made->ops = setup->ops;
    made->context = setup->context;
    made->in.fd = -1;
    made->room.fd = -1;
    made->child_fd = -1;
    made->setup_piece.fd = -1;
    made->limits.fd = -1;
    made->ledger.fd = -1;
    for (uint32_t i = 0; i < BH_GATE_DEVICES_MAX; i++) {
        made->arenas[i].fd = -1;
        made->devices[i].front = -1;
        made->devices[i].back = -1;
    }
    int result = make(made, setup->patience_ms);
    if (result != BH_OK) {
        bh_gate_parent_destroy(made);
        return result;
    }
    *parent = made;
    return BH_OK;
}

/* The line to the gate, with all that belongs to it alone. */
static void hang_up(struct bh_gate_parent *parent)
{
    set_patience(parent, false);
    bh_gate_parent_send_stop(parent);
    if (parent->in.added) {
        parent->poller->ops->remove(parent->poller, &parent->in);
    }
    bh_gate_parent_close(&parent->in.fd);
    bh_gate_parent_close(&parent->child_fd);
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        bh_gate_parent_close(&parent->devices[i].back);
        parent->devices[i].given = 0;
    }
    parent->running = false;
}

void bh_gate_parent_destroy(struct bh_gate_parent *parent)
{
    if (parent == NULL) {
        return;
    }
    hang_up(parent);
    if (parent->patient) {
        bh_timer_finish(&parent->patience);
    }
    if (parent->kept != NULL) {
        for (uint32_t i = 0; i < parent->setup.device_count; i++) {
            bh_gate_parent_forget_front(parent, i);
            bh_gate_parent_close(bh_gate_parent_slot(parent, i, BH_GATE_SLOT_INFLIGHT));
        }
    }
    bh_gate_parent_memory_drop(parent);
    free(parent->kept);
    free(parent);
}

/* ------------------------------------------------------------------------------------------------
 * the life of a gate */

int bh_gate_parent_fds(struct bh_gate_parent *parent, struct bh_child_fd *fds, uint32_t *count)
{
    int line[2];
    uint32_t n = 0;
    *count = 0;
    if (parent->running) {
        return BH_STATE;
    }
    bh_gate_parent_close(&parent->in.fd);
    bh_gate_parent_close(&parent->child_fd);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) != 0) {
        return bh_error_from_errno(errno);
    }
    parent->in.fd = line[0];
    parent->child_fd = line[1];
    fds[n++] = (struct bh_child_fd){line[1], BH_GATE_CONTROL_FD};
    fds[n++] = (struct bh_child_fd){parent->setup_piece.fd, BH_GATE_SETUP_FD};
    fds[n++] = (struct bh_child_fd){parent->limits.fd, BH_GATE_LIMITS_FD};
    fds[n++] = (struct bh_child_fd){parent->ledger.fd, BH_GATE_LEDGER_FD};
    int to = BH_GATE_ARENA_FD;
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        if (parent->arenas[i].fd >= 0) {
            fds[n++] = (struct bh_child_fd){parent->arenas[i].fd, to++};
        }
    }
    *count = n;
    return BH_OK;
}

static void in_ready(struct bh_watch *watch)
{
    bh_gate_parent_read(watch->context, false);
}

int bh_gate_parent_started(struct bh_gate_parent *parent)
{
    if (parent->running || parent->child_fd < 0) {
        return BH_STATE;
    }
    bh_gate_parent_close(&parent->child_fd);
    parent->in.ready = in_ready;
    parent->in.context = parent;
    parent->in.room = false;
    int result = parent->poller->ops->add(parent->poller, &parent->in);
    if (result != BH_OK) {
        return result;
    }
    parent->running = true;
    parent->ready = false;
    parent->broken = false;
    parent->failed = false;
    parent->asking = false;
    parent->ping_due = false;
    parent->missed = 0;
    parent->next_kept = 0;
    parent->go_due = true;
    for (uint32_t i = 0; i < parent->setup.device_count; i++) {
        struct bh_gate_parent_device *device = &parent->devices[i];
        device->front_due = device->front >= 0;
        device->no_more_due = device->no_more;
        device->limits_due = false; /* a new gate reads the page anyway */
        device->wanted = 0;
        device->greeted = 0;
    }
    set_patience(parent, true);
    bh_gate_parent_send(parent);
    return BH_OK;
}

void bh_gate_parent_ended(struct bh_gate_parent *parent)
{
    if (parent->running && !parent->broken) {
        bh_gate_parent_read(parent, true);
    }
    hang_up(parent);
}

/* ------------------------------------------------------------------------------------------------
 * connections and limits */

int bh_gate_parent_front(struct bh_gate_parent *parent, uint32_t device, int fd)
{
    if (device >= parent->setup.device_count || fd < 0) {
        bh_gate_parent_close(&fd);
        return BH_INVALID;
    }
    bh_gate_parent_forget_front(parent, device);
    parent->devices[device].front = fd;
    parent->devices[device].front_number++;
    parent->devices[device].front_due = true;
    bh_gate_parent_send(parent);
    return BH_OK;
}

void bh_gate_parent_forget_front(struct bh_gate_parent *parent, uint32_t device)
{
    bh_gate_parent_close(&parent->devices[device].front);
    parent->devices[device].front_due = false;
    for (uint32_t slot = 0; slot < BH_GATE_SLOTS_MAX; slot++) {
        bh_gate_parent_close(bh_gate_parent_slot(parent, device, slot));
    }
}

int bh_gate_parent_back(struct bh_gate_parent *parent, uint32_t device, int fd)
{
    if (device >= parent->setup.device_count || fd < 0 ||
        parent->devices[device].generation == INT32_MAX) {
        bh_gate_parent_close(&fd);
        return BH_INVALID;
    }
    struct bh_gate_parent_device *to = &parent->devices[device];
    bh_gate_parent_close(&to->back);
    to->back = fd;
    to->generation++;
    to->no_more = false;
    to->no_more_due = false;
    bh_gate_parent_send(parent);
    return (int)to->generation;
}

int bh_gate_parent_no_more(struct bh_gate_parent *parent, uint32_t device)
{
    if (device >= parent->setup.device_count) {
        return BH_INVALID;
    }
    parent->devices[device].no_more = true;
    parent->devices[device].no_more_due = true;
    bh_gate_parent_send(parent);
    return BH_OK;
}

void bh_gate_parent_limits(struct bh_gate_parent *parent, uint32_t device,
                           const struct bh_gate_limits *limits)
{
    struct bh_gate_limits_page *page = parent->limits.base;
    if (device >= parent->setup.device_count) {
        return;
    }
    __atomic_store_n(&page->devices[device].operations_per_second, limits->operations_per_second,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&page->devices[device].bytes_per_second, limits->bytes_per_second,
                     __ATOMIC_RELAXED);
    parent->devices[device].limits_due = true;
    bh_gate_parent_send(parent);
}

/* ------------------------------------------------------------------------------------------------
 * numbers */

static uint32_t at_most(uint32_t value, uint64_t most)
{
    return value > most ? (uint32_t)most : value;
}

/* Each field is read once. What has a bound that the parent knows is held to it. */
void bh_gate_parent_counters(const struct bh_gate_parent *parent, uint32_t device,
                             struct bh_gate_counters *counters)
{
    const struct bh_gate_ledger *ledger = parent->ledger.base;
    memset(counters, 0, sizeof(*counters));
    if (device >= parent->setup.device_count) {
        return;
    }
    const struct bh_gate_device *known = &parent->setup.devices[device];
    const struct bh_gate_counters *from = &ledger->records[device].counters;
    const uint64_t *words = (const uint64_t *)(const void *)from;
    uint64_t *to = (uint64_t *)(void *)counters;
    for (size_t i = 0; i < offsetof(struct bh_gate_counters, in_flight) / sizeof(*words); i++) {
        to[i] = __atomic_load_n(&words[i], __ATOMIC_RELAXED);
    }
    counters->in_flight = at_most(__atomic_load_n(&from->in_flight, __ATOMIC_RELAXED),
                                  (uint64_t)known->queue_count * known->queue_size_max);
    counters->arena_used =
        at_most(__atomic_load_n(&from->arena_used, __ATOMIC_RELAXED), known->arena_size / 1024u);
    counters->state = at_most(__atomic_load_n(&from->state, __ATOMIC_RELAXED), BH_GATE_FAILED);
    counters->generation = at_most(__atomic_load_n(&from->generation, __ATOMIC_RELAXED),
                                   parent->devices[device].generation);
}
