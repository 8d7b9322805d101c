/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of keys, from the innermost group outward. It holds no rule that needs two keys.
 */
#include "schema.h"

#include "bulkhead/platform_definition.h"

#define K UINT64_C(1024)
#define M (K * 1024)
#define G (M * 1024)

#define PATH_BYTES_MAX         4095u
#define SERIAL_BYTES_MAX       20u   /* VIRTIO 1.4, 5.2.6: the device's identity */
#define COMMAND_LINE_BYTES_MAX 2047u /* arm64 Linux: COMMAND_LINE_SIZE with its NUL */
#define WINDOW_MINIMUM         (256 * K)

#define BLK     BH_SCHEMA_KIND(BH_DEVICE_BLK)
#define RNG     BH_SCHEMA_KIND(BH_DEVICE_RNG)
#define CONSOLE BH_SCHEMA_KIND(BH_DEVICE_CONSOLE)
#define DISK    BH_SCHEMA_KIND(BH_RESOURCE_DISK)
#define ENTROPY BH_SCHEMA_KIND(BH_RESOURCE_ENTROPY)

#define AT(owner, member) .offset = offsetof(struct owner, member)
#define MANY(owner, member, counter)                                                               \
    AT(owner, member), .count_offset = offsetof(struct owner, counter)
#define RANGE(low, high) .minimum = (low), .maximum = (high)
#define KEYS(table)      .keys = (table), .key_count = sizeof(table) / sizeof((table)[0])

const struct bh_schema_word bh_words_device[] = {
    [BH_DEVICE_BLK] = {"blk", "a disk"},
    [BH_DEVICE_RNG] = {"rng", "a source of random bytes"},
    [BH_DEVICE_CONSOLE] = {"console", "a terminal; needs QEMU 10.2 or newer"},
    {NULL, NULL},
};

const struct bh_schema_word bh_words_resource[] = {
    [BH_RESOURCE_DISK] = {"disk", "a raw image file or a block device"},
    [BH_RESOURCE_ENTROPY] = {"entropy", "random bytes of the host"},
    {NULL, NULL},
};

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

const struct bh_schema_word bh_words_isolation[] = {
    [BH_ISOLATION_DIRECT] = {"direct",
                             "the windows of the guest's devices, and none of its other memory"},
    [BH_ISOLATION_OPEN] = {"open", "all memory of the guest"},
    {NULL, NULL},
};

static const struct bh_schema_word words_on_reset[] = {
    [BH_ON_RESET_STOP] = {"stop", "the guest stays off"},
    [BH_ON_RESET_RESTART] = {"restart", "it boots again"},
    {NULL, NULL},
};

static const struct bh_schema_word words_accelerator[] = {
    [BH_ACCELERATOR_AUTO] = {"auto", "KVM where it works for the guest, emulation otherwise"},
    [BH_ACCELERATOR_KVM] = {"kvm", "KVM, or the guest does not start"},
    [BH_ACCELERATOR_TCG] = {"tcg", "emulation"},
    {NULL, NULL},
};

/* What a window must hold by default: the rings, and the requests in flight that keep the device
 * busy. Linux rounds each buffer up to slots of 2 KiB. */
static const uint64_t window_fallbacks[BH_DEVICE_TYPES] = {
    [BH_DEVICE_BLK] = 16 * M,
    [BH_DEVICE_RNG] = 256 * K,
    [BH_DEVICE_CONSOLE] = 5 * M,
};

static const struct bh_schema_key device_keys[] = {
    {.key = "type",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_device_definition, type),
     .words = bh_words_device,
     .required = true,
     .is_kind = true,
     .example = "blk",
     .doc = "What the guest sees."},
    {.key = "resource",
     .type = BH_SCHEMA_REFERENCE,
     AT(bh_device_definition, resource),
     .kinds = BLK | RNG,
     .required = true,
     .example = "NAME",
     .doc = "The resource that the device gives access to, by its name."},
    {.key = "isolation",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_device_definition, isolation),
     .words = bh_words_isolation,
     .fallback = BH_ISOLATION_DIRECT,
     .otherwise = "direct; open where the guest boots firmware or is x86_64",
     .example = "direct",
     .doc = "What the device's process can reach of the guest's memory."},
    {.key = "window",
     .type = BH_SCHEMA_SIZE,
     AT(bh_device_definition, window),
     RANGE(WINDOW_MINIMUM, G),
     .multiple = 64 * K,
     .fallbacks = window_fallbacks,
     .example = "4M",
     .doc = "The memory for the device's rings and buffers; on top of the guest's memory."},
    {.key = "queues",
     .type = BH_SCHEMA_NUMBER,
     AT(bh_device_definition, queues),
     RANGE(1, 16),
     .fallback = 1,
     .kinds = BLK,
     .example = "1",
     .doc = "Virtqueues that the guest may use at most."},
    {.key = "write-through",
     .type = BH_SCHEMA_FLAG,
     AT(bh_device_definition, write_through),
     .kinds = BLK,
     .example = "true",
     .doc = "Each write is durable when it completes; otherwise when the guest flushes."},
    {.key = "serial",
     .type = BH_SCHEMA_TEXT,
     AT(bh_device_definition, serial),
     RANGE(1, SERIAL_BYTES_MAX),
     .kinds = BLK,
     .example = "disk-0001",
     .otherwise = "GUEST/DEVICE, cut to 20 bytes",
     .doc = "The identity of the disk for the guest."},
    {.key = "size",
     .type = BH_SCHEMA_FLAG,
     AT(bh_device_definition, size),
     .fallback = true,
     .kinds = CONSOLE,
     .example = "true",
     .doc = "The guest is told the size of the terminal."},
    {.key = "emergency-write",
     .type = BH_SCHEMA_FLAG,
     AT(bh_device_definition, emergency_write),
     .kinds = CONSOLE,
     .example = "true",
     .doc = "The guest may write single characters before it has set up the device."},
    {.key = "ports",
     .type = BH_SCHEMA_NAMES,
     MANY(bh_device_definition, ports, port_count),
     RANGE(1, BH_PORTS_MAX),
     .kinds = CONSOLE,
     .example = "[log]",
     .otherwise = "the guest's terminal is the only port",
     .doc =
         "Names of more ports than the first, which is the guest's terminal. The programs of the "
         "guest open them (Linux: /sys/class/virtio-ports/*/name has the names); `bulkhead attach "
         "GUEST/DEVICE/PORT` is their other end."},
};

