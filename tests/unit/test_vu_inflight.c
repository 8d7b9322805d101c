/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The in-flight region as hostile input: sizes that do not fit, and contents of every kind. What a
 * good region is good for is tested in test_vu_crash.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vu_rig.h"

#define REGION 4096u

static uint64_t set(struct vu *vu, struct bh_vu_inflight where, int fd)
{
    return vu_ack(vu, BH_VU_SET_INFLIGHT_FD, &where, BH_VU_INFLIGHT_SIZE, &fd, 1);
}

static void test_vu_inflight_description(void **state)
{
    struct vu *vu = *state;
    /* As every back end lays it out: a header, the entries, rounded up to 64 bytes a queue. */
    uint64_t each = vu->guest.packed ? 320 : 192;
    uint64_t ours =
        vu->guest.packed ? 32 + 32 + 32 * GUEST_QUEUE_MAX : 48 + 16 + 16 * GUEST_QUEUE_MAX;
    int file = vu_memfd(REGION, true);
    struct bh_vu_inflight good = {.mmap_size = 3 * each, .queue_count = 3, .queue_size = 8};
    struct bh_vu_inflight bad;

    vu_negotiate(vu, 0);
    vu_inflight_get(vu, 20);
    /* What is made here has room for the longest ring. */
    assert_int_equal(vu->inflight_where.mmap_size, 3 * ours);
    assert_int_equal(vu->inflight_where.mmap_offset, 0);
    assert_int_equal(set(vu, good, file), 0);
    good.mmap_offset = 8;
    assert_int_equal(set(vu, good, file), 0);
    bad = good;
    bad.mmap_size--;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad = good;
    bad.queue_size = 16;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad = good;
    bad.queue_count = 4;
    bad.mmap_size = REGION / 2;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad.queue_count = 0;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad = good;
    bad.queue_size = 0;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad = good;
    bad.mmap_offset = 4;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad.mmap_offset = REGION;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad.mmap_offset = UINT64_MAX - 7;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad.mmap_offset = UINT64_C(1) << 63;
    assert_int_not_equal(set(vu, bad, file), 0);
    bad = good;
    bad.mmap_size = UINT64_MAX;
    assert_int_not_equal(set(vu, bad, file), 0);
    vu_expect_open(vu);
    (void)close(file);
}

/* QEMU asks for the size of its device, and lets the guest on virtio-mmio choose a longer ring. */
static void test_vu_ring_longer_than_the_front_end_said(void **state)
{
    struct vu *vu = *state;

    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_inflight_get(vu, 24);
    vu_inflight_set(vu);
    vu->guest.size = 32;
    vu_ring(vu, 0);
    for (unsigned i = 0; i < 40; i++) {
        vu_expect_works(vu);
    }
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
}

static void get_refused(uint16_t queue_count, uint16_t queue_size)
{
    struct vu *vu = malloc(sizeof(*vu));
    struct bh_vu_inflight wanted = {.queue_count = queue_count, .queue_size = queue_size};
    unsigned before;

    assert_non_null(vu);
    vu_init(vu, false);
    before = vu_count_fds();
    vu_negotiate(vu, 0);
    vu_tell(vu, BH_VU_GET_INFLIGHT_FD, &wanted, BH_VU_INFLIGHT_SIZE, NULL, 0);
    vu_expect_refused(vu);
    assert_int_equal(vu_count_fds(), before - 1);
    vu_finish(vu);
    free(vu);
}

static void test_class_18_inflight_region_is_bounded(void **state)
{
    (void)state;
    get_refused(0, 8);
    get_refused(VU_RINGS + 1, 8);
    get_refused(UINT16_MAX, UINT16_MAX);
    get_refused(1, 0);
    get_refused(1, GUEST_QUEUE_MAX + 1);
    get_refused(1, UINT16_MAX);
}

/* ---- contents ---- */

/* A region that both sides map. */
struct region {
    int fd;
    uint8_t *bytes;
};

static struct region make_region(void)
{
    struct region region = {.fd = vu_memfd(REGION, true)};

    region.bytes = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, region.fd, 0);
    assert_true(region.bytes != MAP_FAILED);
    return region;
}

static void drop_region(struct region *region)
{
    (void)munmap(region->bytes, REGION);
    (void)close(region->fd);
}

/* Starts ring 0 on the region as it is; whether it runs. Then it is stopped again, and the region
 * is as it was. */
