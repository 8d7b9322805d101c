/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection to a back end: opened, spoken over, watched, ended. What is said about rings and their
 * requests is the relay's (or direct.c's); which back end fits is device.c's.
 */
#include "link.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bulkhead/error.h"

/* How long a back end may take over one conversation, where its device has no deadline. */
#define PATIENCE_MS 30000

static struct bh_link *link_of(struct bh_transport *transport)
{
    return (struct bh_link *)transport; /* its first member */
}

static void unwatch(struct bh_link *link, struct bh_watch *watch)
{
    link->setup.poller->ops->remove(link->setup.poller, watch);
}

/* ---- the end ---- */

/* What the back end said on its own line meanwhile. */
static void look_at_line(struct bh_link *link)
{
    if (link->channel.backend_fd < 0 && link->line.fd >= 0) {
        /* It closed the line, or garbled it: the channel did the same. */
        unwatch(link, &link->line);
        (void)close(link->line.fd);
        link->line.fd = -1;
    }
    if (link->garbled) {
        bh_link_end(link, BH_GATE_BACK_REFUSED, "what is no message, on its own line");
    } else if (link->frontend.strange) {
        /* Mapping memory into the guest, above all. */
        char text[BH_GATE_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "it asked for request %u, which no back end needs",
                       link->frontend.strange_request);
        bh_link_end(link, BH_GATE_BACK_REFUSED, text);
    } else if (link->frontend.config_changed) {
        link->frontend.config_changed = false;
        link->setup.ops->config_changed(link->setup.context);
    }
}

static void run_task(struct bh_task *task)
{
    struct bh_link *link = task->context;
    if (link->state == BH_LINK_OPEN) {
        look_at_line(link);
    }
    if (link->state == BH_LINK_OVER) {
        link->setup.ops->over(link->setup.context, link->reason, link->text);
    }
}

static void post(struct bh_link *link)
{
    link->setup.poller->ops->post(link->setup.poller, &link->task);
}

static void unwatch_all(struct bh_link *link)
{
    unwatch(link, &link->main);
    unwatch(link, &link->line);
    for (uint16_t i = 0; i < BH_VU_FRONTEND_QUEUES_MAX; i++) {
        unwatch(link, &link->calls[i].watch);
    }
}

void bh_link_end(struct bh_link *link, enum bh_gate_reason reason, const char *text)
{
    if (link->state != BH_LINK_OPEN) {
        return;
    }
    link->state = BH_LINK_OVER;
    link->reason = reason;
    (void)snprintf(link->text, sizeof(link->text), "%s", text);
    unwatch_all(link);
    post(link);
}

static enum bh_gate_reason reason_of(int error)
{
    switch (error) {
    case BH_TIMEOUT:
        return BH_GATE_BACK_HUNG;
    case BH_GONE:
    case BH_IO:
        return BH_GATE_BACK_DIED;
    case BH_UNSUPPORTED:
    case BH_LIMIT:
        return BH_GATE_BACK_MISFIT;
    default:
        return BH_GATE_BACK_REFUSED;
    }
}

static const char *sentence(int error)
{
    switch (error) {
    case BH_TIMEOUT:
        return "no answer in time";
    case BH_GONE:
    case BH_IO:
        return "connection closed";
    case BH_UNSUPPORTED:
    case BH_LIMIT:
        return "not possible with this back end";
    case BH_DENIED:
        return "refused by the back end";
    default:
        return "broke the protocol";
    }
}

/* ---- conversations ---- */

int bh_link_begin(struct bh_link *link)
{
    if (link->state != BH_LINK_OPEN) {
        return BH_GONE;
    }
    bh_host_channel_budget(&link->channel, link->channel.timeout_ms);
    link->setup.ops->away(link->setup.context, (uint64_t)link->channel.timeout_ms * 1000u);
    return BH_OK;
}

int bh_link_done(struct bh_link *link, int result, const char *what)
{
    link->setup.ops->away(link->setup.context, 0);
    if (result != BH_OK) {
        char text[BH_GATE_TEXT_MAX];
        (void)snprintf(text, sizeof(text), "%s: %s", what, sentence(result));
        bh_link_end(link, reason_of(result), text);
    } else if (link->frontend.config_changed || link->frontend.strange ||
               link->channel.backend_fd < 0) {
        post(link);
    }
    return result;
}

/* ---- watches ---- */

