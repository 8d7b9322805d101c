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
    command->count++;
}

void bh_qemu_add_fd(struct bh_qemu_command *command, int fd, const char *kind, const char *name,
                    char text[BH_QEMU_FD_TEXT])
{
    text[0] = '\0';
    if (command->as_text) {
        (void)snprintf(text, BH_QEMU_FD_TEXT, name[0] != '\0' ? "{%s %s}" : "{%s}", kind, name);
        return;
    }
    if (command->fd_count == BH_CHILD_FDS_MAX) {
        command->error = BH_LIMIT;
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

static void add_machine(struct bh_qemu_command *command)
{
    const struct bh_guest *guest = guest_of(command);
    bool arm = guest->arch.value == BH_ARCH_ARM64;
    bool kvm = bh_qemu_uses_kvm(command->setup);
    /* With one region no NUMA node is needed, and firmware sees a plain machine. */
    const char *memory = command->setup->layout->region_count == 1u ? ",memory-backend=ram" : "";
    bh_qemu_add(command, "-machine");
    bh_qemu_add(command, "%s%s", arm ? "virt,gic-version=3" : "q35", memory);
    bh_qemu_add(command, "-accel");
    bh_qemu_add(command, "%s", kvm ? "kvm" : "tcg");
    bh_qemu_add(command, "-cpu");
    bh_qemu_add(command, "%s", kvm ? "host" : arm ? "cortex-a57" : "max");
    bh_qemu_add(command, "-smp");
    bh_qemu_add(command, "%" PRIu64, guest->cpus.value);
}

/* The name of a region as an object of QEMU. */
static void region_name(const struct bh_qemu_command *command, uint32_t index, char name[64])
{
    const struct bh_layout_region *region = &command->setup->layout->regions[index];
    const char *kind = region->kind == BH_REGION_WINDOW ? "window" : "reserved";
    if (region->kind == BH_REGION_WINDOW || region->kind == BH_REGION_RESERVED) {
        (void)snprintf(name, 64, "%s-%s", kind,
                       guest_of(command)->devices[region->device].name.text);
    } else {
        (void)snprintf(name, 64, "ram");
    }
}

static void add_region(struct bh_qemu_command *command, uint32_t index)
{
    const struct bh_layout_region *region = &command->setup->layout->regions[index];
    char name[64];
    char fd[BH_QEMU_FD_TEXT];
    region_name(command, index, name);
    bh_qemu_add(command, "-object");
    /* What is reserved must be there, because memory has no gaps; nobody ever touches it. */
    if (region->kind == BH_REGION_PRIVATE || region->kind == BH_REGION_RESERVED) {
        bh_qemu_add(command, "memory-backend-ram,id=%s,size=%" PRIu64, name, region->size);
        return;
    }
    bh_qemu_add_fd(command, command->as_text ? -1 : command->setup->region_fds[index], "memory",
                   name, fd);
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
        char name[64];
        region_name(command, i, name);
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
                         const struct bh_qemu_fds *own, bool as_text)
{
    *command = (struct bh_qemu_command){.setup = setup, .own = own, .as_text = as_text};
    add_process(command);
    add_control(command);
    add_machine(command);
    add_memory(command);
    add_boot(command);
    bh_qemu_add_devices(command);
    command->arguments[command->count] = NULL;
    if (command->error != BH_OK) {
        bh_qemu_command_finish(command);
    }
    return command->error;
}

/* ------------------------------------------------------------------------------------------------
 * as text */

static bool is_plain(const char *text)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,.:/@%";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0';
}

static void write_quoted(FILE *to, const char *text)
{
    if (is_plain(text)) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('\'', to);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", to);
        } else {
            (void)fputc(*text, to);
        }
    }
    (void)fputc('\'', to);
}

char *bh_machine_command_text(const struct bh_machine_setup *setup)
{
    static const struct bh_qemu_fds none = {-1, -1, -1};
    struct bh_qemu_command command;
    char *text = NULL;
    size_t size = 0;
    if (bh_qemu_command_make(&command, setup, &none, true) != BH_OK) {
        return NULL;
    }
    FILE *to = open_memstream(&text, &size);
    if (to != NULL) {
        for (uint32_t i = 0; i < command.count; i++) {
            /* An option and its value share a line. */
            if (i > 0u) {
                (void)fputs(command.arguments[i][0] == '-' ? " \\\n    " : " ", to);
            }
            write_quoted(to, command.arguments[i]);
        }
        (void)fputc('\n', to);
        bool failed = ferror(to) != 0;
        if (fclose(to) != 0 || failed) {
            free(text);
            text = NULL;
        }
    }
    bh_qemu_command_finish(&command);
    return text;
}
