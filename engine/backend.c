/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a back end is beside its instances (backend.h; their life: instance.c).
 */
#include "backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"
#include "bulkhead/host_log.h"

/* What follows the name of the program in such a line of its log. */
static const char refused[] = ": warning: refused, ";

/* ------------------------------------------------------------------------------------------------
 * refused requests */

bool bh_refusal_said(const char *program, const char *text)
{
    size_t length = strlen(program);
    return strncmp(text, program, length) == 0 &&
           strncmp(text + length, refused, sizeof(refused) - 1u) == 0;
}

bool bh_refusals_hear(struct bh_refusals *refusals, uint64_t now)
{
    uint64_t earned = (now - refusals->filled) / BH_LOG_EVENT_PERIOD;
    if (refusals->room == BH_LOG_EVENT_BURST) {
        refusals->filled = now;
    } else if (earned > 0u) {
        uint64_t room = refusals->room + earned;
        refusals->room = room < BH_LOG_EVENT_BURST ? (uint32_t)room : BH_LOG_EVENT_BURST;
        refusals->filled += earned * BH_LOG_EVENT_PERIOD;
    }
    if (refusals->room == 0u) {
        refusals->left_out++;
        return false;
    }
    refusals->room--;
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * life */

void bh_backend_init(struct bh_backend *backend, const struct bh_guest *guest,
                     const struct bh_device_definition *device)
{
    *backend = (struct bh_backend){
        .guest = guest,
        .device = device,
        .front_fd = -1,
        .resource = {.fd = -1, .handle = -1},
        .filter = {.fd = -1},
        .refusals = {.room = BH_LOG_EVENT_BURST},
    };
    for (uint32_t i = 0; i < 2u; i++) {
        backend->instances[i] =
            (struct bh_instance){.backend = backend, .line_fd = -1, .up = {.fd = -1}};
    }
}

bool bh_backend_runs(const struct bh_backend *backend)
{
    return backend->instances[0].runs || backend->instances[1].runs;
}

void bh_backend_end(struct bh_backend *backend)
{
    bh_instance_end(&backend->instances[0]);
    bh_instance_end(&backend->instances[1]);
}

void bh_backend_kill(struct bh_backend *backend)
{
    bh_instance_kill(&backend->instances[0]);
    bh_instance_kill(&backend->instances[1]);
}

void bh_backend_finish(struct bh_backend *backend)
{
    for (uint32_t i = 0; i < 2u; i++) {
        struct bh_instance *instance = &backend->instances[i];
        if (instance->line_fd >= 0) {
            (void)close(instance->line_fd);
            instance->line_fd = -1;
        }
    }
    bh_resource_finish(&backend->resource);
    bh_filter_close(&backend->filter);
    if (backend->front_fd >= 0) {
        (void)close(backend->front_fd);
        backend->front_fd = -1;
    }
    for (uint32_t i = 0; i < backend->terminal_count; i++) {
        bh_guest_terminal_finish(&backend->terminals[i]);
    }
    free(backend->terminals);
    backend->terminals = NULL;
    backend->terminal_count = 0;
}

void bh_backend_status_text(int status, char *text, size_t size)
{
    if (status >= 0) {
        (void)snprintf(text, size, "exit code %d", status);
    } else {
        (void)snprintf(text, size, "signal %d (%s)", -status, strsignal(-status));
    }
}
