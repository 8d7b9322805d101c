/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device for tests of driver/: it reads and writes the rings byte by byte, honestly (fake_pop,
 * fake_push) or however the test wants, behind a transport that says what the test tells it to. It
 * shares no code with core/, so that a slip there cannot hide one here; it is no device model.
 *
 * Its memory is one heap block, so that the address sanitizer watches its ends.
 */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bulkhead/bytes.h"
#include "bulkhead/driver_queue.h"

#define FAKE_ADDRESS    UINT64_C(0x80000000)
#define FAKE_MEMORY     (UINT32_C(1) << 20)
#define FAKE_QUEUES     4u
#define FAKE_CONFIG     128u
#define FAKE_CHAIN_MAX  64u
#define FAKE_QUEUE_SIZE 256u

/* A queue as the device keeps it. */
struct fake_queue {
    struct bh_queue_areas areas;
    bool running;
    uint32_t starts;
    uint32_t resets;
    uint32_t notifies;
    uint16_t notify_next; /* of the last notification */
    bool notify_wrap;
    uint16_t avail_next; /* packed: a place; split: an index */
    uint16_t used_next;
    bool avail_wrap;
    bool used_wrap;
};

struct fake_device {
    struct bh_transport transport; /* first */
    struct bh_dma dma;
    struct fake_queue queues[FAKE_QUEUES];
    uint8_t config[FAKE_CONFIG];
    uint32_t id;
    uint16_t queue_size_max;
    uint64_t offered;
    uint64_t features;  /* what the driver accepted */
    uint8_t status;     /* what the driver wrote */
    uint8_t status_off; /* bits that never show */
    uint8_t status_on;  /* bits that always show */
    uint8_t history[16];
    uint32_t history_count;
    uint32_t generation;
    uint32_t generation_steps; /* how many more reads see another generation */
    int status_error;          /* what status_set(0) returns */
    int start_error;           /* what queue_start returns */
    uint32_t pending;          /* interrupts */
};

/* One element of a chain as the device found it. */
struct fake_element {
    uint64_t address;
    uint32_t length;
    bool writable;
};

struct fake_chain {
    uint16_t id;    /* head or buffer id */
    uint16_t slots; /* ring descriptors */
    uint16_t count;
    struct fake_element elements[FAKE_CHAIN_MAX];
};

void fake_init(struct fake_device *device);
void fake_finish(struct fake_device *device);

/* Bytes at a device address. */
uint8_t *fake_at(struct fake_device *device, uint64_t address, size_t length);
uint64_t fake_get(struct fake_device *device, uint64_t address, unsigned bytes);
void fake_put(struct fake_device *device, uint64_t address, uint64_t value, unsigned bytes);

bool fake_is_packed(const struct fake_device *device);

/* Whether the driver showed a chain; takes it. */
bool fake_pop(struct fake_device *device, unsigned queue, struct fake_chain *chain);

/* Uses a chain, visibly: id, length, and for packed how many ring descriptors to step over. */
void fake_push(struct fake_device *device, unsigned queue, uint16_t id, uint32_t length,
               uint16_t slots);

/* In order: one used entry for `buffers` buffers which occupy `slots` ring descriptors. */
void fake_push_batch(struct fake_device *device, unsigned queue, uint16_t id, uint32_t length,
                     uint16_t buffers, uint16_t slots);

/* Writes a used entry as given (split: and the index), without a thought to what is true. */
void fake_split_entry(struct fake_device *device, unsigned queue, uint16_t at, uint32_t id,
                      uint32_t length);
void fake_split_index(struct fake_device *device, unsigned queue, uint16_t index);
void fake_packed_entry(struct fake_device *device, unsigned queue, uint16_t at, uint16_t id,
                       uint32_t length, uint16_t flags);

/* What the device asks of the driver: the 16-bit words of its event suppression. */
void fake_split_suppress(struct fake_device *device, unsigned queue, uint16_t flags,
                         uint16_t avail_event);
void fake_packed_suppress(struct fake_device *device, unsigned queue, uint16_t offset_wrap,
                          uint16_t flags);

#endif
