/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate as processes: a front end that knows nothing of it, a back end that knows nothing of it, and a
 * parent. Data goes through in every mode; back ends and gates are killed, and the front end sees time
 * pass. (What a relay does with single requests: test_gate_relay*.c. Guests: tests/gate.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "gate/inner.h"
#include "gate_rig.h"

#define BLOCKS 200u

static struct gate_rig rig;
static struct vu_disk disk;

static void open_both(uint32_t mode, bool packed)
{
    const struct gate_rig_options options = {.mode = mode, .packed = packed};
    const struct vu_disk_options front = {.packed = packed, .event_idx = true, .indirect = true};
    gate_rig_start(&rig, &options);
    gate_rig_disk(&rig, &disk, &front);
}

static void close_both(void)
{
    vu_disk_close(&disk);
    gate_rig_finish(&rig);
}

static void transfer(uint32_t mode, bool packed)
{
    open_both(mode, packed);
    assert_int_equal(gate_rig_write(&disk, 1, BLOCKS), BH_OK);
    assert_int_equal(gate_rig_read(&disk, 1, BLOCKS), BH_OK);
    assert_int_equal(atomic_load(&rig.ups), 1);
    close_both();
}

static void test_shadow(void **state)
{
    (void)state;
    transfer(BH_GATE_SHADOW, false);
    transfer(BH_GATE_SHADOW, true);
}

static void test_bounce(void **state)
{
    (void)state;
    transfer(BH_GATE_BOUNCE, false);
    transfer(BH_GATE_BOUNCE, true);
}

static void test_direct(void **state)
{
    (void)state;
    transfer(BH_GATE_DIRECT, false);
    transfer(BH_GATE_DIRECT, true);
}

static void test_open(void **state)
{
    (void)state;
    transfer(BH_GATE_OPEN, false);
}

/* ---- back ends that end ---- */

/* Requests in flight over kills: writes go on from one block to the next, a back end dies now and then,
 * and everything is there afterwards. */
static void kill_back_ends(uint32_t mode, bool packed, int number)
{
    open_both(mode, packed);
    for (uint32_t round = 0; round < 5u; round++) {
        const unsigned int before = atomic_load(&rig.greeted);
        (void)kill(atomic_load(&rig.back_pid), number);
        assert_int_equal(gate_rig_write(&disk, round, 40), BH_OK);
        assert_int_equal(gate_rig_read(&disk, round, 40), BH_OK);
        assert_true(gate_rig_wait(&rig.greeted, before + 1u));
    }
    /* The last one serves; one that was killed between its greeting and its first answer is not told of. */
    assert_int_equal(gate_rig_write(&disk, 5, 40), BH_OK);
    assert_true(gate_rig_wait(&rig.events[BH_GATE_REPLACED], 1));
    const struct bh_gate_counters counters = gate_rig_counters(&rig);
    assert_true(counters.restarts >= 5u);
    assert_true(counters.stall_us_max > 0u);
    assert_int_equal(counters.state, BH_GATE_SERVING);
    close_both();
}

static void test_back_end_dies(void **state)
{
    (void)state;
    kill_back_ends(BH_GATE_SHADOW, false, SIGKILL);
    kill_back_ends(BH_GATE_BOUNCE, true, SIGKILL);
    kill_back_ends(BH_GATE_DIRECT, false, SIGKILL);
    kill_back_ends(BH_GATE_DIRECT, true, SIGKILL);
    kill_back_ends(BH_GATE_OPEN, false, SIGKILL);
}

/* ---- gates that end ---- */

static void kill_gates(uint32_t mode, bool packed)
{
    open_both(mode, packed);
    for (uint32_t round = 0; round < 5u; round++) {
        (void)kill(atomic_load(&rig.gate_pid), SIGKILL);
        assert_int_equal(gate_rig_write(&disk, round, 40), BH_OK);
        assert_int_equal(gate_rig_read(&disk, round, 40), BH_OK);
        assert_true(gate_rig_wait(&rig.events[BH_GATE_ADOPTED], round + 1u));
    }
    assert_int_equal(atomic_load(&rig.gates), 6);
    assert_int_equal(atomic_load(&rig.ups), 1);
    close_both();
}

static void test_gate_dies(void **state)
{
    (void)state;
    kill_gates(BH_GATE_SHADOW, false);
    kill_gates(BH_GATE_BOUNCE, true);
    kill_gates(BH_GATE_DIRECT, false);
    kill_gates(BH_GATE_DIRECT, true);
    kill_gates(BH_GATE_OPEN, true);
}

/* ---- back ends that hang ---- */

static void hang(uint32_t mode, bool packed)
{
    const struct gate_rig_options options = {.mode = mode, .packed = packed, .deadline_ms = 300};
    const struct vu_disk_options front = {.packed = packed};
    gate_rig_start(&rig, &options);
    gate_rig_disk(&rig, &disk, &front);
    assert_int_equal(gate_rig_write(&disk, 1, 40), BH_OK);
    (void)kill(atomic_load(&rig.back_pid), SIGSTOP);
    assert_int_equal(gate_rig_write(&disk, 2, 40), BH_OK);
    assert_int_equal(gate_rig_read(&disk, 2, 40), BH_OK);
    assert_int_equal(atomic_load(&rig.wants[BH_GATE_BACK_HUNG]), 1);
    assert_int_equal(atomic_load(&rig.gates), 1);
    close_both();
}

static void test_back_end_hangs(void **state)
{
    (void)state;
    hang(BH_GATE_SHADOW, false);
    hang(BH_GATE_BOUNCE, true);
    hang(BH_GATE_DIRECT, false);
    hang(BH_GATE_DIRECT, true);
}

/* ---- no successor ---- */

static void test_no_more(void **state)
{
    (void)state;
    open_both(BH_GATE_BOUNCE, false);
    assert_int_equal(gate_rig_write(&disk, 1, 10), BH_OK);
    atomic_store(&rig.no_more, true);
    (void)kill(atomic_load(&rig.back_pid), SIGKILL);
    assert_int_equal(gate_rig_write(&disk, 1, 1), BH_IO);
    assert_int_equal(gate_rig_write(&disk, 1, 1), BH_IO);
    assert_true(gate_rig_wait(&rig.events[BH_GATE_GAVE_UP], 1));
    assert_int_equal(gate_rig_counters(&rig).state, BH_GATE_FAILED);
    close_both();
}

/* ---- memory ---- */

/* The back end maps the data and never the rings; where rings lie in what it could map, it gets
 * nothing, and the guest does not notice. */
static void test_rings_shared(void **state)
{
    (void)state;
    const struct gate_rig_options options = {.mode = BH_GATE_SHADOW, .share_rings = true};
    const struct vu_disk_options front = {.queues = 2};
    gate_rig_start(&rig, &options);
    gate_rig_disk(&rig, &disk, &front);
    assert_int_equal(gate_rig_write(&disk, 1, BLOCKS), BH_OK);
    assert_int_equal(gate_rig_read(&disk, 1, BLOCKS), BH_OK);
    assert_int_equal(atomic_load(&rig.events[BH_GATE_RINGS_SHARED]), 1);
    assert_true(gate_rig_counters(&rig).copied >= 2u * BLOCKS * 4096u);
    close_both();
}

static void test_shadow_copies_nothing(void **state)
{
    (void)state;
    open_both(BH_GATE_SHADOW, false);
    assert_int_equal(gate_rig_write(&disk, 1, BLOCKS), BH_OK);
    /* Headers and status bytes lie beside the rings. */
    assert_true(gate_rig_counters(&rig).copied < BLOCKS * 64u);
    close_both();
}

/* Memory of files that the parent did not name: the message is refused, and the front end with it. */
static void test_foreign_memory(void **state)
{
    (void)state;
    const struct gate_rig_options options = {.mode = BH_GATE_BOUNCE, .foreign = 4711};
    const struct vu_disk_options front = {.socket = rig.socket,
                                          .queues = 1,
                                          .queue_size = 16,
                                          .requests = 1,
                                          .data_bytes = 4096,
                                          .timeout_ms = 20000};
    gate_rig_start(&rig, &options);
    assert_int_not_equal(vu_disk_open(&disk, &front), BH_OK);
    assert_true(gate_rig_wait(&rig.events[BH_GATE_FRONT_REFUSED], 1));
    assert_int_equal(atomic_load(&rig.ups), 0);
    close_both();
}

/* ---- the sandbox ---- */

static void test_strict(void **state)
{
    (void)state;
    static const uint32_t modes[] = {BH_GATE_SHADOW, BH_GATE_DIRECT};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        const struct gate_rig_options options = {.mode = modes[i], .sandbox = "strict"};
        const struct vu_disk_options front = {.indirect = true};
        gate_rig_start(&rig, &options);
        gate_rig_disk(&rig, &disk, &front);
        (void)kill(atomic_load(&rig.back_pid), SIGKILL);
        assert_int_equal(gate_rig_write(&disk, 1, BLOCKS), BH_OK);
        assert_int_equal(gate_rig_read(&disk, 1, BLOCKS), BH_OK);
        (void)kill(atomic_load(&rig.gate_pid), SIGKILL);
        assert_int_equal(gate_rig_read(&disk, 1, BLOCKS), BH_OK);
        assert_true(
            gate_rig_wait(&rig.events[BH_GATE_ADOPTED], 1)); /* direct: nobody waited for it */
        close_both();
    }
}

