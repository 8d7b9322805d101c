/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks by ring: used buffers that are none, rings that change under the reader, events. */
#include "back.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define AT      50u /* requests that are served honestly first */
#define DELAYED 100u
#define EVIL    UINT64_C(0x40000000) /* where the guest of the tests has its private memory */

static bool due(const struct back *back)
{
    return back->served >= AT;
}

/* ---- used buffers that are none ---- */

static bool id_range(struct back *back, struct chain *chains, uint32_t count)
{
    struct ring *ring = chains[0].ring;
    if (!due(back)) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < count; i++) {
        ring_used(back, ring, i % 2u == 0u ? ring->size : UINT16_MAX, 1, 1);
    }
    ring_show(back, ring);
    return true;
}

static bool is_popped(const struct chain *chains, uint32_t count, uint16_t id)
{
    for (uint32_t i = 0; i < count; i++) {
        if (chains[i].id == id) {
            return true;
        }
    }
    return false;
}

/* An id that the ring has and nobody gave out: the free ones lie at the end. */
static bool id_idle(struct back *back, struct chain *chains, uint32_t count)
{
    struct ring *ring = chains[0].ring;
    uint16_t id = (uint16_t)(ring->size - 1u);
    if (!due(back)) {
        return false;
    }
    while (id != 0u && is_popped(chains, count, id)) {
        id--;
    }
    did(back);
    ring_used(back, ring, id, 1, 1);
    ring_show(back, ring);
    return true;
}

static bool id_twice(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (!due(back)) {
        return false;
    }
    did(back);
    blk_serve(back, &chains[0]);
    for (unsigned i = 0; i < 2u; i++) {
        ring_used(back, chains[0].ring, chains[0].id, chains[0].count, chains[0].written);
    }
    ring_show(back, chains[0].ring);
    return true;
}

/* Longer than what may be written: by one, or with an argument by as much. */
static bool too_long(struct back *back, struct chain *chains, uint32_t count)
{
    const uint32_t more = back->argument != 0u ? (uint32_t)back->argument : 1u;
    (void)count;
    if (!due(back)) {
        return false;
    }
    did(back);
    uint32_t room = chains[0].writable_bytes;
    blk_serve(back, &chains[0]);
    ring_used(back, chains[0].ring, chains[0].id, chains[0].count, room + more);
    ring_show(back, chains[0].ring);
    return true;
}

/* The used index runs ahead of what was given, or back (split). */
static bool jump(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (!due(back)) {
        return false;
    }
    did(back);
    chains[0].ring->used = (uint16_t)(chains[0].ring->used + back->argument);
    ring_show(back, chains[0].ring);
    return true;
}

/* Used descriptors of another lap (packed): as if there were none. */
static bool wrong_wrap(struct back *back, struct chain *chains, uint32_t count)
{
    struct ring *ring = chains[0].ring;
    if (!due(back)) {
        return false;
    }
    did(back);
    ring->used_wrap = !ring->used_wrap;
    for (uint32_t i = 0; i < count; i++) {
        ring_used(back, ring, chains[i].id, chains[i].count, 1);
    }
    ring_show(back, ring);
    return true;
}

/* ---- requests that are not done ---- */

static bool hang(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back)) {
        did(back);
    }
    return due(back);
}

/* One request is never done; all others are. */
static bool starve(struct back *back, struct chain *chain)
{
    (void)chain;
    if (!due(back) || back->did) {
        return false;
    }
    did(back);
    return true;
}

/* The same, and after a hundred others it dies. */
static bool delayed(struct back *back, struct chain *chain)
{
    if (back->served >= AT + DELAYED) {
        say(back, "dies");
        _exit(0);
    }
    return starve(back, chain);
}

/* All is done, and not said. */
static bool done_in_silence(struct back *back, struct chain *chains, uint32_t count)
{
    if (!due(back)) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < count; i++) {
        blk_serve(back, &chains[i]);
    }
    _exit(0);
}

