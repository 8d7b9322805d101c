/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A console on the bench: the model between a raw guest with a ring for each queue (ring_guest.h),
 * terminals in memory, and a port that counts.
 */
#ifndef CONSOLE_RIG_H
#define CONSOLE_RIG_H

#include "ring_guest.h"

#include "bulkhead/console.h"

#define RIG_PORTS    3u
#define RIG_QUEUES   8u
#define RIG_RING     16u
#define RIG_KEPT     8u
#define RIG_TERMINAL (1u << 20) /* bytes */

/* Queues by what they are. */
#define RX(port)   ((uint16_t)((port) == 0u ? 0u : 2u * (port) + 2u))
#define TX(port)   ((uint16_t)(RX(port) + 1u))
#define CONTROL_RX 2u
#define CONTROL_TX 3u

/* A place for the data of chain `n` of queue `q`: 256 bytes each. */
#define RIG_DATA(q, n) (GUEST_DATA + 0x1000u * (uint64_t)(q) + 0x100u * (uint64_t)(n))

struct fake_terminal {
    uint8_t in[256]; /* what the model may read */
    uint32_t in_count;
    bool endless; /* there is always more to read */
    uint8_t *out; /* what it wrote */
    uint32_t out_count;
    uint32_t room;  /* how much more it takes */
    uint32_t piece; /* at most in one write; 0: all */
    bool gone;
    bool blocked; /* a write was refused since the last rig_room */
    bool listening;
    uint32_t reads; /* calls */
};

struct console_rig {
    struct guest guests[RIG_QUEUES]; /* [0] has the memory */
    struct fake_terminal terminals[RIG_PORTS];
    struct bh_console_port_setup setups[RIG_PORTS];
    struct bh_console_setup setup;
    uint8_t kept[RIG_PORTS][RIG_KEPT];
    struct bh_console console;
    struct bh_console_port ports[RIG_PORTS];
    struct bh_device device;
    struct bh_queue queues[RIG_QUEUES];
    struct bh_order_slot order[RIG_QUEUES][RIG_RING];
    uint8_t busy[RIG_QUEUES][RIG_RING];
    struct bh_span blocks[16u * GUEST_BLOCK_SPANS];
    uint16_t free[16];
    struct bh_span_pool pool;
    uint16_t heads[RIG_QUEUES]; /* the next to offer */
    bool resumed;               /* rings are started as those of a predecessor */
    uint32_t notified;
    uint32_t config_changes;
    uint32_t failures;
};

/* A device with everything on: port 0 is a console of 80x25, port 1 is named "data", port 2 is
 * named "log"; nothing negotiated. The test may change rig->setup and setups, then makes it. */
void rig_prepare(struct console_rig *rig, bool packed);
void rig_make(struct console_rig *rig);
void rig_finish(struct console_rig *rig);

/* Binds a port that has a status. */
void rig_bind_with_status(struct console_rig *rig);

/* Negotiates class features, and starts every queue that is there with them. */
void rig_negotiate(struct console_rig *rig, uint64_t features);

/* cmocka setups: without and with MULTIPORT, SIZE in both; the driver has done nothing else. */
int rig_setup_single(void **state);
int rig_setup_single_packed(void **state);
int rig_setup_multi(void **state);
int rig_teardown(void **state);

#define RIG_SINGLE(test)                                                                           \
    {#test " (split)", test, rig_setup_single, rig_teardown, NULL},                                \
    {                                                                                              \
#test " (packed)", test, rig_setup_single_packed, rig_teardown, NULL                       \
    }
#define RIG_MULTI(test)                                                                            \
    {                                                                                              \
#test, test, rig_setup_multi, rig_teardown, NULL                                           \
    }

/* Offers one buffer on a queue, at RIG_DATA(queue, head); its head. */
uint16_t rig_offer(struct console_rig *rig, uint16_t queue, uint32_t length, uint16_t flags);
/* Offers output. */
uint16_t rig_say(struct console_rig *rig, uint32_t port, const char *text);
/* A notification and the end of the turn. True: there is more. */
bool rig_kick(struct console_rig *rig, uint16_t queue);

/* The next used element of a queue; its data. */
const uint8_t *rig_used(struct console_rig *rig, uint16_t queue, uint16_t head, uint32_t length);
void rig_nothing(struct console_rig *rig, uint16_t queue);

/* Bytes come to a terminal, and the model is told while it listens. */
void rig_type(struct console_rig *rig, uint32_t port, const char *text);
/* Room comes. True: the model wants to go on. */
bool rig_room(struct console_rig *rig, uint32_t port, uint32_t bytes);
/* The output so far must be this. */
void rig_printed(struct console_rig *rig, uint32_t port, const char *text);

/* The driver's control message; and the device's next one, which must be these bytes. */
void rig_control(struct console_rig *rig, uint32_t id, uint16_t event, uint16_t value);
void rig_expect_control(struct console_rig *rig, const void *bytes, uint32_t length);
void rig_expect_event(struct console_rig *rig, uint32_t id, uint16_t event, uint16_t value);
/* No control message is due: buffers are there, and stay. */
void rig_expect_silence(struct console_rig *rig);

/* All that a driver does until every port is ready and open. */
void rig_hello(struct console_rig *rig);

#endif
