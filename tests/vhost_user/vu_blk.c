/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vu-blk: drives any vhost-user-blk back end from the command line, without a virtual machine, through
 * the drivers of driver/. For tests and measurements.
 *
 * Exit status: 0; 1: the back end or the data is at fault; 2: the command line; 3: the back end lacks
 * what was asked for.
 */
#include "vu_disk.h"
#include "vu_verify.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: vu-blk --socket PATH [options] COMMAND\n"
    "commands:\n"
    "  info                     what the device is\n"
    "  id                       its id string\n"
    "  read                     --length bytes from --sector on, to standard output\n"
    "  write                    --length bytes from standard input, to --sector on\n"
    "  flush\n"
    "  discard, zeroes          --length bytes from --sector on (--unmap: zeroes may deallocate)\n"
    "  verify                   --count random operations over --length bytes from --sector on\n"
    "  bench                    --count reads (--write: writes) of --block bytes; prints the rate\n"
    "options:\n"
    "  --packed --in-order --indirect --no-event-idx --queues N --queue-size N\n"
    "  --depth N                requests in flight for each queue\n"
    "  --block BYTES            data of a request at most\n"
    "  --inflight --reconnect   keep an in-flight region; go on when the back end comes back\n"
    "  --poll                   spin instead of sleeping\n"
    "  --timeout MS --seed N --no-zeroes\n";

struct command_line {
    struct vu_disk_options disk;
    const char *command;
    uint64_t sector;
    uint64_t length;
    uint64_t count;
    uint32_t depth;
    uint32_t seed;
    bool write;
    bool unmap;
    bool no_zeroes;
};

static int fail(const char *what, int error)
{
    (void)fprintf(stderr, "vu-blk: %s: %s\n", what, bh_error_name(error));
    return error;
}

/* ---- commands ---- */

static int info(struct vu_disk *disk)
{
    const struct bh_driver_blk *blk = &disk->blk;
    printf("protocol-features: 0x%" PRIx64 "\n", disk->frontend.protocol_features);
    printf("offered: 0x%" PRIx64 "\n", disk->frontend.offered);
    printf("features: 0x%" PRIx64 "\n", blk->features);
    printf("queues: %u of %u\n", blk->queue_count, disk->frontend.queue_count);
    printf("capacity: %" PRIu64 "\n", blk->capacity * BH_BLK_SECTOR);
    printf("block-size: %" PRIu32 "\n", blk->block_size);
    printf("seg-max: %" PRIu32 "\n", blk->seg_max);
    printf("size-max: %" PRIu32 "\n", blk->size_max);
    printf("read-only: %s\n", (blk->features & BH_BLK_F_RO) != 0u ? "yes" : "no");
    printf("flush: %s\n", (blk->features & BH_BLK_F_FLUSH) != 0u ? "yes" : "no");
    printf("discard: %" PRIu32 " sectors\n", blk->discard.sectors);
    printf("write-zeroes: %" PRIu32 " sectors\n", blk->write_zeroes.sectors);
    printf("secure-erase: %" PRIu32 " sectors\n", blk->secure_erase.sectors);
    printf("lifetime: %s\n", (blk->features & BH_BLK_F_LIFETIME) != 0u ? "yes" : "no");
    return BH_OK;
}

static int id(struct vu_disk *disk)
{
    struct vu_request *request = &disk->requests[0];
    request->bytes = BH_BLK_ID_LENGTH;
    memset(request->data, 0, BH_BLK_ID_LENGTH);
    int result = vu_disk_run(disk, request, BH_BLK_T_GET_ID);
    if (result == BH_OK) {
        printf("%.*s\n", (int)BH_BLK_ID_LENGTH, (const char *)request->data);
    }
    return result;
}

/* Moves --length bytes between the disk and a stream, one request at a time. */
static int copy(struct vu_disk *disk, const struct command_line *line, bool write)
{
    struct vu_request *request = &disk->requests[0];
    uint64_t left = line->length;
    request->sector = line->sector;
    while (left != 0u) {
        request->bytes =
            left < disk->options.data_bytes ? (uint32_t)left : disk->options.data_bytes;
        if (write && fread(request->data, 1, request->bytes, stdin) != request->bytes) {
            return fail("standard input", BH_IO);
        }
        int result = vu_disk_run(disk, request, write ? BH_BLK_T_OUT : BH_BLK_T_IN);
        if (result != BH_OK) {
            return result;
        }
        if (!write && fwrite(request->data, 1, request->bytes, stdout) != request->bytes) {
            return fail("standard output", BH_IO);
        }
        left -= request->bytes;
        request->sector += request->bytes / BH_BLK_SECTOR;
    }
    return BH_OK;
}

