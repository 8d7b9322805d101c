/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back end that is played: a channel without sockets that notes what the front end says,
 * and answers honestly or with one chosen lie. Descriptors are numbers: every one that is made must
 * be closed in the end. One back end, one front end, as globals: a test is one connection.
 */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/vhost_user_frontend.h"
#include "bulkhead/virtio_mmio.h"

#define SENT_MAX 64u
#define FDS_MAX  512
#define SHARES   9u

#define RING_FEATURES (BH_F_VERSION_1 | BH_F_EVENT_IDX | BH_F_RING_PACKED | BH_F_RING_RESET)

/* How a played back end answers one request, instead of honestly. */
enum lie {
    HONEST,
    NO_ANSWER,     /* BH_TIMEOUT */
    HANGS_UP,      /* BH_GONE */
    OTHER_REQUEST, /* the answer is to something else */
    NOT_A_REPLY,   /* the flag is missing */
    OTHER_VERSION,
    SHORTER,
    LONGER,
    WITH_DESCRIPTORS, /* that nobody asked for */
    REFUSES,          /* acknowledges with an error */
};

struct backend {
    /* What it is. */
    uint64_t features;
    uint64_t protocol_features;
    uint64_t queue_num;
    uint64_t slots;
    uint8_t config[64];
    uint32_t config_size;
    enum lie lie;
    uint32_t lie_about;     /* which request */
    uint32_t interruptions; /* requests of its own while the front end waits */
    bool interrupts_need_reply;
    uint32_t interrupt_request;

    /* What it saw. */
    struct bh_vu_message sent[SENT_MAX];
    uint32_t count;
    struct bh_vu_message answer;
    bool answer_ready;
    uint64_t status;
    uint32_t base;
    uint32_t replies; /* of the front end, on the second line */
    uint64_t last_reply;
    bool line_open;

    /* Descriptors: open or not, and events. */
    bool open[FDS_MAX];
    bool signalled[FDS_MAX];
    int32_t next_fd;
};

extern struct backend be;
extern struct bh_vu_frontend fe;
extern struct bh_vu_share shares[SHARES];
extern struct bh_vu_frontend_setup setup;

/* A back end that knows everything, and the setup of a front end that wants it. A cmocka setup. */
int fresh(void **state);

/* Makes the front end. */
struct bh_transport *begin(void);

/* Brings the device to life with queues 0 and 1. */
void start_queues(struct bh_transport *transport, uint64_t features);

/* Ends the front end: only the shares are left open. */
void finish(void);

/* From message `from` on, exactly these were sent. */
void assert_sent(uint32_t from, const uint32_t *requests, uint32_t count);

/* The last message of that kind. */
const struct bh_vu_message *sent(uint32_t request);

#endif
