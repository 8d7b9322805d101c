/* SPDX-License-Identifier: BSD-2-Clause */
/* Which memory of a front end the gate lets in, and which it passes on: by file and address, for each
 * mode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "gate/memory.h"

#define PART   UINT64_C(0x100000)
#define RINGS  UINT64_C(0x40000000)
#define DATA   UINT64_C(0x50000000)
#define OTHER  UINT64_C(0x60000000)
#define DEVICE 3u

static struct bh_gate_setup setup;
static struct bh_gate_memory memory;
static int rings;
static int data;
static int other;

static int memory_file(uint64_t size, int seals)
{
    int fd = memfd_create("part", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static struct bh_gate_file file_of(int fd, uint64_t address, uint32_t user, bool shared)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (struct bh_gate_file){.address = address,
                                 .size = PART,
                                 .device = status.st_dev,
                                 .inode = status.st_ino,
                                 .users = UINT64_C(1) << user,
                                 .shared = shared ? UINT64_C(1) << user : 0u,
                                 .sealed = 1};
}

static void begin(uint32_t mode)
{
    memset(&setup, 0, sizeof(setup));
    rings = memory_file(PART, F_SEAL_SHRINK);
    data = memory_file(PART, F_SEAL_SHRINK);
    other = memory_file(PART, F_SEAL_SHRINK);
    setup.device_count = DEVICE + 1u;
    setup.devices[DEVICE].mode = mode;
    setup.file_count = 3;
    setup.files[0] = file_of(rings, RINGS, DEVICE, mode == BH_GATE_DIRECT);
    setup.files[1] = file_of(data, DATA, DEVICE, true);
    setup.files[2] = file_of(other, OTHER, DEVICE - 1u, true);
    bh_gate_memory_init(&memory, &setup, DEVICE);
}

static void end(void)
{
    bh_gate_memory_clear(&memory);
    (void)close(rings);
    (void)close(data);
    (void)close(other);
}

static struct bh_vu_region region_at(uint64_t address)
{
    return (struct bh_vu_region){
        .guest_address = address, .size = PART, .user_address = address + 0x7f0000000000u};
}

static int admit(uint64_t address, int fd)
{
    const struct bh_vu_region region = region_at(address);
    const char *why = NULL;
    int result = bh_gate_memory_admit(&memory, &region, fd, &why);
    assert_true(result != BH_DENIED || why != NULL);
    return result;
}

static uint32_t shares(void)
{
    struct bh_vu_share list[8];
    int count = bh_gate_memory_shares(&memory, list, 8);
    assert_true(count >= 0);
    return (uint32_t)count;
}

static void test_gate_memory_by_mode(void **state)
{
    (void)state;
    static const struct {
        uint32_t mode;
        uint32_t shares; /* of rings and data */
        int others;      /* another device's window */
    } cases[] = {
        {BH_GATE_BOUNCE, 0, 1},
        {BH_GATE_SHADOW, 1, 1},
        {BH_GATE_DIRECT, 2, 1},
        {BH_GATE_OPEN, 3, BH_OK},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin(cases[i].mode);
        assert_int_equal(admit(RINGS, rings), BH_OK);
        assert_int_equal(admit(DATA, data), BH_OK);
        assert_int_equal(admit(OTHER, other), cases[i].others);
        assert_int_equal(shares(), cases[i].shares);
        end();
    }
}

static void test_gate_memory_identity(void **state)
{
    (void)state;
    begin(BH_GATE_SHADOW);
    int foreign = memory_file(PART, F_SEAL_SHRINK);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(admit(DATA, foreign), BH_DENIED); /* the place is right, the file is not */
    assert_int_equal(admit(DATA, rings), BH_DENIED);
    assert_int_equal(admit(DATA + PART, data), BH_DENIED);
    assert_int_equal(admit(DATA - 0x1000u, data), BH_DENIED);
    assert_int_equal(admit(UINT64_MAX - PART, data), BH_DENIED);
    assert_int_equal(admit(DATA, pipes[0]), BH_DENIED);
    assert_int_equal(shares(), 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)close(foreign);
    end();
}

static void test_gate_memory_unsealed(void **state)
{
    (void)state;
    begin(BH_GATE_BOUNCE);
    int bare = memory_file(PART, 0);
    setup.files[1] = file_of(bare, DATA, DEVICE, false);
    assert_int_equal(admit(DATA, bare), BH_DENIED);
    setup.files[1].sealed = 0;
    assert_int_equal(admit(DATA, bare), BH_OK);
    (void)close(bare);
    end();
}

/* A gate that works alone knows addresses and no files. */
static void test_gate_memory_of_any_file(void **state)
{
    (void)state;
    begin(BH_GATE_SHADOW);
    setup.file_count = 1;
    setup.files[0] = (struct bh_gate_file){.size = UINT64_MAX / 2u, .users = 1u << DEVICE};
    assert_int_equal(admit(DATA, data), BH_OK);
    assert_int_equal(shares(), 0);
    end();
}

/* A descriptor gives away all of its file. */
static void test_gate_memory_part_of_a_file(void **state)
{
    (void)state;
    static const uint32_t modes[] = {BH_GATE_SHADOW, BH_GATE_DIRECT, BH_GATE_OPEN};
    static const int results[] = {BH_OK, BH_DENIED, BH_OK};
    static const uint32_t shared[] = {0, 0, 1};
    for (size_t i = 0; i < 3u; i++) {
        begin(modes[i]);
        int large = memory_file(4u * PART, F_SEAL_SHRINK);
        setup.files[1] = (struct bh_gate_file){
            .address = DATA, .size = PART, .users = 1u << DEVICE, .shared = 1u << DEVICE};
        assert_int_equal(admit(DATA, large), results[i]);
        assert_int_equal(shares(), shared[i]);
        (void)close(large);
        end();
    }
}

/* A table is replaced whole: the new regions come before the old ones go. */
static void test_gate_memory_replaced(void **state)
{
    (void)state;
    begin(BH_GATE_SHADOW);
    const struct bh_vu_region region = region_at(DATA);
    assert_int_equal(admit(DATA, data), BH_OK);
    assert_int_equal(admit(DATA, data), BH_OK);
    assert_int_equal(shares(), 2);
    bh_gate_memory_gone(&memory, &region);
    assert_int_equal(shares(), 1);
    assert_true(bh_gate_memory_shared(&memory, DATA + PART - 1u, 2));
    assert_false(bh_gate_memory_shared(&memory, DATA + PART, 2));
    assert_true(bh_gate_memory_shared(&memory, DATA - 1u, 2));
    bh_gate_memory_gone(&memory, &region);
    bh_gate_memory_gone(&memory, &region);
    assert_int_equal(shares(), 0);
    end();
}

static void test_gate_memory_full(void **state)
{
    (void)state;
    begin(BH_GATE_BOUNCE);
    for (uint32_t i = 0; i < BH_GATE_REGIONS_MAX; i++) {
        assert_int_equal(admit(DATA, data), BH_OK);
    }
    assert_int_equal(admit(DATA, data), BH_DENIED);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gate_memory_by_mode),
        cmocka_unit_test(test_gate_memory_identity),
        cmocka_unit_test(test_gate_memory_unsealed),
        cmocka_unit_test(test_gate_memory_of_any_file),
        cmocka_unit_test(test_gate_memory_part_of_a_file),
        cmocka_unit_test(test_gate_memory_replaced),
        cmocka_unit_test(test_gate_memory_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
