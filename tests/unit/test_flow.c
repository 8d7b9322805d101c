/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways that data can take: what makes a hop, which way is found, over modes; and random platforms
 * against a model that asks for every number and knows reachability by Floyd and Warshall.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "flow_rig.h"

/* A platform with some guests, and what is found in it. */
struct fixture {
    struct rig *rig;
    struct bh_flow *flow;
    struct bh_guest *guests[5]; /* a, b, c, d, e */
    struct bh_flow_path path;
};

static void begin(struct fixture *fixture, uint32_t modes)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};

    memset(fixture, 0, sizeof(*fixture));
    fixture->rig = rig_create(modes);
    for (uint32_t i = 0; i < 5; i++) {
        fixture->guests[i] = rig_guest(fixture->rig, names[i]);
    }
}

static void end(struct fixture *fixture)
{
    bh_flow_destroy(fixture->flow);
    rig_destroy(fixture->rig);
}

/* Allows a guest something; it gets a device for it if it has none. */
static struct bh_policy_line *allow(struct fixture *fixture, uint32_t guest,
                                    struct bh_resource *resource, uint32_t operations,
                                    uint32_t modes)
{
    struct bh_guest *of = fixture->guests[guest];
    bool has = false;

    for (uint32_t i = 0; i < of->device_count; i++) {
        has = has || of->devices[i].uses == resource;
    }
    if (!has) {
        char name[48];

        (void)snprintf(name, sizeof(name), "to-%s", resource->name.text);
        (void)rig_device(fixture->rig, of, name, resource);
    }
    return rig_line(fixture->rig, of, resource, operations, 0, modes);
}

static uint32_t find(struct fixture *fixture, const char *from, const char *to, const char *without,
                     uint32_t mode)
{
    const struct bh_platform *platform = &fixture->rig->platform;
    struct bh_flow_node ends[2];

    if (fixture->flow == NULL) {
        rig_done(fixture->rig);
        assert_int_equal(BH_OK, bh_flow_create(&fixture->flow, platform));
    }
    assert_true(bh_flow_node_find(&ends[0], platform, from));
    assert_true(bh_flow_node_find(&ends[1], platform, to));
    assert_int_equal(
        BH_OK, bh_flow_find(&fixture->path, fixture->flow, &ends[0], &ends[1],
                            without == NULL ? NULL : bh_platform_guest(platform, without), mode));
    return fixture->path.count;
}

static void assert_step(const struct fixture *fixture, uint32_t index, const char *text,
                        uint32_t line)
{
    char found[BH_STEP_BYTES];

    assert_true(index < fixture->path.count);
    bh_flow_step_text(&fixture->path.steps[index], found, sizeof(found));
    assert_string_equal(text, found);
    assert_non_null(fixture->path.steps[index].line);
    assert_int_equal(line, fixture->path.steps[index].line->at.line);
}

/* --------------------------------------------------------------------------------------- hops */

/* Guests meet on a bus only where identifiers overlap. */
static void test_numbers(void **state)
{
    struct fixture fixture;
    struct bh_resource *can;

    (void)state;
    begin(&fixture, 1);
    can = rig_resource(fixture.rig, "can", BH_RESOURCE_CAN);
    rig_numbers(fixture.rig, allow(&fixture, 0, can, BH_CAN_SEND, RIG_EVERY), 0x100, 0x1ff);
    rig_numbers(fixture.rig, allow(&fixture, 1, can, BH_CAN_RECEIVE, RIG_EVERY), 0x200, 0x2ff);
    rig_numbers(fixture.rig, allow(&fixture, 2, can, BH_CAN_RECEIVE, RIG_EVERY), 0x0, 0x10);
    rig_numbers(fixture.rig, allow(&fixture, 2, can, BH_CAN_RECEIVE, RIG_EVERY), 0x1f0, 0x400);
    assert_int_equal(0, find(&fixture, "a", "b", NULL, 0));
    assert_int_equal(0, find(&fixture, "c", "a", NULL, 0)); /* c does not send */
    assert_int_equal(2, find(&fixture, "a", "c", NULL, 0));
    assert_step(&fixture, 0, "a -> can: a may send (ids 0x1f0-0x1ff) through its device to-can", 1);
    assert_step(&fixture, 1, "can -> c: c may receive (ids 0x1f0-0x1ff) through its device to-can",
                4);
    assert_int_equal(1, find(&fixture, "a", "can", NULL, 0));
    assert_step(&fixture, 0, "a -> can: a may send (ids 0x100-0x1ff) through its device to-can", 1);
    assert_int_equal(1, find(&fixture, "can", "b", NULL, 0));
    assert_step(&fixture, 0, "can -> b: b may receive (ids 0x200-0x2ff) through its device to-can",
                2);
    assert_int_equal(0, find(&fixture, "can", "a", NULL, 0));
    assert_int_equal(0, find(&fixture, "c", "can", NULL, 0));
    end(&fixture);
}

