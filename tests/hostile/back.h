/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user block back end that is honest in everything but one attack, which the command line
 * names. It shares no code with the parts that it attacks: wire format only. What it did and what it
 * found goes, line by line, into the file `report` of its state folder.
 *
 * An attack is a row of hooks (struct attack): the honest path calls them where it may be diverted.
 * The files: back_main.c the life of the process and the table, back_wire.c messages, back_memory.c what
 * it was given, back_ring.c rings, back_blk.c the disk; back_talk.c attacks by message, back_lies.c by
 * ring, back_look.c by looking around.
 */
#ifndef HOSTILE_BACK_H
#define HOSTILE_BACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "bulkhead/vhost_user.h"

#define QUEUES_MAX   64u
#define REGIONS_MAX  64u
#define SEGMENTS_MAX 128u
#define POPPED_MAX   256u
#define SECRETS_MAX  16u
#define SECRET_BYTES 16u

struct region {
    struct bh_vu_region table;
    int fd;
    uint8_t *base; /* of the whole file */
    uint64_t file_size;
};

struct ring {
    uint16_t index;
    uint16_t size;
    struct bh_vu_vring_address addresses;
    uint8_t *descriptor;
    uint8_t *driver;
    uint8_t *device;
    int kick;
    int call;
    int error;
    bool running;
    /* Split: indices; packed: places, with their wrap counters. */
    uint16_t seen;
    uint16_t used;
    bool seen_wrap;
    bool used_wrap;
};

struct chain {
    struct ring *ring;
    uint16_t id;    /* split: head */
    uint16_t place; /* packed: where it began */
    uint16_t count; /* descriptors in the ring */
    uint8_t *table; /* indirect, or NULL */
    uint16_t table_count;
    struct iovec readable[SEGMENTS_MAX];
    struct iovec writable[SEGMENTS_MAX];
    uint32_t readables;
    uint32_t writables;
    uint32_t writable_bytes;
    uint32_t written; /* what an honest back end reports */
};

/* Header and payload follow each other without a gap, as they do on the wire. */
struct message {
    uint32_t padding;
    struct bh_vu_header header;
    union bh_vu_payload payload;
    int fds[BH_VU_FDS_MAX];
    uint32_t fd_count;
};

_Static_assert(offsetof(struct message, payload) ==
                   offsetof(struct message, header) + sizeof(struct bh_vu_header),
               "as on the wire");

struct secret {
    char name[32];
    uint8_t bytes[SECRET_BYTES];
};

struct back;

/* All may be NULL. */
struct attack {
    const char *name;
    /* What is offered: altered before the first message. */
    void (*start)(struct back *back);
    /* A message came; true: it was taken care of. */
    bool (*message)(struct back *back, struct message *message);
    /* The first ring runs. */
    void (*running)(struct back *back);
    /* Requests were popped, none is done: before they are served. True: they are the attack's. */
    bool (*popped)(struct back *back, struct chain *chains, uint32_t count);
    /* A request is about to be served; true: it was. */
    bool (*serve)(struct back *back, struct chain *chain);
};

struct back {
    const struct attack *attack;
    uint64_t argument; /* of the attack */
    bool armed;        /* this generation attacks */
    uint32_t generation;
    uint32_t turn; /* how many generations attacked before this one */
    const char *state;
    FILE *report;
    int connection;
    int line; /* for requests of the back end; -1: none */
    int image;
    uint64_t image_size;
    uint64_t features;
    uint64_t protocol_features;
    uint64_t offered;
    uint64_t protocol_offered;
    uint64_t queue_count;
    uint8_t status;
    uint8_t config[BH_VU_CONFIG_MAX];
    uint32_t config_size;
    struct region regions[REGIONS_MAX];
    uint32_t region_count;
    struct ring rings[QUEUES_MAX];
    struct chain popped[POPPED_MAX];
    struct secret secrets[SECRETS_MAX];
    uint32_t secret_count;
    uint64_t served;
    bool did;
    uint32_t random;
};

/* back_main.c: the report; and `did`: the attack took place (said once). */
__attribute__((format(printf, 2, 3))) void say(struct back *back, const char *format, ...);
void did(struct back *back);
uint32_t draw(struct back *back);

/* back_wire.c */
bool wire_receive(struct back *back, struct message *message);
void wire_send(int fd, const void *bytes, size_t length, const int *fds, uint32_t count);
void wire_reply(struct back *back, const struct message *message);
void wire_drop_fds(struct message *message);
/* Handles a message as it should be; leaves its reply in *reply, true if there is one. */
bool wire_answer(struct back *back, struct message *message, struct message *reply);

/* back_memory.c */
void memory_clear(struct back *back);
void memory_add(struct back *back, const struct bh_vu_region *table, int fd);
void memory_remove(struct back *back, const struct bh_vu_region *table);
/* By user address (rings) or guest address (buffers). NULL: not there. */
void *memory_user(const struct back *back, uint64_t address, uint64_t length);
void *memory_guest(const struct back *back, uint64_t address, uint64_t length);

/* back_ring.c */
bool ring_is_packed(const struct back *back);
void ring_start(struct back *back, struct ring *ring);
uint32_t ring_base(const struct back *back, const struct ring *ring);
void ring_set_base(const struct back *back, struct ring *ring, uint32_t base);
/* Takes the next chain. */
bool ring_pop(struct back *back, struct ring *ring, struct chain *chain);
/* Says that a chain is used: any id, any length; shown at ring_show. */
void ring_used(struct back *back, struct ring *ring, uint16_t id, uint16_t count, uint32_t length);
void ring_show(struct back *back, struct ring *ring);
void ring_call(const struct ring *ring);
/* Pops and serves all that waits. */
void ring_work(struct back *back, struct ring *ring);

/* back_blk.c: serves a request; chain->written is set. */
void blk_serve(struct back *back, struct chain *chain);
void blk_config(struct back *back);

/* Rows of the table. */
extern const struct attack talk_attacks[];
extern const uint32_t talk_attack_count;
extern const struct attack lies_attacks[];
extern const uint32_t lies_attack_count;
extern const struct attack look_attacks[];
extern const uint32_t look_attack_count;

#endif
