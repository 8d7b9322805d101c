/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The child's part of test_child.c: the test program starts itself with the name of a role. Not a
 * test.
 */
#ifndef CHILD_ROLE_H
#define CHILD_ROLE_H

#define REACH_GIVEN 5 /* the role "reach": a descriptor for reading */

/* Plays a role ("descriptors", "state", "names", "environment", "reach", "wait"), which prints what it
 * finds. Returns the exit status; 3: no such role. */
int child_role_play(const char *role);

#endif
