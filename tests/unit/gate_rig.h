/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A gate as it really runs: the parent in a thread, the gate and its back end (bulkhead-blk) as processes,
 * and a front end in the test's own thread (tests/vhost_user/vu_disk.h) that has not the least idea.
 * The test program is the gate, too: started with --control.
 */
#ifndef GATE_RIG_H
#define GATE_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_child.h"
#include "bulkhead/host_loop.h"
#include "tests/vhost_user/vu_disk.h"

#define GATE_RIG_IMAGE (UINT64_C(16) << 20) /* bytes */

struct gate_rig_options {
    uint32_t mode; /* enum bh_gate_mode */
    bool packed;   /* the back end's ring */
    bool share_rings;
    uint32_t deadline_ms;
    const char *sandbox;
    uint64_t foreign; /* an inode that no file has: all memory is somebody else's */
};

struct gate_rig {
    struct gate_rig_options options;
    struct bh_gate_setup setup;
    struct bh_gate_parent *parent;
    struct bh_loop loop;
    struct bh_timer stop;
    struct bh_watch listener;
    struct bh_child gate;
    struct bh_child back;
    pthread_t thread;
    char folder[64];
    char socket[100];
    char image[128];
    int image_fd;
    bool stopping;
    bool wanted; /* a back end, once this one is reaped */
    bool last;   /* there will be no other */
    atomic_bool over;
    atomic_int gate_pid;
    atomic_int back_pid;
    atomic_uint gates; /* started so far */
    atomic_uint backs;
    atomic_uint greeted; /* generations */
    atomic_uint events[BH_GATE_REASONS];
    atomic_uint wants[BH_GATE_REASONS];
    atomic_uint ups;
    atomic_uint guests;
    atomic_bool no_more; /* set it: the next back end that is wanted does not come */
};

void gate_rig_start(struct gate_rig *rig, const struct gate_rig_options *options);
/* Ends everything. */
void gate_rig_finish(struct gate_rig *rig);

/* A front end's view of it; asserts that it opens. */
void gate_rig_disk(struct gate_rig *rig, struct vu_disk *disk, const struct vu_disk_options *more);

/* Waits until *counter is at least `least`; false: it never is. */
bool gate_rig_wait(const atomic_uint *counter, unsigned int least);

/* Writes and reads back blocks with content of `seed`'s; one after the other. Returns BH_OK. */
int gate_rig_write(struct vu_disk *disk, uint32_t seed, uint32_t blocks);
int gate_rig_read(struct vu_disk *disk, uint32_t seed, uint32_t blocks);

struct bh_gate_counters gate_rig_counters(struct gate_rig *rig);

#endif