/* The line that is named is one that permits it: not one of another mode, not where it is denied. */
static void test_line(void **state)
{
    struct fixture fixture;
    struct bh_resource *can;
    struct bh_policy_line *deny;

    (void)state;
    begin(&fixture, 2);
    can = rig_resource(fixture.rig, "can", BH_RESOURCE_CAN);
    (void)allow(&fixture, 0, can, BH_CAN_SEND, 1u << 1);
    (void)allow(&fixture, 0, can, BH_CAN_RECEIVE, RIG_EVERY);
    rig_numbers(fixture.rig, allow(&fixture, 0, can, BH_CAN_SEND, RIG_EVERY), 5, 9);
    rig_numbers(fixture.rig, allow(&fixture, 0, can, BH_CAN_SEND, RIG_EVERY), 8, 20);
    deny = allow(&fixture, 0, can, 0, RIG_EVERY);
    deny->denies = BH_CAN_SEND;
    rig_numbers(fixture.rig, deny, 0, 6);
    (void)allow(&fixture, 1, can, BH_CAN_RECEIVE, RIG_EVERY);
    assert_int_equal(2, find(&fixture, "a", "b", NULL, 0));
    assert_step(&fixture, 0, "a -> can: a may send (ids 0x7-0x9) through its device to-can", 3);
    assert_step(&fixture, 1, "can -> b: b may receive (ids 0x7-0x9) through its device to-can", 6);
    assert_int_equal(2, find(&fixture, "a", "b", NULL, 1));
    assert_int_equal(1, fixture.path.steps[0].line->at.line);
    assert_int_equal(7, fixture.path.steps[0].numbers.first);
    assert_int_equal(UINT32_MAX, fixture.path.steps[0].numbers.last);
    end(&fixture);
}

/* Who connects meets who listens, both ways; two who connect do not meet. */
static void test_sockets(void **state)
{
    struct fixture fixture;
    struct bh_resource *switch_;

    (void)state;
    begin(&fixture, 1);
    switch_ = rig_resource(fixture.rig, "switch", BH_RESOURCE_SOCKETS);
    rig_numbers(fixture.rig, allow(&fixture, 0, switch_, BH_SOCKET_CONNECT, RIG_EVERY), 10, 20);
    rig_numbers(fixture.rig, allow(&fixture, 1, switch_, BH_SOCKET_CONNECT, RIG_EVERY), 10, 20);
    rig_numbers(fixture.rig, allow(&fixture, 2, switch_, BH_SOCKET_LISTEN, RIG_EVERY), 20, 30);
    rig_numbers(fixture.rig, allow(&fixture, 3, switch_, BH_SOCKET_LISTEN, RIG_EVERY), 30, 40);
    assert_int_equal(4, find(&fixture, "a", "b", NULL, 0)); /* only by c */
    assert_step(&fixture, 0, "a -> switch: a may connect (port 20) through its device to-switch",
                1);
    assert_step(&fixture, 1, "switch -> c: c may listen (port 20) through its device to-switch", 3);
    assert_int_equal(0, find(&fixture, "a", "b", "c", 0));
    assert_int_equal(2, find(&fixture, "c", "a", NULL, 0));
    assert_int_equal(0, find(&fixture, "a", "d", NULL, 0));
    assert_int_equal(0, find(&fixture, "d", "c", NULL, 0)); /* both only listen */
    end(&fixture);
}

