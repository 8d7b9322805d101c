/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for a whole device: the input is a guest's register accesses, what it writes into its
 * memory, and when and how the disk answers. Behind the registers are the mmio port, core/ and the
 * block model. What the disk is asked for is checked against the guest's memory and the disk's
 * size; in the end everything must come back, and a reset must work.
 *
 * Input: u8 kind of disk, then steps: u8 operation and its operands. make_seeds.py writes this
 * format.
 */
#include "fuzz_input.h"

#include "bulkhead/blk.h"
#include "bulkhead/bytes.h"
#include "bulkhead/mmio.h"

#define BASE       UINT64_C(0x10000)
#define RAM        0x10000u
#define ROM_BASE   UINT64_C(0x40000)
#define ROM        0x1000u
#define QUEUES     2u
#define QUEUE_SIZE 32u
#define REQUESTS   8u
#define SEG_MAX    6u
#define BLOCKS     2u
#define SECTORS    64u
#define HELD_MAX   REQUESTS

/* Where LIVE puts the areas of queue q: + q * QUEUE_AREA. */
#define QUEUE_AREA  0x1000u
#define DRIVER_AREA 0x400u
#define DEVICE_AREA 0x800u

/* Where REQUEST puts header, data and status. */
#define HEADERS 0x4000u
#define STATUS  0x5000u
#define DATA    0x6000u

enum step {
    STEP_WRITE,
    STEP_ACCESS,
    STEP_POKE,
    STEP_FINISH,
    STEP_FLUSH,
    STEP_SERVE,
    STEP_LIVE,
    STEP_REQUEST,
    STEP_CAPACITY,
    STEP_DISK,
    STEPS,
};

/* The driver's place in a ring, for REQUEST. */
struct cursor {
    uint16_t next;
    bool wrap;
};

struct world {
    uint8_t *ram;
    uint8_t *rom;
    struct bh_region regions[2];
    struct bh_memory memory;
    struct bh_device device;
    struct bh_queue *queues; /* QUEUES; of its own, so that their ends are watched */
    struct bh_order_slot order[QUEUES][QUEUE_SIZE];
    uint8_t busy[QUEUES][QUEUE_SIZE];
    struct bh_span_pool pool;
    struct bh_span spans[BLOCKS * (SEG_MAX + 2)];
    uint16_t free_blocks[BLOCKS];
    struct bh_blk blk;
    struct bh_blk_request requests[REQUESTS];
    struct bh_mmio mmio;
    struct bh_mmio_queue *registers; /* QUEUES */
    bool level;
    bool packed;
    uint16_t size; /* that LIVE set */
    struct cursor cursors[QUEUES];
    struct bh_disk_io *held[HELD_MAX];
    uint32_t held_count;
    uint8_t room;
    bool defer;
};

/* ---- the disk ---- */

static bool within(const uint8_t *block, size_t size, const struct bh_span *span)
{
    return span->base >= block && span->base <= block + size &&
           span->length <= (size_t)(block + size - span->base);
}

static void check_io(const struct world *world, const struct bh_disk_io *io)
{
    uint64_t sum = 0;

    FUZZ_CHECK(io->offset % 512 == 0 && io->length % 512 == 0);
    FUZZ_CHECK(io->offset <= SECTORS * 512 && io->length <= SECTORS * 512 - io->offset);
    for (uint32_t i = 0; i < io->span_count; i++) {
        bool in_ram = within(world->ram, RAM, &io->spans[i]);
        bool in_rom = within(world->rom, ROM, &io->spans[i]);

        FUZZ_CHECK(io->spans[i].length != 0);
        FUZZ_CHECK(in_ram || (in_rom && io->op == BH_DISK_OP_WRITE));
        sum += io->spans[i].length;
    }
    FUZZ_CHECK(sum == (io->op <= BH_DISK_OP_WRITE ? io->length : 0));
}

/* Touches what the operation is about, shortens spans, and answers. */
static void end(struct bh_disk_io *io, int result)
{
    static volatile uint8_t sum;

    for (uint32_t i = 0; i < io->span_count && result == BH_OK; i++) {
        struct bh_span *span = &io->spans[i];

        if (io->op == BH_DISK_OP_READ) {
            memset(span->base, 0x5a, span->length);
        } else {
            sum = (uint8_t)(sum + span->base[0] + span->base[span->length - 1]);
        }
        span->base += span->length;
        span->length = 0;
    }
    bh_blk_done(io, result);
}

