/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that rewrites its rings while the device reads them: a second thread changes descriptors,
 * tables and indices at random, mostly to values that make sense, while the first pops, writes
 * into what it got, and pushes. Whatever it reads, the device never leaves the guest's memory (the
 * address sanitizer and the checks below watch), and its own account of things stays right. What
 * it reads is chance; the bounds are not.
 */
#include "ring_guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "bulkhead/bytes.h"

#define ROUNDS    200000u
#define ENOUGH    100u /* violations; the test's time limit is the other bound */
#define RING      8u
#define IN_FLIGHT 6u

/* A small generator of its own for each thread: the same sequence in every run. */
static uint32_t chance(uint64_t *seed, uint32_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33) % below;
}

struct race {
    struct guest guest;
    bool rewriting; /* atomic: the second thread is at work */
    bool done;      /* atomic */
    bool joinable;  /* `thread` is there */
    pthread_t thread;
};

static void poke16(struct race *race, uint64_t address, uint32_t value)
{
    uint16_t little = BH_LE16(value);

    __atomic_store_n((uint16_t *)(void *)guest_at(&race->guest, address), little, __ATOMIC_RELAXED);
}

static void poke32(struct race *race, uint64_t address, uint32_t value)
{
    uint32_t little = BH_LE32(value);

    __atomic_store_n((uint32_t *)(void *)guest_at(&race->guest, address), little, __ATOMIC_RELAXED);
}

static uint64_t some_address(uint64_t *seed)
{
    static const uint64_t addresses[] = {
        GUEST_DATA,  GUEST_DATA + 0x1000, GUEST_HIGH - 8, GUEST_ROM, GUEST_TABLE,      GUEST_TABLE,
        GUEST_TABLE, GUEST_DATA + 1,      GUEST_HIGH,     GUEST_LOW, GUEST_HIGH - 0x18};

    if (chance(seed, 64) == 0) {
        static const uint64_t bad[] = {GUEST_HOLE, UINT64_MAX, GUEST_LOW - 1,
                                       GUEST_ROM + GUEST_ROM_SIZE - 4,
                                       GUEST_HIGH + GUEST_HIGH_SIZE - 4};

        return bad[chance(seed, 5)];
    }
    return addresses[chance(seed, 11)];
}

static uint32_t some_length(uint64_t *seed)
{
    static const uint32_t lengths[] = {0, 1, 16, 32, 48, 64, 512, 16, 48, 17};

    return chance(seed, 128) == 0 ? UINT32_MAX - chance(seed, 3) : lengths[chance(seed, 10)];
}

static uint32_t some_flags(uint64_t *seed, bool packed)
{
    static const uint32_t flags[] = {0, W, BH_DESC_NEXT,    BH_DESC_NEXT, BH_DESC_INDIRECT,
                                     W, 0, BH_DESC_NEXT | W};
    uint32_t value = chance(seed, 32) == 0 ? chance(seed, 8) : flags[chance(seed, 8)];

    if (packed) {
        value |= chance(seed, 2) != 0 ? BH_DESC_AVAIL : BH_DESC_USED;
    }
    return value;
}

static void change_descriptor(struct race *race, uint64_t *seed, uint64_t at)
{
    bool packed = race->guest.packed;

    switch (chance(seed, 4)) {
    case 0: {
        uint64_t address = some_address(seed);

        /* In two halves, as a careless driver would. */
        poke32(race, at, (uint32_t)address);
        poke32(race, at + 4, (uint32_t)(address >> 32));
        break;
    }
    case 1:
        poke32(race, at + 8, some_length(seed));
        break;
    case 2:
        poke16(race, at + (packed ? 14 : 12), some_flags(seed, packed));
        break;
    default:
        poke16(race, at + (packed ? 12 : 14), chance(seed, 64) == 0 ? 0xffff : chance(seed, RING));
        break;
    }
}

static void change_indices(struct race *race, uint64_t *seed)
{
    uint16_t used = __atomic_load_n((uint16_t *)(void *)guest_at(&race->guest, GUEST_DEVICE + 2),
                                    __ATOMIC_RELAXED);

    poke16(race, GUEST_DRIVER + 4 + 2u * (uint64_t)chance(seed, RING), chance(seed, RING));
    if (chance(seed, 256) == 0) {
        poke16(race, GUEST_DRIVER + 2, chance(seed, 0x10000));
    } else if (chance(seed, 4) == 0) {
        poke16(race, GUEST_DRIVER + 2, used + chance(seed, RING));
    }
}

