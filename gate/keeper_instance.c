/* SPDX-License-Identifier: BSD-2-Clause */
/* What both kinds of back ends have in common (keeper_instance.h). */
#include "keeper_instance.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#define MS_IN_S  1000u
#define NS_IN_MS 1000000u

uint64_t bh_keeper_now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * MS_IN_S + (uint64_t)now.tv_nsec / NS_IN_MS;
}

static void ticked(void *context)
{
    struct bh_instance *instance = context;
    if (!instance->alive) {
        return;
    }
    if (instance->options->command != NULL) {
        bh_instance_spawn_tick(instance);
    } else {
        bh_instance_connect_tick(instance);
    }
}

int bh_instance_init(struct bh_instance *instance, struct bh_poller *poller,
                     const struct bh_keeper_options *options, const char *folder)
{
    instance->poller = poller;
    instance->options = options;
    instance->folder = folder;
    instance->fd = -1;
    instance->peer.fd = -1;
    instance->alive = false;
    return bh_timer_init(&instance->timer, poller, ticked, instance);
}

static void hang_up(struct bh_instance *instance)
{
    if (instance->fd >= 0) {
        (void)close(instance->fd);
        instance->fd = -1;
    }
    if (instance->peer.fd >= 0) {
        instance->poller->ops->remove(instance->poller, &instance->peer);
        (void)close(instance->peer.fd);
        instance->peer.fd = -1;
    }
    bh_timer_arm(&instance->timer, 0, 0);
    if (instance->path[0] != '\0') {
        (void)unlink(instance->path);
        instance->path[0] = '\0';
    }
}

void bh_instance_finish(struct bh_instance *instance)
{
    hang_up(instance);
    bh_timer_finish(&instance->timer);
}

int bh_instance_start(struct bh_instance *instance)
{
    instance->number++;
    instance->ready = false;
    instance->ending = false;
    instance->told = false;
    instance->pid = 0;
    instance->begun_ms = bh_keeper_now_ms();
    int result = instance->options->command != NULL ? bh_instance_spawn(instance)
                                                    : bh_instance_connect(instance);
    instance->alive = result == BH_OK;
    if (result != BH_OK) {
        hang_up(instance);
    }
    return result;
}

int bh_instance_end(struct bh_instance *instance, bool now)
{
    if (!instance->alive) {
        return BH_OK;
    }
    instance->ending = true;
    if (instance->options->command == NULL) {
        return bh_instance_await(instance);
    }
    bh_instance_signal(instance, now ? SIGKILL : SIGTERM);
    return BH_OK;
}

void bh_instance_gone(struct bh_instance *instance)
{
    hang_up(instance);
    instance->alive = false;
    instance->ready = false;
    instance->over(instance);
}
