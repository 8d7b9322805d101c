/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Assertions: their verdicts with the reason, and how the check says a violation. The same in
 * definitions that somebody wrote: tests/platform/fail/assert-*.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/error.h"
#include "flow_rig.h"
#include "platform/flow/check_assertions.h"

/* ivi - cabin - gateway - body - cluster, in modes m0, m1, m2; cluster gets from body in m1 only. */
struct fixture {
    struct rig *rig;
    struct bh_flow *flow;
    struct bh_guest *ivi;
    struct bh_guest *gateway;
    struct bh_guest *cluster;
    struct bh_resource *cabin;
    struct bh_resource *body;
    struct bh_assertion assertion;
    struct bh_text names[3];
    struct bh_flow_path path;
    char why[BH_WHY_BYTES];
};

static void begin(struct fixture *fixture)
{
    struct rig *rig = rig_create(3);

    memset(fixture, 0, sizeof(*fixture));
    fixture->rig = rig;
    fixture->cluster = rig_guest(rig, "cluster");
    fixture->gateway = rig_guest(rig, "gateway");
    fixture->ivi = rig_guest(rig, "ivi");
    fixture->cabin = rig_resource(rig, "cabin", BH_RESOURCE_CAN);
    fixture->body = rig_resource(rig, "body", BH_RESOURCE_CAN);
    (void)rig_device(rig, fixture->ivi, "c0", fixture->cabin);
    (void)rig_device(rig, fixture->gateway, "c0", fixture->cabin);
    (void)rig_device(rig, fixture->gateway, "c1", fixture->body);
    (void)rig_device(rig, fixture->cluster, "c0", fixture->body);
    (void)rig_line(rig, fixture->ivi, fixture->cabin, BH_CAN_SEND, 0, RIG_EVERY);
    (void)rig_line(rig, fixture->gateway, fixture->cabin, BH_CAN_RECEIVE, 0, RIG_EVERY);
    (void)rig_line(rig, fixture->gateway, fixture->body, BH_CAN_SEND, 0, RIG_EVERY);
    (void)rig_line(rig, fixture->cluster, fixture->body, BH_CAN_RECEIVE, 0, 1u << 1);
    fixture->assertion.mode_mask = 7;
    fixture->assertion.at = (struct bh_origin){.line = 20, .column = 5, .length = 7};
}

static void end(struct fixture *fixture)
{
    bh_flow_destroy(fixture->flow);
    rig_destroy(fixture->rig);
}

static void set_flow(struct fixture *fixture, const char *from, const char *to, const char *through)
{
    struct bh_assert_flow ends = {
        .at = fixture->assertion.at, .from.text = from, .to.text = to, .through.text = through};

    fixture->assertion.kind = through == NULL ? BH_ASSERT_NO_FLOW : BH_ASSERT_THROUGH;
    fixture->assertion.no_flow = ends;
    fixture->assertion.only_through = ends;
}

static void set_shared(struct fixture *fixture, const char *a, const char *b, const char *c)
{
    struct bh_names *guests = &fixture->assertion.no_shared_resource.guests;

    fixture->names[0].text = a;
    fixture->names[1].text = b;
    fixture->names[2].text = c;
    guests->names = fixture->names;
    guests->count = c == NULL ? 2 : 3;
    fixture->assertion.kind = BH_ASSERT_NOT_SHARED;
    fixture->assertion.no_shared_resource.at = fixture->assertion.at;
}

static void set_isolated(struct fixture *fixture, const char *guest)
{
    fixture->assertion.kind = BH_ASSERT_ISOLATED;
    fixture->assertion.isolated.guest.text = guest;
    fixture->assertion.isolated.at = fixture->assertion.at;
}

static void assert_verdict(struct fixture *fixture, uint32_t mode, enum bh_verdict expected,
                           const char *why)
{
    enum bh_verdict verdict = BH_VERDICT_VIOLATED;

    bh_flow_destroy(fixture->flow); /* the platform may have been changed */
    rig_done(fixture->rig);
    assert_int_equal(BH_OK, bh_flow_create(&fixture->flow, &fixture->rig->platform));
    assert_int_equal(BH_OK, bh_assertion_decide(&verdict, &fixture->path, fixture->why,
                                                fixture->flow, &fixture->assertion, mode));
    assert_string_equal(why, fixture->why);
    assert_int_equal(expected, verdict);
}

