/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead-blk: the block model over a file, a block device, or nothing. Only wiring: which memory
 * they get, and how options become a geometry.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/blk.h"
#include "bulkhead/host_disk.h"
#include "bulkhead/host_log.h"
#include "daemon.h"

#define QUEUES_DEFAULT   16u /* a front end may use fewer: QEMU takes one for each processor */
#define QUEUES_MAX       16u
#define QUEUE_SIZE       1024u
#define REQUESTS         256u /* in flight, all queues together */
#define SEG_MAX          126u /* with header and status, what QEMU's default ring of 128 can hold */
#define POOL_BLOCKS      64u  /* chains of more than a few segments at a time */
#define POOL_SPANS       (SEG_MAX + 2u)
#define LOCK_PATIENCE_MS 10000u

static struct {
    const char *path;
    uint64_t null_size; /* 0: no null disk */
    uint64_t queue_count;
    uint32_t operations; /* that the guest may ever do */
    bool read_only;
    bool write_through;
    bool direct;
    char id[BH_BLK_ID_LENGTH];

    struct bh_memory memory;
    struct bh_span_pool pool;
    struct bh_device device;
    struct bh_blk blk;
    struct bh_disk *disk;
    struct bh_daemon daemon;
    void *room; /* everything below */
    struct bh_queue *queues;
    struct bh_blk_request *requests;
} self = {.queue_count = QUEUES_DEFAULT, .operations = UINT32_MAX};

/* The definition's words for what can be done with a disk. */
static const struct {
    const char *word;
    uint32_t operation;
} words[] = {
    {"read", BH_DISK_READ},       {"write", BH_DISK_WRITE}, {"flush", BH_DISK_FLUSH},
    {"discard", BH_DISK_DISCARD}, {"erase", BH_DISK_ERASE}, {"lifetime", BH_DISK_LIFETIME},
};
#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

/* ------------------------------------------------------------------------------------------------
 * options */

static int take_file(const char *value)
{
    self.path = value;
    return bh_daemon_keep_path(value);
}

static int take_null(const char *value)
{
    int result = bh_daemon_size(value, &self.null_size);
    return result == BH_OK && self.null_size < BH_BLK_SECTOR ? BH_INVALID : result;
}

static int take_queues(const char *value)
{
    return bh_daemon_number(value, 1, QUEUES_MAX, &self.queue_count);
}

static int take_serial(const char *value)
{
    size_t length = strlen(value);
    if (length > sizeof(self.id)) {
        return BH_INVALID;
    }
    memset(self.id, 0, sizeof(self.id));
    memcpy(self.id, value, length);
    return BH_OK;
}

static int take_read_only(const char *value)
{
    (void)value;
    self.read_only = true;
    return BH_OK;
}

/* A word of `length` bytes; 0: there is none like it. */
static uint32_t operation_of(const char *word, size_t length)
{
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (strlen(words[i].word) == length && memcmp(words[i].word, word, length) == 0) {
            return words[i].operation;
        }
    }
    return 0;
}

static int take_operations(const char *value)
{
    self.operations = 0;
    for (;;) {
        size_t length = strcspn(value, ",");
        uint32_t operation = operation_of(value, length);
        if (operation == 0u) {
            bh_log(BH_LOG_ERROR,
                   "--operations knows read, write, flush, discard, erase and lifetime, with "
                   "commas between them, and not \"%.*s\"",
                   (int)length, value);
            return BH_INVALID;
        }
        self.operations |= operation;
        if (value[length] == '\0') {
            return BH_OK;
        }
        value += length + 1u;
    }
}

static int take_write_through(const char *value)
{
    (void)value;
    self.write_through = true;
    return BH_OK;
}

static int take_direct(const char *value)
{
    (void)value;
    self.direct = true;
    return BH_OK;
}

static const struct bh_daemon_option blk_options[] = {
    {"blk-file", "PATH", "the disk: a raw image file or a block device", take_file},
    {"read-only", NULL, "the guest cannot write, and the program neither", take_read_only},
    {"operations", "LIST", "all that the guest may ever do, as --operations read,flush",
     take_operations},
    {"write-through", NULL, "every write is on stable storage when it is done", take_write_through},
    {"direct", NULL, "bypass the host's page cache", take_direct},
    {"num-queues", "N", "offer at most N queues: 1 to 16 (the default)", take_queues},
    {"serial", "TEXT", "the disk's identity for the guest: at most 20 bytes", take_serial},
    {"null", "SIZE", "no disk but a null device of SIZE bytes, for measuring", take_null},
};

