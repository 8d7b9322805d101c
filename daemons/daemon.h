/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device supplies to become a daemon: its options, and how its resources and its model are
 * made. Everything else (options that all daemons have, sockets, sandbox, service manager, signals)
 * is shared: main.c. A program holds one daemon, so a device keeps what it has in static variables.
 *
 * A new device is one file here, which defines bh_daemon_class, and one line in devices.def.
 *
 * Thread: one.
 */
#ifndef DAEMONS_DAEMON_H
#define DAEMONS_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/device.h"
#include "bulkhead/filter.h"
#include "bulkhead/host_loop.h"

/* How a daemon ends (documented in the man page). */
enum bh_exit {
    BH_EXIT_OK = 0,      /* told to end, or the front end of --fd went */
    BH_EXIT_FAILED = 1,  /* a resource or socket cannot be used */
    BH_EXIT_USAGE = 2,   /* options */
    BH_EXIT_SANDBOX = 3, /* --sandbox=strict, and a layer cannot be closed */
    BH_EXIT_BROKEN = 4,  /* it stopped serving on its own: the host's event loop failed */
};

/* An option of a device. */
struct bh_daemon_option {
    const char *name;     /* without the dashes */
    const char *argument; /* how its value is called in the help; NULL: it takes none */
    const char *help;     /* one sentence, without a full stop */
    /* The option is there; `value` (NULL without an argument) stays as long as the process. BH_OK,
     * or BH_INVALID: the value makes no sense. */
    int (*take)(const char *value);
};

/* What a device may use. */
struct bh_daemon {
    struct bh_poller *poller;
    void (*stopped)(void *context); /* the device calls it when its resources are quiet */
    void *context;
    const struct bh_filter *filter; /* for the model; NULL: there was no --filter */
    bool standby;                   /* the resource is opened, and `claim` takes it */
};

struct bh_daemon_class {
    const struct bh_daemon_option *options;
    uint32_t option_count;
    const char *const *features; /* of the device type, by QEMU's vhost-user.json; ends with NULL */
    const char *notes;           /* for help and man page: a few sentences, lines of at most 80 */
    bool takes_filter;           /* its model holds requests against daemon->filter */

    /* The options are complete: BH_OK, or BH_INVALID (logged). */
    int (*check)(void);
    /* Opens the resources and makes the device (initialised, not bound). Logs what is wrong. */
    int (*open)(const struct bh_daemon *daemon, struct bh_device **device);
    /* The ioctl requests that the open resources need. NULL: none. */
    uint32_t (*requests)(const unsigned long **requests);
    /* With `standby`: takes the resource, whose last user may be ending just now, and looks at what may
     * have changed since it was opened; the sandbox is closed, and the device not served yet. BH_OK;
     * BH_AGAIN: somebody still has it; an error (logged). NULL: the device does not stand by. */
    int (*claim)(void);
    /* SIGHUP: looks at the resource again. NULL: nothing. */
    void (*reload)(void);
    /* SIGWINCH, from whoever changed it: the size of a terminal is another. NULL: nothing. */
    void (*resized)(void);
    /* SIGUSR1, from whoever changed the filter's page: what was held back may be allowed now. NULL:
     * nothing is held back. */
    void (*filter_changed)(void);
    /* Starts nothing more at the resources; calls daemon->stopped when nothing is under way. */
    void (*stop)(void);
    /* Frees what open made. */
    void (*close)(void);
};

/* The device of this program. */
extern const struct bh_daemon_class bh_daemon_class;

/* The guest asked for `operation` (static text), which the policy does not allow: for the log. */
void bh_daemon_refused(const char *operation);

/* For `take`: descriptor `fd`, inherited, is used by an option. BH_INVALID: it is not open. */
int bh_daemon_keep_fd(int fd);

/* For `take`: a number between least and most; a size in bytes, with K, M, G or T behind it. */
int bh_daemon_number(const char *text, uint64_t least, uint64_t most, uint64_t *number);
int bh_daemon_size(const char *text, uint64_t *bytes);

/* For `take`: if `path` is /dev/fd/N, keeps N. BH_OK, BH_INVALID. */
int bh_daemon_keep_path(const char *path);

#endif
