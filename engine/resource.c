/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens and checks resources (resource.h). Nothing that is done here changes one, and nothing is
 * locked: the back end does that. Its lock would be refused too, but later, and in its own words.
 */
#include "resource.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bulkhead/error.h"
#include "bulkhead/host_entropy.h"
#include "bulkhead/host_error.h"

#define SECTOR_BYTES  512u
#define LOCK_WAIT_MS  500u /* what was killed lets go of its locks within this time */
#define LOCK_PAUSE_MS 20u
#define OWN_PATH      32u

struct attempt;

/* How resources of a type are opened. */
struct kind {
    /* Their path in the definition; NULL: this version opens none of this type. */
    const struct bh_text *(*path)(const struct bh_resource *resource);
    int (*missing)(const struct attempt *attempt); /* nothing is at the path: says what to do */
    /* Whether what is at the path may be opened. BH_OK, or an error, said. */
    int (*check)(const struct attempt *attempt, const struct stat *status);
    /* Whether what was opened is fit for use; NULL: it is. */
    int (*check_open)(const struct attempt *attempt, int fd, const struct stat *status,
                      struct bh_open_resource *resource);
};

/* What is being opened, for the messages. */
struct attempt {
    const struct kind *kind;
    const struct bh_text *text; /* the path as the definition has it */
    const char *path;           /* absolute */
    bool writable;
    struct bh_diagnostics *diagnostics;
};

static const char *kind_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "a file";
    case S_IFDIR:
        return "a folder";
    case S_IFCHR:
        return "a character device";
    case S_IFBLK:
        return "a block device";
    case S_IFIFO:
        return "a pipe";
    case S_IFSOCK:
        return "a socket";
    default:
        return "no file";
    }
}

static int refuse_errno(const struct attempt *attempt, int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return attempt->kind->missing(attempt);
    case EACCES:
    case EPERM:
    case EROFS:
        bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-denied",
                           attempt->text->at, "%s may not be %s: %s\n%s", attempt->path,
                           attempt->writable ? "written" : "read", strerror(number),
                           attempt->writable
                               ? "give this user the right to write it, or let the policy allow "
                                 "nothing that writes"
                               : "give this user the right to read it");
        return BH_DENIED;
    case EMFILE:
    case ENFILE:
        bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "host-limit", attempt->text->at,
                           "%s cannot be opened: %s\nraise this user's limit of open files (ulimit "
                           "-n)",
                           attempt->path, strerror(number));
        return BH_LIMIT;
    default:
        bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-denied",
                           attempt->text->at, "%s cannot be opened: %s", attempt->path,
                           strerror(number));
        return bh_error_from_errno(number);
    }
}

/* It is of the wrong kind; `needs`: what this type needs. */
static int refuse_kind(const struct attempt *attempt, const struct stat *status, const char *needs)
{
    bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-kind", attempt->text->at,
                       "%s is %s\n%s", attempt->path, kind_name(status->st_mode), needs);
    return BH_INVALID;
}

/* ------------------------------------------------------------------------------------------------
 * disks */

static const struct bh_text *disk_path(const struct bh_resource *resource)
{
    return &resource->image;
}

static int disk_missing(const struct attempt *attempt)
{
    bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-missing",
                       attempt->text->at,
                       "there is no %s\ncreate it (an empty disk of 64 MiB: truncate -s 64M %s), "
                       "or correct the path",
                       attempt->path, attempt->path);
    return BH_GONE;
}

static int disk_check(const struct attempt *attempt, const struct stat *status)
{
    if (S_ISREG(status->st_mode) || S_ISBLK(status->st_mode)) {
        return BH_OK;
    }
    return refuse_kind(attempt, status, "a disk needs a raw image file or a block device");
}

/* The lock that is in the way: F_UNLCK: none, or a file system without locks. Then the back end
 * says what it thinks of it. */
