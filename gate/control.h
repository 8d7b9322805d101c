/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate's end of the control socket (bulkhead/gate.h). The main thread receives; every thread sends,
 * one message at a time.
 *
 * What the parent must have (descriptors to keep, a back end that is over) waits until the socket has
 * room: a guest does not lose its place because its parent is slow. What it may miss (events) is left
 * out then, and counted.
 */
#ifndef GATE_CONTROL_H
#define GATE_CONTROL_H

#include <pthread.h>

#include "bulkhead/gate.h"

struct bh_control {
    int fd;
    pthread_mutex_t lock;
    uint64_t left_out; /* events */
};

void bh_control_init(struct bh_control *control, int fd);

/* Receives one message; *fd is the caller's, or -1. BH_GONE: the parent closed its end; BH_PROTOCOL:
 * a message of another size, or with more than one descriptor. Waits. */
int bh_control_receive(struct bh_control *control, struct bh_gate_message *message, int *fd);

/* Sends one message with a descriptor, which stays the caller's (-1: none). BH_GONE. Waits. */
int bh_control_send(struct bh_control *control, const struct bh_gate_message *message, int fd);

/* The same for what has no descriptor. `text`: printable or made so, cut to fit; NULL: none. An EVENT
 * never waits. A parent that is gone is noticed by the main thread. */
void bh_control_say(struct bh_control *control, enum bh_gate_kind kind, uint32_t device,
                    enum bh_gate_reason reason, uint64_t number, const char *text);

#endif
