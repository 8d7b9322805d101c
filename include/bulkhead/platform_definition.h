/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The definition: what a platform is, as read from its YAML file and the files that it includes,
 * or from a build image. This is the parsed form; each value knows where it stands. What the keys
 * are called, their types, ranges and defaults is one table (platform/definition/schema*.c), and
 * nothing else in the project reads YAML.
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

#define BH_DEFINITION_BYTES_MAX (1u << 20) /* of one file; a larger one is refused */
#define BH_FILES_MAX            32u        /* the definition and what it includes */
#define BH_NAME_MAX             32u /* of a platform, guest, device, resource: [a-z][a-z0-9-]* */
#define BH_GUESTS_MAX           64u
#define BH_DEVICES_MAX          32u   /* of a guest: the slots of the machine */
#define BH_RESOURCES_MAX        2048u /* one for each device */
#define BH_POLICY_LINES_MAX     4096u
#define BH_ASSERTIONS_MAX       1024u
#define BH_MODES_MAX            16u
#define BH_PORTS_MAX            16u /* of a console */
#define BH_RANGES_MAX           64u /* of one list of numbers */

/* ------------------------------------------------------------------------------------------------
 * values. `at` is where the value stands; where it is a default, the thing that it belongs to. */

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
struct bh_names {
    struct bh_text *names;
    uint32_t count; /* 0: none, or not given */
    struct bh_origin at;
};
struct bh_range {
    uint32_t first;
    uint32_t last; /* included; not less than first */
    struct bh_origin at;
};
struct bh_ranges {
    struct bh_range *ranges; /* as written: in any order, and they may overlap */
    uint32_t count;          /* 0: not given */
    struct bh_origin at;
};

/* ------------------------------------------------------------------------------------------------
 * resources */

enum bh_resource_type {
    BH_RESOURCE_DISK,     /* a raw image file or block device */
    BH_RESOURCE_ENTROPY,  /* random bytes of the host */
    BH_RESOURCE_CAN,      /* a CAN bus */
    BH_RESOURCE_NET,      /* a network interface */
    BH_RESOURCE_GPIO,     /* a GPIO chip */
    BH_RESOURCE_I2C,      /* an I2C adapter */
    BH_RESOURCE_SPI,      /* an SPI bus */
    BH_RESOURCE_SENSORS,  /* industrial I/O, shown as SCMI sensors */
    BH_RESOURCE_CLOCK,    /* the host's time and wake-up clock */
    BH_RESOURCE_SOCKETS,  /* a switch for sockets between guests */
    BH_RESOURCE_FOLDER,   /* files of the host */
    BH_RESOURCE_KEYS,     /* a key store */
    BH_RESOURCE_RPMB,     /* replay-protected memory */
    BH_RESOURCE_SOUND,    /* a sound card */
    BH_RESOURCE_DISPLAY,  /* a screen, or a part of one */
    BH_RESOURCE_INPUT,    /* keys, a touch screen */
    BH_RESOURCE_CAMERA,   /* a camera */
    BH_RESOURCE_CODEC,    /* a video codec */
    BH_RESOURCE_HARDWARE, /* a piece of hardware that one guest gets as it is */
    BH_RESOURCE_TYPES,
    BH_RESOURCE_NONE = BH_RESOURCE_TYPES, /* of a device type that needs none */
};

struct bh_resource {
    struct bh_text name;
    struct bh_choice type; /* enum bh_resource_type */
    struct bh_text
        image; /* disk: path as written; relative ones belong to the folder of their file */
    struct bh_flag read_only; /* disk, folder: whatever the policy says */
    struct bh_text
        source; /* entropy: a device such as /dev/hwrng; not given: the kernel's generator */
    struct bh_text bus;       /* can: an interface of the host, or "virtual" */
    struct bh_text interface; /* net: an interface of the host */
    struct bh_text
        device; /* gpio, i2c, spi, sensors, clock, keys, rpmb, sound, display, input, camera, codec: path */
    struct bh_text folder;  /* folder: path */
    struct bh_text address; /* hardware: what the host calls it ("0000:01:00.0", "fe980000.usb") */
    struct bh_flag dma;     /* hardware: it reads and writes memory by itself */
    struct bh_flag iommu;   /* hardware: an IOMMU holds it to the memory of its guest */
    struct bh_text
        mediator;   /* who keeps users of different criticality apart; a claim, for the report */
    uint32_t users; /* devices that use it */
};

/* ------------------------------------------------------------------------------------------------
 * devices */

