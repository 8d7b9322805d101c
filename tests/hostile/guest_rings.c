/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that breaks the rules of its own rings: chains that are none, offered once; and threads that
 * change descriptors, indices, tables and data while the device reads them.
 */
#include "guest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bulkhead/virtio.h"

#define NEXT     1u
#define WRITE    2u
#define INDIRECT 4u
#define AVAIL    0x80u
#define USED     0x8000u

#define WAIT_MS 1500 /* for the device to stop */
#define FLIP_MS 1000 /* how long rings are changed */
#define FLIPPED 200  /* requests at most meanwhile */
#define CHAIN   4u

struct desc {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next; /* relative to the first; split only */
};

struct wrong_chain {
    const char *name;
    uint32_t count;
    struct desc chain[CHAIN];
};

/* A table for an indirect descriptor lies at the end of the data area, filled by offer(). */
#define TABLE (GUEST_DATA + GUEST_PART - 4096u)

static const struct wrong_chain wrong_chains[] = {
    {"unmapped", 2, {{UINT64_C(0x7000000000), 16, NEXT, 1}, {GUEST_DATA, 1, WRITE, 0}}},
    {"private", 2, {{GUEST_PRIVATE, 16, NEXT, 1}, {GUEST_PRIVATE + 4096u, 513, WRITE, 0}}},
    {"other-window", 2, {{GUEST_OTHER, 16, NEXT, 1}, {GUEST_OTHER + 4096u, 513, WRITE, 0}}},
    {"end-of-memory", 2, {{GUEST_OTHER + GUEST_PART - 8u, 16, NEXT, 1}, {GUEST_DATA, 1, WRITE, 0}}},
    {"wrap-around", 2, {{UINT64_MAX - 7u, 16, NEXT, 1}, {GUEST_DATA, 1, WRITE, 0}}},
    {"endless", 2, {{GUEST_DATA, UINT32_MAX, NEXT, 1}, {GUEST_DATA, UINT32_MAX, WRITE, 0}}},
    {"loop", 2, {{GUEST_DATA, 16, NEXT, 1}, {GUEST_DATA, 16, NEXT, 0}}},
    {"next-range", 1, {{GUEST_DATA, 16, NEXT, 0x7000}}},
    {"read-after-write", 2, {{GUEST_DATA, 16, NEXT | WRITE, 1}, {GUEST_DATA, 16, 0, 0}}},
    {"table-unmapped", 1, {{UINT64_C(0x7000000000), 64, INDIRECT, 0}}},
    {"table-odd", 1, {{TABLE, 63, INDIRECT, 0}}},
    {"table-endless", 1, {{TABLE, UINT32_MAX & ~15u, INDIRECT, 0}}},
    {"table-in-table", 1, {{TABLE, 32, INDIRECT, 0}}},
};

static int pause_ms(long milliseconds)
{
    const struct timespec pause = {.tv_nsec = milliseconds * 1000000};
    return nanosleep(&pause, NULL);
}

/* Whether the device stopped a queue, or went, within the time. */
static bool stopped(struct guest *guest, int milliseconds)
{
    struct vu_disk *disk = &guest->disk;
    const uint64_t deadline = vu_now_ns() + (uint64_t)milliseconds * 1000000u;
    while (vu_now_ns() < deadline) {
        const int32_t events[1] = {disk->frontend.queues[0].error};
        uint32_t pending = 0;
        int result = bh_host_channel_wait(&disk->channel, events, 1, 50);
        if (result == BH_GONE) {
            return true;
        }
        (void)disk->frontend.transport.ops->interrupts(&disk->frontend.transport, &pending);
        if (disk->frontend.failed) {
            return true;
        }
    }
    return false;
}

/* ---- wrong chains ---- */

