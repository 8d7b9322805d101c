/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks by message: answers that are missing, wrong or cut, and requests that nobody waits for. */
#include "back.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bulkhead/virtio.h"
#include "bulkhead/virtio_blk.h"

/* ---- answers ---- */

static bool is_meant(const struct back *back, const struct message *message)
{
    return message->header.request == back->argument;
}

/* Never answers. */
static bool silent(struct back *back, struct message *message)
{
    if (is_meant(back, message)) {
        did(back);
        return true;
    }
    return false;
}

/* The honest answer to the message that is meant, to be spoiled. False: there is none. */
static bool honest_answer(struct back *back, struct message *message, struct message *reply)
{
    if (!is_meant(back, message)) {
        return false;
    }
    const bool there = wire_answer(back, message, reply);
    if (there) {
        did(back);
    }
    return there;
}

static bool other_request(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.request++;
    wire_reply(back, &reply);
    return true;
}

static bool not_a_reply(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.flags &= ~BH_VU_REPLY;
    wire_reply(back, &reply);
    return true;
}

static bool other_version(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.flags ^= BH_VU_VERSION_MASK;
    wire_reply(back, &reply);
    return true;
}

static bool shorter(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.size -= 4u;
    wire_reply(back, &reply);
    return true;
}

static bool longer(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.size = sizeof(reply.payload);
    wire_reply(back, &reply);
    return true;
}

static bool huge(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    reply.header.size = 0x7fffffffu;
    wire_send(back->connection, &reply.header, sizeof(reply.header) + 8u, NULL, 0);
    return true;
}

/* With descriptors that nobody asked for, more than any message has. */
static bool with_fds(struct back *back, struct message *message)
{
    struct message reply;
    int fds[32];
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    for (uint32_t i = 0; i < 32u; i++) {
        fds[i] = back->image;
    }
    wire_send(back->connection, &reply.header, sizeof(reply.header) + reply.header.size, fds, 32);
    return true;
}

static bool one_fd(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    wire_send(back->connection, &reply.header, sizeof(reply.header) + reply.header.size,
              &back->image, 1);
    return true;
}

static bool twice(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    wire_reply(back, &reply);
    wire_reply(back, &reply);
    return true;
}

/* All bits of the answer are set: every feature, endless queues, an error. */
static bool all_ones(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    memset(&reply.payload, 0xff, reply.header.size);
    wire_reply(back, &reply);
    return true;
}

/* Dies in the middle: each generation one byte later. */
static bool cut(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    const size_t whole = sizeof(reply.header) + reply.header.size;
    const size_t part = back->turn;
    say(back, "cut %zu of %zu", part, whole);
    if (part != 0u && part < whole) {
        wire_send(back->connection, &reply.header, part, NULL, 0);
    }
    _exit(0);
}

/* Falls asleep in front of a message, and is not to be woken. */
static bool stopped(struct back *back, struct message *message)
{
    if (is_meant(back, message)) {
        did(back);
        (void)raise(SIGSTOP);
    }
    return false;
}

/* Half of an answer, and then nothing. */
static bool half(struct back *back, struct message *message)
{
    struct message reply;
    if (!honest_answer(back, message, &reply)) {
        return false;
    }
    wire_send(back->connection, &reply.header, sizeof(reply.header) + 2u, NULL, 0);
    return true;
}

/* ---- requests of the back end ---- */

#define AT 50u /* requests of the guest that are served first */

static bool due(const struct back *back)
{
    return back->served >= AT && !back->did;
}

static void demand(struct back *back, int fd, uint32_t size, uint32_t flags, uint32_t fd_count)
{
    struct message message = {.header = {(uint32_t)back->argument, BH_VU_VERSION | flags, size}};
    int memory = memfd_create("hostile", MFD_CLOEXEC);
    const int fds[2] = {memory, back->image};
    if (memory < 0 || ftruncate(memory, 65536) != 0) {
        return;
    }
    memset(&message.payload, 0x11, sizeof(message.payload));
    did(back);
    wire_send(fd, &message.header, sizeof(message.header) + size, fds, fd_count);
    (void)close(memory);
}

static bool demand_bare(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back)) {
        demand(back, back->line, 0, 0, 0);
    }
    return false;
}

static bool demand_payload(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back)) {
        demand(back, back->line, 40, BH_VU_NEED_REPLY, 0);
    }
    return false;
}

