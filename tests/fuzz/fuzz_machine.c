/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop and the device of fuzz_vhost_user.c: see fuzz_machine.h. */
#include "fuzz_machine.h"

#include <fcntl.h>
#include <poll.h>

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

void machine_begin(struct machine *machine, struct loop *loop, int socket)
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
    FUZZ_CHECK(bh_vu_backend_create(&machine->backend, &port) == BH_OK);
}
