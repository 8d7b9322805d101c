/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The boot images of a guest: opened read-only, and the header of an arm64 kernel, or of a program,
 * read and checked. It says what a file is that is no such kernel, and how to make one of it.
 * Nothing is unpacked here. Of the images of disks it only says whether they could be opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_layout.h"
#include "elf.h"
#include "layout_text.h"

#define PATH_BYTES 4096

/* Linux Documentation/arch/arm64/booting: the header of an Image, little endian. */
#define HEADER_BYTES       64u
#define HEADER_TEXT_OFFSET 8u
#define HEADER_IMAGE_SIZE  16u
#define HEADER_MAGIC       56u
#define KERNEL_ALIGN       (UINT64_C(2) << 20) /* text_offset counts from such a boundary */
#define KERNEL_MEMORY_MAX  (UINT64_C(4) << 30) /* more is a damaged header: real ones need < 256M */

#define PEEK_BYTES 1024u /* enough for every format that is told apart */

/* What else people take for a kernel. */
struct format {
    uint16_t offset;
    uint8_t length;
    char magic[8];
    const char *what;
    const char *cure;
};

static const struct format formats[] = {
    {4, 4, "zimg", "a compressed EFI image (vmlinuz.efi)",
     "take arch/arm64/boot/Image of the same kernel build instead (`make Image`)"},
    {0, 2, "\x1f\x8b", "compressed with gzip",
     "unpack it (`gunzip -c FILE > Image`) and write the unpacked file as `kernel:`"},
    {0, 6,
     "\xfd"
     "7zXZ",
     "compressed with xz", "unpack it (`xz -dc FILE > Image`) and write the unpacked file"},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed with zstd",
     "unpack it (`zstd -dc FILE > Image`) and write the unpacked file"},
    {0, 4, "\x02\x21\x4c\x18", "compressed with lz4",
     "unpack it (`lz4 -dc FILE > Image`) and write the unpacked file"},
    {0, 3, "BZh", "compressed with bzip2",
     "unpack it (`bzip2 -dc FILE > Image`) and write the unpacked file"},
    {0, 4,
     "\x7f"
     "ELF",
     "an ELF file (vmlinux)",
     "take arch/arm64/boot/Image of the same build; a program that is no Linux stands under "
     "`elf:`"},
    {0x202, 4, "HdrS", "a kernel for x86 (bzImage)",
     "write `arch: x86_64`, or take a kernel that is built for arm64"},
    {0, 4, "\x27\x05\x19\x56", "a U-Boot image (uImage)",
     "take the Image that it was made from: `dumpimage -o Image FILE`"},
    {0, 8, "ANDROID!", "an Android boot image",
     "unpack it (`unpack_bootimg`) and write kernel and initrd by themselves"},
    {0, 4, "\xd0\x0d\xfe\xed", "a flattened device tree or a FIT image",
     "take the Image that it was made from"},
};

static uint64_t load_le64(const uint8_t *from)
{
    uint64_t value = 0;

    for (unsigned i = 8; i > 0; i--) {
        value = (value << 8) | from[i - 1];
    }
    return value;
}

/* Opens one image for reading and takes its size. */
static int image_open(int *fd, uint64_t *bytes, const char *key, const struct bh_text *file,
                      const struct bh_platform *platform, const struct bh_guest *guest,
                      struct bh_diagnostics *diagnostics)
{
    char path[PATH_BYTES];
    struct stat status;
    int result = bh_platform_path(platform, file, path, sizeof(path));

    if (result != BH_OK) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "boot-image", file->at,
                           "the path of the %s of guest %s is too long", key, guest->name.text);
        return result;
    }
    /* Not blocking: a named pipe would keep us here. */
    const int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (opened < 0) {
        result = bh_file_error(errno);
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "boot-image", file->at,
                           "the %s of guest %s cannot be opened: %s: %s\n%s", key, guest->name.text,
                           path, strerror(errno),
                           result == BH_DENIED
                               ? "give the user who runs bulkhead the right to read it"
                               : "build the file, or write where it is; a relative path belongs to "
                                 "the folder of the definition");
        return result;
    }
    if (fstat(opened, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "boot-image", file->at,
                           "the %s of guest %s is %s: %s\nwrite the path of the image file", key,
                           guest->name.text,
                           S_ISREG(status.st_mode) ? "an empty file" : "not a file", path);
        (void)close(opened);
        return BH_INVALID;
    }
    *fd = opened;
    *bytes = (uint64_t)status.st_size;
    return BH_OK;
}

