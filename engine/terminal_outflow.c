/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bounded store before a slow reader (terminal_outflow.h).
 */
#include "terminal_outflow.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

static void outflow_break(struct bh_outflow *outflow)
{
    outflow->broken = true;
    outflow->used = 0;
}

static bool is_waiting(const struct bh_outflow *outflow)
{
    return outflow->room.added;
}

static void stop_waiting(struct bh_outflow *outflow)
{
    outflow->poller->ops->remove(outflow->poller, &outflow->room);
}

static void room_ready(struct bh_watch *watch)
{
    struct bh_outflow *outflow = watch->context;
    stop_waiting(outflow);
    bh_outflow_write(outflow);
}

static void wait_for_room(struct bh_outflow *outflow)
{
    if (outflow->room.fd < 0) {
        outflow->room.fd = fcntl(outflow->fd, F_DUPFD_CLOEXEC, 0);
    }
    if (outflow->room.fd < 0 ||
        outflow->poller->ops->add(outflow->poller, &outflow->room) != BH_OK) {
        outflow_break(outflow); /* nothing would ever wake it */
    }
}

static void outflow_run(struct bh_task *task)
{
    bh_outflow_write((struct bh_outflow *)task); /* its first member */
}

void bh_outflow_init(struct bh_outflow *outflow, struct bh_poller *poller, int fd, size_t piece,
                     uint8_t *store, size_t capacity)
{
    *outflow = (struct bh_outflow){.task = {.run = outflow_run},
                                   .poller = poller,
                                   .room = {.fd = -1, .ready = room_ready, .room = true},
                                   .fd = fd,
                                   .piece = piece,
                                   .store = store,
                                   .capacity = capacity};
    outflow->room.context = outflow;
}

void bh_outflow_finish(struct bh_outflow *outflow)
{
    if (outflow->poller == NULL) {
        return;
    }
    outflow->poller->ops->cancel(outflow->poller, &outflow->task);
    stop_waiting(outflow);
    if (outflow->room.fd >= 0) {
        (void)close(outflow->room.fd);
    }
    outflow_break(outflow);
    outflow->poller = NULL;
}

size_t bh_outflow_free(const struct bh_outflow *outflow)
{
    return outflow->capacity - outflow->used;
}

int bh_outflow_put(struct bh_outflow *outflow, const void *bytes, size_t count)
{
    if (outflow->broken) {
        return BH_OK;
    }
    if (count > bh_outflow_free(outflow)) {
        return BH_LIMIT;
    }
    size_t at = (outflow->start + outflow->used) % outflow->capacity;
    size_t first = outflow->capacity - at < count ? outflow->capacity - at : count;
    memcpy(outflow->store + at, bytes, first);
    memcpy(outflow->store, (const uint8_t *)bytes + first, count - first);
    outflow->used += count;
    if (!is_waiting(outflow)) {
        outflow->poller->ops->post(outflow->poller, &outflow->task);
    }
    return BH_OK;
}

/* The next write, and whether it may be tried. */
static size_t next_piece(const struct bh_outflow *outflow)
{
    size_t count = outflow->capacity - outflow->start;
    if (count > outflow->used) {
        count = outflow->used;
    }
    if (outflow->piece == 0u) {
        return count;
    }
    struct pollfd poll_fd = {.fd = outflow->fd, .events = POLLOUT};
    if (poll(&poll_fd, 1, 0) == 0) {
        return 0;
    }
    return count < outflow->piece ? count : outflow->piece;
}

void bh_outflow_write(struct bh_outflow *outflow)
{
    size_t before = outflow->used;
    while (outflow->used > 0u && !is_waiting(outflow)) {
        size_t count = next_piece(outflow);
        ssize_t written = -1;
        errno = EAGAIN;
        if (count > 0u) {
            written = write(outflow->fd, outflow->store + outflow->start, count);
        }
        if (written > 0) {
            outflow->start = (outflow->start + (size_t)written) % outflow->capacity;
            outflow->used -= (size_t)written;
        } else if (written < 0 && (errno == EAGAIN)) {
            wait_for_room(outflow);
        } else if (written == 0 || errno != EINTR) {
            outflow_break(outflow);
        }
    }
    if (outflow->drained != NULL && outflow->used < before) {
        outflow->drained(outflow->context);
    }
}
