/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's command line: what it is, to the letter, for each kind of guest; and that nothing a user
 * writes can become an option. That QEMU takes it: tests/machine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/qemu.h"

/* The test links host/, which reports disk operations. None takes place. */
struct bh_disk_io;
void bh_blk_done(struct bh_disk_io *io, int result);
void bh_blk_done(struct bh_disk_io *io, int result)
{
    (void)io;
    (void)result;
    abort();
}

#define MIB (UINT64_C(1) << 20)

#define PROCESS                                                                                    \
    " -name guest=one -no-user-config -nodefaults -display none"                                   \
    " -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny -S"
#define STOPS " -action reboot=shutdown,shutdown=poweroff,panic=shutdown"
#define QMP   " -chardev socket,id=control,fd=3"

static struct bh_device_definition devices[3];
static struct bh_guest guest;
static struct bh_platform platform;
static struct bh_layout layout;
static struct bh_boot_images images;
static struct bh_engine engine;
static struct bh_machine_setup setup;
static const int region_fds[] = {20, 21, 22, 23};
static const int device_fds[] = {30, 31, 32};
static const struct bh_qemu_fds own = {.control = 40, .tree = 41, .start = 42};

static void place(uint32_t region, uint32_t device, uint64_t address, uint64_t size)
{
    layout.regions[region] = (struct bh_layout_region){
        .kind = BH_REGION_WINDOW, .device = device, .address = address, .size = size};
    layout.windows[device] = layout.regions[region];
}

/* A kernel guest for arm64 with a disk, a source of entropy and a console, each with a window. */
static int set_up(void **state)
{
    (void)state;
    memset(devices, 0, sizeof(devices));
    devices[0].name.text = "root";
    devices[0].type.value = BH_DEVICE_BLK;
    devices[0].queues.value = 2;
    devices[1].name.text = "random";
    devices[1].type.value = BH_DEVICE_RNG;
    devices[2].name.text = "shell";
    devices[2].type.value = BH_DEVICE_CONSOLE;
    guest = (struct bh_guest){.name = {.text = "one"},
                              .arch = {.value = BH_ARCH_ARM64},
                              .cpus = {.value = 2},
                              .boot = {.kernel = {.text = "Image,addr=0"},
                                       .initrd = {.text = "initrd"},
                                       .command_line = {.text = "quiet"}},
                              .devices = devices,
                              .device_count = 3};
    platform = (struct bh_platform){.guests = &guest, .guest_count = 1};
    memset(&layout, 0, sizeof(layout));
    layout.guest = &guest;
    layout.regions[0] = (struct bh_layout_region){
        .kind = BH_REGION_PRIVATE, .address = 0x40000000, .size = 128 * MIB};
    for (uint32_t i = 0; i < 3; i++) {
        place(i + 1u, i, 0x48000000 + i * 4 * MIB, 4 * MIB);
        layout.slots[i] = i + 1u;
    }
    layout.region_count = 4;
    layout.kernel = (struct bh_placement){0x40400000, 16 * MIB};
    layout.initrd = (struct bh_placement){0x44000000, MIB};
    layout.tree = (struct bh_placement){0x40200000, 65536};
    layout.start = (struct bh_placement){0x40210000, 64};
    images =
        (struct bh_boot_images){.kernel_fd = 10, .initrd_fd = 11, .firmware_fd = 12, .elf_fd = 13};
    engine = (struct bh_engine){.program = "/opt/qemu,x=1", .major = 11, .minor = 1};
    setup = (struct bh_machine_setup){.platform = &platform,
                                      .layout = &layout,
                                      .images = &images,
                                      .engine = &engine,
                                      .region_fds = region_fds,
                                      .device_fds = device_fds,
                                      .uart_fd = 50};
    return 0;
}

