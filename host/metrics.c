/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket with numbers (host_metrics.h). It knows the form of an answer, and not what it says.
 *
 * States of a visitor's place:
 *   free       -> answering (somebody connects; the oldest visitor goes if there is no place)
 *   answering  the rest of the answer waits for room.
 *              all of it went -> leaving; an error -> free
 *   leaving    what it asked is read and dropped, so that the answer is not lost with the connection.
 *              it closes its end -> free
 */
#include "bulkhead/host_metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/error.h"

#define VISITORS  8u
#define READ_SIZE 1024u

struct visitor {
    struct bh_watch watch; /* first; fd -1: free */
    struct bh_metrics *metrics;
    char *answer;
    size_t length;
    size_t sent;
};

struct bh_metrics {
    struct bh_watch watch; /* first; the listening socket */
    struct bh_poller *poller;
    char *(*text)(void *context);
    void *context;
    struct visitor visitors[VISITORS];
    uint32_t next; /* whose place is taken next */
};

static void dismiss(struct visitor *visitor)
{
    struct bh_poller *poller = visitor->metrics->poller;
    if (visitor->watch.fd < 0) {
        return;
    }
    poller->ops->remove(poller, &visitor->watch);
    (void)close(visitor->watch.fd);
    visitor->watch.fd = -1;
    free(visitor->answer);
    visitor->answer = NULL;
}

/* The text with its head in front of it. NULL: no memory. */
static char *make_answer(const struct bh_metrics *metrics, size_t *length)
{
    char *text = metrics->text(metrics->context);
    if (text == NULL) {
        return NULL;
    }
    char *answer = NULL;
    int all = asprintf(&answer,
                       "HTTP/1.1 200 OK\r\n"
                       "Content-Type: application/openmetrics-text; version=1.0.0; "
                       "charset=utf-8\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
                       strlen(text), text);
    if (all < 0) {
        answer = NULL;
    } else {
        *length = (size_t)all;
    }
    free(text);
    return answer;
}

static bool watch_for(struct visitor *visitor, bool room)
{
    struct bh_poller *poller = visitor->metrics->poller;
    poller->ops->remove(poller, &visitor->watch);
    visitor->watch.room = room;
    return poller->ops->add(poller, &visitor->watch) == BH_OK;
}

/* Whether it stays. */
static bool send_more(struct visitor *visitor)
{
    ssize_t count = send(visitor->watch.fd, visitor->answer + visitor->sent,
                         visitor->length - visitor->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    visitor->sent += (size_t)count;
    if (visitor->sent < visitor->length) {
        return true;
    }
    free(visitor->answer);
    visitor->answer = NULL;
    return shutdown(visitor->watch.fd, SHUT_WR) == 0 && watch_for(visitor, false);
}

/* What it asks does not matter: there is one answer. */
static bool read_more(const struct visitor *visitor)
{
    char asked[READ_SIZE];
    ssize_t count = recv(visitor->watch.fd, asked, sizeof(asked), MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

static void visitor_ready(struct bh_watch *watch)
{
    struct visitor *visitor = (struct visitor *)watch; /* its first member */
    if (!(visitor->answer != NULL ? send_more(visitor) : read_more(visitor))) {
        dismiss(visitor);
    }
}

static void listener_ready(struct bh_watch *watch)
{
    struct bh_metrics *metrics = (struct bh_metrics *)watch; /* its first member */
    struct visitor *visitor = &metrics->visitors[metrics->next];
    dismiss(visitor); /* also where no descriptor is left: its own is free then */
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    metrics->next = (metrics->next + 1u) % VISITORS;
    if (fd < 0) {
        return;
    }
    visitor->watch = (struct bh_watch){.fd = fd, .ready = visitor_ready};
    visitor->sent = 0;
    visitor->answer = make_answer(metrics, &visitor->length);
    if (visitor->answer == NULL || !watch_for(visitor, true)) {
        dismiss(visitor);
    }
}

int bh_metrics_open(struct bh_metrics **metrics, struct bh_poller *poller, int listen_fd,
                    char *(*text)(void *context), void *context)
{
    *metrics = NULL;
    struct bh_metrics *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        (void)close(listen_fd);
        return BH_NO_MEMORY;
    }
    *made = (struct bh_metrics){.watch = {.fd = listen_fd, .ready = listener_ready},
                                .poller = poller,
                                .text = text,
                                .context = context};
    for (uint32_t i = 0; i < VISITORS; i++) {
        made->visitors[i].watch.fd = -1;
        made->visitors[i].metrics = made;
    }
    int result = poller->ops->add(poller, &made->watch);
    if (result != BH_OK) {
        (void)close(listen_fd);
        free(made);
        return result;
    }
    *metrics = made;
    return BH_OK;
}

void bh_metrics_close(struct bh_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (uint32_t i = 0; i < VISITORS; i++) {
        dismiss(&metrics->visitors[i]);
    }
    metrics->poller->ops->remove(metrics->poller, &metrics->watch);
    (void)close(metrics->watch.fd);
    free(metrics);
}
