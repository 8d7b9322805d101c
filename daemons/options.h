/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line of a daemon. Private to daemons/. */
#ifndef DAEMONS_OPTIONS_H
#define DAEMONS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/host_sandbox.h"

#define BH_KEPT_FDS_MAX 32u

struct bh_options {
    const char *socket_path;  /* NULL: not given */
    const char *socket_group; /* NULL: not given */
    int fd;                   /* -1: not given */
    int filter_fd;            /* -1: not given */
    int up_fd;                /* -1: not given */
    bool standby;
    enum bh_sandbox_mode sandbox;
    int kept_fds[BH_KEPT_FDS_MAX]; /* inherited descriptors that options name */
    uint32_t kept_count;
};

/* Reads the command line. Returns -1 to go on, else the exit status of the process (help, version,
 * capabilities, or a mistake, which it reports). */
int bh_options_read(int count, char **arguments, struct bh_options *options);

#endif
