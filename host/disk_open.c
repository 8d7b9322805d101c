/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens an image or block device, locks it, and finds out what it is and can do. Nothing that is
 * tried here changes the resource. It runs once, before the sandbox closes; only the lock may be taken
 * later (standby).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_path.h"
#include "disk.h"
#include "disk_probe.h"

#define LOCK_PAUSE_MS 20u
#define LOCK_QUIET_MS 1000u /* a wait that is longer is worth a line in the log */

/* What kind of thing it is; devices that are no disks must not even be opened. */
static int check_kind(const struct stat *status, const char *path)
{
    const char *what = "no file or block device";
    if (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)) {
        return BH_OK;
    }
    if (S_ISDIR(status->st_mode)) {
        what = "a directory";
    } else if (S_ISFIFO(status->st_mode)) {
        what = "a pipe";
    } else if (S_ISCHR(status->st_mode)) {
        what = "a character device";
    } else if (S_ISSOCK(status->st_mode)) {
        what = "a socket";
    }
    bh_log(BH_LOG_ERROR, "%s: is %s", path, what);
    return BH_INVALID;
}

static int report_errno(const char *path, const char *what, int number)
{
    bh_log(BH_LOG_ERROR, "%s: %s: %s", path, what, strerror(number));
    return bh_error_from_errno(number);
}

/* Opens by name. The kind is checked before and after: opening a pipe or a tape has effects. */
static int open_path(const char *path, int flags, int *fd)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return report_errno(path, "cannot be opened", errno);
    }
    int result = check_kind(&status, path);
    if (result != BH_OK) {
        return result;
    }
    int opened = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (opened < 0) {
        return report_errno(path, "cannot be opened", errno);
    }
    /* The ring would take O_NONBLOCK as "never wait". */
    if (fstat(opened, &status) != 0 || check_kind(&status, path) != BH_OK ||
        fcntl(opened, F_SETFL, flags & O_DIRECT) != 0) {
        (void)close(opened);
        return BH_INVALID;
    }
    *fd = opened;
    return BH_OK;
}

/* Another open file description of what `fd` is. */
static int reopen(int fd, int flags, int *again)
{
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int opened = open(path, flags | O_CLOEXEC | O_NOCTTY);
    if (opened < 0) {
        return bh_error_from_errno(errno);
    }
    *again = opened;
    return BH_OK;
}

/* Takes over a descriptor. Its mode must be no more and no less than what the disk needs: O_APPEND
 * would move writes, and a writable one is no read-only disk. */
static int adopt_fd(const char *path, int number, bool read_only, int *fd)
{
    struct stat status;
    int flags = fcntl(number, F_GETFL);
    if (flags < 0 || fstat(number, &status) != 0) {
        return report_errno(path, "cannot be used", errno);
    }
    int result = check_kind(&status, path);
    if (result != BH_OK) {
        return result;
    }
    if (read_only && (flags & O_ACCMODE) != O_RDONLY) {
        result = reopen(number, O_RDONLY, fd);
        if (result != BH_OK) {
            bh_log(BH_LOG_ERROR, "%s: is open for writing and cannot be opened read-only", path);
        }
        (void)close(number);
        return result;
    }
    if (!read_only && (flags & O_ACCMODE) != O_RDWR) {
        bh_log(BH_LOG_ERROR, "%s: is not open for reading and writing", path);
        return BH_DENIED;
    }
    if (((flags & (O_APPEND | O_NONBLOCK | O_DIRECT)) != 0 && fcntl(number, F_SETFL, 0) != 0) ||
        fcntl(number, F_SETFD, FD_CLOEXEC) != 0) {
        return report_errno(path, "cannot be used", errno);
    }
    *fd = number;
    return BH_OK;
}

static int open_resource(const struct bh_disk_setup *setup, int *fd)
{
    int number = bh_path_fd(setup->path);
    if (number >= 0) {
        return adopt_fd(setup->path, number, setup->read_only, fd);
    }
    if (number == BH_INVALID) {
        return report_errno(setup->path, "cannot be used", EBADF);
    }
    return open_path(setup->path, setup->read_only ? O_RDONLY : O_RDWR, fd);
}

