/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads a pkcs11: URI: pkcs11:NAME=VALUE;NAME=VALUE?NAME=VALUE&NAME=VALUE, values with %XX. An
 * attribute that is not known here is refused, not passed over: it would have narrowed the search.
 */
#include "pkcs11_uri.h"

#include <string.h>

#include "bulkhead/error.h"

#define SCHEME "pkcs11:"

struct attribute {
    const char *name;
    size_t offset; /* of its value in struct bh_pkcs11_uri */
    bool query;    /* stands behind the '?' */
};

static const struct attribute attributes[] = {
    {"token", offsetof(struct bh_pkcs11_uri, token), false},
    {"serial", offsetof(struct bh_pkcs11_uri, serial), false},
    {"manufacturer", offsetof(struct bh_pkcs11_uri, manufacturer), false},
    {"model", offsetof(struct bh_pkcs11_uri, model), false},
    {"object", offsetof(struct bh_pkcs11_uri, object), false},
    {"id", offsetof(struct bh_pkcs11_uri, id), false},
    {"type", offsetof(struct bh_pkcs11_uri, type), false},
    {"module-path", offsetof(struct bh_pkcs11_uri, module_path), true},
    {"pin-value", offsetof(struct bh_pkcs11_uri, pin_value), true},
    {"pin-source", offsetof(struct bh_pkcs11_uri, pin_source), true},
};
#define ATTRIBUTE_COUNT (sizeof(attributes) / sizeof(attributes[0]))

static const struct attribute *find(const char *name, size_t length, bool query)
{
    for (size_t i = 0; i < ATTRIBUTE_COUNT; i++) {
        if (attributes[i].query == query && strlen(attributes[i].name) == length &&
            memcmp(attributes[i].name, name, length) == 0) {
            return &attributes[i];
        }
    }
    return NULL;
}

/* The value of a hexadecimal digit; 16: it is none. */
static unsigned int digit(char letter)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = letter != '\0' ? strchr(digits, letter) : NULL;
    return at != NULL ? (unsigned int)(at - digits) % 16u : 16u;
}

/* False: a % without two digits, or too long. */
static bool decode(const char *text, size_t length, struct bh_pkcs11_value *value)
{
    for (size_t i = 0; i < length; i++) {
        char letter = text[i];
        if (letter == '%') {
            unsigned int high = i + 2u < length ? digit(text[i + 1u]) : 16u;
            unsigned int low = high < 16u ? digit(text[i + 2u]) : 16u;
            if (low > 15u) {
                return false;
            }
            letter = (char)(uint8_t)(high * 16u + low);
            i += 2u;
        }
        if (value->length == sizeof(value->bytes) - 1u) {
            return false;
        }
        value->bytes[value->length++] = letter;
    }
    value->bytes[value->length] = '\0';
    value->given = true;
    return true;
}

/* One NAME=VALUE. */
static int take(struct bh_pkcs11_uri *uri, const char *text, size_t length, bool query,
                struct bh_image_refusal *refusal)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
    const struct attribute *attribute = find(text, name_length, query);
    if (equals == NULL || attribute == NULL) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the pkcs11: URI has '%.*s' %s '?'; write "
                               "pkcs11:token=T;object=LABEL?module-path=FILE&pin-source=FILE (also "
                               "known: id, serial, manufacturer, model, type, pin-value)",
                               (int)(name_length < 40u ? name_length : 40u), text,
                               query ? "after its" : "before any");
    }
    struct bh_pkcs11_value *value =
        (struct bh_pkcs11_value *)(void *)((char *)uri + attribute->offset);
    bool again = value->given;
    bool is_id = value == &uri->id;
    if (again || !decode(equals + 1, length - name_length - 1u, value) || value->length == 0 ||
        (!is_id && memchr(value->bytes, '\0', value->length) != NULL)) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the pkcs11: URI has %s for %s; write one, of 1 to %u bytes, with "
                               "%%XX for what is no letter or digit",
                               again ? "two values" : "no valid value", attribute->name,
                               BH_PKCS11_TEXT_BYTES - 1u);
    }
    return BH_OK;
}

/* A list of them: with ";" between before the "?", with "&" behind it. */
static int take_list(struct bh_pkcs11_uri *uri, const char *text, size_t length, bool query,
                     struct bh_image_refusal *refusal)
{
    const char *end = text + length;
    while (text < end) {
        const char *next = memchr(text, query ? '&' : ';', (size_t)(end - text));
        next = next != NULL ? next : end;
        int result = take(uri, text, (size_t)(next - text), query, refusal);
        if (result != BH_OK) {
            return result;
        }
        text = next < end ? next + 1 : end;
    }
    return BH_OK;
}

int bh_pkcs11_uri_read(struct bh_pkcs11_uri *uri, const char *text,
                       struct bh_image_refusal *refusal)
{
    const char *path = text + strlen(SCHEME);
    size_t path_length = strcspn(path, "?");
    memset(uri, 0, sizeof(*uri));
    int result = take_list(uri, path, path_length, false, refusal);
    if (result == BH_OK && path[path_length] == '?') {
        const char *query = path + path_length + 1u;
        result = take_list(uri, query, strlen(query), true, refusal);
    }
    if (result != BH_OK) {
        return result;
    }
    if (!uri->object.given && !uri->id.given) {
        return bh_image_refuse(
            refusal, BH_IMAGE_BAD_KEY,
            "the pkcs11: URI does not say which key; add object=LABEL or id=%%XX");
    }
    if (uri->type.given && strcmp(uri->type.bytes, "private") != 0) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the pkcs11: URI has another type than private; leave type out");
    }
    if (uri->pin_value.given && uri->pin_source.given) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the pkcs11: URI has pin-value and pin-source; leave one out");
    }
    return BH_OK;
}
