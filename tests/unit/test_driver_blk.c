/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of the blk driver against a fake device: what it reads of the configuration, what its requests look
 * like byte by byte, what it refuses to send, and what it makes of answers, honest or not.
 */
#include "fake_device.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/driver_blk.h"

#define REQUESTS     8u
#define QUEUE_SIZE   64u
#define CAPACITY     2048u
#define ALL_FEATURES (BH_F_VERSION_1 | BH_DRIVER_BLK_FEATURES | BH_F_EVENT_IDX | BH_F_INDIRECT_DESC)

struct fixture {
    struct fake_device device;
    struct bh_driver_blk blk;
    struct bh_driver_queue queues[FAKE_QUEUES];
    struct bh_driver_slot slots[FAKE_QUEUES * QUEUE_SIZE];
    struct bh_driver_blk_request requests[REQUESTS];
    struct bh_driver_blk_setup setup;
    uint32_t done;
    int result;
};

static void config(struct fixture *f, size_t offset, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        f->device.config[offset + i] = (uint8_t)(value >> (8 * i));
    }
}

/* A device that can everything, with all its limits set. */
static void prepare(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    fake_init(&f->device);
    f->device.offered = ALL_FEATURES & ~BH_BLK_F_RO;
    config(f, 0, CAPACITY, 8);
    config(f, 8, 8192, 4);  /* size_max */
    config(f, 12, 5, 4);    /* seg_max */
    config(f, 20, 4096, 4); /* blk_size */
    config(f, 34, 3, 2);    /* num_queues */
    config(f, 36, 1024, 4); /* max_discard_sectors */
    config(f, 40, 16, 4);   /* max_discard_seg */
    config(f, 48, 512, 4);  /* max_write_zeroes_sectors */
    config(f, 52, 1, 4);    /* max_write_zeroes_seg */
    config(f, 60, 2048, 4); /* max_secure_erase_sectors */
    config(f, 64, 1000, 4); /* max_secure_erase_seg */
    f->setup = (struct bh_driver_blk_setup){
        .transport = &f->device.transport,
        .dma = &f->device.dma,
        .queues = f->queues,
        .slots = f->slots,
        .requests = f->requests,
        .request_count = REQUESTS,
        .queue_count = 2,
        .queue_size = QUEUE_SIZE,
        .indirect_max = 0,
        .features = ALL_FEATURES,
    };
}

static void open_blk(struct fixture *f)
{
    prepare(f);
    assert_int_equal(bh_driver_blk_init(&f->blk, &f->setup), BH_OK);
}

static void close_blk(struct fixture *f)
{
    fake_finish(&f->device);
}

static void done(struct bh_driver_blk_request *request, int result)
{
    struct fixture *f = request->context;

    f->done++;
    f->result = result;
}

static struct bh_driver_blk_request *take(struct fixture *f)
{
    struct bh_driver_blk_request *request = bh_driver_blk_take(&f->blk);

    assert_non_null(request);
    request->done = done;
    request->context = f;
    return request;
}

static uint64_t data_at(const struct fixture *f, uint64_t offset)
{
    (void)f;
    return FAKE_ADDRESS + FAKE_MEMORY / 2 + offset;
}

/* Shows what was started on queue 0 and takes it as the device. */
static void pop(struct fixture *f, struct fake_chain *chain)
{
    assert_int_equal(bh_driver_blk_publish(&f->blk, 0), BH_OK);
    assert_true(fake_pop(&f->device, 0, chain));
}

static void assert_header(struct fixture *f, const struct fake_chain *chain, uint32_t type,
                          uint64_t sector)
{
    const struct fake_element *last = &chain->elements[chain->count - 1];

    assert_int_equal(chain->elements[0].length, 16);
    assert_false(chain->elements[0].writable);
    assert_int_equal(fake_get(&f->device, chain->elements[0].address, 4), type);
    assert_int_equal(fake_get(&f->device, chain->elements[0].address + 4, 4), 0);
    assert_true(fake_get(&f->device, chain->elements[0].address + 8, 8) == sector);
    assert_int_equal(last->length, 1);
    assert_true(last->writable);
}

/* Answers the chain; returns what the caller was told. */
static int answer(struct fixture *f, const struct fake_chain *chain, uint8_t status,
                  uint32_t written)
{
    uint32_t before = f->done;

    fake_put(&f->device, chain->elements[chain->count - 1].address, status, 1);
    fake_push(&f->device, 0, chain->id, written, chain->slots);
    assert_int_equal(bh_driver_blk_poll(&f->blk, 0), 1);
    assert_int_equal(f->done, before + 1);
    return f->result;
}

