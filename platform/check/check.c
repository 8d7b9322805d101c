/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of a definition by name: a table of those that run here, after the file was read
 * without an error, and of those that reading itself or the memory layout makes. What needs the
 * host is checked by the engine, into the same diagnostics.
 */
#include "check.h"

#include <string.h>

/* What a row is short for. */
#define ERROR     BH_SEVERITY_ERROR, false
#define MAYBE     BH_SEVERITY_ERROR, true /* `-W warning=NAME` makes it a warning */
#define WARNING   BH_SEVERITY_WARNING, false
#define ELSEWHERE NULL /* part of reading, of the layout, of the engine */

struct row {
    struct bh_check check;
    bh_check_function *run;
};

/* In the order in which they are made: the later ones rely on the earlier ones. */
static const struct row checks[] = {
    {{"file", "the file is there, may be read, and has at most 1 MiB", ERROR}, ELSEWHERE},
    {{"encoding", "the file is UTF-8 text without characters that hide what it says", ERROR},
     ELSEWHERE},
    {{"syntax", "the file is YAML, with words as keys", ERROR}, ELSEWHERE},
    {{"anchor", "a value stands where it is used: no anchors and aliases", ERROR}, ELSEWHERE},
    {{"tag", "a key has one type: no tags", ERROR}, ELSEWHERE},
    {{"one-document", "the file is one document", ERROR}, ELSEWHERE},
    {{"duplicate-key", "a key stands once in its map", ERROR}, ELSEWHERE},
    {{"size", "maps and lists have bounds", ERROR}, ELSEWHERE},
    {{"version", "the definition has a version that is known, as its first key", ERROR}, ELSEWHERE},
    {{"key", "each key is known where it stands", ERROR}, ELSEWHERE},
    {{"key-place", "each key belongs to the thing, and to the type of thing, that it stands in",
      ERROR},
     ELSEWHERE},
    {{"missing", "nothing that is needed is missing", ERROR}, ELSEWHERE},
    {{"type", "a map, a list or a single value stands where it can", ERROR}, ELSEWHERE},
    {{"empty", "a key has a value", ERROR}, ELSEWHERE},
    {{"name", "names are [a-z][a-z0-9-]*, 32 characters at most", ERROR}, ELSEWHERE},
    {{"number", "numbers are decimal or 0x, with the unit that the key has", ERROR}, ELSEWHERE},
    {{"range", "numbers, lengths and counts lie in their range", ERROR}, ELSEWHERE},
    {{"choice", "a choice is one of its words", ERROR}, ELSEWHERE},
    {{"flag", "a flag is true or false", ERROR}, ELSEWHERE},
    {{"text", "a text is one line", ERROR}, ELSEWHERE},
    {{"path", "a path is written out", ERROR}, ELSEWHERE},
    {{"reference", "a resource that a device names is there", ERROR}, bh_check_reference},
    {{"resource-type", "a device gets the type of resource that it can use", ERROR},
     bh_check_resource_type},
    {{"resource-shared", "a disk that is written to belongs to one device", ERROR},
     bh_check_resource_shared},
    {{"image-twice", "an image that is written to belongs to one resource", ERROR},
     bh_check_image_twice},
    {{"resource-unused", "each resource is used", WARNING}, bh_check_resource_unused},
    {{"boot", "a guest begins with either a kernel or firmware", ERROR}, bh_check_boot},
    {{"isolation", "a device is isolated only where the guest can keep to a window", ERROR},
     bh_check_isolation},
    {{"open-mixed", "no open device takes the isolation from the guest's other devices", WARNING},
     bh_check_open_mixed},
    {{"ports", "the ports of a console have different names", ERROR}, bh_check_ports},
    {{"device-count", "a guest has no more devices than its machine has slots", ERROR}, ELSEWHERE},
    {{"boot-image", "the files that a guest boots are there, may be read, and are not empty",
      ERROR},
     ELSEWHERE},
    {{"kernel-format", "an arm64 kernel is an uncompressed Image", ERROR}, ELSEWHERE},
    {{"disk-image", "the image of each disk is there and may be used", WARNING}, ELSEWHERE},
    {{"memory-size", "memory and windows of a guest fit into its machine", ERROR}, ELSEWHERE},
    {{"window-size", "a window has room for the rings and buffers of its device", ERROR},
     ELSEWHERE},
    {{"memory-fit", "kernel, initrd and device tree fit into memory, beside what Linux needs",
      ERROR},
     ELSEWHERE},
    {{"memory-tight", "there is room to unpack the initrd", WARNING}, ELSEWHERE},
    {{"build-folder", "the folder of a build can be written to", ERROR}, ELSEWHERE},
};

#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

const struct bh_check *bh_check_at(size_t index)
{
    return index < CHECK_COUNT ? &checks[index].check : NULL;
}

const struct bh_check *bh_check_find(const char *name)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (strcmp(checks[i].check.name, name) == 0) {
            return &checks[i].check;
        }
    }
    return NULL;
}

void bh_checks_run(struct bh_reader *reader, struct bh_platform *platform)
{
    for (size_t i = 0; i < CHECK_COUNT; i++) {
        if (checks[i].run != NULL) {
            checks[i].run(reader, platform);
        }
    }
}
