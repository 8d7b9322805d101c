/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop and the device of fuzz_vhost_user.c: see fuzz_machine.h. */
#include "fuzz_machine.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* ---- a loop ---- */

static int loop_add(struct bh_poller *poller, struct bh_watch *watch)
{
    struct loop *loop = (void *)poller;

    FUZZ_CHECK(!watch->added && fcntl(watch->fd, F_GETFD) >= 0);
    for (unsigned i = 0; i < WATCHES; i++) {
        if (loop->watches[i] == NULL) {
            loop->watches[i] = watch;
            watch->added = true;
            return BH_OK;
        }
    }
    return BH_LIMIT;
}

static void loop_remove(struct bh_poller *poller, struct bh_watch *watch)
{
    struct loop *loop = (void *)poller;

    for (unsigned i = 0; i < WATCHES; i++) {
        if (loop->watches[i] == watch) {
            loop->watches[i] = NULL;
            watch->added = false;
        }
    }
}

static void loop_post(struct bh_poller *poller, struct bh_task *task)
{
    struct loop *loop = (void *)poller;

    if (!task->posted) {
        task->posted = true;
        task->next = loop->tasks;
        loop->tasks = task;
    }
}

static void loop_cancel(struct bh_poller *poller, struct bh_task *task)
{
    struct bh_task **at = &((struct loop *)(void *)poller)->tasks;

    while (*at != NULL) {
        if (*at == task) {
            *at = task->next;
            task->posted = false;
            return;
        }
        at = &(*at)->next;
    }
}

static const struct bh_poller_ops loop_ops = {loop_add, loop_remove, loop_post, loop_cancel};

void loop_init(struct loop *loop)
{
    memset(loop, 0, sizeof(*loop));
    loop->poller.ops = &loop_ops;
}

bool loop_turn(struct loop *loop)
{
    struct bh_task *tasks;
    bool busy = false;

    for (unsigned i = 0; i < WATCHES; i++) {
        struct pollfd one = {.events = POLLIN};

        if (loop->watches[i] != NULL) {
            one.fd = loop->watches[i]->fd;
            if (poll(&one, 1, 0) == 1) {
                FUZZ_CHECK((one.revents & POLLNVAL) == 0);
                loop->watches[i]->ready(loop->watches[i]);
                busy = true;
            }
        }
    }
    tasks = loop->tasks;
    loop->tasks = NULL;
    while (tasks != NULL) {
        struct bh_task *task = tasks;

        tasks = task->next;
        task->posted = false;
        task->run(task);
        busy = true;
    }
    return busy;
}

/* ---- a device class that holds what it gets ---- */

static uint64_t class_features(const struct bh_device *device)
{
    (void)device;
    return 1;
}

static void class_nothing(struct bh_device *device)
{
    (void)device;
}

static uint32_t class_config_size(const struct bh_device *device)
{
    (void)device;
    return CONFIG;
}

static void class_config_read(const struct bh_device *device, uint32_t offset, void *to,
                              uint32_t length)
{
    (void)device;
    FUZZ_CHECK(offset <= CONFIG && length <= CONFIG - offset);
    memset(to, 0x11, length);
}

static int class_config_write(struct bh_device *device, uint32_t offset, const void *from,
                              uint32_t length)
{
    (void)device;
    (void)from;
    FUZZ_CHECK(offset <= CONFIG && length <= CONFIG - offset);
    return offset == 0 ? BH_DENIED : BH_OK;
}

static struct held *vacant(struct machine *machine)
{
    for (unsigned i = 0; i < HELD; i++) {
        if (!machine->held[i].busy) {
            return &machine->held[i];
        }
    }
    return NULL;
}

static enum bh_served class_serve(struct bh_device *device, struct bh_queue *queue)
{
    struct machine *machine = device->class_data;

    for (uint32_t i = 0; i < queue->size; i++) {
        struct held *held = vacant(machine);

        if (held == NULL) {
            return BH_SERVED_ENOUGH;
        }
        if (bh_queue_pop(queue, &held->chain) != 1) {
            return BH_SERVED;
        }
        held->queue = queue;
        held->busy = true;
    }
    return BH_SERVED_MORE;
}

static const struct bh_device_class class = {
    .name = "hold",
    .id = 999,
    .features = class_features,
    .features_set = class_nothing,
    .config_size = class_config_size,
    .config_read = class_config_read,
    .config_write = class_config_write,
    .serve = class_serve,
    .reset = class_nothing,
};

/* The device writes all that it may: memory that was unmapped would show. */
void machine_finish(struct machine *machine, unsigned which)
{
    for (unsigned i = 0; i < HELD; i++) {
        struct held *held = &machine->held[(which + i) % HELD];

        if (held->busy) {
            uint32_t written = 0;

            for (uint32_t s = 0; s < held->chain.writable_count; s++) {
                const struct bh_span *span = &held->chain.spans[held->chain.readable_count + s];

                memset(span->base, 0x5a, span->length);
                written += (uint32_t)span->length;
            }
            held->busy = false;
            bh_device_push(&machine->device, held->queue, &held->chain, written);
            return;
        }
    }
}

static void on_closed(void *context)
{
    struct machine *machine = context;

    machine->closed++;
}

/* ---- an owner ---- */

#define SKIPPED UINT64_C(0x3000) /* regions that begin here in a page of 64 KiB are none of ours */
#define DENIED  UINT64_C(0x5000)

static int admit(void *context, const struct bh_vu_region *region, int fd, const char **why)
{
    struct machine *machine = context;

    FUZZ_CHECK(fcntl(fd, F_GETFD) >= 0);
    if ((region->guest_address & 0xf000u) == SKIPPED) {
        return 1;
    }
    if ((region->guest_address & 0xf000u) == DENIED) {
        *why = "denied";
        return BH_DENIED;
    }
    machine->admitted++;
    return BH_OK;
}

