/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens an image and decides whether header and table may be believed. The states stand in
 * platform_image.h; sections are load.c's.
 *
 * Before the signature is verified, three things of the file are used: the magic, the format's
 * number and the number of sections, which bounds what is read. The rest is decoded afterwards.
 */
#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "keys.h"
#include "platform/layout/layout_text.h"

#define AGAIN "copy the image again from where it was built"

int bh_image_refuse_read(const char *path, int result, struct bh_image_refusal *refusal)
{
    if (result == BH_GONE) {
        return bh_image_refuse(refusal, BH_IMAGE_TRUNCATED,
                               "%s: truncated: the file ends before the image does; " AGAIN, path);
    }
    return bh_image_refuse_host(refusal, result, "%s: cannot be read: %s; " AGAIN, path,
                                strerror(errno));
}

/* ------------------------------------------------------------------------------------------------
 * opening */

static int open_file(struct bh_image *image, const char *path, struct bh_image_refusal *refusal)
{
    struct stat status;
    image->path = strdup(path);
    if (image->path == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    /* Not blocking: a named pipe would keep us here. */
    image->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (image->fd < 0) {
        return bh_image_refuse_host(refusal, bh_file_error(errno),
                                    "%s: cannot be opened: %s; name an image that you may read",
                                    path, strerror(errno));
    }
    if (fstat(image->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return bh_image_refuse(refusal, BH_IMAGE_NOT_AN_IMAGE,
                               "%s: no image of Bulkhead: it is no regular file; `bulkhead build "
                               "--sign` makes images",
                               path);
    }
    return BH_OK;
}

static int refuse_start(const char *path, enum bh_image_start start, uint32_t format,
                        struct bh_image_refusal *refusal)
{
    switch (start) {
    case BH_IMAGE_START_FORMAT:
        return bh_image_refuse(refusal, BH_IMAGE_OTHER_FORMAT,
                               "%s: an image of format %" PRIu32 ", this program reads format %u; "
                               "build the image with the release of Bulkhead that runs it",
                               path, format, BH_IMAGE_FORMAT);
    case BH_IMAGE_START_COUNT:
        return bh_image_refuse(refusal, BH_IMAGE_MALFORMED,
                               "%s: malformed: the number of sections is not 1 to %u; " AGAIN, path,
                               BH_IMAGE_SECTIONS_MAX);
    default:
        return bh_image_refuse(refusal, BH_IMAGE_NOT_AN_IMAGE,
                               "%s: no image of Bulkhead: it begins with something else; `bulkhead "
                               "build --sign` makes images",
                               path);
    }
}

/* Header, table and signature, each byte read once. */
static int read_signed(struct bh_image *image, struct bh_image_refusal *refusal)
{
    uint8_t header[BH_IMAGE_HEADER_BYTES] = {0};
    uint32_t format = 0;
    uint32_t count = 0;
    int result = bh_image_pread(image->fd, header, sizeof(header), 0);
    if (result != BH_OK && result != BH_GONE) {
        return bh_image_refuse_read(image->path, result, refusal);
    }
    /* Of a file that is shorter than a header the rest is zero here: it says best what it is. */
    enum bh_image_start start = bh_image_start_read(header, &format, &count);
    if (result == BH_GONE && start != BH_IMAGE_START_FOREIGN) {
        return bh_image_refuse_read(image->path, result, refusal);
    }
    if (start != BH_IMAGE_START_GOOD) {
        return refuse_start(image->path, start, format, refusal);
    }
    size_t table_bytes = (size_t)count * BH_IMAGE_ENTRY_BYTES;
    image->facts.section_count = count;
    image->bytes = malloc(BH_IMAGE_SIGNED_BYTES(count));
    image->sections = calloc(count, sizeof(image->sections[0]));
    if (image->bytes == NULL || image->sections == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    for (uint32_t i = 0; i < count; i++) {
        image->sections[i].fd = -1;
    }
    uint8_t *table = image->bytes + BH_IMAGE_CONTEXT_BYTES + sizeof(header);
    memcpy(image->bytes, bh_image_context, BH_IMAGE_CONTEXT_BYTES);
    memcpy(image->bytes + BH_IMAGE_CONTEXT_BYTES, header, sizeof(header));
    result = bh_image_pread(image->fd, table, table_bytes, sizeof(header));
    if (result == BH_OK) {
        result = bh_image_pread(image->fd, image->signature, sizeof(image->signature),
                                sizeof(header) + table_bytes);
    }
    return result == BH_OK ? BH_OK : bh_image_refuse_read(image->path, result, refusal);
}

int bh_image_open(struct bh_image **image, const char *path, struct bh_image_refusal *refusal)
{
    struct bh_image *self = calloc(1, sizeof(*self));
    *image = NULL;
    if (self == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    self->fd = -1;
    bh_image_crypto_ready();
    int result = open_file(self, path, refusal);
    if (result == BH_OK) {
        result = read_signed(self, refusal);
    }
    if (result != BH_OK) {
        bh_image_close(self);
        return result;
    }
    *image = self;
    return BH_OK;
}

void bh_image_close(struct bh_image *image)
{
    if (image == NULL) {
        return;
    }
    for (uint32_t i = 0; image->sections != NULL && i < image->facts.section_count; i++) {
        if (image->sections[i].fd >= 0) {
            (void)close(image->sections[i].fd);
        }
    }
    if (image->fd >= 0) {
        (void)close(image->fd);
    }
    free(image->sections);
    free(image->bytes);
    free(image->path);
    free(image);
}

/* ------------------------------------------------------------------------------------------------
 * verifying */

/* Header and table into facts and sections, and the file's size. */
static int decode(struct bh_image *image, enum bh_image_state next,
                  struct bh_image_refusal *refusal)
{
    struct stat status;
    const char *fault = bh_image_decode(image->bytes, &image->facts, image->sections);
    if (fault != NULL) {
        return bh_image_refuse(refusal, BH_IMAGE_MALFORMED,
                               "%s: malformed: %s; build it with `bulkhead build --sign`",
                               image->path, fault);
    }
    if (fstat(image->fd, &status) != 0) {
        return bh_image_refuse_read(image->path, bh_file_error(errno), refusal);
    }
    if ((uint64_t)status.st_size < image->facts.bytes) {
        return bh_image_refuse(refusal, BH_IMAGE_TRUNCATED,
                               "%s: truncated: the image has %" PRIu64
                               " bytes, the file only %jd; " AGAIN,
                               image->path, image->facts.bytes, (intmax_t)status.st_size);
    }
    if ((uint64_t)status.st_size > image->facts.bytes) {
        return bh_image_refuse(refusal, BH_IMAGE_TRAILING,
                               "%s: %" PRIu64
                               " bytes follow the end of the image, which nobody signed; " AGAIN,
                               image->path, (uint64_t)status.st_size - image->facts.bytes);
    }
    image->state = next;
    return BH_OK;
}

int bh_image_look(struct bh_image *image, struct bh_image_refusal *refusal)
{
    if (image->state != BH_IMAGE_OPENED) {
        return bh_image_refuse_host(refusal, BH_STATE, "%s: looked at already", image->path);
    }
    return decode(image, BH_IMAGE_LOOKED_AT, refusal);
}

int bh_image_verify(struct bh_image *image, const struct bh_image_keys *keys,
                    struct bh_image_refusal *refusal)
{
    char id[BH_IMAGE_KEY_ID_TEXT];
    if (image->state != BH_IMAGE_OPENED) {
        return bh_image_refuse_host(refusal, BH_STATE, "%s: verified already", image->path);
    }
    if (bh_image_keys_count(keys) == 0) {
        return bh_image_refuse(refusal, BH_IMAGE_NO_KEYS,
                               "%s: nobody is trusted here to sign images; put the public key of "
                               "who builds them as a .pem file into /etc/bulkhead/keys, or name "
                               "it with --key",
                               image->path);
    }
    const uint8_t *key_id = bh_image_said_key_id(image->bytes);
    bh_image_key_id_text(key_id, id);
    EVP_PKEY *key = bh_image_keys_find(keys, key_id);
    if (key == NULL) {
        char trusted[BH_IMAGE_KEY_ID_TEXT];
        bh_image_key_id_text(bh_image_keys_first(keys), trusted);
        return bh_image_refuse(refusal, BH_IMAGE_FOREIGN,
                               "%s: foreign: signed with key %s, which is not trusted here "
                               "(trusted: %s%s); run an image of your own platform, or if you "
                               "trust who signed it, name that public key with --key",
                               image->path, id, trusted,
                               bh_image_keys_count(keys) > 1 ? " and others" : "");
    }
    if (!bh_image_signature_good(key, image->bytes,
                                 BH_IMAGE_SIGNED_BYTES(image->facts.section_count),
                                 image->signature)) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_SIGNATURE,
                               "%s: tampered: the signature is not that of key %s over this header "
                               "and table; do not use this file, " AGAIN,
                               image->path, id);
    }
    return decode(image, BH_IMAGE_VERIFIED, refusal);
}

int bh_image_not_older(const struct bh_image *image, uint64_t seen,
                       struct bh_image_refusal *refusal)
{
    if (image->facts.rollback >= seen) {
        return BH_OK;
    }
    return bh_image_refuse(refusal, BH_IMAGE_OLDER,
                           "%s: older: its rollback index is %" PRIu64
                           ", and an image with %" PRIu64
                           " has run here; run a newer image (`bulkhead build --sign KEY "
                           "--rollback %" PRIu64 "`)",
                           image->path, image->facts.rollback, seen, seen);
}

/* ------------------------------------------------------------------------------------------------
 * asking */

const struct bh_image_facts *bh_image_facts(const struct bh_image *image)
{
    return &image->facts;
}

const struct bh_image_section *bh_image_section(const struct bh_image *image, uint32_t index)
{
    return index < image->facts.section_count ? &image->sections[index] : NULL;
}

const struct bh_image_section *bh_image_find(const struct bh_image *image, const char *name)
{
    for (uint32_t i = 0; i < image->facts.section_count; i++) {
        if (strcmp(image->sections[i].name, name) == 0) {
            return &image->sections[i];
        }
    }
    return NULL;
}
