/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end and the front end's memory: what is refused, and what is mapped and
 * unmapped when. Memory that is taken away: test_vu_truncate.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vu_rig.h"

#define PAGE UINT64_C(4096)

static uint64_t add(struct vu *vu, struct bh_vu_region region, int fd)
{
    struct bh_vu_single_region payload = {.region = region};

    return vu_ack(vu, BH_VU_ADD_MEM_REG, &payload, sizeof(payload), &fd, 1);
}

static uint64_t take_away(struct vu *vu, struct bh_vu_region region)
{
    struct bh_vu_single_region payload = {.region = region};

    return vu_ack(vu, BH_VU_REM_MEM_REG, &payload, sizeof(payload), NULL, 0);
}

/* A region of one page far from all others, numbered. */
static struct bh_vu_region page_region(uint64_t number)
{
    return (struct bh_vu_region){.guest_address = (UINT64_C(1) << 40) + number * 2 * PAGE,
                                 .size = PAGE,
                                 .user_address = (UINT64_C(1) << 41) + number * 2 * PAGE};
}

/* ---- what is refused ---- */

static void test_class_04_size_and_offset_overflow(void **state)
{
    struct vu *vu = *state;
    const uint64_t huge[] = {
        UINT64_MAX,     UINT64_MAX - PAGE + 1, UINT64_C(1) << 63, (UINT64_C(1) << 63) - PAGE,
        VU_MEMORY + 16, VU_MEMORY + PAGE,
    };

    vu_negotiate(vu, 0);
    for (unsigned i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
        struct bh_vu_region region = page_region(0);

        region.mmap_offset = huge[i] & ~UINT64_C(15);
        assert_int_not_equal(add(vu, region, vu->memory), 0);
        region = page_region(0);
        region.size = huge[i];
        assert_int_not_equal(add(vu, region, vu->memory), 0);
        region.mmap_offset = ~huge[i] + 1 + PAGE;
        region.guest_address = region.mmap_offset;
        assert_int_not_equal(add(vu, region, vu->memory), 0);
    }
    vu_expect_open(vu);
}

static void test_class_04_addresses_wrap_around(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region region = page_region(0);

    vu_negotiate(vu, 0);
    region.guest_address = UINT64_MAX - PAGE + 1;
    assert_int_not_equal(add(vu, region, vu->memory), 0);
    region = page_region(0);
    region.user_address = UINT64_MAX - PAGE + 1;
    assert_int_not_equal(add(vu, region, vu->memory), 0);
    region = page_region(0);
    region.size = 0;
    assert_int_not_equal(add(vu, region, vu->memory), 0);
    /* The last page that does not wrap is as good as any. */
    region = page_region(0);
    region.guest_address = UINT64_MAX - 2 * PAGE + 1;
    assert_int_equal(add(vu, region, vu->memory), 0);
}

static void test_vu_region_overlap(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region first = page_region(1);

    vu_negotiate(vu, 0);
    first.size = 4 * PAGE;
    assert_int_equal(add(vu, first, vu->memory), 0);
    for (uint64_t shift = 0; shift < 4; shift++) {
        struct bh_vu_region other = page_region(9);

        other.guest_address = first.guest_address + shift * PAGE;
        assert_int_not_equal(add(vu, other, vu->memory), 0);
        other = page_region(9);
        other.user_address = first.user_address + shift * PAGE;
        assert_int_not_equal(add(vu, other, vu->memory), 0);
        other = page_region(9);
        other.guest_address = first.guest_address - PAGE;
        other.size = 6 * PAGE;
        assert_int_not_equal(add(vu, other, vu->memory), 0);
    }
    /* Side by side is no overlap. */
    first.guest_address += 4 * PAGE;
    first.user_address -= 4 * PAGE;
    assert_int_equal(add(vu, first, vu->memory), 0);
    first.guest_address -= 8 * PAGE;
    first.user_address += 8 * PAGE;
    assert_int_equal(add(vu, first, vu->memory), 0);
    vu_expect_open(vu);
}

