/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what guests know a device by: the address of a network interface, of a socket, the tag
 * of a file system, the serial of a disk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

/* ----------------------------------------------------------------------------------------- mac */

#define MAC_BYTES  6u
#define MAC_STRIDE 3u /* two digits and what is between */

struct mac {
    uint8_t bytes[MAC_BYTES];
    const struct bh_device_definition *device;
};

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit = (char)(digit | 0x20);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool mac_parse(const char *text, uint8_t bytes[MAC_BYTES])
{
    for (size_t i = 0; i < MAC_BYTES; i++) {
        int high = hex_digit(text[MAC_STRIDE * i]);
        int low = high < 0 ? -1 : hex_digit(text[MAC_STRIDE * i + 1]);
        bool between = low >= 0 && text[MAC_STRIDE * i + 2] == (i + 1 < MAC_BYTES ? ':' : '\0');

        if (!between) {
            return false;
        }
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Said, if it is none. */
static bool mac_is_good(const struct bh_reader *reader, const struct bh_text *text,
                        uint8_t bytes[MAC_BYTES])
{
    static const uint8_t zero[MAC_BYTES];

    if (!mac_parse(text->text, bytes)) {
        BH_SAY(reader, "mac", text->at,
               "%s is no address of a network interface\n"
               "write six bytes in hexadecimal with colons between, such as 02:00:00:00:00:01",
               bh_show(text->text).text);
        return false;
    }
    if ((bytes[0] & 1u) != 0 || memcmp(bytes, zero, sizeof(zero)) == 0) {
        BH_SAY(reader, "mac", text->at,
               "%s is %s, and no interface can have it\n"
               "write one whose first byte is even, such as 02:00:00:00:00:01",
               text->text, (bytes[0] & 1u) != 0 ? "an address of a group" : "zero");
        return false;
    }
    return true;
}

static int by_mac(const void *a, const void *b)
{
    const struct mac *x = a;
    const struct mac *y = b;
    int order = memcmp(x->bytes, y->bytes, sizeof(x->bytes));

    return order != 0 ? order : x->device < y->device ? -1 : 1;
}

/* Room for something of each device; NULL: no memory, and the reader knows. */
static void *take_for_devices(struct bh_reader *reader, const struct bh_platform *platform,
                              size_t size)
{
    size_t count = 1;
    void *room;

    for (uint32_t i = 0; i < platform->guest_count; i++) {
        count += platform->guests[i].device_count;
    }
    room = bh_arena_take(reader->arena, size * count);
    reader->no_memory = reader->no_memory || room == NULL;
    return room;
}

void bh_check_mac(struct bh_reader *reader, struct bh_platform *platform)
{
    struct mac *macs = take_for_devices(reader, platform, sizeof(*macs));
    uint32_t count = 0;

    for (uint32_t i = 0; i < platform->guest_count && macs != NULL; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            const struct bh_device_definition *device = &platform->guests[i].devices[j];

            macs[count].device = device;
            count +=
                device->mac.text != NULL && mac_is_good(reader, &device->mac, macs[count].bytes)
                    ? 1u
                    : 0u;
        }
    }
    if (count != 0) {
        qsort(macs, count, sizeof(*macs), by_mac);
    }
    for (uint32_t i = 1; i < count; i++) {
        if (memcmp(macs[i].bytes, macs[i - 1].bytes, MAC_BYTES) == 0) {
            BH_SAY(reader, "mac", macs[i].device->mac.at,
                   "%s is the address of another interface already\n"
                   "give each an address of its own, or none: then it gets one",
                   macs[i].device->mac.text);
            bh_diagnostics_note(reader->diagnostics, macs[i - 1].device->mac.at,
                                "here device %s has it", macs[i - 1].device->name.text);
        }
    }
}

/* ----------------------------------------------------------------------------------------- cid */

static int by_switch(const void *a, const void *b)
{
    const struct bh_device_definition *const *x = a;
    const struct bh_device_definition *const *y = b;

    if ((*x)->uses != (*y)->uses) {
        return (*x)->uses < (*y)->uses ? -1 : 1;
    }
    if ((*x)->cid.value != (*y)->cid.value) {
        return (*x)->cid.value < (*y)->cid.value ? -1 : 1;
    }
    return *x < *y ? -1 : 1;
}

void bh_check_cid(struct bh_reader *reader, struct bh_platform *platform)
{
    const struct bh_device_definition **sorted =
        take_for_devices(reader, platform, sizeof(const struct bh_device_definition *));
    uint32_t count = 0;

    for (uint32_t i = 0; i < platform->guest_count && sorted != NULL; i++) {
        for (uint32_t j = 0; j < platform->guests[i].device_count; j++) {
            if (platform->guests[i].devices[j].cid.value != 0) {
                sorted[count++] = &platform->guests[i].devices[j];
            }
        }
    }
    if (count != 0) {
        qsort(sorted, count, sizeof(const struct bh_device_definition *), by_switch);
    }
    for (uint32_t i = 1; i < count; i++) {
        const struct bh_device_definition *device = sorted[i];

        if (device->uses == sorted[i - 1]->uses && device->cid.value == sorted[i - 1]->cid.value) {
            BH_SAY(reader, "cid", device->cid.at,
                   "another guest has this address on %s already\n"
                   "give each an address of its own, or none: then it gets one",
                   device->resource.text);
            bh_diagnostics_note(reader->diagnostics, sorted[i - 1]->cid.at, "here device %s has it",
                                sorted[i - 1]->name.text);
        }
    }
}

/* -------------------------------------------------------------------------------------- fs-tag */

static const struct bh_text *tag_of(const struct bh_device_definition *device)
{
    return device->tag.text != NULL ? &device->tag : &device->name;
}

static void check_tags(struct bh_reader *reader, struct bh_guest *guest,
                       struct bh_device_definition *device)
{
    for (const struct bh_device_definition *other = guest->devices;
         other != device && device->type.value == BH_DEVICE_FS; other++) {
        if (other->type.value == BH_DEVICE_FS &&
            strcmp(tag_of(other)->text, tag_of(device)->text) == 0) {
            BH_SAY(reader, "fs-tag", tag_of(device)->at,
                   "two file systems of guest %s have the tag %s, and it can mount one of them\n"
                   "give each a tag of its own",
                   guest->name.text, bh_show(tag_of(device)->text).text);
            bh_diagnostics_note(reader->diagnostics, tag_of(other)->at, "device %s has it already",
                                other->name.text);
            break;
        }
    }
}

void bh_check_fs_tag(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_tags);
}

