/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that a gate is started with (bulkhead/gate.h): checked and mapped; and the ledger, in
 * which a device's record is written so that a successor finds it whole, whenever this gate ends.
 *
 * Thread: opened by the main thread; a record is written by the thread of its device.
 */
#ifndef GATE_LEDGER_H
#define GATE_LEDGER_H

#include "bulkhead/gate.h"

struct bh_ledger {
    const struct bh_gate_setup *setup;
    const struct bh_gate_limits_page *limits;
    struct bh_gate_ledger *pages;
    uint8_t *arenas[BH_GATE_DEVICES_MAX];   /* NULL: the device has none */
    int32_t arena_fds[BH_GATE_DEVICES_MAX]; /* -1 */
    bool adopts;                            /* another gate used the ledger before */
};

/* Maps what stands at the fixed descriptors. BH_INVALID: it is not what the header says; *why tells.
 * What is mapped stays mapped. */
int bh_ledger_open(struct bh_ledger *ledger, const char **why);

struct bh_gate_record *bh_ledger_record(const struct bh_ledger *ledger, uint32_t device);
/* Where the queues of a device keep their journals. */
void *bh_ledger_journal(const struct bh_ledger *ledger, uint32_t device);

/* The session as it was saved last. */
const struct bh_vu_saved *bh_ledger_saved(const struct bh_gate_record *record);
void bh_ledger_save(struct bh_gate_record *record, const struct bh_vu_saved *saved);

#endif
