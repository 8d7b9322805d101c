/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the two sides of a start share: child.c, the starter's, and child_exec.c, which runs in the
 * new process. Private to host/.
 */
#ifndef HOST_CHILD_H
#define HOST_CHILD_H

#include "bulkhead/host_child.h"

/* All that the new process needs, made before it exists. */
struct bh_child_plan {
    const struct bh_child_setup *setup;
    const char *const *environment;
    int starter_fd; /* the starter's end of the line between the two: closed at once */
    int line_fd;    /* its own end: a byte lets it go, an errno value goes back, exec closes it */
};

/* Ends in the program, or reports why not and exits. It makes system calls and nothing else: the
 * memory is a copy in which a lock may be held for ever. */
_Noreturn void bh_child_become(const struct bh_child_plan *plan);

#endif
