/* SPDX-License-Identifier: BSD-2-Clause */
/* A vhost-user back end and a raw front end in one process: see vu_rig.h. */
#include "vu_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- life ---- */

static void on_notice(void *context, const struct bh_vu_notice *notice)
{
    struct vu *vu = context;

    vu->notices[notice->event]++;
    vu->detail = notice->detail;
    vu->request = notice->request;
}

static void on_closed(void *context)
{
    struct vu *vu = context;

    vu->closed++;
}

int vu_memfd(uint64_t size, bool sealed)
{
    int fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (sealed) {
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    }
    return fd;
}

static void make_memory(struct vu *vu, bool packed)
{
    struct guest *guest = &vu->guest;

    guest_init(guest, packed, 8, 0);
    guest_finish(guest);
    vu->memory = vu_memfd(VU_MEMORY, true);
    vu->map = mmap(NULL, VU_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, vu->memory, 0);
    assert_true(vu->map != MAP_FAILED);
    guest->regions[0] =
        (struct bh_region){GUEST_LOW, VU_MEMORY, vu->map, BH_ACCESS_READ | BH_ACCESS_WRITE};
    guest->memory.region_count = 1;
}

static void prepare(struct vu *vu, bool packed)
{
    memset(vu, 0, sizeof(*vu));
    vu->loop.poller.ops = &vu_loop_ops;
    vu->socket = -1;
    vu->connection = -1;
    vu->listener = -1;
    vu->inflight = -1;
    echo_init(&vu->echo, packed);
    make_memory(vu, packed);
    for (unsigned i = 0; i < VU_RINGS; i++) {
        vu->kick[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        vu->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        vu->error[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
}

static void create(struct vu *vu, int listen_fd, int connection_fd)
{
    struct bh_vu_setup setup = vu->more;

    setup.device = &vu->echo.device;
    setup.poller = &vu->loop.poller;
    setup.listen_fd = listen_fd;
    setup.connection_fd = connection_fd;
    setup.features = BH_VU_FEATURES;
    setup.notice = on_notice;
    setup.closed = on_closed;
    setup.context = vu;
    assert_int_equal(bh_vu_backend_create(&vu->backend, &setup), BH_OK);
}

void vu_init_with(struct vu *vu, bool packed, const struct bh_vu_setup *more)
{
    int pair[2];

    prepare(vu, packed);
    vu->more = *more;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    vu->socket = pair[0];
    /* A duplicate keeps the connection open when the back end lets go of it. */
    vu->connection = more->keep_ops != NULL ? dup(pair[1]) : -1;
    create(vu, -1, pair[1]);
}

void vu_init(struct vu *vu, bool packed)
{
    int pair[2];

    prepare(vu, packed);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    vu->socket = pair[0];
    create(vu, -1, pair[1]);
}

void vu_succeed(struct vu *next, const struct vu *was, const struct bh_vu_adoption *adoption,
                bool connected)
{
    memset(next, 0, sizeof(*next));
    next->loop.poller.ops = &vu_loop_ops;
    next->listener = -1;
    next->inflight = -1;
    echo_init(&next->echo, was->guest.packed);
    next->guest = was->guest;
    next->memory = dup(was->memory);
    next->map = mmap(NULL, VU_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, next->memory, 0);
    assert_true(next->map != MAP_FAILED);
    next->guest.regions[0].base = next->map;
    next->guest.memory.regions = next->guest.regions;
    for (unsigned i = 0; i < VU_RINGS; i++) {
        next->kick[i] = dup(was->kick[i]);
        next->call[i] = dup(was->call[i]);
        next->error[i] = dup(was->error[i]);
    }
    next->more = was->more;
    next->more.adoption = adoption;
    next->socket = dup(was->socket);
    next->connection = dup(was->connection);
    create(next, -1, connected ? dup(was->connection) : -1);
}

/* The kernel chooses a name for the socket. */
void vu_init_listening(struct vu *vu, bool packed)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    prepare(vu, packed);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
    assert_int_equal(listen(listener, 4), 0);
    vu->listener = dup(listener);
    create(vu, listener, -1);
}

void vu_connect(struct vu *vu)
{
    struct sockaddr_un address;
    socklen_t length = sizeof(address);

    assert_int_equal(getsockname(vu->listener, (struct sockaddr *)&address, &length), 0);
    vu->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(vu->socket, (struct sockaddr *)&address, length), 0);
    vu_run(vu);
}

static void shut(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
}

void vu_disconnect(struct vu *vu)
{
    shut(&vu->socket);
    vu_run(vu);
}

void vu_finish(struct vu *vu)
{
    bh_vu_backend_destroy(vu->backend);
    echo_finish(&vu->echo);
    if (vu->map != NULL) {
        (void)munmap(vu->map, VU_MEMORY);
    }
    shut(&vu->memory);
    shut(&vu->socket);
    shut(&vu->connection);
    shut(&vu->listener);
    shut(&vu->inflight);
    for (unsigned i = 0; i < VU_RINGS; i++) {
        shut(&vu->kick[i]);
        shut(&vu->call[i]);
        shut(&vu->error[i]);
    }
}

static int setup_one(void **state, bool packed)
{
    struct vu *vu = malloc(sizeof(*vu));

    if (vu == NULL) {
        return -1;
    }
    vu_init(vu, packed);
    *state = vu;
    return 0;
}

int vu_setup_split(void **state)
{
    return setup_one(state, false);
}

int vu_setup_packed(void **state)
{
    return setup_one(state, true);
}

int vu_teardown(void **state)
{
    vu_finish(*state);
    free(*state);
    return 0;
}

unsigned vu_count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

/* ---- messages ---- */

bool vu_send_raw(struct vu *vu, const void *bytes, size_t length, const int *fds, uint32_t count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * (BH_VU_FDS_MAX + 8u))];
    } control;
    struct iovec part = {.iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    memcpy(&part.iov_base, &bytes, sizeof(bytes)); /* sendmsg does not write to it */
    if (count != 0) {
        memset(&control, 0, sizeof(control));
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.align), fds, sizeof(int) * count);
    }
    return sendmsg(vu->socket, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

bool vu_send(struct vu *vu, uint32_t request, uint32_t flags, const void *payload, uint32_t size,
             const int *fds, uint32_t count)
{
    uint8_t bytes[1024];
    struct bh_vu_header header = {.request = request, .flags = flags, .size = size};

    assert_true(size <= sizeof(bytes) - sizeof(header));
    memcpy(bytes, &header, sizeof(header));
    if (size != 0) {
        memcpy(bytes + sizeof(header), payload, size);
    }
    return vu_send_raw(vu, bytes, sizeof(header) + size, fds, count);
}

bool vu_receive(struct vu *vu, int socket, struct vu_message *message)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * BH_VU_FDS_MAX)];
    } control;
    struct iovec part = {.iov_base = &message->header, .iov_len = sizeof(message->header)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got;

    (void)vu;
    memset(message, 0, sizeof(*message));
    got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got <= 0) {
        return false;
    }
    assert_int_equal(got, sizeof(message->header));
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&header); c != NULL; c = CMSG_NXTHDR(&header, c)) {
        message->fd_count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(message->fds, CMSG_DATA(c), message->fd_count * sizeof(int));
    }
    assert_true(message->header.size <= sizeof(message->payload));
    if (message->header.size != 0) {
        got = recv(socket, &message->payload, message->header.size, MSG_DONTWAIT);
        assert_int_equal(got, message->header.size);
    }
    return true;
}