static void *rewrite(void *data)
{
    struct race *race = data;
    uint64_t seed = 42;

    while (!__atomic_load_n(&race->done, __ATOMIC_RELAXED)) {
        bool table = chance(&seed, 3) == 0;
        uint32_t pause = chance(&seed, 400);

        change_descriptor(race, &seed,
                          (table ? GUEST_TABLE : GUEST_DESCRIPTOR) +
                              16u * (uint64_t)chance(&seed, RING));
        if (!race->guest.packed) {
            change_indices(race, &seed);
        }
        __atomic_store_n(&race->rewriting, true, __ATOMIC_RELAXED);
        /* Leaves the device time to get through with some. */
        while (pause > 0 && !__atomic_load_n(&race->done, __ATOMIC_RELAXED)) {
            pause--;
        }
    }
    return NULL;
}

static void put_descriptor(struct race *race, uint64_t at, const struct guest_buffer *buffer,
                           uint32_t extra)
{
    bool packed = race->guest.packed;

    poke32(race, at, (uint32_t)buffer->address);
    poke32(race, at + 4, (uint32_t)(buffer->address >> 32));
    poke32(race, at + 8, buffer->length);
    poke16(race, at + (packed ? 12 : 14), extra);
    poke16(race, at + (packed ? 14 : 12), buffer->flags);
}

/* What an honest driver offers: a chain of two, then a table, and so on round the ring. */
static void offer_honestly(struct race *race)
{
    static const struct guest_buffer ring[4] = {{GUEST_DATA, 16, BH_DESC_NEXT},
                                                {GUEST_HIGH - 8, 64, W},
                                                {GUEST_TABLE, 48, BH_DESC_INDIRECT},
                                                {GUEST_DATA + 0x1000, 512, W}};
    static const struct guest_buffer table[3] = {
        {GUEST_ROM, 16, BH_DESC_NEXT}, {GUEST_DATA, 64, BH_DESC_NEXT}, {GUEST_HIGH, 17, W}};
    static const uint16_t heads[3] = {0, 2, 3};
    struct guest *guest = &race->guest;
    uint16_t i;

    for (i = 0; i < 3; i++) {
        put_descriptor(race, GUEST_TABLE + 16u * (uint64_t)i, &table[i], i + 1u);
    }
    guest->avail = guest->queue.avail_next;
    guest->avail_wrap = guest->queue.avail_wrap;
    for (i = 0; i < 4; i++) {
        struct guest_buffer buffer = ring[i];
        uint16_t slot = guest->packed ? guest->avail : i;

        if (guest->packed) {
            buffer.flags = (uint16_t)(buffer.flags | guest_packed_available(guest));
            guest->avail = (uint16_t)((slot + 1u) % RING);
            guest->avail_wrap = guest->avail_wrap != (guest->avail == 0);
        }
        put_descriptor(race, GUEST_DESCRIPTOR + 16u * (uint64_t)slot, &buffer, i + 1u);
    }
    if (!guest->packed) {
        for (i = 0; i < 3; i++) {
            poke16(race, GUEST_DRIVER + 4 + 2u * (uint64_t)((guest->avail + i) % RING), heads[i]);
        }
        poke16(race, GUEST_DRIVER + 2, guest->avail + 3u);
    }
}

/* Reads all, writes all: into the rings too, when a buffer lies there. */
static void use_chain(struct bh_chain *chain)
{
    static const uint8_t bytes[64] = {0x80, 0, 1};
    uint8_t local[64];

    (void)bh_chain_read(chain, 0, local, sizeof(local));
    (void)bh_chain_write(chain, 0, bytes, sizeof(bytes));
}

struct tally {
    unsigned popped;
    unsigned faults;
    unsigned waits;
};

