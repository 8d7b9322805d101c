/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition: what a platform is, as read from its YAML file. This is the parsed form; each
 * value knows where it stands. What the keys are called, their types, ranges and defaults is one
 * table (platform/definition/schema.c), and nothing else in the project reads YAML.
 *
 * Thread: one. Ownership: bh_platform_read allocates everything, bh_platform_destroy frees it; all
 * pointers inside live as long as the platform.
 */
#ifndef BULKHEAD_PLATFORM_DEFINITION_H
#define BULKHEAD_PLATFORM_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/platform_diagnostic.h"

#define BH_DEFINITION_BYTES_MAX (1u << 20) /* a larger file is refused */
#define BH_NAME_MAX             32u /* of a platform, guest, device, resource: [a-z][a-z0-9-]* */
#define BH_GUESTS_MAX           16u
#define BH_DEVICES_MAX          32u /* of a guest: the slots of the machine */
#define BH_RESOURCES_MAX        256u
#define BH_PORTS_MAX            16u /* of a console */

/* Values. `at` is where the value stands; where it is a default, the thing that it belongs to. */
struct bh_text {
    const char *text; /* NULL: not given */
    struct bh_origin at;
};
struct bh_number {
    uint64_t value;
    struct bh_origin at;
};
struct bh_choice {
    uint32_t value; /* of the enum that the member names */
    struct bh_origin at;
};
struct bh_flag {
    bool value;
    struct bh_origin at;
};

enum bh_resource_type {
    BH_RESOURCE_DISK,    /* a raw image file or block device */
    BH_RESOURCE_ENTROPY, /* random bytes of the host */
};

struct bh_resource {
    struct bh_text name;
    struct bh_choice type; /* enum bh_resource_type */
    struct bh_text
        image; /* disk: path as written; relative ones belong to the definition's folder */
    struct bh_flag read_only; /* disk */
    struct bh_text
        source; /* entropy: a device such as /dev/hwrng; not given: the kernel's generator */
};

enum bh_device_type { BH_DEVICE_BLK, BH_DEVICE_RNG, BH_DEVICE_CONSOLE, BH_DEVICE_TYPES };

enum bh_isolation {
    BH_ISOLATION_DIRECT, /* the device's window, rings included */
    BH_ISOLATION_OPEN,   /* all memory of the guest */
};

struct bh_device_definition {
    struct bh_text name;
    struct bh_choice type; /* enum bh_device_type */
    struct bh_text
        resource; /* the name of it; a console has none: its terminal is the supervisor's */
    const struct bh_resource *uses; /* what `resource` means; NULL: none */
    struct bh_choice isolation;     /* enum bh_isolation */
    struct bh_number window;        /* bytes; direct only */
    struct bh_number queues;        /* blk: virtqueues at most */
    struct bh_flag write_through;   /* blk */
    struct bh_text serial;          /* blk: at most 20 bytes; not given: GUEST/DEVICE, cut */
    struct bh_flag
        size; /* console: the guest is told the terminal's size (VIRTIO_CONSOLE_F_SIZE) */
    struct bh_flag emergency_write; /* console: VIRTIO_CONSOLE_F_EMERG_WRITE */
    /* console: names of more ports than the first, which is the guest's terminal; any makes the
     * device multiport (VIRTIO_CONSOLE_F_MULTIPORT). */
    struct bh_text ports[BH_PORTS_MAX];
    uint32_t port_count;
};

enum bh_arch { BH_ARCH_ARM64, BH_ARCH_X86_64 };
enum bh_criticality { BH_QM, BH_ASIL_A, BH_ASIL_B, BH_ASIL_C, BH_ASIL_D };
enum bh_on_reset { BH_ON_RESET_STOP, BH_ON_RESET_RESTART };

struct bh_boot {
    struct bh_origin at;
    struct bh_text kernel;       /* path */
    struct bh_text initrd;       /* path */
    struct bh_text command_line; /* of the kernel */
    struct bh_text firmware;     /* path; instead of a kernel */
};

struct bh_guest {
    struct bh_text name;
    struct bh_choice criticality; /* enum bh_criticality */
    struct bh_choice arch;        /* enum bh_arch */
    struct bh_number cpus;
    struct bh_number memory; /* private RAM, bytes; windows come on top */
    struct bh_boot boot;
    struct bh_choice on_reset;    /* enum bh_on_reset: what follows when the guest resets itself */
    struct bh_number stop_within; /* seconds that an orderly stop may take */
    struct bh_device_definition *devices;
    uint32_t device_count;
};

enum bh_accelerator { BH_ACCELERATOR_AUTO, BH_ACCELERATOR_KVM, BH_ACCELERATOR_TCG };

struct bh_engine_choice {
    struct bh_text program; /* the path of QEMU; not given: qemu-system-ARCH of the search path */
    struct bh_choice accelerator; /* enum bh_accelerator */
    struct bh_origin at;
};

struct bh_platform {
    struct bh_text name;
    struct bh_engine_choice engine;
    struct bh_resource *resources;
    uint32_t resource_count;
    struct bh_guest *guests;
    uint32_t guest_count;
    const char *path;   /* of the definition, as the user named it */
    const char *folder; /* absolute: what relative paths in it belong to */
};

/* Reads and checks the definition at `path`: syntax, keys, types, ranges, names, references, and
 * the named checks that need no file but the definition. What is wrong goes to `diagnostics`,
 * warnings too. BH_OK and *platform; BH_GONE: no such file, BH_DENIED: no right, BH_IO,
 * BH_NO_MEMORY, BH_LIMIT: too large (all of them said in `diagnostics`); BH_INVALID: there are
 * errors. */
int bh_platform_read(struct bh_platform **platform, const char *path,
                     struct bh_diagnostics *diagnostics);
void bh_platform_destroy(struct bh_platform *platform); /* NULL: nothing */

/* The absolute path that `text` means: `to` has `size` bytes. BH_LIMIT: longer. */
int bh_platform_path(const struct bh_platform *platform, const char *text, char *to, size_t size);

/* The words of the definition for a value ("blk", "ASIL-B", "direct"); never NULL. */
const char *bh_device_type_name(uint32_t type);
const char *bh_arch_name(uint32_t arch);
const char *bh_criticality_name(uint32_t criticality);
const char *bh_isolation_name(uint32_t isolation);

/* The named checks that a definition has to pass, in the order in which they are made: the name of
 * number `index` (from 0) and, in *reason, what it holds to. NULL: there are no more. */
const char *bh_check_at(size_t index, const char **reason);

/* The reference of all keys and checks, in scdoc's markup: the body of bulkhead.yaml(5). */
void bh_schema_print(FILE *to);

/* Whether the guest's RAM is shared as a whole: it has an `open` device. */
bool bh_guest_is_open(const struct bh_guest *guest);

#endif
