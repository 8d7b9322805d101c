/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The runtime folder: found, made, checked, locked, removed. It knows nothing of sockets.
 *
 * /tmp is everyone's, so every step is taken from a descriptor of the folder before it, follows no
 * link, and is checked after it was opened: owner, and no right for anyone else. What lies in a
 * folder that passed cannot be put there or renamed by others.
 */
#include "control_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/platform_definition.h"

#define MODE_MINE       0700u
#define MODE_OTHERS     0077u
#define MODE_LOCK       0600u
#define PID_TEXT        16u
#define PID_BASE        10
#define TAKE_TRIES      16u
#define WAIT_TRIES      50u
#define WAIT_PAUSE_MS   20u
#define USER_NAME_BYTES 32u

int bh_control_error(int number)
{
    switch (number) {
    case ENOTDIR: /* something else has the name */
    case ELOOP:
    case EISDIR:
        return BH_DENIED;
    case EMFILE:
    case ENFILE:
        return BH_AGAIN;
    case ENAMETOOLONG:
        return BH_LIMIT;
    case EFBIG: /* the limit of a file's size (ulimit -f) */
        return BH_NO_SPACE;
    default:
        return bh_error_from_errno(number);
    }
}

bool bh_control_name_valid(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    static const char characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strnlen(name, BH_NAME_MAX + 1u);
    return length > 0 && length <= BH_NAME_MAX && strchr(letters, name[0]) != NULL &&
           strspn(name, characters) == length;
}

/* Where RUNTIME is: the folder that holds it, and its name there. */
static int runtime_place(const char **parent, char *leaf, size_t size)
{
    const char *given = getenv("XDG_RUNTIME_DIR");
    int length;
    if (given != NULL && given[0] == '/') {
        *parent = given;
        length = snprintf(leaf, size, "bulkhead");
    } else if (geteuid() == 0) {
        *parent = "/run";
        length = snprintf(leaf, size, "bulkhead");
    } else {
        *parent = "/tmp";
        length = snprintf(leaf, size, "bulkhead-%u", (unsigned int)geteuid());
    }
    return length >= 0 && (size_t)length < size ? BH_OK : BH_LIMIT;
}

/* Opens the folder that holds RUNTIME. It is the user's or root's, and if others may write there,
 * they may not rename what is not theirs (/tmp). */
static int parent_open(const char *parent, int *fd)
{
    struct stat status;
    *fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        return bh_control_error(errno);
    }
    if (fstat(*fd, &status) != 0 || (status.st_uid != geteuid() && status.st_uid != 0) ||
        ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (status.st_mode & S_ISVTX) == 0)) {
        (void)close(*fd);
        return BH_DENIED;
    }
    return BH_OK;
}

/* Opens the folder `name` of `at`, which must be this user's alone. */
static int private_open(int at, const char *name, bool make, int *fd)
{
    struct stat status;
    if (make && mkdirat(at, name, MODE_MINE) != 0 && errno != EEXIST) {
        return bh_control_error(errno);
    }
    *fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0) {
        return bh_control_error(errno);
    }
    if (fstat(*fd, &status) != 0 || status.st_uid != geteuid() ||
        (status.st_mode & MODE_OTHERS) != 0) {
        (void)close(*fd);
        return BH_DENIED;
    }
    return BH_OK;
}

int bh_control_runtime_open(bool make, char *path, size_t size, int *fd)
{
    char leaf[USER_NAME_BYTES];
    const char *parent;
    int parent_fd;
    int result = runtime_place(&parent, leaf, sizeof(leaf));
    if (result != BH_OK) {
        return result;
    }
    int length = snprintf(path, size, "%s", parent);
    if (length < 0 || (size_t)length >= size) {
        return BH_LIMIT;
    }
    result = parent_open(parent, &parent_fd);
    if (result != BH_OK) {
        return result;
    }
    length = snprintf(path, size, "%s/%s", parent, leaf);
    result =
        length >= 0 && (size_t)length < size ? private_open(parent_fd, leaf, make, fd) : BH_LIMIT;
    (void)close(parent_fd);
    return result;
}

int bh_control_address(const char *runtime, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int length = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s/%s", runtime, name,
                          BH_CONTROL_SOCKET);
    return length >= 0 && (size_t)length < sizeof(address->sun_path) ? BH_OK : BH_LIMIT;
}

/* ------------------------------------------------------------------------------------------------
 * the platform's folder */

/* The process that holds the lock; 0: it has not said so yet, or the file holds something else. */
static int lock_owner(int lock_fd)
{
    char text[PID_TEXT];
    char *end;
    ssize_t length = pread(lock_fd, text, sizeof(text) - 1u, 0);
    if (length <= 0) {
        return 0;
    }
    text[length] = '\0';
    long number = strtol(text, &end, PID_BASE);
    return end != text && *end == '\n' && number > 0 && number <= INT32_MAX ? (int)number : 0;
}

