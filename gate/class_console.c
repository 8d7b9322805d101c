/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of consoles (VIRTIO 1.4, 5.3). Output that was in flight is repeated: a line may
 * appear twice rather than not at all. Receive queues wait for somebody to type, the control receive
 * queue for news.
 *
 * A successor knows nothing of the driver, and introduces itself anew (5.3.6.2): what the driver said
 * last (ready, port ready, port open) is remembered and told to it, and what it says that the guest has
 * heard already is swallowed. A change of size passes.
 *
 * The state, for the first 64 ports a bit each; ports beyond are passed through as they are:
 *   READY         bit 0: the driver is ready
 *   PORT_READY    the driver has said so      PORT_OPEN     the driver has it open
 *   ADDED, CONSOLE, NAMED                     the guest has heard that of the port
 *   OPEN_HEARD    the guest has heard whether the host side is open, and OPEN_VALUE: what
 */
#include "bulkhead/bytes.h"
#include "bulkhead/virtio_console.h"
#include "class_table.h"

#include <stddef.h>

enum {
    READY,
    PORT_READY,
    PORT_OPEN,
    ADDED,
    CONSOLE,
    NAMED,
    OPEN_HEARD,
    OPEN_VALUE,
    WORDS,
};

#define PORTS 64u

/* Receive queues are even (5.3.2). */
static bool waits(uint16_t queue)
{
    return (queue & 1u) == 0u;
}

/* The size may be another one (5.3.4), and so may emerg_wr, which nobody reads. */
static int config_fits(const uint8_t *config, uint32_t size, const uint8_t *before,
                       uint32_t before_size, const char **why)
{
    const uint32_t ports = offsetof(struct bh_console_config, max_nr_ports);
    const uint32_t end = ports + (uint32_t)sizeof(uint32_t);
    if (size != before_size) {
        *why = "its configuration space has another size";
        return BH_INVALID;
    }
    for (uint32_t i = ports; i < end && i < size; i++) {
        if (config[i] != before[i]) {
            *why = "it has another number of ports";
            return BH_INVALID;
        }
    }
    return BH_OK;
}

static void set(uint64_t *word, uint64_t bit, bool on)
{
    *word = on ? *word | bit : *word & ~bit;
}

/* ---- what the driver says ---- */

static void request(uint64_t *state, const struct bh_chain *chain, uint16_t queue)
{
    struct bh_console_control control;
    if (queue != BH_CONSOLE_CONTROL_TRANSMIT ||
        bh_chain_read(chain, 0, &control, sizeof(control)) != sizeof(control)) {
        return;
    }
    uint32_t port = BH_LE32(control.id);
    bool on = BH_LE16(control.value) == 1u;
    uint64_t bit = port < PORTS ? UINT64_C(1) << port : 0u;
    switch (BH_LE16(control.event)) {
    case BH_CONSOLE_DEVICE_READY:
        /* A driver says so first of all: nothing that was said before counts for this one. */
        bh_fill(state, 0, WORDS * sizeof(*state));
        state[READY] = on ? 1u : 0u;
        break;
    case BH_CONSOLE_PORT_READY:
        set(&state[PORT_READY], bit, on);
        break;
    case BH_CONSOLE_PORT_OPEN:
        set(&state[PORT_OPEN], bit, on);
        break;
    default:
        break;
    }
}

static void say(struct bh_gate_restore *what, uint32_t port, uint16_t event)
{
    const struct bh_console_control control = {
        .id = BH_LE32(port),
        .event = BH_LE16(event),
        .value = BH_LE16(1),
    };
    what->queue = BH_CONSOLE_CONTROL_TRANSMIT;
    what->length = sizeof(control);
    bh_copy(what->bytes, &control, sizeof(control));
}

/* First that the driver is ready, then for each port that it is ready, and open. */
static bool restore(const uint64_t *state, uint32_t step, struct bh_gate_restore *what)
{
    uint32_t left = step;
    if (state[READY] != 0u) {
        if (left == 0u) {
            say(what, 0, BH_CONSOLE_DEVICE_READY);
            return true;
        }
        left--;
    }
    for (uint32_t i = 0; i < 2u * PORTS; i++) {
        uint32_t port = i / 2u;
        bool open = i % 2u != 0u;
        if ((state[open ? PORT_OPEN : PORT_READY] >> port & 1u) == 0u) {
            continue;
        }
        if (left == 0u) {
            say(what, port, open ? BH_CONSOLE_PORT_OPEN : BH_CONSOLE_PORT_READY);
            return true;
        }
        left--;
    }
    return false;
}

/* ---- what the guest hears ---- */

/* Marks; whether it is news. */
static bool news(uint64_t *word, uint64_t bit)
{
    bool heard = (*word & bit) != 0u;
    *word |= bit;
    return !heard;
}

static bool open_news(uint64_t *state, uint64_t bit, bool open)
{
    bool same = ((state[OPEN_VALUE] & bit) != 0u) == open;
    bool first = news(&state[OPEN_HEARD], bit);
    set(&state[OPEN_VALUE], bit, open);
    return first || !same;
}

static void forget(uint64_t *state, uint64_t bit)
{
    for (uint32_t i = PORT_READY; i < WORDS; i++) {
        set(&state[i], bit, false);
    }
}

static bool answer(uint64_t *state, const struct bh_chain *chain, uint16_t queue, uint32_t written)
{
    struct bh_console_control control;
    if (queue != BH_CONSOLE_CONTROL_RECEIVE || written < sizeof(control) ||
        bh_gate_chain_said(chain, 0, &control, sizeof(control)) != sizeof(control)) {
        return true;
    }
    uint32_t port = BH_LE32(control.id);
    if (port >= PORTS) {
        return true;
    }
    uint64_t bit = UINT64_C(1) << port;
    switch (BH_LE16(control.event)) {
    case BH_CONSOLE_DEVICE_ADD:
        return news(&state[ADDED], bit);
    case BH_CONSOLE_DEVICE_REMOVE:
        forget(state, bit);
        return true;
    case BH_CONSOLE_CONSOLE_PORT:
        return news(&state[CONSOLE], bit);
    case BH_CONSOLE_PORT_NAME:
        return news(&state[NAMED], bit);
    case BH_CONSOLE_PORT_OPEN:
        return open_news(state, bit, BH_LE16(control.value) != 0u);
    default:
        return true;
    }
}

const struct bh_gate_class bh_gate_class_console = {
    .type = BH_ID_CONSOLE,
    .name = "console",
    .waits = waits,
    .config_fits = config_fits,
    .request = request,
    .answer = answer,
    .restore = restore,
};
