/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine on QEMU: its process, its life through QMP, its end. The states are those of
 * engine_machine.h; in the terms of this file:
 *
 *   starting  the process runs with the guest stopped; QMP opens once every device is connected,
 *             then `cont` is sent. Answered: running. No answer in time, an error: failed.
 *   running   QEMU tells how the guest ends (SHUTDOWN with its reason).
 *   ending    QEMU is to go: by itself, because of `quit`, or because it failed. What is still
 *             there when the timer expires is killed.
 *   ended     reaped.
 * One failure is told for each machine, and none after the guest ended in order or was ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_log.h"
#include "bulkhead/host_loop.h"
#include "processors.h"
#include "qemu.h"
#include "qmp.h"
#include "window.h"

#define START_LIMIT_USECS 30000000u /* for the devices to connect; and for each answer later */
#define QUIT_LIMIT_USECS  1000000u
/* A guest that powered off leaves QEMU to close its disks: nobody waits for that for ever. */
#define EXIT_LIMIT_USECS 10000000u

enum machine_state { STARTING, RUNNING, ENDING, ENDED };

struct bh_machine {
    struct bh_child child; /* first */
    struct bh_qmp qmp;
    struct bh_timer kill;
    enum machine_state state;
    bool expected; /* the end: nothing that follows is a failure */
    bool crashed;  /* the guest said so already */
    bool told_to_quit;
    bool may_reset; /* the guest, by itself */
    void (*event)(void *context, const struct bh_machine_event *event);
    void *context;
};

/* ------------------------------------------------------------------------------------------------
 * events */

static void tell(struct bh_machine *machine, enum bh_machine_event_type type, const char *text)
{
    const struct bh_machine_event event = {.type = type, .text = text};
    machine->event(machine->context, &event);
}

/* What QEMU says once more gives it no more time. */
static void start_ending(struct bh_machine *machine, uint64_t limit)
{
    if (machine->state != ENDING) {
        machine->state = ENDING;
        bh_timer_arm(&machine->kill, limit, 0);
    }
}

/* The process is told to go at once: what failed cannot be trusted to end in order. */
static void fail(struct bh_machine *machine, const char *text)
{
    if (!machine->expected) {
        machine->expected = true;
        tell(machine, BH_MACHINE_FAILED, text);
    }
    machine->state = ENDING;
    bh_child_signal(&machine->child, SIGKILL);
}

static void kill_expired(void *context)
{
    const struct bh_machine *machine = context;
    bh_child_signal(&machine->child, SIGKILL);
}

/* The guest is through: `type` says how. */
static void guest_ended(struct bh_machine *machine, enum bh_machine_event_type type)
{
    bool told = machine->expected;
    machine->expected = true;
    start_ending(machine, EXIT_LIMIT_USECS);
    if (!told) {
        tell(machine, type, NULL);
    }
}

static void shutdown_happened(struct bh_machine *machine, const char *reason)
{
    char text[128];
    if (strcmp(reason, "guest-shutdown") == 0) {
        guest_ended(machine, BH_MACHINE_POWERED_OFF);
    } else if (strcmp(reason, "guest-reset") == 0) {
        guest_ended(machine, BH_MACHINE_RESET);
    } else if (strcmp(reason, "guest-panic") == 0) {
        /* It was told when it happened. */
        machine->expected = machine->expected || machine->crashed;
        guest_ended(machine, BH_MACHINE_PANICKED);
    } else if (strcmp(reason, "host-qmp-quit") == 0 && machine->expected) {
        start_ending(machine, QUIT_LIMIT_USECS);
    } else {
        (void)snprintf(text, sizeof(text), "QEMU shuts the guest down: %s", reason);
        fail(machine, text);
    }
}

static void qemu_event(struct bh_machine *machine, const char *name, const char *reason)
{
    if (strcmp(name, "SHUTDOWN") == 0) {
        shutdown_happened(machine, reason);
    } else if (strcmp(name, "RESET") == 0 && strcmp(reason, "guest-reset") == 0) {
        tell(machine, BH_MACHINE_RESET, NULL);
    } else if (strcmp(name, "GUEST_PANICKED") == 0) {
        machine->crashed = true;
        tell(machine, BH_MACHINE_PANICKED, NULL);
    } else if (strcmp(name, "STOP") == 0 && machine->state == RUNNING && !machine->crashed) {
        /* QEMU stops a guest before it shuts down, too: the reason follows then. */
        bh_log(BH_LOG_INFO, "QEMU has stopped the guest");
    }
}

