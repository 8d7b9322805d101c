/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The supervisor's own structures. Private to engine/supervisor*.c.
 *
 * States of a supervised guest (what `status` shows):
 *   waiting   its turn has not come (supervisor_order.c).
 *             -> starting, stopped (a stop was asked for), failed (it never comes)
 *   starting  its gate and its back ends are started, and once the gate is ready its engine.
 *             -> running (the guest executes), stopping, failed
 *   running   from some point on it is `ready`, for good.
 *             -> stopping (a stop was asked for), stopped (it powered itself off), failed
 *   stopping  it is asked to shut down, again and again: a key that is pressed before the guest
 *             listens is lost.
 *             -> stopped (it powered itself off), failed (its time is over)
 *   stopped   it shut down in order, or was never started.
 *   failed    `failure` says who failed, `detail` how.
 * Whatever the state: once the engine is reaped its gate and its back ends are ended, and once these are
 * reaped the guest is `settled`. The first failure of a guest is the one that counts: what follows from
 * it is no news. A back end or a gate that is over while the engine runs is no failure: another one takes
 * over (supervisor_replace.c, supervisor_gate.c).
 */
#ifndef ENGINE_SUPERVISOR_H
#define ENGINE_SUPERVISOR_H

#include "audit.h"
#include "backend.h"
#include "bulkhead/engine_control.h"
#include "bulkhead/engine_machine.h"
#include "bulkhead/engine_supervisor.h"
#include "bulkhead/host_loop.h"
#include "bulkhead/host_metrics.h"
#include "bulkhead/host_notify.h"
#include "order.h"
#include "terminal.h"
#include "timeline.h"
#include "window.h"

#define BH_DETAIL_BYTES 512u

#define BH_WHY_BYTES (128u + BH_MODES_MAX * (BH_NAME_MAX + 2u))

enum bh_supervised_state {
    BH_SUPERVISED_WAITING,
    BH_SUPERVISED_STARTING,
    BH_SUPERVISED_RUNNING,
    BH_SUPERVISED_STOPPING,
    BH_SUPERVISED_STOPPED,
    BH_SUPERVISED_FAILED,
};

struct bh_supervisor;

/* supervisor_gate.c */
struct bh_supervised_gate {
    struct bh_child child;         /* first; `context` is the guest */
    struct bh_gate_parent *parent; /* NULL: no device needs a gate */
    struct bh_source source;       /* what it prints */
    struct bh_words words;
    bool runs;
    bool ready;        /* it reads messages */
    uint64_t due;      /* when another one may be started, in milliseconds */
    uint32_t restarts; /* so far */
    struct bh_restarts allowed;
};

struct bh_supervised {
    struct bh_supervisor *supervisor;
    const struct bh_guest *guest;
    uint32_t colour;
    enum bh_supervised_state state;
    enum bh_run_exit failure;
    char detail[BH_DETAIL_BYTES];
    const char *advice; /* what to do about the failure */
    const struct bh_words
        *failed_words; /* of a back end or gate, which explain it; NULL: none do */
    bool settled;
    bool timers_made;
    uint64_t turn;  /* when its turn came, in milliseconds of the monotonic clock */
    bool has_run;   /* its first instruction */
    bool sign_seen; /* that it waits for (ready-when) */
    bool ready;

    struct bh_boot_images images;
    bool images_open;
    struct bh_layout layout;
    void *tree;
    size_t tree_bytes;
    struct bh_window windows[BH_REGIONS_MAX]; /* of each region; size 0: private */
    struct bh_backend *backends;              /* one for each device */

    struct bh_supervised_gate gate;
    bool engine_waits;     /* for the gate to be ready */
    struct bh_timer again; /* a back end or a gate is due */

    struct bh_guest_terminal uart;
    struct bh_words words;
    const struct bh_engine *engine;
    struct bh_machine *machine;
    struct bh_source engine_source; /* what the engine prints */
    struct bh_words engine_words;
    bool machine_ended;

