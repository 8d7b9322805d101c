/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the vhost-user port: the input is what a hostile front end sends (any bytes, with
 * descriptors of any kind), what its guest writes into rings and memory, what happens to the
 * in-flight region, when files are truncated, when the back end dies, and when requests complete.
 * Checked: nothing is written into memory that was let go of, nothing stays open or kept, and whatever
 * was done, the session ends once its requests are back. With an owner who keeps what a successor needs,
 * the back end that follows a dead one takes its connection over, from a record that may have rotted.
 *
 * Input: u8 kind (1 packed, 2 memory is not sealed, 4 the owner keeps, 8 the owner serves rings), then
 * steps: u8 operation and its operands.
 * vu_seeds.py writes this format.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz_machine.h"

#include "bulkhead/vhost_user.h"

#define MEMORY     0x10000u
#define GUEST      UINT64_C(0x40000000)
#define USER       UINT64_C(0x7f0000000000)
#define STEPS_MAX  600u
#define TURNS_MAX  2000u
#define RING_AREA  0x1000u /* of ring r: descriptors, + 0x400 driver, + 0x800 device */
#define DESCS_FREE 256u    /* how many descriptors the process may have open */

enum step {
    STEP_MESSAGE,
    STEP_TURN,
    STEP_LIVE,
    STEP_OFFER,
    STEP_KICK,
    STEP_POKE,
    STEP_FINISH,
    STEP_FLUSH,
    STEP_TRUNCATE,
    STEP_CONFIG,
    STEP_CRASH,
    STEP_RECONNECT,
    STEP_STOP,
    STEP_ROT,
    STEPS,
};

/* What a descriptor in a message is. */
enum kind {
    KIND_MEMORY,
    KIND_EVENT,
    KIND_INFLIGHT,
    KIND_SOCKET,
    KIND_PIPE,
    KIND_ROOT,
    KIND_PATH,
    KINDS
};

struct world {
    struct loop loop;
    struct machine machine;
    struct owner owner;
    int connection; /* the back end's end, for a successor */
    bool packed;
    int socket;
    int memory;
    int inflight;
    struct bh_vu_inflight where;
    int kick[RINGS];
    int call;
    int pipes[2];
    int other[2]; /* a socket pair that is not the connection */
    uint16_t avail[RINGS];
    bool wrap[RINGS];
    uint16_t size[RINGS];
};

/* ---- life ---- */

static void begin(struct world *world)
{
    int pair[2];

    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    world->socket = pair[0];
    world->connection = dup(pair[1]);
    machine_begin(&world->machine, &world->loop, pair[1], &world->owner, false);
}

/* What a front end would do with the answers: read them. The in-flight region is kept. */
static void read_replies(struct world *world)
{
    struct {
        struct bh_vu_header header;
        union bh_vu_payload payload;
    } reply;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;

    for (;;) {
        struct iovec part = {.iov_base = &reply.header, .iov_len = sizeof(reply.header)};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        const struct cmsghdr *c;

        if (recvmsg(world->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) !=
            (ssize_t)sizeof(reply.header)) {
            return;
        }
        FUZZ_CHECK(reply.header.flags == (BH_VU_VERSION | BH_VU_REPLY));
        FUZZ_CHECK(reply.header.size <= sizeof(reply.payload));
        if (reply.header.size != 0) {
            FUZZ_CHECK(recv(world->socket, &reply.payload, reply.header.size, MSG_DONTWAIT) ==
                       (ssize_t)reply.header.size);
        }
        c = CMSG_FIRSTHDR(&message);
        if (c != NULL) {
            FUZZ_CHECK(reply.header.request == BH_VU_GET_INFLIGHT_FD);
            (void)close(world->inflight);
            memcpy(&world->inflight, CMSG_DATA(c), sizeof(int));
            world->where = reply.payload.inflight;
        }
    }
}

static void run(struct world *world)
{
    unsigned turns = 0;

    while (loop_turn(&world->loop)) {
        read_replies(world);
        turns++;
        FUZZ_CHECK(turns < TURNS_MAX);
    }
    read_replies(world);
}

/* The front end goes; once everything is back, the session must be over. What it sent before is
 * still obeyed, and may take further requests. */