static void test_configuration(void **state)
{
    struct fixture f;

    (void)state;
    open_blk(&f);
    assert_int_equal(f.device.status, 15);
    assert_true(f.blk.capacity == CAPACITY);
    assert_int_equal(f.blk.block_size, 4096);
    assert_int_equal(f.blk.size_max, 8192);
    assert_int_equal(f.blk.seg_max, 5);
    assert_int_equal(f.blk.queue_count, 2);
    assert_int_equal(f.blk.discard.sectors, 1024);
    assert_int_equal(f.blk.discard.segments, 16);
    assert_int_equal(f.blk.write_zeroes.sectors, 512);
    assert_int_equal(f.blk.write_zeroes.segments, 1);
    assert_int_equal(f.blk.secure_erase.sectors, 2048);
    assert_int_equal(f.blk.secure_erase.segments, 16);
    assert_true(f.device.queues[0].running);
    assert_true(f.device.queues[1].running);
    assert_false(f.device.queues[2].running);
    config(&f, 0, 77, 8);
    assert_int_equal(bh_driver_blk_refresh(&f.blk), BH_OK);
    assert_true(f.blk.capacity == 77);
    close_blk(&f);
}

/* Without a feature, its field is not believed (VIRTIO 1.4, 5.2.4). */
static void test_configuration_without_features(void **state)
{
    struct fixture f;

    (void)state;
    prepare(&f);
    f.device.offered = BH_F_VERSION_1;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_OK);
    assert_int_equal(f.blk.block_size, 512);
    assert_int_equal(f.blk.size_max, 0);
    assert_int_equal(f.blk.seg_max, 32);
    assert_int_equal(f.blk.queue_count, 1);
    assert_int_equal(f.blk.discard.sectors, 0);
    assert_int_equal(f.blk.write_zeroes.sectors, 0);
    assert_int_equal(f.blk.secure_erase.sectors, 0);
    close_blk(&f);
}

static void test_configuration_that_makes_no_sense(void **state)
{
    const struct {
        size_t offset;
        uint64_t value;
        unsigned bytes;
    } cases[] = {{20, 0, 4}, {20, 256, 4}, {20, 1536, 4}, {34, 0, 2}};

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;

        prepare(&f);
        config(&f, cases[i].offset, cases[i].value, cases[i].bytes);
        assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_PROTOCOL);
        assert_int_equal(f.device.status & BH_STATUS_FAILED, BH_STATUS_FAILED);
        close_blk(&f);
    }
}

static void test_refused_devices(void **state)
{
    struct fixture f;

    (void)state;
    prepare(&f);
    f.device.id = BH_ID_NET;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_UNSUPPORTED);
    assert_int_equal(f.device.history_count, 0); /* it was left alone */
    f.device.id = BH_ID_BLK;
    f.device.start_error = BH_GONE;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_GONE);
    assert_int_equal(f.device.status & BH_STATUS_FAILED, BH_STATUS_FAILED);
    f.setup.request_count = 0;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_INVALID);
    f.setup.request_count = REQUESTS;
    f.setup.queue_count = 0;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_INVALID);
    close_blk(&f);
    prepare(&f);
    f.device.dma.size = 1024;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_NO_MEMORY);
    close_blk(&f);
}

/* A device that offers more than 32 segments, or none. */
static void test_segment_limits(void **state)
{
    struct fixture f;

    (void)state;
    prepare(&f);
    config(&f, 12, 0xffffffff, 4);
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_OK);
    assert_int_equal(f.blk.seg_max, 32);
    close_blk(&f);
    prepare(&f);
    config(&f, 12, 0, 4);
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_OK);
    assert_int_equal(f.blk.seg_max, 1);
    close_blk(&f);
}

static void test_read(void **state)
{
    struct fixture f;
    struct fake_chain chain;

    (void)state;
    open_blk(&f);
    const struct bh_buffer data[] = {{data_at(&f, 0), 1000}, {data_at(&f, 4096), 24}};

    assert_int_equal(bh_driver_blk_read(&f.blk, 0, take(&f), 7, data, 2), BH_OK);
    assert_false(fake_pop(&f.device, 0, &chain));
    pop(&f, &chain);
    assert_int_equal(chain.count, 4);
    assert_header(&f, &chain, BH_BLK_T_IN, 7);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(chain.elements[1 + i].address == data[i].address);
        assert_int_equal(chain.elements[1 + i].length, data[i].length);
        assert_true(chain.elements[1 + i].writable);
    }
    assert_int_equal(answer(&f, &chain, 0, 1025), BH_OK);
    close_blk(&f);
}

