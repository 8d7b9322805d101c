/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signs with a key that stays on a token: PKCS #11 (3.0, mechanism CKM_EDDSA), spoken to the
 * token's module directly. libcrypto's own way to a token needs a provider that Debian 12 does not
 * have, and its PKCS #11 engine knows no Ed25519.
 *
 * The module is loaded when a key is opened, and never by a program that only verifies. A token is
 * left alone after one wrong PIN: some lock themselves after three.
 */
#define CRYPTOKI_GNU /* the header's lower-case names, without typedefs of pointers */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "pkcs11_uri.h"
#include "signer.h"

#define ALL_MODULES    "libp11-kit.so.0" /* is a module itself: all that the host has configured */
#define SLOTS_MAX      64u
#define PIN_FILE_BYTES 4096u
#define PROMPT_BYTES   128u
#define POINT_BYTES    64u
#define OCTET_STRING   0x04u /* DER */
#define FILE_SCHEME    "file:"

struct bh_pkcs11 {
    void *library;
    struct ck_function_list *functions; /* NULL: not initialised */
    ck_session_handle_t session;
    bool has_session;
    ck_object_handle_t key;
    bool asks_always; /* wants the PIN for each signature */
    char pin[BH_PKCS11_PIN_BYTES];
    char label[sizeof(((struct ck_token_info *)NULL)->label) + 1u]; /* of the token, for messages */
};

/* ------------------------------------------------------------------------------------------------
 * messages */

static const char *status_text(ck_rv_t status)
{
    switch (status) {
    case CKR_PIN_INCORRECT:
        return "the PIN is wrong; look it up before the next try, the token may lock itself";
    case CKR_PIN_LOCKED:
        return "the PIN is locked; unlock the token with its security officer's PIN";
    case CKR_PIN_EXPIRED:
        return "the PIN has expired; set a new one";
    case CKR_PIN_LEN_RANGE:
    case CKR_PIN_INVALID:
        return "this can be no PIN of the token; look it up";
    case CKR_USER_PIN_NOT_INITIALIZED:
        return "the token has no user PIN yet; set one";
    case CKR_TOKEN_NOT_PRESENT:
    case CKR_DEVICE_REMOVED:
        return "the token was removed; put it back";
    case CKR_MECHANISM_INVALID:
        return "the token cannot sign with Ed25519 (CKM_EDDSA); use one that can";
    case CKR_KEY_FUNCTION_NOT_PERMITTED:
    case CKR_KEY_TYPE_INCONSISTENT:
        return "the key may not sign with Ed25519; make one for it (CKA_SIGN)";
    default:
        return "the token failed; its module's log may say more";
    }
}

static int refuse_status(const struct bh_pkcs11 *token, const char *what, ck_rv_t status,
                         struct bh_image_refusal *refusal)
{
    return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY, "token %s: %s (PKCS #11 says 0x%lx): %s",
                           token->label, what, status, status_text(status));
}

/* ------------------------------------------------------------------------------------------------
 * the module */

/* NULL: refused. */
static struct ck_function_list *load_module(struct bh_pkcs11 *token,
                                            const struct bh_pkcs11_uri *uri,
                                            struct bh_image_refusal *refusal)
{
    const char *path = uri->module_path.given ? uri->module_path.bytes : ALL_MODULES;
    CK_C_GetFunctionList get_functions = NULL;
    struct ck_function_list *functions = NULL;
    token->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (token->library == NULL) {
        (void)bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                              "%s: the PKCS #11 module cannot be loaded; write module-path=FILE "
                              "of the token's module into the URI (for SoftHSM: "
                              "/usr/lib/softhsm/libsofthsm2.so)",
                              path);
        return NULL;
    }
    void *symbol = dlsym(token->library, "C_GetFunctionList");
    memcpy(&get_functions, &symbol, sizeof(get_functions)); /* no cast makes one of the other */
    if (get_functions == NULL || get_functions(&functions) != CKR_OK || functions == NULL) {
        (void)bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                              "%s: this library is no PKCS #11 module; name that of the token in "
                              "module-path",
                              path);
        return NULL;
    }
    ck_rv_t status = functions->C_Initialize(NULL);
    if (status != CKR_OK) {
        (void)bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                              "%s: the PKCS #11 module does not start (0x%lx); see its "
                              "documentation and its log",
                              path, status);
        return NULL;
    }
    return functions;
}

