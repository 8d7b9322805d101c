/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pieces of a systemd unit: what of it follows from a definition, and how texts are written so
 * that systemd reads them as they are. Private to platform/output/units*.c.
 */
#ifndef PLATFORM_UNITS_H
#define PLATFORM_UNITS_H

#include <stdio.h>

#include "bulkhead/platform_definition.h"

#define BH_UNIT_PROGRAM "/usr/bin/bulkhead"

/* Of MemoryMax and TimeoutStopSec; the unit says what they are for. */
#define BH_UNIT_ENGINE_MIB     256u
#define BH_UNIT_TRANSLATED_MIB 1024u /* QEMU's buffer for translated code */
#define BH_UNIT_GATE_MIB       32u
#define BH_UNIT_RINGS_MIB      8u  /* a shadow device: rings of the gate's own, and a few copies */
#define BH_UNIT_COPIES_MIB     20u /* a bounce device: rings of the gate's own, and copies */
#define BH_UNIT_BACKEND_MIB    32u /* and one that is kept ready to take over */
#define BH_UNIT_SUPERVISOR_MIB 64u
#define BH_UNIT_STOP_MORE      15u /* s */

/* A file or device of the host that a resource is. */
struct bh_unit_path {
    const char *resource;
    char *path;     /* absolute, without "." and ".." */
    bool is_device; /* below /dev */
    bool is_disk;
    bool writable;
};

/* A CPU list of the host: as many numbers as there may be ranges. */
#define BH_UNIT_CPUS_BYTES 8192u

struct bh_unit_facts {
    char *file; /* what is run */
    struct bh_unit_path *paths;
    uint32_t path_count;
    uint64_t stop_seconds; /* the longest stop-within */
    bool restarts;         /* some guest is to be restarted */
    uint32_t device_count;
    uint32_t descriptors;
    bool locks_memory;
    uint64_t locked;       /* bytes */
    uint64_t guest_memory; /* bytes, windows included */
    uint64_t gate_memory;  /* bytes, of all gates */
    uint64_t memory;       /* bytes: all of it */
    bool emulates;         /* may run a guest without KVM */
    bool uses_kvm;
    bool uses_home;
    bool uses_tmp;
    bool uses_network;
    bool uses_can;
    bool uses_net;
    bool uses_clock;
    char cpus[BH_UNIT_CPUS_BYTES]; /* "0-1 4"; "": any */
};

/* False: no memory; what is there is finished all the same. */
bool bh_unit_facts_make(struct bh_unit_facts *facts, const struct bh_platform *platform,
                        bool image);
void bh_unit_facts_finish(struct bh_unit_facts *facts);

/* units_text.c */

/* An absolute path as an entry of a list of paths, `prefix` ("-") before it. */
void bh_unit_put_path(FILE *to, const char *prefix, const char *path);

/* A word of a command line. */
void bh_unit_put_argument(FILE *to, const char *word);

/* The name of the unit of a device node: "dev-mmcblk0p3.device". */
void bh_unit_put_device_name(FILE *to, const char *path);

#endif
