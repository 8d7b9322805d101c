/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must be trusted for a guest, in its order; and the explanation of flows, as people read it.
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

#define KERNEL_LINES                                                                               \
    "the host's kernel keeps processes, memory and descriptors apart\n"                            \
    "the QEMU of cluster maps all of its memory and makes its machine\n"
#define SUPERVISOR_LINE                                                                            \
    "the supervisor opens resources, makes windows and writes filters as the definition says\n"
#define GATE_LINE(windows)                                                                         \
    "the gate of cluster maps its windows (" windows ") and none of its other memory, and keeps "  \
    "its back ends to what they may reach\n"
#define GATE_ALL                                                                                   \
    "the gate of cluster maps all of its memory, and keeps its back ends to what they may reach\n"
#define PLATFORM_LINES  KERNEL_LINES SUPERVISOR_LINE /* no back end, no gate */
#define WITH_GATE(line) KERNEL_LINES line SUPERVISOR_LINE
#define CACHE_LINE                                                                                 \
    "caches and memory bandwidth are shared with all other guests (1): it can be slowed down by "  \
    "them, and timing tells of it\n"

/* cluster (ASIL-B) and ivi (QM), each on a processor of its own. */
struct fixture {
    struct rig *rig;
    struct bh_guest *cluster;
    struct bh_guest *ivi;
    struct bh_range cpus[2];
};

static void begin(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->rig = rig_create(2);
    fixture->cluster = rig_guest(fixture->rig, "cluster");
    fixture->ivi = rig_guest(fixture->rig, "ivi");
    fixture->cluster->criticality.value = BH_ASIL_B;
    fixture->cpus[1].first = fixture->cpus[1].last = 1;
    fixture->cluster->host_cpus = (struct bh_ranges){.ranges = &fixture->cpus[0], .count = 1};
    fixture->ivi->host_cpus = (struct bh_ranges){.ranges = &fixture->cpus[1], .count = 1};
}

/* ---------------------------------------------------------------------------------------- trust */

static void add_text(void *context, const struct bh_trust *trust)
{
    (void)fprintf(context, "%s\n", trust->text);
}

static void assert_trust(struct fixture *fixture, const char *expected)
{
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(to);
    rig_done(fixture->rig);
    bh_trust_list(&fixture->rig->platform, fixture->cluster, add_text, to);
    assert_int_equal(0, fclose(to));
    assert_string_equal(expected, text);
    free(text);
}

static void test_least(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    assert_trust(&fixture, PLATFORM_LINES CACHE_LINE);
    (void)rig_device(fixture.rig, fixture.cluster, "root", NULL);
    assert_trust(&fixture, WITH_GATE(GATE_LINE("1")) CACHE_LINE);
    fixture.rig->platform.guest_count = 1; /* alone on the computer */
    assert_trust(&fixture, WITH_GATE(GATE_LINE("1")));
    rig_destroy(fixture.rig);
}

/* Behind the gate a back end is trusted with nothing; one that is direct with its rings, one that is
 * open with everything. */
static void test_backends(void **state)
{
    struct fixture fixture;
    struct bh_device_definition *root;
    struct bh_device_definition *body;

    (void)state;
    begin(&fixture);
    root = rig_device(fixture.rig, fixture.cluster, "root", NULL);
    body = rig_device(fixture.rig, fixture.cluster, "body", NULL);
    assert_trust(&fixture, WITH_GATE(GATE_LINE("2")) CACHE_LINE);
    root->isolation.value = BH_ISOLATION_DIRECT;
    assert_trust(&fixture, "the back end of root writes the rings of its window, so what they tell "
                           "cluster is its word\n" WITH_GATE(GATE_LINE("2")) CACHE_LINE);
    body->isolation.value = BH_ISOLATION_OPEN;
    body->window.value = 0;
    assert_trust(&fixture, "the back end of body reaches all memory of cluster\n"
                           "the back end of root writes the rings of its window, so what they tell "
                           "cluster is its word\n" WITH_GATE(GATE_ALL) CACHE_LINE);
    body->isolation.value = BH_ISOLATION_BOUNCE; /* the gate is the wall */
    root->isolation.value = BH_ISOLATION_SHADOW;
    assert_trust(&fixture, WITH_GATE(GATE_ALL) CACHE_LINE);
    body->isolation.value = BH_ISOLATION_DIRECT; /* there is none, here */
    body->left_out = true;
    assert_trust(&fixture, WITH_GATE(GATE_LINE("1")) CACHE_LINE);
    rig_destroy(fixture.rig);
}

