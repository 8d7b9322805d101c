/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The gate (bulkhead-gate) and its parent: who starts it, tells it what it guards, keeps what it must
 * not lose, and replaces the back ends that it throws out. The parent is the supervisor, or the gate's
 * own keeper where it works alone (gate/keeper.c). This header is what the two agree on: three pieces
 * of memory and a socket.
 *
 *   setup    a sealed memfd, struct bh_gate_setup: what is guarded. Written by the parent before the
 *            start, constant from then on.
 *   limits   a memfd, struct bh_gate_limits_page: what may change while the gate runs (the vehicle
 *            mode does that). The parent writes, the gate can only read.
 *   ledger   a memfd, struct bh_gate_ledger: what the gate knows. The gate writes; a new gate begins
 *            with it; the parent reads numbers out of it for status and metrics, and believes none.
 *   control  a Unix SOCK_SEQPACKET socket with struct bh_gate_message, a few descriptors with some.
 *
 * The gate's descriptors at exec: BH_GATE_CONTROL_FD, BH_GATE_SETUP_FD, BH_GATE_LIMITS_FD,
 * BH_GATE_LEDGER_FD, and for each device that needs one its arena, from BH_GATE_ARENA_FD on in the
 * order of the setup (struct bh_gate_device.arena_size is not 0). Sizes are the parent's (sealed).
 *
 * Everything is in the host's byte order: both ends run on one machine, from one build
 * (BH_GATE_VERSION; anything else is refused).
 */
#ifndef BULKHEAD_GATE_H
#define BULKHEAD_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead/vhost_user_keep.h"

#define BH_GATE_VERSION 1u

enum {
    BH_GATE_CONTROL_FD = 3,
    BH_GATE_SETUP_FD = 4,
    BH_GATE_LIMITS_FD = 5,
    BH_GATE_LEDGER_FD = 6,
    BH_GATE_ARENA_FD = 7,
};

#define BH_GATE_DEVICES_MAX 64u
#define BH_GATE_QUEUES_MAX  64u  /* of one device; BH_VU_FRONTEND_QUEUES_MAX */
#define BH_GATE_FILES_MAX   160u /* pieces of memory that a guest's front ends share */
#define BH_GATE_NAME_MAX    128u
#define BH_GATE_CONFIG_MAX  256u

/* ------------------------------------------------------------------------------------------------
 * setup */

/* What the back end of a device can reach (DESIGN: four modes of isolation). */
enum bh_gate_mode {
    BH_GATE_DIRECT, /* its window, rings included; the gate is not on a request's way */
    BH_GATE_SHADOW, /* the data part of its window; requests go through rings of the gate's */
    BH_GATE_BOUNCE, /* copies of requests in flight; requests go through rings of the gate's */
    BH_GATE_OPEN,   /* all memory that the front end shares */
};

/* A piece of guest memory that a front end may share. Whatever it shares and no entry names is
 * refused, in every mode but `open`. */
struct bh_gate_file {
    uint64_t address; /* guest-physical */
    uint64_t size;
    uint64_t device; /* of the file (st_dev) and inode: whose memfd it is. inode 0: the parent did
                        not make it, and any file will do (a gate that works alone) */
    uint64_t inode;
    uint64_t users; /* bit n: device n of the setup reads and writes it through the gate */
    uint64_t
        shared; /* bit n: the back end of device n may map it. Shadow: data only; direct: all of
                        the window. A ring that lies in a shared file is never shadowed: see
                        gate/relay.h */
    uint32_t sealed; /* 1: it must have F_SEAL_SHRINK */
    uint32_t padding;
};

