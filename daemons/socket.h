/* SPDX-License-Identifier: BSD-2-Clause */
/* Where front ends connect. Private to daemons/. */
#ifndef DAEMONS_SOCKET_H
#define DAEMONS_SOCKET_H

#include "options.h"

struct bh_socket {
    int listen_fd;     /* -1: none */
    int connection_fd; /* -1: none; exactly one of the two is there */
};

/* --socket-path, --fd, or what the service manager hands over. Logs what is wrong. BH_OK; BH_INVALID:
 * none is given, or it is no Unix stream socket; BH_STATE: another process listens at the path;
 * BH_DENIED, BH_GONE, BH_IO. */
int bh_socket_open(struct bh_socket *socket, const struct bh_options *options, int inherited_fd);

#endif