static void test_hardware(void **state)
{
    struct fixture fixture;
    struct bh_resource *gpu;
    struct bh_device_definition *device;

    (void)state;
    begin(&fixture);
    gpu = rig_resource(fixture.rig, "gpu", BH_RESOURCE_HARDWARE);
    gpu->dma.value = true;
    device = rig_device(fixture.rig, fixture.ivi, "gpu", gpu);
    device->type.value = BH_DEVICE_PASSTHROUGH;
    assert_trust(&fixture, "gpu, which ivi has, reads and writes all memory by itself: no IOMMU "
                           "holds it\n" PLATFORM_LINES CACHE_LINE);
    gpu->iommu.value = true;
    assert_trust(&fixture, PLATFORM_LINES CACHE_LINE);
    device = rig_device(fixture.rig, fixture.cluster, "gpu", gpu);
    device->type.value = BH_DEVICE_PASSTHROUGH;
    fixture.ivi->device_count = 0;
    gpu->users = 1;
    assert_trust(&fixture, "its own gpu reads and writes its memory by itself; the IOMMU holds it "
                           "to that\n" PLATFORM_LINES CACHE_LINE);
    rig_destroy(fixture.rig);
}

static void test_mediators(void **state)
{
    struct fixture fixture;
    struct bh_resource *can;
    struct bh_resource *entropy;

    (void)state;
    begin(&fixture);
    can = rig_resource(fixture.rig, "can", BH_RESOURCE_CAN);
    entropy = rig_resource(fixture.rig, "entropy", BH_RESOURCE_ENTROPY);
    (void)rig_device(fixture.rig, fixture.cluster, "body", can);
    (void)rig_device(fixture.rig, fixture.cluster, "rng", entropy);
    (void)rig_device(fixture.rig, fixture.ivi, "body", can);
    (void)rig_device(fixture.rig, fixture.ivi, "rng", entropy);
    assert_trust(&fixture, WITH_GATE(GATE_LINE("2")) "can, which ivi (QM) uses too: nobody is "
                                                     "named who keeps them apart\n" CACHE_LINE);
    can->mediator.text = "the filters";
    assert_trust(&fixture,
                 WITH_GATE(GATE_LINE(
                     "2")) "can, which ivi (QM) uses too: kept apart by the filters\n" CACHE_LINE);
    fixture.ivi->criticality.value = BH_ASIL_B;
    assert_trust(&fixture, WITH_GATE(GATE_LINE("2")) CACHE_LINE);
    rig_destroy(fixture.rig);
}

static void test_processors(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    fixture.cpus[0].last = 1;
    assert_trust(&fixture,
                 PLATFORM_LINES "ivi (QM) runs on processors of cluster too\n" CACHE_LINE);
    fixture.ivi->host_cpus.count = 0;
    assert_trust(&fixture, PLATFORM_LINES "on processors of cluster others (1) may run, which have "
                                          "none of their own\n" CACHE_LINE);
    fixture.cluster->host_cpus.count = 0;
    assert_trust(&fixture,
                 PLATFORM_LINES "cluster has no processors of its own: any of the others (1) may "
                                "run on the same\n" CACHE_LINE);
    rig_destroy(fixture.rig);
}

/* ---------------------------------------------------------------------------------- explanations */

static char *explained(struct fixture *fixture, const char *a, const char *b, int expected,
                       bool colour)
{
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("rig.yaml");
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    assert_non_null(diagnostics);
    assert_non_null(to);
    rig_done(fixture->rig);
    assert_int_equal(expected,
                     bh_flow_explain(&fixture->rig->platform, a, b, diagnostics, to, colour));
    bh_diagnostics_print(diagnostics, to, false);
    assert_int_equal(0, fclose(to));
    bh_diagnostics_destroy(diagnostics);
    return text;
}

static void assert_explained(struct fixture *fixture, const char *a, const char *b, int code,
                             const char *expected)
{
    char *text = explained(fixture, a, b, code, false);

    assert_string_equal(expected, text);
    free(text);
}

static void make_bus(struct fixture *fixture)
{
    struct rig *rig = fixture->rig;
    struct bh_resource *can = rig_resource(rig, "can", BH_RESOURCE_CAN);

    (void)rig_device(rig, fixture->cluster, "body", can);
    (void)rig_device(rig, fixture->ivi, "body", can);
    rig_numbers(rig, rig_line(rig, fixture->ivi, can, BH_CAN_SEND, 0, 1u << 1), 0x10, 0x20);
    (void)rig_line(rig, fixture->cluster, can, BH_CAN_RECEIVE, 0, RIG_EVERY);
}

