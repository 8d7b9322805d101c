/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a file of a definition: opened, bounded, read once. It looks at no character but a byte
 * order mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "layers.h"
#include "text.h"

/* Says what is wrong with the file itself; of an included one where it is included. */
static int say(const struct bh_file *file, int error, const char *wrong, const char *advice)
{
    static const struct bh_origin nowhere;

    if (file->included == NULL) {
        bh_diagnostics_add(file->diagnostics, BH_SEVERITY_ERROR, "file", nowhere, "%s%s%s", wrong,
                           *advice == '\0' ? "" : "\n", advice);
    } else {
        bh_diagnostics_add(file->diagnostics, BH_SEVERITY_ERROR, "include", file->included->at,
                           "%s cannot be included: %s\n%s", bh_show(file->included->text).text,
                           wrong,
                           error == BH_GONE ? "a relative path begins at the folder of the file "
                                              "that it stands in"
                                            : "name a YAML file that may be read");
    }
    return error;
}

static int say_errno(const struct bh_file *file, int number)
{
    char wrong[128];

    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return say(file, BH_GONE, "there is no such file", "name the definition's YAML file");
    case EACCES:
    case EPERM:
        return say(file, BH_DENIED, "it may not be read", "check its owner and its rights");
    case ENOMEM:
        return BH_NO_MEMORY;
    default:
        (void)snprintf(wrong, sizeof(wrong), "cannot be read: %s", strerror(number));
        return say(file, BH_IO, wrong, "");
    }
}

static int check_kind(struct bh_file *file, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return say_errno(file, errno);
    }
    if (S_ISDIR(status.st_mode)) {
        return say(file, BH_IO, "this is a folder", "name the definition's YAML file in it");
    }
    if (!S_ISREG(status.st_mode)) {
        return say(file, BH_IO, "this is not a file", "name the definition's YAML file");
    }
    file->device = status.st_dev;
    file->inode = status.st_ino;
    return BH_OK;
}

/* As much as there is, up to `size` bytes. */
static int read_all(struct bh_file *file, int fd, char *to, size_t size)
{
    file->length = 0;
    while (file->length < size) {
        ssize_t got = read(fd, to + file->length, size - file->length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return say_errno(file, errno);
        }
        if (got == 0) {
            break;
        }
        file->length += (size_t)got;
    }
    return BH_OK;
}

static int read_open(struct bh_file *file, int fd)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t room = BH_DEFINITION_BYTES_MAX + 1; /* one more shows that there is more */
    int error = check_kind(file, fd);

    if (error != BH_OK) {
        return error;
    }
    if (file->buffer == NULL) {
        file->buffer = malloc(room + 1);
    }
    if (file->buffer == NULL) {
        return say_errno(file, ENOMEM);
    }
    error = read_all(file, fd, file->buffer, room);
    if (error != BH_OK) {
        return error;
    }
    if (file->length > BH_DEFINITION_BYTES_MAX) {
        return say(file, BH_LIMIT, "it is larger than 1 MiB, which no definition is",
                   "is this the definition's YAML file?");
    }
    file->buffer[file->length] = '\0';
    file->text = file->buffer;
    if (file->length >= 3 && memcmp(file->text, mark, 3) == 0) {
        file->text += 3;
        file->length -= 3;
    }
    return BH_OK;
}

int bh_file_read(struct bh_file *file, const char *path)
{
    /* Not blocking: a FIFO is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error;

    if (fd < 0) {
        return say_errno(file, errno);
    }
    error = read_open(file, fd);
    (void)close(fd);
    return error;
}
