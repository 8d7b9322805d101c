/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `bulkhead run` prints: lines, each with the name of who said it before it, to a terminal, a
 * pipe or a file whose reader may be slow.
 *
 *     cluster         | Linux version 7.2.0
 *     ivi/disk        | bulkhead-blk: sandbox closed: ...
 *     bulkhead        | cluster: runs
 *
 * A slow reader slows guests down rather than losing lines: whoever reads from a guest asks
 * bh_output_ready first. Once the output is `hurried` (an orderly stop must not wait for a reader)
 * lines without room are left out and counted; the count is printed.
 *
 * Thread: the loop's. Ownership: the structure is the caller's.
 */
#ifndef ENGINE_TERMINAL_OUTPUT_H
#define ENGINE_TERMINAL_OUTPUT_H

#include <stdio.h>

#include "terminal_outflow.h"

#define BH_OUTPUT_LABEL_MAX 72u
#define BH_OUTPUT_WIDTH_MAX 24u /* labels are aligned up to here */
#define BH_OUTPUT_STORE     ((size_t)256 * 1024)
#define BH_OUTPUT_SELF      0u /* colour of the supervisor's own lines; guests have 1 and up */

struct bh_output {
    struct bh_outflow flow; /* first */
    int fd;                 /* of its own, if that was possible; else the stream's */
    bool own_fd;
    bool colour;
    bool hurried;
    bool told_broken;
    bool restless; /* some source waits for the end of a line, or for a peer: tick it in a while */
    size_t width;
    uint64_t left_out;
    uint8_t *store;
    /* There is room again for whoever had to wait. */
    void (*drained)(void *context);
    void *context;
};

/* BH_NO_MEMORY; BH_INVALID: a stream without a descriptor. */
int bh_output_init(struct bh_output *output, struct bh_poller *poller, FILE *stream, bool colour);
void bh_output_finish(struct bh_output *output);

/* Makes room for a label: call it for each before the first line. */
void bh_output_align(struct bh_output *output, const char *label);

/* Whether a guest may be read from: a read of BH_OUTPUT_READ bytes has room, whatever they are. */
#define BH_OUTPUT_READ 1024u
bool bh_output_ready(const struct bh_output *output);

/* A line: printable text, as bh_lines gives it. */
void bh_output_line(struct bh_output *output, const char *label, uint32_t colour, const char *text,
                    size_t length);

/* The supervisor speaks: formatted text, of one or more lines. Control characters become '?'. */
void bh_output_say(struct bh_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Writes all that is left, however long the reader takes: for the end, when signals end the
 * process again. */
void bh_output_flush(struct bh_output *output);

#endif