static void end(struct world *world)
{
    struct machine *machine = &world->machine;

    (void)close(world->socket);
    run(world);
    for (unsigned i = 0; machine->closed == 0 && i < STEPS_MAX; i++) {
        for (unsigned j = 0; j < HELD; j++) {
            machine_finish(machine, 0);
        }
        bh_device_flush(&machine->device);
        run(world);
    }
    FUZZ_CHECK(machine->closed == 1);
    FUZZ_CHECK(machine->memory.region_count == 0 && machine->admitted == 0);
    FUZZ_CHECK(!machine->running[0] && !machine->running[1]);
    bh_vu_backend_destroy(machine->backend);
    (void)close(world->connection);
    for (uint32_t i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        FUZZ_CHECK(world->owner.fds[i] < 0);
    }
}

/* The back end dies: what it held never comes back. */
static void crash(struct world *world)
{
    bh_vu_backend_destroy(world->machine.backend);
    if ((world->owner.does & OWNER_KEEPS) != 0) {
        machine_begin(&world->machine, &world->loop, dup(world->connection), &world->owner, true);
        return;
    }
    (void)close(world->socket);
    (void)close(world->connection);
    begin(world);
}

/* A byte of what is kept goes bad: one that matters, of the head, a region, its slot, or a ring. */
static void rot(struct world *world, struct fuzz_input *input)
{
    static const size_t parts[] = {0, offsetof(struct bh_vu_saved, regions),
                                   offsetof(struct bh_vu_saved, slots),
                                   offsetof(struct bh_vu_saved, rings)};
    uint8_t *saved = (uint8_t *)&world->owner.saved;
    size_t part = parts[fuzz_u8(input) % 4u];
    size_t at = fuzz_u8(input) % 128u;

    saved[part + at] = fuzz_u8(input);
}

/* ---- messages ---- */

