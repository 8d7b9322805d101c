/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of a definition by name: a table of those that run here, after the file was read
 * without an error, and of those that reading itself or the memory layout makes. What needs the
 * host is checked by the engine, into the same diagnostics.
 */
#include "check.h"

struct check {
    const char *name;
    const char *reason;
    bh_check_function *run; /* NULL: part of reading, or of the layout */
};

/* In the order in which they are made: the later ones rely on the earlier ones. */
static const struct check checks[] = {
    {"file", "the file is there, may be read, and has at most 1 MiB", NULL},
    {"encoding", "the file is UTF-8 text without characters that hide what it says", NULL},
    {"syntax", "the file is YAML, with words as keys", NULL},
    {"anchor", "a value stands where it is used: no anchors and aliases", NULL},
    {"tag", "a key has one type: no tags", NULL},
    {"one-document", "the file is one document", NULL},
    {"duplicate-key", "a key stands once in its map", NULL},
    {"size", "maps and lists have bounds", NULL},
    {"version", "the definition has a version that is known, as its first key", NULL},
    {"key", "each key is known where it stands", NULL},
    {"key-place", "each key belongs to the thing, and to the type of thing, that it stands in",
     NULL},
    {"missing", "nothing that is needed is missing", NULL},
    {"type", "a map, a list or a single value stands where it can", NULL},
    {"empty", "a key has a value", NULL},
    {"name", "names are [a-z][a-z0-9-]*, 32 characters at most", NULL},
    {"number", "numbers are decimal or 0x, with the unit that the key has", NULL},
    {"range", "numbers, lengths and counts lie in their range", NULL},
    {"choice", "a choice is one of its words", NULL},
    {"flag", "a flag is true or false", NULL},
    {"text", "a text is one line", NULL},
    {"path", "a path is written out", NULL},
    {"reference", "a resource that a device names is there", bh_check_reference},
    {"resource-type", "a device gets the type of resource that it can use", bh_check_resource_type},
    {"resource-shared", "a disk that is written to belongs to one device",
     bh_check_resource_shared},
    {"image-twice", "an image that is written to belongs to one resource", bh_check_image_twice},
    {"resource-unused", "each resource is used", bh_check_resource_unused},
    {"boot", "a guest begins with either a kernel or firmware", bh_check_boot},
    {"isolation", "a device is isolated only where the guest can keep to a window",
     bh_check_isolation},
    {"open-mixed", "no open device takes the isolation from the guest's other devices",
     bh_check_open_mixed},
    {"ports", "the ports of a console have different names", bh_check_ports},
    {"device-count", "a guest has no more devices than its machine has slots", NULL},
    {"boot-image", "the files that a guest boots are there, may be read, and are not empty", NULL},
    {"kernel-format", "an arm64 kernel is an uncompressed Image", NULL},
    {"disk-image", "the image of each disk is there and may be used", NULL},
    {"memory-size", "memory and windows of a guest fit into its machine", NULL},
    {"window-size", "a window has room for the rings and buffers of its device", NULL},
    {"memory-fit", "kernel, initrd and device tree fit into memory, beside what Linux needs", NULL},
    {"memory-tight", "there is room to unpack the initrd", NULL},
    {"build-folder", "the folder of a build can be written to", NULL},
};

#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

const char *bh_check_at(size_t index, const char **reason)
{
    if (index >= CHECK_COUNT) {
        return NULL;
    }
    *reason = checks[index].reason;
    return checks[index].name;
}

void bh_checks_run(struct bh_reader *reader, struct bh_platform *platform)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (checks[i].run != NULL) {
            checks[i].run(reader, platform);
        }
    }
}
