/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the device side of virtqueues, both formats: the input is how the queue is set up,
 * what lies in guest memory, and a schedule of pops, pushes, stops, starts, and of the guest
 * rewriting memory in between. Half of the memory is a region; behind it lie pages that are mapped
 * for each request and can be refused, so that every leak and double release shows.
 *
 * Input: u8 flags, u8 size, u8 spans of a block, u8 blocks, then the setup (see setup_take), then
 * steps: u8 operation and its operands. make_seeds.py writes this format.
 */
#include "fuzz_input.h"

#include "bulkhead/bytes.h"
#include "bulkhead/queue.h"

#define BASE       UINT64_C(0x10000)
#define DIRECT     0x4000u /* bytes of the region */
#define PAGE       0x100u
#define PAGES      64u
#define MEMORY     (DIRECT + PAGES * PAGE)
#define RING_MAX   64u
#define BLOCKS_MAX 4u
#define SPANS_MAX  16u
#define CHAINS_MAX 80u

enum step {
    STEP_POP,
    STEP_PUSH,
    STEP_PUBLISH,
    STEP_NOTIFY,
    STEP_POKE,
    STEP_STOP,
    STEP_START,
    STEP_USE,
    STEP_REFUSE,
    STEPS,
};

struct rings {
    uint8_t *direct;
    uint8_t *paged; /* PAGES * PAGE */
    struct bh_region region;
    struct bh_memory memory;
    uint32_t held[PAGES]; /* acquires of each page */
    uint8_t refuse;       /* this many acquires from now: BH_AGAIN; 0: none */
    struct bh_queue queue;
    struct bh_order_slot order[RING_MAX];
    uint8_t busy[RING_MAX];
    struct bh_span_pool pool;
    struct bh_span spans[BLOCKS_MAX * SPANS_MAX];
    uint16_t free_blocks[BLOCKS_MAX];
    struct bh_chain chains[CHAINS_MAX];
    bool taken[CHAINS_MAX];
    uint32_t in_flight;
};

static struct rings *rings_of(struct bh_memory *memory)
{
    return (struct rings *)(void *)((uint8_t *)memory - offsetof(struct rings, memory));
}

/* ---- memory that is mapped for each request ---- */

static int acquire(struct bh_memory *memory, uint64_t address, uint32_t length, uint32_t access,
                   struct bh_span *spans, uint32_t room)
{
    struct rings *rings = rings_of(memory);
    uint64_t first = BASE + DIRECT;
    uint32_t count = 0;

    if (address < first || address - first >= PAGES * PAGE ||
        length > PAGES * PAGE - (address - first)) {
        return BH_DENIED;
    }
    if (rings->refuse != 0) {
        rings->refuse--;
        if (rings->refuse == 0) {
            return BH_AGAIN;
        }
    }
    if ((access & BH_ACCESS_RING) != 0) {
        return BH_DENIED; /* rings lie in the region */
    }
    for (uint64_t at = address - first; length != 0;) {
        uint32_t part = PAGE - (uint32_t)(at % PAGE);

        part = part < length ? part : length;
        if (count == room) {
            return BH_LIMIT;
        }
        spans[count] = (struct bh_span){rings->paged + at, part};
        count++;
        at += part;
        length -= part;
    }
    for (uint32_t i = 0; i < count; i++) {
        rings->held[(size_t)(spans[i].base - rings->paged) / PAGE]++;
    }
    return (int)count;
}

static bool is_paged(const struct rings *rings, const uint8_t *base)
{
    return base >= rings->paged && base < rings->paged + PAGES * PAGE;
}

static void release(struct bh_memory *memory, const struct bh_span *spans, uint32_t count)
{
    struct rings *rings = rings_of(memory);

    for (uint32_t i = 0; i < count; i++) {
        if (is_paged(rings, spans[i].base)) {
            uint32_t *held = &rings->held[(size_t)(spans[i].base - rings->paged) / PAGE];

            FUZZ_CHECK(*held != 0);
            (*held)--;
        }
    }
}

static const struct bh_memory_ops memory_ops = {.acquire = acquire, .release = release};

/* ---- what must hold ---- */

