/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line of a gate that works alone: each option by itself. Whether they make sense together
 * is keeper_check.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper.h"

#define HELP_COLUMN   29
#define QUEUES        8u
#define QUEUE_SIZE    1024u
#define ARENA         (UINT64_C(16) << 20)
#define DEADLINE_MS   10000u
#define DEADLINE_MOST 3600000u
#define RESTARTS      60u
#define RESTARTS_MOST 100000u
#define RATE_MOST     (UINT64_C(1) << 60)
#define ARENA_LEAST   (UINT64_C(64) << 10)
#define ARENA_MOST    (UINT64_C(4) << 30)
#define PAGE          4096u
#define FD_MOST       65535u

enum option_id {
    LISTEN = 1,
    FD,
    TYPE,
    MODE,
    BACKEND,
    SPARES,
    SHARE,
    GUARD,
    QUEUES_AT_MOST,
    QUEUE_SIZE_AT_MOST,
    CONFIG_SIZE,
    PACKED,
    ARENA_SIZE,
    DEADLINE,
    RESTARTS_A_MINUTE,
    OPERATIONS,
    BYTES,
    AUDIT,
    METRICS,
    SANDBOX,
    CHECK,
    HELP,
    VERSION,
};

static const struct {
    const char *name;
    const char *argument;
    const char *help;
    enum option_id id;
} known[] = {
    {"listen", "SOCKET", "listen for the front end on a Unix socket at SOCKET", LISTEN},
    {"fd", "N", "serve the front end on descriptor N, a connected Unix socket", FD},
    {"backend", "SOCKET", "connect to the back end at SOCKET; or give a COMMAND", BACKEND},
    {"type", "TYPE", "device type: blk, rng, console, ..., or its VIRTIO number", TYPE},
    {"mode", "MODE", "what the back end can reach: shadow, bounce, direct or open", MODE},
    {"share", "ADDRESS:SIZE", "guest memory that the back end may map (shadow, direct); repeatable",
     SHARE},
    {"guard", "ADDRESS:SIZE", "guest memory that the device may use; not given: all; repeatable",
     GUARD},
    {"queues", "N", "queues that the device may have (8)", QUEUES_AT_MOST},
    {"queue-size", "N", "entries that a queue may have (1024)", QUEUE_SIZE_AT_MOST},
    {"config-size", "N", "bytes of the configuration space (by type)", CONFIG_SIZE},
    {"packed", NULL, "use packed rings to the back end where it offers them", PACKED},
    {"arena", "SIZE", "memory for rings and copies to the back end (16M)", ARENA_SIZE},
    {"deadline", "MS", "without progress for so long, a back end is replaced; 0: never (10000)",
     DEADLINE},
    {"restarts", "N", "replacements in a minute, then requests fail; 0: no limit (60)",
     RESTARTS_A_MINUTE},
    {"spares", "N", "processes of COMMAND that are started ahead: 0 or 1 (0)", SPARES},
    {"operations", "N", "requests a second; 0: no limit (0)", OPERATIONS},
    {"bytes", "SIZE", "bytes a second; 0: no limit (0)", BYTES},
    {"audit", "FILE", "append what happens to FILE, as JSON lines; not given: log lines", AUDIT},
    {"metrics", "SOCKET", "answer on a Unix socket at SOCKET with OpenMetrics text", METRICS},
    {"sandbox", "MODE", "of the inner gate: strict, best-effort (the default) or off", SANDBOX},
    {"check", NULL, "look at the options only, and exit", CHECK},
    {"help", NULL, "print this help, and exit", HELP},
    {"version", NULL, "print the version, and exit", VERSION},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

int bh_keeper_mistake(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("bulkhead-gate: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\n", stderr);
    va_end(arguments);
    return BH_KEEPER_USAGE;
}

/* ------------------------------------------------------------------------------------------------
 * output */

static void print_help(void)
{
    (void)printf(
        "Usage: bulkhead-gate --listen SOCKET --type TYPE --mode MODE [OPTION]... -- COMMAND...\n"
        "       bulkhead-gate --listen SOCKET --type TYPE --mode MODE --backend SOCKET "
        "[OPTION]...\n"
        "Stands between a front end and a vhost-user back end: the back end reaches only what the\n"
        "mode gives it, and is replaced when it dies, hangs or lies.\n\n");
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        int length = printf("  --%s%s%s", known[i].name, known[i].argument != NULL ? " " : "",
                            known[i].argument != NULL ? known[i].argument : "");
        if (length >= HELP_COLUMN) {
            (void)printf("\n");
            length = 0;
        }
        (void)printf("%*s%s\n", HELP_COLUMN - length, "", known[i].help);
    }
    (void)printf(
        "\nCOMMAND is a back end for one connection. In its arguments {fd} becomes the number of "
        "a\n"
        "connected socket that it inherits, or {socket} a path at which it has to listen:\n"
        "  bulkhead-gate --listen /run/gate.sock --type blk --mode bounce -- \\\n"
        "      bulkhead-blk --fd {fd} --blk-file disk.img --standby\n");
}

