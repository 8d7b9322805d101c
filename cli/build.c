/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead build: writes what follows from a definition. What that is, is platform/'s and engine/'s
 * business; here the folder is chosen and what was written is listed.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "build_engine.h"
#include "build_image.h"
#include "bulkhead/platform_layout.h"
#include "command.h"
#include "definition.h"

#define USUAL_MAX (BH_NAME_MAX + 16u)

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

static void list_file(const char *folder, const char *name, const char *ending)
{
    char path[PATH_MAX];
    struct stat status;
    int length = snprintf(path, sizeof(path), "%s/%s%s", folder, name, ending);
    if (length >= 0 && (size_t)length < sizeof(path) && stat(path, &status) == 0) {
        (void)printf("  %s (%jd bytes)\n", path, (intmax_t)status.st_size);
    }
}

static void list_files(const struct bh_platform *platform, const char *folder, bool with_engine,
                       bool with_image)
{
    (void)printf("%s: built\n", platform->files[0].path);
    list_file(folder, "platform", ".json");
    list_file(folder, "memory-map", ".txt");
    for (uint32_t i = 0; i < platform->guest_count; i++) {
        const struct bh_guest *guest = &platform->guests[i];
        if (guest->arch.value == BH_ARCH_ARM64 && guest->boot.kernel.text != NULL) {
            list_file(folder, guest->name.text, ".dtb");
            list_file(folder, guest->name.text, ".start");
        }
        if (with_engine) {
            list_file(folder, guest->name.text, BH_CLI_ENGINE_ENDING);
        }
    }
    if (with_image) {
        list_file(folder, platform->name.text, BH_CLI_IMAGE_ENDING);
    }
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
    bool with_engine;
    status = bh_cli_build_engine(platform, self.folder, &with_engine);
    if (status == BH_CLI_OK && setup.key != NULL) {
        status = bh_cli_build_image(platform, &setup, self.folder);
    }
    if (status == BH_CLI_OK) {
        list_files(platform, self.folder, with_engine, setup.key != NULL);
    }
    bh_platform_destroy(platform);
    return status;
}

const struct bh_cli_command bh_cli_build = {
    .name = "build",
    .argument = "FILE",
    .summary = "Writes what follows from a definition: memory map, device trees",
    .help =
        "Checks FILE first. Files that are there are replaced. The command lines of the engine\n"
        "are left out if it is not installed.\n"
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