/* -------------------------------------------------------------------------------------- serial */

#define SERIAL_BYTES 21u /* VIRTIO 1.4, 5.2.6, and a NUL */

/* What the guest sees: GUEST/DEVICE, cut, where none is given. */
static void serial_of(const struct bh_guest *guest, const struct bh_device_definition *device,
                      char serial[SERIAL_BYTES])
{
    char whole[2 * BH_NAME_MAX + 2];

    (void)snprintf(whole, sizeof(whole), "%s/%s", guest->name.text, device->name.text);
    (void)snprintf(serial, SERIAL_BYTES, "%.20s",
                   device->serial.text != NULL ? device->serial.text : whole);
}

static void check_serial(struct bh_reader *reader, struct bh_guest *guest,
                         struct bh_device_definition *device)
{
    char serial[SERIAL_BYTES];
    char other_serial[SERIAL_BYTES];

    serial_of(guest, device, serial);
    for (const struct bh_device_definition *other = guest->devices;
         other != device && device->type.value == BH_DEVICE_BLK; other++) {
        serial_of(guest, other, other_serial);
        if (other->type.value == BH_DEVICE_BLK && strcmp(serial, other_serial) == 0) {
            const struct bh_text *at =
                device->serial.text != NULL ? &device->serial : &device->name;

            BH_WARN(reader, "serial", at->at,
                    "two disks of guest %s have the serial %s, and it cannot tell them apart by"
                    " it\n"
                    "write serial: TEXT for one of them, at most 20 bytes",
                    guest->name.text, bh_show(serial).text);
            bh_diagnostics_note(reader->diagnostics,
                                other->serial.text != NULL ? other->serial.at : other->name.at,
                                "disk %s has it already", other->name.text);
            break;
        }
    }
}

void bh_check_serial(struct bh_reader *reader, struct bh_platform *platform)
{
    bh_each_device(reader, platform, check_serial);
}
