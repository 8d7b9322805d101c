/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region ("Inflight I/O tracking" in the protocol): made here, kept by the front end,
 * and handed back to whoever serves the rings next. The region is hostile input: it is read when a
 * ring starts, each field once, and checked (journal_split.c, journal_packed.c); after that this
 * process believes its own copy and only writes.
 *
 * A journal counts from the start of a ring until it ends in order (GET_VRING_BASE with nothing
 * left, a reset); then its version goes back to 0, "uninitialised", and the indices of the front
 * end count again. Each start opens it anew, also after a short halt: what a predecessor left and
 * nobody popped yet is then found again.
 *
 * Where the owner lends memory for the journals, the front end's region does not exist: the same
 * journals lie there, each at the place of the larger format, so that a guest that comes back with
 * the other one finds the versions where it looks for them.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#include "bulkhead/bytes.h"

/* Each queue's part is a multiple of this, as in every other back end. */
#define ALIGNMENT 64u

static bool packed(const struct bh_vu_backend *backend)
{
    return (backend->device->features & BH_F_RING_PACKED) != 0u;
}

static uint64_t stride(bool is_packed, uint16_t queue_size)
{
    uint64_t head =
        is_packed ? sizeof(struct bh_vu_inflight_packed) : sizeof(struct bh_vu_inflight_split);
    uint64_t entry = is_packed ? sizeof(struct bh_vu_inflight_packed_desc)
                               : sizeof(struct bh_vu_inflight_split_desc);

    return (head + entry * queue_size + ALIGNMENT - 1u) & ~(uint64_t)(ALIGNMENT - 1u);
}

/* The entries that a region made here has for each queue: as many as a ring can be long. QEMU asks
 * for the size that its device was given, but its virtio-mmio lets the guest choose up to 1024. */
uint16_t bh_vu_inflight_longest(const struct bh_vu_backend *backend)
{
    uint16_t size = 0;

    for (uint16_t i = 0; i < backend->ring_count; i++) {
        if (backend->device->queues[i].size_max > size) {
            size = backend->device->queues[i].size_max;
        }
    }
    return size;
}

static int check_counts(struct bh_vu_backend *backend, uint16_t queue_count, uint16_t queue_size)
{
    if (queue_count == 0u || queue_count > backend->ring_count || queue_size == 0u) {
        return bh_vu_because(backend, BH_INVALID, "in-flight region for other queues");
    }
    for (uint16_t i = 0; i < queue_count; i++) {
        if (queue_size > backend->device->queues[i].size_max) {
            return bh_vu_because(backend, BH_LIMIT, "in-flight region for longer queues");
        }
    }
    return BH_OK;
}

/* ---- the region ---- */

static int make_file(uint64_t size)
{
    int fd = memfd_create("bulkhead-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (fd >= 0 && (ftruncate(fd, (off_t)size) != 0 ||
                    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
        bh_vu_close(&fd);
    }
    return fd;
}

int bh_vu_inflight_get(struct bh_vu_backend *backend, const struct bh_vu_inflight *wanted,
                       struct bh_vu_outgoing *reply)
{
    int error = check_counts(backend, wanted->queue_count, wanted->queue_size);

    if (error != BH_OK) {
        return error;
    }

    uint64_t size = stride(packed(backend), bh_vu_inflight_longest(backend)) * wanted->queue_count;

    reply->fd = make_file(size);
    if (reply->fd < 0) {
        return bh_vu_because(backend, BH_NO_MEMORY, "in-flight region cannot be made");
    }
    reply->payload.inflight.mmap_size = size;
    reply->payload.inflight.mmap_offset = 0;
    reply->payload.inflight.queue_count = wanted->queue_count;
    reply->payload.inflight.queue_size = wanted->queue_size;
    return BH_OK;
}

void bh_vu_inflight_drop(struct bh_vu_backend *backend)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        backend->rings[i].journal.region = NULL;
    }
    if (backend->setup.journal == NULL) {
        bh_vu_map_drop(&backend->inflight.piece.map);
        backend->inflight.size = 0;
    }
}

uint64_t bh_vu_journal_bytes(uint16_t queue_count, uint16_t queue_size_max)
{
    return stride(true, queue_size_max) * queue_count;
}

void bh_vu_inflight_lend(struct bh_vu_backend *backend)
{
    struct bh_vu_inflight_region *region = &backend->inflight;

    region->queue_count = backend->ring_count;
    region->queue_size = bh_vu_inflight_longest(backend);
    region->piece.data = backend->setup.journal;
    region->size = bh_vu_journal_bytes(region->queue_count, region->queue_size);
}