enum bh_device_type {
    BH_DEVICE_BLK,
    BH_DEVICE_RNG,
    BH_DEVICE_CONSOLE,
    BH_DEVICE_NET,
    BH_DEVICE_CAN,
    BH_DEVICE_GPIO,
    BH_DEVICE_I2C,
    BH_DEVICE_SPI,
    BH_DEVICE_SCMI,
    BH_DEVICE_RTC,
    BH_DEVICE_VSOCK,
    BH_DEVICE_FS,
    BH_DEVICE_CRYPTO,
    BH_DEVICE_RPMB,
    BH_DEVICE_SOUND,
    BH_DEVICE_GPU,
    BH_DEVICE_INPUT,
    BH_DEVICE_CAMERA,
    BH_DEVICE_MEDIA,
    BH_DEVICE_PASSTHROUGH,
    BH_DEVICE_TYPES,
};

/* What is known of a device type: a row of platform/definition/classes.def. */
struct bh_device_kind {
    const char *word;   /* of the definition */
    const char *doc;    /* "a disk" */
    uint32_t virtio_id; /* VIRTIO 1.4, 5: device types; 0: none */
    uint32_t resource;  /* the type that it uses; BH_RESOURCE_NONE */
    uint64_t window;    /* bytes, by default */
    uint32_t queues;    /* virtqueues that it has in any case */
    bool available;     /* this version has a back end for it */
};
struct bh_device_kind bh_device_kind(uint32_t type);

enum bh_isolation {
    BH_ISOLATION_DIRECT, /* the device's window, rings included */
    BH_ISOLATION_SHADOW, /* the data of the device's window; its rings are the gate's */
    BH_ISOLATION_BOUNCE, /* bytes of requests in flight, copied by the gate */
    BH_ISOLATION_OPEN,   /* all memory of the guest */
};

/* What follows when a guest broke the protocol of a device (on_violation: all but STOP), or when its
 * back end is over and there will be no other (on_failure). */
enum bh_consequence {
    BH_CONSEQUENCE_DETACH,      /* the device alone: it stands still, or answers with errors */
    BH_CONSEQUENCE_RESET_GUEST, /* the guest begins anew, with new back ends */
    BH_CONSEQUENCE_STOP_GUEST,
    BH_CONSEQUENCE_STOP, /* the platform */
};

/* Of a device, in every mode; of a policy line, in its modes. The least counts. Operations, bytes and
 * deadline hold in shadow and bounce, where the gate sees requests. */
struct bh_limits {
    struct bh_origin at;
    struct bh_number operations; /* requests a second; 0: no limit */
    struct bh_number bytes;      /* a second; 0: no limit */
    struct bh_number
        deadline; /* ms that a request may take before its back end counts as hung; 0: none */
    struct bh_number restarts; /* of the back end, in a minute; 0: no limit */
};

#define BH_SLOT_ANY UINT64_C(0xffffffff)

struct bh_device_definition {
    struct bh_text name;
    struct bh_choice type; /* enum bh_device_type */
    struct bh_text
        resource; /* the name of it; a console has none: its terminal is the supervisor's */
    const struct bh_resource *uses; /* what `resource` means; NULL: none */
    struct bh_flag optional;    /* where no back end or engine has it, the guest starts without */
    bool left_out;              /* it is optional, and there is none */
    struct bh_choice isolation; /* enum bh_isolation */
    struct bh_number window;    /* bytes; 0: it has none (bounce, open, passthrough) */
    struct bh_number
        slot; /* of the machine; BH_SLOT_ANY: the first that is free, in the order of the devices */
    struct bh_limits limits;       /* as written; what holds: bh_allowance_make */
    struct bh_choice on_violation; /* enum bh_consequence */
    struct bh_choice on_failure;   /* enum bh_consequence */
    struct bh_number queues;       /* blk, net: virtqueues (pairs) at most */
    struct bh_flag write_through;  /* blk */
    struct bh_text serial;         /* blk: at most 20 bytes; not given: GUEST/DEVICE, cut */
    struct bh_flag
        size; /* console: the guest is told the terminal's size (VIRTIO_CONSOLE_F_SIZE) */
    struct bh_flag emergency_write; /* console: VIRTIO_CONSOLE_F_EMERG_WRITE */
    /* console: names of more ports than the first, which is the guest's terminal; any makes the
     * device multiport (VIRTIO_CONSOLE_F_MULTIPORT). */
    struct bh_names ports;
    struct bh_text mac;              /* net */
    struct bh_number cid;            /* vsock: the guest's address; 0: counted up from 3 */
    struct bh_text tag;              /* fs: what the guest mounts */
    struct bh_number registers;      /* passthrough: guest-physical address of its registers */
    struct bh_number register_bytes; /* passthrough */
    struct bh_number interrupt;      /* passthrough: SPI number; UINT32_MAX: it has none */
};

/* ------------------------------------------------------------------------------------------------
 * guests */