static int disk_submit(void *disk, struct bh_disk_io *io)
{
    struct world *world = disk;

    check_io(world, io);
    if (world->held_count >= world->room && world->held_count != 0) {
        return BH_AGAIN;
    }
    if (!world->defer) {
        end(io, BH_OK);
        return BH_OK;
    }
    FUZZ_CHECK(world->held_count < HELD_MAX);
    world->held[world->held_count] = io;
    world->held_count++;
    return BH_OK;
}

static void disk_commit(void *disk)
{
    (void)disk;
}

static int disk_lifetime(void *disk, struct bh_blk_lifetime *wear)
{
    (void)disk;
    *wear = (struct bh_blk_lifetime){1, 2, 3};
    return BH_OK;
}

static const struct bh_disk_ops disk_ops = {
    .submit = disk_submit,
    .commit = disk_commit,
    .lifetime = disk_lifetime,
};

static void disk_finish(struct world *world, uint8_t which, uint8_t result)
{
    static const int results[] = {BH_OK, BH_IO, BH_NO_SPACE, BH_UNSUPPORTED};
    struct bh_disk_io *io;
    uint32_t index;

    if (world->held_count == 0) {
        return;
    }
    index = which % world->held_count;
    io = world->held[index];
    world->held_count--;
    world->held[index] = world->held[world->held_count];
    end(io, results[result % 4]);
}

/* ---- the hypervisor ---- */

static void hv_interrupt(void *context, bool level)
{
    struct world *world = context;

    FUZZ_CHECK(level != world->level);
    world->level = level;
}

static void hv_work(void *context)
{
    (void)context;
}

static const struct bh_mmio_ops hypervisor = {.interrupt = hv_interrupt, .work = hv_work};

static void check(struct world *world)
{
    uint32_t in_flight = 0;

    for (uint32_t i = 0; i < QUEUES; i++) {
        in_flight += world->queues[i].in_flight;
    }
    FUZZ_CHECK(in_flight == world->held_count + world->blk.waiting_count);
    FUZZ_CHECK(world->level == (bh_mmio_read(&world->mmio, BH_MMIO_INTERRUPT_STATUS, 4) != 0));
    FUZZ_CHECK(world->pool.free_count <= BLOCKS);
}

/* ---- the guest ---- */

static void put(struct world *world, uint32_t offset, uint32_t value)
{
    (void)bh_mmio_write(&world->mmio, offset, value, 4);
}

static void put_address(struct world *world, uint32_t offset, uint64_t address)
{
    put(world, offset, (uint32_t)address);
    put(world, offset + 4, (uint32_t)(address >> 32));
}

static void poke16(struct world *world, uint32_t at, uint32_t value)
{
    world->ram[at % RAM] = (uint8_t)value;
    world->ram[(at + 1) % RAM] = (uint8_t)(value >> 8);
}

static void poke64(struct world *world, uint32_t at, uint64_t value)
{
    for (uint32_t i = 0; i < 4; i++) {
        poke16(world, at + 2 * i, (uint32_t)(value >> (16 * i)) & 0xffffu);
    }
}

/* A driver's beginning as it should be, with any features and size. */
static void live(struct world *world, struct fuzz_input *input)
{
    uint64_t ring = (uint64_t)fuzz_u16(input) << 28; /* bits 28 to 43 */
    uint32_t class = fuzz_u32(input);
    uint16_t size = fuzz_u8(input);

    put(world, BH_MMIO_STATUS, 0);
    put(world, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER);
    ring |= BH_F_VERSION_1;
    put(world, BH_MMIO_DRIVER_FEATURES_SEL, 1);
    put(world, BH_MMIO_DRIVER_FEATURES, (uint32_t)(ring >> 32));
    put(world, BH_MMIO_DRIVER_FEATURES_SEL, 0);
    put(world, BH_MMIO_DRIVER_FEATURES, (uint32_t)ring | class);
    put(world, BH_MMIO_STATUS, BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK);
    world->packed = (ring & BH_F_RING_PACKED) != 0;
    world->size = size == 0 ? 1 : size;
    memset(world->ram, 0, HEADERS);
    for (uint32_t i = 0; i < QUEUES; i++) {
        world->cursors[i] = (struct cursor){.next = 0, .wrap = true};
        put(world, BH_MMIO_QUEUE_SEL, i);
        put(world, BH_MMIO_QUEUE_SIZE, size);
        put_address(world, BH_MMIO_QUEUE_DESC_LOW, BASE + i * QUEUE_AREA);
        put_address(world, BH_MMIO_QUEUE_DRIVER_LOW, BASE + i * QUEUE_AREA + DRIVER_AREA);
        put_address(world, BH_MMIO_QUEUE_DEVICE_LOW, BASE + i * QUEUE_AREA + DEVICE_AREA);
        put(world, BH_MMIO_QUEUE_READY, 1);
    }
    put(world, BH_MMIO_STATUS,
        BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK | BH_STATUS_DRIVER_OK);
}