static void send_message(struct world *world, uint32_t request, uint32_t flags, const void *payload,
                         uint32_t length, uint32_t size, const int *fds, uint32_t count)
{
    struct bh_vu_header header = {.request = request, .flags = flags, .size = size};
    uint8_t bytes[sizeof(header) + 512];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * 16)];
    } control;
    struct iovec part = {.iov_base = bytes, .iov_len = sizeof(header) + length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(bytes, &header, sizeof(header));
    if (length != 0) {
        memcpy(bytes + sizeof(header), payload, length);
    }
    if (count != 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * count);
    }
    (void)sendmsg(world->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* A descriptor of a kind; those that are opened for it are closed by `send_any`. */
static int open_kind(const struct world *world, unsigned kind)
{
    switch (kind % KINDS) {
    case KIND_MEMORY:
        return dup(world->memory);
    case KIND_INFLIGHT:
        return dup(world->inflight);
    case KIND_SOCKET:
        return dup(world->other[0]);
    case KIND_PIPE:
        return dup(world->pipes[0]);
    case KIND_ROOT:
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    case KIND_PATH:
        return open("/", O_PATH | O_CLOEXEC);
    default:
        return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
}

static void send_any(struct world *world, struct fuzz_input *input)
{
    uint32_t request = fuzz_u8(input);
    uint32_t flags = fuzz_u8(input);
    uint32_t length = fuzz_u8(input);
    uint8_t payload[256 + sizeof(uint64_t)];
    int fds[16] = {0};
    uint32_t count;
    uint32_t size;

    for (uint32_t i = 0; i < length; i++) {
        payload[i] = fuzz_u8(input);
    }
    size = (uint32_t)((int32_t)length + (int8_t)fuzz_u8(input));
    count = fuzz_u8(input) % 16;
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = open_kind(world, fuzz_u8(input));
        FUZZ_CHECK(fds[i] >= 0);
    }
    send_message(world, request, flags ^ BH_VU_VERSION, payload, length, size, fds, count);
    for (uint32_t i = 0; i < count; i++) {
        (void)close(fds[i]);
    }
}

static void tell(struct world *world, uint32_t request, const void *payload, uint32_t size,
                 const int *fd)
{
    send_message(world, request, BH_VU_VERSION | BH_VU_NEED_REPLY, payload, size, size, fd,
                 fd != NULL ? 1 : 0);
    run(world);
}

static void tell_u64(struct world *world, uint32_t request, uint64_t value, const int *fd)
{
    tell(world, request, &value, sizeof(value), fd);
}

static void tell_state(struct world *world, uint32_t request, uint32_t index, uint32_t number)
{
    struct bh_vu_vring_state state = {.index = index, .number = number};

    tell(world, request, &state, sizeof(state), NULL);
}

/* What a front end does that means well. bits: 1 in-flight region, 2 event-idx, 4 in-order,
 * 8 indirect, 16 memory again, 32 no protocol features. */
static void live(struct world *world, uint8_t bits, uint16_t size, uint32_t ring)
{
    struct bh_vu_memory_table table = {.count = 1};
    uint64_t at = USER + RING_AREA * (uint64_t)ring;
    struct bh_vu_vring_address address = {
        .index = ring, .descriptor = at, .available = at + 0x400, .used = at + 0x800};
    uint64_t features = BH_F_VERSION_1 | (world->packed ? BH_F_RING_PACKED : 0) |
                        ((bits & 2) != 0 ? BH_F_EVENT_IDX : 0) |
                        ((bits & 4) != 0 ? BH_F_IN_ORDER : 0) |
                        ((bits & 8) != 0 ? BH_F_INDIRECT_DESC : 0);
    uint64_t protocol = UINT64_C(0x1b229);

    table.regions[0] =
        (struct bh_vu_region){.guest_address = GUEST, .size = MEMORY, .user_address = USER};
    if ((world->owner.does & OWNER_KEEPS) != 0) {
        protocol &= ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD; /* it is the owner's, and not offered */
        bits &= 0xfe;
    }
    tell_u64(world, BH_VU_SET_PROTOCOL_FEATURES, protocol, NULL);
    tell_u64(world, BH_VU_SET_FEATURES,
             features | ((bits & 32) != 0 ? 0 : BH_VU_F_PROTOCOL_FEATURES), NULL);
    if (world->machine.memory.region_count == 0 || (bits & 16) != 0) {
        tell(world, BH_VU_SET_MEM_TABLE, &table, 40, &world->memory);
    }
    if ((bits & 1) != 0) {
        struct bh_vu_inflight wanted = {.queue_count = RINGS, .queue_size = size};

        if (world->where.mmap_size == 0) {
            tell(world, BH_VU_GET_INFLIGHT_FD, &wanted, BH_VU_INFLIGHT_SIZE, NULL);
        }
        tell(world, BH_VU_SET_INFLIGHT_FD, &world->where, BH_VU_INFLIGHT_SIZE, &world->inflight);
    }
    tell_state(world, BH_VU_SET_VRING_NUM, ring, size);
    tell_state(world, BH_VU_SET_VRING_BASE, ring, world->packed ? 0x80008000u : 0);
    tell(world, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL);
    tell_u64(world, BH_VU_SET_VRING_CALL, ring, &world->call);
    tell_u64(world, BH_VU_SET_VRING_KICK, ring, &world->kick[ring]);
    tell_state(world, BH_VU_SET_VRING_ENABLE, ring, 1);
    world->size[ring] = size;
}

/* ---- the guest ---- */

/* Files, not mappings: whoever truncates a file must not touch it himself. */
static void poke(const struct world *world, uint64_t at, const void *bytes, size_t length)
{
    (void)!pwrite(world->memory, bytes, length, (off_t)at);
}

static void poke_desc(const struct world *world, uint64_t at, uint64_t address, uint32_t length,
                      uint16_t flags, uint16_t extra)
{
    uint8_t bytes[16];
    uint16_t third = world->packed ? extra : flags;
    uint16_t fourth = world->packed ? flags : extra;

    memcpy(bytes, &address, 8);
    memcpy(bytes + 8, &length, 4);
    memcpy(bytes + 12, &third, 2);
    memcpy(bytes + 14, &fourth, 2);
    poke(world, at, bytes, sizeof(bytes));
}

/* A chain under `head`; per descriptor: address (16 bits), length (16), flags (1 write, 2 nowhere,
 * 4 indirect). */
static void offer(struct world *world, struct fuzz_input *input)
{
    uint32_t ring = fuzz_u8(input) % RINGS;
    uint16_t size = world->size[ring];
    uint16_t head = (uint16_t)(fuzz_u8(input) % size);
    uint32_t count = 1 + fuzz_u8(input) % 8u;
    uint64_t base = RING_AREA * (uint64_t)ring;
    uint16_t index;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t address = GUEST + fuzz_u16(input);
        uint32_t length = fuzz_u16(input);
        uint8_t bits = fuzz_u8(input);
        uint16_t flags = (uint16_t)((bits & 1u) != 0 ? BH_DESC_WRITE : 0u);
        uint16_t at = (uint16_t)((head + i) % size);

        flags |= (uint16_t)(i + 1 < count ? BH_DESC_NEXT : 0u);
        flags |= (uint16_t)((bits & 4u) != 0 ? BH_DESC_INDIRECT : 0u);
        address += (bits & 2u) != 0 ? UINT64_C(1) << 40 : 0;
        if (!world->packed) {
            poke_desc(world, base + 16u * at, address, length, flags, (uint16_t)((at + 1u) % size));
            continue;
        }
        flags |= (uint16_t)(world->wrap[ring] ? BH_DESC_AVAIL : BH_DESC_USED);
        poke_desc(world, base + 16u * world->avail[ring], address, length, flags, head);
        world->avail[ring]++;
        if (world->avail[ring] >= size) {
            world->avail[ring] = 0;
            world->wrap[ring] = !world->wrap[ring];
        }
    }
    if (!world->packed) {
        poke(world, base + 0x404 + 2u * (world->avail[ring] % size), &head, 2);
        world->avail[ring]++;
        index = world->avail[ring];
        poke(world, base + 0x402, &index, 2);
    }
}