static int segments(struct vu_disk *disk, const struct command_line *line, uint32_t type)
{
    struct vu_request *request = &disk->requests[0];
    if (line->length > UINT32_MAX) {
        return BH_LIMIT;
    }
    request->sector = line->sector;
    request->bytes = (uint32_t)line->length;
    request->tag = line->unmap ? BH_BLK_SEGMENT_UNMAP : 0u;
    return vu_disk_run(disk, request, type);
}

static int verify(struct vu_disk *disk, const struct command_line *line)
{
    const uint64_t left = disk->blk.capacity - line->sector;
    const struct vu_verify setup = {
        .sector = line->sector,
        .sectors = line->length != 0u ? line->length / BH_BLK_SECTOR : left,
        .count = line->count,
        .seed = line->seed,
        .zeroes = !line->no_zeroes,
    };
    if (line->sector > disk->blk.capacity || setup.sectors > left) {
        return fail("region", BH_INVALID);
    }
    int result = vu_verify(disk, &setup);
    if (result == BH_OK) {
        printf("verified %" PRIu64 " operations, %" PRIu32 " resumed\n", line->count,
               disk->resumes);
    }
    return result;
}

/* Keeps every request busy until `count` were started; offsets go up, each request in its own part. */
static int bench(struct vu_disk *disk, const struct command_line *line)
{
    const uint32_t type = line->write ? BH_BLK_T_OUT : BH_BLK_T_IN;
    const uint32_t sectors = disk->options.data_bytes / BH_BLK_SECTOR;
    const uint64_t blocks = disk->blk.capacity / sectors;
    uint64_t started = 0;
    if (blocks == 0u) {
        return fail("block", BH_INVALID);
    }
    uint64_t begin = vu_now_ns();
    while (started < line->count || disk->in_flight != 0u) {
        for (uint16_t i = 0; i < disk->options.requests && started < line->count; i++) {
            struct vu_request *request = &disk->requests[i];
            if (request->busy) {
                continue;
            }
            if (request->result != BH_OK) {
                return request->result;
            }
            request->sector = started % blocks * sectors;
            request->bytes = disk->options.data_bytes;
            int result = vu_disk_start(disk, request, type, 1);
            if (result == BH_AGAIN) {
                continue;
            }
            if (result != BH_OK) {
                return result;
            }
            started++;
        }
        int result = vu_disk_kick(disk);
        if (result == BH_OK) {
            result = vu_disk_wait(disk);
        }
        if (result != BH_OK) {
            return result;
        }
    }
    double seconds = (double)(vu_now_ns() - begin) / 1e9;
    printf("%" PRIu64 " %s of %" PRIu32 " bytes in %.3f s: %.0f IOPS, %.1f MB/s\n", line->count,
           line->write ? "writes" : "reads", disk->options.data_bytes, seconds,
           (double)line->count / seconds,
           (double)line->count * disk->options.data_bytes / seconds / 1e6);
    return BH_OK;
}

static int run(struct vu_disk *disk, const struct command_line *line)
{
    if (strcmp(line->command, "info") == 0) {
        return info(disk);
    }
    if (strcmp(line->command, "id") == 0) {
        return id(disk);
    }
    if (strcmp(line->command, "read") == 0) {
        return copy(disk, line, false);
    }
    if (strcmp(line->command, "write") == 0) {
        return copy(disk, line, true);
    }
    if (strcmp(line->command, "flush") == 0) {
        return vu_disk_run(disk, &disk->requests[0], BH_BLK_T_FLUSH);
    }
    if (strcmp(line->command, "discard") == 0) {
        return segments(disk, line, BH_BLK_T_DISCARD);
    }
    if (strcmp(line->command, "zeroes") == 0) {
        return segments(disk, line, BH_BLK_T_WRITE_ZEROES);
    }
    if (strcmp(line->command, "verify") == 0) {
        return verify(disk, line);
    }
    return bench(disk, line);
}

/* ---- command line ---- */

enum option_code {
    OPT_SOCKET = 256,
    OPT_PACKED,
    OPT_IN_ORDER,
    OPT_INDIRECT,
    OPT_NO_EVENT_IDX,
    OPT_INFLIGHT,
    OPT_RECONNECT,
    OPT_POLL,
    OPT_WRITE,
    OPT_UNMAP,
    OPT_NO_ZEROES,
    OPT_QUEUES, /* from here on: with a number */
    OPT_QUEUE_SIZE,
    OPT_DEPTH,
    OPT_BLOCK,
    OPT_COUNT,
    OPT_SECTOR,
    OPT_LENGTH,
    OPT_TIMEOUT,
    OPT_SEED,
};

