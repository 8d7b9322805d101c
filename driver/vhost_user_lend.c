/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front end's owner brings along instead of what the front end would make or ask for: a queue's
 * events, which then pass straight between the back end and somebody else, and the in-flight region;
 * and, from the latter, where a ring stands whose back end died. Not here: what a queue is told
 * besides (vhost_user_setup.c).
 */
#include "vu.h"

/* ---- events ---- */

int bh_vu_set_event(struct bh_vu_frontend *frontend, uint32_t request, uint16_t index, int32_t fd)
{
    struct bh_vu_message message;

    bh_vu_message_init(&message, request);
    message.header.size = sizeof(message.payload.u64);
    message.payload.u64 = index;
    if (fd < 0) {
        message.payload.u64 |= BH_VU_VRING_NO_FD;
        return bh_vu_frontend_request(frontend, &message, false);
    }
    return bh_vu_set_fd(frontend, &message, fd);
}

/* An event of a running queue is told when it is another one. */
static int exchange(struct bh_vu_frontend *frontend, uint32_t request, uint16_t index, int32_t *now,
                    int32_t next)
{
    const bool other = *now != next;

    *now = next;
    return other && frontend->queues[index].started
               ? bh_vu_set_event(frontend, request, index, next)
               : BH_OK;
}

int bh_vu_frontend_events(struct bh_vu_frontend *frontend, uint16_t index, int32_t kick,
                          int32_t call, int32_t error)
{
    if (index >= frontend->queue_count || kick < 0) {
        return BH_INVALID;
    }

    struct bh_vu_frontend_queue *queue = &frontend->queues[index];

    if (!queue->lent) {
        bh_vu_fd_close(frontend, &queue->kick);
        bh_vu_fd_close(frontend, &queue->call);
        bh_vu_fd_close(frontend, &queue->error);
        queue->lent = true;
    }

    const int told_call = exchange(frontend, BH_VU_SET_VRING_CALL, index, &queue->call, call);
    const int told_error = exchange(frontend, BH_VU_SET_VRING_ERR, index, &queue->error, error);
    const int told_kick = exchange(frontend, BH_VU_SET_VRING_KICK, index, &queue->kick, kick);

    if (told_call != BH_OK) {
        return told_call;
    }
    return told_error != BH_OK ? told_error : told_kick;
}

/* ---- the in-flight region ---- */

void bh_vu_inflight_return(struct bh_vu_frontend *frontend)
{
    if (!frontend->inflight_lent) {
        bh_vu_fd_close(frontend, &frontend->inflight_fd);
    }
    frontend->inflight_told = false;
}

void bh_vu_frontend_inflight_lend(struct bh_vu_frontend *frontend,
                                  const struct bh_vu_inflight *region, int32_t fd)
{
    bh_vu_inflight_return(frontend);
    frontend->inflight = *region;
    frontend->inflight_fd = fd;
    frontend->inflight_lent = fd >= 0;
}

uint32_t bh_vu_base_split(const void *used)
{
    const struct bh_split_used *ring = used;

    return bh_load16(&ring->index);
}

int bh_vu_base_packed(const void *part, uint16_t ring_size, uint32_t *base)
{
    const struct bh_vu_inflight_packed *header = part;
    const uint16_t version = __atomic_load_n(&header->version, __ATOMIC_RELAXED);
    const uint16_t index = __atomic_load_n(&header->used_index, __ATOMIC_RELAXED);
    const uint8_t wrap = __atomic_load_n(&header->used_wrap, __ATOMIC_RELAXED);

    if (version == 0u) {
        *base = BH_VU_BASE_PACKED; /* nothing was ever taken */
        return BH_OK;
    }
    if (version != 1u || index >= ring_size || wrap > 1u) {
        return BH_PROTOCOL;
    }

    const uint32_t place = index | (wrap != 0u ? 0x8000u : 0u);

    *base = place << 16 | place;
    return BH_OK;
}