/* Says that all was written, and wrote nothing but the status. */
static bool no_data(struct back *back, struct chain *chain)
{
    const uint32_t all = chain->writable_bytes;
    if (!due(back) || all <= 1u) {
        return false;
    }
    did(back);
    const struct iovec *last = &chain->writable[chain->writables - 1u];
    ((uint8_t *)last->iov_base)[last->iov_len - 1u] = 0;
    ring_used(back, chain->ring, chain->id, chain->count, all);
    return true;
}

/* Writes all, and says that it was nothing. */
static bool too_short(struct back *back, struct chain *chain)
{
    if (!due(back)) {
        return false;
    }
    did(back);
    blk_serve(back, chain);
    ring_used(back, chain->ring, chain->id, chain->count, 0);
    return true;
}

/* Makes garbage of the copies that it was given of what is in flight, and dies: its successor must
 * get what the guest wrote. Memory that is not the rings' is the guest's own, and left alone. */
static bool spoil(struct back *back, struct chain *chains, uint32_t count)
{
    if (!due(back)) {
        return false;
    }
    for (uint32_t i = 0; i < back->region_count; i++) {
        const struct region *region = &back->regions[i];
        const uint8_t *end = region->base + region->file_size;
        if (chains[0].ring->descriptor < region->base || chains[0].ring->descriptor >= end) {
            continue;
        }
        for (uint32_t c = 0; c < count; c++) {
            for (uint32_t s = 0; s < chains[c].readables; s++) {
                uint8_t *base = chains[c].readable[s].iov_base;
                if (base >= region->base && base < end) {
                    did(back);
                    memset(base, 0xdb, chains[c].readable[s].iov_len);
                }
            }
        }
    }
    if (back->did) {
        _exit(0);
    }
    return false;
}

/* ---- rings that change under the reader ---- */

/* What was read already is made to point elsewhere: the gate must not find its way by it. */
static bool rewrite(struct back *back, struct chain *chains, uint32_t count)
{
    const uint32_t evil_length = UINT32_MAX;
    const uint64_t evil = EVIL;
    if (!due(back)) {
        return false;
    }
    did(back);
    for (uint32_t i = 0; i < count; i++) {
        const struct ring *ring = chains[i].ring;
        const bool packed = ring_is_packed(back);
        uint8_t *desc = ring->descriptor + 16u * (packed ? chains[i].place : chains[i].id);
        memcpy(desc, &evil, 8);
        memcpy(desc + 8, &evil_length, 4);
        memset(desc + 12, 0xff, packed ? 2 : 4); /* packed: the flags say whether it is used */
        if (!packed) {
            memset(ring->driver + 4u + 2u * chains[i].place, 0xff, 2);
        }
        if (chains[i].table != NULL) {
            memset(chains[i].table, 0xff, 16u * chains[i].table_count);
        }
    }
    return false;
}

struct scribbler {
    struct back *back;
    struct ring *ring;
};

static void pause_us(long microseconds)
{
    const struct timespec pause = {.tv_nsec = microseconds * 1000};
    (void)nanosleep(&pause, NULL);
}

static void scribble_at(struct back *back, uint8_t *area, uint32_t size)
{
    uint32_t word = draw(back);
    memcpy(area + draw(back) % (size / 4u) * 4u, &word, sizeof(word));
}

static void *scribble_on(void *context)
{
    const struct scribbler *scribbler = context;
    const struct ring *ring = scribbler->ring;
    struct back *back = scribbler->back;
    const bool packed = ring_is_packed(back);
    for (unsigned round = 0; round < 100000u; round++) {
        for (unsigned i = 0; i < 64u; i++) {
            scribble_at(back, ring->descriptor, 16u * ring->size);
            scribble_at(back, ring->driver, packed ? 4u : 4u + 2u * ring->size);
            scribble_at(back, ring->device, packed ? 4u : 4u + 8u * ring->size);
        }
        ring_call(ring);
        pause_us(100);
    }
    return NULL;
}

