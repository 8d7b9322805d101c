/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of a start share: child.c and child_reach.c, the starter's, and child_exec.c,
 * which runs in the new process. Private to host/.
 */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include "bulkhead/host_child.h"

/* All that the new process needs, made before it exists. */
struct bh_child_plan {
    const struct bh_child_setup *setup;
    const char *const *environment;
    int rules_fd;   /* what it may open (child_reach.c); -1: whatever its user may */
    int starter_fd; /* the starter's end of the line between the two: closed at once */
    int line_fd;    /* its own end: a byte lets it go, an errno value goes back, exec closes it */
};

/* Ends in the program, or reports why not and exits. It makes system calls and nothing else: the
 * memory is a copy in which a lock may be held for ever. */
_Noreturn void bh_child_become(const struct bh_child_plan *plan);

/* The rules of setup->reach, to be closed by the caller; -1: the kernel cannot hold to them. */
int bh_child_reach(const struct bh_child_setup *setup);

#endif