/* Reads up to `size` bytes from `offset` on; what was read, or an error code. */
static ssize_t image_peek(int fd, uint64_t offset, uint8_t *to, size_t size)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t got = pread(fd, to + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return bh_file_error(errno);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static const struct format *format_find(const uint8_t *head, size_t length)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        const struct format *format = &formats[i];

        if (format->offset + (size_t)format->length <= length &&
            memcmp(head + format->offset, format->magic, format->length) == 0) {
            return format;
        }
    }
    return NULL;
}

/* The header of an arm64 Image. The file may be anything at all. */
static int kernel_read(struct bh_boot_images *images, const struct bh_guest *guest,
                       struct bh_diagnostics *diagnostics)
{
    const struct bh_text *file = &guest->boot.kernel;
    uint8_t head[PEEK_BYTES];
    const ssize_t got = image_peek(images->kernel_fd, 0, head, sizeof(head));

    if (got < 0) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "boot-image", file->at,
                           "the kernel of guest %s cannot be read: %s", guest->name.text,
                           file->text);
        return (int)got;
    }
    if ((size_t)got < HEADER_BYTES || memcmp(head + HEADER_MAGIC, "ARM\x64", 4) != 0) {
        const struct format *format = format_find(head, (size_t)got);

        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "kernel-format", file->at,
                           "the kernel of guest %s is %s, not an arm64 Image: %s\n%s",
                           guest->name.text, format ? format->what : "of an unknown format",
                           file->text,
                           format ? format->cure
                                  : "take arch/arm64/boot/Image of a kernel that is built for "
                                    "arm64");
        return BH_INVALID;
    }
    images->kernel_offset = load_le64(head + HEADER_TEXT_OFFSET);
    images->kernel_memory = load_le64(head + HEADER_IMAGE_SIZE);
    if (images->kernel_memory == 0) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "kernel-format", file->at,
                           "the kernel of guest %s does not say how much memory it takes: %s\n"
                           "take Linux 3.17 or later, or set image_size in its header",
                           guest->name.text, file->text);
        return BH_INVALID;
    }
    if (images->kernel_memory > KERNEL_MEMORY_MAX || images->kernel_offset >= KERNEL_ALIGN) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "kernel-format", file->at,
                           "the header of the kernel of guest %s is damaged: image_size 0x%" PRIx64
                           ", text_offset 0x%" PRIx64 ": %s\nbuild or copy it again",
                           guest->name.text, images->kernel_memory, images->kernel_offset,
                           file->text);
        return BH_INVALID;
    }
    return BH_OK;
}

static int elf_refuse(const struct bh_guest *guest, const struct bh_elf_refusal *refusal,
                      struct bh_diagnostics *diagnostics)
{
    const struct bh_text *file = &guest->boot.elf;

    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "elf-format", file->at,
                       "the program of guest %s %s: %s\n%s", guest->name.text, refusal->why,
                       file->text, refusal->cure);
    return BH_INVALID;
}

/* The headers of a program. The file may be anything at all. */
static int elf_read(struct bh_boot_images *images, const struct bh_guest *guest,
                    struct bh_diagnostics *diagnostics)
{
    static const struct bh_elf_refusal unreadable = {"cannot be read", "copy it again"};
    uint8_t head[BH_ELF_HEAD_BYTES];
    uint8_t entries[BH_ELF_ENTRIES_MAX * BH_ELF_ENTRY_BYTES];
    struct bh_elf_table table;
    struct bh_elf_refusal refusal;
    ssize_t got = image_peek(images->elf_fd, 0, head, sizeof(head));

    if (got < 0) {
        return elf_refuse(guest, &unreadable, diagnostics);
    }
    if (!bh_elf_head(&table, head, (size_t)got, images->elf_bytes, &refusal)) {
        return elf_refuse(guest, &refusal, diagnostics);
    }
    const size_t length = (size_t)table.count * BH_ELF_ENTRY_BYTES;

