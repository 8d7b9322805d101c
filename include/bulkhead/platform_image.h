/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The platform image: the one file that a vehicle runs. It holds the checked definition as JSON and
 * every boot file of every guest; who built it signed it (Ed25519), and a rollback index says which
 * image is the newer one. Here it is written, signed, opened and verified; what its sections mean
 * is not known here.
 *
 * The file, little-endian, and nothing in it is left to chance: the same content and key give the
 * same bytes.
 *
 *   0       magic, format version, number of sections, total size, rollback index, key id, name of
 *           the platform, release: 128 bytes
 *   128     the table: 128 bytes for each section: type, offset, size, SHA-256, name
 *   ...     Ed25519 signature over a fixed text, header and table: 64 bytes
 *   ...     the sections in the table's order, each on the next multiple of 4096; zeros between
 *           them and up to the total size, which is the file's
 *
 * The key id is the first 16 bytes of the SHA-256 of the public key (its SubjectPublicKeyInfo, DER).
 *
 * How an image is read, step by step; a step that fails refuses the image, and says why and what
 * to do:
 *
 *   bh_image_open        OPENED    header and table are in memory, of bounded size; the file stays
 *                                  open, and is never opened again
 *   bh_image_verify      VERIFIED  the signature is one of a trusted key; header and table are well
 *                                  formed; the file is as long as they say
 *   bh_image_not_older             its rollback index is at least the one that was seen before
 *   bh_image_load        LOADED    each section was copied into a sealed memfd while its SHA-256 was
 *                                  computed, and the digest is the table's; all padding is zero
 *
 * So nothing that is used can be changed through the file after it was checked. bh_image_look takes
 * the place of bh_image_verify where somebody only wants to see what an unverified image says of
 * itself; such an image cannot be loaded.
 *
 * Thread: one at a time for each object. Texts given are copied unless it says otherwise.
 */
#ifndef BULKHEAD_PLATFORM_IMAGE_H
#define BULKHEAD_PLATFORM_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define BH_IMAGE_NAME_MAX         32u /* the platform's: [a-z][a-z0-9-]* */
#define BH_IMAGE_RELEASE_MAX      32u /* the integrator's version: printable ASCII */
#define BH_IMAGE_SECTION_NAME_MAX 64u /* printable ASCII without spaces */
#define BH_IMAGE_SECTIONS_MAX     512u
#define BH_IMAGE_BYTES_MAX        (UINT64_C(1) << 36)
#define BH_IMAGE_KEY_ID_BYTES     16u
#define BH_IMAGE_DIGEST_BYTES     32u
#define BH_IMAGE_KEY_ID_TEXT      (2u * BH_IMAGE_KEY_ID_BYTES + 1u)
#define BH_IMAGE_REFUSAL_BYTES    5120u

/* What a section holds. The numbers are the format's. */
enum bh_image_type {
    BH_IMAGE_PLATFORM = 1, /* the definition as JSON */
    BH_IMAGE_KERNEL = 2,
    BH_IMAGE_INITRD = 3,
    BH_IMAGE_FIRMWARE = 4,
    BH_IMAGE_ELF = 5,
    BH_IMAGE_DEVICE_TREE = 6,
    BH_IMAGE_START = 7, /* the code that the first processor begins with */
    BH_IMAGE_TYPES,     /* one more than the last */
};

/* The word for a type ("kernel"); NULL: there is no such type. */
const char *bh_image_type_name(enum bh_image_type type);

/* Why something was refused. */
enum bh_image_reason {
    BH_IMAGE_NOT_REFUSED,
    BH_IMAGE_HOST,          /* a file, folder or token cannot be used; the code says more */
    BH_IMAGE_NOT_AN_IMAGE,  /* another kind of file */
    BH_IMAGE_OTHER_FORMAT,  /* an image of a newer or older format */
    BH_IMAGE_TRUNCATED,     /* it ends too early */
    BH_IMAGE_TRAILING,      /* bytes follow its end */
    BH_IMAGE_NO_KEYS,       /* nobody is trusted: there is no public key */
    BH_IMAGE_BAD_KEY,       /* a key file, or a key on a token, that cannot be used */
    BH_IMAGE_FOREIGN,       /* signed with a key that is not trusted */
    BH_IMAGE_BAD_SIGNATURE, /* header, table or signature were changed */
    BH_IMAGE_MALFORMED,     /* the signed header or table break the format */
    BH_IMAGE_BAD_SECTION,   /* a section was changed */
    BH_IMAGE_BAD_PADDING,   /* bytes that must be zero are not */
    BH_IMAGE_OLDER,         /* a newer image has run here */
    BH_IMAGE_BAD_CONTENT,   /* what is to become an image cannot */
    BH_IMAGE_REASONS,
};

/* The word for a reason ("tampered-section"), for logs and JSON; never NULL. */
const char *bh_image_reason_name(enum bh_image_reason reason);

struct bh_image_refusal {
    enum bh_image_reason reason;
    char text[BH_IMAGE_REFUSAL_BYTES]; /* one line: which file, what is wrong; what to do */
};

/* Every function below that takes a refusal returns BH_OK or an error code, and fills the refusal
 * with the code. */

/* ------------------------------------------------------------------------------------------------
 * trusted keys */

struct bh_image_keys;

