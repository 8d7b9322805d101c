/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers for whoever connects: each connection is answered at once, whether it asks by HTTP or not at
 * all, and closed when its other end is, or when others want its place. It is not waited for: what does
 * not fit into a socket's buffer is not sent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper.h"

#define VISITORS 8u

struct visitor {
    struct bh_watch watch; /* first; fd -1: free */
    struct bh_keeper_metrics *metrics;
};

struct bh_keeper_metrics {
    struct bh_watch watch; /* first; of the listening socket */
    struct bh_poller *poller;
    char *(*text)(void *context);
    void *context;
    struct visitor visitors[VISITORS];
    uint32_t next; /* whose place is taken next */
    const char *path;
};

static void dismiss(struct visitor *visitor)
{
    if (visitor->watch.fd >= 0) {
        struct bh_poller *poller = visitor->metrics->poller;
        poller->ops->remove(poller, &visitor->watch);
        (void)close(visitor->watch.fd);
        visitor->watch.fd = -1;
    }
}

/* What it asks does not matter: there is one answer. */
static void visitor_ready(struct bh_watch *watch)
{
    char asked[1024];
    ssize_t length = recv(watch->fd, asked, sizeof(asked), MSG_DONTWAIT);
    if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
        dismiss((struct visitor *)watch); /* its first member */
    }
}

static void answer(struct bh_keeper_metrics *metrics, int fd)
{
    char head[160];
    char *text = metrics->text(metrics->context);
    if (text == NULL) {
        return;
    }
    int length = snprintf(head, sizeof(head),
                          "HTTP/1.1 200 OK\r\n"
                          "Content-Type: application/openmetrics-text; version=1.0.0; "
                          "charset=utf-8\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                          strlen(text));
    if (length > 0 &&
        send(fd, head, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE) == length) {
        (void)send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    (void)shutdown(fd, SHUT_WR);
    free(text);
}

static void knocked(struct bh_watch *watch)
{
    struct bh_keeper_metrics *metrics = (struct bh_keeper_metrics *)watch; /* its first member */
    struct visitor *visitor = &metrics->visitors[metrics->next];
    int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    metrics->next = (metrics->next + 1u) % VISITORS;
    dismiss(visitor);
    answer(metrics, fd);
    visitor->watch = (struct bh_watch){.fd = fd, .ready = visitor_ready};
    if (metrics->poller->ops->add(metrics->poller, &visitor->watch) != BH_OK) {
        (void)close(fd);
        visitor->watch.fd = -1;
    }
}

int bh_keeper_metrics_open(struct bh_keeper_metrics **metrics, struct bh_poller *poller,
                           const char *path, char *(*text)(void *context), void *context)
{
    struct bh_keeper_metrics *made = calloc(1, sizeof(*made));
    int fd = -1;
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    int result = bh_keeper_listen(path, &fd);
    if (result != BH_OK) {
        free(made);
        return result;
    }
    made->poller = poller;
    made->text = text;
    made->context = context;
    made->path = path;
    made->watch = (struct bh_watch){.fd = fd, .ready = knocked};
    for (uint32_t i = 0; i < VISITORS; i++) {
        made->visitors[i].watch.fd = -1;
        made->visitors[i].metrics = made;
    }
    result = poller->ops->add(poller, &made->watch);
    if (result != BH_OK) {
        bh_keeper_metrics_close(made);
        return result;
    }
    *metrics = made;
    return BH_OK;
}

void bh_keeper_metrics_close(struct bh_keeper_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (uint32_t i = 0; i < VISITORS; i++) {
        dismiss(&metrics->visitors[i]);
    }
    metrics->poller->ops->remove(metrics->poller, &metrics->watch);
    (void)close(metrics->watch.fd);
    (void)unlink(metrics->path);
    free(metrics);
}
