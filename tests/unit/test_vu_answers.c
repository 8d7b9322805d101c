/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back end's answers: when there is one, what it says about a failure, and features
 * that were not offered.
 */
#include <string.h>

#include "vu_rig.h"

/* Something that can be said and cannot be obeyed. */
static void test_vu_failure_is_answered_or_ends_it(void **state)
{
    struct vu *vu = *state;
    struct bh_vu_vring_state impossible = {.index = 0, .number = 40000};

    vu_negotiate(vu, 0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_VRING_NUM, &impossible, sizeof(impossible), NULL, 0),
                         0);
    vu_expect_open(vu);
    vu_tell_state(vu, BH_VU_SET_VRING_NUM, 0, 40000);
    vu_expect_refused(vu);
    assert_string_equal(vu->detail, "ring size out of range");
}

static void test_vu_no_answer_without_reply_ack(void **state)
{
    struct vu *vu = *state;

    vu_tell_u64(vu, BH_VU_SET_PROTOCOL_FEATURES, VU_ALL_PROTOCOL & ~BH_VU_PROTOCOL_F_REPLY_ACK);
    assert_true(vu_send(vu, BH_VU_SET_OWNER, BH_VU_VERSION | BH_VU_NEED_REPLY, NULL, 0, NULL, 0));
    vu_expect_open(vu);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_QUEUE_NUM), VU_RINGS);
}

/* A request with a reply of its own gets one reply, asked for or not. */
static void test_vu_one_answer_only(void **state)
{
    struct vu *vu = *state;

    vu_negotiate(vu, 0);
    assert_int_equal(vu_ack(vu, BH_VU_GET_QUEUE_NUM, NULL, 0, NULL, 0), VU_RINGS);
    vu_expect_open(vu);
}

static void test_vu_replies_that_nobody_reads(void **state)
{
    struct vu *vu = *state;
    unsigned sent = 0;

    vu_negotiate(vu, 0);
    while (sent < 100000 && vu_send(vu, BH_VU_GET_FEATURES, BH_VU_VERSION, NULL, 0, NULL, 0)) {
        vu_run(vu);
        sent++;
    }
    assert_int_equal(vu->notices[BH_VU_EVENT_REFUSED], 1);
    assert_string_equal(vu->detail, "front end does not read its replies");
    assert_int_equal(vu->closed, 1);
}

/* [BH-DEV-3] A device without a configuration space offers no messages for it, and takes none. */
static void test_vu_no_config(void **state)
{
    struct vu *vu = *state;
    uint64_t all = VU_ALL_PROTOCOL;
    uint64_t offered = all & ~BH_VU_PROTOCOL_F_CONFIG;

    vu->echo.no_config = true;
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_PROTOCOL_FEATURES), offered);
    vu_tell(vu, BH_VU_SET_PROTOCOL_FEATURES, &offered, 8, NULL, 0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_PROTOCOL_FEATURES, &all, 8, NULL, 0), 0);
}

/* [BH-DEV-3] */
static void test_vu_features_that_were_not_offered(void **state)
{
    struct vu *vu = *state;
    uint64_t unknown = BH_VU_PROTOCOL_F_MQ | UINT64_C(1) << 8;
    uint64_t logging = vu_features(vu) | BH_VU_F_LOG_ALL;
    uint64_t offered = vu_ask_u64(vu, BH_VU_GET_FEATURES);

    assert_int_equal(offered, ECHO_FEATURES | BH_VU_FEATURES | BH_VU_F_PROTOCOL_FEATURES);
    assert_int_equal(vu_ask_u64(vu, BH_VU_GET_PROTOCOL_FEATURES), VU_ALL_PROTOCOL);
    vu_negotiate(vu, 0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_PROTOCOL_FEATURES, &unknown, 8, NULL, 0), 0);
    assert_int_not_equal(vu_ack(vu, BH_VU_SET_FEATURES, &logging, 8, NULL, 0), 0);
    vu_expect_open(vu);
    vu_tell_u64(vu, BH_VU_SET_FEATURES, logging);
    vu_expect_refused(vu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        VU_SPLIT(test_vu_failure_is_answered_or_ends_it),
        VU_SPLIT(test_vu_no_answer_without_reply_ack),
        VU_SPLIT(test_vu_one_answer_only),
        VU_SPLIT(test_vu_replies_that_nobody_reads),
        VU_SPLIT(test_vu_no_config),
        VU_SPLIT(test_vu_features_that_were_not_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
