/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux side of a vhost-user front end (vhost_user_frontend.h): Unix sockets that carry messages
 * and descriptors, eventfds, and memory to share with a back end. It knows bytes and descriptors, and
 * nothing of what the messages mean.
 *
 * Every descriptor is close-on-exec. Every wait ends: after `timeout_ms` at most, and at `deadline`: a
 * peer that answers each message just in time cannot make a conversation of many last for ever.
 *
 * Thread: one for a channel. Ownership: the structures are the caller's; the channel owns its two
 * sockets.
 */
#ifndef BULKHEAD_HOST_CHANNEL_H
#define BULKHEAD_HOST_CHANNEL_H

#include <stdint.h>

#include "bulkhead/transport.h"
#include "bulkhead/vhost_user_frontend.h"

struct bh_host_channel {
    int fd;           /* to the back end; -1: not connected */
    int backend_fd;   /* our end of the back end's own line; -1: there is none */
    int timeout_ms;   /* for one message */
    int64_t deadline; /* for all of them: milliseconds of CLOCK_MONOTONIC; 0: none */
};

/* bh_vu_frontend.channel; the context is a bh_host_channel. */
extern const struct bh_vu_channel bh_host_channel_ops;

/* Connects to the socket at `path`. BH_INVALID: a path too long; BH_GONE: nobody listens there; or
 * what the system said. After an error the channel is closed, and may be connected again. */
int bh_host_channel_connect(struct bh_host_channel *channel, const char *path, int timeout_ms);

/* Makes a channel of a connected stream socket, which is the channel's from here on. */
int bh_host_channel_adopt(struct bh_host_channel *channel, int fd, int timeout_ms);

/* All that is said and waited for from now on is done in `budget_ms`; 0: no matter how long. Behind the
 * deadline nothing is waited for any more: what is not there is BH_TIMEOUT. */
void bh_host_channel_budget(struct bh_host_channel *channel, int budget_ms);

/* Closes both lines. A closed channel stays closed. */
void bh_host_channel_close(struct bh_host_channel *channel);

/* Waits until one of the events (bh_vu_frontend_queue.call, .error) or the back end's line speaks.
 * BH_OK: look; BH_TIMEOUT; BH_GONE: the back end closed the connection. BH_LIMIT: more than 128
 * events. */
int bh_host_channel_wait(const struct bh_host_channel *channel, const int32_t *events,
                         uint32_t count, int timeout_ms);

/* Memory for a bh_vu_share: a memfd, mapped here, zeroed, which nobody can shrink, grow or unseal
 * any more. */
struct bh_host_memory {
    int fd;
    uint8_t *base;
    uint64_t size;
};

/* `size` is a multiple of the page. BH_NO_MEMORY, or what the system said. */
int bh_host_memory_create(struct bh_host_memory *memory, const char *name, uint64_t size);
void bh_host_memory_destroy(struct bh_host_memory *memory);

/* A bh_dma over the whole of it, which devices reach at `address`. */
void bh_host_memory_dma(const struct bh_host_memory *memory, uint64_t address, struct bh_dma *dma);

#endif
