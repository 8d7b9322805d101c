/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: a message is received, checked against the table below, handled, answered. Where the
 * owner keeps what a successor needs (keep.c), it stays in the socket until what it changed is kept, and
 * a session may begin in the middle (adopt.c). The states, and what is allowed in each:
 *
 *   idle      no front end. The listening socket is watched, and nothing else.
 *   open      connected; features are not set (or a reset took them back). Negotiation
 *             (GET/SET_FEATURES, GET/SET_PROTOCOL_FEATURES, SET_OWNER, RESET_OWNER,
 *             GET_QUEUE_NUM), memory (SET_MEM_TABLE, GET_MAX_MEM_SLOTS, ADD_MEM_REG,
 *             REM_MEM_REG), configuration (GET_CONFIG, SET_CONFIG, SET_BACKEND_REQ_FD), status
 *             (GET_STATUS, SET_STATUS, RESET_DEVICE), and of the rings what QEMU sends before a
 *             guest runs or after it went: SET_VRING_CALL, SET_VRING_ERR, SET_VRING_ENABLE,
 *             GET_VRING_BASE.
 *   ready     features are set, no ring runs. All of the above, the rings (SET_VRING_NUM, _ADDR,
 *             _BASE, _KICK), and the in-flight region (GET_INFLIGHT_FD, SET_INFLIGHT_FD).
 *   running   some ring runs. All of `ready` but SET_INFLIGHT_FD. Of a ring that runs, size and
 *             addresses may be told again but not changed, and the position not told; features and
 *             protocol features likewise. Kick, call and error descriptors may be exchanged.
 *   draining  a message needs rings halted that have requests in flight (GET_VRING_BASE,
 *             SET_VRING_ENABLE 0, SET_MEM_TABLE, REM_MEM_REG, RESET_DEVICE, SET_STATUS 0,
 *             RESET_OWNER). Nothing is read from the socket until it was answered.
 *   closing   the front end went, or was refused, or took memory away. The rings drain, then all
 *             is let go of, then `idle`. A disk that never answers keeps the state here; the loop
 *             goes on.
 *
 * A message that is unknown, not allowed, of the wrong size, or with the wrong number of
 * descriptors ends the connection. One that is well formed and cannot be obeyed is answered with a
 * failure where the front end asked for an answer (REPLY_ACK), and otherwise ends it too, because
 * the front end could not know; but for SET_CONFIG, where it is a guest that wrote what it must
 * not.
 */
#include <string.h>
#include <unistd.h>

#include "internal.h"

#define OPEN    1u
#define READY   2u
#define RUNNING 4u
#define ALL     (OPEN | READY | RUNNING)
#define LATER   (READY | RUNNING)

#define F_CONFIG   BH_VU_PROTOCOL_F_CONFIG
#define F_SLOTS    BH_VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS
#define F_INFLIGHT BH_VU_PROTOCOL_F_INFLIGHT_SHMFD
#define F_STATUS   BH_VU_PROTOCOL_F_STATUS

enum answer {
    ACK,  /* only if asked for */
    BODY, /* always */
    HINT, /* as ACK, but a failure that nobody asked about does not matter */
};

struct rule {
    bh_vu_handler *handler; /* NULL: unknown */
    uint16_t size_min;
    uint16_t size_max;
    uint8_t fds_min;
    uint8_t fds_max;
    uint8_t states;
    uint8_t answer;
    uint64_t needs; /* protocol feature */
};

#define U64       sizeof(uint64_t)
#define STATE     sizeof(struct bh_vu_vring_state)
#define ADDRESS   sizeof(struct bh_vu_vring_address)
#define TABLE     sizeof(struct bh_vu_memory_table)
#define REGION    sizeof(struct bh_vu_single_region)
#define CONFIG    sizeof(struct bh_vu_config)
#define INFLIGHT  BH_VU_INFLIGHT_SIZE
#define INFLIGHT2 sizeof(struct bh_vu_inflight)

