/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's command line for a guest: the process, the machine, memory, and what is in memory before
 * the guest starts. The devices: qemu_devices.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu.h"

#define FIRST_FD 3

/* ------------------------------------------------------------------------------------------------
 * the list */

void bh_qemu_add(struct bh_qemu_command *command, const char *format, ...)
{
    va_list list;
    char *text = NULL;
    if (command->error != BH_OK) {
        return;
    }
    if (command->count == BH_QEMU_ARGUMENTS_MAX) {
        command->error = BH_LIMIT;
        return;
    }
    va_start(list, format);
    int length = vasprintf(&text, format, list);
    va_end(list);
    if (length < 0) {
        command->error = BH_NO_MEMORY;
        return;
    }
    command->arguments[command->count] = text;
    command->groups[command->count] = command->group;
    command->count++;
}

/* The name of a descriptor of a plan: "window-root", "device-root", "kernel". */
static void plan_fd(struct bh_qemu_command *command, const char *kind, const char *name,
                    char text[BH_QEMU_FD_TEXT])
{
    struct bh_qemu_planned *planned = &command->planned[command->fd_count];
    planned->kind = kind;
    (void)snprintf(planned->name, sizeof(planned->name), "%s", name[0] == '\0' ? kind : name);
    (void)snprintf(text, BH_QEMU_FD_TEXT, "%c%s%c", BH_QEMU_PLAN_MARK, planned->name,
                   BH_QEMU_PLAN_MARK);
    command->fd_count++;
}

void bh_qemu_add_fd(struct bh_qemu_command *command, int fd, const char *kind, const char *name,
                    char text[BH_QEMU_FD_TEXT])
{
    text[0] = '\0';
    if (command->fd_count == BH_CHILD_FDS_MAX) {
        command->error = BH_LIMIT;
        return;
    }
    if (command->as_plan) {
        plan_fd(command, kind, name, text);
        return;
    }
    int number = FIRST_FD + (int)command->fd_count;
    command->fds[command->fd_count] = (struct bh_child_fd){.from = fd, .to = number};
    command->fd_count++;
    (void)snprintf(text, BH_QEMU_FD_TEXT, "%d", number);
}

void bh_qemu_command_finish(struct bh_qemu_command *command)
{
    for (uint32_t i = 0; i < command->count; i++) {
        free(command->arguments[i]);
    }
    command->count = 0;
}

/* ------------------------------------------------------------------------------------------------
 * the parts */

static const struct bh_guest *guest_of(const struct bh_qemu_command *command)
{
    return command->setup->layout->guest;
}

bool bh_qemu_uses_kvm(const struct bh_machine_setup *setup)
{
    return setup->engine->kvm && setup->platform->engine.accelerator.value != BH_ACCELERATOR_TCG;
}

/* Nothing that QEMU would do by itself, and nothing that it does not need: no files of the user, no
 * devices, no display, no new processes. It waits until it is told to go on. */
