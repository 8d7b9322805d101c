/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The check of references: each guest, resource and device that is named somewhere is there. It
 * fills in what the names mean, for all checks behind it. Whether what is there also fits is
 * theirs.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"

/* ------------------------------------------------------------------------------------- devices */

static void resolve_resources(struct bh_reader *reader, struct bh_platform *platform,
                              struct bh_guest *guest)
{
    for (uint32_t i = 0; i < guest->device_count; i++) {
        struct bh_device_definition *device = &guest->devices[i];
        const struct bh_resource *resource;

        if (device->resource.text == NULL) {
            continue;
        }
        resource = bh_platform_resource(platform, device->resource.text);
        device->uses = resource;
        if (resource != NULL) {
            platform->resources[resource - platform->resources].users++;
        } else {
            bh_check_say_unknown(reader, &device->resource, "resource", bh_word_resource, platform,
                                 "add it below resources");
        }
    }
}

/* The device of the guest itself that a key names. */
static const struct bh_device_definition *resolve_device(const struct bh_reader *reader,
                                                         const struct bh_guest *guest,
                                                         const struct bh_text *name)
{
    const struct bh_device_definition *device;
    char what[64];

    if (name->text == NULL) {
        return NULL;
    }
    device = bh_guest_device(guest, name->text);
    if (device == NULL) {
        (void)snprintf(what, sizeof(what), "device of guest %s that is called", guest->name.text);
        bh_check_say_unknown(reader, name, what, bh_word_device, guest,
                             "write the name of one of the guest's own devices");
    }
    return device;
}

static void resolve_guest(struct bh_reader *reader, struct bh_platform *platform,
                          struct bh_guest *guest)
{
    guest->boot.boots = resolve_device(reader, guest, &guest->boot.disk);
    guest->ready_when.waits_for = resolve_device(reader, guest, &guest->ready_when.device);
    for (uint32_t i = 0; i < guest->after.count; i++) {
        if (bh_platform_guest(platform, guest->after.names[i].text) == NULL) {
            bh_check_say_unknown(reader, &guest->after.names[i], "guest", bh_word_guest, platform,
                                 "write the name of a guest of this platform");
        }
    }
}

/* -------------------------------------------------------------------------------------- policy */

/* People take the device's name for the resource's. */
static void say_no_resource(const struct bh_reader *reader, const struct bh_platform *platform,
                            const struct bh_policy_line *line)
{
    const struct bh_device_definition *device =
        line->of == NULL ? NULL : bh_guest_device(line->of, line->resource.text);

    if (device == NULL || device->uses == NULL) {
        bh_check_say_unknown(reader, &line->resource, "resource", bh_word_resource, platform,
                             "write the name of a resource of this platform");
        return;
    }
    BH_SAY(reader, "reference", line->resource.at,
           "%s is a device of guest %s, and a policy is about resources\n"
           "write the resource that the device uses: resource: %s",
           device->name.text, line->of->name.text, device->uses->name.text);
    bh_diagnostics_note(reader->diagnostics, device->resource.at, "here it uses %s",
                        device->uses->name.text);
}

static void resolve_line(struct bh_reader *reader, struct bh_platform *platform,
                         struct bh_policy_line *line)
{
    line->of = bh_platform_guest(platform, line->guest.text);
    line->to = bh_platform_resource(platform, line->resource.text);
    if (line->of == NULL) {
        bh_check_say_unknown(reader, &line->guest, "guest", bh_word_guest, platform,
                             "write the name of a guest of this platform");
    }
    if (line->to == NULL) {
        say_no_resource(reader, platform, line);
    }
}

/* ---------------------------------------------------------------------------------- assertions */

static void check_guest_name(const struct bh_reader *reader, const struct bh_platform *platform,
                             const struct bh_text *name)
{
    if (name->text != NULL && bh_platform_guest(platform, name->text) == NULL) {
        bh_check_say_unknown(reader, name, "guest", bh_word_guest, platform,
                             "write the name of a guest of this platform");
    }
}

static void check_node_name(const struct bh_reader *reader, const struct bh_platform *platform,
                            const struct bh_text *name)
{
    if (name->text != NULL && bh_platform_guest(platform, name->text) == NULL &&
        bh_platform_resource(platform, name->text) == NULL) {
        bh_check_say_unknown(reader, name, "guest or resource", bh_word_node, platform,
                             "write the name of a guest or a resource of this platform");
    }
}

static void check_assertion(const struct bh_reader *reader, const struct bh_platform *platform,
                            const struct bh_assertion *assertion)
{
    const struct bh_names *guests = &assertion->no_shared_resource.guests;

    check_node_name(reader, platform, &assertion->no_flow.from);
    check_node_name(reader, platform, &assertion->no_flow.to);
    check_node_name(reader, platform, &assertion->only_through.from);
    check_node_name(reader, platform, &assertion->only_through.to);
    check_guest_name(reader, platform, &assertion->only_through.through);
    check_guest_name(reader, platform, &assertion->isolated.guest);
    for (uint32_t i = 0; i < guests->count; i++) {
        check_guest_name(reader, platform, &guests->names[i]);
    }
}

void bh_check_reference(struct bh_reader *reader, struct bh_platform *platform)
{
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        resolve_resources(reader, platform, &platform->guests[i]);
        resolve_guest(reader, platform, &platform->guests[i]);
    }
    for (uint32_t i = 0; i < platform->policy_count; i++) {
        resolve_line(reader, platform, &platform->policy[i]);
    }
    for (uint32_t i = 0; i < platform->assertion_count; i++) {
        check_assertion(reader, platform, &platform->assertions[i]);
    }
    if (bh_index_relations(reader->arena, platform) != 0) {
        reader->no_memory = true;
    }
}
