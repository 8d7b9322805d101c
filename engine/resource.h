/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resources: the host things that devices give access to. Opened here and nowhere else, with the
 * least rights that the policy gives, and checked before anything is started; what is wrong is
 * said at the place of the definition that names the thing.
 *
 * A resource is opened once for all modes: with the rights of what the policy allows in any of
 * them. What holds now is the back end's filter (supervisor_mode.c). A disk that may be written is
 * open for reading, too: no back end can serve one that it cannot read.
 *
 * Checks: resource-missing, resource-denied, resource-kind, resource-empty, resource-in-use
 * (another program has it locked), resource-twice (two devices of this platform, one of which
 * writes).
 *
 * Thread: one. Ownership: a descriptor is the caller's.
 */
#ifndef ENGINE_RESOURCE_H
#define ENGINE_RESOURCE_H

#include <sys/types.h>

#include "bulkhead/platform_policy.h"

struct bh_open_resource {
    int fd;     /* -1: none is needed, or it was handed over */
    int handle; /* by which it is opened again; -1: none is needed */
    const struct bh_device_definition *device;
    const char *guest;
    uint32_t operations; /* that the policy allows in any mode */
    uint32_t rights;     /* BH_RIGHT_*: what they need */
    uint64_t bytes;      /* of a disk */
    dev_t device_number;
    ino_t inode;
};

/* Opens what the device uses. BH_OK (fd is -1 for a device that uses nothing, the kernel's generator,
 * or a type of resource that this version has no back end for), or an error code, said in
 * `diagnostics`. */
int bh_resource_open(struct bh_open_resource *resource, const struct bh_platform *platform,
                     const struct bh_guest *guest, const struct bh_device_definition *device,
                     struct bh_diagnostics *diagnostics);

/* Whether two disks of this platform are the same file, and one of them is written. Two that are
 * read only may share it. */
bool bh_resource_clash(const struct bh_open_resource *a, const struct bh_open_resource *b);
void bh_resource_clash_say(const struct bh_open_resource *a, const struct bh_open_resource *b,
                           struct bh_diagnostics *diagnostics);

/* Opens it once more, the same thing with the same rights, in a description of its own: locks and
 * I/O of whoever has another one are not shared. BH_OK and `fd`; or what the kernel says. */
int bh_resource_again(struct bh_open_resource *resource);

/* The descriptor was handed over: it can be opened again. */
void bh_resource_close(struct bh_open_resource *resource);
void bh_resource_finish(struct bh_open_resource *resource);

#endif
