/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a child may open: the rules that it takes upon itself before it becomes its program. They
 * are made by the starter, so that the new process has nothing to do but to take them.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "child.h"
#include "landlock.h"

/* What is not there cannot be reached: no error. */
static int allow_path(int rules, int abi, const char *path, bool writable)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : errno;
    }
    int number = bh_landlock_allow(rules, abi, fd, writable);
    (void)close(fd);
    return number;
}

/* A program that is given a file may know only how to open one: /proc/self/fd/N. */
static int allow_given(int rules, int abi, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) {
        return errno;
    }
    int number = bh_landlock_allow(rules, abi, fd, (flags & O_ACCMODE) != O_RDONLY);
    return number == EBADFD ? 0 : number;
}

int bh_child_reach(const struct bh_child_setup *setup)
{
    int abi = 0;
    int rules = bh_landlock_create(&abi);
    if (rules < 0) {
        return -1;
    }
    int number = allow_path(rules, abi, setup->program, false);
    if (number == 0) {
        number = allow_path(rules, abi, "/dev/null", true);
    }
    for (const struct bh_child_path *at = setup->reach; at->path != NULL && number == 0; at++) {
        number = allow_path(rules, abi, at->path, at->writable);
    }
    for (uint32_t i = 0; i < setup->fd_count && number == 0; i++) {
        number = allow_given(rules, abi, setup->fds[i].from);
    }
    if (number != 0) {
        (void)close(rules);
        return -1;
    }
    return rules;
}