enum bh_arch { BH_ARCH_ARM64, BH_ARCH_X86_64, BH_ARCHES };
enum bh_criticality { BH_QM, BH_ASIL_A, BH_ASIL_B, BH_ASIL_C, BH_ASIL_D };
enum bh_on_reset { BH_ON_RESET_STOP, BH_ON_RESET_RESTART };
enum bh_layout_version {
    BH_LAYOUT_V1,    /* spec/layout.md */
    BH_LAYOUT_ENGINE /* the engine, or the firmware, places everything */
};

struct bh_boot {
    struct bh_origin at;
    struct bh_text kernel;       /* path */
    struct bh_text initrd;       /* path */
    struct bh_text command_line; /* of the kernel */
    struct bh_text elf;          /* path: a program without an operating system, or an RTOS */
    struct bh_text firmware;     /* path */
    struct bh_text
        disk; /* the device that firmware boots from; x86_64: without `firmware`, the engine's own */
    const struct bh_device_definition *boots; /* what `disk` means; NULL: not given */
};

enum bh_watchdog_action { BH_WATCHDOG_STOP, BH_WATCHDOG_RESTART, BH_WATCHDOG_REPORT };

struct bh_watchdog {
    struct bh_origin at;
    bool given;
    struct bh_number timeout; /* ms */
    struct bh_choice action;  /* enum bh_watchdog_action: what follows its expiry */
    struct bh_flag optional;  /* where the engine has none, the guest starts without */
};

/* When a guest counts as ready, so that those that start `after` it may. Neither given: its first
 * instruction. */
struct bh_ready {
    struct bh_origin at;
    struct bh_text device;  /* the driver of this device is up */
    struct bh_text message; /* a line of one of its terminals holds this text */
    const struct bh_device_definition *waits_for; /* what `device` means; NULL: not given */
};

struct bh_guest {
    struct bh_text name;
    struct bh_choice criticality; /* enum bh_criticality */
    struct bh_choice arch;        /* enum bh_arch */
    struct bh_choice layout;      /* enum bh_layout_version */
    struct bh_number cpus;
    struct bh_ranges host_cpus; /* processors of the host that run it; none: any */
    struct bh_number memory;    /* private RAM, bytes; windows come on top */
    struct bh_boot boot;
    struct bh_choice on_reset;    /* enum bh_on_reset: what follows when the guest resets itself */
    struct bh_number stop_within; /* ms that an orderly stop may take */
    struct bh_watchdog watchdog;
    struct bh_number priority; /* the higher starts first */
    struct bh_names after;     /* guests that are ready before it starts */
    struct bh_ready ready_when;
    struct bh_device_definition *devices;
    uint32_t device_count;
};

/* ------------------------------------------------------------------------------------------------
 * policy. What is not allowed by a line is denied. */

/* Numbers that operations may hold for, by type of resource (platform_policy.h). */
enum bh_number_kind {
    BH_NUMBERS_IDS,       /* can: identifiers; from 0x800 on: extended */
    BH_NUMBERS_LINES,     /* gpio */
    BH_NUMBERS_ADDRESSES, /* i2c */
    BH_NUMBERS_SELECTS,   /* spi: chip selects */
    BH_NUMBERS_SENSORS,   /* sensors */
    BH_NUMBERS_PORTS,     /* sockets */
    BH_NUMBERS_KEYS,      /* keys */
    BH_NUMBERS_STREAMS,   /* sound */
    BH_NUMBER_KINDS,
    BH_NUMBERS_NONE = BH_NUMBER_KINDS,
};

struct bh_policy_line {
    struct bh_origin at;
    struct bh_text guest;
    struct bh_text resource;
    struct bh_names allow;                     /* operations, in the words of the resource's type */
    struct bh_names deny;                      /* taken away again, whichever line allows it */
    struct bh_ranges numbers[BH_NUMBER_KINDS]; /* that it holds for; none given: all */
    struct bh_names modes;                     /* that it holds in; none given: all */
    struct bh_limits limits;
    /* What the words mean; filled in by the checks. */
    const struct bh_guest *of;
    const struct bh_resource *to;
    uint32_t allows; /* operations.h */
    uint32_t denies;
    uint32_t mode_mask; /* bit n: mode n of the platform */
};

/* ------------------------------------------------------------------------------------------------
 * assertions */

enum bh_assertion_kind {
    BH_ASSERT_NO_FLOW,    /* nothing of `from` ever reaches `to` */
    BH_ASSERT_NOT_SHARED, /* no resource is used by two of `guests` */
    BH_ASSERT_THROUGH,    /* whatever of `from` reaches `to` passes `through` */
    BH_ASSERT_ISOLATED,   /* private memory of `guest` is out of everybody's reach */
    BH_ASSERT_NOTHING,    /* no form was given: an error */
};

struct bh_assert_flow { /* no-flow, only-through: guests or resources, by name */
    struct bh_origin at;
    struct bh_text from;
    struct bh_text to;
    struct bh_text through; /* only-through: a guest */
};
struct bh_assert_shared {
    struct bh_origin at;
    struct bh_names guests;
};
struct bh_assert_isolated {
    struct bh_origin at;
    struct bh_text guest;
};