/* Outside a conversation a back end has nothing to say on the main line. */
static void on_main(struct bh_watch *watch)
{
    struct bh_link *link = watch->context;
    char byte;
    const ssize_t got = recv(watch->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
    if (got > 0) {
        bh_link_end(link, BH_GATE_BACK_REFUSED, "a message that nobody asked for");
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        bh_link_end(link, BH_GATE_BACK_DIED, "connection closed");
    }
}

static void on_line(struct bh_watch *watch)
{
    struct bh_link *link = watch->context;
    uint32_t generation;
    int result = bh_link_begin(link);
    if (result != BH_OK) {
        return;
    }
    /* Reading the generation is what serves the line. */
    result = link->frontend.transport.ops->generation(&link->frontend.transport, &generation);
    (void)bh_link_done(link, result, "the back end's line");
}

/* Not a plain read: the back end shares the description, and could make that wait. */
static void on_call(struct bh_watch *watch)
{
    struct bh_link_call *call = watch->context;
    uint64_t count;
    struct iovec part = {.iov_base = &count, .iov_len = sizeof(count)};
    if (preadv2(watch->fd, &part, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof(count)) {
        call->link->setup.ops->called(call->link->setup.context, call->queue);
    }
}

static int watch_call(struct bh_link *link, uint16_t queue)
{
    struct bh_watch *watch = &link->calls[queue].watch;
    if (watch->added) {
        return BH_OK;
    }
    watch->fd = link->frontend.queues[queue].call;
    return link->setup.poller->ops->add(link->setup.poller, watch);
}

/* ---- the transport that a relay drives ---- */

static int on_queue_start(struct bh_transport *transport, uint16_t index,
                          const struct bh_queue_areas *areas)
{
    struct bh_link *link = link_of(transport);
    struct bh_transport *back = &link->frontend.transport;
    int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    result = bh_link_done(link, back->ops->queue_start(back, index, areas), "starting a ring");
    return result == BH_OK ? watch_call(link, index) : result;
}

static int on_queue_reset(struct bh_transport *transport, uint16_t index)
{
    uint32_t base;
    return bh_link_queue_stop(link_of(transport), index, &base);
}

static int on_notify(struct bh_transport *transport, uint16_t index, uint16_t next, bool wrap)
{
    struct bh_link *link = link_of(transport);
    struct bh_transport *back = &link->frontend.transport;
    if (link->state != BH_LINK_OPEN) {
        return BH_GONE;
    }
    const int result = back->ops->notify(back, index, next, wrap);
    if (result != BH_OK) {
        bh_link_end(link, BH_GATE_BACK_HUNG, "it does not take a notification");
    }
    return result;
}

static int on_queue_size_max(struct bh_transport *transport, uint16_t index, uint16_t *size)
{
    struct bh_transport *back = &link_of(transport)->frontend.transport;
    return back->ops->queue_size_max(back, index, size);
}

static int on_config_read(struct bh_transport *transport, uint32_t offset, void *to,
                          uint32_t length)
{
    struct bh_link *link = link_of(transport);
    struct bh_transport *back = &link->frontend.transport;
    const int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    return bh_link_done(link, back->ops->config_read(back, offset, to, length),
                        "reading the configuration");
}

static int on_config_write(struct bh_transport *transport, uint32_t offset, const void *from,
                           uint32_t length)
{
    return bh_link_config_write(link_of(transport), offset, from, length);
}

static int on_device_id(struct bh_transport *transport, uint32_t *id)
{
    *id = link_of(transport)->setup.device->type;
    return BH_OK;
}

static int on_features_get(struct bh_transport *transport, uint64_t *features)
{
    *features = bh_link_offered(link_of(transport));
    return BH_OK;
}

/* Features are told with the memory (bh_link_agree), a reset is bh_link_reset, interrupts are watched:
 * a relay asks for none of these. */
static int on_features_set(struct bh_transport *transport, uint64_t features)
{
    return features == link_of(transport)->frontend.features ? BH_OK : BH_STATE;
}

static int on_status_get(struct bh_transport *transport, uint8_t *status)
{
    *status = link_of(transport)->frontend.status;
    return BH_OK;
}

static int on_status_set(struct bh_transport *transport, uint8_t status)
{
    if (status == 0u) {
        return bh_link_reset(link_of(transport));
    }
    link_of(transport)->frontend.status = status;
    return BH_OK;
}

static int on_generation(struct bh_transport *transport, uint32_t *generation)
{
    *generation = link_of(transport)->frontend.generation;
    return BH_OK;
}

static int on_interrupts(struct bh_transport *transport, uint32_t *pending)
{
    (void)transport;
    *pending = 0;
    return BH_OK;
}

static const struct bh_transport_ops link_transport = {
    .device_id = on_device_id,
    .features_get = on_features_get,
    .features_set = on_features_set,
    .status_get = on_status_get,
    .status_set = on_status_set,
    .generation = on_generation,
    .config_read = on_config_read,
    .config_write = on_config_write,
    .queue_size_max = on_queue_size_max,
    .queue_start = on_queue_start,
    .queue_reset = on_queue_reset,
    .notify = on_notify,
    .interrupts = on_interrupts,
};

/* ---- what is said ---- */

uint64_t bh_link_offered(const struct bh_link *link)
{
    return link->frontend.offered & ~(BH_VU_F_PROTOCOL_FEATURES | BH_VU_F_LOG_ALL);
}

uint16_t bh_link_queues(const struct bh_link *link)
{
    return link->frontend.queue_count;
}

bool bh_link_has(const struct bh_link *link, uint64_t protocol_feature)
{
    return (link->frontend.protocol_features & protocol_feature) != 0u;
}

int bh_link_config_read(struct bh_link *link, uint8_t *config, uint32_t size)
{
    if (size == 0u || !bh_link_has(link, BH_VU_PROTOCOL_F_CONFIG)) {
        memset(config, 0, size);
        return link->state == BH_LINK_OPEN ? BH_OK : BH_GONE;
    }
    return on_config_read(&link->transport, 0, config, size);
}

/* A back end that will not have this value is no worse for it: the driver is told. */
int bh_link_config_write(struct bh_link *link, uint32_t offset, const void *from, uint32_t length)
{
    struct bh_transport *back = &link->frontend.transport;
    int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    result = back->ops->config_write(back, offset, from, length);
    if (result == BH_DENIED || result == BH_UNSUPPORTED || result == BH_INVALID) {
        (void)bh_link_done(link, BH_OK, "");
        return BH_DENIED;
    }
    return bh_link_done(link, result, "writing the configuration");
}

static struct bh_link_file file_of(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return (struct bh_link_file){0, 0}; /* like no file */
    }
    return (struct bh_link_file){(uint64_t)status.st_dev, (uint64_t)status.st_ino};
}

bool bh_link_shares(const struct bh_link *link, const struct bh_vu_share *shares, uint32_t count)
{
    bool same = count == link->share_count;
    for (uint32_t i = 0; same && i < count; i++) {
        const struct bh_vu_share *told = &link->shares[i];
        const struct bh_link_file file = file_of(shares[i].fd);
        same = shares[i].guest_address == told->guest_address && shares[i].size == told->size &&
               shares[i].offset == told->offset && file.inode != 0u &&
               file.inode == link->files[i].inode && file.device == link->files[i].device;
    }
    return same;
}

/* Takes single slots back; a table is replaced whole. */
static int take_back(struct bh_link *link)
{
    struct bh_vu_frontend *frontend = &link->frontend;
    int result = BH_OK;
    if (!frontend->shared || !bh_link_has(link, BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS)) {
        return BH_OK;
    }
    for (uint32_t i = 0; i < link->share_count && result == BH_OK; i++) {
        struct bh_vu_message message;
        memset(&message, 0, sizeof(message));
        message.header.request = BH_VU_REM_MEM_REG;
        message.header.size = sizeof(message.payload.region);
        message.payload.region.region = (struct bh_vu_region){
            .guest_address = link->shares[i].guest_address,
            .size = link->shares[i].size,
            .user_address = link->shares[i].guest_address,
            .mmap_offset = link->shares[i].offset,
        };
        result = bh_vu_frontend_request(frontend, &message, false);
    }
    return result;
}

int bh_link_agree(struct bh_link *link, uint64_t features, const struct bh_vu_share *shares,
                  uint32_t count)
{
    struct bh_vu_frontend *frontend = &link->frontend;
    int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    if (count > BH_LINK_SHARES_MAX) {
        return bh_link_done(link, BH_LIMIT, "more memory regions than a back end is given");
    }
    if (frontend->shared && !bh_link_shares(link, shares, count)) {
        result = take_back(link);
        frontend->shared = false;
    }
    for (uint32_t i = 0; i < count; i++) {
        link->shares[i] = shares[i];
        link->files[i] = file_of(shares[i].fd);
    }
    link->share_count = count;
    link->shared_most = count > link->shared_most ? count : link->shared_most;
    frontend->shares = link->shares;
    frontend->share_count = count;
    if (result == BH_OK) {
        result = frontend->transport.ops->features_set(&frontend->transport, features);
    }
    return bh_link_done(link, result, "telling features and memory");
}

int bh_link_queue_stop(struct bh_link *link, uint16_t queue, uint32_t *base)
{
    const int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    return bh_link_done(link, bh_vu_frontend_queue_stop(&link->frontend, queue, base),
                        "stopping a ring");
}

int bh_link_stop(struct bh_link *link)
{
    uint32_t base;
    int result = BH_OK;
    for (uint16_t i = 0; i < link->frontend.queue_count && result == BH_OK; i++) {
        if (link->frontend.queues[i].started) {
            result = bh_link_queue_stop(link, i, &base);
        }
    }
    return result;
}

int bh_link_reset(struct bh_link *link)
{
    struct bh_transport *back = &link->frontend.transport;
    int result = bh_link_begin(link);
    if (result != BH_OK) {
        return result;
    }
    link->frontend.status = BH_STATUS_DRIVER_OK; /* whatever it was: it is to be reset */
    result = back->ops->status_set(back, 0);
    return bh_link_done(link, result, "resetting the device");
}

/* ---- life ---- */

/* The front end makes nothing of a line that broke. Closed in order is one thing, garbled another. */
static int receive(void *context, enum bh_vu_line line, struct bh_vu_message *message)
{
    void *around = (uint8_t *)context - offsetof(struct bh_link, channel);
    struct bh_link *link = around;
    const int result = bh_host_channel_ops.receive(context, line, message);
    if (line == BH_VU_LINE_BACKEND && (result == BH_PROTOCOL || result == BH_TIMEOUT)) {
        link->garbled = true;
    }
    return result;
}

void bh_link_init(struct bh_link *link, const struct bh_link_setup *setup)
{
    memset(link, 0, sizeof(*link));
    link->transport.ops = &link_transport;
    link->setup = *setup;
    link->state = BH_LINK_CLOSED;
    link->task = (struct bh_task){.run = run_task, .context = link};
    link->lines = bh_host_channel_ops;
    link->lines.receive = receive;
    link->channel.fd = -1;
    link->channel.backend_fd = -1;
    link->main = (struct bh_watch){.fd = -1, .ready = on_main, .context = link};
    link->line = (struct bh_watch){.fd = -1, .ready = on_line, .context = link};
    for (uint16_t i = 0; i < BH_VU_FRONTEND_QUEUES_MAX; i++) {
        link->calls[i].link = link;
        link->calls[i].queue = i;
        link->calls[i].watch =
            (struct bh_watch){.fd = -1, .ready = on_call, .context = &link->calls[i]};
    }
}

static int greet(struct bh_link *link)
{
    /* What stands here is told with the features, and by then it is another table. */
    static const struct bh_vu_share none = {.fd = -1};
    const struct bh_vu_frontend_setup setup = {
        .channel = &link->lines,
        .context = &link->channel,
        .shares = &none,
        .share_count = 1,
        .device_id = link->setup.device->type,
        .queue_count = link->setup.device->queue_count,
        .queue_size_max = link->setup.device->queue_size_max,
        .protocol_features = link->setup.protocol_features,
    };
    const int result = bh_vu_frontend_init(&link->frontend, &setup);
    /* A device without queues to ask about has as many as the setup says (no MQ). */
    if (link->frontend.queue_count > link->setup.device->queue_count) {
        link->frontend.queue_count = link->setup.device->queue_count;
    }
    return result;
}

static int watch_lines(struct bh_link *link)
{
    struct bh_poller *poller = link->setup.poller;
    link->main.fd = link->channel.fd;
    int result = poller->ops->add(poller, &link->main);
    if (result == BH_OK && link->channel.backend_fd >= 0) {
        link->line.fd = fcntl(link->channel.backend_fd, F_DUPFD_CLOEXEC, 0);
        result = link->line.fd >= 0 ? poller->ops->add(poller, &link->line) : BH_LIMIT;
    }
    return result;
}

int bh_link_open(struct bh_link *link, int fd)
{
    const uint32_t deadline = link->setup.device->deadline_ms;
    const int patience = deadline != 0u && deadline < PATIENCE_MS ? (int)deadline : PATIENCE_MS;
    if (link->state != BH_LINK_CLOSED) {
        (void)close(fd);
        return BH_STATE;
    }
    link->state = BH_LINK_OPEN;
    link->share_count = 0;
    link->shared_most = 0;
    link->garbled = false;
    int result = bh_host_channel_adopt(&link->channel, fd, patience);
    if (result == BH_OK) {
        result = bh_link_begin(link);
    }
    if (result == BH_OK) {
        result = greet(link);
    }
    result = bh_link_done(link, result, "greeting");
    if (result == BH_OK) {
        result = bh_link_done(link, watch_lines(link), "watching");
    }
    return result;
}

void bh_link_close(struct bh_link *link)
{
    if (link->state == BH_LINK_CLOSED) {
        return;
    }
    link->state = BH_LINK_CLOSED;
    unwatch_all(link);
    link->setup.poller->ops->cancel(link->setup.poller, &link->task);
    bh_vu_frontend_finish(&link->frontend);
    if (link->line.fd >= 0) {
        (void)close(link->line.fd);
        link->line.fd = -1;
    }
    bh_host_channel_close(&link->channel);
    link->main.fd = -1;
}
