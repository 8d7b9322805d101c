/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes of a terminal become lines that are safe to show on another: what a guest prints is
 * hostile. It is not a terminal emulator: there is no screen.
 *
 * A line ends with LF, CR LF, or a CR that other text follows; one that grows beyond
 * BH_LINE_BYTES_MAX, or is shown before its end has come, goes on in the next. In a line stand printable UTF-8 characters and nothing
 * else:
 *   tab                          spaces up to the next multiple of 8
 *   backspace                    takes the last character away
 *   control sequence (ESC [ …)   left out, if it has at most BH_LINE_SEQUENCE_MAX bytes
 *   other control characters     '?'
 *   what is no UTF-8             '?' for each byte
 *   characters that reorder or   '?'
 *   break lines (bidirectional controls, U+2028, U+2029, U+FEFF)
 *
 * Thread: one. Ownership: the caller's memory.
 */
#ifndef ENGINE_TERMINAL_LINES_H
#define ENGINE_TERMINAL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_LINE_BYTES_MAX    1000u
#define BH_LINE_SEQUENCE_MAX 32u

struct bh_lines {
    /* A line, without its end; `text` has `length` bytes and a NUL behind them. */
    void (*line)(void *context, const char *text, size_t length);
    void *context;
    bool goes_on; /* while `line` is called: its end has not come, the next one continues it */

    char text[BH_LINE_BYTES_MAX + 1u];
    size_t length;
    size_t column;        /* characters in `text` */
    uint8_t character[4]; /* a UTF-8 character that is not complete */
    uint32_t have, need;  /* bytes of it */
    uint32_t sequence;    /* bytes of a control sequence so far; 0: none */
    bool after_return;    /* CR was the last byte: what follows tells its meaning */
    bool touched;         /* bytes came since the last bh_lines_tick */
};

void bh_lines_init(struct bh_lines *lines,
                   void (*line)(void *context, const char *text, size_t length), void *context);

void bh_lines_feed(struct bh_lines *lines, const uint8_t *bytes, size_t count);

/* There is a line without an end. */
bool bh_lines_partial(const struct bh_lines *lines);

/* Called now and then: shows a line without an end if nothing came since the last call. */
void bh_lines_tick(struct bh_lines *lines);

/* Shows a line without an end: nothing follows. */
void bh_lines_flush(struct bh_lines *lines);

#endif
