/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which QEMU runs the guests of an architecture: where it is, whether it is one, new enough for the
 * devices, and whether KVM helps it. What is not as it must be is said with what to do.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu.h"

/* The oldest QEMU, and the oldest with a front end for any device. */
#define OLDEST_MAJOR  7u
#define OLDEST_MINOR  2u
#define CONSOLE_MAJOR 10u
#define CONSOLE_MINOR 2u

static const struct target {
    const char *program;
    const char *package; /* Debian's */
} targets[] = {
    [BH_ARCH_ARM64] = {"qemu-system-aarch64", "qemu-system-arm"},
    [BH_ARCH_X86_64] = {"qemu-system-x86_64", "qemu-system-x86"},
};

struct search {
    struct bh_engine *engine;
    const struct bh_platform *platform;
    const struct bh_guest *guest;
    const struct target *target;
    struct bh_origin at;
    struct bh_diagnostics *diagnostics;
};

static int refuse(const struct search *search, int error, const char *check, const char *what)
{
    bh_diagnostics_add(search->diagnostics, BH_SEVERITY_ERROR, check, search->at,
                       "%s\ninstall QEMU %u.%u or newer (Debian: apt install %s), or name another "
                       "one: engine: { qemu: /path/to/%s }",
                       what, OLDEST_MAJOR, OLDEST_MINOR, search->target->package,
                       search->target->program);
    return error;
}

/* ------------------------------------------------------------------------------------------------
 * where */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

static int search_path(const struct search *search)
{
    const char *folders = getenv("PATH");
    char what[128];
    char *path = search->engine->program;
    while (folders != NULL && *folders != '\0') {
        size_t length = strcspn(folders, ":");
        /* An empty entry would be the folder where one happens to be. */
        if (length > 0 && length < PATH_MAX) {
            int size = snprintf(path, sizeof(search->engine->program), "%.*s/%s", (int)length,
                                folders, search->target->program);
            if (size > 0 && (size_t)size < sizeof(search->engine->program) && is_program(path)) {
                return BH_OK;
            }
        }
        folders += length + (folders[length] == ':' ? 1u : 0u);
    }
    (void)snprintf(what, sizeof(what), "there is no %s in the search path",
                   search->target->program);
    return refuse(search, BH_GONE, "engine", what);
}

/* The name tells which machine an emulator is, and `--version` does not. */
static int check_name(const struct search *search)
{
    static const char common[] = "qemu-system-";
    const char *name = strrchr(search->engine->program, '/');
    name = name != NULL ? name + 1 : search->engine->program;
    if (strncmp(name, common, sizeof(common) - 1u) != 0 ||
        strcmp(name, search->target->program) == 0) {
        return BH_OK;
    }
    bh_diagnostics_add(search->diagnostics, BH_SEVERITY_ERROR, "engine", search->at,
                       "guest %s is %s, which %s does not run\nwrite the path of %s, or nothing: "
                       "then the search path has it",
                       search->guest->name.text, bh_arch_name(search->guest->arch.value), name,
                       search->target->program);
    return BH_INVALID;
}

static int find_program(const struct search *search)
{
    const struct bh_text *given = &search->platform->engine.program;
    if (given->text == NULL) {
        return search_path(search);
    }
    int result = bh_platform_path(search->platform, given, search->engine->program,
                                  sizeof(search->engine->program));
    if (result != BH_OK) {
        return refuse(search, result, "engine", "the path of QEMU is too long");
    }
    return check_name(search);
}

/* ------------------------------------------------------------------------------------------------
 * what */

static int ask_version(const struct search *search)
{
    struct bh_engine *engine = search->engine;
    char said[BH_QEMU_SAID];
    char what[PATH_MAX + 256];
    int result = bh_qemu_version(engine->program, &engine->major, &engine->minor, said);
    switch (result) {
    case BH_OK:
        return BH_OK;
    case BH_GONE:
        (void)snprintf(what, sizeof(what), "there is no %s, or what it needs to start is missing",
                       engine->program);
        break;
    case BH_DENIED:
        (void)snprintf(what, sizeof(what), "%s may not be executed", engine->program);
        break;
    case BH_TIMEOUT:
        (void)snprintf(what, sizeof(what), "%s --version does not end: is it QEMU?",
                       engine->program);
        break;
    case BH_PROTOCOL:
        (void)snprintf(what, sizeof(what), "%s is not QEMU: --version gives '%s'", engine->program,
                       said);
        break;
    default:
        (void)snprintf(what, sizeof(what), "%s cannot be started (%s)", engine->program,
                       bh_error_name(result));
        break;
    }
    return refuse(search, result, "engine", what);
}

