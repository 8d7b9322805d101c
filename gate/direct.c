/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings that the back end serves: handed over, taken back, handed to its successor. See direct.h. What
 * the back end wrote into ring or region is read here only to find out where a ring stands, and
 * matters to that guest alone.
 */
#include "direct.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/bytes.h"
#include "bulkhead/error.h"

struct direct_ring {
    struct bh_vu_plan plan; /* its descriptors are ours */
    bool noted;
    bool served;    /* some back end has worked on it */
    uint32_t stood; /* where, when it was looked at last */
    uint64_t since; /* it has not moved, though there is work; 0: it has, or there is none */
};

struct bh_direct {
    struct bh_direct_setup setup;
    struct bh_device device;
    struct bh_queue *queues;
    struct direct_ring *rings;
    uint64_t offered;
    uint8_t config[BH_GATE_CONFIG_MAX];
    uint32_t config_size;
    uint64_t resumed; /* bit n: ring n ran behind a gate before this one */
    uint8_t *region;  /* NULL: none */
    int region_fd;
    bool attached;
    bool refusing;
};

static bool packed(const struct bh_direct *direct)
{
    return (direct->device.features & BH_F_RING_PACKED) != 0u;
}

static uint64_t region_bytes(const struct bh_direct *direct)
{
    return bh_vu_journal_bytes(direct->setup.device->queue_count,
                               direct->setup.device->queue_size_max);
}

/* ---- the device ---- */

static uint64_t direct_features(const struct bh_device *device)
{
    const struct bh_direct *direct = device->class_data;
    return direct->offered;
}

/* Agreed anew, or reset: nothing is in flight, and a broken device may begin again. */
static void direct_features_set(struct bh_device *device)
{
    struct bh_direct *direct = device->class_data;
    if (direct->region != NULL && direct->resumed == 0u) {
        memset(direct->region, 0, region_bytes(direct));
    }
    if (device->features == 0u) {
        direct->refusing = false;
    }
    direct->setup.ops->agreed(direct->setup.context, device->features);
}

static uint32_t direct_config_size(const struct bh_device *device)
{
    const struct bh_direct *direct = device->class_data;
    return direct->config_size;
}

static void direct_config_read(const struct bh_device *device, uint32_t offset, void *to,
                               uint32_t length)
{
    const struct bh_direct *direct = device->class_data;
    memcpy(to, direct->config + offset, length);
}

static int direct_config_write(struct bh_device *device, uint32_t offset, const void *from,
                               uint32_t length)
{
    struct bh_direct *direct = device->class_data;
    const int result = direct->setup.ops->config_write(direct->setup.context, offset, from, length);
    if (result == BH_OK) {
        memcpy(direct->config + offset, from, length);
    }
    return result;
}

/* No queue of the core's ever runs. */
static enum bh_served direct_serve(struct bh_device *device, struct bh_queue *queue)
{
    (void)device;
    (void)queue;
    return BH_SERVED;
}

static void direct_reset(struct bh_device *device)
{
    (void)device; /* rings are stopped one by one; features_set follows */
}

static const struct bh_device_class direct_class = {
    .name = "direct",
    .id = 0,
    .features = direct_features,
    .features_set = direct_features_set,
    .config_size = direct_config_size,
    .config_read = direct_config_read,
    .config_write = direct_config_write,
    .serve = direct_serve,
    .reset = direct_reset,
};

struct bh_device *bh_direct_device(struct bh_direct *direct)
{
    return &direct->device;
}

void bh_direct_offer(struct bh_direct *direct, uint64_t features, const void *config, uint32_t size,
                     uint16_t queue_count)
{
    direct->offered = features & ~BH_F_TRANSPORT_MASK;
    direct->config_size = size < BH_GATE_CONFIG_MAX ? size : BH_GATE_CONFIG_MAX;
    memcpy(direct->config, config, direct->config_size);
    if (queue_count < direct->device.queue_count) {
        direct->device.queue_count = queue_count;
    }
}

void bh_direct_config_changed(struct bh_direct *direct, const void *config, uint32_t size)
{
    bh_direct_offer(direct, direct->offered, config, size, direct->device.queue_count);
    bh_device_config_changed(&direct->device);
}

