/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways through random platforms, against a model: it asks for each number whether two guests meet,
 * and knows the distances of all guests by Floyd and Warshall. And how much a large platform costs,
 * counted, not timed.
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

#define ROUNDS    400u
#define GUESTS    7u
#define RESOURCES 6u
#define MODES     2u
#define NUMBERS   12u /* that lines are about */
#define FAR       1000u

/* ------------------------------------------------------------------------------------ counting */

int __real_bh_allowance_make(struct bh_allowance *allowance, const struct bh_platform *platform,
                             const struct bh_guest *guest,
                             const struct bh_device_definition *device, uint32_t mode);
int __wrap_bh_allowance_make(struct bh_allowance *allowance, const struct bh_platform *platform,
                             const struct bh_guest *guest,
                             const struct bh_device_definition *device, uint32_t mode);

static uint32_t allowances; /* that were made */

int __wrap_bh_allowance_make(struct bh_allowance *allowance, const struct bh_platform *platform,
                             const struct bh_guest *guest,
                             const struct bh_device_definition *device, uint32_t mode)
{
    allowances++;
    return __real_bh_allowance_make(allowance, platform, guest, device, mode);
}

/* ----------------------------------------------------------------------------------- the model */

static const uint32_t types[] = {BH_RESOURCE_CAN,  BH_RESOURCE_GPIO, BH_RESOURCE_DISK,
                                 BH_RESOURCE_RPMB, BH_RESOURCE_KEYS, BH_RESOURCE_SOCKETS};

struct model {
    struct rig *rig;
    struct bh_flow *flow;
    struct bh_flow_path path;
    uint32_t distance[GUESTS][GUESTS]; /* hops */
};

static uint32_t some_operations(struct rig *rig, uint32_t type)
{
    const struct bh_operation *operation;
    uint32_t mask = 0;

    for (size_t i = 0; (operation = bh_operation_at(type, i)) != NULL; i++) {
        mask |= rig_below(rig, 3) == 0 ? operation->bit : 0u;
    }
    return mask;
}

static void add_random_use(struct rig *rig, struct bh_guest *guest, struct bh_resource *resource)
{
    uint32_t type = resource->type.value;

    (void)rig_device(rig, guest, resource->name.text, resource);
    for (uint32_t lines = rig_below(rig, 3); lines > 0; lines--) {
        bool denies = rig_below(rig, 5) == 0;
        uint32_t operations = some_operations(rig, type);
        struct bh_policy_line *line = rig_line(rig, guest, resource, denies ? 0 : operations,
                                               denies ? operations : 0, 1u + rig_below(rig, 3));

        for (uint32_t i = rig_below(rig, 3); i > 0 && bh_resource_numbers(type) != BH_NUMBERS_NONE;
             i--) {
            uint32_t first = rig_below(rig, NUMBERS);

            rig_numbers(rig, line, first, first + rig_below(rig, 3));
        }
    }
}

static struct rig *random_platform(uint32_t seed)
{
    struct rig *rig = rig_create(MODES);
    char name[8];

    rig->random = seed;
    for (uint32_t i = 0; i < GUESTS; i++) {
        (void)snprintf(name, sizeof(name), "g%u", i);
        (void)rig_guest(rig, name);
    }
    for (uint32_t i = 0; i < RESOURCES; i++) {
        (void)snprintf(name, sizeof(name), "r%u", i);
        (void)rig_resource(rig, name, types[rig_below(rig, sizeof(types) / sizeof(types[0]))]);
    }
    for (uint32_t i = 0; i < GUESTS * RESOURCES; i++) {
        if (rig_below(rig, 2) == 0) {
            add_random_use(rig, &rig->platform.guests[i % GUESTS],
                           &rig->platform.resources[i / GUESTS]);
        }
    }
    rig_done(rig);
    return rig;
}

static uint32_t operations_for(const struct rig *rig, uint32_t guest, uint32_t resource,
                               uint32_t mode, uint32_t number)
{
    const struct bh_platform *platform = &rig->platform;
    uint32_t operations = bh_policy_operations_for(platform, &platform->guests[guest],
                                                   &platform->resources[resource], mode, number);
    bool has = false;

    for (uint32_t i = 0; i < platform->guests[guest].device_count; i++) {
        has = has || platform->guests[guest].devices[i].uses == &platform->resources[resource];
    }
    return has ? operations : 0;
}

static bool reaches(uint32_t type, uint32_t sent, uint32_t got)
{
    const struct bh_operation *operation;

    for (size_t i = 0; (operation = bh_operation_at(type, i)) != NULL; i++) {
        if ((sent & operation->bit) != 0 && (operation->reaches & got) != 0) {
            return true;
        }
    }
    return false;
}