/* clang-format off */
static const struct rule rules[] = {
    /*                                handler                      size            fds   states  answer needs */
    [BH_VU_GET_FEATURES]          = { bh_vu_on_get_features,          0, 0,           0, 0, ALL,    BODY, 0 },
    [BH_VU_SET_FEATURES]          = { bh_vu_on_set_features,          U64, U64,       0, 0, ALL,    ACK,  0 },
    [BH_VU_SET_OWNER]             = { bh_vu_on_nothing,               0, 0,           0, 0, ALL,    ACK,  0 },
    [BH_VU_RESET_OWNER]           = { bh_vu_on_reset_owner,           0, 0,           0, 0, ALL,    ACK,  0 },
    [BH_VU_SET_MEM_TABLE]         = { bh_vu_on_set_mem_table,         8, TABLE,       1, 8, ALL,    ACK,  0 },
    [BH_VU_SET_VRING_NUM]         = { bh_vu_on_vring_num,             STATE, STATE,   0, 0, LATER,  ACK,  0 },
    [BH_VU_SET_VRING_ADDR]        = { bh_vu_on_vring_addr,            ADDRESS, ADDRESS, 0, 0, LATER, ACK, 0 },
    [BH_VU_SET_VRING_BASE]        = { bh_vu_on_vring_base,            STATE, STATE,   0, 0, LATER,  ACK,  0 },
    [BH_VU_GET_VRING_BASE]        = { bh_vu_on_get_vring_base,        STATE, STATE,   0, 0, ALL,    BODY, 0 },
    [BH_VU_SET_VRING_KICK]        = { bh_vu_on_vring_kick,            U64, U64,       0, 1, LATER,  ACK,  0 },
    [BH_VU_SET_VRING_CALL]        = { bh_vu_on_vring_call,            U64, U64,       0, 1, ALL,    ACK,  0 },
    [BH_VU_SET_VRING_ERR]         = { bh_vu_on_vring_err,             U64, U64,       0, 1, ALL,    ACK,  0 },
    [BH_VU_GET_PROTOCOL_FEATURES] = { bh_vu_on_get_protocol_features, 0, 0,           0, 0, ALL,    BODY, 0 },
    [BH_VU_SET_PROTOCOL_FEATURES] = { bh_vu_on_set_protocol_features, U64, U64,       0, 0, ALL,    ACK,  0 },
    [BH_VU_GET_QUEUE_NUM]         = { bh_vu_on_get_queue_num,         0, 0,           0, 0, ALL,    BODY, 0 },
    [BH_VU_SET_VRING_ENABLE]      = { bh_vu_on_vring_enable,          STATE, STATE,   0, 0, ALL,    ACK,  0 },
    [BH_VU_SET_BACKEND_REQ_FD]    = { bh_vu_on_set_backend_req_fd,    0, 0,           1, 1, ALL,    ACK,  BH_VU_PROTOCOL_F_BACKEND_REQ },
    [BH_VU_GET_CONFIG]            = { bh_vu_on_get_config,            12, CONFIG,     0, 0, ALL,    BODY, F_CONFIG },
    [BH_VU_SET_CONFIG]            = { bh_vu_on_set_config,            12, CONFIG,     0, 0, ALL,    HINT, F_CONFIG },
    [BH_VU_GET_INFLIGHT_FD]       = { bh_vu_on_get_inflight,          INFLIGHT, INFLIGHT2, 0, 0, LATER, BODY, F_INFLIGHT },
    [BH_VU_SET_INFLIGHT_FD]       = { bh_vu_on_set_inflight,          INFLIGHT, INFLIGHT2, 1, 1, READY, ACK, F_INFLIGHT },
    [BH_VU_RESET_DEVICE]          = { bh_vu_on_reset_device,          0, 0,           0, 0, ALL,    ACK,  BH_VU_PROTOCOL_F_RESET_DEVICE },
    [BH_VU_GET_MAX_MEM_SLOTS]     = { bh_vu_on_get_max_mem_slots,     0, 0,           0, 0, ALL,    BODY, F_SLOTS },
    [BH_VU_ADD_MEM_REG]           = { bh_vu_on_add_mem_reg,           REGION, REGION, 1, 1, ALL,    ACK,  F_SLOTS },
    [BH_VU_REM_MEM_REG]           = { bh_vu_on_rem_mem_reg,           REGION, REGION, 0, 1, ALL,    ACK,  F_SLOTS },
    [BH_VU_SET_STATUS]            = { bh_vu_on_set_status,            U64, U64,       0, 0, ALL,    ACK,  F_STATUS },
    [BH_VU_GET_STATUS]            = { bh_vu_on_get_status,            0, 0,           0, 0, ALL,    BODY, F_STATUS },
};
/* clang-format on */

