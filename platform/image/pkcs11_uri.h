/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A URI that names a key on a token (RFC 7512), read. Private to platform/image/.
 */
#ifndef PLATFORM_IMAGE_PKCS11_URI_H
#define PLATFORM_IMAGE_PKCS11_URI_H

#include <limits.h>

#include "image.h"

#define BH_PKCS11_TEXT_BYTES 256u
#define BH_PKCS11_PIN_BYTES  256u

/* A text or bytes; with a zero behind it. */
struct bh_pkcs11_value {
    bool given;
    size_t length;
    char bytes[BH_PKCS11_TEXT_BYTES];
};

struct bh_pkcs11_uri {
    struct bh_pkcs11_value token; /* which token; not given: any */
    struct bh_pkcs11_value serial;
    struct bh_pkcs11_value manufacturer;
    struct bh_pkcs11_value model;
    struct bh_pkcs11_value object; /* which key: its label, its id */
    struct bh_pkcs11_value id;
    struct bh_pkcs11_value type;
    struct bh_pkcs11_value module_path; /* not given: p11-kit's modules */
    struct bh_pkcs11_value pin_value;
    struct bh_pkcs11_value pin_source; /* a path */
};

/* Reads the text. It may hold a PIN: the caller cleanses `uri`, and no refusal quotes a value. */
int bh_pkcs11_uri_read(struct bh_pkcs11_uri *uri, const char *text,
                       struct bh_image_refusal *refusal);

#endif