/* ------------------------------------------------------------------------------------------------
 * the token */

/* A field of PKCS #11 is filled up with spaces. */
static bool field_is(const unsigned char *field, size_t size, const struct bh_pkcs11_value *wanted)
{
    size_t length = size;
    while (length > 0 && field[length - 1u] == ' ') {
        length--;
    }
    return !wanted->given ||
           (length == wanted->length && memcmp(field, wanted->bytes, length) == 0);
}

static bool token_is(const struct ck_token_info *info, const struct bh_pkcs11_uri *uri)
{
    return (info->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           field_is(info->label, sizeof(info->label), &uri->token) &&
           field_is(info->serial_number, sizeof(info->serial_number), &uri->serial) &&
           field_is(info->manufacturer_id, sizeof(info->manufacturer_id), &uri->manufacturer) &&
           field_is(info->model, sizeof(info->model), &uri->model);
}

/* The one token that the URI means. */
static int find_token(struct bh_pkcs11 *token, const struct bh_pkcs11_uri *uri, ck_slot_id_t *slot,
                      struct ck_token_info *info, struct bh_image_refusal *refusal)
{
    ck_slot_id_t slots[SLOTS_MAX];
    unsigned long count = SLOTS_MAX;
    uint32_t found = 0;
    ck_rv_t status = token->functions->C_GetSlotList(1, slots, &count);
    if (status != CKR_OK) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "the PKCS #11 module does not list its tokens (0x%lx)", status);
    }
    for (unsigned long i = 0; i < count && i < SLOTS_MAX; i++) {
        struct ck_token_info other;
        if (token->functions->C_GetTokenInfo(slots[i], &other) == CKR_OK && token_is(&other, uri)) {
            *slot = slots[i];
            *info = other;
            found++;
        }
    }
    if (found != 1) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "%s token is what the pkcs11: URI means; `pkcs11-tool --module FILE "
                               "--list-slots` lists the tokens: name one with token= and serial=",
                               found == 0 ? "no" : "more than one");
    }
    memcpy(token->label, info->label, sizeof(info->label));
    for (size_t i = sizeof(info->label); i > 0 && token->label[i - 1u] == ' '; i--) {
        token->label[i - 1u] = '\0';
    }
    return BH_OK;
}

static int read_pin_file(struct bh_pkcs11 *token, const char *source,
                         struct bh_image_refusal *refusal)
{
    char text[PIN_FILE_BYTES];
    size_t length = 0;
    bool is_url = strncmp(source, FILE_SCHEME, strlen(FILE_SCHEME)) == 0;
    const char *path = is_url ? source + strlen(FILE_SCHEME) : source;
    int result = bh_image_small_file(path, text, sizeof(text), &length);
    if (result == BH_OK) {
        length = strcspn(text, "\r\n");
        result = length > 0 && length < sizeof(token->pin) ? BH_OK : BH_INVALID;
    }
    if (result == BH_OK) {
        memcpy(token->pin, text, length);
    } else {
        (void)bh_image_refuse(
            refusal, BH_IMAGE_BAD_KEY,
            "%s: no PIN can be read from here: %s; name in pin-source a file that "
            "you may read, with the PIN in its first line",
            path,
            result == BH_INVALID || result == BH_LIMIT ? "it does not begin with one"
                                                       : strerror(errno));
    }
    OPENSSL_cleanse(text, sizeof(text));
    return result;
}

static int take_pin(struct bh_pkcs11 *token, const struct bh_pkcs11_uri *uri,
                    struct bh_image_refusal *refusal)
{
    char prompt[PROMPT_BYTES];
    if (uri->pin_source.given) {
        return read_pin_file(token, uri->pin_source.bytes, refusal);
    }
    if (uri->pin_value.given) {
        memcpy(token->pin, uri->pin_value.bytes, uri->pin_value.length);
        return BH_OK;
    }
    (void)snprintf(prompt, sizeof(prompt), "PIN of token %s: ", token->label);
    int result = bh_image_secret_ask(prompt, token->pin, sizeof(token->pin));
    if (result != BH_OK) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "token %s: %s; add pin-source=FILE to the pkcs11: URI", token->label,
                               result == BH_UNSUPPORTED ? "there is no terminal to ask for the PIN"
                                                        : "no PIN was given");
    }
    return BH_OK;
}

