/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of a vhost-user front end: a request and its answer, one at a time, and the back end's own
 * requests in between. What the messages mean is said elsewhere.
 *
 * An answer that does not fit its request, or comes too late, leaves the stream of no use: what came
 * next could not be told from it. So the first such error breaks the connection for good.
 */
#include "vu.h"

/* How many of the back end's requests are served in one go, and how often they may put off the
 * answer that is being waited for: a back end that talks without end is not listened to. */
#define BACKEND_REQUESTS_MAX 16u
#define INTERRUPTIONS_MAX    16u

void bh_vu_message_init(struct bh_vu_message *message, uint32_t request)
{
    bh_fill(message, 0, sizeof(*message));
    message->header.request = request;
}

void bh_vu_fd_close(const struct bh_vu_frontend *frontend, int32_t *fd)
{
    if (*fd >= 0) {
        frontend->channel->close(frontend->context, *fd);
    }
    *fd = -1;
}

static void close_all(const struct bh_vu_frontend *frontend, struct bh_vu_message *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++) {
        bh_vu_fd_close(frontend, &message->fds[i]);
    }
    message->fd_count = 0;
}

/* One request of the back end. Only the configuration change is known, and anything else noted for the
 * owner, who may think it worth ending the back end; a request that wants an answer gets one in any
 * case, since the back end may wait for it. */
static int serve_one(struct bh_vu_frontend *frontend)
{
    struct bh_vu_message message;
    int result = frontend->channel->receive(frontend->context, BH_VU_LINE_BACKEND, &message);

    if (result != BH_OK) {
        return result;
    }
    close_all(frontend, &message);

    const bool known = message.header.request == (uint32_t)BH_VU_BACKEND_CONFIG_CHANGE &&
                       message.header.size == 0u;

    if (known) {
        frontend->generation++;
        frontend->config_changed = true;
    } else {
        frontend->strange = true;
        frontend->strange_request = message.header.request;
    }
    if ((message.header.flags & BH_VU_NEED_REPLY) != 0u) {
        const uint32_t request = message.header.request;

        bh_vu_message_init(&message, request);
        message.header.flags = BH_VU_VERSION | BH_VU_REPLY;
        message.header.size = sizeof(message.payload.u64);
        message.payload.u64 = known ? 0u : 1u;
        result = frontend->channel->send(frontend->context, BH_VU_LINE_BACKEND, &message);
    }
    return result;
}

void bh_vu_backend_serve(struct bh_vu_frontend *frontend)
{
    for (uint32_t i = 0; i < BACKEND_REQUESTS_MAX && frontend->backend_line; i++) {
        int result = serve_one(frontend);

        if (result == BH_AGAIN) {
            break;
        }
        if (result != BH_OK) {
            /* A broken second line is no reason to lose the first. */
            frontend->backend_line = false;
        }
    }
}

/* Waits for the answer to `request`. */
static int receive_answer(struct bh_vu_frontend *frontend, uint32_t request,
                          struct bh_vu_message *message)
{
    int result = BH_AGAIN;

    for (uint32_t i = 0; i < INTERRUPTIONS_MAX && result == BH_AGAIN; i++) {
        result = frontend->channel->receive(frontend->context, BH_VU_LINE_MAIN, message);
        if (result == BH_AGAIN) {
            bh_vu_backend_serve(frontend);
        }
    }
    if (result != BH_OK) {
        return result == BH_AGAIN ? BH_TIMEOUT : result;
    }
    if (message->header.request != request ||
        (message->header.flags & (BH_VU_VERSION_MASK | BH_VU_REPLY)) !=
            (BH_VU_VERSION | BH_VU_REPLY)) {
        close_all(frontend, message);
        return BH_PROTOCOL;
    }
    return BH_OK;
}

static int broken(struct bh_vu_frontend *frontend, int error)
{
    frontend->broken = true;
    return error;
}

int bh_vu_frontend_request(struct bh_vu_frontend *frontend, struct bh_vu_message *message,
                           bool has_reply)
{
    const uint32_t request = message->header.request;
    const bool acknowledged = !has_reply && bh_vu_has(frontend, BH_VU_PROTOCOL_F_REPLY_ACK);

    if (frontend->broken) {
        return BH_GONE;
    }
    message->header.flags = BH_VU_VERSION | (acknowledged ? BH_VU_NEED_REPLY : 0u);

    int result = frontend->channel->send(frontend->context, BH_VU_LINE_MAIN, message);

    if (result != BH_OK) {
        return broken(frontend, result);
    }
    if (has_reply) {
        result = receive_answer(frontend, request, message);
        return result == BH_OK ? BH_OK : broken(frontend, result);
    }
    if (!acknowledged) {
        return BH_OK;
    }

    struct bh_vu_message answer;

    result = receive_answer(frontend, request, &answer);
    if (result != BH_OK) {
        return broken(frontend, result);
    }
    close_all(frontend, &answer);
    if (answer.header.size != sizeof(answer.payload.u64)) {
        return broken(frontend, BH_PROTOCOL);
    }
    return answer.payload.u64 == 0u ? BH_OK : BH_DENIED;
}

int bh_vu_get(struct bh_vu_frontend *frontend, struct bh_vu_message *message, uint32_t size,
              uint32_t fds)
{
    const int result = bh_vu_frontend_request(frontend, message, true);

    if (result != BH_OK) {
        return result;
    }
    if (message->header.size != size || message->fd_count != fds) {
        close_all(frontend, message);
        return broken(frontend, BH_PROTOCOL);
    }
    return BH_OK;
}

int bh_vu_get_u64(struct bh_vu_frontend *frontend, uint32_t request, uint64_t *value)
{
    struct bh_vu_message message;

    bh_vu_message_init(&message, request);

    const int result = bh_vu_get(frontend, &message, sizeof(message.payload.u64), 0);

    if (result == BH_OK) {
        *value = message.payload.u64;
    }
    return result;
}

int bh_vu_set_u64(struct bh_vu_frontend *frontend, uint32_t request, uint64_t value)
{
    struct bh_vu_message message;

    bh_vu_message_init(&message, request);
    message.header.size = sizeof(message.payload.u64);
    message.payload.u64 = value;
    return bh_vu_frontend_request(frontend, &message, false);
}

int bh_vu_set_state(struct bh_vu_frontend *frontend, uint32_t request, uint16_t index,
                    uint32_t number)
{
    struct bh_vu_message message;

    bh_vu_message_init(&message, request);
    message.header.size = sizeof(message.payload.state);
    message.payload.state.index = index;
    message.payload.state.number = number;
    return bh_vu_frontend_request(frontend, &message, false);
}

int bh_vu_set_fd(struct bh_vu_frontend *frontend, struct bh_vu_message *message, int32_t fd)
{
    message->fds[0] = fd;
    message->fd_count = 1;
    return bh_vu_frontend_request(frontend, message, false);
}
