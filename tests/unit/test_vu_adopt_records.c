/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kept sessions that no back end has saved: what does not fit, is missing, or is something else than it
 * claims to be is refused as a message would be, and everything is let go of. What good ones are good
 * for: test_vu_adopt.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adopt_rig.h"

/* ---- records that nobody saved ---- */

enum damage {
    REGION_COUNT,
    REGION_COUNT_HUGE,
    REGION_SLOT,
    REGION_SLOT_TWICE,
    REGION_SLOT_EMPTY,
    REGION_FILE,
    REGION_SIZE,
    REGION_OVERLAP,
    FEATURES,
    FEATURES_NOT_OFFERED,
    PROTOCOL_FEATURES,
    STATUS,
    RING_SIZE,
    RING_INDEX,
    RING_FLAGS,
    RING_KICK_MISSING,
    RING_KICK_FILE,
    RING_CALL_MISSING,
    RING_CALL_FILE,
    RING_ERROR_MISSING,
    CHANNEL_MISSING,
    CHANNEL_FILE,
    DAMAGES,
};

static void put_file(struct owner *owner, uint32_t slot, int fd)
{
    if (owner->fds[slot] >= 0) {
        (void)close(owner->fds[slot]);
    }
    owner->fds[slot] = fd >= 0 ? dup(fd) : -1;
}

static void damage(struct owner *owner, enum damage what)
{
    struct bh_vu_saved *saved = &owner->saved;
    struct vu *vu = &owner->now->vu;

    switch (what) {
    case REGION_COUNT:
        saved->region_count = 153;
        break;
    case REGION_COUNT_HUGE:
        saved->region_count = UINT32_MAX;
        break;
    case REGION_SLOT:
        saved->slots[0] = BH_VU_KEEP_REGIONS;
        break;
    case REGION_SLOT_TWICE:
        saved->slots[1] = saved->slots[0];
        break;
    case REGION_SLOT_EMPTY:
        put_file(owner, saved->slots[0], -1);
        break;
    case REGION_FILE:
        put_file(owner, saved->slots[0], vu->socket);
        break;
    case REGION_SIZE:
        saved->regions[0].size = UINT64_MAX;
        break;
    case REGION_OVERLAP:
        saved->regions[1].guest_address = saved->regions[0].guest_address;
        break;
    case FEATURES:
        saved->features = 0;
        break;
    case FEATURES_NOT_OFFERED:
        saved->features |= UINT64_C(1) << 50;
        break;
    case PROTOCOL_FEATURES:
        saved->protocol |= BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
        break;
    case STATUS:
        saved->status = BH_STATUS_DRIVER_OK;
        break;
    case RING_SIZE:
        saved->rings[0].size = GUEST_QUEUE_MAX + 1;
        break;
    case RING_INDEX:
        saved->rings[0].address.index = 1;
        break;
    case RING_FLAGS:
        saved->rings[0].address.flags = 1;
        break;
    case RING_KICK_MISSING:
        put_file(owner, BH_VU_KEEP_KICK(0), -1);
        break;
    case RING_KICK_FILE:
        put_file(owner, BH_VU_KEEP_KICK(0), vu->memory);
        break;
    case RING_CALL_MISSING:
        put_file(owner, BH_VU_KEEP_CALL(0), -1);
        break;
    case RING_CALL_FILE:
        put_file(owner, BH_VU_KEEP_CALL(0), vu->socket);
        break;
    case RING_ERROR_MISSING:
        put_file(owner, BH_VU_KEEP_ERROR(0), -1);
        break;
    case CHANNEL_MISSING:
        put_file(owner, BH_VU_KEEP_CHANNEL, -1);
        break;
    default:
        put_file(owner, BH_VU_KEEP_CHANNEL, vu->memory);
        break;
    }
}

static void test_records_that_cannot_be(void **state)
{
    struct owner *owner = calloc(1, sizeof(*owner));

    (void)state;
    assert_non_null(owner);
    for (unsigned i = 0; i < DAMAGES; i++) {
        struct vu *vu;

        adopt_open(owner, i % 2 != 0);
        (void)adopt_bring_up(owner);
        damage(owner, (enum damage)i);
        vu = adopt_succeed(owner, true);
        vu_run(vu);
        assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
        assert_non_null(strstr(
            vu->detail, i == REGION_FILE || i == REGION_SIZE || i == REGION_OVERLAP ? "" : "kept"));
        assert_int_equal(vu->closed, 1);
        assert_int_equal(vu->echo.device.memory->region_count, 0);
        assert_int_equal(owner->now->admitted, 0);
        adopt_close(owner);
    }
    free(owner);
}

/* Noise in the record: whatever comes of it, the process lives and lets go of everything. */
static void test_records_of_noise(void **state)
{
    struct owner *owner = calloc(1, sizeof(*owner));
    uint32_t seed = 99;

    (void)state;
    assert_non_null(owner);
    for (unsigned round = 0; round < 150; round++) {
        const size_t interesting[] = {0, offsetof(struct bh_vu_saved, regions),
                                      offsetof(struct bh_vu_saved, slots),
                                      offsetof(struct bh_vu_saved, rings)};
        struct vu *vu;

        adopt_open(owner, round % 2 != 0);
        (void)adopt_bring_up(owner);
        for (unsigned i = 0; i < 1 + round % 4; i++) {
            size_t at;

            seed = seed * 1664525u + 1013904223u;
            at = interesting[seed >> 30] + (seed >> 8) % 64;
            ((uint8_t *)&owner->saved)[at] = (uint8_t)(seed >> 16);
        }
        vu = adopt_succeed(owner, true);
        adopt_settle(vu);
        adopt_settle(vu);
        (void)shutdown(owner->lives[0].vu.socket, SHUT_RDWR);
        adopt_settle(vu);
        assert_true(vu->closed == 1 || owner->saved.connected == 0);
        assert_int_equal(owner->now->admitted, 0);
        adopt_close(owner);
    }
    free(owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_that_cannot_be),
        cmocka_unit_test(test_records_of_noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