bool vu_is_closed(struct vu *vu)
{
    uint8_t byte;
    ssize_t got = recv(vu->socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

    return got == 0 || (got < 0 && errno != EAGAIN);
}

void vu_expect_refused(struct vu *vu)
{
    vu_run(vu);
    assert_true(vu_is_closed(vu));
    assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
    assert_non_null(vu->detail);
    assert_int_equal(vu->closed, 1);
}

void vu_expect_open(struct vu *vu)
{
    uint8_t byte;

    vu_run(vu);
    assert_true(recv(vu->socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN);
    assert_int_equal(vu->closed, 0);
}

void vu_tell(struct vu *vu, uint32_t request, const void *payload, uint32_t size, const int *fds,
             uint32_t count)
{
    assert_true(vu_send(vu, request, BH_VU_VERSION, payload, size, fds, count));
    vu_run(vu);
}

/* What every reply must look like: QEMU compares the flags. */
static void receive_reply(struct vu *vu, uint32_t request, struct vu_message *reply)
{
    assert_true(vu_receive(vu, vu->socket, reply));
    assert_int_equal(reply->header.request, request);
    assert_int_equal(reply->header.flags, BH_VU_VERSION | BH_VU_REPLY);
}

void vu_ask(struct vu *vu, uint32_t request, const void *payload, uint32_t size,
            struct vu_message *reply)
{
    vu_tell(vu, request, payload, size, NULL, 0);
    receive_reply(vu, request, reply);
}

uint64_t vu_ack(struct vu *vu, uint32_t request, const void *payload, uint32_t size, const int *fds,
                uint32_t count)
{
    struct vu_message reply;

    assert_true(vu_send(vu, request, BH_VU_VERSION | BH_VU_NEED_REPLY, payload, size, fds, count));
    vu_run(vu);
    receive_reply(vu, request, &reply);
    assert_int_equal(reply.header.size, sizeof(uint64_t));
    return reply.payload.u64;
}

void vu_tell_u64(struct vu *vu, uint32_t request, uint64_t value)
{
    vu_tell(vu, request, &value, sizeof(value), NULL, 0);
}

void vu_tell_state(struct vu *vu, uint32_t request, uint32_t index, uint32_t number)
{
    struct bh_vu_vring_state state = {.index = index, .number = number};

    vu_tell(vu, request, &state, sizeof(state), NULL, 0);
}

uint64_t vu_ask_u64(struct vu *vu, uint32_t request)
{
    struct vu_message reply;

    vu_ask(vu, request, NULL, 0, &reply);
    assert_int_equal(reply.header.size, sizeof(uint64_t));
    return reply.payload.u64;
}

uint32_t vu_ask_base(struct vu *vu, uint32_t index)
{
    struct bh_vu_vring_state state = {.index = index};
    struct vu_message reply;

    vu_ask(vu, BH_VU_GET_VRING_BASE, &state, sizeof(state), &reply);
    assert_int_equal(reply.header.size, sizeof(state));
    assert_int_equal(reply.payload.state.index, index);
    return reply.payload.state.number;
}

/* ---- the steps of a front end ---- */

uint64_t vu_features(const struct vu *vu)
{
    return BH_F_VERSION_1 | (vu->guest.packed ? BH_F_RING_PACKED : 0);
}

void vu_negotiate(struct vu *vu, uint64_t features)
{
    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL);
    vu_tell(vu, BH_VU_SET_OWNER, NULL, 0, NULL, 0);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, features | vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
}

struct bh_vu_memory_table vu_table(void)
{
    struct bh_vu_memory_table table = {.count = 1};

    table.regions[0] = (struct bh_vu_region){
        .guest_address = GUEST_LOW, .size = VU_MEMORY, .user_address = VU_USER};
    return table;
}

void vu_memory(struct vu *vu)
{
    struct bh_vu_memory_table table = vu_table();

    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 8 + sizeof(struct bh_vu_region), &vu->memory, 1);
}

