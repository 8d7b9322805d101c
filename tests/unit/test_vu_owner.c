/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the back end's owner may look at and do himself (the gate does): memory that is refused or
 * skipped, rings that are served elsewhere, the protocol features that are offered, one connection
 * after the other. Journals in the owner's memory: test_vu_journal.c; taking a session over:
 * test_vu_adopt.c.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vu_rig.h"

#define PAGE UINT64_C(4096)

struct owner {
    struct vu vu; /* first: it is the context of all calls */
    int verdict;  /* of admit */
    uint64_t at;  /* of the region that the verdict is about; all others are admitted */
    uint32_t admitted;
    uint32_t gone;
    uint64_t gone_last;
    uint32_t changed;
    bool changed_while_running;

    struct bh_vu_plan plan; /* of the last call */
    uint32_t started;
    uint32_t stopped;
    uint32_t exchanged;
    int start_result;
    int stop_result;
    uint32_t base;
    bool running;
};

static struct owner *owner_of(void *context)
{
    return context;
}

/* ---- the hooks ---- */

static int admit(void *context, const struct bh_vu_region *region, int fd, const char **why)
{
    struct owner *owner = owner_of(context);

    assert_true(fcntl(fd, F_GETFD) >= 0);
    if (owner->verdict != BH_OK && region->guest_address == owner->at) {
        *why = "not this one";
        return owner->verdict;
    }
    owner->admitted++;
    return BH_OK;
}

static void gone(void *context, const struct bh_vu_region *region)
{
    struct owner *owner = owner_of(context);

    assert_true(owner->gone < owner->admitted);
    owner->gone++;
    owner->gone_last = region->guest_address;
}

static void changed(void *context)
{
    struct owner *owner = owner_of(context);

    owner->changed++;
    owner->changed_while_running = owner->changed_while_running || owner->running;
    for (unsigned i = 0; i < VU_RINGS; i++) {
        assert_int_equal(owner->vu.echo.queues[i].state, BH_QUEUE_STOPPED);
    }
}

static int ring_start(void *context, const struct bh_vu_plan *plan)
{
    struct owner *owner = owner_of(context);

    assert_false(owner->running);
    owner->plan = *plan;
    owner->started++;
    owner->running = owner->start_result == BH_OK;
    return owner->start_result;
}

static int ring_stop(void *context, uint16_t index, uint32_t *base)
{
    struct owner *owner = owner_of(context);

    assert_int_equal(index, owner->plan.index);
    assert_true(owner->running);
    owner->stopped++;
    if (owner->stop_result != BH_AGAIN) {
        owner->running = false;
        *base = owner->base;
    }
    return owner->stop_result;
}

static void ring_exchanged(void *context, const struct bh_vu_plan *plan)
{
    struct owner *owner = owner_of(context);

    assert_true(owner->running);
    owner->plan = *plan;
    owner->exchanged++;
}

static const struct bh_vu_memory_ops memory_ops = {
    .admit = admit, .gone = gone, .changed = changed};
static const struct bh_vu_ring_ops ring_ops = {
    .start = ring_start, .stop = ring_stop, .exchanged = ring_exchanged};

/* ---- life ---- */

static int setup_with(void **state, const struct bh_vu_setup *more)
{
    struct owner *owner = calloc(1, sizeof(*owner));

    if (owner == NULL) {
        return -1;
    }
    vu_init_with(&owner->vu, false, more);
    *state = owner;
    return 0;
}

static int setup_memory(void **state)
{
    return setup_with(state, &(struct bh_vu_setup){.memory_ops = &memory_ops});
}

static int setup_rings(void **state)
{
    return setup_with(state, &(struct bh_vu_setup){.ring_ops = &ring_ops});
}

static int setup_features(void **state)
{
    return setup_with(
        state,
        &(struct bh_vu_setup){.protocol_features = BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
                                                   BH_VU_PROTOCOL_F_CONFIG | (UINT64_C(1) << 63)});
}

/* ---- memory ---- */

static uint64_t add(struct vu *vu, struct bh_vu_region region, int fd)
{
    struct bh_vu_single_region payload = {.region = region};

    return vu_ack(vu, BH_VU_ADD_MEM_REG, &payload, sizeof(payload), &fd, 1);
}

