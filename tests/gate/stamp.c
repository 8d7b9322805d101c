/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's part of the gate's tests: writes to a disk so that anyone can tell afterwards, from the disk alone,
 * whether a write was lost, landed late on a newer one, or was acknowledged and is not there.
 *
 *     stamp run DEVICE OFFSET SIZE SEED DEPTH BLOCKS STOP         writes and reads until the file STOP is there
 *     stamp check DEVICE OFFSET SIZE SEED BLOCKS                 looks at what is there, once
 *
 * The first 256 blocks of the range are a log, the others hold data. Write number n of a seed goes to an extent that
 * follows from seed and n alone, and each 32 bytes of a block say by which write they were made. So after the log
 * record "all writes up to n are done", which an fsync made durable, every block has a known least number. What is in
 * flight never overlaps: then the newest write of a block is the one that must be found. Up to DEPTH requests are in
 * flight, a quarter of them reads that are compared with what the writer knows.
 *
 * On the console: "BULKHEAD ack RECORD N" (the record and all writes up to N are durable), and in the end a line that
 * begins with "BULKHEAD stamp". stamps.py reads the same form on the host.
 *
 * Not here: a judge of what an error means; any error ends the program, and says so.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 4096,
    LINE = 32,
    RECORDS = 256,
    DEPTH_MAX = 128,
    EXTENT_MAX = 64,
    WINDOW = 8192, /* writes between the oldest in flight and the newest */
};

#define MAGIC        UINT64_C(0x31304b4c554253ab)
#define MAGIC_RECORD UINT64_C(0x31304b4c554252ab)

struct line {
    uint64_t magic;
    uint64_t seed;
    uint64_t number; /* of the write; of the record */
    uint64_t
        place; /* the block's number in the range; in a record: all writes up to this one are done */
};

struct disk {
    int fd;
    uint64_t offset;
    uint64_t blocks; /* of data */
    uint64_t seed;
    uint32_t extent_max; /* blocks in a write */
};

struct slot {
    struct iocb iocb;
    uint64_t number; /* of the write; 0: a read */
    uint64_t start;
    uint32_t count;
    uint64_t begun_us;
    uint8_t *data;
};

struct writer {
    struct disk disk;
    aio_context_t aio;
    struct slot slots[DEPTH_MAX];
    struct slot *idle[DEPTH_MAX];
    uint32_t idle_count;
    uint32_t depth;
    uint64_t *newest;      /* of each block: the last write that was done; 0: none */
    uint8_t *busy;         /* of each block: requests in flight on it */
    uint8_t *writing;      /* of each block: a write is among them */
    uint8_t *complete;     /* of write n: complete[n % WINDOW] */
    uint64_t next;         /* number of the next write */
    _Atomic uint64_t done; /* all writes up to this one are */
    uint64_t dice;
    uint64_t reads;
    uint64_t early; /* completions that overtook an older write */
    uint64_t worst_us;
};

static _Atomic bool failed;
static _Atomic bool ended;

