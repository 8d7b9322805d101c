/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control socket in a folder of its own, served by a thread with canned handlers. Not a test
 * itself. Include it after cmocka.h.
 */
#ifndef BULKHEAD_CONTROL_RIG_H
#define BULKHEAD_CONTROL_RIG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "bulkhead/engine_control.h"
#include "bulkhead/host_loop.h"

#define PATIENCE 10000 /* ms; what takes longer hangs */

#define CONTROL_TEXT 64u
#define CONTROL_PATH 4096u

struct control_rig {
    char base[CONTROL_TEXT]; /* XDG_RUNTIME_DIR */
    struct bh_loop loop;
    struct bh_control *control;
    struct bh_watch wake;
    pthread_t thread;
    bool threaded;
    int descriptors;          /* of the process, before the control was opened */
    const char *status;       /* what the handlers answer */
    char guest[CONTROL_TEXT]; /* what they were given */
    char device[CONTROL_TEXT];
    char port[CONTROL_TEXT];
    char mode[CONTROL_TEXT];
    int terminal_fd; /* our end of what was attached */
    atomic_uint stops;
    atomic_uint sizes; /* rows << 16 | columns */
};

extern struct control_rig control_rig;
extern const struct bh_control_handlers control_rig_handlers;

/* tear_down fails when a descriptor leaked. */
int control_rig_set_up(void **state);
int control_rig_tear_down(void **state);
#define CONTROL_CASE(name)                                                                         \
    cmocka_unit_test_setup_teardown(name, control_rig_set_up, control_rig_tear_down)

/* bh_control_open on the rig's loop; `folder` has CONTROL_PATH bytes. */
int control_rig_open_named(struct bh_control **control, const char *name, char *folder, int *pid);

/* Opens the platform "p" and serves it in the thread. */
void control_rig_serve(void);
/* Ends the thread: from then on the test may look into what it uses. */
void control_rig_rest(void);

/* A connection to "p". */
int control_rig_client(void);
int control_rig_call(int fd, const char *request, char **answer);
/* Asks, and the answer contains `expected`. */
void control_rig_expect(int fd, const char *request, const char *expected);

/* Below `base`. */
void control_rig_make_folder(const char *name, unsigned int mode);
/* Removes what is at `name` below `base` ("": `base` itself), and all in it. */
void control_rig_remove(const char *name);
/* Below RUNTIME: is it there? */
void control_rig_exists(const char *name, bool there);
/* A socket of the test's own that listens in place of the supervisor's. */
int control_rig_impostor(void);

#endif