static void check_spans(const struct rings *rings, const struct bh_span *spans, uint32_t count,
                        uint32_t bytes)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *base = spans[i].base;
        size_t length = spans[i].length;
        bool direct = base >= rings->direct && base <= rings->direct + DIRECT &&
                      length <= (size_t)(rings->direct + DIRECT - base);
        bool paged =
            is_paged(rings, base) && length <= (size_t)(rings->paged + PAGES * PAGE - base);

        FUZZ_CHECK(direct || paged);
        sum += length;
    }
    FUZZ_CHECK(sum == bytes);
}

static void check_chain(const struct rings *rings, const struct bh_chain *chain)
{
    uint32_t count = (uint32_t)chain->readable_count + chain->writable_count;
    uint32_t limit =
        rings->pool.block_spans > BH_CHAIN_INLINE ? rings->pool.block_spans : BH_CHAIN_INLINE;

    FUZZ_CHECK(count <= limit);
    check_spans(rings, chain->spans, chain->readable_count, chain->readable_bytes);
    check_spans(rings, chain->spans + chain->readable_count, chain->writable_count,
                chain->writable_bytes);
}

static void check_queue(const struct rings *rings)
{
    const struct bh_queue *queue = &rings->queue;

    FUZZ_CHECK(queue->in_flight == rings->in_flight);
    FUZZ_CHECK(queue->state == BH_QUEUE_STOPPED || queue->in_flight <= queue->size);
    FUZZ_CHECK(queue->state != BH_QUEUE_STOPPED || queue->in_flight == 0);
    FUZZ_CHECK(rings->pool.free_count <= rings->pool.block_count);
    FUZZ_CHECK((queue->fault.error != BH_OK) == (queue->state == BH_QUEUE_FAULTY) ||
               queue->state == BH_QUEUE_DRAINING || queue->state == BH_QUEUE_STOPPED);
}

/* ---- steps ---- */

static void start(struct rings *rings, struct fuzz_input *input, uint64_t features)
{
    struct bh_queue_setup setup = {
        .features = BH_F_VERSION_1 | features,
        .descriptor = BASE + fuzz_u16(input),
        .driver = BASE + fuzz_u16(input),
        .device = BASE + fuzz_u16(input),
        .size = fuzz_u16(input),
        .avail_next = fuzz_u16(input),
        .used_next = fuzz_u16(input),
    };
    uint8_t bits = fuzz_u8(input);

    setup.avail_wrap = (bits & 1u) != 0;
    setup.used_wrap = (bits & 2u) != 0;
    setup.used_from_ring = (bits & 4u) != 0;
    (void)bh_queue_start(&rings->queue, &rings->memory, &setup);
}

static void pop(struct rings *rings)
{
    for (uint32_t i = 0; i < CHAINS_MAX; i++) {
        if (!rings->taken[i]) {
            int got = bh_queue_pop(&rings->queue, &rings->chains[i]);

            FUZZ_CHECK(got <= 1);
            if (got == 1) {
                rings->taken[i] = true;
                rings->in_flight++;
                check_chain(rings, &rings->chains[i]);
            } else {
                FUZZ_CHECK(got == 0 || got == BH_AGAIN || rings->queue.state == BH_QUEUE_FAULTY);
            }
            return;
        }
    }
}

/* The chain that a byte of the input means; NULL: none is in flight. */
static struct bh_chain *chosen(struct rings *rings, uint8_t number)
{
    uint32_t skip = rings->in_flight == 0 ? 0 : number % rings->in_flight;

    for (uint32_t i = 0; i < CHAINS_MAX; i++) {
        if (rings->taken[i]) {
            if (skip == 0) {
                return &rings->chains[i];
            }
            skip--;
        }
    }
    return NULL;
}

static void push(struct rings *rings, struct bh_chain *chain, uint32_t written)
{
    rings->taken[chain - rings->chains] = false;
    rings->in_flight--;
    bh_queue_push(&rings->queue, chain, written);
}

/* What a device model does with a chain. */
static void use(const struct rings *rings, struct bh_chain *chain, struct fuzz_input *input)
{
    uint8_t bytes[300] = {0};
    uint32_t offset = fuzz_u16(input);
    uint32_t length = fuzz_u16(input) % sizeof(bytes);
    uint8_t *status = NULL;

    switch (fuzz_u8(input) % 4u) {
    case 0:
        FUZZ_CHECK(bh_chain_read(chain, offset, bytes, length) <= length);
        break;
    case 1:
        FUZZ_CHECK(bh_chain_write(chain, offset, bytes, length) <= length);
        break;
    case 2:
        (void)bh_chain_cut_header(chain, length);
        break;
    default:
        if (bh_chain_cut_status(chain, &status) == BH_OK) {
            *status = 1;
        }
        break;
    }
    check_chain(rings, chain);
}

