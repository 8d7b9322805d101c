/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of file systems (VIRTIO 1.4, 5.11), whose requests are FUSE messages. Most are
 * not to be done twice (a rename that succeeded fails the second time), so what was in flight is
 * answered with EIO. What has no answer (FORGET) is given back.
 *
 * A successor is told the driver's FUSE_INIT, as it was: without it no other request is served. It
 * knows none of the predecessor's files: what was open is not, and what the driver looked up it has to
 * look up again; the driver hears that as errors.
 *
 * The state: how many bytes of the INIT message there are, then the message.
 */
#include "bulkhead/bytes.h"
#include "class_table.h"

#include <stddef.h>

#define FS_ID         26u
#define FUSE_INIT     26u
#define FUSE_EIO      (-5)
#define INIT_ANSWER   80u /* fuse_out_header, fuse_init_out */
#define INIT_SHORTEST 56u
#define STATE_LENGTH  0u /* words */
#define STATE_BYTES   1u

struct fuse_in {
    uint32_t length;
    uint32_t opcode;
    uint64_t unique;
    uint64_t node;
    uint32_t uid;
    uint32_t gid;
    uint32_t pid;
    uint32_t padding;
};

struct fuse_out {
    uint32_t length;
    int32_t error;
    uint64_t unique;
};

static bool repeats(const struct bh_chain *chain, uint16_t queue)
{
    struct fuse_in in;
    (void)queue;
    return bh_chain_read(chain, 0, &in, sizeof(in)) == sizeof(in) &&
           BH_LE32(in.opcode) == FUSE_INIT;
}

static int64_t refuse(struct bh_chain *chain, uint16_t queue)
{
    struct fuse_in in;
    (void)queue;
    if (bh_chain_read(chain, 0, &in, sizeof(in)) != sizeof(in) ||
        chain->writable_bytes < sizeof(struct fuse_out)) {
        return BH_UNSUPPORTED;
    }
    const struct fuse_out out = {
        .length = BH_LE32(sizeof(out)),
        .error = (int32_t)BH_LE32((uint32_t)FUSE_EIO),
        .unique = in.unique,
    };
    return bh_chain_write(chain, 0, &out, sizeof(out));
}

/* Remembered when it is done well: one that is in flight is repeated. */
static bool answer(uint64_t *state, const struct bh_chain *chain, uint16_t queue, uint32_t written)
{
    struct fuse_in in;
    struct fuse_out out;
    uint8_t message[BH_GATE_RESTORE_MAX];
    (void)queue;
    if (bh_chain_read(chain, 0, &in, sizeof(in)) != sizeof(in) || BH_LE32(in.opcode) != FUSE_INIT ||
        chain->readable_bytes > sizeof(message) || chain->readable_bytes < INIT_SHORTEST ||
        written < sizeof(out) || bh_gate_chain_said(chain, 0, &out, sizeof(out)) != sizeof(out) ||
        out.error != 0) {
        return true;
    }
    uint32_t length = bh_chain_read(chain, 0, message, sizeof(message));
    state[STATE_LENGTH] = length;
    bh_copy(&state[STATE_BYTES], message, length);
    return true;
}

/* The first request queue is 1 (5.11.2; without the notification queue, which no vhost-user back end
 * offers). */
static bool restore(const uint64_t *state, uint32_t step, struct bh_gate_restore *what)
{
    uint64_t length = state[STATE_LENGTH];
    if (step != 0u || length == 0u || length > BH_GATE_RESTORE_MAX) {
        return false;
    }
    what->queue = 1;
    what->length = (uint32_t)length;
    what->answer = INIT_ANSWER;
    bh_copy(what->bytes, &state[STATE_BYTES], (size_t)length);
    return true;
}

const struct bh_gate_class bh_gate_class_fs = {
    .type = FS_ID,
    .name = "fs",
    .repeats = repeats,
    .refuse = refuse,
    .answer = answer,
    .restore = restore,
};
