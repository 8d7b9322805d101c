/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device behind the gate, and its back end.
 *
 * States (enum bh_gate_state, as the ledger shows them):
 *   waiting    no back end was greeted yet. A front end may be connected; it is not read: what is to
 *              be said to it (features, configuration, number of queues) is the back end's.
 *              -> serving
 *   serving    a back end was greeted and fits. It is attached (told features, memory, rings) while
 *              rings of the guest run. -> replacing, when it is over
 *   replacing  it died, hangs, lied, broke vhost-user, or did not fit: it was detached, and the parent
 *              was told (WANT), who ends it and sends the next. The guest's requests wait.
 *              -> serving; -> failed
 *   failed     there will be no other (NO_MORE), or (direct) what was in flight is lost: requests are
 *              answered with errors, for good; in direct until the guest resets the device.
 *              -> serving
 *
 * A session begins when a front end is connected, and ends with the connection. Within a session the
 * guest has seen features and a configuration, and every back end must have them; between sessions the
 * next back end may be another one. A session that a gate before this one began goes on (adoption).
 *
 * Everything that a back end's end sets off happens from the loop (bh_link_ops.over), never from within
 * a call of the relay's.
 */
#include "device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bulkhead/error.h"

void bh_gated_event(struct bh_gated *gated, enum bh_gate_reason reason, uint64_t number,
                    const char *text)
{
    bh_control_say(gated->control, BH_GATE_EVENT, gated->index, reason, number, text);
}

void bh_gated_state(struct bh_gated *gated, enum bh_gate_state state)
{
    __atomic_store_n(&gated->record->counters.state, (uint32_t)state, __ATOMIC_RELAXED);
}

/* ---- attached ---- */

void bh_gated_detach(struct bh_gated *gated, bool look)
{
    if (gated->attached) {
        gated->attached = false;
        bh_gated_serve_detach(gated, look);
    }
}

void bh_gated_attach(struct bh_gated *gated)
{
    if (gated->attached || gated->given_up || gated->agreed == 0u ||
        gated->link.state != BH_LINK_OPEN || gated->running == 0u) {
        return;
    }
    if (!bh_gated_serve_possible(gated)) {
        if (!gated->windowless) {
            gated->windowless = true;
            bh_gated_event(gated, BH_GATE_FRONT_REFUSED, 0,
                           "none of the memory that it shares lies in the device's window");
        }
        return;
    }
    const int result = bh_gated_serve_attach(gated);
    if (result == BH_OK) {
        gated->attached = true;
        return;
    }
    /* The link has mostly said why itself, and the first reason counts. */
    bh_link_end(&gated->link, BH_GATE_BACK_MISFIT, bh_error_name(result));
}

/* The driver agreed on other features, or was reset: nothing is in flight. */
static void begin_anew(struct bh_gated *gated)
{
    gated->renew = false;
    gated->unshared = false; /* a ring that starts is looked at again */
    if (gated->attached) {
        bh_gated_detach(gated, false);
        (void)bh_link_reset(&gated->link);
    }
}

/* The memory table changed, and no ring of the guest runs. Where the back end's stays the same, nothing
 * happens: front ends say the same whenever a driver starts. */
static void share_anew(struct bh_gated *gated)
{
    gated->reshare = false;
    if (gated->attached && bh_gated_serve_moved(gated)) {
        (void)bh_link_stop(&gated->link);
        bh_gated_detach(gated, true);
    }
}

/* A back end that maps the guest's rings could rewrite them for as long as it lives. */
static void look_at_rings(struct bh_gated *gated)
{
    const uint64_t running = bh_gated_serve_running(gated);
    const bool started = (running & ~gated->running) != 0u;
    gated->running = running;
    if (!started || gated->setup->mode != (uint32_t)BH_GATE_SHADOW || gated->unshared ||
        !bh_gated_serve_exposed(gated)) {
        return;
    }
    gated->unshared = true;
    bh_gated_event(gated, BH_GATE_RINGS_SHARED, 0,
                   "rings lie in memory that the back end could map: data is copied instead");
    if (gated->link.shared_most > 1u) {
        bh_link_end(&gated->link, BH_GATE_RINGS_SHARED,
                    "it has mapped memory in which rings lie now");
    }
}

/* ---- a back end comes ---- */

static bool config_as_set(const struct bh_gated *gated)
{
    for (uint32_t i = 0; i < gated->setup->config_size; i++) {
        if (((gated->config[i] ^ gated->setup->config[i]) & gated->setup->config_mask[i]) != 0u) {
            return false;
        }
    }
    return true;
}

static bool config_as_shown(const struct bh_gated *gated, const char **why)
{
    const struct bh_gate_record *record = gated->record;
    const uint32_t size = gated->setup->config_size;
    *why = "its configuration is not that of its predecessor";
    if (gated->class->config_fits != NULL) {
        return gated->class->config_fits(gated->config, size, record->config, record->config_size,
                                         why) == BH_OK;
    }
    return size == record->config_size && memcmp(gated->config, record->config, size) == 0;
}

