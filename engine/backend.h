/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end: what implements one device of a guest. It is a process at a time, an instance, and
 * another one takes over when that is over (supervisor_replace.c). An instance gets one end of a
 * connected vhost-user socket, whose other end is the gate's, its resource in a description of its
 * own, a pipe for what it prints, and nothing else.
 *
 * States of an instance:
 *   idle     -> running (bh_instance_start)
 *   running  -> idle (it was reaped: by itself, or after bh_instance_end or bh_instance_kill)
 *
 * A back end has two places for instances: one serves, and one may be started ahead.
 *
 * Thread: the loop's. Ownership: the structure is the caller's, and stays where it is.
 */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_child.h"
#include "bulkhead/host_filter.h"
#include "bulkhead/host_notify.h"
#include "resource.h"
#include "terminal.h"

/* ------------------------------------------------------------------------------------------------
 * command lines */

#define BH_BACKEND_ARGUMENTS 64u
#define BH_BACKEND_FDS       (4u + BH_PORTS_MAX)
#define BH_BACKEND_TEXT      2048u
#define BH_BACKEND_FIRST_FD  3 /* in the child: the vhost-user socket; resources follow */

struct bh_backend_command {
    char name[32]; /* of the program: bulkhead-blk */
    char program[4096];
    const char *arguments[BH_BACKEND_ARGUMENTS + 1u];
    uint32_t count;
    struct bh_child_fd fds[BH_BACKEND_FDS];
    uint32_t fd_count;
    char text[BH_BACKEND_TEXT]; /* of arguments that are made */
    size_t used;
    int error;
};

/* The program of a device type, in the folder `daemons`: its name alone, too. BH_LIMIT: the path is
 * too long; BH_UNSUPPORTED: there is none. */
int bh_backend_program(struct bh_backend_command *command, const char *daemons, uint32_t type);

/* What a back end is started with. */
struct bh_backend_parts {
    const struct bh_guest *guest;
    const struct bh_device_definition *device;
    int socket_fd;
    int resource_fd;     /* -1: none */
    int filter_fd;       /* -1: none */
    int up_fd;           /* where it tells how far it is; -1: nobody wants to know */
    uint32_t operations; /* that the policy allows in some mode */
    const int *port_fds; /* one for each port of a console, the first one's first */
    bool standby;        /* it waits for its predecessor's end */
};

/* Whether the back end of a device type can be started ahead: it takes its resource only when the
 * gate speaks to it. */
bool bh_backend_stands_by(uint32_t type);

/* The whole command line. BH_LIMIT: it is too long; BH_UNSUPPORTED: there is no program for this
 * type. */
int bh_backend_command(struct bh_backend_command *command, const char *daemons,
                       const struct bh_backend_parts *parts);

/* ------------------------------------------------------------------------------------------------
 * refused requests, in its own words */

/* A back end that lies could say it as often as it likes: it is heard as often as an honest one
 * speaks (host_log.h). All zero but `room`: BH_LOG_EVENT_BURST. */
struct bh_refusals {
    uint32_t room;     /* lines that are heard now */
    uint64_t filled;   /* seconds of the monotonic clock when `room` was last topped up */
    uint64_t left_out; /* lines since the last that was heard */
};

/* Whether a line of `program` speaks of refused requests. */
bool bh_refusal_said(const char *program, const char *text);

/* Whether one more is heard at `now`, in seconds. */
bool bh_refusals_hear(struct bh_refusals *refusals, uint64_t now);

/* ------------------------------------------------------------------------------------------------
 * life */

struct bh_backend;

struct bh_instance {
    struct bh_child child; /* first */
    struct bh_backend *backend;
    struct bh_source source; /* what it prints */
    struct bh_words words;
    int line_fd;         /* the gate's end of its socket, until the gate has it; -1 */
    struct bh_watch up;  /* how far it is; fd -1: not started yet, or finished */
    uint32_t up_letters; /* that came */
    bool runs;
    bool serves;      /* it said BH_UP_SERVES */
    bool mode_untold; /* its page has changed before that */
    int status;       /* of the last that was here: exit code, or -signal */
};

struct bh_backend_setup {
    struct bh_poller *poller;
    struct bh_output *output;
    const char *daemons;
    uint32_t colour;
    /* It says BH_UP_SERVES. */
    void (*on_up)(void *context, struct bh_instance *instance);
    /* It was reaped; its output is shown. */
    void (*on_end)(void *context, struct bh_instance *instance);
    /* It says that it refused a request. */
    void (*on_refused)(void *context, struct bh_backend *backend, const char *text);
    void *context;
};

struct bh_backend {
    const struct bh_guest *guest;
    const struct bh_device_definition *device;
    struct bh_backend_setup setup;
    char label[BH_OUTPUT_LABEL_MAX];
    char program[32];
    struct bh_open_resource resource;
    struct bh_filter_writer filter; /* what it may do now; no page: it has no resource */
    int front_fd;                   /* the engine's end of its socket, until it is handed over */
    struct bh_guest_terminal *terminals; /* a console's ports */
    uint32_t terminal_count;
    struct bh_refusals refusals;
    struct bh_instance instances[2];
    struct bh_instance *serving; /* the gate has it; NULL: none */
    struct bh_instance *next;    /* the gate gets it next; NULL: none */

    /* supervisor_replace.c */
    uint32_t generation;   /* of the one that serves, as the gate counts; 0: none was given yet */
    uint32_t replacements; /* so far */
    uint64_t due;          /* when the next one may be given, in milliseconds */
    uint64_t spare_due;    /* when one may be started ahead, in milliseconds */
    bool wanted;           /* the gate waits for one */
    bool greeted;          /* one has fitted */
    bool given_up;
    struct bh_restarts restarts;
};

/* Guest and device, and nothing else. */
void bh_backend_init(struct bh_backend *backend, const struct bh_guest *guest,
                     const struct bh_device_definition *device);

/* Starts an instance in the free place with what `backend` holds (setup, resource, page, terminals),
 * and makes it `next`. `standby`: it waits until the gate speaks to it. BH_OK, or an error of
 * bh_resource_again or bh_child_start; BH_STATE: there is no place. */
int bh_instance_start(struct bh_backend *backend, bool standby);

/* Asks it to end; it drains what is in flight. */
void bh_instance_end(struct bh_instance *instance);
void bh_instance_kill(struct bh_instance *instance);

/* An instance of it is running. */
bool bh_backend_runs(const struct bh_backend *backend);
/* Those that run. */
void bh_backend_end(struct bh_backend *backend);
void bh_backend_kill(struct bh_backend *backend);

/* Closes what is open. It must not run. */
void bh_backend_finish(struct bh_backend *backend);

/* How a process ended, as a text: "exit code 1", "signal 9 (Killed)". */
void bh_backend_status_text(int status, char *text, size_t size);

#endif
