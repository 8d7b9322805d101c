/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end, a session as a whole: the habits of the front ends in the field,
 * connections one after the other, status, reset, configuration and its channel.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vu_rig.h"

/* ---- what front ends do ---- */

static void qemu_connects(struct vu *vu)
{
    uint64_t protocol;
    int pair[2];

    assert_true((vu_ask_u64(vu, BH_VU_GET_FEATURES) & BH_VU_F_PROTOCOL_FEATURES) != 0);
    protocol = vu_ask_u64(vu, BH_VU_GET_PROTOCOL_FEATURES);
    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, protocol);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_QUEUE_NUM), VU_RINGS);
    assert_true(vu_ask_u64(vu, BH_VU_GET_MAX_MEM_SLOTS) >= 32);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(vu_ack(vu, BH_VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1), 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
    vu_tell(vu, BH_VU_SET_OWNER, NULL, 0, NULL, 0);
    (void)vu_ask_u64(vu, BH_VU_GET_FEATURES);
    for (uint32_t i = 0; i < VU_RINGS; i++) {
        vu_event_fd(vu, BH_VU_SET_VRING_CALL, i, vu->error[i]);
        vu_event_fd(vu, BH_VU_SET_VRING_ERR, i, vu->error[i]);
    }
}

static void qemu_sets_features(struct vu *vu)
{
    uint64_t status;

    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    status = vu_ask_u64(vu, BH_VU_GET_STATUS);
    vu_tell_u64(vu, BH_VU_SET_STATUS, status | BH_STATUS_FEATURES_OK);
}

static void qemu_starts(struct vu *vu)
{
    struct bh_vu_single_region region = {.region = vu_table().regions[0]};
    struct bh_vu_vring_state enable = {.index = 0, .number = 1};

    qemu_sets_features(vu);
    if (vu->inflight < 0) {
        vu_inflight_get(vu, 24);
    }
    vu_inflight_set(vu);
    vu_event_fd(vu, BH_VU_SET_VRING_CALL, 0, vu->call[0]);
    qemu_sets_features(vu);
    assert_int_equal(vu_ack(vu, BH_VU_ADD_MEM_REG, &region, sizeof(region), &vu->memory, 1), 0);
    vu_ring(vu, 0);
    assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &enable, sizeof(enable), NULL, 0), 0);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 15);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 15);
}

static void qemu_stops(struct vu *vu)
{
    struct bh_vu_single_region region = {.region = vu_table().regions[0]};
    struct bh_vu_vring_state disable = {.index = 0};

    assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &disable, sizeof(disable), NULL, 0), 0);
    (void)vu_ask_base(vu, 0);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
    assert_int_equal(vu_ack(vu, BH_VU_REM_MEM_REG, &region, sizeof(region), NULL, 0), 0);
}

/* The driver begins anew, with zeroed rings. */
static void new_driver(struct vu *vu)
{
    memset(vu->map, 0, VU_MEMORY);
    vu->guest.avail = 0;
    vu->guest.avail_wrap = true;
    vu->guest.used = 0;
    vu->guest.used_wrap = true;
    (void)close(vu->inflight);
    vu->inflight = -1;
}

/* A guest's life as QEMU tells it: firmware, system, driver bound again. */
static void test_vu_as_qemu_does(void **state)
{
    struct vu *vu = *state;

    qemu_connects(vu);
    for (unsigned i = 0; i < 3; i++) {
        qemu_starts(vu);
        for (unsigned j = 0; j < 11; j++) {
            vu_expect_works(vu);
        }
        assert_true(vu_called(vu, 0));
        qemu_stops(vu);
        new_driver(vu);
    }
    vu_expect_open(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_FAULT], 0);
}

/* A machine that is stopped and goes on: the same rings, the same region. */
static void test_vu_as_qemu_pauses(void **state)
{
    struct vu *vu = *state;
    uint32_t base;
    struct bh_vu_vring_state disable = {.index = 0};

    qemu_connects(vu);
    qemu_starts(vu);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned j = 0; j < 3; j++) {
            vu_expect_works(vu);
        }
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &disable, 8, NULL, 0), 0);
        base = vu_ask_base(vu, 0);
        vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
        qemu_sets_features(vu);
        vu_inflight_set(vu);
        qemu_sets_features(vu);
        vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, vu->guest.size);
        vu_tell_state(vu, BH_VU_SET_VRING_BASE, 0, base);
        vu_tell(vu, BH_VU_SET_VRING_ADDR,
                &(struct bh_vu_vring_address){.descriptor = vu_address(0).descriptor,
                                              .used = vu_address(0).used,
                                              .available = vu_address(0).available,
                                              .log = 0x1234},
                sizeof(struct bh_vu_vring_address), NULL, 0);
        vu_event_fd(vu, BH_VU_SET_VRING_KICK, 0, vu->kick[0]);
        vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    }
    vu_expect_works(vu);
}

