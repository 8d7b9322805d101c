/* SPDX-License-Identifier: BSD-2-Clause */
/* An owner who keeps, and processes that die: see adopt_rig.h. */
#include "adopt_rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static struct owner *owner_of(void *context)
{
    struct life *life = context;

    return life->owner;
}

static void may_die(struct owner *owner)
{
    owner->moments++;
    if (owner->moments == owner->death) {
        longjmp(owner->end, 1);
    }
}

/* Everything that the numbers speak of is kept. */
void adopt_check_whole(const struct owner *owner)
{
    const struct bh_vu_saved *saved = &owner->saved;

    for (uint32_t i = 0; i < saved->region_count; i++) {
        assert_true(saved->slots[i] < BH_VU_KEEP_REGIONS);
        assert_true(owner->fds[saved->slots[i]] >= 0);
    }
    for (unsigned i = 0; i < VU_RINGS; i++) {
        assert_true(!saved->rings[i].has_kick || owner->fds[BH_VU_KEEP_KICK(i)] >= 0);
        assert_true(!saved->rings[i].has_call || owner->fds[BH_VU_KEEP_CALL(i)] >= 0);
        assert_true(!saved->rings[i].has_error || owner->fds[BH_VU_KEEP_ERROR(i)] >= 0);
    }
    assert_true(!saved->has_channel || owner->fds[BH_VU_KEEP_CHANNEL] >= 0);
}

static void keep(void *context, uint32_t slot, int fd)
{
    struct owner *owner = owner_of(context);

    assert_true(slot < BH_VU_KEEP_SLOTS);
    may_die(owner);
    if (owner->fds[slot] >= 0) {
        (void)close(owner->fds[slot]);
    }
    owner->fds[slot] = fd >= 0 ? dup(fd) : -1;
    assert_true(fd < 0 || owner->fds[slot] >= 0);
    adopt_check_whole(owner);
    may_die(owner);
}

static void save(void *context, const struct bh_vu_saved *saved)
{
    struct owner *owner = owner_of(context);

    may_die(owner);
    owner->saved = *saved;
    owner->saves++;
    adopt_check_whole(owner);
    may_die(owner);
}

static int admit(void *context, const struct bh_vu_region *region, int fd, const char **why)
{
    struct life *life = context;

    (void)region;
    assert_true(fcntl(fd, F_GETFD) >= 0);
    if (life->owner->denies) {
        *why = "no";
        return BH_DENIED;
    }
    life->admitted++;
    return BH_OK;
}

static void gone(void *context, const struct bh_vu_region *region)
{
    struct life *life = context;

    (void)region;
    assert_true(life->admitted != 0);
    life->admitted--;
}

static void changed(void *context)
{
    struct life *life = context;

    life->changed++;
}

static const struct bh_vu_keep_ops keep_ops = {.keep = keep, .save = save};
static const struct bh_vu_memory_ops memory_ops = {
    .admit = admit, .gone = gone, .changed = changed};

static int ring_start(void *context, const struct bh_vu_plan *plan)
{
    struct life *life = context;

    life->started++;
    life->plan = *plan;
    return BH_OK;
}

static int ring_stop(void *context, uint16_t index, uint32_t *base)
{
    (void)context;
    (void)index;
    *base = 5;
    return BH_OK;
}

static void ring_exchanged(void *context, const struct bh_vu_plan *plan)
{
    struct life *life = context;

    life->plan = *plan;
}

static const struct bh_vu_ring_ops ring_ops = {
    .start = ring_start, .stop = ring_stop, .exchanged = ring_exchanged};

/* ---- life ---- */