/* Whether somebody has seen what an earlier back end is like. (A port offers the same ring features for
 * as long as it lives, and in direct those are the back end's.) */
static bool in_session(const struct bh_gated *gated)
{
    return gated->connected || gated->adopts || (gated->direct != NULL && gated->port != NULL);
}

/* NULL: the back end that was greeted can serve here. */
static const char *misfit(const struct bh_gated *gated)
{
    const char *why = NULL;
    const uint64_t offered = bh_link_offered(&gated->link);
    if ((offered & BH_F_VERSION_1) == 0u) {
        return "it does not offer VIRTIO_F_VERSION_1";
    }
    if (!config_as_set(gated)) {
        return "its configuration is not what the definition says";
    }
    if (!in_session(gated)) {
        return NULL;
    }
    if ((bh_gated_serve_needs(gated) & ~offered) != 0u) {
        return "it lacks features that its predecessor had";
    }
    if (gated->shown && bh_link_queues(&gated->link) < gated->device->queue_count) {
        return "it has fewer queues than its predecessor";
    }
    return config_as_shown(gated, &why) ? NULL : why;
}

void bh_gated_offer(struct bh_gated *gated)
{
    struct bh_gate_record *record = gated->record;
    if (!in_session(gated) && gated->link.state == BH_LINK_OPEN) {
        record->offered = bh_link_offered(&gated->link) & gated->setup->feature_mask;
        record->config_size = gated->setup->config_size;
        memcpy(record->config, gated->config, sizeof(record->config));
    }
    bh_gated_serve_offer(gated);
    gated->shown = true;
}

static void greeted(struct bh_gated *gated)
{
    struct bh_gate_counters *counters = &gated->record->counters;
    const char *why = misfit(gated);
    if (why != NULL) {
        bh_link_end(&gated->link, BH_GATE_BACK_MISFIT, why);
        return;
    }
    if (gated->shown) {
        __atomic_store_n(&counters->restarts, counters->restarts + 1u, __ATOMIC_RELAXED);
    }
    if (!in_session(gated) || !gated->shown) {
        bh_gated_offer(gated);
    }
    __atomic_store_n(&counters->generation, gated->generation, __ATOMIC_RELAXED);
    bh_gated_state(gated, gated->given_up ? BH_GATE_FAILED : BH_GATE_SERVING);
    bh_control_say(gated->control, BH_GATE_GREETED, gated->index, BH_GATE_REASON_NONE,
                   gated->generation, NULL);
}

static void take_back_end(struct bh_gated *gated, int fd, uint32_t generation)
{
    if (gated->link.state != BH_LINK_CLOSED) {
        /* The parent has ended that one already. */
        bh_gated_detach(gated, true);
        bh_link_close(&gated->link);
    }
    gated->generation = generation;
    gated->last = false;
    if (gated->given_up && gated->relay != NULL) {
        (void)close(fd); /* the guest has been told */
        return;
    }
    int result = bh_link_open(&gated->link, fd);
    if (result == BH_OK) {
        result = bh_link_config_read(&gated->link, gated->config, gated->setup->config_size);
    }
    if (result == BH_OK) {
        greeted(gated);
    }
}

/* ---- a back end goes ---- */

static void give_up(struct bh_gated *gated)
{
    if (gated->given_up) {
        return;
    }
    gated->given_up = true;
    gated->lost_at = 0;
    bh_gated_state(gated, BH_GATE_FAILED);
    if (gated->adopts && !gated->shown) {
        bh_gated_offer(gated); /* as the ledger has it */
    }
    bh_gated_serve_refuse(gated);
    bh_gated_event(gated, BH_GATE_GAVE_UP, 0, "requests are answered with errors from here on");
}

static void on_over(void *context, enum bh_gate_reason reason, const char *text)
{
    struct bh_gated *gated = context;
    const bool honest = reason == BH_GATE_BACK_DIED || reason == BH_GATE_BACK_HUNG;
    if (gated->attached) {
        bh_gated_detach(gated, honest);
        bh_gated_lost(gated);
    }
    bh_link_close(&gated->link);
    bh_gated_state(gated, gated->shown ? BH_GATE_REPLACING : BH_GATE_WAITING);
    bh_control_say(gated->control, BH_GATE_WANT, gated->index, reason, gated->generation, text);
    if (gated->last || gated->setup->restores == 0u || !bh_gated_serve_replaceable(gated)) {
        give_up(gated);
    }
}