static void test_write_and_flush(void **state)
{
    struct fixture f;
    struct fake_chain chain;

    (void)state;
    open_blk(&f);
    const struct bh_buffer data = {data_at(&f, 0), 8192};

    assert_int_equal(bh_driver_blk_write(&f.blk, 0, take(&f), CAPACITY - 16, &data, 1), BH_OK);
    pop(&f, &chain);
    assert_int_equal(chain.count, 3);
    assert_header(&f, &chain, BH_BLK_T_OUT, CAPACITY - 16);
    assert_false(chain.elements[1].writable);
    assert_int_equal(answer(&f, &chain, 0, 1), BH_OK);
    assert_int_equal(bh_driver_blk_flush(&f.blk, 0, take(&f)), BH_OK);
    pop(&f, &chain);
    assert_int_equal(chain.count, 2);
    assert_header(&f, &chain, BH_BLK_T_FLUSH, 0);
    assert_int_equal(answer(&f, &chain, 0, 1), BH_OK);
    close_blk(&f);
}

static void test_segments(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    const uint32_t types[] = {BH_BLK_T_DISCARD, BH_BLK_T_SECURE_ERASE, BH_BLK_T_WRITE_ZEROES};
    const struct bh_blk_segment segments[] = {{1, 2, 0}, {CAPACITY - 512, 512, 1}};

    (void)state;
    open_blk(&f);
    for (unsigned i = 0; i < 3; i++) {
        uint16_t count = types[i] == BH_BLK_T_WRITE_ZEROES ? 1 : 2;
        struct bh_driver_blk_request *request = take(&f);

        assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, types[i], segments, count),
                         BH_OK);
        pop(&f, &chain);
        assert_int_equal(chain.count, 3);
        assert_header(&f, &chain, types[i], 0);
        assert_int_equal(chain.elements[1].length, 16 * count);
        for (unsigned s = 0; s < count; s++) {
            uint64_t at = chain.elements[1].address + 16 * s;

            assert_true(fake_get(&f.device, at, 8) == segments[s].sector);
            assert_int_equal(fake_get(&f.device, at + 8, 4), segments[s].sector_count);
            assert_int_equal(fake_get(&f.device, at + 12, 4), segments[s].flags);
        }
        assert_int_equal(answer(&f, &chain, 0, 1), BH_OK);
        bh_driver_blk_give(&f.blk, request);
    }
    close_blk(&f);
}

static void test_queries(void **state)
{
    struct fixture f;
    struct fake_chain chain;

    (void)state;
    open_blk(&f);
    struct bh_buffer data = {data_at(&f, 0), 20};

    assert_int_equal(bh_driver_blk_query(&f.blk, 0, take(&f), BH_BLK_T_GET_ID, &data), BH_OK);
    pop(&f, &chain);
    assert_header(&f, &chain, BH_BLK_T_GET_ID, 0);
    assert_int_equal(chain.elements[1].length, 20);
    assert_int_equal(answer(&f, &chain, 0, 21), BH_OK);
    data.length = 6;
    assert_int_equal(bh_driver_blk_query(&f.blk, 0, take(&f), BH_BLK_T_GET_LIFETIME, &data), BH_OK);
    pop(&f, &chain);
    assert_header(&f, &chain, BH_BLK_T_GET_LIFETIME, 0);
    assert_int_equal(answer(&f, &chain, 2, 7), BH_UNSUPPORTED);
    assert_int_equal(bh_driver_blk_query(&f.blk, 0, take(&f), BH_BLK_T_GET_ID, &data), BH_INVALID);
    assert_int_equal(bh_driver_blk_query(&f.blk, 0, take(&f), BH_BLK_T_IN, &data), BH_UNSUPPORTED);
    f.blk.features &= ~BH_BLK_F_LIFETIME;
    assert_int_equal(bh_driver_blk_query(&f.blk, 0, take(&f), BH_BLK_T_GET_LIFETIME, &data),
                     BH_UNSUPPORTED);
    close_blk(&f);
}