static void test_vu_table_overlap_and_counts(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = vu_table();
    int fds[BH_VU_REGIONS_MAX];

    for (unsigned i = 0; i < BH_VU_REGIONS_MAX; i++) {
        fds[i] = vu->memory;
        table.regions[i] = page_region(i);
    }
    vu_live(vu);
    table.count = 8;
    table.regions[7].guest_address = table.regions[0].guest_address;
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 264, fds, 8), 0);
    /* All or nothing: the old one is still there. */
    vu_expect_works(vu);
    table.regions[7] = page_region(7);
    assert_int_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 264, fds, 8), 0);
    vu_expect_open(vu);
    table.count = 7;
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 264, fds, 8);
    vu_expect_refused(vu);
}

/* The kernel cuts the ninth descriptor off; eight that fit the table do not make it good. */
static void test_class_05_one_descriptor_more_than_fit(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = {.count = BH_VU_REGIONS_MAX};
    int fds[BH_VU_REGIONS_MAX + 1];

    for (unsigned i = 0; i < BH_VU_REGIONS_MAX; i++) {
        fds[i] = vu->memory;
        table.regions[i] = page_region(i);
    }
    fds[BH_VU_REGIONS_MAX] = vu->memory;
    vu_negotiate(vu, 0);
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 264, fds, 9);
    vu_expect_refused(vu);
}

/* Tables that fail half-way leave no mapping behind: there is room for so many only. */
static void test_class_05_failed_tables_leak_no_mapping(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = {.count = 2};
    int fds[2] = {vu->memory, vu->socket};

    table.regions[0] = page_region(0);
    table.regions[1] = page_region(1);
    vu_live(vu);
    for (unsigned i = 0; i < 3000; i++) {
        assert_int_not_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 72, fds, 2), 0);
    }
    vu_expect_works(vu);
    fds[1] = vu->memory;
    assert_int_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 72, fds, 2), 0);
}

static void table_refused(struct vu *vu, uint32_t count, uint32_t size, uint32_t fd_count)
{
    struct bh_vu_memory_table table = vu_table();
    int fds[BH_VU_REGIONS_MAX];

    vu_init(vu, false);
    for (unsigned i = 0; i < BH_VU_REGIONS_MAX; i++) {
        fds[i] = vu->memory;
        table.regions[i] = page_region(i);
    }
    vu_negotiate(vu, 0);
    table.count = count;
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, size, fds, fd_count);
    vu_expect_refused(vu);
    vu_finish(vu);
}

static void test_class_15_region_count_out_of_range(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));

    (void)state;
    assert_non_null(vu);
    table_refused(vu, 0, 8, 0);
    table_refused(vu, 0, 40, 1);
    table_refused(vu, 9, 264, 8);
    table_refused(vu, UINT32_MAX, 264, 8);
    table_refused(vu, 0x08000001u, 40, 1);
    table_refused(vu, 2, 40, 2);
    table_refused(vu, 2, 72, 1);
    table_refused(vu, 1, 40, 2);
    table_refused(vu, 1, 39, 1);
    free(vu);
}

static void test_vu_slots_are_limited(void **state)
{
    struct vu *vu = *state;
    uint64_t slots;

    vu_negotiate(vu, 0);
    slots = vu_ask_u64(vu, BH_VU_GET_MAX_MEM_SLOTS);
    assert_true(slots >= 32);
    for (uint64_t i = 0; i < slots; i++) {
        assert_int_equal(add(vu, page_region(i), vu->memory), 0);
    }
    assert_int_not_equal(add(vu, page_region(slots), vu->memory), 0);
    assert_int_equal(take_away(vu, page_region(3)), 0);
    assert_int_equal(add(vu, page_region(slots), vu->memory), 0);
    vu_expect_open(vu);
}