/* One shared region, no windows. */
static void make_open(uint32_t arch)
{
    guest.arch.value = arch;
    layout.regions[0].kind = BH_REGION_SHARED;
    layout.region_count = 1;
    memset(layout.windows, 0, sizeof(layout.windows));
    for (uint32_t i = 0; i < 3; i++) {
        devices[i].isolation.value = BH_ISOLATION_OPEN;
        layout.slots[i] = i;
    }
}

static void expect_command(const char *expected)
{
    static char line[16384];
    struct bh_qemu_command command;
    size_t length = 0;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    assert_null(command.arguments[command.count]);
    for (uint32_t i = 0; i < command.count; i++) {
        length += (size_t)snprintf(line + length, sizeof(line) - length, "%s%s", i > 0 ? " " : "",
                                   command.arguments[i]);
    }
    bh_qemu_command_finish(&command);
    assert_string_equal(line, expected);
}

#define ARM_MEMORY                                                                                 \
    " -m size=146800640B -object memory-backend-ram,id=ram,size=134217728"                         \
    " -object memory-backend-file,id=window-root,size=4194304,mem-path=/proc/self/fd/4,share=on"   \
    " -object memory-backend-file,id=window-random,size=4194304,mem-path=/proc/self/fd/5,share=on" \
    " -object memory-backend-file,id=window-shell,size=4194304,mem-path=/proc/self/fd/6,share=on"  \
    " -numa node,nodeid=0,cpus=0-1,memdev=ram -numa node,nodeid=1,memdev=window-root"              \
    " -numa node,nodeid=2,memdev=window-random -numa node,nodeid=3,memdev=window-shell"
#define ARM_BOOT                                                                                   \
    " -device loader,file=/proc/self/fd/7,addr=0x40400000,force-raw=on"                            \
    " -device loader,file=/proc/self/fd/8,addr=0x44000000,force-raw=on"                            \
    " -device loader,file=/proc/self/fd/9,addr=0x40200000,force-raw=on"                            \
    " -device loader,file=/proc/self/fd/10,addr=0x40210000,force-raw=on"                           \
    " -device loader,addr=0x40210000,cpu-num=0"
#define ARM_DEVICES                                                                                \
    " -chardev socket,id=uart,fd=11 -serial chardev:uart -global virtio-mmio.force-legacy=false"   \
    " -chardev socket,id=backend-root,fd=12 -device vhost-user-blk,id=device-root,"                \
    "chardev=backend-root,bus=virtio-mmio-bus.1,iommu_platform=on,num-queues=2"                    \
    " -chardev socket,id=backend-random,fd=13 -device vhost-user-rng,id=device-random,"            \
    "chardev=backend-random,bus=virtio-mmio-bus.2,iommu_platform=on"                               \
    " -chardev socket,id=backend-shell,fd=14 -device vhost-user-test-device,id=device-shell,"      \
    "chardev=backend-shell,bus=virtio-mmio-bus.3,iommu_platform=on,virtio-id=3,num_vqs=2,"         \
    "vq_size=128,config_size=12"

static void test_command_kernel(void **state)
{
    (void)state;
    expect_command(
        "/opt/qemu,x=1" PROCESS STOPS QMP " -object monitor-qmp,id=qmp,chardev=control"
        " -machine virt,gic-version=3 -accel tcg -cpu cortex-a57 -smp 2" ARM_MEMORY ARM_BOOT
            ARM_DEVICES);
}

/* Each descriptor of the command is one of those that were given, in the order of the numbers. */
static void test_command_descriptors(void **state)
{
    static const int from[] = {40, 21, 22, 23, 10, 11, 41, 42, 50, 30, 31, 32};
    struct bh_qemu_command command;
    (void)state;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    assert_int_equal(command.fd_count, sizeof(from) / sizeof(from[0]));
    for (uint32_t i = 0; i < command.fd_count; i++) {
        assert_int_equal(command.fds[i].from, from[i]);
        assert_int_equal(command.fds[i].to, 3 + (int)i);
    }
    bh_qemu_command_finish(&command);
}

