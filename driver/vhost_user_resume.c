/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a vhost-user back end is replaced: the in-flight region, and saying everything again. All of it
 * comes from the front end's own notes; nothing depends on what the dead back end left behind, but
 * for the in-flight region, which is the successor's to judge.
 */
#include "vu.h"

/* ---- in-flight region ---- */

int bh_vu_frontend_inflight_get(struct bh_vu_frontend *frontend, uint16_t queue_size)
{
    struct bh_vu_message message;

    if (!bh_vu_has(frontend, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD)) {
        return BH_UNSUPPORTED;
    }
    bh_vu_message_init(&message, BH_VU_GET_INFLIGHT_FD);
    message.header.size = sizeof(message.payload.inflight);
    message.payload.inflight.queue_count = frontend->queue_count;
    message.payload.inflight.queue_size = queue_size;

    int result = bh_vu_get(frontend, &message, sizeof(message.payload.inflight), 1);

    if (result != BH_OK) {
        return result;
    }
    if (message.payload.inflight.mmap_size == 0u) {
        bh_vu_fd_close(frontend, &message.fds[0]);
        return BH_PROTOCOL;
    }
    bh_vu_inflight_return(frontend);
    frontend->inflight_lent = false;
    frontend->inflight = message.payload.inflight;
    frontend->inflight_fd = message.fds[0];
    return BH_OK;
}

int bh_vu_frontend_inflight_set(struct bh_vu_frontend *frontend)
{
    struct bh_vu_message message;

    if (!bh_vu_has(frontend, BH_VU_PROTOCOL_F_INFLIGHT_SHMFD)) {
        return BH_UNSUPPORTED;
    }
    if (frontend->inflight_fd < 0) {
        return BH_STATE;
    }
    bh_vu_message_init(&message, BH_VU_SET_INFLIGHT_FD);
    message.header.size = sizeof(message.payload.inflight);
    message.payload.inflight = frontend->inflight;

    const int result = bh_vu_set_fd(frontend, &message, frontend->inflight_fd);

    frontend->inflight_told = result == BH_OK;
    return result;
}

/* ---- a successor ---- */

/* Whether the successor can do what the driver was promised. */
static int check_successor(const struct bh_vu_frontend *frontend, uint64_t protocol_features,
                           uint16_t queue_count)
{
    const uint64_t protocol = protocol_features & ~frontend->protocol_features;

    if ((frontend->features & ~frontend->offered) != 0u || protocol != 0u ||
        frontend->queue_count < queue_count) {
        return BH_UNSUPPORTED;
    }
    return BH_OK;
}

static int resume_status(struct bh_vu_frontend *frontend, uint8_t status)
{
    return bh_vu_has(frontend, BH_VU_PROTOCOL_F_STATUS)
               ? bh_vu_set_u64(frontend, BH_VU_SET_STATUS, status)
               : BH_OK;
}

/* Starts one queue again. What it was told and what it said may be lost: both sides look once. */
static int resume_queue(struct bh_vu_frontend *frontend, uint16_t index, uint32_t base)
{
    struct bh_vu_frontend_queue *queue = &frontend->queues[index];

    queue->started = false;

    int result = bh_vu_frontend_queue_go(frontend, index, base);

    queue->started = true; /* for the driver it does, and for the next successor */
    if (result == BH_OK) {
        result = frontend->channel->event_signal(frontend->context, queue->kick);
    }
    if (result == BH_OK && queue->call >= 0) {
        result = frontend->channel->event_signal(frontend->context, queue->call);
    }
    return result;
}

/* Everything after the greeting. */
static int resume_device(struct bh_vu_frontend *frontend, const uint32_t *bases)
{
    int result = bh_vu_agree(frontend);

    if (result == BH_OK) {
        result = resume_status(frontend, (uint8_t)(frontend->status & ~BH_STATUS_DRIVER_OK));
    }
    if (result == BH_OK && frontend->inflight_fd >= 0) {
        result = bh_vu_frontend_inflight_set(frontend);
    }
    for (uint16_t i = 0; i < frontend->queue_count && result == BH_OK; i++) {
        if (frontend->queues[i].started) {
            result = resume_queue(frontend, i, bases[i]);
        }
    }
    if (result == BH_OK) {
        result = resume_status(frontend, frontend->status);
    }
    return result;
}

int bh_vu_frontend_resume(struct bh_vu_frontend *frontend, const uint32_t *bases)
{
    const uint64_t protocol_features = frontend->protocol_features;
    const uint16_t queue_count = frontend->queue_count;
    int result = bh_vu_greet(frontend, queue_count);

    if (result == BH_OK) {
        result = check_successor(frontend, protocol_features, queue_count);
    }
    frontend->queue_count = queue_count;
    frontend->failed = false;
    if (result == BH_OK) {
        result = resume_device(frontend, bases);
    }
    if (result != BH_OK) {
        /* Half told is of no use; what was agreed on stays the measure for the next one. */
        frontend->protocol_features = protocol_features;
        frontend->broken = true;
    }
    return result;
}
