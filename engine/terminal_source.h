/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descriptor that somebody prints to (a guest's terminal, a program's standard error): its bytes
 * become lines of the output, under a label. It is read only while the output has room, so that the
 * writer waits and nothing is lost.
 *
 * States: reading <-> paused (no room, or held); both -> ended (end of file, or bh_source_finish).
 *
 * Thread: the loop's. Ownership: the structure is the caller's; the descriptor is the source's.
 */
#ifndef ENGINE_TERMINAL_SOURCE_H
#define ENGINE_TERMINAL_SOURCE_H

#include "terminal_lines.h"
#include "terminal_output.h"
#include "terminal_words.h"

struct bh_source {
    struct bh_watch watch; /* first */
    struct bh_poller *poller;
    struct bh_output *output;
    char label[BH_OUTPUT_LABEL_MAX];
    uint32_t colour;
    struct bh_lines lines;
    struct bh_words *words; /* whose last words they are; NULL: nobody's */
    bool held;              /* by bh_source_hold */
    bool ended;
    /* Sees the bytes as they came, before the lines do. NULL: nobody. */
    void (*bytes)(void *context, const uint8_t *bytes, size_t count);
    /* Sees each line as it is shown. NULL: nobody. */
    void (*said)(void *context, const char *text);
    void *context;
};

struct bh_source_setup {
    struct bh_poller *poller;
    struct bh_output *output;
    int fd; /* does not block */
    const char *label;
    uint32_t colour;
    struct bh_words *words;
    void (*said)(void *context, const char *text); /* NULL: nobody listens */
    void *context;
};

/* BH_LIMIT: the descriptor cannot be watched; it stays the caller's then. */
int bh_source_init(struct bh_source *source, const struct bh_source_setup *setup);

/* Reads what is there, shows what has no end, closes the descriptor. Not initialized (all zero) or
 * finished already: nothing. */
void bh_source_finish(struct bh_source *source);

/* Now and then, while output->restless: shows a line without an end if nothing more comes. */
void bh_source_tick(struct bh_source *source);

/* Reads on, or not; with the output's room it decides whether the descriptor is watched. */
void bh_source_hold(struct bh_source *source, bool held);
void bh_source_update(struct bh_source *source);

#endif