static void put_split(struct bh_driver_queue *queue, const struct desc *chain, uint32_t count)
{
    const uint16_t first = (uint16_t)(queue->size - CHAIN);
    struct desc *table = (struct desc *)(void *)queue->descriptor;
    uint16_t *available = (uint16_t *)(void *)queue->driver;
    for (uint32_t i = 0; i < count; i++) {
        table[first + i] = chain[i];
        table[first + i].next = (uint16_t)(first + chain[i].next);
    }
    available[2u + queue->added % queue->size] = first;
    __atomic_store_n(&available[1], (uint16_t)(queue->added + 1u), __ATOMIC_RELEASE);
}

static void put_packed(struct bh_driver_queue *queue, const struct desc *chain, uint32_t count)
{
    struct desc *ring = (struct desc *)(void *)queue->descriptor;
    for (uint32_t i = count; i-- > 0u;) {
        uint32_t place = (queue->avail_next + i) % queue->size;
        bool wrap = queue->avail_wrap == (queue->avail_next + i < queue->size);
        ring[place].address = chain[i].address;
        ring[place].length = chain[i].length;
        /* In a packed descriptor the id lies where split has the flags, and they follow. */
        ring[place].flags = 0;
        __atomic_store_n(&ring[place].next, (uint16_t)(chain[i].flags | (wrap ? AVAIL : USED)),
                         __ATOMIC_RELEASE);
    }
}

static int offer(struct guest *guest, const struct desc *chain, uint32_t count)
{
    struct bh_driver_queue *queue = &guest->disk.queues[0];
    struct desc *table = (struct desc *)(void *)(guest->areas[AREA_DATA] + GUEST_PART - 4096u);
    table[0] = (struct desc){TABLE, 32, INDIRECT, 0};
    table[1] = (struct desc){TABLE, 32, INDIRECT, 0};
    (queue->packed ? put_packed : put_split)(queue, chain, count);
    return queue->transport->ops->notify(queue->transport, 0, 0, false);
}

/* ---- indices ---- */

static int offer_index(struct guest *guest, uint16_t head, uint16_t ahead)
{
    struct bh_driver_queue *queue = &guest->disk.queues[0];
    uint16_t *available = (uint16_t *)(void *)queue->driver;
    if (queue->packed) {
        return BH_UNSUPPORTED;
    }
    available[2u + queue->added % queue->size] = head;
    __atomic_store_n(&available[1], (uint16_t)(queue->added + ahead), __ATOMIC_RELEASE);
    return queue->transport->ops->notify(queue->transport, 0, 0, false);
}

/* ---- rings that change ---- */

enum flipped {
    FLIP_DESCRIPTORS = 1,
    FLIP_DRIVER = 2,
    FLIP_DEVICE = 4,
    FLIP_TABLES = 8,
    FLIP_REQUESTS = 16, /* headers and data */
};

struct flipper {
    struct guest *guest;
    unsigned what;
    atomic_bool over;
};

static const struct {
    const char *name;
    unsigned what;
} flips[] = {
    {"flip-descriptors", FLIP_DESCRIPTORS},
    {"flip-available", FLIP_DRIVER},
    {"flip-used", FLIP_DEVICE},
    {"flip-tables", FLIP_TABLES},
    {"flip-requests", FLIP_REQUESTS},
    {"flip-all", FLIP_DESCRIPTORS | FLIP_DRIVER | FLIP_DEVICE | FLIP_TABLES | FLIP_REQUESTS},
};

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8 | *state << 24;
}

static void flip(uint8_t *area, size_t size, uint32_t *random)
{
    uint32_t word = draw(random);
    size_t at = draw(random) % (size / 4u) * 4u;
    if (area != NULL) {
        memcpy(area + at, &word, sizeof(word));
    }
}