static void test_command_kvm_restart_old_qemu(void **state)
{
    (void)state;
    engine.kvm = true;
    engine.major = 10;
    engine.minor = 2;
    guest.on_reset.value = BH_ON_RESET_RESTART;
    expect_command(
        "/opt/qemu,x=1" PROCESS " -action reboot=reset,shutdown=poweroff,panic=shutdown" QMP
        " -mon chardev=control,mode=control"
        " -machine virt,gic-version=3 -accel kvm -cpu host -smp 2" ARM_MEMORY ARM_BOOT ARM_DEVICES);
}

static void test_command_tcg_although_kvm_works(void **state)
{
    (void)state;
    engine.kvm = true;
    platform.engine.accelerator.value = BH_ACCELERATOR_TCG;
    assert_false(bh_qemu_uses_kvm(&setup));
    platform.engine.accelerator.value = BH_ACCELERATOR_AUTO;
    assert_true(bh_qemu_uses_kvm(&setup));
    engine.kvm = false;
    assert_false(bh_qemu_uses_kvm(&setup));
}

static void test_command_firmware(void **state)
{
    (void)state;
    make_open(BH_ARCH_ARM64);
    guest.boot = (struct bh_boot){.firmware = {.text = "u-boot.bin"}};
    guest.device_count = 1;
    expect_command("/opt/qemu,x=1" PROCESS STOPS QMP " -object monitor-qmp,id=qmp,chardev=control"
                   " -machine virt,gic-version=3,memory-backend=ram -accel tcg -cpu cortex-a57"
                   " -smp 2 -m size=134217728B -object memory-backend-file,id=ram,size=134217728,"
                   "mem-path=/proc/self/fd/4,share=on -bios /proc/self/fd/5"
                   " -chardev socket,id=uart,fd=6 -serial chardev:uart"
                   " -global virtio-mmio.force-legacy=false"
                   " -chardev socket,id=backend-root,fd=7 -device vhost-user-blk,id=device-root,"
                   "chardev=backend-root,bus=virtio-mmio-bus.0,num-queues=2");
}

static void test_command_pc(void **state)
{
    (void)state;
    make_open(BH_ARCH_X86_64);
    guest.boot.command_line.text = "root=/dev/vda, -drive file=x ,, quiet";
    layout.slots[2] = 9;
    expect_command("/opt/qemu,x=1" PROCESS STOPS QMP " -object monitor-qmp,id=qmp,chardev=control"
                   " -machine q35,memory-backend=ram -accel tcg -cpu max -smp 2"
                   " -m size=134217728B -object memory-backend-file,id=ram,size=134217728,"
                   "mem-path=/proc/self/fd/4,share=on"
                   " -kernel /proc/self/fd/5 -initrd /proc/self/fd/6"
                   " -append root=/dev/vda, -drive file=x ,, quiet"
                   " -chardev socket,id=uart,fd=7 -serial chardev:uart"
                   " -chardev socket,id=backend-root,fd=8"
                   " -device vhost-user-blk-pci-non-transitional,id=device-root,"
                   "chardev=backend-root,bus=pcie.0,addr=0x4.0,multifunction=on,num-queues=2"
                   " -chardev socket,id=backend-random,fd=9 -device vhost-user-rng-pci,"
                   "id=device-random,chardev=backend-random,bus=pcie.0,addr=0x4.1,multifunction=on"
                   " -chardev socket,id=backend-shell,fd=10 -device vhost-user-test-device-pci,"
                   "id=device-shell,chardev=backend-shell,bus=pcie.0,addr=0x5.1,multifunction=on,"
                   "virtio-id=3,num_vqs=2,vq_size=128,config_size=12");
}

