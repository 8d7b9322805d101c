/* SPDX-License-Identifier: BSD-2-Clause */
/* A gate's parent and gates that are broken, or taken over, or hang. */
#include "gate_parent_rig.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------
 * gates that are not believed */

static void breaks(const struct bh_gate_message *message, int fd_number, const char *why)
{
    int any = rig_fd();
    int sent[2] = {any, any};
    rig_forget();
    rig_create(0);
    rig_start();
    rig_say_raw(message, sizeof(*message), sent, (uint32_t)fd_number);
    rig_say_number(BH_GATE_READY, 0, 0); /* not read any more */
    rig_turn();
    assert_string_equal(rig.log, "failed ");
    assert_string_equal(rig.why, why);
    rig_gate_dies();
    (void)close(any);
    bh_gate_parent_destroy(rig.parent);
    rig.parent = NULL;
}

static void test_parent_broken_messages(void **state)
{
    struct bh_gate_message message = rig_about(0, 0);
    (void)state;
    breaks(&message, 0, "it sent a message of no known kind");
    message = rig_about(BH_GATE_GO, 0);
    breaks(&message, 0, "it sent a message of no known kind");
    message = rig_about(BH_GATE_READY + 1u, 0);
    breaks(&message, 0, "it sent a message of no known kind");
    message = rig_about(BH_GATE_EVENT, 2);
    breaks(&message, 0, "it sent a message about a device that it does not guard");
    message = rig_about(BH_GATE_EVENT, 0);
    message.reason = BH_GATE_REASONS;
    breaks(&message, 0, "it sent a message with no known reason");
    message = rig_about(BH_GATE_KEEP, 0);
    message.slot = BH_GATE_SLOTS;
    breaks(&message, 1, "it wants a descriptor kept where there is no place");
    message = rig_about(BH_GATE_KEEP, 0);
    message.slot = BH_GATE_SLOT_CONNECTION;
    breaks(&message, 1, "it wants a connection kept that it was not given");
    message = rig_about(BH_GATE_KEEP, 0);
    breaks(&message, 2, "it sent descriptors that do not belong to the message");
    message = rig_about(BH_GATE_READY, 0);
    breaks(&message, 1, "it sent descriptors that do not belong to the message");
    message = rig_about(BH_GATE_WANT, 0);
    message.number = 1;
    breaks(&message, 0, "it speaks of a back end that it was not given");
    message = rig_about(BH_GATE_GREETED, 0);
    breaks(&message, 0, "it greets a back end that it was not given");
    message = rig_about(BH_GATE_PONG, 0);
    breaks(&message, 0, "it answers what it was not asked");
}

static void test_parent_broken_sizes(void **state)
{
    static const size_t sizes[] = {1, sizeof(struct bh_gate_message) - 1u,
                                   sizeof(struct bh_gate_message) + 1u};
    uint8_t bytes[sizeof(struct bh_gate_message) + 1u] = {BH_GATE_READY};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rig_forget();
        rig_create(0);
        rig_start();
        rig_say_raw(bytes, sizes[i], NULL, 0);
        rig_turn();
        assert_string_equal(rig.why, "it sent a message of another size");
        rig_gate_dies();
        bh_gate_parent_destroy(rig.parent);
        rig.parent = NULL;
    }
}

static uint32_t open_files(void)
{
    uint32_t count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1u : 0u;
    }
    return count;
}

/* More descriptors than any message has: none of them stays here. */
static void test_parent_many_descriptors(void **state)
{
    struct bh_gate_message message = rig_about(BH_GATE_KEEP, 0);
    int any = rig_fd();
    int sent[8] = {any, any, any, any, any, any, any, any};
    (void)state;
    rig_create(0);
    rig_start();
    uint32_t before = open_files();
    rig_say_raw(&message, sizeof(message), sent, 8);
    rig_turn();
    assert_int_equal(open_files(), before);
    assert_string_equal(rig.log, "failed ");
    (void)close(any);
}

static void test_parent_text_is_tidied(void **state)
{
    struct bh_gate_message message = rig_about(BH_GATE_WANT, 0);
    (void)state;
    rig_create(0);
    rig_start();
    memset(message.text, 'x', sizeof(message.text));
    message.text[0] = '\033';
    message.text[1] = '\n';
    message.text[2] = (char)0xc3;
    message.text[3] = '~';
    rig_say(&message, -1);
    rig_turn();
    assert_int_equal(strlen(rig.text), BH_GATE_TEXT_MAX - 1u);
    assert_memory_equal(rig.text, "???~x", 5);
}

/* A gate that sends without end has its share; what it must not lose is not in it. */
static void test_parent_flood(void **state)
{
    struct bh_gate_message message = rig_about(BH_GATE_EVENT, 1);
    (void)state;
    rig_create(0);
    rig_start();
    message.reason = BH_GATE_LIMIT_HIT;
    for (uint32_t i = 0; i < 500u; i++) {
        rig_say(&message, -1);
        rig_turn();
    }
    assert_true(rig.events >= 64u && rig.events < 100u);
    message = rig_about(BH_GATE_GUEST, 1);
    for (uint32_t i = 0; i < 100u; i++) {
        rig_say(&message, -1);
        rig_turn();
    }
    assert_true(rig.violations >= 8u && rig.violations < 20u);
    rig_say_number(BH_GATE_WANT, 1, 0);
    assert_int_equal(rig.wants, 1);
    message = rig_about(BH_GATE_EVENT, 0); /* another device has a share of its own */
    uint32_t before = rig.events;
    rig_say(&message, -1);
    rig_turn();
    assert_int_equal(rig.events, before + 1u);
}

/* ------------------------------------------------------------------------------------------------
 * patience */

static void wait_for(const char *word)
{
    for (uint32_t i = 0; i < 1000u && strstr(rig.log, word) == NULL; i++) {
        assert_int_equal(bh_loop_turn(&rig.loop, 10), BH_OK);
    }
    assert_non_null(strstr(rig.log, word));
}

static void test_parent_patience_ends(void **state)
{
    (void)state;
    rig_create(40);
    rig_start();
    rig_say_number(BH_GATE_READY, 0, 0);
    wait_for("failed");
    assert_string_equal(rig.why, "it does not answer");
    assert_string_equal(rig.log, "ready failed ");
    /* What it said before it hung is read all the same. */
    struct bh_gate_message message = rig_about(BH_GATE_KEEP, 0);
    int any = rig_fd();
    rig_say(&message, any);
    (void)close(any);
    rig_gate_dies();
    rig_start();
    struct bh_gate_message heard;
    int fd;
    assert_int_equal(rig_hear(&heard, &fd), BH_GATE_KEPT);
    (void)close(fd);
}

static void test_parent_patience_answered(void **state)
{
    struct bh_gate_message message;
    int fd;
    uint64_t pings = 0;
    (void)state;
    rig_create(40);
    rig_start();
    rig_say_number(BH_GATE_READY, 0, 0);
    while (pings < 10u) {
        assert_int_equal(bh_loop_turn(&rig.loop, 10), BH_OK);
        if (rig_hear(&message, &fd) == BH_GATE_PING) {
            assert_int_equal(message.number, ++pings);
            rig_say_number(BH_GATE_PONG, 0, message.number);
        }
    }
    assert_string_equal(rig.log, "ready ");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parent_broken_messages, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_broken_sizes, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_many_descriptors, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_text_is_tidied, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_flood, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_patience_ends, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_parent_patience_answered, rig_set_up, rig_tear_down),
    };
    return cmocka_run_group_tests_name("gate_parent_hostile", tests, NULL, NULL);
}
