/* SPDX-License-Identifier: BSD-2-Clause */
/* A gate's parent with a gate that is the test: see gate_parent_rig.h. */
#include "gate_parent_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/host_log.h"

struct gate_parent_rig rig;

/* One more word in the log of what the owner was told. */
#define NOTE(...)                                                                                  \
    (void)snprintf(rig.log + strlen(rig.log), sizeof(rig.log) - strlen(rig.log), __VA_ARGS__)

static void on_want(void *context, uint32_t device, uint32_t generation, uint32_t reason,
                    const char *text)
{
    (void)context;
    rig.wants++;
    (void)snprintf(rig.text, sizeof(rig.text), "%s", text);
    NOTE("want(%u,%u,%s) ", device, generation, bh_gate_reason_name(reason));
}

static void on_greeted(void *context, uint32_t device, uint32_t generation)
{
    (void)context;
    NOTE("greeted(%u,%u) ", device, generation);
}

static void on_up(void *context, uint32_t device)
{
    (void)context;
    NOTE("up(%u) ", device);
}

static void on_guest(void *context, uint32_t device, const char *text)
{
    (void)context;
    rig.violations++;
    NOTE("guest(%u,%s) ", device, text);
}

static void on_event(void *context, const struct bh_gate_message *event)
{
    (void)context;
    if (rig.events++ < 4u) {
        NOTE("event(%u,%s,%s) ", event->device, bh_gate_reason_name(event->reason), event->text);
    }
}

static void on_ready(void *context)
{
    (void)context;
    NOTE("ready ");
}

static void on_front_gone(void *context, uint32_t device)
{
    (void)context;
    NOTE("front-gone(%u) ", device);
}

static void on_failed(void *context, const char *why)
{
    (void)context;
    (void)snprintf(rig.why, sizeof(rig.why), "%s", why);
    NOTE("failed ");
}

const struct bh_gate_parent_ops rig_ops = {
    .want = on_want,
    .greeted = on_greeted,
    .up = on_up,
    .guest = on_guest,
    .event = on_event,
    .ready = on_ready,
    .front_gone = on_front_gone,
    .failed = on_failed,
};

struct bh_gate_setup *rig_setup(void)
{
    static struct bh_gate_setup setup;
    memset(&setup, 0, sizeof(setup));
    (void)snprintf(setup.guest, sizeof(setup.guest), "ivi");
    setup.device_count = 2;
    setup.file_count = 1;
    setup.files[0] = (struct bh_gate_file){.address = 0x40000000u, .size = 4096, .users = 3};
    for (uint32_t i = 0; i < 2u; i++) {
        (void)snprintf(setup.devices[i].name, sizeof(setup.devices[i].name), "ivi/%u", i);
        setup.devices[i].type = 2;
        setup.devices[i].queue_count = 2;
        setup.devices[i].queue_size_max = 64;
    }
    setup.devices[0].mode = BH_GATE_DIRECT;
    setup.devices[1].mode = BH_GATE_BOUNCE;
    setup.devices[1].arena_size = RIG_ARENA;
    return &setup;
}

void rig_create(uint32_t patience_ms)
{
    const struct bh_gate_parent_setup setup = {
        .poller = &rig.loop.poller,
        .setup = rig_setup(),
        .ops = &rig_ops,
        .patience_ms = patience_ms,
    };
    assert_int_equal(bh_gate_parent_create(&rig.parent, &setup), BH_OK);
}

/* A gate is started: its end of the line stays with the test. */
void rig_start(void)
{
    assert_int_equal(bh_gate_parent_fds(rig.parent, rig.fds, &rig.fd_count), BH_OK);
    assert_true(rig.fd_count > 0u && rig.fds[0].to == BH_GATE_CONTROL_FD);
    rig.gate = fcntl(rig.fds[0].from, F_DUPFD_CLOEXEC, 0);
    assert_true(rig.gate >= 0);
    assert_int_equal(bh_gate_parent_started(rig.parent), BH_OK);
}

