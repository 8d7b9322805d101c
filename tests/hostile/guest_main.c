/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile-guest: a guest with secrets, on the command line. Exit status: 0; 1: the disk or the memory
 * is not what it must be; 2: the command line; 3: the connection or the device could not be had.
 */
#include "guest.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REGION_SECTORS 4096u

static const char usage[] =
    "usage: hostile-guest --socket PATH [options] verify|neighbour|stale|ATTACK\n"
    "       hostile-guest --list\n"
    "  verify     --count random operations, then a look at all of the memory\n"
    "  neighbour  the same without end; a line on standard input is answered with how many so far\n"
    "  stale      reads all the time: no secret may be in what is read\n"
    "options: --packed --indirect --no-event-idx --queues N --depth N --count N --timeout MS\n"
    "         --layout split|window|one --unsealed --window-only --secret "
    "private|rings|data|other=HEX\n";

struct line {
    struct vu_disk_options disk;
    uint64_t count;
    uint32_t depth;
    const char *command;
};

/* ---- commands ---- */

static int run_verify(struct guest *guest, uint64_t count, uint32_t seed)
{
    const struct vu_verify verify = {
        .sectors = REGION_SECTORS, .count = count, .seed = seed, .zeroes = false};
    int result = vu_verify(&guest->disk, &verify);
    return result == BH_OK ? guest_check(guest) : result;
}

/* Whether a line waits on standard input; over: there will be none any more. */
static bool asked(bool *over, int milliseconds)
{
    char bytes[64];
    struct pollfd polled = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&polled, 1, milliseconds) <= 0) {
        return false;
    }
    ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));
    *over = length <= 0;
    return length > 0;
}

static int run_neighbour(struct guest *guest, uint64_t count)
{
    uint64_t operations = 0;
    bool over = false;
    int result = BH_OK;
    for (uint32_t round = 1; result == BH_OK && !over; round++) {
        result = run_verify(guest, count, round);
        operations += count;
        if (result == BH_OK && asked(&over, 20)) {
            (void)printf("%" PRIu64 "\n", operations);
            (void)fflush(stdout);
        }
    }
    return result;
}

/* The data may be anything that the disk ever held, and nothing that it never saw. */
static int run_stale(struct guest *guest, uint64_t count)
{
    struct vu_disk *disk = &guest->disk;
    for (uint64_t i = 0; i < count; i++) {
        struct vu_request *request = &disk->requests[i % disk->options.requests];
        request->sector = i * 32u % REGION_SECTORS;
        request->bytes = disk->options.data_bytes;
        request->done = NULL;
        memset(request->data, 0xee, request->bytes);
        int result = vu_disk_run(disk, request, i % 4u == 3u ? BH_BLK_T_OUT : BH_BLK_T_IN);
        if (result != BH_OK && result != BH_IO && result != BH_PROTOCOL) {
            return result;
        }
        if (guest_has_secret(guest, request->data, request->bytes)) {
            return BH_IO;
        }
    }
    return guest_check(guest);
}

static int run(struct guest *guest, const struct line *line)
{
    if (strcmp(line->command, "verify") == 0) {
        return run_verify(guest, line->count, 1);
    }
    if (strcmp(line->command, "neighbour") == 0) {
        return run_neighbour(guest, line->count);
    }
    if (strcmp(line->command, "stale") == 0) {
        return run_stale(guest, line->count);
    }
    int result = run_verify(guest, 100, 1);
    if (result == BH_OK) {
        result = guest_attack(guest, line->command);
        (void)printf("%s\n", result == 1 ? "stopped" : "goes on");
    }
    return result >= 0 ? guest_check(guest) : result;
}

/* ---- command line ---- */

static bool take_layout(struct guest *guest, const char *text)
{
    static const char *const names[] = {"split", "window", "one"};
    for (unsigned i = 0; i < 3u; i++) {
        if (strcmp(text, names[i]) == 0) {
            guest->layout = (enum guest_layout)i;
            return true;
        }
    }
    return false;
}

static bool take_secret(struct guest *guest, const char *text)
{
    static const char *const names[AREAS] = {"private=", "rings=", "data=", "other="};
    for (unsigned area = 0; area < AREAS; area++) {
        size_t length = strlen(names[area]);
        if (strncmp(text, names[area], length) == 0 &&
            strlen(text + length) == (size_t)2u * SECRET_BYTES) {
            for (unsigned i = 0; i < SECRET_BYTES; i++) {
                char digits[3] = {text[length + 2u * i], text[length + 2u * i + 1u], '\0'};
                guest->secrets[area][i] = (uint8_t)strtoul(digits, NULL, 16);
            }
            return true;
        }
    }
    return false;
}

static bool take(struct guest *guest, struct line *line, int option, const char *text)
{
    switch (option) {
    case 's':
        line->disk.socket = text;
        return true;
    case 'p':
        line->disk.packed = true;
        return true;
    case 'i':
        line->disk.indirect = true;
        return true;
    case 'e':
        line->disk.event_idx = false;
        return true;
    case 'u':
        guest->unsealed = true;
        return true;
    case 'w':
        guest->window_only = true;
        return true;
    case 'q':
        line->disk.queues = (uint16_t)strtoul(text, NULL, 0);
        return line->disk.queues != 0u;
    case 'd':
        line->depth = (uint32_t)strtoul(text, NULL, 0);
        return line->depth != 0u;
    case 'c':
        line->count = strtoull(text, NULL, 0);
        return line->count != 0u;
    case 't':
        line->disk.timeout_ms = (int)strtol(text, NULL, 0);
        return line->disk.timeout_ms > 0;
    case 'l':
        return take_layout(guest, text);
    default:
        return option == 'x' && take_secret(guest, text);
    }
}

static bool parse(struct guest *guest, struct line *line, int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"packed", no_argument, NULL, 'p'},
        {"indirect", no_argument, NULL, 'i'},
        {"no-event-idx", no_argument, NULL, 'e'},
        {"unsealed", no_argument, NULL, 'u'},
        {"window-only", no_argument, NULL, 'w'},
        {"queues", required_argument, NULL, 'q'},
        {"depth", required_argument, NULL, 'd'},
        {"count", required_argument, NULL, 'c'},
        {"timeout", required_argument, NULL, 't'},
        {"layout", required_argument, NULL, 'l'},
        {"secret", required_argument, NULL, 'x'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take(guest, line, option, optarg)) {
            return false;
        }
    }
    line->disk.requests = (uint16_t)(line->depth * line->disk.queues);
    line->command = argv[optind];
    return line->disk.socket != NULL && optind + 1 == argc;
}

int main(int argc, char **argv)
{
    static struct guest guest;
    struct line line = {.disk = {.event_idx = true,
                                 .queues = 2,
                                 .queue_size = 64,
                                 .data_bytes = 16384,
                                 .timeout_ms = 20000},
                        .count = 1000,
                        .depth = 8};
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        guest_attack_names();
        return 0;
    }
    if (!parse(&guest, &line, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (guest_open(&guest, &line.disk) != BH_OK) {
        return 3;
    }
    int result = run(&guest, &line);
    if (result != BH_OK) {
        (void)fprintf(stderr, "hostile-guest: %s: %s\n", line.command, bh_error_name(result));
    } else {
        (void)printf("intact\n");
    }
    vu_disk_close(&guest.disk);
    return result == BH_OK ? 0 : 1;
}
