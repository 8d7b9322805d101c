/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper: what bulkhead-gate is when it works alone, in front of one back end. It starts the inner
 * gate and the back end, and replaces either; it never reads a byte of the guest's.
 */
#ifndef GATE_KEEPER_H
#define GATE_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/gate_parent.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_metrics.h"

/* The program, when it was not started as the inner gate. Returns the exit status. */
int bh_keeper_main(int argc, char **argv);

/* How it ends: as the daemons (documented in the man page). */
enum bh_keeper_exit {
    BH_KEEPER_OK = 0,
    BH_KEEPER_FAILED = 1,
    BH_KEEPER_USAGE = 2,
    BH_KEEPER_SANDBOX = 3,
    BH_KEEPER_BROKEN = 4,
};

/* ------------------------------------------------------------------------------------------------
 * options: keeper_options.c */

#define BH_KEEPER_RANGES 32u

struct bh_keeper_range {
    uint64_t address;
    uint64_t size;
};

struct bh_keeper_options {
    const char *listen;  /* path; NULL: not given */
    int fd;              /* -1: not given */
    const char *backend; /* path; NULL: not given */
    char **command;      /* NULL: not given; ends with NULL */
    const char *audit;   /* path; NULL: the log */
    const char *metrics; /* path; NULL: none */
    const char *sandbox; /* of the inner gate */
    const char *type_name;
    uint32_t type; /* VIRTIO device id */
    uint32_t mode; /* enum bh_gate_mode */
    uint32_t type_config_size;
    uint32_t config_size; /* more than BH_GATE_CONFIG_MAX: that of the type */
    uint16_t queues;
    uint16_t queue_size;
    uint32_t deadline_ms;
    uint32_t spares;
    uint64_t restarts; /* in a minute; 0: no limit */
    uint64_t arena;
    struct bh_gate_limits limits;
    bool packed;
    bool check;
    struct bh_keeper_range shares[BH_KEEPER_RANGES];
    struct bh_keeper_range guards[BH_KEEPER_RANGES];
    uint32_t share_count;
    uint32_t guard_count;
};

/* -1: go on; else the exit status of the process (help, version, a mistake, which it reports). */
int bh_keeper_options_read(int argc, char **argv, struct bh_keeper_options *options);

/* A mistake in the options: says it on standard error. Returns BH_KEEPER_USAGE. */
int bh_keeper_mistake(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether the options make sense together: keeper_check.c. -1, or BH_KEEPER_USAGE. */
int bh_keeper_options_check(const struct bh_keeper_options *options, bool given_fd);
/* keeper_types.c. A device type by its name or number: false, there is none. */
bool bh_keeper_type(const char *text, struct bh_keeper_options *options);

/* What the inner gate is told. `guest` names it in logs and metrics. */
void bh_keeper_setup(const struct bh_keeper_options *options, const char *guest,
                     struct bh_gate_setup *setup);

/* ------------------------------------------------------------------------------------------------
 * sockets: keeper_socket.c */

/* Listens at a path, for its owner only; takes over what an earlier process left there. BH_OK, or an
 * error (logged). */
int bh_keeper_listen(const char *path, int *fd);
/* Checks a descriptor that was handed over. *listens: whether it listens, or is connected. */
int bh_keeper_adopt(int fd, bool *listens);
/* Connects without waiting. BH_AGAIN: not now. */
int bh_keeper_connect(const char *path, int *fd);

/* ------------------------------------------------------------------------------------------------
 * audit and metrics */

/* keeper_audit.c: a JSON object on a line for each thing that happened. */
struct bh_keeper_audit {
    int fd; /* -1: the log */
    const char *guest;
    const char *device;
};

int bh_keeper_audit_open(struct bh_keeper_audit *audit, const char *path);
void bh_keeper_audit_close(struct bh_keeper_audit *audit);
void bh_keeper_audit_write(const struct bh_keeper_audit *audit, enum bh_log_level level,
                           uint32_t reason, uint64_t number, const char *text);

#endif
