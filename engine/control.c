/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket, the supervisor's end: accepts, checks who it is, reads one message of one
 * peer at a time, answers it at once. What a request means is the handlers' business.
 *
 * States of a peer:
 *   free      no connection.
 *             somebody connects who may -> connected
 *   connected requests are answered, one for each turn of the loop.
 *             attach succeeded -> attached
 *   attached  as connected, and resize means something.
 *   In both: it hangs up, or has no room for its answer -> free
 *
 * Nobody is waited for: a peer that does not read its answers is dropped when its socket is full.
 */
#include "bulkhead/engine_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <jansson.h>

#include "control_folder.h"

#define SIZE_MOST 65535 /* rows and columns */

struct control_peer {
    struct bh_watch watch; /* first; fd -1: free */
    struct bh_control *control;
    struct bh_control_who who;
    bool attached;
    uint32_t terminal; /* its number */
};

struct bh_control {
    struct bh_watch watch; /* first; the listening socket */
    struct bh_poller *poller;
    struct bh_control_handlers handlers;
    void *context;
    struct bh_control_folder folder;
    char name[BH_NAME_MAX + 1u];
    int spare_fd; /* given up to accept one more, when the process has no descriptor left */
    struct control_peer peers[BH_CONTROL_PEERS];
    char buffer[BH_CONTROL_BYTES_MAX + 1u];
};

/* ------------------------------------------------------------------------------------------------
 * answers */

static void peer_close(struct control_peer *peer)
{
    struct bh_poller *poller = peer->control->poller;
    poller->ops->remove(poller, &peer->watch);
    (void)close(peer->watch.fd);
    peer->watch.fd = -1;
    peer->attached = false;
}