static const struct option options[] = {
    {"socket", required_argument, NULL, OPT_SOCKET},
    {"packed", no_argument, NULL, OPT_PACKED},
    {"in-order", no_argument, NULL, OPT_IN_ORDER},
    {"indirect", no_argument, NULL, OPT_INDIRECT},
    {"no-event-idx", no_argument, NULL, OPT_NO_EVENT_IDX},
    {"inflight", no_argument, NULL, OPT_INFLIGHT},
    {"reconnect", no_argument, NULL, OPT_RECONNECT},
    {"poll", no_argument, NULL, OPT_POLL},
    {"write", no_argument, NULL, OPT_WRITE},
    {"unmap", no_argument, NULL, OPT_UNMAP},
    {"no-zeroes", no_argument, NULL, OPT_NO_ZEROES},
    {"queues", required_argument, NULL, OPT_QUEUES},
    {"queue-size", required_argument, NULL, OPT_QUEUE_SIZE},
    {"depth", required_argument, NULL, OPT_DEPTH},
    {"block", required_argument, NULL, OPT_BLOCK},
    {"count", required_argument, NULL, OPT_COUNT},
    {"sector", required_argument, NULL, OPT_SECTOR},
    {"length", required_argument, NULL, OPT_LENGTH},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"seed", required_argument, NULL, OPT_SEED},
    {NULL, 0, NULL, 0},
};

/* An option that is on or off. */
static bool take_switch(struct command_line *line, int option)
{
    switch (option) {
    case OPT_PACKED:
        line->disk.packed = true;
        return true;
    case OPT_IN_ORDER:
        line->disk.in_order = true;
        return true;
    case OPT_INDIRECT:
        line->disk.indirect = true;
        return true;
    case OPT_NO_EVENT_IDX:
        line->disk.event_idx = false;
        return true;
    case OPT_INFLIGHT:
        line->disk.inflight = true;
        return true;
    case OPT_RECONNECT:
        line->disk.reconnect = true;
        return true;
    case OPT_POLL:
        line->disk.poll = true;
        return true;
    case OPT_WRITE:
        line->write = true;
        return true;
    case OPT_UNMAP:
        line->unmap = true;
        return true;
    case OPT_NO_ZEROES:
        line->no_zeroes = true;
        return true;
    default:
        return false;
    }
}

/* An option with a number, in its range. */
static bool take_number(struct command_line *line, int option, const char *text)
{
    char *end = NULL;
    uint64_t number = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end != '\0') {
        return false;
    }
    switch (option) {
    case OPT_QUEUES:
        line->disk.queues = (uint16_t)number;
        return number >= 1u && number <= BH_VU_FRONTEND_QUEUES_MAX;
    case OPT_QUEUE_SIZE:
        line->disk.queue_size = (uint16_t)number;
        return number >= 1u && number <= BH_QUEUE_SIZE_MAX;
    case OPT_DEPTH:
        line->depth = (uint32_t)number;
        return number >= 1u && number <= 1024u;
    case OPT_BLOCK:
        line->disk.data_bytes = (uint32_t)number;
        return number >= BH_BLK_SECTOR && number <= (UINT64_C(1) << 24) &&
               number % BH_BLK_SECTOR == 0u;
    case OPT_COUNT:
        line->count = number;
        return number >= 1u;
    case OPT_SECTOR:
        line->sector = number;
        return true;
    case OPT_LENGTH:
        line->length = number;
        return number % BH_BLK_SECTOR == 0u;
    case OPT_TIMEOUT:
        line->disk.timeout_ms = (int)number;
        return number >= 1u && number <= 600000u;
    case OPT_SEED:
        line->seed = (uint32_t)number;
        return true;
    default:
        return false;
    }
}

static bool known(const char *command)
{
    static const char *const commands[] = {"info",    "id",     "read",   "write", "flush",
                                           "discard", "zeroes", "verify", "bench"};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(command, commands[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse(struct command_line *line, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPT_SOCKET) {
            line->disk.socket = optarg;
        } else if (!take_switch(line, option) &&
                   (option < OPT_QUEUES || !take_number(line, option, optarg))) {
            return false;
        }
    }
    if (line->disk.socket == NULL || optind + 1 != argc || !known(argv[optind])) {
        return false;
    }
    line->command = argv[optind];
    uint32_t requests = line->depth * line->disk.queues;
    line->disk.requests = (uint16_t)requests;
    return requests <= UINT16_MAX;
}

int main(int argc, char **argv)
{
    static struct vu_disk disk;
    struct command_line line = {
        .disk = {.event_idx = true,
                 .queues = 1,
                 .queue_size = 128,
                 .data_bytes = 65536,
                 .timeout_ms = 10000},
        .count = 10000,
        .depth = 8,
        .seed = 1,
    };
    if (!parse(&line, argc, argv)) {
        (void)fputs(usage, stderr);
        return 2;
    }
    int result = vu_disk_open(&disk, &line.disk);
    if (result != BH_OK) {
        return result == BH_UNSUPPORTED ? 3 : 1;
    }
    result = run(&disk, &line);
    if (result != BH_OK) {
        (void)fail(line.command, result);
    }
    vu_disk_close(&disk);
    if (fflush(stdout) != 0) {
        return 1;
    }
    if (result == BH_UNSUPPORTED) {
        return 3;
    }
    return result == BH_OK ? 0 : 1;
}
