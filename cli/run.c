/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead run: runs a platform in the foreground. The supervisor does it; here its definition is
 * read, or its image taken (run_image.c), and the programs of the back ends are found.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulkhead/engine_supervisor.h"
#include "bulkhead/error.h"
#include "bulkhead/platform_diagnostic.h"
#include "command.h"
#include "run_image.h"

enum run_option { OPTION_KEY, OPTION_ROOT, OPTION_STATE, OPTION_TIMELINE };

#define BACKEND "bulkhead-blk" /* where this one is, the others are */

/* What a run has, whatever runs. */
struct run_parts {
    char daemons[PATH_MAX];
    struct bh_cli_image image;
    FILE *timeline; /* NULL: nobody wants it */
};

/* The folder of the back ends: this program's own (installed), or `daemons` beside it (not
 * installed). */
static bool find_daemons(char folder[PATH_MAX])
{
    static const char *const places[] = {"", "/../daemons"};
    char own[PATH_MAX];
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1u);
    if (length <= 0) {
        bh_cli_error("run: /proc is not there; mount it");
        return false;
    }
    own[length] = '\0';
    *strrchr(own, '/') = '\0'; /* it is absolute */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int used = snprintf(path, sizeof(path), "%s%s/" BACKEND, own, places[i]);
        if (used < 0 || (size_t)used >= sizeof(path) || access(path, X_OK) != 0) {
            continue;
        }
        path[(size_t)used - strlen("/" BACKEND)] = '\0';
        if (realpath(path, folder) != NULL) {
            return true;
        }
    }
    bh_cli_error("run: the back ends are missing: there is no " BACKEND " in %s or %s/../daemons; "
                 "install Bulkhead's programs into one folder",
                 own, own);
    return false;
}

static void show(const struct bh_diagnostics *diagnostics)
{
    bh_diagnostics_print(diagnostics, stderr, bh_cli_colour(STDERR_FILENO));
}

/* Runs it, and says what the supervisor found before the start. */
static int supervise(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                     struct run_parts *parts)
{
    const struct bh_supervisor_setup setup = {
        .platform = platform,
        .diagnostics = diagnostics,
        .state = &parts->image.state,
        .output = stdout,
        .colour = bh_cli_colour(STDOUT_FILENO),
        .daemons = parts->daemons,
        .ready = bh_cli_image_ready,
        .ready_context = &parts->image,
        .timeline = parts->timeline,
    };
    int result = (int)bh_supervisor_run(&setup);
    show(diagnostics);
    return result;
}

/* Warnings are shown before the run, and not once more after it. */
static int run_platform(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                        struct run_parts *parts)
{
    if (bh_diagnostics_warnings(diagnostics) == 0) {
        return supervise(platform, diagnostics, parts);
    }
    show(diagnostics);
    struct bh_diagnostics *later = bh_diagnostics_create(platform->files[0].path);
    if (later == NULL) {
        bh_cli_error("no memory");
        return BH_RUN_INTERNAL;
    }
    int result = supervise(platform, later, parts);
    bh_diagnostics_destroy(later);
    return result;
}

/* An image has its state folder open already: it was asked for what ran here. */
static int run_with_state(const struct bh_platform *platform, struct bh_diagnostics *diagnostics,
                          struct run_parts *parts, const char *folder)
{
    struct bh_state_folder *state = &parts->image.state;
    if (state->fd < 0 && bh_state_open(state, folder, platform->name.text) != BH_OK) {
        show(diagnostics);
        bh_cli_error("run: %s", state->why);
        return BH_RUN_REFUSED;
    }
    return run_platform(platform, diagnostics, parts);
}

/* What the user named is a definition if `platform` is not made yet, of an image. */
static int run_file(const struct bh_cli_image_words *words, struct bh_platform *platform,
                    struct run_parts *parts)
{
    int status = BH_RUN_REFUSED;
    struct bh_diagnostics *diagnostics = bh_diagnostics_create(words->path);
    if (diagnostics == NULL) {
        bh_cli_error("no memory");
        bh_platform_destroy(platform);
        return BH_RUN_INTERNAL;
    }
    int result = platform == NULL ? bh_platform_read(&platform, words->path, diagnostics) : BH_OK;
    if (result == BH_OK) {
        status = run_with_state(platform, diagnostics, parts, words->state);
    } else {
        show(diagnostics);
    }
    bh_platform_destroy(platform);
    bh_diagnostics_destroy(diagnostics);
    return status;
}

/* Opened before anything is started: whether it can be written is known then. */
static bool open_timeline(const char *path, FILE **timeline)
{
    struct stat info;
    *timeline = path != NULL ? fopen(path, "we") : NULL;
    if (path == NULL ||
        (*timeline != NULL && fstat(fileno(*timeline), &info) == 0 && S_ISREG(info.st_mode))) {
        return true;
    }
    bh_cli_error(
        "run: the timeline %s cannot be written: %s; name a file, in a folder that is there", path,
        *timeline == NULL ? strerror(errno) : "it is no file");
    return false;
}

static int run(const struct bh_cli_arguments *arguments)
{
    const struct bh_cli_image_words words = {.path = arguments->word,
                                             .key = arguments->options[OPTION_KEY],
                                             .root = arguments->options[OPTION_ROOT],
                                             .state = arguments->options[OPTION_STATE]};
    struct bh_platform *platform = NULL;
    struct run_parts parts;
    if (!find_daemons(parts.daemons)) {
        return BH_RUN_REFUSED;
    }
    int status = BH_RUN_REFUSED;
    if (open_timeline(arguments->options[OPTION_TIMELINE], &parts.timeline)) {
        status = bh_cli_image_take(&parts.image, &words, &platform);
        if (status <= BH_CLI_OK) {
            status = run_file(&words, platform, &parts);
        }
        bh_cli_image_finish(&parts.image);
    }
    if (parts.timeline != NULL) {
        (void)fclose(parts.timeline); /* what could not be written was said */
    }
    return status;
}

const struct bh_cli_command bh_cli_run = {
    .name = "run",
    .argument = "FILE",
    .summary = "Runs a platform in the foreground; Ctrl-C shuts it down",
    .help =
        "Everything is checked before a guest is started. Each line of a guest's terminal is\n"
        "shown with the guest's name before it. Ctrl-C asks every guest to shut down; once\n"
        "more, it ends them at once.\n"
        "Exit status: 0: every guest shut down in order; 1: no guest was started; 2: the command\n"
        "line; 3: a guest failed; 4: a back end ended; 5: an engine ended; 6: bulkhead's own\n"
        "fault. The first failure counts.\n"
        "FILE is a definition, or an image that `bulkhead build --sign` made. An image is "
        "verified\n"
        "with the trusted keys (see `bulkhead image --help`), and refused if one with a higher\n"
        "rollback index has run here. A host with keys in " BH_IMAGE_KEYS_FOLDER
        " runs images only.\n",
    .options = {[OPTION_KEY] = {"key", "FILE", "trust this public key (PEM) and no other", 'k'},
                [OPTION_ROOT] = {"root", "DIR",
                                 "where an image's relative paths begin (its folder)", '\0'},
                [OPTION_STATE] = {"state", "DIR", "the platform's state (/var/lib/bulkhead/NAME)",
                                  '\0'},
                [OPTION_TIMELINE] = {"timeline", "FILE",
                                     "draw into FILE (SVG) when each part was up", '\0'}},
    .run = run,
    .argument_needed = true,
};