static const struct bh_schema_group device_group = {
    .noun = "device",
    .phrase = "a device",
    .doc = "A device of a guest. What runs it is a process of its own.",
    KEYS(device_keys),
    .size = sizeof(struct bh_device_definition),
    .name_offset = offsetof(struct bh_device_definition, name),
};

static const struct bh_schema_key boot_keys[] = {
    {.key = "kernel",
     .type = BH_SCHEMA_PATH,
     AT(bh_boot, kernel),
     .example = "Image",
     .otherwise = "the guest boots its firmware",
     .doc =
         "The kernel, as its architecture's boot protocol has it (arm64: an uncompressed Image)."},
    {.key = "initrd",
     .type = BH_SCHEMA_PATH,
     AT(bh_boot, initrd),
     .example = "initrd.gz",
     .otherwise = "there is none",
     .doc = "The first file system of the kernel."},
    {.key = "command-line",
     .type = BH_SCHEMA_TEXT,
     AT(bh_boot, command_line),
     RANGE(1, COMMAND_LINE_BYTES_MAX),
     .example = "console=hvc0 root=/dev/vda panic=-1",
     .otherwise = "it is empty",
     .doc =
         "The command line of the kernel. With panic=-1 in it a Linux that panics ends as on-reset "
         "says; without, it may hang for ever."},
    {.key = "firmware",
     .type = BH_SCHEMA_PATH,
     AT(bh_boot, firmware),
     .example = "u-boot.bin",
     .otherwise = "the guest boots its kernel",
     .doc = "The firmware that the guest begins with, instead of a kernel."},
};

static const struct bh_schema_group boot_group = {
    .noun = "boot",
    .phrase = "boot",
    .doc = "What the guest begins with: a kernel or firmware.",
    KEYS(boot_keys),
    .at_offset = offsetof(struct bh_boot, at),
};

static const struct bh_schema_key guest_keys[] = {
    {.key = "criticality",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_guest, criticality),
     .words = bh_words_criticality,
     .fallback = BH_QM,
     .example = "QM",
     .doc = "What is claimed for the guest; a label, and no certificate."},
    {.key = "arch",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_guest, arch),
     .words = bh_words_arch,
     .required = true,
     .example = "arm64",
     .doc = "The processor that the guest is made for."},
    {.key = "cpus",
     .type = BH_SCHEMA_NUMBER,
     AT(bh_guest, cpus),
     RANGE(1, 8),
     .fallback = 1,
     .example = "1",
     .doc = "Its number of processors."},
    {.key = "memory",
     .type = BH_SCHEMA_SIZE,
     AT(bh_guest, memory),
     RANGE(32 * M, 64 * G),
     .multiple = 2 * M,
     .required = true,
     .example = "128M",
     .doc = "RAM that is the guest's alone; the windows of its devices come on top."},
    {.key = "boot",
     .type = BH_SCHEMA_GROUP,
     AT(bh_guest, boot),
     .group = &boot_group,
     .required = true,
     .example = "{ kernel: Image }",
     .doc = "What the guest begins with."},
    {.key = "on-reset",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_guest, on_reset),
     .words = words_on_reset,
     .fallback = BH_ON_RESET_STOP,
     .example = "restart",
     .doc = "What follows when the guest resets itself, which a Linux with panic=-1 does when it "
            "panics."},
    {.key = "stop-within",
     .type = BH_SCHEMA_SECONDS,
     AT(bh_guest, stop_within),
     RANGE(1, 600),
     .fallback = 10,
     .example = "10s",
     .doc = "How long the guest may take to shut down when it is asked to, before it is ended."},
    {.key = "devices",
     .type = BH_SCHEMA_THINGS,
     MANY(bh_guest, devices, device_count),
     RANGE(0, BH_DEVICES_MAX),
     .group = &device_group,
     .otherwise = "it has none",
     .example = "{ root: { type: blk, resource: root-disk } }",
     .doc = "The devices of the guest, by name."},
};

