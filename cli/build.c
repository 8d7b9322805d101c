/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead build: writes what follows from a definition. What that is, is platform/'s and engine/'s
 * business; here the folder is chosen and what was written is listed.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "build_engine.h"
#include "build_file.h"
#include "build_image.h"
#include "bulkhead/platform_layout.h"
#include "bulkhead/platform_unit.h"
#include "command.h"
#include "definition.h"

#define USUAL_MAX          (BH_NAME_MAX + 16u)
#define LIST_NAME          ((int)BH_NAME_MAX / 2 + 12) /* most names are shorter */
#define BH_CLI_UNIT_ENDING ".service"

enum build_option { OPTION_OUTPUT, OPTION_RULE, OPTION_SIGN, OPTION_ROLLBACK, OPTION_RELEASE };

struct build {
    const char *folder;
    char usual[USUAL_MAX]; /* its name, if the user gives none */
};

static int build(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                 void *context)
{
    struct build *self = context;
    if (self->folder == NULL) {
        (void)snprintf(self->usual, sizeof(self->usual), "%s.build", platform->name.text);
        self->folder = self->usual;
    }
    return bh_platform_build(platform, self->folder, diagnostics);
}

/* A file that was written: its name, size, and what it is. Guests differ in what they have, so one
 * that is not there is not listed. */
static void list_file(const char *folder, const char *name, const char *ending, const char *what)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
    if (length >= 0 && (size_t)length < sizeof(path) && stat(path, &status) == 0) {
        (void)printf("  %-*s %9jd  %s\n", LIST_NAME, strrchr(path, '/') + 1,
                     (intmax_t)status.st_size, what);
    }
}

struct listed {
    const char *ending;
    const char *what;
};

static const struct listed of_guests[] = {
    {".dtb", "device tree"},
    {".h", "the same as a C header"},
    {".start", "its first instructions"},
    {BH_CLI_ENGINE_DATA, "how its engine is started, for programs"},
    {BH_CLI_ENGINE_SCRIPT, "the same, to be read"},
};

static void list_files(const struct bh_platform *platform, const char *folder, bool with_image)
{
    const char *name = platform->name.text;
    (void)printf("%s: built, in %s\n", platform->files[0].path, folder);
    list_file(folder, "report", ".html", "who can reach what");
    list_file(folder, "memory-map", ".txt", "where everything lies");
    list_file(folder, "platform", ".json", "all that follows, for programs");
    list_file(folder, name, BH_CLI_UNIT_ENDING, "a systemd unit that runs it");
    if (with_image) {
        list_file(folder, name, BH_CLI_IMAGE_ENDING, "what a vehicle runs, signed");
    }
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        for (size_t f = 0; f < sizeof(of_guests) / sizeof(of_guests[0]); f++) {
            list_file(folder, platform->guests[i].name.text, of_guests[f].ending,
                      of_guests[f].what);
        }
    }
}

static int write_unit(const struct bh_platform *platform, const char *folder, bool with_image)
{
    char *text = bh_unit_text(platform, with_image);
    bool good =
        text != NULL && bh_cli_build_file(folder, platform->name.text, BH_CLI_UNIT_ENDING, text);
    if (text == NULL) {
        bh_cli_error("build: no memory for the systemd unit");
    }
    free(text);
    return good ? BH_CLI_OK : BH_CLI_REFUSED;
}

/* What is not platform/'s to write, or needs a key. */
static int write_more(const struct bh_platform *platform, const struct bh_release_setup *setup,
                      const char *folder)
{
    int status = bh_cli_build_engine(platform, folder);
    if (status == BH_CLI_OK && setup->key != NULL) {
        status = bh_cli_build_image(platform, setup, folder);
    }
    return status == BH_CLI_OK ? write_unit(platform, folder, setup->key != NULL) : status;
}

static int run(const struct bh_cli_arguments *arguments)
{
    struct build self = {.folder = arguments->options[OPTION_OUTPUT]};
    const struct bh_cli_sign_words words = {.key = arguments->options[OPTION_SIGN],
                                            .rollback = arguments->options[OPTION_ROLLBACK],
                                            .release = arguments->options[OPTION_RELEASE]};
    struct bh_release_setup setup;
    if (self.folder != NULL && self.folder[0] == '\0') {
        bh_cli_error("build: the folder has no name; leave --output out, or name one");
        return BH_CLI_USAGE;
    }
    int status = bh_cli_rules_check(&bh_cli_build, arguments);
    if (status < 0) {
        status = bh_cli_sign_read(&words, &setup);
    }
    if (status >= 0) {
        return status;
    }
    struct bh_platform *platform = bh_cli_definition(arguments, BH_CLI_TEXT, build, &self);
    if (platform == NULL) {
        return BH_CLI_REFUSED;
    }
    status = write_more(platform, &setup, self.folder);
    if (status == BH_CLI_OK) {
        list_files(platform, self.folder, setup.key != NULL);
    }
    bh_platform_destroy(platform);
    return status;
}

const struct bh_cli_command bh_cli_build = {
    .name = "build",
    .argument = "FILE",
    .summary = "Writes what follows from a definition: report, device trees, units",
    .help =
        "Checks FILE first. Files that are there are replaced. The same definition gives the same\n"
        "bytes, on whatever host.\n"
        "With --sign, NAME.image is written too: one signed file with the definition and all that\n"
        "the guests boot, which `bulkhead run` verifies. KEY is a private Ed25519 key: a PEM file\n"
        "(`openssl genpkey -algorithm ed25519`), or a URI of a key on a token (pkcs11:...).\n",
    .options = {[OPTION_OUTPUT] = {"output", "DIR", "the folder (NAME.build, in this one)", 'o'},
                [OPTION_RULE] = BH_CLI_RULE_OPTION,
                [OPTION_SIGN] = {"sign", "KEY", "write an image, signed with this key", '\0'},
                [OPTION_ROLLBACK] = {"rollback", "N",
                                     "its rollback index: where it ran, no lower one runs", '\0'},
                [OPTION_RELEASE] = {"release", "TEXT", "your version of the platform", '\0'}},
    .run = run,
    .argument_needed = true,
};
