/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead image: shows what a platform image holds, and whether it verifies. Nothing is started,
 * and the rollback index is shown, not compared: that is `run`'s, which knows what ran here.
 */
#include "bulkhead/platform_image.h"

#include <inttypes.h>
#include <stdio.h>

#include "bulkhead/error.h"
#include "command.h"

#define DIGEST_SHOWN 8u /* bytes: enough to tell two sections apart */

enum image_option { OPTION_KEY };

static void print_facts(const struct bh_image *image, const char *origin)
{
    char id[BH_IMAGE_KEY_ID_TEXT];
    const struct bh_image_facts *facts = bh_image_facts(image);
    bh_image_key_id_text(facts->key_id, id);
    (void)printf("  platform        %s\n", facts->name);
    (void)printf("  release         %s\n", facts->release);
    (void)printf("  rollback index  %" PRIu64 "\n", facts->rollback);
    (void)printf("  size            %" PRIu64 " bytes\n", facts->bytes);
    (void)printf("  key             %s%s%s%s\n", id, origin != NULL ? " (" : "",
                 origin != NULL ? origin : "", origin != NULL ? ")" : "");
}

static void print_sections(const struct bh_image *image)
{
    uint32_t count = bh_image_facts(image)->section_count;
    (void)printf("\n  %-40s %-12s %12s  %s\n", "SECTION", "TYPE", "BYTES", "SHA-256");
    for (uint32_t i = 0; i < count; i++) {
        const struct bh_image_section *section = bh_image_section(image, i);
        (void)printf("  %-40s %-12s %12" PRIu64 "  ", section->name,
                     bh_image_type_name(section->type), section->size);
        for (uint32_t byte = 0; byte < DIGEST_SHOWN; byte++) {
            (void)printf("%02x", section->digest[byte]);
        }
        (void)printf("...\n");
    }
}

/* What an image that is refused says of itself: who was sent the wrong one wants to know which it
 * is. It is opened once more, because the other one is beyond the step where this can be asked. */
static void show_refused(const char *path)
{
    struct bh_image_refusal refusal;
    struct bh_image *image = NULL;
    if (bh_image_open(&image, path, &refusal) != BH_OK) {
        return;
    }
    if (bh_image_look(image, &refusal) == BH_OK) {
        (void)printf("%s: REFUSED; nobody vouches for what it says of itself:\n", path);
        print_facts(image, NULL);
        print_sections(image);
    }
    bh_image_close(image);
}

static int show(const char *path, const struct bh_image_keys *keys)
{
    struct bh_image_refusal refusal;
    struct bh_image *image = NULL;
    int result = bh_image_open(&image, path, &refusal);
    if (result == BH_OK) {
        result = bh_image_verify(image, keys, &refusal);
    }
    if (result == BH_OK) {
        result = bh_image_load(image, &refusal);
    }
    if (result != BH_OK) {
        bh_image_close(image);
        show_refused(path);
        (void)fflush(stdout);
        bh_cli_error("%s", refusal.text);
        return BH_CLI_REFUSED;
    }
    (void)printf("%s: verified\n", path);
    print_facts(image, bh_image_keys_origin(keys, bh_image_facts(image)->key_id));
    print_sections(image);
    bh_image_close(image);
    return BH_CLI_OK;
}

static int run(const struct bh_cli_arguments *arguments)
{
    struct bh_image_refusal refusal;
    const char *key = arguments->options[OPTION_KEY];
    struct bh_image_keys *keys = bh_image_keys_create();
    if (keys == NULL) {
        bh_cli_error("no memory");
        return BH_CLI_REFUSED;
    }
    int status = BH_CLI_REFUSED;
    int result =
        key != NULL ? bh_image_keys_file(keys, key, &refusal) : bh_image_keys_usual(keys, &refusal);
    if (result == BH_OK) {
        status = show(arguments->word, keys);
    } else {
        bh_cli_error("%s", refusal.text);
    }
    bh_image_keys_destroy(keys);
    return status;
}

const struct bh_cli_command bh_cli_image = {
    .name = "image",
    .argument = "FILE",
    .summary = "Shows what a platform image holds, and whether it verifies",
    .help = "Verifies the signature with the trusted keys, and every section with its digest.\n"
            "Trusted are the public keys (*.pem) in /etc/bulkhead/keys and in\n"
            "$XDG_CONFIG_HOME/bulkhead/keys (~/.config/bulkhead/keys), unless --key names one.\n"
            "Exit status: 0: it verifies; 1: it is refused, and standard error says why.\n",
    .options = {[OPTION_KEY] = {"key", "FILE", "trust this public key (PEM) and no other", 'k'}},
    .run = run,
    .argument_needed = true,
};
