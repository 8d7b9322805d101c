/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a policy compiles to, for each device and mode (policy_json.h). It asks bh_allowance_make and
 * works nothing out by itself, so what is shown here is what is enforced.
 */
#include "policy_json.h"

#include "bulkhead/error.h"
#include "bulkhead/platform_policy.h"

/* What could not be stored is noted. */
struct maker {
    const struct bh_platform *platform;
    bool failed;
};

/* Both take the value over, and NULL is one that could not be made. */
static void set(struct maker *maker, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) {
        maker->failed = true;
    }
}

static void append(struct maker *maker, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) {
        maker->failed = true;
    }
}

static json_t *words_json(struct maker *maker, uint32_t type, uint32_t operations)
{
    const struct bh_operation *operation;
    json_t *array = json_array();

    for (size_t i = 0; (operation = bh_operation_at(type, i)) != NULL; i++) {
        if ((operations & operation->bit) != 0) {
            append(maker, array, json_string(operation->word));
        }
    }
    return array;
}

static json_t *rights_json(struct maker *maker, uint32_t rights)
{
    json_t *array = json_array();

    if ((rights & BH_RIGHT_READ) != 0) {
        append(maker, array, json_string("read"));
    }
    if ((rights & BH_RIGHT_WRITE) != 0) {
        append(maker, array, json_string("write"));
    }
    return array;
}

static json_t *ranges_json(struct maker *maker, const struct bh_allowance *allowance)
{
    json_t *array = json_array();

    for (uint32_t i = 0; i < allowance->range_count; i++) {
        const struct bh_allowed_range *range = &allowance->ranges[i];
        json_t *object = json_object();

        set(maker, object, "first", json_integer(range->first));
        set(maker, object, "last", json_integer(range->last));
        set(maker, object, "operations", json_integer(range->operations));
        append(maker, array, object);
    }
    return array;
}

static json_t *filter_json(struct maker *maker, const struct bh_allowance *allowance)
{
    json_t *object = json_object();

    set(maker, object, "operations", json_integer(allowance->operations));
    set(maker, object, "ranges", ranges_json(maker, allowance));
    return object;
}

static json_t *limits_json(struct maker *maker, const struct bh_allowance *allowance)
{
    json_t *object = json_object();

    set(maker, object, "operations-per-second",
        json_integer((json_int_t)allowance->operations_per_second));
    set(maker, object, "bytes-per-second", json_integer((json_int_t)allowance->bytes_per_second));
    set(maker, object, "deadline-ms", json_integer((json_int_t)allowance->deadline_ms));
    set(maker, object, "restarts-per-minute",
        json_integer((json_int_t)allowance->restarts_per_minute));
    return object;
}

static json_t *mode_json(struct maker *maker, uint32_t type, const struct bh_allowance *allowance)
{
    json_t *object = json_object();

    set(maker, object, "allowed", words_json(maker, type, allowance->operations));
    set(maker, object, "rights", rights_json(maker, bh_policy_rights(type, allowance->operations)));
    set(maker, object, "filter", filter_json(maker, allowance));
    set(maker, object, "limits", limits_json(maker, allowance));
    return object;
}

static json_t *device_json(struct maker *maker, const struct bh_guest *guest,
                           const struct bh_device_definition *device)
{
    const uint32_t type = device->uses->type.value;
    json_t *object = json_object();
    json_t *modes = json_object();
    struct bh_allowance allowance;
    uint32_t any = 0;

    for (uint32_t mode = 0; mode < maker->platform->modes.count; mode++) {
        if (bh_allowance_make(&allowance, maker->platform, guest, device, mode) != BH_OK) {
            maker->failed = true; /* the check policy-ranges has seen that it fits */
        }
        any |= allowance.operations;
        set(maker, modes, maker->platform->modes.names[mode].text,
            mode_json(maker, type, &allowance));
    }
    set(maker, object, "resource", json_string(device->uses->name.text));
    set(maker, object, "opened", rights_json(maker, bh_policy_rights(type, any)));
    set(maker, object, "modes", modes);
    return object;
}

json_t *bh_policy_json(const struct bh_platform *platform)
{
    struct maker maker = {platform, false};
    json_t *guests = json_object();

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        json_t *devices = json_object();

        for (uint32_t d = 0; d < guest->device_count; d++) {
            if (guest->devices[d].uses != NULL) {
                set(&maker, devices, guest->devices[d].name.text,
                    device_json(&maker, guest, &guest->devices[d]));
            }
        }
        set(&maker, guests, guest->name.text, devices);
    }
    if (maker.failed) {
        json_decref(guests);
        return NULL;
    }
    return guests;
}
