/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the devices that move bytes, console and entropy: the input is a guest's register
 * accesses, what it writes into its memory, and what the terminals or the source do meanwhile. Behind
 * the registers are the mmio port, core/ and the model. Every span that the host side is given must
 * lie in memory that the guest gave; a terminal that the model listens to must not keep the loop
 * awake; and a reset works at once, and lets go of everything.
 *
 * Input: u8 kind of device, then steps: u8 operation and its operands. make_seeds.py writes this
 * format. Not here: a whole request as a driver lays it out, with a disk behind it (fuzz_mmio.c).
 */
#include "fuzz_input.h"

#include "bulkhead/console.h"
#include "bulkhead/mmio.h"
#include "bulkhead/rng.h"

#define BASE       UINT64_C(0x10000)
#define RAM        0x10000u
#define ROM_BASE   UINT64_C(0x40000)
#define ROM        0x1000u
#define PORTS      2u
#define QUEUES     6u
#define QUEUE_SIZE 16u
#define BLOCKS     8u
#define SPANS      6u
#define KEPT       16u
#define TURNS      1000u

/* Where LIVE puts the areas of queue q, + q * QUEUE_AREA; and CHAIN its data. */
#define QUEUE_AREA  0x800u
#define DRIVER_AREA 0x200u
#define DEVICE_AREA 0x400u
#define DATA        0x4000u

enum step {
    STEP_WRITE,
    STEP_ACCESS,
    STEP_POKE,
    STEP_FLUSH,
    STEP_SERVE,
    STEP_LIVE,
    STEP_CHAIN,
    STEP_TYPE,
    STEP_ROOM,
    STEP_HANG_UP,
    STEP_OPEN,
    STEP_PRESENT,
    STEP_SIZE,
    STEP_SOURCE,
    STEPS,
};

struct world;

struct terminal {
    struct world *world;
    uint32_t in;   /* bytes to read */
    uint32_t room; /* for bytes */
    bool gone;
    bool listening;
    bool blocked; /* it owes a call of bh_console_writable */
};

/* The driver's place in a ring. */
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
    struct bh_queue *queues; /* heap blocks, so that their ends are watched */
    struct bh_mmio_queue *registers;
    struct bh_order_slot order[QUEUES][QUEUE_SIZE];
    uint8_t busy[QUEUES][QUEUE_SIZE];
    struct bh_span_pool pool;
    struct bh_span spans[BLOCKS * SPANS];
    uint16_t free_blocks[BLOCKS];
    struct bh_mmio mmio;
    bool is_console;
    bool level;
    bool packed;
    uint16_t size;
    struct cursor cursors[QUEUES];

    struct bh_console console;
    struct bh_console_port ports[PORTS];
    struct terminal terminals[PORTS];
    uint8_t *kept[PORTS];

    struct bh_rng rng;
    uint32_t there; /* bytes of the source */
    bool drawn;
};

/* ---- the host side ---- */

static bool within(const uint8_t *block, size_t size, const struct bh_span *span)
{
    return span->base >= block && span->base <= block + size &&
           span->length <= (size_t)(block + size - span->base);
}

static int terminal_write(void *context, const struct bh_span *spans, uint32_t count)
{
    struct terminal *terminal = context;
    const struct world *world = terminal->world;
    static volatile uint8_t sum;
    uint32_t done = 0;
    uint64_t offered = 0;

    for (uint32_t i = 0; i < count; i++) {
        bool mine = false;

        for (uint32_t port = 0; port < PORTS; port++) {
            mine = mine || within(world->kept[port], KEPT, &spans[i]);
        }
        FUZZ_CHECK(mine || spans[i].length == 0 || within(world->ram, RAM, &spans[i]) ||
                   within(world->rom, ROM, &spans[i]));
        offered += spans[i].length;
        for (size_t at = 0; at < spans[i].length && done < terminal->room; at++) {
            sum = (uint8_t)(sum + spans[i].base[at]);
            done++;
        }
    }
    FUZZ_CHECK(offered != 0);
    if (terminal->gone) {
        return BH_GONE;
    }
    terminal->room -= done;
    terminal->blocked = terminal->blocked || done == 0;
    return done != 0 ? (int)done : BH_AGAIN;
}

static int terminal_read(void *context, const struct bh_span *spans, uint32_t count)
{
    struct terminal *terminal = context;
    uint32_t done = 0;

    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(spans[i].length == 0 || within(terminal->world->ram, RAM, &spans[i]));
        for (size_t at = 0; at < spans[i].length && done < terminal->in; at++) {
            spans[i].base[at] = 0x5a;
            done++;
        }
    }
    if (terminal->gone) {
        return BH_GONE;
    }
    terminal->in -= done;
    return done != 0 ? (int)done : BH_AGAIN;
}

