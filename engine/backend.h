/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end: the process that implements one device of a guest. It gets one end of a connected
 * vhost-user socket, its resource, a pipe for what it prints, and nothing else.
 *
 * States:
 *   idle     -> running (bh_backend_start)
 *   running  -> ended (it was reaped: by itself, or after bh_backend_end or bh_backend_kill)
 *   ended    `status` is its exit code, or -signal.
 *
 * Thread: the loop's. Ownership: the structure is the caller's, and stays where it is.
 */
#ifndef ENGINE_BACKEND_H
#define ENGINE_BACKEND_H

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
};

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

struct bh_backend {
    struct bh_child child; /* first */
    const struct bh_guest *guest;
    const struct bh_device_definition *device;
    struct bh_source source; /* what it prints */
    struct bh_words words;
    struct bh_open_resource resource;
    struct bh_filter_writer filter; /* what it may do now; no page: it has no resource */
    int front_fd;                   /* the engine's end of the socket, until it is handed over */
    int back_fd;                    /* the back end's end */
    struct bh_guest_terminal *terminals; /* a console's ports */
    uint32_t terminal_count;
    char program[32];
    bool started;
    bool ended;
    int status;
    struct bh_refusals refusals;
    struct bh_watch up;  /* how far it is; fd -1: not started yet, or finished */
    uint32_t up_letters; /* that came */
    struct bh_poller *poller;
    /* It says BH_UP_SERVES, or BH_UP_DRIVER (the first time). */
    void (*on_up)(void *context, struct bh_backend *backend, char letter);
    /* It was reaped; its output is shown. */
    void (*on_end)(void *context, struct bh_backend *backend);
    /* It says that it refused a request. */
    void (*on_refused)(void *context, struct bh_backend *backend, const char *text);
    void *context;
};

struct bh_backend_setup {
    struct bh_poller *poller;
    struct bh_output *output;
    const char *daemons;
    const char *label;
    uint32_t colour;
    void (*on_end)(void *context, struct bh_backend *backend);
    void (*on_refused)(void *context, struct bh_backend *backend, const char *text);
    void (*on_up)(void *context, struct bh_backend *backend, char letter);
    void *context;
};

/* Starts it with what `backend` holds (guest, device, resource, terminals), and makes its socket.
 * The copies of what it alone needs are closed. BH_OK, or the code of bh_child_start: the caller
 * says it. */
int bh_backend_start(struct bh_backend *backend, const struct bh_backend_setup *setup);

/* It is running. */
bool bh_backend_runs(const struct bh_backend *backend);

/* Asks it to end; it drains what is in flight. */
void bh_backend_end(struct bh_backend *backend);
void bh_backend_kill(struct bh_backend *backend);

/* Closes what is open. It must not run. */
void bh_backend_finish(struct bh_backend *backend);

/* How a process ended, as a text: "exit code 1", "signal 9 (Killed)". */
void bh_backend_status_text(int status, char *text, size_t size);

#endif