static void gone(void *context, const struct bh_vu_region *region)
{
    struct machine *machine = context;

    (void)region;
    FUZZ_CHECK(machine->admitted != 0);
    machine->admitted--;
}

static void changed(void *context)
{
    struct machine *machine = context;

    FUZZ_CHECK(machine->memory.region_count == machine->admitted);
    for (unsigned i = 0; i < RINGS; i++) {
        FUZZ_CHECK(machine->queues[i].state == BH_QUEUE_STOPPED && !machine->running[i]);
    }
}

static int ring_start(void *context, const struct bh_vu_plan *plan)
{
    struct machine *machine = context;

    FUZZ_CHECK(plan->index < RINGS && !machine->running[plan->index]);
    FUZZ_CHECK(plan->size != 0 && plan->size <= QUEUE_MAX && fcntl(plan->kick, F_GETFD) >= 0);
    if (plan->size == 1) {
        return BH_LIMIT;
    }
    machine->running[plan->index] = true;
    return BH_OK;
}

/* It takes two tries. */
static int ring_stop(void *context, uint16_t index, uint32_t *base)
{
    struct machine *machine = context;

    FUZZ_CHECK(index < RINGS && machine->running[index]);
    machine->patience = !machine->patience;
    if (machine->patience) {
        bh_vu_backend_idle(machine->backend);
        return BH_AGAIN;
    }
    machine->running[index] = false;
    *base = 0x80038003u;
    return BH_OK;
}

static void ring_exchanged(void *context, const struct bh_vu_plan *plan)
{
    struct machine *machine = context;

    FUZZ_CHECK(machine->running[plan->index]);
}

static void keep(void *context, uint32_t slot, int fd)
{
    const struct machine *machine = context;
    int *kept = machine->owner->fds;

    FUZZ_CHECK(slot < BH_VU_KEEP_SLOTS);
    if (kept[slot] >= 0) {
        (void)close(kept[slot]);
    }
    kept[slot] = fd >= 0 ? dup(fd) : -1;
}

static void save(void *context, const struct bh_vu_saved *saved)
{
    const struct machine *machine = context;

    for (uint32_t i = 0; i < saved->region_count; i++) {
        FUZZ_CHECK(saved->slots[i] == BH_VU_KEEP_NONE || machine->owner->fds[saved->slots[i]] >= 0);
    }
    for (uint32_t i = 0; i < RINGS; i++) {
        FUZZ_CHECK(saved->rings[i].has_kick == 0 || machine->owner->fds[BH_VU_KEEP_KICK(i)] >= 0);
    }
    machine->owner->saved = *saved;
}

static const struct bh_vu_memory_ops memory_ops = {admit, gone, changed};
static const struct bh_vu_ring_ops ring_ops = {ring_start, ring_stop, ring_exchanged};
static const struct bh_vu_keep_ops keep_ops = {keep, save};

void owner_begin(struct owner *owner, uint32_t does)
{
    memset(owner, 0, sizeof(*owner));
    owner->does = does;
    for (uint32_t i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        owner->fds[i] = -1;
    }
}

void owner_end(struct owner *owner)
{
    for (uint32_t i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        if (owner->fds[i] >= 0) {
            (void)close(owner->fds[i]);
        }
    }
}

/* ---- life ---- */

/* A copy of what is kept, for a successor. */
static const struct bh_vu_adoption *bequeath(struct owner *owner)
{
    owner->left = owner->saved;
    for (uint32_t i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        owner->left_fds[i] = owner->fds[i] >= 0 ? dup(owner->fds[i]) : -1;
    }
    owner->adoption = (struct bh_vu_adoption){.saved = &owner->left, .fds = owner->left_fds};
    return &owner->adoption;
}

/* Adds what the owner does. */
static void add_owner(struct owner *owner, struct bh_vu_setup *port, bool adopts)
{
    port->memory_ops = &memory_ops;
    if ((owner->does & OWNER_SERVES) != 0) {
        port->ring_ops = &ring_ops;
    }
    if ((owner->does & OWNER_KEEPS) != 0) {
        FUZZ_CHECK(bh_vu_journal_bytes(RINGS, QUEUE_MAX) <= JOURNAL);
        port->keep_ops = &keep_ops;
        port->journal = owner->journal;
    }
    if (adopts) {
        port->adoption = bequeath(owner);
    }
}

void machine_begin(struct machine *machine, struct loop *loop, int socket, struct owner *owner,
                   bool adopts)
{
    struct bh_device_setup setup = {.class = &class,
                                    .class_data = machine,
                                    .memory = &machine->memory,
                                    .queues = machine->queues,
                                    .queue_count = RINGS,
                                    .feature_mask = UINT64_MAX};
    struct bh_vu_setup port = {.device = &machine->device,
                               .poller = &loop->poller,
                               .listen_fd = -1,
                               .connection_fd = socket,
                               .features = BH_VU_FEATURES,
                               .closed = on_closed,
                               .context = machine};

    memset(machine, 0, sizeof(*machine));
    bh_span_pool_init(&machine->pool, machine->blocks, machine->free, BLOCKS, SPANS);
    for (uint16_t i = 0; i < RINGS; i++) {
        bh_queue_init(&machine->queues[i], i, QUEUE_MAX, machine->order[i], machine->busy[i],
                      &machine->pool);
    }
    bh_device_init(&machine->device, &setup);
    machine->owner = owner;
    if (owner->does != 0) {
        add_owner(owner, &port, adopts);
    }
    FUZZ_CHECK(bh_vu_backend_create(&machine->backend, &port) == BH_OK);
}
