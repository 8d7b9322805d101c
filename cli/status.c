/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead status: what runs, and what each back end has mapped of its guest's memory. The numbers
 * are the supervisor's; here they are only laid out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/engine_control.h"
#include "client.h"
#include "command.h"

#define COLUMNS   12u
#define CELL_SIZE 96u
#define PATH_SIZE 4352u
#define GAP       2
#define CLEAR     "\033[H\033[J" /* the terminal: from its first corner on */
#define KIB       UINT64_C(1024)
#define MIB       (KIB * KIB)
#define USECS     UINT64_C(1000) /* in a millisecond */

enum status_option { OPTION_JSON, OPTION_WATCH };

/* One guest's devices, laid out: the first row has the titles. */
struct table {
    char cells[BH_DEVICES_MAX + 1u][COLUMNS][CELL_SIZE];
    uint32_t rows;
};

/* What comes from outside goes to a terminal: no control characters. */
static void put_text(char *to, size_t size, const char *text)
{
    (void)snprintf(to, size, "%s", text);
    for (size_t i = 0; to[i] != '\0'; i++) {
        if (to[i] < ' ' || to[i] > '~') {
            to[i] = '?';
        }
    }
}

static void put(char *cell, const char *text)
{
    put_text(cell, CELL_SIZE, text);
}

static void put_size(char *cell, uint64_t bytes)
{
    if (bytes % MIB == 0) {
        (void)snprintf(cell, CELL_SIZE, "%" PRIu64 "M", bytes / MIB);
    } else {
        (void)snprintf(cell, CELL_SIZE, "%" PRIu64 "K", (bytes + KIB - 1u) / KIB);
    }
}

static void put_pid(char *cell, const json_t *object)
{
    uint64_t pid = bh_cli_count(object, "pid");
    if (pid == 0) {
        put(cell, "-");
    } else {
        (void)snprintf(cell, CELL_SIZE, "%" PRIu64, pid);
    }
}

static void put_number(char *cell, uint64_t number)
{
    (void)snprintf(cell, CELL_SIZE, "%" PRIu64, number);
}

/* What it has served, and how often and how long it was gone. */
static void add_numbers(char (*row)[CELL_SIZE], const json_t *gate)
{
    uint64_t bytes = bh_cli_count(gate, "bytes_read") + bh_cli_count(gate, "bytes_written");
    uint64_t stall = bh_cli_count(gate, "stall_us_max");
    put_number(row[0], bh_cli_count(gate, "requests"));
    put_number(row[1], bytes / MIB);
    put_number(row[2], bh_cli_count(gate, "in_flight"));
    put_number(row[3], bh_cli_count(gate, "restarts"));
    put(row[4], "-");
    if (stall > 0) {
        (void)snprintf(row[4], CELL_SIZE, "%" PRIu64 ".%" PRIu64 "ms", stall / USECS,
                       stall % USECS / (USECS / 10u));
    }
}

/* The gate's word where it says more: the back end runs, and does not serve. */
static const char *state_of(const json_t *device)
{
    const char *state = bh_cli_text(device, "state");
    const char *gate = bh_cli_text(json_object_get(device, "gate"), "state");
    bool waits = strcmp(gate, "replacing") == 0 || strcmp(gate, "failed") == 0;
    return waits && strcmp(state, "running") == 0 ? gate : state;
}

static void add_device(struct table *table, const json_t *device)
{
    char(*row)[CELL_SIZE] = table->cells[table->rows];
    const json_t *mapped = json_object_get(device, "mapped");
    uint64_t window = bh_cli_count(device, "window");
    put(row[0], bh_cli_text(device, "name"));
    put(row[1], bh_cli_text(device, "type"));
    put(row[2], state_of(device));
    put_pid(row[3], device);
    put(row[4], bh_cli_text(device, "isolation"));
    put(row[5], "-");
    put(row[6], "?");
    if (window > 0) {
        put_size(row[5], window);
    }
    if (json_is_integer(mapped)) {
        put_size(row[6], bh_cli_count(device, "mapped"));
    }
    add_numbers(&row[7], json_object_get(device, "gate"));
    table->rows++;
}

