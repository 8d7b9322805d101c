/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests of what drivers do before a queue runs: dma memory, the beginning of a device's life, consistent
 * configuration reads, and the virtio-mmio transport against a register page that notes every access.
 */
#include "fake_device.h"

#include <stdlib.h>
#include <string.h>

#include "bulkhead/virtio_mmio.h"

/* ---- dma ---- */

static void test_dma_take(void **state)
{
    uint8_t *memory = aligned_alloc(4096, 4096);
    struct bh_dma dma = {.base = memory, .address = UINT64_C(0x100000000), .size = 4096, .used = 0};

    (void)state;
    assert_non_null(memory);
    memset(memory, 0xff, 4096);
    assert_ptr_equal(bh_dma_take(&dma, 3, 1), memory);
    assert_int_equal(memory[2], 0);
    assert_int_equal(memory[3], 0xff);
    assert_ptr_equal(bh_dma_take(&dma, 1, 64), memory + 64);
    assert_null(bh_dma_take(&dma, 4096, 1));
    assert_null(bh_dma_take(&dma, SIZE_MAX, 1));
    dma.size = 4000;
    assert_null(bh_dma_take(&dma, 1, 4096)); /* the padding alone is too much */
    dma.size = 4096;
    assert_null(bh_dma_take(&dma, 1, 4096)); /* the padding is all that is left */
    assert_ptr_equal(bh_dma_take(&dma, 4096 - 128, 64), memory + 128);
    assert_null(bh_dma_take(&dma, 1, 1));
    assert_int_equal(dma.used, 4096);
    assert_true(bh_dma_address(&dma, memory + 64) == UINT64_C(0x100000040));
    free(memory);
}

/* Alignment holds on both sides, or there is no memory. */
static void test_dma_skew(void **state)
{
    uint8_t *memory = aligned_alloc(4096, 4096);
    struct bh_dma dma = {.base = memory, .address = 0x1008, .size = 4096, .used = 0};

    (void)state;
    assert_non_null(memory);
    assert_null(bh_dma_take(&dma, 16, 16));
    assert_int_equal(dma.used, 0);
    dma.base = memory + 8;
    dma.size = 4088;
    assert_ptr_equal(bh_dma_take(&dma, 16, 16), memory + 16);
    free(memory);
}

static void test_dma_holds(void **state)
{
    uint8_t memory[64] = {0};
    const struct bh_dma dma = {.base = memory + 16, .address = 0, .size = 32, .used = 0};

    (void)state;
    assert_true(bh_dma_holds(&dma, memory + 16, 32));
    assert_true(bh_dma_holds(&dma, memory + 48, 0));
    assert_false(bh_dma_holds(&dma, memory + 15, 1));
    assert_false(bh_dma_holds(&dma, memory + 16, 33));
    assert_false(bh_dma_holds(&dma, memory + 40, SIZE_MAX));
    assert_false(bh_dma_holds(&dma, memory + 49, 0));
}

/* ---- the beginning of a device's life ---- */

static void assert_history(const struct fake_device *device, const uint8_t *expected, size_t count)
{
    assert_int_equal(device->history_count, count);
    assert_memory_equal(device->history, expected, count);
}

static void test_begin_and_ready(void **state)
{
    struct fake_device device;
    const uint8_t expected[] = {0, 1, 3, 11, 15};
    uint64_t agreed = 0;

    (void)state;
    fake_init(&device);
    device.offered = BH_F_VERSION_1 | BH_F_EVENT_IDX | BH_F_RING_PACKED | 0x6;
    assert_int_equal(
        bh_transport_begin(&device.transport, BH_F_EVENT_IDX | BH_F_IN_ORDER | 2, 4, &agreed),
        BH_OK);
    assert_true(agreed == (BH_F_VERSION_1 | BH_F_EVENT_IDX | 6));
    assert_true(device.features == agreed);
    assert_int_equal(bh_transport_ready(&device.transport), BH_OK);
    assert_history(&device, expected, sizeof(expected));
    fake_finish(&device);
}

