/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: descriptors by epoll, level-triggered, and tasks. Signals and timers are
 * descriptors like any other (loop_sources.c). It holds no time of its own, so an idle process
 * sleeps until a descriptor speaks.
 */
#include "bulkhead/host_loop.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

static struct bh_loop *loop_of(struct bh_poller *poller)
{
    return (struct bh_loop *)poller; /* its first member */
}

static int loop_add(struct bh_poller *poller, struct bh_watch *watch)
{
    struct epoll_event event = {.events = watch->room ? EPOLLOUT : EPOLLIN | EPOLLRDHUP,
                                .data = {.ptr = watch}};
    if (epoll_ctl(loop_of(poller)->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event) != 0) {
        return errno == ENOSPC || errno == ENOMEM ? BH_LIMIT : BH_INVALID;
    }
    watch->added = true;
    return BH_OK;
}

static void loop_remove(struct bh_poller *poller, struct bh_watch *watch)
{
    struct bh_loop *loop = loop_of(poller);
    if (!watch->added) {
        return;
    }
    /* It fails only for a descriptor that is closed already, and that epoll has forgotten then. */
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->added = false;
    /* An event of this turn that still waits for its call must not find the watch. */
    for (int i = 0; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

static void loop_post(struct bh_poller *poller, struct bh_task *task)
{
    struct bh_task_list *list = &loop_of(poller)->posted;
    if (task->posted) {
        return;
    }
    task->posted = true;
    task->next = NULL;
    if (list->last != NULL) {
        list->last->next = task;
    } else {
        list->first = task;
    }
    list->last = task;
}

static void list_remove(struct bh_task_list *list, const struct bh_task *task)
{
    struct bh_task *before = NULL;
    for (struct bh_task *at = list->first; at != NULL; before = at, at = at->next) {
        if (at != task) {
            continue;
        }
        if (before != NULL) {
            before->next = at->next;
        } else {
            list->first = at->next;
        }
        if (list->last == at) {
            list->last = before;
        }
        return;
    }
}

static void loop_cancel(struct bh_poller *poller, struct bh_task *task)
{
    struct bh_loop *loop = loop_of(poller);
    if (task->posted) {
        list_remove(&loop->posted, task);
        list_remove(&loop->running, task);
        task->posted = false;
    }
}

static const struct bh_poller_ops loop_ops = {
    .add = loop_add,
    .remove = loop_remove,
    .post = loop_post,
    .cancel = loop_cancel,
};

int bh_loop_init(struct bh_loop *loop)
{
    *loop = (struct bh_loop){.poller = {.ops = &loop_ops}};
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        return errno == ENOMEM ? BH_NO_MEMORY : BH_LIMIT;
    }
    return BH_OK;
}

void bh_loop_finish(struct bh_loop *loop)
{
    (void)close(loop->epoll_fd);
    loop->epoll_fd = -1;
}

/* Calls the watches of this turn. Each may remove any other. */
static void run_events(struct bh_loop *loop)
{
    for (int i = 0; i < loop->event_count; i++) {
        struct bh_watch *watch = loop->events[i].data.ptr;
        if (watch != NULL) {
            watch->ready(watch);
        }
    }
    loop->event_count = 0;
}

/* Runs what was posted so far. What these tasks post is for the next turn: an endless chain of
 * tasks cannot keep descriptors waiting. */
static void run_tasks(struct bh_loop *loop)
{
    loop->running = loop->posted;
    loop->posted = (struct bh_task_list){NULL, NULL};
    while (loop->running.first != NULL) {
        struct bh_task *task = loop->running.first;
        list_remove(&loop->running, task);
        task->posted = false;
        task->run(task);
    }
}

int bh_loop_turn(struct bh_loop *loop, int timeout)
{
    int count = epoll_wait(loop->epoll_fd, loop->events, (int)BH_LOOP_EVENTS,
                           loop->posted.first != NULL ? 0 : timeout);
    if (count < 0) {
        if (errno != EINTR) {
            return BH_IO;
        }
        count = 0; /* the kernel's own work (io_uring) interrupts too */
    }
    loop->event_count = count;
    run_events(loop);
    run_tasks(loop);
    return BH_OK;
}

int bh_loop_run(struct bh_loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped) {
        int result = bh_loop_turn(loop, -1);
        if (result != BH_OK) {
            return result;
        }
    }
    return BH_OK;
}

void bh_loop_stop(struct bh_loop *loop)
{
    loop->stopped = true;
}
