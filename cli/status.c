/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulkhead status: what runs, and what each back end has mapped of its guest's memory. The numbers
 * are the supervisor's; here they are only laid out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulkhead/engine_control.h"
#include "client.h"
#include "command.h"

#define COLUMNS   7u
#define CELL_SIZE 96u
#define PATH_SIZE 4352u
#define GAP       2
#define KIB       UINT64_C(1024)
#define MIB       (KIB * KIB)

enum status_option { OPTION_JSON };

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

static void add_device(struct table *table, const json_t *device)
{
    char(*row)[CELL_SIZE] = table->cells[table->rows];
    const json_t *mapped = json_object_get(device, "mapped");
    uint64_t window = bh_cli_count(device, "window");
    char size[CELL_SIZE];
    put(row[0], bh_cli_text(device, "name"));
    put(row[1], bh_cli_text(device, "type"));
    put(row[2], bh_cli_text(device, "state"));
    put_pid(row[3], device);
    put(row[4], bh_cli_text(device, "isolation"));
    put(row[5], "-");
    put(row[6], "?");
    if (window > 0) {
        put_size(row[5], window);
    }
    if (json_is_integer(mapped)) {
        const json_t *names = json_object_get(device, "mapped_windows");
        size_t windows = json_array_size(names);
        put_size(size, bh_cli_count(device, "mapped"));
        (void)snprintf(row[6], CELL_SIZE, "%s", size);
        if (names != NULL) { /* left out of a status that would be too long */
            (void)snprintf(row[6], CELL_SIZE, "%.16s in %zu window%s", size, windows,
                           windows == 1 ? "" : "s");
        }
    }
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
    put(text[0], bh_cli_text(guest, "name"));
    put(text[1], bh_cli_text(guest, "state"));
    put(text[2], bh_cli_text(guest, "criticality"));
    put(text[3], bh_cli_text(guest, "engine"));
    put(text[4], bh_cli_text(guest, "accelerator"));
    put_size(size, memory);
    put_pid(pid, guest);
    (void)printf("\n%s: %s, %s, %s memory, %s (%s, pid %s)\n", text[0], text[1], text[2], size,
                 text[3], text[4], pid);
}

static void print_guest(const json_t *guest)
{
    static const char *const titles[COLUMNS] = {"DEVICE",    "TYPE",   "STATE", "PID",
                                                "ISOLATION", "WINDOW", ""};
    struct table table = {.rows = 1};
    char size[CELL_SIZE];
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
    put_size(size, memory);
    (void)snprintf(table.cells[0][COLUMNS - 1u], CELL_SIZE, "MAPPED OF %.16s", size);
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

static int run(const struct bh_cli_arguments *arguments)
{
    struct bh_cli_platform platform;
    int result = BH_CLI_REFUSED;
    if (!bh_cli_connect(&platform, arguments->word)) {
        return result;
    }
    json_t *answer = bh_cli_ask(&platform, json_pack("{s:s}", "request", "status"), NULL);
    const json_t *status = json_object_get(answer, "status");
    complete(&platform, status);
    if (answer != NULL && arguments->options[OPTION_JSON] != NULL) {
        result = print_json(status);
    } else if (answer != NULL) {
        print_status(status);
        result = BH_CLI_OK;
    }
    json_decref(answer);
    bh_cli_disconnect(&platform);
    return result;
}

const struct bh_cli_command bh_cli_status = {
    .name = "status",
    .argument = "[PLATFORM]",
    .summary = "Shows the guests and devices of a running platform",
    .help =
        "PLATFORM may be left out while only one is running. MAPPED is the guest memory that a\n"
        "back end has mapped, read from /proc, beside all memory of the guest.\n",
    .options = {[OPTION_JSON] = {"json", NULL, "print everything that is known, as JSON", '\0'}},
    .run = run,
};