static void start(struct guest *guest, uint64_t *seed)
{
    if (guest->packed) {
        guest->setup.avail_next = (uint16_t)chance(seed, RING);
        guest->setup.used_next = guest->setup.avail_next;
        guest->setup.avail_wrap = chance(seed, 2) != 0;
        guest->setup.used_wrap = guest->setup.avail_wrap;
    } else {
        guest->setup.avail_next = guest_get16(guest, GUEST_DEVICE + 2);
        guest->setup.used_next = guest->setup.avail_next;
    }
    guest_start(guest);
}

static void serve(struct race *race, struct tally *tally)
{
    struct guest *guest = &race->guest;
    struct bh_chain chains[IN_FLIGHT];
    uint64_t seed = 7;
    unsigned held = 0;
    unsigned round;

    for (round = 0; round < ROUNDS || tally->faults <= ENOUGH; round++) {
        int got = held < IN_FLIGHT ? bh_queue_pop(&guest->queue, &chains[held]) : 0;

        if (got == 1) {
            guest_check_chain(guest, &chains[held]);
            assert_in_range(chains[held].slots, 1, RING);
            use_chain(&chains[held]);
            held++;
            tally->popped++;
        } else if (got == BH_AGAIN) {
            tally->waits++;
        } else if (got < 0) {
            assert_int_equal(guest->queue.state, BH_QUEUE_FAULTY);
            tally->faults++;
        }
        assert_int_equal(guest->queue.in_flight, held);
        /* The last one that was popped comes back first; chains do not move. */
        while (held > 0 && (got != 1 || chance(&seed, 3) == 0)) {
            held--;
            bh_queue_push(&guest->queue, &chains[held], chance(&seed, 100));
        }
        (void)bh_queue_publish(&guest->queue);
        (void)bh_queue_notify_enable(&guest->queue, chance(&seed, 2) != 0);
        if (guest->queue.state == BH_QUEUE_FAULTY) {
            assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
            assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
            start(guest, &seed);
        }
        if (got != 1) {
            offer_honestly(race);
        }
        if (round % 1024 == 0) {
            (void)sched_yield();
        }
    }
    while (held > 0) {
        held--;
        bh_queue_push(&guest->queue, &chains[held], 0);
    }
    (void)bh_queue_publish(&guest->queue);
    assert_int_equal(bh_queue_stop(&guest->queue), BH_OK);
}

/* CVE-2020-14375 and others: a descriptor is read twice, and differs. [BH-DEV-11] */
static void test_class_02_guest_rewrites_rings_meanwhile(void **state)
{
    struct race *race = *state;
    struct guest *guest = &race->guest;
    struct tally tally = {0, 0, 0};

    guest->setup.features |= BH_F_INDIRECT_DESC | BH_F_EVENT_IDX;
    guest_start(guest);
    assert_int_equal(pthread_create(&race->thread, NULL, rewrite, race), 0);
    race->joinable = true;
    while (!__atomic_load_n(&race->rewriting, __ATOMIC_RELAXED)) {
        (void)sched_yield();
    }
    serve(race, &tally);
    print_message("# %u chains, %u violations, %u waits\n", tally.popped, tally.faults,
                  tally.waits);
    /* Both happened, or the guest was not hostile, or the device did not listen. */
    assert_true(tally.popped > ENOUGH);
    assert_true(tally.faults > ENOUGH);
    assert_int_equal(guest->pool.free_count, GUEST_BLOCKS);
}

static int setup(void **state, bool packed)
{
    struct race *race = calloc(1, sizeof(*race));

    if (race == NULL) {
        return -1;
    }
    guest_init(&race->guest, packed, RING, 0);
    *state = race;
    return 0;
}

static int setup_split(void **state)
{
    return setup(state, false);
}

static int setup_packed(void **state)
{
    return setup(state, true);
}

/* Also after a failure: nobody writes to memory that is gone. */
static int teardown(void **state)
{
    struct race *race = *state;

    __atomic_store_n(&race->done, true, __ATOMIC_RELAXED);
    if (race->joinable && pthread_join(race->thread, NULL) != 0) {
        return -1;
    }
    return guest_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"test_class_02_guest_rewrites_rings_meanwhile: split",
         test_class_02_guest_rewrites_rings_meanwhile, setup_split, teardown, NULL},
        {"test_class_02_guest_rewrites_rings_meanwhile: packed",
         test_class_02_guest_rewrites_rings_meanwhile, setup_packed, teardown, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
