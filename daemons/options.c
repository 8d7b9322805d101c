/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line: the options that every daemon has, after QEMU's conventions for vhost-user
 * programs, and those of the device. The help is what the man page is made of (make_man.py), so it
 * keeps one form: two spaces, the option, and its sentence in column 29.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/error.h"
#include "bulkhead/host_path.h"
#include "daemon.h"

#define PROGRAM      "bulkhead-" BH_DAEMON_NAME
#define HELP_COLUMN  28
#define OPTIONS_MAX  32u
#define NUMBER_BASE  10
#define FIRST_DEVICE 256 /* getopt's values for options of the device begin here */

enum common {
    SOCKET_PATH = 1,
    SOCKET_GROUP,
    FD,
    FILTER,
    UP,
    STANDBY,
    PRINT_CAPABILITIES,
    SANDBOX,
    HELP,
    VERSION,
};

static const struct {
    const char *name;
    const char *argument;
    const char *help;
    enum common value;
} common_options[] = {
    {"socket-path", "PATH", "listen on a Unix socket at PATH; not together with --fd", SOCKET_PATH},
    {"socket-group", "GROUP", "let the members of GROUP connect to that socket too", SOCKET_GROUP},
    {"fd", "N", "serve on descriptor N: a listening or a connected Unix socket", FD},
    {"filter", "N", "hold each request against the page in descriptor N, which may change", FILTER},
    {"up", "N", "write to descriptor N that it serves, and that a driver has come up", UP},
    {"standby", NULL, "take the device's resource only when somebody speaks to the socket",
     STANDBY},
    {"sandbox", "MODE", "strict, best-effort (the default) or off", SANDBOX},
    {"print-capabilities", NULL, "print what the program can do as JSON, and exit",
     PRINT_CAPABILITIES},
    {"help", NULL, "print this help, and exit", HELP},
    {"version", NULL, "print the version, and exit", VERSION},
};
#define COMMON_COUNT (sizeof(common_options) / sizeof(common_options[0]))

static struct bh_options *current; /* while options are read: where kept descriptors go */

int bh_daemon_keep_fd(int fd)
{
    if (fd < 0 || fcntl(fd, F_GETFD) < 0 || current->kept_count == BH_KEPT_FDS_MAX) {
        return BH_INVALID;
    }
    current->kept_fds[current->kept_count] = fd;
    current->kept_count++;
    return BH_OK;
}

int bh_daemon_keep_path(const char *path)
{
    int fd = bh_path_fd(path);
    if (fd == BH_UNSUPPORTED) {
        return BH_OK; /* it will be opened */
    }
    return fd >= 0 ? bh_daemon_keep_fd(fd) : fd;
}

/* Digits at the start of a text; false: none, or too many. */
static bool read_digits(const char *text, uint64_t *number, char **end)
{
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *number = strtoull(text, end, NUMBER_BASE);
    return errno == 0;
}

int bh_daemon_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    char *end;
    if (!read_digits(text, number, &end) || *end != '\0' || *number < least || *number > most) {
        return BH_INVALID;
    }
    return BH_OK;
}

int bh_daemon_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    if (!read_digits(text, bytes, &end)) {
        return BH_INVALID;
    }
    if (*end == '\0') {
        return BH_OK;
    }
    const char *unit = strchr(units, *end);
    unsigned int shift = unit != NULL ? 10u * (unsigned int)(unit - units + 1) : 0u;
    if (unit == NULL || end[1] != '\0' || *bytes > UINT64_MAX >> shift) {
        return BH_INVALID;
    }
    *bytes <<= shift;
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * output */

static void print_option(const char *name, const char *argument, const char *help)
{
    int length = argument != NULL ? printf("  --%s %s", name, argument) : printf("  --%s", name);
    if (length >= HELP_COLUMN) {
        (void)printf("\n");
        length = 0;
    }
    (void)printf("%*s%s\n", HELP_COLUMN - length, "", help);
}

/* What the device has no use for. */
static bool is_known(enum common option)
{
    return (option != FILTER || bh_daemon_class.takes_filter) &&
           (option != STANDBY || bh_daemon_class.claim != NULL);
}

static void print_help(void)
{
    (void)printf("Usage: " PROGRAM " [OPTION]...\n" BH_DAEMON_SUMMARY
                 ", as a vhost-user back end.\n"
                 "\nThe device:\n");
    for (uint32_t i = 0; i < bh_daemon_class.option_count; i++) {
        const struct bh_daemon_option *option = &bh_daemon_class.options[i];
        print_option(option->name, option->argument, option->help);
    }
    (void)printf("\nThe program:\n");
    for (uint32_t i = 0; i < COMMON_COUNT; i++) {
        if (is_known(common_options[i].value)) {
            print_option(common_options[i].name, common_options[i].argument,
                         common_options[i].help);
        }
    }
    (void)printf("\n%s", bh_daemon_class.notes);
}

/* QEMU's vhost-user.json, VHostUserBackendCapabilities. */
static void print_capabilities(void)
{
    (void)printf("{\n  \"type\": \"" BH_DAEMON_TYPE "\"");
    for (uint32_t i = 0; bh_daemon_class.features[i] != NULL; i++) {
        (void)printf("%s\"%s\"", i == 0u ? ",\n  \"features\": [\n    " : ",\n    ",
                     bh_daemon_class.features[i]);
    }
    (void)printf("%s\n}\n", bh_daemon_class.features[0] != NULL ? "\n  ]" : "");
}