/* A program: QEMU takes the segments' addresses from the file. [BH-LAY-14] */
static void test_command_program(void **state)
{
    (void)state;
    guest.boot = (struct bh_boot){.elf = {.text = "rtos.elf"}};
    guest.device_count = 0;
    layout.region_count = 1;
    layout.kernel.size = 0;
    layout.initrd.size = 0;
    layout.segments[0] = (struct bh_placement){0x40400000, 4096};
    layout.segment_count = 1;
    expect_command("/opt/qemu,x=1" PROCESS STOPS QMP " -object monitor-qmp,id=qmp,chardev=control"
                   " -machine virt,gic-version=3,memory-backend=ram -accel tcg -cpu cortex-a57"
                   " -smp 2 -m size=134217728B -object memory-backend-ram,id=ram,size=134217728"
                   " -device loader,file=/proc/self/fd/4"
                   " -device loader,file=/proc/self/fd/5,addr=0x40200000,force-raw=on"
                   " -device loader,file=/proc/self/fd/6,addr=0x40210000,force-raw=on"
                   " -device loader,addr=0x40210000,cpu-num=0"
                   " -chardev socket,id=uart,fd=7 -serial chardev:uart"
                   " -global virtio-mmio.force-legacy=false");
}

/* The disk that firmware boots from, and QEMU's own firmware where there is no other. */
static void test_command_disk(void **state)
{
    struct bh_qemu_command command;
    (void)state;
    make_open(BH_ARCH_X86_64);
    guest.boot = (struct bh_boot){.disk = {.text = "root"}, .boots = &devices[0]};
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        assert_string_not_equal(command.arguments[i], "-kernel");
        assert_string_not_equal(command.arguments[i], "-bios");
        assert_int_equal(strstr(command.arguments[i], ",bootindex=0") != NULL,
                         strstr(command.arguments[i], "id=device-root") != NULL);
    }
    bh_qemu_command_finish(&command);
    guest.boot.firmware.text = "u-boot";
    guest.arch.value = BH_ARCH_ARM64;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    assert_string_equal(command.arguments[command.count - 9u],
                        "vhost-user-blk,id=device-root,chardev=backend-root,bus=virtio-mmio-bus.0,"
                        "bootindex=0,num-queues=2");
    bh_qemu_command_finish(&command);
}

/* A device that is left out: memory at its place, so that what follows does not move, and no front
 * end. [BH-LAY-11] */
static void test_command_left_out(void **state)
{
    struct bh_qemu_command command;
    uint32_t found = 0;
    (void)state;
    devices[1].left_out = true;
    devices[1].type.value = BH_DEVICE_CAMERA;
    layout.regions[2].kind = BH_REGION_RESERVED;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        const char *argument = command.arguments[i];
        assert_null(strstr(argument, "device-random"));
        assert_null(strstr(argument, "backend-random"));
        found += strcmp(argument, "memory-backend-ram,id=reserved-random,size=4194304") == 0;
        found += strcmp(argument, "node,nodeid=2,memdev=reserved-random") == 0;
        found += strcmp(argument, "size=146800640B") == 0;
    }
    assert_int_equal(found, 3);
    bh_qemu_command_finish(&command);
}

/* One that is not left out, and that QEMU has no front end for: a text leaves it out, a start
 * fails. */
static void test_command_no_front_end(void **state)
{
    struct bh_qemu_command command;
    (void)state;
    devices[1].type.value = BH_DEVICE_CAMERA;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_UNSUPPORTED);
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, true), BH_OK);
    bh_qemu_command_finish(&command);
}

/* A window asks for a driver that keeps to it; a device without one does not, whatever RAM is. */
static void test_command_isolation(void **state)
{
    struct bh_qemu_command command;
    (void)state;
    layout.regions[0].kind = BH_REGION_SHARED;
    layout.regions[1] = layout.regions[2];
    layout.regions[2] = layout.regions[3];
    layout.region_count = 3;
    layout.windows[0].size = 0;
    devices[0].isolation.value = BH_ISOLATION_BOUNCE;
    devices[1].isolation.value = BH_ISOLATION_SHADOW;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        if (strstr(command.arguments[i], "id=device-") != NULL) {
            assert_int_equal(strstr(command.arguments[i], "iommu_platform=on") != NULL,
                             strstr(command.arguments[i], "id=device-root") == NULL);
        }
    }
    bh_qemu_command_finish(&command);
}