/* ---- where a ring stands ---- */

static const uint8_t *look_at(const struct bh_direct *direct, uint64_t address, uint32_t length)
{
    struct bh_span span;
    const int got = bh_memory_acquire(direct->setup.memory, address, length,
                                      BH_ACCESS_READ | BH_ACCESS_RING, &span, 1);
    return got == 1 ? span.base : NULL;
}

/* The position from which a successor goes on. BH_GONE: memory; BH_PROTOCOL: what is there makes no
 * sense. */
static int stands(const struct bh_direct *direct, const struct direct_ring *ring, uint32_t *base)
{
    const struct bh_vu_plan *plan = &ring->plan;
    if (!ring->served) {
        *base = plan->base;
        return BH_OK;
    }
    if (packed(direct)) {
        const uint64_t part =
            bh_vu_journal_bytes(1, direct->setup.device->queue_size_max) * plan->index;
        return direct->region != NULL ? bh_vu_base_packed(direct->region + part, plan->size, base)
                                      : BH_PROTOCOL;
    }
    const uint8_t *used = look_at(direct, plan->device, bh_device_area_size(plan->size, false));
    if (used == NULL) {
        return BH_GONE;
    }
    *base = bh_vu_base_split(used);
    return BH_OK;
}

/* Whether the guest waits for something in this ring. */
static bool has_work(const struct bh_direct *direct, const struct direct_ring *ring,
                     uint32_t position)
{
    const struct bh_vu_plan *plan = &ring->plan;
    if (packed(direct)) {
        const struct bh_packed_desc *descriptors =
            (const void *)look_at(direct, plan->descriptor, bh_descriptor_area_size(plan->size));
        const uint16_t slot = (uint16_t)(position >> 16 & 0x7fffu);
        if (descriptors == NULL || slot >= plan->size) {
            return false;
        }
        const uint16_t flags = bh_load16(&descriptors[slot].flags);
        return ((flags & BH_DESC_AVAIL) != 0u) != ((flags & BH_DESC_USED) != 0u);
    }
    const struct bh_split_avail *available =
        (const void *)look_at(direct, plan->driver, bh_driver_area_size(plan->size, false));
    return available != NULL && bh_load16(&available->index) != (uint16_t)position;
}

uint64_t bh_direct_owes(struct bh_direct *direct, uint64_t now)
{
    uint64_t oldest = 0;
    for (uint16_t i = 0; i < direct->device.queue_count; i++) {
        struct direct_ring *ring = &direct->rings[i];
        uint32_t position = 0;
        const bool waits = direct->setup.waits != NULL && direct->setup.waits(i);
        if (!direct->attached || !ring->noted || waits ||
            stands(direct, ring, &position) != BH_OK || !has_work(direct, ring, position)) {
            ring->since = 0;
        } else if (ring->since == 0u || position != ring->stood) {
            ring->since = now;
        }
        ring->stood = position;
        if (ring->since != 0u && (oldest == 0u || ring->since < oldest)) {
            oldest = ring->since;
        }
    }
    return oldest;
}

/* ---- rings handed over ---- */

/* Both sides look once: what they were told may be lost with the one who was told. */
static void wake_both(const struct direct_ring *ring)
{
    const struct bh_vu_channel *channel = &bh_host_channel_ops;
    (void)channel->event_signal(NULL, ring->plan.kick);
    if (ring->plan.call >= 0) {
        (void)channel->event_signal(NULL, ring->plan.call);
    }
}