/* Sends one message, whole, without waiting; with a descriptor if `passed` >= 0. */
static bool send_message(int fd, struct iovec *parts, size_t count, int passed)
{
    union {
        struct cmsghdr header; /* for its alignment */
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    if (passed >= 0) {
        memset(&space, 0, sizeof(space));
        message.msg_control = space.bytes;
        message.msg_controllen = sizeof(space.bytes);
        struct cmsghdr *header = &space.header;
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof(passed));
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static struct iovec part(const char *text)
{
    /* sendmsg does not write through it. */
    return (struct iovec){.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
}

static bool answer_ok(const struct control_peer *peer, int passed)
{
    struct iovec text = part("{\"ok\": true}");
    return send_message(peer->watch.fd, &text, 1, passed);
}

static bool send_error(int fd, const char *why)
{
    json_t *answer = json_pack("{s:b, s:s}", "ok", 0, "error", why);
    char *text = answer != NULL ? json_dumps(answer, 0) : NULL;
    struct iovec whole = part(text != NULL ? text : "{\"ok\": false, \"error\": \"no memory\"}");
    bool sent = send_message(fd, &whole, 1, -1);
    free(text);
    json_decref(answer);
    return sent;
}

static bool answer_error(const struct control_peer *peer, const char *why)
{
    return send_error(peer->watch.fd, why);
}

static bool answer_result(const struct control_peer *peer, int result, const char *why)
{
    if (result == BH_OK) {
        return answer_ok(peer, -1);
    }
    return answer_error(peer, why != NULL ? why : bh_error_name(result));
}

/* ------------------------------------------------------------------------------------------------
 * requests: each returns whether the answer was sent */

static bool request_status(struct control_peer *peer, json_t *request)
{
    static const char begin[] = "{\"ok\": true, \"status\": ";
    const char *name;
    const char *guest = NULL;
    const char *why = "no memory";
    struct bh_control *control = peer->control;
    if (json_unpack(request, "{s:s, s?s!}", "request", &name, "guest", &guest) != 0) {
        return answer_error(peer, "status takes \"guest\", or nothing for all");
    }
    char *status = control->handlers.status(control->context, guest, &why);
    if (status == NULL) {
        return answer_error(peer, why);
    }
    struct iovec parts[] = {part(begin), part(status), part("}")};
    bool sent;
    if (parts[0].iov_len + parts[1].iov_len + parts[2].iov_len > BH_CONTROL_BYTES_MAX) {
        sent = answer_error(peer, "the status is too long for a message");
    } else {
        sent = send_message(peer->watch.fd, parts, sizeof(parts) / sizeof(parts[0]), -1);
    }
    free(status);
    return sent;
}

static bool request_stop(struct control_peer *peer, json_t *request)
{
    const char *name;
    const char *guest = NULL;
    const char *why = NULL;
    struct bh_control *control = peer->control;
    if (json_unpack(request, "{s:s, s?s!}", "request", &name, "guest", &guest) != 0) {
        return answer_error(peer, "stop takes \"guest\", or nothing for all");
    }
    int result = control->handlers.stop(control->context, &peer->who, guest, &why);
    return answer_result(peer, result, why);
}

static bool request_attach(struct control_peer *peer, json_t *request)
{
    const char *name;
    struct bh_control_terminal wanted = {NULL, NULL, NULL};
    const char *why = NULL;
    int fd = -1;
    struct bh_control *control = peer->control;
    if (json_unpack(request, "{s:s, s:s, s?s, s?s!}", "request", &name, "guest", &wanted.guest,
                    "device", &wanted.device, "port", &wanted.port) != 0) {
        return answer_error(peer, "attach takes \"guest\", and may take \"device\" and \"port\"");
    }
    if (peer->attached) {
        return answer_error(peer, "this connection has attached already; connect once more");
    }
    int result =
        control->handlers.attach(control->context, &peer->who, &wanted, &fd, &peer->terminal, &why);
    if (result != BH_OK) {
        return answer_result(peer, result, why);
    }
    peer->attached = true;
    bool sent = answer_ok(peer, fd);
    (void)close(fd);
    return sent;
}

static bool request_resize(struct control_peer *peer, json_t *request)
{
    const char *name;
    json_int_t rows;
    json_int_t columns;
    struct bh_control *control = peer->control;
    if (json_unpack(request, "{s:s, s:I, s:I!}", "request", &name, "rows", &rows, "columns",
                    &columns) != 0 ||
        rows < 0 || rows > SIZE_MOST || columns < 0 || columns > SIZE_MOST) {
        return answer_error(peer, "resize takes \"rows\" and \"columns\", 0 to 65535");
    }
    if (!peer->attached) {
        return answer_error(peer, "no terminal is attached here; attach first");
    }
    control->handlers.resize(control->context, peer->terminal, (uint16_t)rows, (uint16_t)columns);
    return answer_ok(peer, -1);
}

static bool answer_modes(const struct control_peer *peer, const struct bh_control_modes *modes)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < modes->count; i++) {
        (void)json_array_append_new(names, json_string(modes->names[i]));
    }
    json_t *answer = json_pack("{s:b, s:s, s:o}", "ok", 1, "mode", modes->now, "modes", names);
    char *text = answer != NULL ? json_dumps(answer, 0) : NULL;
    json_decref(answer);
    if (text == NULL) {
        return answer_error(peer, "no memory");
    }
    struct iovec whole = part(text);
    bool sent = send_message(peer->watch.fd, &whole, 1, -1);
    free(text);
    return sent;
}

static bool request_mode(struct control_peer *peer, json_t *request)
{
    const char *name;
    const char *wanted = NULL;
    const char *why = NULL;
    struct bh_control_modes modes = {.count = 0};
    struct bh_control *control = peer->control;
    if (json_unpack(request, "{s:s, s?s!}", "request", &name, "mode", &wanted) != 0) {
        return answer_error(peer, "mode takes \"mode\", or nothing to ask which holds");
    }
    int result = control->handlers.mode(control->context, &peer->who, wanted, &modes, &why);
    return result == BH_OK ? answer_modes(peer, &modes) : answer_result(peer, result, why);
}

static const struct {
    const char *name;
    bool (*serve)(struct control_peer *peer, json_t *request);
} requests[] = {
    {"status", request_status}, {"stop", request_stop}, {"attach", request_attach},
    {"resize", request_resize}, {"mode", request_mode},
};

static bool serve(struct control_peer *peer, size_t length)
{
    json_t *request = json_loadb(peer->control->buffer, length, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(request, "request"));
    bool sent = false;
    bool known = false;
    for (size_t i = 0; name != NULL && !known && i < sizeof(requests) / sizeof(requests[0]); i++) {
        known = strcmp(name, requests[i].name) == 0;
        if (known) {
            sent = requests[i].serve(peer, request);
        }
    }
    if (!known) {
        sent = answer_error(peer, "the request is one of status, stop, attach, resize and mode");
    }
    json_decref(request);
    return sent;
}

static void peer_ready(struct bh_watch *watch)
{
    struct control_peer *peer = (struct control_peer *)watch; /* its first member */
    /* Descriptors that come along find no room and are closed by the kernel. */
    ssize_t length =
        recv(watch->fd, peer->control->buffer, BH_CONTROL_BYTES_MAX, MSG_DONTWAIT | MSG_TRUNC);
    bool good;
    if (length < 0) {
        good = errno == EAGAIN || errno == EINTR;
    } else if (length == 0) {
        good = false;
    } else if ((size_t)length > BH_CONTROL_BYTES_MAX) {
        good = answer_error(peer, "the message is too long");
    } else {
        good = serve(peer, (size_t)length);
    }
    if (!good) {
        peer_close(peer);
    }
}

/* ------------------------------------------------------------------------------------------------
 * connections */

/* Whether the peer is the same user, or root; and who it is. */
static bool peer_may(int fd, struct bh_control_who *who)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof(peer)) {
        return false;
    }
    *who = (struct bh_control_who){.pid = peer.pid, .uid = peer.uid};
    return peer.uid == geteuid() || peer.uid == 0;
}