static bool starts(struct vu *vu, const struct region *region)
{
    struct bh_vu_inflight where = {.mmap_size = REGION, .queue_count = 3, .queue_size = 8};
    uint32_t faults = vu->notices[BH_VU_EVENT_FAULT];
    uint8_t bytes[REGION];
    bool started;

    memcpy(bytes, region->bytes, REGION);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
    memcpy(region->bytes, bytes, REGION);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    assert_int_equal(set(vu, where, region->fd), 0);
    vu_ring(vu, 0);
    vu_expect_open(vu);
    started = vu->notices[BH_VU_EVENT_FAULT] == faults;
    (void)vu_ask_base(vu, 0);
    vu_expect_open(vu);
    memcpy(region->bytes, bytes, REGION);
    return started;
}

static void prepare(struct vu *vu)
{
    vu_negotiate(vu, 0);
    vu_memory(vu);
}

static void test_class_16_split_region_broken(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    struct bh_vu_inflight_split *header = (void *)region.bytes;
    struct bh_vu_inflight_split_desc *descs = (void *)(header + 1);
    const struct bh_vu_inflight_split good = {.version = 1, .desc_count = 8};

    prepare(vu);
    assert_true(starts(vu, &region));
    *header = good;
    assert_true(starts(vu, &region));

    *header = good;
    header->version = 2;
    assert_false(starts(vu, &region));
    *header = good;
    header->desc_count = 7;
    assert_false(starts(vu, &region));
    header->desc_count = 0xffff;
    assert_false(starts(vu, &region));

    /* In flight, and the last batch leads outside or is longer than the ring. */
    memset(region.bytes, 0, REGION);
    *header = good;
    descs[1].inflight = 1;
    header->used_index = 0xffff;
    header->last_batch_head = 8;
    assert_false(starts(vu, &region));
    header->last_batch_head = 0;
    header->used_index = 0xfffe;
    descs[0].next = 0xffff;
    assert_false(starts(vu, &region));
    header->used_index = 0x8000;
    assert_false(starts(vu, &region));
    descs[0].next = 0;
    assert_false(starts(vu, &region));
    assert_string_equal(vu->detail, "in-flight region does not fit the used ring");
    /* A loop is not walked for ever, and is none of our worry. */
    header->used_index = 0xfff8;
    (void)starts(vu, &region);
    drop_region(&region);
}

/* Entries behind a ring that is shorter than its region. */
static void test_class_16_split_entry_outside_the_ring(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    struct bh_vu_inflight_split *header = (void *)region.bytes;
    struct bh_vu_inflight_split_desc *descs = (void *)(header + 1);

    prepare(vu);
    header->version = 1;
    header->desc_count = 8;
    descs[5].inflight = 1;
    vu->guest.size = 4;
    assert_false(starts(vu, &region));
    assert_string_equal(vu->detail, "in-flight entry outside the ring");
    descs[5].inflight = 0;
    assert_true(starts(vu, &region));
    /* And a ring longer than its region. */
    vu->guest.size = 16;
    assert_false(starts(vu, &region));
    drop_region(&region);
}

/* The journal as it is after one chain of two descriptors was popped. */
static void packed_in_flight(uint8_t *bytes)
{
    struct bh_vu_inflight_packed *header = (void *)bytes;
    struct bh_vu_inflight_packed_desc *descs = (void *)(header + 1);

    memset(bytes, 0, REGION);
    header->version = 1;
    header->desc_count = 8;
    header->free_head = 2;
    header->old_free_head = 2;
    header->used_wrap = 1;
    header->old_used_wrap = 1;
    for (uint16_t i = 0; i < 8; i++) {
        descs[i].next = (uint16_t)(i + 1);
    }
    for (uint16_t i = 0; i < 2; i++) {
        descs[i].address = GUEST_DATA;
        descs[i].length = 16;
        descs[i].flags = i == 0 ? BH_DESC_NEXT : BH_DESC_WRITE;
    }
    descs[0].inflight = 1;
    descs[0].count = 2;
    descs[0].last = 1;
}