static void open_with(struct owner *owner, bool packed, const struct bh_vu_ring_ops *rings)
{
    const size_t bytes = (size_t)bh_vu_journal_bytes(VU_RINGS, GUEST_QUEUE_MAX);
    struct bh_vu_setup more = {.keep_ops = &keep_ops, .memory_ops = &memory_ops, .ring_ops = rings};

    memset(owner, 0, sizeof(*owner));
    owner->packed = packed;
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        owner->fds[i] = -1;
    }
    owner->journal = aligned_alloc(64, bytes);
    assert_non_null(owner->journal);
    memset(owner->journal, 0, bytes);
    more.journal = owner->journal;
    owner->now = &owner->lives[0];
    owner->now->owner = owner;
    vu_init_with(&owner->now->vu, packed, &more);
}

void adopt_open(struct owner *owner, bool packed)
{
    open_with(owner, packed, NULL);
}

void adopt_open_serving(struct owner *owner)
{
    open_with(owner, false, &ring_ops);
}

void adopt_close(struct owner *owner)
{
    owner->death = 0;
    for (unsigned i = 0; i < 2; i++) {
        if (owner->lives[i].owner != NULL) {
            vu_finish(&owner->lives[i].vu);
        }
    }
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        if (owner->fds[i] >= 0) {
            (void)close(owner->fds[i]);
        }
    }
    free(owner->journal);
}

/* The next process, with what was kept. The first one is left as it is. */
struct vu *adopt_succeed(struct owner *owner, bool connected)
{
    struct life *next = &owner->lives[1];
    struct bh_vu_saved saved = owner->saved;
    int fds[BH_VU_KEEP_SLOTS];
    const struct bh_vu_adoption adoption = {.saved = &saved, .fds = fds};

    owner->death = 0;
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        fds[i] = owner->fds[i] >= 0 ? dup(owner->fds[i]) : -1;
    }
    next->owner = owner;
    owner->now = next;
    vu_succeed(&next->vu, &owner->lives[0].vu, &adoption, connected);
    for (unsigned i = 0; i < BH_VU_KEEP_SLOTS; i++) {
        assert_int_equal(fds[i], -1);
    }
    return &next->vu;
}

static int setup_one(void **state, bool packed)
{
    struct owner *owner = calloc(1, sizeof(*owner));

    assert_non_null(owner);
    adopt_open(owner, packed);
    *state = owner;
    return 0;
}

int adopt_setup_split(void **state)
{
    return setup_one(state, false);
}

int adopt_setup_packed(void **state)
{
    return setup_one(state, true);
}

int adopt_teardown(void **state)
{
    adopt_close(*state);
    free(*state);
    return 0;
}

/* ---- a front end's words, one by one ---- */

#define PROTOCOL (VU_ALL_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD)

static void say(struct vu *vu, uint32_t request, const void *payload, uint32_t size, const int *fd)
{
    assert_true(vu_send(vu, request, BH_VU_VERSION | BH_VU_NEED_REPLY, payload, size, fd,
                        fd != NULL ? 1 : 0));
}

static void say_u64(struct vu *vu, uint32_t request, uint64_t value, const int *fd)
{
    say(vu, request, &value, sizeof(value), fd);
}

static void say_state(struct vu *vu, uint32_t request, uint32_t number)
{
    struct bh_vu_vring_state state = {.number = number};

    say(vu, request, &state, sizeof(state), NULL);
}

static void say_region(struct vu *vu, uint32_t request, const int *fd)
{
    struct bh_vu_single_region payload = {.region = {.guest_address = UINT64_C(1) << 40,
                                                     .size = PAGE,
                                                     .user_address = UINT64_C(1) << 41}};

    say(vu, request, &payload, sizeof(payload), fd);
}