static void assert_text(const struct fixture *fixture, const char *expected)
{
    char text[128];

    bh_assertion_text(&fixture->assertion, text, sizeof(text));
    assert_string_equal(expected, text);
}

/* What the check says, without the lines of a source that there is not. */
static void assert_said(struct fixture *fixture, const char *expected)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("rig.yaml");
    struct bh_reader reader = {.diagnostics = diagnostics, .arena = &fixture->rig->arena};
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(diagnostics);
    assert_non_null(to);
    fixture->rig->platform.assertions = &fixture->assertion;
    fixture->rig->platform.assertion_count = 1;
    rig_done(fixture->rig);
    bh_check_assertions_hold(&reader, &fixture->rig->platform);
    assert_false(reader.no_memory);
    bh_diagnostics_print(diagnostics, to, false);
    assert_int_equal(0, fclose(to));
    assert_string_equal(expected, text);
    free(text);
    bh_diagnostics_destroy(diagnostics);
}

/* ----------------------------------------------------------------------------------- verdicts */

static void test_no_flow(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    set_flow(&fixture, "ivi", "cluster", NULL);
    assert_text(&fixture, "no flow from ivi to cluster");
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS, "there is no way from ivi to cluster");
    assert_int_equal(0, fixture.path.count);
    assert_verdict(&fixture, 1, BH_VERDICT_VIOLATED, "ivi -> cabin -> gateway -> body -> cluster");
    assert_int_equal(4, fixture.path.count);
    set_flow(&fixture, "cluster", "ivi", NULL);
    assert_verdict(&fixture, 1, BH_VERDICT_HOLDS, "there is no way from cluster to ivi");
    set_flow(&fixture, "ivi", "body", NULL);
    assert_verdict(&fixture, 0, BH_VERDICT_VIOLATED, "ivi -> cabin -> gateway -> body");
    end(&fixture);
}

/* Hardware that reaches all memory can carry anything: what holds, holds if it does not. */
static void test_assumption(void **state)
{
    struct fixture fixture;
    struct bh_resource *gpu;

    (void)state;
    begin(&fixture);
    gpu = rig_resource(fixture.rig, "gpu", BH_RESOURCE_HARDWARE);
    gpu->dma.value = true;
    rig_device(fixture.rig, fixture.ivi, "gpu", gpu)->type.value = BH_DEVICE_PASSTHROUGH;
    set_flow(&fixture, "ivi", "cluster", NULL);
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "there is no way from ivi to cluster; assumed: gpu of ivi, which reaches all "
                   "memory, carries nothing");
    gpu->iommu.value = true;
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS, "there is no way from ivi to cluster");
    gpu->iommu.value = false;
    gpu->dma.value = false;
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS, "there is no way from ivi to cluster");
    end(&fixture);
}

static void test_through(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    set_flow(&fixture, "ivi", "cluster", "gateway");
    assert_text(&fixture, "from ivi to cluster only through gateway");
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "there is no way from ivi to cluster, with or without gateway");
    assert_verdict(&fixture, 1, BH_VERDICT_HOLDS,
                   "each way passes gateway: ivi -> cabin -> gateway -> body -> cluster");
    assert_int_equal(0, fixture.path.count); /* a path is one that violates */
    (void)rig_device(fixture.rig, fixture.ivi, "c1", fixture.body);
    (void)rig_line(fixture.rig, fixture.ivi, fixture.body, BH_CAN_SEND, 0, 1u << 1);
    assert_verdict(&fixture, 1, BH_VERDICT_VIOLATED, "ivi -> body -> cluster");
    assert_int_equal(2, fixture.path.count);
    end(&fixture);
}

