/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Setup, limits, ledger, arenas: mapped and checked. The parent made all of it and is trusted; the
 * checks find a gate and a parent that were not built together, and mistakes.
 */
#include "ledger.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/vhost_user_backend.h"

/* A memory file, whole. NULL: smaller than `least`, or it could be made smaller, or cannot be
 * mapped. `sharing`: MAP_PRIVATE for what never changes (kernels before 6.13 map a file that is sealed
 * against writing in no other way). */
static void *map(int fd, uint64_t least, int protection, int sharing)
{
    struct stat status;
    const int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(fd, &status) != 0 ||
        status.st_size <= 0 || (uint64_t)status.st_size < least) {
        return NULL;
    }
    void *base = mmap(NULL, (size_t)status.st_size, protection, sharing, fd, 0);
    return base != MAP_FAILED ? base : NULL;
}

static bool named(const char *name)
{
    return memchr(name, '\0', BH_GATE_NAME_MAX) != NULL;
}

static bool device_fits(const struct bh_gate_device *device)
{
    const bool relayed = device->mode == BH_GATE_SHADOW || device->mode == BH_GATE_BOUNCE;
    return named(device->name) && device->mode <= BH_GATE_OPEN && device->queue_count != 0u &&
           device->queue_count <= BH_GATE_QUEUES_MAX && device->queue_size_max != 0u &&
           device->queue_size_max <= BH_QUEUE_SIZE_MAX &&
           device->config_size <= BH_GATE_CONFIG_MAX && relayed == (device->arena_size != 0u);
}

static bool setup_fits(const struct bh_gate_setup *setup)
{
    bool fits = setup->device_count != 0u && setup->device_count <= BH_GATE_DEVICES_MAX &&
                setup->file_count <= BH_GATE_FILES_MAX && named(setup->guest);
    for (uint32_t i = 0; fits && i < setup->device_count; i++) {
        fits = device_fits(&setup->devices[i]);
    }
    for (uint32_t i = 0; fits && i < setup->file_count; i++) {
        fits = setup->files[i].size != 0u &&
               setup->files[i].address <= UINT64_MAX - setup->files[i].size;
    }
    return fits;
}

static int open_setup(struct bh_ledger *ledger, const char **why)
{
    const struct bh_gate_setup *setup =
        map(BH_GATE_SETUP_FD, sizeof(*setup), PROT_READ, MAP_PRIVATE);
    if (setup == NULL) {
        *why = "the setup is no sealed memory file of its size";
        return BH_INVALID;
    }
    if (setup->version != BH_GATE_VERSION || setup->size != sizeof(*setup)) {
        *why = "the setup was written by another version";
        return BH_INVALID;
    }
    if (!setup_fits(setup)) {
        *why = "the setup holds a value that is out of its range";
        return BH_INVALID;
    }
    ledger->setup = setup;
    return BH_OK;
}

/* Journals lie behind the records, whole and within the file. */
static bool journals_fit(const struct bh_ledger *ledger, uint64_t size)
{
    for (uint32_t i = 0; i < ledger->setup->device_count; i++) {
        const struct bh_gate_device *device = &ledger->setup->devices[i];
        const uint64_t offset = ledger->pages->journal_offset[i];
        const uint64_t length = ledger->pages->journal_size[i];
        if (device->arena_size == 0u) {
            continue; /* the back end keeps one, or nobody does */
        }
        if (offset < sizeof(*ledger->pages) || offset % 64u != 0u || offset > size ||
            length > size - offset ||
            length < bh_vu_journal_bytes(device->queue_count, device->queue_size_max)) {
            return false;
        }
    }
    return true;
}

static int open_ledger(struct bh_ledger *ledger, const char **why)
{
    struct stat status;
    struct bh_gate_ledger *pages =
        map(BH_GATE_LEDGER_FD, sizeof(*pages), PROT_READ | PROT_WRITE, MAP_SHARED);
    if (pages == NULL || fstat(BH_GATE_LEDGER_FD, &status) != 0) {
        *why = "the ledger is no sealed memory file of its size";
        return BH_INVALID;
    }
    ledger->pages = pages;
    if (pages->version != BH_GATE_VERSION || !journals_fit(ledger, (uint64_t)status.st_size)) {
        *why = "the ledger was made for another setup or version";
        return BH_INVALID;
    }
    ledger->adopts = pages->started != 0u;
    pages->started++;
    return BH_OK;
}

static int open_arenas(struct bh_ledger *ledger, const char **why)
{
    int fd = BH_GATE_ARENA_FD;
    for (uint32_t i = 0; i < ledger->setup->device_count; i++) {
        ledger->arena_fds[i] = -1;
        ledger->arenas[i] = NULL;
        if (ledger->setup->devices[i].arena_size == 0u) {
            continue;
        }
        ledger->arenas[i] =
            map(fd, ledger->setup->devices[i].arena_size, PROT_READ | PROT_WRITE, MAP_SHARED);
        ledger->arena_fds[i] = fd;
        if (ledger->arenas[i] == NULL) {
            *why = "an arena is no sealed memory file of its size";
            return BH_INVALID;
        }
        fd++;
    }
    return BH_OK;
}

int bh_ledger_open(struct bh_ledger *ledger, const char **why)
{
    memset(ledger, 0, sizeof(*ledger));
    int result = open_setup(ledger, why);
    if (result != BH_OK) {
        return result;
    }
    ledger->limits = map(BH_GATE_LIMITS_FD, sizeof(*ledger->limits), PROT_READ, MAP_SHARED);
    if (ledger->limits == NULL) {
        *why = "the limits are no sealed memory file of their size";
        return BH_INVALID;
    }
    result = open_ledger(ledger, why);
    return result == BH_OK ? open_arenas(ledger, why) : result;
}

struct bh_gate_record *bh_ledger_record(const struct bh_ledger *ledger, uint32_t device)
{
    return &ledger->pages->records[device];
}

void *bh_ledger_journal(const struct bh_ledger *ledger, uint32_t device)
{
    return (uint8_t *)ledger->pages + ledger->pages->journal_offset[device];
}

const struct bh_vu_saved *bh_ledger_saved(const struct bh_gate_record *record)
{
    return &record->saved[__atomic_load_n(&record->turn, __ATOMIC_ACQUIRE) % 2u];
}

/* The other copy is written, and only then counts: a successor finds the old one or the new one. */
void bh_ledger_save(struct bh_gate_record *record, const struct bh_vu_saved *saved)
{
    const uint64_t turn = record->turn + 1u;
    record->saved[turn % 2u] = *saved;
    __atomic_store_n(&record->turn, turn, __ATOMIC_RELEASE);
}