    struct bh_timer
        deadline;        /* stopping: ask again, or it is over; later: back ends to be killed */
    uint64_t stop_until; /* milliseconds of the monotonic clock */
    struct bh_task settle;
};

struct bh_supervisor {
    const struct bh_supervisor_setup *setup;
    const struct bh_platform *platform;
    struct bh_diagnostics *diagnostics;
    struct bh_loop loop;
    bool loop_made;
    struct bh_signals signals;
    bool signals_made;
    struct bh_output output;
    struct bh_notify notify;
    struct bh_timer watchdog;
    struct bh_timer tick;
    bool timers_made;
    bool tick_armed;
    struct bh_control *control;
    struct bh_metrics *metrics;
    char why[BH_WHY_BYTES]; /* an answer of the control */
    struct bh_audit audit;
    uint32_t mode; /* in platform->modes */
    struct bh_engine engines[BH_ARCHES];
    struct bh_supervised *guests; /* one for each of the platform */
    struct bh_order order;
    struct bh_task turns;
    struct bh_timer turn;         /* the patience with a guest is over */
    bool under_way;               /* the run is not refused any more: engines are started */
    struct bh_timeline *timeline; /* NULL: nobody wants it */
    bool timeline_lost;           /* it could not be written, and that was said */
    uint64_t started;             /* milliseconds of the monotonic clock */
    bool stopping;
    bool ready;               /* every guest has been ready */
    enum bh_run_exit failure; /* the first */
};

/* ------------------------------------------------------------------------------------------------
 * supervisor_prepare.c: everything that can be refused, before anything is started */

/* Opens, checks and makes what each guest needs. BH_OK; BH_INVALID: what is wrong is in the
 * diagnostics; BH_NO_MEMORY. */
int bh_supervisor_prepare(struct bh_supervisor *supervisor);

/* Finds the engine of every architecture that is needed. BH_OK, or an error, said. */
int bh_supervisor_find_engines(struct bh_supervisor *supervisor);

/* Whether there is a descriptor of that memory: it is not private, and no place that is kept for a
 * device that is left out. */
static inline bool bh_supervised_shares(const struct bh_layout_region *region)
{
    return region->kind == BH_REGION_WINDOW || region->kind == BH_REGION_SHARED;
}

/* Closes what the engine and the back ends have by now, or will never get. */
void bh_supervised_let_go(struct bh_supervised *guest);

/* Closes and frees everything of a guest, in whatever state the preparation left it. */
void bh_supervised_finish(struct bh_supervised *guest);

/* The name before a line: "GUEST", "GUEST/DEVICE", "GUEST/DEVICE/PORT": as attach takes it. */
void bh_supervised_label(const struct bh_supervised *guest, const char *device, const char *port,
                         char *label, size_t size);

/* ------------------------------------------------------------------------------------------------
 * supervisor_guest.c: the states of one guest */

/* BH_LIMIT: no descriptor left. */
int bh_supervised_make_timers(struct bh_supervised *guest);
void bh_supervised_finish_timers(struct bh_supervised *guest);

/* Starts its engine, at once or as soon as its gate is ready. A failure is the guest's failure. */
void bh_supervised_start_engine(struct bh_supervised *guest);

/* Asks it to shut down, and sees to it that it ends. */
void bh_supervised_stop(struct bh_supervised *guest);

/* Ends it at once: nobody is asked. */
void bh_supervised_kill(struct bh_supervised *guest);

/* No engine will be started: its back ends end. */
void bh_supervised_abandon(struct bh_supervised *guest);