struct bh_gate_device {
    char name[BH_GATE_NAME_MAX]; /* "ivi/root": for messages */
    uint32_t type;               /* VIRTIO device id */
    uint32_t mode;               /* enum bh_gate_mode */
    uint16_t queue_count;        /* at most; the back end may have fewer */
    uint16_t queue_size_max;     /* 1..32768 */
    uint32_t deadline_ms;  /* without a completion while requests wait, and the back end is hung;
                                    0: never */
    uint64_t feature_mask; /* what of the back end's and the gate's features the guest may see */
    uint64_t arena_size;   /* bytes, a multiple of the page; 0 in direct and open */
    uint32_t config_size;  /* bytes of the configuration space that are looked at; 0: none */
    uint8_t packed;        /* the back end's ring is packed where it offers that (shadow, bounce) */
    uint8_t restores;      /* the parent replaces a back end that is over */
    uint8_t padding[2];
    /* Where config_mask has a bit, the back end's configuration must have that of config. Whatever
     * the mask, a successor's must equal its predecessor's (but for what the class exempts). */
    uint8_t config[BH_GATE_CONFIG_MAX];
    uint8_t config_mask[BH_GATE_CONFIG_MAX];
};

struct bh_gate_setup {
    uint32_t version; /* BH_GATE_VERSION */
    uint32_t size;    /* sizeof(struct bh_gate_setup) */
    uint32_t device_count;
    uint32_t file_count;
    char guest[BH_GATE_NAME_MAX];
    struct bh_gate_device devices[BH_GATE_DEVICES_MAX];
    struct bh_gate_file files[BH_GATE_FILES_MAX];
};

/* ------------------------------------------------------------------------------------------------
 * limits */

/* Of one device; 0: none. Each field is read by itself, with one relaxed load. They hold in shadow
 * and bounce. */
struct bh_gate_limits {
    uint64_t operations_per_second;
    uint64_t bytes_per_second;
};

struct bh_gate_limits_page {
    struct bh_gate_limits devices[BH_GATE_DEVICES_MAX];
};

/* ------------------------------------------------------------------------------------------------
 * ledger */

/* The state of a device behind the gate, for status. */
enum bh_gate_state {
    BH_GATE_WAITING,   /* no back end has been greeted yet */
    BH_GATE_SERVING,   /* a back end serves */
    BH_GATE_REPLACING, /* the back end is over, and its successor is not ready; requests wait */
    BH_GATE_FAILED,    /* there is no back end any more: requests are answered with errors */
};

#define BH_GATE_LATENCY_BUCKETS 24u /* bucket n: below 2^n microseconds; the last: all others */

/* All of these only grow, but for the last ones. Written with relaxed stores by one thread. */
struct bh_gate_counters {
    uint64_t requests;      /* answered (shadow, bounce) */
    uint64_t bytes_read;    /* from the back end to the guest */
    uint64_t bytes_written; /* from the guest to the back end */
    uint64_t copied;        /* bytes that the gate copied */
    uint64_t limited;       /* times that a queue had to wait because of a limit */
    uint64_t starved;       /* times that a queue had to wait for room in the arena */
    uint64_t repeated;      /* requests given to a successor again */
    uint64_t refused;       /* requests answered with an error by the gate */
    uint64_t restarts;      /* back ends replaced */
    uint64_t stall_us;      /* of the last replacement: from the loss to the next completion */
    uint64_t stall_us_max;
    uint64_t latency[BH_GATE_LATENCY_BUCKETS]; /* requests, from taken to given back */
    uint64_t latency_us;                       /* sum */
    /* Now: */
    uint32_t in_flight;
    uint32_t arena_used; /* KiB */
    uint32_t state;      /* enum bh_gate_state */
    uint32_t generation; /* of the back end; the first is 1 */
};

/* What a new gate needs of a device besides its rings: saved twice, so that a gate that dies while it
 * writes leaves one that is whole. `turn` counts savings; the valid one is saved[turn % 2]. */
struct bh_gate_record {
    struct bh_gate_counters counters;
    uint64_t turn;
    struct bh_vu_saved saved[2];
    uint32_t config_size; /* as the first back end showed it */
    uint32_t padding;
    uint8_t config[BH_GATE_CONFIG_MAX];
    uint64_t offered;         /* features that were shown to the guest */
    uint64_t class_state[64]; /* the class's own (gate/class.h) */
};

/* The journals of all queues follow the records: that of device d at journal_offset[d], in the form of
 * a vhost-user in-flight region for its queue_count queues of queue_size_max entries. */
