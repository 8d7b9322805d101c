/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One back end of the keeper's: a process that it starts (keeper_spawn.c), or one that somebody else
 * started and that is connected to (keeper_connect.c).
 *
 * States:
 *   none   bh_instance_start -> alive
 *   alive  there is a process, or is going to be one. `ready`: its connection is there (`fd`), or was
 *          taken. -> none (`over` is called): the process is gone, and so are those that it started
 *          and left in its process group. Only then may another one touch the same resource.
 *
 * Thread: the loop's. Ownership: the structure is the caller's and must not move.
 */
#ifndef GATE_KEEPER_INSTANCE_H
#define GATE_KEEPER_INSTANCE_H

#include "bulkhead/host_loop.h"
#include "keeper.h"

struct bh_instance {
    struct bh_child child; /* of a command */
    struct bh_watch peer; /* of the process at the other end of --backend: its pidfd; fd -1: none */
    struct bh_timer timer;
    struct bh_poller *poller;
    const struct bh_keeper_options *options;
    const char *folder; /* for {socket} */
    void (*became_ready)(struct bh_instance *instance);
    void (*over)(struct bh_instance *instance);
    void *context;
    int fd; /* our end of its connection; -1 */
    pid_t pid;
    uint64_t begun_ms;
    uint32_t number; /* for the path of {socket} */
    bool alive;
    bool ready;
    bool ending; /* it has been told to end, or is waited for */
    bool told;   /* what it waits for was logged */
    char path[108];
};

/* BH_LIMIT: no descriptor. */
int bh_instance_init(struct bh_instance *instance, struct bh_poller *poller,
                     const struct bh_keeper_options *options, const char *folder);
void bh_instance_finish(struct bh_instance *instance);

/* Starts or connects: `ready` may be set at once; else `became_ready` is called. An error (logged): it
 * was not started. */
int bh_instance_start(struct bh_instance *instance);

/* Ends it: with SIGTERM, or SIGKILL (`now`). One that is not ours is waited for. BH_UNSUPPORTED
 * (logged): nobody can tell when it is gone. */
int bh_instance_end(struct bh_instance *instance, bool now);

uint64_t bh_keeper_now_ms(void);

/* Of keeper_spawn.c and keeper_connect.c. */
int bh_instance_spawn(struct bh_instance *instance);
void bh_instance_spawn_tick(struct bh_instance *instance);
void bh_instance_signal(struct bh_instance *instance, int number);
int bh_instance_connect(struct bh_instance *instance);
void bh_instance_connect_tick(struct bh_instance *instance);
int bh_instance_await(struct bh_instance *instance);
/* It is gone. */
void bh_instance_gone(struct bh_instance *instance);

#endif
