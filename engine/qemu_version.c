/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks a program whether it is QEMU, and which: runs it with --version in a loop of its own, for
 * ten seconds at most. What it prints is bounded and not believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/host_error.h"
#include "bulkhead/host_loop.h"
#include "qemu.h"

#define LIMIT_USECS 10000000u
#define OUTPUT_MAX  4096u
#define VERSION_MAX 1000ul

struct question {
    struct bh_loop loop;
    struct bh_timer timer;
    struct bh_child child;
    bool late;
    int status; /* how it ended */
};

static void program_ended(struct bh_child *child, int status)
{
    struct question *question = child->context;
    question->status = status;
    bh_loop_stop(&question->loop);
}

static void program_is_late(void *context)
{
    struct question *question = context;
    question->late = true;
    bh_child_signal(&question->child, SIGKILL);
}

/* Runs the program to its end. A program that prints more than the pipe holds waits, and is
 * late. */
static int ask(struct question *question, const char *program, int output)
{
    const char *const arguments[] = {program, "--version", NULL};
    struct bh_qemu_reach reach;
    bh_qemu_reach_make(&reach, program);
    const struct bh_child_setup setup = {.poller = &question->loop.poller,
                                         .program = program,
                                         .arguments = arguments,
                                         .output_fd = output,
                                         .reach = reach.paths,
                                         .isolate = true,
                                         .no_network = true,
                                         .ended = program_ended,
                                         .context = question};
    int result = bh_timer_init(&question->timer, &question->loop.poller, program_is_late, question);
    if (result != BH_OK) {
        return result;
    }
    bh_timer_arm(&question->timer, LIMIT_USECS, 0);
    result = bh_child_start(&question->child, &setup);
    if (result == BH_OK) {
        result = bh_loop_run(&question->loop);
    }
    bh_timer_finish(&question->timer);
    return result != BH_OK ? result : question->late ? BH_TIMEOUT : BH_OK;
}

static int read_number(const char **text, char end, uint32_t *number)
{
    char *after;
    if (**text < '0' || **text > '9') {
        return BH_PROTOCOL;
    }
    unsigned long value = strtoul(*text, &after, 10);
    if (value > VERSION_MAX || (end != '\0' && *after != end)) {
        return BH_PROTOCOL;
    }
    *number = (uint32_t)value;
    *text = after + 1;
    return BH_OK;
}

/* "QEMU emulator version 11.1.2 (Debian …)" */
static int read_version(const char *text, uint32_t *major, uint32_t *minor)
{
    static const char before[] = "QEMU emulator version ";
    if (strncmp(text, before, sizeof(before) - 1u) != 0) {
        return BH_PROTOCOL;
    }
    text += sizeof(before) - 1u;
    int result = read_number(&text, '.', major);
    return result != BH_OK ? result : read_number(&text, '\0', minor);
}

/* The first line of `text`, made printable. */
static void quote(const char *text, char said[BH_QEMU_SAID])
{
    size_t i;
    for (i = 0; i + 1u < BH_QEMU_SAID && text[i] != '\0' && text[i] != '\n'; i++) {
        said[i] = text[i];
        if (text[i] < ' ' || text[i] > '~') {
            said[i] = '?';
        }
    }
    said[i] = '\0';
}

int bh_qemu_version(const char *program, uint32_t *major, uint32_t *minor, char said[BH_QEMU_SAID])
{
    struct question question = {.late = false};
    char text[OUTPUT_MAX];
    int line[2];
    said[0] = '\0';
    int result = bh_loop_init(&question.loop);
    if (result != BH_OK) {
        return result;
    }
    if (pipe2(line, O_CLOEXEC) != 0) {
        result = bh_error_from_errno(errno);
        bh_loop_finish(&question.loop);
        return result;
    }
    result = ask(&question, program, line[1]);
    (void)close(line[1]);
    /* A process that it has left behind may hold the other end. */
    (void)fcntl(line[0], F_SETFL, O_NONBLOCK);
    ssize_t length = result == BH_OK ? read(line[0], text, sizeof(text) - 1u) : 0;
    (void)close(line[0]);
    bh_loop_finish(&question.loop);
    if (result != BH_OK) {
        return result;
    }
    text[length > 0 ? length : 0] = '\0';
    quote(text, said);
    return question.status == 0 ? read_version(text, major, minor) : BH_PROTOCOL;
}