/* ---- messages ---- */

static unsigned state_of(const struct bh_vu_backend *backend)
{
    if (bh_vu_rings_running(backend)) {
        return RUNNING;
    }
    return backend->session.features_set ? READY : OPEN;
}

/* The rule of a message; NULL: it is not allowed (session.detail). */
static const struct rule *admit(struct bh_vu_backend *backend, const struct bh_vu_incoming *message)
{
    const struct bh_vu_header *header = &message->header;
    const char *why = NULL;

    if (header->request >= sizeof(rules) / sizeof(rules[0]) ||
        rules[header->request].handler == NULL) {
        (void)bh_vu_because(backend, BH_UNSUPPORTED, "unknown request");
        return NULL;
    }

    const struct rule *rule = &rules[header->request];

    if ((rule->needs & ~backend->session.protocol) != 0u) {
        why = "protocol feature was not negotiated";
    } else if ((rule->states & state_of(backend)) == 0u) {
        why = "not in this state";
    } else if (header->size < rule->size_min || header->size > rule->size_max) {
        why = "payload too short or too long";
    } else if (message->fd_count < rule->fds_min || message->fd_count > rule->fds_max) {
        why = "too few or too many descriptors";
    } else {
        return rule;
    }
    (void)bh_vu_because(backend, BH_PROTOCOL, why);
    return NULL;
}

static int send_reply(struct bh_vu_backend *backend, const struct bh_vu_outgoing *reply)
{
    struct bh_vu_session *session = &backend->session;
    const struct bh_vu_header header = {
        .request = session->message.header.request,
        .flags = BH_VU_VERSION | BH_VU_REPLY,
        .size = reply->size,
    };
    int error = bh_vu_wire_send(session->socket.fd, &header, &reply->payload, reply->fd);

    return error == BH_AGAIN
               ? bh_vu_because(backend, BH_PROTOCOL, "front end does not read its replies")
               : error;
}

/* Answers as the rule wants it. Anything but BH_OK ends the connection. */
static int answer(struct bh_vu_backend *backend, const struct rule *rule, int result,
                  struct bh_vu_outgoing *reply)
{
    const struct bh_vu_session *session = &backend->session;
    bool asked = (session->message.header.flags & BH_VU_NEED_REPLY) != 0u &&
                 (session->protocol & BH_VU_PROTOCOL_F_REPLY_ACK) != 0u;

    if (result == BH_PROTOCOL || result == BH_STATE) {
        return result;
    }
    if (rule->answer == BODY) {
        return result == BH_OK ? send_reply(backend, reply) : result;
    }
    if (!asked) {
        return rule->answer == HINT ? BH_OK : result;
    }
    reply->size = sizeof(reply->payload.u64);
    reply->payload.u64 = result == BH_OK ? 0u : 1u;
    return send_reply(backend, reply);
}

static void pause_reading(struct bh_vu_backend *backend)
{
    backend->poller->ops->remove(backend->poller, &backend->session.socket);
}