static struct control_peer *peer_free(struct bh_control *control)
{
    for (uint32_t i = 0; i < BH_CONTROL_PEERS; i++) {
        if (control->peers[i].watch.fd < 0) {
            return &control->peers[i];
        }
    }
    return NULL;
}

static void peer_add(struct bh_control *control, int fd)
{
    struct control_peer *peer = peer_free(control);
    struct bh_control_who who;
    if (!peer_may(fd, &who)) {
        (void)close(fd);
        return;
    }
    if (peer == NULL) {
        (void)send_error(fd, "too many programs talk to this platform; end one of them");
        (void)close(fd);
        return;
    }
    peer->watch.fd = fd;
    peer->who = who;
    if (control->poller->ops->add(control->poller, &peer->watch) != BH_OK) {
        peer_close(peer);
    }
}

/* Without a descriptor the connection would wait, and the loop would be woken for it again and
 * again: one is taken from the reserve to turn it away. */
static void turn_away(struct bh_control *control)
{
    if (control->spare_fd < 0) {
        return;
    }
    (void)close(control->spare_fd);
    int fd = accept4(control->watch.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
    }
    control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* One for each turn: those that have hung up already are seen before the next one needs a place. */
static void listener_ready(struct bh_watch *watch)
{
    struct bh_control *control = (struct bh_control *)watch; /* its first member */
    int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        peer_add(control, fd);
    } else if (errno == EMFILE || errno == ENFILE) {
        turn_away(control);
    } /* else: it went again, and the next one is for the next turn */
}

/* ------------------------------------------------------------------------------------------------
 * opening and closing */

