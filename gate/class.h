/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of a device class, besides rings: which requests may be done twice, how one is
 * answered that is not done at all, what a successor has to be told, and what must be in the
 * configuration space. A file for each class (class_blk.c); a type without one is `any`: its requests
 * are repeated, and cannot be refused but by breaking the device.
 *
 * Whatever is read of a request here is guest memory: read once, into local memory.
 */
#ifndef GATE_CLASS_H
#define GATE_CLASS_H

#include "bulkhead/gate.h"
#include "bulkhead/queue.h"

/* Requests of the gate's own, to a successor or from it. */
struct bh_gate_restore;

struct bh_gate_class {
    uint32_t type;    /* VIRTIO device id; 0: any */
    const char *name; /* "blk" */
    /* Bytes at the end of the writable part that are copied out (bounce) whatever length the back end
     * reports: a status, which comes behind data that may not have been written. */
    uint32_t status_bytes;
    /* Whether requests of this queue wait for the world outside, for as long as it takes: there is no
     * deadline for them. NULL: none do. */
    bool (*waits)(uint16_t queue);
    /* Whether this request may be done again by a successor. NULL: all may. */
    bool (*repeats)(const struct bh_chain *chain, uint16_t queue);
    /* Answers a request that is not done: writes what the class has for `failed`, returns the bytes
     * written (the status may lie behind data: then all of it counts, zeroed). BH_UNSUPPORTED: there
     * is no such answer; the request is given back with nothing written. NULL: the same. */
    int64_t (*refuse)(struct bh_chain *chain, uint16_t queue);
    /* Bytes of the configuration space that a successor may show otherwise, and bytes that must hold
     * in any case. BH_OK, or BH_INVALID and *why. NULL: a successor's equals its predecessor's. */
    int (*config_fits)(const uint8_t *config, uint32_t size, const uint8_t *before,
                       uint32_t before_size, const char **why);
    /* The driver wrote the configuration space (and the back end took it): remembered in `state`. */
    void (*config_written)(uint64_t *state, uint32_t offset, const void *from, uint32_t length);
    /* A request is about to be shown to the back end (`chain`: whole; read with bh_chain_read):
     * remembered in `state`, if it sets something up. NULL: nothing to remember. */
    void (*request)(uint64_t *state, const struct bh_chain *chain, uint16_t queue);
    /* A request is done, `written` bytes of it: true, it goes to the guest; false: the guest has heard
     * that already (a successor introduces itself): the buffer is offered to the back end again. May
     * alter it in place before (`data`: the gate's copy). NULL: all go. */
    bool (*answer)(uint64_t *state, const struct bh_chain *chain, uint16_t queue, uint32_t written);
    /* What to tell a successor, one call after the other with step = 0, 1, ...: a configuration write
     * (`config`) or a request of the gate's own in `queue`, whose readable part is `bytes`. False:
     * that was all. Sent before what was in flight. NULL: nothing. */
    bool (*restore)(const uint64_t *state, uint32_t step, struct bh_gate_restore *what);
    /* Where in the configuration space the byte lies that a driver with these features may set; negative:
     * there is none. In direct a successor goes on with rings that were in use before and cannot know
     * what was set: it is told again. NULL: none. */
    int32_t (*setting)(uint64_t features);
    /* The driver was reset: `state` begins anew. NULL: all zero. */
    void (*reset)(uint64_t *state);
};

#define BH_GATE_RESTORE_MAX 128u /* of bytes, and of the answer */

struct bh_gate_restore {
    bool config;    /* true: a write of the configuration space at `offset` */
    uint16_t queue; /* false: a request in this queue */
    uint32_t offset;
    uint32_t length; /* of bytes */
    uint32_t
        answer; /* a request: bytes that the back end may write behind them; nobody reads these */
    uint8_t bytes[BH_GATE_RESTORE_MAX];
};

/* The class of a device type; never NULL. */
const struct bh_gate_class *bh_gate_class(uint32_t type);

extern const struct bh_gate_class bh_gate_class_blk;
extern const struct bh_gate_class bh_gate_class_rng;
extern const struct bh_gate_class bh_gate_class_console;

#endif
