/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end that the keeper starts: its command line, its connection, and its end. It is the first of
 * a process group; it is over when nobody of the group is left, so that a helper that it forked cannot
 * write behind its successor's back.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "keeper_instance.h"

#define FD_OF_CHILD 3
#define TICK_US     2000u
#define CONNECT_MS  10000u

/* ------------------------------------------------------------------------------------------------
 * the command line */

/* `argument` with every `what` replaced; NULL: no memory. */
static char *replaced(const char *argument, const char *what, const char *with)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    for (const char *found = strstr(argument, what); found != NULL;
         found = strstr(argument, what)) {
        (void)fwrite(argument, 1, (size_t)(found - argument), out);
        (void)fputs(with, out);
        argument = found + strlen(what);
    }
    (void)fputs(argument, out);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static void free_arguments(char **arguments)
{
    for (char **argument = arguments; argument != NULL && *argument != NULL; argument++) {
        free(*argument);
    }
    free(arguments);
}

static char **make_arguments(char **command, const char *what, const char *with)
{
    size_t count = 0;
    while (command[count] != NULL) {
        count++;
    }
    char **made = calloc(count + 1u, sizeof(*made));
    for (size_t i = 0; made != NULL && i < count; i++) {
        made[i] = replaced(command[i], what, with);
        if (made[i] == NULL) {
            free_arguments(made);
            return NULL;
        }
    }
    return made;
}

/* As a shell finds a program. */
static bool find_program(const char *name, char *path, size_t size)
{
    const char *folders = getenv("PATH");
    if (strchr(name, '/') != NULL) {
        return snprintf(path, size, "%s", name) < (int)size;
    }
    folders = folders != NULL ? folders : "/usr/local/bin:/usr/bin:/bin";
    while (*folders != '\0') {
        size_t length = strcspn(folders, ":");
        int written = snprintf(path, size, "%.*s/%s", (int)length, folders, name);
        if (length != 0u && written > 0 && (size_t)written < size && access(path, X_OK) == 0) {
            return true;
        }
        folders += length + (folders[length] == ':' ? 1u : 0u);
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * the end */

/* Whether nobody of its process group is left. Those that it forked became the keeper's children when
 * it ended (it is their subreaper). */
static bool group_is_gone(pid_t group)
{
    (void)kill(-group, SIGKILL);
    while (waitpid(-group, NULL, WNOHANG) > 0) {
    }
    return kill(-group, 0) != 0 && errno == ESRCH;
}

static void process_ended(struct bh_child *child, int status)
{
    struct bh_instance *instance = child->context;
    const char *name = instance->options->command[0];
    if (!instance->ending) {
        bh_log_event(BH_LOG_WARNING,
                     status < 0 ? "%s ended by signal %d" : "%s ended with status %d", name,
                     status < 0 ? -status : status);
    }
    instance->ending = true;
    if (group_is_gone(instance->pid)) {
        bh_instance_gone(instance);
    } else {
        bh_timer_arm(&instance->timer, TICK_US, TICK_US);
    }
}

void bh_instance_signal(struct bh_instance *instance, int number)
{
    if (instance->child.pid != 0) {
        (void)kill(-instance->child.pid, number); /* not reaped yet: the number is its own */
    }
}

/* ------------------------------------------------------------------------------------------------
 * the start */

static int start_process(struct bh_instance *instance, const char *what, const char *with, int fd)
{
    char program[PATH_MAX];
    char **command = instance->options->command;
    const struct bh_child_fd given = {.from = fd, .to = FD_OF_CHILD};
    if (!find_program(command[0], program, sizeof(program))) {
        bh_log(BH_LOG_ERROR, "%s: there is no such program in PATH", command[0]);
        return BH_GONE;
    }
    char **arguments = make_arguments(command, what, with);
    if (arguments == NULL) {
        return BH_NO_MEMORY;
    }
    const struct bh_child_setup setup = {
        .poller = instance->poller,
        .program = program,
        .arguments = (const char *const *)arguments,
        .environment = (const char *const *)environ,
        .fds = &given,
        .fd_count = fd >= 0 ? 1u : 0u,
        .output_fd = STDERR_FILENO,
        .ended = process_ended,
        .context = instance,
    };
    int result = bh_child_start(&instance->child, &setup);
    free_arguments(arguments);
    if (result == BH_OK) {
        instance->pid = instance->child.pid;
    } else {
        bh_log(BH_LOG_ERROR, "%s: cannot be started: %s", command[0], bh_error_name(result));
    }
    return result;
}

static bool uses_socket(char **command)
{
    for (; *command != NULL; command++) {
        if (strstr(*command, "{socket}") != NULL) {
            return true;
        }
    }
    return false;
}

static int spawn_with_fd(struct bh_instance *instance)
{
    char text[16];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return bh_error_from_errno(errno);
    }
    (void)snprintf(text, sizeof(text), "%d", FD_OF_CHILD);
    int result = start_process(instance, "{fd}", text, pair[1]);
    (void)close(pair[1]);
    if (result != BH_OK) {
        (void)close(pair[0]);
        return result;
    }
    instance->fd = pair[0];
    instance->ready = true;
    return BH_OK;
}

static int spawn_with_socket(struct bh_instance *instance)
{
    int length = snprintf(instance->path, sizeof(instance->path), "%s/%u.sock", instance->folder,
                          instance->number);
    if (length < 0 || (size_t)length >= sizeof(instance->path)) {
        instance->path[0] = '\0';
        return BH_LIMIT;
    }
    int result = start_process(instance, "{socket}", instance->path, -1);
    if (result == BH_OK) {
        bh_timer_arm(&instance->timer, TICK_US, TICK_US);
    }
    return result;
}

int bh_instance_spawn(struct bh_instance *instance)
{
    return uses_socket(instance->options->command) ? spawn_with_socket(instance)
                                                   : spawn_with_fd(instance);
}

void bh_instance_spawn_tick(struct bh_instance *instance)
{
    if (instance->ending) {
        if (instance->child.pid == 0 && group_is_gone(instance->pid)) {
            bh_instance_gone(instance);
        }
        return;
    }
    int result = bh_keeper_connect(instance->path, &instance->fd);
    if (result == BH_OK) {
        bh_timer_arm(&instance->timer, 0, 0);
        instance->ready = true;
        instance->became_ready(instance);
    } else if (result != BH_AGAIN || bh_keeper_now_ms() - instance->begun_ms > CONNECT_MS) {
        bh_log(BH_LOG_ERROR, "%s does not listen at the path that {socket} gave it: %s",
               instance->options->command[0], bh_error_name(result));
        (void)bh_instance_end(instance, true);
    }
}