static void poke_any(struct world *world, struct fuzz_input *input)
{
    int fd = fuzz_u8(input) % 2u == 0 ? world->memory : world->inflight;
    uint16_t at = fuzz_u16(input);
    uint8_t length = fuzz_u8(input);
    uint8_t bytes[256];

    for (unsigned i = 0; i < length; i++) {
        bytes[i] = fuzz_u8(input);
    }
    (void)!pwrite(fd, bytes, length, fd == world->memory ? at : at % 1024u);
}

static void step(struct world *world, struct fuzz_input *input)
{
    struct machine *machine = &world->machine;
    uint8_t bits;

    switch (fuzz_u8(input) % STEPS) {
    case STEP_MESSAGE:
        send_any(world, input);
        break;
    case STEP_TURN:
        run(world);
        break;
    case STEP_LIVE:
        bits = fuzz_u8(input);
        live(world, bits, (uint16_t)(1u << (fuzz_u8(input) % 5u)), fuzz_u8(input) % RINGS);
        break;
    case STEP_OFFER:
        offer(world, input);
        break;
    case STEP_KICK:
        (void)eventfd_write(world->kick[fuzz_u8(input) % RINGS], 1);
        run(world);
        break;
    case STEP_POKE:
        poke_any(world, input);
        break;
    case STEP_FINISH:
        machine_finish(machine, fuzz_u8(input));
        break;
    case STEP_FLUSH:
        bh_device_flush(&machine->device);
        break;
    case STEP_TRUNCATE:
        (void)!ftruncate(world->memory, fuzz_u16(input));
        break;
    case STEP_CONFIG:
        bh_device_config_changed(&machine->device);
        break;
    case STEP_CRASH:
        crash(world);
        break;
    case STEP_RECONNECT:
        end(world);
        begin(world);
        break;
    case STEP_STOP:
        tell_state(world, BH_VU_GET_VRING_BASE, fuzz_u8(input) % RINGS, 0);
        break;
    case STEP_ROT:
        rot(world, input);
        break;
    default:
        break;
    }
}

static unsigned count_open(void)
{
    unsigned count = 0;

    for (int fd = 0; fd < (int)DESCS_FREE; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1u : 0u;
    }
    return count;
}

static void open_world(struct world *world, uint8_t kind)
{
    memset(world, 0, sizeof(*world));
    loop_init(&world->loop);
    world->packed = (kind & 1) != 0;
    owner_begin(&world->owner,
                ((kind & 4) != 0 ? OWNER_KEEPS : 0) | ((kind & 8) != 0 ? OWNER_SERVES : 0));
    world->memory = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FUZZ_CHECK(world->memory >= 0 && ftruncate(world->memory, MEMORY) == 0);
    if ((kind & 2) == 0) {
        FUZZ_CHECK(fcntl(world->memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    }
    world->inflight = memfd_create("fuzz", MFD_CLOEXEC);
    FUZZ_CHECK(world->inflight >= 0 && ftruncate(world->inflight, 4096) == 0);
    world->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    FUZZ_CHECK(pipe2(world->pipes, O_CLOEXEC | O_NONBLOCK) == 0);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, world->other) == 0);
    for (unsigned i = 0; i < RINGS; i++) {
        world->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        world->wrap[i] = true;
        world->size[i] = 8;
    }
}

static void close_world(struct world *world)
{
    (void)close(world->memory);
    (void)close(world->inflight);
    (void)close(world->call);
    owner_end(&world->owner);
    for (unsigned i = 0; i < 2; i++) {
        (void)close(world->pipes[i]);
        (void)close(world->other[i]);
    }
    for (unsigned i = 0; i < RINGS; i++) {
        (void)close(world->kick[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct fuzz_input input = {.at = data, .left = size};
    unsigned before = count_open();

    open_world(&world, fuzz_u8(&input));
    begin(&world);
    for (unsigned i = 0; i < STEPS_MAX && input.left != 0; i++) {
        step(&world, &input);
    }
    end(&world);
    close_world(&world);
    FUZZ_CHECK(count_open() == before);
    return 0;
}
