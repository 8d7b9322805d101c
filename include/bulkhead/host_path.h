/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths that mean a descriptor: a program that starts another hands a resource over by naming it
 * /dev/fd/N. Such a path is never opened, which would ask the file system for rights that the
 * descriptor has already.
 */
#ifndef BULKHEAD_HOST_PATH_H
#define BULKHEAD_HOST_PATH_H

#include "bulkhead/error.h"

#define BH_PATH_FD_MAX 65535 /* the largest descriptor that a path can name */

/* N, if `path` is /dev/fd/N; it need not be open. BH_INVALID: it begins so, and no number that
 * could be a descriptor follows; BH_UNSUPPORTED: it is any other path. Any thread. */
int bh_path_fd(const char *path);

#endif
