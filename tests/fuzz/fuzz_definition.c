/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fuzzer for the definition: the input is the file. Whatever stands in it, reading ends, says
 * what is wrong or hands over a platform in which every value is what the header promises, and
 * gives back all memory. It does not look at the wording of messages.
 */
#include "fuzz_input.h"

#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"

#define M (UINT64_C(1) << 20)

/* The input as a file that has a name. */
static int file_make(const uint8_t *data, size_t size)
{
    int fd = memfd_create("definition", MFD_CLOEXEC);
    size_t written = 0;

    FUZZ_CHECK(fd >= 0);
    while (written < size) {
        ssize_t count = write(fd, data + written, size - written);

        FUZZ_CHECK(count > 0);
        written += (size_t)count;
    }
    return fd;
}

static void check_text(const struct bh_text *text, bool needed, size_t longest)
{
    if (text->text == NULL) {
        FUZZ_CHECK(!needed);
        return;
    }
    FUZZ_CHECK(text->at.line != 0 && text->at.column != 0);
    FUZZ_CHECK(strlen(text->text) >= 1 && strlen(text->text) <= longest);
    for (const char *at = text->text; *at != '\0'; at++) {
        FUZZ_CHECK((uint8_t)*at >= 0x20 && *at != 0x7f);
    }
}

static void check_name(const struct bh_text *name)
{
    check_text(name, true, BH_NAME_MAX);
    FUZZ_CHECK(strspn(name->text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name->text));
    FUZZ_CHECK(name->text[0] >= 'a');
}

static void check_number(const struct bh_number *number, uint64_t low, uint64_t high, uint64_t step)
{
    FUZZ_CHECK(number->value >= low && number->value <= high && number->value % step == 0);
}

static void check_device(const struct bh_device_definition *device, bool may_be_direct)
{
    check_name(&device->name);
    FUZZ_CHECK(device->type.value < BH_DEVICE_TYPES);
    FUZZ_CHECK((device->uses == NULL) == (device->type.value == BH_DEVICE_CONSOLE));
    if (device->isolation.value == BH_ISOLATION_DIRECT) {
        FUZZ_CHECK(may_be_direct);
        check_number(&device->window, M / 4, 1024 * M, M / 16);
    } else {
        FUZZ_CHECK(device->isolation.value == BH_ISOLATION_OPEN && device->window.value == 0);
    }
    if (device->type.value == BH_DEVICE_BLK) {
        check_number(&device->queues, 1, 16, 1);
        check_text(&device->serial, false, 20);
        FUZZ_CHECK(device->uses->type.value == BH_RESOURCE_DISK);
    }
    FUZZ_CHECK(device->ports.count <= BH_PORTS_MAX);
    for (uint32_t i = 0; i < device->ports.count; i++) {
        check_name(&device->ports.names[i]);
    }
}

static void check_guest(const struct bh_guest *guest)
{
    bool may_be_direct = guest->arch.value == BH_ARCH_ARM64 && guest->boot.kernel.text != NULL;

    check_name(&guest->name);
    FUZZ_CHECK(guest->criticality.value <= BH_ASIL_D && guest->arch.value <= BH_ARCH_X86_64);
    FUZZ_CHECK(guest->on_reset.value <= BH_ON_RESET_RESTART);
    FUZZ_CHECK((guest->boot.kernel.text == NULL) != (guest->boot.firmware.text == NULL));
    check_number(&guest->cpus, 1, 8, 1);
    check_number(&guest->memory, 32 * M, 65536 * M, 2 * M);
    check_number(&guest->stop_within, 1000, 600000, 1);
    check_text(&guest->boot.kernel, false, 4095);
    check_text(&guest->boot.initrd, false, 4095);
    check_text(&guest->boot.firmware, false, 4095);
    check_text(&guest->boot.command_line, false, 2047);
    FUZZ_CHECK(guest->device_count <= BH_DEVICES_MAX);
    for (uint32_t i = 0; i < guest->device_count; i++) {
        check_device(&guest->devices[i], may_be_direct);
    }
}

static void check_platform(const struct bh_platform *platform)
{
    check_name(&platform->name);
    FUZZ_CHECK(platform->files[0].path != NULL && platform->files[0].folder != NULL &&
               platform->files[0].folder[0] == '/');
    FUZZ_CHECK(platform->engine.accelerator.value <= BH_ACCELERATOR_TCG);
    FUZZ_CHECK(platform->resource_count <= BH_RESOURCES_MAX);
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        check_name(&platform->resources[i].name);
        FUZZ_CHECK(platform->resources[i].type.value <= BH_RESOURCE_ENTROPY);
        check_text(&platform->resources[i].image,
                   platform->resources[i].type.value == BH_RESOURCE_DISK, 4095);
    }
    FUZZ_CHECK(platform->guest_count >= 1 && platform->guest_count <= BH_GUESTS_MAX);
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        check_guest(&platform->guests[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = file_make(data, size);
    struct bh_diagnostics *diagnostics = bh_diagnostics_create("input");
    struct bh_platform *platform = NULL;
    char path[32];
    FILE *nowhere = fopen("/dev/null", "w");
    int error;

    FUZZ_CHECK(diagnostics != NULL && nowhere != NULL);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    error = bh_platform_read(&platform, path, diagnostics);
    bh_diagnostics_print(diagnostics, nowhere, (size & 1) != 0);
    FUZZ_CHECK((error == BH_OK) == (bh_diagnostics_errors(diagnostics) == 0));
    FUZZ_CHECK((error == BH_OK) == (platform != NULL));
    if (platform != NULL) {
        check_platform(platform);
    }
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    (void)fclose(nowhere);
    (void)close(fd);
    return 0;
}