/* No keys yet. NULL: no memory. */
struct bh_image_keys *bh_image_keys_create(void);
void bh_image_keys_destroy(struct bh_image_keys *keys); /* NULL: nothing */

/* Adds every public key of the PEM file `path`. All must be Ed25519. At most 64 keys in all. */
int bh_image_keys_file(struct bh_image_keys *keys, const char *path,
                       struct bh_image_refusal *refusal);

/* Adds every *.pem in the folder `path`; a folder that is not there is empty. Folder and files have
 * to be root's or the user's, and writable by nobody else's. */
int bh_image_keys_folder(struct bh_image_keys *keys, const char *path,
                         struct bh_image_refusal *refusal);

/* Keys here are for everybody on this host, and a host that has one runs nothing but images. */
#define BH_IMAGE_KEYS_FOLDER "/etc/bulkhead/keys"

/* bh_image_keys_folder with the folders that are meant when nobody names a key: /etc/bulkhead/keys
 * and $XDG_CONFIG_HOME/bulkhead/keys (without that variable, $HOME/.config/bulkhead/keys). */
int bh_image_keys_usual(struct bh_image_keys *keys, struct bh_image_refusal *refusal);

uint32_t bh_image_keys_count(const struct bh_image_keys *keys);

/* Where the key `id` came from; NULL: it is not trusted. Valid as long as the keys. */
const char *bh_image_keys_origin(const struct bh_image_keys *keys,
                                 const uint8_t id[BH_IMAGE_KEY_ID_BYTES]);

/* A key id in hexadecimal. */
void bh_image_key_id_text(const uint8_t id[BH_IMAGE_KEY_ID_BYTES], char text[BH_IMAGE_KEY_ID_TEXT]);

/* ------------------------------------------------------------------------------------------------
 * reading */

struct bh_image;

struct bh_image_facts {
    char name[BH_IMAGE_NAME_MAX + 1u];
    char release[BH_IMAGE_RELEASE_MAX + 1u];
    uint64_t rollback;
    uint64_t bytes; /* of the file */
    uint32_t section_count;
    uint8_t key_id[BH_IMAGE_KEY_ID_BYTES]; /* of the key that the image says it is signed with */
};

struct bh_image_section {
    enum bh_image_type type;
    char name[BH_IMAGE_SECTION_NAME_MAX + 1u];
    uint64_t offset;
    uint64_t size; /* in bytes, at least 1 */
    uint8_t digest[BH_IMAGE_DIGEST_BYTES];
    int fd; /* of the loaded image: a sealed memfd, the image's; -1: not loaded */
};

/* Reads header and table of the image at `path`. On success the caller closes *image. */
int bh_image_open(struct bh_image **image, const char *path, struct bh_image_refusal *refusal);
void bh_image_close(struct bh_image *image); /* NULL: nothing. Closes the memfds. */

/* OPENED -> VERIFIED. */
int bh_image_verify(struct bh_image *image, const struct bh_image_keys *keys,
                    struct bh_image_refusal *refusal);

/* Reads header and table of an OPENED image without asking who signed them. */
int bh_image_look(struct bh_image *image, struct bh_image_refusal *refusal);

/* After bh_image_verify or bh_image_look; valid as long as the image. Names and release hold
 * printable ASCII only. */
const struct bh_image_facts *bh_image_facts(const struct bh_image *image);

/* Section `index` of facts->section_count. */
const struct bh_image_section *bh_image_section(const struct bh_image *image, uint32_t index);

/* The section of this name; NULL: there is none. Names are unique. */
const struct bh_image_section *bh_image_find(const struct bh_image *image, const char *name);

/* Refuses an image with a rollback index lower than `seen`. */
int bh_image_not_older(const struct bh_image *image, uint64_t seen,
                       struct bh_image_refusal *refusal);

/* VERIFIED -> LOADED. BH_STATE: not verified, or loaded already. After a refusal no section is
 * loaded. */
int bh_image_load(struct bh_image *image, struct bh_image_refusal *refusal);

/* ------------------------------------------------------------------------------------------------
 * writing */

struct bh_image_signer;

/* The private key: a PEM file, or a URI `pkcs11:...` (RFC 7512) with module-path, pin-source or
 * pin-value if needed; without module-path, p11-kit's configured modules are asked. A passphrase or
 * PIN that is not given is asked for on the terminal; without one, refused. */
int bh_image_signer_open(struct bh_image_signer **signer, const char *key,
                         struct bh_image_refusal *refusal);
void bh_image_signer_close(struct bh_image_signer *signer); /* NULL: nothing */

/* The id of the signer's public key. */
const uint8_t *bh_image_signer_id(const struct bh_image_signer *signer);

/* What becomes a section: `size` bytes of memory, or a whole file. */
struct bh_image_source {
    enum bh_image_type type;
    const char *name;
    const void *bytes;
    uint64_t size; /* of `bytes` */
    int fd;        /* if bytes is NULL: a regular file, read from its beginning; stays open */
};

struct bh_image_content {
    const char *name;
    const char *release;
    uint64_t rollback;
    const struct bh_image_source *sources;
    uint32_t source_count; /* at least 1 */
};

/* Writes and signs. The file appears at `path` whole or not at all, and is on the disk then. */
int bh_image_write(const struct bh_image_content *content, struct bh_image_signer *signer,
                   const char *path, struct bh_image_refusal *refusal);

#endif