/* A window of two parts: two memory files, one behind the other. [BH-LAY-23] */
static void test_command_rings(void **state)
{
    struct bh_qemu_command command;
    uint32_t found = 0;
    (void)state;
    layout.regions[4] = layout.regions[3];
    layout.regions[3] = layout.regions[2];
    layout.regions[3].address += 65536;
    layout.regions[3].size -= 65536;
    layout.regions[2].size = 65536;
    layout.regions[2].rings = true;
    layout.region_count = 5;
    static const int fds[] = {20, 21, 22, 23, 24};
    setup.region_fds = fds;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        const char *argument = command.arguments[i];
        found += strcmp(argument, "memory-backend-file,id=rings-random,size=65536,"
                                  "mem-path=/proc/self/fd/5,share=on") == 0;
        found += strcmp(argument, "memory-backend-file,id=window-random,size=4128768,"
                                  "mem-path=/proc/self/fd/6,share=on") == 0;
        found += strcmp(argument, "node,nodeid=2,memdev=rings-random") == 0;
        found += strcmp(argument, "node,nodeid=3,memdev=window-random") == 0;
        found += strcmp(argument, "size=146800640B") == 0;
    }
    assert_int_equal(found, 5);
    bh_qemu_command_finish(&command);
    platform.name.text = "p";
    char *text = bh_machine_command_script(&setup);
    assert_non_null(text);
    assert_non_null(strstr(text, ": \"${rings_random:?memory file of 65536 bytes, sealed (shrink "
                                 "grow): the rings of a device"));
    free(text);
}

/* What QEMU cannot place is said, with what it is. [BH-LAY-20] */
static void test_can_place(void **state)
{
    static const struct {
        const char *said; /* NULL: it can */
        uint64_t cpus;
        uint64_t window; /* address of the last one */
        uint64_t size;
        uint32_t slot;
        uint64_t initrd;
    } cases[] = {
        {NULL, 2, 0x48800000, 4 * MIB, 3, 0x44000000},
        {NULL, 123, 0x48800000, 4 * MIB, BH_SLOT_NONE, 0x47f00000},
        {"124 processors", 124, 0x48800000, 4 * MIB, 3, 0x44000000},
        {"memory at 0x48900000", 2, 0x48900000, 4 * MIB, 3, 0x44000000},
        {"memory at 0x48700000", 2, 0x48700000, 4 * MIB, 3, 0x44000000},
        {"more than 255G", 2, 0x48800000, UINT64_C(256) << 30, 3, 0x44000000},
        {"device shell in slot 1, which is taken", 2, 0x48800000, 4 * MIB, 1, 0x44000000},
        {"device shell in slot 32, which is not there", 2, 0x48800000, 4 * MIB, 32, 0x44000000},
        {"boots outside of RAM", 2, 0x48800000, 4 * MIB, 3, 0x48000000},
        {"boots outside of RAM", 2, 0x48800000, 4 * MIB, 3, 0x3ff00000},
        {"boots outside of RAM", 2, 0x48800000, 4 * MIB, 3, 0x47f00001},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bh_diagnostics *diagnostics = bh_diagnostics_create("platform.yaml");
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        assert_non_null(diagnostics);
        assert_non_null(to);
        layout.regions[0].address = 0x40000000;
        guest.cpus.value = cases[i].cpus;
        layout.regions[3].address = cases[i].window;
        layout.regions[3].size = cases[i].size;
        layout.slots[2] = cases[i].slot;
        layout.initrd.address = cases[i].initrd;
        assert_int_equal(bh_machine_can_place(&layout, diagnostics),
                         cases[i].said == NULL ? BH_OK : BH_UNSUPPORTED);
        bh_diagnostics_print(diagnostics, to, false);
        assert_int_equal(fclose(to), 0);
        assert_non_null(strstr(text, cases[i].said == NULL ? "" : cases[i].said));
        assert_int_equal(bh_diagnostics_errors(diagnostics), cases[i].said != NULL);
        free(text);
        bh_diagnostics_destroy(diagnostics);
    }
}

