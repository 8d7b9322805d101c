/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a front end shares, as the gate lets it in: each region is looked up in the setup by
 * whose file it is and where it lies. What the device uses is mapped by the port; what its back end may
 * map is kept here as a descriptor, for the table that the link sends.
 *
 * Thread: the device's. Ownership: descriptors that are kept are duplicates.
 */
#ifndef GATE_MEMORY_H
#define GATE_MEMORY_H

#include "bulkhead/device.h"
#include "bulkhead/gate.h"
#include "bulkhead/vhost_user_frontend.h"

/* A table is replaced whole: the old one and the new one stand here at once. */
#define BH_GATE_REGIONS_MAX (2u * BH_VU_KEEP_REGIONS)

struct bh_gate_region {
    struct bh_vu_region region;
    int fd; /* -1: not shared */
};

struct bh_gate_memory {
    const struct bh_gate_setup *setup;
    uint32_t device;
    uint32_t count;
    struct bh_gate_region regions[BH_GATE_REGIONS_MAX]; /* in the order of their coming */
};

void bh_gate_memory_init(struct bh_gate_memory *memory, const struct bh_gate_setup *setup,
                         uint32_t device);
void bh_gate_memory_clear(struct bh_gate_memory *memory);

/* As bh_vu_memory_ops; with BH_OK, too, *why may be set: what is notable about it. */
int bh_gate_memory_admit(struct bh_gate_memory *memory, const struct bh_vu_region *region, int fd,
                         const char **why);
void bh_gate_memory_gone(struct bh_gate_memory *memory, const struct bh_vu_region *region);

/* What the back end may map, as entries of its table. Returns their number; BH_LIMIT: more than
 * `room`. */
int bh_gate_memory_shares(const struct bh_gate_memory *memory, struct bh_vu_share *shares,
                          uint32_t room);

/* Whether any of [address, address + length) lies in what the back end may map. */
bool bh_gate_memory_shared(const struct bh_gate_memory *memory, uint64_t address, uint64_t length);

/* Whether the pointer, into memory that the port maps (as a queue knows its rings), lies in what the
 * back end may map. */
bool bh_gate_memory_exposes(const struct bh_gate_memory *memory, const struct bh_memory *mapped,
                            const uint8_t *pointer, uint64_t length);

#endif
