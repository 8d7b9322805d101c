/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Running an image (run_image.h): the steps of platform_image.h in their order, with the host's
 * keys and state.
 *
 * Who can replace the image on a vehicle's disk can put a definition there instead, which nobody
 * signed. So a definition is refused where --key was given, and on a host with keys for everybody.
 */
#include "run_image.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"

static int refuse(const struct bh_image_refusal *refusal)
{
    bh_cli_error("run: %s", refusal->text);
    return BH_CLI_REFUSED;
}

/* Whether this host runs nothing but images. */
static int images_only(const struct bh_cli_image_words *words, bool *only,
                       struct bh_image_refusal *refusal)
{
    struct bh_image_keys *keys = bh_image_keys_create();
    *only = words->key != NULL;
    if (keys == NULL) {
        return BH_NO_MEMORY;
    }
    int result = *only ? BH_OK : bh_image_keys_folder(keys, BH_IMAGE_KEYS_FOLDER, refusal);
    *only = *only || bh_image_keys_count(keys) > 0;
    bh_image_keys_destroy(keys);
    return result;
}

/* The file is no image: is it to be taken for a definition? */
static int not_an_image(const struct bh_cli_image_words *words, const struct bh_image_refusal *why)
{
    static struct bh_image_refusal refusal;
    bool only;
    if (images_only(words, &only, &refusal) != BH_OK) {
        return refuse(&refusal);
    }
    if (only && words->key == NULL) {
        bh_cli_error("run: %s: this is no signed image, and this host runs no others, because "
                     "there are keys in " BH_IMAGE_KEYS_FOLDER
                     "; make one with `bulkhead build --sign`",
                     words->path);
        return BH_CLI_REFUSED;
    }
    if (only) {
        return refuse(why);
    }
    if (words->root != NULL) {
        bh_cli_error("run: --root is for images; paths in a definition begin at its own folder");
        return BH_CLI_USAGE;
    }
    return -1;
}

static int load_keys(struct bh_cli_image *self, const char *key, struct bh_image_refusal *refusal)
{
    self->keys = bh_image_keys_create();
    if (self->keys == NULL) {
        refusal->reason = BH_IMAGE_HOST;
        (void)snprintf(refusal->text, sizeof(refusal->text), "no memory");
        return BH_NO_MEMORY;
    }
    return key != NULL ? bh_image_keys_file(self->keys, key, refusal)
                       : bh_image_keys_usual(self->keys, refusal);
}

/* Nothing of an image counts before this has succeeded. */
static int accept_image(struct bh_cli_image *self, const struct bh_cli_image_words *words)
{
    static struct bh_image_refusal refusal;
    uint64_t seen;
    int result = load_keys(self, words->key, &refusal);
    if (result == BH_OK) {
        result = bh_image_verify(self->image, self->keys, &refusal);
    }
    if (result != BH_OK) {
        return refuse(&refusal);
    }
    const struct bh_image_facts *facts = bh_image_facts(self->image);
    self->rollback = facts->rollback;
    if (bh_state_open(&self->state, words->state, facts->name) != BH_OK ||
        bh_state_rollback_read(&self->state, &seen) != BH_OK) {
        bh_cli_error("run: %s", self->state.why);
        return BH_CLI_REFUSED;
    }
    result = bh_image_not_older(self->image, seen, &refusal);
    if (result == BH_OK) {
        result = bh_image_load(self->image, &refusal);
    }
    return result == BH_OK ? BH_CLI_OK : refuse(&refusal);
}

/* Where its disks are, if the user does not say: beside it. */
static const char *usual_root(const char *path, char folder[PATH_MAX])
{
    (void)snprintf(folder, PATH_MAX, "%s", path);
    return dirname(folder);
}

static int make_platform(const struct bh_cli_image *self, const struct bh_cli_image_words *words,
                         struct bh_platform **platform)
{
    static struct bh_image_refusal refusal;
    char folder[PATH_MAX];
    const char *root = words->root != NULL ? words->root : usual_root(words->path, folder);
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(words->path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        return BH_CLI_REFUSED;
    }
    int result = bh_release_read(platform, self->image, words->path, root, diagnostics, &refusal);
    /* Warnings were read by who signed it. */
    if (result != BH_OK && bh_diagnostics_errors(diagnostics) > 0) {
        bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
    } else if (result != BH_OK) {
        (void)refuse(&refusal);
    }
    bh_diagnostics_destroy(diagnostics);
    return result == BH_OK ? BH_CLI_OK : BH_CLI_REFUSED;
}

int bh_cli_image_take(struct bh_cli_image *self, const struct bh_cli_image_words *words,
                      struct bh_platform **platform)
{
    static struct bh_image_refusal refusal;
    *self = (struct bh_cli_image){.state = {.fd = -1}};
    int result = bh_image_open(&self->image, words->path, &refusal);
    if (result != BH_OK) {
        /* What cannot be opened says so once more as a definition. */
        bool other = refusal.reason == BH_IMAGE_NOT_AN_IMAGE || refusal.reason == BH_IMAGE_HOST;
        return other ? not_an_image(words, &refusal) : refuse(&refusal);
    }
    int status = accept_image(self, words);
    return status == BH_CLI_OK ? make_platform(self, words, platform) : status;
}

void bh_cli_image_ready(void *context)
{
    struct bh_cli_image *self = context;
    /* The guests run on: what is not noted is that an older image is refused from now on. */
    if (self->image != NULL && bh_state_rollback_write(&self->state, self->rollback) != BH_OK) {
        bh_cli_error("run: older images will not be refused: %s", self->state.why);
    }
    /* The supervisor has opened what it needs of it. */
    bh_image_close(self->image);
    self->image = NULL;
}

void bh_cli_image_finish(struct bh_cli_image *self)
{
    bh_image_close(self->image);
    bh_image_keys_destroy(self->keys);
    bh_state_close(&self->state);
}