static void print_table(const struct table *table)
{
    for (uint32_t row = 0; row < table->rows; row++) {
        (void)printf(" ");
        for (uint32_t column = 0; column < COLUMNS; column++) {
            size_t width = 0;
            for (uint32_t i = 0; i < table->rows; i++) {
                size_t length = strlen(table->cells[i][column]);
                width = length > width ? length : width;
            }
            /* nothing is padded behind the last */
            (void)printf(" %-*s", column + 1u < COLUMNS ? (int)width + GAP - 1 : 0,
                         table->cells[row][column]);
        }
        (void)printf("\n");
    }
}

/* A line: the guest, its state, what it runs on. */
static void print_head(const json_t *guest, uint64_t memory)
{
    char text[5][CELL_SIZE];
    char size[CELL_SIZE];
    char pid[CELL_SIZE];
    const json_t *gate = json_object_get(guest, "gate");
    put(text[0], bh_cli_text(guest, "name"));
    put(text[1], bh_cli_text(guest, "state"));
    put(text[2], bh_cli_text(guest, "criticality"));
    put(text[3], bh_cli_text(guest, "engine"));
    put(text[4], bh_cli_text(guest, "accelerator"));
    put_size(size, memory);
    put_pid(pid, guest);
    (void)printf("\n%s: %s, %s, %s memory, %s (%s, pid %s)", text[0], text[1], text[2], size,
                 text[3], text[4], pid);
    put_pid(pid, gate);
    (void)printf("; gate (pid %s", pid);
    if (bh_cli_count(gate, "restarts") > 0) {
        (void)printf(", restarted %" PRIu64 " times", bh_cli_count(gate, "restarts"));
    }
    (void)printf(")\n");
}

static void print_guest(const json_t *guest)
{
    static const char *const titles[COLUMNS] = {"DEVICE",    "TYPE",   "STATE",    "PID",
                                                "ISOLATION", "WINDOW", "MAPPED",   "REQUESTS",
                                                "MB",        "FLIGHT", "RESTARTS", "STALL"};
    struct table table = {.rows = 1};
    char detail[CELL_SIZE];
    const json_t *devices = json_object_get(guest, "devices");
    const json_t *parts = json_object_get(guest, "memory");
    uint64_t memory = bh_cli_count(parts, "private") + bh_cli_count(parts, "shared");
    print_head(guest, memory);
    put(detail, bh_cli_text(guest, "detail"));
    if (detail[0] != '\0') {
        (void)printf("  %s\n", detail);
    }
    for (uint32_t i = 0; i < COLUMNS; i++) {
        put(table.cells[0][i], titles[i]);
    }
    for (size_t i = 0; i < json_array_size(devices) && i < BH_DEVICES_MAX; i++) {
        add_device(&table, json_array_get(devices, i));
    }
    if (table.rows > 1) {
        print_table(&table);
    }
}

/* The mode that holds, of which there are more; and where to read what happened. */
static void print_mode(const json_t *status)
{
    char mode[CELL_SIZE];
    char path[PATH_SIZE];
    const json_t *audit = json_object_get(status, "audit");
    put(mode, bh_cli_text(status, "mode"));
    put_text(path, sizeof(path), bh_cli_text(audit, "path"));
    (void)printf("mode: %s", mode);
    const json_t *modes = json_object_get(status, "modes");
    for (size_t i = 0; json_array_size(modes) > 1u && i < json_array_size(modes); i++) {
        const char *name = json_string_value(json_array_get(modes, i));
        put(mode, name != NULL ? name : "");
        (void)printf("%s%s%s", i == 0u ? " (of " : ", ", mode,
                     i + 1u == json_array_size(modes) ? ")" : "");
    }
    (void)printf("\naudit log: %s", path);
    if (bh_cli_count(audit, "lost") > 0) {
        (void)printf(" (%" PRIu64 " entries were lost)", bh_cli_count(audit, "lost"));
    }
    (void)printf("\n");
}