static void terminal_listen(void *context, bool on)
{
    struct terminal *terminal = context;

    FUZZ_CHECK(terminal->listening != on);
    terminal->listening = on;
}

static const struct bh_terminal_ops terminal_ops = {
    .write = terminal_write,
    .read = terminal_read,
    .listen = terminal_listen,
};

static int source_read(void *context, uint8_t *to, uint32_t length)
{
    struct world *world = context;
    uint32_t count = length < world->there ? length : world->there;

    FUZZ_CHECK(length != 0 && length <= BH_RNG_BYTES_MAX);
    memset(to, 0xa5, count);
    world->there -= count;
    return count != 0 ? (int)count : BH_AGAIN;
}

static void source_drawn(void *context)
{
    struct world *world = context;

    FUZZ_CHECK(!world->drawn);
    world->drawn = true;
}

static const struct bh_entropy_ops source_ops = {.read = source_read, .drawn = source_drawn};

/* The poller: a terminal with bytes, or whose other side went, wakes the model while it listens. */
static void turn(struct world *world)
{
    for (uint32_t i = 0; i < PORTS; i++) {
        struct terminal *terminal = &world->terminals[i];
        uint32_t turns = 0;

        while (terminal->listening && (terminal->in != 0 || terminal->gone)) {
            turns++;
            FUZZ_CHECK(turns < TURNS);
            bh_console_readable(&world->console, i);
        }
        turns = 0;
        if (terminal->blocked && (terminal->room != 0 || terminal->gone)) {
            terminal->blocked = false;
            while (bh_console_writable(&world->console, i)) {
                turns++;
                FUZZ_CHECK(turns < TURNS);
            }
        }
    }
    bh_device_flush(&world->device);
}

static void source_step(struct world *world, uint8_t operand)
{
    world->there += operand & 0x7fu;
    if ((operand & 0x80u) != 0 && world->drawn) {
        world->drawn = false;
        (void)bh_rng_refill(&world->rng);
    } else {
        (void)bh_rng_wake(&world->rng);
    }
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
    for (uint32_t i = 0; i < world->device.queue_count; i++) {
        uint32_t held = 0;

        if (world->is_console && i != BH_CONSOLE_CONTROL_RECEIVE &&
            i != BH_CONSOLE_CONTROL_TRANSMIT) {
            const struct bh_console_port *port = &world->ports[i < 2 ? 0 : i / 2 - 1];

            held = ((i & 1u) != 0 ? port->out_held : port->in_held) ? 1 : 0;
        }
        FUZZ_CHECK(world->queues[i].in_flight == held);
    }
    FUZZ_CHECK(world->rng.count <= BH_RNG_BYTES_MAX);
    FUZZ_CHECK(world->pool.free_count <= BLOCKS);
    for (uint32_t i = 0; i < PORTS; i++) {
        FUZZ_CHECK(world->ports[i].kept_count <= KEPT);
    }
}

/* ---- the guest ---- */

static void put(struct world *world, uint32_t offset, uint32_t value)
{
    (void)bh_mmio_write(&world->mmio, offset, value, 4);
}

static void poke(struct world *world, uint32_t at, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        world->ram[(at + i) % RAM] = (uint8_t)(value >> (8 * i));
    }
}

/* A driver's beginning as it should be, with any features and size. */
static void live(struct world *world, struct fuzz_input *input)
{
    uint64_t features = (uint64_t)fuzz_u16(input) << 28 | (fuzz_u8(input) & 7u) | BH_F_VERSION_1;
    uint16_t size = fuzz_u8(input);
    uint32_t status = BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER;

    put(world, BH_MMIO_STATUS, 0);
    put(world, BH_MMIO_STATUS, status);
    for (uint32_t half = 0; half < 2; half++) {
        put(world, BH_MMIO_DRIVER_FEATURES_SEL, half);
        put(world, BH_MMIO_DRIVER_FEATURES, (uint32_t)(features >> (32 * half)));
    }
    status |= BH_STATUS_FEATURES_OK;
    put(world, BH_MMIO_STATUS, status);
    world->packed = (features & BH_F_RING_PACKED) != 0;
    world->size = size == 0 ? 1 : size;
    memset(world->ram, 0, DATA);
    for (uint32_t i = 0; i < QUEUES; i++) {
        const uint32_t area = (uint32_t)BASE + i * QUEUE_AREA;

        world->cursors[i] = (struct cursor){.next = 0, .wrap = true};
        put(world, BH_MMIO_QUEUE_SEL, i);
        put(world, BH_MMIO_QUEUE_SIZE, size);
        put(world, BH_MMIO_QUEUE_DESC_LOW, area);
        put(world, BH_MMIO_QUEUE_DRIVER_LOW, area + DRIVER_AREA);
        put(world, BH_MMIO_QUEUE_DEVICE_LOW, area + DEVICE_AREA);
        put(world, BH_MMIO_QUEUE_READY, 1);
    }
    put(world, BH_MMIO_STATUS, status | BH_STATUS_DRIVER_OK);
}