static const char *const blk_features[] = {"read-only", "blk-file", NULL};

static const char blk_notes[] =
    "The disk is locked while the program runs: one writer, or many readers. Another\n"
    "program's lock is waited for, ten seconds at most: a predecessor that was killed\n"
    "holds it until its last write has ended. If PATH is /dev/fd/N, descriptor N is\n"
    "used, and nothing is opened. An image that shrinks gives I/O errors beyond its\n"
    "new end. After SIGHUP the guest is told the disk's present size.\n"
    "\n"
    "With --standby the disk is opened and looked at at once, but not locked, read or\n"
    "written before the first message (or connection) on the socket: another process\n"
    "may have it until then. Its lock is waited for as above, and the disk's size\n"
    "looked at again. What ends in the meantime ends without having touched the disk.\n"
    "\n"
    "LIST has the words read, write, flush, discard, erase and lifetime, with commas\n"
    "between them. What it leaves out is neither offered nor done: without write the\n"
    "disk is read-only, which --read-only says in one word; without flush every write\n"
    "is on stable storage when it is done. Without the option the guest may do what\n"
    "the disk can. --filter narrows that while the program runs: a request that is not\n"
    "allowed now ends with an I/O error, and the log counts it.\n"
    "\n"
    "Discard punches holes. Secure erase and lifetime are offered only for a block\n"
    "device that has them. SIZE may end in K, M, G or T.\n";

static int blk_check(void)
{
    if ((self.path != NULL) == (self.null_size != 0u)) {
        bh_log(BH_LOG_ERROR, "no disk: give one of --blk-file and --null");
        return BH_INVALID;
    }
    if ((self.operations & BH_DISK_WRITE) == 0u) {
        if ((self.operations & (BH_DISK_DISCARD | BH_DISK_ERASE)) != 0u) {
            bh_log(BH_LOG_ERROR, "--operations: discard and erase change the disk: add write, "
                                 "without which it is read-only, or leave them out");
            return BH_INVALID;
        }
        self.read_only = true;
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * life */

/* Carves the arrays out of one allocation. Only what is touched takes memory. */
static int blk_room(void)
{
    struct bh_order_slot *order;
    struct bh_span *spans;
    uint16_t *free_blocks;
    uint8_t *busy;
    size_t count = (size_t)self.queue_count;
    size_t bytes = count * (sizeof(*self.queues) + QUEUE_SIZE * (sizeof(*order) + sizeof(*busy))) +
                   REQUESTS * sizeof(*self.requests) +
                   POOL_BLOCKS * (POOL_SPANS * sizeof(*spans) + sizeof(*free_blocks));
    uint8_t *at = calloc(1, bytes);
    if (at == NULL) {
        return BH_NO_MEMORY;
    }
    self.room = at;
    /* Largest alignment first. */
    self.queues = (struct bh_queue *)(void *)at;
    self.requests = (struct bh_blk_request *)(void *)(self.queues + count);
    spans = (struct bh_span *)(void *)(self.requests + REQUESTS);
    order = (struct bh_order_slot *)(void *)(spans + (size_t)POOL_BLOCKS * POOL_SPANS);
    free_blocks = (uint16_t *)(void *)(order + count * QUEUE_SIZE);
    busy = (uint8_t *)(free_blocks + POOL_BLOCKS);
    bh_span_pool_init(&self.pool, spans, free_blocks, POOL_BLOCKS, POOL_SPANS);
    for (size_t i = 0; i < count; i++) {
        bh_queue_init(&self.queues[i], (uint16_t)i, QUEUE_SIZE, order + i * QUEUE_SIZE,
                      busy + i * QUEUE_SIZE, &self.pool);
    }
    return BH_OK;
}

static void disk_finished(void *context)
{
    (void)context;
    bh_device_flush(&self.device);
}

static void request_refused(void *context, uint32_t operation)
{
    (void)context;
    for (size_t i = 0; i < WORD_COUNT; i++) {
        if (words[i].operation == operation) {
            bh_daemon_refused(words[i].word);
        }
    }
}

static int blk_disk(struct bh_blk_geometry *geometry)
{
    if (self.path == NULL) {
        bh_disk_null_geometry(self.null_size, geometry);
        geometry->read_only = self.read_only;
        return BH_OK;
    }
    const struct bh_disk_setup setup = {
        .poller = self.daemon.poller,
        .path = self.path,
        .read_only = self.read_only,
        .direct = self.direct,
        .depth = REQUESTS,
        .patience_ms = LOCK_PATIENCE_MS,
        .standby = self.daemon.standby,
        .finished = disk_finished,
        .stopped = self.daemon.stopped,
        .context = self.daemon.context,
    };
    int result = bh_disk_create(&self.disk, &setup);
    if (result == BH_OK) {
        bh_disk_geometry(self.disk, geometry);
    }
    return result;
}

static int blk_model(const struct bh_blk_geometry *geometry)
{
    const struct bh_blk_setup setup = {
        .device = &self.device,
        .geometry = geometry,
        .ops = self.disk != NULL ? &bh_disk_file_ops : &bh_disk_null_ops,
        .disk = self.disk,
        .requests = self.requests,
        .request_count = REQUESTS,
        .withheld = ~self.operations,
        .filter = self.daemon.filter,
        .refused = request_refused,
    };
    int result = bh_blk_init(&self.blk, &setup);
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "the disk's properties make no sense: %s", bh_error_name(result));
    }
    return result;
}

