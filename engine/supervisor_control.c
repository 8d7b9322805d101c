/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What other programs ask of a running platform: stop, attach, resize (status:
 * supervisor_status.c; mode: supervisor_mode.c). Who stopped something or has a terminal is noted in
 * the audit log. Names come from a peer: they are compared, and nothing else.
 */
#include <signal.h>
#include <stddef.h>
#include <string.h>

#include "bulkhead/error.h"
#include "supervisor.h"

/* A terminal's number: guest, device and port. */
#define GUEST_SHIFT  16u
#define DEVICE_SHIFT 8u
#define PART_MASK    0xffu
#define DEVICE_UART  0xffu /* no device: BH_DEVICES_MAX is less */

struct bh_supervised *bh_supervisor_guest(struct bh_supervisor *supervisor, const char *name,
                                          const char **why)
{
    for (uint32_t i = 0; i < supervisor->platform->guest_count; i++) {
        if (strcmp(supervisor->guests[i].guest->name.text, name) == 0) {
            return &supervisor->guests[i];
        }
    }
    *why = "this platform has no such guest: `bulkhead status` lists its guests";
    return NULL;
}

static int stop_asked(void *context, const struct bh_control_who *who, const char *name,
                      const char **why)
{
    struct bh_supervisor *supervisor = context;
    struct bh_supervised *guest = NULL;
    if (name != NULL) {
        guest = bh_supervisor_guest(supervisor, name, why);
        if (guest == NULL) {
            return BH_GONE;
        }
    }
    bh_audit_add(&supervisor->audit, "stop-asked", "{s:s?, s:i, s:i}", "guest", name, "pid",
                 (int)who->pid, "uid", (int)who->uid);
    if (guest != NULL) {
        bh_supervised_stop(guest);
    } else {
        bh_supervisor_stop(supervisor);
    }
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * attach */

/* The device: of this name, or the first console. DEVICE_UART: the guest's UART, where no device
 * has that name, or there is no console. */
static uint32_t find_device(const struct bh_supervised *guest, const char *name)
{
    const struct bh_guest *definition = guest->guest;
    for (uint32_t i = 0; i < definition->device_count; i++) {
        const struct bh_device_definition *device = &definition->devices[i];
        if (name != NULL ? strcmp(device->name.text, name) == 0
                         : device->type.value == BH_DEVICE_CONSOLE) {
            return i;
        }
    }
    return name == NULL || strcmp(name, "uart") == 0 ? DEVICE_UART : BH_DEVICES_MAX;
}

static uint32_t find_port(const struct bh_device_definition *device, const char *name)
{
    if (name == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < device->ports.count; i++) {
        if (strcmp(device->ports.names[i].text, name) == 0) {
            return i + 1u;
        }
    }
    return BH_PORTS_MAX + 1u;
}

static struct bh_guest_terminal *find_terminal(struct bh_supervised *guest, const char *device_name,
                                               const char *port_name, uint32_t *number,
                                               const char **why)
{
    uint32_t device = find_device(guest, device_name);
    uint32_t port = 0;
    struct bh_guest_terminal *terminal = &guest->uart;
    if (device == DEVICE_UART && port_name != NULL) {
        *why = "a UART has no ports: leave the port out";
        return NULL;
    }
    if (device == BH_DEVICES_MAX) {
        *why = "this guest has no such device: `bulkhead status` lists its devices; `uart` is its "
               "UART";
        return NULL;
    }
    if (device != DEVICE_UART) {
        struct bh_backend *backend = &guest->backends[device];
        port = find_port(backend->device, port_name);
        if (backend->terminal_count == 0u) {
            *why = "this device is no console: `bulkhead status` lists the types of devices";
            return NULL;
        }
        if (port >= backend->terminal_count) {
            *why = "this console has no such port: the definition lists its `ports`";
            return NULL;
        }
        terminal = &backend->terminals[port];
    }
    uint32_t index = (uint32_t)(guest - guest->supervisor->guests);
    *number = index << GUEST_SHIFT | device << DEVICE_SHIFT | port;
    return terminal;
}

static int attach_asked(void *context, const struct bh_control_who *who,
                        const struct bh_control_terminal *wanted, int *fd, uint32_t *number,
                        const char **why)
{
    struct bh_supervisor *supervisor = context;
    struct bh_supervised *guest = bh_supervisor_guest(supervisor, wanted->guest, why);
    if (guest == NULL) {
        return BH_GONE;
    }
    struct bh_guest_terminal *terminal =
        find_terminal(guest, wanted->device, wanted->port, number, why);
    if (terminal == NULL) {
        return BH_GONE;
    }
    int result = bh_guest_terminal_attach(terminal, fd);
    if (result == BH_OK) {
        bh_audit_add(&supervisor->audit, "attached", "{s:s, s:s, s:s?, s:i, s:i}", "guest",
                     wanted->guest, "device", terminal->device, "port", terminal->port, "pid",
                     (int)who->pid, "uid", (int)who->uid);
    } else if (result == BH_STATE) {
        *why = "somebody is attached to this terminal: let them detach first";
    } else if (result == BH_GONE) {
        *why = "this guest has ended: run the platform again";
    } else {
        *why = "the platform's process has no descriptor left: raise its limit (ulimit -n)";
    }
    return result;
}

/* The number is one that attach_asked gave, and the terminal may have ended since. */
static void resize_asked(void *context, uint32_t number, uint16_t rows, uint16_t columns)
{
    struct bh_supervisor *supervisor = context;
    struct bh_supervised *guest = &supervisor->guests[number >> GUEST_SHIFT];
    uint32_t device = number >> DEVICE_SHIFT & PART_MASK;
    if (device == DEVICE_UART) {
        return; /* has no size */
    }
    struct bh_backend *backend = &guest->backends[device];
    if (bh_guest_terminal_resize(&backend->terminals[number & PART_MASK], rows, columns) &&
        backend->serving != NULL && backend->serving->serves) {
        bh_child_signal(&backend->serving->child, SIGWINCH);
    }
}

const struct bh_control_handlers bh_supervisor_handlers = {
    .status = bh_supervisor_status,
    .stop = stop_asked,
    .attach = attach_asked,
    .resize = resize_asked,
    .mode = bh_supervisor_mode_asked,
};
