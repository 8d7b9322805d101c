/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The layers that change what there is around the process: who it is, which namespaces it lives in,
 * and its root. They work for root and for any user whom the kernel lets make a user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox.h"

#define NOBODY 65534u

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

/* Makes the permitted capabilities effective again: the kernel took that away with the user id. */
static int raise_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
    if (syscall(SYS_capget, &header, data) != 0) {
        return errno;
    }
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

/* Root becomes nobody; capabilities stay for the layers to come. */
int bh_layer_identity(void)
{
    if (geteuid() != 0) {
        return 0;
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, NULL) != 0 ||
        setresgid(NOBODY, NOBODY, NOBODY) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0) {
        return errno;
    }
    (void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
    /* A change of user hides /proc/self from the process itself, which is needed once more. */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) {
        return errno;
    }
    return raise_capabilities();
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int number = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
    (void)close(fd);
    return number;
}

/* In its own user namespace the process stays who it is, and nobody else exists. */
static int map_identity(uid_t user, gid_t group)
{
    char map[64];
    (void)snprintf(map, sizeof(map), "%u %u 1\n", NOBODY, user);
    int number = write_file("/proc/self/uid_map", map);
    if (number != 0) {
        return number;
    }
    number = write_file("/proc/self/setgroups", "deny");
    if (number != 0) {
        return number;
    }
    (void)snprintf(map, sizeof(map), "%u %u 1\n", NOBODY, group);
    return write_file("/proc/self/gid_map", map);
}

int bh_layer_namespaces(void)
{
    uid_t user = geteuid();
    gid_t group = getegid();
    if (unshare(CLONE_NEWUSER) != 0) {
        /* Without it the others need the capability, which root still has. Worth having; but the
         * layer is not whole. */
        int number = errno;
        (void)unshare(NAMESPACES);
        return number;
    }
    int number = map_identity(user, group);
    if (unshare(NAMESPACES) != 0) {
        return errno;
    }
    return number;
}

/* Mounts an empty directory over one that exists, and makes it the root; the old root goes. */
int bh_layer_root(void)
{
    static const char place[] = "/proc";
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", place, "tmpfs", flags, "size=4k,nr_inodes=2,mode=0555") != 0 ||
        chdir(place) != 0) {
        return errno;
    }
    if (syscall(SYS_pivot_root, ".", ".") != 0) {
        /* The first root of a machine (an initramfs) cannot be moved away: then a chroot, which
         * without capabilities has no way out either. */
        if (chroot(".") != 0 || chdir("/") != 0) {
            return errno;
        }
        return mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | flags, NULL) == 0 ? 0 : errno;
    }
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0 ||
        mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | flags, NULL) != 0) {
        return errno;
    }
    return 0;
}