static void begin_thread(struct back *back, struct ring *ring, void *(*run)(void *))
{
    static struct scribbler scribbler;
    pthread_t thread;
    scribbler = (struct scribbler){back, ring};
    did(back);
    if (pthread_create(&thread, NULL, run, &scribbler) != 0) {
        _exit(3);
    }
}

/* Random bytes all over the rings, without end; nothing is served any more. */
static bool scribble(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (due(back) && !back->did) {
        begin_thread(back, chains[0].ring, scribble_on);
    }
    return due(back);
}

/* ---- events ---- */

static void *call_on(void *context)
{
    const struct scribbler *scribbler = context;
    for (unsigned i = 0; i < 4000000u; i++) {
        ring_call(scribbler->ring);
    }
    return NULL;
}

static bool call_flood(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (due(back) && !back->did) {
        begin_thread(back, chains[0].ring, call_on);
    }
    return false;
}

static bool call_closed(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (due(back) && !back->did) {
        did(back);
        (void)close(chains[0].ring->call);
        chains[0].ring->call = -1;
    }
    return false;
}

/* The flags of an eventfd belong to all who hold it. Full, and with waiting: whoever signals it next
 * waits for ever. */
static bool block_kick(struct back *back, struct chain *chains, uint32_t count)
{
    const uint64_t full = UINT64_MAX - 1u;
    const int kick = chains[0].ring->kick;
    uint64_t old;
    if (!due(back) || count < 2u) {
        return false;
    }
    did(back);
    (void)fcntl(kick, F_SETFL, O_NONBLOCK);
    while (read(kick, &old, sizeof(old)) > 0) {
        /* empty it */
    }
    if (write(kick, &full, sizeof(full)) < 0) {
        say(back, "not full");
    }
    (void)fcntl(kick, F_SETFL, 0);
    chains[0].ring->running = false; /* nobody reads it */
    /* What is done makes room for more, which is signalled. */
    for (uint32_t i = 1; i < count; i++) {
        blk_serve(back, &chains[i]);
        ring_used(back, chains[i].ring, chains[i].id, chains[i].count, chains[i].written);
    }
    ring_show(back, chains[0].ring);
    return true;
}

/* Reads the count away that the gate was woken for. */
static void *steal_on(void *context)
{
    const struct scribbler *scribbler = context;
    const int call = scribbler->ring->call;
    for (unsigned i = 0; i < 400000u; i++) {
        uint64_t stolen;
        ring_call(scribbler->ring);
        if (read(call, &stolen, sizeof(stolen)) < 0) {
            break;
        }
    }
    return NULL;
}

static bool block_call(struct back *back, struct chain *chains, uint32_t count)
{
    (void)count;
    if (due(back) && !back->did) {
        (void)fcntl(chains[0].ring->call, F_SETFL, 0);
        begin_thread(back, chains[0].ring, steal_on);
    }
    return due(back);
}

const struct attack lies_attacks[] = {
    {.name = "id-range", .popped = id_range},
    {.name = "id-idle", .popped = id_idle},
    {.name = "id-twice", .popped = id_twice},
    {.name = "too-long", .popped = too_long},
    {.name = "jump", .popped = jump},
    {.name = "wrong-wrap", .popped = wrong_wrap},
    {.name = "hang", .popped = hang},
    {.name = "starve", .serve = starve},
    {.name = "delayed", .serve = delayed},
    {.name = "done-in-silence", .popped = done_in_silence},
    {.name = "no-data", .serve = no_data},
    {.name = "too-short", .serve = too_short},
    {.name = "spoil", .popped = spoil},
    {.name = "rewrite", .popped = rewrite},
    {.name = "scribble", .popped = scribble},
    {.name = "call-flood", .popped = call_flood},
    {.name = "call-closed", .popped = call_closed},
    {.name = "block-kick", .popped = block_kick},
    {.name = "block-call", .popped = block_call},
};
const uint32_t lies_attack_count = sizeof(lies_attacks) / sizeof(lies_attacks[0]);