/* False: the session is over, and the back end is perhaps no more. */
static bool handle(struct bh_vu_backend *backend)
{
    struct bh_vu_session *session = &backend->session;
    const struct rule *rule = &rules[session->message.header.request];
    struct bh_vu_outgoing reply;
    int result;

    memset(&reply, 0, sizeof(reply));
    reply.fd = -1;
    session->waiting = false;
    session->detail = "failed";
    result = rule->handler(backend, &session->message, &reply);
    if (result == BH_AGAIN) {
        session->waiting = true;
        pause_reading(backend);
        return true;
    }
    session->again = false;
    bh_vu_keep_commit(backend);
    int taken = bh_vu_wire_take_off(session->socket.fd, &session->message, &session->detail);

    result = taken != BH_OK ? taken : answer(backend, rule, result, &reply);
    bh_vu_close(&reply.fd);
    if (result == BH_GONE) {
        bh_vu_session_end(backend, BH_VU_EVENT_DISCONNECTED, NULL);
    } else if (result != BH_OK) {
        bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, session->detail);
    } else {
        bh_vu_wire_clear(&session->message);
    }
    return result == BH_OK;
}

static void on_message(struct bh_watch *watch)
{
    struct bh_vu_backend *backend = watch->context;
    struct bh_vu_session *session = &backend->session;
    const char *reason = NULL;
    int result = backend->setup.keep_ops != NULL
                     ? bh_vu_wire_peek(watch->fd, &session->message, &reason)
                     : bh_vu_wire_receive(watch->fd, &session->message, &reason);

    if (result == BH_GONE) {
        bh_vu_session_end(backend, BH_VU_EVENT_DISCONNECTED, NULL);
    } else if (result == BH_PROTOCOL) {
        bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, reason);
    } else if (result == BH_OK) {
        if (admit(backend, &session->message) != NULL) {
            (void)handle(backend);
        } else {
            bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, session->detail);
        }
    }
}

/* ---- life ---- */

bool bh_vu_session_open(struct bh_vu_backend *backend, int socket)
{
    struct bh_vu_session *session = &backend->session;

    memset(session, 0, sizeof(*session));
    session->channel = -1;
    session->socket.fd = -1;
    if (bh_vu_watch(backend, &session->socket, socket, on_message, backend) != BH_OK) {
        bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, "connection cannot be watched");
        return false;
    }
    return true;
}

void bh_vu_session_begin(struct bh_vu_backend *backend, int socket)
{
    bh_vu_notify(backend, BH_VU_EVENT_CONNECTED, NULL, 0, 0);
    if (bh_vu_session_open(backend, socket)) {
        bh_vu_keep_commit(backend);
    }
}

void bh_vu_session_drop(struct bh_vu_backend *backend)
{
    struct bh_vu_session *session = &backend->session;

    for (uint16_t i = 0; i < backend->ring_count; i++) {
        bh_vu_ring_reset(&backend->rings[i], true);
    }
    (void)bh_device_reset(backend->device);
    bh_vu_inflight_drop(backend);
    bh_vu_regions_clear(backend);
    bh_vu_close(&session->channel);
    bh_vu_wire_clear(&session->message);
    bh_vu_unwatch(backend, &session->socket);
    backend->memory_lost = false;
    session->features_set = false;
    session->waiting = false;
    session->closing = false;
}

static void close_if_drained(struct bh_vu_backend *backend)
{
    if (bh_vu_rings_halt(backend) == BH_OK) {
        if (backend->setup.journal != NULL) {
            /* The next front end brings another guest. */
            bh_vu_inflight_forget(backend);
        }
        bh_vu_session_drop(backend);
        bh_vu_keep_commit(backend);
        bh_vu_backend_rest(backend);
    }
}

void bh_vu_session_end(struct bh_vu_backend *backend, enum bh_vu_event event, const char *detail)
{
    struct bh_vu_session *session = &backend->session;

    if (session->closing) {
        return;
    }
    session->closing = true;
    session->waiting = false;
    pause_reading(backend);
    bh_vu_notify(backend, event, detail, session->message.header.request, 0);
    bh_vu_keep_commit(backend);
    close_if_drained(backend);
}

void bh_vu_session_go_on(struct bh_vu_backend *backend)
{
    if (backend->session.closing) {
        close_if_drained(backend);
    } else if (backend->session.waiting && handle(backend) && !backend->session.waiting) {
        /* Answered: messages are read again. */
        if (backend->poller->ops->add(backend->poller, &backend->session.socket) != BH_OK) {
            bh_vu_session_end(backend, BH_VU_EVENT_REFUSED, "connection cannot be watched");
        }
    }
}
