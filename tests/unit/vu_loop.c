/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop of vu_rig.h: turns when it is told to, and never sleeps. */
#include <fcntl.h>
#include <poll.h>

#include "vu_rig.h"

static struct vu_loop *loop_of(struct bh_poller *poller)
{
    return (struct vu_loop *)(void *)poller;
}

static int loop_add(struct bh_poller *poller, struct bh_watch *watch)
{
    struct vu_loop *loop = loop_of(poller);

    assert_false(watch->added);
    assert_true(fcntl(watch->fd, F_GETFD) >= 0);
    for (unsigned i = 0; i < VU_WATCHES; i++) {
        if (loop->watches[i] == NULL) {
            loop->watches[i] = watch;
            watch->added = true;
            return BH_OK;
        }
    }
    return BH_LIMIT;
}

static void loop_remove(struct bh_poller *poller, struct bh_watch *watch)
{
    struct vu_loop *loop = loop_of(poller);

    for (unsigned i = 0; i < VU_WATCHES; i++) {
        if (loop->watches[i] == watch) {
            loop->watches[i] = NULL;
            watch->added = false;
        }
    }
}

static void loop_post(struct bh_poller *poller, struct bh_task *task)
{
    struct vu_loop *loop = loop_of(poller);

    if (!task->posted) {
        task->posted = true;
        task->next = loop->tasks;
        loop->tasks = task;
    }
}

static void loop_cancel(struct bh_poller *poller, struct bh_task *task)
{
    struct bh_task **at = &loop_of(poller)->tasks;

    while (*at != NULL) {
        if (*at == task) {
            *at = task->next;
            task->posted = false;
            return;
        }
        at = &(*at)->next;
    }
}

const struct bh_poller_ops vu_loop_ops = {
    .add = loop_add,
    .remove = loop_remove,
    .post = loop_post,
    .cancel = loop_cancel,
};

static bool ready(const struct bh_watch *watch)
{
    struct pollfd poll_fd = {.fd = watch->fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 1;
}

/* One turn; whether anything happened. */
static bool turn(struct vu_loop *loop)
{
    bool busy = false;
    struct bh_task *tasks;

    for (unsigned i = 0; i < VU_WATCHES; i++) {
        if (loop->watches[i] != NULL && ready(loop->watches[i])) {
            busy = true;
            loop->watches[i]->ready(loop->watches[i]);
        }
    }
    tasks = loop->tasks;
    loop->tasks = NULL;
    while (tasks != NULL) {
        struct bh_task *task = tasks;

        tasks = task->next;
        task->posted = false;
        busy = true;
        task->run(task);
    }
    return busy;
}

void vu_turn(struct vu *vu)
{
    (void)turn(&vu->loop);
}

void vu_run(struct vu *vu)
{
    unsigned turns = 0;

    while (turn(&vu->loop)) {
        turns++;
        assert_true(turns < 10000);
    }
}