/* Whether two guests are a hop apart: for any number, in `mode` or in any two modes. */
static bool model_hop(const struct rig *rig, uint32_t from, uint32_t to, uint32_t mode)
{
    for (uint32_t i = 0; i < RESOURCES * MODES * MODES * (NUMBERS + 4); i++) {
        uint32_t resource = i % RESOURCES;
        uint32_t first = i / RESOURCES % MODES;
        uint32_t second = i / RESOURCES / MODES % MODES;
        uint32_t number = i / RESOURCES / MODES / MODES;
        uint32_t type = rig->platform.resources[resource].type.value;

        if ((mode != BH_MODES_ALL && (first != mode || second != mode)) ||
            (first != second && !bh_resource_keeps(type))) {
            continue;
        }
        if (reaches(type, operations_for(rig, from, resource, first, number),
                    operations_for(rig, to, resource, second, number))) {
            return true;
        }
    }
    return false;
}

/* Floyd and Warshall; a guest is never passed that is `without`. */
static void model_distances(struct model *model, uint32_t mode, uint32_t without)
{
    for (uint32_t i = 0; i < GUESTS; i++) {
        for (uint32_t j = 0; j < GUESTS; j++) {
            model->distance[i][j] = i == j ? 0 : model_hop(model->rig, i, j, mode) ? 1 : FAR;
        }
    }
    for (uint32_t k = 0; k < GUESTS; k++) {
        for (uint32_t i = 0; i < GUESTS && k != without; i++) {
            for (uint32_t j = 0; j < GUESTS; j++) {
                uint32_t by = model->distance[i][k] + model->distance[k][j];

                if (by < model->distance[i][j]) {
                    model->distance[i][j] = by;
                }
            }
        }
    }
}

/* ------------------------------------------------------------------------------------ the test */

static bool same_node(const struct bh_flow_node *a, const struct bh_flow_node *b)
{
    return a->guest == b->guest && a->resource == b->resource;
}

/* Each step goes on where the last one ended, and its line permits it. */
static void check_path(const struct model *model, const struct bh_flow_node *from,
                       const struct bh_flow_node *to, uint32_t mode)
{
    const struct bh_flow_path *path = &model->path;

    assert_true(same_node(from, &path->steps[0].from));
    assert_true(same_node(to, &path->steps[path->count - 1].to));
    for (uint32_t i = 0; i < path->count; i++) {
        const struct bh_flow_step *step = &path->steps[i];
        bool in = step->from.guest != NULL;
        const struct bh_guest *guest = in ? step->from.guest : step->to.guest;
        const struct bh_resource *resource = in ? step->to.resource : step->from.resource;

        assert_true(i == 0 || same_node(&path->steps[i - 1].to, &step->from));
        assert_true(mode == BH_MODES_ALL || mode == step->mode);
        assert_ptr_equal(resource, step->device->uses);
        assert_ptr_equal(guest, step->line->of);
        assert_ptr_equal(resource, step->line->to);
        assert_true((step->line->mode_mask >> step->mode & 1u) != 0);
        assert_int_not_equal(0, step->operations);
        assert_int_equal(step->operations, step->operations & step->line->allows);
        for (uint32_t number = step->numbers.first;
             number <= step->numbers.last && number < NUMBERS + 4; number++) {
            assert_int_equal(step->operations,
                             step->operations & bh_policy_operations_for(&model->rig->platform,
                                                                         guest, resource,
                                                                         step->mode, number));
        }
        if (!in && i > 0) {
            assert_int_equal(path->steps[i - 1].numbers.first, step->numbers.first);
            assert_int_equal(path->steps[i - 1].numbers.last, step->numbers.last);
            assert_true(
                reaches(resource->type.value, path->steps[i - 1].operations, step->operations));
        }
    }
}

static void check_mode(struct model *model, uint32_t mode, uint32_t without)
{
    const struct bh_guest *guests = model->rig->platform.guests;

    model_distances(model, mode, without);
    for (uint32_t i = 0; i < GUESTS * GUESTS; i++) {
        struct bh_flow_node from = {&guests[i / GUESTS], NULL};
        struct bh_flow_node to = {&guests[i % GUESTS], NULL};
        uint32_t hops = model->distance[i / GUESTS][i % GUESTS];

        assert_int_equal(BH_OK, bh_flow_find(&model->path, model->flow, &from, &to,
                                             without == FAR ? NULL : &guests[without], mode));
        assert_int_equal(hops >= FAR ? 0 : 2 * hops, model->path.count);
        if (model->path.count != 0) {
            check_path(model, &from, &to, mode);
        }
    }
}

