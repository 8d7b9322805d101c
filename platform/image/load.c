/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copies the sections of a verified image into sealed memory, and compares each with its digest.
 * Every byte of the file behind the signature is read here, once: it belongs to a section or is
 * zero. What was compared is the copy, so whoever can still write to the file changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "platform/layout/layout_text.h"
#include "reader.h"

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define PIECE_BYTES (256u << 10) /* fits into a processor's second cache */
#define AGAIN       "do not use this file, copy the image again from where it was built"

struct load {
    struct bh_image *image;
    uint8_t *piece;
    EVP_MD_CTX *digest;
    struct bh_image_refusal *refusal;
};

static int memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd;
}

static int refuse_copy(const struct load *load, const char *name, int result)
{
    return bh_image_refuse_host(load->refusal, result,
                                "%s: section %s cannot be copied into memory: %s; free memory, or "
                                "raise this process's limits",
                                load->image->path, name, strerror(errno));
}

/* The bytes of one section, piece by piece: from the file, through the digest, into the memfd. */
static int copy(const struct load *load, const struct bh_image_section *section)
{
    uint64_t done = 0;
    while (done < section->size) {
        size_t bytes = section->size - done < PIECE_BYTES ? (size_t)(section->size - done)
                                                          : (size_t)PIECE_BYTES;
        int result = bh_image_pread(load->image->fd, load->piece, bytes, section->offset + done);
        if (result != BH_OK) {
            return bh_image_refuse_read(load->image->path, result, load->refusal);
        }
        if (EVP_DigestUpdate(load->digest, load->piece, bytes) != 1) {
            return bh_image_refuse_memory(load->refusal);
        }
        result = bh_image_pwrite(section->fd, load->piece, bytes, done);
        if (result != BH_OK) {
            return refuse_copy(load, section->name, result);
        }
        done += bytes;
    }
    return BH_OK;
}

static int load_section(const struct load *load, struct bh_image_section *section)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    section->fd = memory_file(section->name);
    if (section->fd < 0) {
        return refuse_copy(load, section->name, bh_file_error(errno));
    }
    if (EVP_DigestInit_ex(load->digest, EVP_sha256(), NULL) != 1) {
        return bh_image_refuse_memory(load->refusal);
    }
    int result = copy(load, section);
    if (result != BH_OK) {
        return result;
    }
    if (EVP_DigestFinal_ex(load->digest, digest, NULL) != 1) {
        return bh_image_refuse_memory(load->refusal);
    }
    if (memcmp(digest, section->digest, sizeof(section->digest)) != 0) {
        return bh_image_refuse(load->refusal, BH_IMAGE_BAD_SECTION,
                               "%s: tampered: section %s is not what was signed (its SHA-256 "
                               "differs); " AGAIN,
                               load->image->path, section->name);
    }
    if (fcntl(section->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
        0) {
        return refuse_copy(load, section->name, bh_file_error(errno));
    }
    return BH_OK;
}

/* Whether the bytes from `from` to `to` are zero: less than a page. */
static int check_padding(const struct load *load, uint64_t from, uint64_t to)
{
    uint8_t any = 0;
    size_t bytes = (size_t)(to - from);
    int result = bh_image_pread(load->image->fd, load->piece, bytes, from);
    if (result != BH_OK) {
        return bh_image_refuse_read(load->image->path, result, load->refusal);
    }
    for (size_t i = 0; i < bytes; i++) {
        any |= load->piece[i];
    }
    if (any != 0) {
        return bh_image_refuse(load->refusal, BH_IMAGE_BAD_PADDING,
                               "%s: tampered: there is something between the sections, where only "
                               "zeros belong; " AGAIN,
                               load->image->path);
    }
    return BH_OK;
}

static int load_all(const struct load *load)
{
    struct bh_image *image = load->image;
    uint32_t count = image->facts.section_count;
    uint64_t signed_end =
        BH_IMAGE_SIGNED_BYTES(count) - BH_IMAGE_CONTEXT_BYTES + BH_IMAGE_SIGNATURE_BYTES;
    int result = check_padding(load, signed_end, bh_image_sections_begin(count));
    for (uint32_t i = 0; result == BH_OK && i < count; i++) {
        struct bh_image_section *section = &image->sections[i];
        uint64_t end = section->offset + section->size;
        result = load_section(load, section);
        if (result == BH_OK) {
            result = check_padding(load, end, bh_image_page_up(end));
        }
    }
    return result;
}

static void unload(struct bh_image *image)
{
    for (uint32_t i = 0; i < image->facts.section_count; i++) {
        if (image->sections[i].fd >= 0) {
            (void)close(image->sections[i].fd);
        }
        image->sections[i].fd = -1;
    }
}

int bh_image_load(struct bh_image *image, struct bh_image_refusal *refusal)
{
    if (image->state != BH_IMAGE_VERIFIED) {
        return bh_image_refuse_host(refusal, BH_STATE, "%s: not verified, or loaded already",
                                    image->path);
    }
    struct load load = {image, malloc(PIECE_BYTES), EVP_MD_CTX_new(), refusal};
    int result = load.piece != NULL && load.digest != NULL ? load_all(&load)
                                                           : bh_image_refuse_memory(refusal);
    EVP_MD_CTX_free(load.digest);
    free(load.piece);
    if (result == BH_OK) {
        image->state = BH_IMAGE_LOADED;
    } else {
        unload(image);
    }
    return result;
}