static int printed(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? BH_KEEPER_OK : BH_KEEPER_FAILED;
}

/* ------------------------------------------------------------------------------------------------
 * values */

/* A number (0x...: hexadecimal), with K, M, G or T behind it; what follows is *end. */
static bool read_size(const char *text, uint64_t *value, const char **end)
{
    static const char units[] = "KMGT";
    char *rest;
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *value = strtoull(text, &rest, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (errno != 0) {
        return false;
    }
    const char *unit = *rest != '\0' ? strchr(units, *rest) : NULL;
    if (unit != NULL) {
        unsigned int shift = 10u * (unsigned int)(unit - units + 1);
        if (*value > UINT64_MAX >> shift) {
            return false;
        }
        *value <<= shift;
        rest++;
    }
    *end = rest;
    return true;
}

static int take_size(const char *name, const char *text, uint64_t least, uint64_t most,
                     uint64_t *value)
{
    const char *end = "";
    if (!read_size(text, value, &end) || *end != '\0') {
        return bh_keeper_mistake(
            "--%s %s: this is no size: write a number of bytes, or one with K, "
            "M, G or T behind it",
            name, text);
    }
    if (*value < least || *value > most) {
        return bh_keeper_mistake("--%s %s: out of range: from %ju to %ju", name, text,
                                 (uintmax_t)least, (uintmax_t)most);
    }
    return -1;
}

static int take_number(const char *name, const char *text, uint64_t least, uint64_t most,
                       uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || *value < least ||
        *value > most) {
        return bh_keeper_mistake("--%s %s: write a number from %ju to %ju", name, text,
                                 (uintmax_t)least, (uintmax_t)most);
    }
    return -1;
}

static int take_narrow(const char *name, const char *text, uint32_t least, uint32_t most,
                       uint32_t *value)
{
    uint64_t wide = *value;
    int status = take_number(name, text, least, most, &wide);
    *value = (uint32_t)wide;
    return status;
}

static int take_short(const char *name, const char *text, uint16_t most, uint16_t *value)
{
    uint32_t wide = *value;
    int status = take_narrow(name, text, 1, most, &wide);
    *value = (uint16_t)wide;
    return status;
}

static int take_range(const char *name, const char *text, struct bh_keeper_range *ranges,
                      uint32_t *count)
{
    struct bh_keeper_range range;
    const char *end = "";
    if (*count == BH_KEEPER_RANGES) {
        return bh_keeper_mistake("--%s %s: at most %u of them", name, text, BH_KEEPER_RANGES);
    }
    if (!read_size(text, &range.address, &end) || *end != ':' ||
        !read_size(end + 1, &range.size, &end) || *end != '\0') {
        return bh_keeper_mistake("--%s %s: write ADDRESS:SIZE, as in --%s 0x60000000:64M", name,
                                 text, name);
    }
    if (range.size == 0u || range.address > UINT64_MAX - range.size ||
        (range.address | range.size) % PAGE != 0u) {
        return bh_keeper_mistake(
            "--%s %s: address and size are multiples of %u, and the size is not "
            "0",
            name, text, PAGE);
    }
    ranges[*count] = range;
    (*count)++;
    return -1;
}

static int take_mode(const char *text, struct bh_keeper_options *options)
{
    for (uint32_t mode = 0; mode <= BH_GATE_OPEN; mode++) {
        if (strcmp(text, bh_gate_mode_name(mode)) == 0) {
            options->mode = mode;
            return -1;
        }
    }
    return bh_keeper_mistake(
        "--mode %s: there is no such mode: write shadow, bounce, direct or open", text);
}

static int take_type(const char *text, struct bh_keeper_options *options)
{
    if (bh_keeper_type(text, options)) {
        return -1;
    }
    return bh_keeper_mistake(
        "--type %s: no device type has this name: write blk, net, console, rng, "
        "scsi, input, vsock, crypto, snd, fs, i2c, can, gpio, or the number that "
        "VIRTIO gives it",
        text);
}