static int hand_over(struct bh_direct *direct, struct direct_ring *ring)
{
    struct bh_link *link = direct->setup.link;
    const struct bh_vu_plan *plan = &ring->plan;
    uint32_t base = 0;
    int result = stands(direct, ring, &base);
    if (result != BH_OK) {
        return result;
    }
    result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    link->frontend.queues[plan->index].areas =
        (struct bh_queue_areas){plan->descriptor, plan->driver, plan->device, plan->size};
    result =
        bh_vu_frontend_events(&link->frontend, plan->index, plan->kick, plan->call, plan->error);
    if (result == BH_OK) {
        result = bh_vu_frontend_queue_go(&link->frontend, plan->index, base);
    }
    result = bh_link_done(link, result, "handing over a ring");
    if (result == BH_OK) {
        ring->served = true;
        ring->since = 0;
        wake_both(ring);
    }
    return result;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void forget(struct direct_ring *ring)
{
    ring->noted = false;
    ring->served = false;
    close_fd(&ring->plan.kick);
    close_fd(&ring->plan.call);
    close_fd(&ring->plan.error);
}

static int duplicate(int fd, int *to)
{
    *to = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    return fd < 0 || *to >= 0 ? BH_OK : BH_LIMIT;
}

/* The plan with descriptors of our own. */
static int take_plan(struct direct_ring *ring, const struct bh_vu_plan *plan)
{
    struct bh_vu_plan own = *plan;
    own.kick = own.call = own.error = -1;
    int result = duplicate(plan->kick, &own.kick);
    if (result == BH_OK) {
        result = duplicate(plan->call, &own.call);
    }
    if (result == BH_OK) {
        result = duplicate(plan->error, &own.error);
    }
    if (result != BH_OK) {
        close_fd(&own.kick);
        close_fd(&own.call);
        close_fd(&own.error);
        return result;
    }
    ring->plan = own;
    return BH_OK;
}

/* The only word for "needs a reset" that the protocol has. */
static void signal_error(const struct direct_ring *ring)
{
    if (ring->plan.error >= 0) {
        (void)bh_host_channel_ops.event_signal(NULL, ring->plan.error);
    }
}

int bh_direct_start(struct bh_direct *direct, const struct bh_vu_plan *plan)
{
    struct direct_ring *ring = &direct->rings[plan->index];
    const uint64_t bit = UINT64_C(1) << plan->index;
    forget(ring);
    const int result = take_plan(ring, plan);
    if (result != BH_OK) {
        return result;
    }
    ring->noted = true;
    ring->served = (direct->resumed & bit) != 0u;
    direct->resumed &= ~bit;
    if (direct->refusing) {
        signal_error(ring);
    } else if (direct->attached) {
        /* A back end that will not have it is over, and its successor gets it. */
        (void)hand_over(direct, ring);
    }
    return BH_OK;
}

int bh_direct_stop(struct bh_direct *direct, uint16_t index, uint32_t *base)
{
    struct direct_ring *ring = &direct->rings[index];
    if (!ring->noted) {
        return BH_OK;
    }
    if (direct->attached && bh_link_queue_stop(direct->setup.link, index, base) == BH_OK) {
        forget(ring);
        return BH_OK;
    }
    if (ring->served && !direct->refusing && bh_direct_replaceable(direct)) {
        return BH_AGAIN; /* the successor ends what is in flight */
    }
    const int result = stands(direct, ring, base);
    forget(ring);
    return result;
}

void bh_direct_exchanged(struct bh_direct *direct, const struct bh_vu_plan *plan)
{
    struct direct_ring *ring = &direct->rings[plan->index];
    struct bh_link *link = direct->setup.link;
    const struct bh_vu_plan before = ring->plan;
    if (!ring->noted || take_plan(ring, plan) != BH_OK) {
        return;
    }
    if (direct->attached && bh_link_begin(link) == BH_OK) {
        (void)bh_link_done(link,
                           bh_vu_frontend_events(&link->frontend, plan->index, ring->plan.kick,
                                                 ring->plan.call, ring->plan.error),
                           "exchanging a descriptor");
        wake_both(ring);
    }
    struct bh_vu_plan old = before;
    close_fd(&old.kick);
    close_fd(&old.call);
    close_fd(&old.error);
}

/* ---- the in-flight region ---- */

static int map_region(struct bh_direct *direct, int fd)
{
    void *base = mmap(NULL, region_bytes(direct), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        return BH_NO_MEMORY;
    }
    direct->region = base;
    direct->region_fd = fd;
    return BH_OK;
}

static int make_region(struct bh_direct *direct)
{
    int fd = memfd_create("in-flight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return BH_LIMIT;
    }
    int result = BH_NO_MEMORY;
    if (ftruncate(fd, (off_t)region_bytes(direct)) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        result = map_region(direct, fd);
    }
    if (result != BH_OK) {
        (void)close(fd);
        return result;
    }
    direct->setup.ops->keep(direct->setup.context, fd);
    return BH_OK;
}

static int lend_region(struct bh_direct *direct)
{
    struct bh_link *link = direct->setup.link;
    int result = direct->region != NULL ? BH_OK : make_region(direct);
    if (result != BH_OK) {
        return result;
    }
    const struct bh_vu_inflight inflight = {
        .mmap_size = region_bytes(direct),
        .queue_count = direct->device.queue_count, /* no more than the back end has */
        .queue_size = direct->setup.device->queue_size_max,
    };
    result = bh_link_begin(link);
    if (result == BH_OK) {
        bh_vu_frontend_inflight_lend(&link->frontend, &inflight, direct->region_fd);
        result = bh_link_done(link, bh_vu_frontend_inflight_set(&link->frontend),
                              "handing over the in-flight region");
    }
    return result;
}

/* ---- attach and detach ---- */

uint64_t bh_direct_running(const struct bh_direct *direct)
{
    uint64_t running = 0;
    for (uint16_t i = 0; i < direct->device.queue_count; i++) {
        running |= direct->rings[i].noted ? UINT64_C(1) << i : 0u;
    }
    return running;
}

bool bh_direct_replaceable(const struct bh_direct *direct)
{
    bool served = false;
    for (uint16_t i = 0; i < direct->device.queue_count; i++) {
        served = served || (direct->rings[i].noted && direct->rings[i].served);
    }
    return direct->region != NULL || !served;
}

int bh_direct_attach(struct bh_direct *direct)
{
    if (direct->refusing) {
        return BH_STATE;
    }
    const bool keeps = bh_link_has(direct->setup.link, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD);
    if (!bh_direct_replaceable(direct) || (direct->region != NULL && !keeps)) {
        return BH_UNSUPPORTED;
    }
    int result = keeps ? lend_region(direct) : BH_OK;
    direct->attached = result == BH_OK;
    for (uint16_t i = 0; i < direct->device.queue_count && result == BH_OK; i++) {
        if (direct->rings[i].noted) {
            result = hand_over(direct, &direct->rings[i]);
        }
    }
    if (result != BH_OK) {
        bh_direct_detach(direct);
        return result;
    }
    direct->setup.ops->idle(direct->setup.context);
    return BH_OK;
}

void bh_direct_detach(struct bh_direct *direct)
{
    direct->attached = false;
}

void bh_direct_refuse(struct bh_direct *direct)
{
    bh_direct_detach(direct);
    direct->refusing = true;
    for (uint16_t i = 0; i < direct->device.queue_count; i++) {
        if (direct->rings[i].noted) {
            signal_error(&direct->rings[i]);
        }
    }
    direct->setup.ops->idle(direct->setup.context);
}

/* ---- life ---- */

int bh_direct_create(struct bh_direct **direct, const struct bh_direct_setup *setup)
{
    const uint16_t count = setup->device->queue_count;
    struct bh_direct *made = calloc(1, sizeof(*made));
    struct bh_queue *queues = calloc(count, sizeof(*queues));
    struct direct_ring *rings = calloc(count, sizeof(*rings));
    if (made == NULL || queues == NULL || rings == NULL) {
        free(rings);
        free(queues);
        free(made);
        return BH_NO_MEMORY;
    }
    made->setup = *setup;
    made->queues = queues;
    made->rings = rings;
    made->region_fd = -1;
    made->resumed = setup->resumed;
    for (uint16_t i = 0; i < count; i++) {
        /* Never started: they need no storage of their own. */
        bh_queue_init(&queues[i], i, setup->device->queue_size_max, NULL, NULL, NULL);
        rings[i].plan.kick = rings[i].plan.call = rings[i].plan.error = -1;
    }
    const struct bh_device_setup device = {
        .class = &direct_class,
        .class_data = made,
        .memory = setup->memory,
        .queues = queues,
        .queue_count = count,
        .feature_mask = setup->device->feature_mask,
    };
    bh_device_init(&made->device, &device);
    *direct = made;
    return setup->inflight >= 0 ? map_region(made, setup->inflight) : BH_OK;
}