/* What is out of bounds or limits is refused here, not by the device. */
static void test_refused_transfers(void **state)
{
    struct fixture f;
    struct fake_chain chain;

    (void)state;
    open_blk(&f);
    struct bh_driver_blk_request *request = take(&f);
    const uint64_t at = data_at(&f, 0);
    const struct {
        uint64_t sector;
        uint32_t length;
        uint16_t count;
        uint16_t queue;
        int expected;
    } cases[] = {
        {CAPACITY, 512, 1, 0, BH_INVALID},   {CAPACITY - 1, 1024, 1, 0, BH_INVALID},
        {UINT64_MAX, 512, 1, 0, BH_INVALID}, {UINT64_MAX - 1, 1024, 2, 0, BH_INVALID},
        {0, 511, 1, 0, BH_INVALID},          {0, 0, 1, 0, BH_INVALID},
        {0, 512, 0, 0, BH_INVALID},          {0, 512, 1, 2, BH_INVALID},
        {0, 8704, 1, 0, BH_LIMIT},           {0, 512, 6, 0, BH_LIMIT},
        {0, 512, 0xffff, 0, BH_LIMIT},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bh_buffer data[6];

        for (unsigned n = 0; n < 6; n++) {
            data[n] = (struct bh_buffer){at, cases[i].length};
        }
        assert_int_equal(bh_driver_blk_read(&f.blk, cases[i].queue, request, cases[i].sector, data,
                                            cases[i].count),
                         cases[i].expected);
        assert_int_equal(bh_driver_blk_write(&f.blk, cases[i].queue, request, cases[i].sector, data,
                                             cases[i].count),
                         cases[i].expected);
    }
    assert_int_equal(bh_driver_blk_flush(&f.blk, 2, request), BH_INVALID);
    assert_int_equal(bh_driver_blk_publish(&f.blk, 2), BH_INVALID);
    assert_int_equal(bh_driver_blk_poll(&f.blk, 2), BH_INVALID);
    assert_int_equal(bh_driver_blk_publish(&f.blk, 0), BH_OK);
    assert_false(fake_pop(&f.device, 0, &chain));
    close_blk(&f);
}

/* The sum of the elements is more than a chain may hold. */
static void test_refused_sum(void **state)
{
    struct fixture f;

    (void)state;
    prepare(&f);
    f.device.offered &= ~BH_BLK_F_SIZE_MAX;
    config(&f, 0, UINT64_MAX, 8);
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_OK);
    const struct bh_buffer data[] = {{data_at(&f, 0), 0xfffffe00}, {data_at(&f, 0), 512}};

    assert_int_equal(bh_driver_blk_read(&f.blk, 0, take(&f), 0, data, 2), BH_LIMIT);
    close_blk(&f);
}

static void test_refused_segments(void **state)
{
    struct fixture f;
    struct bh_blk_segment segments[17] = {{0, 1, 0}};

    (void)state;
    open_blk(&f);
    struct bh_driver_blk_request *request = take(&f);

    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, segments, 0),
                     BH_INVALID);
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, segments, 17),
                     BH_LIMIT);
    assert_int_equal(
        bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_SECURE_ERASE, segments, 17),
        BH_LIMIT); /* the device said 1000, the request has room for 16 */
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_OUT, segments, 1),
                     BH_UNSUPPORTED);
    segments[0].sector_count = 1025;
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, segments, 1),
                     BH_LIMIT);
    segments[0] = (struct bh_blk_segment){CAPACITY - 1, 2, 0};
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, segments, 1),
                     BH_INVALID);
    f.blk.discard.sectors = 0;
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, segments, 1),
                     BH_UNSUPPORTED);
    close_blk(&f);
}

static void test_read_only(void **state)
{
    struct fixture f;
    const struct bh_blk_segment segment = {0, 1, 0};

    (void)state;
    prepare(&f);
    f.device.offered |= BH_BLK_F_RO;
    assert_int_equal(bh_driver_blk_init(&f.blk, &f.setup), BH_OK);
    const struct bh_buffer data = {data_at(&f, 0), 512};
    struct bh_driver_blk_request *request = take(&f);

    assert_int_equal(bh_driver_blk_write(&f.blk, 0, request, 0, &data, 1), BH_DENIED);
    assert_int_equal(bh_driver_blk_segments(&f.blk, 0, request, BH_BLK_T_DISCARD, &segment, 1),
                     BH_DENIED);
    assert_int_equal(bh_driver_blk_read(&f.blk, 0, request, 0, &data, 1), BH_OK);
    f.blk.features &= ~BH_BLK_F_FLUSH;
    assert_int_equal(bh_driver_blk_flush(&f.blk, 0, request), BH_UNSUPPORTED);
    close_blk(&f);
}

