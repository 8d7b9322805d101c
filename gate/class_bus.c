/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the gate knows of I2C adapters (VIRTIO 1.4, 5.16), GPIO (5.18) and CAN (5.20): what is on a
 * wire cannot be taken back, and must not happen twice.
 *
 *   I2C   no transfer is repeated: reading a register may clear it. Refused: status ERR, which ends
 *         the writable part.
 *   GPIO  requests set a line to a state, and may be repeated; the event queue waits for edges, and
 *         what is in flight there is what arms an interrupt: giving it to a successor arms it again.
 *         The state of each line that the driver set: a byte, for the first 512 lines.
 *   CAN   a frame is not repeated: its sender hears NOT_OK. Starting and stopping is. The receive
 *         queue waits. The state: whether the driver started the controller.
 */
#include "bulkhead/bytes.h"
#include "class_table.h"

#include <stddef.h>

/* ---- I2C ---- */

#define I2C_ID      34u
#define I2C_MSG_ERR 1u

static bool i2c_repeats(const struct bh_chain *chain, uint16_t queue)
{
    (void)chain;
    (void)queue;
    return false;
}

static int64_t i2c_refuse(struct bh_chain *chain, uint16_t queue)
{
    const uint8_t status = I2C_MSG_ERR;
    (void)queue;
    return bh_gate_chain_end(chain, &status, sizeof(status));
}

const struct bh_gate_class bh_gate_class_i2c = {
    .type = I2C_ID,
    .name = "i2c",
    .status_bytes = 1,
    .repeats = i2c_repeats,
    .refuse = i2c_refuse,
};

/* ---- GPIO ---- */

#define GPIO_ID            41u
#define GPIO_REQUEST       0u /* queues */
#define GPIO_EVENT         1u
#define GPIO_STATUS_ERR    1u
#define GPIO_SET_DIRECTION 3u
#define GPIO_SET_VALUE     5u
#define GPIO_SET_IRQ_TYPE  6u

#define GPIO_LINES 512u
/* A line: */
#define LINE_DIRECTION  0x03u /* its value as it goes over the wire */
#define LINE_VALUE      0x04u
#define LINE_SET        0x08u /* the driver set direction or value */
#define LINE_IRQ        0xf0u
#define LINE_IRQ_SHIFT  4u
#define GPIO_STEPS_LINE 3u /* value, direction, interrupt: an output begins with the right value */

struct gpio_request {
    uint16_t type;
    uint16_t gpio;
    uint32_t value;
};

static bool gpio_waits(uint16_t queue)
{
    return queue == GPIO_EVENT;
}

static int64_t gpio_refuse(struct bh_chain *chain, uint16_t queue)
{
    const uint8_t status = GPIO_STATUS_ERR;
    int64_t written = bh_gate_chain_clear(chain);
    if (queue == GPIO_REQUEST && written != 0) {
        (void)bh_chain_write(chain, 0, &status, sizeof(status));
    }
    return written;
}

static uint8_t line_get(const uint64_t *state, uint32_t line)
{
    return (uint8_t)(state[line / 8u] >> (line % 8u * 8u));
}

static void line_put(uint64_t *state, uint32_t line, uint8_t value)
{
    uint32_t shift = line % 8u * 8u;
    state[line / 8u] = (state[line / 8u] & ~(UINT64_C(0xff) << shift)) | (uint64_t)value << shift;
}

static void gpio_request(uint64_t *state, const struct bh_chain *chain, uint16_t queue)
{
    struct gpio_request asked;
    if (queue != GPIO_REQUEST || bh_chain_read(chain, 0, &asked, sizeof(asked)) != sizeof(asked) ||
        BH_LE16(asked.gpio) >= GPIO_LINES) {
        return;
    }
    uint32_t gpio = BH_LE16(asked.gpio);
    uint32_t value = BH_LE32(asked.value);
    uint32_t line = line_get(state, gpio);
    switch (BH_LE16(asked.type)) {
    case GPIO_SET_DIRECTION:
        line = (line & ~LINE_DIRECTION) | (value & LINE_DIRECTION) | LINE_SET;
        break;
    case GPIO_SET_VALUE:
        line = (line & ~LINE_VALUE) | (value != 0u ? LINE_VALUE : 0u) | LINE_SET;
        break;
    case GPIO_SET_IRQ_TYPE:
        line = (line & ~LINE_IRQ) | (value << LINE_IRQ_SHIFT & LINE_IRQ);
        break;
    default:
        return;
    }
    line_put(state, gpio, (uint8_t)line);
}