/* What was printed must have arrived: a full disk is no success. */
static int printed(void)
{
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? BH_EXIT_OK : BH_EXIT_FAILED;
}

static int usage(const char *what, const char *value)
{
    (void)fprintf(stderr, PROGRAM ": %s: %s (--help lists the options)\n", what, value);
    return BH_EXIT_USAGE;
}

/* ------------------------------------------------------------------------------------------------
 * input */

static int read_sandbox(const char *value, enum bh_sandbox_mode *mode)
{
    static const struct {
        const char *name;
        enum bh_sandbox_mode mode;
    } modes[] = {{"strict", BH_SANDBOX_STRICT},
                 {"best-effort", BH_SANDBOX_BEST_EFFORT},
                 {"off", BH_SANDBOX_OFF}};
    for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(value, modes[i].name) == 0) {
            *mode = modes[i].mode;
            return BH_OK;
        }
    }
    return BH_INVALID;
}

static int read_fd(const char *value, int *fd)
{
    uint64_t number;
    int result = bh_daemon_number(value, 0, BH_PATH_FD_MAX, &number);
    if (result == BH_OK) {
        *fd = (int)number;
        result = bh_daemon_keep_fd(*fd);
    }
    return result;
}

/* BH_OK, BH_INVALID; or BH_STATE: everything is done, `status` is the exit status. */
static int take_common(enum common option, const char *value, struct bh_options *options,
                       int *status)
{
    switch (option) {
    case SOCKET_PATH:
        options->socket_path = value;
        return *value != '\0' ? BH_OK : BH_INVALID;
    case SOCKET_GROUP:
        options->socket_group = value;
        return BH_OK;
    case FD:
        return read_fd(value, &options->fd);
    case FILTER:
        return read_fd(value, &options->filter_fd);
    case UP:
        return read_fd(value, &options->up_fd);
    case STANDBY:
        options->standby = true;
        return BH_OK;
    case SANDBOX:
        return read_sandbox(value, &options->sandbox);
    case PRINT_CAPABILITIES:
        print_capabilities();
        break;
    case HELP:
        print_help();
        break;
    case VERSION:
    default:
        (void)printf(PROGRAM " " BH_DAEMON_VERSION "\n");
        break;
    }
    *status = printed();
    return BH_STATE;
}

static void list_options(struct option *list)
{
    for (uint32_t i = 0; i < COMMON_COUNT; i++) {
        *list++ = (struct option){common_options[i].name, common_options[i].argument != NULL, NULL,
                                  (int)common_options[i].value};
    }
    for (uint32_t i = 0; i < bh_daemon_class.option_count; i++) {
        const struct bh_daemon_option *option = &bh_daemon_class.options[i];
        *list++ =
            (struct option){option->name, option->argument != NULL, NULL, FIRST_DEVICE + (int)i};
    }
    *list = (struct option){NULL, 0, NULL, 0};
}

/* By convention nothing else counts then, not even a mistake. */
static bool wants_capabilities(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--print-capabilities") == 0) {
            return true;
        }
    }
    return false;
}

static int check(const struct bh_options *options)
{
    if (options->socket_path != NULL && options->fd >= 0) {
        return usage("--socket-path and --fd", "only one of the two");
    }
    if (options->socket_group != NULL && options->socket_path == NULL) {
        return usage("--socket-group", "only with --socket-path");
    }
    if (options->filter_fd >= 0 && !bh_daemon_class.takes_filter) {
        return usage("--filter", "no policy speaks of what this device does: leave it out");
    }
    if (options->standby && bh_daemon_class.claim == NULL) {
        return usage("--standby", "this device has no resource to wait for: leave it out");
    }
    return bh_daemon_class.check() == BH_OK ? -1 : BH_EXIT_USAGE;
}

int bh_options_read(int count, char **arguments, struct bh_options *options)
{
    struct option list[OPTIONS_MAX + 1u];
    int index = 0;
    int status = -1;
    *options = (struct bh_options){
        .fd = -1, .filter_fd = -1, .up_fd = -1, .sandbox = BH_SANDBOX_BEST_EFFORT};
    current = options;
    if (wants_capabilities(count, arguments)) {
        print_capabilities();
        return printed();
    }
    list_options(list);
    for (;;) {
        int value = getopt_long(count, arguments, "", list, &index);
        if (value == -1) {
            break;
        }
        if (value == '?' || value == ':') {
            return BH_EXIT_USAGE; /* getopt said it */
        }
        int result = value >= FIRST_DEVICE
                         ? bh_daemon_class.options[value - FIRST_DEVICE].take(optarg)
                         : take_common((enum common)value, optarg, options, &status);
        if (result == BH_STATE) {
            return status;
        }
        if (result != BH_OK) {
            return usage(list[index].name, optarg != NULL ? optarg : "not possible");
        }
    }
    if (optind < count) {
        return usage("unexpected argument", arguments[optind]);
    }
    return check(options);
}
