/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command lines of back ends: a row of a table for each device type. All of them take --fd, and
 * their resources as /dev/fd/N; those that have
 * one take --filter, too.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "bulkhead/platform_policy.h"

#define SERIAL_BYTES    20
#define OPERATIONS_TEXT 256u /* all words of a type */

/* What the rows' functions build from. */
struct request {
    struct bh_backend_command *command;
    const struct bh_backend_parts *parts;
};

/* ------------------------------------------------------------------------------------------------
 * pieces: the first that has no room makes the command an error, and the rest is left out */

static void add(struct bh_backend_command *command, const char *argument)
{
    if (command->count == BH_BACKEND_ARGUMENTS) {
        command->error = BH_LIMIT;
        return;
    }
    command->arguments[command->count] = argument;
    command->count++;
    command->arguments[command->count] = NULL;
}

static void add_made(struct bh_backend_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_made(struct bh_backend_command *command, const char *format, ...)
{
    char *at = command->text + command->used;
    size_t left = sizeof(command->text) - command->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(at, left, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= left) {
        command->error = BH_LIMIT;
        return;
    }
    command->used += (size_t)length + 1u;
    add(command, at);
}

/* Hands a descriptor over: the number that it has in the child. */
static int add_fd(struct bh_backend_command *command, int fd)
{
    if (command->fd_count == BH_BACKEND_FDS) {
        command->error = BH_LIMIT;
        return -1;
    }
    int number = BH_BACKEND_FIRST_FD + (int)command->fd_count;
    command->fds[command->fd_count] = (struct bh_child_fd){.from = fd, .to = number};
    command->fd_count++;
    return number;
}

static void add_serial(const struct request *request)
{
    char made[2u * BH_NAME_MAX + 2u];
    const struct bh_device_definition *device = request->parts->device;
    const char *serial = device->serial.text;
    if (serial == NULL) {
        (void)snprintf(made, sizeof(made), "%s/%s", request->parts->guest->name.text,
                       device->name.text);
        serial = made;
    }
    add(request->command, "--serial");
    add_made(request->command, "%.*s", SERIAL_BYTES, serial);
}

/* What the policy allows in some mode, in its words. What it never allows is not offered. */
static void add_operations(const struct request *request)
{
    char list[OPERATIONS_TEXT] = "";
    uint32_t type = request->parts->device->uses->type.value;
    const struct bh_operation *operation = bh_operation_at(type, 0);
    size_t used = 0;
    for (size_t i = 0; operation != NULL; operation = bh_operation_at(type, ++i)) {
        if ((request->parts->operations & operation->bit) != 0u) {
            int length = snprintf(list + used, sizeof(list) - used, "%s%s", used == 0u ? "" : ",",
                                  operation->word);
            used += length > 0 && (size_t)length < sizeof(list) - used ? (size_t)length : 0u;
        }
    }
    add(request->command, "--operations");
    add_made(request->command, "%s", list);
}

/* ------------------------------------------------------------------------------------------------
 * the device types */

static void blk_arguments(const struct request *request)
{
    struct bh_backend_command *command = request->command;
    const struct bh_device_definition *device = request->parts->device;
    add(command, "--blk-file");
    add_made(command, "/dev/fd/%d", add_fd(command, request->parts->resource_fd));
    add_operations(request);
    if (device->write_through.value) {
        add(command, "--write-through");
    }
    add(command, "--num-queues");
    add_made(command, "%ju", (uintmax_t)device->queues.value);
    add_serial(request);
}

static void rng_arguments(const struct request *request)
{
    struct bh_backend_command *command = request->command;
    if (request->parts->resource_fd >= 0) {
        add(command, "--source");
        add_made(command, "/dev/fd/%d", add_fd(command, request->parts->resource_fd));
    }
}

static void console_arguments(const struct request *request)
{
    struct bh_backend_command *command = request->command;
    const struct bh_device_definition *device = request->parts->device;
    const int *port_fds = request->parts->port_fds;
    add(command, "--port");
    add_made(command, "/dev/fd/%d", add_fd(command, port_fds[0]));
    for (uint32_t i = 0; i < device->ports.count; i++) {
        add(command, "--port");
        add_made(command, "%s=/dev/fd/%d", device->ports.names[i].text,
                 add_fd(command, port_fds[i + 1u]));
    }
    if (!device->size.value) {
        add(command, "--no-size");
    }
    if (!device->emergency_write.value) {
        add(command, "--no-emergency-write");
    }
}

static const struct {
    const char *program;
    void (*arguments)(const struct request *request);
    bool stands_by; /* it knows --standby */
} types[BH_DEVICE_TYPES] = {
    [BH_DEVICE_BLK] = {"bulkhead-blk", blk_arguments, true},
    [BH_DEVICE_RNG] = {"bulkhead-rng", rng_arguments, false},
    [BH_DEVICE_CONSOLE] = {"bulkhead-console", console_arguments, false},
};

bool bh_backend_stands_by(uint32_t type)
{
    return types[type].stands_by;
}

/* ------------------------------------------------------------------------------------------------
 * all of it */

int bh_backend_program(struct bh_backend_command *command, const char *daemons, uint32_t type)
{
    if (types[type].program == NULL) {
        return BH_UNSUPPORTED;
    }
    (void)snprintf(command->name, sizeof(command->name), "%s", types[type].program);
    int length =
        snprintf(command->program, sizeof(command->program), "%s/%s", daemons, types[type].program);
    return length > 0 && (size_t)length < sizeof(command->program) ? BH_OK : BH_LIMIT;
}

int bh_backend_command(struct bh_backend_command *command, const char *daemons,
                       const struct bh_backend_parts *parts)
{
    const struct request request = {.command = command, .parts = parts};
    uint32_t type = parts->device->type.value;
    command->count = 0;
    command->fd_count = 0;
    command->used = 0;
    command->error = bh_backend_program(command, daemons, type);
    if (command->error == BH_UNSUPPORTED) {
        return command->error;
    }
    add(command, command->name);
    add(command, "--fd");
    add_made(command, "%d", add_fd(command, parts->socket_fd));
    if (parts->filter_fd >= 0) {
        add(command, "--filter");
        add_made(command, "%d", add_fd(command, parts->filter_fd));
    }
    if (parts->up_fd >= 0) {
        add(command, "--up");
        add_made(command, "%d", add_fd(command, parts->up_fd));
    }
    if (parts->standby) {
        add(command, "--standby");
    }
    types[type].arguments(&request);
    return command->error;
}
