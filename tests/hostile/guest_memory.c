/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a guest with secrets, and the disk in it. */
#include "guest.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096u

static const uint64_t addresses[AREAS] = {GUEST_PRIVATE, GUEST_RINGS, GUEST_DATA, GUEST_OTHER};
static const char *const names[AREAS] = {"private memory", "the ring area",
                                         "memory between buffers", "another window"};

static int complain(const char *what, int error)
{
    (void)fprintf(stderr, "hostile-guest: %s: %s\n", what, bh_error_name(error));
    return error;
}

/* ---- files ---- */

static uint8_t *make_file(const struct guest *guest, uint64_t size, int *fd)
{
    *fd = memfd_create("hostile-guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, (off_t)size) != 0 ||
        (!guest->unsealed && fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))) {
        return NULL;
    }
    void *base = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    return base == MAP_FAILED ? NULL : base;
}

/* `count` areas from `first` on in one file; a region for each, or one for all of them. */
static bool make_areas(struct guest *guest, uint32_t first, uint32_t count, bool one_region)
{
    int fd;
    uint8_t *base = make_file(guest, GUEST_PART * count, &fd);
    if (base == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        guest->areas[first + i] = base + GUEST_PART * i;
        const bool shared =
            !guest->window_only || first + i == AREA_RINGS || first + i == AREA_DATA;
        if (shared && (i == 0u || !one_region)) {
            guest->shares[guest->share_count] =
                (struct bh_vu_share){.guest_address = addresses[first + i],
                                     .size = one_region ? GUEST_PART * count : GUEST_PART,
                                     .offset = GUEST_PART * i,
                                     .fd = fd};
            guest->share_count++;
        }
    }
    return true;
}

static bool make_memory(struct guest *guest)
{
    switch (guest->layout) {
    case LAYOUT_ONE:
        return make_areas(guest, AREA_PRIVATE, AREAS, false);
    case LAYOUT_WINDOW:
        return make_areas(guest, AREA_PRIVATE, 1, false) &&
               make_areas(guest, AREA_RINGS, 2, true) && make_areas(guest, AREA_OTHER, 1, false);
    default:
        return make_areas(guest, AREA_PRIVATE, 1, false) &&
               make_areas(guest, AREA_RINGS, 1, false) && make_areas(guest, AREA_DATA, 1, false) &&
               make_areas(guest, AREA_OTHER, 1, false);
    }
}

/* ---- secrets ---- */

static void fill(const struct guest *guest, uint32_t area, size_t from, size_t to)
{
    for (size_t at = from; at + SECRET_BYTES <= to; at += SECRET_BYTES) {
        memcpy(guest->areas[area] + at, guest->secrets[area], SECRET_BYTES);
    }
}

static int check(const struct guest *guest, uint32_t area, size_t from, size_t to)
{
    for (size_t at = from; at + SECRET_BYTES <= to; at += SECRET_BYTES) {
        if (memcmp(guest->areas[area] + at, guest->secrets[area], SECRET_BYTES) != 0) {
            (void)fprintf(stderr, "hostile-guest: %s has changed at 0x%zx\n", names[area], at);
            return BH_IO;
        }
    }
    return BH_OK;
}

/* Where the gap behind the buffer of request `i` begins and ends. */
static size_t buffer_step(const struct guest *guest)
{
    return (guest->disk.options.data_bytes + 2u * PAGE - 1u) / PAGE * PAGE;
}

int guest_check(const struct guest *guest)
{
    const size_t step = buffer_step(guest);
    int result = check(guest, AREA_PRIVATE, 0, GUEST_PART);
    if (result == BH_OK) {
        result = check(guest, AREA_OTHER, 0, GUEST_PART);
    }
    if (result == BH_OK) {
        result = check(guest, AREA_RINGS, guest->rings_used, GUEST_PART);
    }
    for (size_t i = 0; i < guest->disk.options.requests && result == BH_OK; i++) {
        result = check(guest, AREA_DATA, (i + 1u) * step - PAGE, (i + 1u) * step);
    }
    return result;
}

bool guest_has_secret(const struct guest *guest, const uint8_t *bytes, size_t length)
{
    for (uint32_t area = 0; area < AREAS; area++) {
        if (memmem(bytes, length, guest->secrets[area], SECRET_BYTES) != NULL) {
            (void)fprintf(stderr, "hostile-guest: a read shows %s\n", names[area]);
            return true;
        }
    }
    return false;
}

/* ---- the disk ---- */