    got = image_peek(images->elf_fd, table.offset, entries, length);
    if (got < 0 || (size_t)got != length) {
        return elf_refuse(guest, &unreadable, diagnostics);
    }
    if (!bh_elf_program(&images->program, &table, entries, images->elf_bytes, &refusal)) {
        return elf_refuse(guest, &refusal, diagnostics);
    }
    return BH_OK;
}

static void images_clear(struct bh_boot_images *images)
{
    memset(images, 0, sizeof(*images));
    images->kernel_fd = -1;
    images->initrd_fd = -1;
    images->elf_fd = -1;
    images->firmware_fd = -1;
}

int bh_boot_images_look(struct bh_boot_images *images, const struct bh_platform *platform,
                        const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    const struct bh_text *file = &guest->boot.elf;
    char path[PATH_BYTES];

    if (file->text == NULL || bh_platform_path(platform, file, path, sizeof(path)) != BH_OK ||
        access(path, F_OK) == 0 || errno != ENOENT) {
        return bh_boot_images_open(images, platform, guest, diagnostics);
    }
    images_clear(images);
    bh_diagnostics_add(
        diagnostics, BH_SEVERITY_WARNING, "elf-image", file->at,
        "the program of guest %s is not there: %s\n"
        "`bulkhead run` needs it: build it, with %s.h from this build's folder if it "
        "reads no device tree, then build again",
        guest->name.text, path, guest->name.text);
    return BH_OK;
}

int bh_boot_images_open(struct bh_boot_images *images, const struct bh_platform *platform,
                        const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    const struct bh_boot *boot = &guest->boot;
    int result = BH_OK;

    images_clear(images);
    if (boot->kernel.text) {
        result = image_open(&images->kernel_fd, &images->kernel_bytes, "kernel", &boot->kernel,
                            platform, guest, diagnostics);
    }
    if (result == BH_OK && boot->kernel.text && guest->arch.value == BH_ARCH_ARM64) {
        result = kernel_read(images, guest, diagnostics);
    }
    if (result == BH_OK && boot->initrd.text) {
        result = image_open(&images->initrd_fd, &images->initrd_bytes, "initrd", &boot->initrd,
                            platform, guest, diagnostics);
    }
    if (result == BH_OK && boot->elf.text) {
        result = image_open(&images->elf_fd, &images->elf_bytes, "program", &boot->elf, platform,
                            guest, diagnostics);
    }
    if (result == BH_OK && boot->elf.text) {
        result = elf_read(images, guest, diagnostics);
    }
    if (result == BH_OK && boot->firmware.text) {
        result = image_open(&images->firmware_fd, &images->firmware_bytes, "firmware",
                            &boot->firmware, platform, guest, diagnostics);
    }
    if (result != BH_OK) {
        bh_boot_images_close(images);
    }
    return result;
}

void bh_boot_images_close(struct bh_boot_images *images)
{
    int *const fds[] = {&images->kernel_fd, &images->initrd_fd, &images->elf_fd,
                        &images->firmware_fd};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0) {
            (void)close(*fds[i]);
        }
        *fds[i] = -1;
    }
}

void bh_disk_images_look(const struct bh_platform *platform, struct bh_diagnostics *diagnostics)
{
    for (uint32_t i = 0; i < platform->resource_count; i++) {
        const struct bh_resource *resource = &platform->resources[i];
        const bool writable = !resource->read_only.value;
        char path[PATH_BYTES];

        if (resource->image.text == NULL ||
            bh_platform_path(platform, &resource->image, path, sizeof(path)) != BH_OK ||
            access(path, writable ? R_OK | W_OK : R_OK) == 0) {
            continue; /* a path that is too long is refused when it is opened */
        }
        bh_diagnostics_add(diagnostics, BH_SEVERITY_WARNING, "disk-image", resource->image.at,
                           "the image of resource %s cannot be %s here: %s: %s\n"
                           "`bulkhead run` needs it: %s",
                           resource->name.text, writable ? "written" : "read", path,
                           strerror(errno),
                           errno == ENOENT || errno == ENOTDIR
                               ? "create it, or correct the path"
                               : "give the user who runs bulkhead the right to it");
    }
}