static ck_rv_t login(struct bh_pkcs11 *token, ck_user_type_t user)
{
    size_t length = strlen(token->pin);
    return token->functions->C_Login(token->session, user,
                                     length > 0 ? (unsigned char *)token->pin : NULL, length);
}

static int open_session(struct bh_pkcs11 *token, const struct bh_pkcs11_uri *uri,
                        struct bh_image_refusal *refusal)
{
    ck_slot_id_t slot = 0;
    struct ck_token_info info = {.flags = 0};
    int result = find_token(token, uri, &slot, &info, refusal);
    if (result != BH_OK) {
        return result;
    }
    ck_rv_t status =
        token->functions->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &token->session);
    if (status != CKR_OK) {
        return refuse_status(token, "it opens no session", status, refusal);
    }
    token->has_session = true;
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0) {
        return BH_OK;
    }
    /* One with keys of its own is told nothing. */
    if ((info.flags & CKF_PROTECTED_AUTHENTICATION_PATH) == 0) {
        result = take_pin(token, uri, refusal);
    }
    if (result == BH_OK) {
        status = login(token, CKU_USER);
        if (status != CKR_OK && status != CKR_USER_ALREADY_LOGGED_IN) {
            result = refuse_status(token, "it does not let us in", status, refusal);
        }
    }
    return result;
}

/* ------------------------------------------------------------------------------------------------
 * the key */

/* How many objects of a class fit, up to 2; the first of them is *object. */
static unsigned long find_objects(struct bh_pkcs11 *token, ck_object_class_t class,
                                  const struct bh_pkcs11_value *label,
                                  const struct bh_pkcs11_value *id, ck_object_handle_t *object)
{
    ck_key_type_t type = CKK_EC_EDWARDS;
    ck_object_handle_t found[2];
    unsigned long count = 0;
    unsigned long used = 2;
    struct ck_attribute wanted[4] = {{CKA_CLASS, &class, sizeof(class)},
                                     {CKA_KEY_TYPE, &type, sizeof(type)}};
    struct bh_pkcs11_value copies[2] = {*label, *id}; /* the module's prototypes know no const */
    if (label->given) {
        wanted[used++] = (struct ck_attribute){CKA_LABEL, copies[0].bytes, label->length};
    }
    if (id->given) {
        wanted[used++] = (struct ck_attribute){CKA_ID, copies[1].bytes, id->length};
    }
    if (token->functions->C_FindObjectsInit(token->session, wanted, used) != CKR_OK) {
        return 0;
    }
    if (token->functions->C_FindObjects(token->session, found, 2, &count) != CKR_OK) {
        count = 0;
    }
    (void)token->functions->C_FindObjectsFinal(token->session);
    if (count > 0) {
        *object = found[0];
    }
    return count;
}

/* Reads one attribute; its length, 0: it has none or a longer one. */
static unsigned long read_attribute(struct bh_pkcs11 *token, ck_object_handle_t object,
                                    ck_attribute_type_t type, void *to, unsigned long size)
{
    struct ck_attribute attribute = {type, to, size};
    ck_rv_t status = token->functions->C_GetAttributeValue(token->session, object, &attribute, 1);
    return status == CKR_OK && attribute.value_len <= size ? attribute.value_len : 0;
}

/* The public key's bytes: plain (PKCS #11 3.0) or as a DER octet string (what others store). */
static bool read_point(struct bh_pkcs11 *token, ck_object_handle_t object,
                       uint8_t key[BH_ED25519_PUBLIC_BYTES])
{
    uint8_t point[POINT_BYTES];
    const uint8_t *at = point;
    unsigned long length = read_attribute(token, object, CKA_EC_POINT, point, sizeof(point));
    if (length == BH_ED25519_PUBLIC_BYTES + 2u && point[0] == OCTET_STRING &&
        point[1] == BH_ED25519_PUBLIC_BYTES) {
        at += 2;
        length -= 2u;
    }
    if (length == BH_ED25519_PUBLIC_BYTES) {
        memcpy(key, at, BH_ED25519_PUBLIC_BYTES);
    }
    return length == BH_ED25519_PUBLIC_BYTES;
}

