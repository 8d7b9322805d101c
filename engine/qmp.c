/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Speaks QMP: cuts what comes into lines, takes each apart, and keeps the order of commands and
 * answers (qmp.h has the states). It never waits: what the socket has no room for is an error.
 */
#include "qmp.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEGOTIATE "qmp_capabilities"

/* Reads of one turn, and of a drain: an endless talker does not keep the loop. */
#define READS_MAX       4u
#define DRAIN_READS_MAX 64u

/* ------------------------------------------------------------------------------------------------
 * telling */

/* QEMU's words for a terminal: bounded and printable. */
static void copy_printable(char *to, size_t size, const char *text)
{
    const size_t length = strnlen(text, size - 1u);
    for (size_t i = 0; i < length; i++) {
        to[i] = text[i];
        if (text[i] < ' ' || text[i] > '~') {
            to[i] = '?';
        }
    }
    to[length] = '\0';
}

static void tell(struct bh_qmp *qmp, enum bh_qmp_event_type type, const char *name,
                 const char *text)
{
    char safe_name[BH_QMP_WORD_MAX];
    char safe_text[BH_QMP_TEXT_MAX];
    copy_printable(safe_name, sizeof(safe_name), name);
    copy_printable(safe_text, sizeof(safe_text), text != NULL ? text : "");
    const struct bh_qmp_event event = {
        .type = type, .name = safe_name, .text = text != NULL ? safe_text : NULL};
    qmp->event(qmp->context, &event);
}

static void leave(struct bh_qmp *qmp, enum bh_qmp_event_type type, const char *text)
{
    qmp->state = BH_QMP_CLOSED;
    qmp->pending_count = 0;
    bh_timer_arm(&qmp->timer, 0, 0);
    qmp->poller->ops->remove(qmp->poller, &qmp->watch);
    tell(qmp, type, "", text);
}

static void expect_answer(struct bh_qmp *qmp)
{
    bool due = qmp->state == BH_QMP_GREETING || qmp->pending_count > 0;
    bh_timer_arm(&qmp->timer, due ? qmp->limit : 0, 0);
}

static void answer_is_late(void *context)
{
    leave(context, BH_QMP_BROKEN, "it does not answer");
}

/* ------------------------------------------------------------------------------------------------
 * commands */

static int send_command(struct bh_qmp *qmp, const char *command, const char *arguments)
{
    char line[192];
    if (qmp->pending_count == BH_QMP_PENDING_MAX) {
        return BH_LIMIT;
    }
    int length =
        snprintf(line, sizeof(line), "{\"execute\": \"%s\"%s%s}\r\n", command,
                 arguments != NULL ? ", \"arguments\": " : "", arguments != NULL ? arguments : "");
    if (length < 0 || (size_t)length >= sizeof(line)) {
        return BH_INVALID;
    }
    /* Half a line could not be taken back: a peer that has no room for one is not served. */
    if (send(qmp->watch.fd, line, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) != length) {
        return BH_GONE;
    }
    qmp->pending[qmp->pending_count] = command;
    qmp->pending_count++;
    if (qmp->pending_count == 1u) {
        expect_answer(qmp);
    }
    return BH_OK;
}

int bh_qmp_send(struct bh_qmp *qmp, const char *command)
{
    return bh_qmp_send_with(qmp, command, NULL);
}

int bh_qmp_send_with(struct bh_qmp *qmp, const char *command, const char *arguments)
{
    return qmp->state == BH_QMP_OPEN ? send_command(qmp, command, arguments) : BH_STATE;
}

/* ------------------------------------------------------------------------------------------------
 * what QEMU says */

static void take_greeting(struct bh_qmp *qmp, const json_t *message)
{
    if (!json_is_object(json_object_get(message, "QMP"))) {
        leave(qmp, BH_QMP_BROKEN, "it does not greet");
        return;
    }
    qmp->state = BH_QMP_CAPABILITIES;
    expect_answer(qmp);
    if (send_command(qmp, NEGOTIATE, NULL) != BH_OK) {
        leave(qmp, BH_QMP_BROKEN, "it takes no command");
    }
}

/* `error`: NULL or what went wrong. */
static void take_answer(struct bh_qmp *qmp, const char *error)
{
    if (qmp->pending_count == 0) {
        leave(qmp, BH_QMP_BROKEN, "it answers what nobody asked");
        return;
    }
    const char *command = qmp->pending[0];
    qmp->pending_count--;
    for (uint32_t i = 0; i < qmp->pending_count; i++) {
        qmp->pending[i] = qmp->pending[i + 1u];
    }
    expect_answer(qmp);
    if (qmp->state == BH_QMP_OPEN) {
        tell(qmp, BH_QMP_ANSWERED, command, error);
    } else if (error != NULL) {
        leave(qmp, BH_QMP_BROKEN, error);
    } else {
        qmp->state = BH_QMP_OPEN;
        tell(qmp, BH_QMP_OPENED, "", NULL);
    }
}