/* What step `part` says of a line; false: nothing. */
static bool gpio_say(uint32_t line, uint32_t part, struct gpio_request *asked)
{
    static const uint16_t types[GPIO_STEPS_LINE] = {GPIO_SET_VALUE, GPIO_SET_DIRECTION,
                                                    GPIO_SET_IRQ_TYPE};
    uint32_t values[GPIO_STEPS_LINE] = {
        (line & LINE_VALUE) != 0u ? 1u : 0u,
        line & LINE_DIRECTION,
        (line & LINE_IRQ) >> LINE_IRQ_SHIFT,
    };
    asked->type = BH_LE16(types[part]);
    asked->value = BH_LE32(values[part]);
    return part == 2u ? values[part] != 0u : (line & LINE_SET) != 0u;
}

static bool gpio_restore(const uint64_t *state, uint32_t step, struct bh_gate_restore *what)
{
    uint32_t left = step;
    for (uint32_t i = 0; i < GPIO_LINES; i++) {
        uint32_t line = line_get(state, i);
        for (uint32_t part = 0; line != 0u && part < GPIO_STEPS_LINE; part++) {
            struct gpio_request asked = {.gpio = BH_LE16(i)};
            if (!gpio_say(line, part, &asked)) {
                continue;
            }
            if (left == 0u) {
                what->queue = GPIO_REQUEST;
                what->length = sizeof(asked);
                what->answer = 2;
                bh_copy(what->bytes, &asked, sizeof(asked));
                return true;
            }
            left--;
        }
    }
    return false;
}

const struct bh_gate_class bh_gate_class_gpio = {
    .type = GPIO_ID,
    .name = "gpio",
    .waits = gpio_waits,
    .refuse = gpio_refuse,
    .request = gpio_request,
    .restore = gpio_restore,
};

/* ---- CAN ---- */

#define CAN_ID      36u
#define CAN_TX      0u /* queues */
#define CAN_RX      1u
#define CAN_CONTROL 2u
#define CAN_NOT_OK  1u
#define CAN_START   0x0201u
#define CAN_STOP    0x0202u

static bool can_waits(uint16_t queue)
{
    return queue == CAN_RX;
}

static bool can_repeats(const struct bh_chain *chain, uint16_t queue)
{
    (void)chain;
    return queue != CAN_TX;
}

static int64_t can_refuse(struct bh_chain *chain, uint16_t queue)
{
    const uint8_t result = CAN_NOT_OK;
    return queue == CAN_RX ? BH_UNSUPPORTED : bh_gate_chain_end(chain, &result, sizeof(result));
}

/* `status` says how the bus is: a successor finds it as it is. */
static int can_config_fits(const uint8_t *config, uint32_t size, const uint8_t *before,
                           uint32_t before_size, const char **why)
{
    (void)config;
    (void)before;
    if (size != before_size) {
        *why = "its configuration space has another size";
        return BH_INVALID;
    }
    return BH_OK;
}

/* Remembered when it is done: one that is in flight is repeated, and to start twice is an error. */
static bool can_answer(uint64_t *state, const struct bh_chain *chain, uint16_t queue,
                       uint32_t written)
{
    uint16_t type = 0;
    uint8_t result = CAN_NOT_OK;
    if (queue != CAN_CONTROL || written == 0u ||
        bh_chain_read(chain, 0, &type, sizeof(type)) != sizeof(type) ||
        bh_gate_chain_said(chain, 0, &result, sizeof(result)) != sizeof(result) ||
        result == CAN_NOT_OK) {
        return true;
    }
    if (BH_LE16(type) == CAN_START || BH_LE16(type) == CAN_STOP) {
        state[0] = BH_LE16(type) == CAN_START ? 1u : 0u;
    }
    return true;
}

static bool can_restore(const uint64_t *state, uint32_t step, struct bh_gate_restore *what)
{
    const uint16_t type = BH_LE16(CAN_START);
    if (step != 0u || state[0] == 0u) {
        return false;
    }
    what->queue = CAN_CONTROL;
    what->length = sizeof(type);
    what->answer = 1;
    bh_copy(what->bytes, &type, sizeof(type));
    return true;
}

const struct bh_gate_class bh_gate_class_can = {
    .type = CAN_ID,
    .name = "can",
    .status_bytes = 1,
    .waits = can_waits,
    .repeats = can_repeats,
    .refuse = can_refuse,
    .config_fits = can_config_fits,
    .answer = can_answer,
    .restore = can_restore,
};
