/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An owner who keeps what a back end must not lose, two processes that serve one connection one after
 * the other, and a front end that says all there is to say, message by message. The first process can
 * be made to die at any call that keeps something: it is left where it stands, for good.
 */
#ifndef ADOPT_RIG_H
#define ADOPT_RIG_H

#include "vu_rig.h"

/* One process, or the one after it. */
struct life {
    struct vu vu; /* first: the context of all calls */
    struct owner *owner;
    unsigned admitted;
    unsigned changed;
    unsigned started; /* rings that are served elsewhere */
    struct bh_vu_plan plan;
};

/* What outlives them. */
struct owner {
    struct bh_vu_saved saved;
    int fds[BH_VU_KEEP_SLOTS];
    unsigned saves;
    unsigned moments; /* at which one may die, so far */
    unsigned death;   /* at which one does; 0: at none */
    jmp_buf end;
    uint8_t *journal;
    struct life lives[2];
    struct life *now;
    bool packed;
    bool denies; /* all memory */
};

void adopt_open(struct owner *owner, bool packed);
/* The same, and the owner serves the rings himself. */
void adopt_open_serving(struct owner *owner);
void adopt_close(struct owner *owner);
/* cmocka: the same, on the heap. */
int adopt_setup_split(void **state);
int adopt_setup_packed(void **state);
int adopt_teardown(void **state);

#define ADOPT_BOTH(test)                                                                           \
    {#test ": split", test, adopt_setup_split, adopt_teardown, NULL},                              \
    {                                                                                              \
#test ": packed", test, adopt_setup_packed, adopt_teardown, NULL                           \
    }

/* Everything that the numbers speak of is kept. */
void adopt_check_whole(const struct owner *owner);

/* The next process, with what was kept. The first one is left as it is. */
struct vu *adopt_succeed(struct owner *owner, bool connected);

#define ADOPT_STEPS 24u
#define ADOPT_WORK  15u /* the step that leaves requests in flight */
#define ADOPT_BASE  20u /* GET_VRING_BASE */

/* Says step `i`. False: it is the guest's, and nothing is said. */
bool adopt_speak(struct vu *vu, unsigned i);
/* Whatever is in flight ends, so that what waits for it goes on. */
void adopt_settle(struct vu *vu);
/* The answer to step `i`; there is exactly one. */
void adopt_hear(struct vu *vu, unsigned i);
/* Two requests that stay in flight. */
void adopt_work(struct vu *vu);
/* All steps up to that. */
struct vu *adopt_bring_up(struct owner *owner);

#endif