/* Front ends built on rust-vmm want everything acknowledged, and pause a device by disabling it. */
static void test_vu_as_cloud_hypervisor_does(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_memory_table table = vu_table();
    struct bh_vu_vring_address address = vu_address(0);
    struct bh_vu_vring_state number = {.number = vu->guest.size};
    struct bh_vu_vring_state base = {.number = vu->guest.packed ? 0x80008000u : 0};
    struct bh_vu_vring_state enable = {.number = 1};
    struct bh_vu_vring_state disable = {.number = 0};
    uint64_t features = vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES;
    uint64_t zero = 0;

    vu_tell(vu, BH_VU_SET_OWNER, NULL, 0, NULL, 0);
    (void)vu_ask_u64(vu, BH_VU_GET_FEATURES);
    (void)vu_ask_u64(vu, BH_VU_GET_PROTOCOL_FEATURES);
    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL & ~BH_VU_PROTOCOL_F_STATUS);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vu_ack(vu, BH_VU_SET_FEATURES, &features, 8, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_MEM_TABLE, &table, 40, &vu->memory, 1), 0);
        vu_inflight_get(vu, 20 + 4 * (i % 2));
        assert_int_equal(
            vu_ack(vu, BH_VU_SET_INFLIGHT_FD, &vu->inflight_where, 24, &vu->inflight, 1), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_NUM, &number, 8, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ADDR, &address, 40, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_BASE, &base, 8, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_CALL, &zero, 8, &vu->call[0], 1), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_KICK, &zero, 8, &vu->kick[0], 1), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &enable, 8, NULL, 0), 0);
        vu_expect_works(vu);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &disable, 8, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &enable, 8, NULL, 0), 0);
        vu_expect_works(vu);
        assert_int_equal(vu_ack(vu, BH_VU_SET_VRING_ENABLE, &disable, 8, NULL, 0), 0);
        assert_int_equal(vu_ack(vu, BH_VU_RESET_OWNER, NULL, 0, NULL, 0), 0);
        new_driver(vu);
    }
    vu_expect_open(vu);
}

/* ---- connections ---- */

static void test_vu_one_connection_after_the_other(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));
    unsigned before;

    (void)state;
    assert_non_null(vu);
    vu_init_listening(vu, false);
    before = vu_count_fds();
    for (unsigned i = 0; i < 20; i++) {
        vu_connect(vu);
        vu_live(vu);
        vu_expect_works(vu);
        vu_disconnect(vu);
        assert_int_equal(vu->notices[BH_VU_EVENT_CONNECTED], i + 1);
        assert_int_equal(vu->notices[BH_VU_EVENT_DISCONNECTED], i + 1);
        assert_int_equal(vu_count_fds(), before);
        assert_int_equal(vu->echo.device.features, 0);
        memset(vu->map, 0, VU_MEMORY);
        vu->guest.avail = 0;
        vu->guest.used = 0;
        vu->notices[BH_VU_EVENT_READY] = 0;
    }
    vu_finish(vu);
    free(vu);
}

/* A second front end waits until the first one is gone. */
static void test_vu_second_connection_waits(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));
    int first;
    int second;

    (void)state;
    assert_non_null(vu);
    vu_init_listening(vu, false);
    vu_connect(vu);
    vu_live(vu);
    first = vu->socket;
    vu_connect(vu);
    second = vu->socket;
    assert_true(vu_send(vu, BH_VU_GET_QUEUE_NUM, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_expect_open(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_CONNECTED], 1);
    vu->socket = first;
    vu_expect_works(vu);
    (void)close(first);
    vu->socket = second;
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_CONNECTED], 2);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_QUEUE_NUM), VU_RINGS);
    vu_finish(vu);
    free(vu);
}

/* Whoever is refused or takes memory away is followed by the next. */
static void test_vu_next_connection_after_a_bad_one(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));
    int good;

    (void)state;
    assert_non_null(vu);
    vu_init_listening(vu, false);
    vu_connect(vu);
    vu_live(vu);
    assert_true(vu_send(vu, 99, BH_VU_VERSION, NULL, 0, NULL, 0));
    vu_run(vu);
    assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
    vu_disconnect(vu);
    vu_connect(vu);
    good = vu->memory;
    vu->memory = vu_memfd(VU_MEMORY, false);
    vu->notices[BH_VU_EVENT_READY] = 0;
    vu_live(vu);
    assert_int_equal(ftruncate(vu->memory, 0), 0);
    vu_kick(vu, 0);
    assert_int_equal(vu->notices[BH_VU_EVENT_MEMORY_LOST], 1);
    assert_true(vu_is_closed(vu));
    vu_disconnect(vu);
    (void)close(vu->memory);
    vu->memory = good;
    vu_connect(vu);
    vu->notices[BH_VU_EVENT_READY] = 0;
    vu_live(vu);
    vu_expect_works(vu);
    vu_finish(vu);
    free(vu);
}