/* Says step `i`. False: it is the guest's, and nothing is said. */
bool adopt_speak(struct vu *vu, unsigned i)
{
    struct bh_vu_memory_table table = vu_table();
    struct bh_vu_vring_address address = vu_address(0);
    uint32_t base = vu->guest.packed ? 0x80008000u : 0;
    int pair[2];

    switch (i) {
    case 0:
        say_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, PROTOCOL, NULL);
        break;
    case 1:
        say(vu, BH_VU_SET_OWNER, NULL, 0, NULL);
        break;
    case 2:
        say_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES, NULL);
        break;
    case 3:
    case 18:
        say(vu, BH_VU_SET_MEM_TABLE, &table, 8 + sizeof(struct bh_vu_region), &vu->memory);
        break;
    case 4:
        say_region(vu, BH_VU_ADD_MEM_REG, &vu->memory);
        break;
    case 5:
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        say(vu, BH_VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[0]);
        (void)close(pair[0]);
        (void)close(pair[1]);
        break;
    case 6:
        say_u64(vu, BH_VU_SET_STATUS,
                BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK, NULL);
        break;
    case 7:
        say_state(vu, BH_VU_SET_VRING_NUM, vu->guest.size);
        break;
    case 8:
        say_state(vu, BH_VU_SET_VRING_BASE, base);
        break;
    case 9:
        say(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL);
        break;
    case 10:
    case 16:
        say_u64(vu, BH_VU_SET_VRING_CALL, 0, &vu->call[i == 10 ? 0 : 1]);
        break;
    case 11:
        say_u64(vu, BH_VU_SET_VRING_ERR, 0, &vu->error[0]);
        break;
    case 12:
    case 21:
        say_u64(vu, BH_VU_SET_VRING_KICK, 0, &vu->kick[i == 12 ? 0 : 1]);
        break;
    case 13:
        say_state(vu, BH_VU_SET_VRING_ENABLE, 1);
        break;
    case 14:
        say_u64(vu, BH_VU_SET_STATUS,
                BH_STATUS_ACKNOWLEDGE | BH_STATUS_DRIVER | BH_STATUS_FEATURES_OK |
                    BH_STATUS_DRIVER_OK,
                NULL);
        break;
    case 17:
        say_region(vu, BH_VU_REM_MEM_REG, NULL);
        break;
    case 19:
        say_state(vu, BH_VU_SET_VRING_ENABLE, 0);
        break;
    case 20:
        say_state(vu, BH_VU_GET_VRING_BASE, 0);
        break;
    case 22:
        say_state(vu, BH_VU_SET_VRING_ENABLE, 1);
        break;
    case 23:
        say(vu, BH_VU_RESET_DEVICE, NULL, 0, NULL);
        break;
    default:
        return false;
    }
    return true;
}

/* Whatever is in flight ends, so that what waits for it goes on. */
void adopt_settle(struct vu *vu)
{
    vu_run(vu);
    (void)echo_release(&vu->echo, 1);
    bh_device_flush(&vu->echo.device);
    vu_run(vu);
}

/* The answer to step `i`; there is exactly one. */
void adopt_hear(struct vu *vu, unsigned i)
{
    struct vu_message reply;

    assert_true(vu_receive(vu, vu->socket, &reply));
    if (i == ADOPT_BASE) {
        assert_int_equal(reply.header.request, BH_VU_GET_VRING_BASE);
        assert_int_equal(reply.payload.state.number, vu->guest.packed ? 0x80048004u : 2u);
    } else {
        assert_int_equal(reply.header.size, sizeof(uint64_t));
        assert_int_equal(reply.payload.u64, 0);
    }
    assert_false(vu_receive(vu, vu->socket, &reply));
}

/* Two requests that stay in flight. */
void adopt_work(struct vu *vu)
{
    vu->echo.hold = true;
    vu_offer(vu, 1);
    vu_offer(vu, 2);
    vu_kick(vu, 0);
    assert_int_equal(vu->echo.queues[0].in_flight, 2);
}

/* Up to requests in flight. */
struct vu *adopt_bring_up(struct owner *owner)
{
    struct vu *vu = &owner->now->vu;

    for (unsigned i = 0; i < ADOPT_WORK; i++) {
        assert_true(adopt_speak(vu, i));
        adopt_settle(vu);
        adopt_hear(vu, i);
    }
    adopt_work(vu);
    return vu;
}