static int find_lock(const struct attempt *attempt, int fd)
{
    struct flock lock = {.l_type = attempt->writable ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 ? lock.l_type : F_UNLCK;
}

/* Another program that has it open for a guest holds a lock on it. One that is just ending is
 * waited for: a run may follow at once on one that was killed. */
static int check_lock(const struct attempt *attempt, int fd)
{
    const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
    int type = find_lock(attempt, fd);
    for (uint32_t waited = 0; type != F_UNLCK && waited < LOCK_WAIT_MS; waited += LOCK_PAUSE_MS) {
        (void)nanosleep(&pause, NULL);
        type = find_lock(attempt, fd);
    }
    if (type == F_UNLCK) {
        return BH_OK;
    }
    bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-in-use",
                       attempt->text->at,
                       "%s is in use by another program, which has it locked for %s\n"
                       "`bulkhead status` lists the platforms that run, `bulkhead stop NAME` ends "
                       "one; or give this device an image of its own",
                       attempt->path, type == F_WRLCK ? "writing" : "reading");
    return BH_STATE;
}

static int disk_check_open(const struct attempt *attempt, int fd, const struct stat *status,
                           struct bh_open_resource *resource)
{
    uint64_t bytes = (uint64_t)status->st_size;
    if (S_ISBLK(status->st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) != 0) {
        return refuse_errno(attempt, errno);
    }
    if (bytes < SECTOR_BYTES) {
        bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-empty",
                           attempt->text->at,
                           "%s is empty\ngive it a size (truncate -s 64M %s), and the guest a file "
                           "system in it if it expects one (mkfs.ext4 %s)",
                           attempt->path, attempt->path, attempt->path);
        return BH_INVALID;
    }
    resource->bytes = bytes;
    return check_lock(attempt, fd);
}

/* ------------------------------------------------------------------------------------------------
 * sources of entropy */

static const struct bh_text *source_path(const struct bh_resource *resource)
{
    return &resource->source;
}

static int source_missing(const struct attempt *attempt)
{
    bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-missing",
                       attempt->text->at,
                       "there is no %s\nleave `source` out to use the kernel's generator, or "
                       "correct the path",
                       attempt->path);
    return BH_GONE;
}

/* The back end would refuse it too, but later, and in its own words. */
static int check_source(const struct attempt *attempt, const struct stat *status)
{
    const char *objection = bh_entropy_objection(status);
    if (objection == NULL) {
        return BH_OK;
    }
    bh_diagnostics_add(attempt->diagnostics, BH_SEVERITY_ERROR, "resource-kind", attempt->text->at,
                       "%s %s\n"
                       "leave `source` out to use the kernel's generator, or name a hardware "
                       "source, such as /dev/hwrng",
                       attempt->path, objection);
    return BH_INVALID;
}

static int source_check(const struct attempt *attempt, const struct stat *status)
{
    if (S_ISCHR(status->st_mode)) {
        return check_source(attempt, status);
    }
    return refuse_kind(attempt, status,
                       "an entropy source is a character device, such as /dev/hwrng");
}

/* ------------------------------------------------------------------------------------------------
 * all of them: a type without a line has no back end yet, and nothing of it is opened */

static const struct kind kinds[BH_RESOURCE_TYPES] = {
    [BH_RESOURCE_DISK] = {disk_path, disk_missing, disk_check, disk_check_open},
    [BH_RESOURCE_ENTROPY] = {source_path, source_missing, source_check, NULL},
};

/* The path that the kernel has for an open descriptor: what is at the definition's path by now may be
 * something else. */
static void own_path(int fd, char *path, size_t size)
{
    (void)snprintf(path, size, "/proc/self/fd/%d", fd);
}

static int open_handle(int fd)
{
    char path[OWN_PATH];
    own_path(fd, path, sizeof(path));
    return open(path, O_PATH | O_CLOEXEC);
}