static void test_explain(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    make_bus(&fixture);
    assert_explained(
        &fixture, "ivi", "cluster", BH_OK,
        "from ivi to cluster\n"
        "  in mode m0: nothing\n"
        "  in mode m1: 2 steps\n"
        "    1. ivi -> can: ivi may send (ids 0x10-0x20) through its device body\n"
        "       rig.yaml:1\n"
        "    2. can -> cluster: cluster may receive (ids 0x10-0x20) through its device body\n"
        "       rig.yaml:2\n"
        "\n"
        "from cluster to ivi\n"
        "  in every mode: nothing\n"
        "  over changes of mode: nothing\n"
        "\n"
        "used by both\n"
        "  can\n"
        "    ivi: send\n"
        "    cluster: receive\n"
        "\n"
        "trusted by ivi (QM)\n"
        "  - the host's kernel keeps processes, memory and descriptors apart\n"
        "  - the QEMU of ivi maps all of its memory and makes its machine\n"
        "  - the gate of ivi maps its windows (1) and none of its other memory, and keeps its back "
        "ends to what they may reach\n"
        "  - the supervisor opens resources, makes windows and writes filters as the definition "
        "says\n"
        "  - can, which cluster (ASIL-B) uses too: nobody is named who keeps them apart\n"
        "  - caches and memory bandwidth are shared with all other guests (1): it can be slowed "
        "down by them, and timing tells of it\n"
        "\n"
        "trusted by cluster (ASIL-B)\n"
        "  - the host's kernel keeps processes, memory and descriptors apart\n"
        "  - the QEMU of cluster maps all of its memory and makes its machine\n"
        "  - the gate of cluster maps its windows (1) and none of its other memory, and keeps its "
        "back "
        "ends to what they may reach\n"
        "  - the supervisor opens resources, makes windows and writes filters as the definition "
        "says\n"
        "  - can, which ivi (QM) uses too: nobody is named who keeps them apart\n"
        "  - caches and memory bandwidth are shared with all other guests (1): it can be slowed "
        "down by them, and timing tells of it\n");
    rig_destroy(fixture.rig);
}

/* Over changes of mode each step says its own; a resource trusts nobody. */
static void test_explain_ever(void **state)
{
    struct fixture fixture;
    struct bh_resource *disk;
    char *text;

    (void)state;
    begin(&fixture);
    disk = rig_resource(fixture.rig, "disk", BH_RESOURCE_DISK);
    (void)rig_device(fixture.rig, fixture.cluster, "root", disk);
    (void)rig_device(fixture.rig, fixture.ivi, "root", disk);
    (void)rig_line(fixture.rig, fixture.ivi, disk, BH_DISK_WRITE, 0, 1u << 1);
    (void)rig_line(fixture.rig, fixture.cluster, disk, BH_DISK_READ, 0, 1u << 0);
    text = explained(&fixture, "ivi", "cluster", BH_OK, false);
    assert_non_null(strstr(
        text, "from ivi to cluster\n"
              "  in every mode: nothing\n"
              "  over changes of mode: 2 steps\n"
              "    1. ivi -> disk: ivi may write through its device root, in mode m1\n"
              "       rig.yaml:1\n"
              "    2. disk -> cluster: cluster may read through its device root, in mode m0\n"
              "       rig.yaml:2\n"));
    free(text);
    text = explained(&fixture, "ivi", "disk", BH_OK, true);
    assert_non_null(strstr(text, "\033[1;31m1 step\033[0m"));
    assert_non_null(strstr(text, "\033[1;32mnothing\033[0m"));
    assert_null(strstr(text, "used by both"));
    assert_null(strstr(text, "trusted by disk"));
    free(text);
    rig_destroy(fixture.rig);
}

static void test_explain_unknown(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture);
    make_bus(&fixture);
    assert_explained(&fixture, "clustr", "b\033us", BH_GONE,
                     "rig.yaml: error: there is no guest or resource clustr [reference]\n"
                     "      = did you mean cluster?\n"
                     "rig.yaml: error: there is no guest or resource b?us [reference]\n"
                     "      = name a guest or a resource of this platform\n"
                     "2 errors\n");
    rig_destroy(fixture.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),        cmocka_unit_test(test_backends),
        cmocka_unit_test(test_hardware),     cmocka_unit_test(test_mediators),
        cmocka_unit_test(test_processors),   cmocka_unit_test(test_explain),
        cmocka_unit_test(test_explain_ever), cmocka_unit_test(test_explain_unknown),
    };

    return cmocka_run_group_tests_name("flow_trust", tests, NULL, NULL);
}