static int find_key(struct bh_pkcs11 *token, const struct bh_pkcs11_uri *uri,
                    uint8_t public_key[BH_ED25519_PUBLIC_BYTES], struct bh_image_refusal *refusal)
{
    const struct bh_pkcs11_value nothing = {.given = false};
    struct bh_pkcs11_value id = {.given = true};
    ck_object_handle_t other = 0;
    unsigned char always = 0;
    unsigned long count = find_objects(token, CKO_PRIVATE_KEY, &uri->object, &uri->id, &token->key);
    if (count != 1) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "token %s: %s private Ed25519 key is what the pkcs11: URI means; "
                               "`pkcs11-tool --module FILE --login -O` lists the keys: name one "
                               "with object= and id=",
                               token->label, count == 0 ? "no" : "more than one");
    }
    token->asks_always = read_attribute(token, token->key, CKA_ALWAYS_AUTHENTICATE, &always,
                                        sizeof(always)) == sizeof(always) &&
                         always != 0;
    id.length = read_attribute(token, token->key, CKA_ID, id.bytes, sizeof(id.bytes));
    id.given = id.length > 0;
    count = find_objects(token, CKO_PUBLIC_KEY, id.given ? &nothing : &uri->object, &id, &other);
    if (count != 1 || !read_point(token, other, public_key)) {
        return bh_image_refuse(refusal, BH_IMAGE_BAD_KEY,
                               "token %s: the public key that belongs to the private one is not on "
                               "it; store it there with the same id",
                               token->label);
    }
    return BH_OK;
}

int bh_pkcs11_open(struct bh_pkcs11 **token, const char *uri,
                   uint8_t public_key[BH_ED25519_PUBLIC_BYTES], struct bh_image_refusal *refusal)
{
    struct bh_pkcs11_uri wanted;
    struct bh_pkcs11 *self = calloc(1, sizeof(*self));
    *token = NULL;
    if (self == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    int result = bh_pkcs11_uri_read(&wanted, uri, refusal);
    if (result == BH_OK) {
        self->functions = load_module(self, &wanted, refusal);
        result = self->functions != NULL ? open_session(self, &wanted, refusal) : BH_INVALID;
    }
    if (result == BH_OK) {
        result = find_key(self, &wanted, public_key, refusal);
    }
    OPENSSL_cleanse(&wanted, sizeof(wanted));
    if (result != BH_OK) {
        bh_pkcs11_close(self);
        return result;
    }
    *token = self;
    return BH_OK;
}

void bh_pkcs11_close(struct bh_pkcs11 *token)
{
    if (token == NULL) {
        return;
    }
    if (token->has_session) {
        (void)token->functions->C_CloseSession(token->session);
    }
    if (token->functions != NULL) {
        (void)token->functions->C_Finalize(NULL);
    }
    if (token->library != NULL) {
        (void)dlclose(token->library);
    }
    OPENSSL_cleanse(token, sizeof(*token));
    free(token);
}

int bh_pkcs11_sign(struct bh_pkcs11 *token, const uint8_t *bytes, size_t size,
                   uint8_t signature[BH_IMAGE_SIGNATURE_BYTES], struct bh_image_refusal *refusal)
{
    struct ck_mechanism mechanism = {.mechanism = CKM_EDDSA};
    unsigned long length = BH_IMAGE_SIGNATURE_BYTES;
    ck_rv_t status = token->functions->C_SignInit(token->session, &mechanism, token->key);
    if (status == CKR_OK && token->asks_always) {
        status = login(token, CKU_CONTEXT_SPECIFIC);
    }
    uint8_t *copy = status == CKR_OK ? malloc(size) : NULL; /* its prototype knows no const */
    if (status == CKR_OK && copy == NULL) {
        return bh_image_refuse_memory(refusal);
    }
    if (status == CKR_OK) {
        memcpy(copy, bytes, size);
        status = token->functions->C_Sign(token->session, copy, size, signature, &length);
    }
    free(copy);
    if (status != CKR_OK || length != BH_IMAGE_SIGNATURE_BYTES) {
        return refuse_status(token, "it does not sign", status, refusal);
    }
    return BH_OK;
}