/* The owner gives up while a front end is there: nothing is left open or mapped. */
static void test_vu_destroyed_in_every_state(void **state)
{
    struct vu *vu = malloc(sizeof(*vu));
    unsigned before = vu_count_fds();

    (void)state;
    assert_non_null(vu);
    vu_init(vu, false);
    vu_finish(vu);
    vu_init_listening(vu, false);
    vu_finish(vu);
    vu_init_listening(vu, false);
    vu_connect(vu);
    vu_negotiate(vu, 0);
    vu_memory(vu);
    vu_finish(vu);
    vu_init_listening(vu, false);
    vu_connect(vu);
    vu_live(vu);
    vu_inflight_get(vu, 20);
    vu_finish(vu);
    assert_int_equal(vu_count_fds(), before);
    bh_vu_backend_destroy(NULL);
    free(vu);
}

/* ---- status and reset ---- */

static void test_vu_status(void **state)
{
    struct vu *vu = *state;
    uint64_t wide = 0x100;
    uint64_t less = BH_STATUS_DRIVER;

    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 0);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 3);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 3);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_STATUS, &less, 8, NULL, 0), 0);
    /* Without features FEATURES_OK does not stick. */
    vu_tell_u64(vu, BH_VU_SET_STATUS, 3 | BH_STATUS_FEATURES_OK);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 3);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 0);
    vu_tell(vu, BH_VU_SET_STATUS, &wide, 8, NULL, 0);
    vu_expect_refused(vu);
}

static void after_reset(struct vu *vu)
{
    assert_int_equal(vu->echo.device.features, 0);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_STATUS), 0);
    vu_offer(vu, 0);
    vu_kick(vu, 0);
    vu_tell_state(vu, BH_VU_SET_VRING_ENABLE, 0, 1);
    vu_kick(vu, 0);
    guest_expect_nothing(&vu->guest);
    new_driver(vu);
    /* Memory is still there, and so are error and call descriptors. */
    vu_tell_u64(vu, BH_VU_SET_FEATURES, vu_features(vu) | BH_VU_F_PROTOCOL_FEATURES);
    vu_ring(vu, 0);
    vu_expect_works(vu);
}

/* [BH-DEV-2] */
static void test_vu_reset(void **state)
{
    struct vu *vu = *state;

    vu_live(vu);
    vu_expect_works(vu);
    vu_tell(vu, BH_VU_RESET_DEVICE, NULL, 0, NULL, 0);
    after_reset(vu);
    vu_tell_u64(vu, BH_VU_SET_STATUS, 0);
    after_reset(vu);
    vu_expect_open(vu);
}

/* ---- configuration ---- */

static uint64_t write_config(struct vu *vu, uint32_t offset, uint32_t size, uint32_t flags)
{
    struct bh_vu_config config = {.offset = offset, .size = size, .flags = flags};

    memset(config.data, 0xaa, sizeof(config.data));
    return vu_ack(vu, BH_VU_SET_CONFIG, &config, BH_VU_CONFIG_HEADER + size, NULL, 0);
}

/* [BH-DEV-21] */
static void test_vu_config(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_config config = {.offset = 2, .size = 4, .flags = 1};
    struct vu_message reply;

    vu_negotiate(vu, 0);
    vu_ask(vu, BH_VU_GET_CONFIG, &config, 16, &reply);
    assert_int_equal(reply.header.size, 16);
    assert_memory_equal(&reply.payload, &config, 12);
    assert_memory_equal(reply.payload.config.data, vu->echo.config + 2, 4);
    assert_int_equal(write_config(vu, ECHO_CONFIG - 1, 1, 0), 0);
    assert_int_equal(vu->echo.config[ECHO_CONFIG - 1], 0xaa);
    assert_int_equal(write_config(vu, ECHO_CONFIG - 2, 1, 1), 0);
    /* Not even the migration flag opens what a driver must not write. */
    for (uint32_t flags = 0; flags < 3; flags++) {
        assert_int_not_equal(write_config(vu, 0, 1, flags), 0);
        assert_int_not_equal(write_config(vu, 0, ECHO_CONFIG, flags), 0);
    }
    assert_int_equal(vu->echo.config[0], 0x10);
    /* A guest's forbidden write does not cost it the device. */
    vu_tell(vu, BH_VU_SET_CONFIG, &(struct bh_vu_config){.size = 1}, 13, NULL, 0);
    vu_expect_open(vu);
}