/* The operations of a step are those that meet the ones of the other step. */
static void test_operations(void **state)
{
    struct fixture fixture;
    struct bh_resource *sockets;

    (void)state;
    begin(&fixture, 1);
    sockets = rig_resource(fixture.rig, "switch", BH_RESOURCE_SOCKETS);
    (void)allow(&fixture, 0, sockets, BH_SOCKET_CONNECT | BH_SOCKET_LISTEN, RIG_EVERY);
    (void)allow(&fixture, 1, sockets, BH_SOCKET_CONNECT, RIG_EVERY);
    (void)allow(&fixture, 1, sockets, BH_SOCKET_LISTEN, RIG_EVERY);
    assert_int_equal(2, find(&fixture, "a", "b", NULL, 0));
    assert_step(&fixture, 0, "a -> switch: a may listen through its device to-switch", 1);
    assert_step(&fixture, 1, "switch -> b: b may connect through its device to-switch", 2);
    end(&fixture);
}

/* Nothing that one user does with these comes to another. */
static void test_nothing_flows(void **state)
{
    static const struct {
        uint32_t type;
        uint32_t operations;
    } quiet[] = {
        {BH_RESOURCE_ENTROPY, BH_ENTROPY_READ},
        {BH_RESOURCE_CLOCK, BH_CLOCK_READ | BH_CLOCK_ALARM},
        {BH_RESOURCE_KEYS, BH_KEYS_ENCRYPT | BH_KEYS_DECRYPT | BH_KEYS_SIGN | BH_KEYS_VERIFY},
        {BH_RESOURCE_CODEC, BH_CODEC_DECODE | BH_CODEC_ENCODE},
        {BH_RESOURCE_DISPLAY, BH_DISPLAY_SHOW},
        {BH_RESOURCE_CAMERA, BH_CAMERA_CAPTURE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(quiet) / sizeof(quiet[0]); i++) {
        struct fixture fixture;
        struct bh_resource *resource;

        begin(&fixture, 1);
        resource = rig_resource(fixture.rig, "thing", quiet[i].type);
        (void)allow(&fixture, 0, resource, quiet[i].operations, RIG_EVERY);
        (void)allow(&fixture, 1, resource, quiet[i].operations, RIG_EVERY);
        assert_int_equal(0, find(&fixture, "a", "b", NULL, 0));
        end(&fixture);
    }
}

/* Whatever changes a disk counts as a write. */
static void test_disk(void **state)
{
    static const uint32_t writes[] = {BH_DISK_WRITE, BH_DISK_DISCARD, BH_DISK_ERASE};

    (void)state;
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        struct fixture fixture;
        struct bh_resource *disk;

        begin(&fixture, 1);
        disk = rig_resource(fixture.rig, "disk", BH_RESOURCE_DISK);
        (void)allow(&fixture, 0, disk, writes[i], RIG_EVERY);
        (void)allow(&fixture, 1, disk, BH_DISK_READ, RIG_EVERY);
        (void)allow(&fixture, 2, disk, BH_DISK_FLUSH, RIG_EVERY);
        assert_int_equal(2, find(&fixture, "a", "b", NULL, 0));
        assert_int_equal(0, find(&fixture, "b", "a", NULL, 0));
        assert_int_equal(0, find(&fixture, "a", "c", NULL, 0));
        assert_int_equal(0, find(&fixture, "c", "b", NULL, 0));
        end(&fixture);
    }
}

/* Two devices of a guest for one resource are one use. */
static void test_two_devices(void **state)
{
    struct fixture fixture;
    struct bh_resource *can;

    (void)state;
    begin(&fixture, 1);
    can = rig_resource(fixture.rig, "can", BH_RESOURCE_CAN);
    (void)allow(&fixture, 0, can, BH_CAN_SEND | BH_CAN_RECEIVE, RIG_EVERY);
    (void)rig_device(fixture.rig, fixture.guests[0], "second", can);
    (void)allow(&fixture, 1, can, BH_CAN_SEND | BH_CAN_RECEIVE, RIG_EVERY);
    assert_int_equal(2, find(&fixture, "a", "b", NULL, 0));
    assert_string_equal("to-can", fixture.path.steps[0].device->name.text);
    assert_int_equal(0, find(&fixture, "a", "a", NULL, 0));
    assert_int_equal(0, find(&fixture, "can", "can", NULL, 0));
    end(&fixture);
}