static void test_begin_without_what_is_needed(void **state)
{
    struct fake_device device;
    const uint8_t expected[] = {0, 1, 3, 0x83};
    const uint64_t offers[] = {BH_F_VERSION_1, 4};
    uint64_t agreed = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        fake_init(&device);
        device.offered = offers[i]; /* then without VERSION_1: legacy */
        assert_int_equal(bh_transport_begin(&device.transport, 0, i == 0 ? 4 : 0, &agreed),
                         BH_UNSUPPORTED);
        assert_history(&device, expected, sizeof(expected));
        assert_true(device.features == 0);
        fake_finish(&device);
    }
}

static void test_begin_refused(void **state)
{
    struct fake_device device;
    const uint8_t expected[] = {0, 1, 3, 11, 0x8b};
    uint64_t agreed = 77;

    (void)state;
    fake_init(&device);
    device.status_off = BH_STATUS_FEATURES_OK;
    assert_int_equal(bh_transport_begin(&device.transport, 0, 0, &agreed), BH_UNSUPPORTED);
    assert_history(&device, expected, sizeof(expected));
    assert_true(agreed == 77);
    fake_finish(&device);
}

static void test_config(void **state)
{
    struct fake_device device;
    uint32_t value = 0;

    (void)state;
    fake_init(&device);
    device.config[8] = 0x78;
    device.config[11] = 0x12;
    assert_int_equal(bh_transport_config(&device.transport, 8, &value, 4), BH_OK);
    assert_int_equal(BH_LE32(value), 0x12000078);
    device.generation_steps = 29; /* 14 tries see it change, the 15th begins with a last change */
    assert_int_equal(bh_transport_config(&device.transport, 8, &value, 4), BH_OK);
    assert_int_equal(device.generation_steps, 0);
    fake_finish(&device);
}

/* ---- mmio ---- */

#define PAGE_ACCESSES 64u

/* A register page: what was written is noted, what is read comes from a table. */
struct page {
    uint32_t registers[BH_MMIO_SIZE / 4];
    uint8_t config[0x100];
    uint32_t features[4];
    struct {
        bool write;
        uint32_t offset;
        uint32_t value;
        uint32_t size;
    } accesses[PAGE_ACCESSES];
    uint32_t count;
    uint32_t stuck;      /* reads of a busy register until it settles */
    bool drop_ready;     /* QUEUE_READY does not take */
    bool ready_stays_on; /* a queue reset leaves QUEUE_READY at 1 */
};

static void note(struct page *page, bool write, uint32_t offset, uint32_t value, uint32_t size)
{
    assert_true(page->count < PAGE_ACCESSES);
    page->accesses[page->count].write = write;
    page->accesses[page->count].offset = offset;
    page->accesses[page->count].value = value;
    page->accesses[page->count].size = size;
    page->count++;
}

static uint32_t page_value(struct page *page, uint32_t offset, uint32_t size)
{
    uint32_t value = 0;

    if (offset >= BH_MMIO_CONFIG) {
        for (uint32_t i = 0; i < size; i++) {
            value |= (uint32_t)page->config[offset - BH_MMIO_CONFIG + i] << (8 * i);
        }
        return value;
    }
    assert_int_equal(size, 4);
    if (offset == BH_MMIO_DEVICE_FEATURES) {
        return page->features[page->registers[BH_MMIO_DEVICE_FEATURES_SEL / 4]];
    }
    if ((offset == BH_MMIO_STATUS || offset == BH_MMIO_QUEUE_RESET) && page->stuck != 0) {
        page->stuck--;
        return 1;
    }
    if (offset == BH_MMIO_QUEUE_RESET) {
        return 0;
    }
    return page->registers[offset / 4];
}

static uint32_t page_read(void *context, uint32_t offset, uint32_t size)
{
    struct page *page = context;
    uint32_t value = page_value(page, offset, size);

    assert_int_equal(offset % size, 0);
    note(page, false, offset, value, size);
    return value;
}