static void print_status(const json_t *status)
{
    char name[CELL_SIZE];
    char state[CELL_SIZE];
    const json_t *guests = json_object_get(status, "guests");
    put(name, bh_cli_text(status, "platform"));
    put(state, bh_cli_text(status, "state"));
    (void)printf("platform %s: %s (pid %" PRIu64 ")\n", name, state, bh_cli_count(status, "pid"));
    print_mode(status);
    for (size_t i = 0; i < json_array_size(guests); i++) {
        print_guest(json_array_get(guests, i));
    }
}

static int print_json(const json_t *status)
{
    char *text = json_dumps(status, JSON_INDENT(2));
    if (text == NULL) {
        bh_cli_error("status: no memory");
        return BH_CLI_REFUSED;
    }
    (void)printf("%s\n", text);
    free(text);
    return BH_CLI_OK;
}

/* The devices of guests are left out of a status that would be too long: asked for one by one. */
static void complete(const struct bh_cli_platform *platform, const json_t *status)
{
    json_t *guests = json_object_get(status, "guests");
    for (size_t i = 0; i < json_array_size(guests); i++) {
        json_t *guest = json_array_get(guests, i);
        const char *name = json_string_value(json_object_get(guest, "name"));
        if (name == NULL || json_object_get(guest, "devices") != NULL) {
            continue;
        }
        json_t *answer =
            bh_cli_ask(platform, json_pack("{s:s, s:s}", "request", "status", "guest", name), NULL);
        json_t *one =
            json_array_get(json_object_get(json_object_get(answer, "status"), "guests"), 0);
        if (one != NULL) {
            (void)json_array_set(guests, i, one); /* without it the guest is shown as it is */
        }
        json_decref(answer);
    }
}

static int show(const struct bh_cli_platform *platform, bool as_json, bool clear)
{
    int result = BH_CLI_REFUSED;
    json_t *answer = bh_cli_ask(platform, json_pack("{s:s}", "request", "status"), NULL);
    const json_t *status = json_object_get(answer, "status");
    complete(platform, status);
    if (answer != NULL && as_json) {
        result = print_json(status);
    } else if (answer != NULL) {
        (void)printf("%s", clear ? CLEAR : "");
        print_status(status);
        result = BH_CLI_OK;
    }
    json_decref(answer);
    return result;
}

static int run(const struct bh_cli_arguments *arguments)
{
    const struct timespec pause = {.tv_sec = 1};
    struct bh_cli_platform platform;
    bool as_json = arguments->options[OPTION_JSON] != NULL;
    bool watch = arguments->options[OPTION_WATCH] != NULL;
    bool clear = watch && isatty(STDOUT_FILENO) == 1;
    if (!bh_cli_connect(&platform, arguments->word)) {
        return BH_CLI_REFUSED;
    }
    int result = show(&platform, as_json, clear);
    /* To the end of the platform, or until nobody reads. */
    while (watch && result == BH_CLI_OK && fflush(stdout) == 0) {
        (void)nanosleep(&pause, NULL);
        (void)printf("%s", as_json || clear ? "" : "\n");
        result = show(&platform, as_json, clear);
    }
    bh_cli_disconnect(&platform);
    return result;
}

const struct bh_cli_command bh_cli_status = {
    .name = "status",
    .argument = "[PLATFORM]",
    .summary = "Shows the guests and devices of a running platform",
    .help =
        "PLATFORM may be left out while only one is running. MAPPED is the guest memory that a\n"
        "back end has mapped, read from /proc. REQUESTS and MB are what its gate has seen done,\n"
        "FLIGHT what is not done yet, RESTARTS how often the back end was replaced, and STALL the\n"
        "longest time from the loss of one to the next completion. In direct and open the gate\n"
        "sees no requests.\n",
    .options = {[OPTION_JSON] = {"json", NULL, "print everything that is known, as JSON", '\0'},
                [OPTION_WATCH] = {"watch", NULL, "again each second, until Ctrl-C", 'w'}},
    .run = run,
};
