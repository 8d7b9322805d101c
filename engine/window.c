/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Windows (window.h).
 */
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define MAPS_BYTES_MAX (4u << 20) /* of /proc/PID/maps: some 40000 mappings */

int bh_memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd;
}

int bh_window_create(struct bh_window *window, const char *name, uint64_t size)
{
    char cut[201];
    struct stat status;
    (void)snprintf(cut, sizeof(cut), "%s", name);
    *window = (struct bh_window){.fd = bh_memory_file(cut), .size = size};
    if (window->fd < 0) {
        return bh_error_from_errno(errno);
    }
    if (size > INT64_MAX || ftruncate(window->fd, (off_t)size) != 0 ||
        fcntl(window->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        fstat(window->fd, &status) != 0) {
        int result = bh_error_from_errno(errno);
        bh_window_close(window);
        return result;
    }
    window->device = status.st_dev;
    window->inode = status.st_ino;
    return BH_OK;
}

void bh_window_close(struct bh_window *window)
{
    if (window->fd >= 0) {
        (void)close(window->fd);
        window->fd = -1;
    }
}

/* ------------------------------------------------------------------------------------------------
 * what a process has mapped */

void bh_mapped_init(struct bh_mapped *mapped, const struct bh_window *windows, uint64_t *bytes,
                    size_t count)
{
    *mapped = (struct bh_mapped){.windows = windows, .bytes = bytes, .count = count};
    memset(bytes, 0, count * sizeof(bytes[0]));
}

/* Digits up to the character `end`, which is passed over. False: none, too many, or another end. */
static bool take_number(const char **at, uint64_t base, char end, uint64_t *number)
{
    static const char digits[] = "0123456789abcdef";
    const char *start = *at;
    const char *digit;
    *number = 0;
    while (**at != '\0' && (digit = memchr(digits, **at, (size_t)base)) != NULL) {
        if (*number > (UINT64_MAX - (base - 1u)) / base) {
            return false;
        }
        *number = *number * base + (uint64_t)(digit - digits);
        (*at)++;
    }
    if (*at == start || **at != end) {
        return false;
    }
    (*at)++;
    return true;
}

/* Words up to the next space. */
static bool skip_word(const char **at)
{
    const char *space = strchr(*at, ' ');
    if (space == NULL) {
        return false;
    }
    *at = space + 1;
    return true;
}

static void add_mapping(struct bh_mapped *mapped, uint64_t bytes, dev_t device, uint64_t inode)
{
    for (size_t i = 0; i < mapped->count; i++) {
        const struct bh_window *window = &mapped->windows[i];
        if (window->device == device && (uint64_t)window->inode == inode) {
            uint64_t left = window->size - mapped->bytes[i];
            mapped->bytes[i] += bytes < left ? bytes : left;
        }
    }
}

/* "7f00-7f80 rw-s 00001000 00:01 1234   /memfd:…": the name is not needed. */
static void take_line(struct bh_mapped *mapped)
{
    const char *at = mapped->line;
    uint64_t start;
    uint64_t end;
    uint64_t major;
    uint64_t minor;
    uint64_t inode;
    if (take_number(&at, 16, '-', &start) && take_number(&at, 16, ' ', &end) && end > start &&
        skip_word(&at) && skip_word(&at) && take_number(&at, 16, ':', &major) &&
        take_number(&at, 16, ' ', &minor) && major <= UINT32_MAX && minor <= UINT32_MAX &&
        take_number(&at, 10, ' ', &inode)) {
        add_mapping(mapped, end - start, makedev((unsigned int)major, (unsigned int)minor), inode);
    }
}

void bh_mapped_feed(struct bh_mapped *mapped, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            mapped->line[mapped->length] = '\0';
            take_line(mapped);
            mapped->length = 0;
        } else if (mapped->length < sizeof(mapped->line) - 1u) {
            mapped->line[mapped->length] = text[i];
            mapped->length++;
        }
    }
}

int bh_window_mapped(pid_t pid, const struct bh_window *windows, uint64_t *bytes, size_t count)
{
    char text[4096];
    struct bh_mapped mapped;
    (void)snprintf(text, sizeof(text), "/proc/%d/maps", (int)pid);
    bh_mapped_init(&mapped, windows, bytes, count);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ESRCH ? BH_GONE : bh_error_from_errno(errno);
    }
    int result = BH_LIMIT;
    for (size_t total = 0; result == BH_LIMIT && total < MAPS_BYTES_MAX;) {
        ssize_t got = read(fd, text, sizeof(text));
        if (got > 0) {
            bh_mapped_feed(&mapped, text, (size_t)got);
            total += (size_t)got;
        } else {
            result = got == 0 ? BH_OK : bh_error_from_errno(errno);
        }
    }
    (void)close(fd);
    return result;
}