static void test_class_16_packed_region_broken(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    struct bh_vu_inflight_packed *header = (void *)region.bytes;
    struct bh_vu_inflight_packed_desc *descs = (void *)(header + 1);

    prepare(vu);
    packed_in_flight(region.bytes);
    assert_true(starts(vu, &region));

/* Breaks one field of the good region. */
#define BROKEN(field, value)                                                                       \
    do {                                                                                           \
        packed_in_flight(region.bytes);                                                            \
        (field) = (value);                                                                         \
        assert_false(starts(vu, &region));                                                         \
        assert_non_null(strstr(vu->detail, "in-flight region"));                                   \
    } while (0)
    BROKEN(header->version, 2);
    BROKEN(header->desc_count, 9);
    BROKEN(header->free_head, 9);
    BROKEN(header->old_free_head, 0xffff);
    BROKEN(header->used_index, 8);
    BROKEN(header->old_used_index, 0x8000);
    BROKEN(header->used_wrap, 2);
    BROKEN(header->old_used_wrap, 0xff);
    BROKEN(header->old_free_head, 3);
    BROKEN(header->old_free_head, 1);
    BROKEN(descs[0].count, 0);
    BROKEN(descs[0].count, 3);
    BROKEN(descs[0].count, 0xffff);
    BROKEN(descs[0].last, 0);
    BROKEN(descs[0].last, 0xffff);
    BROKEN(descs[0].next, 0);
    BROKEN(descs[0].next, 2);
    BROKEN(descs[0].next, 0xffff);
    BROKEN(descs[1].inflight, 1);
    BROKEN(descs[7].next, 2);
    BROKEN(descs[5].next, 5);
    BROKEN(descs[5].next, 0xffff);
    BROKEN(descs[0].inflight, 0);
#undef BROKEN
    /* A descriptor of two chains, and one of none: the sum is right. */
    packed_in_flight(region.bytes);
    descs[1].inflight = 1;
    descs[1].count = 1;
    descs[1].last = 1;
    descs[6].next = 8;
    assert_false(starts(vu, &region));
    assert_string_equal(vu->detail, "in-flight region contradicts itself");
    /* What is recorded is checked like anything that a guest writes. */
    packed_in_flight(region.bytes);
    descs[1].address = GUEST_HOLE;
    assert_false(starts(vu, &region));
    drop_region(&region);
}

/* Noise, and good regions with a few bytes of noise. Whatever comes of it, the process lives, the
 * connection stays, and a fresh region works. */
static void test_class_16_region_of_noise(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    uint32_t seed = 12345;

    prepare(vu);
    for (unsigned round = 0; round < 2000; round++) {
        unsigned count = 1 + round % 6;

        memset(region.bytes, 0, REGION);
        if (vu->guest.packed) {
            packed_in_flight(region.bytes);
        } else {
            region.bytes[8] = 1;
            region.bytes[10] = 8;
            region.bytes[16] = 1;
        }
        if (round % 50 == 0) {
            count = 512;
        }
        for (unsigned i = 0; i < count; i++) {
            seed = seed * 1664525u + 1013904223u;
            region.bytes[(seed >> 8) % 320] = (uint8_t)(seed >> 24);
        }
        region.bytes[8] = 1;
        region.bytes[9] = 0;
        (void)starts(vu, &region);
    }
    memset(region.bytes, 0, REGION);
    memset(vu->map, 0, VU_MEMORY);
    assert_true(starts(vu, &region));
    drop_region(&region);
}

/* The region was made for split rings, and now they are packed: nothing is written outside it. */
static void test_class_13_format_changes_after_the_region(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    struct bh_vu_inflight where = {.mmap_size = 192, .queue_count = 1, .queue_size = 8};
    static const uint8_t zero[REGION];

    vu->guest.packed = false;
    prepare(vu);
    assert_int_equal(set(vu, where, region.fd), 0);
    vu->guest.packed = true;
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_ring(vu, 0);
    vu_expect_works(vu);
    assert_memory_equal(region.bytes, zero, REGION);
    drop_region(&region);
}

/* Written over while the ring runs: this process believes its own copy. */
static void test_class_16_region_rewritten_while_running(void **state)
{
    struct vu *vu = *state;
    struct region region = make_region();
    struct bh_vu_inflight where = {.mmap_size = REGION, .queue_count = 3, .queue_size = 8};

    prepare(vu);
    assert_int_equal(set(vu, where, region.fd), 0);
    vu_ring(vu, 0);
    for (unsigned i = 0; i < 256; i++) {
        memset(region.bytes, (int)i, REGION);
        vu_expect_works(vu);
        vu->echo.hold = true;
        vu_offer(vu, 2);
        vu_kick(vu, 0);
        memset(region.bytes, (int)(255 - i), REGION);
        assert_int_equal(echo_release(&vu->echo, 1), 1);
        bh_device_flush(&vu->echo.device);
        guest_expect_used(&vu->guest, 2, 1);
        vu->echo.hold = false;
    }
    vu_expect_open(vu);
    drop_region(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_BOTH(test_vu_inflight_description),
        VU_BOTH(test_vu_ring_longer_than_the_front_end_said),
        cmocka_unit_test(test_class_18_inflight_region_is_bounded),
        VU_SPLIT(test_class_16_split_region_broken),
        VU_SPLIT(test_class_16_split_entry_outside_the_ring),
        {"test_class_16_packed_region_broken", test_class_16_packed_region_broken, vu_setup_packed,
         vu_teardown, NULL},
        {"test_class_13_format_changes_after_the_region",
         test_class_13_format_changes_after_the_region, vu_setup_packed, vu_teardown, NULL},
        VU_BOTH(test_class_16_region_of_noise),
        VU_BOTH(test_class_16_region_rewritten_while_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
