/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings that the owner serves elsewhere (bh_vu_ring_ops): they live as all rings do (rings.c), but
 * nobody here looks at their memory, and their kick descriptors are kept without being watched.
 */
#include <errno.h>
#include <sys/uio.h>

#include "internal.h"

static struct bh_vu_plan plan_of(const struct bh_vu_ring *ring, const struct bh_queue_setup *where)
{
    return (struct bh_vu_plan){.descriptor = where->descriptor,
                               .driver = where->driver,
                               .device = where->device,
                               .base = bh_vu_ring_base(ring),
                               .kick = ring->kick.fd,
                               .call = ring->call,
                               .error = ring->error,
                               .index = ring->index,
                               .size = ring->size};
}

int bh_vu_elsewhere_start(struct bh_vu_ring *ring, const struct bh_queue_setup *where)
{
    const struct bh_vu_setup *setup = &ring->backend->setup;
    struct bh_vu_plan plan = plan_of(ring, where);

    return setup->ring_ops->start(setup->context, &plan);
}

int bh_vu_elsewhere_stop(struct bh_vu_ring *ring)
{
    const struct bh_vu_setup *setup = &ring->backend->setup;
    uint32_t base = bh_vu_ring_base(ring);
    int error = setup->ring_ops->stop(setup->context, ring->index, &base);

    if (error == BH_AGAIN) {
        return BH_AGAIN;
    }
    /* Whoever cannot say where the ring stands has stopped it all the same. */
    ring->base = base;
    ring->placed = true;
    ring->running = false;
    return BH_OK;
}

void bh_vu_elsewhere_exchanged(struct bh_vu_ring *ring)
{
    const struct bh_vu_setup *setup = &ring->backend->setup;
    struct bh_queue_setup where = {.size = 0};

    /* The memory table changes only while no ring runs, so what was found at the start is found. */
    if (bh_vu_elsewhere(ring) &&
        bh_vu_ring_locate(ring, &ring->address, ring->size, &where) == BH_OK) {
        struct bh_vu_plan plan = plan_of(ring, &where);

        setup->ring_ops->exchanged(setup->context, &plan);
    }
}

bool bh_vu_elsewhere_event(int fd)
{
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};
    ssize_t got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);

    if (got == (ssize_t)sizeof(count)) {
        bh_vu_ring_signal(fd); /* that one was for whoever it is handed to */
        return true;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}