/* From a guest to a resource: to the nearest that writes it, and a step more. */
static void check_ends(struct model *model, uint32_t mode)
{
    const struct bh_platform *platform = &model->rig->platform;

    model_distances(model, mode, FAR);
    for (uint32_t i = 0; i < GUESTS * RESOURCES; i++) {
        struct bh_flow_node from = {&platform->guests[i % GUESTS], NULL};
        struct bh_flow_node to = {NULL, &platform->resources[i / GUESTS]};
        uint32_t nearest = FAR;

        for (uint32_t j = 0; j < GUESTS * MODES * (NUMBERS + 4); j++) {
            uint32_t operations = operations_for(model->rig, j % GUESTS, i / GUESTS,
                                                 j / GUESTS % MODES, j / GUESTS / MODES);
            const struct bh_operation *operation;
            bool writes = false;

            for (size_t k = 0; (operation = bh_operation_at(to.resource->type.value, k)) != NULL;
                 k++) {
                writes = writes || ((operations & operation->bit) != 0 &&
                                    (operation->flows & BH_FLOW_TO_RESOURCE) != 0);
            }
            if (writes && (mode == BH_MODES_ALL || mode == j / GUESTS % MODES) &&
                model->distance[i % GUESTS][j % GUESTS] < nearest) {
                nearest = model->distance[i % GUESTS][j % GUESTS];
            }
        }
        assert_int_equal(BH_OK, bh_flow_find(&model->path, model->flow, &from, &to, NULL, mode));
        assert_int_equal(nearest >= FAR ? 0 : 2 * nearest + 1, model->path.count);
        if (model->path.count != 0) {
            check_path(model, &from, &to, mode);
        }
    }
}

static void test_random(void **state)
{
    static struct model model;
    uint32_t found = 0;

    (void)state;
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        model.rig = random_platform(round * 2654435761u);
        assert_int_equal(BH_OK, bh_flow_create(&model.flow, &model.rig->platform));
        check_mode(&model, round % MODES, FAR);
        check_mode(&model, round % MODES, round % GUESTS);
        check_mode(&model, BH_MODES_ALL, round % 3 == 0 ? FAR : round % GUESTS);
        check_ends(&model, round % 2 == 0 ? BH_MODES_ALL : 0);
        found += model.path.count;
        bh_flow_destroy(model.flow);
        rig_destroy(model.rig);
    }
    assert_int_not_equal(0, found);
}

/* ------------------------------------------------------------------------------------- the size */

/* Each guest with 30 disks of its own, and two devices for one bus that all are on. */
static struct rig *large_platform(uint32_t guests)
{
    struct rig *rig = rig_create(2);
    struct bh_resource *bus = rig_resource(rig, "bus", BH_RESOURCE_CAN);
    char name[24];

    for (uint32_t i = 0; i < guests; i++) {
        struct bh_guest *guest;

        (void)snprintf(name, sizeof(name), "g%u", i);
        guest = rig_guest(rig, name);
        (void)rig_device(rig, guest, "bus", bus);
        (void)rig_device(rig, guest, "bus-again", bus);
        rig_numbers(rig, rig_line(rig, guest, bus, BH_CAN_SEND, 0, RIG_EVERY), i + 1, i + 1);
        rig_numbers(rig, rig_line(rig, guest, bus, BH_CAN_RECEIVE, 0, RIG_EVERY), i, i);
        for (uint32_t j = 2; j < BH_DEVICES_MAX; j++) {
            struct bh_resource *disk;

            (void)snprintf(name, sizeof(name), "d%u-%u", i, j);
            disk = rig_resource(rig, name, BH_RESOURCE_DISK);
            (void)rig_device(rig, guest, name, disk);
            (void)rig_line(rig, guest, disk, BH_DISK_READ | BH_DISK_WRITE, 0, RIG_EVERY);
        }
    }
    rig_done(rig);
    return rig;
}

/* A way along all guests; what each guest may do with each of its resources is made once in a mode,
 * however much is asked. */
static void test_large(void **state)
{
    static struct bh_flow_path path;

    (void)state;
    for (uint32_t guests = 16; guests <= BH_GUESTS_MAX; guests *= 2) {
        struct rig *rig = large_platform(guests);
        struct bh_flow_node first = {&rig->platform.guests[0], NULL};
        struct bh_flow_node last = {&rig->platform.guests[guests - 1], NULL};
        struct bh_flow *flow = NULL;

        allowances = 0;
        assert_int_equal(BH_OK, bh_flow_create(&flow, &rig->platform));
        for (uint32_t i = 0; i < 1000; i++) {
            assert_int_equal(BH_OK, bh_flow_find(&path, flow, &first, &last, NULL, i % 2));
            assert_int_equal(2 * (guests - 1), path.count);
            assert_int_equal(BH_OK, bh_flow_find(&path, flow, &last, &first, NULL, i % 2));
            assert_int_equal(0, path.count);
        }
        assert_int_equal(2 * guests * (BH_DEVICES_MAX - 1), allowances);
        bh_flow_destroy(flow);
        rig_destroy(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests_name("flow_random", tests, NULL, NULL);
}
