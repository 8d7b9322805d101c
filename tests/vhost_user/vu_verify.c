/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random writes, reads and write zeroes over a region of a disk, as many at a time as there are
 * requests, over all queues; every read is compared with what was last written there, and in the end
 * the whole region is. Each sector's content tells its place and which write it comes from, so that
 * a misplaced or lost one is told apart from a damaged one.
 *
 * Two operations in flight never touch the same piece of the region: their order would be open.
 */
#include "vu_verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN UINT32_MAX /* never written by us */
#define ZERO    0u

struct verifier {
    struct vu_disk *disk;
    const struct vu_verify *verify;
    uint32_t *versions; /* of each sector: which write it holds */
    bool *pieces_busy;
    uint64_t piece_count;
    uint32_t piece_sectors;
    uint32_t version;
    uint64_t random;
    int result;
};

static uint32_t draw(struct verifier *v, uint32_t below)
{
    v->random ^= v->random << 13;
    v->random ^= v->random >> 7;
    v->random ^= v->random << 17;
    return (uint32_t)((v->random >> 11) % below);
}

/* A sector's content: place and version, then a sequence that depends on both. */
static void fill_sector(uint64_t *words, uint64_t sector, uint32_t version)
{
    uint64_t value = sector * UINT64_C(0x9e3779b97f4a7c15) + version;
    if (version == ZERO) {
        memset(words, 0, BH_BLK_SECTOR);
        return;
    }
    words[0] = sector;
    words[1] = version;
    for (unsigned i = 2; i < BH_BLK_SECTOR / 8u; i++) {
        value = value * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        words[i] = value;
    }
}

/* Where a request's sector `i` lies in the region. */
static uint64_t place(const struct verifier *v, const struct vu_request *request, uint32_t i)
{
    return request->sector - v->verify->sector + i;
}

static void check_read(struct verifier *v, const struct vu_request *request)
{
    uint64_t expected[BH_BLK_SECTOR / 8u];
    uint64_t found[BH_BLK_SECTOR / 8u];
    for (uint32_t i = 0; i < request->bytes / BH_BLK_SECTOR; i++) {
        uint32_t version = v->versions[place(v, request, i)];
        if (version == UNKNOWN) {
            continue;
        }
        fill_sector(expected, request->sector + i, version);
        memcpy(found, request->data + (size_t)i * BH_BLK_SECTOR, BH_BLK_SECTOR);
        if (memcmp(expected, found, BH_BLK_SECTOR) != 0) {
            (void)fprintf(stderr,
                          "vu-blk: sector %" PRIu64 " holds sector %" PRIu64 ", write %" PRIu64
                          " instead of write %" PRIu32 "\n",
                          request->sector + i, found[0], found[1], version);
            v->result = BH_IO;
            return;
        }
    }
}

static uint64_t piece_of(const struct verifier *v, const struct vu_request *request)
{
    return place(v, request, 0) / v->piece_sectors;
}

static void finished(struct vu_request *request);

/* The requests know their disk, the disk has one verifier. */
static struct verifier *current;

static void finished(struct vu_request *request)
{
    struct verifier *v = current;
    v->pieces_busy[piece_of(v, request)] = false;
    if (request->result != BH_OK) {
        (void)fprintf(stderr, "vu-blk: operation %d at sector %" PRIu64 ": %s\n", request->kind,
                      request->sector, bh_error_name(request->result));
        v->result = request->result;
        return;
    }
    if (request->kind == (int)BH_BLK_T_IN) {
        check_read(v, request);
        return;
    }
    for (uint32_t i = 0; i < request->bytes / BH_BLK_SECTOR; i++) {
        v->versions[place(v, request, i)] =
            request->kind == (int)BH_BLK_T_OUT ? request->tag : ZERO;
    }
}

/* Picks a piece that is free, and sectors in it. */
static void choose_place(struct verifier *v, struct vu_request *request)
{
    uint64_t piece = draw(v, (uint32_t)v->piece_count);
    while (v->pieces_busy[piece]) {
        piece = (piece + 1u) % v->piece_count;
    }
    v->pieces_busy[piece] = true;
    uint32_t first = draw(v, v->piece_sectors);
    uint32_t count = 1u + draw(v, v->piece_sectors - first);
    request->sector = v->verify->sector + piece * v->piece_sectors + first;
    request->bytes = count * BH_BLK_SECTOR;
}