static void answered(struct bh_machine *machine, const char *command, const char *error)
{
    char text[BH_QMP_TEXT_MAX + BH_QMP_WORD_MAX];
    if (error != NULL) {
        (void)snprintf(text, sizeof(text), "QEMU refuses '%s': %s", command, error);
        fail(machine, text);
    } else if (strcmp(command, "cont") == 0 && machine->state == STARTING) {
        machine->state = RUNNING;
        tell(machine, BH_MACHINE_RUNNING, NULL);
    }
}

static void qmp_event(void *context, const struct bh_qmp_event *event)
{
    struct bh_machine *machine = context;
    char text[BH_QMP_TEXT_MAX + 64];
    switch (event->type) {
    case BH_QMP_OPENED:
        tell(machine, BH_MACHINE_CONNECTED, NULL);
        if (machine->state == STARTING && bh_qmp_send(&machine->qmp, "cont") != BH_OK) {
            fail(machine, "QEMU takes no command");
        }
        break;
    case BH_QMP_ANSWERED:
        answered(machine, event->name, event->text);
        break;
    case BH_QMP_HAPPENED:
        qemu_event(machine, event->name, event->text);
        break;
    case BH_QMP_SHUT:
        /* Its end follows, and tells more. */
        if (machine->state != ENDING) {
            start_ending(machine, QUIT_LIMIT_USECS);
        }
        break;
    case BH_QMP_BROKEN:
        (void)snprintf(text, sizeof(text), "QEMU's control connection is broken: %s", event->text);
        fail(machine, text);
        break;
    default:
        break;
    }
}

/* ENDED is the last thing: the machine may be gone afterwards. */
static void process_ended(struct bh_child *child, int status)
{
    struct bh_machine *machine = (struct bh_machine *)child; /* its first member */
    char text[96];
    bh_qmp_drain(&machine->qmp);
    bh_qmp_finish(&machine->qmp);
    bh_timer_finish(&machine->kill);
    if (!machine->expected) {
        machine->expected = true;
        if (status < 0) {
            (void)snprintf(text, sizeof(text), "QEMU was ended by signal %d (%s)", -status,
                           strsignal(-status));
        } else {
            (void)snprintf(text, sizeof(text), "QEMU ended by itself with exit code %d", status);
        }
        tell(machine, BH_MACHINE_FAILED, text);
    }
    machine->state = ENDED;
    const struct bh_machine_event event = {.type = BH_MACHINE_ENDED, .status = status};
    machine->event(machine->context, &event);
}

/* ------------------------------------------------------------------------------------------------
 * start */

