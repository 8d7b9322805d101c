/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One guest on a hypervisor: started stopped, let go, watched, asked to shut down, killed. The
 * supervisor knows no more of an engine than this table; engine/qemu*.c is the first to supply it.
 *
 * States of a machine:
 *   starting  the engine's process was started; it takes up its devices (event CONNECTED).
 *             -> running (event RUNNING), ended
 *   running   the guest executes.
 *             the guest powers off (event POWERED_OFF), resets itself (event RESET) or the engine
 *             fails -> ending
 *   ending    the engine's process goes away.
 *             -> ended (event ENDED, the last one)
 *
 * Thread: the loop's. Ownership: create allocates, destroy frees, after ENDED only.
 */
#ifndef BULKHEAD_ENGINE_MACHINE_H
#define BULKHEAD_ENGINE_MACHINE_H

#include <sys/types.h>

#include "bulkhead/platform_layout.h"
#include "bulkhead/poller.h"

enum bh_machine_event_type {
    BH_MACHINE_CONNECTED,   /* the engine has taken up its devices */
    BH_MACHINE_RUNNING,     /* the guest's first instruction is let go */
    BH_MACHINE_POWERED_OFF, /* the guest turned itself off: it shut down in order */
    BH_MACHINE_RESET, /* the guest reset itself (with `on-reset: restart` it goes on by itself) */
    BH_MACHINE_PANICKED, /* the guest says that it crashed, where it has a means to */
    BH_MACHINE_FAILED,   /* the engine reports an error: `text` */
    BH_MACHINE_ENDED,    /* the process is reaped: `status` is its exit code, or -signal */
};

struct bh_machine_event {
    enum bh_machine_event_type type;
    int status;
    const char *text; /* lives as long as the call; NULL: none */
};

struct bh_machine;

/* What a host's engine is: found once for a run. */
struct bh_engine {
    char program[4096]; /* path of the executable */
    uint32_t major, minor;
    bool kvm; /* for guests of this architecture: /dev/kvm is there and a processor ran on it */
};

struct bh_machine_setup {
    struct bh_poller *poller;
    const struct bh_platform *platform;
    const struct bh_layout *layout; /* layout->guest is the guest */
    const struct bh_boot_images *images;
    const void *tree; /* device tree and its length; NULL: the engine's own */
    size_t tree_bytes;
    const struct bh_engine *engine;
    /* layout->region_count; -1 for private RAM, and for the window of a device that is left out:
     * nobody has that one. */
    const int *region_fds;
    /* guest->device_count connected vhost-user sockets; -1 for a device that is left out. */
    const int *device_fds;
    int uart_fd;   /* what the guest's UART reads and writes: one end of a stream socket pair */
    int output_fd; /* what the engine prints; -1: nowhere */
    void (*event)(void *context, const struct bh_machine_event *event);
    void *context;
};

/* Finds QEMU for the guest's architecture: the definition's `engine: {qemu: …}`, else the search
 * path; asks for its version (at least 7.2; a console needs 10.2, because no older one has a
 * front end for it), and whether KVM works for this guest. BH_OK, or an error code, said in
 * `diagnostics` with what to install. Takes as long as one start of the program; call it once
 * for each architecture. */
int bh_engine_find(struct bh_engine *engine, const struct bh_platform *platform,
                   const struct bh_guest *guest, struct bh_diagnostics *diagnostics);

/* The oldest engine that runs the guest: what a host has does not count, and nothing is asked. Its
 * program is as the definition has it, or a name to be searched for. */
void bh_engine_oldest(struct bh_engine *engine, const struct bh_platform *platform,
                      const struct bh_guest *guest);

/* Whether the engine can place the guest exactly as the layout says; if not, it is said. Call it once
 * the layout is made, before anything is started. BH_OK, BH_UNSUPPORTED. */
int bh_machine_can_place(const struct bh_layout *layout, struct bh_diagnostics *diagnostics);

/* Starts the engine with the guest. Descriptors stay the caller's, who closes its copies after it.
 * BH_OK: events follow. Otherwise nothing is left; the log says why. */
int bh_machine_create(struct bh_machine **machine, const struct bh_machine_setup *setup);

/* Asks the guest to shut down (its power key). BH_OK, BH_STATE: it does not run. */
int bh_machine_shut_down(struct bh_machine *machine);

/* Resets the guest, as by its reset button: it begins anew, whatever the definition says of resets of
 * its own, and no event follows. BH_OK, BH_STATE: it does not run; BH_LIMIT, BH_GONE: the engine does
 * not listen. */
int bh_machine_reset(struct bh_machine *machine);

/* Ends the engine without asking the guest: first in order, then with SIGKILL. ENDED follows. */
void bh_machine_end(struct bh_machine *machine);

pid_t bh_machine_pid(const struct bh_machine *machine);

/* How the engine is started for a guest, for who builds and starts nothing: as JSON (its form:
 * engine/qemu_json.c), and as a shell script to be read. Of `setup` only platform, layout, images
 * and engine count. Allocated (free); NULL: no memory. */
char *bh_machine_command_json(const struct bh_machine_setup *setup);
char *bh_machine_command_script(const struct bh_machine_setup *setup);

void bh_machine_destroy(struct bh_machine *machine); /* NULL: nothing */

#endif
