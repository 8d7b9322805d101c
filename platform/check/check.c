/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of a definition by name: a table of those that run here, after the file was read
 * without an error, and of those that reading itself or the memory layout makes. What needs the
 * host is checked by the engine, into the same diagnostics.
 */
#include "check.h"

#include <string.h>

#include "pages.h"
#include "platform/flow/check_assertions.h"

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
    {{"include", "each file that is included is there, and they are not too many", ERROR},
     ELSEWHERE},
    {{"include-cycle", "no file includes itself", ERROR}, ELSEWHERE},
    {{"include-null", "null takes away what an included file or a template gives", ERROR},
     ELSEWHERE},
    {{"template", "a template that is named is there", ERROR}, ELSEWHERE},
    {{"template-cycle", "no template uses itself", ERROR}, ELSEWHERE},
    {{"template-unused", "each template of the definition itself is used", WARNING}, ELSEWHERE},
    {{"duplicate-name", "a name stands in a list once", ERROR}, bh_check_duplicate_name},
    {{"mode", "a mode that is named is one of the platform", ERROR}, bh_check_mode},
    {{"reference", "a guest, a resource or a device that is named is there", ERROR},
     bh_check_reference},
    {{"boot", "a guest begins with one thing, and has nothing beside it that is not for it", ERROR},
     bh_check_boot},
    {{"boot-disk", "a guest boots from a disk of its own", ERROR}, bh_check_boot_disk},
    {{"layout", "who places memory and devices follows from how a guest boots", ERROR},
     bh_check_layout},
    {{"isolation", "a device is isolated only where the guest can keep to a window", ERROR},
     bh_check_isolation},
    {{"resource-type", "a device gets the type of resource that it can use", ERROR},
     bh_check_resource_type},
    {{"engine-device", "there is a back end for each device", MAYBE}, bh_check_engine_device},
    {{"engine-watchdog", "there is a watchdog for each guest that needs one", MAYBE},
     bh_check_engine_watchdog},
    {{"policy-operation", "a policy line names operations that its resource has", ERROR},
     bh_check_policy_operation},
    {{"policy-empty", "a policy line allows or denies something", ERROR}, bh_check_policy_empty},
    {{"policy-numbers", "a policy line has the kind of numbers that its resource has", ERROR},
     bh_check_policy_numbers},
    {{"policy-read-only", "nothing is written that is read-only", ERROR},
     bh_check_policy_read_only},
    {{"policy-ranges", "the ranges of a policy fit into a filter", ERROR}, bh_check_policy_ranges},
    {{"policy-missing", "a guest may do something with each resource that it uses", ERROR},
     bh_check_policy_missing},
    {{"policy-discard", "a disk that may lose blocks may be written", ERROR},
     bh_check_policy_discard},
    {{"policy-unused", "each policy line is for a resource that its guest uses", WARNING},
     bh_check_policy_unused},
    {{"policy-deny", "what a policy line denies is allowed by another", WARNING},
     bh_check_policy_deny},
    {{"resource-unused", "each resource is used", WARNING}, bh_check_resource_unused},
    {{"resource-shared", "a disk that is written to belongs to one device", ERROR},
     bh_check_resource_shared},
    {{"image-twice", "an image that is written to belongs to one resource", ERROR},
     bh_check_image_twice},
    {{"resource-alias", "a thing of the host is one resource", ERROR}, bh_check_resource_alias},
    {{"hardware-shared", "a piece of hardware belongs to one device", ERROR},
     bh_check_hardware_shared},
    {{"hardware-dma", "hardware that masters memory is behind an IOMMU", WARNING},
     bh_check_hardware_dma},
    {{"criticality-shared", "guests of different criticality share nothing that nobody mediates",
      WARNING},
     bh_check_criticality_shared},
    {{"open-mixed", "no open device takes the isolation from the guest's other devices", WARNING},
     bh_check_open_mixed},
    {{"bounce-mixed", "no bounce device makes memory shared that windows would keep private",
      WARNING},
     bh_check_bounce_mixed},
    {{"open-criticality", "no back end reaches all memory of a guest with a safety claim", WARNING},
     bh_check_open_criticality},
    {{"limits-direct", "limits are written where something counts", WARNING},
     bh_check_limits_direct},
    {{"deadline", "a back end that works meets its deadline", WARNING}, bh_check_deadline},
    {{"detach-root", "a guest does not go on without the disk that it lives on", WARNING},
     bh_check_detach_root},
    {{"mac", "a network interface has an address of its own", ERROR}, bh_check_mac},
    {{"cid", "a guest has a socket address of its own", ERROR}, bh_check_cid},
    {{"fs-tag", "a file system has a tag of its own", ERROR}, bh_check_fs_tag},
    {{"serial", "a guest can tell its disks apart", WARNING}, bh_check_serial},
    {{"slot-twice", "a slot of the machine holds one device", ERROR}, bh_check_slot_twice},
    {{"register-page", "registers of hardware begin with a page", ERROR}, bh_check_register_page},
    {{"register-overlap", "registers of hardware lie apart from everything else", ERROR},
     bh_check_register_overlap},
    {{"interrupt", "an interrupt belongs to one device", ERROR}, bh_check_interrupt},
    {{"after", "guests do not wait for each other in a circle", ERROR}, bh_check_after},
    {{"ready-when", "somebody sees what makes a guest ready", ERROR}, bh_check_ready_when},
    {{"after-never", "what a guest starts after comes", ERROR}, bh_check_after_never},
    {{"assertion", "an assertion states one thing, about different things", ERROR},
     bh_check_assertion},
    {{"assert-no-flow", "what an assertion says never flows does not", ERROR},
     bh_check_assertions_hold}, /* with the three that follow */
    {{"assert-only-through", "what an assertion says passes a guest does", ERROR}, ELSEWHERE},
    {{"assert-not-shared", "what an assertion says is not shared is not", ERROR}, ELSEWHERE},
    {{"assert-isolated", "what an assertion says is isolated is", ERROR}, ELSEWHERE},
    {{"host-memory", "memory and windows of all guests fit into the host", MAYBE},
     bh_check_host_memory},
    {{"host-memory-tight", "and so do engines, gates, back ends and the host itself", WARNING},
     bh_check_host_memory_tight},
    {{"host-cpus", "guests run on processors that the host has", MAYBE}, bh_check_host_cpus},
    {{"cpus-few", "a guest has no more processors than run it", WARNING}, bh_check_cpus_few},
    {{"cpus-many", "guests together have no more processors than the host", WARNING},
     bh_check_cpus_many},
    {{"cpu-shared", "guests of different criticality share no processor, where one is pinned",
      WARNING},
     bh_check_cpu_shared},
    {{"boot-image", "the files that a guest boots are there, may be read, and are not empty",
      ERROR},
     ELSEWHERE},
    {{"kernel-format", "an arm64 kernel is an uncompressed Image", ERROR}, ELSEWHERE},
    {{"elf-format", "a program is an ELF file for arm64", ERROR}, ELSEWHERE},
    {{"elf-place", "the parts of a program lie in the guest's RAM, where it is free", ERROR},
     ELSEWHERE},
    {{"elf-image", "the program of a guest is there", WARNING}, ELSEWHERE},
    {{"disk-image", "the image of each disk is there and may be used", WARNING}, ELSEWHERE},
    {{"device-count", "a guest has no more devices than its machine has slots", ERROR}, ELSEWHERE},
    {{"memory-size", "memory and windows of a guest fit into its machine", ERROR}, ELSEWHERE},
    {{"window-size", "a window has room for the rings and buffers of its device", ERROR},
     ELSEWHERE},
    {{"memory-fit", "kernel, initrd and device tree fit into memory, beside what Linux needs",
      ERROR},
     ELSEWHERE},
    {{"memory-tight", "there is room to unpack the initrd", WARNING}, ELSEWHERE},
    {{"device-tree", "a device tree has room for its guest", ERROR}, ELSEWHERE},
    {{"json", "the platform in an image is a definition", ERROR}, ELSEWHERE},
    {{"image", "an image that is signed can also be run", ERROR}, ELSEWHERE},
    {{"build-folder", "the folder of a build can be written to", ERROR}, ELSEWHERE},
    {{"engine", "QEMU is there and can be started", ERROR}, ELSEWHERE},
    {{"engine-version", "QEMU is new enough for what the guests have", ERROR}, ELSEWHERE},
    {{"engine-kvm", "KVM works where it is asked for", ERROR}, ELSEWHERE},
    {{"engine-layout", "the engine can place what the layout says", ERROR}, ELSEWHERE},
    {{"engine-cpus", "this host has the processors that guests are pinned to", ERROR}, ELSEWHERE},
    {{"engine-memory", "this host has the memory of all guests to give", WARNING}, ELSEWHERE},
    {{"resource-missing", "what a resource names is there", ERROR}, ELSEWHERE},
    {{"resource-denied", "the user who runs it has the right to each resource", ERROR}, ELSEWHERE},
    {{"resource-kind", "what a resource names is what its type says", ERROR}, ELSEWHERE},
    {{"resource-empty", "an image has room for a disk", ERROR}, ELSEWHERE},
    {{"resource-in-use", "nobody else uses a resource that is written to", ERROR}, ELSEWHERE},
    {{"resource-twice", "no two resources are the same file by another name", ERROR}, ELSEWHERE},
    {{"backend-missing", "the program of each back end is installed", ERROR}, ELSEWHERE},
    {{"backend-start", "the back ends can be started", ERROR}, ELSEWHERE},
    {{"host-limit", "the host has descriptors and memory enough", ERROR}, ELSEWHERE},
    {{"platform-runs", "the platform does not run already", ERROR}, ELSEWHERE},
    {{"runtime-folder", "the supervisor's folder can be used", ERROR}, ELSEWHERE},
    {{"audit-log", "the audit log can be written", ERROR}, ELSEWHERE},
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

const char *bh_check_page(const char *name)
{
    for (size_t i = 0; i < bh_page_count; i++) {
        if (strcmp(bh_pages[i].name, name) == 0) {
            return bh_pages[i].text;
        }
    }
    return NULL;
}

void bh_checks_run(struct bh_reader *reader, struct bh_platform *platform)
{
    if (bh_index_names(reader->arena, platform) != 0) {
        reader->no_memory = true;
    }
    for (size_t i = 0; i < CHECK_COUNT && !reader->no_memory; i++) {
        if (checks[i].run != NULL) {
            checks[i].run(reader, platform);
        }
    }
}