struct bh_gate_ledger {
    uint32_t version;
    uint32_t started; /* how many gates have used it */
    uint64_t beat;    /* grows while the gate's main thread is alive */
    uint64_t journal_offset[BH_GATE_DEVICES_MAX];
    uint64_t journal_size[BH_GATE_DEVICES_MAX];
    struct bh_gate_record records[BH_GATE_DEVICES_MAX];
};

/* ------------------------------------------------------------------------------------------------
 * control */

enum bh_gate_kind {
    /* From the parent: */
    BH_GATE_FRONT = 1, /* 1 descriptor: connection `number` of the device's front end */
    BH_GATE_BACK,      /* 1 descriptor: a connection to back end `number` (its generation) */
    BH_GATE_KEPT,      /* 1 descriptor: what a predecessor of this gate kept in `slot` */
    BH_GATE_GO,        /* all of the above that there is at the start was sent */
    BH_GATE_NO_MORE,   /* there will be no other back end for this device */
    BH_GATE_LIMITS,    /* the limits page changed */
    BH_GATE_PING,      /* to be answered with PONG and the same `number` */
    /* From the gate: */
    BH_GATE_KEEP =
        64,       /* 1 descriptor, to be kept in `slot` instead of what is there; none: forget it */
    BH_GATE_WANT, /* back end `number` of the device is over, for `reason`: end it, and once it is
                          reaped send the next */
    BH_GATE_GREETED, /* back end `number` has been greeted and fits */
    BH_GATE_UP,      /* the guest's driver has started the device (the first time for this guest) */
    BH_GATE_GUEST,   /* the guest broke the protocol: what follows is the definition's business */
    BH_GATE_EVENT,   /* for the audit log */
    BH_GATE_PONG,
    BH_GATE_READY, /* the sandbox is closed, messages are read */
};

/* Why something happened. Names in gate/reasons.c: "back-end-died" and so on. */
enum bh_gate_reason {
    BH_GATE_REASON_NONE,
    BH_GATE_BACK_DIED,       /* it closed its connection */
    BH_GATE_BACK_HUNG,       /* no progress within the deadline, or no answer to a message */
    BH_GATE_BACK_LIED,       /* it broke the protocol of a ring: text says how */
    BH_GATE_BACK_REFUSED,    /* it broke vhost-user, or sent a message that is not allowed */
    BH_GATE_BACK_MISFIT,     /* features, queues or configuration are not what they must be */
    BH_GATE_FRONT_REFUSED,   /* the front end broke vhost-user, or shared what it must not */
    BH_GATE_FRONT_GONE,      /* it closed its connection */
    BH_GATE_GUEST_VIOLATION, /* the guest broke the protocol of a ring */
    BH_GATE_LIMIT_HIT,       /* said once a second at most */
    BH_GATE_RINGS_SHARED, /* shadow: the rings lie in memory that the back end could map, so data is
                                copied instead */
    BH_GATE_REPLACED,     /* a successor serves: number = stall in microseconds */
    BH_GATE_GAVE_UP,      /* requests are answered with errors from here on */
    BH_GATE_ADOPTED,      /* this gate took over a running guest */
    BH_GATE_REASONS,
};

#define BH_GATE_TEXT_MAX 160u

struct bh_gate_message {
    uint32_t kind;   /* enum bh_gate_kind */
    uint32_t device; /* index in the setup */
    uint32_t slot;
    uint32_t reason; /* enum bh_gate_reason */
    uint64_t number;
    char text
        [BH_GATE_TEXT_MAX]; /* ends with 0; printable; from the gate: to be shown, not believed */
};

/* Slots for KEEP: as the port numbers them (vhost_user_keep.h), below this. */
#define BH_GATE_SLOTS_MAX BH_VU_KEEP_SLOTS
/* The front end's connection is kept by the parent itself. KEEP without a descriptor, and with the
 * `number` of FRONT: it is over, and the parent closes its end, too. */
#define BH_GATE_SLOT_CONNECTION (BH_VU_KEEP_SLOTS)
#define BH_GATE_SLOT_INFLIGHT   (BH_VU_KEEP_SLOTS + 1u) /* direct: the region the gate made */
#define BH_GATE_SLOTS           (BH_VU_KEEP_SLOTS + 2u)

#endif