/* It cannot be started, or not go on starting: that is its failure, and what was started ends. */
void bh_supervised_fail_start(struct bh_supervised *guest, enum bh_run_exit failure,
                              const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* It failed while it ran, and its engine ends. */
void bh_supervised_fail(struct bh_supervised *guest, enum bh_run_exit failure, const char *advice,
                        const char *format, ...) __attribute__((format(printf, 4, 5)));
void bh_supervised_fail_backend(struct bh_supervised *guest, const struct bh_instance *instance);

bool bh_supervised_has_kvm(const struct bh_supervised *guest);
const char *bh_supervised_state_name(const struct bh_supervised *guest);

/* ------------------------------------------------------------------------------------------------
 * supervisor_backends.c */

/* Starts its gate and its back ends. BH_OK; an error is in the diagnostics, or once the run is under
 * way the guest's failure. */
int bh_supervised_start_backends(struct bh_supervised *guest);

/* Starts an instance of a back end, its next one. An error is the caller's to say. */
int bh_supervised_start_instance(struct bh_supervised *guest, struct bh_backend *backend,
                                 bool standby);

/* ------------------------------------------------------------------------------------------------
 * supervisor_gate.c */

/* Makes what its gate is started with, and the engine's connections to it. BH_OK, BH_LIMIT,
 * BH_NO_MEMORY. */
int bh_supervised_make_gate(struct bh_supervised *guest);
/* Its devices' limits are those of the mode that holds. */
void bh_supervised_write_limits(struct bh_supervised *guest);

int bh_supervised_start_gate(struct bh_supervised *guest);
/* Starts another one, if the one before is over and its back ends are reaped. */
void bh_supervised_restart_gate(struct bh_supervised *guest);
/* It reads messages, or none is needed. */
bool bh_supervised_gate_serves(const struct bh_supervised *guest);
void bh_supervised_end_gate(struct bh_supervised *guest);
void bh_supervised_finish_gate(struct bh_supervised *guest);

/* ------------------------------------------------------------------------------------------------
 * supervisor_replace.c */

/* It was started, and its engine has not ended: what is over is replaced. */
bool bh_supervised_is_kept(const struct bh_supervised *guest);

/* Something has changed: gives its gate the back ends that it waits for, as far as they are due. */
void bh_supervised_go_on(struct bh_supervised *guest);
void bh_supervised_again(void *context); /* the same, for a timer */

/* What the gate says: `generation` is over, fits; the guest broke the protocol of the device. */
void bh_supervised_backend_over(struct bh_supervised *guest, struct bh_backend *backend,
                                uint32_t generation, uint32_t reason, const char *text);
void bh_supervised_backend_greeted(struct bh_supervised *guest, struct bh_backend *backend,
                                   uint32_t generation);
/* The gate refuses what the guest asks for; `text` says why. Its answer to being told that there will be
 * no other is no news. */
void bh_supervised_gave_up(struct bh_supervised *guest, struct bh_backend *backend,
                           const char *text);
void bh_supervised_violated(struct bh_supervised *guest, const struct bh_backend *backend,
                            const char *text);

/* As bh_backend_setup.on_end; the context is the guest. */
void bh_supervised_backend_ended(void *context, struct bh_instance *instance);

/* ------------------------------------------------------------------------------------------------
 * supervisor_order.c: whose turn it is, and who is ready */

/* The guests whose turn it is now are starting; those that wait are in the audit log. */
void bh_supervisor_first_turn(struct bh_supervisor *supervisor);
/* Something has changed: from the loop, starts whose turn it is now. */
void bh_supervisor_next_turn(struct bh_supervisor *supervisor);
/* BH_LIMIT: no descriptor left. */
int bh_supervisor_order_init(struct bh_supervisor *supervisor);
void bh_supervisor_order_finish(struct bh_supervisor *supervisor);

/* Its first instruction is let go. */
void bh_supervised_has_run(struct bh_supervised *guest);
/* What makes it ready was seen. The context is the guest. */
void bh_supervised_sign_seen(void *context);
/* The guest's driver of the device is up. */
void bh_supervised_driver_up(struct bh_supervised *guest, const struct bh_backend *backend);

/* What there is to say about its state; in `text` or the guest. */
const char *bh_supervised_detail(const struct bh_supervised *guest, char text[BH_DETAIL_BYTES]);

/* ------------------------------------------------------------------------------------------------
 * supervisor_timeline.c */

/* Draws the timeline, if it is time to. */
void bh_supervisor_timeline(struct bh_supervisor *supervisor);
/* Draws what has come since, and frees it. */
void bh_supervisor_timeline_end(struct bh_supervisor *supervisor);

/* ------------------------------------------------------------------------------------------------
 * supervisor.c */

/* The state of a guest has changed: is the platform ready, in a hurry, is the run over? */
void bh_supervisor_progress(struct bh_supervisor *supervisor);

/* Stops all guests in order. */
void bh_supervisor_stop(struct bh_supervisor *supervisor);

uint64_t bh_supervisor_now(void); /* milliseconds */

/* ------------------------------------------------------------------------------------------------
 * supervisor_mode.c: the vehicle mode, and what it lets back ends do */

/* The name of the mode that holds. */
const char *bh_supervisor_mode(const struct bh_supervisor *supervisor);
/* Of all modes, in the order of the definition. NULL: no memory. */
json_t *bh_supervisor_mode_names(const struct bh_supervisor *supervisor);

/* Makes the page of a back end that has a resource. BH_OK; BH_LIMIT: its policy has too many
 * ranges; or as bh_filter_create. */
int bh_supervised_make_page(struct bh_supervised *guest, struct bh_backend *backend);

/* Tells its back ends that their pages have changed; one that does not serve yet, when it does. */
void bh_supervised_tell_mode(struct bh_supervised *guest);

/* As bh_control_handlers.mode. */
int bh_supervisor_mode_asked(void *context, const struct bh_control_who *who, const char *wanted,
                             struct bh_control_modes *modes, const char **why);

/* ------------------------------------------------------------------------------------------------
 * supervisor_audit.c: the entries of the audit log (audit.h) */

/* Opens it and notes the start. BH_OK; an error is in the diagnostics. */
int bh_supervisor_audit_open(struct bh_supervisor *supervisor);
/* Notes the end of the run, and closes it. */
void bh_supervisor_audit_close(struct bh_supervisor *supervisor, enum bh_run_exit result);

void bh_supervised_audit_state(const struct bh_supervised *guest);
void bh_supervised_audit_ready(const struct bh_supervised *guest);
void bh_supervised_audit_started(const struct bh_supervised *guest,
                                 const struct bh_instance *instance, bool standby);
void bh_supervised_audit_left_out(const struct bh_supervised *guest,
                                  const struct bh_device_definition *device);
void bh_supervised_audit_ended(const struct bh_supervised *guest,
                               const struct bh_instance *instance);
void bh_supervised_audit_refused(const struct bh_supervised *guest,
                                 const struct bh_backend *backend, const char *text);

void bh_supervised_audit_gate_started(const struct bh_supervised *guest);
void bh_supervised_audit_gate_state(const struct bh_supervised *guest, const char *state,
                                    const char *how);
/* What the gate says of a device: enum bh_gate_reason. */
void bh_supervised_audit_gate(const struct bh_supervised *guest, const struct bh_backend *backend,
                              uint32_t reason, const char *text, uint64_t number);
/* What follows from it, for the definition's reason. */
void bh_supervised_audit_device(const struct bh_supervised *guest,
                                const struct bh_device_definition *device, const char *reason,
                                const char *text);

/* ------------------------------------------------------------------------------------------------
 * supervisor_control.c, supervisor_status.c: what the control socket asks for */

extern const struct bh_control_handlers bh_supervisor_handlers;
char *bh_supervisor_status(void *context, const char *guest, const char **why);
/* As bh_metrics_open takes it; the context is the supervisor. */
char *bh_supervisor_numbers(void *context);

/* By name; NULL: there is none, and *why says what to do. */
struct bh_supervised *bh_supervisor_guest(struct bh_supervisor *supervisor, const char *name,
                                          const char **why);

#endif
