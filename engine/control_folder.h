/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the control socket of a platform lies: RUNTIME/NAME/control, and the lock beside it.
 * Nothing of a folder is used before it was found to be this user's alone. Private to engine/.
 *
 * Thread: any. Ownership: descriptors become the caller's.
 */
#ifndef BULKHEAD_CONTROL_FOLDER_H
#define BULKHEAD_CONTROL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/un.h>

#include "bulkhead/error.h"

#define BH_CONTROL_SOCKET  "control"
#define BH_CONTROL_METRICS "metrics"
#define BH_CONTROL_LOCK    "lock"

/* A platform's folder, taken: as long as lock_fd is open nobody else has it. */
struct bh_control_folder {
    int runtime_fd;
    int folder_fd;
    int lock_fd;
};

/* The code for an errno value of the calls made here. */
int bh_control_error(int number);

bool bh_control_name_valid(const char *name);

/* Opens RUNTIME; `make`: makes it if it is not there. `path` gets its path, or that of the folder
 * which is in the way. */
int bh_control_runtime_open(bool make, char *path, size_t size, int *fd);

/* Takes RUNTIME/NAME: makes, checks and locks it, and removes the socket of one that was killed.
 * Errors as bh_control_open says. */
int bh_control_folder_take(struct bh_control_folder *folder, const char *name, char *path,
                           size_t size, int *pid);

/* Removes what is in it, the folder, and lets the lock go. */
void bh_control_folder_release(struct bh_control_folder *folder, const char *name);

/* A socket for numbers (host_metrics.h) in a folder that was taken, listening. BH_LIMIT: no descriptor
 * left, or the path is too long; BH_DENIED, BH_IO. */
int bh_control_folder_metrics(const char *path, int *fd);

/* The address of the socket of `name`. BH_LIMIT: too long. */
int bh_control_address(const char *runtime, const char *name, struct sockaddr_un *address);

#endif