/* One descriptor of REQUEST's chain: the next slot (packed), or index head + `step` (split). */
static void describe(struct world *world, uint32_t queue, uint32_t head, uint32_t step,
                     uint64_t address, uint32_t length, uint32_t flags)
{
    struct cursor *cursor = &world->cursors[queue];
    uint32_t table = queue * QUEUE_AREA;
    uint32_t index = world->packed ? cursor->next : (head + step) % world->size;
    uint32_t at = table + 16 * (index % QUEUE_SIZE);

    poke64(world, at, address);
    poke16(world, at + 8, length);
    poke16(world, at + 10, 0);
    if (world->packed) {
        poke16(world, at + 12, head);
        poke16(world, at + 14, flags | (cursor->wrap ? BH_DESC_AVAIL : BH_DESC_USED));
        cursor->next++;
        if (cursor->next >= world->size) {
            cursor->next = 0;
            cursor->wrap = !cursor->wrap;
        }
    } else {
        poke16(world, at + 12, flags);
        poke16(world, at + 14, (head + step + 1) % world->size);
    }
}

/* A request laid out as a driver does it, its values from the input; then a notification. */
static void request(struct world *world, struct fuzz_input *input)
{
    uint32_t queue = fuzz_u8(input) % QUEUES;
    uint32_t head = (uint32_t)fuzz_u8(input) % world->size;
    uint32_t type = fuzz_u8(input);
    uint64_t sector = fuzz_u8(input);
    uint32_t length = fuzz_u16(input);
    uint32_t bits = fuzz_u8(input);
    uint32_t header = HEADERS + 16 * head;

    poke64(world, header, type);
    poke64(world, header + 8, sector);
    describe(world, queue, head, 0, BASE + header, 16, BH_DESC_NEXT);
    if (length != 0) {
        uint64_t data = (bits & 2u) != 0 ? ROM_BASE : BASE + DATA;

        describe(world, queue, head, 1, data, length,
                 BH_DESC_NEXT | ((bits & 1u) != 0 ? BH_DESC_WRITE : 0u));
    }
    describe(world, queue, head, length != 0 ? 2 : 1, BASE + STATUS + head, 1, BH_DESC_WRITE);
    if (!world->packed) {
        uint32_t avail = queue * QUEUE_AREA + DRIVER_AREA;
        struct cursor *cursor = &world->cursors[queue];

        poke16(world, avail + 4 + 2u * (uint32_t)(cursor->next % world->size), head);
        cursor->next++;
        poke16(world, avail + 2, cursor->next);
    }
    if ((bits & 4u) == 0) {
        put(world, BH_MMIO_QUEUE_NOTIFY, queue);
    }
}

static void access_any(struct world *world, struct fuzz_input *input)
{
    static const uint32_t sizes[] = {1, 2, 4, 8};
    uint8_t bits = fuzz_u8(input);
    uint32_t offset = fuzz_u16(input) % (BH_MMIO_SIZE + 16);
    uint32_t size = sizes[bits & 3u];

    if ((bits & 4u) != 0) {
        (void)bh_mmio_read(&world->mmio, offset, size);
    } else {
        (void)bh_mmio_write(&world->mmio, offset, fuzz_take(input, size), size);
    }
}

static void step(struct world *world, struct fuzz_input *input)
{
    uint8_t operand;

    switch (fuzz_u8(input) % STEPS) {
    case STEP_WRITE:
        operand = fuzz_u8(input);
        put(world, 4u * (operand % 0x60u), fuzz_u32(input));
        break;
    case STEP_ACCESS:
        access_any(world, input);
        break;
    case STEP_POKE:
        fuzz_poke(input, world->ram, RAM);
        break;
    case STEP_FINISH:
        operand = fuzz_u8(input);
        disk_finish(world, operand, fuzz_u8(input));
        break;
    case STEP_FLUSH:
        bh_device_flush(&world->device);
        break;
    case STEP_SERVE:
        (void)bh_mmio_serve(&world->mmio);
        break;
    case STEP_LIVE:
        live(world, input);
        break;
    case STEP_REQUEST:
        request(world, input);
        break;
    case STEP_CAPACITY:
        bh_blk_capacity_set(&world->blk, (uint64_t)(fuzz_u8(input) % (SECTORS + 1)) * 512);
        break;
    case STEP_DISK:
        operand = fuzz_u8(input);
        world->defer = (operand & 1u) != 0;
        world->room = (uint8_t)(operand >> 1);
        break;
    default:
        break;
    }
    check(world);
}