/* One descriptor: the next slot (packed), or index `head` (split). */
static void describe(struct world *world, uint32_t queue, uint32_t head, uint64_t address,
                     uint32_t length, uint32_t flags)
{
    struct cursor *cursor = &world->cursors[queue];
    uint32_t index = (world->packed ? cursor->next : head) % world->size;
    uint32_t at = queue * QUEUE_AREA + 16 * (index % QUEUE_SIZE);

    poke(world, at, address, 8);
    poke(world, at + 8, length, 4);
    if (world->packed) {
        poke(world, at + 12, head, 2);
        poke(world, at + 14, flags | (cursor->wrap ? BH_DESC_AVAIL : BH_DESC_USED), 2);
        cursor->next++;
        if (cursor->next >= world->size) {
            cursor->next = 0;
            cursor->wrap = !cursor->wrap;
        }
    } else {
        poke(world, at + 12, flags, 2);
        poke(world, at + 14, (head + 1) % world->size, 2);
    }
}

/* A chain of one or two buffers; then a notification. A control message is laid out if asked. */
static void chain(struct world *world, struct fuzz_input *input)
{
    uint32_t queue = fuzz_u8(input) % QUEUES;
    uint32_t head = (uint32_t)fuzz_u8(input) % world->size;
    uint32_t length = fuzz_u16(input);
    uint32_t bits = fuzz_u8(input);
    uint32_t flags = (bits & 1u) != 0 ? BH_DESC_WRITE : 0u;
    uint32_t data = DATA + queue * 0x400u + 0x40u * (head % QUEUE_SIZE);

    if ((bits & 2u) != 0) {
        poke(world, data, fuzz_u8(input), 4);
        poke(world, data + 4, fuzz_u8(input), 2);
        poke(world, data + 6, fuzz_u8(input), 2);
    }
    if ((bits & 4u) != 0) {
        describe(world, queue, head, (bits & 8u) != 0 ? ROM_BASE : BASE + data, length / 2u,
                 flags | BH_DESC_NEXT);
        describe(world, queue, head + 1, BASE + data, length - length / 2u,
                 (bits & 16u) != 0 ? flags ^ BH_DESC_WRITE : flags);
    } else {
        describe(world, queue, head, (bits & 8u) != 0 ? ROM_BASE : BASE + data, length, flags);
    }
    if (!world->packed) {
        uint32_t avail = queue * QUEUE_AREA + DRIVER_AREA;
        struct cursor *cursor = &world->cursors[queue];

        poke(world, avail + 4 + 2u * (uint32_t)(cursor->next % world->size), head, 2);
        cursor->next++;
        poke(world, avail + 2, cursor->next, 2);
    }
    if ((bits & 32u) == 0) {
        put(world, BH_MMIO_QUEUE_NOTIFY, queue);
    }
}

static void access_any(struct world *world, struct fuzz_input *input)
{
    uint8_t bits = fuzz_u8(input);
    uint32_t offset = fuzz_u16(input) % (BH_MMIO_CONFIG + 32);
    uint32_t size = 1u << (bits & 3u);

    if ((bits & 4u) != 0) {
        (void)bh_mmio_read(&world->mmio, offset, size);
    } else {
        (void)bh_mmio_write(&world->mmio, offset, fuzz_take(input, size), size);
    }
}

/* ---- steps ---- */

/* What happens at a terminal. */
static void console_step(struct world *world, uint8_t operation, struct fuzz_input *input)
{
    uint8_t bits = fuzz_u8(input);
    uint32_t port = bits % world->console.port_count;
    struct terminal *terminal = &world->terminals[port];

    switch (operation) {
    case STEP_TYPE:
        terminal->in += bits >> 1;
        break;
    case STEP_ROOM:
        terminal->room += bits >> 1;
        break;
    case STEP_HANG_UP:
        terminal->gone = (bits & 2u) != 0;
        break;
    case STEP_OPEN:
        bh_console_open_set(&world->console, port, (bits & 2u) != 0);
        break;
    case STEP_PRESENT:
        bh_console_present_set(&world->console, port, (bits & 2u) != 0);
        break;
    default:
        bh_console_size_set(&world->console, port, bits, fuzz_u8(input));
        break;
    }
    if ((bits & 0x80u) == 0) {
        turn(world);
    }
}

