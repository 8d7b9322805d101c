/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Characters of UTF-8 text as a definition and a terminal see them: which are harmless, how wide
 * they are, and a short form of a text for a message. Private to platform/.
 */
#ifndef PLATFORM_TEXT_H
#define PLATFORM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_CHARACTER_BAD UINT32_MAX

/* The character at *at, which moves behind it; `*at < end`. Not UTF-8 (too long a form, a
 * surrogate, cut off): BH_CHARACTER_BAD, and one byte further. */
uint32_t bh_character_next(const char **at, const char *end);

/* Whether a character can be shown as it is: no control character, none that turns the direction
 * of writing (a line would read otherwise than it is), no line break, no byte order mark. */
bool bh_character_is_plain(uint32_t character);

/* Columns that it takes on a terminal: 0, 1 or 2. */
unsigned bh_character_width(uint32_t character);

/* A text for a message: at most 40 characters, what cannot be shown as '?', nothing as "". */
struct bh_shown {
    char text[4 * 40 + 4];
};
struct bh_shown bh_show(const char *text);

/* Of the words `at(context, 0)`, `at(context, 1)`, ... (NULL ends them) the one that `word` was
 * probably meant to be; NULL: none is near. */
typedef const char *(*bh_words)(const void *context, size_t index);
const char *bh_suggest(const char *word, bh_words at, const void *context);

#endif
