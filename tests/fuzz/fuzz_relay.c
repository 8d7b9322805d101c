/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the gate's relay: an honest guest (driver/) offers requests, a hostile back end writes
 * whatever it likes into what it maps (arena, its rings, shared memory), dies, is replaced; limits change,
 * queues stop and start. Or the guest is hostile, too. The back end also behaves, now and then: the device
 * side of core/ on the same rings.
 *
 * What must hold: the guest's driver never finds a lie in its rings; each request comes back at most
 * once, and once all is stopped exactly once; private memory, and what is readable, stays as it was.
 *
 * Input: u8 flags, u8 class, then steps: u8 operation and its operands. Any input is one.
 */
#include "fuzz_relay.h"

struct fuzz *fuzz;

/* ---- the port, and the guest's transport over it ---- */

static void port_notify(struct bh_device *device, uint16_t queue)
{
    (void)device;
    (void)queue;
}

static void port_config_changed(struct bh_device *device)
{
    (void)device;
}

static void port_failed(struct bh_device *device, uint16_t queue)
{
    (void)device;
    (void)queue;
    /* An honest guest is to blame only for a request that no arena can hold. */
    FUZZ_CHECK((fuzz->flags & FLAG_HOSTILE_GUEST) != 0);
}

static const struct bh_port_ops port_ops = {
    .notify = port_notify,
    .config_changed = port_config_changed,
    .failed = port_failed,
    .idle = port_notify,
};

static int guest_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    (void)transport;
    *size = index < QUEUES ? SIZE : 0;
    return BH_OK;
}

static int guest_start(struct bh_transport *transport, uint16_t index,
                       const struct bh_queue_areas *areas)
{
    struct bh_queue_setup setup = {
        .descriptor = areas->descriptor,
        .driver = areas->driver,
        .device = areas->device,
        .size = areas->size,
        .avail_wrap = true,
        .used_wrap = true,
    };

    (void)transport;
    return bh_device_queue_start(fuzz->device, index, &setup);
}

static int guest_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    (void)transport;
    (void)next;
    (void)wrap;
    (void)bh_device_kick(fuzz->device, index);
    return BH_OK;
}

static const struct bh_transport_ops guest_ops = {
    .queue_size_max = guest_size_max,
    .queue_start = guest_start,
    .notify = guest_notify,
};

/* ---- the guest ---- */

static void guest_go(uint16_t queue)
{
    struct bh_dma dma = {fuzz->guest + (size_t)RINGS * queue, GUEST + (uint64_t)RINGS * queue,
                         RINGS, 0};
    const struct bh_driver_queue_setup setup = {
        .transport = &fuzz->guest_transport,
        .dma = &dma,
        .slots = fuzz->slots[queue],
        .features = fuzz->features,
        .index = queue,
        .size = SIZE,
        .indirect_max = queue % 2 != 0 ? 8 : 0,
    };

    if (fuzz->device->queues[queue].state == BH_QUEUE_STOPPED && !fuzz->driving[queue]) {
        fuzz->driving[queue] = bh_driver_queue_init(&fuzz->drivers[queue], &setup) == BH_OK;
    }
}

static uint8_t pattern(uint32_t request)
{
    return (uint8_t)(0x40u + request);
}

