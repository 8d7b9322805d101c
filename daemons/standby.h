/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon that stands by: started ahead of its turn, with its sandbox closed, it touches its resource
 * only when somebody speaks to it. So the process that has the resource before it may still run, and the
 * time from its end to this one's first answer is short. Private to daemons/.
 *
 * Thread: one; before the loop runs.
 */
#ifndef DAEMONS_STANDBY_H
#define DAEMONS_STANDBY_H

/* Waits until `socket_fd` has something (nothing is read of it), then calls `claim` until it does not
 * say BH_AGAIN: the predecessor's I/O is still under way. BH_OK: it has its resource; BH_GONE: it was
 * told to end by a signal (`signals_fd`, a signalfd), or its peer went; BH_STATE: the predecessor did
 * not let go; or what `claim` returned. Errors are in the log. */
int bh_standby_wait(int socket_fd, int signals_fd, int (*claim)(void));

#endif
