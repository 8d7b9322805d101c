/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simplest device class and port for tests of core/: the class keeps or returns what it pops,
 * the port counts what it is told. Neither belongs to a real device.
 */
#ifndef ECHO_CLASS_H
#define ECHO_CLASS_H

#include "ring_guest.h"

#include "bulkhead/device.h"

#define ECHO_QUEUES 3u
#define ECHO_HELD   32u
#define ECHO_CONFIG 10u /* bytes of configuration; the last two are writable */

/* Class features; ECHO_F_B needs ECHO_F_A. */
#define ECHO_F_A      (UINT64_C(1) << 0)
#define ECHO_F_B      (UINT64_C(1) << 1)
#define ECHO_FEATURES (ECHO_F_A | ECHO_F_B)

/* All ring features that a port could carry. */
#define ECHO_PORT_FEATURES                                                                         \
    (BH_F_INDIRECT_DESC | BH_F_EVENT_IDX | BH_F_ACCESS_PLATFORM | BH_F_RING_PACKED |               \
     BH_F_IN_ORDER | BH_F_ORDER_PLATFORM | BH_F_NOTIFICATION_DATA | BH_F_RING_RESET)

struct echo_counts {
    uint32_t notify;
    uint32_t failed;
    uint32_t idle;
};

/* A chain that the class holds, as a request does. */
struct echo_request {
    struct bh_chain chain;
    struct bh_queue *queue;
    bool busy;
};

struct echo {
    struct guest guest; /* memory, and the rings of queue 0 */
    struct bh_device device;
    struct bh_queue *queues; /* a heap block: the sanitizer watches its end */
    struct bh_order_slot order[ECHO_QUEUES][GUEST_QUEUE_MAX];
    uint8_t busy[ECHO_QUEUES][GUEST_QUEUE_MAX];

    struct echo_request held[ECHO_HELD];
    bool hold;   /* serve keeps chains until echo_release */
    bool more;   /* serve says that chains may be left */
    bool enough; /* serve says that what is left can wait */
    void (*served_once)(
        struct echo *echo); /* called at the end of serve, as if the driver ran meanwhile */
    uint8_t config[ECHO_CONFIG];
    bool no_config;  /* there is none */
    uint64_t offers; /* what the class offers */

    uint32_t served;
    uint32_t commits;
    uint32_t resets;
    uint32_t features_set;
    int pop_error; /* the last one */

    struct echo_counts counts[ECHO_QUEUES];
    uint32_t config_changed;
};

/* A device with three queues, bound to the counting port, status 0. */
void echo_init(struct echo *echo, bool packed);
void echo_finish(struct echo *echo);

/* Negotiates `accepted` beside VERSION_1 (and RING_PACKED for packed guests), up to DRIVER_OK. */
void echo_negotiate(struct echo *echo, uint64_t accepted);

/* Starts queue `index`: queue 0 on the guest's rings, the others on copies elsewhere in memory. */
void echo_start(struct echo *echo, uint16_t index);

/* The guest's rings are those of queue `index` from now on (positions start at 0). */
void echo_look_at(struct echo *echo, uint16_t index);

/* Gives back every chain that is held, oldest first; the number of them. */
unsigned echo_release(struct echo *echo, uint32_t written);
/* Gives back the oldest. */
void echo_release_one(struct echo *echo, uint32_t written);

/* cmocka setups: status 0, or negotiated with all queues running. */
int echo_setup_split(void **state);
int echo_setup_packed(void **state);
int echo_setup_live_split(void **state);
int echo_setup_live_packed(void **state);
int echo_teardown(void **state);

#define ECHO_FRESH(test)                                                                           \
    {                                                                                              \
#test, test, echo_setup_split, echo_teardown, NULL                                         \
    }
#define ECHO_LIVE(test)                                                                            \
    {#test ": split", test, echo_setup_live_split, echo_teardown, NULL},                           \
    {                                                                                              \
#test ": packed", test, echo_setup_live_packed, echo_teardown, NULL                        \
    }

#endif