/* A request of three to six elements in the slot of `request`. */
static void guest_offer(uint16_t queue, uint32_t request, uint8_t shape)
{
    struct request *at = &fuzz->requests[request];
    uint64_t address = GUEST + DATA + (uint64_t)SLOT_BYTES * request;
    struct bh_buffer elements[6];
    uint16_t readable = 0;
    uint16_t writable = 0;

    if (at->out || !fuzz->driving[queue]) {
        return;
    }
    *at = (struct request){.queue = queue};
    memset(fuzz->guest + (address - GUEST), pattern(request), SLOT_BYTES);
    /* The type: a few that are repeated, a few that are not. */
    bh_store32((uint32_t *)(void *)(fuzz->guest + (address - GUEST)), shape % 18u);
    elements[readable++] = (struct bh_buffer){address, 16};
    at->readable = 16;
    for (uint32_t i = 0; i < (shape >> 5 & 3); i++) {
        uint32_t length = i == 0 ? 256 : 16;

        elements[readable++] = (struct bh_buffer){address + at->readable, length};
        at->readable += length;
    }
    for (uint8_t i = 0; i < 2; i++) {
        uint32_t length = i == 1 ? 1 : ((shape & 16) != 0 ? 600 : 0);

        if (length != 0) {
            elements[readable + writable] =
                (struct bh_buffer){address + at->readable + at->writable, length};
            at->writable += length;
            writable++;
        }
    }
    if (bh_driver_queue_add(&fuzz->drivers[queue], elements, readable, writable, at) == BH_OK) {
        at->out = true;
        (void)bh_driver_queue_publish(&fuzz->drivers[queue]);
    }
}

static void guest_collect(uint16_t queue)
{
    void *token = NULL;
    uint32_t written = 0;
    int got =
        fuzz->driving[queue] ? bh_driver_queue_collect(&fuzz->drivers[queue], &token, &written) : 0;

    while (got == 1) {
        struct request *at = token;
        uint32_t index = (uint32_t)(at - fuzz->requests);
        const uint8_t *slot = fuzz->guest + DATA + (size_t)SLOT_BYTES * index;

        FUZZ_CHECK(at->out && at->queue == queue);
        at->out = false;
        /* What was not to be written was not; in shared memory the back end can do as it likes. */
        for (uint32_t i = 4;
             i < SLOT_BYTES && (fuzz->flags & (FLAG_SHARED | FLAG_HOSTILE_GUEST)) == 0; i++) {
            bool theirs = i >= at->readable && i < at->readable + at->writable;

            FUZZ_CHECK(theirs || slot[i] == pattern(index));
        }
        got = bh_driver_queue_collect(&fuzz->drivers[queue], &token, &written);
    }
    FUZZ_CHECK(got == 0 || (fuzz->flags & FLAG_HOSTILE_GUEST) != 0);
}

static void guest_stop(uint16_t queue)
{
    (void)bh_device_queue_stop(fuzz->device, queue);
}

/* A queue that has drained is the guest's again; nothing of it is out. */
static void look_at_stopped(void)
{
    for (uint16_t queue = 0; queue < QUEUES; queue++) {
        if (!fuzz->driving[queue] || fuzz->device->queues[queue].state != BH_QUEUE_STOPPED) {
            continue;
        }
        guest_collect(queue);
        for (uint32_t i = 0; i < REQUESTS; i++) {
            struct request *at = &fuzz->requests[i];

            if (at->out && at->queue == queue) {
                /* Those that the device had not popped yet stay in the ring. */
                at->out = false;
            }
        }
        fuzz->driving[queue] = false;
    }
}

/* ---- steps ---- */

enum step {
    STEP_OFFER,
    STEP_COLLECT,
    STEP_BACK_POP,
    STEP_BACK_PUSH,
    STEP_LIE,
    STEP_POKE,
    STEP_CALLED,
    STEP_DETACH,
    STEP_ATTACH,
    STEP_TIME,
    STEP_STOP,
    STEP_START,
    STEP_REFUSE,
    STEP_GUEST_POKE,
    STEP_CONFIG,
    STEPS,
};

static void poke(uint8_t *memory, uint32_t size)
{
    uint32_t at = fuzz_u32(&fuzz->input) % size;
    uint32_t length = fuzz_u8(&fuzz->input);

    for (uint32_t i = 0; i < length && at + i < size; i++) {
        memory[at + i] = fuzz_u8(&fuzz->input);
    }
}

