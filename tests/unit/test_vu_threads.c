/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several back ends in one process, a thread each (the gate's devices): what they share is the table of
 * mapped memory, and the signal that tells of its loss. Each thread's memory is taken away again and
 * again; each notices its own loss, and no other.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vu_rig.h"

#define THREADS 4u
#define ROUNDS  40u

static void lose_memory(struct vu *vu)
{
    (void)close(vu->memory);
    vu->memory = vu_memfd(VU_MEMORY, false);
    vu_live(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 0);
    assert_int_equal(ftruncate(vu->memory, 0), 0);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 1);
    assert_int_equal(vu->closed, 1);
}

static void keep_memory(struct vu *vu)
{
    vu_live(vu);
    for (unsigned i = 0; i < 8; i++) {
        vu_expect_works(vu);
    }
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 0);
    vu_disconnect(vu);
    assert_int_equal(vu->closed, 1);
}

static void *serve(void *context)
{
    const bool *loses = context;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct vu *vu = calloc(1, sizeof(*vu));

        assert_non_null(vu);
        vu_init(vu, i % 2 != 0);
        if (*loses) {
            lose_memory(vu);
        } else {
            keep_memory(vu);
        }
        vu_finish(vu);
        free(vu);
    }
    return NULL;
}

static void test_one_back_end_for_each_thread(void **state)
{
    static const bool loses[2] = {false, true};
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        bool which = loses[i % 2];

        assert_int_equal(pthread_create(&threads[i], NULL, serve, (void *)(uintptr_t)&loses[which]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_back_end_for_each_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