int bh_vu_inflight_set(struct bh_vu_backend *backend, const struct bh_vu_inflight *given, int fd)
{
    struct bh_vu_piece piece;
    int error = check_counts(backend, given->queue_count, given->queue_size);

    if (error != BH_OK) {
        return error;
    }
    if (given->mmap_offset % 8u != 0u ||
        given->mmap_size < stride(packed(backend), given->queue_size) * given->queue_count) {
        return bh_vu_because(backend, BH_INVALID, "in-flight region too small or unaligned");
    }
    error = bh_vu_piece_map(backend, fd, given->mmap_offset, given->mmap_size, &piece);
    if (error != BH_OK) {
        return error;
    }
    if (!piece.writable) {
        bh_vu_map_drop(&piece.map);
        return bh_vu_because(backend, BH_DENIED, "in-flight region is read-only");
    }
    bh_vu_inflight_drop(backend);
    backend->inflight.piece = piece;
    backend->inflight.size = given->mmap_size;
    backend->inflight.queue_count = given->queue_count;
    /* One of ours comes back by its size; another back end's has what the front end says. */
    backend->inflight.queue_size = given->queue_size;
    if (given->mmap_size ==
        stride(packed(backend), bh_vu_inflight_longest(backend)) * given->queue_count) {
        backend->inflight.queue_size = bh_vu_inflight_longest(backend);
    }
    return BH_OK;
}

/* The part of a queue, or NULL. The format may have changed since the region came. */
static void *part(const struct bh_vu_backend *backend, uint16_t index)
{
    const struct bh_vu_inflight_region *region = &backend->inflight;
    bool larger = packed(backend) || backend->setup.journal != NULL;
    uint64_t each = stride(larger, region->queue_size);

    if (region->size == 0u || index >= region->queue_count || (index + 1u) * each > region->size) {
        return NULL;
    }
    return region->piece.data + index * each;
}

/* ---- journals ---- */

int bh_vu_inflight_open(struct bh_vu_ring *ring, struct bh_vu_start *start, const char **reason)
{
    struct bh_vu_journal *journal = &ring->journal;
    struct bh_vu_backend *backend = ring->backend;
    int error;

    journal->region = part(backend, ring->index);
    if (journal->region == NULL) {
        return BH_OK;
    }
    journal->size = backend->inflight.queue_size;
    journal->counter = 0;
    journal->batch_count = 0;
    journal->resume_count = 0;
    journal->resume_next = 0;
    if (start->ring_size > journal->size) {
        *reason = "ring longer than its in-flight region";
        error = BH_LIMIT;
    } else if (packed(backend)) {
        error = bh_vu_journal_packed_open(journal, start, reason);
    } else {
        error = bh_vu_journal_split_open(journal, start, reason);
    }
    journal->in_flight = journal->resume_count;
    if (error != BH_OK) {
        journal->region = NULL;
    }
    return error;
}

/* Both formats keep the version in the same place. */
static void reset_version(void *region)
{
    struct bh_vu_inflight_split *header = region;

    BH_VU_POKE(header->version, (uint16_t)0);
}

void bh_vu_inflight_finish(struct bh_vu_ring *ring)
{
    /* What was in flight when the ring broke, or never got its turn, stays for the next start. */
    if (ring->journal.region != NULL && ring->journal.in_flight == 0u) {
        reset_version(ring->journal.region);
    }
    ring->journal.region = NULL;
}

void bh_vu_inflight_forget(struct bh_vu_backend *backend)
{
    for (uint16_t i = 0; i < backend->ring_count; i++) {
        void *region = part(backend, i);

        if (region != NULL) {
            reset_version(region);
        }
        backend->rings[i].journal.region = NULL;
    }
}

void bh_vu_journal_found(struct bh_vu_journal *journal, uint16_t entry)
{
    uint64_t counter = journal->entries[entry].counter;

    journal->resume[journal->resume_count] = entry;
    journal->resume_count++;
    if (counter >= journal->counter) {
        journal->counter = counter + 1u;
    }
}

/* A heap sort: equal or hostile counters cost no more than others. */
static void sift(struct bh_vu_journal *journal, uint32_t root, uint32_t end)
{
    uint16_t *order = journal->resume;
    const struct bh_vu_entry *entries = journal->entries;

    while (2u * root + 1u < end) {
        uint32_t child = 2u * root + 1u;

        if (child + 1u < end &&
            entries[order[child]].counter < entries[order[child + 1u]].counter) {
            child++;
        }
        if (entries[order[root]].counter >= entries[order[child]].counter) {
            return;
        }

        uint16_t moved = order[root];

        order[root] = order[child];
        order[child] = moved;
        root = child;
    }
}

void bh_vu_journal_sort(struct bh_vu_journal *journal)
{
    uint32_t count = journal->resume_count;

    for (uint32_t i = count / 2u; i > 0u; i--) {
        sift(journal, i - 1u, count);
    }
    for (uint32_t end = count; end > 1u; end--) {
        uint16_t last = journal->resume[end - 1u];

        journal->resume[end - 1u] = journal->resume[0];
        journal->resume[0] = last;
        sift(journal, 0, end - 1u);
    }
}

void bh_vu_journal_give(void *data, uint16_t entry)
{
    struct bh_vu_journal *journal = data;

    /* Only a guest that lies about its ring can fill the batch: it loses its own record. */
    if (entry < journal->size && journal->batch_count < journal->size) {
        journal->batch[journal->batch_count] = entry;
        journal->batch_count++;
        journal->in_flight--;
    }
}

bool bh_vu_journal_next(struct bh_vu_journal *journal, uint16_t *entry)
{
    if (journal->resume_next >= journal->resume_count) {
        return false;
    }
    *entry = journal->resume[journal->resume_next];
    journal->resume_next++;
    return true;
}
