/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of platform/image/ share: the format's numbers, header and table to and from
 * bytes, refusals, the look at libcrypto. Private to platform/image/.
 */
#ifndef PLATFORM_IMAGE_H
#define PLATFORM_IMAGE_H

#include <openssl/evp.h>
#include <stdbool.h>

#include "bulkhead/platform_image.h"

#define BH_IMAGE_FORMAT          1u
#define BH_IMAGE_CONTEXT_BYTES   32u
#define BH_IMAGE_HEADER_BYTES    128u
#define BH_IMAGE_ENTRY_BYTES     128u
#define BH_IMAGE_SIGNATURE_BYTES 64u
#define BH_IMAGE_PAGE            4096u

/* What is signed: the context, the header, the table. */
#define BH_IMAGE_SIGNED_BYTES(count)                                                               \
    (BH_IMAGE_CONTEXT_BYTES + BH_IMAGE_HEADER_BYTES + (size_t)(count)*BH_IMAGE_ENTRY_BYTES)

/* What an image says that is not signed (yet): enough to find the rest. */
enum bh_image_start {
    BH_IMAGE_START_GOOD,
    BH_IMAGE_START_FOREIGN, /* not the magic */
    BH_IMAGE_START_FORMAT,  /* *format says which */
    BH_IMAGE_START_COUNT,   /* no section, or too many */
};

/* Reads the beginning of a header. */
enum bh_image_start bh_image_start_read(const uint8_t header[BH_IMAGE_HEADER_BYTES],
                                        uint32_t *format, uint32_t *count);

/* The fixed text that keeps a signature of something else from being one of an image. */
extern const uint8_t bh_image_context[BH_IMAGE_CONTEXT_BYTES];

/* Where the first byte of the first section is, and the next page's beginning. */
uint64_t bh_image_sections_begin(uint32_t count);
uint64_t bh_image_page_up(uint64_t offset);

/* Gives every section its offset, and the file its size, from the sections' sizes. False: larger
 * than an image may be, or a section is empty. */
bool bh_image_place(struct bh_image_facts *facts, struct bh_image_section *sections);

/* Whether names, release, types are what the format allows, and no name comes twice. NULL: they
 * are; otherwise what is wrong, in a few words. */
const char *bh_image_content_fault(const struct bh_image_facts *facts,
                                   const struct bh_image_section *sections);

/* To and from BH_IMAGE_SIGNED_BYTES(count) bytes. Decoding takes facts->section_count, which the
 * start said; NULL: well formed, otherwise what is wrong, in a few words. */
void bh_image_encode(const struct bh_image_facts *facts, const struct bh_image_section *sections,
                     uint8_t *bytes);
const char *bh_image_decode(const uint8_t *bytes, struct bh_image_facts *facts,
                            struct bh_image_section *sections);

/* The id of the key that these bytes say they are signed with. */
const uint8_t *bh_image_said_key_id(const uint8_t *bytes);

/* ------------------------------------------------------------------------------------------------
 * refusals */

/* Fills `refusal`; returns the code that belongs to the reason. */
int bh_image_refuse(struct bh_image_refusal *refusal, enum bh_image_reason reason,
                    const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for BH_IMAGE_HOST: `code` is returned. */
int bh_image_refuse_host(struct bh_image_refusal *refusal, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

int bh_image_refuse_memory(struct bh_image_refusal *refusal);

/* ------------------------------------------------------------------------------------------------
 * libcrypto and files */

/* Readies libcrypto without the host's configuration file: what verifies an image is this program
 * alone. Cheap when it was done before. */
void bh_image_crypto_ready(void);

/* The id of an Ed25519 public key. BH_OK or BH_NO_MEMORY. */
int bh_image_key_id(EVP_PKEY *key, uint8_t id[BH_IMAGE_KEY_ID_BYTES]);

bool bh_image_signature_good(EVP_PKEY *key, const uint8_t *bytes, size_t size,
                             const uint8_t signature[BH_IMAGE_SIGNATURE_BYTES]);

/* Reads a small file whole: up to `size` - 1 bytes, and a zero behind them. BH_LIMIT: it is larger;
 * BH_INVALID: no regular file. errno is kept for the other codes. */
int bh_image_small_file(const char *path, char *to, size_t size, size_t *length);

/* Reads or writes at an offset until all is done. A read that meets the end: BH_GONE. errno is kept
 * for other codes. */
int bh_image_pread(int fd, void *to, size_t size, uint64_t offset);
int bh_image_pwrite(int fd, const void *from, size_t size, uint64_t offset);

/* A passphrase or PIN from the terminal, with a zero behind it. BH_UNSUPPORTED: there is none. */
int bh_image_secret_ask(const char *prompt, char *secret, size_t size);

#endif