static bool demand_fds(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back)) {
        demand(back, back->line, 40, BH_VU_NEED_REPLY, 2);
    }
    return false;
}

/* On the line that is for answers only. */
static bool demand_main(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back)) {
        demand(back, back->connection, 0, 0, 0);
    }
    return false;
}

/* Configuration changes without end: as many as the line takes, at every request. */
static bool config_flood(struct back *back, struct chain *chains, uint32_t count)
{
    const struct bh_vu_header header = {BH_VU_BACKEND_CONFIG_CHANGE, BH_VU_VERSION, 0};
    (void)chains;
    (void)count;
    if (back->served >= AT && back->line >= 0) {
        did(back);
        for (unsigned i = 0; i < 100000u; i++) {
            if (send(back->line, &header, sizeof(header), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
                break;
            }
        }
    }
    return false;
}

static bool line_junk(struct back *back, struct chain *chains, uint32_t count)
{
    uint32_t junk[256];
    (void)chains;
    (void)count;
    if (due(back)) {
        did(back);
        for (unsigned i = 0; i < 256u; i++) {
            junk[i] = draw(back);
        }
        wire_send(back->line, junk, sizeof(junk), NULL, 0);
    }
    return false;
}

static bool line_half(struct back *back, struct chain *chains, uint32_t count)
{
    const struct bh_vu_header header = {BH_VU_BACKEND_CONFIG_CHANGE, BH_VU_VERSION, 0};
    (void)chains;
    (void)count;
    if (due(back)) {
        did(back);
        wire_send(back->line, &header, 5, NULL, 0);
    }
    return false;
}

static bool line_closed(struct back *back, struct chain *chains, uint32_t count)
{
    (void)chains;
    (void)count;
    if (due(back) && back->line >= 0) {
        did(back);
        (void)close(back->line);
        back->line = -1;
    }
    return false;
}

/* Descriptors without end on the main line, with nothing that asks for them. */
static bool fd_flood(struct back *back, struct chain *chains, uint32_t count)
{
    int fds[64];
    uint8_t byte = 0;
    (void)chains;
    (void)count;
    if (due(back)) {
        did(back);
        for (unsigned i = 0; i < 64u; i++) {
            fds[i] = back->image;
        }
        for (unsigned i = 0; i < 8u; i++) {
            wire_send(back->connection, &byte, 1, fds, 64);
        }
    }
    return false;
}

/* ---- another device than before ---- */

static void without_feature(struct back *back)
{
    did(back);
    back->offered &= ~(UINT64_C(1) << back->argument);
}

static void with_queues(struct back *back)
{
    did(back);
    back->queue_count = back->argument;
    blk_config(back);
}

/* One byte of the configuration space is another one. */
static void with_config(struct back *back)
{
    did(back);
    back->config[back->argument] ^= 0x40u;
}

static void without_protocol(struct back *back)
{
    did(back);
    back->protocol_offered &= ~(UINT64_C(1) << back->argument);
}

const struct attack talk_attacks[] = {
    {.name = "silent", .message = silent},
    {.name = "other-request", .message = other_request},
    {.name = "not-a-reply", .message = not_a_reply},
    {.name = "other-version", .message = other_version},
    {.name = "shorter", .message = shorter},
    {.name = "longer", .message = longer},
    {.name = "huge", .message = huge},
    {.name = "with-fds", .message = with_fds},
    {.name = "one-fd", .message = one_fd},
    {.name = "twice", .message = twice},
    {.name = "all-ones", .message = all_ones},
    {.name = "cut", .message = cut},
    {.name = "half", .message = half},
    {.name = "stopped", .message = stopped},
    {.name = "demand", .popped = demand_bare},
    {.name = "demand-payload", .popped = demand_payload},
    {.name = "demand-fds", .popped = demand_fds},
    {.name = "demand-main", .popped = demand_main},
    {.name = "config-flood", .popped = config_flood},
    {.name = "line-junk", .popped = line_junk},
    {.name = "line-half", .popped = line_half},
    {.name = "line-closed", .popped = line_closed},
    {.name = "fd-flood", .popped = fd_flood},
    {.name = "without-feature", .start = without_feature},
    {.name = "with-queues", .start = with_queues},
    {.name = "with-config", .start = with_config},
    {.name = "without-protocol", .start = without_protocol},
};
const uint32_t talk_attack_count = sizeof(talk_attacks) / sizeof(talk_attacks[0]);
