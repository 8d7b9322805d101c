/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes an image: the sections first, each hashed as it is written, then header, table and
 * signature in front of them; so a source that changes meanwhile gives an image of what was read,
 * or none. It does not know what sections mean.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "platform/layout/layout_text.h"
#include "signer.h"

#define PIECE_BYTES (256u << 10)

struct writer {
    const struct bh_image_content *content;
    const char *path;
    char other[PATH_MAX]; /* where the file grows, beside its place */
    int fd;
    struct bh_image_facts facts;
    struct bh_image_section *sections;
    uint8_t *piece;
    EVP_MD_CTX *digest;
    struct bh_image_refusal *refusal;
};

static int refuse_write(const struct writer *writer, int result)
{
    return bh_image_refuse_host(writer->refusal, result,
                                "%s: the image cannot be written: %s; make room, or choose a "
                                "folder that you may write to",
                                writer->path, strerror(errno));
}

/* ------------------------------------------------------------------------------------------------
 * what the sections are */

/* False: too long. */
static bool take_text(const char *text, char *to, size_t most)
{
    size_t length = strnlen(text, most + 1u);
    if (length > most) {
        return false;
    }
    memcpy(to, text, length + 1u);
    return true;
}

static int take_source(const struct writer *writer, const struct bh_image_source *source,
                       struct bh_image_section *section)
{
    struct stat status;
    *section = (struct bh_image_section){.type = source->type, .size = source->size, .fd = -1};
    if (!take_text(source->name, section->name, BH_IMAGE_SECTION_NAME_MAX)) {
        return bh_image_refuse(writer->refusal, BH_IMAGE_BAD_CONTENT,
                               "%s: no image can be made of this: the name of section %.80s... is "
                               "longer than %u bytes",
                               writer->path, source->name, BH_IMAGE_SECTION_NAME_MAX);
    }
    if (source->bytes != NULL) {
        return BH_OK;
    }
    if (fstat(source->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return bh_image_refuse(writer->refusal, BH_IMAGE_BAD_CONTENT,
                               "%s: no image can be made of this: section %s is no regular file",
                               writer->path, source->name);
    }
    section->size = (uint64_t)status.st_size;
    return BH_OK;
}

/* Content into facts and sections, checked, with their places. */
static int take_content(struct writer *writer)
{
    const struct bh_image_content *content = writer->content;
    int result = BH_OK;
    for (uint32_t i = 0; result == BH_OK && i < content->source_count; i++) {
        result = take_source(writer, &content->sources[i], &writer->sections[i]);
    }
    if (result != BH_OK) {
        return result;
    }
    const char *fault = NULL;
    writer->facts.rollback = content->rollback;
    writer->facts.section_count = content->source_count;
    if (!take_text(content->name, writer->facts.name, BH_IMAGE_NAME_MAX)) {
        fault = "the platform's name is too long: 32 bytes at most";
    } else if (!take_text(content->release, writer->facts.release, BH_IMAGE_RELEASE_MAX)) {
        fault = "the release is too long: 32 bytes at most";
    } else if (!bh_image_place(&writer->facts, writer->sections)) {
        fault = "a section is empty, or all together are larger than 64 GiB";
    } else {
        fault = bh_image_content_fault(&writer->facts, writer->sections);
    }
    if (fault != NULL) {
        return bh_image_refuse(writer->refusal, BH_IMAGE_BAD_CONTENT,
                               "%s: no image can be made of this: %s", writer->path, fault);
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * writing */

/* The next bytes of a section's source: in memory, or read into the piece. NULL: refused. */
static const uint8_t *source_piece(const struct writer *writer, uint32_t index, uint64_t done,
                                   size_t bytes)
{
    const struct bh_image_source *source = &writer->content->sources[index];
    if (source->bytes != NULL) {
        return (const uint8_t *)source->bytes + done;
    }
    int result = bh_image_pread(source->fd, writer->piece, bytes, done);
    if (result == BH_OK) {
        return writer->piece;
    }
    (void)bh_image_refuse_host(writer->refusal, result,
                               "%s: the file that becomes section %s cannot be read: %s; do not "
                               "change it during the build",
                               writer->path, source->name,
                               result == BH_GONE ? "it became shorter" : strerror(errno));
    return NULL;
}

static int write_section(const struct writer *writer, uint32_t index)
{
    struct bh_image_section *section = &writer->sections[index];
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (EVP_DigestInit_ex(writer->digest, EVP_sha256(), NULL) != 1) {
        return bh_image_refuse_memory(writer->refusal);
    }
    for (uint64_t done = 0; done < section->size; done += PIECE_BYTES) {
        size_t bytes = section->size - done < PIECE_BYTES ? (size_t)(section->size - done)
                                                          : (size_t)PIECE_BYTES;
        const uint8_t *piece = source_piece(writer, index, done, bytes);
        if (piece == NULL) {
            return BH_IO;
        }
        if (EVP_DigestUpdate(writer->digest, piece, bytes) != 1) {
            return bh_image_refuse_memory(writer->refusal);
        }
        int result = bh_image_pwrite(writer->fd, piece, bytes, section->offset + done);
        if (result != BH_OK) {
            return refuse_write(writer, result);
        }
    }
    if (EVP_DigestFinal_ex(writer->digest, digest, NULL) != 1) {
        return bh_image_refuse_memory(writer->refusal);
    }
    memcpy(section->digest, digest, sizeof(section->digest));
    return BH_OK;
}

static int write_signed(const struct writer *writer, struct bh_image_signer *signer)
{
    size_t size = BH_IMAGE_SIGNED_BYTES(writer->facts.section_count);
    uint8_t signature[BH_IMAGE_SIGNATURE_BYTES];
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return bh_image_refuse_memory(writer->refusal);
    }
    bh_image_encode(&writer->facts, writer->sections, bytes);
    int result = bh_image_sign(signer, bytes, size, signature, writer->refusal);
    if (result == BH_OK) {
        size_t head = size - BH_IMAGE_CONTEXT_BYTES;
        result = bh_image_pwrite(writer->fd, bytes + BH_IMAGE_CONTEXT_BYTES, head, 0);
        if (result == BH_OK) {
            result = bh_image_pwrite(writer->fd, signature, sizeof(signature), head);
        }
        result = result == BH_OK ? BH_OK : refuse_write(writer, result);
    }
    free(bytes);
    return result;
}

static int write_all(const struct writer *writer, struct bh_image_signer *signer)
{
    /* What is not written reads as zero: the padding. */
    if (ftruncate(writer->fd, (off_t)writer->facts.bytes) != 0) {
        return refuse_write(writer, bh_file_error(errno));
    }
    for (uint32_t i = 0; i < writer->facts.section_count; i++) {
        int result = write_section(writer, i);
        if (result != BH_OK) {
            return result;
        }
    }
    int result = write_signed(writer, signer);
    if (result == BH_OK && fsync(writer->fd) != 0) {
        result = refuse_write(writer, bh_file_error(errno));
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * the file */

/* A rename is on the disk when the folder is. */
static int sync_folder(const struct writer *writer)
{
    char copy[PATH_MAX];
    (void)snprintf(copy, sizeof(copy), "%s", writer->path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = BH_OK;
    if (fd < 0 || fsync(fd) != 0) {
        result = refuse_write(writer, bh_file_error(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return result;
}

static int write_file(struct writer *writer, struct bh_image_signer *signer)
{
    /* Two builds at a time must not share it. */
    int length =
        snprintf(writer->other, sizeof(writer->other), "%s.%ld.new", writer->path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof(writer->other)) {
        errno = ENAMETOOLONG;
        return refuse_write(writer, BH_LIMIT);
    }
    writer->fd = open(writer->other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (writer->fd < 0) {
        return refuse_write(writer, bh_file_error(errno));
    }
    int result = write_all(writer, signer);
    if (close(writer->fd) != 0 && result == BH_OK) {
        result = refuse_write(writer, bh_file_error(errno));
    }
    if (result == BH_OK && rename(writer->other, writer->path) != 0) {
        result = refuse_write(writer, bh_file_error(errno));
    }
    if (result != BH_OK) {
        (void)unlink(writer->other);
        return result;
    }
    return sync_folder(writer);
}

int bh_image_write(const struct bh_image_content *content, struct bh_image_signer *signer,
                   const char *path, struct bh_image_refusal *refusal)
{
    if (content->source_count == 0 || content->source_count > BH_IMAGE_SECTIONS_MAX) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_CONTENT,
                               "%s: no image can be made of this: %" PRIu32
                               " sections; 1 to %u are possible",
                               path, content->source_count, BH_IMAGE_SECTIONS_MAX);
    }
    struct writer writer = {.content = content, .path = path, .fd = -1, .refusal = refusal};
    writer.sections = calloc(content->source_count, sizeof(writer.sections[0]));
    writer.piece = malloc(PIECE_BYTES);
    writer.digest = EVP_MD_CTX_new();
    int result;
    if (writer.sections == NULL || writer.piece == NULL || writer.digest == NULL) {
        result = bh_image_refuse_memory(refusal);
    } else {
        result = take_content(&writer);
    }
    if (result == BH_OK) {
        memcpy(writer.facts.key_id, bh_image_signer_id(signer), BH_IMAGE_KEY_ID_BYTES);
        result = write_file(&writer, signer);
    }
    EVP_MD_CTX_free(writer.digest);
    free(writer.piece);
    free(writer.sections);
    return result;
}
