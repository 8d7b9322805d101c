/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of Landlock rules (landlock.h).
 */
#include "landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's structure and bits up to ABI 6, which the headers of the build may not know yet. */
struct ruleset {
    uint64_t files;
    uint64_t network; /* since ABI 4 */
    uint64_t scoped;  /* since ABI 6 */
};

#define NETWORK_ALL    0x3u                 /* bind and connect TCP */
#define SCOPED_ALL     0x3u                 /* abstract Unix sockets, signals */
#define FILE_IOCTL_DEV (UINT64_C(1) << 15u) /* since ABI 5 */
#define FILE_READ      ((uint64_t)LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE)

/* All file rights of an ABI. */
static uint64_t file_rights(int abi)
{
    static const unsigned int bits[] = {0, 13, 14, 15, 15, 16}; /* how many there are */
    unsigned int known = (unsigned int)abi < 5u ? (unsigned int)abi : 5u;
    return (UINT64_C(1) << bits[known]) - 1u;
}

int bh_landlock_create(int *abi)
{
    struct ruleset rules = {0, 0, 0};
    size_t size = sizeof(rules.files);
    long found =
        syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, LANDLOCK_CREATE_RULESET_VERSION);
    if (found < 1) {
        errno = found < 0 ? errno : ENOSYS;
        return -1;
    }
    *abi = (int)found;
    rules.files = file_rights(*abi);
    if (found >= 4) {
        rules.network = NETWORK_ALL;
        size = offsetof(struct ruleset, scoped);
    }
    if (found >= 6) {
        rules.scoped = SCOPED_ALL;
        size = sizeof(rules);
    }
    return (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0u);
}

int bh_landlock_allow(int rules, int abi, int fd, bool writable)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = FILE_READ, .parent_fd = fd};
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return errno;
    }
    if (S_ISDIR(status.st_mode)) {
        rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    }
    if (writable) {
        rule.allowed_access |= LANDLOCK_ACCESS_FS_WRITE_FILE | FILE_IOCTL_DEV;
    }
    rule.allowed_access &= file_rights(abi);
    return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0u) == 0
               ? 0
               : errno;
}