static int lock_sign(int lock_fd)
{
    char text[PID_TEXT];
    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(lock_fd, 0) != 0) {
        return bh_control_error(errno);
    }
    ssize_t written = pwrite(lock_fd, text, (size_t)length, 0);
    if (written < 0) {
        return bh_control_error(errno);
    }
    return written == length ? BH_OK : BH_NO_SPACE;
}

/* Whether the lock is still the one that others find: its last owner may have removed it between
 * our opening and our locking it. */
static bool lock_is_current(const struct bh_control_folder *folder)
{
    struct stat mine;
    struct stat found;
    return fstat(folder->lock_fd, &mine) == 0 &&
           fstatat(folder->folder_fd, BH_CONTROL_LOCK, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_dev == found.st_dev && mine.st_ino == found.st_ino;
}

/* Opens and locks; BH_GONE: somebody removed it meanwhile. */
static int lock_take(struct bh_control_folder *folder, int *pid)
{
    folder->lock_fd = openat(folder->folder_fd, BH_CONTROL_LOCK,
                             O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, MODE_LOCK);
    if (folder->lock_fd < 0) {
        return bh_control_error(errno);
    }
    int result = BH_OK;
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        *pid = lock_owner(folder->lock_fd);
        result = errno == EWOULDBLOCK ? BH_STATE : bh_control_error(errno);
    } else if (!lock_is_current(folder)) {
        result = BH_GONE;
    }
    if (result != BH_OK) {
        (void)close(folder->lock_fd);
    }
    return result;
}

static int folder_try(struct bh_control_folder *folder, const char *name, int *pid)
{
    int result = private_open(folder->runtime_fd, name, true, &folder->folder_fd);
    if (result != BH_OK) {
        return result;
    }
    result = lock_take(folder, pid);
    if (result != BH_OK) {
        (void)close(folder->folder_fd);
    }
    return result;
}

static bool owner_is_dead(int result, int pid)
{
    return result == BH_STATE && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

int bh_control_folder_take(struct bh_control_folder *folder, const char *name, char *path,
                           size_t size, int *pid)
{
    const struct timespec pause = {.tv_nsec = WAIT_PAUSE_MS * 1000000L};
    *pid = 0;
    int result = bh_control_runtime_open(true, path, size, &folder->runtime_fd);
    if (result != BH_OK) {
        return result;
    }
    size_t used = strlen(path);
    int length = snprintf(path + used, size - used, "/%s", name);
    if (length < 0 || (size_t)length >= size - used) {
        (void)close(folder->runtime_fd);
        return BH_LIMIT;
    }
    /* One that ends at this moment takes the folder away under our feet: again, then. One that was
     * killed may have a child with its lock, which is just ending. */
    result = BH_GONE;
    for (uint32_t i = 0; i < TAKE_TRIES && result == BH_GONE; i++) {
        result = folder_try(folder, name, pid);
    }
    for (uint32_t i = 0; i < WAIT_TRIES && (result == BH_GONE || owner_is_dead(result, *pid));
         i++) {
        (void)nanosleep(&pause, NULL);
        result = folder_try(folder, name, pid);
    }
    if (result != BH_OK) {
        (void)close(folder->runtime_fd);
        return result;
    }
    result = lock_sign(folder->lock_fd);
    if (result == BH_OK &&
        ((unlinkat(folder->folder_fd, BH_CONTROL_SOCKET, 0) != 0 && errno != ENOENT) ||
         (unlinkat(folder->folder_fd, BH_CONTROL_METRICS, 0) != 0 && errno != ENOENT))) {
        result = bh_control_error(errno);
    }
    if (result != BH_OK) {
        bh_control_folder_release(folder, name);
    }
    return result;
}

void bh_control_folder_release(struct bh_control_folder *folder, const char *name)
{
    /* The lock is let go last: a successor that has it finds nothing of ours. What cannot be
     * removed is a leftover, and taken over by the next one. */
    (void)unlinkat(folder->folder_fd, BH_CONTROL_METRICS, 0);
    (void)unlinkat(folder->folder_fd, BH_CONTROL_SOCKET, 0);
    (void)unlinkat(folder->folder_fd, BH_CONTROL_LOCK, 0);
    (void)unlinkat(folder->runtime_fd, name, AT_REMOVEDIR);
    (void)close(folder->lock_fd);
    (void)close(folder->folder_fd);
    (void)close(folder->runtime_fd);
}

int bh_control_folder_metrics(const char *path, int *fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length =
        snprintf(address.sun_path, sizeof(address.sun_path), "%s/" BH_CONTROL_METRICS, path);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        return BH_LIMIT;
    }
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return bh_control_error(errno);
    }
    if (bind(*fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(*fd, SOMAXCONN) != 0) {
        int result = bh_control_error(errno);
        (void)close(*fd);
        *fd = -1;
        return result;
    }
    return BH_OK;
}