/* The rings lie side by side, as in echo_class.c. */
struct bh_vu_vring_address vu_address(uint32_t index)
{
    uint64_t offset = VU_USER - GUEST_LOW + 0x200u * (uint64_t)index;

    return (struct bh_vu_vring_address){.index = index,
                                        .descriptor = GUEST_DESCRIPTOR + offset,
                                        .available = GUEST_DRIVER + offset,
                                        .used = GUEST_DEVICE + offset};
}

void vu_event_fd(struct vu *vu, uint32_t request, uint32_t index, int fd)
{
    uint64_t value = index;

    vu_tell(vu, request, &value, sizeof(value), &fd, 1);
}

void vu_ring(struct vu *vu, uint32_t index)
{
    struct bh_vu_vring_address address = vu_address(index);

    vu_tell_state(vu, BH_VU_SET_VRING_NUM, index, vu->guest.size);
    vu_tell_state(vu, BH_VU_SET_VRING_BASE, index, vu->guest.packed ? 0x80008000u : 0u);
    vu_tell(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
    vu_event_fd(vu, BH_VU_SET_VRING_CALL, index, vu->call[index]);
    vu_event_fd(vu, BH_VU_SET_VRING_ERR, index, vu->error[index]);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, index, vu->kick[index]);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, index, 1);
}

void vu_live(struct vu *vu)
{
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_ring(vu, 0);
    vu_expect_open(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_READY], 1);
}

void vu_kick(struct vu *vu, uint32_t index)
{
    assert_int_equal(eventfd_write(vu->kick[index], 1), 0);
    vu_run(vu);
}

bool vu_called(struct vu *vu, uint32_t index)
{
    eventfd_t count;

    return eventfd_read(vu->call[index], &count) == 0;
}

void vu_inflight_get(struct vu *vu, uint32_t size)
{
    struct bh_vu_inflight wanted = {.queue_count = VU_RINGS, .queue_size = vu->guest.size};
    struct vu_message reply;

    vu_ask(vu, BH_VU_GET_INFLIGHT_FD, &wanted, size, &reply);
    assert_int_equal(reply.header.size, size);
    assert_int_equal(reply.fd_count, 1);
    assert_int_equal(reply.payload.inflight.queue_count, VU_RINGS);
    assert_int_equal(reply.payload.inflight.queue_size, vu->guest.size);
    assert_true(reply.payload.inflight.mmap_size > 0);
    shut(&vu->inflight);
    vu->inflight = reply.fds[0];
    vu->inflight_where = reply.payload.inflight;
}

void vu_inflight_set(struct vu *vu)
{
    vu_tell(vu, BH_VU_SET_INFLIGHT_FD, &vu->inflight_where, BH_VU_INFLIGHT_SIZE, &vu->inflight, 1);
}

/* ---- the guest ---- */

void vu_offer(struct vu *vu, uint16_t id)
{
    const struct guest_buffer buffers[2] = {
        {GUEST_DATA + 0x100u * (uint64_t)id, 16, R},
        {GUEST_DATA + 0x100u * (uint64_t)id + 0x80u, 16, W},
    };

    guest_offer(&vu->guest, buffers, 2, id);
}

unsigned vu_take(struct vu *vu, uint16_t *ids, unsigned room)
{
    unsigned count = 0;
    uint32_t id;
    uint32_t length;

    while (count < room && guest_used(&vu->guest, &id, &length)) {
        ids[count] = (uint16_t)id;
        count++;
    }
    return count;
}

void vu_expect_works(struct vu *vu)
{
    uint16_t id = 0;

    vu_offer(vu, 0);
    vu_kick(vu, 0);
    assert_int_equal(vu_take(vu, &id, 1), 1);
    assert_int_equal(id, 0);
}