static void *flip_on(void *context)
{
    struct flipper *flipper = context;
    const struct vu_disk *disk = &flipper->guest->disk;
    const struct bh_driver_queue *queue = &disk->queues[0];
    uint32_t random = 1;
    for (unsigned i = 0; !atomic_load(&flipper->over); i++) {
        if ((flipper->what & FLIP_DESCRIPTORS) != 0u) {
            flip(queue->descriptor, 16u * queue->size, &random);
        }
        if ((flipper->what & FLIP_DRIVER) != 0u) {
            flip(queue->driver, queue->packed ? 4u : 6u + 2u * queue->size, &random);
        }
        if ((flipper->what & FLIP_DEVICE) != 0u) {
            flip(queue->device, queue->packed ? 4u : 6u + 8u * queue->size, &random);
        }
        if ((flipper->what & FLIP_TABLES) != 0u) {
            flip(queue->indirect, (size_t)16u * queue->size * queue->indirect_max, &random);
        }
        if ((flipper->what & FLIP_REQUESTS) != 0u) {
            const struct vu_request *request = &disk->requests[i % disk->options.requests];
            flip(request->data, disk->options.data_bytes, &random);
            flip((uint8_t *)&request->request->shared->header,
                 sizeof(request->request->shared->header), &random);
        }
        if (i % 64u == 0u) {
            (void)pause_ms(0);
        }
    }
    return NULL;
}

/* Requests all the while; what becomes of them is not the question. */
static void use_disk(struct vu_disk *disk)
{
    uint64_t until = vu_now_ns() + (uint64_t)FLIP_MS * 1000000u;
    for (unsigned n = 0; n < FLIPPED && vu_now_ns() < until && !disk->frontend.failed; n++) {
        uint32_t pending = 0;
        for (uint16_t i = 0; i < disk->options.requests; i++) {
            struct vu_request *request = &disk->requests[i];
            request->sector = (n * 7u + i) * 32u % 8192u;
            request->bytes = disk->options.data_bytes;
            request->done = NULL;
            if (!request->busy) {
                (void)vu_disk_start(disk, request, n % 2u == 0u ? BH_BLK_T_IN : BH_BLK_T_OUT, 4);
            }
        }
        (void)vu_disk_kick(disk);
        for (uint16_t i = 0; i < disk->blk.queue_count; i++) {
            (void)bh_driver_blk_poll(&disk->blk, i);
        }
        (void)disk->frontend.transport.ops->interrupts(&disk->frontend.transport, &pending);
        (void)pause_ms(2);
    }
}

static int flip_rings(struct guest *guest, unsigned what)
{
    struct flipper flipper = {.guest = guest, .what = what};
    pthread_t thread;
    if (pthread_create(&thread, NULL, flip_on, &flipper) != 0) {
        return BH_NO_MEMORY;
    }
    use_disk(&guest->disk);
    atomic_store(&flipper.over, true);
    (void)pthread_join(thread, NULL);
    return guest->disk.frontend.failed ? 1 : 0;
}

/* ---- by name ---- */

void guest_attack_names(void)
{
    for (size_t i = 0; i < sizeof(wrong_chains) / sizeof(wrong_chains[0]); i++) {
        (void)printf("%s\n", wrong_chains[i].name);
    }
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
        (void)printf("%s\n", flips[i].name);
    }
    (void)printf("head-range\nindex-ahead\n");
}

int guest_attack(struct guest *guest, const char *name)
{
    for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
        if (strcmp(name, flips[i].name) == 0) {
            return flip_rings(guest, flips[i].what);
        }
    }
    int result = BH_INVALID;
    for (size_t i = 0; i < sizeof(wrong_chains) / sizeof(wrong_chains[0]); i++) {
        if (strcmp(name, wrong_chains[i].name) == 0) {
            result = offer(guest, wrong_chains[i].chain, wrong_chains[i].count);
        }
    }
    if (strcmp(name, "head-range") == 0) {
        result = offer_index(guest, 0x7fff, 1);
    }
    if (strcmp(name, "index-ahead") == 0) {
        result = offer_index(guest, 0, 0x4000);
    }
    if (result != BH_OK) {
        return result;
    }
    return stopped(guest, WAIT_MS) ? 1 : 0;
}
