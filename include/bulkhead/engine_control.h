/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How other programs speak to a running platform: the control socket of its supervisor, both ends.
 * A SOCK_SEQPACKET Unix socket; each message is one JSON object, at most BH_CONTROL_BYTES_MAX.
 *
 *   {"request": "status"}, {"request": "status", "guest": "ivi"}
 *     -> {"ok": true, "status": {…}}; with "guest" its "guests" has that one alone
 *   {"request": "stop"}, {"request": "stop", "guest": "ivi"}
 *     -> {"ok": true}; the rest happens in the background
 *   {"request": "attach", "guest": "ivi", "device": "console", "port": "diag"}
 *     device and port may be left out
 *     -> {"ok": true}, with a stream socket (SCM_RIGHTS): the terminal's bytes both ways; closing
 *        it detaches. A connection attaches once.
 *   {"request": "resize", "rows": 24, "columns": 80}
 *     -> {"ok": true}: for the terminal attached here
 *   {"request": "mode"}, {"request": "mode", "mode": "workshop"}
 *     -> {"ok": true, "mode": "workshop", "modes": ["drive", "workshop"]}: the vehicle mode that
 *        holds now, and all there are. With "mode" it is changed first: when the answer comes, what
 *        every back end may do is that of the new mode, for each request that it takes from then on.
 *   anything else, or what cannot be done
 *     -> {"ok": false, "error": "…what to do…"}
 *
 * The status, with sizes in bytes, and pid 0 for what does not run:
 *   {"platform": "hello", "pid": 100, "definition": "platform.yaml", "state": "running",
 *    "since_ms": 5000, "mode": "drive", "modes": ["drive", "workshop"],
 *    "audit": {"path": "/var/lib/bulkhead/hello/audit.jsonl", "lost": 0}, "guests": [
 *      {"name": "ivi", "criticality": "QM", "state": "running", "detail": "",
 *       "engine": "QEMU 11.1", "accelerator": "TCG", "pid": 101,
 *       "memory": {"private": 134217728, "shared": 12582912},
 *       "gate": {"pid": 103, "ready": true, "restarts": 0},
 *       "devices": [
 *         {"name": "root", "type": "blk", "resource": "ivi-disk", "isolation": "shadow",
 *          "window": 8388608, "state": "running", "pid": 102, "isolated": true,
 *          "gate": {"state": "serving", "requests": 571, "bytes_read": 24497723,
 *                   "bytes_written": 25007024, "copied": 330920, "refused": 0, "limited": 0,
 *                   "in_flight": 0, "restarts": 1, "stall_us": 1106, "stall_us_max": 1106},
 *          "mapped": 8323072, "mapped_windows": ["ivi/root"]}]}]}
 * `window` is 0 for an `open` device. `mapped` is how much guest memory the back end has mapped, in
 * which windows, read from /proc and not from its own word; null: not known. Where the status would
 * be too long for a message, every `mapped_windows` is left out, and if that is not enough the
 * `devices` of every guest: then ask for one guest. `lost` counts the entries of the
 * audit log that could not be written. `gate` of a device is what its gate says: waiting, serving,
 * replacing, failed, and numbers (gate.h; `restarts` is the supervisor's own). States of a guest:
 * engine_supervisor.h; of a device: starting, running, ended, failed (it was given up), and "left out":
 * it is optional, and nothing has it.
 *
 * RUNTIME/NAME/metrics answers every connection with the numbers of all devices, as HTTP/1.1 with
 * OpenMetrics text.
 *
 * Where: RUNTIME/NAME/control, where RUNTIME is $XDG_RUNTIME_DIR/bulkhead, or /run/bulkhead for
 * root, or /tmp/bulkhead-UID (checked: a folder of that user, mode 0700); NAME is the platform's.
 * Only the same user and root may connect. RUNTIME/NAME/lock is locked (flock) for as long as the
 * supervisor lives: a folder without the lock is a leftover of one that was killed, and is taken
 * over.
 *
 * Thread: the loop's. A peer is hostile as far as it can be (it is of the same user): bounded
 * messages, at most BH_CONTROL_PEERS at a time, nobody waits for it.
 */
#ifndef BULKHEAD_ENGINE_CONTROL_H
#define BULKHEAD_ENGINE_CONTROL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_definition.h"
#include "bulkhead/poller.h"

/* What a socket carries at once where nobody changed the kernel's default. */
#define BH_CONTROL_BYTES_MAX 196608u
#define BH_CONTROL_PEERS     16u

/* ------------------------------------------------------------------------------------------------
 * the supervisor's end */

/* Who asks, as the kernel knew it when they connected. */
struct bh_control_who {
    pid_t pid;
    uid_t uid;
};

/* Which terminal is meant. */
struct bh_control_terminal {
    const char *guest;
    const char *device; /* NULL: the guest's first */
    const char *port;   /* NULL: the device's first */
};

/* The vehicle modes; texts that stay with the supervisor. */
struct bh_control_modes {
    const char *now;
    const char *names[BH_MODES_MAX];
    uint32_t count;
};

/* What the supervisor answers. `why` gets static or caller-kept text: what to do. */
struct bh_control_handlers {
    /* The status object as JSON text, allocated; freed by the control. guest NULL: all. NULL: no
     * memory, or there is no such guest, and then *why is set. */
    char *(*status)(void *context, const char *guest, const char **why);
    /* guest NULL: all. BH_OK, BH_GONE: no such guest. */
    int (*stop)(void *context, const struct bh_control_who *who, const char *guest,
                const char **why);
    /* BH_OK and *fd, one end of a stream socket pair that the
     * control hands over and closes, and *number for resize. BH_GONE: no such thing; BH_STATE:
     * somebody is attached. */
    int (*attach)(void *context, const struct bh_control_who *who,
                  const struct bh_control_terminal *terminal, int *fd, uint32_t *number,
                  const char **why);
    void (*resize)(void *context, uint32_t number, uint16_t rows, uint16_t columns);
    /* Changes to the mode `wanted` (NULL: it stays) and tells the modes. BH_OK; BH_GONE: no such
     * mode. */
    int (*mode)(void *context, const struct bh_control_who *who, const char *wanted,
                struct bh_control_modes *modes, const char **why);
};

struct bh_control;

/* Takes the folder of the platform `name`, locks it, listens. BH_OK; BH_STATE: that platform
 * runs already (`*pid` of its supervisor, 0: unknown); BH_NO_MEMORY. Otherwise the folder cannot
 * be used, and bh_control_advice says what to do: BH_DENIED: it is not writable, or not this
 * user's alone; BH_GONE: what should hold it is not there; BH_LIMIT: its path is too long for a
 * socket; BH_AGAIN: no descriptor is left; BH_NO_SPACE; BH_IO; BH_INVALID: no name. `folder` of
 * `folder_size` bytes gets the folder that is meant, in every case. */
int bh_control_open(struct bh_control **control, struct bh_poller *poller, const char *name,
                    const struct bh_control_handlers *handlers, void *context, char *folder,
                    size_t folder_size, int *pid);
/* What to do about an error of bh_control_open or bh_control_connect; static text. */
const char *bh_control_advice(int error);
/* Removes socket and folder. NULL: nothing. */
void bh_control_close(struct bh_control *control);

/* ------------------------------------------------------------------------------------------------
 * the other end: blocking, for command-line programs */

/* The platforms that run under this user: calls `found` for each, by name. Leftovers are passed
 * over. BH_OK, also when there are none; BH_DENIED: the folder is not this user's alone; BH_AGAIN,
 * BH_NO_MEMORY, BH_IO. */
int bh_control_list(void (*found)(void *context, const char *name), void *context);

/* Connects to the platform `name`. BH_OK and *fd; BH_GONE: it does not run; BH_DENIED: the folder
 * or the program that listens is another user's; BH_TIMEOUT: its supervisor does not answer;
 * BH_AGAIN, BH_LIMIT, BH_IO. */
int bh_control_connect(const char *name, int *fd);

/* Sends a request (JSON text) and waits at most `timeout` ms for the answer (allocated JSON
 * text); *passed_fd is the descriptor that came with it, or -1 (NULL: none is expected). BH_OK;
 * BH_GONE, BH_TIMEOUT, BH_PROTOCOL, BH_LIMIT: the request is too long, BH_NO_MEMORY. After
 * anything but BH_OK the connection is of no use. */
int bh_control_call(int fd, const char *request, int timeout, char **answer, int *passed_fd);

#endif