void rig_gate_dies(void)
{
    (void)close(rig.gate);
    rig.gate = -1;
    bh_gate_parent_ended(rig.parent);
}

void rig_forget(void)
{
    memset(rig.log, 0, sizeof(rig.log));
    memset(rig.why, 0, sizeof(rig.why));
    memset(rig.text, 0, sizeof(rig.text));
    rig.wants = 0;
    rig.events = 0;
    rig.violations = 0;
}

int rig_set_up(void **state)
{
    (void)state;
    rig_forget();
    rig.gate = -1;
    bh_log_open("test", BH_LOG_ERROR);
    return bh_loop_init(&rig.loop);
}

int rig_tear_down(void **state)
{
    (void)state;
    if (rig.gate >= 0) {
        (void)close(rig.gate);
        rig.gate = -1;
    }
    bh_gate_parent_destroy(rig.parent);
    rig.parent = NULL;
    bh_loop_finish(&rig.loop);
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * the gate's mouth and ears */

void rig_say_raw(const void *bytes, size_t size, const int *sent, uint32_t count)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(8 * sizeof(int))];
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (count != 0u) {
        memset(control, 0, sizeof(control));
        packet.msg_control = control;
        packet.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), sent, count * sizeof(int));
    }
    assert_int_equal(sendmsg(rig.gate, &packet, MSG_NOSIGNAL | MSG_DONTWAIT), size);
}

void rig_turn(void)
{
    assert_int_equal(bh_loop_turn(&rig.loop, 0), BH_OK);
}

struct bh_gate_message rig_about(uint32_t kind, uint32_t device)
{
    struct bh_gate_message message;
    memset(&message, 0, sizeof(message));
    message.kind = kind;
    message.device = device;
    return message;
}

void rig_say(const struct bh_gate_message *message, int fd)
{
    rig_say_raw(message, sizeof(*message), &fd, fd >= 0 ? 1 : 0);
}

void rig_say_number(uint32_t kind, uint32_t device, uint64_t number)
{
    struct bh_gate_message message = rig_about(kind, device);
    message.number = number;
    message.reason = kind == BH_GATE_WANT ? BH_GATE_BACK_DIED : 0u;
    rig_say(&message, -1);
    rig_turn();
}

void rig_say_keep(uint32_t device, uint32_t slot, int fd)
{
    struct bh_gate_message message = rig_about(BH_GATE_KEEP, device);
    message.slot = slot;
    rig_say(&message, fd);
    rig_turn();
}

/* The next message to the gate: its kind, or 0: there is none. The descriptor is the test's. */
uint32_t rig_hear(struct bh_gate_message *message, int *fd)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = message, .iov_len = sizeof(*message)};
    struct msghdr packet = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control.bytes)};
    *fd = -1;
    ssize_t length = recvmsg(rig.gate, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) {
        return 0;
    }
    assert_int_equal(length, sizeof(*message));
    struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header != NULL) {
        memcpy(fd, CMSG_DATA(header), sizeof(*fd));
    }
    return message->kind;
}

/* Hears "kind(device,slot or number)" for all there is; descriptors are closed. */
void rig_expect(const char *heard)
{
    static const char *const names[] = {"",   "front",   "back",   "kept",
                                        "go", "no-more", "limits", "ping"};
    char text[1024] = "";
    struct bh_gate_message message;
    int fd;
    rig_turn();
    for (uint32_t kind = rig_hear(&message, &fd); kind != 0u; kind = rig_hear(&message, &fd)) {
        size_t length = strlen(text);
        uint64_t number = kind == BH_GATE_KEPT ? message.slot : message.number;
        assert_true(kind <= BH_GATE_PING);
        (void)snprintf(text + length, sizeof(text) - length, "%s(%u,%u)%s ", names[kind],
                       message.device, (unsigned int)number, fd >= 0 ? "+" : "");
        if (fd >= 0) {
            (void)close(fd);
        }
        rig_turn();
    }
    assert_string_equal(text, heard);
}

int rig_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}
