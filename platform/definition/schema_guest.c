/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys: guests. It holds no rule that needs two keys.
 */
#include "schema.h"

#include "bulkhead/platform_definition.h"

#define COMMAND_LINE_BYTES_MAX 2047u /* arm64 Linux: COMMAND_LINE_SIZE with its NUL */
#define HOST_CPU_MAX           1023u /* Linux: CPU_SETSIZE */

const struct bh_schema_word bh_words_arch[] = {
    [BH_ARCH_ARM64] = {"arm64", "64-bit Arm"},
    [BH_ARCH_X86_64] = {"x86_64", "64-bit x86; all its devices are open"},
    {NULL, NULL},
};

const struct bh_schema_word bh_words_criticality[] = {
    [BH_QM] = {"QM", "quality management: no safety claim"},
    [BH_ASIL_A] = {"ASIL-A", "the lowest level of ISO 26262"},
    [BH_ASIL_B] = {"ASIL-B", NULL},
    [BH_ASIL_C] = {"ASIL-C", NULL},
    [BH_ASIL_D] = {"ASIL-D", "the highest"},
    {NULL, NULL},
};

static const struct bh_schema_word words_layout[] = {
    [BH_LAYOUT_V1] = {"v1", "as the specification says, on every engine"},
    [BH_LAYOUT_ENGINE] = {"engine", "the engine, or the firmware, places everything"},
    {NULL, NULL},
};

static const struct bh_schema_word words_on_reset[] = {
    [BH_ON_RESET_STOP] = {"stop", "the guest stays off"},
    [BH_ON_RESET_RESTART] = {"restart", "it boots again"},
    {NULL, NULL},
};

static const struct bh_schema_word words_watchdog[] = {
    [BH_WATCHDOG_STOP] = {"stop", "the guest is ended"},
    [BH_WATCHDOG_RESTART] = {"restart", "it boots again"},
    [BH_WATCHDOG_REPORT] = {"report", "it is logged, and nothing else"},
    {NULL, NULL},
};

static const struct bh_schema_key boot_keys[] = {
    {.key = "kernel",
     .type = BH_SCHEMA_PATH,
     BH_AT(bh_boot, kernel),
     .example = "Image",
     .otherwise = "the guest boots something else",
     .doc =
         "The kernel, as its architecture's boot protocol has it (arm64: an uncompressed Image)."},
    {.key = "initrd",
     .type = BH_SCHEMA_PATH,
     BH_AT(bh_boot, initrd),
     .example = "initrd.gz",
     .otherwise = "there is none",
     .doc = "The first file system of the kernel."},
    {.key = "command-line",
     .type = BH_SCHEMA_TEXT,
     BH_AT(bh_boot, command_line),
     BH_IN(1, COMMAND_LINE_BYTES_MAX),
     .example = "console=hvc0 root=/dev/vda panic=-1",
     .otherwise = "it is empty",
     .doc =
         "The command line of the kernel. With panic=-1 in it a Linux that panics ends as on-reset "
         "says; without, it may hang for ever."},
    {.key = "elf",
     .type = BH_SCHEMA_PATH,
     BH_AT(bh_boot, elf),
     .example = "rtos.elf",
     .otherwise = "the guest boots something else",
     .doc = "A program without an operating system, or an RTOS: an ELF file whose segments lie in "
            "the guest's RAM. It begins at its entry, with the address of the device tree in x0."},
    {.key = "firmware",
     .type = BH_SCHEMA_PATH,
     BH_AT(bh_boot, firmware),
     .example = "u-boot.bin",
     .otherwise = "the guest boots something else",
     .doc = "The firmware that the guest begins with."},
    {.key = "disk",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_boot, disk),
     .example = "root",
     .otherwise = "the firmware chooses",
     .doc = "The device of the guest that the firmware boots from. An x86_64 guest needs no "
            "firmware beside it: the engine has one."},
};

const struct bh_schema_group bh_schema_boot = {
    .noun = "boot",
    .phrase = "boot",
    .doc = "What the guest begins with: a kernel, a program, firmware, or a disk.",
    BH_KEYS(boot_keys),
    .at_offset = offsetof(struct bh_boot, at),
};

static const struct bh_schema_key watchdog_keys[] = {
    {.key = "timeout",
     .type = BH_SCHEMA_TIME,
     BH_AT(bh_watchdog, timeout),
     BH_IN(10, 600 * BH_SECOND),
     .required = true,
     .example = "2s",
     .doc = "The longest time between two signs of life."},
    {.key = "action",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_watchdog, action),
     .words = words_watchdog,
     .fallback = BH_WATCHDOG_STOP,
     .example = "restart",
     .doc = "What follows when it expires."},
    {.key = "optional",
     .type = BH_SCHEMA_FLAG,
     BH_AT(bh_watchdog, optional),
     .example = "true",
     .doc = "Where the engine has no watchdog, the guest starts without. Otherwise the platform "
            "does not start."},
};

const struct bh_schema_group bh_schema_watchdog = {
    .noun = "watchdog",
    .phrase = "a watchdog",
    .doc = "A device that the guest has to feed.",
    BH_KEYS(watchdog_keys),
    .at_offset = offsetof(struct bh_watchdog, at),
};

