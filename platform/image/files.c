/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading and writing of files as far as images need it: small ones whole, large ones at offsets,
 * never less than was asked for. It knows no format.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "image.h"
#include "platform/layout/layout_text.h"

int bh_image_pread(int fd, void *to, size_t size, uint64_t offset)
{
    uint8_t *at = to;
    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return bh_file_error(errno);
        }
        if (got == 0) {
            return BH_GONE;
        }
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return BH_OK;
}

int bh_image_pwrite(int fd, const void *from, size_t size, uint64_t offset)
{
    const uint8_t *at = from;
    while (size > 0) {
        ssize_t done = pwrite(fd, at, size, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return bh_file_error(errno);
        }
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return BH_OK;
}

/* To the end of the file, or until the buffer is full. */
static int read_some(int fd, char *to, size_t size, size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(fd, to + *length, size - *length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return bh_file_error(errno);
        }
        if (got == 0) {
            return BH_OK;
        }
        *length += (size_t)got;
    }
    return BH_LIMIT;
}

int bh_image_small_file(const char *path, char *to, size_t size, size_t *length)
{
    struct stat status;
    /* Not blocking: a named pipe would keep us here. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return bh_file_error(errno);
    }
    int result;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        result = BH_INVALID;
    } else {
        result = read_some(fd, to, size, length);
    }
    if (result == BH_OK) {
        to[*length] = '\0';
    }
    int number = errno;
    (void)close(fd);
    errno = number;
    return result;
}