struct bh_assertion {
    struct bh_origin at;
    struct bh_assert_flow no_flow;
    struct bh_assert_flow only_through;
    struct bh_assert_shared no_shared_resource;
    struct bh_assert_isolated isolated;
    struct bh_names modes; /* that it has to hold in; none given: all */
    enum bh_assertion_kind kind;
    uint32_t mode_mask;
};

/* ------------------------------------------------------------------------------------------------
 * the platform */

enum bh_accelerator { BH_ACCELERATOR_AUTO, BH_ACCELERATOR_KVM, BH_ACCELERATOR_TCG };

struct bh_engine_choice {
    struct bh_text program; /* the path of QEMU; not given: qemu-system-ARCH of the search path */
    struct bh_choice accelerator; /* enum bh_accelerator */
    struct bh_origin at;
};

/* The computer that it is meant for; 0: not said, and nothing is summed up against it. */
struct bh_host {
    struct bh_origin at;
    struct bh_number cpus;
    struct bh_number memory; /* bytes */
};

struct bh_definition_file {
    const char *path;   /* as the user, or the file that includes it, named it */
    const char *folder; /* absolute: what relative paths in it belong to */
};

struct bh_index;

struct bh_platform {
    struct bh_text name;
    struct bh_host host;
    struct bh_engine_choice engine;
    struct bh_names modes; /* at least one; the platform starts in the first */
    struct bh_resource *resources;
    uint32_t resource_count;
    struct bh_guest *guests;
    uint32_t guest_count;
    struct bh_policy_line *policy;
    uint32_t policy_count;
    struct bh_assertion *assertions;
    uint32_t assertion_count;
    struct bh_definition_file files[BH_FILES_MAX]; /* [0] is the definition; bh_origin.file */
    uint32_t file_count;
    struct bh_index *index; /* platform/definition/index.h: what names mean, sorted */
};

/* Reads and checks the definition at `path`: syntax, keys, types, ranges, names, references, and
 * the named checks that need no file but the definition and what it includes. What is wrong goes
 * to `diagnostics`, warnings too; those of one definition, whose files they number. BH_OK and *platform; BH_GONE: no such file, BH_DENIED: no
 * right, BH_IO, BH_NO_MEMORY, BH_LIMIT: too large (all of them said in `diagnostics`); BH_INVALID:
 * there are errors. */
int bh_platform_read(struct bh_platform **platform, const char *path,
                     struct bh_diagnostics *diagnostics);
void bh_platform_destroy(struct bh_platform *platform); /* NULL: nothing */

/* The absolute path that `text` means: `to` has `size` bytes. BH_LIMIT: longer. */
int bh_platform_path(const struct bh_platform *platform, const struct bh_text *text, char *to,
                     size_t size);

/* By name; NULL: there is none. */
const struct bh_guest *bh_platform_guest(const struct bh_platform *platform, const char *name);
const struct bh_resource *bh_platform_resource(const struct bh_platform *platform,
                                               const char *name);
const struct bh_device_definition *bh_guest_device(const struct bh_guest *guest, const char *name);

/* The words of the definition for a value ("blk", "ASIL-B", "direct"); never NULL. */
const char *bh_device_type_name(uint32_t type);
const char *bh_resource_type_name(uint32_t type);
const char *bh_arch_name(uint32_t arch);
const char *bh_criticality_name(uint32_t criticality);
const char *bh_isolation_name(uint32_t isolation);

/* A named check that a definition has to pass. */
struct bh_check {
    const char *name;
    const char *reason; /* what it holds to, in a line */
    enum bh_severity severity;
    bool may_be_warning; /* an error that `-W warning=NAME` makes a warning, but never for a run */
};

/* Number `index` (from 0) in the order in which they are made; NULL: there are no more. */
const struct bh_check *bh_check_at(size_t index);
/* By name; NULL: there is none. */
const struct bh_check *bh_check_find(const char *name);

/* The page of a check: why, an example that fails, one that passes (docs/checks/NAME.md, which is
 * built in). NULL: there is no such check. */
const char *bh_check_page(const char *name);

/* The reference of all keys and checks, in scdoc's markup: the body of bulkhead.yaml(5). */
void bh_schema_print(FILE *to);

/* The table of keys as a JSON Schema (2020-12), for editors. BH_NO_MEMORY: nothing is printed. */
int bh_schema_print_json(FILE *to);

/* Whether the guest's RAM is shared as a whole, at least with its gate: it has an `open` or a `bounce`
 * device. */
bool bh_guest_is_open(const struct bh_guest *guest);

/* Whether a back end reaches all of it: it has an `open` device. */
bool bh_guest_has_open(const struct bh_guest *guest);

#endif