static const struct bh_schema_key ready_keys[] = {
    {.key = "device",
     .type = BH_SCHEMA_REFERENCE,
     BH_AT(bh_ready, device),
     .example = "root",
     .otherwise = "it does not matter",
     .doc = "The guest's driver of this device is up: its first virtqueue runs."},
    {.key = "message",
     .type = BH_SCHEMA_TEXT,
     BH_AT(bh_ready, message),
     BH_IN(1, 200),
     .example = "cluster ready",
     .otherwise = "it does not matter",
     .doc = "A line of one of the guest's terminals (UART, each port of its consoles) holds this "
            "text, as `bulkhead run` shows it."},
};

const struct bh_schema_group bh_schema_ready = {
    .noun = "ready-when",
    .phrase = "ready-when",
    .doc = "What makes a guest ready, for those that start after it.",
    BH_KEYS(ready_keys),
    .at_offset = offsetof(struct bh_ready, at),
};

static const struct bh_schema_key guest_keys[] = {
    {.key = "template",
     .type = BH_SCHEMA_TEMPLATE,
     .example = "NAME",
     .otherwise = "it is written out",
     .doc = "A template whose keys hold where the guest has none of its own."},
    {.key = "criticality",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_guest, criticality),
     .words = bh_words_criticality,
     .fallback = BH_QM,
     .example = "QM",
     .doc = "What is claimed for the guest; a label, and no certificate."},
    {.key = "arch",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_guest, arch),
     .words = bh_words_arch,
     .required = true,
     .example = "arm64",
     .doc = "The processor that the guest is made for."},
    {.key = "layout",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_guest, layout),
     .words = words_layout,
     .fallback = BH_LAYOUT_V1,
     .otherwise = "v1; engine where the guest boots firmware or is x86_64",
     .example = "v1",
     .doc = "Where memory, windows, devices and interrupts lie."},
    {.key = "cpus",
     .type = BH_SCHEMA_NUMBER,
     BH_AT(bh_guest, cpus),
     BH_IN(1, 8),
     .fallback = 1,
     .example = "1",
     .doc = "Its number of processors."},
    {.key = "host-cpus",
     .type = BH_SCHEMA_RANGES,
     BH_AT(bh_guest, host_cpus),
     BH_IN(0, HOST_CPU_MAX),
     .example = "[2-3]",
     .otherwise = "all of them",
     .doc = "The processors of the host that run the guest, its engine and its back ends."},
    {.key = "memory",
     .type = BH_SCHEMA_SIZE,
     BH_AT(bh_guest, memory),
     BH_IN(32 * BH_MIB, 64 * BH_GIB),
     .multiple = 2 * BH_MIB,
     .required = true,
     .example = "128M",
     .doc = "RAM that is the guest's alone; the windows of its devices come on top."},
    {.key = "boot",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_guest, boot),
     .group = &bh_schema_boot,
     .required = true,
     .example = "{ kernel: Image }",
     .doc = "What the guest begins with."},
    {.key = "on-reset",
     .type = BH_SCHEMA_CHOICE,
     BH_AT(bh_guest, on_reset),
     .words = words_on_reset,
     .fallback = BH_ON_RESET_STOP,
     .example = "restart",
     .doc = "What follows when the guest resets itself, which a Linux with panic=-1 does when it "
            "panics."},
    {.key = "stop-within",
     .type = BH_SCHEMA_TIME,
     BH_AT(bh_guest, stop_within),
     BH_IN(BH_SECOND, 600 * BH_SECOND),
     .fallback = 10 * BH_SECOND,
     .example = "10s",
     .doc = "How long the guest may take to shut down when it is asked to, before it is ended."},
    {.key = "watchdog",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_guest, watchdog),
     .group = &bh_schema_watchdog,
     .example = "{ timeout: 2s, action: restart }",
     .otherwise = "it has none",
     .doc = "A watchdog, and what follows its expiry."},
    {.key = "priority",
     .type = BH_SCHEMA_NUMBER,
     BH_AT(bh_guest, priority),
     BH_IN(0, 100),
     .fallback = 50,
     .example = "90",
     .doc = "A guest waits while one of higher priority starts, until that is ready or has failed, "
            "but for ten seconds from its start at most. Guests of one priority start together. A "
            "guest that another one starts after has at least the priority of that."},
    {.key = "after",
     .type = BH_SCHEMA_NAMES,
     BH_AT(bh_guest, after),
     BH_IN(1, BH_GUESTS_MAX - 1),
     .example = "[cluster]",
     .otherwise = "it waits for nobody",
     .doc = "Guests that have been ready before this one starts. If one of them ends without, this "
            "one fails."},
    {.key = "ready-when",
     .type = BH_SCHEMA_GROUP,
     BH_AT(bh_guest, ready_when),
     .group = &bh_schema_ready,
     .example = "{ message: cluster ready }",
     .otherwise = "its first instruction",
     .doc = "When the guest counts as ready."},
    {.key = "devices",
     .type = BH_SCHEMA_THINGS,
     BH_MANY(bh_guest, devices, device_count),
     BH_IN(0, BH_DEVICES_MAX),
     .group = &bh_schema_device,
     .otherwise = "it has none",
     .example = "{ root: { type: blk, resource: root-disk } }",
     .doc = "The devices of the guest, by name."},
};

const struct bh_schema_group bh_schema_guest = {
    .noun = "guest",
    .phrase = "a guest",
    .doc = "A guest: an operating system on a machine of its own.",
    BH_KEYS(guest_keys),
    .size = sizeof(struct bh_guest),
    .name_offset = offsetof(struct bh_guest, name),
};
