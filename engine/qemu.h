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

#define BH_QEMU_ARGUMENTS_MAX 512u

/* Descriptors that only the engine makes. -1 each for a plan. */
struct bh_qemu_fds {
    int control; /* QMP */
    int tree;    /* the device tree, as a file */
    int start;   /* the start code, as a file */
};

/* What an argument is there for. */
enum bh_qemu_group {
    BH_QEMU_PROCESS,
    BH_QEMU_CONTROL,
    BH_QEMU_MACHINE,
    BH_QEMU_KVM,      /* in a plan only: where the host decides how the processor is made */
    BH_QEMU_EMULATED, /* the same */
    BH_QEMU_MEMORY,
    BH_QEMU_BOOT,
    BH_QEMU_DEVICES,
    BH_QEMU_GROUPS,
};

#define BH_QEMU_FD_NAME 64u

/* What a descriptor of a plan is: "window-root", of the kind "memory". */
struct bh_qemu_planned {
    const char *kind;
    char name[BH_QEMU_FD_NAME];
};

/* A command line in the making. Nothing that a user wrote gets into an option that QEMU takes
 * apart: files and sockets are descriptors, names are made of letters, digits and '-'. */
struct bh_qemu_command {
    const struct bh_machine_setup *setup;
    const struct bh_qemu_fds *own;
    bool as_plan; /* for who reads it: descriptors by name instead of number (bh_qemu_add_fd) */
    int error;    /* the first one */
    enum bh_qemu_group group; /* of what is added */
    uint32_t count;
    char *arguments[BH_QEMU_ARGUMENTS_MAX + 1u]; /* ends with NULL */
    enum bh_qemu_group groups[BH_QEMU_ARGUMENTS_MAX];
    uint32_t fd_count;
    struct bh_child_fd fds[BH_CHILD_FDS_MAX];
    struct bh_qemu_planned planned[BH_CHILD_FDS_MAX]; /* of a plan, in place of them */
};

/* The whole command. BH_OK; BH_NO_MEMORY, BH_LIMIT: then it is empty. */
int bh_qemu_command_make(struct bh_qemu_command *command, const struct bh_machine_setup *setup,
                         const struct bh_qemu_fds *own, bool as_plan);
void bh_qemu_command_finish(struct bh_qemu_command *command);

/* Adds one argument. What fails is remembered. */
void bh_qemu_add(struct bh_qemu_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define BH_QEMU_FD_TEXT 64u

/* Before and behind the name of a descriptor in an argument of a plan. Texts of a definition have
 * no control characters. */
#define BH_QEMU_PLAN_MARK '\001'

/* How QEMU is told the descriptor `fd`: its number there, or in a plan the name between marks:
 * "KIND", "KIND-NAME", or of memory NAME alone. */
void bh_qemu_add_fd(struct bh_qemu_command *command, int fd, const char *kind, const char *name,
                    char text[BH_QEMU_FD_TEXT]);

/* The arguments for the guest's devices. */
void bh_qemu_add_devices(struct bh_qemu_command *command);

/* The name of a region of the layout as an object of QEMU. */
void bh_qemu_region_name(const struct bh_layout *layout, uint32_t index,
                         char name[BH_QEMU_FD_NAME]);

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
 * qemu_plan.c: a command line for who reads it */

/* A group in a word, and why its options are there. */
struct bh_qemu_reason {
    const char *word;
    const char *why;
};
extern const struct bh_qemu_reason bh_qemu_reasons[BH_QEMU_GROUPS];

/* Whether an option is followed by a value. */
bool bh_qemu_takes_value(const char *option);

/* An argument of a plan, cut at the name of its descriptor. False: it has none. */
struct bh_qemu_pieces {
    int before_length; /* from the argument's begin on */
    const char *name;
    int name_length;
    const char *behind;
};
bool bh_qemu_pieces(const char *argument, struct bh_qemu_pieces *pieces);

/* What a descriptor of a plan has to be. */
struct bh_qemu_descriptor {
    const char *name;  /* in the plan */
    const char *is;    /* "stream socket", "memory file", "file" */
    const char *seals; /* of a memory file: "shrink grow"; NULL: none */
    uint64_t size;     /* of a memory file; 0: that of the file that it holds */
    const char
        *file; /* the path as the definition has it; NULL: it is not one of the definition's */
    const char *role;
};
void bh_qemu_describe(const struct bh_qemu_command *command, uint32_t index,
                      struct bh_qemu_descriptor *descriptor);

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