static int take_sandbox(const char *text, struct bh_keeper_options *options)
{
    if (strcmp(text, "strict") != 0 && strcmp(text, "best-effort") != 0 &&
        strcmp(text, "off") != 0) {
        return bh_keeper_mistake("--sandbox %s: write strict, best-effort or off", text);
    }
    options->sandbox = text;
    return -1;
}

static int take_fd(const char *text, struct bh_keeper_options *options)
{
    uint32_t fd = 0;
    int status = take_narrow("fd", text, 3, FD_MOST, &fd);
    if (status == -1 && fcntl((int)fd, F_GETFD) < 0) {
        return bh_keeper_mistake("--fd %s: no such descriptor was inherited", text);
    }
    options->fd = (int)fd;
    return status;
}

/* What describes the device and its limits. */
static int take_device(enum option_id id, const char *name, const char *text,
                       struct bh_keeper_options *options)
{
    switch (id) {
    case QUEUES_AT_MOST:
        return take_short(name, text, BH_GATE_QUEUES_MAX, &options->queues);
    case QUEUE_SIZE_AT_MOST:
        return take_short(name, text, 32768u, &options->queue_size);
    case CONFIG_SIZE:
        return take_narrow(name, text, 0, BH_GATE_CONFIG_MAX, &options->config_size);
    case ARENA_SIZE:
        return take_size(name, text, ARENA_LEAST, ARENA_MOST, &options->arena);
    case DEADLINE:
        return take_narrow(name, text, 0, DEADLINE_MOST, &options->deadline_ms);
    case RESTARTS_A_MINUTE:
        return take_number(name, text, 0, RESTARTS_MOST, &options->restarts);
    case SPARES:
        return take_narrow(name, text, 0, 1, &options->spares);
    case OPERATIONS:
        return take_number(name, text, 0, RATE_MOST, &options->limits.operations_per_second);
    case BYTES:
    default:
        return take_size(name, text, 0, RATE_MOST, &options->limits.bytes_per_second);
    }
}

static int take(enum option_id id, const char *name, const char *text,
                struct bh_keeper_options *options)
{
    switch (id) {
    case LISTEN:
        options->listen = text;
        return -1;
    case FD:
        return take_fd(text, options);
    case BACKEND:
        options->backend = text;
        return -1;
    case TYPE:
        return take_type(text, options);
    case MODE:
        return take_mode(text, options);
    case SHARE:
        return take_range(name, text, options->shares, &options->share_count);
    case GUARD:
        return take_range(name, text, options->guards, &options->guard_count);
    case PACKED:
        options->packed = true;
        return -1;
    case AUDIT:
        options->audit = text;
        return -1;
    case METRICS:
        options->metrics = text;
        return -1;
    case SANDBOX:
        return take_sandbox(text, options);
    case CHECK:
        options->check = true;
        return -1;
    case HELP:
        print_help();
        return printed();
    case VERSION:
        (void)printf("bulkhead-gate " BH_GATE_PROGRAM_VERSION "\n");
        return printed();
    default:
        return take_device(id, name, text, options);
    }
}

int bh_keeper_options_read(int argc, char **argv, struct bh_keeper_options *options)
{
    struct option list[KNOWN_COUNT + 1u];
    *options = (struct bh_keeper_options){
        .fd = -1,
        .sandbox = "best-effort",
        .mode = BH_GATE_OPEN + 1u,
        .queues = QUEUES,
        .queue_size = QUEUE_SIZE,
        .config_size = UINT32_MAX,
        .deadline_ms = DEADLINE_MS,
        .restarts = RESTARTS,
        .arena = ARENA,
    };
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        list[i] = (struct option){known[i].name, known[i].argument != NULL, NULL, (int)known[i].id};
    }
    list[KNOWN_COUNT] = (struct option){NULL, 0, NULL, 0};
    for (;;) {
        int index = 0;
        int id = getopt_long(argc, argv, "+", list, &index);
        if (id == -1) {
            break;
        }
        if (id == '?') {
            return BH_KEEPER_USAGE; /* getopt said it */
        }
        int status = take((enum option_id)id, list[index].name, optarg, options);
        if (status >= 0) {
            return status;
        }
    }
    if (optind < argc) {
        if (strcmp(argv[optind - 1], "--") != 0) {
            return bh_keeper_mistake("%s: this is no option: a command stands behind --",
                                     argv[optind]);
        }
        options->command = &argv[optind];
    }
    return -1;
}