static uint32_t choose_kind(struct verifier *v)
{
    uint32_t dice = draw(v, 16);
    if (dice == 0u && v->verify->zeroes && v->disk->blk.write_zeroes.sectors != 0u) {
        return BH_BLK_T_WRITE_ZEROES;
    }
    return dice < 9u ? BH_BLK_T_OUT : BH_BLK_T_IN;
}

static int start(struct verifier *v, struct vu_request *request)
{
    uint32_t type = choose_kind(v);
    choose_place(v, request);
    request->kind = (int)type;
    request->done = finished;
    request->tag = 0;
    if (type == BH_BLK_T_OUT) {
        v->version++;
        request->tag = v->version;
        for (uint32_t i = 0; i < request->bytes / BH_BLK_SECTOR; i++) {
            uint64_t words[BH_BLK_SECTOR / 8u];
            fill_sector(words, request->sector + i, v->version);
            memcpy(request->data + (size_t)i * BH_BLK_SECTOR, words, BH_BLK_SECTOR);
        }
    } else if (type == BH_BLK_T_IN) {
        memset(request->data, 0xee, request->bytes);
    }
    uint16_t pieces =
        (uint16_t)(1u + draw(v, v->disk->blk.seg_max < 8u ? v->disk->blk.seg_max : 8u));
    int result = vu_disk_start(v->disk, request, type, pieces);
    if (result == BH_AGAIN) {
        v->pieces_busy[piece_of(v, request)] = false;
    }
    return result;
}

static int random_phase(struct verifier *v)
{
    uint64_t started = 0;
    while (started < v->verify->count || v->disk->in_flight != 0u) {
        int result = BH_OK;
        for (uint16_t i = 0; i < v->disk->options.requests && started < v->verify->count; i++) {
            if (v->disk->requests[i].busy) {
                continue;
            }
            result = start(v, &v->disk->requests[i]);
            if (result == BH_AGAIN) {
                continue; /* that queue is full */
            }
            if (result != BH_OK) {
                return result;
            }
            started++;
        }
        result = vu_disk_kick(v->disk);
        if (result == BH_OK) {
            result = vu_disk_wait(v->disk);
        }
        if (result != BH_OK || v->result != BH_OK) {
            return result != BH_OK ? result : v->result;
        }
    }
    return BH_OK;
}

static int final_phase(struct verifier *v)
{
    struct vu_request *request = &v->disk->requests[0];
    request->done = NULL;
    for (uint64_t at = 0; at < v->verify->sectors; at += v->piece_sectors) {
        request->sector = v->verify->sector + at;
        request->bytes = v->piece_sectors * BH_BLK_SECTOR;
        int result = vu_disk_run(v->disk, request, BH_BLK_T_IN);
        if (result != BH_OK) {
            return result;
        }
        check_read(v, request);
        if (v->result != BH_OK) {
            return v->result;
        }
    }
    return BH_OK;
}

static int flush(struct verifier *v)
{
    struct vu_request *request = &v->disk->requests[0];
    if ((v->disk->blk.features & BH_BLK_F_FLUSH) == 0u) {
        return BH_OK;
    }
    request->done = NULL;
    return vu_disk_run(v->disk, request, BH_BLK_T_FLUSH);
}

int vu_verify(struct vu_disk *disk, const struct vu_verify *verify)
{
    struct vu_verify checked = *verify;
    struct verifier v = {.disk = disk,
                         .verify = &checked,
                         .piece_sectors = disk->options.data_bytes / BH_BLK_SECTOR,
                         .random = UINT64_C(0x9e3779b97f4a7c15) ^ verify->seed};
    v.piece_count = checked.sectors / v.piece_sectors;
    if (v.piece_count < disk->options.requests) {
        (void)fprintf(stderr, "vu-blk: the region is too small for so many requests\n");
        return BH_INVALID;
    }
    checked.sectors = v.piece_count * v.piece_sectors;
    v.versions = malloc(checked.sectors * sizeof(*v.versions));
    v.pieces_busy = calloc(v.piece_count, sizeof(*v.pieces_busy));
    if (v.versions == NULL || v.pieces_busy == NULL) {
        free(v.versions);
        free(v.pieces_busy);
        return BH_NO_MEMORY;
    }
    memset(v.versions, 0xff, checked.sectors * sizeof(*v.versions)); /* UNKNOWN */
    current = &v;
    int result = random_phase(&v);
    if (result == BH_OK) {
        result = flush(&v);
    }
    if (result == BH_OK) {
        result = final_phase(&v);
    }
    current = NULL;
    free(v.versions);
    free(v.pieces_busy);
    return result;
}