/* Queues of a console with more ports: those of each port, and the control queues. */
static void test_command_console_ports(void **state)
{
    struct bh_qemu_command command;
    (void)state;
    devices[2].ports.count = 3;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    assert_non_null(strstr(command.arguments[command.count - 1u], ",num_vqs=10,"));
    bh_qemu_command_finish(&command);
}

/* What users write: none of it is in an option that QEMU takes apart. */
static void test_command_hostile_names(void **state)
{
    static const char *const hostile = "x,file=/etc/shadow,addr=0";
    struct bh_qemu_command command;
    (void)state;
    make_open(BH_ARCH_X86_64);
    guest.boot = (struct bh_boot){.kernel = {.text = hostile},
                                  .initrd = {.text = hostile},
                                  .command_line = {.text = hostile}};
    devices[0].serial.text = hostile;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        if (strstr(command.arguments[i], "shadow") != NULL) {
            assert_string_equal(command.arguments[i - 1u], "-append");
            assert_string_equal(command.arguments[i], hostile);
        }
    }
    bh_qemu_command_finish(&command);
}

/* The largest guest has room. */
static void test_command_largest(void **state)
{
    static struct bh_device_definition many[BH_DEVICES_MAX];
    static char names[BH_DEVICES_MAX][BH_NAME_MAX + 1u];
    static int fds[BH_REGIONS_MAX];
    struct bh_qemu_command command;
    (void)state;
    for (uint32_t i = 0; i < BH_DEVICES_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "%0*u", (int)BH_NAME_MAX, i);
        many[i] = devices[2];
        many[i].name.text = names[i];
        place(2u * i + 1u, i, 0, 4 * MIB);
        layout.regions[2u * i + 2u] = layout.regions[2u * i + 1u];
        layout.regions[2u * i + 1u].rings = true;
        layout.slots[i] = i;
    }
    for (uint32_t i = 0; i < BH_REGIONS_MAX; i++) {
        fds[i] = 100 + (int)i;
    }
    layout.region_count = BH_REGIONS_MAX;
    guest.devices = many;
    guest.device_count = BH_DEVICES_MAX;
    setup.region_fds = fds;
    setup.device_fds = fds;
    assert_int_equal(bh_qemu_command_make(&command, &setup, &own, false), BH_OK);
    for (uint32_t i = 0; i < command.count; i++) {
        /* No name was cut: objects that are named the same would be refused. */
        assert_true((strstr(command.arguments[i], "id=window-") == NULL &&
                     strstr(command.arguments[i], "id=rings-") == NULL) ||
                    strstr(command.arguments[i], ",size=4194304,mem-path=") != NULL);
    }
    bh_qemu_command_finish(&command);
}

/* A script to be read: quoted for a shell, descriptors as variables, and no engine is needed. */
static void test_command_script(void **state)
{
    (void)state;
    make_open(BH_ARCH_X86_64);
    guest.boot.command_line.text = "quiet it's ${HOME}";
    guest.device_count = 1;
    platform.name.text = "p";
    setup.region_fds = NULL;
    setup.device_fds = NULL;
    char *text = bh_machine_command_script(&setup);
    assert_non_null(text);
    assert_int_equal(strncmp(text, "#!/bin/sh\n# How guest one of platform p", 38), 0);
    assert_non_null(strstr(text, "\nset -- \\\n    -name guest=one \\\n"));
    assert_non_null(strstr(text, " \\\n    -kernel \"/proc/self/fd/${kernel}\" \\\n"));
    assert_non_null(strstr(text, " \\\n    -append 'quiet it'\\''s ${HOME}'\n"));
    assert_non_null(strstr(text, "mem-path=/proc/self/fd/${ram},share=on\""));
    assert_non_null(strstr(text, "\"socket,id=backend-root,fd=${device_root}\""));
    assert_non_null(
        strstr(text, "\n: \"${ram:?memory file of 134217728 bytes, sealed (shrink grow): "));
    assert_non_null(strstr(text, "\nexec /opt/qemu,x=1 \"$@\"\n"));
    free(text);
}