static uint64_t take_away(struct vu *vu, struct bh_vu_region region)
{
    struct bh_vu_single_region payload = {.region = region};

    return vu_ack(vu, BH_VU_REM_MEM_REG, &payload, sizeof(payload), NULL, 0);
}

static struct bh_vu_region page_region(uint64_t number)
{
    return (struct bh_vu_region){.guest_address = (UINT64_C(1) << 40) + number * 2 * PAGE,
                                 .size = PAGE,
                                 .user_address = (UINT64_C(1) << 41) + number * 2 * PAGE};
}

static void test_admitted_region_is_mapped(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;

    vu_live(vu);
    assert_int_equal(owner->admitted, 1);
    assert_int_equal(owner->changed, 1);
    vu_expect_works(vu);
    /* Another one: the owner looks at a table at rest. */
    assert_int_equal(add(vu, page_region(0), vu->memory), 0);
    assert_int_equal(owner->admitted, 2);
    assert_int_equal(owner->changed, 2);
    vu_offer(vu, 1);
    vu_kick(vu, 0);
    guest_expect_used(&vu->guest, 1, 1);
    assert_int_equal(take_away(vu, page_region(0)), 0);
    assert_int_equal(owner->gone, 1);
    assert_int_equal(owner->gone_last, page_region(0).guest_address);
    assert_int_equal(owner->changed, 3);
    /* A new table instead of the old one. */
    vu_memory(vu);
    assert_int_equal(owner->admitted, 3);
    assert_int_equal(owner->gone, 2);
    vu_disconnect(vu);
    assert_int_equal(owner->gone, 3);
    assert_int_equal(owner->changed, 4);
}

static void test_refused_region(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    struct bh_vu_memory_table table = vu_table();
    int fds[2] = {vu->memory, vu->memory};

    vu_live(vu);
    owner->verdict = BH_DENIED;
    owner->at = page_region(0).guest_address;
    assert_int_not_equal(add(vu, page_region(0), vu->memory), 0);
    assert_int_equal(owner->admitted, 1);
    assert_int_equal(owner->changed, 1);
    assert_int_not_equal(take_away(vu, page_region(0)), 0);
    /* In a table: what was admitted before it is given back, and the old table stays. */
    table.count = 2;
    table.regions[1] = page_region(0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 8 + 64, fds, 2), 0);
    assert_int_equal(owner->admitted, 2);
    assert_int_equal(owner->gone, 1);
    vu_expect_works(vu);
    /* A region that was admitted and cannot be mapped. */
    owner->verdict = BH_OK;
    table.regions[0] = page_region(1);
    table.regions[0].mmap_offset = UINT64_C(1) << 40;
    assert_int_not_equal(add(vu, table.regions[0], vu->memory), 0);
    assert_int_equal(owner->admitted, 3);
    assert_int_equal(owner->gone, 2);
    /* Nobody asked for an answer: it ends the connection, with the owner's words. */
    owner->verdict = BH_DENIED;
    vu_tell(vu, BH_VU_SET_MEM_TABLE, &table, 8 + 64, fds, 2);
    vu_expect_refused(vu);
}

static void test_refused_region_says_why(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;

    owner->verdict = BH_DENIED;
    owner->at = GUEST_LOW;
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_expect_refused(vu);
    assert_string_equal(vu->detail, "not this one");
    assert_int_equal(owner->gone, 0);
}

static void test_skipped_region(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    unsigned before = vu_count_fds();

    vu_live(vu);
    owner->verdict = 1;
    owner->at = page_region(0).guest_address;
    assert_int_equal(add(vu, page_region(0), vu->memory), 0);
    assert_int_equal(owner->admitted, 1);
    assert_int_equal(owner->changed, 2);
    assert_int_equal(vu->echo.device.memory->region_count, 1);
    /* It is told all the same: nothing may overlap it, and it can be taken away, once. */
    assert_int_not_equal(add(vu, page_region(0), vu->memory), 0);
    assert_int_equal(take_away(vu, page_region(0)), 0);
    assert_int_equal(owner->gone, 0);
    assert_int_not_equal(take_away(vu, page_region(0)), 0);
    assert_int_equal(add(vu, page_region(0), vu->memory), 0);
    vu_expect_works(vu);
    vu_disconnect(vu);
    assert_int_equal(owner->gone, 1);
    assert_true(vu_count_fds() <= before);
}

