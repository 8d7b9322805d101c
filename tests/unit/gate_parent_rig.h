/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of a gate's parent share: a parent, and the other end of its control socket, which is
 * the test's. Not a test itself.
 */
#ifndef GATE_PARENT_RIG_H
#define GATE_PARENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_loop.h"

#define RIG_ARENA 8192u

struct gate_parent_rig {
    struct bh_loop loop;
    struct bh_gate_parent *parent;
    struct bh_child_fd fds[BH_GATE_CHILD_FDS];
    uint32_t fd_count;
    int gate; /* the gate's end of the control socket */

    /* What the owner was told. */
    char log[2048]; /* a word for each call */
    uint32_t wants;
    uint32_t events;
    uint32_t violations;
    char why[128];
    char text[BH_GATE_TEXT_MAX + 16u];
};

extern struct gate_parent_rig rig;
extern const struct bh_gate_parent_ops rig_ops;

int rig_set_up(void **state);
int rig_tear_down(void **state);
void rig_forget(void); /* what the owner was told */

/* A guest with a device in direct and one in bounce, to be altered. */
struct bh_gate_setup *rig_setup(void);
void rig_create(uint32_t patience_ms);
/* A gate is started: its end of the line stays with the test. */
void rig_start(void);
void rig_gate_dies(void);
void rig_turn(void);

/* The gate's mouth. */
struct bh_gate_message rig_about(uint32_t kind, uint32_t device);
void rig_say_raw(const void *bytes, size_t size, const int *sent, uint32_t count);
void rig_say(const struct bh_gate_message *message, int fd);
void rig_say_number(uint32_t kind, uint32_t device, uint64_t number);
void rig_say_keep(uint32_t device, uint32_t slot, int fd);

/* The gate's ears. The next message: its kind, or 0: there is none. The descriptor is the caller's. */
uint32_t rig_hear(struct bh_gate_message *message, int *fd);
/* Hears all there is: "kind(device,slot or number)", "+" where a descriptor came along. */
void rig_expect(const char *heard);

int rig_fd(void); /* some descriptor */

#endif