static void page_write(void *context, uint32_t offset, uint32_t value, uint32_t size)
{
    struct page *page = context;

    assert_int_equal(offset % size, 0);
    note(page, true, offset, value, size);
    if (offset >= BH_MMIO_CONFIG) {
        for (uint32_t i = 0; i < size; i++) {
            page->config[offset - BH_MMIO_CONFIG + i] = (uint8_t)(value >> (8 * i));
        }
        return;
    }
    assert_int_equal(size, 4);
    if (offset == BH_MMIO_DRIVER_FEATURES) {
        page->features[2 + page->registers[BH_MMIO_DRIVER_FEATURES_SEL / 4]] = value;
    } else if (offset == BH_MMIO_QUEUE_READY && page->drop_ready) {
        /* not taken */
    } else if (offset == BH_MMIO_QUEUE_RESET) {
        page->registers[BH_MMIO_QUEUE_READY / 4] = page->ready_stays_on ? 1 : 0;
    } else {
        page->registers[offset / 4] = value;
    }
}

static struct bh_mmio_bus page_init(struct page *page)
{
    memset(page, 0, sizeof(*page));
    page->registers[BH_MMIO_MAGIC_VALUE / 4] = BH_MMIO_MAGIC;
    page->registers[BH_MMIO_VERSION / 4] = 2;
    page->registers[BH_MMIO_DEVICE_ID / 4] = BH_ID_BLK;
    page->registers[BH_MMIO_QUEUE_SIZE_MAX / 4] = 256;
    return (struct bh_mmio_bus){page_read, page_write, page};
}

static struct bh_transport *open_page(struct page *page, struct bh_mmio_transport *mmio)
{
    const struct bh_mmio_bus bus = page_init(page);

    assert_int_equal(bh_mmio_transport_init(mmio, &bus), BH_OK);
    mmio->spins = 8;
    page->count = 0;
    return &mmio->transport;
}

static void assert_access(const struct page *page, uint32_t i, bool write, uint32_t offset,
                          uint32_t value)
{
    assert_true(i < page->count);
    assert_int_equal(page->accesses[i].write, write);
    assert_int_equal(page->accesses[i].offset, offset);
    assert_int_equal(page->accesses[i].value, value);
}

/* VIRTIO 1.4, 4.2.3.1: magic, version, device id, and nothing else before they fit. */
static void test_mmio_probe(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_mmio_bus bus = page_init(&page);
    uint32_t id = 0;

    (void)state;
    assert_int_equal(bh_mmio_transport_init(&mmio, &bus), BH_OK);
    assert_int_equal(page.count, 3);
    assert_access(&page, 0, false, BH_MMIO_MAGIC_VALUE, BH_MMIO_MAGIC);
    assert_access(&page, 1, false, BH_MMIO_VERSION, 2);
    assert_access(&page, 2, false, BH_MMIO_DEVICE_ID, BH_ID_BLK);
    assert_int_equal(mmio.transport.ops->device_id(&mmio.transport, &id), BH_OK);
    assert_int_equal(id, BH_ID_BLK);

    bus = page_init(&page);
    page.registers[BH_MMIO_DEVICE_ID / 4] = 0;
    assert_int_equal(bh_mmio_transport_init(&mmio, &bus), BH_GONE);
    bus = page_init(&page);
    page.registers[BH_MMIO_VERSION / 4] = 1;
    assert_int_equal(bh_mmio_transport_init(&mmio, &bus), BH_UNSUPPORTED);
    assert_int_equal(page.count, 2);
    bus = page_init(&page);
    page.registers[BH_MMIO_MAGIC_VALUE / 4] = 0;
    assert_int_equal(bh_mmio_transport_init(&mmio, &bus), BH_UNSUPPORTED);
    assert_int_equal(page.count, 1);
}

static void test_mmio_features_and_status(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);
    uint64_t features = 0;
    uint8_t status = 0;

    (void)state;
    page.features[0] = 0x20000040;
    page.features[1] = 0x5;
    assert_int_equal(transport->ops->features_get(transport, &features), BH_OK);
    assert_true(features == UINT64_C(0x520000040));
    assert_int_equal(transport->ops->features_set(transport, UINT64_C(0x120000000)), BH_OK);
    assert_int_equal(page.features[2], 0x20000000);
    assert_int_equal(page.features[3], 0x1);
    assert_int_equal(transport->ops->status_set(transport, 11), BH_OK);
    assert_int_equal(transport->ops->status_get(transport, &status), BH_OK);
    assert_int_equal(status, 11);
    page.stuck = 7;
    assert_int_equal(transport->ops->status_set(transport, 0), BH_OK);
    assert_int_equal(page.stuck, 0);
}