static void test_ring_in_a_skipped_region(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    struct bh_vu_vring_address address = vu_address(0);

    owner->verdict = 1;
    owner->at = GUEST_LOW;
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_expect_open(vu);
    assert_int_equal(owner->changed, 1);
    assert_int_equal(vu->echo.device.memory->region_count, 0);
    vu_tell(vu, BH_VU_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
    vu_expect_refused(vu);
    assert_string_equal(vu->detail, "ring outside the memory table");
}

/* ---- rings that are served elsewhere ---- */

static void test_ring_is_handed_over(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    eventfd_t count;

    vu_live(vu);
    assert_int_equal(owner->started, 1);
    assert_int_equal(owner->plan.index, 0);
    assert_int_equal(owner->plan.size, 8);
    assert_int_equal(owner->plan.base, 0);
    assert_int_equal(owner->plan.descriptor, GUEST_DESCRIPTOR);
    assert_int_equal(owner->plan.driver, GUEST_DRIVER);
    assert_int_equal(owner->plan.device, GUEST_DEVICE);
    assert_int_equal(vu->echo.queues[0].state, BH_QUEUE_STOPPED);
    /* A kick stays in its descriptor, for whoever watches it. */
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    assert_int_equal(vu->echo.served, 0);
    assert_int_equal(eventfd_read(owner->plan.kick, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(eventfd_write(owner->plan.call, 1), 0);
    assert_true(vu_called(vu, 0));
    /* The owner says where it stands, and goes on there. */
    owner->base = 1;
    assert_int_equal(vu_ask_base(vu, 0), 1);
    assert_int_equal(owner->stopped, 1);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
    assert_int_equal(owner->started, 2);
    assert_int_equal(owner->plan.base, 1);
}

static void test_kick_before_the_start_is_not_lost(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    eventfd_t count;

    assert_int_equal(eventfd_write(vu->kick[0], 5), 0);
    vu_live(vu);
    assert_int_equal(eventfd_read(owner->plan.kick, &count), 0);
}

static void test_descriptors_are_exchanged(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    int fresh = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t none = BH_VU_VRING_NO_FD;
    eventfd_t count;

    vu_live(vu);
    assert_int_equal(owner->exchanged, 0);
    vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, fresh);
    assert_int_equal(owner->exchanged, 1);
    assert_int_equal(eventfd_write(owner->plan.kick, 3), 0);
    assert_int_equal(eventfd_read(fresh, &count), 0);
    vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, fresh);
    assert_int_equal(owner->exchanged, 2);
    vu_event_fd(vu, BH_VU_SET_VRING_ERR, 0, fresh);
    assert_int_equal(owner->exchanged, 3);
    vu_tell(vu, BH_VU_SET_VRING_CALL, &none, sizeof(none), NULL, 0);
    assert_int_equal(owner->exchanged, 4);
    assert_int_equal(owner->plan.call, -1);
    assert_int_equal(owner->started, 1);
    assert_int_equal(owner->stopped, 0);
    (void)close(fresh);
}

/* What is handed on is what it says it is. */
static void test_only_eventfds_are_handed_on(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    uint64_t ring = 0;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    vu_live(vu);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_VRING_CALL, &ring, sizeof(ring), pair, 1), 0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_VRING_KICK, &ring, sizeof(ring), &vu->memory, 1), 0);
    assert_int_equal(owner->exchanged, 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void test_stop_takes_its_time(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    struct bh_vu_vring_state ring = {.index = 0};
    struct vu_message reply;

    vu_live(vu);
    owner->stop_result = BH_AGAIN;
    owner->base = 9;
    vu_tell(vu, BH_VU_GET_VRING_BASE, &ring, sizeof(ring), NULL, 0);
    assert_false(vu_receive(vu, vu->socket, &reply));
    bh_vu_backend_idle(vu->backend);
    vu_run(vu);
    assert_false(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(owner->stopped, 2);
    owner->stop_result = BH_OK;
    bh_vu_backend_idle(vu->backend);
    vu_run(vu);
    assert_true(vu_receive(vu, vu->socket, &reply));
    assert_int_equal(reply.payload.state.number, 9);
    vu_expect_open(vu);
    /* The same when the front end goes. */
    vu_ring(vu, 0);
    owner->stop_result = BH_AGAIN;
    vu_disconnect(vu);
    assert_int_equal(vu->closed, 0);
    owner->stop_result = BH_OK;
    bh_vu_backend_idle(vu->backend);
    vu_run(vu);
    assert_int_equal(vu->closed, 1);
}

static void test_everything_that_stops_a_ring_stops_it(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;

    vu_live(vu);
    owner->base = 4;
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 0);
    assert_int_equal(owner->stopped, 1);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    assert_int_equal(owner->started, 2);
    assert_int_equal(owner->plan.base, 4);
    vu_memory(vu);
    assert_int_equal(owner->stopped, 2);
    assert_int_equal(owner->started, 3);
    vu_tell(vu, BH_VU_RESET_DEVICE, NULL, 0, NULL, 0);
    assert_int_equal(owner->stopped, 3);
    assert_int_equal(owner->started, 3);
    vu_negotiate(vu, 0);
    vu_ring(vu, 0);
    assert_int_equal(owner->started, 4);
    vu_disconnect(vu);
    assert_int_equal(owner->stopped, 4);
}

static void test_ring_that_cannot_be_served(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;
    eventfd_t count;

    owner->start_result = BH_GONE;
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_ring(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 1);
    assert_int_equal(eventfd_read(vu->error[0], &count), 0);
    assert_int_equal(owner->started, 1);
}

/* ---- features, connections ---- */

static void test_protocol_features_are_masked(void **state)
{
    struct owner *owner = *state;
    const uint64_t both = BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS | BH_VU_PROTOCOL_F_CONFIG;

    assert_int_equal(vu_ask_u64(&owner->vu, BH_VU_GET_PROTOCOL_FEATURES), both);
    vu_tell_u64(&owner->vu, BH_VU_SET_PROTOCOL_FEATURES, both | BH_VU_PROTOCOL_F_MQ);
    vu_expect_refused(&owner->vu);
}

static void connect_again(struct vu *vu)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    if (vu->socket >= 0) {
        (void)close(vu->socket);
    }
    vu->socket = pair[0];
    assert_int_equal(bh_vu_backend_connect(vu->backend, pair[1]), BH_OK);
}