static void step(struct world *world, struct fuzz_input *input)
{
    uint8_t operation = fuzz_u8(input) % STEPS;
    uint8_t operand;

    switch (operation) {
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
    case STEP_FLUSH:
        bh_device_flush(&world->device);
        break;
    case STEP_SERVE:
        (void)bh_mmio_serve(&world->mmio);
        break;
    case STEP_LIVE:
        live(world, input);
        break;
    case STEP_CHAIN:
        chain(world, input);
        break;
    case STEP_SOURCE:
        operand = fuzz_u8(input);
        if (!world->is_console) {
            source_step(world, operand);
        }
        break;
    default:
        if (world->is_console) {
            console_step(world, operation, input);
        }
        break;
    }
    check(world);
}

/* ---- a run ---- */

static void init_console(struct world *world, uint8_t kind)
{
    struct bh_console_port_setup ports[PORTS];
    const struct bh_console_setup setup = {
        .ops = &terminal_ops,
        .ports = ports,
        .port_count = (kind & 2u) != 0 ? 1 : PORTS,
        .multiport = (kind & 2u) == 0,
        .size = (kind & 4u) == 0,
        .emergency_write = (kind & 8u) == 0,
    };

    for (uint32_t i = 0; i < PORTS; i++) {
        world->terminals[i] = (struct terminal){.world = world, .room = 8};
        ports[i] = (struct bh_console_port_setup){
            .terminal = &world->terminals[i],
            .name = i == 0 ? NULL : "port",
            .console = i == 0,
            .open = (kind & 16u) == 0,
            .cols = 80,
            .rows = 25,
            .kept = world->kept[i],
            .kept_size = KEPT,
        };
    }
    FUZZ_CHECK(bh_console_init(&world->console, &world->device, &setup, world->ports) == BH_OK);
}

static void init_memory(struct world *world)
{
    world->ram = aligned_alloc(16, RAM);
    world->rom = aligned_alloc(16, ROM);
    world->queues = calloc(QUEUES, sizeof(*world->queues));
    world->registers = calloc(QUEUES, sizeof(*world->registers));
    FUZZ_CHECK(world->ram != NULL && world->rom != NULL);
    FUZZ_CHECK(world->queues != NULL && world->registers != NULL);
    for (uint32_t i = 0; i < PORTS; i++) {
        world->kept[i] = malloc(KEPT);
        FUZZ_CHECK(world->kept[i] != NULL);
    }
    memset(world->ram, 0, RAM);
    memset(world->rom, 0, ROM);
    world->regions[0] = (struct bh_region){BASE, RAM, world->ram, BH_ACCESS_READ | BH_ACCESS_WRITE};
    world->regions[1] = (struct bh_region){ROM_BASE, ROM, world->rom, BH_ACCESS_READ};
    world->memory = (struct bh_memory){.regions = world->regions, .region_count = 2};
}

static void init(struct world *world, uint8_t kind)
{
    struct bh_device_setup setup = {.memory = &world->memory, .feature_mask = UINT64_MAX};

    memset(world, 0, sizeof(*world));
    world->is_console = (kind & 1u) == 0;
    world->size = 1;
    init_memory(world);
    bh_span_pool_init(&world->pool, world->spans, world->free_blocks, BLOCKS, SPANS);
    for (uint16_t i = 0; i < QUEUES; i++) {
        bh_queue_init(&world->queues[i], i, QUEUE_SIZE, world->order[i], world->busy[i],
                      &world->pool);
    }
    setup.queues = world->queues;
    if (world->is_console) {
        init_console(world, kind);
        setup.class = &bh_console_class;
        setup.class_data = &world->console;
        setup.queue_count = (kind & 2u) != 0 ? 2 : QUEUES;
    } else {
        FUZZ_CHECK(bh_rng_init(&world->rng, &world->device, &source_ops, world, kind >> 1, NULL) ==
                   BH_OK);
        setup.class = &bh_rng_class;
        setup.class_data = &world->rng;
        setup.queue_count = 1;
    }
    bh_device_init(&world->device, &setup);
    bh_mmio_init(&world->mmio, &world->device, BH_MMIO_FEATURES, world->registers, &hypervisor,
                 world);
}

/* Nobody at a terminal, and no byte of the source, is waited for. */
static void finish(struct world *world)
{
    FUZZ_CHECK(bh_mmio_write(&world->mmio, BH_MMIO_STATUS, 0, 4) == BH_OK);
    check(world);
    FUZZ_CHECK(bh_mmio_read(&world->mmio, BH_MMIO_STATUS, 4) == 0 && !world->level);
    FUZZ_CHECK(world->pool.free_count == BLOCKS);
    for (uint32_t i = 0; i < QUEUES; i++) {
        FUZZ_CHECK(world->queues[i].state == BH_QUEUE_STOPPED);
    }
    free(world->queues);
    free(world->registers);
    free(world->ram);
    free(world->rom);
    for (uint32_t i = 0; i < PORTS; i++) {
        free(world->kept[i]);
    }
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
