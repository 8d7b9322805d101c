/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of device classes that the gate knows (class.h), and the class of all others: requests are
 * repeated, none can be refused but by giving its buffers back with nothing written.
 */
#include "class_table.h"

#include <stddef.h>
#include <string.h>

static const struct bh_gate_class any = {.name = "any"};

static const struct bh_gate_class *const classes[] = {
    &bh_gate_class_blk,   &bh_gate_class_rng,   &bh_gate_class_console, &bh_gate_class_net,
    &bh_gate_class_vsock, &bh_gate_class_fs,    &bh_gate_class_i2c,     &bh_gate_class_gpio,
    &bh_gate_class_can,   &bh_gate_class_spi,   &bh_gate_class_balloon, &bh_gate_class_scsi,
    &bh_gate_class_input, &bh_gate_class_iommu, &bh_gate_class_sound,   &bh_gate_class_scmi,
};

const struct bh_gate_class *bh_gate_class(uint32_t type)
{
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i]->type == type) {
            return classes[i];
        }
    }
    return &any;
}

int64_t bh_gate_chain_clear(struct bh_chain *chain)
{
    for (uint32_t i = 0; i < chain->writable_count; i++) {
        const struct bh_span *span = &chain->spans[chain->readable_count + i];
        memset(span->base, 0, span->length);
    }
    return (int64_t)chain->writable_bytes;
}

int64_t bh_gate_chain_end(struct bh_chain *chain, const void *status, uint32_t length)
{
    if (chain->writable_bytes < length) {
        return BH_UNSUPPORTED;
    }
    int64_t written = bh_gate_chain_clear(chain);
    (void)bh_chain_write(chain, chain->writable_bytes - length, status, length);
    return written;
}

uint32_t bh_gate_chain_said(const struct bh_chain *chain, uint32_t offset, void *to,
                            uint32_t length)
{
    struct bh_chain said = *chain;
    said.spans = chain->spans + chain->readable_count;
    said.readable_count = chain->writable_count;
    return bh_chain_read(&said, offset, to, length);
}
