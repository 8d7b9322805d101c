/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last words of a guest or a program: what it printed before it failed, for the message that
 * says why. A line that tells of a crash is kept though others follow; without one, the last line
 * that is not empty.
 *
 * Thread: one. Ownership: the caller's memory; all zero is the start.
 */
#ifndef ENGINE_TERMINAL_WORDS_H
#define ENGINE_TERMINAL_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define BH_WORDS_BYTES_MAX 200u

struct bh_words {
    char telling[BH_WORDS_BYTES_MAX + 1u]; /* the first line that tells of a crash */
    char last[BH_WORDS_BYTES_MAX + 1u];
};

/* Takes a line of bh_lines: printable UTF-8. A longer one is cut between characters. */
void bh_words_take(struct bh_words *words, const char *text, size_t length);

/* NULL: it said nothing. */
const char *bh_words_said(const struct bh_words *words);

#endif