/* VIRTIO 1.4, 4.2.2.2: 8-, 16- and 32-bit fields by accesses of that width, 64-bit ones by two. */
static void test_mmio_config_widths(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);
    const uint32_t cases[][4] = {/* offset, length, accesses, width */
                                 {0, 8, 2, 4},    {4, 8, 2, 4},   {8, 4, 1, 4},  {18, 2, 1, 2},
                                 {17, 1, 1, 1},   {17, 2, 2, 1},  {18, 4, 4, 1}, {20, 6, 6, 1},
                                 {0xfc, 4, 1, 4}, {0xff, 1, 1, 1}};

    (void)state;
    for (uint32_t i = 0; i < 0x100; i++) {
        page.config[i] = (uint8_t)(i * 7 + 1);
    }
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[8] = {0};
        uint8_t other[8];

        page.count = 0;
        assert_int_equal(transport->ops->config_read(transport, cases[i][0], bytes, cases[i][1]),
                         BH_OK);
        assert_memory_equal(bytes, &page.config[cases[i][0]], cases[i][1]);
        assert_int_equal(page.count, cases[i][2]);
        for (uint32_t n = 0; n < page.count; n++) {
            assert_int_equal(page.accesses[n].size, cases[i][3]);
            assert_int_equal(page.accesses[n].offset,
                             BH_MMIO_CONFIG + cases[i][0] + n * cases[i][3]);
        }
        page.count = 0;
        for (unsigned n = 0; n < 8; n++) {
            other[n] = (uint8_t)~bytes[n];
        }
        assert_int_equal(transport->ops->config_write(transport, cases[i][0], other, cases[i][1]),
                         BH_OK);
        assert_memory_equal(other, &page.config[cases[i][0]], cases[i][1]);
        assert_int_equal(page.count, cases[i][2]);
        assert_int_equal(page.accesses[0].size, cases[i][3]);
        assert_int_equal(transport->ops->config_write(transport, cases[i][0], bytes, cases[i][1]),
                         BH_OK);
    }
    page.count = 0;
    assert_int_equal(transport->ops->config_read(transport, 0xfd, page.config, 4), BH_INVALID);
    assert_int_equal(transport->ops->config_read(transport, UINT32_MAX, page.config, 4),
                     BH_INVALID);
    assert_int_equal(transport->ops->config_write(transport, 1, page.config, UINT32_MAX),
                     BH_INVALID);
    assert_int_equal(page.count, 0);
}

static void test_mmio_queue_start(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);
    struct bh_queue_areas areas = {UINT64_C(0x1122334455667000), UINT64_C(0x99aabbcc00010000),
                                   UINT64_C(0x0102030405060000), 64};
    uint16_t size = 0;

    (void)state;
    assert_int_equal(transport->ops->queue_size_max(transport, 5, &size), BH_OK);
    assert_int_equal(size, 256);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_SEL / 4], 5);
    assert_int_equal(transport->ops->queue_start(transport, 3, &areas), BH_OK);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_SEL / 4], 3);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_SIZE / 4], 64);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_DESC_LOW / 4], 0x55667000);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_DESC_HIGH / 4], 0x11223344);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_DRIVER_LOW / 4], 0x00010000);
    assert_true(page.registers[BH_MMIO_QUEUE_DRIVER_HIGH / 4] == 0x99aabbcc);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_DEVICE_LOW / 4], 0x05060000);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_DEVICE_HIGH / 4], 0x01020304);
    assert_int_equal(page.registers[BH_MMIO_QUEUE_READY / 4], 1);
    assert_int_equal(transport->ops->queue_start(transport, 3, &areas), BH_STATE);
    page.registers[BH_MMIO_QUEUE_READY / 4] = 0;
    page.drop_ready = true;
    assert_int_equal(transport->ops->queue_start(transport, 3, &areas), BH_PROTOCOL);
    areas.size = 257;
    assert_int_equal(transport->ops->queue_start(transport, 3, &areas), BH_LIMIT);
    page.registers[BH_MMIO_QUEUE_SIZE_MAX / 4] = 65536;
    assert_int_equal(transport->ops->queue_start(transport, 3, &areas), BH_PROTOCOL);
}