static int blk_open(const struct bh_daemon *daemon, struct bh_device **device)
{
    struct bh_blk_geometry geometry = {.seg_max = SEG_MAX, .write_through = self.write_through};
    self.daemon = *daemon;
    int result = blk_disk(&geometry);
    if (result == BH_OK) {
        result = blk_room();
    }
    if (result == BH_OK) {
        memcpy(geometry.id, self.id, sizeof(geometry.id));
        result = blk_model(&geometry);
    }
    if (result != BH_OK) {
        return result;
    }
    const struct bh_device_setup setup = {
        .class = &bh_blk_class,
        .class_data = &self.blk,
        .memory = &self.memory,
        .queues = self.queues,
        .queue_count = (uint16_t)self.queue_count,
        .feature_mask = UINT64_MAX,
    };
    bh_device_init(&self.device, &setup);
    *device = &self.device;
    return BH_OK;
}

static uint32_t blk_requests(const unsigned long **requests)
{
    return self.disk != NULL ? bh_disk_requests(self.disk, requests) : 0u;
}

static void blk_reload(void)
{
    uint64_t capacity;
    if (self.disk == NULL) {
        return;
    }
    if (bh_disk_capacity(self.disk, &capacity) != BH_OK) {
        bh_log(BH_LOG_WARNING, "the disk's size cannot be read");
        return;
    }
    bh_blk_capacity_set(&self.blk, capacity);
    bh_log(BH_LOG_NOTICE, "the disk has %ju bytes", (uintmax_t)capacity);
}

/* The image may be of another size than when it was opened; all else is a matter of its kind. */
static int blk_claim(void)
{
    uint64_t capacity;
    if (self.disk == NULL) {
        return BH_OK;
    }
    int result = bh_disk_claim(self.disk);
    if (result == BH_OK) {
        result = bh_disk_capacity(self.disk, &capacity);
    }
    if (result == BH_OK && capacity != self.blk.geometry.capacity) {
        bh_blk_capacity_set(&self.blk, capacity);
    } else if (result != BH_OK && result != BH_AGAIN) {
        bh_log(BH_LOG_ERROR, "the disk cannot be taken over: %s", bh_error_name(result));
    }
    return result;
}

static void blk_stop(void)
{
    if (self.disk != NULL) {
        bh_disk_stop(self.disk);
    } else {
        self.daemon.stopped(self.daemon.context); /* the null disk is never busy */
    }
}

static void blk_close(void)
{
    bh_disk_destroy(self.disk);
    free(self.room);
}

const struct bh_daemon_class bh_daemon_class = {
    .options = blk_options,
    .option_count = sizeof(blk_options) / sizeof(blk_options[0]),
    .features = blk_features,
    .notes = blk_notes,
    .takes_filter = true,
    .check = blk_check,
    .open = blk_open,
    .requests = blk_requests,
    .claim = blk_claim,
    .reload = blk_reload,
    .stop = blk_stop,
    .close = blk_close,
};
