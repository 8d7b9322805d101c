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
    struct bh_supervisor_setup setup;
    struct bh_state_folder state;
    struct bh_platform platform;
    struct bh_text modes[BH_MODES_MAX];
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
        supervised->layout.windows[i] = supervised->layout.regions[1u + i];
    }
}

static void make(uint32_t guests, uint32_t devices)
{
    memset(&rig, 0, sizeof(rig));
    memset(long_name, 'n', BH_NAME_MAX);
    rig.platform = (struct bh_platform){.name.text = long_name,
                                        .guests = rig.guests,
                                        .guest_count = guests,
                                        .modes = {.names = rig.modes, .count = BH_MODES_MAX},
                                        .files = {{.path = "p.yaml"}}};
    for (uint32_t i = 0; i < BH_MODES_MAX; i++) {
        rig.modes[i].text = long_name;
    }
    memset(rig.state.path, 'p', sizeof(rig.state.path) - 1u);
    rig.setup.state = &rig.state;
    rig.supervisor = (struct bh_supervisor){
        .setup = &rig.setup, .platform = &rig.platform, .guests = rig.supervised};
    for (uint32_t i = 0; i < devices; i++) {
        struct bh_window *window = &rig.supervised[0].windows[1u + i];
        rig.devices[i] = (struct bh_device_definition){
            .name.text = long_name, .type.value = BH_DEVICE_CONSOLE, .resource.text = long_name};
        struct bh_instance *instance = &rig.backends[i].instances[0];
        bh_backend_init(&rig.backends[i], &rig.guests[0], &rig.devices[i]);
        instance->runs = true;
        instance->child.pid = getpid();
        rig.backends[i].serving = instance;
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

/* The status as an object: it fits into a message. `guest` NULL: of all. */
static json_t *status_of(const char *guest)
{
    const char *why = NULL;
    char *text = bh_supervisor_status(&rig.supervisor, guest, &why);
    assert_non_null(text);
    assert_true(strlen(text) + strlen(ANSWER) <= BH_CONTROL_BYTES_MAX);
    json_t *status = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    assert_non_null(status);
    return status;
}

/* The last of its guests. */
static json_t *last_guest(const json_t *status, size_t count)
{
    json_t *guests = json_object_get(status, "guests");
    assert_int_equal(json_array_size(guests), count);
    return json_array_get(guests, count - 1u);
}

/* The last device of the last guest; *status is to be let go. */
static json_t *last_device(json_t **status)
{
    *status = status_of(NULL);
    json_t *guest = last_guest(*status, rig.platform.guest_count);
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

static void test_status_mode_audit_and_what_is_left_out(void **state)
{
    json_t *status;
    (void)state;
    make(1, 1);
    rig.devices[0].left_out = true;
    rig.supervisor.audit.lost = 3;
    rig.modes[1].text = "second";
    rig.supervisor.mode = 1;
    (void)snprintf(rig.state.path, sizeof(rig.state.path), "/state/caf\xe9");
    json_t *device = last_device(&status);
    assert_string_equal(json_string_value(json_object_get(device, "state")), "left out");
    assert_string_equal(json_string_value(json_object_get(status, "mode")), "second");
    assert_int_equal(json_array_size(json_object_get(status, "modes")), BH_MODES_MAX);
    json_t *audit = json_object_get(status, "audit");
    assert_string_equal(json_string_value(json_object_get(audit, "path")),
                        "/state/caf?/audit.jsonl");
    assert_int_equal(json_integer_value(json_object_get(audit, "lost")), 3);
    json_decref(status);
    finish(1);
}

/* The sum still tells whether there is too much. */
static void test_status_without_the_names_of_windows(void **state)
{
    json_t *status;
    (void)state;
    make(8, BH_DEVICES_MAX);
    json_t *device = last_device(&status);
    assert_int_equal(json_integer_value(json_object_get(device, "mapped")),
                     8 * BH_DEVICES_MAX * PAGE);
    assert_null(json_object_get(device, "mapped_windows"));
    json_decref(status);
    finish(BH_DEVICES_MAX);
}

/* All guests are there, and each can be asked for alone. */
static void test_status_of_the_largest_platform(void **state)
{
    static char last_name[] = "last";
    const char *why = NULL;
    (void)state;
    make(BH_GUESTS_MAX, BH_DEVICES_MAX);
    rig.guests[BH_GUESTS_MAX - 1u].name.text = last_name;
    json_t *status = status_of(NULL);
    json_t *guest = last_guest(status, BH_GUESTS_MAX);
    assert_string_equal(json_string_value(json_object_get(guest, "name")), "last");
    assert_null(json_object_get(guest, "devices"));
    json_decref(status);
    status = status_of("last");
    guest = last_guest(status, 1);
    assert_string_equal(json_string_value(json_object_get(guest, "name")), "last");
    assert_int_equal(json_array_size(json_object_get(guest, "devices")), BH_DEVICES_MAX);
    json_decref(status);
    assert_null(bh_supervisor_status(&rig.supervisor, "nobody", &why));
    assert_non_null(strstr(why, "no such guest"));
    finish(BH_DEVICES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_names_windows),
        cmocka_unit_test(test_status_mode_audit_and_what_is_left_out),
        cmocka_unit_test(test_status_without_the_names_of_windows),
        cmocka_unit_test(test_status_of_the_largest_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