static void poke(struct rings *rings, struct fuzz_input *input)
{
    if ((fuzz_u8(input) & 1u) != 0) {
        fuzz_poke(input, rings->paged, PAGES * PAGE);
    } else {
        fuzz_poke(input, rings->direct, DIRECT);
    }
}

static void step(struct rings *rings, struct fuzz_input *input, uint64_t features)
{
    struct bh_chain *chain;

    switch (fuzz_u8(input) % STEPS) {
    case STEP_POP:
        pop(rings);
        break;
    case STEP_PUSH:
        chain = chosen(rings, fuzz_u8(input));
        if (chain != NULL) {
            push(rings, chain, fuzz_u32(input));
        }
        break;
    case STEP_PUBLISH:
        (void)bh_queue_publish(&rings->queue);
        break;
    case STEP_NOTIFY:
        (void)bh_queue_notify_enable(&rings->queue, (fuzz_u8(input) & 1u) != 0);
        break;
    case STEP_POKE:
        poke(rings, input);
        break;
    case STEP_STOP:
        (void)bh_queue_stop(&rings->queue);
        break;
    case STEP_START:
        start(rings, input, features);
        break;
    case STEP_USE:
        chain = chosen(rings, fuzz_u8(input));
        if (chain != NULL) {
            use(rings, chain, input);
        }
        break;
    case STEP_REFUSE:
        rings->refuse = fuzz_u8(input);
        break;
    default:
        break;
    }
    check_queue(rings);
}

static void init(struct rings *rings, uint8_t size, uint8_t block_spans, uint8_t blocks)
{
    memset(rings, 0, sizeof(*rings));
    rings->direct = aligned_alloc(16, DIRECT);
    rings->paged = aligned_alloc(16, PAGES * PAGE);
    FUZZ_CHECK(rings->direct != NULL && rings->paged != NULL);
    memset(rings->direct, 0, DIRECT);
    memset(rings->paged, 0, PAGES * PAGE);
    rings->region =
        (struct bh_region){BASE, DIRECT, rings->direct, BH_ACCESS_READ | BH_ACCESS_WRITE};
    rings->memory =
        (struct bh_memory){.regions = &rings->region, .region_count = 1, .ops = &memory_ops};
    bh_span_pool_init(
        &rings->pool, rings->spans, rings->free_blocks, (uint16_t)(blocks % (BLOCKS_MAX + 1)),
        (uint16_t)(BH_CHAIN_INLINE + block_spans % (SPANS_MAX - BH_CHAIN_INLINE + 1)));
    bh_queue_init(&rings->queue, 0, (uint16_t)(size % RING_MAX + 1), rings->order, rings->busy,
                  &rings->pool);
}

/* Everything comes back, the queue stops, and nothing is held any more. */
static void finish(struct rings *rings)
{
    for (uint32_t i = 0; i < CHAINS_MAX; i++) {
        if (rings->taken[i]) {
            push(rings, &rings->chains[i], 0);
        }
    }
    (void)bh_queue_publish(&rings->queue);
    FUZZ_CHECK(bh_queue_stop(&rings->queue) == BH_OK);
    FUZZ_CHECK(rings->queue.state == BH_QUEUE_STOPPED);
    FUZZ_CHECK(rings->pool.free_count == rings->pool.block_count);
    for (uint32_t i = 0; i < PAGES; i++) {
        FUZZ_CHECK(rings->held[i] == 0);
    }
    free(rings->direct);
    free(rings->paged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t choices[4] = {BH_F_RING_PACKED, BH_F_INDIRECT_DESC, BH_F_EVENT_IDX,
                                        BH_F_IN_ORDER};
    static struct rings rings;
    struct fuzz_input input = {data, size};
    uint8_t flags = fuzz_u8(&input);
    uint8_t queue_size = fuzz_u8(&input);
    uint8_t block_spans = fuzz_u8(&input);
    uint64_t features = 0;

    for (uint32_t i = 0; i < 4; i++) {
        if ((flags & (1u << i)) != 0) {
            features |= choices[i];
        }
    }
    init(&rings, queue_size, block_spans, fuzz_u8(&input));
    start(&rings, &input, features);
    while (input.left != 0) {
        step(&rings, &input, features);
    }
    finish(&rings);
    return 0;
}