/* A device that no policy line is about reaches nothing; nor a line without a device. */
static void test_half(void **state)
{
    struct fixture fixture;
    struct bh_resource *can;

    (void)state;
    begin(&fixture, 1);
    can = rig_resource(fixture.rig, "can", BH_RESOURCE_CAN);
    (void)rig_device(fixture.rig, fixture.guests[0], "mute", can);
    (void)rig_line(fixture.rig, fixture.guests[1], can, BH_CAN_SEND, 0, RIG_EVERY);
    (void)allow(&fixture, 2, can, BH_CAN_RECEIVE, RIG_EVERY);
    assert_int_equal(0, find(&fixture, "a", "c", NULL, 0));
    assert_int_equal(0, find(&fixture, "b", "c", NULL, 0));
    end(&fixture);
}

/* --------------------------------------------------------------------------------------- ways */

/* a - x - b - y - e, and the same by c; d closes a longer way around. */
static void make_ways(struct fixture *fixture)
{
    const uint32_t both = BH_NET_SEND | BH_NET_RECEIVE;
    struct bh_resource *nets[6];

    for (uint32_t i = 0; i < 6; i++) {
        char name[8];

        (void)snprintf(name, sizeof(name), "n%u", i);
        nets[i] = rig_resource(fixture->rig, name, BH_RESOURCE_NET);
    }
    (void)allow(fixture, 0, nets[5], BH_NET_SEND, RIG_EVERY); /* a -> c stands first at a */
    (void)allow(fixture, 2, nets[5], BH_NET_RECEIVE, RIG_EVERY);
    (void)allow(fixture, 0, nets[0], BH_NET_SEND, RIG_EVERY); /* a -> b */
    (void)allow(fixture, 1, nets[0], BH_NET_RECEIVE, RIG_EVERY);
    (void)allow(fixture, 2, nets[1], both, RIG_EVERY); /* c - e */
    (void)allow(fixture, 4, nets[1], both, RIG_EVERY);
    (void)allow(fixture, 1, nets[2], both, RIG_EVERY); /* b - e */
    (void)allow(fixture, 4, nets[2], both, RIG_EVERY);
    (void)allow(fixture, 1, nets[3], both, RIG_EVERY); /* b - d */
    (void)allow(fixture, 3, nets[3], both, RIG_EVERY);
    (void)allow(fixture, 3, nets[4], both, RIG_EVERY); /* d - e */
    (void)allow(fixture, 4, nets[4], both, RIG_EVERY);
}

static void test_shortest(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, 1);
    make_ways(&fixture);
    /* Of two ways of a length the one by the guest that stands first. */
    assert_int_equal(4, find(&fixture, "a", "e", NULL, 0));
    assert_step(&fixture, 0, "a -> n0: a may send through its device to-n0", 3);
    assert_string_equal("b", bh_flow_node_name(&fixture.path.steps[1].to));
    assert_string_equal("n2", bh_flow_node_name(&fixture.path.steps[2].to));
    assert_int_equal(4, find(&fixture, "a", "e", "b", 0));
    assert_string_equal("c", bh_flow_node_name(&fixture.path.steps[1].to));
    assert_int_equal(0, find(&fixture, "e", "a", NULL, 0));
    assert_int_equal(5, find(&fixture, "a", "n4", NULL, 0)); /* a b d n4, as a b e n4 */
    assert_string_equal("d", bh_flow_node_name(&fixture.path.steps[3].to));
    assert_int_equal(4, find(&fixture, "n5", "n4", NULL, 0)); /* n5 c n1 e n4 */
    assert_int_equal(0, find(&fixture, "n5", "n4", "c", 0));
    /* An end is not passed. */
    assert_int_equal(4, find(&fixture, "a", "e", "a", 0));
    assert_int_equal(4, find(&fixture, "a", "e", "e", 0));
    end(&fixture);
}