/* A resource is used where something is allowed. */
static void test_shared(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    set_shared(&fixture, "cluster", "ivi", NULL);
    assert_text(&fixture, "no resource shared by cluster and ivi");
    assert_verdict(&fixture, 1, BH_VERDICT_HOLDS, "no resource is used by two of them");
    set_shared(&fixture, "cluster", "ivi", "gateway");
    assert_text(&fixture, "no resource shared by cluster, ivi and gateway");
    assert_verdict(&fixture, 0, BH_VERDICT_VIOLATED, "shared: cabin");
    assert_verdict(&fixture, 1, BH_VERDICT_VIOLATED, "shared: cabin, body");
    end(&fixture);
}

static void test_isolated(void **state)
{
    struct fixture fixture;
    struct bh_resource *gpu;
    struct bh_device_definition *passed;

    (void)state;
    begin(&fixture);
    set_isolated(&fixture, "cluster");
    assert_text(&fixture, "cluster isolated");
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    fixture.ivi->devices[0].isolation.value = BH_ISOLATION_OPEN; /* of another guest */
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    fixture.cluster->devices[0].isolation.value = BH_ISOLATION_SHADOW;
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    fixture.cluster->devices[0].isolation.value = BH_ISOLATION_BOUNCE;
    assert_verdict(&fixture, 0, BH_VERDICT_VIOLATED, "its device c0 is bounce");
    fixture.cluster->devices[0].isolation.value = BH_ISOLATION_OPEN;
    fixture.cluster->layout.value = BH_LAYOUT_ENGINE;
    assert_verdict(&fixture, 0, BH_VERDICT_VIOLATED,
                   "its device c0 is open; its memory is laid out by the engine");
    fixture.cluster->devices[0].isolation.value = BH_ISOLATION_DIRECT;
    fixture.cluster->layout.value = BH_LAYOUT_V1;
    gpu = rig_resource(fixture.rig, "gpu", BH_RESOURCE_HARDWARE);
    gpu->dma.value = true;
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS, /* nobody has it */
                   "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    passed = rig_device(fixture.rig, fixture.ivi, "gpu", gpu);
    passed->type.value = BH_DEVICE_PASSTHROUGH;
    assert_verdict(&fixture, 2, BH_VERDICT_VIOLATED, "gpu of ivi reaches all memory");
    gpu->iommu.value = true;
    assert_verdict(&fixture, 0, BH_VERDICT_HOLDS,
                   "gate and back ends reach its windows only, and an IOMMU holds all hardware");
    end(&fixture);
}

static void test_gone(void **state)
{
    struct fixture fixture;
    enum bh_verdict verdict;

    (void)state;
    begin(&fixture);
    rig_done(fixture.rig);
    assert_int_equal(BH_OK, bh_flow_create(&fixture.flow, &fixture.rig->platform));
    set_flow(&fixture, "ivi", "nobody", NULL);
    assert_int_equal(BH_GONE, bh_assertion_decide(&verdict, &fixture.path, fixture.why,
                                                  fixture.flow, &fixture.assertion, 0));
    assert_said(&fixture, ""); /* another check says so */
    set_flow(&fixture, "ivi", "cluster", "nobody");
    assert_said(&fixture, "");
    set_flow(&fixture, "ivi", "cluster", "body"); /* a resource lets everything pass */
    assert_said(&fixture, "");
    set_shared(&fixture, "cluster", "nobody", NULL);
    assert_said(&fixture, "");
    set_isolated(&fixture, "nobody");
    assert_said(&fixture, "");
    fixture.assertion.kind = BH_ASSERT_NOTHING;
    assert_text(&fixture, "");
    assert_said(&fixture, "");
    end(&fixture);
}