static void init(struct world *world, uint8_t flags)
{
    const struct bh_blk_geometry geometry = {
        .capacity = SECTORS * 512u,
        .block_size = 512,
        .physical_block_size = 4096,
        .seg_max = SEG_MAX,
        .size_max = (flags & 1u) != 0 ? 2048 : 0,
        .discard_max = 16u * 512u,
        .discard_alignment = 512,
        .write_zeroes_max = 16u * 512u,
        .write_zeroes_unmap = true,
        .secure_erase_max = 16u * 512u,
        .secure_erase_alignment = 512,
        .lifetime = true,
        .read_only = (flags & 2u) != 0,
        .write_through = (flags & 4u) != 0,
        .id = "fuzz",
    };
    struct bh_device_setup setup = {
        .class = &bh_blk_class,
        .class_data = &world->blk,
        .memory = &world->memory,
        .queue_count = QUEUES,
        .feature_mask = UINT64_MAX,
    };

    memset(world, 0, sizeof(*world));
    world->ram = aligned_alloc(16, RAM);
    world->rom = aligned_alloc(16, ROM);
    world->queues = calloc(QUEUES, sizeof(*world->queues));
    world->registers = calloc(QUEUES, sizeof(*world->registers));
    FUZZ_CHECK(world->ram != NULL && world->rom != NULL);
    FUZZ_CHECK(world->queues != NULL && world->registers != NULL);
    memset(world->ram, 0, RAM);
    memset(world->rom, 0, ROM);
    world->regions[0] = (struct bh_region){BASE, RAM, world->ram, BH_ACCESS_READ | BH_ACCESS_WRITE};
    world->regions[1] = (struct bh_region){ROM_BASE, ROM, world->rom, BH_ACCESS_READ};
    world->memory = (struct bh_memory){.regions = world->regions, .region_count = 2};
    world->room = HELD_MAX;
    world->size = 1;
    bh_span_pool_init(&world->pool, world->spans, world->free_blocks, BLOCKS, SEG_MAX + 2);
    for (uint16_t i = 0; i < QUEUES; i++) {
        bh_queue_init(&world->queues[i], i, QUEUE_SIZE, world->order[i], world->busy[i],
                      &world->pool);
    }
    const struct bh_blk_setup blk_setup = {
        .device = &world->device,
        .geometry = &geometry,
        .ops = &disk_ops,
        .disk = world,
        .requests = world->requests,
        .request_count = REQUESTS,
    };
    FUZZ_CHECK(bh_blk_init(&world->blk, &blk_setup) == BH_OK);
    setup.queues = world->queues;
    bh_device_init(&world->device, &setup);
    bh_mmio_init(&world->mmio, &world->device, BH_MMIO_FEATURES, world->registers, &hypervisor,
                 world);
}

/* Everything comes back, the device can be reset, and nothing is held any more. */
static void finish(struct world *world)
{
    uint32_t free_requests = 0;
    uint32_t turns = 0;

    while (bh_mmio_write(&world->mmio, BH_MMIO_STATUS, 0, 4) != BH_OK) {
        turns++;
        FUZZ_CHECK(turns < 1000);
        while (world->held_count != 0) {
            disk_finish(world, 0, 0);
        }
        bh_device_flush(&world->device);
    }
    check(world);
    FUZZ_CHECK(bh_mmio_read(&world->mmio, BH_MMIO_STATUS, 4) == 0);
    FUZZ_CHECK(!world->level);
    FUZZ_CHECK(world->pool.free_count == BLOCKS);
    for (uint32_t i = 0; i < QUEUES; i++) {
        FUZZ_CHECK(world->queues[i].state == BH_QUEUE_STOPPED);
    }
    for (const struct bh_blk_request *at = world->blk.free; at != NULL; at = at->next) {
        free_requests++;
        FUZZ_CHECK(free_requests <= REQUESTS);
    }
    FUZZ_CHECK(free_requests == REQUESTS);
    free(world->queues);
    free(world->registers);
    free(world->ram);
    free(world->rom);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct fuzz_input input = {data, size};

    init(&world, fuzz_u8(&input));
    while (input.left != 0) {
        step(&world, &input);
    }
    finish(&world);
    return 0;
}
