/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: watches, tasks, timers, signals, and that an idle loop sleeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bulkhead/host_loop.h"

static struct bh_loop loop;
static struct bh_poller *poller;

static int set_up(void **state)
{
    (void)state;
    poller = &loop.poller;
    return bh_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    bh_loop_finish(&loop);
    return 0;
}

/* A watch on an eventfd that counts its calls. */
struct probe {
    struct bh_watch watch; /* first */
    struct bh_watch *victim;
    int calls;
    bool drain;
};

static void probe_ready(struct bh_watch *watch)
{
    struct probe *probe = (struct probe *)watch;
    uint64_t value;
    probe->calls++;
    if (probe->drain) {
        assert_int_equal(read(watch->fd, &value, sizeof(value)), sizeof(value));
    }
    if (probe->victim != NULL) {
        poller->ops->remove(poller, probe->victim);
    }
}

static void probe_open(struct probe *probe, bool drain)
{
    *probe = (struct probe){.drain = drain};
    probe->watch = (struct bh_watch){.fd = eventfd(0, EFD_NONBLOCK), .ready = probe_ready};
    assert_int_equal(poller->ops->add(poller, &probe->watch), BH_OK);
}

static void probe_signal(const struct probe *probe)
{
    const uint64_t one = 1;
    assert_int_equal(write(probe->watch.fd, &one, sizeof(one)), sizeof(one));
}

static void probe_close(struct probe *probe)
{
    poller->ops->remove(poller, &probe->watch);
    (void)close(probe->watch.fd);
}

static void test_loop_watch_is_level_triggered(void **state)
{
    struct probe probe;
    (void)state;
    probe_open(&probe, false);
    assert_true(probe.watch.added);
    probe_signal(&probe);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(probe.calls, 2);
    poller->ops->remove(poller, &probe.watch);
    assert_false(probe.watch.added);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(probe.calls, 2);
    poller->ops->remove(poller, &probe.watch); /* once more: nothing */
    probe_close(&probe);
}

static void test_loop_refuses_what_cannot_be_watched(void **state)
{
    struct bh_watch file = {.fd = open("/proc/self/exe", O_RDONLY), .ready = probe_ready};
    struct bh_watch none = {.fd = -1, .ready = probe_ready};
    (void)state;
    assert_int_equal(poller->ops->add(poller, &file), BH_INVALID);
    assert_int_equal(poller->ops->add(poller, &none), BH_INVALID);
    assert_false(none.added);
    (void)close(file.fd);
}

static void test_loop_peer_gone_is_an_event(void **state)
{
    struct probe probe = {.calls = 0};
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    probe.watch = (struct bh_watch){.fd = ends[0], .ready = probe_ready};
    assert_int_equal(poller->ops->add(poller, &probe.watch), BH_OK);
    (void)close(ends[1]);
    assert_int_equal(bh_loop_turn(&loop, 1000), BH_OK);
    assert_int_equal(probe.calls, 1);
    probe_close(&probe);
}

/* Two are ready in one turn, and each removes the other: only one may be called. */
static void test_loop_removed_watch_is_not_called(void **state)
{
    struct probe a;
    struct probe b;
    (void)state;
    probe_open(&a, true);
    probe_open(&b, true);
    a.victim = &b.watch;
    b.victim = &a.watch;
    probe_signal(&a);
    probe_signal(&b);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(a.calls + b.calls, 1);
    probe_close(&a);
    probe_close(&b);
}

static void test_loop_watch_removes_itself(void **state)
{
    struct probe probe;
    (void)state;
    probe_open(&probe, false);
    probe.victim = &probe.watch;
    probe_signal(&probe);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    assert_int_equal(probe.calls, 1);
    probe_close(&probe);
}

/* ------------------------------------------------------------------------------------------------
 * tasks */

static char order[16];
static size_t order_length;

struct note {
    struct bh_task task; /* first */
    char name;
    bool again;
    struct bh_task *cancel;
};

static void note_run(struct bh_task *task)
{
    struct note *note = (struct note *)task;
    order[order_length] = note->name;
    order_length++;
    if (note->cancel != NULL) {
        poller->ops->cancel(poller, note->cancel);
    }
    if (note->again) {
        poller->ops->post(poller, task);
    }
}

static struct note make_note(char name)
{
    order_length = 0;
    return (struct note){.task = {.run = note_run}, .name = name};
}

static void expect_order(const char *names, size_t length)
{
    assert_int_equal(order_length, length);
    assert_memory_equal(order, names, length);
}