static void test_next_connection(void **state)
{
    struct owner *owner = *state;
    struct vu *vu = &owner->vu;

    vu_live(vu);
    vu_expect_works(vu);
    assert_int_equal(bh_vu_backend_connect(vu->backend, vu->memory), BH_STATE);
    vu_disconnect(vu);
    assert_int_equal(vu->closed, 1);
    connect_again(vu);
    vu->closed = 0;
    vu->notices[BH_VU_EVENT_READY] = 0;
    memset(vu->map, 0, VU_MEMORY);
    vu->guest.avail = 0;
    vu->guest.used = 0;
    vu_live(vu);
    vu_expect_works(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_admitted_region_is_mapped, setup_memory, vu_teardown),
        cmocka_unit_test_setup_teardown(test_refused_region, setup_memory, vu_teardown),
        cmocka_unit_test_setup_teardown(test_refused_region_says_why, setup_memory, vu_teardown),
        cmocka_unit_test_setup_teardown(test_skipped_region, setup_memory, vu_teardown),
        cmocka_unit_test_setup_teardown(test_ring_in_a_skipped_region, setup_memory, vu_teardown),
        cmocka_unit_test_setup_teardown(test_ring_is_handed_over, setup_rings, vu_teardown),
        cmocka_unit_test_setup_teardown(test_kick_before_the_start_is_not_lost, setup_rings,
                                        vu_teardown),
        cmocka_unit_test_setup_teardown(test_descriptors_are_exchanged, setup_rings, vu_teardown),
        cmocka_unit_test_setup_teardown(test_only_eventfds_are_handed_on, setup_rings, vu_teardown),
        cmocka_unit_test_setup_teardown(test_stop_takes_its_time, setup_rings, vu_teardown),
        cmocka_unit_test_setup_teardown(test_everything_that_stops_a_ring_stops_it, setup_rings,
                                        vu_teardown),
        cmocka_unit_test_setup_teardown(test_ring_that_cannot_be_served, setup_rings, vu_teardown),
        cmocka_unit_test_setup_teardown(test_protocol_features_are_masked, setup_features,
                                        vu_teardown),
        cmocka_unit_test_setup_teardown(test_next_connection, setup_memory, vu_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