static void step_back(uint8_t operation)
{
    struct fuzz_input *input = &fuzz->input;
    uint16_t queue = fuzz_u8(input) % QUEUES;

    switch (operation) {
    case STEP_BACK_POP:
        back_pop(queue);
        break;
    case STEP_BACK_PUSH:
        back_push((uint8_t)queue, fuzz_u16(input));
        break;
    case STEP_LIE:
        back_lie(queue, fuzz_u32(input), fuzz_u32(input));
        break;
    case STEP_POKE:
        poke(queue == 3 && (fuzz->flags & FLAG_SHARED) != 0 ? fuzz->guest + DATA : fuzz->arena,
             queue == 3 && (fuzz->flags & FLAG_SHARED) != 0 ? GUEST_SIZE - DATA : ARENA_SIZE);
        break;
    default:
        (void)bh_relay_called(fuzz->relay, fuzz_u8(input));
        break;
    }
}

static void step_owner(uint8_t operation)
{
    struct fuzz_input *input = &fuzz->input;

    switch (operation) {
    case STEP_DETACH:
        bh_relay_detach(fuzz->relay, (fuzz_u8(input) & 1) != 0);
        break;
    case STEP_ATTACH:
        bh_relay_detach(fuzz->relay, false);
        back_new(fuzz_u8(input));
        FUZZ_CHECK(bh_relay_attach(fuzz->relay, &fuzz->back.transport, fuzz->back.features) ==
                   (fuzz->refused ? BH_STATE : BH_OK));
        break;
    case STEP_TIME:
        fuzz->now += fuzz_u16(input);
        fuzz->limits.operations_per_second = fuzz_u8(input) * UINT64_C(100);
        fuzz->limits.bytes_per_second = fuzz_u8(input) * UINT64_C(10000);
        bh_relay_go_on(fuzz->relay);
        break;
    case STEP_REFUSE:
        bh_relay_refuse(fuzz->relay);
        fuzz->refused = true;
        break;
    default: {
        uint32_t value = fuzz_u32(input);

        (void)bh_device_config_write(fuzz->device, value >> 8 & 0x3fu, &value, 1);
        break;
    }
    }
}

static void step_guest(uint8_t operation)
{
    struct fuzz_input *input = &fuzz->input;
    uint16_t queue = fuzz_u8(input) % QUEUES;

    switch (operation) {
    case STEP_OFFER: {
        uint32_t request = fuzz_u8(input) % REQUESTS;

        guest_offer(queue, request, fuzz_u8(input));
        break;
    }
    case STEP_COLLECT:
        guest_collect(queue);
        break;
    case STEP_STOP:
        guest_stop(queue);
        break;
    case STEP_START:
        guest_go(queue);
        break;
    default:
        if ((fuzz->flags & FLAG_HOSTILE_GUEST) != 0) {
            poke(fuzz->guest, GUEST_SIZE);
            (void)bh_device_kick(fuzz->device, queue);
        }
        break;
    }
    bh_device_flush(fuzz->device);
}

static void step(void)
{
    uint8_t operation = fuzz_u8(&fuzz->input) % STEPS;

    switch (operation) {
    case STEP_OFFER:
    case STEP_COLLECT:
    case STEP_STOP:
    case STEP_START:
    case STEP_GUEST_POKE:
        step_guest(operation);
        break;
    case STEP_BACK_POP:
    case STEP_BACK_PUSH:
    case STEP_LIE:
    case STEP_POKE:
    case STEP_CALLED:
        step_back(operation);
        break;
    default:
        step_owner(operation);
        break;
    }
    if (fuzz->lied) {
        fuzz->lied = false;
        bh_relay_detach(fuzz->relay, true);
    }
    look_at_stopped();
}

/* ---- life ---- */

static void check_private(void)
{
    for (uint32_t i = PRIVATE; i < DATA && (fuzz->flags & FLAG_HOSTILE_GUEST) == 0; i++) {
        FUZZ_CHECK(fuzz->guest[i] == 0x5e);
    }
}

/* Everything is refused and stopped: nothing is left in flight, the arena is empty. */
static void end(void)
{
    bh_relay_refuse(fuzz->relay);
    for (uint16_t i = 0; i < QUEUES; i++) {
        guest_stop(i);
    }
    bh_device_flush(fuzz->device);
    for (uint16_t i = 0; i < QUEUES; i++) {
        FUZZ_CHECK(fuzz->device->queues[i].state == BH_QUEUE_STOPPED);
        FUZZ_CHECK(fuzz->device->queues[i].in_flight == 0);
    }
    look_at_stopped();
    bh_device_flush(fuzz->device);
    FUZZ_CHECK(fuzz->counters.in_flight == 0);
    FUZZ_CHECK(fuzz->counters.arena_used == 0);
    check_private();
}

