/* SPDX-License-Identifier: BSD-2-Clause */
/* The classes that only class.c's table needs by name, and what the files of the classes share. */
#ifndef GATE_CLASS_TABLE_H
#define GATE_CLASS_TABLE_H

#include "class.h"

extern const struct bh_gate_class bh_gate_class_net;
extern const struct bh_gate_class bh_gate_class_vsock;
extern const struct bh_gate_class bh_gate_class_fs;
extern const struct bh_gate_class bh_gate_class_i2c;
extern const struct bh_gate_class bh_gate_class_gpio;
extern const struct bh_gate_class bh_gate_class_can;
extern const struct bh_gate_class bh_gate_class_spi;
extern const struct bh_gate_class bh_gate_class_balloon;
extern const struct bh_gate_class bh_gate_class_scsi;
extern const struct bh_gate_class bh_gate_class_input;
extern const struct bh_gate_class bh_gate_class_iommu;
extern const struct bh_gate_class bh_gate_class_sound;
extern const struct bh_gate_class bh_gate_class_scmi;

/* Fills the writable part with zeroes: what is refused tells nothing. Returns its bytes. */
int64_t bh_gate_chain_clear(struct bh_chain *chain);

/* Reads what was written: as bh_chain_read, of the writable part. */
uint32_t bh_gate_chain_said(const struct bh_chain *chain, uint32_t offset, void *to,
                            uint32_t length);

/* Clears the writable part, and writes `length` bytes to its end: where a status belongs. Returns the
 * bytes of the writable part; BH_UNSUPPORTED: it is shorter than that. */
int64_t bh_gate_chain_end(struct bh_chain *chain, const void *status, uint32_t length);

#endif