/* The back end says that its configuration changed. */
static void on_config_changed(void *context)
{
    struct bh_gated *gated = context;
    const char *why = NULL;
    uint8_t before[BH_GATE_CONFIG_MAX];
    memcpy(before, gated->config, sizeof(before));
    if (bh_link_config_read(&gated->link, gated->config, gated->setup->config_size) != BH_OK ||
        memcmp(before, gated->config, sizeof(before)) == 0) {
        return;
    }
    /* What a successor may show otherwise, this one may, too. */
    if (!config_as_set(gated) ||
        (gated->class->config_fits != NULL && !config_as_shown(gated, &why))) {
        bh_link_end(&gated->link, BH_GATE_BACK_MISFIT,
                    why != NULL ? why : "its configuration is not what the definition says");
        return;
    }
    memcpy(gated->record->config, gated->config, sizeof(gated->record->config));
    bh_gated_serve_config(gated);
}

static void on_away(void *context, uint64_t microseconds)
{
    struct bh_gated *gated = context;
    bh_thread_away(gated->thread, microseconds);
}

static const struct bh_link_ops link_ops = {
    .called = bh_gated_called,
    .config_changed = on_config_changed,
    .over = on_over,
    .away = on_away,
};

/* ---- the thread ---- */

static void on_begin(void *context)
{
    (void)context; /* mail is there, or comes */
}

static void on_mail(void *context, const struct bh_mail *mail)
{
    struct bh_gated *gated = context;
    if (mail->front >= 0) {
        bh_gated_front_take(gated, mail->front, mail->connection);
    }
    if (mail->back >= 0) {
        take_back_end(gated, mail->back, mail->generation);
    }
    if (mail->no_more) {
        gated->last = true;
        if (gated->link.state == BH_LINK_CLOSED) {
            give_up(gated);
        }
    }
    if (mail->limits) {
        bh_gated_limits(gated);
    }
}

static void on_turned(void *context)
{
    struct bh_gated *gated = context;
    bh_gated_front(gated); /* an adopted session begins with features that were agreed on */
    if (gated->renew) {
        begin_anew(gated);
    }
    if (gated->reshare) {
        share_anew(gated);
    }
    look_at_rings(gated);
    bh_gated_attach(gated);
    bh_gated_watch(gated);
}

const struct bh_thread_ops bh_gated_thread = {
    .begin = on_begin,
    .mail = on_mail,
    .turned = on_turned,
};

/* ---- life ---- */

/* A session can be adopted when all that belongs to it was kept. */
static bool adoptable(const struct bh_gated *gated)
{
    const struct bh_vu_saved *saved = bh_ledger_saved(gated->record);
    if (!gated->ledger->adopts || saved->connected == 0u ||
        saved->region_count > BH_VU_KEEP_REGIONS) {
        return false;
    }
    for (uint32_t i = 0; i < saved->region_count; i++) {
        if (saved->slots[i] == BH_VU_KEEP_NONE) {
            continue; /* none of this device's business, and never mapped */
        }
        if (saved->slots[i] >= BH_VU_KEEP_SLOTS || gated->kept[saved->slots[i]] < 0) {
            return false;
        }
    }
    return true;
}

static uint64_t protocol_of(const struct bh_gate_device *device)
{
    uint64_t wanted = BH_VU_PROTOCOL_F_MQ | BH_VU_PROTOCOL_F_REPLY_ACK |
                      BH_VU_PROTOCOL_F_BACKEND_REQ | BH_VU_PROTOCOL_F_CONFIG |
                      BH_VU_PROTOCOL_F_RESET_DEVICE;
    if (device->mode == (uint32_t)BH_GATE_OPEN) {
        wanted |= BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS;
    }
    if (device->arena_size == 0u) {
        wanted |= BH_VU_PROTOCOL_F_INFLIGHT_SHMFD;
    }
    return wanted;
}

int bh_gated_init(struct bh_gated *gated, const struct bh_ledger *ledger, uint32_t index,
                  struct bh_control *control, struct bh_thread *thread, int *kept)
{
    memset(gated, 0, sizeof(*gated));
    gated->index = index;
    gated->ledger = ledger;
    gated->setup = &ledger->setup->devices[index];
    gated->record = bh_ledger_record(ledger, index);
    gated->control = control;
    gated->thread = thread;
    gated->class = bh_gate_class(gated->setup->type);
    gated->kept = kept;
    gated->front = -1;
    gated->adopts = adoptable(gated);
    bh_gate_memory_init(&gated->memory, ledger->setup, index);
    const struct bh_link_setup link = {
        .ops = &link_ops,
        .context = gated,
        .poller = &thread->loop.poller,
        .device = gated->setup,
        .protocol_features = protocol_of(gated->setup),
    };
    bh_link_init(&gated->link, &link);
    bh_gated_state(gated, BH_GATE_WAITING);
    const int result = bh_gated_watch_init(gated);
    return result == BH_OK ? bh_gated_serve_init(gated) : result;
}