/* ---- front ends that come and go ---- */

/* Each brings memory of its own at the same addresses: what one wrote the next one reads, and no request
 * lands in memory of the one before. */
static void come_and_go(uint32_t mode, bool packed)
{
    const struct gate_rig_options options = {.mode = mode};
    const struct vu_disk_options front = {.event_idx = true, .packed = packed};
    gate_rig_start(&rig, &options);
    for (uint32_t i = 0; i < 4u; i++) {
        gate_rig_disk(&rig, &disk, &front);
        if (i != 0u) {
            assert_int_equal(gate_rig_read(&disk, i - 1u, 20), BH_OK);
        }
        assert_int_equal(gate_rig_write(&disk, i, 20), BH_OK);
        assert_int_equal(gate_rig_read(&disk, i, 20), BH_OK);
        vu_disk_close(&disk);
        assert_true(gate_rig_wait(&rig.events[BH_GATE_FRONT_GONE], i + 1u));
    }
    assert_int_equal(atomic_load(&rig.gates), 1);
    assert_int_equal(atomic_load(&rig.backs), 1);
    gate_rig_finish(&rig);
}

static void test_front_ends(void **state)
{
    (void)state;
    come_and_go(BH_GATE_SHADOW, false);
    come_and_go(BH_GATE_BOUNCE, true);
    come_and_go(BH_GATE_DIRECT, false);
    come_and_go(BH_GATE_DIRECT, true);
    come_and_go(BH_GATE_OPEN, false);
}

int main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[1], "--control") == 0) {
        return bh_inner_main(argc - 2, argv + 2);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shadow),         cmocka_unit_test(test_bounce),
        cmocka_unit_test(test_direct),         cmocka_unit_test(test_open),
        cmocka_unit_test(test_back_end_dies),  cmocka_unit_test(test_gate_dies),
        cmocka_unit_test(test_back_end_hangs), cmocka_unit_test(test_no_more),
        cmocka_unit_test(test_rings_shared),   cmocka_unit_test(test_shadow_copies_nothing),
        cmocka_unit_test(test_foreign_memory), cmocka_unit_test(test_strict),
        cmocka_unit_test(test_front_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