static bool is_older(const struct bh_engine *engine, uint32_t major, uint32_t minor)
{
    return engine->major < major || (engine->major == major && engine->minor < minor);
}

/* A console of any guest that this engine will run; NULL: none. */
static const struct bh_device_definition *find_console(const struct search *search,
                                                       const struct bh_guest **owner)
{
    for (uint32_t i = 0; i < search->platform->guest_count; i++) {
        const struct bh_guest *guest = &search->platform->guests[i];
        for (uint32_t j = 0; j < guest->device_count; j++) {
            if (guest->arch.value == search->guest->arch.value &&
                guest->devices[j].type.value == BH_DEVICE_CONSOLE) {
                *owner = guest;
                return &guest->devices[j];
            }
        }
    }
    return NULL;
}

static int check_version(const struct search *search)
{
    const struct bh_engine *engine = search->engine;
    const struct bh_guest *owner = NULL;
    char what[PATH_MAX + 128];
    if (is_older(engine, OLDEST_MAJOR, OLDEST_MINOR)) {
        (void)snprintf(what, sizeof(what), "%s is QEMU %u.%u, which is too old", engine->program,
                       engine->major, engine->minor);
        return refuse(search, BH_UNSUPPORTED, "engine-version", what);
    }
    const struct bh_device_definition *console = find_console(search, &owner);
    if (console == NULL || !is_older(engine, CONSOLE_MAJOR, CONSOLE_MINOR)) {
        return BH_OK;
    }
    bh_diagnostics_add(search->diagnostics, BH_SEVERITY_ERROR, "engine-version", console->type.at,
                       "%s is QEMU %u.%u, which cannot connect the console %s of guest %s\n"
                       "install QEMU %u.%u or newer and name it: engine: { qemu: /path/to/%s }\n"
                       "or leave the console away: the guest's UART is always there",
                       engine->program, engine->major, engine->minor, console->name.text,
                       owner->name.text, CONSOLE_MAJOR, CONSOLE_MINOR, search->target->program);
    return BH_UNSUPPORTED;
}

static int check_kvm(const struct search *search)
{
    uint32_t wish = search->platform->engine.accelerator.value;
    const char *refusal =
        wish == BH_ACCELERATOR_TCG ? "" : bh_kvm_refusal(search->guest->arch.value);
    search->engine->kvm = refusal == NULL;
    if (wish != BH_ACCELERATOR_KVM || refusal == NULL) {
        return BH_OK;
    }
    bh_diagnostics_add(
        search->diagnostics, BH_SEVERITY_ERROR, "engine-kvm",
        search->platform->engine.accelerator.at,
        "guest %s cannot run on KVM here: %s\nwrite accelerator: auto, which uses KVM "
        "where it works and emulates where it does not",
        search->guest->name.text, refusal);
    return BH_UNSUPPORTED;
}

int bh_engine_find(struct bh_engine *engine, const struct bh_platform *platform,
                   const struct bh_guest *guest, struct bh_diagnostics *diagnostics)
{
    const struct search search = {.engine = engine,
                                  .platform = platform,
                                  .guest = guest,
                                  .target = &targets[guest->arch.value],
                                  .at = platform->engine.program.text != NULL
                                            ? platform->engine.program.at
                                            : platform->engine.at,
                                  .diagnostics = diagnostics};
    memset(engine, 0, sizeof(*engine));
    int result = find_program(&search);
    result = result == BH_OK ? ask_version(&search) : result;
    result = result == BH_OK ? check_version(&search) : result;
    return result == BH_OK ? check_kvm(&search) : result;
}

void bh_engine_oldest(struct bh_engine *engine, const struct bh_platform *platform,
                      const struct bh_guest *guest)
{
    const char *given = platform->engine.program.text;
    memset(engine, 0, sizeof(*engine));
    (void)snprintf(engine->program, sizeof(engine->program), "%s",
                   given != NULL ? given : targets[guest->arch.value].program);
    engine->major = OLDEST_MAJOR;
    engine->minor = OLDEST_MINOR;
    for (uint32_t i = 0; i < guest->device_count; i++) {
        if (guest->devices[i].type.value == BH_DEVICE_CONSOLE) {
            engine->major = CONSOLE_MAJOR;
            engine->minor = CONSOLE_MINOR;
        }
    }
    engine->kvm = platform->engine.accelerator.value == BH_ACCELERATOR_KVM;
}
