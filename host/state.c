/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state folder (host_state.h). A file in it is replaced as a whole: written beside its place,
 * forced to the disk, renamed, and the folder forced to the disk. After a loss of power there is
 * the old number or the new one.
 */
#include "bulkhead/host_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/host_error.h"

#define MODE_MINE     0700u
#define MODE_FILE     0600u
#define FILE_ROLLBACK "rollback"
#define FILE_PLATFORM "platform"
#define FILE_BYTES    64u /* more than either file can have */
#define NUMBER_BASE   10

__attribute__((format(printf, 3, 4))) static int refuse(struct bh_state_folder *state, int result,
                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(state->why, sizeof(state->why), format, arguments);
    va_end(arguments);
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * the folder */

static int find(struct bh_state_folder *state, const char *given)
{
    const char *base = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (given != NULL) {
        length = snprintf(state->path, sizeof(state->path), "%s", given);
    } else if (geteuid() == 0) {
        length = snprintf(state->path, sizeof(state->path), "/var/lib/bulkhead/%s", state->name);
    } else if (base != NULL && base[0] == '/') {
        length = snprintf(state->path, sizeof(state->path), "%s/bulkhead/%s", base, state->name);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(state->path, sizeof(state->path), "%s/.local/state/bulkhead/%s", home,
                          state->name);
    } else {
        return refuse(state, BH_STATE,
                      "there is no place for the state of platform %s: neither XDG_STATE_HOME nor "
                      "HOME is set; set one, or name a folder with --state",
                      state->name);
    }
    if (length <= 0 || (size_t)length >= sizeof(state->path)) {
        return refuse(state, BH_LIMIT,
                      "the path of the state folder is empty or too long; name another one with "
                      "--state");
    }
    return BH_OK;
}

/* Makes the folder and those above it. What goes wrong shows when it is opened. */
static void make(char *path)
{
    for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(path, MODE_MINE);
        *at = '/';
    }
    (void)mkdir(path, MODE_MINE);
}

