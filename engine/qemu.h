/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the QEMU engine share: its command line, and who finds and probes. Private to
 * engine/qemu*.c and kvm.c. Life of a machine: qemu.c.
 */
#ifndef ENGINE_QEMU_H
#define ENGINE_QEMU_H

#include <limits.h>

#include "bulkhead/engine_machine.h"
#include "bulkhead/host_child.h"

/* ------------------------------------------------------------------------------------------------
 * qemu_command.c, qemu_devices.c */

#define BH_QEMU_ARGUMENTS_MAX 384u

/* Descriptors that only the engine makes. -1 each for a text. */
struct bh_qemu_fds {
    int control; /* QMP */
    int tree;    /* the device tree, as a file */
    int start;   /* the start code, as a file */
};

/* A command line in the making. Nothing that a user wrote gets into an option that QEMU takes
 * apart: files and sockets are descriptors, names are made of letters, digits and '-'. */
struct bh_qemu_command {
    const struct bh_machine_setup *setup;
    const struct bh_qemu_fds *own;
    bool as_text; /* descriptors by name instead of number */
    int error;    /* the first one */
    uint32_t count;
    char *arguments[BH_QEMU_ARGUMENTS_MAX + 1u]; /* ends with NULL */
    uint32_t fd_count;
    struct bh_child_fd fds[BH_CHILD_FDS_MAX];
};

/* The whole command. BH_OK; BH_NO_MEMORY, BH_LIMIT: then it is empty. */
int bh_qemu_command_make(struct bh_qemu_command *command, const struct bh_machine_setup *setup,
                         const struct bh_qemu_fds *own, bool as_text);
void bh_qemu_command_finish(struct bh_qemu_command *command);

/* Adds one argument. What fails is remembered. */
void bh_qemu_add(struct bh_qemu_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define BH_QEMU_FD_TEXT 64u

/* How QEMU is told the descriptor `fd`: its number there, or for a text "{KIND NAME}". */
void bh_qemu_add_fd(struct bh_qemu_command *command, int fd, const char *kind, const char *name,
                    char text[BH_QEMU_FD_TEXT]);

/* The arguments for the guest's devices. */
void bh_qemu_add_devices(struct bh_qemu_command *command);

/* Whether the guest runs on KVM. */
bool bh_qemu_uses_kvm(const struct bh_machine_setup *setup);

/* ------------------------------------------------------------------------------------------------
 * qemu_reach.c */

#define BH_QEMU_REACH_MAX 16u

/* For bh_child_setup.reach; stays where it is. */
struct bh_qemu_reach {
    struct bh_child_path paths[BH_QEMU_REACH_MAX];
    char own[PATH_MAX];
};
void bh_qemu_reach_make(struct bh_qemu_reach *reach, const char *program);

/* ------------------------------------------------------------------------------------------------
 * kvm.c */

/* Whether a guest of this architecture can run on the host's KVM, tried with a machine of one
 * processor. NULL: it can; otherwise why not (static text). */
const char *bh_kvm_refusal(uint32_t arch);

/* ------------------------------------------------------------------------------------------------
 * qemu_version.c */

/* Runs `program --version`, ten seconds at most. BH_OK; BH_GONE, BH_DENIED, …: it does not start;
 * BH_TIMEOUT; BH_PROTOCOL: it is not QEMU: `said` holds what it printed first. */
#define BH_QEMU_SAID 80u
int bh_qemu_version(const char *program, uint32_t *major, uint32_t *minor, char said[BH_QEMU_SAID]);

#endif
