/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of operations: for each type of resource what can be done with it, in the definition's
 * word, with its bit in the filter, the way that data flows by it, and the right that a descriptor
 * needs. Whatever opens, filters or analyses asks here. It decides nothing; allowance.c does.
 *
 * Two guests meet in a resource where one sends by an operation and the other has one of those that
 * it reaches. Most reach every operation that gives data to a guest. Three kinds do not: sockets,
 * where who connects meets only who listens; keys and codecs, whose answers go to who asked; and
 * entropy and clocks, into which nobody writes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bulkhead/platform_policy.h"

#define IN    BH_FLOW_TO_GUEST
#define OUT   BH_FLOW_TO_RESOURCE
#define BOTH  (BH_FLOW_TO_GUEST | BH_FLOW_TO_RESOURCE)
#define READ  BH_RIGHT_READ
#define WRITE BH_RIGHT_WRITE

/* {word, bit, flows, rights, reaches, doc} */
static const struct bh_operation disk[] = {
    {"read", BH_DISK_READ, IN, READ, 0, "read blocks"},
    {"write", BH_DISK_WRITE, OUT, WRITE, BH_DISK_READ | BH_DISK_LIFETIME,
     "write blocks, and zeroes"},
    {"flush", BH_DISK_FLUSH, 0, 0, 0, "wait until what was written is durable"},
    {"discard", BH_DISK_DISCARD, OUT, WRITE, BH_DISK_READ | BH_DISK_LIFETIME,
     "say that blocks are no longer needed"},
    {"erase", BH_DISK_ERASE, OUT, WRITE, BH_DISK_READ | BH_DISK_LIFETIME,
     "erase blocks beyond recovery"},
    {"lifetime", BH_DISK_LIFETIME, IN, READ, 0, "read the wear of the medium"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation entropy[] = {
    {"read", BH_ENTROPY_READ, IN, READ, 0, "read random bytes"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation can[] = {
    {"receive", BH_CAN_RECEIVE, IN, READ, 0, "receive frames"},
    {"send", BH_CAN_SEND, OUT, WRITE, BH_CAN_RECEIVE, "send frames"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation net[] = {
    {"receive", BH_NET_RECEIVE, IN, READ, 0, "receive packets"},
    {"send", BH_NET_SEND, OUT, WRITE, BH_NET_RECEIVE, "send packets"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation gpio[] = {
    {"read", BH_GPIO_READ, IN, READ, 0, "read lines"},
    {"write", BH_GPIO_WRITE, OUT, WRITE, BH_GPIO_READ | BH_GPIO_INTERRUPT,
     "set lines, and their direction"},
    {"interrupt", BH_GPIO_INTERRUPT, IN, READ, 0, "be told when lines change"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation i2c[] = {
    {"read", BH_I2C_READ, IN, READ, 0, "read from targets"},
    {"write", BH_I2C_WRITE, OUT, WRITE, BH_I2C_READ, "write to targets"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation spi[] = {
    {"transfer", BH_SPI_TRANSFER, BOTH, READ | WRITE, BH_SPI_TRANSFER,
     "write to chips, and read in the same clocks"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation sensors[] = {
    {"read", BH_SENSOR_READ, IN, READ, 0, "read values and settings"},
    {"configure", BH_SENSOR_CONFIGURE, OUT, WRITE, BH_SENSOR_READ | BH_SENSOR_NOTIFY,
     "change settings"},
    {"notify", BH_SENSOR_NOTIFY, IN, READ, 0, "be told of values and thresholds"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation host_clock[] = {
    {"read", BH_CLOCK_READ, IN, READ, 0, "read the time"},
    {"alarm", BH_CLOCK_ALARM, IN, WRITE, 0, "set alarms of its own, which may wake the host"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation sockets[] = {
    {"connect", BH_SOCKET_CONNECT, BOTH, READ | WRITE, BH_SOCKET_LISTEN,
     "connect to ports that somebody listens on"},
    {"listen", BH_SOCKET_LISTEN, BOTH, READ | WRITE, BH_SOCKET_CONNECT, "listen on ports"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation folder[] = {
    {"read", BH_FOLDER_READ, IN, READ, 0, "list folders, read files"},
    {"write", BH_FOLDER_WRITE, OUT, WRITE, BH_FOLDER_READ,
     "make, write, rename and remove folders and files"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation keys[] = {
    {"encrypt", BH_KEYS_ENCRYPT, BOTH, READ | WRITE, 0, "encrypt"},
    {"decrypt", BH_KEYS_DECRYPT, BOTH, READ | WRITE, 0, "decrypt"},
    {"sign", BH_KEYS_SIGN, BOTH, READ | WRITE, 0, "sign"},
    {"verify", BH_KEYS_VERIFY, BOTH, READ | WRITE, 0, "verify"},
    {NULL, 0, 0, 0, 0, NULL},
};

/* An answer to a write has the write counter, which everybody's writes move. */
static const struct bh_operation rpmb[] = {
    {"read", BH_RPMB_READ, IN, READ, 0, "read blocks"},
    {"write", BH_RPMB_WRITE, BOTH, READ | WRITE, BH_RPMB_READ | BH_RPMB_WRITE,
     "write blocks, and read the write counter"},
    {"program", BH_RPMB_PROGRAM, BOTH, READ | WRITE, BH_RPMB_READ | BH_RPMB_WRITE | BH_RPMB_PROGRAM,
     "program the key, which can be done once"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation sound[] = {
    {"play", BH_SOUND_PLAY, OUT, WRITE, BH_SOUND_CAPTURE, "play sound"},
    {"capture", BH_SOUND_CAPTURE, IN, READ, 0, "capture sound"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation display[] = {
    {"show", BH_DISPLAY_SHOW, OUT, WRITE, 0, "show pictures"},
    {NULL, 0, 0, 0, 0, NULL},
};

/* Who sets a light on an input device of Linux is heard by all who receive its events. */
static const struct bh_operation input[] = {
    {"receive", BH_INPUT_RECEIVE, IN, READ, 0, "receive events"},
    {"status", BH_INPUT_STATUS, OUT, WRITE, BH_INPUT_RECEIVE, "set lights and force feedback"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation camera[] = {
    {"capture", BH_CAMERA_CAPTURE, IN, READ, 0, "capture pictures"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation codec[] = {
    {"decode", BH_CODEC_DECODE, BOTH, READ | WRITE, 0, "decode video"},
    {"encode", BH_CODEC_ENCODE, BOTH, READ | WRITE, 0, "encode video"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct bh_operation hardware[] = {
    {"use", BH_HARDWARE_USE, BOTH, READ | WRITE, BH_HARDWARE_USE, "use it as it is"},
    {NULL, 0, 0, 0, 0, NULL},
};

static const struct {
    const struct bh_operation *operations;
    enum bh_number_kind numbers;
    bool keeps; /* a state that others can find later */
} types[BH_RESOURCE_TYPES] = {
    [BH_RESOURCE_DISK] = {disk, BH_NUMBERS_NONE, true},
    [BH_RESOURCE_ENTROPY] = {entropy, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_CAN] = {can, BH_NUMBERS_IDS, false},
    [BH_RESOURCE_NET] = {net, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_GPIO] = {gpio, BH_NUMBERS_LINES, true},
    [BH_RESOURCE_I2C] = {i2c, BH_NUMBERS_ADDRESSES, true},
    [BH_RESOURCE_SPI] = {spi, BH_NUMBERS_SELECTS, true},
    [BH_RESOURCE_SENSORS] = {sensors, BH_NUMBERS_SENSORS, true},
    [BH_RESOURCE_CLOCK] = {host_clock, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_SOCKETS] = {sockets, BH_NUMBERS_PORTS, false},
    [BH_RESOURCE_FOLDER] = {folder, BH_NUMBERS_NONE, true},
    [BH_RESOURCE_KEYS] = {keys, BH_NUMBERS_KEYS, false},
    [BH_RESOURCE_RPMB] = {rpmb, BH_NUMBERS_NONE, true},
    [BH_RESOURCE_SOUND] = {sound, BH_NUMBERS_STREAMS, false},
    [BH_RESOURCE_DISPLAY] = {display, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_INPUT] = {input, BH_NUMBERS_NONE, true},
    [BH_RESOURCE_CAMERA] = {camera, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_CODEC] = {codec, BH_NUMBERS_NONE, false},
    [BH_RESOURCE_HARDWARE] = {hardware, BH_NUMBERS_NONE, true},
};

/* How numbers of a kind are called and written. */
static const struct {
    const char *one;
    const char *several;
    bool hex;
} number_words[BH_NUMBER_KINDS] = {
    [BH_NUMBERS_IDS] = {"id", "ids", true},
    [BH_NUMBERS_LINES] = {"line", "lines", false},
    [BH_NUMBERS_ADDRESSES] = {"address", "addresses", true},
    [BH_NUMBERS_SELECTS] = {"select", "selects", false},
    [BH_NUMBERS_SENSORS] = {"sensor", "sensors", false},
    [BH_NUMBERS_PORTS] = {"port", "ports", false},
    [BH_NUMBERS_KEYS] = {"key", "keys", false},
    [BH_NUMBERS_STREAMS] = {"stream", "streams", false},
};

const struct bh_operation *bh_operation_at(uint32_t resource_type, size_t index)
{
    const struct bh_operation *row;

    if (resource_type >= BH_RESOURCE_TYPES) {
        return NULL;
    }
    row = types[resource_type].operations;
    for (size_t i = 0; row[i].word != NULL; i++) {
        if (i == index) {
            return &row[i];
        }
    }
    return NULL;
}

bool bh_operation_find(uint32_t resource_type, const char *word, uint32_t *bit)
{
    const struct bh_operation *operation;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        if (strcmp(operation->word, word) == 0) {
            *bit = operation->bit;
            return true;
        }
    }
    return false;
}

const char *bh_operation_word(const void *context, size_t index)
{
    const uint32_t *resource_type = context;
    const struct bh_operation *operation = bh_operation_at(*resource_type, index);

    return operation == NULL ? NULL : operation->word;
}

enum bh_number_kind bh_resource_numbers(uint32_t resource_type)
{
    return resource_type < BH_RESOURCE_TYPES ? types[resource_type].numbers : BH_NUMBERS_NONE;
}

bool bh_resource_keeps(uint32_t resource_type)
{
    return resource_type < BH_RESOURCE_TYPES && types[resource_type].keeps;
}

void bh_operations_text(uint32_t resource_type, uint32_t operations, char *to, size_t size)
{
    const struct bh_operation *operation;
    size_t used = 0;

    (void)snprintf(to, size, "nothing");
    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        if ((operations & operation->bit) != 0 && used < size) {
            int more =
                snprintf(to + used, size - used, "%s%s", used == 0 ? "" : ", ", operation->word);

            used += more < 0 ? 0 : (size_t)more;
        }
    }
}

/* One number of a kind. */
struct number {
    char text[16];
};

static struct number number_text(enum bh_number_kind kind, uint32_t value)
{
    struct number number;

    (void)snprintf(number.text, sizeof(number.text),
                   number_words[kind].hex ? "0x%" PRIx32 : "%" PRIu32, value);
    return number;
}

void bh_numbers_text(enum bh_number_kind kind, uint32_t first, uint32_t last, char *to, size_t size)
{
    if (kind >= BH_NUMBER_KINDS || (first == 0 && last == UINT32_MAX)) {
        (void)snprintf(to, size, "%s", "");
    } else if (first == last) {
        (void)snprintf(to, size, "%s %s", number_words[kind].one, number_text(kind, first).text);
    } else {
        (void)snprintf(to, size, "%s %s-%s", number_words[kind].several,
                       number_text(kind, first).text, number_text(kind, last).text);
    }
}

uint32_t bh_policy_rights(uint32_t resource_type, uint32_t operations)
{
    const struct bh_operation *operation;
    uint32_t rights = 0;

    for (size_t i = 0; (operation = bh_operation_at(resource_type, i)) != NULL; i++) {
        rights |= (operations & operation->bit) != 0 ? operation->rights : 0u;
    }
    return rights;
}