/* The socket is made in a folder that nobody else can look into. */
static int listener_open(struct bh_control *control, const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return bh_control_error(errno);
    }
    int result = BH_OK;
    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
        listen(fd, (int)BH_CONTROL_PEERS) != 0) {
        result = bh_control_error(errno);
    } else {
        control->watch.fd = fd;
        result = control->poller->ops->add(control->poller, &control->watch);
    }
    if (result != BH_OK) {
        (void)close(fd);
    }
    return result;
}

static struct bh_control *control_make(struct bh_poller *poller, const char *name,
                                       const struct bh_control_handlers *handlers, void *context)
{
    struct bh_control *control = calloc(1, sizeof(*control));
    if (control == NULL) {
        return NULL;
    }
    control->watch = (struct bh_watch){.fd = -1, .ready = listener_ready};
    control->poller = poller;
    control->handlers = *handlers;
    control->context = context;
    memcpy(control->name, name, strlen(name) + 1u);
    for (uint32_t i = 0; i < BH_CONTROL_PEERS; i++) {
        control->peers[i].watch = (struct bh_watch){.fd = -1, .ready = peer_ready};
        control->peers[i].control = control;
    }
    return control;
}

static int control_start(struct bh_control *control, char *folder, size_t folder_size, int *pid)
{
    struct sockaddr_un address;
    int result = bh_control_folder_take(&control->folder, control->name, folder, folder_size, pid);
    if (result != BH_OK) {
        return result;
    }
    char *name = strrchr(folder, '/'); /* what was taken is RUNTIME/NAME */
    *name = '\0';
    result = bh_control_address(folder, control->name, &address);
    *name = '/';
    if (result == BH_OK) {
        result = listener_open(control, &address);
    }
    if (result == BH_OK) {
        control->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    } else {
        bh_control_folder_release(&control->folder, control->name);
    }
    return result;
}

int bh_control_open(struct bh_control **control, struct bh_poller *poller, const char *name,
                    const struct bh_control_handlers *handlers, void *context, char *folder,
                    size_t folder_size, int *pid)
{
    *control = NULL;
    *pid = 0;
    if (folder_size == 0) {
        return BH_INVALID;
    }
    folder[0] = '\0';
    if (!bh_control_name_valid(name)) {
        return BH_INVALID;
    }
    struct bh_control *made = control_make(poller, name, handlers, context);
    if (made == NULL) {
        return BH_NO_MEMORY;
    }
    int result = control_start(made, folder, folder_size, pid);
    if (result != BH_OK) {
        free(made);
        return result;
    }
    *control = made;
    return BH_OK;
}

void bh_control_close(struct bh_control *control)
{
    if (control == NULL) {
        return;
    }
    for (uint32_t i = 0; i < BH_CONTROL_PEERS; i++) {
        if (control->peers[i].watch.fd >= 0) {
            peer_close(&control->peers[i]);
        }
    }
    control->poller->ops->remove(control->poller, &control->watch);
    (void)close(control->watch.fd);
    if (control->spare_fd >= 0) {
        (void)close(control->spare_fd);
    }
    bh_control_folder_release(&control->folder, control->name);
    free(control);
}

const char *bh_control_advice(int error)
{
    switch (error) {
    case BH_DENIED:
        return "it must be a folder that belongs to you alone (mode 0700): mend it, or set "
               "XDG_RUNTIME_DIR to one";
    case BH_GONE:
        return "it is not there: make it (mode 0700), or unset XDG_RUNTIME_DIR";
    case BH_LIMIT:
        return "its path is too long for a socket: set XDG_RUNTIME_DIR to a shorter one";
    case BH_NO_SPACE:
        return "free some space there, or set XDG_RUNTIME_DIR to a folder elsewhere";
    case BH_AGAIN:
        return "the process has no descriptor left: raise the limit (ulimit -n)";
    case BH_NO_MEMORY:
        return "the host has no memory left";
    case BH_TIMEOUT:
        return "its supervisor does not answer: see whether it is stopped or overloaded";
    default:
        return "the host's log says more (dmesg)";
    }
}