/* The host decides: a plan holds both ways; the definition decides: one. */
static void test_command_plan_processors(void **state)
{
    static const char choice[] =
        "if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then\n    set -- \"$@\" \\\n"
        "        -accel kvm \\\n        -cpu host\nelse\n    set -- \"$@\" \\\n"
        "        -accel tcg \\\n        -cpu cortex-a57\nfi\n";
    (void)state;
    platform.name.text = "p";
    char *text = bh_machine_command_script(&setup);
    assert_non_null(text);
    assert_non_null(strstr(text, choice));
    free(text);
    platform.engine.accelerator.value = BH_ACCELERATOR_TCG;
    text = bh_machine_command_script(&setup);
    assert_non_null(text);
    assert_null(strstr(text, "kvm"));
    assert_non_null(strstr(text, "    -accel tcg \\\n    -cpu cortex-a57 \\\n    -smp 2\n"));
    free(text);
}

/* Data: a placeholder for each descriptor, and what it has to be. */
static void test_command_json(void **state)
{
    (void)state;
    platform.name.text = "p";
    char *text = bh_machine_command_json(&setup);
    assert_non_null(text);
    assert_non_null(strstr(text, "mem-path=/proc/self/fd/{window-root},share=on\","));
    assert_non_null(strstr(text, "\"descriptor\": \"window-root\""));
    assert_non_null(strstr(text, "\"file\": \"Image,addr=0\""));
    assert_null(strchr(text, BH_QEMU_PLAN_MARK));
    free(text);
}

/* The oldest that has what the guest needs, whatever is installed. */
static void test_engine_oldest(void **state)
{
    struct bh_engine oldest;
    (void)state;
    bh_engine_oldest(&oldest, &platform, &guest);
    assert_string_equal(oldest.program, "qemu-system-aarch64");
    assert_int_equal(oldest.major, 10);
    assert_int_equal(oldest.minor, 2);
    guest.device_count = 2; /* without the console */
    guest.arch.value = BH_ARCH_X86_64;
    bh_engine_oldest(&oldest, &platform, &guest);
    assert_string_equal(oldest.program, "qemu-system-x86_64");
    assert_int_equal(oldest.major, 7);
    assert_int_equal(oldest.minor, 2);
    platform.engine.program.text = "bin/other";
    bh_engine_oldest(&oldest, &platform, &guest);
    assert_string_equal(oldest.program, "bin/other");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        CASE(test_command_kernel),
        CASE(test_command_descriptors),
        CASE(test_command_kvm_restart_old_qemu),
        CASE(test_command_tcg_although_kvm_works),
        CASE(test_command_firmware),
        CASE(test_command_pc),
        CASE(test_command_program),
        CASE(test_command_disk),
        CASE(test_command_left_out),
        CASE(test_command_no_front_end),
        CASE(test_command_isolation),
        CASE(test_command_rings),
        CASE(test_can_place),
        CASE(test_command_console_ports),
        CASE(test_command_hostile_names),
        CASE(test_command_largest),
        CASE(test_command_script),
        CASE(test_command_plan_processors),
        CASE(test_command_json),
        CASE(test_engine_oldest),
    };
#undef CASE
    return cmocka_run_group_tests(tests, NULL, NULL);
}