/* The kind is checked before and after: opening a pipe or a tape has effects. */
static int open_checked(const struct attempt *attempt, struct bh_open_resource *resource)
{
    struct stat status;
    if (stat(attempt->path, &status) != 0) {
        return refuse_errno(attempt, errno);
    }
    int result = attempt->kind->check(attempt, &status);
    if (result != BH_OK) {
        return result;
    }
    int fd = open(attempt->path,
                  (attempt->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return refuse_errno(attempt, errno);
    }
    if (fstat(fd, &status) != 0 || fcntl(fd, F_SETFL, 0) != 0) {
        result = refuse_errno(attempt, errno);
    } else {
        result = attempt->kind->check(attempt, &status);
    }
    if (result == BH_OK && attempt->kind->check_open != NULL) {
        result = attempt->kind->check_open(attempt, fd, &status, resource);
    }
    if (result == BH_OK) {
        resource->handle = open_handle(fd);
        result = resource->handle >= 0 ? BH_OK : refuse_errno(attempt, errno);
    }
    if (result != BH_OK) {
        (void)close(fd);
        return result;
    }
    resource->fd = fd;
    resource->device_number = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev;
    resource->inode = S_ISBLK(status.st_mode) ? 0 : status.st_ino;
    return BH_OK;
}

int bh_resource_open(struct bh_open_resource *resource, const struct bh_platform *platform,
                     const struct bh_guest *guest, const struct bh_device_definition *device,
                     struct bh_diagnostics *diagnostics)
{
    char path[PATH_MAX];
    const struct bh_resource *uses = device->uses;
    *resource = (struct bh_open_resource){
        .fd = -1, .handle = -1, .device = device, .guest = guest->name.text};
    if (uses == NULL || kinds[uses->type.value].path == NULL) {
        return BH_OK;
    }
    resource->operations = bh_policy_operations(platform, guest, uses, BH_MODES_ALL);
    resource->rights = bh_policy_rights(uses->type.value, resource->operations);
    const struct attempt attempt = {
        .kind = &kinds[uses->type.value],
        .text = kinds[uses->type.value].path(uses),
        .path = path,
        .writable = (resource->rights & BH_RIGHT_WRITE) != 0u,
        .diagnostics = diagnostics,
    };
    if (attempt.text->text == NULL) {
        return BH_OK; /* the kernel's generator */
    }
    int result = bh_platform_path(platform, attempt.text, path, sizeof(path));
    if (result != BH_OK) {
        bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "resource-missing", attempt.text->at,
                           "the path has more than %u characters", (unsigned int)sizeof(path));
        return result;
    }
    return open_checked(&attempt, resource);
}

static bool is_disk(const struct bh_open_resource *resource)
{
    return resource->fd >= 0 && resource->device->uses->type.value == BH_RESOURCE_DISK;
}

int bh_resource_again(struct bh_open_resource *resource)
{
    char path[OWN_PATH];
    bool writable = (resource->rights & BH_RIGHT_WRITE) != 0u;
    own_path(resource->handle, path, sizeof(path));
    resource->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
    return resource->fd >= 0 ? BH_OK : bh_error_from_errno(errno);
}

bool bh_resource_clash(const struct bh_open_resource *a, const struct bh_open_resource *b)
{
    return is_disk(a) && is_disk(b) && a->device_number == b->device_number &&
           a->inode == b->inode && ((a->rights | b->rights) & BH_RIGHT_WRITE) != 0u;
}

void bh_resource_clash_say(const struct bh_open_resource *a, const struct bh_open_resource *b,
                           struct bh_diagnostics *diagnostics)
{
    bh_diagnostics_add(diagnostics, BH_SEVERITY_ERROR, "resource-twice", b->device->uses->image.at,
                       "%s/%s and %s/%s are the same disk, and the policy lets one of them write\n"
                       "give each an image of its own, or let the policy allow both nothing that "
                       "writes",
                       a->guest, a->device->name.text, b->guest, b->device->name.text);
}

void bh_resource_close(struct bh_open_resource *resource)
{
    if (resource->fd >= 0) {
        (void)close(resource->fd);
        resource->fd = -1;
    }
}

void bh_resource_finish(struct bh_open_resource *resource)
{
    bh_resource_close(resource);
    if (resource->handle >= 0) {
        (void)close(resource->handle);
        resource->handle = -1;
    }
}