static void add_process(struct bh_qemu_command *command)
{
    bool goes_on = guest_of(command)->on_reset.value == BH_ON_RESET_RESTART;
    bh_qemu_add(command, "%s", command->setup->engine->program);
    bh_qemu_add(command, "-name");
    bh_qemu_add(command, "guest=%s", guest_of(command)->name.text);
    bh_qemu_add(command, "-no-user-config");
    bh_qemu_add(command, "-nodefaults");
    bh_qemu_add(command, "-display");
    bh_qemu_add(command, "none");
    bh_qemu_add(command, "-sandbox");
    bh_qemu_add(command, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
    bh_qemu_add(command, "-S");
    bh_qemu_add(command, "-action");
    bh_qemu_add(command, "reboot=%s,shutdown=poweroff,panic=shutdown",
                goes_on ? "reset" : "shutdown");
}

static void add_control(struct bh_qemu_command *command)
{
    const struct bh_engine *engine = command->setup->engine;
    char fd[BH_QEMU_FD_TEXT];
    bh_qemu_add_fd(command, command->own->control, "control", "", fd);
    bh_qemu_add(command, "-chardev");
    bh_qemu_add(command, "socket,id=control,fd=%s", fd);
    if (engine->major > 11u || (engine->major == 11u && engine->minor >= 1u)) {
        bh_qemu_add(command, "-object");
        bh_qemu_add(command, "monitor-qmp,id=qmp,chardev=control");
    } else {
        bh_qemu_add(command, "-mon");
        bh_qemu_add(command, "chardev=control,mode=control");
    }
}

static void add_processor(struct bh_qemu_command *command, bool kvm)
{
    bool arm = guest_of(command)->arch.value == BH_ARCH_ARM64;
    bh_qemu_add(command, "-accel");
    bh_qemu_add(command, "%s", kvm ? "kvm" : "tcg");
    bh_qemu_add(command, "-cpu");
    bh_qemu_add(command, "%s", kvm ? "host" : arm ? "cortex-a57" : "max");
}

static void add_machine(struct bh_qemu_command *command)
{
    const struct bh_guest *guest = guest_of(command);
    bool arm = guest->arch.value == BH_ARCH_ARM64;
    bool automatic = command->setup->platform->engine.accelerator.value == BH_ACCELERATOR_AUTO;
    /* With one region no NUMA node is needed, and firmware sees a plain machine. */
    const char *memory = command->setup->layout->region_count == 1u ? ",memory-backend=ram" : "";
    bh_qemu_add(command, "-machine");
    bh_qemu_add(command, "%s%s", arm ? "virt,gic-version=3" : "q35", memory);
    if (!command->as_plan || !automatic) {
        add_processor(command, bh_qemu_uses_kvm(command->setup));
    }
    bh_qemu_add(command, "-smp");
    bh_qemu_add(command, "%" PRIu64, guest->cpus.value);
    if (command->as_plan && automatic) {
        command->group = BH_QEMU_KVM;
        add_processor(command, true);
        command->group = BH_QEMU_EMULATED;
        add_processor(command, false);
    }
}

void bh_qemu_region_name(const struct bh_layout *layout, uint32_t index, char name[BH_QEMU_FD_NAME])
{
    const struct bh_layout_region *region = &layout->regions[index];
    const char *kind = region->kind == BH_REGION_RESERVED ? "reserved"
                       : region->rings                    ? "rings"
                                                          : "window";
    if (region->kind == BH_REGION_WINDOW || region->kind == BH_REGION_RESERVED) {
        (void)snprintf(name, BH_QEMU_FD_NAME, "%s-%s", kind,
                       layout->guest->devices[region->device].name.text);
    } else {
        (void)snprintf(name, BH_QEMU_FD_NAME, "ram");
    }
}

static void add_region(struct bh_qemu_command *command, uint32_t index)
{
    const struct bh_layout_region *region = &command->setup->layout->regions[index];
    char name[BH_QEMU_FD_NAME];
    char fd[BH_QEMU_FD_TEXT];
    bh_qemu_region_name(command->setup->layout, index, name);
    bh_qemu_add(command, "-object");
    /* What is reserved must be there, because memory has no gaps; nobody ever touches it. */
    if (region->kind == BH_REGION_PRIVATE || region->kind == BH_REGION_RESERVED) {
        bh_qemu_add(command, "memory-backend-ram,id=%s,size=%" PRIu64, name, region->size);
        return;
    }
    bh_qemu_add_fd(command, command->as_plan ? -1 : command->setup->region_fds[index],
                   region->rings ? "rings" : "memory", name, fd);
    bh_qemu_add(command,
                "memory-backend-file,id=%s,size=%" PRIu64 ",mem-path=/proc/self/fd/%s,share=on",
                name, region->size, fd);
}

static void add_memory(struct bh_qemu_command *command)
{
    const struct bh_layout *layout = command->setup->layout;
    uint64_t total = 0;
    for (uint32_t i = 0; i < layout->region_count; i++) {
        total += layout->regions[i].size;
    }
    bh_qemu_add(command, "-m");
    bh_qemu_add(command, "size=%" PRIu64 "B", total);
    for (uint32_t i = 0; i < layout->region_count; i++) {
        add_region(command, i);
    }
    /* Nodes lie one after the other, in this order. All processors belong to the first. */
    for (uint32_t i = 0; layout->region_count > 1u && i < layout->region_count; i++) {
        char name[BH_QEMU_FD_NAME];
        bh_qemu_region_name(layout, i, name);
        bh_qemu_add(command, "-numa");
        if (i == 0u) {
            bh_qemu_add(command, "node,nodeid=0,cpus=0-%" PRIu64 ",memdev=%s",
                        guest_of(command)->cpus.value - 1u, name);
        } else {
            bh_qemu_add(command, "node,nodeid=%u,memdev=%s", i, name);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * what the guest boots */

static void add_image(struct bh_qemu_command *command, int file, const char *name, uint64_t address)
{
    char fd[BH_QEMU_FD_TEXT];
    bh_qemu_add_fd(command, file, name, "", fd);
    bh_qemu_add(command, "-device");
    bh_qemu_add(command, "loader,file=/proc/self/fd/%s,addr=0x%" PRIx64 ",force-raw=on", fd,
                address);
}

/* QEMU puts the segments of an ELF file where the file says, which the layout has checked. */
static void add_program(struct bh_qemu_command *command)
{
    char fd[BH_QEMU_FD_TEXT];
    bh_qemu_add_fd(command, command->setup->images->elf_fd, "program", "", fd);
    bh_qemu_add(command, "-device");
    bh_qemu_add(command, "loader,file=/proc/self/fd/%s", fd);
}

/* Every address is the layout's, and the first instruction too: QEMU's own way of starting a kernel
 * chooses addresses by itself, and puts an initrd into a window. */
static void add_placed_images(struct bh_qemu_command *command)
{
    const struct bh_layout *layout = command->setup->layout;
    const struct bh_boot_images *images = command->setup->images;
    if (guest_of(command)->boot.elf.text != NULL) {
        add_program(command);
    } else {
        add_image(command, images->kernel_fd, "kernel", layout->kernel.address);
    }
    if (layout->initrd.size != 0u) {
        add_image(command, images->initrd_fd, "initrd", layout->initrd.address);
    }
    add_image(command, command->own->tree, "tree", layout->tree.address);
    add_image(command, command->own->start, "start", layout->start.address);
    bh_qemu_add(command, "-device");
    bh_qemu_add(command, "loader,addr=0x%" PRIx64 ",cpu-num=0", layout->start.address);
}

static void add_file_option(struct bh_qemu_command *command, const char *option, int file,
                            const char *name)
{
    char fd[BH_QEMU_FD_TEXT];
    bh_qemu_add_fd(command, file, name, "", fd);
    bh_qemu_add(command, "%s", option);
    bh_qemu_add(command, "/proc/self/fd/%s", fd);
}

static void add_boot(struct bh_qemu_command *command)
{
    const struct bh_boot *boot = &guest_of(command)->boot;
    const struct bh_boot_images *images = command->setup->images;
    if (boot->firmware.text != NULL) {
        add_file_option(command, "-bios", images->firmware_fd, "firmware");
        return;
    }
    if (guest_of(command)->arch.value == BH_ARCH_ARM64) {
        add_placed_images(command);
        return;
    }
    if (boot->kernel.text == NULL) {
        return; /* QEMU's own firmware, which boots from the disk that has the boot index */
    }
    add_file_option(command, "-kernel", images->kernel_fd, "kernel");
    if (boot->initrd.text != NULL) {
        add_file_option(command, "-initrd", images->initrd_fd, "initrd");
    }
    if (boot->command_line.text != NULL) {
        bh_qemu_add(command, "-append");
        bh_qemu_add(command, "%s", boot->command_line.text);
    }
}

int bh_qemu_command_make(struct bh_qemu_command *command, const struct bh_machine_setup *setup,
                         const struct bh_qemu_fds *own, bool as_plan)
{
    static void (*const parts[BH_QEMU_GROUPS])(struct bh_qemu_command *) = {
        [BH_QEMU_PROCESS] = add_process, [BH_QEMU_CONTROL] = add_control,
        [BH_QEMU_MACHINE] = add_machine, [BH_QEMU_MEMORY] = add_memory,
        [BH_QEMU_BOOT] = add_boot,       [BH_QEMU_DEVICES] = bh_qemu_add_devices,
    };
    *command = (struct bh_qemu_command){.setup = setup, .own = own, .as_plan = as_plan};
    for (uint32_t i = 0; i < BH_QEMU_GROUPS; i++) {
        command->group = (enum bh_qemu_group)i;
        if (parts[i] != NULL) {
            parts[i](command);
        }
    }
    command->arguments[command->count] = NULL;
    if (command->error != BH_OK) {
        bh_qemu_command_finish(command);
    }
    return command->error;
}