/* Status bytes and lengths, honest and not. */
static void test_answers(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    const struct {
        uint8_t status;
        uint32_t written;
        int expected;
    } cases[] = {
        {0, 513, BH_OK},        {1, 513, BH_IO},       {1, 0, BH_IO},
        {2, 1, BH_UNSUPPORTED}, {3, 513, BH_PROTOCOL}, {0xff, 513, BH_PROTOCOL},
        {0, 512, BH_PROTOCOL},  {0, 0, BH_PROTOCOL},
    };

    (void)state;
    open_blk(&f);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct bh_buffer data = {data_at(&f, 0), 512};
        struct bh_driver_blk_request *request = take(&f);

        assert_int_equal(bh_driver_blk_read(&f.blk, 0, request, 0, &data, 1), BH_OK);
        pop(&f, &chain);
        /* Unanswered, it is no success: an old status must not pass for a new one. */
        assert_int_equal(fake_get(&f.device, chain.elements[2].address, 1), 0xff);
        assert_int_equal(answer(&f, &chain, cases[i].status, cases[i].written), cases[i].expected);
        bh_driver_blk_give(&f.blk, request);
    }
    close_blk(&f);
}

static void test_poll_of_a_liar(void **state)
{
    struct fixture f;

    (void)state;
    open_blk(&f);
    const struct bh_buffer data = {data_at(&f, 0), 512};

    assert_int_equal(bh_driver_blk_read(&f.blk, 0, take(&f), 0, &data, 1), BH_OK);
    assert_int_equal(bh_driver_blk_publish(&f.blk, 0), BH_OK);
    fake_split_entry(&f.device, 0, 0, 0, 514);
    fake_split_index(&f.device, 0, 1);
    assert_int_equal(bh_driver_blk_poll(&f.blk, 0), BH_PROTOCOL);
    assert_int_equal(f.done, 0);
    close_blk(&f);
}

static void test_requests_run_out(void **state)
{
    struct fixture f;
    struct bh_driver_blk_request *taken[REQUESTS];

    (void)state;
    open_blk(&f);
    for (unsigned i = 0; i < REQUESTS; i++) {
        taken[i] = take(&f);
        for (unsigned n = 0; n < i; n++) {
            assert_ptr_not_equal(taken[i], taken[n]);
            assert_ptr_not_equal(taken[i]->shared, taken[n]->shared);
        }
        assert_int_equal((uintptr_t)taken[i]->shared % 64, 0);
    }
    assert_null(bh_driver_blk_take(&f.blk));
    bh_driver_blk_give(&f.blk, taken[3]);
    assert_ptr_equal(bh_driver_blk_take(&f.blk), taken[3]);
    close_blk(&f);
}

/* A callback may start the next operation at once. */
static void again(struct bh_driver_blk_request *request, int result)
{
    struct fixture *f = request->context;

    f->done++;
    assert_int_equal(result, BH_OK);
    assert_int_equal(bh_driver_blk_flush(&f->blk, 0, request), BH_OK);
}

static void test_start_from_done(void **state)
{
    struct fixture f;
    struct fake_chain chain;
    struct bh_driver_blk_request *request;

    (void)state;
    open_blk(&f);
    request = take(&f);
    request->done = again;
    assert_int_equal(bh_driver_blk_flush(&f.blk, 0, request), BH_OK);
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++) {
        pop(&f, &chain);
        fake_put(&f.device, chain.elements[1].address, 0, 1);
        fake_push(&f.device, 0, chain.id, 1, chain.slots);
        assert_int_equal(bh_driver_blk_poll(&f.blk, 0), 1);
    }
    assert_int_equal(f.done, 3 * QUEUE_SIZE);
    close_blk(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_configuration_without_features),
        cmocka_unit_test(test_configuration_that_makes_no_sense),
        cmocka_unit_test(test_refused_devices),
        cmocka_unit_test(test_segment_limits),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_write_and_flush),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_refused_transfers),
        cmocka_unit_test(test_refused_sum),
        cmocka_unit_test(test_refused_segments),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_poll_of_a_liar),
        cmocka_unit_test(test_requests_run_out),
        cmocka_unit_test(test_start_from_done),
    };

    return cmocka_run_group_tests_name("driver_blk", tests, NULL, NULL);
}