static const struct bh_schema_group guest_group = {
    .noun = "guest",
    .phrase = "a guest",
    .doc = "A guest: an operating system on a machine of its own.",
    KEYS(guest_keys),
    .size = sizeof(struct bh_guest),
    .name_offset = offsetof(struct bh_guest, name),
};

static const struct bh_schema_key resource_keys[] = {
    {.key = "type",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_resource, type),
     .words = bh_words_resource,
     .required = true,
     .is_kind = true,
     .example = "disk",
     .doc = "What the resource is."},
    {.key = "image",
     .type = BH_SCHEMA_PATH,
     AT(bh_resource, image),
     .kinds = DISK,
     .required = true,
     .example = "root.ext4",
     .doc = "The image file or block device; a relative path begins at the definition's folder."},
    {.key = "read-only",
     .type = BH_SCHEMA_FLAG,
     AT(bh_resource, read_only),
     .kinds = DISK,
     .example = "true",
     .doc = "Nobody can write to it, and then several devices may use it."},
    {.key = "source",
     .type = BH_SCHEMA_PATH,
     AT(bh_resource, source),
     .kinds = ENTROPY,
     .example = "/dev/hwrng",
     .otherwise = "the generator of the host's kernel",
     .doc = "The device that the bytes are read from."},
};

static const struct bh_schema_group resource_group = {
    .noun = "resource",
    .phrase = "a resource",
    .doc = "A thing of the host that a device gives access to.",
    KEYS(resource_keys),
    .size = sizeof(struct bh_resource),
    .name_offset = offsetof(struct bh_resource, name),
};

static const struct bh_schema_key engine_keys[] = {
    {.key = "qemu",
     .type = BH_SCHEMA_PATH,
     AT(bh_engine_choice, program),
     .example = "/usr/bin/qemu-system-aarch64",
     .otherwise = "qemu-system-aarch64 or qemu-system-x86_64 of the search path",
     .doc = "The QEMU that runs the guests."},
    {.key = "accelerator",
     .type = BH_SCHEMA_CHOICE,
     AT(bh_engine_choice, accelerator),
     .words = words_accelerator,
     .fallback = BH_ACCELERATOR_AUTO,
     .example = "auto",
     .doc = "How the guests' processors are run."},
};

static const struct bh_schema_group engine_group = {
    .noun = "engine",
    .phrase = "engine",
    .doc = "The hypervisor that runs the guests.",
    KEYS(engine_keys),
    .at_offset = offsetof(struct bh_engine_choice, at),
};

static const struct bh_schema_key platform_keys[] = {
    {.key = "bulkhead",
     .type = BH_SCHEMA_VERSION,
     .required = true,
     .example = "1",
     .doc = "The version of the definition's form: 1. It is the first key."},
    {.key = "name",
     .type = BH_SCHEMA_NAME,
     AT(bh_platform, name),
     .required = true,
     .example = "cockpit",
     .doc = "The name of the platform."},
    {.key = "engine",
     .type = BH_SCHEMA_GROUP,
     AT(bh_platform, engine),
     .group = &engine_group,
     .example = "{ accelerator: auto }",
     .otherwise = "QEMU of the search path",
     .doc = "The hypervisor that runs the guests."},
    {.key = "resources",
     .type = BH_SCHEMA_THINGS,
     MANY(bh_platform, resources, resource_count),
     RANGE(0, BH_RESOURCES_MAX),
     .group = &resource_group,
     .otherwise = "there are none",
     .example = "{ root-disk: { type: disk, image: root.ext4 } }",
     .doc = "What devices give access to, by name."},
    {.key = "guests",
     .type = BH_SCHEMA_THINGS,
     MANY(bh_platform, guests, guest_count),
     RANGE(1, BH_GUESTS_MAX),
     .group = &guest_group,
     .required = true,
     .example = "{ cluster: { arch: arm64, memory: 128M, boot: { kernel: Image } } }",
     .doc = "The guests, by name."},
};

static const struct bh_schema_group platform_group = {
    .noun = "definition",
    .phrase = "the definition",
    .doc = "The file as a whole.",
    KEYS(platform_keys),
    .size = sizeof(struct bh_platform),
    .name_offset = offsetof(struct bh_platform, name),
};

static const struct bh_schema_group *const groups[] = {
    &platform_group, &engine_group, &resource_group, &guest_group, &boot_group, &device_group, NULL,
};

const struct bh_schema_group *bh_schema_root(void)
{
    return &platform_group;
}

const struct bh_schema_group *bh_schema_group_at(size_t index)
{
    return index < sizeof(groups) / sizeof(groups[0]) ? groups[index] : NULL;
}