static void make(void)
{
    static const uint32_t types[] = {BH_ID_BLK, BH_ID_CONSOLE, BH_ID_NET, 26, 34, 36, 41};
    const uint8_t config[60] = {0};
    struct bh_relay_range range = {GUEST + DATA, GUEST_SIZE - DATA};

    fuzz->flags = fuzz_u8(&fuzz->input);
    fuzz->setup = (struct bh_gate_device){
        .type = types[fuzz_u8(&fuzz->input) % (sizeof(types) / sizeof(types[0]))],
        .queue_count = QUEUES,
        .queue_size_max = SIZE,
        .feature_mask = UINT64_MAX,
        .arena_size = ARENA_SIZE,
    };
    const struct bh_relay_setup setup = {
        .ops = &fuzz_owner,
        .class = bh_gate_class(fuzz->setup.type),
        .device = &fuzz->setup,
        .limits = &fuzz->limits,
        .counters = &fuzz->counters,
        .class_state = fuzz->class_state,
        .memory = &fuzz->memory,
        .arena = fuzz->arena,
        .arena_address = ARENA,
    };

    FUZZ_CHECK(bh_relay_create(&fuzz->relay, &setup) == BH_OK);
    fuzz->device = bh_relay_device(fuzz->relay);
    bh_relay_offer(fuzz->relay, 0, config, sizeof(config), QUEUES);
    fuzz->features = BH_F_VERSION_1 | BH_F_INDIRECT_DESC |
                     ((fuzz->flags & FLAG_GUEST_PACKED) != 0 ? BH_F_RING_PACKED : 0) |
                     ((fuzz->flags & FLAG_EVENT) != 0 ? BH_F_EVENT_IDX : 0) |
                     ((fuzz->flags & FLAG_ORDER) != 0 ? BH_F_IN_ORDER : 0);
    bh_device_bind(fuzz->device, &port_ops, NULL, fuzz->features);
    FUZZ_CHECK(bh_device_features_set(fuzz->device, fuzz->features) == BH_OK);
    if ((fuzz->flags & FLAG_SHARED) != 0) {
        bh_relay_share(fuzz->relay, &range, 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz = calloc(1, sizeof(*fuzz));
    FUZZ_CHECK(fuzz != NULL);
    fuzz->input = (struct fuzz_input){data, size};
    fuzz->guest = aligned_alloc(4096, GUEST_SIZE);
    fuzz->arena = aligned_alloc(4096, ARENA_SIZE);
    FUZZ_CHECK(fuzz->guest != NULL && fuzz->arena != NULL);
    memset(fuzz->guest, 0, GUEST_SIZE);
    memset(fuzz->guest + PRIVATE, 0x5e, DATA - PRIVATE);
    memset(fuzz->arena, 0, ARENA_SIZE);
    fuzz->region =
        (struct bh_region){GUEST, GUEST_SIZE, fuzz->guest, BH_ACCESS_READ | BH_ACCESS_WRITE};
    fuzz->memory = (struct bh_memory){.regions = &fuzz->region, .region_count = 1};
    fuzz->guest_transport.ops = &guest_ops;
    fuzz->now = 1;
    make();
    for (uint16_t i = 0; i < QUEUES; i++) {
        guest_go(i);
    }
    back_new(fuzz_u8(&fuzz->input));
    FUZZ_CHECK(bh_relay_attach(fuzz->relay, &fuzz->back.transport, fuzz->back.features) == BH_OK);
    for (uint32_t i = 0; i < STEPS_MAX && fuzz->input.left != 0; i++) {
        step();
    }
    end();
    bh_relay_destroy(fuzz->relay);
    free(fuzz->guest);
    free(fuzz->arena);
    free(fuzz);
    return 0;
}