static void test_loop_tasks_run_once_in_order(void **state)
{
    struct note a = make_note('a');
    struct note b = make_note('b');
    (void)state;
    poller->ops->post(poller, &a.task);
    poller->ops->post(poller, &b.task);
    poller->ops->post(poller, &a.task); /* posted already */
    assert_int_equal(bh_loop_turn(&loop, -1), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    expect_order("ab", 2);
}

/* A task that goes on and on does not keep descriptors waiting, and the loop does not sleep. */
static void test_loop_task_posts_itself_for_the_next_turn(void **state)
{
    struct note a = make_note('a');
    struct probe probe;
    (void)state;
    a.again = true;
    probe_open(&probe, true);
    poller->ops->post(poller, &a.task);
    assert_int_equal(bh_loop_turn(&loop, -1), BH_OK);
    expect_order("a", 1);
    probe_signal(&probe);
    assert_int_equal(bh_loop_turn(&loop, -1), BH_OK);
    expect_order("aa", 2);
    assert_int_equal(probe.calls, 1);
    poller->ops->cancel(poller, &a.task);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    expect_order("aa", 2);
    probe_close(&probe);
}

static void test_loop_cancelled_task_does_not_run(void **state)
{
    struct note a = make_note('a');
    struct note b = make_note('b');
    struct note c = make_note('c');
    (void)state;
    a.cancel = &b.task; /* while the round runs */
    poller->ops->post(poller, &a.task);
    poller->ops->post(poller, &b.task);
    poller->ops->post(poller, &c.task);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    expect_order("ac", 2);
    poller->ops->post(poller, &c.task);
    poller->ops->cancel(poller, &c.task);
    poller->ops->cancel(poller, &c.task); /* not posted: nothing */
    poller->ops->post(poller, &b.task);
    assert_int_equal(bh_loop_turn(&loop, 0), BH_OK);
    expect_order("acb", 3);
}

/* ------------------------------------------------------------------------------------------------
 * signals, timers, sleep */

static int last_signal;

static void signal_seen(void *context, int number)
{
    last_signal = number;
    bh_loop_stop(context);
}

static void test_loop_signal_ends_it(void **state)
{
    static const int numbers[] = {SIGTERM, SIGHUP};
    struct bh_signals signals;
    sigset_t before;
    sigset_t after;
    (void)state;
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &before), 0);
    assert_int_equal(bh_signals_init(&signals, poller, numbers, 2, signal_seen, &loop), BH_OK);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(bh_loop_run(&loop), BH_OK);
    assert_int_equal(last_signal, SIGTERM);
    assert_int_equal(raise(SIGHUP), 0);
    assert_int_equal(bh_loop_run(&loop), BH_OK);
    assert_int_equal(last_signal, SIGHUP);
    bh_signals_finish(&signals);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}

static void test_loop_no_signal_of_that_number(void **state)
{
    static const int numbers[] = {1000};
    struct bh_signals signals;
    (void)state;
    assert_int_equal(bh_signals_init(&signals, poller, numbers, 1, signal_seen, &loop), BH_INVALID);
}

static int expired;

static void timer_seen(void *context)
{
    (void)context;
    expired++;
}

static void test_loop_timer_once_and_again(void **state)
{
    struct bh_timer timer;
    (void)state;
    expired = 0;
    assert_int_equal(bh_timer_init(&timer, poller, timer_seen, NULL), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 20), BH_OK);
    assert_int_equal(expired, 0);
    bh_timer_arm(&timer, 1000, 0);
    assert_int_equal(bh_loop_turn(&loop, 1000), BH_OK);
    assert_int_equal(bh_loop_turn(&loop, 20), BH_OK);
    assert_int_equal(expired, 1);
    bh_timer_arm(&timer, 1000, 1000);
    while (expired < 4) {
        assert_int_equal(bh_loop_turn(&loop, 1000), BH_OK);
    }
    bh_timer_arm(&timer, 0, 0);
    assert_int_equal(bh_loop_turn(&loop, 20), BH_OK);
    assert_int_equal(expired, 4);
    bh_timer_finish(&timer);
}

/* An idle loop sleeps: it is not woken once, though everything is there that could wake it. */
static void test_loop_idle_has_no_wake_ups(void **state)
{
    struct rusage before;
    struct rusage after;
    struct bh_timer unarmed;
    struct bh_timer end;
    (void)state;
    expired = 0;
    assert_int_equal(bh_timer_init(&unarmed, poller, timer_seen, NULL), BH_OK);
    assert_int_equal(bh_timer_init(&end, poller, timer_seen, NULL), BH_OK);
    bh_timer_arm(&end, 200000, 0);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    assert_int_equal(bh_loop_turn(&loop, -1), BH_OK);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_int_equal(expired, 1);
    assert_true(after.ru_nvcsw - before.ru_nvcsw <= 1);
    bh_timer_finish(&end);
    bh_timer_finish(&unarmed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loop_watch_is_level_triggered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_refuses_what_cannot_be_watched, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_loop_peer_gone_is_an_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_removed_watch_is_not_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_watch_removes_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_tasks_run_once_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_task_posts_itself_for_the_next_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_loop_cancelled_task_does_not_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_signal_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_no_signal_of_that_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_timer_once_and_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loop_idle_has_no_wake_ups, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