static void test_vu_remove_what_is_not_there(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region region = page_region(0);

    vu_negotiate(vu, 0);
    assert_int_equal(add(vu, region, vu->memory), 0);
    region.size = PAGE / 2;
    assert_int_not_equal(take_away(vu, region), 0);
    region = page_region(0);
    region.user_address++;
    assert_int_not_equal(take_away(vu, region), 0);
    assert_int_not_equal(take_away(vu, page_region(1)), 0);
    region = page_region(0);
    region.mmap_offset = 12345; /* "ignored" */
    assert_int_equal(take_away(vu, region), 0);
    assert_int_not_equal(take_away(vu, region), 0);
}

/* ---- translation ---- */

/* A ring that begins inside a region and ends outside is outside. [BH-DEV-6] */
static void test_class_01_ring_reaches_over_the_end(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_address good = vu_address(0);
    uint64_t end = VU_USER + VU_MEMORY;

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
    for (unsigned i = 0; i < 3; i++) {
        struct bh_vu_vring_address address = good;
        uint64_t *field = i == 0   ? &address.descriptor
                          : i == 1 ? &address.available
                                   : &address.used;
        const uint64_t bad[] = {end,     end - 4 + (vu->guest.packed && i != 0 ? 4 : 0),
                                end - 2, VU_USER - 1,
                                0,       UINT64_MAX};

        for (unsigned j = 0; j < 6; j++) {
            *field = bad[j];
            assert_int_not_equal(
                vu_ack(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0), 0);
        }
    }
    assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ADDR, &good, sizeof(good), NULL, 0), 0);
    vu_expect_open(vu);
}

/* A ring over the seam of two regions that the guest sees side by side, but that are mapped apart.
 */
static void test_class_01_ring_over_a_seam(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region low = vu_table().regions[0];
    struct bh_vu_region high = low;
    struct bh_vu_vring_address address = vu_address(0);

    vu_negotiate(vu, 0);
    low.size = PAGE;
    high.guest_address += PAGE;
    high.user_address += PAGE;
    high.size = PAGE;
    assert_int_equal(add(vu, low, vu->memory), 0);
    assert_int_equal(add(vu, high, vu->memory), 0);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 8);
    address.descriptor = VU_USER + PAGE - 16;
    address.available = VU_USER + PAGE;
    address.used = VU_USER + PAGE + 0x100;
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0), 0);
}

/* Guest buffers at the end of memory: one byte further is a violation of the guest. [BH-DEV-7] */
static void test_class_01_buffer_reaches_over_the_end(void **state)
{
    struct vu *vu = *state;
    struct guest_buffer buffer = {GUEST_LOW + VU_MEMORY - 16, 16, W};

    vu_live(vu);
    guest_offer(&vu->guest, &buffer, 1, 0);
    vu_kick(vu, 0);
    guest_expect_used(&vu->guest, 0, 1);
    buffer.length = 17;
    guest_offer(&vu->guest, &buffer, 1, 1);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    vu_expect_open(vu);
}

