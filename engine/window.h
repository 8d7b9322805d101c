/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory of guests: a memfd for each window, made, sized and sealed here, so that its inode
 * is known before anybody has it; and how much of it a process has mapped, in the kernel's words.
 *
 * Thread: one. Ownership: the structures and descriptors are the caller's.
 */
#ifndef ENGINE_WINDOW_H
#define ENGINE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bulkhead/error.h"

struct bh_window {
    int fd; /* -1: handed over and closed */
    dev_t device;
    ino_t inode;
    uint64_t size;
};

/* A file in memory that can be sealed, and not executed where the kernel knows that (Linux 6.3):
 * the descriptor, or -1 with errno. */
int bh_memory_file(const char *name);

/* `name` shows in /proc/PID/maps: at most 200 bytes count. The memory cannot shrink, grow or be
 * unsealed. BH_LIMIT, BH_NO_MEMORY, BH_IO. */
int bh_window_create(struct bh_window *window, const char *name, uint64_t size);
void bh_window_close(struct bh_window *window);

/* ------------------------------------------------------------------------------------------------
 * what a process has mapped */

/* Reads the text of /proc/PID/maps, piece by piece. The names in it are the process's own choice
 * and are not looked at; device and inode are the kernel's. */
struct bh_mapped {
    const struct bh_window *windows;
    uint64_t *bytes; /* of each window: what is mapped, at most its size */
    size_t count;
    char line[128]; /* the beginning of a line: all that counts stands there */
    size_t length;
};

/* Sets `bytes` to 0. */
void bh_mapped_init(struct bh_mapped *mapped, const struct bh_window *windows, uint64_t *bytes,
                    size_t count);
void bh_mapped_feed(struct bh_mapped *mapped, const char *text, size_t length);

/* Of the process `pid`: bytes[i] of windows[i]. BH_OK; BH_GONE: no such process; BH_DENIED: it may
 * not be looked into; BH_LIMIT: more text than a back end has. */
int bh_window_mapped(pid_t pid, const struct bh_window *windows, uint64_t *bytes, size_t count);

#endif