/* [BH-DEV-21] */
static void test_vu_config_past_the_end(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_config config = {.offset = 8, .size = 100};
    struct vu_message reply;
    static const uint8_t zero[98];

    vu_negotiate(vu, 0);
    vu_ask(vu, BH_VU_GET_CONFIG, &config, 112, &reply);
    assert_int_equal(reply.header.size, 112);
    assert_memory_equal(reply.payload.config.data, vu->echo.config + 8, 2);
    assert_memory_equal(reply.payload.config.data + 2, zero, 98);
    config.offset = 0;
    config.size = 256;
    vu_ask(vu, BH_VU_GET_CONFIG, &config, 268, &reply);
    assert_int_equal(reply.header.size, 268);
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t offsets[] = {ECHO_CONFIG, 256, 0x80000000u, UINT32_MAX};

        config.offset = offsets[i];
        config.size = 4;
        vu_ask(vu, BH_VU_GET_CONFIG, &config, 16, &reply);
        assert_int_equal(reply.header.size, 0);
        assert_int_not_equal(write_config(vu, offsets[i], 4, 0), 0);
    }
    assert_int_not_equal(write_config(vu, ECHO_CONFIG - 1, 2, 0), 0);
    config.offset = 0;
    config.size = UINT32_MAX - 11;
    vu_tell(vu, BH_VU_GET_CONFIG, &config, 13, NULL, 0);
    vu_expect_refused(vu);
}

static int channel(struct vu *vu)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(vu_ack(vu, BH_VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1), 0);
    (void)close(pair[1]);
    return pair[0];
}

/* [BH-DEV-22] */
static void test_vu_config_change_is_announced(void **state)
{
    struct vu *vu = *state;
    struct vu_message message;
    int end;

    vu_negotiate(vu, 0);
    vu_memory(vu);
    end = channel(vu);
    /* A suspended device sends nothing; it says so when it runs. */
    bh_device_config_changed(&vu->echo.device);
    vu_run(vu);
    assert_false(vu_receive(vu, end, &message));
    vu_ring(vu, 0);
    assert_true(vu_receive(vu, end, &message));
    assert_int_equal(message.header.request, BH_VU_BACKEND_CONFIG_CHANGE);
    assert_int_equal(message.header.flags, BH_VU_VERSION);
    assert_int_equal(message.header.size, 0);
    assert_false(vu_receive(vu, end, &message));
    bh_device_config_changed(&vu->echo.device);
    assert_true(vu_receive(vu, end, &message));
    (void)close(end);
    /* Nobody is there any more, and that is no drama. */
    bh_device_config_changed(&vu->echo.device);
    bh_device_config_changed(&vu->echo.device);
    vu_expect_works(vu);
    end = channel(vu);
    bh_device_config_changed(&vu->echo.device);
    assert_true(vu_receive(vu, end, &message));
    (void)close(end);
}

/* A front end that never reads its channel must not stop anything. */
static void test_vu_channel_that_nobody_reads(void **state)
{
    struct vu *vu = *state;
    struct vu_message message;
    int end;

    vu_live(vu);
    end = channel(vu);
    for (unsigned i = 0; i < 5000; i++) {
        bh_device_config_changed(&vu->echo.device);
    }
    vu_expect_works(vu);
    while (vu_receive(vu, end, &message)) {
        assert_int_equal(message.header.request, BH_VU_BACKEND_CONFIG_CHANGE);
    }
    bh_device_config_changed(&vu->echo.device);
    assert_true(vu_receive(vu, end, &message));
    (void)close(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_BOTH(test_vu_as_qemu_does),
        VU_BOTH(test_vu_as_qemu_pauses),
        VU_BOTH(test_vu_as_cloud_hypervisor_does),
        cmocka_unit_test(test_vu_one_connection_after_the_other),
        cmocka_unit_test(test_vu_second_connection_waits),
        cmocka_unit_test(test_vu_next_connection_after_a_bad_one),
        cmocka_unit_test(test_vu_destroyed_in_every_state),
        VU_SPLIT(test_vu_status),
        VU_BOTH(test_vu_reset),
        VU_SPLIT(test_vu_config),
        VU_SPLIT(test_vu_config_past_the_end),
        VU_SPLIT(test_vu_config_change_is_announced),
        VU_SPLIT(test_vu_channel_that_nobody_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