static void fail(const char *what, uint64_t block, const struct line *found)
{
    atomic_store(&failed, true);
    printf("BULKHEAD not-ok stamp %s", what);
    if (found != NULL) {
        printf(", block %" PRIu64 " has magic %" PRIx64 " seed %" PRIu64 " write %" PRIu64
               " place %" PRIu64,
               block, found->magic, found->seed, found->number, found->place);
    }
    printf("\n");
    fflush(stdout);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Where write `number` goes. Small ones are frequent, and a large one is often enough under way to be overtaken. */
static void extent(const struct disk *disk, uint64_t number, uint64_t *start, uint32_t *count)
{
    uint64_t dice = mix(disk->seed * UINT64_C(0x9e3779b97f4a7c15) + number);
    *count = dice % 4 == 0 ? 1 + (uint32_t)(dice >> 8) % disk->extent_max : 1;
    *start = (dice >> 40) % (disk->blocks - *count + 1);
}

static void stamp(uint8_t *block, const struct line *line)
{
    for (uint32_t at = 0; at < BLOCK; at += LINE) {
        memcpy(block + at, line, LINE);
    }
}

/* Whether all lines of a block are the same; *line is the first. */
static bool is_whole(const uint8_t *block, struct line *line)
{
    memcpy(line, block, LINE);
    return memcmp(block, block + LINE, BLOCK - LINE) == 0;
}

static bool open_disk(struct disk *disk, char **arguments)
{
    disk->fd = open(arguments[0], O_RDWR | O_DIRECT | O_CLOEXEC);
    disk->offset = strtoull(arguments[1], NULL, 0);
    disk->blocks = strtoull(arguments[2], NULL, 0) / BLOCK - RECORDS;
    disk->seed = strtoull(arguments[3], NULL, 0);
    disk->extent_max = EXTENT_MAX;
    if (disk->fd < 0) {
        printf("BULKHEAD not-ok stamp %s: %s\n", arguments[0], strerror(errno));
    }
    return disk->fd >= 0;
}

static void *pages(size_t size)
{
    void *memory = aligned_alloc(BLOCK, (size + BLOCK - 1) / BLOCK * BLOCK);
    if (memory == NULL) {
        printf("BULKHEAD not-ok stamp no memory\n");
        exit(1);
    }
    memset(memory, 0, size);
    return memory;
}

/* ------------------------------------------------------------------------------------------------
 * run */

static bool is_free(const struct writer *writer, uint64_t start, uint32_t count, bool write)
{
    for (uint64_t block = start; block < start + count; block++) {
        if (writer->writing[block] != 0 || (write && writer->busy[block] != 0)) {
            return false;
        }
    }
    return true;
}

static void begin(struct writer *writer, uint64_t number, uint64_t start, uint32_t count)
{
    struct slot *slot = writer->idle[--writer->idle_count];
    struct iocb *iocb = &slot->iocb;
    slot->number = number;
    slot->start = start;
    slot->count = count;
    for (uint32_t i = 0; i < count; i++) {
        writer->busy[start + i]++;
        if (number != 0) {
            struct line line = {MAGIC, writer->disk.seed, number, start + i};
            writer->writing[start + i] = 1;
            stamp(slot->data + (size_t)i * BLOCK, &line);
        }
    }
    memset(iocb, 0, sizeof(*iocb));
    iocb->aio_data = (uint64_t)(uintptr_t)slot;
    iocb->aio_lio_opcode = number != 0 ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    iocb->aio_fildes = (uint32_t)writer->disk.fd;
    iocb->aio_buf = (uint64_t)(uintptr_t)slot->data;
    iocb->aio_nbytes = (uint64_t)count * BLOCK;
    iocb->aio_offset = (int64_t)(writer->disk.offset + (RECORDS + start) * BLOCK);
    slot->begun_us = now_us();
    if (syscall(SYS_io_submit, writer->aio, 1, &iocb) != 1) {
        fail(strerror(errno), start, NULL);
    }
}

static void compare(struct writer *writer, const struct slot *slot)
{
    for (uint32_t i = 0; i < slot->count; i++) {
        struct line line;
        uint64_t wanted = writer->newest[slot->start + i];
        bool whole = is_whole(slot->data + (size_t)i * BLOCK, &line);
        if (wanted != 0 && (!whole || line.magic != MAGIC || line.seed != writer->disk.seed ||
                            line.number != wanted || line.place != slot->start + i)) {
            printf("BULKHEAD note write %" PRIu64 " was wanted\n", wanted);
            fail(whole ? "a read returned something else" : "a read returned a torn block",
                 slot->start + i, &line);
        }
    }
}

static void finish(struct writer *writer, struct slot *slot, int64_t result)
{
    uint64_t took = now_us() - slot->begun_us;
    writer->worst_us = took > writer->worst_us ? took : writer->worst_us;
    if (result != (int64_t)slot->count * BLOCK) {
        fail(result < 0 ? strerror((int)-result) : "a short transfer", slot->start, NULL);
    } else if (slot->number == 0) {
        compare(writer, slot);
        writer->reads++;
    }
    for (uint64_t block = slot->start; block < slot->start + slot->count; block++) {
        writer->busy[block]--;
        if (slot->number != 0) {
            writer->writing[block] = 0;
            writer->newest[block] = slot->number;
        }
    }
    if (slot->number != 0) {
        uint64_t done = atomic_load(&writer->done);
        writer->early += slot->number != done + 1;
        writer->complete[slot->number % WINDOW] = 1;
        while (done + 1 < writer->next && writer->complete[(done + 1) % WINDOW] != 0) {
            writer->complete[++done % WINDOW] = 0;
        }
        atomic_store(&writer->done, done);
    }
    writer->idle[writer->idle_count++] = slot;
}

/* Waits for at least one completion. */
static void collect(struct writer *writer)
{
    struct io_event events[DEPTH_MAX];
    long count = syscall(SYS_io_getevents, writer->aio, 1L, (long)DEPTH_MAX, events, NULL);
    if (count < 0 && errno != EINTR) {
        fail(strerror(errno), 0, NULL);
    }
    for (long i = 0; i < count; i++) {
        finish(writer, (struct slot *)(uintptr_t)events[i].data, events[i].res);
    }
}

/* Begins what can begin now; false: the next one has to wait for one in flight. */
static bool begin_next(struct writer *writer)
{
    uint64_t start;
    uint32_t count;
    writer->dice = mix(writer->dice + UINT64_C(0x9e3779b97f4a7c15));
    if (writer->dice % 4 == 0) {
        count = 1 + (uint32_t)(writer->dice >> 8) % writer->disk.extent_max;
        start = (writer->dice >> 40) % (writer->disk.blocks - count + 1);
        if (is_free(writer, start, count, false)) {
            begin(writer, 0, start, count);
        }
        return true;
    }
    extent(&writer->disk, writer->next, &start, &count);
    if (!is_free(writer, start, count, true) ||
        writer->next - atomic_load(&writer->done) >= WINDOW - 1) {
        return false;
    }
    begin(writer, writer->next++, start, count);
    return true;
}

/* One record, and then another, each acknowledged only when fsync said so. */
static void *write_records(void *context)
{
    struct writer *writer = context;
    uint8_t *block = pages(BLOCK);
    uint64_t record = 0;
    for (bool last = false; !last && !atomic_load(&failed);) {
        last = atomic_load(&ended);
        struct line line = {MAGIC_RECORD, writer->disk.seed, ++record, atomic_load(&writer->done)};
        stamp(block, &line);
        int64_t at = (int64_t)(writer->disk.offset + record % RECORDS * BLOCK);
        if (pwrite(writer->disk.fd, block, BLOCK, at) != BLOCK || fsync(writer->disk.fd) != 0) {
            fail(strerror(errno), 0, NULL);
        } else {
            printf("BULKHEAD ack %" PRIu64 " %" PRIu64 "\n", line.number, line.place);
            fflush(stdout);
        }
        usleep(2000);
    }
    free(block);
    return NULL;
}

static struct writer *new_writer(char **arguments)
{
    struct writer *writer = pages(sizeof(*writer));
    if (!open_disk(&writer->disk, arguments)) {
        exit(1);
    }
    writer->depth = (uint32_t)strtoul(arguments[4], NULL, 0);
    writer->disk.extent_max = (uint32_t)strtoul(arguments[5], NULL, 0);
    if (writer->depth == 0 || writer->depth > DEPTH_MAX || writer->disk.extent_max == 0 ||
        writer->disk.extent_max > EXTENT_MAX) {
        printf("BULKHEAD not-ok stamp depth or size\n");
        exit(1);
    }
    writer->newest = pages(writer->disk.blocks * sizeof(*writer->newest));
    writer->busy = pages(writer->disk.blocks);
    writer->writing = pages(writer->disk.blocks);
    writer->complete = pages(WINDOW);
    writer->next = 1;
    writer->dice = writer->disk.seed;
    for (uint32_t i = 0; i < writer->depth; i++) {
        writer->slots[i].data = pages((size_t)EXTENT_MAX * BLOCK);
        writer->idle[writer->idle_count++] = &writer->slots[i];
    }
    if (syscall(SYS_io_setup, DEPTH_MAX, &writer->aio) != 0) {
        printf("BULKHEAD not-ok stamp io_setup: %s\n", strerror(errno));
        exit(1);
    }
    return writer;
}

static int run(char **arguments)
{
    struct writer *writer = new_writer(arguments);
    pthread_t recorder;
    if (pthread_create(&recorder, NULL, write_records, writer) != 0) {
        printf("BULKHEAD not-ok stamp no thread\n");
        return 1;
    }
    while (!atomic_load(&failed) && access(arguments[6], F_OK) != 0) {
        while (writer->idle_count > 0 && begin_next(writer)) {
        }
        if (writer->idle_count < writer->depth) {
            collect(writer);
        }
    }
    while (!atomic_load(&failed) && writer->idle_count < writer->depth) {
        collect(writer);
    }
    atomic_store(&ended, true);
    pthread_join(recorder, NULL);
    printf("BULKHEAD stamp writes %" PRIu64 " reads %" PRIu64 " early %" PRIu64 " worst-us %" PRIu64
           "\n",
           writer->next - 1, writer->reads, writer->early, writer->worst_us);
    return atomic_load(&failed) ? 1 : 0;
}

/* ------------------------------------------------------------------------------------------------
 * check */

/* The newest record of the log: what it says to be done. */
static uint64_t newest_record(const struct disk *disk, uint8_t *block, uint64_t *done)
{
    uint64_t newest = 0;
    for (uint64_t at = 0; at < RECORDS; at++) {
        struct line line;
        if (pread(disk->fd, block, BLOCK, (int64_t)(disk->offset + at * BLOCK)) != BLOCK) {
            fail(strerror(errno), at, NULL);
            return 0;
        }
        if (is_whole(block, &line) && line.magic == MAGIC_RECORD && line.seed == disk->seed &&
            line.number > newest && line.number % RECORDS == at) {
            newest = line.number;
            *done = line.place;
        }
    }
    return newest;
}

static int check(char **arguments)
{
    struct disk disk;
    if (!open_disk(&disk, arguments)) {
        return 1;
    }
    disk.extent_max = (uint32_t)strtoul(arguments[4], NULL, 0);
    uint8_t *data = pages((size_t)EXTENT_MAX * BLOCK);
    uint64_t *least = pages(disk.blocks * sizeof(*least));
    uint64_t done = 0;
    uint64_t record = newest_record(&disk, data, &done);
    for (uint64_t number = 1; number <= done; number++) {
        uint64_t start;
        uint32_t count;
        extent(&disk, number, &start, &count);
        for (uint32_t i = 0; i < count; i++) {
            least[start + i] = number;
        }
    }
    for (uint64_t block = 0; block < disk.blocks; block++) {
        struct line line;
        if (pread(disk.fd, data, BLOCK, (int64_t)(disk.offset + (RECORDS + block) * BLOCK)) !=
            BLOCK) {
            fail(strerror(errno), block, NULL);
            break;
        }
        /* A write that was in flight when the guest ended may have reached a part of its block. */
        for (uint32_t at = 0; least[block] != 0 && at < BLOCK; at += LINE) {
            memcpy(&line, data + at, LINE);
            if (line.magic != MAGIC || line.seed != disk.seed || line.place != block ||
                line.number < least[block]) {
                printf("BULKHEAD note write %" PRIu64 " was acknowledged\n", least[block]);
                fail("what was acknowledged is gone", block, &line);
                break;
            }
        }
    }
    printf("BULKHEAD stamp checked record %" PRIu64 " writes %" PRIu64 "\n", record, done);
    free(least);
    free(data);
    return atomic_load(&failed) ? 1 : 0;
}

int main(int count, char **arguments)
{
    if (count == 9 && strcmp(arguments[1], "run") == 0) {
        return run(arguments + 2);
    }
    if (count == 7 && strcmp(arguments[1], "check") == 0) {
        return check(arguments + 2);
    }
    printf("Usage: stamp run DEVICE OFFSET SIZE SEED DEPTH BLOCKS STOP\n"
           "       stamp check DEVICE OFFSET SIZE SEED BLOCKS\n");
    return 2;
}
