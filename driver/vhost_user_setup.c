/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vhost-user back end has to be told so that it can work, in the order in which QEMU tells it:
 * who we are, features, memory, queues. What is special about a successor is in vhost_user_resume.c.
 */
#include "vu.h"

/* ---- the beginning of a connection ---- */

static int greet_protocol(struct bh_vu_frontend *frontend)
{
    uint64_t offered = 0;
    int result = bh_vu_get_u64(frontend, BH_VU_GET_PROTOCOL_FEATURES, &offered);

    if (result != BH_OK) {
        return result;
    }

    const uint64_t agreed = offered & frontend->protocol_wanted;

    result = bh_vu_set_u64(frontend, BH_VU_SET_PROTOCOL_FEATURES, agreed);
    /* Only now: that message itself is not acknowledged. */
    frontend->protocol_features = agreed;
    return result;
}

static int greet_queues(struct bh_vu_frontend *frontend, uint16_t queue_count)
{
    uint64_t count = queue_count;

    if (bh_vu_has(frontend, BH_VU_PROTOCOL_F_MQ)) {
        const int result = bh_vu_get_u64(frontend, BH_VU_GET_QUEUE_NUM, &count);

        if (result != BH_OK) {
            return result;
        }
    }
    if (count == 0u) {
        return BH_PROTOCOL;
    }
    frontend->queue_count =
        count < BH_VU_FRONTEND_QUEUES_MAX ? (uint16_t)count : (uint16_t)BH_VU_FRONTEND_QUEUES_MAX;
    return BH_OK;
}

/* Gives the back end a line of its own for requests. */
static int greet_backend_line(struct bh_vu_frontend *frontend)
{
    struct bh_vu_message message;
    int32_t fd = -1;
    int result = frontend->channel->backend_open(frontend->context, &fd);

    if (result != BH_OK) {
        return result;
    }
    bh_vu_message_init(&message, BH_VU_SET_BACKEND_REQ_FD);
    result = bh_vu_set_fd(frontend, &message, fd);
    bh_vu_fd_close(frontend, &fd);
    frontend->backend_line = result == BH_OK;
    return result;
}