static void test_mmio_queue_reset(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);

    (void)state;
    assert_int_equal(transport->ops->queue_reset(transport, 2), BH_UNSUPPORTED);
    assert_int_equal(page.count, 0);
    assert_int_equal(transport->ops->features_set(transport, BH_F_RING_RESET), BH_OK);
    page.count = 0;
    page.registers[BH_MMIO_QUEUE_READY / 4] = 1;
    page.stuck = 4;
    assert_int_equal(transport->ops->queue_reset(transport, 2), BH_OK);
    assert_access(&page, 0, true, BH_MMIO_QUEUE_SEL, 2);
    assert_access(&page, 1, true, BH_MMIO_QUEUE_RESET, 1);
    assert_int_equal(page.stuck, 0);
    page.stuck = 8;
    assert_int_equal(transport->ops->queue_reset(transport, 2), BH_TIMEOUT);
    page.stuck = 0;
    page.ready_stays_on = true;
    assert_int_equal(transport->ops->queue_reset(transport, 2), BH_PROTOCOL);
}

static void test_mmio_notify_and_interrupts(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);
    uint32_t pending = 0;

    (void)state;
    assert_int_equal(transport->ops->notify(transport, 3, 0x1234, true), BH_OK);
    assert_access(&page, 0, true, BH_MMIO_QUEUE_NOTIFY, 3);
    assert_int_equal(transport->ops->features_set(transport, BH_F_NOTIFICATION_DATA), BH_OK);
    page.count = 0;
    assert_int_equal(transport->ops->notify(transport, 3, 0x1234, true), BH_OK);
    assert_access(&page, 0, true, BH_MMIO_QUEUE_NOTIFY, 0x92340003);
    assert_int_equal(transport->ops->notify(transport, 4, 0x7fff, false), BH_OK);
    assert_access(&page, 1, true, BH_MMIO_QUEUE_NOTIFY, 0x7fff0004);

    page.count = 0;
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, 0);
    assert_int_equal(page.count, 1); /* nothing to acknowledge */
    page.registers[BH_MMIO_INTERRUPT_STATUS / 4] = 0xfe;
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_OK);
    assert_int_equal(pending, BH_MMIO_INT_CONFIG);
    assert_access(&page, 2, true, BH_MMIO_INTERRUPT_ACK, BH_MMIO_INT_CONFIG);
}

/* The device vanished: every read is all ones. */
static void test_mmio_gone(void **state)
{
    struct page page;
    struct bh_mmio_transport mmio;
    struct bh_transport *transport = open_page(&page, &mmio);
    uint8_t status = 0;
    uint16_t size = 0;
    uint32_t pending = 0;

    (void)state;
    assert_int_equal(transport->ops->features_set(transport, BH_F_RING_RESET), BH_OK);
    page.registers[BH_MMIO_STATUS / 4] = UINT32_MAX;
    page.registers[BH_MMIO_QUEUE_SIZE_MAX / 4] = UINT32_MAX;
    page.registers[BH_MMIO_INTERRUPT_STATUS / 4] = UINT32_MAX;
    assert_int_equal(transport->ops->status_get(transport, &status), BH_GONE);
    assert_int_equal(transport->ops->queue_size_max(transport, 0, &size), BH_GONE);
    assert_int_equal(transport->ops->interrupts(transport, &pending), BH_GONE);
    page.registers[BH_MMIO_STATUS / 4] = 0x100;
    assert_int_equal(transport->ops->status_get(transport, &status), BH_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dma_take),
        cmocka_unit_test(test_dma_skew),
        cmocka_unit_test(test_dma_holds),
        cmocka_unit_test(test_begin_and_ready),
        cmocka_unit_test(test_begin_without_what_is_needed),
        cmocka_unit_test(test_begin_refused),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_mmio_probe),
        cmocka_unit_test(test_mmio_features_and_status),
        cmocka_unit_test(test_mmio_config_widths),
        cmocka_unit_test(test_mmio_queue_start),
        cmocka_unit_test(test_mmio_queue_reset),
        cmocka_unit_test(test_mmio_notify_and_interrupts),
        cmocka_unit_test(test_mmio_gone),
    };

    return cmocka_run_group_tests_name("driver_transport", tests, NULL, NULL);
}
