/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client of QEMU's machine protocol (QMP): lines of JSON over a socket. QEMU is not believed: a
 * line has a largest length, every answer a time limit, and what makes no sense ends the
 * conversation. It knows no machine: qemu.c does.
 *
 * States:
 *   greeting      QEMU's first line is awaited: it comes when all devices are connected.
 *                 -> capabilities
 *   capabilities  the answer to qmp_capabilities is awaited.
 *                 -> open (event OPENED)
 *   open          commands go out, answers come back in their order, events come in between.
 *   closed        the end of the line (event CLOSED) or nonsense (event BROKEN). Final.
 *
 * Thread: the loop's. Ownership: the caller's memory; the descriptor becomes the client's with
 * init. Events come from the loop only. bh_qmp_finish may be called in them.
 */
#ifndef ENGINE_QMP_H
#define ENGINE_QMP_H

#include <stddef.h>

#include "bulkhead/host_loop.h"

#define BH_QMP_LINE_MAX     65536u /* bytes of a line; QEMU's longest here has a few hundred */
#define BH_QMP_PENDING_MAX  8u     /* commands without an answer */
#define BH_QMP_TEXT_MAX     256u   /* bytes of an explanation */
#define BH_QMP_WORD_MAX     64u    /* bytes of a name */
#define BH_QMP_ANSWER_USECS 30000000u

enum bh_qmp_state { BH_QMP_GREETING, BH_QMP_CAPABILITIES, BH_QMP_OPEN, BH_QMP_CLOSED };

enum bh_qmp_event_type {
    BH_QMP_OPENED,
    BH_QMP_ANSWERED, /* `name` is the command; `text` the error that QEMU reports, or NULL */
    BH_QMP_HAPPENED, /* `name` is QEMU's event, `text` its reason or "" */
    BH_QMP_SHUT,     /* QEMU has closed the line */
    BH_QMP_BROKEN,   /* `text` says what was wrong */
};

struct bh_qmp_event {
    enum bh_qmp_event_type type;
    const char *name;
    const char *text; /* printable, both; they live as long as the call */
};

struct bh_qmp {
    struct bh_watch watch; /* first */
    struct bh_poller *poller;
    struct bh_timer timer; /* of the oldest answer that is due */
    enum bh_qmp_state state;
    uint64_t limit; /* microseconds for an answer */
    const char *pending[BH_QMP_PENDING_MAX];
    uint32_t pending_count;
    char *line; /* BH_QMP_LINE_MAX bytes */
    size_t length;
    void (*event)(void *context, const struct bh_qmp_event *event);
    void *context;
};

/* Starts the conversation on `fd`, a connected stream socket. `limit`: microseconds for the
 * greeting and for each answer. BH_OK; BH_LIMIT, BH_NO_MEMORY: the descriptor stays the
 * caller's. */
int bh_qmp_init(struct bh_qmp *qmp, struct bh_poller *poller, int fd, uint64_t limit,
                void (*event)(void *context, const struct bh_qmp_event *event), void *context);
void bh_qmp_finish(struct bh_qmp *qmp);

/* Sends a command without arguments; `command` is static text. BH_OK: ANSWERED follows, or BROKEN,
 * or SHUT. BH_STATE: the conversation is not open; BH_LIMIT: too many answers are due; BH_GONE:
 * QEMU takes nothing more. */
int bh_qmp_send(struct bh_qmp *qmp, const char *command);
/* The same with arguments: an object as JSON text; NULL: none. */
int bh_qmp_send_with(struct bh_qmp *qmp, const char *command, const char *arguments);

/* Takes what QEMU has said before it ended: events follow at once. */
void bh_qmp_drain(struct bh_qmp *qmp);

#endif
