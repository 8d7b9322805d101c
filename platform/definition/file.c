/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of a definition's file: opened, bounded, read once. It looks at no character but a byte
 * order mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "reader.h"

static const struct bh_origin nowhere;

static int say(struct bh_diagnostics *diagnostics, int error, const char *text)
{
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "file", nowhere, "%s", text);
    return error;
}

static int say_errno(struct bh_diagnostics *diagnostics, int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return say(diagnostics, BH_GONE, "there is no such file\nname the definition's YAML file");
    case EACCES:
    case EPERM:
        return say(diagnostics, BH_DENIED, "it may not be read\ncheck its owner and its rights");
    case ENOMEM:
        return say(diagnostics, BH_NO_MEMORY, "there is not enough memory to read it");
    default:
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "file", nowhere, "cannot be read: %s",
                           strerror(number));
        return BH_IO;
    }
}

static int check_kind(struct bh_diagnostics *diagnostics, int fd)
{
    struct stat status;

    if (fstat(fd, &status) != 0) {
        return say_errno(diagnostics, errno);
    }
    if (S_ISDIR(status.st_mode)) {
        return say(diagnostics, BH_IO, "this is a folder\nname the definition's YAML file in it");
    }
    if (!S_ISREG(status.st_mode)) {
        return say(diagnostics, BH_IO, "this is not a file\nname the definition's YAML file");
    }
    return BH_OK;
}

/* As much as there is, up to `size` bytes. */
static int read_all(struct bh_diagnostics *diagnostics, int fd, char *to, size_t size,
                    size_t *length)
{
    *length = 0;
    while (*length < size) {
        ssize_t got = read(fd, to + *length, size - *length);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return say_errno(diagnostics, errno);
        }
        if (got == 0) {
            break;
        }
        *length += (size_t)got;
    }
    return BH_OK;
}

static int read_open(struct bh_arena *arena, int fd, const char **text, size_t *length,
                     struct bh_diagnostics *diagnostics)
{
    static const char mark[] = "\xef\xbb\xbf";
    size_t room = BH_DEFINITION_BYTES_MAX + 1; /* one more shows that there is more */
    char *bytes;
    int error = check_kind(diagnostics, fd);

    if (error != BH_OK) {
        return error;
    }
    bytes = bh_arena_take(arena, room + 1);
    if (bytes == NULL) {
        return say_errno(diagnostics, ENOMEM);
    }
    error = read_all(diagnostics, fd, bytes, room, length);
    if (error != BH_OK) {
        return error;
    }
    if (*length > BH_DEFINITION_BYTES_MAX) {
        return say(diagnostics, BH_LIMIT,
                   "it is larger than 1 MiB, which no definition is\n"
                   "is this the definition's YAML file?");
    }
    if (*length >= 3 && memcmp(bytes, mark, 3) == 0) {
        bytes += 3;
        *length -= 3;
    }
    *text = bytes;
    return BH_OK;
}

int bh_file_read(struct bh_arena *arena, const char *path, const char **text, size_t *length,
                 struct bh_diagnostics *diagnostics)
{
    /* Not blocking: a FIFO is refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int error;

    if (fd < 0) {
        return say_errno(diagnostics, errno);
    }
    error = read_open(arena, fd, text, length, diagnostics);
    (void)close(fd);
    return error;
}