static void take_message(struct bh_qmp *qmp, const json_t *message)
{
    const char *name = json_string_value(json_object_get(message, "event"));
    const json_t *error = json_object_get(message, "error");
    if (qmp->state == BH_QMP_GREETING) {
        take_greeting(qmp, message);
    } else if (name != NULL) {
        const json_t *data = json_object_get(message, "data");
        const char *reason = json_string_value(json_object_get(data, "reason"));
        tell(qmp, BH_QMP_HAPPENED, name, reason != NULL ? reason : "");
    } else if (json_is_object(error)) {
        const char *text = json_string_value(json_object_get(error, "desc"));
        take_answer(qmp, text != NULL ? text : "an error without words");
    } else if (json_object_get(message, "return") != NULL) {
        take_answer(qmp, NULL);
    } else {
        leave(qmp, BH_QMP_BROKEN, "it sends neither an event nor an answer");
    }
}

static void take_line(struct bh_qmp *qmp, const char *line, size_t length)
{
    json_t *message = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(message)) {
        json_decref(message);
        leave(qmp, BH_QMP_BROKEN, "it sends what is no JSON object");
        return;
    }
    /* What is told may end the conversation, and the client with it: nothing is touched after. */
    take_message(qmp, message);
    json_decref(message);
}

/* Takes the whole lines of the buffer; false: the conversation is over. */
static bool take_lines(struct bh_qmp *qmp)
{
    size_t from = 0;
    const char *end;
    while ((end = memchr(qmp->line + from, '\n', qmp->length - from)) != NULL) {
        size_t next = (size_t)(end - qmp->line) + 1u;
        take_line(qmp, qmp->line + from, next - 1u - from);
        if (qmp->state == BH_QMP_CLOSED) {
            return false;
        }
        from = next;
    }
    qmp->length -= from;
    memmove(qmp->line, qmp->line + from, qmp->length);
    if (qmp->length == BH_QMP_LINE_MAX) {
        leave(qmp, BH_QMP_BROKEN, "its line does not end");
        return false;
    }
    return true;
}

static void take_input(struct bh_qmp *qmp, uint32_t reads)
{
    for (uint32_t i = 0; i < reads; i++) {
        ssize_t length = recv(qmp->watch.fd, qmp->line + qmp->length, BH_QMP_LINE_MAX - qmp->length,
                              MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (length <= 0) {
            leave(qmp, BH_QMP_SHUT, NULL);
            return;
        }
        qmp->length += (size_t)length;
        if (!take_lines(qmp)) {
            return;
        }
    }
}

static void qmp_ready(struct bh_watch *watch)
{
    take_input((struct bh_qmp *)watch, READS_MAX);
}

void bh_qmp_drain(struct bh_qmp *qmp)
{
    if (qmp->state != BH_QMP_CLOSED) {
        take_input(qmp, DRAIN_READS_MAX);
    }
}

/* ------------------------------------------------------------------------------------------------
 * life */

int bh_qmp_init(struct bh_qmp *qmp, struct bh_poller *poller, int fd, uint64_t limit,
                void (*event)(void *context, const struct bh_qmp_event *event), void *context)
{
    *qmp = (struct bh_qmp){.watch = {.fd = fd, .ready = qmp_ready},
                           .poller = poller,
                           .limit = limit,
                           .event = event,
                           .context = context};
    qmp->line = malloc(BH_QMP_LINE_MAX);
    if (qmp->line == NULL) {
        return BH_NO_MEMORY;
    }
    int result = bh_timer_init(&qmp->timer, poller, answer_is_late, qmp);
    if (result == BH_OK) {
        result = poller->ops->add(poller, &qmp->watch);
        if (result == BH_OK) {
            expect_answer(qmp);
            return BH_OK;
        }
        bh_timer_finish(&qmp->timer);
    }
    free(qmp->line);
    return result;
}

void bh_qmp_finish(struct bh_qmp *qmp)
{
    qmp->state = BH_QMP_CLOSED;
    qmp->poller->ops->remove(qmp->poller, &qmp->watch);
    bh_timer_finish(&qmp->timer);
    (void)close(qmp->watch.fd);
    free(qmp->line);
    qmp->line = NULL;
}