/* A text that is longer than its room ends there. */
static void test_long(void **state)
{
    struct fixture fixture;
    char text[24];

    (void)state;
    begin(&fixture);
    set_shared(&fixture, "cluster", "ivi", "gateway");
    bh_assertion_text(&fixture.assertion, text, sizeof(text));
    assert_string_equal("no resource shared by c", text);
    for (uint32_t i = 0; i < 20; i++) {
        char name[BH_NAME_MAX + 1];

        (void)snprintf(name, sizeof(name), "a-long-name-of-a-device-%02u", i);
        rig_device(fixture.rig, fixture.cluster, name, NULL)->isolation.value = BH_ISOLATION_OPEN;
    }
    set_isolated(&fixture, "cluster");
    rig_done(fixture.rig);
    assert_int_equal(BH_OK, bh_flow_create(&fixture.flow, &fixture.rig->platform));
    {
        enum bh_verdict verdict;

        assert_int_equal(BH_OK, bh_assertion_decide(&verdict, &fixture.path, fixture.why,
                                                    fixture.flow, &fixture.assertion, 0));
        assert_int_equal(BH_WHY_BYTES - 1, strlen(fixture.why));
        assert_int_equal(BH_VERDICT_VIOLATED, verdict);
    }
    end(&fixture);
}

/* ------------------------------------------------------------------------------------ saying it */

static void test_modes_together(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    set_flow(&fixture, "ivi", "body", NULL);
    assert_said(
        &fixture,
        "rig.yaml:20:5: error: data of ivi can reach body, in every mode [assert-no-flow]\n"
        "      = take one of the steps below away; or, if gateway may decide what it passes on, "
        "assert\n"
        "      = only-through: { from: ivi, to: body, through: gateway }\n"
        "rig.yaml:1:3: note: step 1 of 3: ivi -> cabin: ivi may send through its device c0\n"
        "rig.yaml:2:3: note: step 2 of 3: cabin -> gateway: gateway may receive through its device "
        "c0\n"
        "rig.yaml:3:3: note: step 3 of 3: gateway -> body: gateway may send through its device c1\n"
        "1 error\n");
    fixture.assertion.mode_mask = 5; /* it asserts nothing of the others */
    assert_said(
        &fixture,
        "rig.yaml:20:5: error: data of ivi can reach body, in modes m0 and m2 [assert-no-flow]\n"
        "      = take one of the steps below away; or, if gateway may decide what it passes on, "
        "assert\n"
        "      = only-through: { from: ivi, to: body, through: gateway }\n"
        "rig.yaml:1:3: note: step 1 of 3: ivi -> cabin: ivi may send through its device c0\n"
        "rig.yaml:2:3: note: step 2 of 3: cabin -> gateway: gateway may receive through its device "
        "c0\n"
        "rig.yaml:3:3: note: step 3 of 3: gateway -> body: gateway may send through its device c1\n"
        "1 error\n");
    end(&fixture);
}

/* The same resource, and other guests that share it: another finding. */
static void test_sharing_differs(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    (void)rig_device(fixture.rig, fixture.cluster, "c1", fixture.cabin);
    (void)rig_line(fixture.rig, fixture.cluster, fixture.cabin, BH_CAN_RECEIVE, 0, 1u << 2);
    set_shared(&fixture, "cluster", "ivi", "gateway");
    fixture.assertion.mode_mask = 5;
    assert_said(&fixture,
                "rig.yaml:20:5: error: a resource is used by two of the guests, in mode m0; "
                "shared: cabin [assert-not-shared]\n"
                "      = give each of them a resource of its own, or allow it to one of them "
                "alone\n"
                "rig.yaml: note: gateway uses cabin here (receive)\n"
                "rig.yaml: note: ivi uses cabin here (send)\n"
                "rig.yaml:20:5: error: a resource is used by two of the guests, in mode m2; "
                "shared: cabin [assert-not-shared]\n"
                "      = give each of them a resource of its own, or allow it to one of them "
                "alone\n"
                "rig.yaml: note: cluster uses cabin here (receive)\n"
                "rig.yaml: note: gateway uses cabin here (receive)\n"
                "rig.yaml: note: ivi uses cabin here (send)\n"
                "2 errors\n");
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_flow),
        cmocka_unit_test(test_assumption),
        cmocka_unit_test(test_through),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_isolated),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_modes_together),
        cmocka_unit_test(test_sharing_differs),
    };

    return cmocka_run_group_tests_name("flow_assertions", tests, NULL, NULL);
}
