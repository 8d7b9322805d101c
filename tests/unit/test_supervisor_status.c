/* SPDX-License-Identifier: BSD-2-Clause */
/* The status of the largest platform fits into a message. This process stands for all back ends: it has
 * every window of every guest mapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/supervisor.h"

#define PAGE   4096u
#define ANSWER "{\"ok\": true, \"status\": }"

/* As long as a name may be. */
static char long_name[BH_NAME_MAX + 1u];

static struct rig {
    struct bh_supervisor supervisor;
    struct bh_platform platform;
    struct bh_resource resource;
    struct bh_guest guests[BH_GUESTS_MAX];
    struct bh_device_definition devices[BH_DEVICES_MAX];
    struct bh_supervised supervised[BH_GUESTS_MAX];
    struct bh_backend backends[BH_DEVICES_MAX];
    void *mapped[BH_DEVICES_MAX];
} rig;

static void make_guest(uint32_t index, uint32_t devices)
{
    struct bh_guest *guest = &rig.guests[index];
    struct bh_supervised *supervised = &rig.supervised[index];
    guest->name.text = long_name;
    guest->devices = rig.devices;
    guest->device_count = devices;
    supervised->guest = guest;
    supervised->supervisor = &rig.supervisor;
    supervised->backends = rig.backends;
    supervised->layout.guest = guest;
    supervised->layout.region_count = 1u + devices;
    memcpy(supervised->windows, rig.supervised[0].windows, sizeof(supervised->windows));
    memset(supervised->detail, 'd', sizeof(supervised->detail) - 1u);
    for (uint32_t i = 0; i < devices; i++) {
        supervised->layout.regions[1u + i] =
            (struct bh_layout_region){.kind = BH_REGION_WINDOW, .device = i, .size = PAGE};
    }
}

static void make(uint32_t guests, uint32_t devices)
{
    memset(&rig, 0, sizeof(rig));
    memset(long_name, 'n', BH_NAME_MAX);
    rig.platform = (struct bh_platform){.name.text = long_name,
                                        .guests = rig.guests,
                                        .guest_count = guests,
                                        .files = {{.path = "p.yaml"}}};
    rig.supervisor = (struct bh_supervisor){.platform = &rig.platform, .guests = rig.supervised};
    for (uint32_t i = 0; i < devices; i++) {
        struct bh_window *window = &rig.supervised[0].windows[1u + i];
        rig.devices[i] = (struct bh_device_definition){
            .name.text = long_name, .type.value = BH_DEVICE_CONSOLE, .resource.text = long_name};
        rig.backends[i] = (struct bh_backend){
            .device = &rig.devices[i], .started = true, .child = {.pid = getpid()}};
        assert_int_equal(bh_window_create(window, "status", PAGE), BH_OK);
        rig.mapped[i] = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, window->fd, 0);
        assert_ptr_not_equal(rig.mapped[i], MAP_FAILED);
        bh_window_close(window);
    }
    for (uint32_t i = 0; i < guests; i++) {
        make_guest(i, devices);
    }
}

static void finish(uint32_t devices)
{
    for (uint32_t i = 0; i < devices; i++) {
        assert_int_equal(munmap(rig.mapped[i], PAGE), 0);
    }
}

/* The last device of the last guest; *status is to be let go. */
static json_t *last_device(json_t **status)
{
    char *text = bh_supervisor_status(&rig.supervisor);
    assert_non_null(text);
    assert_true(strlen(text) + strlen(ANSWER) <= BH_CONTROL_BYTES_MAX);
    *status = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    json_t *guests = json_object_get(*status, "guests");
    assert_int_equal(json_array_size(guests), rig.platform.guest_count);
    json_t *guest = json_array_get(guests, json_array_size(guests) - 1u);
    json_t *devices = json_object_get(guest, "devices");
    assert_int_equal(json_array_size(devices), rig.guests[0].device_count);
    return json_array_get(devices, json_array_size(devices) - 1u);
}

static void test_status_names_windows(void **state)
{
    json_t *status;
    (void)state;
    make(1, 3);
    json_t *device = last_device(&status);
    assert_int_equal(json_integer_value(json_object_get(device, "mapped")), 3u * PAGE);
    assert_int_equal(json_array_size(json_object_get(device, "mapped_windows")), 3);
    json_decref(status);
    finish(3);
}

/* The sum still tells whether there is too much. */
static void test_status_of_the_largest_platform(void **state)
{
    json_t *status;
    (void)state;
    make(BH_GUESTS_MAX, BH_DEVICES_MAX);
    json_t *device = last_device(&status);
    assert_int_equal(json_integer_value(json_object_get(device, "mapped")),
                     BH_GUESTS_MAX * BH_DEVICES_MAX * PAGE);
    assert_null(json_object_get(device, "mapped_windows"));
    json_decref(status);
    finish(BH_DEVICES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names_windows),
        cmocka_unit_test(test_status_of_the_largest_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