/* The lock is on the description whose writes can outlive the process: direct ones. Those through the
 * page cache end before it does. */
static int locked_fd(const struct bh_disk_resource *resource)
{
    return resource->direct_fd >= 0 ? resource->direct_fd : resource->fd;
}

/* 0, or the errno that tells why not. */
static int try_lock(int fd, bool read_only)
{
    struct flock lock = {.l_type = read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return 0;
    }
    return errno == EACCES ? EAGAIN : errno;
}

int bh_disk_resource_claim(struct bh_disk_resource *resource)
{
    int number = try_lock(locked_fd(resource), resource->read_only);
    return number == 0 ? BH_OK : number == EAGAIN ? BH_AGAIN : bh_error_from_errno(number);
}

/* Signals are taken by the event loop, which does not run yet: the end must not wait for a lock. */
static bool end_is_asked_for(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 &&
           (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* One writer or many readers. A predecessor that was killed holds its lock until its last operation
 * has ended, which a slow medium delays: it is waited for. */
static int lock_resource(const struct bh_disk_setup *setup, int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    for (uint32_t waited = 0;; waited += LOCK_PAUSE_MS) {
        int number = try_lock(fd, setup->read_only);
        if (number == 0) {
            return BH_OK;
        }
        if (number != EAGAIN) {
            return report_errno(setup->path, "cannot be locked", number);
        }
        if (waited >= setup->patience_ms || end_is_asked_for()) {
            bh_log(BH_LOG_ERROR, "%s: is in use by another process (locked)", setup->path);
            return BH_STATE;
        }
        if (waited == LOCK_QUIET_MS) {
            bh_log(BH_LOG_WARNING, "%s: waiting for another process to let go of it", setup->path);
        }
        (void)nanosleep(&pause, NULL);
    }
}

/* Direct I/O on a description of its own, so that what is not aligned has the other one. */
static int open_direct(struct bh_disk_resource *resource, const char *path)
{
    int result = reopen(resource->fd, (resource->read_only ? O_RDONLY : O_RDWR) | O_DIRECT,
                        &resource->direct_fd);
    if (result == BH_OK) {
        resource->direct_alignment = bh_disk_probe_alignment(resource);
    }
    if (result != BH_OK || resource->direct_alignment == 0u) {
        bh_log(BH_LOG_ERROR, "%s: direct I/O is not possible here", path);
        return BH_UNSUPPORTED;
    }
    return BH_OK;
}

static int prepare(struct bh_disk_resource *resource, const struct bh_disk_setup *setup)
{
    int result = bh_disk_probe(resource);
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "%s: cannot be examined", setup->path);
        return result;
    }
    if (setup->direct) {
        result = open_direct(resource, setup->path);
        if (result != BH_OK) {
            return result;
        }
    }
    result = setup->standby ? BH_OK : lock_resource(setup, locked_fd(resource));
    if (result != BH_OK) {
        return result;
    }
    if (resource->size < BH_BLK_SECTOR) {
        bh_log(BH_LOG_ERROR, "%s: is empty", setup->path);
        return BH_INVALID;
    }
    if (resource->size % BH_BLK_SECTOR != 0u) {
        bh_log(BH_LOG_WARNING, "%s: the last %u bytes are no whole sector and are left out",
               setup->path, (unsigned int)(resource->size % BH_BLK_SECTOR));
    }
    return BH_OK;
}

int bh_disk_resource_open(struct bh_disk_resource *resource, const struct bh_disk_setup *setup)
{
    *resource = (struct bh_disk_resource){
        .fd = -1, .direct_fd = -1, .wear_fds = {-1, -1}, .read_only = setup->read_only};
    int result = open_resource(setup, &resource->fd);
    if (result != BH_OK) {
        return result;
    }
    result = prepare(resource, setup);
    if (result != BH_OK) {
        bh_disk_resource_close(resource);
    }
    return result;
}

void bh_disk_resource_close(struct bh_disk_resource *resource)
{
    int *const all[] = {&resource->wear_fds[0], &resource->wear_fds[1], &resource->direct_fd,
                        &resource->fd};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (*all[i] >= 0) {
            (void)close(*all[i]);
            *all[i] = -1;
        }
    }
}