int bh_vu_greet(struct bh_vu_frontend *frontend, uint16_t queue_count)
{
    struct bh_vu_message owner;

    frontend->broken = false;
    frontend->shared = false;
    frontend->backend_line = false;
    frontend->strange = false;
    frontend->inflight_told = false;
    frontend->protocol_features = 0;
    frontend->slots_max = BH_VU_REGIONS_MAX;

    int result = bh_vu_get_u64(frontend, BH_VU_GET_FEATURES, &frontend->offered);

    if (result == BH_OK && (frontend->offered & BH_VU_F_PROTOCOL_FEATURES) != 0u) {
        result = greet_protocol(frontend);
    }
    if (result == BH_OK) {
        result = greet_queues(frontend, queue_count);
    }
    if (result == BH_OK && bh_vu_has(frontend, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        result = bh_vu_get_u64(frontend, BH_VU_GET_MAX_MEM_SLOTS, &frontend->slots_max);
    }
    if (result == BH_OK && bh_vu_has(frontend, BH_VU_PROTOCOL_F_BACKEND_REQ)) {
        result = greet_backend_line(frontend);
    }
    if (result != BH_OK) {
        return result;
    }
    bh_vu_message_init(&owner, BH_VU_SET_OWNER);
    return bh_vu_frontend_request(frontend, &owner, false);
}

/* ---- features and memory ---- */

/* There is no mapping of this program's that a back end could need to know: the addresses that rings
 * are named by (user addresses, by the protocol) are the guest's. */
static void fill_region(struct bh_vu_region *region, const struct bh_vu_share *share)
{
    region->guest_address = share->guest_address;
    region->size = share->size;
    region->user_address = share->guest_address;
    region->mmap_offset = share->offset;
}

static int share_slots(struct bh_vu_frontend *frontend)
{
    int result = BH_OK;

    if (frontend->share_count > frontend->slots_max) {
        return BH_LIMIT;
    }
    for (uint32_t i = 0; i < frontend->share_count && result == BH_OK; i++) {
        struct bh_vu_message message;

        bh_vu_message_init(&message, BH_VU_ADD_MEM_REG);
        message.header.size = sizeof(message.payload.region);
        fill_region(&message.payload.region.region, &frontend->shares[i]);
        result = bh_vu_set_fd(frontend, &message, frontend->shares[i].fd);
    }
    return result;
}

static int share_table(struct bh_vu_frontend *frontend)
{
    struct bh_vu_message message;
    struct bh_vu_memory_table *table = &message.payload.table;

    if (frontend->share_count > BH_VU_REGIONS_MAX) {
        return BH_LIMIT;
    }
    bh_vu_message_init(&message, BH_VU_SET_MEM_TABLE);
    message.header.size = (uint32_t)(offsetof(struct bh_vu_memory_table, regions) +
                                     (size_t)frontend->share_count * sizeof(struct bh_vu_region));
    table->count = frontend->share_count;
    for (uint32_t i = 0; i < frontend->share_count; i++) {
        fill_region(&table->regions[i], &frontend->shares[i]);
        message.fds[i] = frontend->shares[i].fd;
    }
    message.fd_count = frontend->share_count;
    return bh_vu_frontend_request(frontend, &message, false);
}

int bh_vu_agree(struct bh_vu_frontend *frontend)
{
    const uint64_t features = frontend->features | (frontend->offered & BH_VU_F_PROTOCOL_FEATURES);
    int result = bh_vu_set_u64(frontend, BH_VU_SET_FEATURES, features);

    if (result != BH_OK || frontend->shared) {
        return result; /* the memory stays the same for as long as the connection */
    }
    result = bh_vu_has(frontend, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS) ? share_slots(frontend)
                                                                       : share_table(frontend);
    frontend->shared = result == BH_OK;
    return result;
}

/* ---- queues ---- */

/* An event that nobody has signalled. */
static int fresh_event(const struct bh_vu_frontend *frontend, int32_t *fd)
{
    bool signalled = false;

    if (*fd < 0) {
        return frontend->channel->event_create(frontend->context, fd);
    }
    return frontend->channel->event_consume(frontend->context, *fd, &signalled);
}

/* What is lent is left alone: somebody may just have signalled it. */
static int fresh_events(const struct bh_vu_frontend *frontend, struct bh_vu_frontend_queue *queue)
{
    if (queue->lent) {
        return BH_OK;
    }

    int result = fresh_event(frontend, &queue->kick);

    if (result == BH_OK) {
        result = fresh_event(frontend, &queue->call);
    }
    if (result == BH_OK) {
        result = fresh_event(frontend, &queue->error);
    }
    return result;
}

static int set_address(struct bh_vu_frontend *frontend, uint16_t index,
                       const struct bh_queue_areas *areas)
{
    struct bh_vu_message message;

    bh_vu_message_init(&message, BH_VU_SET_VRING_ADDR);
    message.header.size = sizeof(message.payload.address);
    message.payload.address.index = index;
    message.payload.address.descriptor = areas->descriptor;
    message.payload.address.available = areas->driver;
    message.payload.address.used = areas->device;
    return bh_vu_frontend_request(frontend, &message, false);
}

/* The kick comes last of what makes up a ring: with it the back end may start (and it takes the
 * enabling, where there is such a message, to do so). */
static int go(struct bh_vu_frontend *frontend, uint16_t index, uint32_t base)
{
    const struct bh_vu_frontend_queue *queue = &frontend->queues[index];
    int result = bh_vu_set_state(frontend, BH_VU_SET_VRING_NUM, index, queue->areas.size);

    if (result == BH_OK) {
        result = bh_vu_set_state(frontend, BH_VU_SET_VRING_BASE, index, base);
    }
    if (result == BH_OK) {
        result = set_address(frontend, index, &queue->areas);
    }
    if (result == BH_OK) {
        result = bh_vu_set_event(frontend, BH_VU_SET_VRING_CALL, index, queue->call);
    }
    if (result == BH_OK) {
        result = bh_vu_set_event(frontend, BH_VU_SET_VRING_ERR, index, queue->error);
    }
    if (result == BH_OK) {
        result = bh_vu_set_event(frontend, BH_VU_SET_VRING_KICK, index, queue->kick);
    }
    if (result == BH_OK && (frontend->offered & BH_VU_F_PROTOCOL_FEATURES) != 0u) {
        result = bh_vu_set_state(frontend, BH_VU_SET_VRING_ENABLE, index, 1);
    }
    return result;
}

int bh_vu_frontend_queue_go(struct bh_vu_frontend *frontend, uint16_t index, uint32_t base)
{
    if (index >= frontend->queue_count || frontend->queues[index].areas.size == 0u) {
        return BH_INVALID;
    }

    struct bh_vu_frontend_queue *queue = &frontend->queues[index];

    if (queue->started) {
        return BH_STATE;
    }

    int result = fresh_events(frontend, queue);

    if (result == BH_OK) {
        result = go(frontend, index, base);
    }
    queue->started = result == BH_OK;
    return result;
}

int bh_vu_frontend_queue_stop(struct bh_vu_frontend *frontend, uint16_t index, uint32_t *base)
{
    struct bh_vu_message message;

    if (index >= frontend->queue_count) {
        return BH_INVALID;
    }
    if (!frontend->queues[index].started) {
        return BH_STATE;
    }
    bh_vu_message_init(&message, BH_VU_GET_VRING_BASE);
    message.header.size = sizeof(message.payload.state);
    message.payload.state.index = index;

    int result = bh_vu_get(frontend, &message, sizeof(message.payload.state), 0);

    if (result != BH_OK) {
        return result;
    }
    frontend->queues[index].started = false;
    if (message.payload.state.index != index) {
        return BH_PROTOCOL;
    }
    *base = message.payload.state.number;
    /* Disabled only now: a ring that runs disabled is processed without effect, and requests that
     * are in it would be lost. */
    if ((frontend->offered & BH_VU_F_PROTOCOL_FEATURES) != 0u) {
        result = bh_vu_set_state(frontend, BH_VU_SET_VRING_ENABLE, index, 0);
    }
    return result;
}