/* A file in memory with these bytes, which nobody can change any more. A negative error: none. */
static int make_file(const char *name, const void *bytes, size_t size)
{
    int fd = bh_memory_file(name);
    if (fd < 0) {
        return bh_error_from_errno(errno);
    }
    ssize_t written = write(fd, bytes, size);
    if (written != (ssize_t)size ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        (void)close(fd);
        return BH_NO_MEMORY;
    }
    return fd;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* What QEMU gets beside the setup's own. BH_OK, or an error and what is made is in `own`. */
static int make_files(const struct bh_machine_setup *setup, struct bh_qemu_fds *own)
{
    uint8_t code[BH_START_CODE_BYTES];
    if (setup->tree == NULL) {
        return BH_OK;
    }
    bh_start_code(setup->layout, code);
    own->tree = make_file("device-tree", setup->tree, setup->tree_bytes);
    own->start = own->tree < 0 ? own->tree : make_file("start", code, sizeof(code));
    return own->start < 0 ? own->start : BH_OK;
}

static int start_process(struct bh_machine *machine, const struct bh_machine_setup *setup,
                         const struct bh_qemu_fds *own)
{
    struct bh_qemu_command command;
    struct bh_qemu_reach reach;
    struct bh_child_cpus cpus;
    int result = bh_qemu_command_make(&command, setup, own, false);
    if (result != BH_OK) {
        return result;
    }
    bh_qemu_reach_make(&reach, setup->engine->program);
    const struct bh_child_setup child = {.poller = setup->poller,
                                         .program = setup->engine->program,
                                         .arguments = (const char *const *)command.arguments,
                                         .fds = command.fds,
                                         .fd_count = command.fd_count,
                                         .output_fd = setup->output_fd,
                                         .reach = reach.paths,
                                         .cpus = bh_processors_of(setup->layout->guest, &cpus),
                                         .isolate = true,
                                         .no_network = true,
                                         .ended = process_ended,
                                         .context = machine};
    result = bh_child_start(&machine->child, &child);
    bh_qemu_command_finish(&command);
    return result;
}

/* The process last: what comes before it is undone easily. */
static int start(struct bh_machine *machine, const struct bh_machine_setup *setup,
                 struct bh_qemu_fds *own)
{
    int line[2];
    int result = make_files(setup, own);
    if (result != BH_OK) {
        return result;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) != 0) {
        return bh_error_from_errno(errno);
    }
    own->control = line[1];
    result = bh_timer_init(&machine->kill, setup->poller, kill_expired, machine);
    if (result != BH_OK) {
        (void)close(line[0]);
        return result;
    }
    result =
        bh_qmp_init(&machine->qmp, setup->poller, line[0], START_LIMIT_USECS, qmp_event, machine);
    if (result != BH_OK) {
        (void)close(line[0]);
    } else {
        result = start_process(machine, setup, own);
        if (result == BH_OK) {
            return BH_OK;
        }
        bh_qmp_finish(&machine->qmp);
    }
    bh_timer_finish(&machine->kill);
    return result;
}

int bh_machine_create(struct bh_machine **machine, const struct bh_machine_setup *setup)
{
    struct bh_qemu_fds own = {-1, -1, -1};
    struct bh_machine *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    made->event = setup->event;
    made->context = setup->context;
    made->may_reset = setup->layout->guest->on_reset.value == BH_ON_RESET_RESTART;
    int result = start(made, setup, &own);
    close_fd(own.control);
    close_fd(own.tree);
    close_fd(own.start);
    if (result != BH_OK) {
        bh_log(BH_LOG_ERROR, "guest %s: %s cannot be started: %s", setup->layout->guest->name.text,
               setup->engine->program, bh_error_name(result));
        free(made);
        return result;
    }
    if (!made->child.isolated || !made->child.confined) {
        bh_log(BH_LOG_WARNING, "guest %s: QEMU runs without %s: this host does not grant it",
               setup->layout->guest->name.text,
               made->child.confined ? "namespaces of its own" : "Landlock");
    }
    *machine = made;
    return BH_OK;
}

/* ------------------------------------------------------------------------------------------------
 * end */

int bh_machine_shut_down(struct bh_machine *machine)
{
    return machine->state == RUNNING ? bh_qmp_send(&machine->qmp, "system_powerdown") : BH_STATE;
}

/* A guest that may not reset itself is reset by its supervisor all the same: what a reset means is
 * decided when it is asked for. */
int bh_machine_reset(struct bh_machine *machine)
{
    if (machine->state != RUNNING) {
        return BH_STATE;
    }
    int result = bh_qmp_send_with(&machine->qmp, "set-action", "{\"reboot\": \"reset\"}");
    if (result == BH_OK) {
        result = bh_qmp_send(&machine->qmp, "system_reset");
    }
    if (result == BH_OK && !machine->may_reset) {
        result = bh_qmp_send_with(&machine->qmp, "set-action", "{\"reboot\": \"shutdown\"}");
    }
    return result;
}

void bh_machine_end(struct bh_machine *machine)
{
    if (machine->state == ENDED) {
        return;
    }
    machine->expected = true;
    /* Before it is connected there is nothing to end in order, and nobody who listens. Who asks
     * twice is in a hurry. */
    if (machine->told_to_quit || bh_qmp_send(&machine->qmp, "quit") != BH_OK) {
        bh_child_signal(&machine->child, SIGKILL);
    }
    machine->told_to_quit = true;
    machine->state = ENDING;
    bh_timer_arm(&machine->kill, QUIT_LIMIT_USECS, 0);
}

pid_t bh_machine_pid(const struct bh_machine *machine)
{
    return machine->child.pid;
}

void bh_machine_destroy(struct bh_machine *machine)
{
    free(machine);
}