/* An offset inside a page, and a file of which only the middle is meant. */
static void test_vu_region_with_an_offset(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region region = vu_table().regions[0];
    const uint64_t offset = PAGE + 0x230;
    int file = vu_memfd(VU_MEMORY + 3 * PAGE, true);
    uint8_t *map = mmap(NULL, VU_MEMORY + 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    assert_true(map != MAP_FAILED);
    vu_negotiate(vu, 0);
    region.mmap_offset = offset + 1;
    assert_int_not_equal(add(vu, region, file), 0);
    region.mmap_offset = offset;
    assert_int_equal(add(vu, region, file), 0);
    vu->guest.regions[0].base = map + offset;
    vu_ring(vu, 0);
    vu_expect_works(vu);
    (void)munmap(map, VU_MEMORY + 3 * PAGE);
    (void)close(file);
}

/* What the front end gives read-only can be read and not written. */
static void test_vu_read_only_region(void **state)
{
    struct vu *vu = *state;
    int writable = vu_memfd(PAGE, true);
    char path[64];
    int file;
    struct bh_vu_region region = page_region(0);
    struct guest_buffer buffers[2] = {{region.guest_address, 16, R}, {GUEST_DATA, 16, W}};

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", writable);
    file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    vu_live(vu);
    assert_int_equal(add(vu, region, file), 0);
    guest_offer(&vu->guest, buffers, 2, 0);
    vu_kick(vu, 0);
    guest_expect_used(&vu->guest, 0, 1);
    buffers[1].address = region.guest_address;
    guest_offer(&vu->guest, buffers, 2, 2);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    (void)close(file);
    (void)close(writable);
}

/* ---- while it runs ---- */

/* QEMU takes a region away and gives it again in pieces, without a word about the rings. */
static void test_vu_memory_changes_while_running(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_region whole = vu_table().regions[0];
    struct bh_vu_region low = whole;
    struct bh_vu_region high = whole;

    vu_live(vu);
    vu_expect_works(vu);
    assert_int_equal(take_away(vu, whole), 0);
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    low.size = 0x8000;
    high.size -= low.size;
    high.guest_address += low.size;
    high.user_address += low.size;
    high.mmap_offset += low.size;
    assert_int_equal(add(vu, high, vu->memory), 0);
    guest_expect_nothing(&vu->guest);
    assert_int_equal(add(vu, low, vu->memory), 0);
    guest_expect_used(&vu->guest, 2, 1);
    vu_expect_works(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
}

/* Memory with requests in flight is not let go of; the front end waits for its answer. */
static void test_class_17_memory_is_kept_while_in_flight(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_single_region payload = {.region = vu_table().regions[0]};
    struct vu_message reply;

    vu_live(vu);
    vu->echo.hold = true;
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    assert_true(
        vu_send(vu, BH_VU_REM_MEM_REG, BH_VU_VERSION | BH_VU_NEED_REPLY, &payload, 40, NULL, 0));
    assert_true(vu_send(vu, BH_VU_GET_QUEUE_NUM, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_run(vu);
    assert_false(vu_receive(vu, vu->socket, &reply));
    /* The completion writes into the memory; that it does so is what the sanitizers look at. */
    memset(vu->echo.held[0].chain.spans[1].base, 0x5a, 16);
    assert_int_equal(echo_release(&vu->echo, 1), 1);
    bh_device_flush(&vu->echo.device);
    guest_expect_used(&vu->guest, 0, 1);
    vu_run(vu);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.header.request, BH_VU_REM_MEM_REG);
    assert_int_equal(reply.payload.u64, 0);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.header.request, BH_VU_GET_QUEUE_NUM);
}

static void test_vu_table_replaced_while_running(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    for (unsigned i = 0; i < 20; i++) {
        vu_expect_works(vu);
        vu_memory(vu);
    }
    vu_expect_works(vu);
    vu_expect_open(vu);
}

/* A file that grows is none of our business. */
static void test_vu_file_is_extended(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    assert_int_equal(ftruncate(vu->memory, (off_t)(VU_MEMORY * 2)), 0);
    vu_expect_works(vu);
    vu_memory(vu);
    vu_expect_works(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_SPLIT(test_class_04_size_and_offset_overflow),
        VU_SPLIT(test_class_04_addresses_wrap_around),
        VU_SPLIT(test_vu_region_overlap),
        VU_BOTH(test_vu_table_overlap_and_counts),
        VU_SPLIT(test_class_05_one_descriptor_more_than_fit),
        VU_SPLIT(test_class_05_failed_tables_leak_no_mapping),
        cmocka_unit_test(test_class_15_region_count_out_of_range),
        VU_SPLIT(test_vu_slots_are_limited),
        VU_SPLIT(test_vu_remove_what_is_not_there),
        VU_BOTH(test_class_01_ring_reaches_over_the_end),
        VU_BOTH(test_class_01_ring_over_a_seam),
        VU_BOTH(test_class_01_buffer_reaches_over_the_end),
        VU_BOTH(test_vu_region_with_an_offset),
        VU_BOTH(test_vu_read_only_region),
        VU_BOTH(test_vu_memory_changes_while_running),
        VU_BOTH(test_class_17_memory_is_kept_while_in_flight),
        VU_BOTH(test_vu_table_replaced_while_running),
        VU_SPLIT(test_vu_file_is_extended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