static int open_frontend(struct guest *guest)
{
    struct vu_disk *disk = &guest->disk;
    const struct bh_vu_frontend_setup setup = {
        .channel = &bh_host_channel_ops,
        .context = &disk->channel,
        .shares = guest->shares,
        .share_count = guest->share_count,
        .device_id = BH_ID_BLK,
        .queue_count = 1,
        .queue_size_max = disk->options.queue_size,
        .protocol_features = BH_VU_FRONTEND_PROTOCOL & ~BH_VU_PROTOCOL_F_INFLIGHT_SHMFD,
    };
    int result =
        bh_host_channel_connect(&disk->channel, disk->options.socket, disk->options.timeout_ms);
    if (result == BH_OK) {
        result = bh_vu_frontend_init(&disk->frontend, &setup);
    }
    return result == BH_OK ? BH_OK : complain("connection", result);
}

static int open_driver(struct guest *guest)
{
    struct vu_disk *disk = &guest->disk;
    const struct vu_disk_options *o = &disk->options;
    const struct bh_driver_blk_setup setup = {
        .transport = &disk->frontend.transport,
        .dma = &disk->dma,
        .queues = disk->queues,
        .slots = disk->slots,
        .requests = disk->driver_requests,
        .request_count = o->requests,
        .queue_count = o->queues,
        .queue_size = o->queue_size,
        .indirect_max = o->indirect ? BH_DRIVER_BLK_ELEMENTS_MAX : 0,
        .features = BH_DRIVER_BLK_FEATURES | BH_F_VERSION_1 | (o->packed ? BH_F_RING_PACKED : 0u) |
                    (o->event_idx ? BH_F_EVENT_IDX : 0u) | (o->indirect ? BH_F_INDIRECT_DESC : 0u),
    };
    int result = bh_driver_blk_init(&disk->blk, &setup);
    if (result == BH_OK && disk->blk.queue_count != o->queues) {
        result = BH_UNSUPPORTED;
    }
    return result == BH_OK ? BH_OK : complain("device", result);
}

static void place_requests(struct guest *guest)
{
    struct vu_disk *disk = &guest->disk;
    const size_t step = buffer_step(guest);
    for (uint16_t i = 0; i < disk->options.requests; i++) {
        struct vu_request *request = &disk->requests[i];
        request->disk = disk;
        request->request = bh_driver_blk_take(&disk->blk);
        request->data = guest->areas[AREA_DATA] + step * i;
        request->address = GUEST_DATA + step * i;
        request->queue = i % disk->options.queues;
        fill(guest, AREA_DATA, (i + 1u) * step - PAGE, (i + 1u) * step);
    }
}

static bool allocate(struct vu_disk *disk)
{
    const struct vu_disk_options *o = &disk->options;
    disk->queues = calloc(o->queues, sizeof(*disk->queues));
    disk->slots = calloc((size_t)o->queues * o->queue_size, sizeof(*disk->slots));
    disk->driver_requests = calloc(o->requests, sizeof(*disk->driver_requests));
    disk->requests = calloc(o->requests, sizeof(*disk->requests));
    return disk->queues != NULL && disk->slots != NULL && disk->driver_requests != NULL &&
           disk->requests != NULL;
}

int guest_open(struct guest *guest, const struct vu_disk_options *options)
{
    struct vu_disk *disk = &guest->disk;
    memset(disk, 0, sizeof(*disk));
    disk->options = *options;
    disk->channel = (struct bh_host_channel){.fd = -1, .backend_fd = -1};
    disk->rings.fd = -1; /* this guest lays its memory out itself */
    disk->data.fd = -1;
    if (!make_memory(guest) || !allocate(disk)) {
        return complain("memory", BH_NO_MEMORY);
    }
    if (buffer_step(guest) * options->requests > GUEST_PART) {
        return complain("data", BH_LIMIT);
    }
    disk->dma = (struct bh_dma){
        .base = guest->areas[AREA_RINGS], .address = GUEST_RINGS, .size = GUEST_PART};
    fill(guest, AREA_PRIVATE, 0, GUEST_PART);
    fill(guest, AREA_OTHER, 0, GUEST_PART);
    fill(guest, AREA_RINGS, 0, GUEST_PART); /* what the driver takes, it clears */
    int result = open_frontend(guest);
    if (result == BH_OK) {
        result = open_driver(guest);
    }
    if (result == BH_OK) {
        guest->rings_used = (disk->dma.used + PAGE - 1u) / PAGE * PAGE;
        place_requests(guest);
    }
    return result;
}