static int check_owner(struct bh_state_folder *state)
{
    struct stat status;
    if (fstat(state->fd, &status) != 0) {
        return refuse(state, bh_error_from_errno(errno), "%s: the state folder: %s", state->path,
                      strerror(errno));
    }
    if (status.st_uid != geteuid()) {
        return refuse(state, BH_DENIED,
                      "%s: the state folder belongs to another user (%u), who could make an older "
                      "image acceptable; run as that user, or name another folder with --state",
                      state->path, (unsigned int)status.st_uid);
    }
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return refuse(state, BH_DENIED,
                      "%s: others may write to the state folder, and could make an older image "
                      "acceptable; `chmod go-w` it, or name another folder with --state",
                      state->path);
    }
    /* Known before anything is started, not when the first number is to be written. */
    if (faccessat(state->fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return refuse(state, BH_DENIED,
                      "%s: the state folder cannot be written: %s; let this user write there, or "
                      "name another folder with --state",
                      state->path, strerror(errno));
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * files */

static int refuse_file(struct bh_state_folder *state, const char *name, const char *what)
{
    int number = errno;
    return refuse(state, bh_error_from_errno(number),
                  "%s/%s: cannot be %s: %s; mend it, or name another folder with --state",
                  state->path, name, what, strerror(number));
}

/* Reads a file's one line. No file: *length is 0. A line without an end, or anything but a small
 * regular file: BH_PROTOCOL. */
static int read_line(struct bh_state_folder *state, const char *name, char line[FILE_BYTES],
                     size_t *length)
{
    struct stat status;
    *length = 0;
    int fd = openat(state->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return BH_OK;
    }
    if (fd < 0) {
        return refuse_file(state, name, "opened");
    }
    int result = BH_PROTOCOL;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 1 &&
        status.st_size < (off_t)FILE_BYTES) {
        ssize_t got = pread(fd, line, FILE_BYTES - 1u, 0);
        if (got < 0) {
            result = refuse_file(state, name, "read");
        } else if (got > 1 && memchr(line, '\n', (size_t)got) == line + got - 1) {
            *length = (size_t)got - 1u;
            line[*length] = '\0';
            result = strlen(line) == *length ? BH_OK : BH_PROTOCOL;
        }
    }
    (void)close(fd);
    if (result == BH_PROTOCOL) {
        return refuse(state, BH_PROTOCOL,
                      "%s/%s: damaged: it is not one line; restore it from a backup, or write what "
                      "belongs there",
                      state->path, name);
    }
    return result;
}

static int write_new(struct bh_state_folder *state, const char *new, const char *line,
                     size_t length)
{
    int fd =
        openat(state->fd, new, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, MODE_FILE);
    if (fd < 0) {
        return refuse_file(state, new, "written");
    }
    int result = BH_OK;
    ssize_t done = write(fd, line, length);
    if (done >= 0 && (size_t)done != length) {
        errno = ENOSPC;
        done = -1;
    }
    if (done < 0 || fsync(fd) != 0) {
        result = refuse_file(state, new, "written");
    }
    if (close(fd) != 0 && result == BH_OK) {
        result = refuse_file(state, new, "written");
    }
    return result;
}

static int write_line(struct bh_state_folder *state, const char *name, const char *text)
{
    char new[FILE_BYTES];
    char line[FILE_BYTES];
    int length = snprintf(line, sizeof(line), "%s\n", text);
    (void)snprintf(new, sizeof(new), ".%s.new", name);
    int result = write_new(state, new, line, (size_t)length);
    if (result == BH_OK &&
        (renameat(state->fd, new, state->fd, name) != 0 || fsync(state->fd) != 0)) {
        result = refuse_file(state, name, "written");
    }
    if (result != BH_OK) {
        (void)unlinkat(state->fd, new, 0);
    }
    return result;
}

/* Whether the folder is this platform's, as far as it says whose it is. */
static int check_platform(struct bh_state_folder *state, bool *known)
{
    char line[FILE_BYTES];
    size_t length;
    int result = read_line(state, FILE_PLATFORM, line, &length);
    *known = length > 0;
    if (result == BH_OK && *known && strcmp(line, state->name) != 0) {
        result = refuse(state, BH_DENIED,
                        "%s: this is the state folder of another platform than %s (its file "
                        "platform says which); run that one's image, or name another folder with "
                        "--state",
                        state->path, state->name);
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * the contract */

int bh_state_open(struct bh_state_folder *state, const char *given, const char *name)
{
    bool known;
    *state = (struct bh_state_folder){.fd = -1};
    if (strnlen(name, BH_STATE_NAME_MAX + 1u) > BH_STATE_NAME_MAX) {
        return refuse(state, BH_INVALID, "the name of the platform is too long");
    }
    (void)snprintf(state->name, sizeof(state->name), "%s", name);
    int result = find(state, given);
    if (result != BH_OK) {
        return result;
    }
    make(state->path);
    state->fd = open(state->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->fd < 0) {
        int number = errno;
        return refuse(state, bh_error_from_errno(number),
                      "%s: the state folder cannot be made or opened: %s; let this user write "
                      "there, or name another folder with --state",
                      state->path, strerror(number));
    }
    result = check_owner(state);
    if (result == BH_OK) {
        result = check_platform(state, &known);
    }
    if (result != BH_OK) {
        bh_state_close(state);
    }
    return result;
}

void bh_state_close(struct bh_state_folder *state)
{
    if (state->fd >= 0) {
        (void)close(state->fd);
        state->fd = -1;
    }
}

int bh_state_rollback_read(struct bh_state_folder *state, uint64_t *number)
{
    char line[FILE_BYTES];
    size_t length;
    *number = 0;
    int result = read_line(state, FILE_ROLLBACK, line, &length);
    if (result != BH_OK || length == 0) {
        return result;
    }
    errno = 0;
    *number = strtoull(line, NULL, NUMBER_BASE);
    if (strspn(line, "0123456789") != length || errno != 0) {
        *number = 0;
        return refuse(state, BH_PROTOCOL,
                      "%s/" FILE_ROLLBACK ": damaged: it holds no number; write the rollback index "
                      "of the newest image that ran here",
                      state->path);
    }
    return BH_OK;
}

int bh_state_rollback_write(struct bh_state_folder *state, uint64_t number)
{
    char text[FILE_BYTES];
    bool known;
    uint64_t seen;
    int result = bh_state_rollback_read(state, &seen);
    if (result == BH_OK && number < seen) {
        result = refuse(state, BH_DENIED,
                        "%s/" FILE_ROLLBACK ": %" PRIu64 " is noted, and never falls to %" PRIu64,
                        state->path, seen, number);
    }
    if (result == BH_OK) {
        result = check_platform(state, &known);
    }
    if (result == BH_OK && !known) {
        result = write_line(state, FILE_PLATFORM, state->name);
    }
    if (result == BH_OK && number > seen) {
        (void)snprintf(text, sizeof(text), "%" PRIu64, number);
        result = write_line(state, FILE_ROLLBACK, text);
    }
    return result;
}
