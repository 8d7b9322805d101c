/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the vhost-user front end share: messages (vhost_user_wire.c) and what they say
 * (vhost_user_setup.c). The transport's table is vhost_user.c's.
 */
#ifndef BULKHEAD_DRIVER_VU_H
#define BULKHEAD_DRIVER_VU_H

#include "bulkhead/bytes.h"
#include "bulkhead/vhost_user_frontend.h"

/* Where a new queue begins: index 0; packed: both indices 0 with wrap counters 1. */
#define BH_VU_BASE_SPLIT  0u
#define BH_VU_BASE_PACKED 0x80008000u

/* A message without payload. */
void bh_vu_message_init(struct bh_vu_message *message, uint32_t request);

/* Requests with a u64, or a queue and a number, and no answer but an acknowledgement. */
int bh_vu_set_u64(struct bh_vu_frontend *frontend, uint32_t request, uint64_t value);
int bh_vu_set_state(struct bh_vu_frontend *frontend, uint32_t request, uint16_t index,
                    uint32_t number);

/* A request that carries one descriptor besides its payload. */
int bh_vu_set_fd(struct bh_vu_frontend *frontend, struct bh_vu_message *message, int32_t fd);

/* Sends `message` and receives its reply of `size` bytes and `fds` descriptors. BH_PROTOCOL: it has
 * another size or number; the descriptors are closed then. */
int bh_vu_get(struct bh_vu_frontend *frontend, struct bh_vu_message *message, uint32_t size,
              uint32_t fds);

int bh_vu_get_u64(struct bh_vu_frontend *frontend, uint32_t request, uint64_t *value);

/* Serves what the back end asked on its line, at most a fixed number of requests. */
void bh_vu_backend_serve(struct bh_vu_frontend *frontend);

/* Tells the back end an event of a queue (SET_VRING_KICK, CALL, ERR); -1: that there is none. */
int bh_vu_set_event(struct bh_vu_frontend *frontend, uint32_t request, uint16_t index, int32_t fd);

/* Lets go of an in-flight region that is the front end's own. */
void bh_vu_inflight_return(struct bh_vu_frontend *frontend);

/* Closes a descriptor if there is one. */
void bh_vu_fd_close(const struct bh_vu_frontend *frontend, int32_t *fd);

static inline bool bh_vu_has(const struct bh_vu_frontend *frontend, uint64_t protocol_feature)
{
    return (frontend->protocol_features & protocol_feature) != 0u;
}

/* The beginning of a connection, up to the owner. */
int bh_vu_greet(struct bh_vu_frontend *frontend, uint16_t queue_count);

/* SET_FEATURES and the memory table. */
int bh_vu_agree(struct bh_vu_frontend *frontend);

#endif