static void test_names(void **state)
{
    struct fixture fixture;
    struct bh_flow_node node;

    (void)state;
    begin(&fixture, 1);
    (void)rig_resource(fixture.rig, "disk", BH_RESOURCE_DISK);
    rig_done(fixture.rig);
    assert_true(bh_flow_node_find(&node, &fixture.rig->platform, "c"));
    assert_ptr_equal(fixture.guests[2], node.guest);
    assert_null(node.resource);
    assert_true(bh_flow_node_find(&node, &fixture.rig->platform, "disk"));
    assert_null(node.guest);
    assert_string_equal("disk", bh_flow_node_name(&node));
    assert_false(bh_flow_node_find(&node, &fixture.rig->platform, "f"));
    end(&fixture);
}

/* -------------------------------------------------------------------------------------- modes */

/* What is written in one mode and read in another: a disk keeps it, a bus does not. */
static void test_kept(void **state)
{
    static const struct {
        uint32_t type;
        uint32_t writes;
        uint32_t reads;
        uint32_t steps;
    } kept[] = {
        {BH_RESOURCE_DISK, BH_DISK_WRITE, BH_DISK_READ, 2},
        {BH_RESOURCE_FOLDER, BH_FOLDER_WRITE, BH_FOLDER_READ, 2},
        {BH_RESOURCE_GPIO, BH_GPIO_WRITE, BH_GPIO_READ, 2},
        {BH_RESOURCE_CAN, BH_CAN_SEND, BH_CAN_RECEIVE, 0},
        {BH_RESOURCE_NET, BH_NET_SEND, BH_NET_RECEIVE, 0},
        {BH_RESOURCE_SOCKETS, BH_SOCKET_CONNECT, BH_SOCKET_LISTEN, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        struct fixture fixture;
        struct bh_resource *resource;

        begin(&fixture, 2);
        resource = rig_resource(fixture.rig, "thing", kept[i].type);
        (void)allow(&fixture, 0, resource, kept[i].writes, 1u << 1);
        (void)allow(&fixture, 1, resource, kept[i].reads, 1u << 0);
        assert_int_equal(0, find(&fixture, "a", "b", NULL, 0));
        assert_int_equal(0, find(&fixture, "a", "b", NULL, 1));
        assert_int_equal(kept[i].steps, find(&fixture, "a", "b", NULL, BH_MODES_ALL));
        if (kept[i].steps != 0) {
            assert_int_equal(1, fixture.path.steps[0].mode);
            assert_int_equal(0, fixture.path.steps[1].mode);
        }
        end(&fixture);
    }
}

/* A guest remembers: it gets in one mode and passes on in another. */
static void test_remembered(void **state)
{
    struct fixture fixture;
    struct bh_resource *cabin;
    struct bh_resource *body;

    (void)state;
    begin(&fixture, 2);
    cabin = rig_resource(fixture.rig, "cabin", BH_RESOURCE_CAN);
    body = rig_resource(fixture.rig, "body", BH_RESOURCE_CAN);
    (void)allow(&fixture, 0, cabin, BH_CAN_SEND, 1u << 0);
    (void)allow(&fixture, 1, cabin, BH_CAN_RECEIVE, RIG_EVERY);
    (void)allow(&fixture, 1, body, BH_CAN_SEND, 1u << 1);
    assert_int_equal(0, find(&fixture, "a", "body", NULL, 0));
    assert_int_equal(0, find(&fixture, "a", "body", NULL, 1));
    assert_int_equal(3, find(&fixture, "a", "body", NULL, BH_MODES_ALL));
    assert_int_equal(0, fixture.path.steps[0].mode);
    assert_int_equal(1, fixture.path.steps[2].mode);
    assert_int_equal(0, find(&fixture, "a", "body", "b", BH_MODES_ALL));
    assert_int_equal(1, find(&fixture, "cabin", "b", NULL, BH_MODES_ALL));
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_line),
        cmocka_unit_test(test_sockets),       cmocka_unit_test(test_operations),
        cmocka_unit_test(test_nothing_flows), cmocka_unit_test(test_disk),
        cmocka_unit_test(test_two_devices),   cmocka_unit_test(test_half),
        cmocka_unit_test(test_shortest),      cmocka_unit_test(test_names),
        cmocka_unit_test(test_kept),          cmocka_unit_test(test_remembered),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
